//! Packet identifiers in use: which are free, and what each stands for.

use alloc::vec::Vec;

/// Identifier to value, an open-addressing table that grows with use.
///
/// Identifiers are handed out in ascending order, so that the low bits of neighbours differ and each has the cell it
/// wants. Others are kept in the order of the cells they want (Robin Hood hashing): a search ends where its
/// identifier would have to be, and closing a gap ends at the first cell that is in its place, though ascending
/// identifiers fill one long run.
#[derive(Debug)]
pub(super) struct IdTable<V> {
    /// A power of two, or empty. Identifier zero marks a free cell.
    cells: Vec<(u16, V)>,
    len: usize,
}

impl<V> Default for IdTable<V> {
    fn default() -> Self {
        Self { cells: Vec::new(), len: 0 }
    }
}

impl<V: Copy + Default> IdTable<V> {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn contains(&self, id: u16) -> bool {
        self.find(id).is_some()
    }

    #[inline]
    pub(super) fn value(&self, id: u16) -> Option<V> {
        self.find(id).map(|at| self.cells[at].1)
    }

    #[inline]
    pub(super) fn value_mut(&mut self, id: u16) -> Option<&mut V> {
        self.find(id).map(|at| &mut self.cells[at].1)
    }

    /// Insert a new identifier. It must not be zero and not be present.
    #[inline]
    pub(super) fn insert(&mut self, id: u16, value: V) {
        debug_assert!(id != 0 && !self.contains(id), "identifier in double use");
        if (self.len + 1) * 4 > self.cells.len() * 3 {
            self.grow();
        }
        self.place(id, value);
        self.len += 1;
    }

    #[inline]
    pub(super) fn remove(&mut self, id: u16) -> Option<V> {
        let mut hole = self.find(id)?;
        let value = self.cells[hole].1;
        // Close the gap: move back every follower that is not where it wants to be.
        loop {
            let next = (hole + 1) & self.mask();
            let (follower, _) = self.cells[next];
            if follower == 0 || self.distance(follower, next) == 0 {
                break;
            }
            self.cells[hole] = self.cells[next];
            hole = next;
        }
        self.cells[hole] = (0, V::default());
        self.len -= 1;
        Some(value)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u16, V)> {
        self.cells.iter().copied().filter(|(id, _)| *id != 0)
    }

    pub(super) fn retain(&mut self, mut keep: impl FnMut(u16, &mut V) -> bool) {
        let cells = core::mem::take(&mut self.cells);
        self.len = 0;
        for (id, mut value) in cells {
            if id != 0 && keep(id, &mut value) {
                self.insert(id, value);
            }
        }
    }

    #[inline]
    fn find(&self, id: u16) -> Option<usize> {
        if self.cells.is_empty() {
            return None;
        }
        let mut at = usize::from(id) & self.mask();
        for distance in 0.. {
            match self.cells[at].0 {
                found if found == id => return Some(at),
                found if found == 0 || self.distance(found, at) < distance => return None,
                _ => at = (at + 1) & self.mask(),
            }
        }
        None
    }

    #[inline]
    fn place(&mut self, mut id: u16, mut value: V) {
        let mut at = usize::from(id) & self.mask();
        while self.cells[at].0 != 0 {
            if self.distance(self.cells[at].0, at) < self.distance(id, at) {
                (id, value) = core::mem::replace(&mut self.cells[at], (id, value));
            }
            at = (at + 1) & self.mask();
        }
        self.cells[at] = (id, value);
    }

    #[inline]
    fn mask(&self) -> usize {
        self.cells.len() - 1
    }

    /// How far from the cell it wants an identifier is at `at`.
    #[inline]
    fn distance(&self, id: u16, at: usize) -> usize {
        at.wrapping_sub(id.into()) & self.mask()
    }

    fn grow(&mut self) {
        let size = (self.cells.len() * 2).max(8);
        let old = core::mem::replace(&mut self.cells, alloc::vec![(0, V::default()); size]);
        for (id, value) in old {
            if id != 0 {
                self.place(id, value);
            }
        }
    }
}

/// Identifiers kept free for SUBSCRIBE and UNSUBSCRIBE, however many messages are in flight.
pub(super) const RESERVED: usize = 16;

/// Hands out identifiers that are not in use [MQTT-2.2.1-3].
#[derive(Debug, Default)]
pub(super) struct IdSource {
    last: u16,
}

impl IdSource {
    /// The next free identifier; `None` when all are in use.
    #[allow(clippy::inline_always, reason = "every message sent: the calls would be a tenth of the whole")]
    #[inline(always)]
    pub(super) fn next<V: Copy + Default>(&mut self, used: &IdTable<V>) -> Option<u16> {
        if used.len() >= usize::from(u16::MAX) {
            return None;
        }
        loop {
            self.last = self.last.checked_add(1).unwrap_or(1);
            if !used.contains(self.last) {
                return Some(self.last);
            }
        }
    }

    /// What [`next`](Self::next) would give.
    pub(super) fn peek<V: Copy + Default>(&self, used: &IdTable<V>) -> Option<u16> {
        Self { last: self.last }.next(used)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;

    #[test]
    fn agrees_with_a_map_whatever_is_inserted_and_removed() {
        let mut rng = crate::rng::Rng::new(7);
        for bound in [9, 40, 3000] {
            let (mut table, mut model) = (IdTable::default(), BTreeMap::new());
            for step in 0..20_000_u32 {
                let id = u16::try_from(rng.below(bound)).unwrap() * 16 + 1;
                let expected = model.remove(&id);
                assert_eq!(table.remove(id), expected);
                if expected.is_none() {
                    table.insert(id, step);
                    model.insert(id, step);
                }
                assert_eq!(table.len(), model.len());
            }
            assert_eq!(table.iter().collect::<BTreeMap<_, _>>(), model);
        }
    }

    #[test]
    fn identifiers_wrap_without_zero_and_skip_those_in_use() {
        let mut used = IdTable::default();
        used.insert(1, ());
        used.insert(2, ());
        let mut source = IdSource { last: u16::MAX - 1 };
        assert_eq!(source.next(&used), Some(u16::MAX));
        assert_eq!(source.next(&used), Some(3));
    }

    #[test]
    fn a_full_table_has_no_free_identifier() {
        let mut used = IdTable::default();
        let mut source = IdSource::default();
        for _ in 0..u16::MAX {
            let id = source.next(&used).unwrap();
            used.insert(id, ());
        }
        assert_eq!(source.next(&used), None);
        used.remove(700);
        assert_eq!(source.next(&used), Some(700));
    }
}
