//! Cuts, and what the next connection makes good.

use super::*;
use packetboat_core::session::{Config, ConnectOptions, SessionMode};
use packetboat_core::wire::PacketType;
use packetboat_sim::broker::{self, Direction};
use packetboat_sim::link::Conditions;

#[test]
fn a_lost_answer_costs_qos_1_a_repetition_and_qos_2_nothing() {
    for version in BOTH {
        for (qos, answer) in
            [(QOS1, PacketType::Puback), (QOS2, PacketType::Pubrec), (QOS2, PacketType::Pubcomp)]
        {
            let mut pair = Pair::new(version);
            pair.connect();
            pair.broker.faults().swallow(answer);
            pair.publish("a", "hello", qos, 1);
            pair.drive();
            assert_eq!(acknowledged(&pair.events()), []);
            pair.broker.faults().clear();
            pair.cut();
            pair.connect();
            let events = pair.events();
            assert_eq!(resumed(&events), Some(true));
            assert_eq!(acknowledged(&events), [1]);
            assert_eq!(pair.taken().len(), if qos == QOS1 { 2 } else { 1 }, "{version:?} {answer:?}");
            pair.check();
        }
    }
}

/// Every byte of the conversation, in both directions, is once the last one before the cut.
// Spec 3.1.1: MQTT-4.3.3-2 MQTT-4.4.0-1
// Spec 5.0: MQTT-4.3.3-10 MQTT-4.4.0-1
#[test]
fn a_cut_behind_any_byte_loses_and_doubles_nothing() {
    for version in BOTH {
        for direction in [Direction::ToBroker, Direction::ToClient] {
            let mut whole = false;
            for bytes in 0.. {
                let mut pair = Pair::new(version);
                pair.dial();
                pair.link().unwrap().cut_after(direction, bytes);
                for (tag, qos) in [(1, QOS2), (2, QOS1), (3, QOS2)] {
                    pair.publish("a/b", &format!("m{tag}"), qos, tag);
                }
                subscribe(&mut pair, "a/#", 9);
                whole = pair.is_connected();
                if !whole {
                    pair.connect();
                }
                pair.drive();
                let events = pair.events();
                let mut done = acknowledged(&events);
                done.sort_unstable();
                assert_eq!(done, [1, 2, 3], "{version:?} {direction:?} {bytes}");
                assert_eq!(granted(&events), [Reason::GRANTED_QOS_2]);
                assert_eq!((count(&pair, "m1"), count(&pair, "m3")), (1, 1));
                assert!((1..=2).contains(&count(&pair, "m2")));
                pair.broker.check_idle(CLIENT, pair.now);
                pair.check();
                if whole {
                    break;
                }
            }
            assert!(whole);
        }
    }
}

#[test]
fn after_pubrec_only_pubrel_goes_out_again() {
    for version in BOTH {
        let mut pair = Pair::new(version);
        pair.connect();
        pair.broker.faults().swallow(PacketType::Pubcomp);
        pair.publish("a", "once", QOS2, 1);
        pair.drive();
        pair.broker.faults().clear();
        pair.cut();
        let publishes = pair.broker.stats().received(PacketType::Publish);
        let releases = pair.broker.stats().received(PacketType::Pubrel);
        pair.connect();
        assert_eq!(pair.broker.stats().received(PacketType::Publish), publishes);
        assert_eq!(pair.broker.stats().received(PacketType::Pubrel), releases + 1);
        assert_eq!(acknowledged(&pair.events()), [1]);
        pair.check();
    }
}

// Spec 3.1.1: MQTT-4.6.0-4
// Spec 5.0: MQTT-4.6.0-4
#[test]
fn pubrels_keep_the_order_of_the_pubrecs_over_a_cut() {
    for version in BOTH {
        for seed in 0..20 {
            // Answers may change places, which no rule forbids a server.
            let broker =
                broker::Config { answer_delay: 5..=5, shuffle_answers: true, ..broker::Config::default() };
            let mut pair = Pair::with_seed(version, Config::default(), broker, seed);
            pair.connect();
            pair.pass(std::time::Duration::from_millis(20));
            pair.broker.faults().swallow(PacketType::Pubcomp);
            for tag in 1..=4 {
                pair.publish("a", &format!("m{tag}"), QOS2, tag);
            }
            pair.pass(std::time::Duration::from_millis(20));
            pair.broker.faults().clear();
            pair.cut();
            pair.connect();
            pair.pass(std::time::Duration::from_millis(20));
            assert_eq!(pair.taken().len(), 4);
            assert_eq!(acknowledged(&pair.events()).len(), 4);
            pair.check();
        }
    }
}

#[test]
fn what_never_left_the_buffer_is_no_repetition() {
    for version in BOTH {
        let mut pair = Pair::new(version);
        pair.conditions = Conditions { capacity: 60, ..Conditions::default() };
        pair.connect();
        pair.link().unwrap().stall(Direction::ToBroker, true);
        for tag in 1..=6 {
            pair.publish("some/topic", &format!("message {tag}"), QOS1, tag);
        }
        pair.drive();
        pair.cut();
        pair.conditions = Conditions::default();
        pair.connect();
        let dups: Vec<bool> = pair.broker.accepted(CLIENT).iter().map(|accepted| accepted.dup).collect();
        assert_eq!(
            dups.iter().filter(|dup| **dup).count(),
            3,
            "60 bytes are two packets and a part of one: {dups:?}"
        );
        assert!(dups.is_sorted_by_key(|dup| !dup), "what was transmitted goes first");
        pair.check();
    }
}

#[test]
fn a_lost_session_is_told_of_in_the_receipt() {
    for version in BOTH {
        for (resend, outcome, copies) in [(true, None, 2), (false, Some(Outcome::Unresolved), 1)] {
            let config = Config { resend_unresolved: resend, ..Config::default() };
            let mut pair = Pair::with(version, config, broker::Config::default());
            pair.connect();
            pair.broker.faults().swallow(PacketType::Pubrec);
            pair.publish("a", "twice", QOS2, 1);
            pair.drive();
            pair.broker.faults().clear();
            pair.broker.forget(CLIENT, pair.now);
            pair.drive();
            pair.connect();
            let events = pair.events();
            assert_eq!(resumed(&events), Some(false));
            let ended = ended(&events);
            if let Some(outcome) = outcome {
                assert_eq!(ended, [(1, outcome)]);
            } else {
                let flagged = matches!(ended[0].1, Outcome::Acknowledged { possible_duplicate: true, .. });
                assert!(flagged, "{ended:?}");
            }
            assert_eq!(count(&pair, "twice"), copies);
            pair.check();
        }
    }
}

#[test]
fn subscriptions_are_restored_where_the_session_was_lost_and_only_there() {
    for version in BOTH {
        let mut pair = Pair::new(version);
        pair.connect();
        subscribe(&mut pair, "a/#", 1);
        subscribe(&mut pair, "b", 2);
        pair.cut();
        let requests = pair.broker.stats().received(PacketType::Subscribe);
        pair.connect();
        assert_eq!(pair.broker.stats().received(PacketType::Subscribe), requests);
        pair.broker.forget(CLIENT, pair.now);
        pair.drive();
        pair.events();
        pair.connect();
        assert_eq!(pair.broker.subscriptions(CLIENT), ["a/#", "b"]);
        assert!(pair.events().contains(&Event::SubscriptionsRestored));
        pair.check();
    }
}

#[test]
fn the_default_session_survives_cuts_on_5_0_and_ends_at_disconnect() {
    for version in BOTH {
        let mut options = ConnectOptions { version, client_id: CLIENT.into(), ..ConnectOptions::default() };
        options.session = SessionMode::UntilDisconnect;
        let mut pair = Pair::with_options(options, Config::default(), broker::Config::default(), 1);
        pair.connect();
        assert_eq!(resumed(&pair.events()), Some(false));
        pair.cut();
        pair.connect();
        assert_eq!(resumed(&pair.events()), Some(version == Version::V5));
        pair.client.session.disconnect(Reason::NORMAL_DISCONNECTION);
        pair.drive();
        assert!(!pair.broker.has_session(CLIENT));
        assert_eq!(cause(&pair.events()), Some(Cause::Requested));
        pair.check();
    }
}

/// Of 66,000 messages one is not answered: its identifier must be skipped when the counter wraps.
// Spec 5.0: MQTT-2.2.1-3 MQTT-4.3.2-1 MQTT-4.3.3-1
#[test]
fn identifiers_in_use_are_skipped_when_the_counter_wraps() {
    let mut pair = Pair::new(Version::V5);
    pair.connect();
    pair.broker.faults().drop_next(Direction::ToClient, PacketType::Pubrec, 1);
    pair.publish("a", "slow", QOS2, 0);
    pair.drive();
    for tag in 1..=66_000 {
        pair.publish("a", "fast", QOS1, tag);
        pair.drive();
    }
    assert_eq!(pair.taken().len(), 66_001);
    pair.check();
}
