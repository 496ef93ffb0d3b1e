//! A client session and the strict broker on a virtual clock, with a link between them.
//!
//! ```
//! use packetboat_core::session::Event;
//! use packetboat_core::wire::{QoS, Version};
//! use packetboat_sim::pair::Pair;
//!
//! let mut pair = Pair::new(Version::V5);
//! pair.connect();
//! pair.publish("harbour/depth", "4.2", QoS::ExactlyOnce, 7);
//! pair.drive();
//! assert_eq!(pair.taken(), ["4.2"]);
//! assert!(pair.client.events.iter().any(|event| matches!(event, Event::Published { .. })));
//! pair.check();
//! ```
//!
//! Nothing here waits: [`Pair::drive`] does what can be done without time passing, [`Pair::pass`] lets time pass.

mod endpoint;
pub(crate) mod store;
mod witness;

use std::time::Duration;

use packetboat_core::session::{
    Accepted, Config, ConnectOptions, Event, Outgoing, PublishError, SessionMode, Tag, Ticket,
};
use packetboat_core::time::Instant;
use packetboat_core::topic::TopicName;
use packetboat_core::wire::{Properties, QoS, Version};

pub use endpoint::{Endpoint, Incoming, Payload};

use crate::broker::{self, Broker, ConnectionId, Direction};
use crate::link::{Arrival, Conditions, Link, Loss};

/// The name of the client.
pub const CLIENT: &str = "client";

/// Turns without time passing after which something must be going in circles.
const TURNS: usize = 100_000;

/// A client, a broker and what is between them.
///
/// ```
/// use packetboat_core::wire::{QoS, Version};
/// use packetboat_sim::pair::Pair;
///
/// let mut pair = Pair::new(Version::V5);
/// pair.connect();
/// pair.publish("a/topic", "hello", QoS::AtLeastOnce, 1);
/// pair.cut();
/// pair.connect();
/// pair.drive();
/// assert!(pair.complaints().is_empty());
/// ```
#[derive(Debug)]
pub struct Pair {
    /// The time it is.
    pub now: Instant,
    /// The broker. Breaking a rule is recorded and does not end the connection.
    pub broker: Broker,
    /// The client.
    pub client: Endpoint,
    /// How the next link behaves.
    pub conditions: Conditions,
    wire: Option<Wire>,
    /// Links the client has given up; the broker may not have noticed.
    remains: Vec<Wire>,
    connections: u64,
    seed: u64,
}

#[derive(Debug)]
struct Wire {
    id: ConnectionId,
    link: Link,
    /// Written by the broker, not yet taken by its socket.
    pending: Vec<u8>,
    written: usize,
    opened: bool,
    /// The broker has closed.
    done: bool,
}

impl Pair {
    /// With the defaults of both, but a persistent session.
    #[must_use]
    pub fn new(version: Version) -> Self {
        Self::with(version, Config::default(), broker::Config::default())
    }

    /// With these settings. The broker keeps a log and records violations without ending connections.
    #[must_use]
    pub fn with(version: Version, config: Config, broker: broker::Config) -> Self {
        Self::with_seed(version, config, broker, 0)
    }

    /// With these settings, and chance from this seed.
    #[must_use]
    pub fn with_seed(version: Version, config: Config, broker: broker::Config, seed: u64) -> Self {
        let session = SessionMode::Persistent { expiry: Duration::from_hours(1) };
        let options =
            ConnectOptions { version, client_id: CLIENT.to_owned(), session, ..ConnectOptions::default() };
        Self::with_options(options, config, broker, seed)
    }

    /// With these settings, all that CONNECT says among them, and chance from this seed.
    #[must_use]
    pub fn with_options(options: ConnectOptions, config: Config, broker: broker::Config, seed: u64) -> Self {
        let settings = broker::Config { keep_log: true, on_violation: broker::OnViolation::Record, ..broker };
        Self {
            now: Instant(1_000),
            broker: Broker::new(settings, seed),
            client: Endpoint::new(config, options),
            conditions: Conditions::default(),
            wire: None,
            remains: Vec::new(),
            connections: 0,
            seed,
        }
    }

    /// Open a connection, and drive.
    ///
    /// # Panics
    ///
    /// If there is one.
    pub fn connect(&mut self) {
        self.dial();
        self.drive();
    }

    /// Open a connection; nothing is written yet.
    ///
    /// # Panics
    ///
    /// If there is one.
    pub fn dial(&mut self) {
        assert!(self.wire.is_none(), "connected already");
        self.connections += 1;
        let id = ConnectionId(self.connections);
        let link = Link::new(self.conditions.clone(), self.seed ^ self.connections);
        self.wire = Some(Wire { id, link, pending: Vec::new(), written: 0, opened: false, done: false });
        self.client.open();
    }

    /// There is a link as far as the client knows.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.wire.is_some()
    }

    /// The link, to stall it or to cut it.
    pub fn link(&mut self) -> Option<&mut Link> {
        self.wire.as_mut().map(|wire| &mut wire.link)
    }

    /// Cut the link, lose what is under way, and let both ends notice.
    pub fn cut(&mut self) {
        self.cut_with(Loss { to_broker: true, to_client: true });
    }

    /// Cut the link and let both ends notice.
    pub fn cut_with(&mut self, loss: Loss) {
        if let Some(link) = self.link() {
            link.cut(loss);
        }
        self.drive();
    }

    /// Let the broker notice that older connections are gone: nothing of theirs arrives any more.
    pub fn bury_old_connections(&mut self) {
        for wire in &mut self.remains {
            wire.link.cut(Loss { to_broker: true, to_client: true });
        }
        self.drive();
    }

    /// Accept a message; complain if it is refused.
    ///
    /// # Panics
    ///
    /// If it is refused, or the topic is no topic.
    #[allow(clippy::expect_used, reason = "for tests, which want to fail there")]
    pub fn publish(&mut self, topic: &str, payload: &str, qos: QoS, tag: u64) -> Option<Ticket> {
        self.try_publish(topic, payload, qos, tag).expect("the session refused a message")
    }

    /// Offer a message to the session. The ticket of a record, if it became one.
    ///
    /// # Panics
    ///
    /// If the topic is no topic.
    #[allow(clippy::expect_used, reason = "for tests, which want to fail there")]
    pub fn try_publish(
        &mut self,
        topic: &str,
        payload: &str,
        qos: QoS,
        tag: u64,
    ) -> Result<Option<Ticket>, PublishError> {
        let message = Outgoing {
            topic: TopicName::new(topic).expect("a topic name"),
            payload: packetboat_core::session::Payload::Borrowed(payload.as_bytes()),
            qos,
            retain: false,
            properties: Properties::EMPTY,
            drop_properties: false,
            tag: Tag(tag),
        };
        let accepted = self.client.session.publish(&message, self.now)?;
        Ok(match accepted {
            Accepted::Encoded => None,
            Accepted::Recorded(ticket) => Some(ticket),
        })
    }

    /// Payloads of the messages the broker took from the client, in order.
    #[must_use]
    pub fn taken(&self) -> Vec<String> {
        let text = |entry: &broker::Accepted| String::from_utf8_lossy(&entry.message.payload).into_owned();
        self.broker.accepted(CLIENT).iter().map(text).collect()
    }

    /// The events so far, taken out.
    pub fn events(&mut self) -> Vec<Event> {
        self.client.collect();
        std::mem::take(&mut self.client.events)
    }

    /// What arrived so far, taken out.
    pub fn incoming(&mut self) -> Vec<Incoming> {
        std::mem::take(&mut self.client.incoming)
    }

    /// The client process dies and starts again with what its store holds. Nobody tells the broker; what was under way
    /// to it still arrives.
    pub fn crash(&mut self) {
        self.crash_with(Loss { to_broker: false, to_client: true });
    }

    /// The same, with the bytes under way lost or not.
    pub fn crash_with(&mut self, loss: Loss) {
        self.broker.excuse_crash(CLIENT);
        if let Some(mut wire) = self.wire.take() {
            wire.link.cut(loss);
            self.remains.push(wire);
        }
        self.client.crash(self.now);
    }

    /// From now on the store makes nothing safe by itself: [`commit_store`](Self::commit_store) does.
    pub fn hold_store(&mut self) {
        self.client.commit_eagerly = false;
    }

    /// Make the oldest `count` operations of the store safe. False: there are none.
    pub fn commit_store(&mut self, count: usize) -> bool {
        self.client.keep();
        self.client.commit(count)
    }

    /// Do everything that can be done without time passing.
    ///
    /// # Panics
    ///
    /// If it never ends.
    pub fn drive(&mut self) {
        let mut turns = 0;
        while self.turn() {
            turns += 1;
            assert!(turns < TURNS, "client and broker go in circles");
        }
    }

    /// Let time pass, and do all that is to be done meanwhile at its time.
    ///
    /// # Panics
    ///
    /// If a deadline does not go away by being met: a real driver would spin.
    pub fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        self.drive();
        let mut last = None;
        let mut repeated = 0;
        while let Some(next) = self.deadline().filter(|next| *next <= end) {
            repeated = if last == Some(next) { repeated + 1 } else { 0 };
            assert!(repeated < 10, "the deadline {next:?} stays, at {:?}", self.now);
            last = Some(next);
            self.now = self.now.max(next);
            self.client.session.handle_timeout(self.now);
            self.broker.handle_timeout(self.now);
            self.drive();
        }
        self.now = end;
        self.drive();
    }

    /// The next time at which something happens by itself.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let links = self.wire.iter().chain(&self.remains).filter_map(|wire| wire.link.poll_timeout());
        let ends = [self.client.session.poll_timeout(), self.broker.poll_timeout()];
        links.chain(ends.into_iter().flatten()).min()
    }

    /// Demand that no rule was broken, as far as broker and witness can see.
    ///
    /// # Panics
    ///
    /// If one was.
    pub fn check(&self) {
        let complaints = self.complaints();
        assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    }

    /// Rules the client broke, as far as broker and witness can see.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        let violations = self.broker.violations().iter().map(ToString::to_string);
        violations.chain(self.client.witness.complaints().iter().cloned()).collect()
    }

    /// One turn of everybody. False: nobody had anything to do.
    pub(crate) fn turn(&mut self) -> bool {
        let mut moved = false;
        for wire in self.wire.iter_mut().chain(&mut self.remains) {
            moved |= wire.serve(&mut self.broker, self.now);
        }
        self.remains.retain(|wire| !wire.done);
        let Some(wire) = &mut self.wire else { return self.client.keep() || moved };
        moved |= self.client.turn(&mut wire.link, self.now);
        if wire.link.is_ended(Direction::ToClient) || self.client.may_close() {
            wire.link.handle_close(Direction::ToBroker);
            wire.link.handle_drop(Direction::ToClient);
            self.client.close();
            for id in self.client.given_up.drain(..) {
                self.broker.gave_up(CLIENT, id);
            }
            self.remains.extend(self.wire.take());
            return true;
        }
        moved
    }
}

impl Wire {
    /// The broker's turn. True: something was done.
    fn serve(&mut self, broker: &mut Broker, now: Instant) -> bool {
        if self.done {
            return false;
        }
        if !self.opened {
            self.opened = true;
            broker.handle_open(self.id, now);
        }
        let mut bytes = Vec::new();
        let mut moved = false;
        let arrival = self.link.poll_receive(Direction::ToBroker, now, &mut bytes);
        if arrival == Arrival::Bytes {
            broker.handle_bytes(self.id, &bytes, now);
            moved = true;
        }
        moved |= self.write(broker, now);
        let written = self.written == self.pending.len();
        if arrival == Arrival::End || (broker.should_close(self.id) && (written || broker.is_broken(self.id)))
        {
            broker.handle_close(self.id, now);
            self.link.handle_close(Direction::ToClient);
            self.link.handle_drop(Direction::ToBroker);
            self.done = true;
            return true;
        }
        moved
    }

    fn write(&mut self, broker: &mut Broker, now: Instant) -> bool {
        if self.written == self.pending.len() {
            self.pending.clear();
            self.written = 0;
            broker.poll_transmit(self.id, &mut self.pending);
        }
        let rest = &self.pending[self.written..];
        if rest.is_empty() {
            return false;
        }
        let taken = self.link.handle_send(Direction::ToClient, rest, now);
        // A broken link takes everything and loses it.
        self.written += taken.unwrap_or(rest.len());
        taken != Some(0)
    }
}
