//! Why a server could not be reached: an answer for each layer of the road.

use std::fmt;
use std::io;
use std::sync::Arc;

use super::{ProxyError, TlsError, WebSocketError};
use crate::UrlError;

/// Why no connection came about.
#[derive(Clone)]
#[non_exhaustive]
pub enum DialError {
    /// The host name has no address.
    Resolve(Arc<io::Error>),
    /// No address took the connection; the error of the last one.
    Connect(Arc<io::Error>),
    /// Nothing takes connections at this place of the file system.
    Socket(Arc<io::Error>),
    /// The proxy did not open the way.
    Proxy {
        /// Which one.
        proxy: String,
        /// What it did.
        error: ProxyError,
    },
    /// TLS did not come about.
    Tls(TlsError),
    /// No WebSocket came about.
    WebSocket(WebSocketError),
    /// What a transport outside this crate says.
    Transport(Arc<dyn std::error::Error + Send + Sync>),
    /// This build of the crate does not know the way.
    Unsupported(UrlError),
}

impl From<TlsError> for DialError {
    fn from(error: TlsError) -> Self {
        Self::Tls(error)
    }
}

impl DialError {
    pub(super) fn of_proxy(proxy: impl fmt::Display, error: ProxyError) -> Self {
        Self::Proxy { proxy: proxy.to_string(), error }
    }
}

impl From<io::Error> for DialError {
    fn from(error: io::Error) -> Self {
        Self::Connect(Arc::new(error))
    }
}

/// To be read behind the server's name and a colon.
impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resolve(error) => {
                write!(f, "the host name has no address ({error}): check its spelling and the network")
            }
            Self::Connect(error) => {
                write!(
                    f,
                    "it does not take connections ({error}): check port and firewall, is the broker up?"
                )
            }
            Self::Socket(error) => {
                write!(
                    f,
                    "no socket takes connections there ({error}): check path and permissions, is the broker up?"
                )
            }
            Self::Proxy { proxy, error } => write!(f, "the proxy {proxy} {error}"),
            Self::Tls(error) => error.fmt(f),
            Self::WebSocket(error) => error.fmt(f),
            Self::Transport(error) => error.fmt(f),
            Self::Unsupported(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for DialError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Resolve(error) | Self::Connect(error) | Self::Socket(error) => Some(&**error),
            Self::Proxy { error, .. } => Some(error),
            Self::Tls(error) => Some(error),
            Self::WebSocket(error) => Some(error),
            Self::Transport(error) => Some(&**error),
            Self::Unsupported(error) => Some(error),
        }
    }
}
