//! The slab of accepted messages, linked into lists that keep their order.

use crate::time::Instant;
use alloc::vec::Vec;

use super::event::{Outcome, Ticket};
use super::handle::Handle;
use super::record::{NIL, Parts, Record, State};

/// First and last of a list, and how many.
#[derive(Clone, Copy, Debug)]
pub(super) struct List {
    head: u32,
    tail: u32,
    len: usize,
}

impl Default for List {
    fn default() -> Self {
        Self { head: NIL, tail: NIL, len: 0 }
    }
}

impl List {
    pub(super) fn first(self) -> Option<u32> {
        (self.head != NIL).then_some(self.head)
    }

    pub(super) fn last(self) -> Option<u32> {
        (self.tail != NIL).then_some(self.tail)
    }

    pub(super) fn len(self) -> usize {
        self.len
    }
}

/// The slab. Slots are reused; the sequence tells an old ticket from the slot's new tenant.
#[derive(Debug)]
pub(super) struct Records<P> {
    slots: Vec<Record<P>>,
    /// The first free slot.
    vacant: u32,
    /// Records that have ended and whose outcome was not taken.
    kept: usize,
}

impl<P> Default for Records<P> {
    fn default() -> Self {
        Self { slots: Vec::new(), vacant: NIL, kept: 0 }
    }
}

impl<P: Handle> Records<P> {
    #[allow(clippy::inline_always, reason = "every message sent: the calls would be a tenth of the whole")]
    #[inline(always)]
    pub(super) fn insert(&mut self, parts: &Parts<'_, P>, sequence: u64, now: Instant) -> u32 {
        if self.vacant == NIL {
            self.grow();
        }
        let slot = self.vacant;
        let record = &mut self.slots[slot as usize];
        self.vacant = record.next;
        record.fill(parts, sequence, now);
        slot
    }

    #[cold]
    fn grow(&mut self) {
        self.vacant = u32::try_from(self.slots.len()).unwrap_or(NIL);
        self.slots.push(Record::vacant());
    }

    /// Give the slot back. The record must be in no list.
    #[inline]
    pub(super) fn remove(&mut self, slot: u32) {
        let record = &mut self.slots[slot as usize];
        record.empty();
        self.free(slot);
    }

    #[inline]
    fn free(&mut self, slot: u32) {
        let record = &mut self.slots[slot as usize];
        record.state = State::Free;
        record.next = self.vacant;
        self.vacant = slot;
    }

    /// The record is in no list any more and waits for its owner to take the outcome. True: the owner waits as well.
    #[cold]
    pub(super) fn keep(&mut self, slot: u32, outcome: Outcome) -> bool {
        let record = &mut self.slots[slot as usize];
        record.state = State::Ended;
        record.outcome = Some(outcome);
        record.empty();
        self.kept += 1;
        core::mem::take(&mut record.watched)
    }

    /// The outcome of a record that has ended, whose slot is free from now on. `None`: its owner is told when it ends.
    #[inline]
    pub(super) fn take_outcome(&mut self, slot: u32) -> Option<Outcome> {
        let record = &mut self.slots[slot as usize];
        let outcome = record.outcome.take();
        record.watched = outcome.is_none();
        if outcome.is_some() {
            // What it was made of went when it ended.
            self.kept -= 1;
            self.free(slot);
        }
        outcome
    }

    #[inline]
    pub(super) fn at(&self, slot: u32) -> &Record<P> {
        &self.slots[slot as usize]
    }

    #[inline]
    pub(super) fn at_mut(&mut self, slot: u32) -> &mut Record<P> {
        &mut self.slots[slot as usize]
    }

    #[inline]
    pub(super) fn ticket(&self, slot: u32) -> Ticket {
        Ticket { slot, sequence: self.slots[slot as usize].sequence }
    }

    #[inline]
    pub(super) fn resolve(&self, ticket: Ticket) -> Option<u32> {
        let record = self.slots.get(ticket.slot as usize)?;
        (record.sequence == ticket.sequence && record.state != State::Free).then_some(ticket.slot)
    }

    /// No outcome waits to be taken.
    pub(super) fn are_outcomes_taken(&self) -> bool {
        self.kept == 0
    }

    /// Is the record in this slot the message with this sequence?
    pub(super) fn holds(&self, slot: u32, sequence: u64) -> bool {
        self.slots
            .get(slot as usize)
            .is_some_and(|record| record.is_unfinished() && record.sequence == sequence)
    }

    pub(super) fn following(&self, slot: u32) -> Option<u32> {
        let next = self.slots[slot as usize].next;
        (next != NIL).then_some(next)
    }

    #[inline]
    pub(super) fn push_back(&mut self, list: &mut List, slot: u32) {
        let tail = core::mem::replace(&mut list.tail, slot);
        self.link(tail, slot);
        self.link(slot, NIL);
        if tail == NIL {
            list.head = slot;
            self.slots[slot as usize].previous = NIL;
        }
        list.len += 1;
    }

    pub(super) fn push_front(&mut self, list: &mut List, slot: u32) {
        let head = core::mem::replace(&mut list.head, slot);
        self.link(slot, head);
        self.slots[slot as usize].previous = NIL;
        if head == NIL {
            list.tail = slot;
        }
        list.len += 1;
    }

    #[inline]
    pub(super) fn unlink(&mut self, list: &mut List, slot: u32) {
        let Record { previous, next, .. } = self.slots[slot as usize];
        if list.head == slot {
            list.head = next;
        }
        if list.tail == slot {
            list.tail = previous;
        }
        self.link(previous, next);
        list.len -= 1;
    }

    /// The slots of a list, in order.
    pub(super) fn iter(&self, list: List) -> impl Iterator<Item = u32> {
        core::iter::successors(list.first(), |&slot| self.following(slot))
    }

    #[inline]
    fn link(&mut self, previous: u32, next: u32) {
        if previous != NIL {
            self.slots[previous as usize].next = next;
        }
        if next != NIL {
            self.slots[next as usize].previous = previous;
        }
    }
}
