//! Why a trial got no further.

use std::fmt;

use packetboat::Reason;

/// Why a trial got no further.
#[derive(Clone, Debug)]
pub(super) enum Trouble {
    /// No connection.
    Dial(String),
    /// CONNECT was refused.
    Refused(Reason),
    /// The broker said goodbye.
    Disconnected(Reason),
    /// The broker closed the connection without a word.
    Closed,
    /// No answer in time.
    Silence,
    /// An answer that makes no sense.
    Nonsense(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dial(why) => f.write_str(why),
            Self::Refused(reason) => write!(f, "CONNECT is refused: {reason}"),
            Self::Disconnected(reason) => write!(f, "the broker disconnects: {reason}"),
            Self::Closed => f.write_str("the broker closes the connection"),
            Self::Silence => f.write_str("no answer"),
            Self::Nonsense(what) => f.write_str(what),
        }
    }
}
