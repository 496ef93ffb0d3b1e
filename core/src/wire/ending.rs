//! DISCONNECT and AUTH: a reason and properties, both of which may be left out.

use super::ack::write_outcome;
use super::reader::Reader;
use super::writer::Sink;
use super::{DecodeError, Place, Properties, Reason, Version};

/// The last packet of a connection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Disconnect<'a> {
    /// Why. 3.1.1 knows only Normal disconnection.
    pub reason: Reason,
    /// Session expiry interval, reason string, server reference and user properties.
    pub properties: Properties<'a>,
}

impl<'a> Disconnect<'a> {
    /// A DISCONNECT without properties.
    #[must_use]
    pub const fn new(reason: Reason) -> Self {
        Self { reason, properties: Properties::EMPTY }
    }

    pub(super) fn read(version: Version, r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let mut packet = Self::new(Reason::NORMAL_DISCONNECTION);
        if version.has_properties() && !r.is_empty() {
            packet.reason = Reason(r.byte()?);
            if !r.is_empty() {
                packet.properties = r.properties(version, Place::Disconnect)?;
            }
        }
        Ok(packet)
    }

    pub(super) fn write<S: Sink>(&self, version: Version, sink: &mut S) {
        if version.has_properties() {
            write_outcome(self.reason, self.properties, sink);
        }
    }
}

/// A step of enhanced authentication (4.12), 5.0 only.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Auth<'a> {
    /// Success, Continue authentication or Re-authenticate.
    pub reason: Reason,
    /// Authentication method and data, reason string and user properties.
    pub properties: Properties<'a>,
}

impl<'a> Auth<'a> {
    /// Nothing at all stands for Success without properties (3.15.2.1); anything else names the method
    /// (3.15.2.2.2).
    pub(super) fn read(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        if r.is_empty() {
            return Ok(Self { reason: Reason::SUCCESS, properties: Properties::EMPTY });
        }
        let packet = Self { reason: Reason(r.byte()?), properties: r.properties(Version::V5, Place::Auth)? };
        if packet.properties.authentication_method().is_none() {
            return Err(DecodeError::ProtocolError("AUTH without an authentication method"));
        }
        Ok(packet)
    }

    pub(super) fn write<S: Sink>(&self, sink: &mut S) {
        write_outcome(self.reason, self.properties, sink);
    }
}
