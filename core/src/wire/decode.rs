//! The door in: bytes to packets.

use super::reader::{NOT_MINIMAL, Reader, variable};
use super::{
    Ack, AckKind, Auth, Connack, Connect, DecodeError, Disconnect, Packet, Publish, SubAckKind, Suback,
    Subscribe, Unsubscribe, Version,
};

/// What the bytes hold so far.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(clippy::large_enum_variant)] // Made for each packet and taken apart at once; boxing would allocate.
pub enum Decoded<'a> {
    /// A whole packet, and how many bytes it took.
    Packet {
        /// The packet, borrowed from the bytes.
        packet: Packet<'a>,
        /// Its size, fixed header included: the next packet starts here.
        size: usize,
    },
    /// The packet is not all there yet.
    Incomplete {
        /// How many more bytes it needs; `None` while even its length is not all there.
        missing: Option<usize>,
    },
}

/// Read the packet at the front of `bytes`.
///
/// A packet larger than `maximum` bytes is refused as soon as its length is known, wrong types and flags as soon as
/// the first byte is. CONNECT is read in the version it states, whatever `version` is.
#[inline]
pub fn decode(version: Version, bytes: &[u8], maximum: usize) -> Result<Decoded<'_>, DecodeError> {
    let Some((&first, after)) = bytes.split_first() else { return Ok(Decoded::Incomplete { missing: None }) };
    check_flags(version, first)?;
    let Some(length) = variable(after)? else { return Ok(Decoded::Incomplete { missing: None }) };
    // 3.1.1 does not demand the shortest form, and which version a CONNECT is of is not known yet.
    let is_connect = first >> 4 == 1;
    if !length.minimal && version.has_properties() && !is_connect {
        return Err(NOT_MINIMAL);
    }
    let header = 1 + length.size;
    let size = usize::try_from(length.value).unwrap_or(usize::MAX).saturating_add(header);
    if size > maximum {
        return Err(DecodeError::TooLarge { size });
    }
    let Some(body) = bytes.get(header..size) else {
        return Ok(Decoded::Incomplete { missing: Some(size - bytes.len()) });
    };
    let mut reader = Reader::new(body);
    let packet = decode_body(version, first, &mut reader)?;
    if let Packet::Connect(Connect { version: Version::V5, .. }) = packet
        && !length.minimal
    {
        return Err(NOT_MINIMAL);
    }
    if !reader.is_empty() {
        return Err(DecodeError::Malformed("bytes follow the last field"));
    }
    Ok(Decoded::Packet { packet, size })
}

/// The reserved flags of Table 2-2 [MQTT-2.1.3-1], and the types there are: 0 never, 15 from 5.0 on.
#[inline]
const fn check_flags(version: Version, first: u8) -> Result<(), DecodeError> {
    match (first >> 4, first & 0x0f) {
        (3, _) | (1 | 2 | 4 | 5 | 7 | 9 | 11..=14, 0) | (6 | 8 | 10, 0b0010) => Ok(()),
        (15, 0) if version.has_properties() => Ok(()),
        (0, _) => Err(DecodeError::Malformed("packet type 0 is reserved")),
        (15, _) if !version.has_properties() => {
            Err(DecodeError::Malformed("packet type 15 is reserved before 5.0"))
        }
        _ => Err(DecodeError::Malformed("reserved flags of the fixed header")),
    }
}

#[inline]
fn decode_body<'a>(version: Version, first: u8, r: &mut Reader<'a>) -> Result<Packet<'a>, DecodeError> {
    Ok(match first >> 4 {
        3 => Packet::Publish(Publish::read(version, first & 0x0f, r)?),
        4 => Packet::Ack(Ack::read(version, AckKind::Puback, r)?),
        5 => Packet::Ack(Ack::read(version, AckKind::Pubrec, r)?),
        6 => Packet::Ack(Ack::read(version, AckKind::Pubrel, r)?),
        7 => Packet::Ack(Ack::read(version, AckKind::Pubcomp, r)?),
        kind => return decode_rare(version, kind, r),
    })
}

/// The packets that are not on the hot path.
fn decode_rare<'a>(version: Version, kind: u8, r: &mut Reader<'a>) -> Result<Packet<'a>, DecodeError> {
    Ok(match kind {
        1 => Packet::Connect(Connect::read(r)?),
        2 => Packet::Connack(Connack::read(version, r)?),
        8 => Packet::Subscribe(Subscribe::read(version, r)?),
        9 => Packet::Suback(Suback::read(version, SubAckKind::Suback, r)?),
        10 => Packet::Unsubscribe(Unsubscribe::read(version, r)?),
        11 => Packet::Suback(Suback::read(version, SubAckKind::Unsuback, r)?),
        12 => Packet::PingReq,
        13 => Packet::PingResp,
        14 => Packet::Disconnect(Disconnect::read(version, r)?),
        _ => Packet::Auth(Auth::read(r)?),
    })
}
