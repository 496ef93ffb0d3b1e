//! Statements about the bytes of packets, each shown on bytes taken apart by hand.

use packetboat_core::wire::Version::{self, V5, V311};
use packetboat_core::wire::{
    Connect, Decoded, FiltersBuf, Packet, Properties, PropertiesBuf, Publish, QoS, Subscribe,
    TopicFiltersBuf, Unsubscribe, Will, decode, encode,
};

const BOTH: [Version; 2] = [V311, V5];

fn bytes_of(version: Version, packet: &Packet<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(version, packet, &mut bytes);
    bytes
}

/// Reads fields off the front.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (front, rest) = self.0.split_at(count);
        self.0 = rest;
        front
    }

    fn field(&mut self) -> &'a [u8] {
        let length = self.take(2);
        self.take(usize::from(u16::from_be_bytes([length[0], length[1]])))
    }
}

// Spec 3.1.1: MQTT-3.1.2-11 MQTT-3.1.2-13 MQTT-3.1.2-14 MQTT-3.1.2-15 MQTT-3.1.2-18 MQTT-3.1.2-19
// Spec 3.1.1: MQTT-3.1.2-20 MQTT-3.1.2-21 MQTT-3.1.3-1 MQTT-3.1.3-3
// Spec 5.0: MQTT-2.1.3-1 MQTT-2.2.2-1 MQTT-3.1.2-1 MQTT-3.1.2-11 MQTT-3.1.2-12 MQTT-3.1.2-13 MQTT-3.1.2-16
// Spec 5.0: MQTT-3.1.2-17 MQTT-3.1.2-18 MQTT-3.1.2-19 MQTT-3.1.3-1 MQTT-3.1.3-3
#[test]
fn the_flags_of_connect_say_what_follows() {
    for case in 0..96_u8 {
        let version = BOTH[usize::from(case & 1)];
        let (clean_start, retain) = (case & 2 != 0, case & 4 != 0);
        let username = (case & 8 != 0).then_some("user");
        let password = (case & 16 != 0 && username.is_some()).then_some(&b"pass"[..]);
        let qos = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][usize::from(case / 32)];
        for has_will in [false, true] {
            let properties = Properties::EMPTY;
            let will = has_will.then_some(Will { qos, retain, topic: "will", payload: b"bye", properties });
            let bytes = bytes_of(
                version,
                &Packet::Connect(Connect {
                    version,
                    clean_start,
                    keep_alive: 258,
                    client_id: "id",
                    will,
                    username,
                    password,
                    properties,
                }),
            );
            let mut rest = Fields(&bytes);
            assert_eq!(rest.take(2), [0x10, u8::try_from(bytes.len() - 2).expect("short")]);
            assert_eq!(rest.field(), b"MQTT");
            assert_eq!(rest.take(1), if version == V5 { [5] } else { [4] });
            let will_flags = if has_will { 4 | (qos as u8) << 3 | u8::from(retain) << 5 } else { 0 };
            let flags = u8::from(clean_start) << 1
                | will_flags
                | u8::from(password.is_some()) << 6
                | u8::from(username.is_some()) << 7;
            assert_eq!(rest.take(1), [flags]);
            assert_eq!(rest.take(2), [1, 2]);
            let no_properties: &[u8] = if version == V5 { &[0] } else { &[] };
            assert_eq!(rest.take(no_properties.len()), no_properties);
            assert_eq!(rest.field(), b"id");
            if has_will {
                assert_eq!(rest.take(no_properties.len()), no_properties);
                assert_eq!((rest.field(), rest.field()), (&b"will"[..], &b"bye"[..]));
            }
            if username.is_some() {
                assert_eq!(rest.field(), b"user");
            }
            if password.is_some() {
                assert_eq!(rest.field(), b"pass");
            }
            assert!(rest.0.is_empty());
        }
    }
}

// Spec 3.1.1: MQTT-1.5.3-1 MQTT-1.5.3-3 MQTT-3.1.3-4 MQTT-3.1.3-10 MQTT-3.1.3-11 MQTT-3.3.2-1 MQTT-3.8.3-1
// Spec 3.1.1: MQTT-3.10.3-1
// Spec 5.0: MQTT-1.5.4-1 MQTT-1.5.4-3 MQTT-1.5.7-1 MQTT-3.1.3-4 MQTT-3.1.3-11 MQTT-3.1.3-12 MQTT-3.3.2-1
// Spec 5.0: MQTT-3.3.2-13 MQTT-3.3.2-19 MQTT-3.8.3-1 MQTT-3.10.3-1
#[test]
fn every_text_is_utf_8_and_comes_back_as_it_was() {
    // A byte order mark, two bytes, four bytes.
    const TEXT: &str = "\u{feff}ü🦀";
    const FIELD: &[u8] = b"\x00\x09\xef\xbb\xbf\xc3\xbc\xf0\x9f\xa6\x80";
    let mut properties = PropertiesBuf::new();
    properties.user_property(TEXT, TEXT).expect("short");
    properties.content_type(TEXT).expect("short").response_topic(TEXT).expect("short");
    let mut user = PropertiesBuf::new();
    user.user_property(TEXT, TEXT).expect("short");
    let (mut filters, mut names) = (FiltersBuf::default(), TopicFiltersBuf::default());
    filters.push(TEXT, QoS::AtMostOnce.into());
    filters.push(TEXT, QoS::AtLeastOnce.into());
    names.push(TEXT);
    names.push(TEXT);
    for version in BOTH {
        let all = version == V5;
        let some = |buffer: &'_ PropertiesBuf| if all { buffer.clone() } else { PropertiesBuf::new() };
        let (properties, user) = (some(&properties), some(&user));
        let will = Will {
            qos: QoS::AtMostOnce,
            retain: false,
            topic: TEXT,
            payload: b"",
            properties: properties.as_properties(),
        };
        let packets = [
            (
                Packet::Connect(Connect {
                    version,
                    clean_start: true,
                    keep_alive: 0,
                    client_id: TEXT,
                    will: Some(will),
                    username: Some(TEXT),
                    password: None,
                    properties: user.as_properties(),
                }),
                if all { 3 + 2 + 4 } else { 3 },
            ),
            (
                Packet::Publish(Publish {
                    dup: false,
                    retain: false,
                    qos: QoS::AtMostOnce,
                    topic: TEXT,
                    id: None,
                    properties: properties.as_properties(),
                    payload: b"",
                }),
                if all { 1 + 4 } else { 1 },
            ),
            (
                Packet::Subscribe(Subscribe {
                    id: 1,
                    properties: user.as_properties(),
                    filters: filters.as_filters(),
                }),
                if all { 2 + 2 } else { 2 },
            ),
            (
                Packet::Unsubscribe(Unsubscribe {
                    id: 1,
                    properties: user.as_properties(),
                    filters: names.as_filters(),
                }),
                if all { 2 + 2 } else { 2 },
            ),
        ];
        for (packet, times) in packets {
            let bytes = bytes_of(version, &packet);
            let found = bytes.windows(FIELD.len()).filter(|window| *window == FIELD).count();
            assert_eq!(found, times, "{packet:?}");
            assert_eq!(decode(version, &bytes, 1000), Ok(Decoded::Packet { packet, size: bytes.len() }));
        }
    }
}

// Spec 3.1.1: MQTT-2.3.1-1
// Spec 5.0: MQTT-1.5.5-1 MQTT-2.2.2-1
#[test]
fn lengths_are_as_short_as_can_be() {
    // Table 1-1: the last value of each length and the first of the next.
    for (value, bytes) in
        [(127_u32, &[0x7f][..]), (128, &[0x80, 1]), (16_383, &[0xff, 0x7f]), (16_384, &[0x80, 0x80, 1])]
    {
        let mut properties = PropertiesBuf::new();
        properties.subscription_identifier(value).expect("in range");
        let mut filters = FiltersBuf::default();
        filters.push("a", QoS::AtMostOnce.into());
        let (filters, subscription) = (filters.as_filters(), properties.as_properties());
        let packet = Packet::Subscribe(Subscribe { id: 1, properties: subscription, filters });
        let expected =
            [&[0, 1, u8::try_from(bytes.len()).expect("short") + 1, 0x0b], bytes, &[0, 1, b'a', 0]].concat();
        assert_eq!(bytes_of(V5, &packet)[2..], expected);

        // A block of properties of this length.
        let mut properties = PropertiesBuf::new();
        let mut left = value as usize;
        while left > 60_000 {
            properties.user_property("", &"x".repeat(60_000 - 5)).expect("short");
            left -= 60_000;
        }
        properties.user_property("", &"x".repeat(left - 5)).expect("short");
        let (dup, retain, qos, id) = (false, false, QoS::AtMostOnce, None);
        let properties = properties.as_properties();
        let publish = Publish { dup, retain, qos, topic: "", id, properties, payload: b"" };
        let whole = bytes_of(V5, &Packet::Publish(publish));
        let header = whole.iter().skip(1).take_while(|byte| **byte >= 0x80).count() + 2;
        assert_eq!(whole[header + 2..header + 2 + bytes.len()], *bytes, "{value}");
    }
}
