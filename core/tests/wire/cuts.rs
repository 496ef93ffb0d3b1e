//! Every prefix and every flipped bit of every golden vector.

use packetboat_core::wire::Version::{V5, V31, V311};
use packetboat_core::wire::{Connack, Decoded, Packet, Reason, decode, encode};

use crate::golden;

const MAXIMUM: usize = 1 << 20;

#[test]
fn every_prefix_is_incomplete_and_says_what_is_missing() {
    for vector in golden::all() {
        for cut in 0..vector.bytes.len() {
            // All golden vectors are short, so their fixed header is two bytes.
            let missing = (cut >= 2).then(|| vector.bytes.len() - cut);
            let decoded = decode(vector.version, &vector.bytes[..cut], MAXIMUM);
            assert_eq!(decoded, Ok(Decoded::Incomplete { missing }), "{} cut at {cut}", vector.name);
        }
    }
}

#[test]
fn a_long_length_is_incomplete_until_its_last_byte() {
    let bytes = b"\x30\x80\x80\x80\x01";
    for cut in 0..bytes.len() {
        assert_eq!(decode(V5, &bytes[..cut], usize::MAX), Ok(Decoded::Incomplete { missing: None }));
    }
    assert_eq!(decode(V5, bytes, usize::MAX), Ok(Decoded::Incomplete { missing: Some(2_097_152) }));
}

#[test]
fn every_flipped_bit_is_survived() {
    let mut decoded = 0;
    for vector in golden::all() {
        for bit in 0..vector.bytes.len() * 8 {
            let mut bytes = vector.bytes.to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            for version in [V31, V311, V5] {
                let Ok(Decoded::Packet { packet, size }) = decode(version, &bytes, MAXIMUM) else { continue };
                assert!(size <= bytes.len());
                let mut again = Vec::new();
                encode(version, &packet, &mut again);
                // The one thing that is read and not written: return codes 3.1.1 does not have.
                let expected = match packet {
                    Packet::Connack(Connack { reason: Reason::UNSPECIFIED_ERROR, .. }) if version != V5 => {
                        connack(Reason::SERVER_UNAVAILABLE)
                    }
                    packet => packet,
                };
                let expected = Decoded::Packet { packet: expected, size: again.len() };
                assert_eq!(decode(version, &again, MAXIMUM), Ok(expected), "{} bit {bit}", vector.name);
                decoded += 1;
            }
        }
    }
    assert!(decoded > 1000, "only {decoded} of the flipped packets could be read: the test tests nothing");
}

fn connack(reason: Reason) -> Packet<'static> {
    let Ok(Decoded::Packet { packet, .. }) = decode(V311, b"\x20\x02\x00\x03", MAXIMUM) else { panic!() };
    assert!(matches!(packet, Packet::Connack(connack) if connack.reason == reason));
    packet
}
