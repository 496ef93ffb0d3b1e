//! What can go wrong with a broker of messages, one type for each operation.

use std::error::Error;
use std::fmt;

use packetboat_config::Problem;

use super::protocol::{FailedStart, SourceError};

/// Why targets and pipes did not come about. Nothing of them is left: it can be tried again.
#[non_exhaustive]
pub enum InitialiseError {
    /// The configuration is wrong; all that is.
    Wrong(Vec<Problem>),
    /// A target could not begin.
    Start {
        /// Its name.
        target: String,
        /// Why.
        error: FailedStart,
    },
    /// The broker was closed.
    Closed,
}

impl fmt::Display for InitialiseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wrong(problems) => {
                for (place, problem) in problems.iter().enumerate() {
                    write!(f, "{}{problem}", if place > 0 { "\n" } else { "" })?;
                }
                Ok(())
            }
            Self::Start { target, error } => write!(f, "the target `{target}` could not begin: {error}"),
            Self::Closed => f.write_str("the message broker was closed: create another"),
        }
    }
}

packetboat::readable_debug!(InitialiseError, ProtocolError, MessageError, HandlerError);

impl Error for InitialiseError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Start { error, .. } => Some(&**error),
            _ => None,
        }
    }
}

/// Why a protocol was not added.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub enum ProtocolError {
    /// There is one of this name.
    Exists(String),
    /// The broker was initialised or closed before.
    TooLate(String),
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exists(name) => write!(f, "there is a protocol `{name}`: give yours another name"),
            Self::TooLate(name) => {
                write!(f, "the message broker was initialised before: add the protocol `{name}` earlier")
            }
        }
    }
}

impl Error for ProtocolError {}

/// Why a message was not given to any destination.
#[derive(Clone, Copy, Eq, PartialEq)]
#[non_exhaustive]
pub enum MessageError {
    /// The message id, or subscription id, is empty.
    EmptyId,
    /// The broker was not initialised.
    NotInitialised,
    /// The broker was closed.
    Closed,
    /// So much waits already that nothing more is taken without waiting.
    Full,
}

impl fmt::Display for MessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EmptyId => "the id is empty: say which pipes or handlers it is for",
            Self::NotInitialised => "the message broker was not initialised: do that first",
            Self::Closed => "the message broker was closed",
            Self::Full => {
                "not taken: 1,000 messages, or 16 MiB, wait for their destinations: await them, or try later"
            }
        })
    }
}

impl Error for MessageError {}

/// Why a handler gets nothing.
#[non_exhaustive]
pub enum HandlerError {
    /// It cannot be asked for.
    Message(MessageError),
    /// A target refused it. It is in place nowhere.
    Refused {
        /// Its name.
        target: String,
        /// The subscription id.
        subscription_id: String,
        /// Why.
        error: SourceError,
    },
}

impl fmt::Display for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message(error) => error.fmt(f),
            Self::Refused { target, subscription_id, error } => {
                write!(f, "the target `{target}` refused the subscription `{subscription_id}`: {error}")
            }
        }
    }
}

impl Error for HandlerError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Message(_) => None,
            Self::Refused { error, .. } => Some(&**error),
        }
    }
}

impl From<MessageError> for HandlerError {
    fn from(error: MessageError) -> Self {
        Self::Message(error)
    }
}
