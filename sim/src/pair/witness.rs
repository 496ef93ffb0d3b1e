//! Looks over the client's shoulder: at every packet it encodes, at how much of that the socket took, and at every
//! packet it gets. So it knows what no broker can know, such as that a PUBLISH was transmitted and lost, and judges
//! DUP flags, packet identifiers, repetition and order exactly.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use packetboat_core::session::Config;
use packetboat_core::wire::{Ack, AckKind, Connack, Decoded, Packet, Publish, QoS, Version, decode};

use super::store::Kept;

/// Sees a client's packets and complains.
#[derive(Clone, Debug)]
pub(crate) struct Witness {
    version: Version,
    /// Messages on the way at once, as the client is configured: all, and QoS 2 where the broker announces nothing.
    window: usize,
    unannounced_window: usize,
    /// Messages and requests under way, by identifier.
    exchanges: BTreeMap<u16, Exchange>,
    requests: BTreeSet<u16>,
    /// Identifiers the store held when the process died: nobody knows whether they were transmitted.
    restored: BTreeSet<u16>,
    orders: u64,
    complaints: Vec<String>,
    /// QoS 0 messages that sockets took to their last byte, on connections that are gone.
    pub(crate) plain_taken: usize,
    // ---- one connection
    connection: u64,
    resumed: bool,
    /// Bytes encoded so far.
    position: u64,
    partial: Vec<u8>,
    /// End positions of QoS 0 messages.
    plain: Vec<u64>,
    receive_maximum: usize,
    aliases: BTreeMap<u16, String>,
    last_resent: u64,
    last_old_release: u64,
    new_seen: bool,
}

/// An identifier of the client's and what it stands for.
#[derive(Clone, Debug)]
struct Exchange {
    digest: u64,
    qos: QoS,
    order: u64,
    /// The socket took some of it, on this or an earlier connection.
    transmitted: bool,
    /// The process died since: it may have forgotten what it cannot have forgotten otherwise.
    uncertain: bool,
    /// Where it was last encoded.
    connection: u64,
    start: u64,
    /// PUBREC arrived: its place among them, and the connection.
    received: Option<(u64, u64)>,
    /// PUBREL was encoded on this connection.
    released_on: u64,
    /// PUBREL was taken by a socket.
    released: bool,
    release_start: u64,
}

impl Witness {
    pub(crate) fn new(version: Version, config: &Config) -> Self {
        Self {
            version,
            window: usize::from(config.window),
            unannounced_window: usize::from(config.unannounced_window),
            exchanges: BTreeMap::new(),
            requests: BTreeSet::new(),
            restored: BTreeSet::new(),
            orders: 0,
            complaints: Vec::new(),
            plain_taken: 0,
            connection: 0,
            resumed: false,
            position: 0,
            partial: Vec::new(),
            plain: Vec::new(),
            receive_maximum: usize::MAX,
            aliases: BTreeMap::new(),
            last_resent: 0,
            last_old_release: 0,
            new_seen: false,
        }
    }

    pub(crate) fn complaints(&self) -> &[String] {
        &self.complaints
    }

    /// Messages whose exchange has not come to its end.
    pub(crate) fn unfinished(&self) -> usize {
        self.exchanges.len()
    }

    pub(crate) fn opened(&mut self) {
        self.connection += 1;
        self.resumed = false;
        self.position = 0;
        self.partial.clear();
        self.plain.clear();
        self.aliases.clear();
        self.receive_maximum = usize::MAX;
        (self.last_resent, self.last_old_release, self.new_seen) = (0, 0, false);
    }

    /// The client encoded these bytes.
    pub(crate) fn encoded(&mut self, bytes: &[u8]) {
        let mut all = std::mem::take(&mut self.partial);
        all.extend_from_slice(bytes);
        let mut used = 0;
        loop {
            match decode(self.version, &all[used..], usize::MAX) {
                Ok(Decoded::Packet { packet, size }) => {
                    self.packet(&packet, size);
                    self.position += size as u64;
                    used += size;
                }
                Ok(Decoded::Incomplete { .. }) => break,
                Err(error) => {
                    self.complain(format!("encoded nonsense: {error}"));
                    return;
                }
            }
        }
        self.partial = all.split_off(used);
    }

    /// The connection is gone. The socket took `taken` bytes.
    pub(crate) fn closed(&mut self, taken: u64) {
        let connection = self.connection;
        self.exchanges.retain(|_, exchange| {
            if exchange.connection == connection {
                exchange.transmitted |= exchange.start < taken;
            }
            if exchange.released_on == connection {
                exchange.released |= exchange.release_start < taken;
            }
            // What no socket ever saw any of goes back into the queue without its identifier.
            exchange.transmitted || exchange.uncertain
        });
        self.requests.clear();
        self.plain_taken += self.plain.drain(..).filter(|end| *end <= taken).count();
    }

    /// The client will not send this message again.
    pub(crate) fn gave_up(&mut self, id: u16) {
        self.exchanges.remove(&id);
    }

    /// The client gets this packet.
    pub(crate) fn received(&mut self, packet: &Packet<'_>) {
        match packet {
            Packet::Connack(connack) => self.on_connack(connack),
            Packet::Ack(ack) => self.on_ack(ack),
            Packet::Suback(suback) => {
                self.requests.remove(&suback.id);
            }
            _ => {}
        }
    }

    /// The process died; this is what its store holds. QoS 1 goes on without its identifiers.
    pub(crate) fn crashed(&mut self, committed: &[Kept]) {
        let stored = |id: u16| {
            committed.iter().any(|kept| matches!(kept, Kept::Identifier { id: other, .. } if *other == id))
        };
        // The last word on the message that has the identifier: a later identifier says that its PUBREC is void.
        let received = |id: u16| {
            let sequence = committed.iter().rev().find_map(|kept| match kept {
                Kept::Identifier { sequence, id: other } if *other == id => Some(*sequence),
                _ => None,
            });
            let last = committed.iter().rev().find(|kept| match kept {
                Kept::Received { sequence: other } | Kept::Identifier { sequence: other, .. } => {
                    Some(*other) == sequence
                }
                _ => false,
            });
            matches!(last, Some(Kept::Received { .. }))
        };
        let identifiers = committed.iter().filter_map(|kept| match kept {
            Kept::Identifier { id, .. } => Some(*id),
            _ => None,
        });
        self.restored = identifiers.collect();
        self.exchanges.retain(|id, exchange| {
            exchange.uncertain = true;
            if !received(*id) && !exchange.released {
                exchange.received = None;
            }
            exchange.qos == QoS::ExactlyOnce && stored(*id)
        });
    }

    fn complain(&mut self, what: String) {
        self.complaints.push(what);
    }

    fn packet(&mut self, packet: &Packet<'_>, size: usize) {
        match packet {
            Packet::Publish(publish) if publish.qos == QoS::AtMostOnce => {
                self.plain.push(self.position + size as u64);
                self.digest(publish);
            }
            Packet::Publish(publish) => self.publish(publish),
            Packet::Ack(Ack { kind: AckKind::Pubrel, id, .. }) => self.release(*id),
            Packet::Subscribe(subscribe) => self.request(subscribe.id),
            Packet::Unsubscribe(unsubscribe) => self.request(unsubscribe.id),
            _ => {}
        }
    }

    fn request(&mut self, id: u16) {
        if !self.requests.insert(id) || self.exchanges.contains_key(&id) {
            self.complain(format!("identifier {id} in double use by a request"));
        }
    }

    fn digest(&mut self, publish: &Publish<'_>) -> u64 {
        let mut topic = publish.topic.to_owned();
        if let Some(alias) = publish.properties.topic_alias() {
            if topic.is_empty() {
                topic = self.aliases.get(&alias).cloned().unwrap_or_default();
            } else {
                self.aliases.insert(alias, topic.clone());
            }
        }
        let mut hasher = DefaultHasher::new();
        (topic, publish.payload, publish.qos as u8, publish.retain).hash(&mut hasher);
        hasher.finish()
    }

    fn publish(&mut self, publish: &Publish<'_>) {
        let id = publish.id.unwrap_or(0);
        let digest = self.digest(publish);
        if self.requests.contains(&id) {
            self.complain(format!("identifier {id} in double use: PUBLISH and a request"));
        }
        match self.exchanges.get(&id).cloned() {
            Some(exchange) => self.publish_again(id, digest, exchange, publish),
            None => self.publish_first(id, digest, publish),
        }
        self.check_window(publish.qos);
    }

    fn check_window(&mut self, qos: QoS) {
        let under_way: Vec<QoS> = self
            .exchanges
            .values()
            .filter(|exchange| exchange.connection == self.connection)
            .map(|exchange| exchange.qos)
            .collect();
        let most = self.window.min(self.receive_maximum);
        if under_way.len() > most {
            self.complain(format!("{} messages under way, allowed are {most}", under_way.len()));
        }
        let twice = under_way.iter().filter(|qos| **qos == QoS::ExactlyOnce).count();
        if twice > self.unannounced_window && !self.version.has_properties() {
            let most = self.unannounced_window;
            self.complain(format!("{twice} messages of QoS 2 under way, allowed are {most}"));
        }
        if twice >= self.unannounced_window && qos == QoS::AtLeastOnce && !self.version.has_properties() {
            self.complain(format!("QoS 1 sent to a broker that may be full of {twice} messages of QoS 2"));
        }
    }

    fn publish_first(&mut self, id: u16, digest: u64, publish: &Publish<'_>) {
        if publish.dup && !self.restored.contains(&id) {
            self.complain(format!("PUBLISH {id} has DUP, but no socket took any of it before"));
        }
        let left = |exchange: &Exchange| {
            exchange.connection != self.connection && exchange.received.is_none() && !exchange.uncertain
        };
        if let Some((other, _)) = self.exchanges.iter().find(|(_, exchange)| left(exchange)) {
            self.complain(format!(
                "PUBLISH {id} is new and goes before PUBLISH {other}, which is sent again"
            ));
        }
        self.new_seen = true;
        self.orders += 1;
        // What another process may have sent before has a place nobody knows.
        let uncertain = publish.dup && self.restored.remove(&id);
        let exchange = Exchange {
            digest,
            qos: publish.qos,
            order: if uncertain { 0 } else { self.orders },
            transmitted: false,
            uncertain,
            connection: self.connection,
            start: self.position,
            received: None,
            released_on: 0,
            released: false,
            release_start: 0,
        };
        self.exchanges.insert(id, exchange);
    }

    fn publish_again(&mut self, id: u16, digest: u64, mut exchange: Exchange, publish: &Publish<'_>) {
        if exchange.connection == self.connection {
            self.complain(format!("PUBLISH {id} twice on one connection"));
        } else if exchange.digest != digest {
            self.complain(format!("identifier {id} in double use: two messages"));
        } else if exchange.received.is_some() {
            self.complain(format!("PUBLISH {id} again after its PUBREC"));
        } else if !publish.dup && (exchange.transmitted || !exchange.uncertain) {
            self.complain(format!("PUBLISH {id} again without DUP"));
        }
        if (exchange.order > 0 && exchange.order < self.last_resent) || (self.new_seen && !exchange.uncertain)
        {
            self.complain(format!("PUBLISH {id} again, out of its order"));
        }
        self.last_resent = self.last_resent.max(exchange.order);
        exchange.connection = self.connection;
        exchange.start = self.position;
        self.exchanges.insert(id, exchange);
    }

    fn release(&mut self, id: u16) {
        let connection = self.connection;
        let position = self.position;
        let Some(exchange) = self.exchanges.get_mut(&id) else {
            // It ended, and the process died before the store forgot it.
            if !self.restored.contains(&id) {
                self.complain(format!("PUBREL {id} for nothing"));
            }
            return;
        };
        let twice = exchange.released_on == connection;
        exchange.released_on = connection;
        exchange.release_start = position;
        let uncertain = exchange.uncertain;
        let Some((order, received_on)) = exchange.received else {
            if !uncertain {
                self.complain(format!("PUBREL {id} before its PUBREC"));
            }
            return;
        };
        if twice {
            self.complain(format!("PUBREL {id} twice on one connection"));
        }
        // All that was received on this connection goes out in that order; what is older goes before, in its own.
        let earlier = |other: &Exchange| {
            other.released_on != connection && other.received.is_some_and(|(earlier, _)| earlier < order)
        };
        let late = received_on != connection && order < self.last_old_release;
        if received_on != connection {
            self.last_old_release = order;
        }
        if late || (!uncertain && self.exchanges.values().any(earlier)) {
            self.complain(format!("PUBREL {id} out of its order"));
        }
    }

    fn on_connack(&mut self, connack: &Connack<'_>) {
        if connack.reason.is_error() {
            return;
        }
        self.resumed = connack.session_present;
        self.receive_maximum = usize::from(connack.properties.receive_maximum().unwrap_or(u16::MAX));
        if !connack.session_present {
            self.exchanges.clear();
            self.restored.clear();
        }
    }

    fn on_ack(&mut self, ack: &Ack<'_>) {
        let Some(exchange) = self.exchanges.get_mut(&ack.id) else { return };
        let ends = match ack.kind {
            AckKind::Puback => exchange.qos == QoS::AtLeastOnce,
            AckKind::Pubrec if ack.reason.is_error() => exchange.received.is_none(),
            AckKind::Pubrec => {
                self.orders += 1;
                exchange.received.get_or_insert((self.orders, self.connection));
                false
            }
            AckKind::Pubcomp => true,
            AckKind::Pubrel => false,
        };
        if ends {
            self.exchanges.remove(&ack.id);
        }
    }
}
