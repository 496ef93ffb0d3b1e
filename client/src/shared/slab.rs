//! Slots that are reused, with generations that tell an old key from the slot's new tenant.

use packetboat_core::session::Tag;

/// Names a slot and its tenant.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Key {
    index: u32,
    generation: u32,
}

impl From<Key> for Tag {
    fn from(key: Key) -> Self {
        Self(u64::from(key.generation) << 32 | u64::from(key.index))
    }
}

impl From<Tag> for Key {
    #[allow(clippy::cast_possible_truncation, reason = "the two halves are taken apart")]
    fn from(tag: Tag) -> Self {
        Self { index: tag.0 as u32, generation: (tag.0 >> 32) as u32 }
    }
}

/// The slots. The table is made when first needed, grows with use and never shrinks below what was in use at once.
#[derive(Debug)]
pub(crate) struct Slab<T>(Option<Box<Table<T>>>);

#[derive(Debug)]
struct Table<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    value: Option<T>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Slab<T> {
    /// The key that the next [`insert`](Self::insert) will give.
    #[inline]
    pub(crate) fn vacant(&self) -> Key {
        self.0.as_ref().map_or(Key { index: 0, generation: 0 }, |table| table.vacant())
    }

    pub(crate) fn insert(&mut self, value: T) -> Key {
        // Mostly there is one; a vector would begin with four.
        let new = || Box::new(Table { slots: Vec::with_capacity(1), free: Vec::new() });
        self.0.get_or_insert_with(new).insert(value)
    }

    pub(crate) fn get(&self, key: Key) -> Option<&T> {
        let slot = self.0.as_ref()?.slots.get(key.index as usize)?;
        if slot.generation == key.generation { slot.value.as_ref() } else { None }
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let slot = self.0.as_mut()?.slots.get_mut(key.index as usize)?;
        if slot.generation == key.generation { slot.value.as_mut() } else { None }
    }

    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        let table = self.0.as_mut()?;
        let slot = table.slots.get_mut(key.index as usize)?;
        if slot.generation != key.generation {
            return None;
        }
        let value = slot.value.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        table.free.push(key.index);
        Some(value)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |table| table.slots.len() - table.free.len())
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        let slots = self.0.as_mut().map(|table| table.slots.iter_mut());
        slots.into_iter().flatten().filter_map(|slot| slot.value.as_mut())
    }
}

impl<T> Table<T> {
    fn vacant(&self) -> Key {
        match self.free.last() {
            Some(&index) => Key { index, generation: self.slots[index as usize].generation },
            None => Key { index: u32::try_from(self.slots.len()).unwrap_or(u32::MAX), generation: 0 },
        }
    }

    fn insert(&mut self, value: T) -> Key {
        let key = self.vacant();
        if self.free.pop().is_some() {
            self.slots[key.index as usize].value = Some(value);
        } else {
            self.slots.push(Slot { generation: 0, value: Some(value) });
        }
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_key_does_not_find_the_new_tenant() {
        let mut slab = Slab::default();
        let expected = slab.vacant();
        let first = slab.insert("first");
        assert_eq!(first, expected);
        assert_eq!(slab.remove(first), Some("first"));
        let second = slab.insert("second");
        assert_ne!(first, second);
        assert_eq!(slab.get(first), None);
        assert_eq!(slab.remove(first), None);
        assert_eq!(slab.get(Key::from(Tag::from(second))), Some(&"second"));
        assert_eq!(slab.len(), 1);
    }
}
