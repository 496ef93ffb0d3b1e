//! Keep-alive, links that stall, answers that never come.

use super::*;
use packetboat_core::session::{Config, ConnectOptions, SessionMode};
use packetboat_core::wire::PacketType;
use packetboat_sim::broker::{self, Direction, Message};
use packetboat_sim::link::Conditions;
use std::time::Duration;

fn pair(version: Version, keep_alive: u16, broker: broker::Config) -> Pair {
    let session = SessionMode::Persistent { expiry: Duration::from_hours(1) };
    let client_id = CLIENT.to_owned();
    let options = ConnectOptions { version, client_id, session, keep_alive, ..ConnectOptions::default() };
    Pair::with_options(options, Config::default(), broker, 1)
}

// Spec 3.1.1: MQTT-3.1.2-23
// Spec 5.0: MQTT-3.1.2-20
#[test]
fn an_idle_client_is_never_silent_for_longer_than_it_said() {
    for version in BOTH {
        let blaming = broker::Config { blame_silence: true, ..broker::Config::default() };
        let mut pair = pair(version, 10, blaming);
        pair.connect();
        pair.pass(Duration::from_hours(1));
        assert_eq!(pair.broker.stats().received(PacketType::PingReq), 360);
        assert!(pair.is_connected());
        pair.check();
    }
}

#[test]
fn what_arrives_does_not_keep_the_broker_from_hearing_us() {
    for version in BOTH {
        let blaming = broker::Config { blame_silence: true, ..broker::Config::default() };
        let mut pair = pair(version, 10, blaming);
        pair.connect();
        subscribe(&mut pair, "#", 1);
        for _ in 0..200 {
            pair.pass(Duration::from_secs(1));
            pair.broker.publish(Message::new("a", "news", QOS0), pair.now);
            pair.drive();
        }
        assert!(pair.is_connected());
        assert_eq!(pair.incoming().len(), 200);
        pair.check();
    }
}

// Spec 5.0: MQTT-3.1.2-21 MQTT-3.2.2-21
#[test]
fn the_brokers_keep_alive_wins() {
    let broker =
        broker::Config { server_keep_alive: Some(3), blame_silence: true, ..broker::Config::default() };
    let mut pair = pair(Version::V5, 600, broker);
    pair.connect();
    pair.pass(Duration::from_mins(1));
    assert_eq!(pair.broker.stats().received(PacketType::PingReq), 20);
    pair.check();
}

#[test]
fn keep_alive_zero_never_pings() {
    for version in BOTH {
        let mut pair = pair(version, 0, broker::Config::default());
        pair.connect();
        pair.pass(Duration::from_hours(5));
        assert!(pair.is_connected());
        assert_eq!(pair.broker.stats().received(PacketType::PingReq), 0);
    }
}

#[test]
fn a_dead_link_is_noticed_within_one_and_a_half_intervals() {
    for version in BOTH {
        let mut pair = pair(version, 10, broker::Config::default());
        pair.connect();
        for direction in [Direction::ToBroker, Direction::ToClient] {
            pair.link().unwrap().stall(direction, true);
        }
        pair.pass(Duration::from_millis(14_999));
        assert!(pair.is_connected());
        pair.pass(Duration::from_millis(1));
        assert!(!pair.is_connected());
        assert_eq!(cause(&pair.events()), Some(Cause::Silent));
        pair.check();
    }
}

/// The socket goes on taking bytes for a while, but nothing comes back.
#[test]
fn a_flood_over_a_half_open_link_is_noticed_too() {
    for version in BOTH {
        let mut pair = pair(version, 10, broker::Config::default());
        pair.connect();
        for direction in [Direction::ToBroker, Direction::ToClient] {
            pair.link().unwrap().stall(direction, true);
        }
        let mut seconds = 0;
        while pair.is_connected() {
            pair.publish("a", "flood", QOS0, 1);
            pair.pass(Duration::from_secs(1));
            seconds += 1;
            assert!(seconds <= 15, "{version:?}");
        }
        assert_eq!(cause(&pair.events()), Some(Cause::Silent));
    }
}

#[test]
fn a_large_payload_that_makes_progress_is_alive() {
    for version in BOTH {
        let mut pair = pair(version, 2, broker::Config::default());
        pair.conditions = Conditions { delay: 200..=200, capacity: 1000, ..Conditions::default() };
        pair.connect();
        pair.pass(Duration::from_secs(1));
        // 100,000 bytes at 5,000 bytes a second: twenty seconds without a PINGREQ in between.
        pair.publish("a", &"x".repeat(100_000), QOS1, 1);
        pair.pass(Duration::from_secs(30));
        assert_eq!(acknowledged(&pair.events()), [1], "{version:?}");
        assert!(pair.is_connected());
        pair.check();
    }
}

#[test]
fn a_missing_acknowledgement_ends_the_connection() {
    for version in BOTH {
        for (qos, answer) in
            [(QOS1, PacketType::Puback), (QOS2, PacketType::Pubrec), (QOS2, PacketType::Pubcomp)]
        {
            let mut pair = pair(version, 10, broker::Config::default());
            pair.connect();
            pair.broker.faults().swallow(answer);
            pair.publish("a", "unanswered", qos, 1);
            pair.pass(Duration::from_secs(59));
            assert!(pair.is_connected());
            pair.pass(Duration::from_secs(1));
            assert!(!pair.is_connected());
            let events = pair.events();
            assert_eq!(cause(&events), Some(Cause::NotAcknowledged), "{version:?} {answer:?}");
            pair.broker.faults().clear();
            pair.connect();
            assert_eq!(acknowledged(&pair.events()), [1]);
            pair.check();
        }
    }
}

#[test]
fn a_missing_suback_ends_the_connection_and_the_request_is_made_again() {
    for version in BOTH {
        let mut pair = pair(version, 10, broker::Config::default());
        pair.connect();
        pair.broker.faults().swallow(PacketType::Suback);
        subscribe(&mut pair, "a", 1);
        pair.pass(Duration::from_mins(1));
        assert_eq!(cause(&pair.events()), Some(Cause::NotAcknowledged));
        pair.broker.faults().clear();
        pair.connect();
        assert_eq!(granted(&pair.events()), [Reason::GRANTED_QOS_2]);
        pair.check();
    }
}
