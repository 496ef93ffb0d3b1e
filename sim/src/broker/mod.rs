//! A strict MQTT broker without sockets and without a clock, for 3.1, 3.1.1 and 5.0.
//!
//! It is no production broker: it holds everything in memory, it matches topics by trying every subscription, and it
//! has no mercy. A forgiving broker lets a client's mistakes pass until they meet a broker that does not; this one
//! writes down every breach of the rules that can be seen from its side ([`Broker::violations`]), and closes the
//! connection with the reason code the specification names.
//!
//! It shares the wire format and the topic rules with the client ([`packetboat_core::wire`],
//! [`packetboat_core::topic`]) and nothing else: its session is an implementation of its own.
//!
//! # The door
//!
//! Connections are numbered by the caller. Inputs are [`handle_open`](Broker::handle_open),
//! [`handle_bytes`](Broker::handle_bytes), [`handle_close`](Broker::handle_close) and
//! [`handle_timeout`](Broker::handle_timeout). Outputs are [`poll_transmit`](Broker::poll_transmit),
//! [`should_close`](Broker::should_close) and [`poll_timeout`](Broker::poll_timeout): after an input any connection may
//! have something to send ([`ready`](Broker::ready) names them). When `should_close` says so, write what
//! `poll_transmit` gave, close the transport and call `handle_close`.
//!
//! ```
//! use packetboat_core::time::Instant;
//! use packetboat_core::wire::{Connect, Packet, Properties, Version, encode};
//! use packetboat_sim::broker::{Broker, Config, ConnectionId};
//!
//! let mut broker = Broker::new(Config::default(), 1);
//! let (connection, now) = (ConnectionId(1), Instant(0));
//! broker.handle_open(connection, now);
//! let connect = Connect {
//!     version: Version::V311,
//!     clean_start: true,
//!     keep_alive: 0,
//!     client_id: "boat",
//!     will: None,
//!     username: None,
//!     password: None,
//!     properties: Properties::EMPTY,
//! };
//! let mut bytes = Vec::new();
//! encode(Version::V311, &Packet::Connect(connect), &mut bytes);
//! broker.handle_bytes(connection, &bytes, now);
//!
//! let mut answer = Vec::new();
//! assert!(broker.poll_transmit(connection, &mut answer));
//! assert_eq!(answer, [0x20, 2, 0, 0]);
//! assert!(broker.violations().is_empty());
//! ```

mod authentication;
mod books;
mod commands;
mod config;
mod connect;
mod connection;
mod echo;
mod faults;
mod inbound;
mod message;
mod outbound;
mod packets;
mod route;
mod rules;
#[cfg(feature = "scram")]
mod scram;
mod session;
mod subscribe;

use std::collections::BTreeMap;
use std::sync::Arc;

use packetboat_core::rng::Rng;
use packetboat_core::time::Instant;
use packetboat_core::wire::{Decoded, Packet, PacketType, Reason, decode};

pub use authentication::{Exchange, Method, Step};
pub use books::{Accepted, OnViolation, Stats, Violation};
pub use config::{Config, Overlap, Refusal};
pub use echo::Echo;
pub use faults::{Direction, Faults};
pub use message::Message;

#[cfg(feature = "scram")]
pub use scram::{Hash, Scram};

use books::Books;
use connection::{Connection, Phase};
use session::Session;

/// A connection, as the caller numbers it. Numbers are not used twice.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ConnectionId(pub u64);

/// The broker. See the [module](self) for how to drive it.
#[derive(Debug)]
pub struct Broker {
    desk: Desk,
    connections: BTreeMap<ConnectionId, Connection>,
    sessions: BTreeMap<String, Session>,
    retained: BTreeMap<String, Arc<Message>>,
    /// Whose turn it is in each shared subscription.
    turns: BTreeMap<String, usize>,
    serial: u64,
    assigned: u64,
}

/// What every connection's work needs beside its connection and its session.
#[derive(Debug)]
struct Desk {
    config: Config,
    books: Books,
    faults: Faults,
    rng: Rng,
}

impl Desk {
    /// How long the next answer takes.
    fn answer_delay(&mut self) -> std::time::Duration {
        let (least, most) = (*self.config.answer_delay.start(), *self.config.answer_delay.end());
        let delay = least + if most > least { self.rng.below(most - least + 1) } else { 0 };
        std::time::Duration::from_millis(delay) + self.faults.delay()
    }

    fn answers_at_once(&self) -> bool {
        *self.config.answer_delay.end() == 0 && self.faults.delay().is_zero()
    }
}

/// One client while it is served.
struct Client<'a> {
    connection: &'a mut Connection,
    session: &'a mut Session,
    desk: &'a mut Desk,
    now: Instant,
}

impl Broker {
    /// A broker nobody has connected to yet. What it leaves to chance follows from `seed`.
    #[must_use]
    pub fn new(config: Config, seed: u64) -> Self {
        let books = Books { on_violation: config.on_violation, ..Books::default() };
        Self {
            desk: Desk { config, books, faults: Faults::default(), rng: Rng::new(seed) },
            connections: BTreeMap::new(),
            sessions: BTreeMap::new(),
            retained: BTreeMap::new(),
            turns: BTreeMap::new(),
            serial: 0,
            assigned: 0,
        }
    }

    /// A client opened a connection.
    pub fn handle_open(&mut self, id: ConnectionId, now: Instant) {
        self.serial += 1;
        self.desk.books.stats.connections += 1;
        let limits = self.desk.config.announced();
        self.connections.insert(id, Connection::new(id, self.serial, limits, now));
    }

    /// Bytes came in: any number, cut anywhere.
    pub fn handle_bytes(&mut self, id: ConnectionId, bytes: &[u8], now: Instant) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let (bytes, breaks) =
            match self.desk.faults.cuts_behind_bytes(Direction::ToBroker, bytes.len(), &connection.client) {
                Some(passing) => (&bytes[..passing], true),
                None => (bytes, false),
            };
        connection.hear(now, &mut self.desk);
        if connection.input.is_empty() {
            let used = self.consume(id, bytes, now);
            self.keep_rest(id, bytes[used..].to_vec());
        } else {
            let mut input = std::mem::take(&mut connection.input);
            input.extend_from_slice(bytes);
            let used = self.consume(id, &input, now);
            input.drain(..used);
            self.keep_rest(id, input);
        }
        if breaks {
            self.cut(id, now);
        }
    }

    /// The connection is gone, whoever closed it.
    pub fn handle_close(&mut self, id: ConnectionId, now: Instant) {
        self.leave(id, now);
        self.connections.remove(&id);
    }

    /// Time passed. Early calls are harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        let ids: Vec<ConnectionId> = self.connections.keys().copied().collect();
        for id in ids {
            self.send_due_answers(id, now);
            self.check_silence(id, now);
        }
        self.publish_due_wills(now);
        self.end_expired_sessions(now);
    }

    /// Append what is to be written to `out`. False: nothing.
    pub fn poll_transmit(&mut self, id: ConnectionId, out: &mut Vec<u8>) -> bool {
        let Some(connection) = self.connections.get_mut(&id) else { return false };
        connection.take_output(out, &mut self.desk) > 0
    }

    /// The connection is to be closed, once what [`poll_transmit`](Self::poll_transmit) gave is written.
    #[must_use]
    pub fn should_close(&self, id: ConnectionId) -> bool {
        self.connections.get(&id).is_none_or(Connection::should_close)
    }

    /// The connection is to break rather than to end: nobody says goodbye.
    #[must_use]
    pub fn is_broken(&self, id: ConnectionId) -> bool {
        self.connections.get(&id).is_none_or(|connection| connection.broken)
    }

    /// The connections that have something to write or are to be closed.
    pub fn ready(&self) -> impl Iterator<Item = ConnectionId> + '_ {
        let ready = |connection: &&Connection| connection.unread() > 0 || connection.should_close();
        self.connections.values().filter(ready).map(|connection| connection.id)
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), if nothing else happens.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let connect_timeout = self.desk.config.connect_timeout;
        let connections =
            self.connections.values().filter_map(|connection| connection.deadline(connect_timeout));
        let sessions = self.sessions.values().filter(|session| session.connection.is_none());
        let ends = sessions.flat_map(|session| [session.expires, session.will.as_ref().map(|(due, _)| *due)]);
        connections.chain(ends.flatten()).min()
    }

    // ---- Inside

    /// Take as many whole packets as there are; say how many bytes they were.
    fn consume(&mut self, id: ConnectionId, bytes: &[u8], now: Instant) -> usize {
        let mut used = 0;
        while let Some(connection) = self.connections.get_mut(&id) {
            let rest = &bytes[used..];
            if connection.phase == Phase::Closing {
                return bytes.len();
            }
            if connection.phase == Phase::Left && !rest.is_empty() {
                connection.breach(&rules::AFTER_DISCONNECT, format!("{} bytes", rest.len()), &mut self.desk);
                connection.end();
                return bytes.len();
            }
            let maximum = usize::try_from(connection.limits.maximum_packet_size).unwrap_or(usize::MAX);
            match decode(connection.version, rest, maximum) {
                Ok(Decoded::Packet { packet, size }) => {
                    let first = connection.phase == Phase::Fresh;
                    used += size;
                    self.handle_packet(id, &packet, size, now);
                    if first && used < bytes.len() {
                        self.blame_haste(id, now);
                    }
                }
                Ok(Decoded::Incomplete { .. }) => return used,
                Err(error) => {
                    self.handle_nonsense(id, rest[0], error, now);
                    return bytes.len();
                }
            }
        }
        used
    }

    /// Moved, not copied: a large packet comes in thousands of parts.
    fn keep_rest(&mut self, id: ConnectionId, rest: Vec<u8>) {
        if let Some(connection) = self.connections.get_mut(&id)
            && connection.phase != Phase::Closing
        {
            connection.input = rest;
        }
    }

    fn client(&mut self, id: ConnectionId, now: Instant) -> Option<Client<'_>> {
        let connection = self.connections.get_mut(&id)?;
        let session = self.sessions.get_mut(&connection.client)?;
        if session.connection != Some(id) {
            return None;
        }
        Some(Client { connection, session, desk: &mut self.desk, now })
    }

    /// Nothing was heard for too long: for a CONNECT, or for one and a half keep-alive intervals [MQTT-3.1.2-22].
    fn check_silence(&mut self, id: ConnectionId, now: Instant) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let timeout = self.desk.config.connect_timeout;
        let silent = |connection: &Connection| {
            connection.deadline(timeout).is_some_and(|deadline| deadline <= now)
                && connection.answers.is_empty()
        };
        if !silent(connection) {
            return;
        }
        if connection.phase == Phase::Online {
            self.desk.books.stats.silent += 1;
            if self.desk.config.blame_silence {
                let silence = format!("silent for {:?}", now.since(connection.heard));
                connection.breach(&rules::KEEP_ALIVE, silence, &mut self.desk);
            }
            connection.dismiss(Reason::KEEP_ALIVE_TIMEOUT, "nothing was heard", &mut self.desk);
        } else {
            connection.end();
        }
        self.leave(id, now);
    }

    /// A packet of a connection that is to vanish.
    fn is_dropped(&mut self, id: ConnectionId, packet: &Packet<'_>) -> bool {
        let Some(connection) = self.connections.get_mut(&id) else { return true };
        let client = match packet {
            Packet::Connect(connect) => connect.client_id,
            _ => &connection.client,
        };
        let kind: PacketType = packet.packet_type();
        let dropped = self.desk.faults.drops(Direction::ToBroker, kind, client);
        connection.watch.lossy |= dropped;
        dropped
    }
}
