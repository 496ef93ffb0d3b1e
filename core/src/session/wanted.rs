//! A map by topic filter that is small while it has few.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::Bound;

use crate::topic::TopicFilter;

/// Up to so many are kept in a vector of just their size: most clients have one, and a leaf of a tree has room for eleven.
const FEW: usize = 4;

/// Values by filter, in the filters' order. One of the two has none.
#[derive(Debug)]
#[allow(clippy::box_collection, reason = "an empty map is three words")]
pub(super) struct Wanted<V> {
    few: Vec<(TopicFilter, V)>,
    many: Option<Box<BTreeMap<TopicFilter, V>>>,
}

impl<V> Default for Wanted<V> {
    fn default() -> Self {
        Self { few: Vec::new(), many: None }
    }
}

impl<V> Wanted<V> {
    pub(super) fn get(&self, filter: &TopicFilter) -> Option<&V> {
        self.position(filter)
            .map_or_else(|_| self.many.as_ref()?.get(filter), |at| self.few.get(at).map(|entry| &entry.1))
    }

    pub(super) fn get_mut(&mut self, filter: &TopicFilter) -> Option<&mut V> {
        match self.position(filter) {
            Ok(at) => self.few.get_mut(at).map(|entry| &mut entry.1),
            Err(_) => self.many.as_mut()?.get_mut(filter),
        }
    }

    pub(super) fn or_insert_with(&mut self, filter: &TopicFilter, new: impl FnOnce() -> V) -> &mut V {
        let at = match self.position(filter) {
            Ok(at) => at,
            Err(at) if self.many.is_none() && self.few.len() < FEW => {
                self.few.reserve_exact(1);
                self.few.insert(at, (filter.clone(), new()));
                at
            }
            Err(_) => {
                let many = self.many.get_or_insert_default();
                many.extend(core::mem::take(&mut self.few));
                return many.entry(filter.clone()).or_insert_with(new);
            }
        };
        &mut self.few[at].1
    }

    pub(super) fn remove(&mut self, filter: &TopicFilter) {
        match self.position(filter) {
            Ok(at) => {
                self.few.remove(at);
                self.few.shrink_to_fit();
            }
            Err(_) => {
                if let Some(many) = &mut self.many {
                    many.remove(filter);
                    if many.is_empty() {
                        self.many = None;
                    }
                }
            }
        }
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&TopicFilter, &mut V)> {
        let few = self.few.iter_mut().map(|(filter, value)| (&*filter, value));
        few.chain(self.many.iter_mut().flat_map(|many| many.iter_mut()))
    }

    pub(super) fn filters(&self) -> impl Iterator<Item = &TopicFilter> {
        self.few.iter().map(|entry| &entry.0).chain(self.many.iter().flat_map(|many| many.keys()))
    }

    /// Those of shared subscriptions. They stand together: `0` follows `/`.
    pub(super) fn shared(&self) -> impl Iterator<Item = &TopicFilter> {
        let few = self.few.iter().map(|entry| &entry.0).filter(|filter| filter.share_name().is_some());
        let shared = (Bound::Included("$share/"), Bound::Excluded("$share0"));
        few.chain(self.many.iter().flat_map(move |many| many.range::<str, _>(shared)).map(|entry| entry.0))
    }

    /// Where it stands among the few, or would stand.
    fn position(&self, filter: &TopicFilter) -> Result<usize, usize> {
        self.few.binary_search_by(|entry| entry.0.cmp(filter))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn agrees_with_a_map_whatever_is_inserted_and_removed() {
        let mut rng = crate::rng::Rng::new(7);
        let (mut wanted, mut model) = (Wanted::default(), BTreeMap::new());
        for step in 0..5_000_u32 {
            let share = if rng.below(2) == 0 { "$share/group/" } else { "" };
            let filter = TopicFilter::new(format!("{share}sensor/{}", rng.below(9))).unwrap();
            // Mostly few, at times none, at times all.
            if rng.below(100) < 40 + u64::from(step / 500 % 2) * 20 {
                assert_eq!(
                    wanted.or_insert_with(&filter, || step),
                    model.entry(filter.clone()).or_insert(step)
                );
            } else {
                wanted.remove(&filter);
                model.remove(&filter);
            }
            assert_eq!(wanted.get(&filter), model.get(&filter));
            assert_eq!(wanted.get_mut(&filter), model.get_mut(&filter));
            assert!(wanted.filters().eq(model.keys()));
            assert!(wanted.shared().eq(model.keys().filter(|filter| filter.share_name().is_some())));
            assert!(wanted.iter_mut().map(|(filter, value)| (filter, &*value)).eq(&model));
        }
    }
}
