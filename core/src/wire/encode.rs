//! The doors out: packets to bytes.

use alloc::vec::Vec;

use super::writer::{Count, Fill, Sink, variable_len};
use super::{Full, Packet, Publish, Version};

/// Append a packet to `out`.
///
/// What the version does not know is not written: properties, reasons and subscription options on 3.1.1. CONNECT is
/// written in its own version, whatever `version` is.
#[inline]
pub fn encode(version: Version, packet: &Packet<'_>, out: &mut Vec<u8>) {
    let remaining = remaining_length(version, packet);
    out.reserve(1 + variable_len(remaining) + remaining);
    write(version, packet, remaining, out);
}

/// Write a packet to the front of `out` and say how long it is. If there is too little room, nothing is changed.
#[inline]
pub fn encode_into(version: Version, packet: &Packet<'_>, out: &mut [u8]) -> Result<usize, Full> {
    let remaining = remaining_length(version, packet);
    let needed = 1 + variable_len(remaining) + remaining;
    let Some(rest) = out.get_mut(..needed) else { return Err(Full { needed }) };
    write(version, packet, remaining, &mut Fill { rest });
    Ok(needed)
}

/// The size of a packet once encoded.
#[inline]
#[must_use]
pub fn encoded_len(version: Version, packet: &Packet<'_>) -> usize {
    let remaining = remaining_length(version, packet);
    1 + variable_len(remaining) + remaining
}

/// Append a PUBLISH up to its payload, whose `payload_len` bytes the caller sends next. `publish.payload` is ignored.
#[inline]
pub fn encode_publish_head(version: Version, publish: &Publish<'_>, payload_len: usize, out: &mut Vec<u8>) {
    let mut count = Count::default();
    publish.write_head(version, &mut count);
    let remaining = count.0 + payload_len;
    out.reserve(1 + variable_len(remaining) + count.0);
    out.byte(publish.first_byte());
    out.variable(remaining);
    publish.write_head(version, out);
}

#[inline]
fn remaining_length(version: Version, packet: &Packet<'_>) -> usize {
    let mut count = Count::default();
    packet.write_body(version, &mut count);
    count.0
}

#[inline]
fn write<S: Sink>(version: Version, packet: &Packet<'_>, remaining: usize, sink: &mut S) {
    sink.byte(packet.first_byte());
    sink.variable(remaining);
    packet.write_body(version, sink);
}
