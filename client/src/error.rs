//! What can go wrong, one type for each operation. Each says who is to blame and what to do.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use packetboat_core::session::{self, Breach};
use packetboat_core::topic::TopicError;
use packetboat_core::wire::{PropertiesBuf, Reason};

use crate::settings::OptionsError;
use crate::{DialError, Disconnection, Receipt, Server};

/// Why no connection came about.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// The options are wrong; nothing was tried.
    Options(OptionsError),
    /// The provider of credentials has none, or [`before_connect`](crate::Options::before_connect) failed.
    Credentials {
        /// For which server.
        server: Server,
        /// What the provider said.
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// No way to the server: its name, the network, a proxy, TLS or WebSocket stands against it.
    Unreachable {
        /// Which server.
        server: Server,
        /// What went wrong, and where.
        error: DialError,
    },
    /// It took too long.
    TimedOut {
        /// Which server.
        server: Server,
        /// What was being waited for.
        stage: ConnectStage,
        /// The limit.
        limit: Duration,
    },
    /// Something answers there, but not MQTT.
    NotMqtt {
        /// Which server.
        server: Server,
        /// What it seems to be.
        guess: &'static str,
        /// What it did wrong.
        breach: Breach,
    },
    /// The broker refused, with a reason.
    Refused {
        /// Which server.
        server: Server,
        /// Its reason; 3.1.1 return codes by their 5.0 names.
        reason: Reason,
        /// CONNACK properties: reason string, server reference.
        properties: PropertiesBuf,
    },
    /// The method of [authentication](crate::Options::authenticator) cannot go on: it lacks something, or the broker is
    /// not who it should be. Nothing was sent but the exchange.
    NotAuthenticated {
        /// Which server.
        server: Server,
        /// What the method says.
        error: crate::AuthenticationError,
    },
    /// The connection was closed before the broker answered.
    Lost {
        /// Which server.
        server: Server,
    },
    /// The client was disconnected, or its runtime shut down, before there was a connection.
    Closed,
}

/// What a connection attempt was waiting for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ConnectStage {
    /// The answer of the provider of credentials.
    Credentials,
    /// The clock to be set: [`Options::require_clock`](crate::Options::require_clock).
    Clock,
    /// [`Options::before_connect`](crate::Options::before_connect).
    Preparing,
    /// A transport of your own that does not say what it waits for.
    Transport,
    /// The addresses of the host's name.
    Name,
    /// A TCP connection, or one to a socket in the file system.
    Tcp,
    /// The proxy's answer.
    Proxy,
    /// The TLS handshake.
    Tls,
    /// The answer to the WebSocket's HTTP request.
    WebSocket,
    /// The broker's answer to CONNECT.
    Answer,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Options(error) => error.fmt(f),
            Self::Credentials { server, source } => write!(f, "no credentials for {server}: {source}"),
            Self::Unreachable { server, error } => write!(f, "{server}: {error}"),
            Self::TimedOut { server, stage, limit } => {
                write!(f, "{server}: not connected within {limit:?}: {stage}")
            }
            Self::NotMqtt { server, guess, breach } => {
                write!(
                    f,
                    "{server} is not an MQTT broker, it seems to be {guess} ({}): check the port",
                    breach.what
                )
            }
            Self::Refused { server, reason, properties } => {
                write!(f, "the broker {server} refused the connection: {reason}")?;
                reason_string(f, properties)?;
                match *reason {
                    Reason::BAD_USER_NAME_OR_PASSWORD | Reason::NOT_AUTHORIZED => {
                        f.write_str("; check user name and password")
                    }
                    Reason::CLIENT_IDENTIFIER_NOT_VALID => f.write_str("; choose another client identifier"),
                    Reason::UNSUPPORTED_PROTOCOL_VERSION => f.write_str("; choose another version"),
                    _ => Ok(()),
                }
            }
            Self::NotAuthenticated { server, error } => write!(f, "no authentication with {server}: {error}"),
            Self::Lost { server } => write!(
                f,
                "{server} closed the connection without an answer: is it an MQTT broker, and does it expect TLS?"
            ),
            Self::Closed => f.write_str("the client was closed"),
        }
    }
}

/// What went wrong if the time is up, and what to do.
impl fmt::Display for ConnectStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Credentials => "the provider of credentials did not answer",
            Self::Clock => "the clock was not set",
            Self::Preparing => "what is done before each attempt came to no end",
            Self::Transport => "the transport gave no connection",
            Self::Name => "the host name was not resolved, check the name server",
            Self::Tcp => "it does not answer, check address and firewall",
            Self::Proxy => "the proxy did not answer, check its address and what it allows",
            Self::Tls => "the TLS handshake was not finished, does this port expect TLS?",
            Self::WebSocket => "the WebSocket request was not answered, is it a WebSocket port?",
            Self::Answer => "CONNECT was not answered, is it an MQTT broker, and does it expect TLS?",
        })
    }
}

impl std::error::Error for ConnectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Options(error) => Some(error),
            Self::Credentials { source, .. } => Some(&**source),
            Self::Unreachable { error, .. } => Some(error),
            Self::NotAuthenticated { error, .. } => Some(error),
            _ => None,
        }
    }
}

impl From<OptionsError> for ConnectError {
    fn from(error: OptionsError) -> Self {
        Self::Options(error)
    }
}

/// Why a publish did not end well. Each variant says what became of the message, so that nobody sends it twice.
#[derive(Debug)]
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
}

impl fmt::Display for Uncertainty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SessionLost => f.write_str("the broker lost the session before confirming"),
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
            Self::NotStored => f.write_str("the store could not keep it"),
        }
    }
}

/// Why a subscription did not come about, or did not end as asked.
#[derive(Clone, Debug, Eq, PartialEq)]
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
    /// The client was closed, or its runtime shut down.
    Closed,
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
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the client was closed")
    }
}

impl std::error::Error for Closed {}

/// A message could not be acknowledged: the connection it came over is gone. The broker delivers it again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Stale;

impl fmt::Display for Stale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection the message came over is gone: the broker delivers it again")
    }
}

impl std::error::Error for Stale {}

/// Disconnecting left something behind.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
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
