//! `%j` and `%J`: a message as a JSON object on one line.

use jiff::Zoned;
use jiff::fmt::strtime;
use packetboat::QoS;
use packetboat_core::wire::Properties;

use super::compact::compact;
use super::{NotJson, View};

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
    if message.qos != QoS::AtMostOnce && message.packet_identifier != 0 {
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
    if let Ok(text) = std::str::from_utf8(bytes) {
        string(text, out);
    } else {
        let numbers: Vec<String> = bytes.iter().map(u8::to_string).collect();
        out.extend_from_slice(format!("[{}]", numbers.join(",")).as_bytes());
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
