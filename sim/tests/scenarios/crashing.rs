//! A process that dies, and a store that remembers.

use super::*;
use packetboat_core::session::Config;
use packetboat_core::wire::PacketType;
use packetboat_sim::broker;

fn durable(version: Version) -> Pair {
    let config = Config { durable: true, ..Config::default() };
    Pair::with(version, config, broker::Config::default())
}

#[test]
fn what_was_accepted_before_a_crash_arrives_after_it() {
    for version in BOTH {
        let mut pair = durable(version);
        for (tag, qos) in [(1, QOS1), (2, QOS2), (3, QOS1)] {
            pair.publish("a", &format!("m{tag}"), qos, tag);
        }
        pair.drive();
        pair.crash();
        pair.connect();
        assert_eq!(pair.taken(), ["m1", "m2", "m3"]);
        pair.check();
    }
}

#[test]
fn a_crash_at_any_point_of_the_exchange_doubles_no_qos_2() {
    for version in BOTH {
        for lost in [PacketType::Pubrec, PacketType::Pubcomp] {
            let mut pair = durable(version);
            pair.connect();
            pair.broker.faults().swallow(lost);
            pair.publish("a", "once", QOS2, 1);
            pair.drive();
            pair.crash();
            pair.broker.faults().clear();
            pair.connect();
            assert_eq!(pair.taken(), ["once"], "{version:?} {lost:?}");
            assert!(pair.client.session.is_idle());
            pair.broker.check_idle(CLIENT, pair.now);
            pair.check();
        }
    }
}

#[test]
fn nothing_leaves_before_the_store_has_it() {
    for version in BOTH {
        let mut pair = durable(version);
        pair.hold_store();
        pair.connect();
        pair.publish("a", "kept", QOS1, 1);
        pair.publish("a", "plain", QOS0, 2);
        pair.drive();
        assert_eq!(pair.taken(), ["plain"], "QoS 0 does not wait");
        pair.commit_store(usize::MAX);
        pair.drive();
        assert_eq!(pair.taken(), ["plain", "kept"]);
        pair.check();
    }
}

#[test]
fn pubrel_and_pubcomp_wait_for_the_store() {
    for version in BOTH {
        let mut pair = durable(version);
        pair.connect();
        subscribe(&mut pair, "b", 9);
        pair.publish("a", "out", QOS2, 1);
        pair.hold_store();
        pair.broker.publish(broker::Message::new("b", "in", QOS2), pair.now);
        pair.commit_store(2);
        pair.drive();
        let received = |pair: &Pair, packet| pair.broker.stats().received(packet);
        assert_eq!((received(&pair, PacketType::Pubrel), received(&pair, PacketType::Pubrec)), (0, 0));
        while pair.commit_store(1) {
            pair.drive();
        }
        assert_eq!((received(&pair, PacketType::Pubrel), received(&pair, PacketType::Pubcomp)), (1, 1));
        pair.broker.check_idle(CLIENT, pair.now);
        pair.check();
    }
}

#[test]
fn an_arrival_that_was_acknowledged_is_not_delivered_again_after_a_crash() {
    for version in BOTH {
        let mut pair = durable(version);
        pair.connect();
        subscribe(&mut pair, "b", 9);
        // PUBREC is lost: the broker sends the message again, and the next process must know it.
        pair.broker.faults().drop_next(broker::Direction::ToBroker, PacketType::Pubrec, 1);
        pair.broker.publish(broker::Message::new("b", "once", QOS2), pair.now);
        pair.drive();
        assert_eq!(pair.incoming().len(), 1);
        pair.crash();
        pair.connect();
        assert_eq!(pair.broker.stats().resent, 1);
        assert_eq!(pair.incoming(), []);
        assert_eq!(pair.broker.pending(CLIENT), 0);
        pair.check();
    }
}
