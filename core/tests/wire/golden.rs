//! The golden vectors: packets and their bytes, written out by hand from the specifications. They drive the
//! tests of encoding and decoding, and seed the fuzz corpus.

#![allow(clippy::expect_used)] // Test data, though not inside a test function.

use packetboat_core::wire::Version::{self, V5, V31, V311};
use packetboat_core::wire::{
    Ack, AckKind, Auth, Connack, Connect, Disconnect, Filters, FiltersBuf, Packet, Properties, PropertiesBuf,
    PropertyError, Publish, QoS, Reason, RetainHandling, SubAckKind, Suback, Subscribe, SubscribeOptions,
    TopicFilters, TopicFiltersBuf, Unsubscribe, Will,
};

/// A packet and its bytes in a version.
pub(crate) struct Golden {
    pub(crate) name: &'static str,
    pub(crate) version: Version,
    pub(crate) bytes: &'static [u8],
    pub(crate) packet: Packet<'static>,
}

/// All of them.
pub(crate) fn all() -> Vec<Golden> {
    [
        connects(),
        connects_of_5(),
        connacks(),
        publishes(),
        publishes_of_5(),
        acks(),
        requests(),
        answers(),
        rest(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn golden(name: &'static str, version: Version, bytes: &'static [u8], packet: Packet<'static>) -> Golden {
    Golden { name, version, bytes, packet }
}

/// Properties by their setters.
fn properties(
    fill: impl FnOnce(&mut PropertiesBuf) -> Result<&mut PropertiesBuf, PropertyError>,
) -> Properties<'static> {
    let buffer = Box::leak(Box::new(PropertiesBuf::new()));
    fill(buffer).expect("values that are allowed");
    buffer.as_properties()
}

fn filters(list: &[(&str, SubscribeOptions)]) -> Filters<'static> {
    let buffer = Box::leak(Box::new(FiltersBuf::default()));
    for (filter, options) in list {
        buffer.push(filter, *options);
    }
    buffer.as_filters()
}

fn topic_filters(list: &[&str]) -> TopicFilters<'static> {
    let buffer = Box::leak(Box::new(TopicFiltersBuf::default()));
    for filter in list {
        buffer.push(filter);
    }
    buffer.as_filters()
}

const CONNECT: Connect<'static> = Connect {
    version: V311,
    clean_start: true,
    keep_alive: 60,
    client_id: "",
    will: None,
    username: None,
    password: None,
    properties: Properties::EMPTY,
};

const WILL: Will<'static> =
    Will { qos: QoS::AtLeastOnce, retain: true, topic: "w", payload: b"bye", properties: Properties::EMPTY };

fn connects() -> Vec<Golden> {
    vec![
        golden(
            "CONNECT of 3.1.1, the shortest",
            V311,
            b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00",
            Packet::Connect(CONNECT),
        ),
        golden(
            "CONNECT of 3.1.1 with everything",
            V311,
            b"\x10\x1b\x00\x04MQTT\x04\xec\x00\x0a\x00\x01c\x00\x01w\x00\x03bye\x00\x01u\x00\x01p",
            Packet::Connect(Connect {
                clean_start: false,
                keep_alive: 10,
                client_id: "c",
                will: Some(WILL),
                username: Some("u"),
                password: Some(b"p"),
                ..CONNECT
            }),
        ),
        golden(
            "CONNECT of 3.1.1 with a user name and an empty will",
            V311,
            b"\x10\x15\x00\x04MQTT\x04\x86\x00\x3c\x00\x01c\x00\x01w\x00\x00\x00\x01u",
            Packet::Connect(Connect {
                client_id: "c",
                will: Some(Will { qos: QoS::AtMostOnce, retain: false, payload: b"", ..WILL }),
                username: Some("u"),
                ..CONNECT
            }),
        ),
        golden(
            "CONNECT of 3.1",
            V31,
            b"\x10\x0f\x00\x06MQIsdp\x03\x02\x00\x0a\x00\x01c",
            Packet::Connect(Connect { version: V31, keep_alive: 10, client_id: "c", ..CONNECT }),
        ),
    ]
}

fn connects_of_5() -> Vec<Golden> {
    vec![
        golden(
            "CONNECT of 5.0, the shortest",
            V5,
            b"\x10\x0d\x00\x04MQTT\x05\x00\x00\x00\x00\x00\x00",
            Packet::Connect(Connect { version: V5, clean_start: false, keep_alive: 0, ..CONNECT }),
        ),
        golden(
            "CONNECT of 5.0 with a password and no user name",
            V5,
            b"\x10\x11\x00\x04MQTT\x05\x42\x00\x3c\x00\x00\x01c\x00\x01p",
            Packet::Connect(Connect { version: V5, client_id: "c", password: Some(b"p"), ..CONNECT }),
        ),
        golden(
            "CONNECT of 5.0 with every property",
            V5,
            b"\x10\x69\x00\x04MQTT\x05\xd6\x00\x3c\
              \x28\x11\x00\x00\x00\x0a\x21\x00\x14\x27\x00\x00\x01\x00\x22\x00\x0a\x19\x01\x17\x00\
              \x26\x00\x01k\x00\x01v\x15\x00\x05PLAIN\x16\x00\x02\x01\x02\
              \x00\x01c\
              \x23\x18\x00\x00\x00\x05\x01\x01\x02\x00\x00\x00\x1e\x03\x00\x04text\x08\x00\x01r\
              \x09\x00\x02id\x26\x00\x01k\x00\x01v\
              \x00\x01w\x00\x03bye\x00\x01u\x00\x02\x00\xff",
            Packet::Connect(Connect {
                version: V5,
                client_id: "c",
                will: Some(Will {
                    qos: QoS::ExactlyOnce,
                    retain: false,
                    properties: properties(|p| {
                        p.will_delay_interval(5).payload_format_indicator(true).message_expiry_interval(30);
                        p.content_type("text")?.response_topic("r")?.correlation_data(b"id")?;
                        p.user_property("k", "v")
                    }),
                    ..WILL
                }),
                username: Some("u"),
                password: Some(b"\x00\xff"),
                properties: properties(|p| {
                    p.session_expiry_interval(10).receive_maximum(20)?.maximum_packet_size(256)?;
                    p.topic_alias_maximum(10)
                        .request_response_information(true)
                        .request_problem_information(false);
                    p.user_property("k", "v")?.authentication_method("PLAIN")?.authentication_data(&[1, 2])
                }),
                ..CONNECT
            }),
        ),
    ]
}

fn connacks() -> Vec<Golden> {
    let connack = |session_present, reason| {
        Packet::Connack(Connack { session_present, reason, properties: Properties::EMPTY })
    };
    vec![
        golden("CONNACK of 3.1.1", V311, b"\x20\x02\x00\x00", connack(false, Reason::SUCCESS)),
        golden("CONNACK of 3.1.1, session present", V311, b"\x20\x02\x01\x00", connack(true, Reason::SUCCESS)),
        golden("return code 1", V311, b"\x20\x02\x00\x01", connack(false, Reason::UNSUPPORTED_PROTOCOL_VERSION)),
        golden("return code 2", V311, b"\x20\x02\x00\x02", connack(false, Reason::CLIENT_IDENTIFIER_NOT_VALID)),
        golden("return code 3", V311, b"\x20\x02\x00\x03", connack(false, Reason::SERVER_UNAVAILABLE)),
        golden("return code 4", V311, b"\x20\x02\x00\x04", connack(false, Reason::BAD_USER_NAME_OR_PASSWORD)),
        golden("return code 5", V311, b"\x20\x02\x00\x05", connack(false, Reason::NOT_AUTHORIZED)),
        golden("CONNACK of 3.1", V31, b"\x20\x02\x00\x00", connack(false, Reason::SUCCESS)),
        golden("CONNACK of 5.0", V5, b"\x20\x03\x01\x00\x00", connack(true, Reason::SUCCESS)),
        golden("CONNACK of 5.0, refused", V5, b"\x20\x03\x00\x8a\x00", connack(false, Reason::BANNED)),
        golden(
            "CONNACK of 5.0 with every property",
            V5,
            b"\x20\x46\x00\x00\
              \x43\x11\x00\x00\x0e\x10\x21\x00\x14\x24\x01\x25\x00\x27\x00\x01\x00\x00\x12\x00\x03abc\x22\x00\x0a\
              \x1f\x00\x02ok\x26\x00\x01k\x00\x01v\x28\x01\x29\x00\x2a\x01\x13\x00\x1e\x1a\x00\x01i\x1c\x00\x01s\
              \x15\x00\x05PLAIN\x16\x00\x01\xff",
            Packet::Connack(Connack {
                session_present: false,
                reason: Reason::SUCCESS,
                properties: properties(|p| {
                    p.session_expiry_interval(3600).receive_maximum(20)?.maximum_qos(QoS::AtLeastOnce);
                    p.retain_available(false).maximum_packet_size(65536)?.assigned_client_identifier("abc")?;
                    p.topic_alias_maximum(10).reason_string("ok")?.user_property("k", "v")?;
                    p.wildcard_subscription_available(true).subscription_identifier_available(false);
                    p.shared_subscription_available(true).server_keep_alive(30);
                    p.response_information("i")?.server_reference("s")?;
                    p.authentication_method("PLAIN")?.authentication_data(&[0xff])
                }),
            }),
        ),
    ]
}

const PUBLISH: Publish<'static> = Publish {
    dup: false,
    retain: false,
    qos: QoS::AtMostOnce,
    topic: "a/b",
    id: None,
    properties: Properties::EMPTY,
    payload: b"hi",
};

const PUBLISH_1: Publish<'static> = Publish { qos: QoS::AtLeastOnce, id: Some(10), ..PUBLISH };
const PUBLISH_2: Publish<'static> = Publish { qos: QoS::ExactlyOnce, id: Some(0xabcd), ..PUBLISH };

fn publishes() -> Vec<Golden> {
    vec![
        golden("PUBLISH", V311, b"\x30\x07\x00\x03a/bhi", Packet::Publish(PUBLISH)),
        golden(
            "PUBLISH, retained and empty",
            V311,
            b"\x31\x05\x00\x03a/b",
            Packet::Publish(Publish { retain: true, payload: b"", ..PUBLISH }),
        ),
        golden("PUBLISH, QoS 1", V311, b"\x32\x09\x00\x03a/b\x00\x0ahi", Packet::Publish(PUBLISH_1)),
        golden("PUBLISH, QoS 2", V311, b"\x34\x09\x00\x03a/b\xab\xcdhi", Packet::Publish(PUBLISH_2)),
        golden(
            "PUBLISH, QoS 1, again",
            V311,
            b"\x3a\x09\x00\x03a/b\x00\x0ahi",
            Packet::Publish(Publish { dup: true, ..PUBLISH_1 }),
        ),
        golden(
            "PUBLISH, QoS 2, again, retained",
            V311,
            b"\x3d\x09\x00\x03a/b\xab\xcdhi",
            Packet::Publish(Publish { dup: true, retain: true, ..PUBLISH_2 }),
        ),
        // Figure 1-2: LATIN CAPITAL LETTER A and the CJK ideograph U+2A6D4.
        golden(
            "PUBLISH, the UTF-8 of figure 1-2",
            V311,
            b"\x30\x07\x00\x05A\xf0\xaa\x9b\x94",
            Packet::Publish(Publish { topic: "A\u{2a6d4}", payload: b"", ..PUBLISH }),
        ),
        // [MQTT-1.5.4-3]
        golden(
            "PUBLISH, a zero width no-break space stays",
            V311,
            b"\x30\x06\x00\x04\xef\xbb\xbfA",
            Packet::Publish(Publish { topic: "\u{feff}A", payload: b"", ..PUBLISH }),
        ),
    ]
}

fn publishes_of_5() -> Vec<Golden> {
    vec![
        golden("PUBLISH of 5.0", V5, b"\x30\x08\x00\x03a/b\x00hi", Packet::Publish(PUBLISH)),
        golden("PUBLISH of 5.0, QoS 1", V5, b"\x32\x0a\x00\x03a/b\x00\x0a\x00hi", Packet::Publish(PUBLISH_1)),
        golden("PUBLISH of 5.0, QoS 2", V5, b"\x34\x0a\x00\x03a/b\xab\xcd\x00hi", Packet::Publish(PUBLISH_2)),
        golden(
            "PUBLISH of 5.0 with every property",
            V5,
            b"\x32\x34\x00\x03a/b\x00\x0a\
              \x2a\x01\x01\x02\x00\x00\x00\x1e\x23\x00\x07\x08\x00\x03r/s\x09\x00\x02id\x26\x00\x01k\x00\x01v\
              \x0b\x01\x0b\xff\xff\xff\x7f\x03\x00\x04text\
              hi",
            Packet::Publish(Publish {
                properties: properties(|p| {
                    p.payload_format_indicator(true).message_expiry_interval(30).topic_alias(7)?;
                    p.response_topic("r/s")?.correlation_data(b"id")?.user_property("k", "v")?;
                    p.subscription_identifier(1)?.subscription_identifier(268_435_455)?.content_type("text")
                }),
                ..PUBLISH_1
            }),
        ),
        golden(
            "PUBLISH of 5.0 by topic alias",
            V5,
            b"\x30\x07\x00\x00\x03\x23\x00\x07x",
            Packet::Publish(Publish {
                topic: "",
                properties: properties(|p| p.topic_alias(7)),
                payload: b"x",
                ..PUBLISH
            }),
        ),
    ]
}

fn acks() -> Vec<Golden> {
    let plain = |kind| Packet::Ack(Ack::new(kind, 10));
    let with = |kind, reason| Packet::Ack(Ack { reason, ..Ack::new(kind, 10) });
    vec![
        golden("PUBACK", V311, b"\x40\x02\x00\x0a", plain(AckKind::Puback)),
        golden("PUBREC", V311, b"\x50\x02\x00\x0a", plain(AckKind::Pubrec)),
        golden("PUBREL", V311, b"\x62\x02\x00\x0a", plain(AckKind::Pubrel)),
        golden("PUBCOMP", V311, b"\x70\x02\x00\x0a", plain(AckKind::Pubcomp)),
        golden("PUBACK of 5.0", V5, b"\x40\x02\x00\x0a", plain(AckKind::Puback)),
        golden("PUBREC of 5.0", V5, b"\x50\x02\x00\x0a", plain(AckKind::Pubrec)),
        golden("PUBREL of 5.0", V5, b"\x62\x02\x00\x0a", plain(AckKind::Pubrel)),
        golden("PUBCOMP of 5.0", V5, b"\x70\x02\x00\x0a", plain(AckKind::Pubcomp)),
        golden(
            "PUBACK with a reason",
            V5,
            b"\x40\x04\x00\x0a\x10\x00",
            with(AckKind::Puback, Reason::NO_MATCHING_SUBSCRIBERS),
        ),
        golden(
            "PUBREL with a reason",
            V5,
            b"\x62\x04\x00\x0a\x92\x00",
            with(AckKind::Pubrel, Reason::PACKET_IDENTIFIER_NOT_FOUND),
        ),
        golden(
            "PUBCOMP with a reason",
            V5,
            b"\x70\x04\x00\x0a\x92\x00",
            with(AckKind::Pubcomp, Reason::PACKET_IDENTIFIER_NOT_FOUND),
        ),
        golden(
            "PUBREC with every property",
            V5,
            b"\x50\x12\x00\x0a\x97\x0e\x1f\x00\x04full\x26\x00\x01k\x00\x01v",
            Packet::Ack(Ack {
                kind: AckKind::Pubrec,
                id: 10,
                reason: Reason::QUOTA_EXCEEDED,
                properties: properties(|p| p.reason_string("full")?.user_property("k", "v")),
            }),
        ),
    ]
}

fn requests() -> Vec<Golden> {
    let options = SubscribeOptions {
        qos: QoS::AtLeastOnce,
        no_local: true,
        retain_as_published: true,
        retain_handling: RetainHandling::DoNotSend,
    };
    let shared = SubscribeOptions { retain_handling: RetainHandling::SendIfNew, ..QoS::ExactlyOnce.into() };
    vec![
        golden(
            "SUBSCRIBE",
            V311,
            b"\x82\x0d\x00\x01\x00\x03a/#\x01\x00\x02+b\x02",
            Packet::Subscribe(Subscribe {
                id: 1,
                properties: Properties::EMPTY,
                filters: filters(&[("a/#", QoS::AtLeastOnce.into()), ("+b", QoS::ExactlyOnce.into())]),
            }),
        ),
        golden(
            "SUBSCRIBE of 5.0 with every property",
            V5,
            b"\x82\x1f\x00\x01\x09\x0b\x05\x26\x00\x01k\x00\x01v\x00\x03a/#\x2d\x00\x0a$share/g/b\x12",
            Packet::Subscribe(Subscribe {
                id: 1,
                properties: properties(|p| p.subscription_identifier(5)?.user_property("k", "v")),
                filters: filters(&[("a/#", options), ("$share/g/b", shared)]),
            }),
        ),
        golden(
            "UNSUBSCRIBE",
            V311,
            b"\xa2\x0a\x00\x02\x00\x03a/#\x00\x01b",
            Packet::Unsubscribe(Unsubscribe {
                id: 2,
                properties: Properties::EMPTY,
                filters: topic_filters(&["a/#", "b"]),
            }),
        ),
        golden(
            "UNSUBSCRIBE of 5.0 with every property",
            V5,
            b"\xa2\x0f\x00\x02\x07\x26\x00\x01k\x00\x01v\x00\x03a/#",
            Packet::Unsubscribe(Unsubscribe {
                id: 2,
                properties: properties(|p| p.user_property("k", "v")),
                filters: topic_filters(&["a/#"]),
            }),
        ),
    ]
}

fn answers() -> Vec<Golden> {
    let suback = |kind, id, reasons, properties| Packet::Suback(Suback { kind, id, properties, reasons });
    let both = properties(|p| p.reason_string("no")?.user_property("k", "v"));
    vec![
        golden(
            "SUBACK",
            V311,
            b"\x90\x06\x00\x01\x00\x01\x02\x80",
            suback(SubAckKind::Suback, 1, &[0, 1, 2, 0x80], Properties::EMPTY),
        ),
        golden(
            "SUBACK of 5.0 with every property",
            V5,
            b"\x90\x12\x00\x01\x0c\x1f\x00\x02no\x26\x00\x01k\x00\x01v\x01\x87\xa2",
            suback(SubAckKind::Suback, 1, &[1, 0x87, 0xa2], both),
        ),
        golden(
            "UNSUBACK",
            V311,
            b"\xb0\x02\x00\x02",
            suback(SubAckKind::Unsuback, 2, &[], Properties::EMPTY),
        ),
        golden(
            "UNSUBACK of 5.0",
            V5,
            b"\xb0\x05\x00\x02\x00\x00\x11",
            suback(SubAckKind::Unsuback, 2, &[0, 0x11], Properties::EMPTY),
        ),
        golden(
            "UNSUBACK of 5.0 with every property",
            V5,
            b"\xb0\x10\x00\x02\x0c\x1f\x00\x02no\x26\x00\x01k\x00\x01v\x8f",
            suback(SubAckKind::Unsuback, 2, &[0x8f], both),
        ),
    ]
}

fn rest() -> Vec<Golden> {
    vec![
        golden("PINGREQ", V311, b"\xc0\x00", Packet::PingReq),
        golden("PINGRESP", V311, b"\xd0\x00", Packet::PingResp),
        golden("DISCONNECT", V311, b"\xe0\x00", Packet::Disconnect(Disconnect::new(Reason::SUCCESS))),
        golden("PINGREQ of 5.0", V5, b"\xc0\x00", Packet::PingReq),
        golden("PINGRESP of 5.0", V5, b"\xd0\x00", Packet::PingResp),
        golden("DISCONNECT of 5.0", V5, b"\xe0\x00", Packet::Disconnect(Disconnect::new(Reason::SUCCESS))),
        golden(
            "DISCONNECT of 5.0 with a reason",
            V5,
            b"\xe0\x02\x8d\x00",
            Packet::Disconnect(Disconnect::new(Reason::KEEP_ALIVE_TIMEOUT)),
        ),
        golden(
            "DISCONNECT of 5.0 with every property",
            V5,
            b"\xe0\x18\x9c\x16\x11\x00\x00\x00\x00\x1f\x00\x03bye\x1c\x00\x01s\x26\x00\x01k\x00\x01v",
            Packet::Disconnect(Disconnect {
                reason: Reason::USE_ANOTHER_SERVER,
                properties: properties(|p| {
                    p.session_expiry_interval(0).reason_string("bye")?;
                    p.server_reference("s")?.user_property("k", "v")
                }),
            }),
        ),
        golden(
            "AUTH, the shortest",
            V5,
            b"\xf0\x00",
            Packet::Auth(Auth { reason: Reason::SUCCESS, properties: Properties::EMPTY }),
        ),
        golden(
            "AUTH with every property",
            V5,
            b"\xf0\x1a\x18\x18\x15\x00\x05PLAIN\x16\x00\x01\x01\x1f\x00\x02ok\x26\x00\x01k\x00\x01v",
            Packet::Auth(Auth {
                reason: Reason::CONTINUE_AUTHENTICATION,
                properties: properties(|p| {
                    p.authentication_method("PLAIN")?.authentication_data(&[1])?;
                    p.reason_string("ok")?.user_property("k", "v")
                }),
            }),
        ),
    ]
}
