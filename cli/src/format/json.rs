//! `%j` and `%J`: a message as a JSON object on one line.

use jiff::Zoned;
use jiff::fmt::strtime;
use packetboat::QoS;
use packetboat_core::wire::Properties;

use super::{NotJson, View};

/// Objects and arrays inside each other; more is refused.
const DEEPEST: usize = 512;

pub(super) fn render(
    message: &View<'_>,
    now: &Zoned,
    payload_is_json: bool,
    out: &mut Vec<u8>,
) -> Result<(), NotJson> {
    let start = out.len();
    let time = strtime::format("%Y-%m-%dT%H:%M:%S.%6f%z", now).unwrap_or_default();
    out.extend_from_slice(format!("{{\"tst\":\"{time}\",\"topic\":").as_bytes());
    string(message.topic, out);
    let (qos, retain, length) = (message.qos as u8, u8::from(message.retain), message.payload.len());
    out.extend_from_slice(format!(",\"qos\":{qos},\"retain\":{retain},\"payloadlen\":{length}").as_bytes());
    if message.qos != QoS::AtMostOnce {
        out.extend_from_slice(format!(",\"mid\":{}", message.packet_identifier).as_bytes());
    }
    if !message.properties.is_empty() {
        properties(message.properties, out);
    }
    out.extend_from_slice(b",\"payload\":");
    if message.payload.is_empty() {
        out.extend_from_slice(b"null");
    } else if !payload_is_json {
        bytes(message.payload, out);
    } else if compact(message.payload, out).is_none() {
        out.truncate(start);
        return Err(NotJson);
    }
    out.push(b'}');
    Ok(())
}

fn properties(properties: Properties<'_>, out: &mut Vec<u8>) {
    let mut object = Object { out, empty: true };
    object.out.extend_from_slice(b",\"properties\":{");
    object.number("payload-format-indicator", properties.payload_format_indicator().map(u32::from));
    object.number("message-expiry-interval", properties.message_expiry_interval());
    object.text("content-type", properties.content_type());
    object.text("response-topic", properties.response_topic());
    if let Some(data) = properties.correlation_data() {
        bytes(data, object.name("correlation-data"));
    }
    object.number("subscription-identifier", properties.subscription_identifiers().next());
    object.number("topic-alias", properties.topic_alias().map(u32::from));
    if properties.user_properties().next().is_some() {
        let out = object.name("user-properties");
        out.push(b'{');
        let mut pairs = Object { out, empty: true };
        for (name, value) in properties.user_properties() {
            pairs.text(name, Some(value));
        }
        pairs.out.push(b'}');
    }
    out.push(b'}');
}

struct Object<'a> {
    out: &'a mut Vec<u8>,
    empty: bool,
}

impl Object<'_> {
    fn name(&mut self, name: &str) -> &mut Vec<u8> {
        if !std::mem::take(&mut self.empty) {
            self.out.push(b',');
        }
        string(name, self.out);
        self.out.push(b':');
        self.out
    }

    fn number(&mut self, name: &str, number: Option<u32>) {
        if let Some(number) = number {
            self.name(name).extend_from_slice(number.to_string().as_bytes());
        }
    }

    fn text(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            string(text, self.name(name));
        }
    }
}

/// Text as a string; anything else as an array of its bytes, so that nothing is lost.
fn bytes(bytes: &[u8], out: &mut Vec<u8>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => string(text, out),
        Err(_) => {
            let numbers: Vec<String> = bytes.iter().map(u8::to_string).collect();
            out.extend_from_slice(format!("[{}]", numbers.join(",")).as_bytes());
        }
    }
}

fn string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..=0x1f | 0x7f => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// Append a JSON text without its white space; `None` if it is none.
fn compact(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let mut reader = Reader { rest: std::str::from_utf8(text).ok()?.as_bytes(), out };
    // The brackets that are open, instead of recursion: the payload decides how deep it goes.
    let mut open: Vec<u8> = Vec::new();
    loop {
        reader.blanks();
        let opened = match reader.peek()? {
            bracket @ (b'{' | b'[') => {
                reader.take(1);
                open.push(bracket);
                if open.len() > DEEPEST {
                    return None;
                }
                reader.blanks();
                reader.peek()? != closing(bracket)
            }
            _ => {
                reader.scalar()?;
                false
            }
        };
        if !opened {
            loop {
                reader.blanks();
                match (open.last(), reader.peek()) {
                    (None, None) => return Some(()),
                    (Some(&bracket), Some(byte)) if byte == closing(bracket) => {
                        reader.take(1);
                        open.pop();
                    }
                    (Some(_), Some(b',')) => {
                        reader.take(1);
                        break;
                    }
                    _ => return None,
                }
            }
        }
        if open.last() == Some(&b'{') {
            reader.key()?;
        }
    }
}

fn closing(bracket: u8) -> u8 {
    if bracket == b'{' { b'}' } else { b']' }
}

struct Reader<'a, 'b> {
    rest: &'a [u8],
    out: &'b mut Vec<u8>,
}

impl Reader<'_, '_> {
    fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    fn blanks(&mut self) {
        self.rest = self.rest.trim_ascii_start();
    }

    fn take(&mut self, count: usize) {
        let (taken, rest) = self.rest.split_at(count);
        self.out.extend_from_slice(taken);
        self.rest = rest;
    }

    fn key(&mut self) -> Option<()> {
        self.blanks();
        self.string()?;
        self.blanks();
        if self.peek() != Some(b':') {
            return None;
        }
        self.take(1);
        Some(())
    }

    fn scalar(&mut self) -> Option<()> {
        if self.peek()? == b'"' {
            return self.string();
        }
        for word in ["true", "false", "null"] {
            if self.rest.starts_with(word.as_bytes()) {
                self.take(word.len());
                return Some(());
            }
        }
        let length = number(self.rest)?;
        self.take(length);
        Some(())
    }

    fn string(&mut self) -> Option<()> {
        let mut at = 1;
        if self.peek()? != b'"' {
            return None;
        }
        loop {
            match self.rest.get(at)? {
                b'"' => break,
                b'\\' => match self.rest.get(at + 1)? {
                    b'u' => {
                        let digits = self.rest.get(at + 2..at + 6)?;
                        digits.iter().all(u8::is_ascii_hexdigit).then_some(())?;
                        at += 6;
                    }
                    b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => at += 2,
                    _ => return None,
                },
                0..=0x1f => return None,
                _ => at += 1,
            }
        }
        self.take(at + 1);
        Some(())
    }
}

/// The length of the number at the start of the text.
fn number(text: &[u8]) -> Option<usize> {
    let digits = |from: usize| text[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut at = usize::from(text.first() == Some(&b'-'));
    let whole = digits(at);
    if whole == 0 || whole > 1 && text[at] == b'0' {
        return None;
    }
    at += whole;
    if text.get(at) == Some(&b'.') {
        let count = digits(at + 1);
        if count == 0 {
            return None;
        }
        at += 1 + count;
    }
    if matches!(text.get(at), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(text.get(at + 1), Some(b'+' | b'-')));
        let count = digits(at + 1 + sign);
        if count == 0 {
            return None;
        }
        at += 1 + sign + count;
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compacted(text: &str) -> Option<String> {
        let mut out = Vec::new();
        compact(text.as_bytes(), &mut out)?;
        Some(String::from_utf8(out).unwrap())
    }

    #[test]
    fn json_loses_its_white_space_and_nothing_else() {
        for (text, expected) in [
            (" {\"a\" : [1, 2 ,{} , [ ] ] ,\n\"b c\":\"d \\\" e\\u00e4\"} ", "{\"a\":[1,2,{},[]],\"b c\":\"d \\\" e\\u00e4\"}"),
            ("-12.5e+3", "-12.5e+3"),
            ("0", "0"),
            ("true ", "true"),
            ("[null,false]", "[null,false]"),
            ("\"\u{e4}\"", "\"\u{e4}\""),
        ] {
            assert_eq!(compacted(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in [
            "", " ", "one", "{", "}", "[1,]", "[,1]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "{1:1}", "[1 2]", "1 2", "01",
            "-", "1.", "1e", ".5", "+1", "\"a", "\"\\x\"", "\"\\u12g4\"", "\"\n\"", "[1}", "truefalse", "nul", "{\"a\":1 \"b\":2}",
        ] {
            assert_eq!(compacted(text), None, "{text}");
        }
        assert_eq!(compact(b"\"\xff\"", &mut Vec::new()), None);
        assert_eq!(compacted(&"[".repeat(100_000)), None);
    }
}
