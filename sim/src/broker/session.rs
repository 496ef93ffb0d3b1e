//! What lives as long as a session: subscriptions, and messages under way in both directions.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use packetboat_core::time::Instant;
use packetboat_core::topic::{TopicFilter, matches};
use packetboat_core::wire::{Publish, QoS, SubscribeOptions};

use super::{ConnectionId, Message};

#[derive(Debug)]
pub(super) struct Session {
    pub(super) client: String,
    /// The connection that began it.
    pub(super) number: u64,
    pub(super) connection: Option<ConnectionId>,
    /// How long it outlives its connection; `None`: for ever.
    pub(super) expiry: Option<Duration>,
    /// When it ends, once its connection is gone.
    pub(super) expires: Option<Instant>,
    /// A will that waits for its delay.
    pub(super) will: Option<(Instant, super::connection::Will)>,
    pub(super) subscriptions: BTreeMap<TopicFilter, Subscription>,
    pub(super) inbound: BTreeMap<u16, Inbound>,
    /// Identifiers of messages that the client has given up: they are not expected again.
    pub(super) given_up: BTreeSet<u16>,
    /// Numbers the client's messages and its releases.
    pub(super) orders: u64,
    pub(super) inflight: VecDeque<Delivery>,
    pub(super) queue: VecDeque<Delivery>,
    /// Packets were dropped on order at some time: order and gaps prove nothing any more.
    pub(super) lossy: bool,
    /// The client's process died since it last connected.
    pub(super) crashed: bool,
    /// It died at some time: what its store had not forgotten yet may come again.
    pub(super) excused: bool,
    last_id: u16,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Subscription {
    pub(super) options: SubscribeOptions,
    pub(super) identifier: Option<u32>,
}

/// An identifier of the client: what came with it, and how far it got.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inbound {
    pub(super) qos: QoS,
    /// Tells one message from another.
    pub(super) digest: u64,
    /// Place among all first transmissions; zero: unknown.
    pub(super) order: u64,
    pub(super) state: InboundState,
    /// The message was taken, not refused.
    pub(super) owned: bool,
    /// The connection on which the client last spoke of it.
    pub(super) touched: u64,
    /// When our PUBREC went out: place among all PUBRECs, and the connection.
    pub(super) received: (u64, u64),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum InboundState {
    /// Taken; PUBACK or PUBREC is not out yet.
    Taken,
    /// PUBREC is out, PUBREL awaited.
    Received,
    /// PUBREL came, PUBCOMP is not out yet.
    Released,
    /// The last answer is out. It may not have arrived if the connection broke since.
    Finished,
}

/// A message on its way to the client.
#[derive(Debug)]
pub(super) struct Delivery {
    /// Zero until it is sent.
    pub(super) id: u16,
    pub(super) message: Arc<Message>,
    pub(super) qos: QoS,
    pub(super) retain: bool,
    pub(super) identifiers: Vec<u32>,
    /// PUBREC came: PUBREL goes out instead.
    pub(super) released: bool,
    /// The connection its last packet went out on, and its number there.
    pub(super) sent_on: u64,
    pub(super) number: u64,
    /// It counts against the receive maximum of this connection.
    pub(super) counted_on: u64,
    /// The connection its PUBREC came on.
    pub(super) received_on: u64,
}

/// A copy of a message for one client.
pub(super) struct Share {
    pub(super) qos: QoS,
    pub(super) retain: bool,
    pub(super) identifiers: Vec<u32>,
}

impl Session {
    pub(super) fn new(client: &str, number: u64) -> Self {
        Self {
            client: client.to_owned(),
            number,
            connection: None,
            expiry: Some(Duration::ZERO),
            expires: None,
            will: None,
            subscriptions: BTreeMap::new(),
            inbound: BTreeMap::new(),
            given_up: BTreeSet::new(),
            orders: 0,
            inflight: VecDeque::new(),
            queue: VecDeque::new(),
            lossy: false,
            crashed: false,
            excused: false,
            last_id: 0,
        }
    }

    pub(super) fn next_order(&mut self) -> u64 {
        self.orders += 1;
        self.orders
    }

    /// An identifier none of our messages has [MQTT-2.2.1-4].
    pub(super) fn next_id(&mut self) -> u16 {
        loop {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            if self.inflight.iter().all(|delivery| delivery.id != self.last_id) {
                return self.last_id;
            }
        }
    }

    /// The copies of a message this client gets over its own subscriptions.
    pub(super) fn shares(&self, message: &Message, one_copy: bool) -> Vec<Share> {
        let mut shares: Vec<Share> = Vec::new();
        for (filter, subscription) in &self.subscriptions {
            if filter.share_name().is_some()
                || (subscription.options.no_local && message.publisher == self.client)
                || !matches(filter.filter(), &message.topic)
            {
                continue;
            }
            let share = subscription.share(message);
            match shares.first_mut() {
                Some(first) if one_copy => first.merge(share),
                _ => shares.push(share),
            }
        }
        shares
    }
}

impl Subscription {
    pub(super) fn share(&self, message: &Message) -> Share {
        Share {
            qos: self.options.qos.min(message.qos),
            // [MQTT-3.3.1-12], [MQTT-3.3.1-13]
            retain: self.options.retain_as_published && message.retain,
            identifiers: self.identifier.into_iter().collect(),
        }
    }
}

impl Share {
    fn merge(&mut self, other: Self) {
        self.qos = self.qos.max(other.qos);
        self.retain |= other.retain;
        self.identifiers.extend(other.identifiers);
    }
}

impl Delivery {
    pub(super) fn new(message: &Arc<Message>, share: Share) -> Self {
        Self {
            id: 0,
            message: Arc::clone(message),
            qos: share.qos,
            retain: share.retain,
            identifiers: share.identifiers,
            released: false,
            sent_on: 0,
            number: 0,
            counted_on: 0,
            received_on: 0,
        }
    }
}

/// What makes a PUBLISH sent again the same message. The topic may have become an alias since.
pub(super) fn digest(topic: &str, publish: &Publish<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    (topic, publish.payload, publish.retain, publish.qos as u8).hash(&mut hasher);
    hasher.finish()
}
