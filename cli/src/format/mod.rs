//! `sub -F`: a template with the escapes of `mosquitto_sub`, and what it makes of a message.

mod compact;
mod json;
mod parse;
mod pointer;
mod render;
mod selection;

use packetboat::{Message, QoS};
use packetboat_core::wire::Properties;

pub(crate) use pointer::Pointer;
pub(crate) use selection::{Condition, all_hold, selected};

/// A parsed format.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Part {
    Literal(Vec<u8>),
    Field(Field, Padding),
    /// A conversion of strftime.
    Time(char),
    Nanoseconds,
}

/// What stands for a part of the message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Field {
    TopicAlias,
    ContentType,
    CorrelationData,
    MessageExpiryInterval,
    PayloadFormatIndicator,
    DateAndTime,
    Json { payload_is_json: bool },
    Length,
    PacketIdentifier,
    UserProperties,
    Payload,
    Qos,
    ResponseTopic,
    Retain,
    SubscriptionIdentifier,
    Topic,
    UnixTime,
    Hexadecimal { upper: bool },
}

/// `%-010.20t`: flags, width and maximum width.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Padding {
    left: bool,
    zeros: bool,
    width: usize,
    maximum: Option<usize>,
}

/// The parts of a message that can be printed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    pub(crate) topic: &'a str,
    pub(crate) payload: &'a [u8],
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    /// Zero at QoS 0, and where it is not known.
    pub(crate) packet_identifier: u16,
    pub(crate) properties: Properties<'a>,
}

/// The template wants the payload as JSON, and it is none.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct NotJson;

impl<'a> View<'a> {
    pub(crate) fn of(message: &'a Message) -> Self {
        Self {
            topic: message.topic(),
            payload: message.payload(),
            qos: message.qos(),
            retain: message.retain(),
            // The client does not hand it on.
            packet_identifier: 0,
            properties: message.properties(),
        }
    }
}

#[cfg(test)]
mod tests;
