//! What a file says, whatever its format, with the places where it says it.

use std::fmt;

/// A place in a text, counted from 1.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Position {
    /// Line.
    pub line: usize,
    /// Column, in characters.
    pub column: usize,
}

impl Position {
    /// That of a byte.
    pub(crate) fn of(text: &str, byte: usize) -> Self {
        let before = text.get(..byte).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Self { line, column }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// A value, and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where; `None` if it is not from a text.
    pub at: Option<Position>,
    /// What.
    pub value: Value,
}

/// What TOML, JSON and YAML can say.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Another number.
    Float(f64),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// Keys and their values, in the order of the text.
    Table(Vec<(String, Node)>),
}

impl Value {
    /// What it is, for errors: "a list".
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "true or false",
            Self::Integer(_) => "a whole number",
            Self::Float(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

impl From<Value> for Node {
    fn from(value: Value) -> Self {
        Self { at: None, value }
    }
}

impl Node {
    /// The value of a key, if this is a table that has it.
    #[must_use]
    pub fn key(&self, key: &str) -> Option<&Self> {
        let Value::Table(entries) = &self.value else { return None };
        entries.iter().find(|(name, _)| name == key).map(|(_, node)| node)
    }

    /// Put a value at a path of tables, which are made.
    pub(crate) fn put(&mut self, path: &str, node: Node) {
        let Value::Table(entries) = &mut self.value else { return };
        let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
        let Some(rest) = rest else { return entries.push((first.to_owned(), node)) };
        if !entries.iter().any(|(key, _)| key == first) {
            entries.push((first.to_owned(), Value::Table(Vec::new()).into()));
        }
        if let Some((_, table)) = entries.iter_mut().find(|(key, _)| key == first) {
            table.put(rest, node);
        }
    }
}
