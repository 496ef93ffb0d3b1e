//! One typed getter for each property, by its name in the specification. Absent is `None`: the defaults are
//! the session's to know.

use core::fmt;

use super::super::QoS;
use super::super::reader::{Reader, variable};
use super::{Kind, Properties, Property, Walk, row};

impl<'a> Properties<'a> {
    /// Payload Format Indicator: whether the payload is UTF-8 text.
    #[must_use]
    pub fn payload_format_indicator(self) -> Option<bool> {
        self.flag(Property::PayloadFormatIndicator)
    }

    /// Message Expiry Interval, in seconds.
    #[must_use]
    pub fn message_expiry_interval(self) -> Option<u32> {
        self.four(Property::MessageExpiryInterval)
    }

    /// Content Type.
    #[must_use]
    pub fn content_type(self) -> Option<&'a str> {
        self.text(Property::ContentType)
    }

    /// Response Topic: a topic name, though it may be empty.
    #[must_use]
    pub fn response_topic(self) -> Option<&'a str> {
        self.text(Property::ResponseTopic)
    }

    /// Correlation Data.
    #[must_use]
    pub fn correlation_data(self) -> Option<&'a [u8]> {
        self.binary(Property::CorrelationData)
    }

    /// Subscription Identifiers: in PUBLISH those of the subscriptions it is for, in SUBSCRIBE at most one.
    pub fn subscription_identifiers(self) -> impl Iterator<Item = u32> + use<'a> {
        self.walk()
            .filter(|(property, _)| *property == Property::SubscriptionIdentifier)
            .filter_map(|(_, value)| Some(variable(value).ok()??.value))
    }

    /// Session Expiry Interval, in seconds; `u32::MAX` never expires.
    #[must_use]
    pub fn session_expiry_interval(self) -> Option<u32> {
        self.four(Property::SessionExpiryInterval)
    }

    /// Assigned Client Identifier.
    #[must_use]
    pub fn assigned_client_identifier(self) -> Option<&'a str> {
        self.text(Property::AssignedClientIdentifier)
    }

    /// Server Keep Alive, in seconds.
    #[must_use]
    pub fn server_keep_alive(self) -> Option<u16> {
        self.two(Property::ServerKeepAlive)
    }

    /// Authentication Method.
    #[must_use]
    pub fn authentication_method(self) -> Option<&'a str> {
        self.text(Property::AuthenticationMethod)
    }

    /// Authentication Data.
    #[must_use]
    pub fn authentication_data(self) -> Option<&'a [u8]> {
        self.binary(Property::AuthenticationData)
    }

    /// Request Problem Information.
    #[must_use]
    pub fn request_problem_information(self) -> Option<bool> {
        self.flag(Property::RequestProblemInformation)
    }

    /// Will Delay Interval, in seconds.
    #[must_use]
    pub fn will_delay_interval(self) -> Option<u32> {
        self.four(Property::WillDelayInterval)
    }

    /// Request Response Information.
    #[must_use]
    pub fn request_response_information(self) -> Option<bool> {
        self.flag(Property::RequestResponseInformation)
    }

    /// Response Information.
    #[must_use]
    pub fn response_information(self) -> Option<&'a str> {
        self.text(Property::ResponseInformation)
    }

    /// Server Reference: other servers to use.
    #[must_use]
    pub fn server_reference(self) -> Option<&'a str> {
        self.text(Property::ServerReference)
    }

    /// Reason String, for people to read.
    #[must_use]
    pub fn reason_string(self) -> Option<&'a str> {
        self.text(Property::ReasonString)
    }

    /// Receive Maximum, never zero.
    #[must_use]
    pub fn receive_maximum(self) -> Option<u16> {
        self.two(Property::ReceiveMaximum)
    }

    /// Topic Alias Maximum.
    #[must_use]
    pub fn topic_alias_maximum(self) -> Option<u16> {
        self.two(Property::TopicAliasMaximum)
    }

    /// Topic Alias, never zero.
    #[must_use]
    #[inline]
    pub fn topic_alias(self) -> Option<u16> {
        if self.is_one_subscription_identifier() { None } else { self.two(Property::TopicAlias) }
    }

    /// Maximum `QoS`: 0 or 1; absent stands for 2.
    #[must_use]
    pub fn maximum_qos(self) -> Option<QoS> {
        self.flag(Property::MaximumQos).map(|one| if one { QoS::AtLeastOnce } else { QoS::AtMostOnce })
    }

    /// Retain Available.
    #[must_use]
    pub fn retain_available(self) -> Option<bool> {
        self.flag(Property::RetainAvailable)
    }

    /// User Properties: names and values, in order; a name may come more than once.
    pub fn user_properties(self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        self.walk()
            .filter(|(property, _)| *property == Property::UserProperty)
            .filter_map(|(_, value)| pair(value))
    }

    /// Maximum Packet Size, never zero.
    #[must_use]
    pub fn maximum_packet_size(self) -> Option<u32> {
        self.four(Property::MaximumPacketSize)
    }

    /// Wildcard Subscription Available.
    #[must_use]
    pub fn wildcard_subscription_available(self) -> Option<bool> {
        self.flag(Property::WildcardSubscriptionAvailable)
    }

    /// Subscription Identifier Available.
    #[must_use]
    pub fn subscription_identifier_available(self) -> Option<bool> {
        self.flag(Property::SubscriptionIdentifierAvailable)
    }

    /// Shared Subscription Available.
    #[must_use]
    pub fn shared_subscription_available(self) -> Option<bool> {
        self.flag(Property::SharedSubscriptionAvailable)
    }

    /// Whether the property is there.
    #[must_use]
    pub fn contains(self, property: Property) -> bool {
        self.find(property).is_some()
    }

    #[inline]
    pub(super) const fn walk(self) -> Walk<'a> {
        Walk { rest: self.0 }
    }

    #[inline]
    fn find(self, wanted: Property) -> Option<&'a [u8]> {
        self.walk().find(|(property, _)| *property == wanted).map(|(_, value)| value)
    }

    fn flag(self, property: Property) -> Option<bool> {
        self.find(property).map(|value| value == [1])
    }

    #[inline]
    fn two(self, property: Property) -> Option<u16> {
        self.find(property)?.first_chunk().map(|bytes| u16::from_be_bytes(*bytes))
    }

    fn four(self, property: Property) -> Option<u32> {
        self.find(property)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
    }

    fn binary(self, property: Property) -> Option<&'a [u8]> {
        self.find(property)?.get(2..)
    }

    fn text(self, property: Property) -> Option<&'a str> {
        core::str::from_utf8(self.binary(property)?).ok()
    }
}

fn pair(value: &[u8]) -> Option<(&str, &str)> {
    let mut r = Reader::new(value);
    Some((r.text().ok()?, r.text().ok()?))
}

/// Names and values. Authentication Data is hidden, as the password of CONNECT is.
impl fmt::Debug for Properties<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (property, value) in self.walk() {
            let mut r = Reader::new(value);
            let Some(row) = row(property as u8) else { continue };
            match row.kind {
                Kind::Flag => map.entry(&property, &(value == [1])),
                Kind::Two | Kind::TwoNotZero => map.entry(&property, &r.two().unwrap_or_default()),
                Kind::Four | Kind::FourNotZero => map.entry(&property, &r.four().unwrap_or_default()),
                Kind::VariableNotZero => map.entry(&property, &r.variable().unwrap_or_default()),
                Kind::Binary if property == Property::AuthenticationData => {
                    map.entry(&property, &format_args!("hidden"))
                }
                Kind::Binary => map.entry(&property, &r.binary().unwrap_or_default()),
                Kind::Text | Kind::TopicName => map.entry(&property, &r.text().unwrap_or_default()),
                Kind::TextPair => map.entry(&property, &pair(value).unwrap_or_default()),
            };
        }
        map.finish()
    }
}
