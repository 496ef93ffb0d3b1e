//! Messages to the client, and how it must answer them.

use std::time::Duration;

use packetboat_core::wire::{
    AckKind, Connect, Packet, Properties, PropertiesBuf, Publish, QoS, Reason, SubscribeOptions, Version,
};
use packetboat_sim::broker::{Config, Overlap};

use crate::common::{Got, Heard, VERSIONS, ack, connect, failure, message, messages};
use crate::desk::{Desk, Line};

const ACK_UNKNOWN: (&str, &str) = ("MQTT-2.2.1-5", "MQTT-2.3.1-6");
const ONE: QoS = QoS::AtLeastOnce;
const TWO: QoS = QoS::ExactlyOnce;

/// A subscriber that got a message of each of these QoS, under identifiers from 1.
fn delivered(version: Version, wanted: &[QoS]) -> (Desk, Line) {
    let mut desk = Desk::new();
    let line = desk.lasting(version, "boat");
    desk.subscribe(line, "t", TWO);
    for (qos, id) in wanted.iter().zip(1..) {
        desk.publish("t", "x", *qos);
        let heard = desk.hear(line);
        let got = heard[0].message();
        assert_eq!((got.id, got.qos, got.dup), (Some(id), *qos, false));
    }
    (desk, line)
}

// Spec 3.1.1: MQTT-3.3.4-1
// Spec 5.0: MQTT-3.3.4-1
#[test]
fn messages_are_acknowledged_as_their_qos_says() {
    for version in VERSIONS {
        let (mut desk, line) = delivered(version, &[ONE, TWO, ONE, TWO]);
        desk.publish("t", "zero", QoS::AtMostOnce);
        assert_eq!(messages(&desk.hear(line))[0].id, None);
        // QoS 1 and 2 have orders of their own.
        desk.say_all(line, &[ack(AckKind::Pubrec, 2), ack(AckKind::Pubrec, 4), ack(AckKind::Puback, 1)]);
        desk.say_all(line, &[ack(AckKind::Puback, 3), ack(AckKind::Pubcomp, 2), ack(AckKind::Pubcomp, 4)]);
        desk.broker.check_idle("boat", desk.now);
        desk.is_content();
        assert_eq!(desk.broker.pending("boat"), 0);
        assert_eq!(desk.broker.stats().messages_out, [1, 2, 2]);
    }
}

// Spec 3.1.1: MQTT-2.3.1-6
// Spec 5.0: MQTT-2.2.1-5
#[test]
fn an_acknowledgement_of_nothing_is_caught() {
    for version in VERSIONS {
        for packets in [
            vec![ack(AckKind::Puback, 9)],
            vec![ack(AckKind::Pubrec, 9)],
            vec![ack(AckKind::Pubcomp, 9)],
            // Twice; PUBCOMP before PUBREC; PUBREC again after it.
            vec![ack(AckKind::Puback, 1), ack(AckKind::Puback, 1)],
            vec![ack(AckKind::Pubcomp, 2)],
            vec![ack(AckKind::Pubrec, 2), ack(AckKind::Pubrec, 2)],
        ] {
            let (mut desk, line) = delivered(version, &[ONE, TWO]);
            let heard = desk.say_all(line, &packets);
            desk.caught(line, &heard, ACK_UNKNOWN, Reason::PROTOCOL_ERROR);
        }
    }
}

#[test]
fn an_acknowledgement_of_an_earlier_connection_is_caught() {
    for version in VERSIONS {
        let mut desk = Desk::with(Config { window: 1, ..Config::default() });
        let line = desk.lasting(version, "boat");
        desk.subscribe(line, "t", ONE);
        desk.publish("t", "x", ONE);
        desk.publish("t", "y", ONE);
        desk.lose(line);
        let line = desk.lasting(version, "boat");
        desk.say(line, &ack(AckKind::Puback, 1));
        desk.is_content();
        // The second was sent on this connection only, under an identifier of its own.
        desk.say(line, &ack(AckKind::Puback, 2));
        desk.is_content();
        let heard = desk.say(line, &ack(AckKind::Puback, 2));
        desk.caught(line, &heard, ACK_UNKNOWN, Reason::PROTOCOL_ERROR);
    }
}

// Spec 3.1.1: MQTT-3.3.4-1
// Spec 5.0: MQTT-3.3.4-1
#[test]
fn the_wrong_kind_of_acknowledgement_is_caught() {
    for version in VERSIONS {
        for (qos, kind) in [(ONE, AckKind::Pubrec), (TWO, AckKind::Puback)] {
            let (mut desk, line) = delivered(version, &[qos]);
            let heard = desk.say(line, &ack(kind, 1));
            desk.caught(line, &heard, ("MQTT-3.3.4-1", "MQTT-3.3.4-1"), Reason::PROTOCOL_ERROR);
        }
    }
}

// Spec 3.1.1: MQTT-4.6.0-2 MQTT-4.6.0-3
// Spec 5.0: MQTT-4.6.0-2 MQTT-4.6.0-3
#[test]
fn acknowledgements_out_of_order_are_caught() {
    for version in VERSIONS {
        for (qos, kind, statement) in
            [(ONE, AckKind::Puback, "MQTT-4.6.0-2"), (TWO, AckKind::Pubrec, "MQTT-4.6.0-3")]
        {
            let (mut desk, line) = delivered(version, &[qos, qos]);
            desk.say(line, &ack(kind, 2));
            desk.is_content();
            let heard = desk.say(line, &ack(kind, 1));
            desk.caught(line, &heard, (statement, statement), Reason::PROTOCOL_ERROR);
        }
        let (mut desk, line) = delivered(version, &[TWO, TWO]);
        desk.say_all(line, &[ack(AckKind::Pubrec, 1), ack(AckKind::Pubrec, 2), ack(AckKind::Pubcomp, 2)]);
        desk.is_content();
        let heard = desk.say(line, &ack(AckKind::Pubcomp, 1));
        desk.caught(line, &heard, ("house", "house"), Reason::PROTOCOL_ERROR);
    }
}

#[test]
fn a_pubcomp_that_denies_its_pubrel_is_caught() {
    let denial = failure(AckKind::Pubcomp, 1, Reason::PACKET_IDENTIFIER_NOT_FOUND);
    let (mut desk, line) = delivered(Version::V5, &[TWO]);
    desk.say(line, &ack(AckKind::Pubrec, 1));
    let heard = desk.say(line, &denial);
    desk.caught(line, &heard, ("section 4.3.3", ""), Reason::PROTOCOL_ERROR);

    // After a reconnect the client may have forgotten.
    let (mut desk, line) = delivered(Version::V5, &[TWO]);
    desk.say(line, &ack(AckKind::Pubrec, 1));
    desk.lose(line);
    let (line, heard) = desk.resumed(Version::V5, "boat");
    assert_eq!(heard[1..], [Heard::Ack(AckKind::Pubrel, 1, Reason::SUCCESS)]);
    desk.say(line, &denial);
    desk.is_content();
    assert_eq!(desk.broker.pending("boat"), 0);
}

#[test]
fn a_refused_message_is_done_with() {
    let (mut desk, line) = delivered(Version::V5, &[TWO]);
    assert_eq!(desk.say(line, &failure(AckKind::Pubrec, 1, Reason::QUOTA_EXCEEDED)), []);
    assert_eq!(desk.broker.pending("boat"), 0);
    desk.is_content();
}

// Spec 3.1.1: MQTT-4.5.0-2
// Spec 5.0: MQTT-4.5.0-2
#[test]
fn what_is_never_acknowledged_is_caught_when_all_is_still() {
    for version in VERSIONS {
        for (qos, packets) in [(ONE, vec![]), (TWO, vec![]), (TWO, vec![ack(AckKind::Pubrec, 1)])] {
            let (mut desk, line) = delivered(version, &[qos]);
            desk.say_all(line, &packets);
            desk.is_content();
            desk.broker.check_idle("boat", desk.now);
            let heard = desk.hear(line);
            desk.caught(line, &heard, ("MQTT-4.5.0-2", "MQTT-4.5.0-2"), Reason::PROTOCOL_ERROR);
        }
    }
}

// Spec 3.1.1: MQTT-2.3.1-4 MQTT-4.4.0-1 MQTT-4.6.0-1
// Spec 5.0: MQTT-2.2.1-4 MQTT-4.4.0-1
#[test]
fn what_was_not_acknowledged_comes_again_in_order() {
    for version in VERSIONS {
        let (mut desk, line) = delivered(version, &[TWO, ONE, TWO, ONE]);
        desk.say_all(line, &[ack(AckKind::Pubrec, 1), ack(AckKind::Puback, 2)]);
        desk.lose(line);
        desk.publish("t", "new", ONE);
        let (line, heard) = desk.resumed(version, "boat");
        assert!(matches!(heard[0], Heard::Connack { present: true, .. }));
        assert_eq!(heard[1], Heard::Ack(AckKind::Pubrel, 1, Reason::SUCCESS));
        let again: Vec<(Option<u16>, bool)> =
            messages(&heard[2..]).iter().map(|got| (got.id, got.dup)).collect();
        assert_eq!(again[..2], [(Some(3), true), (Some(4), true)]);
        assert!(!again[2].1, "a first send has no DUP");
        assert_eq!(desk.broker.stats().resent, 2);
        desk.say(line, &ack(AckKind::Pubcomp, 1));
        desk.is_content();
    }
}

/// A connected subscriber with these CONNECT properties.
fn subscriber(desk: &mut Desk, set: impl Fn(&mut PropertiesBuf)) -> Line {
    let mut properties = PropertiesBuf::new();
    set(&mut properties);
    let properties = properties.as_properties();
    let line = desk.admitted(Connect { properties, ..connect(Version::V5, "boat") });
    desk.subscribe(line, "#", TWO);
    line
}

// Spec 5.0: MQTT-3.3.4-9
#[test]
fn a_client_gets_no_more_than_its_receive_maximum() {
    let mut desk = Desk::new();
    let line = subscriber(&mut desk, |properties| {
        properties.receive_maximum(2).unwrap();
    });
    for payload in ["1", "2", "3", "4"] {
        desk.publish("t", payload, TWO);
    }
    desk.publish("t", "0", QoS::AtMostOnce);
    let heard = desk.hear(line);
    let payloads: Vec<&[u8]> = messages(&heard).iter().map(|got| &got.payload[..]).collect();
    assert_eq!(payloads, [b"1", b"2", b"0"], "QoS 0 does not wait");
    // PUBREC makes no room, PUBCOMP does.
    assert_eq!(desk.say(line, &ack(AckKind::Pubrec, 1)), [Heard::Ack(AckKind::Pubrel, 1, Reason::SUCCESS)]);
    let heard = desk.say(line, &ack(AckKind::Pubcomp, 1));
    assert_eq!(heard.len(), 1);
    assert_eq!(heard[0].message().payload, b"3");
    desk.is_content();
}

#[test]
fn an_older_client_gets_no_more_than_the_window() {
    let mut desk = Desk::with(Config { window: 1, ..Config::default() });
    let line = desk.client(Version::V311, "boat");
    desk.subscribe(line, "t", ONE);
    desk.publish("t", "1", ONE);
    desk.publish("t", "2", ONE);
    assert_eq!(desk.hear(line).len(), 1);
    let heard = desk.say(line, &ack(AckKind::Puback, 1));
    assert_eq!(heard[0].message().payload, b"2");
}

// Spec 5.0: MQTT-3.1.2-24 MQTT-3.1.2-25
#[test]
fn a_client_gets_no_packet_above_its_maximum() {
    let mut desk = Desk::new();
    let line = subscriber(&mut desk, |properties| {
        properties.maximum_packet_size(30).unwrap();
    });
    desk.publish("t", &"x".repeat(30), TWO);
    assert_eq!(desk.hear(line), []);
    // 2 + 3 + 1 bytes around the payload.
    desk.publish("t", &"x".repeat(24), QoS::AtMostOnce);
    desk.publish("t", &"x".repeat(25), QoS::AtMostOnce);
    assert_eq!(messages(&desk.hear(line)).len(), 1);
    assert_eq!((desk.broker.stats().too_large, desk.broker.pending("boat")), (2, 0));
}

// Spec 5.0: MQTT-3.1.2-26 MQTT-3.1.2-27 MQTT-3.3.2-11
#[test]
fn the_broker_uses_aliases_within_what_the_client_allows() {
    let mut desk = Desk::with(Config { own_aliases: 10, ..Config::default() });
    let line = subscriber(&mut desk, |properties| {
        properties.topic_alias_maximum(2);
    });
    let mut known = std::collections::BTreeMap::new();
    let mut short = 0;
    for topic in ["a", "b", "a", "b", "c", "c", "a", "c", "b", "a"] {
        desk.publish(topic, "x", QoS::AtMostOnce);
        let heard = desk.hear(line);
        let got = heard[0].message();
        let alias = got.properties.as_properties().topic_alias().unwrap();
        assert!((1..=2).contains(&alias), "{alias}");
        if got.topic.is_empty() {
            short += 1;
        } else {
            known.insert(alias, got.topic.clone());
        }
        assert_eq!(known[&alias], topic);
    }
    assert!(short >= 3, "{short}");

    let line = subscriber(&mut desk, |_| {});
    desk.publish("a", "x", QoS::AtMostOnce);
    let heard = desk.hear(line);
    assert_eq!(heard[0].message().properties.as_properties().topic_alias(), None);
    assert_eq!(heard[0].message().topic, "a");
}

// Spec 5.0: MQTT-3.3.2-5 MQTT-3.3.2-6
#[test]
fn messages_expire_in_the_broker_and_tell_what_is_left() {
    let mut desk = Desk::new();
    let line = desk.lasting(Version::V5, "boat");
    desk.subscribe(line, "t", ONE);
    desk.lose(line);
    let publisher = desk.client(Version::V5, "publisher");
    for (id, seconds) in [(1, 2), (2, 20)] {
        let mut properties = PropertiesBuf::new();
        properties.message_expiry_interval(seconds).content_type("text/plain").unwrap();
        let publish = Publish { properties: properties.as_properties(), ..message(ONE, id, "t", "x") };
        desk.say(publisher, &Packet::Publish(publish));
    }
    desk.wait(Duration::from_secs(5));
    let (_, heard) = desk.resumed(Version::V5, "boat");
    let [_, Heard::Publish(got)] = &heard[..] else { panic!("{heard:?}") };
    let properties = got.properties.as_properties();
    assert_eq!(properties.message_expiry_interval(), Some(15));
    assert_eq!(properties.content_type(), Some("text/plain"));
    assert_eq!(desk.broker.stats().expired, 1);
}

// Spec 5.0: MQTT-3.3.4-3 MQTT-3.3.4-5
#[test]
fn messages_carry_the_identifiers_of_their_subscriptions() {
    let identifiers =
        |got: &Got| got.properties.as_properties().subscription_identifiers().collect::<Vec<_>>();
    for overlap in [Overlap::OneCopy, Overlap::CopyEach, Overlap::LikeMosquitto] {
        let mut desk = Desk::with(Config { overlap, ..Config::default() });
        let line = desk.client(Version::V5, "boat");
        for (text, identifier, qos) in [("a/+", 7, ONE), ("a/b", 300, QoS::AtMostOnce)] {
            let mut properties = PropertiesBuf::new();
            properties.subscription_identifier(identifier).unwrap();
            desk.subscribe_with(line, text, qos.into(), properties.as_properties());
        }
        desk.publish("a/b", "x", TWO);
        let heard = desk.hear(line);
        let mut copies: Vec<(QoS, Vec<u32>)> =
            messages(&heard).iter().map(|got| (got.qos, identifiers(got))).collect();
        if overlap == Overlap::OneCopy {
            assert_eq!(copies.len(), 1);
            copies[0].1.sort_unstable();
            assert_eq!(copies, [(ONE, vec![7, 300])], "the highest QoS");
        } else {
            copies.sort_by_key(|copy| copy.1[0]);
            assert_eq!(copies, [(ONE, vec![7]), (QoS::AtMostOnce, vec![300])]);
        }
    }
}

#[test]
fn an_older_client_gets_one_copy() {
    let mut desk = Desk::new();
    let line = desk.client(Version::V311, "boat");
    desk.subscribe(line, "a/+", ONE);
    desk.subscribe(line, "a/b", QoS::AtMostOnce);
    desk.publish("a/b", "x", TWO);
    let heard = desk.hear(line);
    assert_eq!(messages(&heard).iter().map(|got| got.qos).collect::<Vec<_>>(), [ONE]);
}

#[test]
fn queues_are_bounded() {
    let mut desk = Desk::with(Config { queue_messages: 2, ..Config::default() });
    let line = desk.lasting(Version::V311, "boat");
    desk.subscribe(line, "t", ONE);
    desk.lose(line);
    desk.publish("t", "zero", QoS::AtMostOnce);
    for payload in ["1", "2", "3"] {
        desk.publish("t", payload, ONE);
    }
    assert_eq!((desk.broker.pending("boat"), desk.broker.stats().dropped), (2, 2));

    // QoS 0 waits for nobody who does not read.
    let mut desk = Desk::with(Config { output_bytes: 10, ..Config::default() });
    let line = desk.client(Version::V311, "boat");
    let options = SubscribeOptions::from(QoS::AtMostOnce);
    desk.subscribe_with(line, "t", options, Properties::EMPTY);
    for _ in 0..5 {
        desk.publish("t", "0123456789", QoS::AtMostOnce);
    }
    assert_eq!(desk.broker.stats().dropped, 4);
    assert_eq!(desk.hear(line).len(), 1);
}
