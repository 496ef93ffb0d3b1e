//! The tree of topics, which does not grow with whatever a stranger publishes.

use std::collections::BTreeMap;
use std::time::Duration;

use packetboat::Message;

use crate::plain::plain;

/// Bytes of names kept; as many again for the keys of children.
const NAMES: usize = 16 * 1024 * 1024;

/// Levels told apart; what is below is one level.
const DEEPEST: usize = 24;

/// Bytes of the last payload kept.
const PREVIEW: usize = 256;

/// A level of some topics.
#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) name: Box<str>,
    parent: usize,
    pub(super) depth: usize,
    children: BTreeMap<Box<str>, usize>,
    /// Messages on this topic and below.
    pub(super) messages: u64,
    /// At the last tick.
    before: u64,
    pub(super) rate: f64,
    pub(super) last: Option<Last>,
    pub(super) closed: bool,
}

/// The last message of a topic.
#[derive(Debug)]
pub(super) struct Last {
    payload: Box<[u8]>,
    pub(super) length: usize,
    pub(super) qos: u8,
    pub(super) retain: bool,
}

/// The first node is the root, which has no name.
#[derive(Debug)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    limit: usize,
    names: usize,
    /// Messages of topics for which there was no room.
    pub(super) without_room: u64,
    pub(super) topics: usize,
}

/// In which order siblings stand.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Order {
    #[default]
    Name,
    Rate,
    Messages,
}

impl Order {
    pub(super) fn next(self) -> Self {
        match self {
            Self::Name => Self::Rate,
            Self::Rate => Self::Messages,
            Self::Messages => Self::Name,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Rate => "rate",
            Self::Messages => "messages",
        }
    }
}

impl Tree {
    pub(super) fn new(limit: usize) -> Self {
        Self { nodes: vec![Node::default()], limit, names: 0, without_room: 0, topics: 0 }
    }

    pub(super) fn take(&mut self, message: &Message) {
        let last = Last {
            payload: message.payload().iter().copied().take(PREVIEW).collect(),
            length: message.payload().len(),
            qos: message.qos() as u8,
            retain: message.retain(),
        };
        self.add(message.topic(), last);
    }

    fn add(&mut self, topic: &str, last: Last) {
        self.nodes[0].messages += 1;
        let mut at = 0;
        for level in topic.splitn(DEEPEST, '/') {
            let Some(child) = self.child(at, level) else {
                self.without_room += 1;
                return;
            };
            at = child;
            self.nodes[at].messages += 1;
        }
        self.topics += usize::from(self.nodes[at].last.is_none());
        self.nodes[at].last = Some(last);
    }

    fn child(&mut self, parent: usize, name: &str) -> Option<usize> {
        if let Some(child) = self.nodes[parent].children.get(name) {
            return Some(*child);
        }
        let next = self.nodes.len();
        if next > self.limit || self.names + name.len() > NAMES {
            return None;
        }
        let depth = self.nodes[parent].depth + 1;
        self.names += name.len();
        self.nodes[parent].children.insert(name.into(), next);
        self.nodes.push(Node { name: name.into(), parent, depth, ..Node::default() });
        Some(next)
    }

    /// So much time has passed since the last tick.
    pub(super) fn tick(&mut self, time: Duration) {
        // A quarter of a rate is what was before, so that it does not jump about.
        const INERTIA: f64 = 0.25;
        for node in &mut self.nodes {
            #[allow(clippy::cast_precision_loss, reason = "a rate for people")]
            let now = (node.messages - node.before) as f64 / time.as_secs_f64().max(1e-3);
            node.rate = if node.before == 0 { now } else { node.rate * INERTIA + now * (1.0 - INERTIA) };
            if node.rate < 0.005 {
                node.rate = 0.0;
            }
            node.before = node.messages;
        }
    }

    pub(super) fn node(&self, at: usize) -> &Node {
        &self.nodes[at]
    }

    pub(super) fn all(&self) -> &Node {
        &self.nodes[0]
    }

    pub(super) fn has_children(&self, at: usize) -> bool {
        !self.nodes[at].children.is_empty()
    }

    pub(super) fn close(&mut self, at: usize, closed: bool) {
        self.nodes[at].closed = closed;
    }

    pub(super) fn close_all(&mut self, closed: bool) {
        for node in &mut self.nodes[1..] {
            node.closed = closed;
        }
    }

    /// Above it; `None` at the top.
    pub(super) fn parent(&self, at: usize) -> Option<usize> {
        Some(self.nodes[at].parent).filter(|parent| *parent != 0)
    }

    /// The nodes that are not below a closed one, from top to bottom.
    pub(super) fn visible(&self, order: Order) -> Vec<usize> {
        let mut visible = Vec::new();
        let mut open = vec![0];
        while let Some(at) = open.pop() {
            if at != 0 {
                visible.push(at);
            }
            if self.nodes[at].closed {
                continue;
            }
            let mut children: Vec<usize> = self.nodes[at].children.values().copied().collect();
            match order {
                Order::Name => {}
                Order::Rate => {
                    children.sort_by(|one, other| self.nodes[*other].rate.total_cmp(&self.nodes[*one].rate));
                }
                Order::Messages => children.sort_by_key(|at| std::cmp::Reverse(self.nodes[*at].messages)),
            }
            open.extend(children.into_iter().rev());
        }
        visible
    }

    /// The whole topic, fit for a terminal.
    pub(super) fn topic(&self, mut at: usize) -> String {
        let mut levels = Vec::new();
        while at != 0 {
            levels.push(plain(&self.nodes[at].name));
            at = self.nodes[at].parent;
        }
        levels.reverse();
        levels.join("/")
    }
}

impl Last {
    /// The payload as text, or in hexadecimal digits, fit for a terminal.
    pub(super) fn preview(&self) -> String {
        let cut = self.length > self.payload.len();
        let text = match std::str::from_utf8(&self.payload) {
            Ok(text) => Some(text),
            // Cut in the middle of a character.
            Err(error) if cut && error.error_len().is_none() => {
                std::str::from_utf8(&self.payload[..error.valid_up_to()]).ok()
            }
            Err(_) => None,
        };
        let mut preview = text.map_or_else(|| hexadecimal(&self.payload), plain);
        if cut {
            preview.push_str("...");
        }
        preview
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("<{}>", digits.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last(payload: &[u8]) -> Last {
        let length = payload.len();
        Last { payload: payload.iter().copied().take(PREVIEW).collect(), length, qos: 0, retain: false }
    }

    fn names(tree: &Tree, order: Order) -> Vec<String> {
        tree.visible(order).into_iter().map(|at| tree.topic(at)).collect()
    }

    #[test]
    fn topics_stand_below_each_other_with_sums_and_rates() {
        let mut tree = Tree::new(100);
        for topic in ["a/b", "a/c", "a/c", "b", "a", "/x"] {
            tree.add(topic, last(topic.as_bytes()));
        }
        assert_eq!(names(&tree, Order::Name), ["", "/x", "a", "a/b", "a/c", "b"]);
        let a = tree.visible(Order::Name)[2];
        assert_eq!((tree.node(a).messages, tree.all().messages, tree.topics), (4, 6, 5));
        tree.tick(Duration::from_secs(2));
        assert!((tree.node(a).rate - 2.0).abs() < 1e-9);
        assert_eq!(names(&tree, Order::Rate), ["a", "a/c", "a/b", "", "/x", "b"]);
        tree.close(a, true);
        assert_eq!(names(&tree, Order::Name), ["", "/x", "a", "b"]);
        for _ in 0..20 {
            tree.tick(Duration::from_secs(1));
        }
        assert!(tree.node(a).rate < f64::EPSILON);
    }

    /// More topics than there is room for, longer ones than anybody needs, and deeper ones.
    #[test]
    fn strangers_cannot_make_it_grow() {
        let mut tree = Tree::new(1000);
        for number in 0..10_000 {
            tree.add(&format!("flood/{number}"), last(b""));
        }
        assert_eq!((tree.nodes.len(), tree.without_room), (1001, 10_000 - 999));
        assert_eq!(tree.all().messages, 10_000);
        // What is known is counted on.
        tree.add("flood/0", last(b"again"));
        assert_eq!(tree.without_room, 10_000 - 999);
        let mut tree = Tree::new(1_000_000);
        for number in 0..400 {
            tree.add(&format!("{number}{}", "x".repeat(60_000)), last(&vec![0; 100_000]));
        }
        assert!(tree.names <= NAMES && tree.without_room > 100);
        let mut tree = Tree::new(1_000_000);
        tree.add(&"/".repeat(60_000), last(b""));
        assert_eq!(tree.nodes.len(), 1 + DEEPEST);
    }

    #[test]
    fn payloads_are_shown_without_harm() {
        assert_eq!(last(b"21.5").preview(), "21.5");
        assert_eq!(last(b"\x1b[2J\n").preview(), "\\u{1b}[2J\\n");
        assert_eq!(last(b"\xff\x00").preview(), "<ff 00>");
        let long = "\u{e4}".repeat(200);
        assert_eq!(last(format!("x{long}").as_bytes()).preview(), format!("x{}...", "\u{e4}".repeat(127)));
    }
}
