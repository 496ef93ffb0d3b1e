use alloc::boxed::Box;
use alloc::vec::Vec;

use super::tree::Tree;
use crate::topic::{TopicFilter, matches_unshared};

/// Up to so many are looked through one by one. A tree of one filter takes a dozen times the memory, and most clients have
/// one filter.
const FEW: usize = 4;

/// Topic filters with their keys: a list while there are few, a tree from then on until there are none.
#[derive(Clone, Debug)]
pub(super) struct Filters<K> {
    few: Vec<(TopicFilter, K)>,
    /// If it is there, it has them all.
    tree: Option<Box<Tree<K>>>,
}

impl<K: Copy + Ord> Filters<K> {
    pub(super) const fn new() -> Self {
        Self { few: Vec::new(), tree: None }
    }

    pub(super) fn len(&self) -> usize {
        self.tree.as_ref().map_or(self.few.len(), |tree| tree.len())
    }

    pub(super) fn insert(&mut self, filter: &TopicFilter, key: K) -> bool {
        if let Some(tree) = &mut self.tree {
            return tree.insert(filter, key);
        }
        if self.position(filter, key).is_some() {
            return false;
        }
        if self.few.len() < FEW {
            self.few.reserve_exact(1);
            self.few.push((filter.clone(), key));
            return true;
        }
        let mut tree = Box::new(Tree::new());
        for (filter, key) in core::mem::take(&mut self.few) {
            tree.insert(&filter, key);
        }
        self.tree.insert(tree).insert(filter, key)
    }

    pub(super) fn remove(&mut self, filter: &TopicFilter, key: K) -> bool {
        if let Some(tree) = &mut self.tree {
            let removed = tree.remove(filter, key);
            if tree.len() == 0 {
                self.tree = None;
            }
            return removed;
        }
        let Some(position) = self.position(filter, key) else { return false };
        self.few.swap_remove(position);
        self.few.shrink_to_fit();
        true
    }

    /// Calls `visit` for every key whose filter matches, with the filter's identifier, in no order; once per filter.
    pub(super) fn for_each_matching(&mut self, topic: &str, mut visit: impl FnMut(u32, K)) {
        if let Some(tree) = &mut self.tree {
            return tree.for_each_matching(topic, visit);
        }
        for (filter, key) in self.few.iter().filter(|(filter, _)| matches_unshared(filter.filter(), topic)) {
            visit(filter.subscription_identifier(), *key);
        }
    }

    fn position(&self, filter: &TopicFilter, key: K) -> Option<usize> {
        self.few.iter().position(|one| one.0 == *filter && one.1 == key)
    }

    /// Those of the tree.
    #[cfg(test)]
    pub(super) fn used_nodes(&self) -> usize {
        self.tree.as_ref().map_or(0, |tree| tree.used_nodes())
    }
}
