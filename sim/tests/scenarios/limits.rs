//! What the broker allows, in both directions.

use super::*;
use packetboat_core::session::{Config, PublishError};
use packetboat_core::wire::PacketType;
use packetboat_sim::broker::{self, Message};
use std::time::Duration;

// Spec 5.0: MQTT-3.3.4-7 MQTT-4.9.0-1 MQTT-4.9.0-2
#[test]
fn no_more_is_under_way_than_the_broker_takes() {
    let broker = broker::Config { receive_maximum: 2, answer_delay: 100..=100, ..broker::Config::default() };
    let mut pair = Pair::with(Version::V5, Config::default(), broker);
    pair.connect();
    pair.pass(Duration::from_millis(100));
    for (tag, qos) in [(1, QOS1), (2, QOS2), (3, QOS1), (4, QOS2), (5, QOS1)] {
        pair.publish("a", &format!("m{tag}"), qos, tag);
    }
    pair.drive();
    assert_eq!(pair.taken(), ["m1", "m2"]);
    pair.pass(Duration::from_millis(100));
    assert_eq!(pair.taken(), ["m1", "m2", "m3"], "PUBACK gives room back, PUBREC does not");
    pair.pass(Duration::from_secs(2));
    assert_eq!(pair.taken(), ["m1", "m2", "m3", "m4", "m5"]);
    assert_eq!(acknowledged(&pair.events()).len(), 5);
    pair.check();
}

// Spec 5.0: MQTT-3.3.4-8 MQTT-4.9.0-3
#[test]
fn other_packets_do_not_wait_for_the_window() {
    let broker = broker::Config { receive_maximum: 1, ..broker::Config::default() };
    let mut pair = Pair::with(Version::V5, Config::default(), broker);
    pair.connect();
    pair.broker.faults().swallow(PacketType::Puback);
    pair.publish("a", "first", QOS1, 1);
    pair.publish("a", "second", QOS1, 2);
    pair.publish("a", "plain", QOS0, 3);
    subscribe(&mut pair, "b", 4);
    assert_eq!(pair.taken(), ["first", "plain"]);
    assert_eq!(pair.broker.subscriptions(CLIENT), ["b"]);
    pair.check();
}

#[test]
fn what_the_broker_does_not_take_is_refused_at_the_call() {
    let broker = broker::Config {
        maximum_packet_size: 100,
        maximum_qos: QOS1,
        retain_available: false,
        ..broker::Config::default()
    };
    let mut pair = Pair::with(Version::V5, Config::default(), broker);
    pair.connect();
    let too_large = pair.try_publish("a", &"x".repeat(100), QOS1, 1);
    assert!(matches!(too_large, Err(PublishError::TooLarge { maximum: 100, .. })), "{too_large:?}");
    assert_eq!(pair.try_publish("a", "x", QOS2, 2), Err(PublishError::QosNotSupported(QOS1)));
    pair.publish("a", &"x".repeat(80), QOS1, 3);
    pair.drive();
    assert_eq!(acknowledged(&pair.events()), [3]);
    pair.check();
}

#[test]
fn what_was_accepted_before_the_limits_were_known_fails_alone() {
    let broker = broker::Config { maximum_packet_size: 100, ..broker::Config::default() };
    let mut pair = Pair::with(Version::V5, Config::default(), broker);
    pair.publish("a", &"x".repeat(100), QOS2, 1);
    pair.publish("a", "small", QOS2, 2);
    pair.connect();
    let ended = ended(&pair.events());
    assert!(matches!(ended[0], (1, Outcome::NotAllowed(PublishError::TooLarge { .. }))), "{ended:?}");
    assert_eq!(ended[1].0, 2);
    assert_eq!(pair.taken(), ["small"]);
    pair.check();
}

// Spec 5.0: MQTT-3.2.2-17 MQTT-3.3.2-9
#[test]
fn aliases_stand_for_their_topics() {
    let config = Config { outgoing_aliases: 10, ..Config::default() };
    let broker = broker::Config { topic_alias_maximum: 2, ..broker::Config::default() };
    let mut pair = Pair::with(Version::V5, config, broker);
    pair.connect();
    let topics = ["topic/one", "topic/two", "topic/one", "topic/three", "topic/two", "topic/one"];
    for round in 0..3_u64 {
        for (index, topic) in (0_u64..).zip(topics) {
            pair.publish(topic, topic, if index % 2 == 0 { QOS0 } else { QOS1 }, 10 * round + index);
        }
        pair.drive();
        if round == 1 {
            pair.cut();
            pair.connect();
        }
    }
    let wrong = pair
        .broker
        .accepted(CLIENT)
        .iter()
        .filter(|taken| taken.message.topic.as_bytes() != taken.message.payload);
    assert_eq!(wrong.count(), 0);
    assert_eq!(pair.taken().len(), 18);
    pair.check();
}

#[test]
fn the_brokers_aliases_are_understood() {
    let broker = broker::Config { own_aliases: 2, ..broker::Config::default() };
    let mut pair = Pair::with(Version::V5, Config::default(), broker);
    pair.connect();
    subscribe(&mut pair, "#", 1);
    for round in 0..20 {
        let topic = format!("topic/{}", round % 4);
        pair.broker.publish(Message::new(topic.clone(), topic, QOS1), pair.now);
    }
    pair.drive();
    let incoming = pair.incoming();
    assert_eq!(incoming.len(), 20);
    assert!(incoming.iter().all(|arrived| arrived.topic.as_bytes() == arrived.payload));
    pair.broker.check_idle(CLIENT, pair.now);
    pair.check();
}

#[test]
fn a_message_expires_in_the_queue_and_not_on_its_way() {
    let mut pair = Pair::new(Version::V5);
    pair.connect();
    pair.broker.faults().swallow(PacketType::Puback);
    publish_with(&mut pair, "a", "on its way", QOS1, 1, &expiring(2));
    pair.drive();
    pair.cut();
    publish_with(&mut pair, "a", "queued", QOS1, 2, &expiring(2));
    publish_with(&mut pair, "a", "patient", QOS1, 3, &expiring(20));
    pair.broker.faults().clear();
    pair.pass(Duration::from_secs(5));
    pair.connect();
    let ended = ended(&pair.events());
    assert!(ended.contains(&(2, Outcome::Expired)), "{ended:?}");
    assert_eq!((count(&pair, "on its way"), count(&pair, "queued"), count(&pair, "patient")), (2, 0, 1));
    let left = |payload: &[u8]| {
        let taken = pair.broker.accepted(CLIENT).iter().rev().find(|taken| taken.message.payload == payload);
        taken.and_then(|taken| taken.message.expires).map(|expires| expires.since(pair.now).as_secs())
    };
    assert_eq!(left(b"patient"), Some(15), "the interval shrinks by the time spent waiting [MQTT-3.3.2-6]");
    assert_eq!(left(b"on its way"), Some(0), "at least zero");
    pair.check();
}
