//! Packet identifiers in use: which are free, and what each stands for.

use alloc::vec::Vec;

/// Identifier to value: each identifier has one cell, by its low bits, in a table that grows until no two share one.
///
/// Ours are handed out in ascending order and pass over those whose cell is taken, so that the table grows with how many
/// are in use at once. At 65,536 cells no two can share one.
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
        self.value(id).is_some()
    }

    #[inline]
    pub(super) fn value(&self, id: u16) -> Option<V> {
        self.cells.get(self.place(id)).filter(|cell| cell.0 == id).map(|cell| cell.1)
    }

    #[inline]
    pub(super) fn value_mut(&mut self, id: u16) -> Option<&mut V> {
        let at = self.place(id);
        self.cells.get_mut(at).filter(|cell| cell.0 == id).map(|cell| &mut cell.1)
    }

    /// Insert a new identifier. It must not be zero and not be present.
    #[inline]
    pub(super) fn insert(&mut self, id: u16, value: V) {
        debug_assert!(id != 0 && !self.contains(id), "identifier in double use");
        if !self.is_vacant(id) {
            self.make_vacant(id);
        }
        let at = self.place(id);
        if let Some(cell) = self.cells.get_mut(at) {
            *cell = (id, value);
            self.len += 1;
        }
    }

    #[inline]
    pub(super) fn remove(&mut self, id: u16) -> Option<V> {
        let at = self.place(id);
        let cell = self.cells.get_mut(at).filter(|cell| cell.0 == id)?;
        self.len -= 1;
        cell.0 = 0;
        Some(cell.1)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u16, V)> {
        self.cells.iter().copied().filter(|(id, _)| *id != 0)
    }

    pub(super) fn retain(&mut self, mut keep: impl FnMut(u16, &mut V) -> bool) {
        for (id, value) in &mut self.cells {
            if *id != 0 && !keep(*id, value) {
                *id = 0;
                self.len -= 1;
            }
        }
    }

    /// Has this identifier a cell, and is that free?
    #[inline]
    fn is_vacant(&self, id: u16) -> bool {
        self.cells.get(self.place(id)).is_some_and(|cell| cell.0 == 0)
    }

    /// So full that free cells are not worth the search.
    #[inline]
    fn is_crowded(&self) -> bool {
        self.len * 2 >= self.cells.len()
    }

    #[inline]
    fn place(&self, id: u16) -> usize {
        usize::from(id) & self.cells.len().wrapping_sub(1)
    }

    #[cold]
    fn make_vacant(&mut self, id: u16) {
        while !self.is_vacant(id) && u16::try_from(self.cells.len()).is_ok() {
            let size = (self.cells.len() * 2).max(8);
            let old = core::mem::replace(&mut self.cells, alloc::vec![(0, V::default()); size]);
            for (id, value) in old {
                if id != 0 {
                    let at = self.place(id);
                    self.cells[at] = (id, value);
                }
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
            if used.is_vacant(self.last) || used.is_crowded() && !used.contains(self.last) {
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
