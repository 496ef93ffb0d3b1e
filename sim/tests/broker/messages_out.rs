//! Acknowledgements of the client, and what the broker sends again.

use super::*;
use packetboat_sim::broker::Message;

/// Client 1 is subscribed to everything.
fn subscribed(version: Version) -> Harbour {
    let mut harbour = Harbour::online(version);
    harbour.subscribes(1, 100, "#", QOS2.into());
    harbour.hears(1);
    harbour
}

fn send(harbour: &mut Harbour, qos: QoS, payload: &str) {
    harbour.broker.publish(Message::new("t", payload, qos), harbour.now);
}

#[test]
fn deliveries_take_the_steps_of_their_qos() {
    for version in BOTH {
        let mut harbour = subscribed(version);
        send(&mut harbour, QOS0, "zero");
        send(&mut harbour, QOS1, "one");
        send(&mut harbour, QOS2, "two");
        assert_eq!(harbour.hears(1), ["PUBLISH t=zero", "PUBLISH 1 t=one", "PUBLISH 2 t=two"]);
        harbour.acks(AckKind::Pubrec, 2);
        harbour.acks(AckKind::Puback, 1);
        assert_eq!(harbour.hears(1), ["PUBREL 2"]);
        harbour.acks(AckKind::Pubcomp, 2);
        assert_eq!(harbour.broker.pending("one"), 0);
        harbour.broker.check_idle("one", harbour.now);
        assert_eq!(harbour.breaches(), [""; 0]);
    }
}

#[test]
fn acknowledgements_are_for_what_was_sent() {
    for (version, statement) in [(Version::V311, "MQTT-2.3.1-6"), (Version::V5, "MQTT-2.2.1-5")] {
        for kind in [AckKind::Puback, AckKind::Pubrec, AckKind::Pubcomp] {
            let mut harbour = subscribed(version);
            harbour.acks(kind, 1);
            assert_eq!(harbour.breaches(), [statement], "{kind:?} for nothing");
        }
        let mut harbour = subscribed(version);
        send(&mut harbour, QOS1, "x");
        harbour.acks(AckKind::Puback, 1);
        harbour.acks(AckKind::Puback, 1);
        assert_eq!(harbour.breaches(), [statement], "twice");

        let mut harbour = subscribed(version);
        send(&mut harbour, QOS2, "x");
        harbour.acks(AckKind::Pubcomp, 1);
        assert_eq!(harbour.breaches(), [statement], "PUBCOMP before PUBREL");
        harbour.acks(AckKind::Pubrec, 1);
        harbour.acks(AckKind::Pubrec, 1);
        assert_eq!(harbour.breaches(), [statement; 2], "PUBREC twice");
    }
}

#[test]
fn an_acknowledgement_of_an_older_connection_is_void() {
    let mut harbour = subscribed(Version::V5);
    send(&mut harbour, QOS1, "x");
    harbour.cut(1);
    let mut config = kept();
    config.receive_maximum(1).unwrap();
    send(&mut harbour, QOS1, "y");
    let connect = Connect { properties: config.as_properties(), ..connect(Version::V5, "one") };
    assert_eq!(harbour.connects_with(1, connect), ["CONNACK present", "PUBLISH 1 dup t=x"]);
    harbour.acks(AckKind::Puback, 2);
    assert_eq!(harbour.breaches(), ["MQTT-2.2.1-5"]);
}

#[test]
fn the_answer_follows_from_the_qos() {
    for version in BOTH {
        for (qos, kind) in [(QOS1, AckKind::Pubrec), (QOS2, AckKind::Puback)] {
            let mut harbour = subscribed(version);
            send(&mut harbour, qos, "x");
            harbour.acks(kind, 1);
            assert_eq!(harbour.breaches(), ["MQTT-3.3.4-1"]);
        }
    }
}

#[test]
fn acknowledgements_come_in_order() {
    for version in BOTH {
        for (qos, kind, statement) in
            [(QOS1, AckKind::Puback, "MQTT-4.6.0-2"), (QOS2, AckKind::Pubrec, "MQTT-4.6.0-3")]
        {
            let mut harbour = subscribed(version);
            for _ in 0..3 {
                send(&mut harbour, qos, "x");
            }
            harbour.acks(kind, 1);
            harbour.acks(kind, 3);
            assert_eq!(harbour.breaches(), [""; 0], "one may be left out");
            harbour.acks(kind, 2);
            assert_eq!(harbour.breaches(), [statement], "but not be made up for");
        }
        let mut harbour = subscribed(version);
        send(&mut harbour, QOS2, "x");
        send(&mut harbour, QOS2, "y");
        harbour.acks(AckKind::Pubrec, 1);
        harbour.acks(AckKind::Pubrec, 2);
        harbour.acks(AckKind::Pubcomp, 2);
        harbour.acks(AckKind::Pubcomp, 1);
        assert_eq!(harbour.breaches(), ["house"]);
    }
}

#[test]
fn at_rest_everything_is_acknowledged() {
    for version in BOTH {
        for qos in [QOS1, QOS2] {
            let mut harbour = subscribed(version);
            send(&mut harbour, qos, "x");
            harbour.broker.check_idle("one", harbour.now);
            assert_eq!(harbour.breaches(), ["MQTT-4.5.0-2"]);
        }
    }
}

#[test]
fn reason_codes_belong_to_their_packets() {
    for (kind, reason) in [
        (AckKind::Puback, Reason::NO_MATCHING_SUBSCRIBERS),
        (AckKind::Puback, Reason::SERVER_BUSY),
        (AckKind::Pubrec, Reason(0x42)),
    ] {
        let mut harbour = subscribed(Version::V5);
        send(&mut harbour, if kind == AckKind::Puback { QOS1 } else { QOS2 }, "x");
        harbour.says(1, &Packet::Ack(Ack { reason, ..Ack::new(kind, 1) }));
        assert_eq!(harbour.breaches(), ["section 2.4"], "{kind:?} {reason}");
    }
    let mut harbour = subscribed(Version::V5);
    send(&mut harbour, QOS2, "x");
    harbour.acks(AckKind::Pubrec, 1);
    let reason = Reason::PACKET_IDENTIFIER_NOT_FOUND;
    harbour.says(1, &Packet::Ack(Ack { reason, ..Ack::new(AckKind::Pubcomp, 1) }));
    assert_eq!(harbour.breaches(), ["section 4.3.3"], "it received it on this connection");
}

#[test]
fn what_is_unfinished_is_sent_again_in_order() {
    for version in BOTH {
        let mut harbour = subscribed(version);
        for (qos, payload) in [(QOS1, "a"), (QOS2, "b"), (QOS2, "c"), (QOS1, "d")] {
            send(&mut harbour, qos, payload);
        }
        harbour.hears(1);
        harbour.acks(AckKind::Puback, 1);
        harbour.acks(AckKind::Pubrec, 2);
        harbour.cut(1);
        send(&mut harbour, QOS1, "e");
        send(&mut harbour, QOS0, "not kept");
        let told = harbour.connects(1, "one");
        assert_eq!(
            told,
            ["CONNACK present", "PUBREL 2", "PUBLISH 3 dup t=c", "PUBLISH 4 dup t=d", "PUBLISH 5 t=e"]
        );
    }
}

#[test]
fn the_clients_limits_are_kept() {
    let mut properties = kept();
    properties.receive_maximum(2).unwrap().maximum_packet_size(60).unwrap();
    let mut harbour = Harbour::new(Version::V5);
    harbour
        .connects_with(1, Connect { properties: properties.as_properties(), ..connect(Version::V5, "one") });
    harbour.subscribes(1, 100, "#", QOS2.into());
    harbour.hears(1);
    send(&mut harbour, QOS1, &"x".repeat(60));
    assert_eq!(harbour.hears(1), [""; 0]);
    assert_eq!((harbour.broker.stats().too_large, harbour.broker.pending("one")), (1, 0));
    for payload in ["a", "b", "c"] {
        send(&mut harbour, QOS2, payload);
    }
    send(&mut harbour, QOS0, "z");
    assert_eq!(harbour.hears(1), ["PUBLISH 2 t=a", "PUBLISH 3 t=b", "PUBLISH t=z"]);
    harbour.acks(AckKind::Pubrec, 2);
    assert_eq!(harbour.hears(1), ["PUBREL 2"], "PUBREC gives no room back");
    harbour.acks(AckKind::Pubcomp, 2);
    assert_eq!(harbour.hears(1), ["PUBLISH 4 t=c"]);
}

#[test]
fn own_aliases_are_introduced_and_stay_within_the_clients_maximum() {
    let mut properties = PropertiesBuf::new();
    properties.topic_alias_maximum(1);
    let config = Config { own_aliases: 5, ..Config::default() };
    let mut harbour = Harbour::with(Version::V5, config);
    harbour
        .connects_with(1, Connect { properties: properties.as_properties(), ..connect(Version::V5, "one") });
    harbour.subscribes(1, 100, "#", QOS0.into());
    harbour.hears(1);
    for topic in ["a", "a", "b", "a"] {
        harbour.broker.publish(Message::new(topic, "x", QOS0), harbour.now);
    }
    let told = ["PUBLISH alias 1 a=x", "PUBLISH alias 1 =x", "PUBLISH alias 1 b=x", "PUBLISH alias 1 a=x"];
    assert_eq!(harbour.hears(1), told);
}

#[test]
fn a_rejected_message_is_done_with() {
    let mut harbour = subscribed(Version::V5);
    send(&mut harbour, QOS2, "x");
    let reason = Reason::NOT_AUTHORIZED;
    harbour.says(1, &Packet::Ack(Ack { reason, ..Ack::new(AckKind::Pubrec, 1) }));
    assert_eq!(harbour.broker.pending("one"), 0);
    assert_eq!(harbour.breaches(), [""; 0]);
}

#[test]
fn a_client_that_does_not_read_loses_qos_0_only() {
    let mut harbour = subscribed(Version::V5);
    harbour.broker.config_mut().output_bytes = 100;
    for _ in 0..100 {
        send(&mut harbour, QOS0, "x");
        send(&mut harbour, QOS1, "y");
    }
    let told = harbour.hears(1);
    assert_eq!(told.iter().filter(|packet| packet.ends_with("t=y")).count(), 100);
    assert!(told.iter().filter(|packet| packet.ends_with("t=x")).count() < 20);
    assert!(harbour.broker.stats().dropped > 80);
}
