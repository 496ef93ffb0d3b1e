use alloc::vec;
use alloc::vec::Vec;

/// The index of a node in the tree, and "there is none".
pub(super) type NodeIndex = u32;
pub(super) const NO_NODE: NodeIndex = NodeIndex::MAX;

/// From a parent and a level to the child: a hash table with linear probing over the indices of the children.
///
/// One table for the whole tree: a level with 100,000 children costs as much as one with two. The texts stay in the
/// nodes, so whether a found child is the right one is the caller's question.
#[derive(Clone, Debug)]
pub(super) struct Edges {
    /// A power of two, or none. At most three quarters are in use, so that every search ends.
    slots: Vec<Slot>,
    length: usize,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    hash: u32,
    child: NodeIndex,
}

const FREE: Slot = Slot { hash: 0, child: NO_NODE };

impl Edges {
    pub(super) const fn new() -> Self {
        Self { slots: Vec::new(), length: 0 }
    }

    /// The child stored under `hash` that `is_right`.
    #[inline]
    pub(super) fn find(&self, hash: u64, is_right: impl Fn(NodeIndex) -> bool) -> Option<NodeIndex> {
        self.position(hash, is_right).map(|position| self.slots[position].child)
    }

    /// Stores `child`, which must not be there yet.
    pub(super) fn insert(&mut self, hash: u64, child: NodeIndex) {
        if (self.length + 1) * 4 > self.slots.len() * 3 {
            self.resize((self.slots.len() * 2).max(8));
        }
        self.place(Slot { hash: shorten(hash), child });
        self.length += 1;
    }

    /// Removes `child`; nothing happens if it is not there.
    pub(super) fn remove(&mut self, hash: u64, child: NodeIndex) {
        let Some(mut gap) = self.position(hash, |other| other == child) else { return };
        // Entries that were pushed away from their place move back over the gap, so that no search ends at it early.
        let mask = self.slots.len() - 1;
        let mut next = gap;
        loop {
            next = (next + 1) & mask;
            let slot = self.slots[next];
            if slot.child == NO_NODE {
                break;
            }
            let pushed_by = next.wrapping_sub(slot.hash as usize) & mask;
            if pushed_by >= next.wrapping_sub(gap) & mask {
                self.slots[gap] = slot;
                gap = next;
            }
        }
        self.slots[gap] = FREE;
        self.length -= 1;
        if self.slots.len() > 8 && self.length * 8 < self.slots.len() {
            self.resize(self.slots.len() / 2);
        }
    }

    #[inline]
    fn position(&self, hash: u64, is_right: impl Fn(NodeIndex) -> bool) -> Option<usize> {
        let mask = self.slots.len().checked_sub(1)?;
        let hash = shorten(hash);
        let mut position = hash as usize & mask;
        loop {
            let slot = self.slots[position];
            if slot.child == NO_NODE {
                return None;
            }
            if slot.hash == hash && is_right(slot.child) {
                return Some(position);
            }
            position = (position + 1) & mask;
        }
    }

    fn place(&mut self, slot: Slot) {
        let mask = self.slots.len() - 1;
        let mut position = slot.hash as usize & mask;
        while self.slots[position].child != NO_NODE {
            position = (position + 1) & mask;
        }
        self.slots[position] = slot;
    }

    fn resize(&mut self, length: usize) {
        let old = core::mem::replace(&mut self.slots, vec![FREE; length]);
        for slot in old.into_iter().filter(|slot| slot.child != NO_NODE) {
            self.place(slot);
        }
    }
}

/// The upper half, which the final multiplication mixes best.
#[inline]
const fn shorten(hash: u64) -> u32 {
    (hash >> 32) as u32
}
