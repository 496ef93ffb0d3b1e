//! Decoding allocates nothing. A test of its own, since the counter replaces the allocator of the whole
//! process.

#[path = "wire/golden.rs"]
mod golden;

use packetboat_core::wire::{Decoded, Packet, Properties, decode, encode, encode_into};

fn allocations(work: impl FnOnce()) -> u64 {
    allocation_counter::measure(work).count_total
}

#[test]
fn decoding_allocates_nothing() {
    let vectors = golden::all();
    let count = allocations(|| {
        for vector in &vectors {
            for cut in 0..=vector.bytes.len() {
                let decoded = decode(vector.version, &vector.bytes[..cut], 1000);
                assert!(decoded.is_ok(), "{}", vector.name);
                let Ok(Decoded::Packet { packet, .. }) = decoded else { continue };
                look(&packet);
            }
        }
    });
    assert_eq!(count, 0);
}

#[test]
fn refusing_allocates_nothing() {
    let vectors = golden::all();
    let mut bytes = Vec::with_capacity(1000);
    let count = allocations(|| {
        for vector in &vectors {
            for bit in 0..vector.bytes.len() * 8 {
                bytes.clear();
                bytes.extend_from_slice(vector.bytes);
                bytes[bit / 8] ^= 1 << (bit % 8);
                let _ = decode(vector.version, &bytes, 1000);
            }
        }
    });
    assert_eq!(count, 0);
}

#[test]
fn encoding_into_room_allocates_nothing() {
    let vectors = golden::all();
    let mut slice = [0; 1000];
    let mut vec = Vec::with_capacity(1000);
    let count = allocations(|| {
        for vector in &vectors {
            vec.clear();
            encode(vector.version, &vector.packet, &mut vec);
            assert_eq!(encode_into(vector.version, &vector.packet, &mut slice), Ok(vec.len()));
        }
    });
    assert_eq!(count, 0);
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(Box::new(1))), 1);
}

/// Reading what is folded allocates nothing either.
fn look(packet: &Packet<'_>) {
    let walk = |properties: Properties<'_>| {
        let pairs = properties.user_properties().count() + properties.subscription_identifiers().count();
        pairs + properties.reason_string().map_or(0, str::len)
    };
    let count = match packet {
        Packet::Connect(connect) => walk(connect.properties),
        Packet::Publish(publish) => walk(publish.properties),
        Packet::Subscribe(subscribe) => subscribe.filters.iter().count(),
        Packet::Unsubscribe(unsubscribe) => unsubscribe.filters.iter().count(),
        Packet::Suback(suback) => suback.reasons().count(),
        _ => 0,
    };
    std::hint::black_box(count);
}
