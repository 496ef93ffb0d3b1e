//! The receiving half of one connection: bytes in, packets out, nothing kept but topic aliases.
//!
//! It is apart from the session so that a driver can decode and route outside the lock that guards its session.

use alloc::sync::Arc;

use super::alias::Incoming;
use super::event::Breach;
use super::options::ConnectOptions;
use crate::wire::{
    Ack, DecodeError, Decoded, Packet, Publish, QoS, Reason, Version, connack_of_3_1_1, decode, plain_ack,
};

/// What lies at the front of the bytes.
#[derive(Clone, Debug, PartialEq)]
pub enum Received<'a> {
    /// A PUBLISH.
    Publish {
        /// The packet.
        publish: Publish<'a>,
        /// Its topic, where the packet carries an alias instead.
        aliased: Option<Arc<str>>,
        /// Bytes it takes.
        size: usize,
    },
    /// Any other packet, for [`Session::handle_packet`](super::Session::handle_packet).
    Packet {
        /// The packet.
        packet: Packet<'a>,
        /// Bytes it takes.
        size: usize,
    },
    /// The packet is not all there.
    Incomplete {
        /// Bytes to wait for; `None`: at least one.
        missing: Option<usize>,
    },
    /// A PUBLISH larger than we accept, on a version that could not announce the limit. It is skipped and must be
    /// acknowledged all the same, or the broker would send it for ever.
    Oversize {
        /// Its QoS.
        qos: QoS,
        /// Its packet identifier.
        id: Option<u16>,
        /// Its topic.
        topic: &'a str,
        /// Its whole size in bytes.
        size: usize,
        /// Bytes to drop now; the rest comes as [`Received::Skipped`].
        used: usize,
    },
    /// More of an oversize packet.
    Skipped {
        /// Bytes to drop.
        used: usize,
    },
}

/// Cuts the bytes of one connection into packets.
#[derive(Debug)]
pub struct Receiver {
    version: Version,
    maximum: u32,
    aliases: Incoming,
    /// Bytes of an oversize packet still to come.
    skip: usize,
    awaits_connack: bool,
}

impl Receiver {
    /// For the connection these options open.
    #[must_use]
    pub fn new(connect: &ConnectOptions) -> Self {
        Self {
            version: connect.version,
            maximum: connect.maximum_packet_size,
            aliases: Incoming::new(connect.topic_alias_maximum),
            skip: 0,
            awaits_connack: true,
        }
    }

    /// What lies at the front of `bytes`. Nothing is kept: on `Incomplete`, come back with the same bytes and more.
    #[inline]
    pub fn next<'a>(&mut self, bytes: &'a [u8]) -> Result<Received<'a>, Breach> {
        if (self.awaits_connack || self.skip > 0)
            && let Some(special) = self.special(bytes)?
        {
            return Ok(special);
        }
        match decode(self.version, bytes, self.maximum as usize) {
            Ok(Decoded::Packet { packet: Packet::Publish(publish), size }) => {
                let alias =
                    if publish.properties.is_empty() { None } else { publish.properties.topic_alias() };
                let aliased = match alias {
                    Some(alias) => self.aliases.resolve(alias, publish.topic)?,
                    None => None,
                };
                Ok(Received::Publish { publish, aliased, size })
            }
            Ok(Decoded::Packet { packet, size }) => {
                self.awaits_connack = false;
                Ok(Received::Packet { packet, size })
            }
            Ok(Decoded::Incomplete { missing }) => Ok(Received::Incomplete { missing }),
            Err(DecodeError::TooLarge { size }) => self.oversize(bytes, size),
            Err(error) => Err(error.into()),
        }
    }

    /// The acknowledgement at the front of `bytes`, if it is the plain one that nearly every message gets: four bytes in
    /// all versions. `None`: it is something else, for [`next`](Self::next).
    #[inline]
    #[must_use]
    pub fn plain_ack(&self, bytes: &[u8]) -> Option<Ack<'static>> {
        if self.skip > 0 || self.awaits_connack || self.maximum < 4 {
            return None;
        }
        plain_ack(bytes)
    }

    /// The PUBLISH at the front of `bytes` and its size, if it has the topic and the properties of `previous`, the last
    /// PUBLISH of this connection (or one that the last repeated): they are neither checked nor looked up again.
    /// `None`: it is something else, for [`next`](Self::next).
    #[inline]
    #[must_use]
    pub fn repeated<'a>(&self, bytes: &'a [u8], previous: &Publish<'a>) -> Option<(Publish<'a>, usize)> {
        // An empty topic is what its alias says, which may change. An alias given its topic again stays the same.
        if previous.topic.is_empty() || self.skip > 0 || self.awaits_connack {
            return None;
        }
        Publish::read_repeated(self.version, bytes, self.maximum as usize, previous)
    }

    /// The rest of an oversize packet; a CONNACK of 3.1.1 shape, which a broker that does not know 5.0 answers.
    fn special<'a>(&mut self, bytes: &'a [u8]) -> Result<Option<Received<'a>>, Breach> {
        if self.skip > 0 {
            // Nothing left to skip now must read as "more is needed", or a driver would go round for ever.
            if bytes.is_empty() {
                return Ok(Some(Received::Incomplete { missing: None }));
            }
            let used = self.skip.min(bytes.len());
            self.skip -= used;
            return Ok(Some(Received::Skipped { used }));
        }
        if self.version.has_properties() && connack_of_3_1_1(bytes).is_some() {
            return Err(Breach::OLD_CONNACK);
        }
        Ok(None)
    }

    /// 5.0 announced the limit: a breach. Older versions could not: skip it [engine rule 14].
    fn oversize<'a>(&mut self, bytes: &'a [u8], size: usize) -> Result<Received<'a>, Breach> {
        let is_publish = bytes.first().is_some_and(|first| first >> 4 == 3);
        if self.version.has_properties() || !is_publish {
            return Err(DecodeError::TooLarge { size }.into());
        }
        let malformed = |what| Breach { reason: Reason::MALFORMED_PACKET, what };
        let qos = QoS::from_bits(bytes[0] >> 1)?;
        let header = 1 + bytes[1..].iter().take_while(|byte| **byte & 0x80 != 0).count() + 1;
        let Some(length) = bytes.get(header..header + 2) else {
            return Ok(Received::Incomplete { missing: None });
        };
        let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
        let end = header + 2 + length;
        let with_id = end + if qos == QoS::AtMostOnce { 0 } else { 2 };
        if with_id > size {
            return Err(malformed("topic longer than its packet"));
        }
        if bytes.len() < with_id {
            return Ok(Received::Incomplete { missing: Some(with_id - bytes.len()) });
        }
        let topic =
            core::str::from_utf8(&bytes[header + 2..end]).map_err(|_| malformed("topic is not UTF-8"))?;
        let id =
            bytes.get(end..with_id).filter(|id| id.len() == 2).map(|id| u16::from_be_bytes([id[0], id[1]]));
        if id == Some(0) {
            return Err(malformed("packet identifier 0"));
        }
        let used = bytes.len().min(size);
        self.skip = size - used;
        Ok(Received::Oversize { qos, id, topic, size, used })
    }
}
