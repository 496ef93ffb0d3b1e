use alloc::string::String;
use alloc::vec::Vec;

use crate::words::is_same;

/// The answers for the topics seen last.
///
/// Places are in sets of four; a topic can only lie in the set its hash names, so that a search looks at four places
/// whatever a peer sends. The table grows with use up to a limit; beyond that topics displace each other, and the
/// newcomer takes over the allocations of the old.
#[derive(Clone, Debug)]
pub(super) struct Cache<K> {
    /// `WAYS` times a power of two, or none.
    entries: Vec<Entry<K>>,
    /// What all entries hold allocated, in bytes.
    size: usize,
    /// Which place of a full set is given up next.
    turn: usize,
}

#[derive(Clone, Debug)]
struct Entry<K> {
    hash: u64,
    /// `NEVER` for a free place.
    generation: u64,
    topic: String,
    identifiers: Vec<u32>,
    keys: Vec<K>,
}

/// A generation that no change of the tree reaches.
const NEVER: u64 = u64::MAX;
const WAYS: usize = 4;
/// At most this many topics,
const MAXIMUM_ENTRIES: usize = 1024;
/// of this many bytes of topics, identifiers and keys together,
const MAXIMUM_SIZE: usize = 256 * 1024;
/// each of at most this many.
const MAXIMUM_ENTRY_SIZE: usize = 8 * 1024;

impl<K: Copy> Cache<K> {
    pub(super) const fn new() -> Self {
        Self { entries: Vec::new(), size: 0, turn: 0 }
    }

    /// The place of the answer, if it is known and of this `generation`.
    #[inline]
    pub(super) fn find(&self, hash: u64, topic: &str, identifiers: &[u32], generation: u64) -> Option<usize> {
        let place = self.place_of(hash, |entry| entry.hash == hash)?;
        let entry = &self.entries[place];
        let is_it = entry.generation == generation
            && is_same(entry.topic.as_bytes(), topic.as_bytes())
            && entry.identifiers.len() == identifiers.len()
            && entry.identifiers.iter().eq(identifiers);
        is_it.then_some(place)
    }

    /// The keys at a place that [`Cache::find`] gave.
    #[inline]
    pub(super) fn keys(&self, place: usize) -> &[K] {
        self.entries.get(place).map_or(&[], |entry| &entry.keys)
    }

    /// Remembers an answer that [`Cache::find`] did not have, if it is not too large.
    pub(super) fn put(&mut self, hash: u64, topic: &str, identifiers: &[u32], generation: u64, keys: &[K]) {
        let entry_size = topic.len() + size_of_val(identifiers) + size_of_val(keys);
        if entry_size > MAXIMUM_ENTRY_SIZE {
            return;
        }
        let place = self.place_for(hash, generation);
        let entry = &mut self.entries[place];
        self.size -= entry.size();
        if entry.size() > 4 * entry_size {
            *entry = Entry::free();
        }
        (entry.hash, entry.generation) = (hash, generation);
        entry.topic.clear();
        entry.topic.push_str(topic);
        entry.identifiers.clear();
        entry.identifiers.extend_from_slice(identifiers);
        entry.keys.clear();
        entry.keys.extend_from_slice(keys);
        self.size += entry.size();
        if self.size > MAXIMUM_SIZE {
            self.entries.fill_with(Entry::free);
            self.size = 0;
        }
    }

    /// A place in the set of `hash`: the one with this hash (there is never a second), or free, or of an earlier
    /// generation, or after growing, or another topic's.
    fn place_for(&mut self, hash: u64, generation: u64) -> usize {
        if let Some(place) = self.place_of(hash, |entry| entry.hash == hash) {
            return place;
        }
        if let Some(place) = self.place_of(hash, |entry| entry.generation != generation) {
            return place;
        }
        if self.entries.len() < MAXIMUM_ENTRIES {
            self.grow(generation);
            if let Some(place) = self.place_of(hash, |entry| entry.generation != generation) {
                return place;
            }
        }
        self.turn = self.turn.wrapping_add(1);
        self.first_of_set(hash) + self.turn % WAYS
    }

    /// The first place in the set of `hash` that `is_it`.
    #[inline]
    fn place_of(&self, hash: u64, is_it: impl Fn(&Entry<K>) -> bool) -> Option<usize> {
        let first = self.first_of_set(hash);
        let set = self.entries.get(first..first + WAYS)?;
        set.iter().position(is_it).map(|way| first + way)
    }

    /// Doubles the table. Each set becomes two, so no set overflows.
    fn grow(&mut self, generation: u64) {
        let length = (self.entries.len() * 2).max(WAYS);
        let old = core::mem::take(&mut self.entries);
        self.entries.resize_with(length, Entry::free);
        self.size = 0;
        for entry in old.into_iter().filter(|entry| entry.generation == generation) {
            if let Some(place) = self.place_of(entry.hash, |other| other.generation != generation) {
                self.size += entry.size();
                self.entries[place] = entry;
            }
        }
    }

    #[inline]
    fn first_of_set(&self, hash: u64) -> usize {
        ((hash >> 32) as usize).wrapping_mul(WAYS) & self.entries.len().saturating_sub(1) & !(WAYS - 1)
    }

    #[cfg(test)]
    pub(super) fn bounds(&self) -> (usize, usize) {
        assert_eq!(self.size, self.entries.iter().map(Entry::size).sum::<usize>());
        (self.entries.len(), self.size)
    }
}

impl<K> Entry<K> {
    const fn free() -> Self {
        Self { hash: 0, generation: NEVER, topic: String::new(), identifiers: Vec::new(), keys: Vec::new() }
    }

    fn size(&self) -> usize {
        self.topic.capacity()
            + self.identifiers.capacity() * size_of::<u32>()
            + self.keys.capacity() * size_of::<K>()
    }
}
