//! What is read although this library would write it differently.

use packetboat_core::wire::Version::{self, V5, V311};
use packetboat_core::wire::{
    Ack, AckKind, Connack, Decoded, Disconnect, Packet, Properties, Publish, QoS, Reason, SubAckKind, Suback,
    decode,
};

fn check(version: Version, bytes: &[u8], packet: Packet<'_>) {
    assert_eq!(decode(version, bytes, 1000), Ok(Decoded::Packet { packet, size: bytes.len() }), "{bytes:x?}");
}

/// [MQTT-1.5.5-1] is new in 5.0.
#[test]
fn a_length_of_3_1_1_need_not_be_minimal() {
    check(V311, b"\xd0\x80\x80\x00", Packet::PingResp);
    check(V311, b"\x40\x82\x00\x00\x0a", Packet::Ack(Ack::new(AckKind::Puback, 10)));
}

/// A server knows the version of a CONNECT only when it has read it.
#[test]
fn a_length_of_a_connect_of_3_1_1_need_not_be_minimal() {
    let bytes = b"\x10\x8c\x00\x00\x04MQTT\x04\x02\x00\x3c\x00\x00";
    for version in [V311, V5] {
        let decoded = decode(version, bytes, 1000);
        assert!(
            matches!(decoded, Ok(Decoded::Packet { packet: Packet::Connect(_), size: 15 })),
            "{decoded:?}"
        );
    }
}

/// 3.4.2.2.1 and its sisters; 3.14.2.2.1.
#[test]
fn reasons_and_property_lengths_may_be_left_out() {
    for (first, kind) in
        [(0x40, AckKind::Puback), (0x50, AckKind::Pubrec), (0x62, AckKind::Pubrel), (0x70, AckKind::Pubcomp)]
    {
        let refused = Ack { reason: Reason::UNSPECIFIED_ERROR, ..Ack::new(kind, 10) };
        check(V5, &[first, 3, 0, 10, 0x80], Packet::Ack(refused));
        check(V5, &[first, 3, 0, 10, 0], Packet::Ack(Ack::new(kind, 10)));
        check(V5, &[first, 4, 0, 10, 0, 0], Packet::Ack(Ack::new(kind, 10)));
    }
    check(V5, b"\xe0\x01\x8e", Packet::Disconnect(Disconnect::new(Reason::SESSION_TAKEN_OVER)));
    check(V5, b"\xe0\x02\x00\x00", Packet::Disconnect(Disconnect::new(Reason::SUCCESS)));
}

/// Whether a reason belongs to its packet is for the strict to ask: `Reason::is_valid_in`.
#[test]
fn reasons_nobody_knows_are_still_answers() {
    let connack =
        |reason| Packet::Connack(Connack { session_present: false, reason, properties: Properties::EMPTY });
    check(V5, b"\x20\x03\x00\xfe\x00", connack(Reason(0xfe)));
    check(V311, b"\x20\x02\x00\xfe", connack(Reason::UNSPECIFIED_ERROR));
    check(V311, b"\x20\x02\x00\x07", connack(Reason::NOT_AUTHORIZED));
    check(
        V5,
        b"\x40\x04\x00\x0a\xfe\x00",
        Packet::Ack(Ack { reason: Reason(0xfe), ..Ack::new(AckKind::Puback, 10) }),
    );
    let suback =
        Suback { kind: SubAckKind::Suback, id: 1, properties: Properties::EMPTY, reasons: &[3, 0xfe] };
    check(V5, b"\x90\x05\x00\x01\x00\x03\xfe", Packet::Suback(suback));
}

/// Code points that SHOULD NOT be sent and MAY be refused (1.5.4) are not: a message of somebody else's
/// making would end the connection each time it is delivered.
#[test]
fn control_characters_are_let_through() {
    let publish = Publish {
        dup: false,
        retain: false,
        qos: QoS::AtMostOnce,
        topic: "\u{1}\u{7f}\u{ffff}",
        id: None,
        properties: Properties::EMPTY,
        payload: b"",
    };
    check(V311, b"\x30\x07\x00\x05\x01\x7f\xef\xbf\xbf", Packet::Publish(publish));
}
