//! SUBSCRIBE, UNSUBSCRIBE, and who gets what.

use super::*;
use packetboat_sim::broker::{Message, Overlap};

fn send(harbour: &mut Harbour, topic: &str, qos: QoS) {
    harbour.broker.publish(Message::new(topic, "x", qos), harbour.now);
}

// Spec 3.1.1: MQTT-3.8.4-1 MQTT-3.8.4-2 MQTT-3.8.4-4 MQTT-3.8.4-5 MQTT-3.9.3-1
// Spec 5.0: MQTT-3.8.4-1 MQTT-3.8.4-2 MQTT-3.8.4-5 MQTT-3.8.4-6 MQTT-3.9.3-1
// Spec 3.1.1: MQTT-3.10.4-4 MQTT-3.10.4-5
// Spec 5.0: MQTT-3.10.4-4 MQTT-3.10.4-5
#[test]
fn requests_are_answered_filter_by_filter() {
    for version in BOTH {
        let mut harbour = Harbour::online(version);
        harbour.broker.config_mut().denied = vec!["secret".parse().unwrap()];
        let mut filters = FiltersBuf::default();
        for (filter, qos) in [("a", QOS0), ("secret", QOS1), ("b", QOS2)] {
            filters.push(filter, qos.into());
        }
        let (properties, filters) = (Properties::EMPTY, filters.as_filters());
        harbour.says(1, &Packet::Subscribe(Subscribe { id: 7, properties, filters }));
        let refused = if version == Version::V5 { "87" } else { "80" };
        assert_eq!(harbour.hears(1), [format!("Suback 7 [0, {refused}, 2]")]);
        harbour.unsubscribes(1, 8, "a");
        harbour.unsubscribes(1, 9, "never");
        let told = if version == Version::V5 {
            ["Unsuback 8 [0]", "Unsuback 9 [11]"]
        } else {
            ["Unsuback 8 []", "Unsuback 9 []"]
        };
        assert_eq!(harbour.hears(1), told);
        assert_eq!(harbour.broker.subscriptions("one"), ["b"]);
        assert_eq!(harbour.breaches(), [""; 0]);
    }
}

// Spec 3.1.1: MQTT-3.8.4-6
// Spec 5.0: MQTT-3.8.4-8
#[test]
fn the_lower_qos_wins() {
    for version in BOTH {
        for granted in [QOS0, QOS1, QOS2] {
            for published in [QOS0, QOS1, QOS2] {
                let mut harbour = Harbour::online(version);
                harbour.subscribes(1, 1, "a", granted.into());
                harbour.hears(1);
                send(&mut harbour, "a", published);
                let told = if granted.min(published) == QOS0 { "PUBLISH a=x" } else { "PUBLISH 1 a=x" };
                assert_eq!(harbour.hears(1), [told]);
            }
        }
    }
}

#[test]
fn overlapping_subscriptions_get_one_copy_or_one_each() {
    for (version, overlap, copies) in [
        (Version::V311, Overlap::LikeMosquitto, vec!["PUBLISH 1 a/b=x"]),
        (Version::V5, Overlap::LikeMosquitto, vec!["PUBLISH 1 for [1] a/b=x", "PUBLISH for [2] a/b=x"]),
        (Version::V5, Overlap::OneCopy, vec!["PUBLISH 1 for [1, 2] a/b=x"]),
    ] {
        let mut harbour = Harbour::with(version, Config { overlap, ..Config::default() });
        harbour.connects(1, "one");
        for (identifier, filter, qos) in [(1, "a/#", QOS2), (2, "a/b", QOS0)] {
            let mut properties = PropertiesBuf::new();
            properties.subscription_identifier(identifier).unwrap();
            let id = u16::try_from(identifier).unwrap();
            harbour.subscribes_with(1, id, filter, qos.into(), properties.as_properties());
        }
        harbour.hears(1);
        send(&mut harbour, "a/b", QOS2);
        let mut told = harbour.hears(1);
        told.sort();
        let mut copies: Vec<String> = copies.into_iter().map(String::from).collect();
        copies.sort();
        assert_eq!(told, copies);
    }
}

#[test]
fn no_local_keeps_a_clients_own_messages_from_it() {
    let mut harbour = Harbour::online(Version::V5);
    harbour.subscribes(1, 1, "a", SubscribeOptions { no_local: true, ..SubscribeOptions::default() });
    harbour.hears(1);
    harbour.publishes(QOS0, 0, "mine");
    assert_eq!(harbour.hears(1), [""; 0]);
    harbour.connects(2, "two");
    harbour.says(2, &publish(QOS0, 0, "theirs"));
    assert_eq!(harbour.hears(1), ["PUBLISH a=theirs"]);
}

#[test]
fn a_shared_subscription_serves_one_member_at_a_time() {
    for version in BOTH {
        let mut harbour = Harbour::new(version);
        harbour.broker.publish(Message::new("a", "not over shared ones", QOS0).retain(), harbour.now);
        for connection in 1..=3 {
            harbour.connects(connection, &connection.to_string());
            harbour.subscribes(connection, 1, "$share/crew/a", QOS1.into());
            assert_eq!(harbour.hears(connection), ["Suback 1 [1]"]);
        }
        for _ in 0..9 {
            send(&mut harbour, "a", QOS1);
        }
        let counts: Vec<usize> = (1..=3).map(|connection| harbour.hears(connection).len()).collect();
        assert_eq!(counts, [3, 3, 3]);
        harbour.cut(2);
        for _ in 0..4 {
            send(&mut harbour, "a", QOS1);
        }
        assert_eq!((harbour.hears(1).len(), harbour.hears(3).len()), (2, 2), "whoever is there");
    }
}

#[test]
fn topics_with_a_dollar_are_not_for_wildcards() {
    let mut harbour = Harbour::online(Version::V5);
    harbour.subscribes(1, 1, "#", QOS0.into());
    harbour.hears(1);
    send(&mut harbour, "$SYS/uptime", QOS0);
    assert_eq!(harbour.hears(1), [""; 0]);
}

#[test]
fn nobody_listens() {
    let mut harbour = Harbour::online(Version::V5);
    harbour.publishes(QOS1, 1, "x");
    assert_eq!(harbour.hears(1), ["PUBACK 1 0x10"]);
    harbour.subscribes(1, 2, "a", QOS0.into());
    harbour.publishes(QOS1, 1, "x");
    assert_eq!(harbour.hears(1), ["Suback 2 [0]", "PUBLISH a=x", "PUBACK 1"]);
}

#[test]
fn messages_wait_for_a_session_that_is_away() {
    for version in BOTH {
        let mut harbour = Harbour::online(version);
        harbour.broker.config_mut().queue_messages = 2;
        harbour.subscribes(1, 1, "a", QOS2.into());
        harbour.cut(1);
        for _ in 0..3 {
            send(&mut harbour, "a", QOS1);
        }
        assert_eq!(harbour.connects(1, "one"), ["CONNACK present", "PUBLISH 1 a=x", "PUBLISH 2 a=x"]);
        assert_eq!(harbour.broker.stats().dropped, 1);
    }
}
