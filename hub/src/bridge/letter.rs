//! What is written on a dead letter.

use std::fmt::Write;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use packetboat::{Message, PropertiesBuf};

/// What became of a message.
pub(super) struct Obituary<'a> {
    pub(super) pipe: &'a str,
    pub(super) destination: &'a str,
    /// Where it arrived.
    pub(super) topic: &'a str,
    pub(super) error: &'a str,
    pub(super) attempts: u32,
}

/// A property holds no more than 65,535 bytes, and nobody reads longer errors.
const LONGEST: usize = 4096;

impl Obituary<'_> {
    fn words(&self) -> [(&'static str, String); 5] {
        let error = &self.error[..self.error.floor_char_boundary(LONGEST)];
        [
            ("error", error.to_owned()),
            ("pipe", self.pipe.to_owned()),
            ("destination", self.destination.to_owned()),
            ("topic", self.topic.to_owned()),
            ("attempts", self.attempts.to_string()),
        ]
    }

    /// The message's properties, and why it is dead.
    pub(super) fn properties(&self, mut own: PropertiesBuf) -> PropertiesBuf {
        for (name, value) in self.words() {
            // Texts of ours hold no characters that a property cannot.
            let _ = own.user_property(&format!("packetboat-{name}"), &value);
        }
        own
    }

    /// The whole message as an object of JSON, for where there are no properties: the payload as text if it is, else in
    /// Base64.
    pub(super) fn envelope(&self, message: &Message) -> String {
        let mut out = String::from("{");
        for (name, value) in self.words() {
            let _ = write!(out, "\"{name}\":{},", quoted(&value));
        }
        let _ = write!(out, "\"qos\":{},\"retain\":{},", message.qos() as u8, message.retain());
        let users = message.properties().user_properties();
        let users: Vec<String> =
            users.map(|(name, value)| format!("[{},{}]", quoted(name), quoted(value))).collect();
        let _ = write!(out, "\"user_properties\":[{}],", users.join(","));
        let _ = match std::str::from_utf8(message.payload()) {
            Ok(text) => write!(out, "\"payload\":{}", quoted(text)),
            Err(_) => write!(out, "\"payload_base64\":\"{}\"", BASE64_STANDARD.encode(message.payload())),
        };
        out + "}\n"
    }
}

/// A text as JSON has it.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            letter if letter < ' ' => drop(write!(out, "\\u{:04x}", u32::from(letter))),
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted_for_json() {
        assert_eq!(quoted("a\"b\\c\nd\u{1F600}"), "\"a\\\"b\\\\c\\u000ad\u{1F600}\"");
    }
}
