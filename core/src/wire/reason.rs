//! Reason codes: Table 2-6.

use core::fmt;

use super::PacketType;

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
        row(self).is_some_and(|(_, _, packets)| packets & 1 << packet as u16 != 0)
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

type Row = (Reason, &'static str, u16);

fn row(reason: Reason) -> Option<&'static Row> {
    let index = TABLE.binary_search_by_key(&reason, |(code, _, _)| *code).ok()?;
    TABLE.get(index)
}

const CONNACK: u16 = 1 << PacketType::Connack as u16;
const PUBACK: u16 = 1 << PacketType::Puback as u16;
const PUBREC: u16 = 1 << PacketType::Pubrec as u16;
const PUBREL: u16 = 1 << PacketType::Pubrel as u16;
const PUBCOMP: u16 = 1 << PacketType::Pubcomp as u16;
const SUBACK: u16 = 1 << PacketType::Suback as u16;
const UNSUBACK: u16 = 1 << PacketType::Unsuback as u16;
const DISCONNECT: u16 = 1 << PacketType::Disconnect as u16;
const AUTH: u16 = 1 << PacketType::Auth as u16;

/// Code, name and packets, by code.
static TABLE: [Row; 43] = [
    (
        Reason::SUCCESS,
        "Success",
        CONNACK | PUBACK | PUBREC | PUBREL | PUBCOMP | SUBACK | UNSUBACK | DISCONNECT | AUTH,
    ),
    (Reason::GRANTED_QOS_1, "Granted QoS 1", SUBACK),
    (Reason::GRANTED_QOS_2, "Granted QoS 2", SUBACK),
    (Reason::DISCONNECT_WITH_WILL_MESSAGE, "Disconnect with Will Message", DISCONNECT),
    (Reason::NO_MATCHING_SUBSCRIBERS, "No matching subscribers", PUBACK | PUBREC),
    (Reason::NO_SUBSCRIPTION_EXISTED, "No subscription existed", UNSUBACK),
    (Reason::CONTINUE_AUTHENTICATION, "Continue authentication", AUTH),
    (Reason::RE_AUTHENTICATE, "Re-authenticate", AUTH),
    (
        Reason::UNSPECIFIED_ERROR,
        "Unspecified error",
        CONNACK | PUBACK | PUBREC | SUBACK | UNSUBACK | DISCONNECT,
    ),
    (Reason::MALFORMED_PACKET, "Malformed Packet", CONNACK | DISCONNECT),
    (Reason::PROTOCOL_ERROR, "Protocol Error", CONNACK | DISCONNECT),
    (
        Reason::IMPLEMENTATION_SPECIFIC_ERROR,
        "Implementation specific error",
        CONNACK | PUBACK | PUBREC | SUBACK | UNSUBACK | DISCONNECT,
    ),
    (Reason::UNSUPPORTED_PROTOCOL_VERSION, "Unsupported Protocol Version", CONNACK),
    (Reason::CLIENT_IDENTIFIER_NOT_VALID, "Client Identifier not valid", CONNACK),
    (Reason::BAD_USER_NAME_OR_PASSWORD, "Bad User Name or Password", CONNACK),
    (Reason::NOT_AUTHORIZED, "Not authorized", CONNACK | PUBACK | PUBREC | SUBACK | UNSUBACK | DISCONNECT),
    (Reason::SERVER_UNAVAILABLE, "Server unavailable", CONNACK),
    (Reason::SERVER_BUSY, "Server busy", CONNACK | DISCONNECT),
    (Reason::BANNED, "Banned", CONNACK),
    (Reason::SERVER_SHUTTING_DOWN, "Server shutting down", DISCONNECT),
    (Reason::BAD_AUTHENTICATION_METHOD, "Bad authentication method", CONNACK | DISCONNECT),
    (Reason::KEEP_ALIVE_TIMEOUT, "Keep Alive timeout", DISCONNECT),
    (Reason::SESSION_TAKEN_OVER, "Session taken over", DISCONNECT),
    (Reason::TOPIC_FILTER_INVALID, "Topic Filter invalid", SUBACK | UNSUBACK | DISCONNECT),
    (Reason::TOPIC_NAME_INVALID, "Topic Name invalid", CONNACK | PUBACK | PUBREC | DISCONNECT),
    (Reason::PACKET_IDENTIFIER_IN_USE, "Packet Identifier in use", PUBACK | PUBREC | SUBACK | UNSUBACK),
    (Reason::PACKET_IDENTIFIER_NOT_FOUND, "Packet Identifier not found", PUBREL | PUBCOMP),
    (Reason::RECEIVE_MAXIMUM_EXCEEDED, "Receive Maximum exceeded", DISCONNECT),
    (Reason::TOPIC_ALIAS_INVALID, "Topic Alias invalid", DISCONNECT),
    (Reason::PACKET_TOO_LARGE, "Packet too large", CONNACK | DISCONNECT),
    (Reason::MESSAGE_RATE_TOO_HIGH, "Message rate too high", DISCONNECT),
    (Reason::QUOTA_EXCEEDED, "Quota exceeded", CONNACK | PUBACK | PUBREC | SUBACK | DISCONNECT),
    (Reason::ADMINISTRATIVE_ACTION, "Administrative action", DISCONNECT),
    (Reason::PAYLOAD_FORMAT_INVALID, "Payload format invalid", CONNACK | PUBACK | PUBREC | DISCONNECT),
    (Reason::RETAIN_NOT_SUPPORTED, "Retain not supported", CONNACK | DISCONNECT),
    (Reason::QOS_NOT_SUPPORTED, "QoS not supported", CONNACK | DISCONNECT),
    (Reason::USE_ANOTHER_SERVER, "Use another server", CONNACK | DISCONNECT),
    (Reason::SERVER_MOVED, "Server moved", CONNACK | DISCONNECT),
    (Reason::SHARED_SUBSCRIPTIONS_NOT_SUPPORTED, "Shared Subscriptions not supported", SUBACK | DISCONNECT),
    (Reason::CONNECTION_RATE_EXCEEDED, "Connection rate exceeded", CONNACK | DISCONNECT),
    (Reason::MAXIMUM_CONNECT_TIME, "Maximum connect time", DISCONNECT),
    (
        Reason::SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED,
        "Subscription Identifiers not supported",
        SUBACK | DISCONNECT,
    ),
    (
        Reason::WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED,
        "Wildcard Subscriptions not supported",
        SUBACK | DISCONNECT,
    ),
];
