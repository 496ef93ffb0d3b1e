//! What the broker writes down: breaches, counts, and every message it took.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use packetboat_core::time::Instant;
use packetboat_core::wire::{PacketType, QoS, Reason, Version};

use super::rules::Rule;
use super::{ConnectionId, Message};

/// A rule of the protocol that a client broke.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Violation {
    /// On which connection.
    pub connection: ConnectionId,
    /// Which client; empty before CONNECT.
    pub client: String,
    /// The statement of the client's version of the specification, such as `MQTT-3.3.1-1`; `section 4.3.3` where
    /// the rule is prose; `house` where it is this project's own.
    pub statement: &'static str,
    /// What the rule demands.
    pub rule: &'static str,
    /// What the client did.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { connection, client, statement, rule, detail } = self;
        write!(f, "[{statement}] {rule}: {detail} (client {client:?}, connection {})", connection.0)
    }
}

/// A message of a client that the broker took ownership of: QoS 2 at the first PUBLISH of an identifier, QoS 1 and
/// QoS 0 at every PUBLISH.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Accepted {
    /// Topic, payload, QoS, retain flag and properties.
    pub message: Arc<Message>,
    /// The DUP flag of the packet.
    pub dup: bool,
    /// The packet identifier.
    pub id: Option<u16>,
    /// On which connection.
    pub connection: ConnectionId,
}

/// Counts since the broker started.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// Connections opened.
    pub connections: u64,
    /// CONNECTs accepted.
    pub accepted: u64,
    /// CONNECTs refused.
    pub refused: u64,
    /// Accepted CONNECTs that found their session.
    pub resumed: u64,
    /// Connections ended because the same client connected again.
    pub taken_over: u64,
    /// Connections ended because nothing was heard for one and a half keep-alive intervals.
    pub silent: u64,
    /// Packets received, by type.
    packets_in: [u64; 16],
    /// Packets sent, by type.
    packets_out: [u64; 16],
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes handed to the transport.
    pub bytes_out: u64,
    /// Messages taken, by QoS.
    pub messages_in: [u64; 3],
    /// Messages sent for the first time, by QoS.
    pub messages_out: [u64; 3],
    /// PUBLISH packets sent again.
    pub resent: u64,
    /// Messages dropped: QoS 0 to a client that does not read, or a full queue.
    pub dropped: u64,
    /// Messages not sent because the client takes no packets of their size.
    pub too_large: u64,
    /// Messages that expired in the broker.
    pub expired: u64,
    /// Wills published.
    pub wills: u64,
}

impl Stats {
    /// Packets of this type received.
    #[must_use]
    pub fn received(&self, packet: PacketType) -> u64 {
        self.packets_in[packet as usize]
    }

    /// Packets of this type sent.
    #[must_use]
    pub fn sent(&self, packet: PacketType) -> u64 {
        self.packets_out[packet as usize]
    }

    pub(super) fn count_in(&mut self, packet: PacketType, bytes: usize) {
        self.packets_in[packet as usize] += 1;
        self.bytes_in += bytes as u64;
    }

    pub(super) fn count_out(&mut self, packet: PacketType) {
        self.packets_out[packet as usize] += 1;
    }
}

/// What becomes of a client that breaks a rule. The breach is recorded in any case.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum OnViolation {
    /// Tell it why, where the version allows, and close the connection.
    #[default]
    Disconnect,
    /// Go on as well as possible.
    Record,
    /// Panic with the violation: for tests whose client must not do it.
    Panic,
}

#[derive(Debug, Default)]
pub(super) struct Books {
    pub(super) stats: Stats,
    pub(super) violations: Vec<Violation>,
    pub(super) accepted: BTreeMap<String, Vec<Accepted>>,
    /// The reason of each client's last DISCONNECT.
    pub(super) farewells: BTreeMap<String, Reason>,
    /// The session each accepted connection found or began; only with a log.
    pub(super) greetings: BTreeMap<ConnectionId, u64>,
    pub(super) on_violation: OnViolation,
}

/// Who is being dealt with.
#[derive(Clone, Copy)]
pub(super) struct Party<'a> {
    pub(super) connection: ConnectionId,
    pub(super) version: Version,
    pub(super) client: &'a str,
}

impl Books {
    /// Write a breach down. True: the connection has to end.
    pub(super) fn breach(&mut self, party: Party<'_>, rule: &Rule, detail: String) -> bool {
        let violation = Violation {
            connection: party.connection,
            client: party.client.to_owned(),
            statement: rule.statement(party.version),
            rule: rule.text,
            detail,
        };
        assert!(self.on_violation != OnViolation::Panic, "the client broke a rule: {violation}");
        self.violations.push(violation);
        self.on_violation == OnViolation::Disconnect
    }

    pub(super) fn took(&mut self, client: &str, entry: Accepted, log: bool) {
        self.stats.messages_in[entry.message.qos as usize] += 1;
        if log {
            match self.accepted.get_mut(client) {
                Some(list) => list.push(entry),
                None => {
                    self.accepted.insert(client.to_owned(), vec![entry]);
                }
            }
        }
    }

    pub(super) fn gave(&mut self, qos: QoS) {
        self.stats.messages_out[qos as usize] += 1;
    }
}

/// A moment after which something is void.
pub(super) fn is_past(deadline: Option<Instant>, now: Instant) -> bool {
    deadline.is_some_and(|deadline| deadline <= now)
}
