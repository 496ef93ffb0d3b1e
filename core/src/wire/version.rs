//! The protocol version of a connection.

/// Protocol version spoken on a connection. The client chooses it in CONNECT.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Version {
    /// MQTT 3.1: protocol name `MQIsdp`, level 3. Every other packet is read and written as in 3.1.1.
    V31,
    /// MQTT 3.1.1: protocol level 4.
    V311,
    /// MQTT 5.0: protocol level 5.
    V5,
}

impl Version {
    /// Whether packets carry property blocks and reason codes: the one difference most code has to know.
    #[inline]
    #[must_use]
    pub const fn has_properties(self) -> bool {
        matches!(self, Self::V5)
    }

    /// The protocol level byte of CONNECT.
    #[must_use]
    pub const fn level(self) -> u8 {
        match self {
            Self::V31 => 3,
            Self::V311 => 4,
            Self::V5 => 5,
        }
    }

    pub(super) const fn protocol_name(self) -> &'static str {
        match self {
            Self::V31 => "MQIsdp",
            Self::V311 | Self::V5 => "MQTT",
        }
    }
}
