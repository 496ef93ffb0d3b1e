//! Reading a table key by key. What was asked for is what may be there: whatever else is, is a mistake.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use packetboat::QoS;
use packetboat_config::{Node, Position, Problem, Value, nearest_word};

/// What is wrong with a file, and what is worth knowing, as it comes to light.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    problems: RefCell<Vec<Problem>>,
    warnings: RefCell<Vec<Problem>>,
}

impl Findings {
    pub(crate) fn wrong(&self, at: Option<Position>, key: impl Into<String>, message: impl Into<String>) {
        self.problems.borrow_mut().push(Problem::new(at, key, message));
    }

    /// What somebody found in what is at this place.
    pub(crate) fn below(&self, at: Option<Position>, path: &str, found: Vec<Problem>) {
        self.problems.borrow_mut().extend(found.into_iter().map(|problem| placed(problem, at, path)));
    }

    pub(crate) fn warn_below(&self, at: Option<Position>, path: &str, found: &[Problem]) {
        let found = found.iter().cloned().map(|problem| placed(problem, at, path));
        self.warnings.borrow_mut().extend(found);
    }

    /// Problems and warnings, in the order of the text of this file.
    pub(crate) fn end(self, file: &str) -> (Vec<Problem>, Vec<Problem>) {
        let sorted = |mut list: Vec<Problem>| {
            list.sort_by_key(|problem| problem.at);
            // Some keys are read twice.
            list.dedup();
            for problem in &mut list {
                file.clone_into(&mut problem.source);
            }
            list
        };
        (sorted(self.problems.into_inner()), sorted(self.warnings.into_inner()))
    }
}

fn placed(mut problem: Problem, at: Option<Position>, path: &str) -> Problem {
    problem.at = problem.at.or(at);
    problem.key = joined(path, &problem.key);
    problem
}

fn joined(path: &str, key: &str) -> String {
    let dot = if path.is_empty() || key.is_empty() { "" } else { "." };
    format!("{path}{dot}{key}")
}

/// A key, or the ways in which it may be written: the first is ours.
pub(crate) trait Key: Copy {
    fn ways(&self) -> &[&str];
}

impl Key for &str {
    fn ways(&self) -> &[&str] {
        std::slice::from_ref(self)
    }
}

impl<const N: usize> Key for [&str; N] {
    fn ways(&self) -> &[&str] {
        self
    }
}

/// Reads a table by itself: what it says, or all that is wrong with it.
pub(crate) fn read<T>(node: &Node, read: impl FnOnce(&Table<'_>) -> Option<T>) -> Result<T, Vec<Problem>> {
    let findings = Findings::default();
    let value = Table::of(node, "", &findings).and_then(|table| {
        let value = read(&table);
        table.end();
        value
    });
    match (value, findings.end("").0) {
        (Some(value), problems) if problems.is_empty() => Ok(value),
        (_, problems) => Err(problems),
    }
}

/// A table that is being read.
#[derive(Debug)]
pub(crate) struct Table<'a> {
    entries: &'a [(String, Node)],
    pub(crate) at: Option<Position>,
    /// How it is called in messages.
    pub(crate) path: String,
    pub(crate) findings: &'a Findings,
    asked: RefCell<Vec<String>>,
    /// A key of other systems may be there: what is not known is left alone.
    open: Cell<bool>,
}

impl<'a> Table<'a> {
    /// `None` where the node is something else, which is told.
    pub(crate) fn of(node: &'a Node, path: impl Into<String>, findings: &'a Findings) -> Option<Self> {
        let path = path.into();
        let Value::Table(entries) = &node.value else {
            findings.wrong(node.at, path, format!("must be a table, and is {}", node.value.kind()));
            return None;
        };
        let (asked, open) = (RefCell::default(), Cell::new(false));
        Some(Self { entries, at: node.at, path, findings, asked, open })
    }

    pub(crate) fn key(&self, key: &str) -> String {
        joined(&self.path, key)
    }

    pub(crate) fn node(&self, key: impl Key) -> Option<&'a Node> {
        let ways = key.ways();
        self.asked.borrow_mut().extend(ways.iter().map(ToString::to_string));
        let mut found = self.entries.iter().filter(|(name, _)| ways.contains(&name.as_str()));
        let (first, node) = found.next()?;
        if let Some((second, node)) = found.next() {
            let message = format!("is said a second time: it is the same as `{first}`");
            self.findings.wrong(node.at.or(self.at), self.key(second), message);
        }
        Some(node)
    }

    pub(crate) fn entries(&self) -> &'a [(String, Node)] {
        self.open.set(true);
        self.entries
    }

    /// A key's value is wrong.
    pub(crate) fn wrong(&self, key: impl Key, message: impl Into<String>) {
        let ways = key.ways();
        let found = self.entries.iter().find(|(name, _)| ways.contains(&name.as_str()));
        let at = found.and_then(|(_, node)| node.at);
        self.findings.wrong(at.or(self.at), self.key(ways[0]), message);
    }

    fn value<T>(&self, key: impl Key, wanted: &str, read: impl FnOnce(&'a Value) -> Option<T>) -> Option<T> {
        let node = self.node(key)?;
        let value = read(&node.value);
        if value.is_none() {
            self.wrong(key, format!("must be {wanted}, and is {}", said(&node.value)));
        }
        value
    }

    pub(crate) fn text(&self, key: impl Key) -> Option<&'a str> {
        self.value(key, "text", |value| match value {
            Value::Text(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// A text that must be there, and say something.
    pub(crate) fn needed(&self, key: impl Key, why: &str) -> Option<&'a str> {
        let is_there = |(name, _): &(String, Node)| key.ways().contains(&name.as_str());
        let text = self.text(key);
        if text == Some("") {
            self.wrong(key, format!("is empty: {why}"));
        } else if !self.entries.iter().any(is_there) {
            self.wrong(key, format!("is missing: {why}"));
        }
        text.filter(|text| !text.is_empty())
    }

    pub(crate) fn flag(&self, key: impl Key) -> Option<bool> {
        self.value(key, "true or false", |value| match value {
            Value::Bool(flag) => Some(*flag),
            _ => None,
        })
    }

    pub(crate) fn integer(&self, key: impl Key, from: u32, to: u32) -> Option<u32> {
        self.value(key, &format!("a whole number from {from} to {to}"), |value| match value {
            Value::Integer(number) => {
                u32::try_from(*number).ok().filter(|number| (from..=to).contains(number))
            }
            _ => None,
        })
    }

    pub(crate) fn qos(&self, key: impl Key) -> Option<QoS> {
        match self.integer(key, 0, 2)? {
            0 => Some(QoS::AtMostOnce),
            1 => Some(QoS::AtLeastOnce),
            _ => Some(QoS::ExactlyOnce),
        }
    }

    /// A number above 0.
    pub(crate) fn positive(&self, key: impl Key, wanted: &str) -> Option<f64> {
        self.value(key, wanted, |value| {
            match value {
                // What a rate or time may be is far below where this is not exact.
                Value::Integer(number) => i32::try_from(*number).ok().map(f64::from),
                Value::Float(number) => Some(*number),
                _ => None,
            }
            .filter(|number| number.is_finite() && *number > 0.0 && *number <= f64::from(i32::MAX))
        })
    }

    pub(crate) fn seconds(&self, key: impl Key) -> Option<Duration> {
        self.positive(key, "a number of seconds above 0").map(Duration::from_secs_f64)
    }

    /// An absent one is empty.
    pub(crate) fn list(&self, key: impl Key) -> &'a [Node] {
        let list = self.value(key, "a list", |value| match value {
            Value::List(list) => Some(list.as_slice()),
            _ => None,
        });
        list.unwrap_or_default()
    }

    /// The tables of a list, each with its node.
    pub(crate) fn tables(&self, key: impl Key) -> impl Iterator<Item = (&'a Node, Table<'a>)> {
        let (path, findings) = (self.key(key.ways()[0]), self.findings);
        self.list(key).iter().enumerate().filter_map(move |(number, node)| {
            Some((node, Table::of(node, format!("{path}[{number}]"), findings)?))
        })
    }

    pub(crate) fn table(&self, key: impl Key) -> Option<Table<'a>> {
        Table::of(self.node(key)?, self.key(key.ways()[0]), self.findings)
    }

    /// Everything else in it is a mistake.
    pub(crate) fn end(&self) {
        if self.open.get() {
            return;
        }
        let asked = self.asked.borrow();
        for (key, node) in self.entries.iter().filter(|(key, _)| !asked.contains(key)) {
            let near = nearest_word(key, asked.iter().map(String::as_str));
            let near = near.map_or_else(
                || format!(": there are {}", asked.join(", ")),
                |near| format!(": did you mean `{}`?", self.key(near)),
            );
            self.findings.wrong(node.at.or(self.at), self.key(key), format!("is no key{near}"));
        }
    }
}

fn said(value: &Value) -> String {
    match value {
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        other => other.kind().to_owned(),
    }
}
