//! What CONNACK allows and what it does not.
#![allow(clippy::unwrap_used, reason = "a test fails so")]

use packetboat_core::wire::{
    AckKind, Connect, Packet, Properties, PropertiesBuf, Publish, QoS, Reason, Subscribe, Version,
};
use packetboat_sim::broker::Config;

use crate::common::{Heard, VERSIONS, ack, at_least_once, connect, exactly_once, filter, message, subscribe};
use crate::desk::{Desk, Line};

/// What CONNACK says.
fn announced(desk: &mut Desk) -> (Line, PropertiesBuf) {
    let (line, heard) = desk.connect(connect(Version::V5, "boat"));
    match &heard[..] {
        [Heard::Connack { reason: Reason::SUCCESS, properties, .. }] => (line, properties.clone()),
        other => panic!("{other:?}"),
    }
}

// Spec 5.0: MQTT-3.3.4-7
#[test]
fn no_more_than_the_receive_maximum_may_be_under_way() {
    let config = Config { receive_maximum: 2, answer_delay: 10..=10, ..Config::default() };
    let mut desk = Desk::with(config.clone());
    let line = desk.client(Version::V5, "boat");
    let packets = [1, 2, 3].map(|id| Packet::Publish(at_least_once(id, "x")));
    let heard = desk.say_all(line, &packets);
    desk.caught(line, &heard, ("MQTT-3.3.4-7", ""), Reason::RECEIVE_MAXIMUM_EXCEEDED);

    // A client of 3.1.1 is told no maximum.
    let mut desk = Desk::with(config);
    let line = desk.client(Version::V311, "boat");
    assert_eq!(desk.say_all(line, &packets), []);
    desk.is_content();
}

#[test]
fn an_exchange_counts_until_its_end() {
    let mut desk = Desk::with(Config { receive_maximum: 1, ..Config::default() });
    let (line, properties) = announced(&mut desk);
    assert_eq!(properties.as_properties().receive_maximum(), Some(1));
    for id in 1..10 {
        desk.say(line, &Packet::Publish(exactly_once(id, "x")));
        desk.say(line, &ack(AckKind::Pubrel, id));
        desk.say(line, &Packet::Publish(at_least_once(id, "x")));
        desk.say(line, &Packet::Publish(message(QoS::AtMostOnce, 0, "t", "x")));
    }
    desk.is_content();
    // PUBREC does not end it.
    desk.say(line, &Packet::Publish(exactly_once(1, "x")));
    let heard = desk.say(line, &Packet::Publish(at_least_once(2, "x")));
    desk.caught(line, &heard, ("MQTT-3.3.4-7", ""), Reason::RECEIVE_MAXIMUM_EXCEEDED);
}

// Spec 5.0: MQTT-3.2.2-15
#[test]
fn packets_have_a_maximum_size() {
    let payload = "x".repeat(200);
    let config = Config { maximum_packet_size: 100, ..Config::default() };
    let mut desk = Desk::with(config.clone());
    let (line, properties) = announced(&mut desk);
    assert_eq!(properties.as_properties().maximum_packet_size(), Some(100));
    // 1 + 1 + 3 + 2 + 1 bytes around the payload.
    desk.say(line, &Packet::Publish(at_least_once(1, &payload[..92])));
    desk.is_content();
    // Known from the head alone.
    let heard = desk.say_bytes(line, &[0x32, 99]);
    desk.caught(line, &heard, ("MQTT-3.2.2-15", ""), Reason::PACKET_TOO_LARGE);

    // Who was not told has broken no rule: a client of 3.1.1, and one that is about to say CONNECT.
    let mut desk = Desk::with(config);
    let line = desk.client(Version::V311, "boat");
    assert_eq!(desk.say(line, &Packet::Publish(at_least_once(1, &payload))), [Heard::Closed]);
    let line = desk.open(Version::V5);
    let connect = Packet::Connect(connect(Version::V5, &payload));
    assert_eq!(desk.say(line, &connect), [Heard::Closed]);
    desk.is_content();
}

// Spec 5.0: MQTT-3.2.2-9 MQTT-3.2.2-11
#[test]
fn qos_has_a_maximum() {
    let mut desk = Desk::with(Config { maximum_qos: QoS::AtLeastOnce, ..Config::default() });
    let (line, properties) = announced(&mut desk);
    assert_eq!(properties.as_properties().maximum_qos(), Some(QoS::AtLeastOnce));
    let filters = filter("t", QoS::ExactlyOnce);
    assert_eq!(desk.say(line, &subscribe(1, &filters)), [Heard::Granted(1, vec![1])]);
    desk.say(line, &Packet::Publish(at_least_once(2, "x")));
    desk.is_content();
    let heard = desk.say(line, &Packet::Publish(exactly_once(3, "x")));
    desk.caught(line, &heard, ("MQTT-3.2.2-11", ""), Reason::QOS_NOT_SUPPORTED);
}

// Spec 5.0: MQTT-3.2.2-14
#[test]
fn retained_messages_may_not_be_available() {
    let config = Config { retain_available: false, ..Config::default() };
    let retained = Publish { retain: true, ..message(QoS::AtMostOnce, 0, "t", "x") };
    let mut desk = Desk::with(config.clone());
    let (line, properties) = announced(&mut desk);
    assert_eq!(properties.as_properties().retain_available(), Some(false));
    let heard = desk.say(line, &Packet::Publish(retained));
    desk.caught(line, &heard, ("MQTT-3.2.2-14", ""), Reason::RETAIN_NOT_SUPPORTED);

    let mut desk = Desk::with(config);
    let line = desk.client(Version::V311, "boat");
    desk.say(line, &Packet::Publish(retained));
    assert_eq!(desk.broker.retained("t"), None);
    desk.is_content();
}

#[test]
fn wildcards_may_not_be_available() {
    let config = Config { wildcards_available: false, ..Config::default() };
    for text in ["a/+", "#", "$share/g/a/#"] {
        let filters = filter(text, QoS::AtMostOnce);
        let mut desk = Desk::with(config.clone());
        let (line, properties) = announced(&mut desk);
        assert_eq!(properties.as_properties().wildcard_subscription_available(), Some(false));
        desk.subscribe(line, "a/b", QoS::AtMostOnce);
        desk.is_content();
        let heard = desk.say(line, &subscribe(1, &filters));
        let rule = ("section 3.2.2.3.11", "");
        desk.caught(line, &heard, rule, Reason::WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED);

        let mut desk = Desk::with(config.clone());
        let line = desk.client(Version::V311, "boat");
        assert_eq!(desk.say(line, &subscribe(1, &filters)), [Heard::Granted(1, vec![0x80])]);
        desk.is_content();
    }
}

#[test]
fn shared_subscriptions_may_not_be_available() {
    let config = Config { shared_available: false, ..Config::default() };
    let filters = filter("$share/group/t", QoS::AtMostOnce);
    let mut desk = Desk::with(config.clone());
    let (line, properties) = announced(&mut desk);
    assert_eq!(properties.as_properties().shared_subscription_available(), Some(false));
    let heard = desk.say(line, &subscribe(1, &filters));
    desk.caught(line, &heard, ("section 3.2.2.3.13", ""), Reason::SHARED_SUBSCRIPTIONS_NOT_SUPPORTED);

    let mut desk = Desk::with(config);
    let line = desk.client(Version::V311, "boat");
    assert_eq!(desk.say(line, &subscribe(1, &filters)), [Heard::Granted(1, vec![0x80])]);
    desk.is_content();
}

#[test]
fn subscription_identifiers_may_not_be_available() {
    let mut desk = Desk::with(Config { subscription_identifiers_available: false, ..Config::default() });
    let (line, properties) = announced(&mut desk);
    assert_eq!(properties.as_properties().subscription_identifier_available(), Some(false));
    desk.subscribe(line, "t", QoS::AtMostOnce);
    desk.is_content();
    let (filters, mut properties) = (filter("t", QoS::AtMostOnce), PropertiesBuf::new());
    properties.subscription_identifier(7).unwrap();
    let subscribe =
        Subscribe { id: 1, properties: properties.as_properties(), filters: filters.as_filters() };
    let heard = desk.say(line, &Packet::Subscribe(subscribe));
    let rule = ("section 3.2.2.3.12", "");
    desk.caught(line, &heard, rule, Reason::SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED);
}

/// A PUBLISH with an alias; an empty topic leaves it out.
fn aliased(desk: &mut Desk, line: Line, topic: &str, alias: u16) -> Vec<Heard> {
    let mut properties = PropertiesBuf::new();
    properties.topic_alias(alias).unwrap();
    let properties = properties.as_properties();
    desk.say(line, &Packet::Publish(Publish { properties, ..message(QoS::AtMostOnce, 0, topic, "x") }))
}

#[test]
fn an_alias_stands_for_the_last_topic_it_was_given() {
    let mut desk = Desk::with(Config { topic_alias_maximum: 2, keep_log: true, ..Config::default() });
    let (line, properties) = announced(&mut desk);
    assert_eq!(properties.as_properties().topic_alias_maximum(), Some(2));
    for (topic, alias) in [("a", 1), ("b", 2), ("", 1), ("", 2), ("c", 1), ("", 1)] {
        assert_eq!(aliased(&mut desk, line, topic, alias), []);
    }
    let topics: Vec<&str> =
        desk.broker.accepted("boat").iter().map(|taken| taken.message.topic.as_str()).collect();
    assert_eq!(topics, ["a", "b", "a", "b", "c", "c"]);
    desk.is_content();
}

// Spec 5.0: MQTT-3.3.2-9
#[test]
fn an_alias_above_the_maximum_is_caught() {
    for maximum in [0, 2] {
        let mut desk = Desk::with(Config { topic_alias_maximum: maximum, ..Config::default() });
        let (line, _) = announced(&mut desk);
        let heard = aliased(&mut desk, line, "t", maximum + 1);
        desk.caught(line, &heard, ("MQTT-3.3.2-9", ""), Reason::TOPIC_ALIAS_INVALID);
    }
}

#[test]
fn an_alias_of_another_connection_is_caught() {
    let mut desk = Desk::new();
    let line = desk.lasting(Version::V5, "boat");
    aliased(&mut desk, line, "t", 1);
    desk.lose(line);
    let line = desk.lasting(Version::V5, "boat");
    desk.is_content();
    let heard = aliased(&mut desk, line, "", 1);
    desk.caught(line, &heard, ("section 3.3.2.3.4", ""), Reason::PROTOCOL_ERROR);
}

// Spec 5.0: MQTT-3.3.4-6
#[test]
fn a_clients_publish_carries_no_subscription_identifier() {
    let mut desk = Desk::new();
    let line = desk.client(Version::V5, "boat");
    let mut properties = PropertiesBuf::new();
    properties.subscription_identifier(7).unwrap();
    let properties = properties.as_properties();
    let publish = Publish { properties, ..at_least_once(1, "x") };
    let heard = desk.say(line, &Packet::Publish(publish));
    desk.caught(line, &heard, ("MQTT-3.3.4-6", ""), Reason::PROTOCOL_ERROR);
}

// Spec 5.0: MQTT-3.2.2-12 MQTT-3.2.2-13
#[test]
fn what_a_will_may_not_be_is_refused() {
    let config = Config {
        maximum_qos: QoS::AtLeastOnce,
        retain_available: false,
        denied: vec!["secret/#".parse().unwrap()],
        ..Config::default()
    };
    let mut desk = Desk::with(config);
    let will = crate::common::will("t", b"lost");
    for (will, reason) in [
        (packetboat_core::wire::Will { qos: QoS::ExactlyOnce, ..will }, Reason::QOS_NOT_SUPPORTED),
        (packetboat_core::wire::Will { retain: true, ..will }, Reason::RETAIN_NOT_SUPPORTED),
        (packetboat_core::wire::Will { topic: "secret/plan", ..will }, Reason::NOT_AUTHORIZED),
    ] {
        let (_, heard) = desk.connect(Connect { will: Some(will), ..connect(Version::V5, "boat") });
        assert!(matches!(&heard[0], Heard::Connack { reason: said, .. } if *said == reason), "{heard:?}");
    }
    desk.is_content();
}

#[test]
fn a_client_that_takes_no_connack_is_told_so() {
    let mut properties = PropertiesBuf::new();
    properties.maximum_packet_size(5).unwrap();
    let (_, heard) = Desk::new()
        .connect(Connect { properties: properties.as_properties(), ..connect(Version::V5, "boat") });
    assert!(matches!(heard[0], Heard::Connack { reason: Reason::PACKET_TOO_LARGE, .. }), "{heard:?}");
}

#[test]
fn denied_topics_are_refused_and_not_delivered() {
    for version in VERSIONS {
        let mut desk = Desk::with(Config {
            denied: vec!["secret/#".parse().unwrap()],
            keep_log: true,
            ..Config::default()
        });
        let line = desk.client(version, "boat");
        let filters = filter("secret/plan", QoS::AtMostOnce);
        let refusal = if version == Version::V5 { 0x87 } else { 0x80 };
        assert_eq!(desk.say(line, &subscribe(1, &filters)), [Heard::Granted(1, vec![refusal])]);
        let publish = message(QoS::AtLeastOnce, 2, "secret/plan", "x");
        // 3.1.1 has no way to refuse a message [MQTT-3.3.5-2].
        let answer = if version == Version::V5 { Reason::NOT_AUTHORIZED } else { Reason::SUCCESS };
        assert_eq!(desk.say(line, &Packet::Publish(publish)), [Heard::Ack(AckKind::Puback, 2, answer)]);
        assert_eq!(desk.broker.accepted("boat").len(), 0);
        desk.is_content();
    }
}

#[test]
fn messages_may_be_refused_by_lot() {
    let mut desk = Desk::with(Config { refused_per_mille: 1000, keep_log: true, ..Config::default() });
    let line = desk.client(Version::V5, "boat");
    let refused = Reason::QUOTA_EXCEEDED;
    // The identifier is free again at once, also of QoS 2.
    for _ in 0..2 {
        let heard = desk.say(line, &Packet::Publish(exactly_once(1, "x")));
        assert_eq!(heard, [Heard::Ack(AckKind::Pubrec, 1, refused)]);
        let heard = desk.say(line, &Packet::Publish(at_least_once(1, "x")));
        assert_eq!(heard, [Heard::Ack(AckKind::Puback, 1, refused)]);
    }
    assert_eq!(desk.broker.accepted("boat"), []);
    assert_eq!(desk.broker.unfinished("boat"), 0);
    desk.is_content();
}

#[test]
fn a_publisher_is_told_that_nobody_listens() {
    let mut desk = Desk::new();
    let line = desk.client(Version::V5, "boat");
    let publish = Packet::Publish(at_least_once(1, "x"));
    let heard = desk.say(line, &publish);
    assert_eq!(heard, [Heard::Ack(AckKind::Puback, 1, Reason::NO_MATCHING_SUBSCRIBERS)]);
    desk.subscribe_with(line, "t", QoS::AtMostOnce.into(), Properties::EMPTY);
    let heard = desk.say(line, &publish);
    assert!(heard.contains(&Heard::Ack(AckKind::Puback, 1, Reason::SUCCESS)), "{heard:?}");
}
