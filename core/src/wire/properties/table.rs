//! Table 2-4: which properties there are, where each may stand and what it may hold.

use core::fmt;

/// A property, by its identifier.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names are the specification's")]
pub enum Property {
    PayloadFormatIndicator = 0x01,
    MessageExpiryInterval = 0x02,
    ContentType = 0x03,
    ResponseTopic = 0x08,
    CorrelationData = 0x09,
    SubscriptionIdentifier = 0x0b,
    SessionExpiryInterval = 0x11,
    AssignedClientIdentifier = 0x12,
    ServerKeepAlive = 0x13,
    AuthenticationMethod = 0x15,
    AuthenticationData = 0x16,
    RequestProblemInformation = 0x17,
    WillDelayInterval = 0x18,
    RequestResponseInformation = 0x19,
    ResponseInformation = 0x1a,
    ServerReference = 0x1c,
    ReasonString = 0x1f,
    ReceiveMaximum = 0x21,
    TopicAliasMaximum = 0x22,
    TopicAlias = 0x23,
    MaximumQos = 0x24,
    RetainAvailable = 0x25,
    UserProperty = 0x26,
    MaximumPacketSize = 0x27,
    WildcardSubscriptionAvailable = 0x28,
    SubscriptionIdentifierAvailable = 0x29,
    SharedSubscriptionAvailable = 0x2a,
}

/// Where a property block stands.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u16)]
pub enum Place {
    /// CONNECT.
    Connect = 1,
    /// CONNACK.
    Connack = 1 << 1,
    /// PUBLISH.
    Publish = 1 << 2,
    /// The will in CONNECT.
    Will = 1 << 3,
    /// PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK and UNSUBACK: the same two properties in each.
    Ack = 1 << 4,
    /// SUBSCRIBE.
    Subscribe = 1 << 5,
    /// UNSUBSCRIBE.
    Unsubscribe = 1 << 6,
    /// DISCONNECT.
    Disconnect = 1 << 7,
    /// AUTH.
    Auth = 1 << 8,
}

/// The type of a value, and which values of the type are allowed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// A byte that is 0 or 1.
    Flag,
    Two,
    TwoNotZero,
    Four,
    FourNotZero,
    /// A variable byte integer that is not zero.
    VariableNotZero,
    Binary,
    Text,
    /// Text without wildcards.
    TopicName,
    TextPair,
}

/// A row of the table.
#[derive(Clone, Copy)]
pub(super) struct Row {
    pub(super) property: Property,
    pub(super) kind: Kind,
    places: u16,
}

impl Row {
    #[inline]
    pub(super) const fn allows(self, place: Place) -> bool {
        self.places & place as u16 != 0
    }
}

/// The row of an identifier.
#[inline]
pub(super) fn row(identifier: u8) -> Option<Row> {
    ROWS.get(usize::from(identifier)).copied().flatten()
}

/// Rows by identifier, so that reading a property is one load and not a search.
static ROWS: [Option<Row>; 0x2b] = {
    use Kind::{
        Binary, Flag, Four, FourNotZero, Text, TextPair, TopicName, Two, TwoNotZero, VariableNotZero,
    };
    use Place::{Auth, Connack, Connect, Disconnect, Publish, Subscribe, Will};
    use Property as P;

    const MESSAGE: u16 = Publish as u16 | Will as u16;
    const LIMITS: u16 = Connect as u16 | Connack as u16;
    const AUTHENTICATION: u16 = LIMITS | Auth as u16;
    const ANSWERS: u16 = Connack as u16 | Place::Ack as u16 | Disconnect as u16 | Auth as u16;
    const EVERYWHERE: u16 = 0x1ff;

    const TABLE: [(Property, Kind, u16); 27] = [
        (P::PayloadFormatIndicator, Flag, MESSAGE),
        (P::MessageExpiryInterval, Four, MESSAGE),
        (P::ContentType, Text, MESSAGE),
        (P::ResponseTopic, TopicName, MESSAGE),
        (P::CorrelationData, Binary, MESSAGE),
        (P::SubscriptionIdentifier, VariableNotZero, Publish as u16 | Subscribe as u16),
        (P::SessionExpiryInterval, Four, LIMITS | Disconnect as u16),
        (P::AssignedClientIdentifier, Text, Connack as u16),
        (P::ServerKeepAlive, Two, Connack as u16),
        (P::AuthenticationMethod, Text, AUTHENTICATION),
        (P::AuthenticationData, Binary, AUTHENTICATION),
        (P::RequestProblemInformation, Flag, Connect as u16),
        (P::WillDelayInterval, Four, Will as u16),
        (P::RequestResponseInformation, Flag, Connect as u16),
        (P::ResponseInformation, Text, Connack as u16),
        (P::ServerReference, Text, Connack as u16 | Disconnect as u16),
        (P::ReasonString, Text, ANSWERS),
        (P::ReceiveMaximum, TwoNotZero, LIMITS),
        (P::TopicAliasMaximum, Two, LIMITS),
        (P::TopicAlias, TwoNotZero, Publish as u16),
        (P::MaximumQos, Flag, Connack as u16),
        (P::RetainAvailable, Flag, Connack as u16),
        (P::UserProperty, TextPair, EVERYWHERE),
        (P::MaximumPacketSize, FourNotZero, LIMITS),
        (P::WildcardSubscriptionAvailable, Flag, Connack as u16),
        (P::SubscriptionIdentifierAvailable, Flag, Connack as u16),
        (P::SharedSubscriptionAvailable, Flag, Connack as u16),
    ];

    let mut rows = [None; 0x2b];
    let mut index = 0;
    while index < TABLE.len() {
        let (property, kind, places) = TABLE[index];
        rows[property as usize] = Some(Row { property, kind, places });
        index += 1;
    }
    rows
};

impl Property {
    /// Every property, in the order of Table 2-4.
    pub fn all() -> impl Iterator<Item = Self> {
        ROWS.iter().flatten().map(|row| row.property)
    }

    /// Whether a block at `place` may hold it.
    #[must_use]
    pub fn is_allowed_in(self, place: Place) -> bool {
        row(self as u8).is_some_and(|row| row.allows(place))
    }

    /// Whether a block at `place` may hold it more than once. Others more than once are a Protocol Error.
    #[inline]
    #[must_use]
    pub const fn may_repeat_in(self, place: Place) -> bool {
        match self {
            Self::UserProperty => true,
            // 3.3.2.3.8; in SUBSCRIBE only once (3.8.2.1.2).
            Self::SubscriptionIdentifier => matches!(place, Place::Publish),
            _ => false,
        }
    }

    /// The name in the specification.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PayloadFormatIndicator => "Payload Format Indicator",
            Self::MessageExpiryInterval => "Message Expiry Interval",
            Self::ContentType => "Content Type",
            Self::ResponseTopic => "Response Topic",
            Self::CorrelationData => "Correlation Data",
            Self::SubscriptionIdentifier => "Subscription Identifier",
            Self::SessionExpiryInterval => "Session Expiry Interval",
            Self::AssignedClientIdentifier => "Assigned Client Identifier",
            Self::ServerKeepAlive => "Server Keep Alive",
            Self::AuthenticationMethod => "Authentication Method",
            Self::AuthenticationData => "Authentication Data",
            Self::RequestProblemInformation => "Request Problem Information",
            Self::WillDelayInterval => "Will Delay Interval",
            Self::RequestResponseInformation => "Request Response Information",
            Self::ResponseInformation => "Response Information",
            Self::ServerReference => "Server Reference",
            Self::ReasonString => "Reason String",
            Self::ReceiveMaximum => "Receive Maximum",
            Self::TopicAliasMaximum => "Topic Alias Maximum",
            Self::TopicAlias => "Topic Alias",
            Self::MaximumQos => "Maximum QoS",
            Self::RetainAvailable => "Retain Available",
            Self::UserProperty => "User Property",
            Self::MaximumPacketSize => "Maximum Packet Size",
            Self::WildcardSubscriptionAvailable => "Wildcard Subscription Available",
            Self::SubscriptionIdentifierAvailable => "Subscription Identifier Available",
            Self::SharedSubscriptionAvailable => "Shared Subscription Available",
        }
    }
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
