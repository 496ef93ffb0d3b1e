//! Why a call was refused. Nothing was queued then.

use core::fmt;

use crate::wire::QoS;

/// Why a publish was refused at the call. Nothing was queued; the message is still the caller's.
#[derive(Clone, Copy, Eq, PartialEq)]
#[non_exhaustive]
pub enum PublishError {
    /// The queue is full; try again when messages have been acknowledged.
    Full,
    /// Properties need MQTT 5.0 and the session is fixed to an older version.
    NeedsVersion5,
    /// Larger than the largest packet the broker accepts [MQTT-3.2.2-15].
    TooLarge {
        /// Size of the packet, in bytes.
        size: usize,
        /// What the broker announced, in bytes.
        maximum: u32,
    },
    /// The payload format indicator declares UTF-8 text, and the payload is none.
    NotText,
    /// The broker announced a lower maximum QoS [MQTT-3.2.2-11].
    QosNotSupported(QoS),
    /// The broker announced that it keeps no retained messages [MQTT-3.2.2-14].
    RetainNotSupported,
    /// Its payload is read while it is sent, which the store of a durable session cannot keep.
    NotResident,
    /// The session was told to disconnect for good.
    Closed,
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("the queue is full: wait for acknowledgements, or raise its bounds"),
            Self::NeedsVersion5 => {
                f.write_str("message properties need MQTT 5.0: leave them out, or allow them to be dropped")
            }
            Self::TooLarge { size, maximum } => {
                write!(f, "the packet has {size} bytes and the broker takes at most {maximum}")
            }
            Self::NotText => f.write_str(
                "the payload is declared to be UTF-8 text and is not: leave the payload format indicator out",
            ),
            Self::QosNotSupported(maximum) => {
                write!(f, "the broker takes QoS {} at most", *maximum as u8)
            }
            Self::NotResident => {
                f.write_str("a durable session keeps bytes in memory only: read the payload first")
            }
            Self::RetainNotSupported => f.write_str("the broker keeps no retained messages"),
            Self::Closed => f.write_str("the client was disconnected"),
        }
    }
}

/// What a `main` that returns it prints.
impl fmt::Debug for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl core::error::Error for PublishError {}

/// Why a subscription was refused at the call.
#[derive(Clone, Copy, Eq, PartialEq)]
#[non_exhaustive]
pub enum SubscribeError {
    /// The same filter is subscribed with other options: unsubscribe it first.
    ConflictingOptions,
    /// A shared filter overlaps another one, and the broker names no subscription identifiers to tell them apart.
    OverlapsShared,
    /// No-local is not allowed on a shared subscription [MQTT-3.8.3-4].
    SharedNoLocal,
    /// The option needs MQTT 5.0 and the session is fixed to an older version.
    NeedsVersion5,
    /// The session was told to disconnect for good.
    Closed,
}

impl fmt::Display for SubscribeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ConflictingOptions => "the filter is subscribed with other options: unsubscribe it first",
            Self::OverlapsShared => {
                "a shared subscription overlaps another filter and the broker cannot tell them apart"
            }
            Self::SharedNoLocal => "no-local is not allowed on a shared subscription",
            Self::NeedsVersion5 => "no-local and the retain options need MQTT 5.0",
            Self::Closed => "the client was disconnected",
        })
    }
}

impl fmt::Debug for SubscribeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl core::error::Error for SubscribeError {}
