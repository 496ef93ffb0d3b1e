//! Why no connection came about.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use packetboat_core::session::Breach;
use packetboat_core::wire::{PropertiesBuf, Reason};

use super::reason_string;
use crate::settings::OptionsError;
use crate::{DialError, Server};

/// Why no connection came about.
///
/// ```no_run
/// use packetboat::{Client, ConnectError, Reason};
///
/// # async fn example() -> Result<(), ConnectError> {
/// match Client::connect("mqtt://localhost").await {
///     Err(ConnectError::Refused { reason: Reason::BAD_USER_NAME_OR_PASSWORD, .. }) => println!("ask for another one"),
///     Err(error) => println!("{error}"),
///     Ok(_client) => println!("connected"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
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
    /// The end of an exchange of [authentication](crate::Options::authenticator) that the broker took up.
    Authentication,
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
            Self::Authentication => "the broker did not bring the exchange of authentication to an end",
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
