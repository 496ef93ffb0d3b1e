//! Reason codes: Table 2-6.

use core::fmt;

use super::PacketType::{self, Auth, Connack, Disconnect, Puback, Pubcomp, Pubrec, Pubrel, Suback, Unsuback};

/// A reason code of 5.0. The return codes of 3.1.1 are given by their names in 5.0.
///
/// Any byte can be one: a code that is unknown, or unknown to its packet, is still an answer.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Reason(pub u8);

#[allow(missing_docs, reason = "the names are the specification's; `Reason::name` has them in words")]
impl Reason {
    pub const SUCCESS: Self = Self(0x00);
    pub const NORMAL_DISCONNECTION: Self = Self(0x00);
    pub const GRANTED_QOS_0: Self = Self(0x00);
    pub const GRANTED_QOS_1: Self = Self(0x01);
    pub const GRANTED_QOS_2: Self = Self(0x02);
    pub const DISCONNECT_WITH_WILL_MESSAGE: Self = Self(0x04);
    pub const NO_MATCHING_SUBSCRIBERS: Self = Self(0x10);
    pub const NO_SUBSCRIPTION_EXISTED: Self = Self(0x11);
    pub const CONTINUE_AUTHENTICATION: Self = Self(0x18);
    pub const RE_AUTHENTICATE: Self = Self(0x19);
    pub const UNSPECIFIED_ERROR: Self = Self(0x80);
    pub const MALFORMED_PACKET: Self = Self(0x81);
    pub const PROTOCOL_ERROR: Self = Self(0x82);
    pub const IMPLEMENTATION_SPECIFIC_ERROR: Self = Self(0x83);
    pub const UNSUPPORTED_PROTOCOL_VERSION: Self = Self(0x84);
    pub const CLIENT_IDENTIFIER_NOT_VALID: Self = Self(0x85);
    pub const BAD_USER_NAME_OR_PASSWORD: Self = Self(0x86);
    pub const NOT_AUTHORIZED: Self = Self(0x87);
    pub const SERVER_UNAVAILABLE: Self = Self(0x88);
    pub const SERVER_BUSY: Self = Self(0x89);
    pub const BANNED: Self = Self(0x8a);
    pub const SERVER_SHUTTING_DOWN: Self = Self(0x8b);
    pub const BAD_AUTHENTICATION_METHOD: Self = Self(0x8c);
    pub const KEEP_ALIVE_TIMEOUT: Self = Self(0x8d);
    pub const SESSION_TAKEN_OVER: Self = Self(0x8e);
    pub const TOPIC_FILTER_INVALID: Self = Self(0x8f);
    pub const TOPIC_NAME_INVALID: Self = Self(0x90);
    pub const PACKET_IDENTIFIER_IN_USE: Self = Self(0x91);
    pub const PACKET_IDENTIFIER_NOT_FOUND: Self = Self(0x92);
    pub const RECEIVE_MAXIMUM_EXCEEDED: Self = Self(0x93);
    pub const TOPIC_ALIAS_INVALID: Self = Self(0x94);
    pub const PACKET_TOO_LARGE: Self = Self(0x95);
    pub const MESSAGE_RATE_TOO_HIGH: Self = Self(0x96);
    pub const QUOTA_EXCEEDED: Self = Self(0x97);
    pub const ADMINISTRATIVE_ACTION: Self = Self(0x98);
    pub const PAYLOAD_FORMAT_INVALID: Self = Self(0x99);
    pub const RETAIN_NOT_SUPPORTED: Self = Self(0x9a);
    pub const QOS_NOT_SUPPORTED: Self = Self(0x9b);
    pub const USE_ANOTHER_SERVER: Self = Self(0x9c);
    pub const SERVER_MOVED: Self = Self(0x9d);
    pub const SHARED_SUBSCRIPTIONS_NOT_SUPPORTED: Self = Self(0x9e);
    pub const CONNECTION_RATE_EXCEEDED: Self = Self(0x9f);
    pub const MAXIMUM_CONNECT_TIME: Self = Self(0xa0);
    pub const SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED: Self = Self(0xa1);
    pub const WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED: Self = Self(0xa2);
}

impl Reason {
    /// Whether it reports a failure (2.4).
    #[inline]
    #[must_use]
    pub const fn is_error(self) -> bool {
        self.0 >= 0x80
    }

    /// The return code that CONNACK of 3.1.1 has for it: 0 accepted, 1 unacceptable protocol version, 2 identifier
    /// rejected, 3 server unavailable, also for what 3.1.1 has no code for, 4 bad user name or password, 5 not
    /// authorized.
    #[must_use]
    pub const fn return_code(self) -> u8 {
        match self {
            Self::SUCCESS => 0,
            Self::UNSUPPORTED_PROTOCOL_VERSION => 1,
            Self::CLIENT_IDENTIFIER_NOT_VALID => 2,
            Self::BAD_USER_NAME_OR_PASSWORD => 4,
            Self::NOT_AUTHORIZED | Self::BANNED | Self::BAD_AUTHENTICATION_METHOD => 5,
            _ => 3,
        }
    }

    /// The name in the specification, if it has one. 0x00 is called Success in every packet.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        row(self).map(|(_, name, _)| *name)
    }

    /// Whether Table 2-6 gives this code to packets of this type.
    #[must_use]
    pub fn is_valid_in(self, packet: PacketType) -> bool {
        row(self).is_some_and(|(_, _, packets)| packets.contains(&packet))
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "Reason code 0x{:02x}", self.0),
        }
    }
}

type Row = (Reason, &'static str, &'static [PacketType]);

fn row(reason: Reason) -> Option<&'static Row> {
    let index = TABLE.binary_search_by_key(&reason, |(code, _, _)| *code).ok()?;
    TABLE.get(index)
}

/// Code, name and packets, by code.
static TABLE: [Row; 43] = [
    (
        Reason::SUCCESS,
        "Success",
        &[Connack, Puback, Pubrec, Pubrel, Pubcomp, Suback, Unsuback, Disconnect, Auth],
    ),
    (Reason::GRANTED_QOS_1, "Granted QoS 1", &[Suback]),
    (Reason::GRANTED_QOS_2, "Granted QoS 2", &[Suback]),
    (Reason::DISCONNECT_WITH_WILL_MESSAGE, "Disconnect with Will Message", &[Disconnect]),
    (Reason::NO_MATCHING_SUBSCRIBERS, "No matching subscribers", &[Puback, Pubrec]),
    (Reason::NO_SUBSCRIPTION_EXISTED, "No subscription existed", &[Unsuback]),
    (Reason::CONTINUE_AUTHENTICATION, "Continue authentication", &[Auth]),
    (Reason::RE_AUTHENTICATE, "Re-authenticate", &[Auth]),
    (
        Reason::UNSPECIFIED_ERROR,
        "Unspecified error",
        &[Connack, Puback, Pubrec, Suback, Unsuback, Disconnect],
    ),
    (Reason::MALFORMED_PACKET, "Malformed Packet", &[Connack, Disconnect]),
    (Reason::PROTOCOL_ERROR, "Protocol Error", &[Connack, Disconnect]),
    (
        Reason::IMPLEMENTATION_SPECIFIC_ERROR,
        "Implementation specific error",
        &[Connack, Puback, Pubrec, Suback, Unsuback, Disconnect],
    ),
    (Reason::UNSUPPORTED_PROTOCOL_VERSION, "Unsupported Protocol Version", &[Connack]),
    (Reason::CLIENT_IDENTIFIER_NOT_VALID, "Client Identifier not valid", &[Connack]),
    (Reason::BAD_USER_NAME_OR_PASSWORD, "Bad User Name or Password", &[Connack]),
    (Reason::NOT_AUTHORIZED, "Not authorized", &[Connack, Puback, Pubrec, Suback, Unsuback, Disconnect]),
    (Reason::SERVER_UNAVAILABLE, "Server unavailable", &[Connack]),
    (Reason::SERVER_BUSY, "Server busy", &[Connack, Disconnect]),
    (Reason::BANNED, "Banned", &[Connack]),
    (Reason::SERVER_SHUTTING_DOWN, "Server shutting down", &[Disconnect]),
    (Reason::BAD_AUTHENTICATION_METHOD, "Bad authentication method", &[Connack, Disconnect]),
    (Reason::KEEP_ALIVE_TIMEOUT, "Keep Alive timeout", &[Disconnect]),
    (Reason::SESSION_TAKEN_OVER, "Session taken over", &[Disconnect]),
    (Reason::TOPIC_FILTER_INVALID, "Topic Filter invalid", &[Suback, Unsuback, Disconnect]),
    (Reason::TOPIC_NAME_INVALID, "Topic Name invalid", &[Connack, Puback, Pubrec, Disconnect]),
    (Reason::PACKET_IDENTIFIER_IN_USE, "Packet Identifier in use", &[Puback, Pubrec, Suback, Unsuback]),
    (Reason::PACKET_IDENTIFIER_NOT_FOUND, "Packet Identifier not found", &[Pubrel, Pubcomp]),
    (Reason::RECEIVE_MAXIMUM_EXCEEDED, "Receive Maximum exceeded", &[Disconnect]),
    (Reason::TOPIC_ALIAS_INVALID, "Topic Alias invalid", &[Disconnect]),
    (Reason::PACKET_TOO_LARGE, "Packet too large", &[Connack, Disconnect]),
    (Reason::MESSAGE_RATE_TOO_HIGH, "Message rate too high", &[Disconnect]),
    (Reason::QUOTA_EXCEEDED, "Quota exceeded", &[Connack, Puback, Pubrec, Suback, Disconnect]),
    (Reason::ADMINISTRATIVE_ACTION, "Administrative action", &[Disconnect]),
    (Reason::PAYLOAD_FORMAT_INVALID, "Payload format invalid", &[Connack, Puback, Pubrec, Disconnect]),
    (Reason::RETAIN_NOT_SUPPORTED, "Retain not supported", &[Connack, Disconnect]),
    (Reason::QOS_NOT_SUPPORTED, "QoS not supported", &[Connack, Disconnect]),
    (Reason::USE_ANOTHER_SERVER, "Use another server", &[Connack, Disconnect]),
    (Reason::SERVER_MOVED, "Server moved", &[Connack, Disconnect]),
    (Reason::SHARED_SUBSCRIPTIONS_NOT_SUPPORTED, "Shared Subscriptions not supported", &[Suback, Disconnect]),
    (Reason::CONNECTION_RATE_EXCEEDED, "Connection rate exceeded", &[Connack, Disconnect]),
    (Reason::MAXIMUM_CONNECT_TIME, "Maximum connect time", &[Disconnect]),
    (
        Reason::SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED,
        "Subscription Identifiers not supported",
        &[Suback, Disconnect],
    ),
    (
        Reason::WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED,
        "Wildcard Subscriptions not supported",
        &[Suback, Disconnect],
    ),
];
