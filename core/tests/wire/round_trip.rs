//! Arbitrary packets there and back.

use packetboat_core::wire::Version::{self, V5, V31, V311};
use packetboat_core::wire::{
    Decoded, Full, Packet, Publish, decode, encode, encode_into, encode_publish_head, encoded_len,
};
use proptest::prelude::*;

use crate::arbitrary::packet;

const MAXIMUM: usize = 1 << 20;

fn there_and_back(version: Version, packet: &Packet<'_>) -> Result<(), TestCaseError> {
    let mut out = Vec::new();
    encode(version, packet, &mut out);
    let size = out.len();
    prop_assert_eq!(encoded_len(version, packet), size);
    prop_assert_eq!(decode(version, &out, MAXIMUM), Ok(Decoded::Packet { packet: *packet, size }));

    let mut exact = vec![0xee; size];
    prop_assert_eq!(encode_into(version, packet, &mut exact), Ok(size));
    prop_assert_eq!(&exact, &out);

    exact.fill(0xee);
    prop_assert_eq!(encode_into(version, packet, &mut exact[1..]), Err(Full { needed: size }));
    prop_assert!(exact.iter().all(|&byte| byte == 0xee));

    if let Packet::Publish(publish) = packet {
        let mut spliced = Vec::new();
        let head = Publish { payload: b"", ..*publish };
        encode_publish_head(version, &head, publish.payload.len(), &mut spliced);
        spliced.extend_from_slice(publish.payload);
        prop_assert_eq!(&spliced, &out);
    }
    Ok(())
}

proptest! {
    #[test]
    fn of_3_1(packet in packet(V31)) {
        there_and_back(V31, &packet)?;
    }

    #[test]
    fn of_3_1_1(packet in packet(V311)) {
        there_and_back(V311, &packet)?;
    }

    #[test]
    fn of_5_0(packet in packet(V5)) {
        there_and_back(V5, &packet)?;
    }

    /// Whatever comes, decoding ends in a value, and what was understood can be said again.
    #[test]
    fn of_arbitrary_bytes(mut bytes in proptest::collection::vec(any::<u8>(), 0..40), first in 0..16_u8) {
        // Mostly packets whose flags and length are right, or nearly none would be looked into.
        if bytes.len() > 2 {
            let flags = match first {
                3 => bytes[0] & 0b0111,
                6 | 8 | 10 => 0b0010,
                _ => 0,
            };
            bytes[0] = first << 4 | flags;
            bytes[1] = u8::try_from(bytes.len() - 2).unwrap_or(0);
        }
        for version in [V31, V311, V5] {
            if let Ok(Decoded::Packet { packet, size }) = decode(version, &bytes, MAXIMUM) {
                prop_assert!(size <= bytes.len());
                let mut out = Vec::new();
                encode(version, &packet, &mut out);
                let again = decode(version, &out, MAXIMUM);
                if !matches!(packet, Packet::Connack(_)) {
                    prop_assert_eq!(again, Ok(Decoded::Packet { packet, size: out.len() }));
                }
            }
        }
    }
}
