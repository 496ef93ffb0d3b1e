//! What a template makes of a message.

use std::fmt::Write as _;

use jiff::Zoned;
use jiff::fmt::strtime;

use super::json;
use super::{Field, NotJson, Padding, Part, Template, View};

/// Whether strftime knows the conversion.
pub(super) fn is_conversion(character: char) -> bool {
    strtime::format(conversion(character, &mut [0; 8]), &Zoned::default()).is_ok()
}

impl Template {
    /// Append what the template makes of the message.
    pub(crate) fn render(&self, message: &View<'_>, out: &mut Vec<u8>) -> Result<(), NotJson> {
        // One moment for the whole line, and none where nobody asks for it.
        let now = if self.parts.iter().any(Part::needs_time) { Zoned::now() } else { Zoned::default() };
        self.render_at(message, &now, out)
    }

    pub(super) fn render_at(
        &self,
        message: &View<'_>,
        now: &Zoned,
        out: &mut Vec<u8>,
    ) -> Result<(), NotJson> {
        for part in &self.parts {
            match part {
                Part::Literal(bytes) => out.extend_from_slice(bytes),
                Part::Field(field, padding) => render_field(*field, *padding, message, now, out)?,
                Part::Time(character) => append_time(conversion(*character, &mut [0; 8]), now, out),
                Part::Nanoseconds => {
                    out.extend_from_slice(format!("{:09}", now.subsec_nanosecond()).as_bytes());
                }
            }
        }
        Ok(())
    }
}

impl Part {
    fn needs_time(&self) -> bool {
        match self {
            Self::Time(_) | Self::Nanoseconds => true,
            Self::Field(field, _) => {
                matches!(field, Field::DateAndTime | Field::UnixTime | Field::Json { .. })
            }
            Self::Literal(_) => false,
        }
    }
}

fn render_field(
    field: Field,
    padding: Padding,
    message: &View<'_>,
    now: &Zoned,
    out: &mut Vec<u8>,
) -> Result<(), NotJson> {
    let properties = message.properties;
    match field {
        Field::TopicAlias => padding.number(properties.topic_alias(), out),
        Field::MessageExpiryInterval => padding.number(properties.message_expiry_interval(), out),
        Field::PayloadFormatIndicator => {
            padding.number(properties.payload_format_indicator().map(u8::from), out);
        }
        Field::SubscriptionIdentifier => padding.number(properties.subscription_identifiers().next(), out),
        Field::Length => padding.number(Some(message.payload.len()), out),
        Field::PacketIdentifier => padding.number(Some(message.packet_identifier), out),
        Field::ContentType => padding.text(properties.content_type().unwrap_or_default(), out),
        Field::ResponseTopic => padding.text(properties.response_topic().unwrap_or_default(), out),
        Field::Topic => padding.text(message.topic, out),
        Field::DateAndTime => {
            let mut text = Vec::new();
            append_time("%Y-%m-%dT%H:%M:%S%z", now, &mut text);
            padding.text(&String::from_utf8_lossy(&text), out);
        }
        Field::UnixTime => {
            let stamp = now.timestamp();
            let text = format!("{}.{:09}", stamp.as_second(), stamp.subsec_nanosecond());
            out.extend_from_slice(text.as_bytes());
        }
        Field::CorrelationData => out.extend_from_slice(properties.correlation_data().unwrap_or_default()),
        Field::UserProperties => {
            let pairs: Vec<String> =
                properties.user_properties().map(|(name, value)| format!("{name}:{value}")).collect();
            out.extend_from_slice(pairs.join(" ").as_bytes());
        }
        Field::Payload => padding.bytes(message.payload, message.payload.len(), out),
        Field::Hexadecimal { upper } => {
            let text = hexadecimal(message.payload, upper);
            padding.bytes(text.as_bytes(), text.len(), out);
        }
        Field::Qos => out.push(b'0' + message.qos as u8),
        Field::Retain => out.push(b'0' + u8::from(message.retain)),
        Field::Json { payload_is_json } => json::render(message, now, payload_is_json, out)?,
    }
    Ok(())
}

impl Padding {
    fn number(self, number: Option<impl ToString>, out: &mut Vec<u8>) {
        let text = number.map(|number| number.to_string()).unwrap_or_default();
        self.bytes(text.as_bytes(), text.len(), out);
    }

    /// Text is padded with blanks only, and cut at the maximum width. Widths count characters.
    fn text(self, text: &str, out: &mut Vec<u8>) {
        let end = self
            .maximum
            .and_then(|maximum| text.char_indices().nth(maximum))
            .map_or(text.len(), |(at, _)| at);
        let text = &text[..end];
        Self { zeros: false, ..self }.bytes(text.as_bytes(), text.chars().count(), out);
    }

    fn bytes(self, bytes: &[u8], width: usize, out: &mut Vec<u8>) {
        let missing = self.width.saturating_sub(width);
        if self.left {
            out.extend_from_slice(bytes);
            out.resize(out.len() + missing, b' ');
        } else {
            out.resize(out.len() + missing, if self.zeros { b'0' } else { b' ' });
            out.extend_from_slice(bytes);
        }
    }
}

fn hexadecimal(bytes: &[u8], upper: bool) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a string does not fail.
        let _ = if upper { write!(text, "{byte:02X}") } else { write!(text, "{byte:02x}") };
    }
    text
}

/// `%` and the character, in the room given.
fn conversion(character: char, room: &mut [u8; 8]) -> &str {
    room[0] = b'%';
    let length = 1 + character.encode_utf8(&mut room[1..]).len();
    std::str::from_utf8(&room[..length]).unwrap_or_default()
}

fn append_time(format: &str, now: &Zoned, out: &mut Vec<u8>) {
    // Conversions were tried when the template was parsed.
    out.extend_from_slice(strtime::format(format, now).unwrap_or_default().as_bytes());
}
