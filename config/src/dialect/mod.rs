//! Files of other systems, read unchanged: their keys held against a table of their own, and what they say put in ours.

mod amqtt;
mod hardware;
mod mongoose;

use std::fmt;

use crate::check::Checked;
use crate::node::{Node, Position, Value};

/// Whose keys a file has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Dialect {
    /// Our own.
    Packetboat,
    /// Mongoose OS: the sections `mqtt` and `mqtt1` of a device's configuration, or what is in the first of them alone.
    Mongoose,
    /// amqtt's configuration dictionary, of both generations.
    Amqtt,
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Packetboat => "packetboat",
            Self::Mongoose => "Mongoose OS",
            Self::Amqtt => "amqtt",
        })
    }
}

/// Keys that only files of theirs have, at the top.
const OF_MONGOOSE: [&str; 9] = [
    "mqtt",
    "mqtt1",
    "pass",
    "clean_session",
    "reconnect_timeout_min",
    "reconnect_timeout_max",
    "ssl_ca_cert",
    "will_topic",
    "user",
];
const OF_AMQTT: [&str; 11] = [
    "ping_delay",
    "default_qos",
    "default_retain",
    "auto_reconnect",
    "reconnect_retries",
    "reconnect_max_interval",
    "cleansession",
    "connection",
    "broker",
    "check_hostname",
    "connection_timeout",
];

impl Dialect {
    /// The one whose keys these seem to be.
    pub(crate) fn of(node: &Node) -> Self {
        let count = |keys: &[&str]| match &node.value {
            Value::Table(entries) => entries.iter().filter(|(key, _)| keys.contains(&key.as_str())).count(),
            _ => 0,
        };
        match (count(&OF_MONGOOSE), count(&OF_AMQTT)) {
            (0, 0) => Self::Packetboat,
            (mongoose, amqtt) if mongoose >= amqtt => Self::Mongoose,
            _ => Self::Amqtt,
        }
    }

    /// What a file says, in our keys.
    pub(crate) fn translate(self, node: &Node, checked: &mut Checked) -> Vec<Said> {
        match self {
            Self::Packetboat => Vec::new(),
            Self::Mongoose => mongoose::translate(node, checked),
            Self::Amqtt => amqtt::translate(node, checked),
        }
    }
}

/// A value in our keys, and where it comes from.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) path: &'static str,
    pub(crate) value: Value,
    pub(crate) at: Option<Position>,
    /// The key it was said by; `None`: it is that system's default.
    pub(crate) key: Option<String>,
}

/// What a table said, by that system's keys.
struct Table {
    /// How its keys are called in messages.
    name: &'static str,
    values: Vec<(&'static str, Node)>,
}

impl Table {
    /// Look through one; what is wrong with it goes to `checked`.
    fn check(
        node: &Node,
        keys: &'static [crate::schema::Key],
        name: &'static str,
        checked: &mut Checked,
    ) -> Self {
        let mut own = Checked::default();
        own.table(node, keys, name);
        checked.problems.append(&mut own.problems);
        checked.warnings.append(&mut own.warnings);
        Self { name, values: own.values.into_iter().map(|(key, node)| (key.path, node)).collect() }
    }

    fn node(&self, key: &str) -> Option<&Node> {
        self.values.iter().find(|(path, _)| *path == key).map(|(_, node)| node)
    }

    /// A text that says something.
    fn text(&self, key: &str) -> Option<&str> {
        match &self.node(key)?.value {
            Value::Text(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    fn is(&self, key: &str, default: bool) -> bool {
        match self.node(key) {
            Some(Node { value: Value::Bool(value), .. }) => *value,
            _ => default,
        }
    }

    fn integer(&self, key: &str) -> Option<i64> {
        match self.node(key)?.value {
            Value::Integer(number) => Some(number),
            _ => None,
        }
    }

    /// Our key says `value` because this one does, or by default.
    fn say(&self, path: &'static str, value: Value, key: &str) -> Said {
        let node = self.node(key);
        let named = node.map(|_| format!("{}{key}", self.name));
        Said { path, value, at: node.and_then(|node| node.at), key: named }
    }

    /// Our key says what this one does, if it says anything.
    fn pass(&self, path: &'static str, key: &str) -> Option<Said> {
        let node = self.node(key)?;
        let is_empty = matches!(&node.value, Value::Text(text) if text.is_empty());
        (!is_empty).then(|| self.say(path, node.value.clone(), key))
    }

    /// The same, with that system's default.
    fn pass_or(&self, path: &'static str, key: &str, default: Value) -> Said {
        self.pass(path, key).unwrap_or(Said { path, value: default, at: None, key: None })
    }
}
