//! Messages that end the connection whenever they are sent.
//!
//! A connection that ends with messages unanswered may have ended because of one of them, or for any other reason. What
//! was unanswered at two such ends is sent alone from then on: one message at a time, nothing beside it, until all
//! suspects are answered. So the counts of the others are their own, and after [`Config::poison_limit`] of them a
//! message is given up.
//!
//! [`Config::poison_limit`]: super::Config::poison_limit

use alloc::boxed::Box;

use super::event::{Event, Outcome};
use super::handle::Handle;
use super::link::OUTPUT_HIGH_WATER;
use super::record::{Record, State};
use super::{Cause, Session};
use crate::time::Instant;
use crate::wire::{QoS, Reason};

/// After so many ends a message is sent alone.
const ALONE: u8 = 2;

impl Cause {
    /// May a message have brought this end about? Silence may not, nor what the broker says of itself or of us.
    pub(super) fn may_be_poison(&self) -> bool {
        match self {
            Self::Lost | Self::Breach(_) => true,
            Self::ByBroker { reason, .. } => !matches!(
                *reason,
                Reason::SERVER_BUSY
                    | Reason::SERVER_SHUTTING_DOWN
                    | Reason::KEEP_ALIVE_TIMEOUT
                    | Reason::SESSION_TAKEN_OVER
                    | Reason::ADMINISTRATIVE_ACTION
                    | Reason::USE_ANOTHER_SERVER
                    | Reason::SERVER_MOVED
                    | Reason::CONNECTION_RATE_EXCEEDED
                    | Reason::MAXIMUM_CONNECT_TIME
            ),
            _ => false,
        }
    }
}

impl<P> Record<P> {
    /// Count a connection that ended while its PUBLISH was unanswered. True: it must be sent alone.
    pub(super) fn interrupted(&mut self) -> bool {
        self.interruptions = self.interruptions.saturating_add(1);
        self.interruptions >= ALONE
    }
}

impl<P: Handle> Session<P> {
    /// A connection ended: give up what ended too many.
    pub(super) fn give_up_poison(&mut self) {
        let limit = match self.config.poison_limit {
            0 => {
                self.outbound.suspected = false;
                return;
            }
            limit => limit.max(ALONE + 1),
        };
        while let Some(slot) = self.suspect(limit) {
            let record = self.outbound.records.at(slot);
            let (topic, qos, size) = (Box::from(record.topic()), record.qos, record.size());
            let (id, connections) = (record.id, record.interruptions);
            self.end_record(slot, Outcome::Poison { connections });
            if qos == QoS::ExactlyOnce && id != 0 {
                self.outbound.retire_id(id);
            }
            let id = (id != 0).then_some(id);
            self.events.push_back(Event::Poison { topic, id, qos, size, connections });
        }
    }

    /// On a new connection: is anything to be sent alone?
    pub(super) fn be_careful(&mut self) {
        if self.outbound.suspected {
            self.link.careful = true;
            self.link.high_water = 0;
        }
    }

    /// Send the next message if nothing is on the way that could be blamed in its place. False: no suspect is left, and
    /// everything may go its usual way.
    #[cold]
    pub(super) fn send_alone(&mut self, now: Instant) -> bool {
        if self.suspect(ALONE).is_none() {
            (self.outbound.suspected, self.link.careful) = (false, false);
            self.link.high_water = if self.link.on_hold { 0 } else { OUTPUT_HIGH_WATER };
            return false;
        }
        while !self.link.on_hold && self.subscriptions.is_idle() && !self.is_any_unanswered() {
            self.admit(now);
            let window = self.window();
            let Some(slot) = self.outbound.sendable(window, self.journal.committed()) else { break };
            self.transmit(slot, now);
        }
        true
    }

    /// The first message that ended so many connections. Those that may have are in flight, or were and stand first in
    /// the queue.
    fn suspect(&self, interruptions: u8) -> Option<u32> {
        let outbound = &self.outbound;
        let record = |slot: &u32| outbound.records.at(*slot);
        let queue = outbound.records.iter(outbound.queue).take_while(|slot| record(slot).may_have_arrived());
        let mut suspects = outbound.records.iter(outbound.flight).chain(queue);
        suspects.find(|slot| {
            record(slot).interruptions >= interruptions && record(slot).state != State::AwaitPubcomp
        })
    }

    fn is_any_unanswered(&self) -> bool {
        let mut flight = self.outbound.records.iter(self.outbound.flight);
        flight.any(|slot| {
            matches!(self.outbound.records.at(slot).state, State::AwaitPuback | State::AwaitPubrec)
        })
    }
}
