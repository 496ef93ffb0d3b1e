//! What of a JSON payload is wanted, and which payloads are.

use std::borrow::Cow;
use std::str::FromStr;

use super::compact::compact;
use super::pointer::{Pointer, pretty, string};

/// `--where`: a pointer that leads somewhere, or to a value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Condition {
    pointer: Pointer,
    value: Option<serde_json::Value>,
}

impl FromStr for Condition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (pointer, value) = match text.split_once('=') {
            Some((pointer, value)) => (pointer, Some(value)),
            None => (text, None),
        };
        // What is no JSON is text, so that nobody has to quote a word.
        let value = value.map(|value| serde_json::from_str(value).unwrap_or_else(|_| value.into()));
        Ok(Self { pointer: pointer.parse()?, value })
    }
}

impl Condition {
    fn holds(&self, json: &[u8]) -> bool {
        let Some(found) = self.pointer.find(json) else { return false };
        let Some(wanted) = &self.value else { return true };
        serde_json::from_slice(found).is_ok_and(|found: serde_json::Value| is_same(&found, wanted))
    }
}

/// Numbers are what they stand for: 1, 1.0 and 1e0 are the same.
fn is_same(one: &serde_json::Value, other: &serde_json::Value) -> bool {
    match (one.as_f64(), other.as_f64()) {
        (Some(one_number), Some(other_number)) => {
            one == other || one_number.total_cmp(&other_number).is_eq() && !(one.is_i64() && other.is_i64())
        }
        _ => one == other,
    }
}

/// All hold; a payload that is no JSON is not asked for.
pub(crate) fn all_hold(conditions: &[Condition], payload: &[u8]) -> bool {
    if conditions.is_empty() {
        return true;
    }
    let mut json = Vec::new();
    compact(payload, &mut json).is_some() && conditions.iter().all(|condition| condition.holds(&json))
}

/// What is to be printed of a payload; `None`: nothing, for the pointer leads nowhere.
pub(crate) fn selected<'a>(
    payload: &'a [u8],
    pointer: Option<&Pointer>,
    is_pretty: bool,
) -> Option<Cow<'a, [u8]>> {
    if pointer.is_none() && !is_pretty {
        return Some(payload.into());
    }
    let mut json = Vec::new();
    if compact(payload, &mut json).is_none() {
        return pointer.is_none().then(|| payload.into());
    }
    let found = match pointer {
        None => &json[..],
        Some(pointer) => pointer.find(&json)?,
    };
    // A program that asks for a text wants it as it is.
    if pointer.is_some() && found.first() == Some(&b'"') {
        return string(found).map(|text| text.into_bytes().into());
    }
    if !is_pretty {
        return Some(found.to_vec().into());
    }
    let mut out = Vec::new();
    pretty(found, &mut out);
    Some(out.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_hold_or_do_not() {
        let json = br#"{ "a": 1, "b": "on", "c": [null, 1.50], "n": 9007199254740993 }"#;
        for text in [
            "/a",
            "/a=1",
            "/a=1.0",
            "/b=on",
            "/b=\"on\"",
            "/c/0=null",
            "/c/1=1.5",
            "/c=[null,1.5]",
            "/n=9007199254740993",
        ] {
            assert!(all_hold(&[text.parse().unwrap()], json), "{text}");
        }
        for text in ["/x", "/a=2", "/a=\"1\"", "/b=off", "/c/2", "/n=9007199254740992"] {
            assert!(!all_hold(&[text.parse().unwrap()], json), "{text}");
        }
        assert!(!all_hold(&["".parse().unwrap()], b"no json"));
        assert!(!all_hold(&["/a".parse().unwrap(), "/b=off".parse().unwrap()], json));
        assert!("a".parse::<Condition>().is_err());
    }
}
