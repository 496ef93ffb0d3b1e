//! Why there is no TLS connection: who is to blame, and what to do.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// Why there is no TLS connection.
#[derive(Clone)]
#[non_exhaustive]
pub enum TlsError {
    /// A certificate, key or list of ours cannot be used.
    Material {
        /// Which one.
        what: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The server's certificate is not to be trusted.
    Certificate(CertificateProblem),
    /// The server refused, with this alert (RFC 8446, section 6).
    Rejected {
        /// Its number.
        alert: u8,
    },
    /// Something answers there, but not TLS.
    NotTls {
        /// What it seems to be.
        guess: &'static str,
    },
    /// Client and server have nothing in common: no version, cipher or protocol.
    Incompatible(String),
    /// The server closed the connection in the middle of the handshake.
    Closed,
    /// The connection broke in the middle of the handshake.
    Io(Arc<io::Error>),
    /// The server broke the rules of TLS.
    Protocol(String),
}

/// Why the server's certificate is not to be trusted.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub enum CertificateProblem {
    /// Its time is over.
    Expired {
        /// For so long; zero if that is not known.
        since: Duration,
    },
    /// Its time has not come.
    NotYetValid {
        /// It comes in so long; zero if that is not known.
        starts_in: Duration,
    },
    /// It is made out to another.
    WrongName {
        /// Who was asked for.
        expected: String,
        /// Whom it names.
        presented: Vec<String>,
    },
    /// Nobody we trust has signed it.
    UnknownAuthority,
    /// A revocation list names it.
    Revoked,
    /// The revocation lists do not tell.
    RevocationUnknown(&'static str),
    /// None of the pins fits.
    NotPinned,
    /// It cannot be used for this.
    Unusable(String),
}

/// To be read behind the server's name and a colon.
impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Material { what, problem } => write!(f, "TLS cannot begin: {what}: {problem}"),
            Self::Certificate(problem) => write!(f, "its certificate is not to be trusted: {problem}"),
            Self::Rejected { alert } => match meaning(*alert) {
                Some(meaning) => write!(f, "it refused the TLS connection: {meaning} (alert {alert})"),
                None => write!(f, "it refused the TLS connection (alert {alert})"),
            },
            Self::NotTls { guess } => {
                write!(f, "it does not speak TLS, it seems to be {guess}: check port and scheme")
            }
            Self::Incompatible(what) => write!(f, "it speaks TLS, but {what}"),
            Self::Closed => f.write_str(
                "it closed the connection in the TLS handshake: does this port expect TLS, and a client certificate?",
            ),
            Self::Io(error) => write!(f, "the connection broke in the TLS handshake: {error}"),
            Self::Protocol(what) => write!(f, "the TLS handshake failed: {what}"),
        }
    }
}

fn meaning(alert: u8) -> Option<&'static str> {
    Some(match alert {
        40 => "the handshake cannot be agreed on; does it want a client certificate?",
        42 | 43 | 46 => "it does not like the client's certificate; is it the right one?",
        44 => "the client's certificate is revoked",
        45 => "the client's certificate has expired, or its clock or ours is wrong",
        48 => "it does not know who signed the client's certificate; use one that its authority signed",
        49 => "the client's certificate is valid, but access is denied",
        50 | 51 => "it could not make sense of, or verify, what we sent",
        70 => "no common version of TLS",
        112 => "it does not know the server name that was asked for; set another server_name",
        116 => "it wants a client certificate; give certificate and key",
        120 => "it does not speak the protocol that was offered (ALPN)",
        _ => return None,
    })
}

impl std::error::Error for TlsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Certificate(problem) => Some(problem),
            Self::Io(error) => Some(&**error),
            _ => None,
        }
    }
}

impl fmt::Display for CertificateProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired { since } => {
                f.write_str("it has expired")?;
                about(f, *since, "", " ago")?;
                f.write_str(": have it renewed, and check this machine's clock")
            }
            Self::NotYetValid { starts_in } => {
                f.write_str("it is not valid yet")?;
                about(f, *starts_in, "but in ", "")?;
                f.write_str(": check this machine's clock")
            }
            Self::WrongName { expected, presented } => {
                write!(f, "it is made out to {}, not to {expected}: ", names(presented))?;
                f.write_str("connect by a name that it has, or set server_name")
            }
            Self::UnknownAuthority => {
                f.write_str("nobody we trust has signed it: give the certificate of its authority")
            }
            Self::Revoked => f.write_str("it is revoked: the server needs a new one"),
            Self::RevocationUnknown(why) => {
                write!(f, "whether it is revoked is not known: {why}")
            }
            Self::NotPinned => f.write_str("it is not the one that is pinned: is somebody in between?"),
            Self::Unusable(why) => f.write_str(why),
        }
    }
}

fn about(f: &mut fmt::Formatter<'_>, time: Duration, before: &str, behind: &str) -> fmt::Result {
    let (number, unit) = match time.as_secs() {
        0 => return Ok(()),
        seconds @ 1..=7199 => (seconds.div_ceil(60), "min"),
        seconds @ 7200..=172_799 => (seconds / 3600, "hours"),
        seconds => (seconds / 86_400, "days"),
    };
    write!(f, " ({before}{number} {unit}{behind})")
}

/// A certificate can name hundreds.
fn names(presented: &[String]) -> String {
    const SHOWN: usize = 5;
    match presented {
        [] => "nobody".to_owned(),
        names if names.len() <= SHOWN => names.join(", "),
        names => format!("{} and {} others", names[..SHOWN].join(", "), names.len() - SHOWN),
    }
}

impl std::error::Error for CertificateProblem {}
