//! Reason codes against the tables of the packets (3-1, 3-4 to 3-11), which are not what the code was written
//! from.

use packetboat_core::wire::{PacketType, Reason};

const CONNACK: &[u8] = &[
    0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8c, 0x90, 0x95, 0x97, 0x99,
    0x9a, 0x9b, 0x9c, 0x9d, 0x9f,
];
const PUBACK: &[u8] = &[0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];
const PUBREL: &[u8] = &[0x00, 0x92];
const SUBACK: &[u8] = &[0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8f, 0x91, 0x97, 0x9e, 0xa1, 0xa2];
const UNSUBACK: &[u8] = &[0x00, 0x11, 0x80, 0x83, 0x87, 0x8f, 0x91];
/// With 0x8c, which Table 3-10 leaves out and Table 2-6 has.
const DISCONNECT: &[u8] = &[
    0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8b, 0x8c, 0x8d, 0x8e, 0x8f, 0x90, 0x93, 0x94, 0x95,
    0x96, 0x97, 0x98, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f, 0xa0, 0xa1, 0xa2,
];
const AUTH: &[u8] = &[0x00, 0x18, 0x19];

#[test]
fn each_packet_has_its_reasons() {
    for (packet, codes) in [
        (PacketType::Connack, CONNACK),
        (PacketType::Puback, PUBACK),
        (PacketType::Pubrec, PUBACK),
        (PacketType::Pubrel, PUBREL),
        (PacketType::Pubcomp, PUBREL),
        (PacketType::Suback, SUBACK),
        (PacketType::Unsuback, UNSUBACK),
        (PacketType::Disconnect, DISCONNECT),
        (PacketType::Auth, AUTH),
        (PacketType::Publish, &[]),
        (PacketType::Connect, &[]),
        (PacketType::PingReq, &[]),
    ] {
        let valid: Vec<u8> = (0..=255).filter(|&code| Reason(code).is_valid_in(packet)).collect();
        assert_eq!(valid, codes, "{packet:?}");
    }
}

#[test]
fn each_reason_has_its_name() {
    assert_eq!((0..=255).filter(|&code| Reason(code).name().is_some()).count(), 43);
    for (reason, name) in [
        (Reason::SUCCESS, "Success"),
        (Reason::GRANTED_QOS_2, "Granted QoS 2"),
        (Reason::RE_AUTHENTICATE, "Re-authenticate"),
        (Reason::NOT_AUTHORIZED, "Not authorized"),
        (Reason::TOPIC_ALIAS_INVALID, "Topic Alias invalid"),
        (Reason::WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED, "Wildcard Subscriptions not supported"),
        (Reason(0xfe), "Reason code 0xfe"),
        (Reason(0x03), "Reason code 0x03"),
    ] {
        assert_eq!(reason.to_string(), name);
    }
}

#[test]
fn reasons_from_0x80_are_errors() {
    assert!(!Reason::RE_AUTHENTICATE.is_error());
    assert!(!Reason(0x7f).is_error());
    assert!(Reason::UNSPECIFIED_ERROR.is_error());
    assert!(Reason(0xff).is_error());
}
