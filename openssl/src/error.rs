//! What can go wrong, each its own answer.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use openssl::error::ErrorStack;
use openssl::ssl::Error as SslError;
use openssl::x509::X509VerifyResult;
use packetboat::DialError;

/// Why no TLS connection came about.
#[derive(Clone)]
#[non_exhaustive]
pub enum OpenSslError {
    /// OpenSSL does not take this setting.
    Setting {
        /// Which one.
        what: &'static str,
        /// What OpenSSL said.
        error: ErrorStack,
    },
    /// This file cannot be read.
    File {
        /// Which file.
        path: PathBuf,
        /// What the operating system said.
        error: Arc<io::Error>,
    },
    /// The identity of the pre-shared key is longer than 127 bytes, or holds U+0000.
    PskIdentity,
    /// The pre-shared key is empty, or longer than 256 bytes.
    PskKey,
    /// The server's certificate is not to be trusted: why.
    Certificate(String),
    /// The server does not accept identity and key, or none of the ciphers is the server's: what was said.
    Psk(String),
    /// The handshake failed otherwise.
    Handshake(String),
}

impl OpenSslError {
    pub(crate) fn of_handshake(error: &SslError, verified: X509VerifyResult, with_psk: bool) -> Self {
        let said = said(error);
        if verified != X509VerifyResult::OK {
            return Self::Certificate(verified.error_string().to_owned());
        }
        // Where keys are shared the server answers with an alert, whatever is wrong.
        if with_psk && error.ssl_error().is_some() { Self::Psk(said) } else { Self::Handshake(said) }
    }
}

fn said(error: &SslError) -> String {
    if let Some(stack) = error.ssl_error() {
        let reasons: Vec<&str> = stack.errors().iter().filter_map(openssl::error::Error::reason).collect();
        if !reasons.is_empty() {
            return reasons.join(", ");
        }
    }
    match error.io_error() {
        Some(error) => error.to_string(),
        None => "the server closed the connection".to_owned(),
    }
}

impl fmt::Display for OpenSslError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setting { what, error } => write!(f, "OpenSSL does not take {what}: {error}"),
            Self::File { path, error } => write!(f, "{} cannot be read: {error}", path.display()),
            Self::PskIdentity => {
                f.write_str("the identity of the pre-shared key must have at most 127 bytes and no U+0000")
            }
            Self::PskKey => f.write_str("the pre-shared key must have 1 to 256 bytes"),
            Self::Certificate(why) => {
                write!(f, "the server's certificate is not to be trusted ({why}): check name and authorities")
            }
            Self::Psk(said) => {
                write!(f, "no agreement on the pre-shared key ({said}): check identity, key and ciphers")
            }
            Self::Handshake(said) => {
                write!(f, "the TLS handshake failed ({said}): does this port expect TLS, and these ciphers?")
            }
        }
    }
}

packetboat::readable_debug!(OpenSslError);

impl std::error::Error for OpenSslError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Setting { error, .. } => Some(error),
            Self::File { error, .. } => Some(&**error),
            _ => None,
        }
    }
}

impl From<OpenSslError> for DialError {
    fn from(error: OpenSslError) -> Self {
        Self::Transport(Arc::new(error))
    }
}
