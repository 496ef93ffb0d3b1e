//! What can go wrong, one type for each operation. Each says who is to blame and what to do.

mod connect;
mod readable;

use std::fmt;

use bytes::Bytes;
use packetboat_core::session;
use packetboat_core::topic::TopicError;
use packetboat_core::wire::{PropertiesBuf, Reason};

use crate::{Disconnection, Receipt};

pub use connect::{ConnectError, ConnectStage};
pub use readable::report;

/// Why a publish did not end well. Each variant says what became of the message, so that nobody sends it twice.
///
/// ```no_run
/// use packetboat::{Client, PublishError, QoS};
///
/// # async fn example(client: Client) {
/// match client.publish("orders", "one").qos(QoS::AtLeastOnce).await {
///     Ok(_) => println!("delivered"),
///     Err(PublishError::Refused { reason, .. }) => println!("the broker does not want it: {reason}"),
///     Err(PublishError::Unresolved(receipt)) => println!("sent, not yet confirmed: {:?}", receipt.stage()),
///     Err(error) => println!("{error}"),
/// }
/// # }
/// ```
#[non_exhaustive]
pub enum PublishError {
    /// **Not sent.** The topic is wrong.
    Topic(TopicError),
    /// **Not sent.** It was never accepted. An owned payload comes back.
    Rejected {
        /// Why.
        reason: session::PublishError,
        /// The payload, if it was owned.
        payload: Option<Bytes>,
    },
    /// **Not sent.** The time limit passed while it waited; it was withdrawn. An owned payload comes back if the
    /// message had not been accepted yet.
    TimedOut {
        /// The payload, if it was owned and not accepted.
        payload: Option<Bytes>,
        /// Why there was no connection, if there was none.
        offline: Option<Box<Disconnection>>,
        /// It had its place in the queue and waited for the broker to confirm others; otherwise the queue was full.
        accepted: bool,
    },
    /// **Not sent.** It was accepted and ended before it was transmitted.
    Withdrawn(Withdrawal),
    /// **Sent**, and the broker refused it.
    Refused {
        /// Its reason.
        reason: Reason,
        /// Properties of its answer.
        properties: PropertiesBuf,
    },
    /// **Sent, and nobody knows yet.** The time limit passed after it was transmitted: the receipt goes on.
    Unresolved(Receipt),
    /// **Sent, and nobody will know.** It was not confirmed and is not to be sent again.
    Uncertain(Uncertainty),
    /// **Perhaps sent.** The client was closed, or its runtime shut down, before the broker confirmed it.
    Closed,
}

/// Why nobody will know what became of a message that was sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Uncertainty {
    /// The broker lost the session before it confirmed an exactly-once message, and
    /// [`resend_unresolved`](crate::Options::resend_unresolved) is off.
    SessionLost,
    /// So many connections ended when it was sent, the last ones with nothing else on the way: see
    /// [`poison_limit`](crate::Options::poison_limit). Others are sent.
    Poison {
        /// Connections that ended.
        connections: u8,
    },
    /// It had been sent whole on an earlier connection, and its payload could not be read to send it again:
    /// [`StreamedPayload::failure`](crate::StreamedPayload::failure) says why.
    PayloadLost,
}

impl fmt::Display for Uncertainty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SessionLost => f.write_str("the broker lost the session before confirming"),
            Self::PayloadLost => f.write_str("its payload could not be read to send it again"),
            Self::Poison { connections } => write!(
                f,
                "{connections} connections ended when it was sent: look for what the broker has against it, its size, \
                 topic or permissions"
            ),
        }
    }
}

/// Why an accepted message was never transmitted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Withdrawal {
    /// Its message expiry interval passed.
    Expired,
    /// The queue's policy dropped it.
    Dropped,
    /// It was cancelled.
    Cancelled,
    /// The broker, known only after accepting it, does not take it.
    NotAllowed(session::PublishError),
    /// The store could not keep it.
    NotStored,
    /// Its payload could not be read while it was sent: [`StreamedPayload::failure`](crate::StreamedPayload::failure)
    /// says why.
    PayloadLost,
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Topic(error) => write!(f, "not sent: the topic is wrong: {error}"),
            Self::Rejected { reason, .. } => write!(f, "not sent: {reason}"),
            Self::TimedOut { offline: Some(cause), .. } => {
                write!(f, "not sent: the time limit passed while there was no connection: {cause}")
            }
            Self::TimedOut { accepted: true, .. } => f.write_str(
                "not sent: the time limit passed before the broker had confirmed what was sent before it",
            ),
            Self::TimedOut { .. } => f.write_str("not sent: the time limit passed while the queue was full"),
            Self::Withdrawn(why) => write!(f, "not sent: {why}"),
            Self::Refused { reason, properties } => {
                write!(f, "the broker refused the message: {reason}")?;
                reason_string(f, properties)
            }
            Self::Unresolved(_) => f.write_str(
                "sent, but not confirmed within the time limit: await the receipt, do not send again",
            ),
            Self::Uncertain(why) => write!(f, "sent, and perhaps not arrived: {why}"),
            Self::Closed => {
                f.write_str("the client was closed before the message was confirmed: it may have arrived")
            }
        }
    }
}

impl std::error::Error for PublishError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Topic(error) => Some(error),
            Self::Rejected { reason, .. } | Self::Withdrawn(Withdrawal::NotAllowed(reason)) => Some(reason),
            _ => None,
        }
    }
}

impl fmt::Display for Withdrawal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired => f.write_str("its expiry interval passed while it waited"),
            Self::Dropped => f.write_str("the queue was full and its policy dropped the message"),
            Self::Cancelled => f.write_str("it was cancelled"),
            Self::NotAllowed(reason) => reason.fmt(f),
            Self::PayloadLost => f.write_str("its payload could not be read when it was to be sent"),
            Self::NotStored => f.write_str("the store could not keep it"),
        }
    }
}

/// Why a subscription did not come about, or did not end as asked.
#[derive(Clone)]
#[non_exhaustive]
pub enum SubscribeError {
    /// The filter is wrong.
    Filter(TopicError),
    /// The client cannot ask for it.
    Rejected(session::SubscribeError),
    /// The broker refused it.
    Refused {
        /// Its reason.
        reason: Reason,
        /// Properties of its answer.
        properties: PropertiesBuf,
    },
    /// The broker did not answer in time.
    TimedOut {
        /// Why there was no connection, if there was none.
        offline: Option<Box<Disconnection>>,
    },
    /// The filter was [unsubscribed](crate::Client::unsubscribe) meanwhile.
    Unsubscribed,
    /// The client was closed, or its runtime shut down.
    Closed,
    /// Only the filters of a [standing](crate::Subscription::standing) stream can be changed.
    NotStanding,
}

impl fmt::Display for SubscribeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Filter(error) => write!(f, "the topic filter is wrong: {error}"),
            Self::Rejected(error) => error.fmt(f),
            Self::Refused { reason, properties } => {
                write!(f, "the broker refused the request: {reason}")?;
                reason_string(f, properties)
            }
            Self::TimedOut { offline: Some(cause) } => {
                write!(f, "the time limit passed while there was no connection: {cause}")
            }
            Self::TimedOut { offline: None } => {
                f.write_str("the broker did not answer within the time limit")
            }
            Self::NotStanding => {
                f.write_str("the filters of this stream are fixed: make it by Subscription::standing")
            }
            Self::Unsubscribed => f.write_str("the filter was unsubscribed"),
            Self::Closed => f.write_str("the client was closed"),
        }
    }
}

impl std::error::Error for SubscribeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Filter(error) => Some(error),
            Self::Rejected(error) => Some(error),
            _ => None,
        }
    }
}

/// The client was closed, or its runtime shut down.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the client was closed")
    }
}

impl std::error::Error for Closed {}

/// A message could not be acknowledged: the connection it came over is gone. The broker delivers it again.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Stale;

impl fmt::Display for Stale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection the message came over is gone: the broker delivers it again")
    }
}

impl std::error::Error for Stale {}

/// Disconnecting left something behind.
#[derive(Clone, Copy, Eq, PartialEq)]
#[non_exhaustive]
pub struct Undelivered {
    /// Messages that were accepted and not confirmed within the time limit.
    pub messages: usize,
}

impl fmt::Display for Undelivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "disconnected before {} accepted messages were confirmed", self.messages)
    }
}

impl std::error::Error for Undelivered {}

fn reason_string(f: &mut fmt::Formatter<'_>, properties: &PropertiesBuf) -> fmt::Result {
    match properties.as_properties().reason_string() {
        Some(text) => write!(f, " ({text:?})"),
        None => Ok(()),
    }
}
