use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::mem;

use super::edges::{Edges, NO_NODE, NodeIndex};
use super::hash;
use crate::topic::{TopicFilter, levels};

/// Topic filters as a tree of their levels. Nodes lie in one vector and know each other by index.
#[derive(Clone, Debug)]
pub(super) struct Tree<K> {
    nodes: Vec<Node<K>>,
    /// The first of the unused nodes, which are linked through `parent`.
    unused: NodeIndex,
    edges: Edges,
    length: usize,
    /// The nodes that match the levels so far, and with the next one. Kept for their allocations.
    reached: Vec<NodeIndex>,
    reached_next: Vec<NodeIndex>,
}

/// One key under one filter.
#[derive(Clone, Debug)]
struct Registration<K> {
    key: K,
    identifier: u32,
    /// Empty for a filter that is not shared: no share name is `[MQTT-4.8.2-1]`.
    share_name: Box<str>,
}

#[derive(Clone, Debug)]
struct Node<K> {
    parent: NodeIndex,
    level: Box<str>,
    /// The child for the level `+`; all others are in `Tree::edges`.
    any_level: NodeIndex,
    /// The number of children in `Tree::edges`.
    children: u32,
    /// Of filters that end here, and of filters that end with `#` below here. By key, then share name.
    exact: Vec<Registration<K>>,
    all_below: Vec<Registration<K>>,
}

const ROOT: NodeIndex = 0;
const KEPT_LENGTH: usize = super::KEPT_LENGTH;

impl<K: Copy + Ord> Tree<K> {
    pub(super) fn new() -> Self {
        Self {
            nodes: vec![Node::new(NO_NODE, "")],
            unused: NO_NODE,
            edges: Edges::new(),
            length: 0,
            reached: Vec::new(),
            reached_next: Vec::new(),
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.length
    }

    pub(super) fn insert(&mut self, filter: &TopicFilter, key: K) -> bool {
        let mut node = ROOT;
        for level in node_levels(filter) {
            node = self.child(node, level).unwrap_or_else(|| self.add_child(node, level));
        }
        let share_name = filter.share_name().unwrap_or_default();
        let registrations = self.nodes[node as usize].registrations(filter);
        let Err(place) = position(registrations, key, share_name) else { return false };
        let identifier = filter.subscription_identifier();
        registrations.insert(place, Registration { key, identifier, share_name: share_name.into() });
        self.length += 1;
        true
    }

    pub(super) fn remove(&mut self, filter: &TopicFilter, key: K) -> bool {
        let mut node = ROOT;
        for level in node_levels(filter) {
            let Some(child) = self.child(node, level) else { return false };
            node = child;
        }
        let registrations = self.nodes[node as usize].registrations(filter);
        let Ok(place) = position(registrations, key, filter.share_name().unwrap_or_default()) else {
            return false;
        };
        registrations.remove(place);
        if registrations.is_empty() {
            *registrations = Vec::new();
        }
        self.length -= 1;
        self.prune(node);
        true
    }

    /// Calls `visit` for every key whose filter matches, with the filter's identifier, in no order; once per filter.
    ///
    /// Level by level, with the set of nodes reached: a node is reached at most once, so a topic of many levels takes
    /// linear time and no stack.
    pub(super) fn for_each_matching(&mut self, topic: &str, mut visit: impl FnMut(u32, K)) {
        let mut visit = |one: &Registration<K>| visit(one.identifier, one.key);
        let mut reached = mem::take(&mut self.reached);
        let mut reached_next = mem::take(&mut self.reached_next);
        reached.clear();
        reached.push(ROOT);
        // A wildcard in the first level does not match names that begin with `$` [MQTT-4.7.2-1].
        let mut wildcards = !topic.starts_with('$');
        for level in levels(topic) {
            let level_hash = hash::of_bytes(level);
            reached_next.clear();
            for &index in &reached {
                let node = &self.nodes[index as usize];
                if wildcards {
                    node.all_below.iter().for_each(&mut visit);
                    if node.any_level != NO_NODE {
                        reached_next.push(node.any_level);
                    }
                }
                if node.children > 0 {
                    reached_next.extend(self.plain_child(index, level, level_hash));
                }
            }
            mem::swap(&mut reached, &mut reached_next);
            wildcards = true;
            if reached.is_empty() {
                break;
            }
        }
        for &index in &reached {
            let node = &self.nodes[index as usize];
            // `#` includes the parent level (section 4.7.1.2).
            node.all_below.iter().chain(&node.exact).for_each(&mut visit);
        }
        reached.shrink_to(KEPT_LENGTH);
        reached_next.shrink_to(KEPT_LENGTH);
        (self.reached, self.reached_next) = (reached, reached_next);
    }

    fn child(&self, parent: NodeIndex, level: &[u8]) -> Option<NodeIndex> {
        if level == b"+" {
            let child = self.nodes[parent as usize].any_level;
            return (child != NO_NODE).then_some(child);
        }
        self.plain_child(parent, level, hash::of_bytes(level))
    }

    #[inline]
    fn plain_child(&self, parent: NodeIndex, level: &[u8], level_hash: u64) -> Option<NodeIndex> {
        self.edges.find(hash::of_edge(level_hash, parent), |child| {
            let child = &self.nodes[child as usize];
            child.parent == parent && child.level.as_bytes() == level
        })
    }

    fn add_child(&mut self, parent: NodeIndex, level: &[u8]) -> NodeIndex {
        // A level is cut from a text at separators, so it is text.
        let child = self.add_node(Node::new(parent, core::str::from_utf8(level).unwrap_or_default()));
        if level == b"+" {
            self.nodes[parent as usize].any_level = child;
        } else {
            self.nodes[parent as usize].children += 1;
            self.edges.insert(hash::of_edge(hash::of_bytes(level), parent), child);
        }
        child
    }

    fn add_node(&mut self, node: Node<K>) -> NodeIndex {
        let index = self.unused;
        if index == NO_NODE {
            self.nodes.push(node);
            return last_index(self.nodes.len());
        }
        self.unused = mem::replace(&mut self.nodes[index as usize], node).parent;
        index
    }

    /// Removes `node` if nothing is at or below it, then its parents likewise.
    fn prune(&mut self, mut node: NodeIndex) {
        while node != ROOT && self.nodes[node as usize].is_empty() {
            let removed = mem::replace(&mut self.nodes[node as usize], Node::new(self.unused, ""));
            self.unused = node;
            let parent = &mut self.nodes[removed.parent as usize];
            if parent.any_level == node {
                parent.any_level = NO_NODE;
            } else {
                parent.children -= 1;
                let level = hash::of_bytes(removed.level.as_bytes());
                self.edges.remove(hash::of_edge(level, removed.parent), node);
            }
            node = removed.parent;
        }
        if self.length == 0 {
            self.nodes.truncate(1);
            self.nodes.shrink_to(1);
            self.unused = NO_NODE;
        }
    }

    #[cfg(test)]
    pub(super) fn used_nodes(&self) -> usize {
        let mut used = self.nodes.len();
        let mut unused = self.unused;
        while unused != NO_NODE {
            used -= 1;
            unused = self.nodes[unused as usize].parent;
        }
        used
    }
}

impl<K> Node<K> {
    fn new(parent: NodeIndex, level: &str) -> Self {
        Self {
            parent,
            level: level.into(),
            any_level: NO_NODE,
            children: 0,
            exact: Vec::new(),
            all_below: Vec::new(),
        }
    }

    /// Those that `filter`, whose node this is, belongs to.
    fn registrations(&mut self, filter: &TopicFilter) -> &mut Vec<Registration<K>> {
        if ends_with_all(filter) { &mut self.all_below } else { &mut self.exact }
    }

    fn is_empty(&self) -> bool {
        self.any_level == NO_NODE && self.children == 0 && self.exact.is_empty() && self.all_below.is_empty()
    }
}

/// The levels of a filter that are nodes: all but a last `#`.
fn node_levels(filter: &TopicFilter) -> impl Iterator<Item = &[u8]> {
    levels(filter.filter()).filter(|&level| level != b"#")
}

/// In a valid filter `#` is only the last level `[MQTT-4.7.1-1]`.
fn ends_with_all(filter: &TopicFilter) -> bool {
    filter.filter().ends_with('#')
}

fn position<K: Copy + Ord>(
    registrations: &[Registration<K>],
    key: K,
    share_name: &str,
) -> Result<usize, usize> {
    registrations.binary_search_by(|other| (other.key, &*other.share_name).cmp(&(key, share_name)))
}

#[expect(clippy::cast_possible_truncation, reason = "2^32 nodes are more than 300 GB: memory ends before")]
const fn last_index(length: usize) -> NodeIndex {
    (length - 1) as NodeIndex
}
