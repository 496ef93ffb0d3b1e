//! One vector for each rule of strictness, with the versions it holds in and the error it must give.

use packetboat_core::wire::DecodeError::{self, Malformed, ProtocolError, UnsupportedVersion};
use packetboat_core::wire::Version::{self, V5, V31, V311};
use packetboat_core::wire::{Reason, decode};

const OLD: &[Version] = &[V31, V311];
const NEW: &[Version] = &[V5];
const ALL: &[Version] = &[V31, V311, V5];

const SHORT: DecodeError = Malformed("a field reaches past the end of the packet");
const TRAILING: DecodeError = Malformed("bytes follow the last field");
const FLAGS: DecodeError = Malformed("reserved flags of the fixed header");
const NOT_MINIMAL: DecodeError = Malformed("a variable byte integer is not minimal");
const FIVE_BYTES: DecodeError = Malformed("a variable byte integer has more than four bytes");
const ID_ZERO: DecodeError = Malformed("the packet identifier is zero");
const NULL: DecodeError = Malformed("text contains U+0000");
const UTF8: DecodeError = Malformed("text is not UTF-8");
const TOPIC: DecodeError = Malformed("the topic name contains a wildcard or U+0000");
const UNKNOWN: DecodeError = Malformed("an unknown property");
const MISPLACED: DecodeError = Malformed("a property that does not belong in this packet");
const TWICE: DecodeError = ProtocolError("a property is there more than once");
const ZERO: DecodeError = ProtocolError("a property is zero that must not be");
const NOT_A_FLAG: DecodeError = ProtocolError("a property is neither 0 nor 1");

type Row = (&'static str, &'static [Version], &'static [u8], DecodeError);

fn check(table: &[Row]) {
    for (name, versions, bytes, error) in table {
        for &version in *versions {
            assert_eq!(decode(version, bytes, 1 << 20), Err(*error), "{name}, {version:?}");
        }
    }
}

// Spec 3.1.1: MQTT-2.2.2-2 MQTT-3.6.1-1
// Spec 5.0: MQTT-1.5.5-1 MQTT-3.6.1-1 MQTT-3.14.1-1 MQTT-3.15.1-1
#[test]
fn fixed_headers() {
    check(&[
        ("type 0", ALL, b"\x00\x00", Malformed("packet type 0 is reserved")),
        ("type 0, from the first byte", ALL, b"\x0f", Malformed("packet type 0 is reserved")),
        ("AUTH before 5.0", OLD, b"\xf0\x00", Malformed("packet type 15 is reserved before 5.0")),
        ("CONNECT flags", ALL, b"\x11", FLAGS),
        ("CONNACK flags", ALL, b"\x28", FLAGS),
        ("PUBACK flags", ALL, b"\x42", FLAGS),
        ("PUBREC flags", ALL, b"\x51", FLAGS),
        ("PUBREL flags 0", ALL, b"\x60", FLAGS),
        ("PUBREL flags 3", ALL, b"\x63", FLAGS),
        ("PUBCOMP flags", ALL, b"\x72", FLAGS),
        ("SUBSCRIBE flags 0", ALL, b"\x80", FLAGS),
        ("SUBSCRIBE flags 10", ALL, b"\x8a", FLAGS),
        ("SUBACK flags", ALL, b"\x92", FLAGS),
        ("UNSUBSCRIBE flags", ALL, b"\xa0", FLAGS),
        ("UNSUBACK flags", ALL, b"\xb2", FLAGS),
        ("PINGREQ flags", ALL, b"\xc1", FLAGS),
        ("PINGRESP flags", ALL, b"\xd8", FLAGS),
        ("DISCONNECT flags", ALL, b"\xe4", FLAGS),
        ("AUTH flags", NEW, b"\xf1", FLAGS),
        ("not MQTT: HTTP", ALL, b"HTTP/1.1 400 Bad Request", FLAGS),
        ("not MQTT: SSH", ALL, b"SSH-2.0-", FLAGS),
        ("a length of five bytes", ALL, b"\x30\x80\x80\x80\x80\x01", FIVE_BYTES),
        ("a length of five bytes, from the fourth", ALL, b"\x30\xff\xff\xff\xff", FIVE_BYTES),
        ("a length that is not minimal", NEW, b"\xc0\x80\x00", NOT_MINIMAL),
        ("a length that is not minimal, before the body", NEW, b"\x30\x85\x80\x00", NOT_MINIMAL),
    ]);
}

// Spec 3.1.1: MQTT-1.5.3-1 MQTT-1.5.3-2 MQTT-3.1.3-10 MQTT-3.1.3-11
// Spec 5.0: MQTT-1.5.4-1 MQTT-1.5.4-2 MQTT-1.5.7-1 MQTT-3.1.3-11 MQTT-3.1.3-12
#[test]
fn text() {
    check(&[
        // [MQTT-1.5.4-2]
        ("null character in a topic", OLD, b"\x30\x05\x00\x03a\x00b", TOPIC),
        ("null character in a filter", OLD, b"\x82\x06\x00\x01\x00\x01\x00\x00", NULL),
        (
            "null character in a client identifier",
            ALL,
            b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01\x00",
            NULL,
        ),
        // [MQTT-1.5.4-1]
        ("surrogate", OLD, b"\x30\x05\x00\x03\xed\xa0\x80", UTF8),
        ("surrogate pair", OLD, b"\x30\x08\x00\x06\xed\xa0\xbd\xed\xb8\x80", UTF8),
        ("overlong slash", OLD, b"\x30\x04\x00\x02\xc0\xaf", UTF8),
        ("overlong null character", OLD, b"\x30\x04\x00\x02\xc0\x80", UTF8),
        ("above U+10FFFF", OLD, b"\x30\x06\x00\x04\xf4\x90\x80\x80", UTF8),
        ("cut in a character", OLD, b"\x30\x04\x00\x02a\xc3", UTF8),
        ("continuation alone", NEW, b"\x30\x04\x00\x01\x80\x00", UTF8),
        ("user name", ALL, b"\x10\x10\x00\x04MQTT\x04\x82\x00\x3c\x00\x01c\x00\x01\xff", UTF8),
        ("will topic", ALL, b"\x10\x12\x00\x04MQTT\x04\x06\x00\x3c\x00\x01c\x00\x01\xff\x00\x00", UTF8),
        ("topic filter", OLD, b"\xa2\x05\x00\x01\x00\x01\xff", UTF8),
        ("text property", NEW, b"\x40\x08\x00\x0a\x10\x04\x1f\x00\x01\xff", UTF8),
        ("name of a user property", NEW, b"\x40\x0a\x00\x0a\x10\x06\x26\x00\x01\xff\x00\x00", UTF8),
        ("value of a user property", NEW, b"\x40\x0a\x00\x0a\x10\x06\x26\x00\x00\x00\x01\xff", UTF8),
        ("null character in a property", NEW, b"\x40\x08\x00\x0a\x10\x04\x1f\x00\x01\x00", NULL),
    ]);
}

// Spec 3.1.1: MQTT-3.1.2-1 MQTT-3.1.2-3 MQTT-3.1.2-9 MQTT-3.1.2-22
// Spec 5.0: MQTT-3.1.2-1 MQTT-3.1.2-3 MQTT-3.1.2-9
#[test]
fn connect() {
    check(&[
        (
            "protocol name",
            ALL,
            b"\x10\x0c\x00\x04mqtt\x04\x02\x00\x3c\x00\x00",
            Malformed("the protocol name is not MQTT"),
        ),
        ("level 6", ALL, b"\x10\x0c\x00\x04MQTT\x06\x02\x00\x3c\x00\x00", UnsupportedVersion { level: 6 }),
        (
            "level 3 of MQTT",
            ALL,
            b"\x10\x0c\x00\x04MQTT\x03\x02\x00\x3c\x00\x00",
            UnsupportedVersion { level: 3 },
        ),
        (
            "level 4 of MQIsdp",
            ALL,
            b"\x10\x0e\x00\x06MQIsdp\x04\x02\x00\x3c\x00\x00",
            UnsupportedVersion { level: 4 },
        ),
        ("level and nothing more", ALL, b"\x10\x07\x00\x04MQTT\x09", UnsupportedVersion { level: 9 }),
        (
            "reserved connect flag",
            ALL,
            b"\x10\x0c\x00\x04MQTT\x04\x03\x00\x3c\x00\x00",
            Malformed("the reserved connect flag is set"),
        ),
        (
            "will QoS without a will",
            ALL,
            b"\x10\x0c\x00\x04MQTT\x04\x0a\x00\x3c\x00\x00",
            Malformed("will flags without a will"),
        ),
        (
            "will retain without a will",
            ALL,
            b"\x10\x0d\x00\x04MQTT\x05\x22\x00\x3c\x00\x00\x00",
            Malformed("will flags without a will"),
        ),
        (
            "will QoS 3",
            ALL,
            b"\x10\x12\x00\x04MQTT\x04\x1e\x00\x3c\x00\x01c\x00\x01w\x00\x00",
            Malformed("QoS is 3"),
        ),
        ("will without a topic", ALL, b"\x10\x0d\x00\x04MQTT\x04\x06\x00\x3c\x00\x01c", SHORT),
        (
            "will topic empty",
            ALL,
            b"\x10\x11\x00\x04MQTT\x04\x06\x00\x3c\x00\x01c\x00\x00\x00\x00",
            Malformed("the will topic is empty"),
        ),
        (
            "will topic with a wildcard",
            ALL,
            b"\x10\x12\x00\x04MQTT\x04\x06\x00\x3c\x00\x01c\x00\x01#\x00\x00",
            TOPIC,
        ),
        (
            "will payload too short",
            ALL,
            b"\x10\x12\x00\x04MQTT\x04\x06\x00\x3c\x00\x01c\x00\x01w\x00\x01",
            SHORT,
        ),
        (
            "password without a user name in 3.1.1",
            ALL,
            b"\x10\x10\x00\x04MQTT\x04\x42\x00\x3c\x00\x01c\x00\x01p",
            Malformed("a password without a user name"),
        ),
        (
            "password without a user name in 3.1",
            ALL,
            b"\x10\x12\x00\x06MQIsdp\x03\x42\x00\x3c\x00\x01c\x00\x01p",
            Malformed("a password without a user name"),
        ),
        ("user name missing", ALL, b"\x10\x0d\x00\x04MQTT\x04\x82\x00\x3c\x00\x01c", SHORT),
        ("password missing", ALL, b"\x10\x10\x00\x04MQTT\x04\xc2\x00\x3c\x00\x01c\x00\x01u", SHORT),
        ("user name not announced", ALL, b"\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x01c\x00\x01u", TRAILING),
        ("no client identifier", ALL, b"\x10\x0a\x00\x04MQTT\x04\x02\x00\x3c", SHORT),
        ("no property length in 5.0", ALL, b"\x10\x0a\x00\x04MQTT\x05\x02\x00\x3c", SHORT),
        (
            "length not minimal in 5.0",
            ALL,
            b"\x10\x8d\x00\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x00",
            NOT_MINIMAL,
        ),
        (
            "authentication data without a method",
            ALL,
            b"\x10\x11\x00\x04MQTT\x05\x02\x00\x3c\x04\x16\x00\x01x\x00\x00",
            ProtocolError("authentication data without a method"),
        ),
        ("empty", ALL, b"\x10\x00", SHORT),
    ]);
}

#[test]
fn connack() {
    check(&[
        ("flags", OLD, b"\x20\x02\x02\x00", Malformed("reserved flags of CONNACK")),
        ("flags", NEW, b"\x20\x03\x80\x00\x00", Malformed("reserved flags of CONNACK")),
        (
            "session present and refused",
            OLD,
            b"\x20\x02\x01\x05",
            ProtocolError("session present in a CONNACK that refuses"),
        ),
        (
            "session present and refused",
            NEW,
            b"\x20\x03\x01\x87\x00",
            ProtocolError("session present in a CONNACK that refuses"),
        ),
        ("the shape of 3.1.1", NEW, b"\x20\x02\x00\x01", SHORT),
        ("the shape of 5.0", OLD, b"\x20\x03\x00\x00\x00", TRAILING),
        ("empty", ALL, b"\x20\x00", SHORT),
        ("flags alone", ALL, b"\x20\x01\x00", SHORT),
    ]);
}

// Spec 3.1.1: MQTT-3.3.1-2 MQTT-3.3.1-4 MQTT-3.3.2-2
// Spec 5.0: MQTT-3.3.1-2 MQTT-3.3.1-4 MQTT-3.3.2-2 MQTT-3.3.2-8
#[test]
fn publish() {
    check(&[
        ("QoS 3", ALL, b"\x36\x07\x00\x01t\x00\x01\x00x", Malformed("QoS is 3")),
        ("QoS 3 with DUP", ALL, b"\x3e\x07\x00\x01t\x00\x01\x00x", Malformed("QoS is 3")),
        ("DUP on QoS 0", ALL, b"\x38\x04\x00\x01t\x00", Malformed("DUP is set on QoS 0")),
        ("identifier zero", OLD, b"\x32\x05\x00\x01t\x00\x00", ID_ZERO),
        ("identifier zero", NEW, b"\x34\x06\x00\x01t\x00\x00\x00", ID_ZERO),
        ("identifier missing", ALL, b"\x32\x03\x00\x01t", SHORT),
        ("half an identifier", ALL, b"\x32\x04\x00\x01t\x01", SHORT),
        ("multi-level wildcard", ALL, b"\x30\x06\x00\x03a/#\x00", TOPIC),
        ("single-level wildcard", ALL, b"\x30\x06\x00\x03+/a\x00", TOPIC),
        ("empty topic", OLD, b"\x30\x02\x00\x00", ProtocolError("an empty topic name without a topic alias")),
        (
            "empty topic",
            NEW,
            b"\x30\x03\x00\x00\x00",
            ProtocolError("an empty topic name without a topic alias"),
        ),
        ("topic past the end", ALL, b"\x30\x03\x00\x02t", SHORT),
        ("half a topic length", ALL, b"\x30\x01\x00", SHORT),
        ("empty", ALL, b"\x30\x00", SHORT),
        ("no property length", NEW, b"\x30\x03\x00\x01t", SHORT),
        ("properties past the end", NEW, b"\x30\x05\x00\x01t\x02\x01", SHORT),
        ("property length not minimal", NEW, b"\x30\x05\x00\x01t\x80\x00", NOT_MINIMAL),
        ("property length of five bytes", NEW, b"\x30\x08\x00\x01t\x80\x80\x80\x80\x01", FIVE_BYTES),
        ("property length cut", NEW, b"\x30\x04\x00\x01t\x80", SHORT),
    ]);
}

#[test]
fn acks() {
    for first in [0x40, 0x50, 0x62, 0x70] {
        for version in [V31, V311, V5] {
            let decode = |body: &[u8]| {
                let length = u8::try_from(body.len()).expect("short");
                decode(version, &[&[first, length], body].concat(), 1000).expect_err("malformed")
            };
            assert_eq!(decode(&[0, 0]), ID_ZERO);
            assert_eq!(decode(&[1]), SHORT);
            assert_eq!(decode(&[]), SHORT);
            if version == V5 {
                assert_eq!(decode(&[0, 1, 0, 0, 0]), TRAILING);
                assert_eq!(decode(&[0, 1, 0, 1]), SHORT);
                assert_eq!(decode(&[0, 1, 0, 2, 1, 0]), MISPLACED);
            } else {
                assert_eq!(decode(&[0, 1, 0]), TRAILING);
            }
        }
    }
}

// Spec 3.1.1: MQTT-3.8.3-3 MQTT-3.8.3-4 MQTT-3.10.3-2
// Spec 5.0: MQTT-3.8.3-2 MQTT-3.8.3-4 MQTT-3.8.3-5 MQTT-3.10.3-2
#[test]
fn subscribe_and_unsubscribe() {
    let options = Malformed("reserved bits of the subscription options");
    let none = ProtocolError("no topic filters");
    let empty = Malformed("the topic filter is empty");
    check(&[
        ("no filters", OLD, b"\x82\x02\x00\x01", none),
        ("no filters", NEW, b"\x82\x03\x00\x01\x00", none),
        ("no filters", OLD, b"\xa2\x02\x00\x01", none),
        ("no filters", NEW, b"\xa2\x03\x00\x01\x00", none),
        ("identifier zero", OLD, b"\x82\x06\x00\x00\x00\x01a\x00", ID_ZERO),
        ("identifier zero", NEW, b"\xa2\x06\x00\x00\x00\x00\x01a", ID_ZERO),
        ("empty filter", OLD, b"\x82\x05\x00\x01\x00\x00\x00", empty),
        ("empty filter", NEW, b"\x82\x06\x00\x01\x00\x00\x00\x00", empty),
        ("empty filter", OLD, b"\xa2\x04\x00\x01\x00\x00", empty),
        ("empty filter", NEW, b"\xa2\x05\x00\x01\x00\x00\x00", empty),
        ("options missing", OLD, b"\x82\x05\x00\x01\x00\x01a", SHORT),
        ("second filter past the end", OLD, b"\x82\x08\x00\x01\x00\x01a\x00\x00\x01", SHORT),
        ("second filter past the end", OLD, b"\xa2\x07\x00\x01\x00\x01a\x00\x01", SHORT),
        ("QoS 3", OLD, b"\x82\x06\x00\x01\x00\x01a\x03", ProtocolError("the maximum QoS is 3")),
        ("QoS 3", NEW, b"\x82\x07\x00\x01\x00\x00\x01a\x03", ProtocolError("the maximum QoS is 3")),
        ("no local in 3.1.1", OLD, b"\x82\x06\x00\x01\x00\x01a\x04", options),
        ("retain handling in 3.1.1", OLD, b"\x82\x06\x00\x01\x00\x01a\x10", options),
        ("bit 6", NEW, b"\x82\x07\x00\x01\x00\x00\x01a\x40", options),
        ("bit 7", NEW, b"\x82\x07\x00\x01\x00\x00\x01a\x80", options),
        (
            "retain handling 3",
            NEW,
            b"\x82\x07\x00\x01\x00\x00\x01a\x30",
            ProtocolError("retain handling is 3"),
        ),
        (
            "no local on a shared subscription",
            NEW,
            b"\x82\x10\x00\x01\x00\x00\x0a$share/g/b\x04",
            ProtocolError("no local on a shared subscription"),
        ),
        ("subscription identifier twice", NEW, b"\x82\x0b\x00\x01\x04\x0b\x01\x0b\x02\x00\x01a\x00", TWICE),
        ("subscription identifier zero", NEW, b"\x82\x09\x00\x01\x02\x0b\x00\x00\x01a\x00", ZERO),
    ]);
}

// Spec 3.1.1: MQTT-3.9.3-2
#[test]
fn suback_and_unsuback() {
    let reserved = Malformed("a reserved return code in SUBACK");
    check(&[
        ("no codes", OLD, b"\x90\x02\x00\x01", Malformed("no reason codes")),
        ("no codes", NEW, b"\x90\x03\x00\x01\x00", Malformed("no reason codes")),
        ("no codes", NEW, b"\xb0\x03\x00\x01\x00", Malformed("no reason codes")),
        ("identifier zero", ALL, b"\x90\x04\x00\x00\x00\x00", ID_ZERO),
        ("identifier zero", ALL, b"\xb0\x04\x00\x00\x00\x00", ID_ZERO),
        ("code 3", OLD, b"\x90\x03\x00\x01\x03", reserved),
        ("code of 5.0", OLD, b"\x90\x04\x00\x01\x00\x87", reserved),
        ("codes in an UNSUBACK of 3.1.1", OLD, b"\xb0\x03\x00\x01\x00", TRAILING),
        ("no property length", NEW, b"\xb0\x02\x00\x01", SHORT),
    ]);
}

#[test]
fn pings_disconnect_and_auth() {
    let method = ProtocolError("AUTH without an authentication method");
    check(&[
        ("PINGREQ with a body", ALL, b"\xc0\x01\x00", TRAILING),
        ("PINGRESP with a body", ALL, b"\xd0\x01\x00", TRAILING),
        ("DISCONNECT with a body", OLD, b"\xe0\x01\x00", TRAILING),
        ("DISCONNECT too long", NEW, b"\xe0\x03\x00\x00\x00", TRAILING),
        ("DISCONNECT properties past the end", NEW, b"\xe0\x02\x00\x01", SHORT),
        ("AUTH without a method", NEW, b"\xf0\x02\x18\x00", method),
        ("AUTH with data alone", NEW, b"\xf0\x06\x18\x04\x16\x00\x01x", method),
        ("AUTH without a property length", NEW, b"\xf0\x01\x18", SHORT),
        ("AUTH with its method twice", NEW, b"\xf0\x0a\x18\x08\x15\x00\x01x\x15\x00\x01x", TWICE),
    ]);
}

// Spec 5.0: MQTT-1.5.5-1 MQTT-3.3.2-8 MQTT-3.3.2-14
#[test]
fn property_blocks() {
    check(&[
        ("unknown", NEW, b"\x30\x06\x00\x01t\x02\x04\x00", UNKNOWN),
        ("unknown, above the table", NEW, b"\x30\x06\x00\x01t\x02\x2b\x00", UNKNOWN),
        ("identifier 0", NEW, b"\x30\x06\x00\x01t\x02\x00\x00", UNKNOWN),
        ("identifier of two bytes", NEW, b"\x30\x07\x00\x01t\x03\x81\x00\x00", UNKNOWN),
        ("misplaced", NEW, b"\x20\x08\x00\x00\x05\x18\x00\x00\x00\x05", MISPLACED),
        ("value past the end of the block", NEW, b"\x30\x0a\x00\x01t\x03\x02\x00\x00\x00\x1e\x00", SHORT),
        ("text past the end of the block", NEW, b"\x30\x09\x00\x01t\x03\x03\x00\x05abc", SHORT),
        ("identifier without a value", NEW, b"\x30\x05\x00\x01t\x01\x01", SHORT),
        ("user property without a value", NEW, b"\x30\x08\x00\x01t\x04\x26\x00\x01k", SHORT),
        ("payload format indicator 2", NEW, b"\x30\x06\x00\x01t\x02\x01\x02", NOT_A_FLAG),
        ("maximum QoS 2", NEW, b"\x20\x05\x00\x00\x02\x24\x02", NOT_A_FLAG),
        ("receive maximum 0", NEW, b"\x20\x06\x00\x00\x03\x21\x00\x00", ZERO),
        ("maximum packet size 0", NEW, b"\x20\x08\x00\x00\x05\x27\x00\x00\x00\x00", ZERO),
        ("topic alias 0", NEW, b"\x30\x07\x00\x01t\x03\x23\x00\x00", ZERO),
        ("subscription identifier 0", NEW, b"\x30\x06\x00\x01t\x02\x0b\x00", ZERO),
        ("subscription identifier not minimal", NEW, b"\x30\x07\x00\x01t\x03\x0b\x81\x00", NOT_MINIMAL),
        (
            "subscription identifier of five bytes",
            NEW,
            b"\x30\x0a\x00\x01t\x06\x0b\x80\x80\x80\x80\x01",
            FIVE_BYTES,
        ),
        ("response topic with a wildcard", NEW, b"\x30\x08\x00\x01t\x04\x08\x00\x01+", TOPIC),
        ("content type twice", NEW, b"\x30\x0a\x00\x01t\x06\x03\x00\x00\x03\x00\x00", TWICE),
    ]);
}

#[test]
fn each_error_has_its_reason_code() {
    for (error, reason) in [
        (Malformed(""), Reason::MALFORMED_PACKET),
        (ProtocolError(""), Reason::PROTOCOL_ERROR),
        (UnsupportedVersion { level: 6 }, Reason::UNSUPPORTED_PROTOCOL_VERSION),
        (DecodeError::TooLarge { size: 9 }, Reason::PACKET_TOO_LARGE),
    ] {
        assert_eq!(error.reason(), reason);
        assert!(!error.to_string().is_empty());
    }
}
