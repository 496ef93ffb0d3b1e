//! What the broker allows. Here versions stop mattering: a CONNACK without properties leaves every default.

use super::handle::Handle;
use super::outgoing::Outgoing;
use super::refusal::PublishError;
use crate::wire::{Connack, MAXIMUM_PACKET, QoS};

/// Negotiated at CONNACK, valid for one connection. Defaults are the specification's, section 3.2.2.3.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Limits {
    /// Unacknowledged QoS 1 and 2 messages the broker takes at once.
    pub receive_maximum: u16,
    /// Largest packet the broker takes, in bytes.
    pub maximum_packet_size: u32,
    /// Highest QoS the broker takes.
    pub maximum_qos: QoS,
    /// Retained messages are kept.
    pub retain_available: bool,
    /// Filters may have wildcards.
    pub wildcard_subscription_available: bool,
    /// Subscriptions may have identifiers.
    pub subscription_identifier_available: bool,
    /// Subscriptions may be shared.
    pub shared_subscription_available: bool,
    /// Topic aliases we may use.
    pub topic_alias_maximum: u16,
    /// Seconds; the broker's word wins over ours [MQTT-3.1.2-21].
    pub server_keep_alive: Option<u16>,
    /// Seconds the broker keeps the session, where it differs from what was asked for.
    pub session_expiry_interval: Option<u32>,
    /// Properties and reasons can be sent at all.
    pub properties: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            receive_maximum: u16::MAX,
            maximum_packet_size: u32::try_from(MAXIMUM_PACKET).unwrap_or(u32::MAX),
            maximum_qos: QoS::ExactlyOnce,
            retain_available: true,
            wildcard_subscription_available: true,
            subscription_identifier_available: true,
            shared_subscription_available: true,
            topic_alias_maximum: 0,
            server_keep_alive: None,
            session_expiry_interval: None,
            properties: true,
        }
    }
}

impl Limits {
    /// `properties` says whether the version has any.
    pub(super) fn from_connack(connack: &Connack<'_>, properties: bool) -> Self {
        let said = &connack.properties;
        let default = Self::default();
        Self {
            receive_maximum: said.receive_maximum().unwrap_or(default.receive_maximum),
            maximum_packet_size: said
                .maximum_packet_size()
                .map_or(default.maximum_packet_size, |size| size.min(default.maximum_packet_size)),
            maximum_qos: said.maximum_qos().unwrap_or(default.maximum_qos),
            retain_available: said.retain_available().unwrap_or(true),
            wildcard_subscription_available: said.wildcard_subscription_available().unwrap_or(true),
            subscription_identifier_available: properties
                && said.subscription_identifier_available().unwrap_or(true),
            shared_subscription_available: said.shared_subscription_available().unwrap_or(true),
            topic_alias_maximum: said.topic_alias_maximum().unwrap_or(0),
            server_keep_alive: said.server_keep_alive(),
            session_expiry_interval: said.session_expiry_interval(),
            properties,
        }
    }

    /// May this be sent? `size` is its upper bound, computed exactly only if that is too large.
    #[inline]
    pub(super) fn check(
        &self,
        qos: QoS,
        retain: bool,
        bound: usize,
        exact: impl FnOnce() -> usize,
    ) -> Result<(), PublishError> {
        if qos > self.maximum_qos {
            return Err(PublishError::QosNotSupported(self.maximum_qos));
        }
        if retain && !self.retain_available {
            return Err(PublishError::RetainNotSupported);
        }
        if bound > self.maximum_packet_size as usize {
            let size = exact();
            if size > self.maximum_packet_size as usize {
                return Err(PublishError::TooLarge { size, maximum: self.maximum_packet_size });
            }
        }
        Ok(())
    }
}

/// More than all of a PUBLISH but its topic, properties and payload: fixed header, lengths, identifier.
pub(super) const PUBLISH_OVERHEAD: usize = 5 + 2 + 2 + 4;

impl<P: Handle> Outgoing<'_, P> {
    /// It is declared to be UTF-8 and is not (3.3.2.3.2). What is not in memory is not read for that.
    #[cold]
    pub(super) fn is_falsely_text(&self) -> bool {
        self.properties.payload_format_indicator() == Some(true)
            && self.payload.absent() == 0
            && core::str::from_utf8(self.payload.as_bytes()).is_err()
    }

    /// An upper bound of the packet's size.
    #[inline]
    pub(super) fn bound(&self) -> usize {
        self.held() + self.payload.absent()
    }

    /// The same for what is in memory.
    #[inline]
    pub(super) fn held(&self) -> usize {
        PUBLISH_OVERHEAD
            + self.topic.as_str().len()
            + self.properties.as_bytes().len()
            + self.payload.as_bytes().len()
    }
}
