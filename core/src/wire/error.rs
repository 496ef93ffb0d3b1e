//! What can be wrong with bytes, with room and with property values.

use core::error::Error;
use core::fmt;

use super::Reason;

/// Why bytes are not a packet. Each ends the connection [MQTT-4.13.1-1].
#[derive(Clone, Copy, Eq, PartialEq)]
pub enum DecodeError {
    /// The bytes break the encoding rules; says which.
    Malformed(&'static str),
    /// The bytes can be read but what they say is a Protocol Error of 5.0; says which.
    ProtocolError(&'static str),
    /// A CONNECT of a version that is none of [`Version`](super::Version) [MQTT-3.1.2-2].
    UnsupportedVersion {
        /// The protocol level it asked for.
        level: u8,
    },
    /// The packet is larger than this side accepts. Known from the fixed header alone.
    TooLarge {
        /// The size of the whole packet, fixed header included.
        size: usize,
    },
}

impl DecodeError {
    /// The reason code 5.0 names for it, for a DISCONNECT or CONNACK.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Malformed(_) => Reason::MALFORMED_PACKET,
            Self::ProtocolError(_) => Reason::PROTOCOL_ERROR,
            Self::UnsupportedVersion { .. } => Reason::UNSUPPORTED_PROTOCOL_VERSION,
            Self::TooLarge { .. } => Reason::PACKET_TOO_LARGE,
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(what) => write!(f, "malformed packet: {what}"),
            Self::ProtocolError(what) => write!(f, "protocol error: {what}"),
            Self::UnsupportedVersion { level } => write!(f, "unsupported protocol level {level}"),
            Self::TooLarge { size } => write!(f, "packet of {size} bytes is too large"),
        }
    }
}

/// What a `main` that returns it prints.
impl fmt::Debug for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for DecodeError {}

/// There is not enough room for the packet; nothing was written.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Full {
    /// The room the packet needs.
    pub needed: usize,
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the packet needs {} bytes", self.needed)
    }
}

impl fmt::Debug for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for Full {}

/// Why a property cannot have the value given. The block is unchanged.
#[derive(Clone, Copy, Eq, PartialEq)]
pub enum PropertyError {
    /// Text or binary data of more than 65,535 bytes.
    TooLong,
    /// Text with U+0000 [MQTT-1.5.4-2].
    NullCharacter,
    /// A topic name with a wildcard [MQTT-3.3.2-14].
    Wildcard,
    /// A number the property does not allow, such as zero.
    OutOfRange,
}

impl fmt::Display for PropertyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the value is longer than 65,535 bytes",
            Self::NullCharacter => "the text contains U+0000",
            Self::Wildcard => "the response topic contains a wildcard",
            Self::OutOfRange => "the number is not allowed for this property",
        })
    }
}

impl fmt::Debug for PropertyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for PropertyError {}
