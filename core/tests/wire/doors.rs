//! The golden vectors through each door, and what is particular to a door.

use packetboat_core::wire::Version::{V5, V31, V311};
use packetboat_core::wire::{
    Connack, Connect, DecodeError, Decoded, Full, Packet, Properties, PropertiesBuf, Publish, QoS, Reason,
    connack_of_3_1_1, decode, encode, encode_into, encode_publish_head, encoded_len,
};

use crate::golden;

const MAXIMUM: usize = 1 << 20;

// Spec 3.1.1: MQTT-1.5.3-3
// Spec 5.0: MQTT-1.5.4-3
#[test]
fn bytes_decode_to_their_packet() {
    for vector in golden::all() {
        let expected = Decoded::Packet { packet: vector.packet, size: vector.bytes.len() };
        assert_eq!(decode(vector.version, vector.bytes, MAXIMUM), Ok(expected), "{}", vector.name);
    }
}

// Spec 3.1.1: MQTT-2.2.2-1 MQTT-2.3.1-5 MQTT-3.3.1-2 MQTT-3.6.1-1 MQTT-3.8.1-1 MQTT-3.10.1-1
// Spec 5.0: MQTT-2.1.3-1 MQTT-2.2.1-2 MQTT-2.2.2-1 MQTT-3.3.1-2 MQTT-3.6.1-1 MQTT-3.8.1-1 MQTT-3.10.1-1
// Spec 5.0: MQTT-3.15.1-1
#[test]
fn packets_encode_to_their_bytes() {
    for vector in golden::all() {
        let mut out = b"kept".to_vec();
        encode(vector.version, &vector.packet, &mut out);
        assert_eq!(out, [b"kept", vector.bytes].concat(), "{}", vector.name);
        assert_eq!(encoded_len(vector.version, &vector.packet), vector.bytes.len(), "{}", vector.name);
    }
}

/// Growing in the middle of a packet would copy what is there already.
#[test]
fn encoding_makes_room_once_and_for_little_more_than_the_packet() {
    let payload = vec![b'p'; 3_000];
    for (payload, topic) in [(&payload[..], "t"), (&payload[..300], "topic"), (b"", "a/longer/topic")] {
        let (qos, id, properties) = (QoS::AtLeastOnce, Some(1), Properties::EMPTY);
        let publish = Publish { dup: false, retain: false, qos, topic, id, properties, payload };
        let mut out = Vec::new();
        encode(V5, &Packet::Publish(publish), &mut out);
        assert!(out.capacity() <= out.len() + 8, "{} for {}", out.capacity(), out.len());
        let mut head = Vec::new();
        encode_publish_head(V5, &publish, payload.len(), &mut head);
        assert!(head.capacity() <= head.len() + 8, "{} for {}", head.capacity(), head.len());
    }
    for vector in golden::all() {
        let mut out = Vec::new();
        encode(vector.version, &vector.packet, &mut out);
        assert!(
            out.capacity() <= out.len().max(8) + 8,
            "{}: {} for {}",
            vector.name,
            out.capacity(),
            out.len()
        );
    }
}

#[test]
fn packets_encode_into_just_enough_room() {
    for vector in golden::all() {
        let needed = vector.bytes.len();
        let mut room = vec![0xee; needed + 1];
        assert_eq!(encode_into(vector.version, &vector.packet, &mut room), Ok(needed), "{}", vector.name);
        assert_eq!(room.split_at(needed), (vector.bytes, &[0xee][..]), "{}", vector.name);

        let mut exact = vec![0xee; needed];
        assert_eq!(encode_into(vector.version, &vector.packet, &mut exact), Ok(needed), "{}", vector.name);
        assert_eq!(exact, vector.bytes, "{}", vector.name);
    }
}

#[test]
fn too_little_room_changes_nothing() {
    for vector in golden::all() {
        let needed = vector.bytes.len();
        let mut short = vec![0xee; needed - 1];
        assert_eq!(
            encode_into(vector.version, &vector.packet, &mut short),
            Err(Full { needed }),
            "{}",
            vector.name
        );
        assert!(short.iter().all(|&byte| byte == 0xee), "{}", vector.name);
    }
}

#[test]
fn a_publish_head_and_its_payload_are_the_packet() {
    for vector in golden::all() {
        let Packet::Publish(publish) = vector.packet else { continue };
        let mut out = Vec::new();
        let head = Publish { payload: b"ignored", ..publish };
        encode_publish_head(vector.version, &head, publish.payload.len(), &mut out);
        out.extend_from_slice(publish.payload);
        assert_eq!(out, vector.bytes, "{}", vector.name);
    }
}

#[test]
fn the_next_packet_starts_after_the_size() {
    let bytes: Vec<u8> =
        golden::all().iter().filter(|g| g.version == V5).flat_map(|g| g.bytes).copied().collect();
    let mut rest = &bytes[..];
    for vector in golden::all().iter().filter(|g| g.version == V5) {
        let Ok(Decoded::Packet { packet, size }) = decode(V5, rest, MAXIMUM) else {
            panic!("{}", vector.name)
        };
        assert_eq!(packet, vector.packet);
        rest = &rest[size..];
    }
    assert!(rest.is_empty());
}

#[test]
fn the_golden_vectors_of_3_1_1_are_those_of_3_1() {
    for vector in golden::all().iter().filter(|g| g.version == V311) {
        let expected = Decoded::Packet { packet: vector.packet, size: vector.bytes.len() };
        assert_eq!(decode(V31, vector.bytes, MAXIMUM), Ok(expected), "{}", vector.name);
    }
}

#[test]
fn connect_is_read_and_written_in_its_own_version() {
    for vector in golden::all() {
        let Packet::Connect(_) = vector.packet else { continue };
        for other in [V31, V311, V5] {
            let expected = Decoded::Packet { packet: vector.packet, size: vector.bytes.len() };
            assert_eq!(decode(other, vector.bytes, MAXIMUM), Ok(expected), "{}", vector.name);
            let mut out = Vec::new();
            encode(other, &vector.packet, &mut out);
            assert_eq!(out, vector.bytes, "{}", vector.name);
        }
    }
}

/// Payload length of a PUBLISH to the topic `t`, and the bytes of its remaining length (Table 1-1).
const LENGTHS: [(usize, &[u8]); 7] = [
    (124, b"\x7f"),
    (125, b"\x80\x01"),
    (16_380, b"\xff\x7f"),
    (16_381, b"\x80\x80\x01"),
    (2_097_148, b"\xff\xff\x7f"),
    (2_097_149, b"\x80\x80\x80\x01"),
    (268_435_452, b"\xff\xff\xff\x7f"),
];

// Spec 5.0: MQTT-1.5.5-1
#[test]
fn the_remaining_length_takes_one_to_four_bytes() {
    let publish = Publish {
        dup: false,
        retain: false,
        qos: QoS::AtMostOnce,
        topic: "t",
        id: None,
        properties: Properties::EMPTY,
        payload: b"",
    };
    for (payload_len, length) in LENGTHS {
        let mut head = Vec::new();
        encode_publish_head(V311, &publish, payload_len, &mut head);
        assert_eq!(head, [b"\x30", length, b"\x00\x01t"].concat());
        let missing = Some(payload_len);
        assert_eq!(decode(V311, &head, usize::MAX), Ok(Decoded::Incomplete { missing }));

        if payload_len < 100_000 {
            let payload = vec![b'p'; payload_len];
            let packet = Packet::Publish(Publish { payload: &payload, ..publish });
            let mut whole = Vec::new();
            encode(V311, &packet, &mut whole);
            assert_eq!(whole.len(), encoded_len(V311, &packet));
            assert_eq!(decode(V311, &whole, MAXIMUM), Ok(Decoded::Packet { packet, size: whole.len() }));
        }
    }
}

#[test]
fn a_packet_too_large_is_refused_before_its_body_is_there() {
    for vector in golden::all() {
        let size = vector.bytes.len();
        let header = 2;
        for cut in header..=size {
            let bytes = &vector.bytes[..cut];
            assert_eq!(
                decode(vector.version, bytes, size - 1),
                Err(DecodeError::TooLarge { size }),
                "{}",
                vector.name
            );
            assert!(decode(vector.version, bytes, size).is_ok(), "{}", vector.name);
        }
    }
    let size = 5 + 268_435_455;
    assert_eq!(decode(V5, b"\x30\xff\xff\xff\x7f", MAXIMUM), Err(DecodeError::TooLarge { size }));
}

#[test]
fn properties_and_reasons_are_not_written_before_5_0() {
    for vector in golden::all() {
        let mut out = Vec::new();
        encode(V311, &vector.packet, &mut out);
        let connect = matches!(vector.packet, Packet::Connect(_));
        let auth = matches!(vector.packet, Packet::Auth(_));
        let aliased = matches!(vector.packet, Packet::Publish(Publish { topic: "", .. }));
        if connect || auth || aliased {
            continue; // Of their own version, or without meaning in 3.1.1.
        }
        let Ok(Decoded::Packet { packet, .. }) = decode(V311, &out, MAXIMUM) else {
            panic!("{}", vector.name)
        };
        assert_eq!(packet.packet_type(), vector.packet.packet_type());
    }
}

#[test]
fn a_connack_of_3_1_1_is_understood_where_5_0_is_spoken() {
    let connack =
        |session_present, reason| Connack { session_present, reason, properties: Properties::EMPTY };
    for (bytes, expected) in [
        (&b"\x20\x02\x00\x01"[..], Some((connack(false, Reason::UNSUPPORTED_PROTOCOL_VERSION), 4))),
        (b"\x20\x02\x00\x00and more", Some((connack(false, Reason::SUCCESS), 4))),
        (b"\x20\x02\x01\x00", Some((connack(true, Reason::SUCCESS), 4))),
        (b"\x20\x02\x00\x07", Some((connack(false, Reason::NOT_AUTHORIZED), 4))),
        (b"\x20\x02\x00\x06", Some((connack(false, Reason::UNSPECIFIED_ERROR), 4))),
        (b"\x20\x02\x01\x01", None),
        (b"\x20\x02\x02\x00", None),
        (b"\x20\x02\x00", None),
        (b"\x20\x03\x00\x00\x00", None),
        (b"\x30\x02\x00\x00", None),
        (b"", None),
    ] {
        assert_eq!(connack_of_3_1_1(bytes), expected, "{bytes:x?}");
        if expected.is_some() {
            assert!(decode(V5, bytes, MAXIMUM).is_err(), "{bytes:x?}");
        }
    }
}

#[test]
fn debug_hides_secrets() {
    let mut properties = PropertiesBuf::new();
    properties.authentication_method("SCRAM").expect("short").authentication_data(b"secret").expect("short");
    let packet = Packet::Connect(Connect {
        version: V5,
        clean_start: true,
        keep_alive: 0,
        client_id: "me",
        will: None,
        username: Some("user"),
        password: Some(b"secret"),
        properties: properties.as_properties(),
    });
    let text = format!("{packet:?}");
    let numbers = format!("{:?}", b"secret");
    assert!(
        text.contains("user")
            && text.contains("SCRAM")
            && text.contains("Authentication")
            && text.contains("me")
    );
    assert!(!text.contains("secret") && !text.contains(numbers.trim_matches(['[', ']'])), "{text}");
}
