//! Faults on order.

use super::*;
use packetboat_core::wire::PacketType;
use packetboat_sim::broker::{Direction, Message, Refusal};
use std::time::Duration;

#[test]
fn connects_are_refused_as_ordered() {
    let orders = [
        (Refusal::Code(Reason::SERVER_BUSY), vec!["CONNACK 0x89", "closed"]),
        (Refusal::Close, vec!["closed"]),
        (Refusal::OldShape(1), vec!["[20, 02, 00, 01]", "closed"]),
    ];
    for (refusal, said) in orders {
        let mut harbour = Harbour::new(Version::V5);
        harbour.broker.faults().refuse(2, refusal);
        for connection in 1..=2 {
            assert_eq!(harbour.connects(connection, "one"), said);
        }
        assert_eq!(harbour.connects(3, "one"), ["CONNACK"]);
        assert_eq!(harbour.broker.stats().refused, 2);
    }
}

#[test]
fn packets_vanish_as_ordered() {
    let mut harbour = Harbour::online(Version::V5);
    harbour.broker.faults().drop_nth(Direction::ToBroker, 2).drop_nth(Direction::ToClient, 3);
    for id in 1..=4 {
        harbour.publishes(QOS1, id, &id.to_string());
    }
    assert_eq!(harbour.taken("one"), ["1", "3", "4"]);
    assert_eq!(harbour.hears(1), ["PUBACK 1 0x10", "PUBACK 3 0x10"]);
    harbour.cut(1);
    harbour.connects(1, "one");
    harbour.publishes_again(QOS1, 2, "2");
    harbour.publishes_again(QOS1, 4, "4");
    assert_eq!(harbour.breaches(), [""; 0], "the client cannot help it");
}

#[test]
fn answers_are_swallowed_until_told_otherwise() {
    for (swallowed, said) in [
        (PacketType::Puback, vec!["Suback 2 [0]", "PingResp"]),
        (PacketType::Suback, vec!["PUBACK 1", "PingResp"]),
        (PacketType::PingResp, vec!["PUBACK 1", "Suback 2 [0]"]),
    ] {
        let mut harbour = Harbour::online(Version::V311);
        harbour.broker.faults().swallow(swallowed);
        harbour.publishes(QOS1, 1, "x");
        harbour.subscribes(1, 2, "a", QOS0.into());
        harbour.says(1, &Packet::PingReq);
        assert_eq!(harbour.hears(1), said);
        harbour.broker.faults().clear();
        harbour.says(1, &Packet::PingReq);
        assert_eq!(harbour.hears(1), ["PingResp"]);
    }
    let mut harbour = Harbour::new(Version::V5);
    harbour.broker.faults().swallow(PacketType::Connack);
    assert_eq!(harbour.connects(1, "one"), [""; 0]);
    harbour.broker.publish(Message::new("a", "x", QOS1), harbour.now);
    assert_eq!(harbour.hears(1), [""; 0], "and nothing goes out in its place");
}

#[test]
fn connections_break_as_ordered() {
    let mut harbour = Harbour::online(Version::V311);
    harbour.broker.faults().cut_after_packets(Direction::ToBroker, 2);
    harbour.publishes(QOS0, 0, "one");
    assert_eq!(harbour.hears(1), [""; 0]);
    harbour.publishes(QOS0, 0, "two");
    assert_eq!(harbour.hears(1), ["closed"]);
    assert_eq!(harbour.taken("one"), ["one", "two"]);

    let mut harbour = Harbour::online(Version::V311);
    harbour.broker.faults().cut_after_packets(Direction::ToClient, 1);
    harbour.publishes(QOS1, 1, "x");
    harbour.publishes(QOS1, 2, "y");
    assert_eq!(harbour.hears(1), ["PUBACK 1", "closed"]);

    let mut harbour = Harbour::online(Version::V311);
    harbour.broker.faults().cut_after_bytes(Direction::ToClient, 6);
    harbour.publishes(QOS1, 1, "x");
    harbour.publishes(QOS1, 2, "y");
    assert_eq!(harbour.hears(1), ["PUBACK 1", "[40, 02]", "closed"]);

    let mut harbour = Harbour::online(Version::V311);
    harbour.broker.faults().cut_after_bytes(Direction::ToBroker, 10);
    harbour.publishes(QOS1, 1, "x");
    harbour.publishes(QOS1, 2, "y");
    assert_eq!(harbour.hears(1), ["closed"]);
    assert_eq!(harbour.taken("one"), ["x"], "eight bytes are the first, two the beginning of the second");
    assert!(!harbour.broker.faults().is_pending());
}

#[test]
fn answers_come_late_and_in_any_order_as_ordered() {
    let mut harbour = Harbour::online(Version::V311);
    harbour.broker.faults().delay_answers(Duration::from_secs(1));
    harbour.publishes(QOS1, 1, "x");
    assert_eq!(harbour.hears(1), [""; 0]);
    harbour.passes(1_000);
    assert_eq!(harbour.hears(1), ["PUBACK 1"]);
    harbour.broker.faults().clear();
    let config = harbour.broker.config_mut();
    (config.answer_delay, config.shuffle_answers) = (5..=5, true);
    for id in 1..=20 {
        harbour.publishes(QOS1, id, "x");
    }
    harbour.passes(5);
    let told = harbour.hears(1);
    assert_eq!(told.len(), 20);
    assert!(!told.is_sorted_by_key(|answer| answer[7..].parse::<u16>().unwrap()));
    assert_eq!(harbour.breaches(), [""; 0]);
}

#[test]
fn one_client_can_be_picked_out() {
    let mut harbour = Harbour::online(Version::V311);
    harbour.connects(2, "two");
    harbour.broker.faults().only(Some("two")).swallow(PacketType::PingResp).refuse(1, Refusal::Close);
    harbour.says(1, &Packet::PingReq);
    harbour.says(2, &Packet::PingReq);
    assert_eq!((harbour.hears(1), harbour.hears(2)), (vec!["PingResp".to_owned()], vec![]));
    assert_eq!(harbour.connects(3, "three"), ["CONNACK"]);
    assert_eq!(harbour.connects(4, "two"), ["closed"]);
}

#[test]
fn its_owner_can_do_anything() {
    let mut harbour = Harbour::online(Version::V5);
    assert!(harbour.broker.send_raw("one", &[0xff, 0xff]));
    assert_eq!(harbour.hears(1), ["[ff, ff]"]);
    assert!(harbour.broker.disconnect("one", Reason::USE_ANOTHER_SERVER, harbour.now));
    assert_eq!(harbour.hears(1), ["DISCONNECT 0x9c", "closed"]);
    assert!(!harbour.broker.cut_off("one", harbour.now));
    harbour.cut(1);

    harbour.connects(2, "one");
    harbour.broker.restart(true, harbour.now);
    assert_eq!(harbour.hears(2), ["closed"]);
    assert_eq!(harbour.connects(3, "one"), ["CONNACK present"]);
    harbour.broker.restart(false, harbour.now);
    assert_eq!(harbour.connects(4, "one"), ["CONNACK"]);
    harbour.broker.forget("one", harbour.now);
    assert_eq!(harbour.connects(5, "one"), ["CONNACK"]);
}
