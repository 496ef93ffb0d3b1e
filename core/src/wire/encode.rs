//! The doors out: packets to bytes.

use alloc::vec::Vec;

use super::writer::{Count, Fill, Sink, variable_len};
use super::{Full, Packet, Publish, Version};

/// Append a packet to `out`.
///
/// What the version does not know is not written: properties, reasons and subscription options on 3.1.1.
/// CONNECT is written in its own version, whatever `version` is.
#[inline]
pub fn encode(version: Version, packet: &Packet<'_>, out: &mut Vec<u8>) {
    match packet {
        Packet::Publish(publish) => {
            let remaining = publish.head_len(version) + publish.payload.len();
            out.reserve(1 + variable_len(remaining) + remaining);
            out.header(publish.first_byte(), remaining);
            publish.write_head(version, out);
            out.put(publish.payload);
        }
        Packet::Ack(ack) if ack.is_plain(version) => out.put(&ack.plain_bytes()),
        packet => {
            let remaining = remaining_length(version, packet);
            out.reserve(1 + variable_len(remaining) + remaining);
            write(version, packet, remaining, out);
        }
    }
}

/// Write a packet to the front of `out` and say how long it is. If there is too little room, nothing is
/// changed.
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

/// Append a PUBLISH up to its payload, whose `payload_len` bytes the caller sends next. `publish.payload` is
/// ignored.
#[inline]
pub fn encode_publish_head(version: Version, publish: &Publish<'_>, payload_len: usize, out: &mut Vec<u8>) {
    let head = publish.head_len(version);
    let remaining = head + payload_len;
    out.reserve(1 + variable_len(remaining) + head);
    out.header(publish.first_byte(), remaining);
    publish.write_head(version, out);
}

#[inline]
fn remaining_length(version: Version, packet: &Packet<'_>) -> usize {
    let mut count = Count::default();
    packet.write_body(version, &mut count);
    count.0
}

fn write<S: Sink>(version: Version, packet: &Packet<'_>, remaining: usize, sink: &mut S) {
    sink.header(packet.first_byte(), remaining);
    packet.write_body(version, sink);
}
