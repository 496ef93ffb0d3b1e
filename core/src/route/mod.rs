//! Which subscriptions an incoming message belongs to.

mod cache;
mod edges;
mod filters;
mod hash;
#[cfg(test)]
mod tests;
mod tree;

use alloc::vec::Vec;

use crate::topic::TopicFilter;
use cache::Cache;
use filters::Filters;

/// Finds the keys (streams, listeners) whose topic filters match a topic name.
///
/// A cache of whole topics stands before a tree of filter levels (before a list, while there are few filters): the next
/// message on a known topic costs one hash and one comparison, whatever the number of filters. Both are bounded by what was inserted and by constants, never by
/// what a peer sends, and nothing recurses: a topic can have 65,535 levels.
///
/// ```
/// use packetboat_core::route::Router;
/// use packetboat_core::topic::TopicFilter;
///
/// let mut router = Router::new();
/// router.insert(&TopicFilter::new("sensor/+/temperature")?, 1);
/// router.insert(&TopicFilter::new("sensor/#")?, 2);
/// assert_eq!(router.route("sensor/7/temperature", []), [1, 2]);
/// let named = TopicFilter::new("sensor/#")?.subscription_identifier();
/// assert_eq!(router.route("sensor/7/temperature", [named]), [2]);
/// # Ok::<(), packetboat_core::topic::TopicError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Router<K> {
    filters: Filters<K>,
    cache: Cache<K>,
    /// Counts the changes of the filters; what the cache learned under an earlier number is void.
    generation: u64,
    /// The identifiers of the message being routed, ascending. Kept for its allocation.
    identifiers: Vec<u32>,
    /// The keys of the message being routed. Kept for its allocation, and for an answer too large for the cache.
    found: Vec<K>,
}

/// More than this is not kept allocated from one message to the next.
const KEPT_LENGTH: usize = 1024;

impl<K: Copy + Ord> Router<K> {
    /// A router without filters.
    #[must_use]
    pub fn new() -> Self {
        Self {
            filters: Filters::new(),
            cache: Cache::new(),
            generation: 0,
            identifiers: Vec::new(),
            found: Vec::new(),
        }
    }

    /// Adds `key` under `filter`; false if it is there already. A shared subscription matches by its inner filter
    /// (5.0 section 4.8.2), yet is another filter than the inner one alone.
    pub fn insert(&mut self, filter: &TopicFilter, key: K) -> bool {
        let changed = self.filters.insert(filter, key);
        self.generation += u64::from(changed);
        changed
    }

    /// Takes `key` from under `filter`; false if it is not there.
    pub fn remove(&mut self, filter: &TopicFilter, key: K) -> bool {
        let changed = self.filters.remove(filter, key);
        self.generation += u64::from(changed);
        changed
    }

    /// The keys a message on `topic` goes to, each once, ascending.
    ///
    /// Where the message carries subscription identifiers (those of [`TopicFilter::subscription_identifier`]), it goes
    /// to the filters they name, of those that match. An identifier whose filter does not match names nothing: it may
    /// come from an earlier process of the same session. If nothing is named, or there are no identifiers, every
    /// filter that matches receives.
    #[inline]
    pub fn route(&mut self, topic: &str, identifiers: impl IntoIterator<Item = u32>) -> &[K] {
        self.identifiers.clear();
        self.identifiers.extend(identifiers);
        if self.identifiers.len() > 1 {
            self.order_identifiers();
        }
        let hash = hash::of_message(topic.as_bytes(), &self.identifiers);
        match self.cache.find(hash, topic, &self.identifiers, self.generation) {
            Some(place) => self.cache.keys(place),
            None => self.route_by_filters(hash, topic),
        }
    }

    /// The number of pairs of filter and key.
    #[must_use]
    pub fn len(&self) -> usize {
        self.filters.len()
    }

    /// Is there no filter?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[inline(never)]
    fn order_identifiers(&mut self) {
        self.identifiers.sort_unstable();
        self.identifiers.dedup();
    }

    #[cold]
    fn route_by_filters(&mut self, hash: u64, topic: &str) -> &[K] {
        self.found.clear();
        self.found.shrink_to(KEPT_LENGTH);
        let (identifiers, found) = (&self.identifiers, &mut self.found);
        if !identifiers.is_empty() {
            self.filters.for_each_matching(topic, |identifier, key| {
                if identifiers.binary_search(&identifier).is_ok() {
                    found.push(key);
                }
            });
        }
        if found.is_empty() {
            self.filters.for_each_matching(topic, |_, key| found.push(key));
        }
        if found.len() > 1 {
            found.sort_unstable();
            found.dedup();
        }
        self.cache.put(hash, topic, identifiers, self.generation, found);
        self.identifiers.clear();
        self.identifiers.shrink_to(KEPT_LENGTH);
        &self.found
    }
}

impl<K: Copy + Ord> Default for Router<K> {
    fn default() -> Self {
        Self::new()
    }
}
