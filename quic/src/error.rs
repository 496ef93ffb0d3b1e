//! What can go wrong, each its own answer.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use packetboat::DialError;
use quinn::{ConnectError, ConnectionError};

/// Why no QUIC connection came about.
#[derive(Clone)]
#[non_exhaustive]
pub enum QuicError {
    /// This PEM file cannot be used.
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// There is no certificate authority to trust.
    NoAuthorities,
    /// rustls does not take the settings, the client's certificate for example.
    Tls(rustls::Error),
    /// The cipher QUIC begins with is missing.
    NoCipher,
    /// The connection could not be begun.
    Connect(ConnectError),
    /// The connection was begun and did not come about.
    Connection(ConnectionError),
}

impl QuicError {
    pub(crate) fn file(path: &Path, why: &dyn fmt::Display) -> Self {
        Self::File { path: path.into(), why: why.to_string() }
    }

    /// Back out of the error of one address among several.
    pub(crate) fn unpack(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref::<Self>().cloned()
    }
}

impl fmt::Display for QuicError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, why } => write!(f, "{} cannot be used: {why}", path.display()),
            Self::NoAuthorities => {
                f.write_str("there is no certificate authority to trust: name a file of them")
            }
            Self::Tls(error) => write!(f, "the settings of TLS do not do: {error}"),
            Self::NoCipher => f.write_str("the cipher QUIC begins with is missing"),
            Self::Connect(error) => write!(f, "no QUIC connection can be begun: {error}"),
            Self::Connection(ConnectionError::TimedOut) => {
                f.write_str("nothing answers in QUIC: check address and firewall, is this the UDP port?")
            }
            Self::Connection(error) => write!(f, "the QUIC handshake failed: {error}"),
        }
    }
}

packetboat::readable_debug!(QuicError);

impl std::error::Error for QuicError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Tls(error) => Some(error),
            Self::Connect(error) => Some(error),
            Self::Connection(error) => Some(error),
            _ => None,
        }
    }
}

impl From<QuicError> for DialError {
    fn from(error: QuicError) -> Self {
        Self::Transport(Arc::new(error))
    }
}

impl From<QuicError> for io::Error {
    fn from(error: QuicError) -> Self {
        Self::other(error)
    }
}
