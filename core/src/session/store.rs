//! What a durable store must keep, as an output of the session.
//!
//! A record is durable before the packet it covers leaves: PUBLISH after its message (and its identifier for QoS 2),
//! PUBREL after "PUBREC received", PUBREC after the inbound identifier, PUBCOMP after that identifier's removal.
//! Packets covered by nothing never wait. What is finished is removed in its own time.

use alloc::collections::VecDeque;

use super::event::{Outcome, Tag};
use super::handle::Handle;
use super::record::{Parts, State};
use super::{Cause, Session};
use crate::time::Instant;
use crate::wire::QoS;

/// Orders what the store is given. Zero covers nothing.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct StoreSequence(pub u64);

/// One thing to keep or to forget. Given back in the same order after a crash, they rebuild the session.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StoreOperation<'a> {
    /// A message was accepted.
    Message {
        /// Its name in all later operations; ascending in order of acceptance.
        sequence: u64,
        /// Where it goes.
        topic: &'a str,
        /// Encoded PUBLISH properties.
        properties: &'a [u8],
        /// Application bytes.
        payload: &'a [u8],
        /// Delivery guarantee; never QoS 0.
        qos: QoS,
        /// Retain flag.
        retain: bool,
        /// Properties may be dropped on 3.1.1.
        drop_properties: bool,
    },
    /// A QoS 2 message got its packet identifier.
    Identifier {
        /// Which message.
        sequence: u64,
        /// Its identifier.
        id: u16,
    },
    /// PUBREC came: only PUBREL and PUBCOMP are left.
    Received {
        /// Which message.
        sequence: u64,
    },
    /// The message is finished; forget it.
    Done {
        /// Which message.
        sequence: u64,
    },
    /// A QoS 2 message arrived and was taken: a repetition under this identifier is the same one.
    Inbound {
        /// Its identifier.
        id: u16,
    },
    /// PUBREL came: the identifier is free again.
    InboundDone {
        /// Its identifier.
        id: u16,
    },
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Entry {
    /// The record in this slot, if it is still this message.
    Message {
        slot: u32,
        sequence: u64,
    },
    /// Of the record in this slot, if it is still this message.
    Identifier {
        slot: u32,
        sequence: u64,
        id: u16,
    },
    Received {
        sequence: u64,
    },
    Done {
        sequence: u64,
    },
    Inbound {
        id: u16,
    },
    InboundDone {
        id: u16,
    },
}

/// What is still to be handed to the store, and how far the store has come.
#[derive(Debug)]
pub(super) struct Journal {
    durable: bool,
    last: u64,
    pub(super) committed: u64,
    /// What is not durable, with its sequence. Kept until it is, to be given again if the store fails.
    pending: VecDeque<(u64, Entry)>,
    /// How many of them the store was given.
    handed: usize,
}

impl Journal {
    pub(super) fn new(durable: bool) -> Self {
        Self { durable, last: 0, committed: 0, pending: VecDeque::new(), handed: 0 }
    }

    #[inline]
    pub(super) fn is_durable(&self) -> bool {
        self.durable
    }

    /// Note something for the store. What comes back must be committed before the packets it covers; zero without
    /// a store.
    #[inline]
    pub(super) fn note(&mut self, entry: Entry) -> u64 {
        if !self.durable {
            return 0;
        }
        self.last += 1;
        self.pending.push_back((self.last, entry));
        self.last
    }
}

impl<P: Handle> Session<P> {
    /// The next thing for the store, in order. Tell [`handle_stored`](Self::handle_stored) once it is durable.
    pub fn poll_store(&mut self) -> Option<(StoreSequence, StoreOperation<'_>)> {
        loop {
            let &(sequence, entry) = self.journal.pending.get(self.journal.handed)?;
            self.journal.handed += 1;
            let operation = match entry {
                Entry::Message { slot, sequence: message } => {
                    if !self.outbound.records.holds(slot, message) {
                        continue;
                    }
                    let record = self.outbound.records.at(slot);
                    StoreOperation::Message {
                        sequence: message,
                        topic: record.topic(),
                        properties: record.properties(),
                        payload: record.payload(),
                        qos: record.qos,
                        retain: record.retain,
                        drop_properties: record.drop_properties,
                    }
                }
                Entry::Identifier { slot, sequence, id } => {
                    // Its message may have been withdrawn before the store heard of it.
                    if !self.outbound.records.holds(slot, sequence) {
                        continue;
                    }
                    StoreOperation::Identifier { sequence, id }
                }
                Entry::Received { sequence } => StoreOperation::Received { sequence },
                Entry::Done { sequence } => StoreOperation::Done { sequence },
                Entry::Inbound { id } => StoreOperation::Inbound { id },
                Entry::InboundDone { id } => StoreOperation::InboundDone { id },
            };
            return Some((StoreSequence(sequence), operation));
        }
    }

    /// Everything up to here is durable.
    pub fn handle_stored(&mut self, up_to: StoreSequence) {
        let journal = &mut self.journal;
        journal.committed = journal.committed.max(up_to.0);
        while journal.handed > 0 && journal.pending.front().is_some_and(|(at, _)| *at <= journal.committed) {
            journal.pending.pop_front();
            journal.handed -= 1;
        }
    }

    /// The store failed. Messages it had not committed and that never left fail with [`Outcome::NotStored`]; the
    /// connection ends, so that nothing leaves that the store does not know. What it had not committed is given to
    /// it again from the first, since it may have kept a part.
    pub fn handle_store_failed(&mut self) {
        self.close(Cause::StoreFailed);
        for slot in self.outbound.uncommitted(self.journal.committed) {
            self.finish_record(slot, Outcome::NotStored);
        }
        self.journal.handed = 0;
    }

    /// What the store held when the process began, in the order it was written; before the first connection.
    pub fn handle_loaded(&mut self, operation: &StoreOperation<'_>, now: Instant) {
        match *operation {
            StoreOperation::Message {
                sequence,
                topic,
                properties,
                payload,
                qos,
                retain,
                drop_properties,
            } => {
                let parts = Parts {
                    topic,
                    properties,
                    payload,
                    shared: None,
                    qos,
                    retain,
                    drop_properties,
                    tag: Tag::NONE,
                };
                self.outbound.load(&parts, sequence, now);
            }
            StoreOperation::Identifier { sequence, id } => self.outbound.load_identifier(sequence, id),
            StoreOperation::Received { sequence } => self.outbound.load_state(sequence, State::AwaitPubcomp),
            StoreOperation::Done { sequence } => self.outbound.load_state(sequence, State::Free),
            StoreOperation::Inbound { id } => self.inbound.load(id),
            StoreOperation::InboundDone { id } => self.inbound.unload(id),
        }
        self.established = true;
    }
}
