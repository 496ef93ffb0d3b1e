//! What a durable store must keep, as an output of the session.
//!
//! A record is durable before the packet it covers leaves: PUBLISH after its message (and its identifier for QoS 2),
//! PUBREL after "PUBREC received", PUBREC after the inbound identifier, PUBCOMP after that identifier's removal.
//! Packets covered by nothing never wait. What is finished is removed in its own time.

use alloc::boxed::Box;
use alloc::collections::VecDeque;

use super::event::{Outcome, Tag};
use super::handle::Handle;
use super::record::{Parts, State};
use super::{Cause, Session};
use crate::time::Instant;
use crate::wire::{AckKind, QoS, Reason};

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

/// What is still to be handed to the store, and how far the store has come. A session without a store has none.
#[derive(Debug)]
pub(super) struct Journal(Option<Box<Pages>>);

#[derive(Debug, Default)]
pub(super) struct Pages {
    last: u64,
    pub(super) committed: u64,
    /// What is not durable, with its sequence. Kept until it is, to be given again if the store fails.
    pending: VecDeque<(u64, Entry)>,
    /// How many of them the store was given.
    handed: usize,
    /// Answers that wait for the store, with the record that must be committed; of one connection.
    pub(super) due: VecDeque<(u64, AckKind, u16, Reason)>,
}

impl Journal {
    pub(super) fn new(durable: bool) -> Self {
        Self(durable.then(Box::default))
    }

    #[inline]
    pub(super) fn is_durable(&self) -> bool {
        self.0.is_some()
    }

    /// Zero without a store.
    #[inline]
    pub(super) fn committed(&self) -> u64 {
        self.0.as_ref().map_or(0, |pages| pages.committed)
    }

    /// Where an answer that rests on this record has to wait for the store, and for the answers before it.
    #[inline]
    pub(super) fn withholding(&mut self, stored: u64) -> Option<&mut Pages> {
        self.0.as_deref_mut().filter(|pages| stored > pages.committed || !pages.due.is_empty())
    }

    /// The next answer that need not wait any more.
    pub(super) fn due(&mut self) -> Option<(AckKind, u16, Reason)> {
        let pages = self.0.as_mut()?;
        let (_, kind, id, reason) = pages.due.pop_front_if(|(stored, ..)| *stored <= pages.committed)?;
        Some((kind, id, reason))
    }

    /// Answers go with their connection.
    pub(super) fn link_lost(&mut self) {
        if let Some(pages) = &mut self.0 {
            pages.due.clear();
        }
    }

    /// Note something for the store. What comes back must be committed before the packets it covers; zero without
    /// a store.
    #[inline]
    pub(super) fn note(&mut self, entry: Entry) -> u64 {
        let Some(pages) = &mut self.0 else { return 0 };
        pages.last += 1;
        pages.pending.push_back((pages.last, entry));
        pages.last
    }
}

impl<P: Handle> Session<P> {
    /// The next thing for the store, in order. Tell [`handle_stored`](Self::handle_stored) once it is durable.
    pub fn poll_store(&mut self) -> Option<(StoreSequence, StoreOperation<'_>)> {
        loop {
            let journal = self.journal.0.as_mut()?;
            let &(sequence, entry) = journal.pending.get(journal.handed)?;
            journal.handed += 1;
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
        let Some(journal) = &mut self.journal.0 else { return };
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
        for slot in self.outbound.uncommitted(self.journal.committed()) {
            self.finish_record(slot, Outcome::NotStored);
        }
        if let Some(journal) = &mut self.journal.0 {
            journal.handed = 0;
        }
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
