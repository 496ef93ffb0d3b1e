//! Building property blocks.

use alloc::vec::Vec;
use core::fmt;

use super::super::writer::Sink;
use super::super::{MAXIMUM_FIELD, PropertyError, QoS};
use super::{Place, Properties, Property};

/// An owned property block. A setter replaces what it set before, but [`user_property`](Self::user_property)
/// and [`subscription_identifier`](Self::subscription_identifier), which append.
///
/// A block knows nothing of the packet it is for; [`Properties::parse`] tells whether it belongs there.
///
/// ```
/// use packetboat_core::wire::PropertiesBuf;
///
/// let mut properties = PropertiesBuf::new();
/// properties.content_type("text/plain")?;
/// properties.user_property("origin", "kitchen")?;
/// assert_eq!(properties.as_properties().content_type(), Some("text/plain"));
/// # Ok::<(), packetboat_core::wire::PropertyError>(())
/// ```
#[derive(Clone, Default, Eq, Hash, PartialEq)]
pub struct PropertiesBuf(Vec<u8>);

impl PropertiesBuf {
    /// No properties yet; allocates nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Borrow as a block.
    #[inline]
    #[must_use]
    pub fn as_properties(&self) -> Properties<'_> {
        Properties(&self.0)
    }

    /// The block as it is on the wire, without its length.
    #[inline]
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether there is none.
    #[inline]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Take all out, keep the room.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Become a copy of `properties`, in the room there is.
    pub fn copy_from(&mut self, properties: Properties<'_>) -> &mut Self {
        self.0.clear();
        self.0.extend_from_slice(properties.as_bytes());
        self
    }

    /// Take a property out, however often it is there.
    pub fn remove(&mut self, property: Property) -> &mut Self {
        if self.as_properties().contains(property) {
            *self = Self::without(self.as_properties(), property);
        }
        self
    }

    /// A copy of `properties` that leaves one out.
    pub(crate) fn without(properties: Properties<'_>, left_out: Property) -> Self {
        let mut copy = Self::new();
        for (property, value) in properties.walk().filter(|(property, _)| *property != left_out) {
            copy.0.byte(property as u8);
            copy.0.put(value);
        }
        copy
    }

    /// Take out what does not belong at `place`.
    pub fn keep_only(&mut self, place: Place) -> &mut Self {
        while let Some(property) = self.as_properties().misplaced(place) {
            self.remove(property);
        }
        self
    }

    /// Set Payload Format Indicator: whether the payload is UTF-8 text.
    pub fn payload_format_indicator(&mut self, is_text: bool) -> &mut Self {
        self.set(Property::PayloadFormatIndicator, &[u8::from(is_text)])
    }

    /// Set Message Expiry Interval, in seconds.
    pub fn message_expiry_interval(&mut self, seconds: u32) -> &mut Self {
        self.set(Property::MessageExpiryInterval, &seconds.to_be_bytes())
    }

    /// Set Content Type.
    pub fn content_type(&mut self, text: &str) -> Result<&mut Self, PropertyError> {
        self.set_text(Property::ContentType, text)
    }

    /// Set Response Topic, which must not hold a wildcard [MQTT-3.3.2-14].
    pub fn response_topic(&mut self, topic: &str) -> Result<&mut Self, PropertyError> {
        if topic.contains(['+', '#']) {
            return Err(PropertyError::Wildcard);
        }
        self.set_text(Property::ResponseTopic, topic)
    }

    /// Set Correlation Data.
    pub fn correlation_data(&mut self, data: &[u8]) -> Result<&mut Self, PropertyError> {
        self.set_binary(Property::CorrelationData, data)
    }

    /// Append a Subscription Identifier: from 1 to 268,435,455. SUBSCRIBE takes one.
    pub fn subscription_identifier(&mut self, identifier: u32) -> Result<&mut Self, PropertyError> {
        match usize::try_from(identifier) {
            Ok(value @ 1..=268_435_455) => {
                self.0.byte(Property::SubscriptionIdentifier as u8);
                self.0.variable(value);
                Ok(self)
            }
            _ => Err(PropertyError::OutOfRange),
        }
    }

    /// Set Session Expiry Interval, in seconds; `u32::MAX` never expires.
    pub fn session_expiry_interval(&mut self, seconds: u32) -> &mut Self {
        self.set(Property::SessionExpiryInterval, &seconds.to_be_bytes())
    }

    /// Set Assigned Client Identifier.
    pub fn assigned_client_identifier(&mut self, text: &str) -> Result<&mut Self, PropertyError> {
        self.set_text(Property::AssignedClientIdentifier, text)
    }

    /// Set Server Keep Alive, in seconds.
    pub fn server_keep_alive(&mut self, seconds: u16) -> &mut Self {
        self.set(Property::ServerKeepAlive, &seconds.to_be_bytes())
    }

    /// Set Authentication Method.
    pub fn authentication_method(&mut self, text: &str) -> Result<&mut Self, PropertyError> {
        self.set_text(Property::AuthenticationMethod, text)
    }

    /// Set Authentication Data, which goes with an Authentication Method.
    pub fn authentication_data(&mut self, data: &[u8]) -> Result<&mut Self, PropertyError> {
        self.set_binary(Property::AuthenticationData, data)
    }

    /// Set Request Problem Information.
    pub fn request_problem_information(&mut self, wanted: bool) -> &mut Self {
        self.set(Property::RequestProblemInformation, &[u8::from(wanted)])
    }

    /// Set Will Delay Interval, in seconds.
    pub fn will_delay_interval(&mut self, seconds: u32) -> &mut Self {
        self.set(Property::WillDelayInterval, &seconds.to_be_bytes())
    }

    /// Set Request Response Information.
    pub fn request_response_information(&mut self, wanted: bool) -> &mut Self {
        self.set(Property::RequestResponseInformation, &[u8::from(wanted)])
    }

    /// Set Response Information.
    pub fn response_information(&mut self, text: &str) -> Result<&mut Self, PropertyError> {
        self.set_text(Property::ResponseInformation, text)
    }

    /// Set Server Reference.
    pub fn server_reference(&mut self, text: &str) -> Result<&mut Self, PropertyError> {
        self.set_text(Property::ServerReference, text)
    }

    /// Set Reason String.
    pub fn reason_string(&mut self, text: &str) -> Result<&mut Self, PropertyError> {
        self.set_text(Property::ReasonString, text)
    }

    /// Set Receive Maximum, which must not be zero.
    pub fn receive_maximum(&mut self, maximum: u16) -> Result<&mut Self, PropertyError> {
        self.set_not_zero(Property::ReceiveMaximum, &maximum.to_be_bytes())
    }

    /// Set Topic Alias Maximum.
    pub fn topic_alias_maximum(&mut self, maximum: u16) -> &mut Self {
        self.set(Property::TopicAliasMaximum, &maximum.to_be_bytes())
    }

    /// Set Topic Alias, which must not be zero [MQTT-3.3.2-8].
    pub fn topic_alias(&mut self, alias: u16) -> Result<&mut Self, PropertyError> {
        self.set_not_zero(Property::TopicAlias, &alias.to_be_bytes())
    }

    /// Set Maximum `QoS`. 2 takes it out, since absent stands for 2 and 2 itself is a Protocol Error.
    pub fn maximum_qos(&mut self, qos: QoS) -> &mut Self {
        match qos {
            QoS::ExactlyOnce => self.remove(Property::MaximumQos),
            QoS::AtMostOnce | QoS::AtLeastOnce => self.set(Property::MaximumQos, &[qos.bits()]),
        }
    }

    /// Set Retain Available.
    pub fn retain_available(&mut self, available: bool) -> &mut Self {
        self.set(Property::RetainAvailable, &[u8::from(available)])
    }

    /// Append a User Property.
    pub fn user_property(&mut self, name: &str, value: &str) -> Result<&mut Self, PropertyError> {
        check_text(name)?;
        check_text(value)?;
        self.0.byte(Property::UserProperty as u8);
        self.0.field(name.as_bytes());
        self.0.field(value.as_bytes());
        Ok(self)
    }

    /// Set Maximum Packet Size, which must not be zero.
    pub fn maximum_packet_size(&mut self, maximum: u32) -> Result<&mut Self, PropertyError> {
        self.set_not_zero(Property::MaximumPacketSize, &maximum.to_be_bytes())
    }

    /// Set Wildcard Subscription Available.
    pub fn wildcard_subscription_available(&mut self, available: bool) -> &mut Self {
        self.set(Property::WildcardSubscriptionAvailable, &[u8::from(available)])
    }

    /// Set Subscription Identifier Available.
    pub fn subscription_identifier_available(&mut self, available: bool) -> &mut Self {
        self.set(Property::SubscriptionIdentifierAvailable, &[u8::from(available)])
    }

    /// Set Shared Subscription Available.
    pub fn shared_subscription_available(&mut self, available: bool) -> &mut Self {
        self.set(Property::SharedSubscriptionAvailable, &[u8::from(available)])
    }

    fn set(&mut self, property: Property, value: &[u8]) -> &mut Self {
        self.remove(property);
        self.0.byte(property as u8);
        self.0.put(value);
        self
    }

    fn set_not_zero(&mut self, property: Property, value: &[u8]) -> Result<&mut Self, PropertyError> {
        if value.iter().all(|&byte| byte == 0) {
            return Err(PropertyError::OutOfRange);
        }
        Ok(self.set(property, value))
    }

    fn set_text(&mut self, property: Property, text: &str) -> Result<&mut Self, PropertyError> {
        check_text(text)?;
        self.set_binary(property, text.as_bytes())
    }

    fn set_binary(&mut self, property: Property, data: &[u8]) -> Result<&mut Self, PropertyError> {
        if data.len() > MAXIMUM_FIELD {
            return Err(PropertyError::TooLong);
        }
        self.remove(property);
        self.0.byte(property as u8);
        self.0.field(data);
        Ok(self)
    }
}

impl From<Properties<'_>> for PropertiesBuf {
    fn from(properties: Properties<'_>) -> Self {
        Self(properties.as_bytes().to_vec())
    }
}

impl fmt::Debug for PropertiesBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_properties().fmt(f)
    }
}

fn check_text(text: &str) -> Result<(), PropertyError> {
    if text.len() > MAXIMUM_FIELD {
        return Err(PropertyError::TooLong);
    }
    if text.contains('\0') {
        return Err(PropertyError::NullCharacter);
    }
    Ok(())
}
