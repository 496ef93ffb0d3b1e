//! A message in the broker's hands.

use std::time::Duration;

use packetboat_core::time::Instant;
use packetboat_core::wire::{Properties, PropertiesBuf, Property, QoS, Will};

/// A message, apart from how it travels.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Message {
    /// Where it goes.
    pub topic: String,
    /// The bytes of the application.
    pub payload: Vec<u8>,
    /// The QoS it was published with.
    pub qos: QoS,
    /// The retain flag it was published with.
    pub retain: bool,
    /// What travels on to the subscribers: format, content type, response topic, correlation data, user properties.
    pub properties: PropertiesBuf,
    /// When it expires.
    pub expires: Option<Instant>,
    /// The client that published it; empty for the broker itself.
    pub publisher: String,
}

impl Message {
    /// A message of the broker itself, without properties.
    #[must_use]
    pub fn new(topic: impl Into<String>, payload: impl Into<Vec<u8>>, qos: QoS) -> Self {
        Self {
            topic: topic.into(),
            payload: payload.into(),
            qos,
            retain: false,
            properties: PropertiesBuf::new(),
            expires: None,
            publisher: String::new(),
        }
    }

    /// The same message, to be retained.
    #[must_use]
    pub fn retain(mut self) -> Self {
        self.retain = true;
        self
    }

    /// The same message from a client.
    pub(super) fn by(mut self, publisher: &str) -> Self {
        publisher.clone_into(&mut self.publisher);
        self
    }

    /// The will of a CONNECT. Its expiry interval starts when it is published.
    pub(super) fn of_will(will: &Will<'_>, publisher: &str) -> Self {
        let mut message = Self::new(will.topic, will.payload, will.qos).by(publisher);
        message.retain = will.retain;
        message.properties = carried(will.properties);
        message
    }

    /// Whether its time has passed.
    pub(super) fn is_expired(&self, now: Instant) -> bool {
        super::books::is_past(self.expires, now)
    }

    /// The message expiry interval to send now [MQTT-3.3.2-6], rounded up so that a second is not lost on the way.
    pub(super) fn remaining(&self, now: Instant) -> Option<u32> {
        let left = self.expires?.since(now).as_millis().div_ceil(1000);
        Some(u32::try_from(left).unwrap_or(u32::MAX))
    }
}

/// How long a message is of use.
pub(super) fn expiry_interval(properties: Properties<'_>) -> Option<Duration> {
    properties.message_expiry_interval().map(|seconds| Duration::from_secs(seconds.into()))
}

/// The properties that go on to subscribers unaltered [MQTT-3.3.2-4, -15, -16, -17, -20].
pub(super) fn carried(properties: Properties<'_>) -> PropertiesBuf {
    let mut carried = PropertiesBuf::from(properties);
    if !carried.is_empty() {
        carried
            .remove(Property::MessageExpiryInterval)
            .remove(Property::TopicAlias)
            .remove(Property::SubscriptionIdentifier)
            .remove(Property::WillDelayInterval);
    }
    carried
}
