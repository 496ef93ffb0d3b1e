//! The line about a packet: what it tells, and what only who asks for secrets gets to see.

use packetboat_core::wire::{
    Ack, AckKind, Auth, Connack, Connect, Disconnect, FiltersBuf, Packet, Properties, PropertiesBuf,
    PropertyError, Publish, QoS, Reason, SubAckKind, Suback, Subscribe, SubscribeOptions, TopicFiltersBuf,
    Unsubscribe, Version, Will,
};

fn words() -> Result<PropertiesBuf, PropertyError> {
    let mut words = PropertiesBuf::new();
    words.reason_string("why")?.server_reference("there")?.user_property("k", "hush")?;
    Ok(words)
}

const WORDS: &str = ", reason \"why\", server reference \"there\", properties of 24 bytes";
const ALL_WORDS: &str =
    ", {ReasonString: \"why\", ServerReference: \"there\", UserProperty: (\"k\", \"hush\")}";

fn publish<'a>(properties: Properties<'a>, payload: &'a [u8]) -> Publish<'a> {
    Publish { dup: true, retain: true, qos: QoS::ExactlyOnce, topic: "a/b", id: Some(9), properties, payload }
}

fn connect<'a>(properties: Properties<'a>, will: Will<'a>) -> Connect<'a> {
    Connect {
        version: Version::V5,
        clean_start: true,
        keep_alive: 30,
        client_id: "boat",
        will: Some(will),
        username: Some("me"),
        password: Some(b"hush"),
        properties,
    }
}

#[test]
fn each_packet_is_told_in_a_line_with_and_without_secrets() -> Result<(), PropertyError> {
    let (words, none) = (words()?, Properties::EMPTY);
    let said = words.as_properties();
    let will = Will { qos: QoS::AtLeastOnce, retain: true, topic: "w", payload: b"hush", properties: said };
    let plain_will = Will { qos: QoS::AtMostOnce, retain: false, topic: "w", payload: b"", properties: none };
    let plain = Connect {
        clean_start: false,
        will: Some(plain_will),
        username: None,
        password: None,
        ..connect(none, plain_will)
    };
    let (mut filters, mut names) = (FiltersBuf::default(), TopicFiltersBuf::default());
    for (filter, qos) in [("a/#", QoS::AtLeastOnce), ("b", QoS::AtMostOnce)] {
        filters.push(filter, SubscribeOptions::from(qos));
        names.push(filter);
    }
    let refused = Ack { reason: Reason::NOT_AUTHORIZED, properties: said, ..Ack::new(AckKind::Pubrec, 7) };
    let ok = Reason::SUCCESS;
    let quiet = Publish { dup: false, retain: false, qos: QoS::AtMostOnce, id: None, ..publish(none, b"") };
    let suback = |kind, reasons| Packet::Suback(Suback { kind, id: 3, properties: none, reasons });
    // What is told, of which `W` stands for the words; and the same with secrets, if it differs beyond the words.
    let told: [(Packet<'_>, &str, Option<&str>); 16] = [
        (
            Packet::Connect(connect(said, will)),
            "CONNECT V5, client id \"boat\", keep alive 30 s, clean start, will QoS 1, topic \"w\", retain, payload of \
             4 bytesW, user name ***, password ***W",
            Some(
                "CONNECT V5, client id \"boat\", keep alive 30 s, clean start, will QoS 1, topic \"w\", retain, payload \
                 \"hush\"W, user name \"me\", password \"hush\"W",
            ),
        ),
        (
            Packet::Connect(plain),
            "CONNECT V5, client id \"boat\", keep alive 30 s, will QoS 0, topic \"w\", payload of 0 bytes",
            Some("CONNECT V5, client id \"boat\", keep alive 30 s, will QoS 0, topic \"w\", payload \"\""),
        ),
        (
            Packet::Connack(Connack { session_present: true, reason: ok, properties: said }),
            "CONNACK Success, session presentW",
            None,
        ),
        (
            Packet::Connack(Connack { session_present: false, reason: Reason::BANNED, properties: none }),
            "CONNACK Banned",
            None,
        ),
        (
            Packet::Publish(publish(said, b"hush")),
            "PUBLISH id 9, QoS 2, DUP, retain, topic \"a/b\"W, payload of 4 bytes",
            Some("PUBLISH id 9, QoS 2, DUP, retain, topic \"a/b\"W, payload \"hush\""),
        ),
        (
            Packet::Publish(quiet),
            "PUBLISH QoS 0, topic \"a/b\", payload of 0 bytes",
            Some("PUBLISH QoS 0, topic \"a/b\", payload \"\""),
        ),
        (Packet::Ack(refused), "PUBREC id 7, Not authorizedW", None),
        (Packet::Ack(Ack::new(AckKind::Puback, 8)), "PUBACK id 8", None),
        (
            Packet::Subscribe(Subscribe { id: 3, properties: said, filters: filters.as_filters() }),
            "SUBSCRIBE id 3, \"a/#\" QoS 1, \"b\" QoS 0W",
            None,
        ),
        (
            suback(SubAckKind::Suback, &[0, 2, 0x87]),
            "SUBACK id 3, Granted QoS 0, Granted QoS 2, Not authorized",
            None,
        ),
        (
            suback(SubAckKind::Unsuback, &[0, 0x11, 0x55]),
            "UNSUBACK id 3, Success, No subscription existed, unknown reason code",
            None,
        ),
        (
            Packet::Unsubscribe(Unsubscribe { id: 4, properties: none, filters: names.as_filters() }),
            "UNSUBSCRIBE id 4, \"a/#\", \"b\"",
            None,
        ),
        (Packet::PingReq, "PINGREQ", None),
        (Packet::PingResp, "PINGRESP", None),
        (
            Packet::Disconnect(Disconnect { reason: Reason::SERVER_BUSY, properties: said }),
            "DISCONNECT Server busyW",
            None,
        ),
        (
            Packet::Auth(Auth { reason: Reason::CONTINUE_AUTHENTICATION, properties: none }),
            "AUTH Continue authentication",
            None,
        ),
    ];
    for (packet, line, with_secrets) in told {
        let (summary, with_secrets) = (packet.summary(), with_secrets.unwrap_or(line));
        assert_eq!(summary.to_string(), line.replace('W', WORDS));
        assert_eq!(summary.with_secrets().to_string(), with_secrets.replace('W', ALL_WORDS));
    }
    assert_eq!(Packet::Ack(Ack::new(AckKind::Pubrel, 1)).summary().to_string(), "PUBREL id 1");
    assert_eq!(Packet::Ack(Ack::new(AckKind::Pubcomp, 1)).summary().to_string(), "PUBCOMP id 1");
    Ok(())
}
