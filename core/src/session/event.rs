//! What goes in and comes out of a session besides bytes.

use super::refusal::PublishError;
use crate::topic::TopicFilter;
use crate::wire::{AckKind, DecodeError, Properties, PropertiesBuf, Property, QoS, Reason, Version};
use alloc::boxed::Box;

/// The caller's own name for an operation; comes back in the event that ends it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Tag(pub u64);

impl Tag {
    /// Nobody listens: no event is made.
    pub const NONE: Self = Self(u64::MAX);

    /// A message's owner will ask how it ended, by its ticket: [`poll_outcome`](super::Session::poll_outcome). No event
    /// is made unless the owner has asked too early.
    pub const KEPT: Self = Self(u64::MAX - 1);
}

/// Names an accepted message until it is finished. Stale tickets are recognised.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Ticket {
    pub(crate) slot: u32,
    pub(crate) sequence: u64,
}

impl Ticket {
    /// Stands for a message that was delivered before there was any other.
    pub const DELIVERED: Self = Self { slot: u32::MAX, sequence: 0 };

    /// Is its message one of those that [`settled`](super::Session::settled) speaks of?
    #[inline]
    #[must_use]
    pub const fn is_before(self, settled: u64) -> bool {
        self.sequence < settled
    }

    /// A number that no other message has until this one has ended and, if its outcome is kept apart, that was taken.
    /// Small, and used again: for tables beside the session's own.
    #[must_use]
    pub const fn index(self) -> usize {
        self.slot as usize
    }
}

/// Plain acknowledgements of one kind, one after the other, whose identifiers ascend by one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AckRun {
    /// Which.
    pub kind: AckKind,
    /// The first packet identifier.
    pub first: u16,
    /// How many.
    pub count: u16,
}

/// How far a publish got at the call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Accepted {
    /// QoS 0, in the output of a live connection. Finished: no event follows.
    Encoded,
    /// A record. With a tag, [`Event::Published`] follows, exactly once.
    Recorded(Ticket),
}

/// Where an accepted message is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stage {
    /// Waiting for a connection, the store, the window or room in the output.
    Accepted,
    /// In the output of this connection, or on the wire, under this packet identifier.
    Written(u16),
    /// PUBREC received; the broker owns it, PUBCOMP is awaited.
    Received(u16),
}

/// How an accepted message ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// QoS 0: in the output of a live connection.
    Sent,
    /// The broker answered.
    Acknowledged {
        /// PUBACK's, PUBREC's or PUBCOMP's reason code; success on 3.1.1.
        reason: Reason,
        /// The properties of that answer, if it had any.
        properties: Option<Box<PropertiesBuf>>,
        /// QoS 2 only: the broker lost the session and the message was sent anew; it may arrive twice.
        possible_duplicate: bool,
    },
    /// Its expiry interval passed before it was ever transmitted.
    Expired,
    /// The queue's policy dropped it.
    Dropped,
    /// Withdrawn by its owner before it was encoded.
    Cancelled,
    /// Accepted before the broker's limits were known, and outside them.
    NotAllowed(PublishError),
    /// Transmitted, never answered, and not to be sent again, for any of the reasons above or because the broker lost
    /// the session of a QoS 2 message: delivered or not, nobody knows.
    Unresolved,
    /// The store could not keep it.
    NotStored,
    /// What of its payload was not in memory was not to be had when its turn came.
    PayloadLost {
        /// It was sent whole on an earlier connection, and not answered.
        may_have_arrived: bool,
    },
    /// Each time it was sent the connection ended, so often, and the last times nothing else was on the way. It is not
    /// sent again, so that others can be.
    Poison {
        /// Connections that ended so.
        connections: u8,
    },
}

impl Outcome {
    /// Acknowledged, and nothing more to say.
    pub const DELIVERED: Self =
        Self::Acknowledged { reason: Reason::SUCCESS, properties: None, possible_duplicate: false };

    #[inline]
    pub(super) fn is_delivered(&self) -> bool {
        matches!(
            self,
            Self::Acknowledged { reason: Reason::SUCCESS, properties: None, possible_duplicate: false }
        )
    }
}

/// A message that arrived, as the session must know it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Arrival {
    /// Delivery guarantee.
    pub qos: QoS,
    /// Packet identifier, for QoS 1 and 2.
    pub id: Option<u16>,
    /// How many will hold it: streams that queue it. None: acknowledged at once.
    pub holders: u16,
}

/// What becomes of an arrived message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// Hand it on. With QoS 1 and 2 every holder must release the token once.
    Deliver(Option<AckToken>),
    /// The same QoS 2 delivery again, or the connection is closing: drop it.
    Ignore,
}

/// Names an unacknowledged arrival to its holders.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct AckToken {
    pub(crate) qos2: bool,
    /// Connection number for QoS 1, session number for QoS 2.
    pub(crate) epoch: u32,
    /// Ring position for QoS 1, packet identifier for QoS 2.
    pub(crate) key: u32,
}

/// What a holder says of a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Release {
    /// Done with it.
    Acknowledge,
    /// Refused for good, with a reason (5.0); a plain acknowledgement on 3.1.1. Not redelivered.
    Reject(Reason),
    /// Given up without a word: never acknowledged on this connection, redelivered on the next.
    Abandon,
}

/// A breach of the protocol by the broker.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Breach {
    /// What the broker is told (5.0).
    pub reason: Reason,
    /// What it did.
    pub what: &'static str,
}

impl Breach {
    /// CONNECT of 5.0 was answered in the shape of 3.1.1: the broker does not speak 5.0.
    pub(crate) const OLD_CONNACK: Self =
        Self { reason: Reason::UNSUPPORTED_PROTOCOL_VERSION, what: "CONNACK in the shape of 3.1.1" };

    pub(crate) const fn protocol(what: &'static str) -> Self {
        Self { reason: Reason::PROTOCOL_ERROR, what }
    }
}

impl From<DecodeError> for Breach {
    fn from(error: DecodeError) -> Self {
        let what = match error {
            DecodeError::Malformed(what) | DecodeError::ProtocolError(what) => what,
            DecodeError::TooLarge { .. } => "packet larger than announced",
            DecodeError::UnsupportedVersion { .. } => "a packet only clients send",
        };
        Self { reason: error.reason(), what }
    }
}

/// Why a connection ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Cause {
    /// We were told to disconnect.
    Requested,
    /// The transport ended without a word.
    Lost,
    /// The broker refused the connection in its CONNACK.
    Refused {
        /// Its reason; 3.1.1 return codes by their 5.0 names.
        reason: Reason,
        /// CONNACK properties: reason string, server reference.
        properties: PropertiesBuf,
        /// The answer had the shape of 3.1.1 though 5.0 was asked for: the broker does not speak 5.0.
        old_shape: bool,
    },
    /// The broker said goodbye (5.0).
    ByBroker {
        /// Its reason.
        reason: Reason,
        /// DISCONNECT properties: reason string, server reference.
        properties: PropertiesBuf,
    },
    /// The broker broke the protocol; it was told why where the version allows.
    Breach(Breach),
    /// Nothing was heard for one and a half keep-alive intervals, or PINGREQ went unanswered.
    Silent,
    /// An acknowledgement was missing for too long.
    NotAcknowledged,
    /// The store failed: nothing may leave that it does not know.
    StoreFailed,
}

/// What the application should know.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// CONNACK said yes.
    Connected {
        /// The broker kept the session of the last connection.
        session_present: bool,
        /// The version spoken.
        version: Version,
        /// CONNACK properties (5.0).
        properties: PropertiesBuf,
    },
    /// An accepted message ended. Exactly once for each record with a tag of its own.
    Published {
        /// The caller's name for it.
        tag: Tag,
        /// How it ended.
        outcome: Outcome,
    },
    /// A message of which [`poll_outcome`](super::Session::poll_outcome) had nothing to say has ended: ask again.
    Finished {
        /// Which.
        ticket: Ticket,
    },
    /// A subscription was answered.
    Subscribed {
        /// The caller's name for it.
        tag: Tag,
        /// Granted QoS, or why it was refused.
        reason: Reason,
        /// The answer's properties, if it had any.
        properties: Option<Box<PropertiesBuf>>,
    },
    /// An unsubscription was answered.
    Unsubscribed {
        /// The caller's name for it.
        tag: Tag,
        /// What the broker said; success on 3.1.1.
        reason: Reason,
        /// The answer's properties, if it had any.
        properties: Option<Box<PropertiesBuf>>,
    },
    /// A subscription could not be restored after a reconnect: it has ended.
    SubscriptionLost {
        /// Which.
        filter: TopicFilter,
        /// Why.
        reason: Reason,
    },
    /// All subscriptions of the session stand again after a reconnect.
    SubscriptionsRestored,
    /// Messages were dropped because the queue was full or keeps none of QoS 0 offline: [`Outcome::Dropped`].
    Dropped {
        /// How many.
        messages: u64,
    },
    /// A message was given up because connections ended whenever it was sent: [`Outcome::Poison`].
    Poison {
        /// Where it was to go.
        topic: Box<str>,
        /// Packet identifier, if it had one still.
        id: Option<u16>,
        /// Delivery guarantee.
        qos: QoS,
        /// Bytes of topic, properties and payload.
        size: usize,
        /// Connections that ended.
        connections: u8,
    },
    /// PINGRESP came.
    ProbeAnswered {
        /// Which PINGREQ of this connection it answers, counted from one.
        probe: u64,
    },
    /// An arrival has been held for 30 s and keeps back the acknowledgements of others, which go in order.
    Held {
        /// Its packet identifier.
        id: u16,
        /// Its delivery guarantee.
        qos: QoS,
        /// How many are behind it.
        waiting: usize,
    },
    /// Arrivals that were given up, and are delivered again only after a reconnect, take half of the broker's window or
    /// more. Once for each connection.
    Abandoned {
        /// How many.
        messages: usize,
        /// How many the broker may have on the way to us at once.
        window: u16,
    },
    /// AUTH came: the broker wants another step (Continue authentication; answer with
    /// [`authenticate`](super::Session::authenticate)), or has accepted a re-authentication (Success). The last word of
    /// the exchange at connecting is in the properties of [`Connected`](Self::Connected).
    Authentication {
        /// Which of the two.
        reason: Reason,
        /// Its properties, the authentication data among them.
        properties: Box<PropertiesBuf>,
    },
    /// The connection ended. Exactly once for each opened connection.
    Disconnected {
        /// Why.
        cause: Cause,
        /// QoS 0 messages reported as sent whose bytes the socket had not taken.
        lost_qos0: usize,
    },
}

/// More of user properties is not kept.
const WORDS_MAXIMUM: usize = 64 * 1024;

/// What a packet of the broker says, to be kept for whoever is told of it. All but user properties has a bound of its own, and
/// a broker that acknowledges a whole window could otherwise have us keep 256 MiB of them for each message.
pub(super) fn kept(properties: Properties<'_>) -> PropertiesBuf {
    if properties.as_bytes().len() <= WORDS_MAXIMUM {
        PropertiesBuf::from(properties)
    } else {
        PropertiesBuf::without(properties, Property::UserProperty)
    }
}
