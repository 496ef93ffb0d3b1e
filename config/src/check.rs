//! Holding what a file says against a table of keys.

use crate::Problem;
use crate::node::{Node, Value};
use crate::schema::{Key, Kind, LONGEST, QOS};

/// What a file says, key by key.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    pub(crate) values: Vec<(&'static Key, Node)>,
    pub(crate) problems: Vec<Problem>,
    pub(crate) warnings: Vec<Problem>,
}

impl Checked {
    /// Look through a table. `name` is how it is called in messages: "mqtt.", or nothing.
    pub(crate) fn table(&mut self, node: &Node, keys: &'static [Key], name: &str) {
        self.walk(node, keys, name, "");
    }

    fn walk(&mut self, node: &Node, keys: &'static [Key], name: &str, prefix: &str) {
        let Value::Table(entries) = &node.value else {
            let what = name.trim_end_matches('.').to_owned() + prefix.trim_end_matches('.');
            let kind = node.value.kind();
            return self.problems.push(Problem::new(
                node.at,
                what,
                format!("must be a table, and is {kind}"),
            ));
        };
        for (key, node) in entries {
            let path = format!("{prefix}{key}");
            let called = format!("{name}{path}");
            if let Some(key) = keys.iter().find(|key| key.path == path) {
                self.value(key, &called, node);
            } else if keys.iter().any(|key| key.path.starts_with(&format!("{path}."))) {
                self.walk(node, keys, name, &format!("{path}."));
            } else {
                let near = nearest(&path, keys).map(|near| format!(": did you mean `{name}{near}`?"));
                let message = format!("is no key{}", near.unwrap_or_default());
                self.problems.push(Problem::new(node.at, called, message));
            }
        }
    }

    fn value(&mut self, key: &'static Key, called: &str, node: &Node) {
        if let Kind::Ignored(why) = key.kind {
            return self.warnings.push(Problem::new(node.at, called, format!("is not used: {why}")));
        }
        match wrong(key.kind, node) {
            Some(wanted) => {
                let hint = hint(key.kind, node);
                let message = format!("must be {wanted}, and is {}{hint}", node.value.kind());
                self.problems.push(Problem::new(node.at, called, message));
            }
            None => self.values.push((key, node.clone())),
        }
    }
}

/// What it should be, if it is not.
pub(crate) fn wrong(kind: Kind, node: &Node) -> Option<String> {
    let is_text = |node: &Node| wrong(Kind::Text, node).is_none();
    let (fine, wanted) = match (kind, &node.value) {
        (Kind::Bool, value) => (matches!(value, Value::Bool(_)), "true or false".to_owned()),
        (Kind::Integer(from, to), value) => (
            matches!(value, Value::Integer(number) if (from..=to).contains(number)),
            format!("a whole number from {from} to {to}"),
        ),
        (Kind::Seconds, value) => (
            match value {
                Value::Integer(number) => (0..=LONGEST.into()).contains(number),
                Value::Float(number) => (0.0..=LONGEST.into()).contains(number),
                _ => false,
            },
            "a number of seconds".to_owned(),
        ),
        (Kind::Text | Kind::Secret | Kind::Url, value) => {
            (matches!(value, Value::Text(_)), "text".to_owned())
        }
        (Kind::Choice(choices), value) => (
            matches!(value, Value::Text(text) if choices.contains(&text.as_str())),
            format!("one of {}", choices.join(", ")),
        ),
        (Kind::TextList | Kind::UrlList, value) => {
            (matches!(value, Value::List(list) if list.iter().all(is_text)), "a list of texts".to_owned())
        }
        (Kind::Digests, value) => (
            matches!(value, Value::List(list) if list.iter().all(|node| digest(node).is_some())),
            "a list of SHA-256, each of 64 hexadecimal digits".to_owned(),
        ),
        (Kind::TextMap, value) => (
            matches!(value, Value::Table(map) if map.iter().all(|(_, node)| is_text(node))),
            "a table of texts".to_owned(),
        ),
        (Kind::Topics, value) => (
            matches!(value, Value::Table(map) if map.iter().all(|(_, node)| is_topic(node))),
            "a table of topics, each a table with `qos` (0, 1, 2) and `retain` (true, false)".to_owned(),
        ),
        (Kind::Ignored(_), _) => (true, String::new()),
    };
    (!fine).then_some(wanted)
}

/// What to write instead, where it is plain.
fn hint(kind: Kind, node: &Node) -> String {
    let is_number = matches!(node.value, Value::Integer(_) | Value::Float(_));
    match (kind, truth(node)) {
        (Kind::Bool, Some(is)) => format!(": write {is}"),
        (Kind::Text | Kind::Secret | Kind::Url | Kind::Choice(_), _) if is_number => {
            ": put it in quotes".to_owned()
        }
        _ => String::new(),
    }
}

/// What YAML 1.1 takes these words for. In 1.2, which is read here, they are text.
pub(crate) fn truth(node: &Node) -> Option<bool> {
    let Value::Text(text) = &node.value else { return None };
    match text.to_ascii_lowercase().as_str() {
        "yes" | "on" => Some(true),
        "no" | "off" => Some(false),
        _ => None,
    }
}

/// A SHA-256 in hexadecimal digits; the colons of OpenSSL may stand between its bytes.
pub(crate) fn digest(node: &Node) -> Option<[u8; 32]> {
    let Value::Text(text) = &node.value else { return None };
    let mut rest = text.as_str();
    let mut digest = [0; 32];
    for (place, byte) in digest.iter_mut().enumerate() {
        if place > 0 {
            rest = rest.strip_prefix(':').unwrap_or(rest);
        }
        let (pair, behind) = rest.split_at_checked(2)?;
        // `from_str_radix` would take a sign.
        let digits = pair.bytes().all(|digit| digit.is_ascii_hexdigit());
        *byte = digits.then(|| u8::from_str_radix(pair, 16).ok()).flatten()?;
        rest = behind;
    }
    rest.is_empty().then_some(digest)
}

fn is_topic(node: &Node) -> bool {
    let Value::Table(entries) = &node.value else { return false };
    entries.iter().all(|(key, node)| match key.as_str() {
        "qos" => wrong(QOS, node).is_none(),
        "retain" => wrong(Kind::Bool, node).is_none(),
        _ => false,
    })
}

/// The key that is written most like this one.
pub(crate) fn nearest(path: &str, keys: &'static [Key]) -> Option<&'static str> {
    let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    let cost = |key: &Key| {
        let whole = distance(path, key.path);
        // The right name in the wrong table.
        whole.min(distance(&last(path), &last(key.path)) + usize::from(key.path.contains('.')) + 1)
    };
    keys.iter().min_by_key(|key| cost(key)).map(|key| key.path)
}

/// The word that is written most like this one, for "did you mean". `None` where none is near.
#[must_use]
pub fn nearest_word<'a>(word: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = words.into_iter().map(|other| (distance(word, other), other)).min()?;
    (near.0 <= word.chars().count() / 2 + 1).then_some(near.1)
}

/// Letters to change, add or leave out (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, a) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, b) in other.iter().enumerate() {
            let changed = diagonal + usize::from(a != *b);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}
