//! Finding connections by their properties.

mod parse;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

pub use parse::FilterError;

/// What something is found by: names with values. Names differ by more than capital letters.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Properties {
    values: BTreeMap<Box<str>, PropertyValue>,
}

impl Properties {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets one.
    pub fn insert(&mut self, name: &str, value: impl Into<PropertyValue>) {
        self.values.insert(name.to_ascii_lowercase().into(), value.into());
    }

    /// The value of one.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&PropertyValue> {
        self.values.get(&*name.to_ascii_lowercase())
    }

    /// All, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &PropertyValue)> {
        self.values.iter().map(|(name, value)| (&**name, value))
    }
}

/// A property's value.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum PropertyValue {
    /// Text.
    Text(Box<str>),
    /// A whole number.
    Number(i64),
}

impl fmt::Display for PropertyValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => number.fmt(f),
        }
    }
}

impl From<&str> for PropertyValue {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<i64> for PropertyValue {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

/// A filter over properties, in the notation of LDAP [RFC 4515] as Pelix's users write it.
///
/// | Written | Matches where |
/// | --- | --- |
/// | `(host=broker.local)` | the value is this; numbers are compared as numbers |
/// | `(host=*.local)`, `(id=a*b*)` | the text has these parts, in this order |
/// | `(port=*)` | there is such a property |
/// | `(port>=8000)`, `(port<=8000)`, `(port>8000)`, `(port<8000)` | so compared: numbers as numbers, text as text |
/// | `(id~=My Broker)` | the same but for capital letters and white space |
/// | `(&(..)(..))`, `(\|(..)(..))`, `(!(..))` | all match; one matches; it does not match |
///
/// `\2a` stands for `*`, and so do `\28`, `\29` and `\5c` for `(`, `)` and `\`; Pelix's `\*`, `\(` and the like are understood,
/// too. Names of properties are compared without regard to capital letters. A property that is not there matches nothing but
/// its negation. The empty text matches everything.
///
/// ```
/// use packetboat_hub::{Properties, PropertyFilter};
///
/// let filter: PropertyFilter = "(&(host=*.local)(!(port=1883)))".parse()?;
/// let mut properties = Properties::new();
/// properties.insert("host", "broker.local");
/// properties.insert("port", 8883);
/// assert!(filter.matches(&properties));
/// # Ok::<(), packetboat_hub::FilterError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PropertyFilter {
    root: Option<Test>,
}

#[derive(Clone, Debug, PartialEq)]
enum Test {
    All(Vec<Test>),
    Any(Vec<Test>),
    Not(Box<Test>),
    Property { name: Box<str>, is: Comparison },
}

#[derive(Clone, Debug, PartialEq)]
enum Comparison {
    Present,
    Equal(Box<str>),
    /// First, those between, last.
    Parts(Vec<Box<str>>),
    Similar(Box<str>),
    AtLeast(Box<str>),
    AtMost(Box<str>),
    Above(Box<str>),
    Below(Box<str>),
}

impl PropertyFilter {
    /// The filter that matches everything.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// Does it match?
    #[must_use]
    pub fn matches(&self, properties: &Properties) -> bool {
        self.root.as_ref().is_none_or(|test| test.matches(properties))
    }

    /// The one text that a property must be for the filter to match, if there is such a one. `name` is in small letters.
    pub(crate) fn demands(&self, name: &str) -> Option<&str> {
        self.root.as_ref().and_then(|test| test.demands(name))
    }
}

impl FromStr for PropertyFilter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        parse::filter(text).map(|root| Self { root })
    }
}

impl Test {
    fn matches(&self, properties: &Properties) -> bool {
        match self {
            Self::All(tests) => tests.iter().all(|test| test.matches(properties)),
            Self::Any(tests) => tests.iter().any(|test| test.matches(properties)),
            Self::Not(test) => !test.matches(properties),
            // The parser has made it small letters.
            Self::Property { name, is } => properties.values.get(name).is_some_and(|value| is.matches(value)),
        }
    }

    fn demands(&self, wanted: &str) -> Option<&str> {
        match self {
            Self::All(tests) => tests.iter().find_map(|test| test.demands(wanted)),
            Self::Property { name, is: Comparison::Equal(text) } if **name == *wanted => Some(text),
            Self::Any(_) | Self::Not(_) | Self::Property { .. } => None,
        }
    }
}

impl Comparison {
    fn matches(&self, value: &PropertyValue) -> bool {
        match self {
            Self::Present => true,
            Self::Equal(text) => ordering(value, text).is_some_and(std::cmp::Ordering::is_eq),
            Self::AtLeast(text) => ordering(value, text).is_some_and(std::cmp::Ordering::is_ge),
            Self::AtMost(text) => ordering(value, text).is_some_and(std::cmp::Ordering::is_le),
            Self::Above(text) => ordering(value, text).is_some_and(std::cmp::Ordering::is_gt),
            Self::Below(text) => ordering(value, text).is_some_and(std::cmp::Ordering::is_lt),
            Self::Similar(text) => plain(&value.to_string()) == plain(text),
            Self::Parts(parts) => has_parts(&value.to_string(), parts),
        }
    }
}

/// `None`: the two cannot be compared.
fn ordering(value: &PropertyValue, text: &str) -> Option<std::cmp::Ordering> {
    match value {
        PropertyValue::Number(number) => Some(number.cmp(&text.trim().parse().ok()?)),
        PropertyValue::Text(value) => Some((**value).cmp(text)),
    }
}

fn plain(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_whitespace()).flat_map(char::to_lowercase).collect()
}

/// The first part begins the text, the last ends it, and the others stand between in their order.
fn has_parts(text: &str, parts: &[Box<str>]) -> bool {
    let [first, between @ .., last] = parts else { return false };
    let Some(rest) = text.strip_prefix(&**first) else { return false };
    let Some(mut rest) = rest.strip_suffix(&**last) else { return false };
    for part in between {
        let Some(at) = rest.find(&**part) else { return false };
        rest = &rest[at + part.len()..];
    }
    true
}

#[cfg(test)]
mod tests;
