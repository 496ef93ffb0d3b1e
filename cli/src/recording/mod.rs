//! Recordings: a line of JSON for each message, behind a line that says what it is.
//!
//! `packetboat record --help` describes the form for users; what it says and what is here must agree.

mod record;
mod replay;

use std::borrow::Cow;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use packetboat::{Message, PropertiesBuf, PropertyError, QoS, TopicName};
use packetboat_core::wire::Properties;
use serde::{Deserialize, Serialize};

use crate::publish::sender::Envelope;

pub(crate) use record::run as record;
pub(crate) use replay::run as replay;

/// The form described here.
const FORM: u32 = 1;

/// The first line.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Head<'a> {
    /// Of the form.
    packetboat_recording: u32,
    /// When, for people.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    started: Cow<'a, str>,
}

/// A message.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    /// Seconds since the start, to the microsecond.
    at: f64,
    topic: Cow<'a, str>,
    qos: u8,
    #[serde(default, skip_serializing_if = "is_false")]
    retain: bool,
    /// One of the two: text as it is, anything else in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payload: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payload_base64: Option<String>,
    #[serde(default, skip_serializing_if = "Named::is_empty")]
    properties: Named<'a>,
}

/// The properties that belong to the message, and not to the connection it came by.
#[derive(Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Named<'a> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payload_format_indicator: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message_expiry_interval: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content_type: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    response_topic: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    correlation_data_base64: Option<String>,
    /// In their order; names may repeat.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    user_properties: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

impl<'a> Line<'a> {
    fn of(message: &'a Message, at: Duration) -> Self {
        let (payload, payload_base64) = match std::str::from_utf8(message.payload()) {
            Ok(text) => (Some(text.into()), None),
            Err(_) => (None, Some(STANDARD.encode(message.payload()))),
        };
        Self {
            at: Duration::from_micros(u64::try_from(at.as_micros()).unwrap_or(u64::MAX)).as_secs_f64(),
            topic: message.topic().into(),
            qos: message.qos() as u8,
            retain: message.retain(),
            payload,
            payload_base64,
            properties: Named::of(message.properties()),
        }
    }

    /// What it says, found to be right.
    fn read(self) -> Result<(Duration, Envelope, Bytes), String> {
        let at = Duration::try_from_secs_f64(self.at).map_err(|_| format!("`at` cannot be {}", self.at))?;
        TopicName::new(self.topic.as_ref()).map_err(|error| format!("`topic` is wrong: {error}"))?;
        let qos = match self.qos {
            0 => QoS::AtMostOnce,
            1 => QoS::AtLeastOnce,
            2 => QoS::ExactlyOnce,
            other => return Err(format!("`qos` cannot be {other}")),
        };
        let payload = match (self.payload, self.payload_base64) {
            (Some(text), None) => text.into_owned().into_bytes(),
            (None, Some(text)) => decoded("payload_base64", &text)?,
            _ => return Err("one of `payload` and `payload_base64` is needed".into()),
        };
        let properties = self.properties.read()?;
        let envelope =
            Envelope { topic: self.topic.into_owned(), qos: Some(qos), retain: self.retain, properties };
        Ok((at, envelope, payload.into()))
    }
}

impl<'a> Named<'a> {
    fn of(properties: Properties<'a>) -> Self {
        Self {
            payload_format_indicator: properties.payload_format_indicator(),
            message_expiry_interval: properties.message_expiry_interval(),
            content_type: properties.content_type().map(Into::into),
            response_topic: properties.response_topic().map(Into::into),
            correlation_data_base64: properties.correlation_data().map(|data| STANDARD.encode(data)),
            user_properties: properties
                .user_properties()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        }
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn read(self) -> Result<PropertiesBuf, String> {
        let correlation = self.correlation_data_base64.as_deref();
        let correlation = correlation.map(|text| decoded("correlation-data-base64", text)).transpose()?;
        self.block(correlation.as_deref()).map_err(|error| format!("`properties` are wrong: {error}"))
    }

    fn block(&self, correlation: Option<&[u8]>) -> Result<PropertiesBuf, PropertyError> {
        let mut block = PropertiesBuf::new();
        if let Some(is_text) = self.payload_format_indicator {
            block.payload_format_indicator(is_text);
        }
        if let Some(seconds) = self.message_expiry_interval {
            block.message_expiry_interval(seconds);
        }
        if let Some(text) = &self.content_type {
            block.content_type(text)?;
        }
        if let Some(topic) = &self.response_topic {
            block.response_topic(topic)?;
        }
        if let Some(data) = correlation {
            block.correlation_data(data)?;
        }
        for (name, value) in &self.user_properties {
            block.user_property(name, value)?;
        }
        Ok(block)
    }
}

fn decoded(name: &str, text: &str) -> Result<Vec<u8>, String> {
    STANDARD.decode(text).map_err(|error| format!("`{name}` is no base64: {error}"))
}
