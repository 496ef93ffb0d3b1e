//! What the session says happened.

use packetboat_core::session::Event;
use packetboat_core::wire::Reason;

use super::{Promise, World};

impl World {
    /// Take in everything the session reported, and hold it to what may be reported.
    pub(super) fn notice(&mut self) -> Promise {
        self.notice_arrivals()?;
        for event in self.pair.events() {
            self.tell(|| format!("{event:?}"));
            match event {
                Event::Published { tag, outcome } => self.messages.ended(tag.0, outcome)?,
                Event::Subscribed { tag, reason, .. } => self.filters.subscribed(tag.0, reason)?,
                Event::Unsubscribed { tag, .. } => self.filters.unsubscribed(tag.0)?,
                Event::SubscriptionLost { filter, .. } => self.filters.lost(filter.as_str()),
                Event::Connected { session_present, .. } => self.connected(session_present),
                Event::Disconnected { lost_qos0, .. } => self.messages.lost_qos0 += lost_qos0,
                Event::Authentication { reason: Reason::SUCCESS, .. } => self.authentications += 1,
                Event::Finished { .. }
                | Event::SubscriptionsRestored
                | Event::Poison { .. }
                | Event::Authentication { .. }
                | Event::Held { .. }
                | Event::Abandoned { .. }
                | Event::Dropped { .. }
                | Event::ProbeAnswered { .. } => {}
            }
        }
        match self.pair.complaints().first() {
            Some(complaint) if !self.betrayed => Err(complaint.clone()),
            _ => Ok(()),
        }
    }
}
