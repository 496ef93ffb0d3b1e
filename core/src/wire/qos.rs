//! The delivery guarantee.

use super::DecodeError;

/// How surely a message is delivered.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum QoS {
    /// Sent once and forgotten.
    #[default]
    AtMostOnce = 0,
    /// Acknowledged by PUBACK; may arrive more than once.
    AtLeastOnce = 1,
    /// Acknowledged by PUBREC, PUBREL and PUBCOMP; arrives once.
    ExactlyOnce = 2,
}

impl QoS {
    /// Read the two low bits. Both set is malformed [MQTT-3.3.1-4].
    #[inline]
    pub(crate) const fn from_bits(bits: u8) -> Result<Self, DecodeError> {
        match bits & 0b11 {
            0 => Ok(Self::AtMostOnce),
            1 => Ok(Self::AtLeastOnce),
            2 => Ok(Self::ExactlyOnce),
            _ => Err(DecodeError::Malformed("QoS is 3")),
        }
    }

    #[inline]
    pub(super) const fn bits(self) -> u8 {
        self as u8
    }
}
