//! One client session: a state machine without sockets and without a clock.
//!
//! The methods of [`Session`] come in four kinds.
//!
//! * **Getters** look: [`phase`](Session::phase), [`limits`](Session::limits), [`version`](Session::version),
//!   [`can_have_properties`](Session::can_have_properties),
//!   [`config`](Session::config), [`queue`](Session::queue), [`queued`](Session::queued), [`stage`](Session::stage), [`outcome`](Session::outcome),
//!   [`settled`](Session::settled), [`unwritten`](Session::unwritten).
//! * **Inputs** say what happened: [`handle_open`](Session::handle_open), [`handle_publish`](Session::handle_publish),
//!   [`handle_packet`](Session::handle_packet), [`handle_acks`](Session::handle_acks), [`handle_breach`](Session::handle_breach),
//!   [`handle_read`](Session::handle_read), [`handle_written`](Session::handle_written),
//!   [`handle_timeout`](Session::handle_timeout), [`handle_close`](Session::handle_close),
//!   [`handle_stored`](Session::handle_stored), [`handle_store_failed`](Session::handle_store_failed),
//!   [`handle_loaded`](Session::handle_loaded).
//! * **Commands** say what is wanted: [`publish`](Session::publish), [`cancel`](Session::cancel),
//!   [`forget`](Session::forget), [`subscribe`](Session::subscribe), [`unsubscribe`](Session::unsubscribe),
//!   [`release`](Session::release), [`release_all`](Session::release_all), [`authenticate`](Session::authenticate), [`ping`](Session::ping), [`hold`](Session::hold), [`rest`](Session::rest), [`leave`](Session::leave),
//!   [`disconnect`](Session::disconnect).
//! * **Outputs** are drained: [`poll_store`](Session::poll_store) first, whose records must be on disk before
//!   [`handle_stored`](Session::handle_stored) says so and lets the bytes they cover out;
//!   [`poll_transmit`](Session::poll_transmit); [`poll_event`](Session::poll_event);
//!   [`poll_outcome`](Session::poll_outcome);
//!   [`poll_timeout`](Session::poll_timeout) last.
//!
//! Inputs and commands may come in any order and number between two drains: the order of the calls is the order of
//! the bytes. Reading is apart ([`Receiver`]), so that a driver can decode and route outside the lock that guards
//! its session.
//!
//! A connection lives from `handle_open` to `handle_close`. When the session wants it closed,
//! [`is_closing`](Session::is_closing) says so: write what `poll_transmit` gives, close the transport, call
//! `handle_close`.

mod alias;
mod authentication;
mod event;
mod handle;
mod handshake;
mod hold;
mod ids;
mod inbound;
mod keepalive;
mod limits;
mod link;
mod messages;
mod options;
mod outbound;
mod outcomes;
mod outgoing;
mod output;
mod packets;
mod poison;
mod queue;
mod receiver;
mod record;
mod records;
mod refusal;
mod requests;
mod store;
mod subscriptions;
mod wanted;
mod window;
mod withheld;

#[cfg(test)]
mod tests;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};

use crate::time::Instant;
use crate::wire::{PropertiesBuf, Reason, Version};

pub use event::{
    Accepted, AckRun, AckToken, Arrival, Breach, Cause, Event, Outcome, Release, Stage, Tag, Ticket, Verdict,
};
pub use handle::Handle;
pub use limits::Limits;
pub use options::{Config, ConnectOptions, Overflow, SessionMode, Will};
pub use outgoing::{Outgoing, Payload};
pub use output::Output;
pub use queue::Queued;
pub use receiver::{Received, Receiver};
pub use refusal::{PublishError, SubscribeError};
pub use store::{StoreOperation, StoreSequence};

use inbound::Inbound;
use link::Link;
use messages::Messages;
use store::Journal;
use subscriptions::Subscriptions;
use withheld::Withheld;

/// Where the session stands with its connection.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Phase {
    /// No connection.
    #[default]
    Offline,
    /// CONNECT is out, CONNACK awaited.
    Connecting,
    /// CONNACK said yes.
    Online,
    /// About to be closed: see [`Session::is_closing`].
    Closing,
}

/// How full the queue is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Queue {
    /// Messages accepted and not yet encoded.
    pub messages: usize,
    /// QoS 1 and 2 messages with a packet identifier, not yet finished.
    pub in_flight: usize,
    /// Bytes of topics, properties and payloads of both.
    pub bytes: usize,
}

/// Reasons and properties by slot.
type Words = BTreeMap<u32, (Reason, Box<PropertiesBuf>)>;

/// A client session. `P` is the handle of large payloads, cheap to clone.
///
/// What lives as long as the session is apart from what lives as long as one connection (`Link`).
#[derive(Debug)]
pub struct Session<P> {
    config: Config,
    outbound: Messages<P>,
    inbound: Inbound,
    withheld: Withheld,
    subscriptions: Subscriptions,
    journal: Journal,
    events: VecDeque<Event>,
    /// The broker may hold state for us: it accepted a connection that was not to end with its state.
    established: bool,
    /// The next connection goes to another broker.
    elsewhere: bool,
    ended: bool,
    /// What DISCONNECT is to say at the end.
    farewell: Option<Box<PropertiesBuf>>,
    /// What PUBREC said of messages whose PUBCOMP is awaited, by slot; only where it said more than that all is well.
    words: Option<Box<Words>>,
    link: Link<P>,
}

impl<P: Handle> Session<P> {
    /// A session that has never been online.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let version = config.fixed_version.unwrap_or(Version::V5);
        Self {
            outbound: Messages::default(),
            inbound: Inbound::default(),
            withheld: Withheld::default(),
            subscriptions: Subscriptions::default(),
            journal: Journal::new(config.durable),
            events: VecDeque::new(),
            established: false,
            elsewhere: false,
            ended: false,
            farewell: None,
            words: None,
            link: Link::new(version),
            config,
        }
    }

    // ---- Getters

    /// Where the session stands with its connection.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.link.phase
    }

    /// The connection is to be closed once the output is written.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.link.phase == Phase::Closing
    }

    /// What the broker allows on this connection; what it last allowed while offline.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.link.limits
    }

    /// The version spoken, or last spoken, or to be spoken first.
    #[must_use]
    pub fn version(&self) -> Version {
        self.link.version
    }

    /// The bounds and policies in force.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What is accepted and not yet finished.
    #[must_use]
    pub fn queue(&self) -> Queue {
        self.outbound.queue()
    }

    /// Nothing of ours awaits the broker: no message, no subscription, no byte.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        let queue = self.queue();
        queue.messages == 0 && queue.in_flight == 0 && self.subscriptions.is_idle() && self.unwritten() == 0
    }

    /// Where an accepted message is; `None` once it is finished.
    #[must_use]
    pub fn stage(&self, ticket: Ticket) -> Option<Stage> {
        self.outbound.stage(ticket)
    }

    /// Encoded bytes the socket has not taken.
    #[must_use]
    pub fn unwritten(&self) -> u64 {
        self.link.position - self.link.written
    }

    /// Bytes of answers to the broker that [`poll_transmit`](Self::poll_transmit) has not handed out yet. A driver whose
    /// socket is blocked stops reading when there are too many.
    #[must_use]
    pub fn unwritten_replies(&self) -> usize {
        self.link.output.replies
    }

    /// Bytes encoded on this connection so far: a position to wait for in [`written`](Self::written).
    #[must_use]
    pub fn position(&self) -> u64 {
        self.link.position
    }

    /// Bytes the socket took on this connection so far.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.link.written
    }

    /// Is there room for another message, or must a caller wait?
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.outbound.has_room(&self.config, 0)
    }

    /// Arrivals not yet acknowledged.
    #[must_use]
    pub fn unacknowledged(&self) -> usize {
        self.inbound.unacknowledged()
    }

    // ---- Inputs (those about packets are in packets.rs, those about the store in store.rs)

    /// Bytes came in, whatever they are.
    pub fn handle_read(&mut self, now: Instant) {
        self.link.keep_alive.heard(now);
    }

    /// The socket took so many bytes of what `poll_transmit` gave.
    pub fn handle_written(&mut self, bytes: usize, now: Instant) {
        if bytes > 0 {
            self.link.written += bytes as u64;
            self.link.keep_alive.spoke(now, self.link.position - self.link.written);
            // Those who wait go on while the rest is written, not when all of it is: a reader that is always busy would
            // get two turns for each of theirs.
            if self.unwritten() <= self.link.high_water / 2 {
                self.pump(now);
            }
        }
    }

    /// The deadline given by [`poll_timeout`](Self::poll_timeout) passed. Early calls are harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.expire(now);
        self.watch_withheld(now);
        if self.link.phase != Phase::Online {
            return;
        }
        let (limit, written) = (self.config.acknowledgement_timeout, self.link.keep_alive.progress());
        let unanswered = self.link.exchange().is_some_and(|since| since.max(written) + limit <= now);
        if unanswered
            || self.outbound.is_overdue(now, limit, written)
            || self.subscriptions.is_overdue(now, limit, written)
        {
            return self.close(Cause::NotAcknowledged);
        }
        match self.link.keep_alive.due(now) {
            keepalive::Due::Nothing => {}
            keepalive::Due::Ping => {
                self.link.probe();
            }
            keepalive::Due::Dead => self.close(Cause::Silent),
        }
    }

    /// The transport is gone. `unsent` is what it did not take of the last output, from byte `taken` on.
    pub fn handle_close(&mut self, unsent: &Output<P>, taken: usize) {
        if self.link.phase == Phase::Offline {
            return;
        }
        let cause = self.link.cause.take().map_or(Cause::Lost, |cause| *cause);
        let lost_qos0 = unsent.unwritten_qos0(taken) + self.link.output.unwritten_qos0(0);
        self.outbound.link_lost(self.link.written, cause.may_be_poison());
        self.give_up_poison();
        self.inbound.link_lost();
        self.keep_lasting_words();
        self.withheld = Withheld::default();
        self.subscriptions.link_lost();
        self.journal.link_lost();
        self.link.end();
        self.events.push_back(Event::Disconnected { cause, lost_qos0 });
    }

    // ---- Commands (publishing is in outbound.rs, subscribing in subscriptions.rs, releasing in inbound.rs)

    /// Send no further messages on this connection: what is accepted waits for the next one, and what is on the way may
    /// come to its end before [`leave`](Self::leave).
    pub fn hold(&mut self) {
        self.link.high_water = 0;
        self.link.on_hold = true;
    }

    /// Give back memory that an idle session can do without, when it may stay idle for long.
    pub fn rest(&mut self) {
        if self.is_idle() && self.events.is_empty() {
            self.events = VecDeque::new();
            self.link.output = Output::default();
            self.subscriptions.rest();
            self.outbound.rest();
        }
    }

    /// Take these bounds and policies from now on; what was accepted under others stays.
    pub fn configure(&mut self, config: Config) {
        let durable = self.config.durable;
        self.config = config;
        self.config.durable = durable;
    }

    /// Probe the link now. Gives the probe's number on this connection, by which [`Event::ProbeAnswered`] names it; `None`
    /// without a connection.
    pub fn ping(&mut self, now: Instant) -> Option<u64> {
        if self.link.phase != Phase::Online {
            return None;
        }
        self.link.keep_alive.pinged(now);
        Some(self.link.probe())
    }

    // ---- Outputs

    /// Encode what may be encoded, then swap the output with `out`, which must be empty. False: nothing to write.
    pub fn poll_transmit(&mut self, out: &mut Output<P>, now: Instant) -> bool {
        debug_assert!(out.is_empty(), "the last output must have been written");
        self.pump(now);
        self.watch_withheld(now);
        if self.link.output.is_empty() {
            return false;
        }
        core::mem::swap(&mut self.link.output, out);
        true
    }

    /// The next thing the application should know.
    #[inline]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), if nothing else happens.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.link.phase != Phase::Online {
            return self.outbound.next_expiry;
        }
        let (limit, written) = (self.config.acknowledgement_timeout, self.link.keep_alive.progress());
        let deadlines = [
            self.link.keep_alive.deadline(),
            self.outbound.deadline(limit, written),
            self.subscriptions.deadline(limit, written),
            self.link.exchange().map(|since| since.max(written) + limit),
            self.outbound.next_expiry,
            self.withheld_deadline(),
        ];
        deadlines.into_iter().flatten().min()
    }

    // ---- Inside

    /// End this connection, for this reason, unless it is ending already.
    fn close(&mut self, cause: Cause) {
        if matches!(self.link.phase, Phase::Connecting | Phase::Online) {
            self.link.phase = Phase::Closing;
            self.link.cause = Some(Box::new(cause));
        }
    }
}
