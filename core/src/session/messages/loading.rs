//! The table and the store: what waits for it, and what it gives back after a crash.

use alloc::vec::Vec;

use super::super::handle::Handle;
use super::super::record::{Parts, State};
use super::super::window::Window;
use super::Messages;
use crate::time::Instant;

impl<P: Handle> Messages<P> {
    /// Messages that never left and that wait for the store.
    pub(in crate::session) fn uncommitted(&self, committed: u64) -> Vec<u32> {
        let waits = |slot: &u32| {
            let record = self.records.at(*slot);
            let kept_back = matches!(record.state, State::Queued | State::ToSend) && !record.transmitted;
            kept_back && record.stored > committed
        };
        self.records.iter(self.flight).chain(self.records.iter(self.queue)).filter(waits).collect()
    }

    pub(in crate::session) fn load(&mut self, parts: &Parts<'_, P>, sequence: u64, now: Instant) {
        self.sequence = sequence.saturating_sub(1).max(self.sequence);
        self.accept(parts, now);
    }

    pub(in crate::session) fn load_identifier(&mut self, sequence: u64, id: u16) {
        let Some(slot) = self.by_sequence(sequence) else { return };
        let old = self.records.at(slot).id;
        if id == 0 || (id != old && self.ids.contains(id)) {
            return;
        }
        if old == 0 {
            self.admit(slot, id);
        } else {
            self.ids.remove(old);
            self.ids.insert(id, slot);
            self.records.at_mut(slot).id = id;
        }
        let record = self.records.at_mut(slot);
        // It may have been transmitted before the crash: nobody knows. A PUBREC before this is of a lost session.
        record.state = State::ToSend;
        record.transmitted = true;
        record.occupies = false;
        (self.unsent, self.occupied) = (None, Window::default());
    }

    pub(in crate::session) fn load_state(&mut self, sequence: u64, state: State) {
        let Some(slot) = self.by_sequence(sequence) else { return };
        if state == State::Free {
            self.end(slot);
            self.records.remove(slot);
        } else if self.records.at(slot).state == State::ToSend {
            self.receipts += 1;
            let record = self.records.at_mut(slot);
            record.state = state;
            record.start = self.receipts;
        }
    }

    fn by_sequence(&self, sequence: u64) -> Option<u32> {
        // A store speaks of the oldest: they are in flight, or first in the queue.
        let is_it = |slot: &u32| self.records.at(*slot).sequence == sequence;
        self.records.iter(self.flight).chain(self.records.iter(self.queue)).find(is_it)
    }
}
