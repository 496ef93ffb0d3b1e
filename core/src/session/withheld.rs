//! What withheld acknowledgements cost: a message that is held keeps back those behind it, one that was abandoned its
//! place in the broker's window.

use core::time::Duration;

use super::event::Event;
use super::handle::Handle;
use super::hold::{Hold, Progress};
use super::inbound::Inbound;
use super::{Phase, Session};
use crate::time::Instant;
use crate::wire::QoS;

/// The application is told when a message has kept others back for so long.
const HELD_TOO_LONG: Duration = Duration::from_secs(30);

/// The oldest message of an acknowledgement ring, when somebody holds it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Head {
    /// Counts what has left the ring, so that no two heads are taken for each other.
    position: u32,
    id: u16,
    qos: QoS,
    /// Messages behind it.
    waiting: usize,
}

#[derive(Clone, Copy, Debug)]
struct Watched {
    position: u32,
    since: Instant,
    told: bool,
}

/// Of one connection.
#[derive(Debug, Default)]
pub(super) struct Withheld {
    /// QoS 1 and QoS 2.
    heads: [Option<Watched>; 2],
    abandoned_told: bool,
}

impl Inbound {
    /// The oldest of each ring, where somebody holds it.
    fn heads(&self) -> [Option<Head>; 2] {
        let is_held = |hold: &Hold| hold.progress == Progress::Held;
        let first = self.ring1.front().filter(|(_, hold)| is_held(hold)).map(|&(id, _)| {
            let (position, waiting) = (self.base, self.ring1.len() - 1);
            Head { position, id, qos: QoS::AtLeastOnce, waiting }
        });
        let second = self.second.as_ref().and_then(|second| {
            let id = *second.ring.front()?;
            second.deliveries.value(id).filter(|delivery| is_held(&delivery.hold))?;
            let (position, waiting) = (second.passed, second.ring.len() - 1);
            Some(Head { position, id, qos: QoS::ExactlyOnce, waiting })
        });
        [first, second]
    }
}

impl<P: Handle> Session<P> {
    /// To be called often enough: with whatever else is done by the clock.
    #[inline]
    pub(super) fn watch_withheld(&mut self, now: Instant) {
        if self.inbound.is_acknowledged() || self.link.phase != Phase::Online {
            self.withheld.heads = [None; 2];
            return;
        }
        self.watch_heads(now);
        let (messages, window) = (self.inbound.abandoned(), self.link.window);
        if !self.withheld.abandoned_told && messages > 0 && messages * 2 >= usize::from(window) {
            self.withheld.abandoned_told = true;
            self.events.push_back(Event::Abandoned { messages, window });
        }
    }

    fn watch_heads(&mut self, now: Instant) {
        for (head, watched) in self.inbound.heads().into_iter().zip(&mut self.withheld.heads) {
            let Some(head) = head else {
                *watched = None;
                continue;
            };
            match watched {
                Some(known) if known.position == head.position => {
                    if !known.told && head.waiting > 0 && now >= known.since + HELD_TOO_LONG {
                        known.told = true;
                        let Head { id, qos, waiting, .. } = head;
                        self.events.push_back(Event::Held { id, qos, waiting });
                    }
                }
                _ => *watched = Some(Watched { position: head.position, since: now, told: false }),
            }
        }
    }

    /// When a message will have kept others back for too long.
    pub(super) fn withheld_deadline(&self) -> Option<Instant> {
        let due = |(head, watched): (Option<Head>, &Option<Watched>)| {
            let (head, watched) = (head?, watched.as_ref()?);
            let waits = head.waiting > 0 && head.position == watched.position && !watched.told;
            waits.then_some(watched.since + HELD_TOO_LONG)
        };
        self.inbound.heads().into_iter().zip(&self.withheld.heads).filter_map(due).min()
    }
}
