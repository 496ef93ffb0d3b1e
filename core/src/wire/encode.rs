//! The doors out: packets to bytes.

use alloc::vec::Vec;

use super::writer::{Count, Fill, Sink, low_seven, variable_len, with_more};
use super::{Full, Packet, Publish, Version};

/// Append a packet to `out`.
///
/// What the version does not know is not written: properties, reasons and subscription options on 3.1.1.
/// CONNECT is written in its own version, whatever `version` is.
#[inline]
pub fn encode(version: Version, packet: &Packet<'_>, out: &mut Vec<u8>) {
    match packet {
        Packet::Publish(publish) => encode_any_publish(version, publish, out),
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

/// The size of a PUBLISH with a payload of `payload_len` bytes. `publish.payload` is ignored.
#[must_use]
pub fn encoded_publish_len(version: Version, publish: &Publish<'_>, payload_len: usize) -> usize {
    let remaining = publish.head_len(version) + payload_len;
    1 + variable_len(remaining) + remaining
}

/// Append a PUBLISH up to its payload, whose `payload_len` bytes the caller sends next. `publish.payload` is
/// ignored.
#[inline]
pub fn encode_publish_head(version: Version, publish: &Publish<'_>, payload_len: usize, out: &mut Vec<u8>) {
    put_head(version, publish, payload_len, 0, out);
}

#[inline(never)]
fn encode_any_publish(version: Version, publish: &Publish<'_>, out: &mut Vec<u8>) {
    encode_publish(version, publish, out);
}

/// Append a PUBLISH: [`encode`] for who has one and would have to copy it into a packet.
#[allow(clippy::inline_always, reason = "every message sent: the calls would be a tenth of the whole")]
#[inline(always)]
pub(crate) fn encode_publish(version: Version, publish: &Publish<'_>, out: &mut Vec<u8>) {
    let payload = publish.payload;
    put_head(version, publish, payload.len(), payload.len(), out);
    out.extend_from_slice(payload);
}

/// All but the payload, with `room` for more behind it. What comes before the topic is put together first, since
/// copying a part costs more than the part.
#[allow(clippy::inline_always, reason = "every message sent: a call here would be a tenth of the encoding")]
#[inline(always)]
fn put_head(version: Version, publish: &Publish<'_>, payload_len: usize, room: usize, out: &mut Vec<u8>) {
    let topic = publish.topic_bytes();
    let head = publish.head_len(version);
    let mut front = [publish.first_byte(), 0, 0, 0, 0, 0, 0];
    let (mut used, mut rest) = (1, head + payload_len);
    while rest > 0x7f && used < 4 {
        front[used] = with_more(rest);
        rest >>= 7;
        used += 1;
    }
    front[used] = low_seven(rest);
    let [low, high, ..] = topic.len().to_le_bytes();
    (front[used + 1], front[used + 2]) = (high, low);
    out.reserve(front.len() + head + room);
    // A copy of known length, of which the end is taken back, is cheaper than one of unknown length.
    let end = out.len() + used + 3;
    out.extend_from_slice(&front);
    out.truncate(end);
    out.extend_from_slice(topic);
    publish.write_tail(version, out);
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
