//! The door in: bytes to packets.

use super::reader::{NOT_MINIMAL, Reader, variable};
use super::{
    Ack, AckKind, Auth, Connack, Connect, DecodeError, Disconnect, Packet, Publish, SubAckKind, Suback,
    Subscribe, Unsubscribe, Version,
};

/// What the bytes hold so far.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(
    clippy::large_enum_variant,
    reason = "made for each packet and taken apart at once; boxing would allocate"
)]
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
/// A packet larger than `maximum` bytes is refused as soon as its length is known, wrong types and flags as
/// soon as the first byte is. CONNECT is read in the version it states, whatever `version` is.
#[inline]
pub fn decode(version: Version, bytes: &[u8], maximum: usize) -> Result<Decoded<'_>, DecodeError> {
    if let Some(ack) = plain_ack(bytes).filter(|_| maximum >= 4) {
        return Ok(Decoded::Packet { packet: Packet::Ack(ack), size: 4 });
    }
    let Some((&first, after)) = bytes.split_first() else { return Ok(Decoded::Incomplete { missing: None }) };
    check_flags(version, first)?;
    let Some(length) = variable(after)? else { return Ok(Decoded::Incomplete { missing: None }) };
    let kind = first >> 4;
    // 3.1.1 does not demand the shortest form, and which version a CONNECT is of is not known yet.
    if !length.minimal && version.has_properties() && kind != 1 {
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
    let mut r = Reader::new(body);
    // Each kind builds its result in place: a packet is large to move.
    if kind == 3 {
        let publish = Publish::read(version, first & 0x0f, &mut r)?;
        return Ok(Decoded::Packet { packet: Packet::Publish(publish), size });
    }
    if let Some(kind) = AckKind::of_type(kind) {
        let ack = Ack::read(version, kind, &mut r)?;
        r.finish()?;
        return Ok(Decoded::Packet { packet: Packet::Ack(ack), size });
    }
    let packet = decode_rare(version, kind, &mut r)?;
    if !length.minimal && matches!(packet, Packet::Connect(Connect { version: Version::V5, .. })) {
        return Err(NOT_MINIMAL);
    }
    r.finish()?;
    Ok(Decoded::Packet { packet, size })
}

/// The acknowledgement nearly every message gets: the same four bytes in all versions.
#[inline]
pub(crate) fn plain_ack(bytes: &[u8]) -> Option<Ack<'static>> {
    let [first, 2, high, low, ..] = *bytes else { return None };
    let kind = AckKind::of_first_byte(first)?;
    let id = u16::from_be_bytes([high, low]);
    // Zero is malformed, which is said elsewhere.
    (id != 0).then(|| Ack::new(kind, id))
}

/// The reserved flags of Table 2-2 [MQTT-2.1.3-1], and the types there are: 0 never, 15 from 5.0 on.
#[inline]
const fn check_flags(version: Version, first: u8) -> Result<(), DecodeError> {
    let (kind, flags) = (first >> 4, first & 0x0f);
    let reserved = if matches!(kind, 6 | 8 | 10) { 0b0010 } else { 0 };
    match kind {
        3 => Ok(()),
        0 => Err(DecodeError::Malformed("packet type 0 is reserved")),
        15 if !version.has_properties() => {
            Err(DecodeError::Malformed("packet type 15 is reserved before 5.0"))
        }
        _ if flags != reserved => Err(DecodeError::Malformed("reserved flags of the fixed header")),
        _ => Ok(()),
    }
}

/// The packets that are not on the hot path.
#[inline(never)]
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
