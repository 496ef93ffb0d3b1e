//! Messages from the broker, and those who hold them.

use super::*;
use packetboat_core::session::Release;
use packetboat_core::wire::PacketType;
use packetboat_sim::broker::Message;

fn online(version: Version) -> Pair {
    let mut pair = Pair::new(version);
    pair.client.options.receive_maximum = 3;
    pair.connect();
    subscribe(&mut pair, "#", 1);
    pair
}

fn send(pair: &mut Pair, payload: &str, qos: QoS) {
    pair.broker.publish(Message::new("a", payload, qos), pair.now);
    pair.drive();
}

// Spec 3.1.1: MQTT-4.6.0-2 MQTT-4.6.0-3
// Spec 5.0: MQTT-4.6.0-2 MQTT-4.6.0-3
#[test]
fn acknowledgements_leave_in_the_order_of_arrival() {
    for version in BOTH {
        for qos in [QOS1, QOS2] {
            let mut pair = online(version);
            pair.client.holders = 1;
            for number in 0..3 {
                send(&mut pair, &number.to_string(), qos);
            }
            let held = pair.incoming();
            for index in [2, 0, 1] {
                assert!(pair.client.session.release(held[index].token.unwrap(), Release::Acknowledge));
                pair.drive();
            }
            pair.broker.check_idle(CLIENT, pair.now);
            assert_eq!(pair.broker.pending(CLIENT), 0);
            pair.check();
        }
    }
}

#[test]
fn withheld_acknowledgements_hold_the_broker_back() {
    let mut pair = online(Version::V5);
    pair.client.holders = 1;
    for number in 0..10 {
        send(&mut pair, &number.to_string(), if number % 2 == 0 { QOS1 } else { QOS2 });
    }
    assert_eq!(pair.incoming().len(), 3, "the receive maximum");
    assert_eq!(pair.broker.pending(CLIENT), 10);
    pair.check();
}

#[test]
fn exactly_once_is_delivered_once_whatever_is_repeated() {
    for version in BOTH {
        for answer in [PacketType::Pubrel, PacketType::Publish] {
            let mut pair = online(version);
            pair.broker.faults().drop_next(packetboat_sim::broker::Direction::ToClient, answer, 1);
            send(&mut pair, "once", QOS2);
            pair.cut();
            pair.connect();
            pair.cut();
            pair.connect();
            assert_eq!(pair.incoming().len(), 1, "{version:?} {answer:?}");
            assert_eq!(pair.broker.pending(CLIENT), 0);
            pair.check();
        }
    }
}

#[test]
fn a_message_in_hand_stays_the_same_message_over_a_cut() {
    for version in BOTH {
        let mut pair = online(version);
        pair.client.holders = 2;
        send(&mut pair, "held", QOS2);
        let held = pair.incoming();
        let token = held[0].token.unwrap();
        assert!(pair.client.session.release(token, Release::Acknowledge));
        pair.cut();
        pair.connect();
        assert_eq!(pair.incoming(), [], "the repetition is not delivered");
        assert!(pair.client.session.release(token, Release::Acknowledge));
        pair.drive();
        pair.broker.check_idle(CLIENT, pair.now);
        assert_eq!(pair.broker.pending(CLIENT), 0);
        pair.check();
    }
}

#[test]
fn a_token_of_an_older_connection_says_nothing() {
    for version in BOTH {
        let mut pair = online(version);
        pair.client.holders = 1;
        send(&mut pair, "again", QOS1);
        let stale = pair.incoming()[0].token.unwrap();
        pair.cut();
        pair.connect();
        assert!(!pair.client.session.release(stale, Release::Acknowledge));
        pair.drive();
        let fresh = pair.incoming();
        assert_eq!((fresh.len(), fresh[0].dup), (1, true));
        assert_eq!(pair.broker.pending(CLIENT), 1);
        assert!(pair.client.session.release(fresh[0].token.unwrap(), Release::Acknowledge));
        pair.drive();
        assert_eq!(pair.broker.pending(CLIENT), 0);
        pair.check();
    }
}

#[test]
fn what_is_given_up_comes_again_and_what_is_rejected_does_not() {
    for qos in [QOS1, QOS2] {
        let mut pair = online(Version::V5);
        pair.client.holders = 1;
        send(&mut pair, "given up", qos);
        send(&mut pair, "rejected", qos);
        let held = pair.incoming();
        pair.client.session.release(held[0].token.unwrap(), Release::Abandon);
        pair.client.session.release(held[1].token.unwrap(), Release::Reject(Reason::NOT_AUTHORIZED));
        pair.drive();
        assert_eq!(pair.broker.pending(CLIENT), 1);
        pair.cut();
        pair.client.holders = 0;
        pair.connect();
        let again: Vec<_> = pair.incoming().into_iter().map(|arrived| arrived.payload).collect();
        assert_eq!(again, [b"given up"]);
        assert_eq!(pair.broker.pending(CLIENT), 0);
        pair.check();
    }
}

#[test]
fn an_oversize_message_is_skipped_on_3_1_1_and_never_sent_on_5_0() {
    for version in BOTH {
        let mut pair = Pair::new(version);
        pair.client.options.maximum_packet_size = 100;
        pair.conditions.chunk = 1..=7;
        pair.connect();
        subscribe(&mut pair, "#", 1);
        send(&mut pair, &"x".repeat(200), QOS1);
        send(&mut pair, "small", QOS2);
        let arrived: Vec<_> = pair.incoming().into_iter().map(|arrived| arrived.payload).collect();
        assert_eq!(arrived, [b"small"]);
        assert_eq!(pair.broker.stats().too_large, u64::from(version == Version::V5));
        pair.broker.check_idle(CLIENT, pair.now);
        assert_eq!(pair.broker.pending(CLIENT), 0, "acknowledged, or it would come for ever");
        pair.check();
    }
}
