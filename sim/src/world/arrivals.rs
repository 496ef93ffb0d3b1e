//! What the broker published for the client and what arrived.

use std::collections::BTreeMap;

use packetboat_core::session::{AckToken, Release};
use packetboat_core::wire::{QoS, Reason};

use super::messages::tag_of;
use super::{Promise, World};
use crate::broker::Message;
use crate::pair::store::Kept;
use crate::pair::{CLIENT, Incoming};

/// Apart from those the client publishes to.
const TOPICS: [&str; 4] = ["a/first", "a/second", "b", "a/third/level"];

/// All messages of the broker, and what the application holds.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    published: BTreeMap<u64, Published>,
    held: Vec<Held>,
    /// One holder gave up what another was done with: it comes again on another connection only.
    divided: bool,
}

#[derive(Debug)]
struct Published {
    topic: &'static str,
    /// At which QoS it must arrive, if it must.
    due: Option<QoS>,
    arrived: usize,
    /// How often it may arrive at QoS 2.
    most: usize,
    /// The identifier it last arrived under, at QoS 2.
    id: Option<u16>,
}

#[derive(Debug)]
struct Held {
    tag: u64,
    token: AckToken,
    qos: QoS,
    holders: u16,
    abandoned: bool,
    /// It arrived on this connection.
    connection: usize,
}

impl Arrivals {
    pub(super) fn published(&self) -> usize {
        self.published.len()
    }

    /// Something has to come again that will not on this connection.
    pub(super) fn take_divided(&mut self) -> bool {
        std::mem::take(&mut self.divided)
    }

    /// What the broker had for the client is gone.
    pub(super) fn session_lost(&mut self) {
        self.published.values_mut().for_each(|published| published.due = None);
    }

    /// What was in the application's hands may come again, unless the store knows that it was acknowledged.
    pub(super) fn crashed(&mut self, committed: &[Kept]) {
        self.held.clear();
        for published in self.published.values_mut() {
            let stored = |kept: &Kept| matches!(kept, Kept::Inbound { id } if Some(*id) == published.id);
            if !committed.iter().any(stored) {
                published.most += 1;
            }
        }
    }
}

impl World {
    pub(super) fn publish_from_broker(&mut self) {
        for _ in 0..self.dice.between(1, 4) {
            let tag = self.next_tag();
            let topic = self.dice.pick(&TOPICS);
            let qos = self.dice.pick(&[QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce]);
            let padding = if self.dice.percent(5) { 300 } else { self.dice.index(8) };
            let granted = self.pair.broker.granted(CLIENT, topic).map(|granted| granted.min(qos));
            // Nobody promises QoS 0, nor what is larger than the client wants.
            let fits = padding + 60 < self.plan.options.maximum_packet_size as usize;
            let due = granted.filter(|qos| *qos > QoS::AtMostOnce && fits);
            self.arrivals.published.insert(tag, Published { topic, due, arrived: 0, most: 1, id: None });
            self.tell(|| format!("the broker publishes {tag} to {topic} {qos:?}, due {due:?}"));
            let payload = format!("{tag}:{}", "y".repeat(padding));
            self.pair.broker.publish(Message::new(topic, payload, qos), self.pair.now);
        }
        self.pair.client.holders = u16::try_from(self.dice.index(3)).unwrap_or(0);
    }

    /// Look at what arrived.
    pub(super) fn notice_arrivals(&mut self) -> Promise {
        for incoming in self.pair.incoming() {
            self.tell(|| format!("{} arrives {:?}, dup {}", text(&incoming), incoming.qos, incoming.dup));
            let tag = tag_of(&incoming.payload).ok_or("an arrival nobody published")?;
            let published = self.arrivals.published.get_mut(&tag).ok_or("an arrival nobody published")?;
            if published.topic != incoming.topic {
                return Err(format!("{tag} arrived on {:?}, not on {:?}", incoming.topic, published.topic));
            }
            published.arrived += 1;
            if incoming.qos == QoS::ExactlyOnce && published.arrived > published.most {
                return Err(format!("{tag} was delivered again: {published:?}"));
            }
            published.id = incoming.id.filter(|_| incoming.qos == QoS::ExactlyOnce);
            if let Some(token) = incoming.token.filter(|_| incoming.holders > 0) {
                let (qos, holders, connection) = (incoming.qos, incoming.holders, self.connections);
                self.arrivals.held.push(Held { tag, token, qos, holders, abandoned: false, connection });
            }
        }
        Ok(())
    }

    pub(super) fn release_one(&mut self) -> Promise {
        if self.arrivals.held.is_empty() {
            return Ok(());
        }
        // Mostly the oldest, since the others wait for it.
        let oldest = self.dice.percent(60);
        let at = if oldest { 0 } else { self.dice.index(self.arrivals.held.len()) };
        let release = match self.dice.index(12) {
            0 => Release::Reject(Reason::NOT_AUTHORIZED),
            1 => Release::Abandon,
            _ => Release::Acknowledge,
        };
        self.release(at, release)
    }

    /// The application lets go of everything.
    pub(super) fn release_all(&mut self) -> Promise {
        while !self.arrivals.held.is_empty() {
            self.release(0, Release::Acknowledge)?;
        }
        Ok(())
    }

    fn release(&mut self, at: usize, release: Release) -> Promise {
        let here = self.pair.is_connected().then_some(self.connections);
        let held = &mut self.arrivals.held[at];
        let (tag, token) = (held.tag, held.token);
        let stale = held.qos == QoS::AtLeastOnce && Some(held.connection) != here;
        held.holders -= 1;
        held.abandoned |= release == Release::Abandon;
        self.arrivals.divided |= held.abandoned;
        if held.holders == 0 {
            self.arrivals.held.remove(at);
        }
        let fresh = self.pair.client.session.release(token, release);
        self.tell(|| format!("release {tag} {release:?}: {fresh}"));
        if let Some(published) = self.arrivals.published.get_mut(&tag) {
            match release {
                // Given up: it comes again. Rejected: nobody has to deliver it any more, but if the rejection is lost.
                Release::Abandon => published.most += 1,
                Release::Reject(_) => {
                    published.most += 1;
                    published.due = None;
                }
                Release::Acknowledge => {}
            }
        }
        if stale && fresh {
            Err(format!("{tag} was acknowledged by a token of an older connection"))
        } else {
            Ok(())
        }
    }

    /// Everything that had to arrive did.
    pub(super) fn check_arrivals(&self) -> Promise {
        for (tag, published) in &self.arrivals.published {
            if published.due.is_some() && published.arrived == 0 && !self.doubtful {
                return Err(format!("{tag} never arrived: {published:?}"));
            }
        }
        Ok(())
    }
}

fn text(incoming: &Incoming) -> String {
    let tag = tag_of(&incoming.payload).unwrap_or(0);
    format!("{tag} on {} (id {:?})", incoming.topic, incoming.id)
}
