//! Connections that break.

use packetboat_core::wire::{AckKind, Packet, QoS, Reason, Version};
use packetboat_sim::broker::{Direction, Message};
use packetboat_sim::net::{Broker, Options};
use tokio::io::AsyncReadExt;

use crate::common::{Heard, VERSIONS, at_least_once, bytes_of, connect, exactly_once, message};
use crate::{LIMIT, Line};

/// Every byte up to the end of the connection.
async fn rest(line: &mut Line) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A reset is an end as well.
    let _ = tokio::time::timeout(LIMIT, line.stream.read_to_end(&mut bytes)).await.unwrap();
    bytes
}

#[tokio::test]
async fn all_connections_break_now() {
    for version in VERSIONS {
        let broker = Broker::start().await.unwrap();
        let mut lines = Vec::new();
        for client in ["a", "b", "c"] {
            lines.push(Line::client(&broker, version, client).await);
        }
        broker.faults().cut();
        for mut line in lines {
            // Nobody says goodbye.
            line.hears(Heard::Closed).await;
        }
        Line::client(&broker, version, "a").await.pings().await;
    }
}

#[tokio::test]
async fn a_connection_breaks_behind_a_packet_of_the_client() {
    for version in VERSIONS {
        let broker = Options::new().keep_log().start().await.unwrap();
        let mut line = Line::lasting(&broker, version, "boat", false).await;
        broker.faults().cut_after_packets(Direction::ToBroker, 2);
        line.say_all(&[1, 2, 3].map(|id| Packet::Publish(at_least_once(id, "x")))).await;
        rest(&mut line).await;
        assert_eq!(broker.accepted("boat").len(), 2);
        assert!(!broker.faults().is_pending());
        Line::lasting(&broker, version, "boat", true).await.pings().await;
    }
}

#[tokio::test]
async fn a_connection_breaks_behind_a_packet_to_the_client() {
    for version in VERSIONS {
        let broker = Broker::start().await.unwrap();
        let mut line = Line::lasting(&broker, version, "boat", false).await;
        line.subscribe("t", QoS::AtLeastOnce).await;
        broker.faults().cut_after_packets(Direction::ToClient, 2);
        for payload in ["1", "2", "3"] {
            broker.publish(Message::new("t", payload, QoS::AtLeastOnce));
        }
        assert_eq!(line.next().await.message().payload, b"1");
        assert_eq!(line.next().await.message().payload, b"2");
        line.hears(Heard::Closed).await;
        drop(line);
        broker.until(|core| core.connection("boat").is_none()).await;
        let mut line = Line::lasting(&broker, version, "boat", true).await;
        for (payload, dup) in [(b"1", true), (b"2", true), (b"3", false)] {
            let heard = line.next().await;
            assert_eq!(heard.message().payload, payload);
            assert!(heard.message().dup || !dup);
        }
    }
}

#[tokio::test]
async fn a_connection_breaks_in_the_middle_of_a_packet_of_the_client() {
    for version in VERSIONS {
        let broker = Options::new().keep_log().start().await.unwrap();
        let mut line = Line::client(&broker, version, "boat").await;
        let first = bytes_of(version, &[Packet::Publish(message(QoS::AtMostOnce, 0, "t", "x"))]);
        broker.faults().cut_after_bytes(Direction::ToBroker, first.len() as u64 + 3);
        line.say_all(&[1, 2].map(|_| Packet::Publish(message(QoS::AtMostOnce, 0, "t", "x")))).await;
        line.hears(Heard::Closed).await;
        assert_eq!(broker.accepted("boat").len(), 1);
        assert_eq!(broker.violations(), [], "half a packet is no breach");
    }
}

#[tokio::test]
async fn a_connection_breaks_in_the_middle_of_a_packet_to_the_client() {
    for version in VERSIONS {
        let broker = Broker::start().await.unwrap();
        broker.faults().cut_after_bytes(Direction::ToClient, 3);
        let mut line = Line::open(&broker, version).await;
        line.say(&Packet::Connect(connect(version, "boat"))).await;
        let heard = rest(&mut line).await;
        assert_eq!(heard.len(), 3);
        assert_eq!(heard[0], 0x20);
        Line::client(&broker, version, "boat").await.pings().await;
    }
}

#[tokio::test]
async fn a_cut_connection_leaves_its_session() {
    for version in VERSIONS {
        let broker = Broker::start().await.unwrap();
        let mut line = Line::lasting(&broker, version, "boat", false).await;
        line.say(&Packet::Publish(exactly_once(1, "x"))).await;
        assert!(matches!(line.next().await, Heard::Ack(AckKind::Pubrec, 1, _)));
        broker.faults().cut();
        line.hears(Heard::Closed).await;
        let mut line = Line::lasting(&broker, version, "boat", true).await;
        line.say(&crate::common::ack(AckKind::Pubrel, 1)).await;
        line.hears(Heard::Ack(AckKind::Pubcomp, 1, Reason::SUCCESS)).await;
        assert_eq!(broker.violations(), []);
    }
}

#[tokio::test]
async fn what_was_ordered_may_be_called_off() {
    let broker = Broker::start().await.unwrap();
    let mut line = Line::client(&broker, Version::V5, "boat").await;
    broker.faults().cut_after_packets(Direction::ToBroker, 1).drop_nth(Direction::ToClient, 1);
    assert!(broker.faults().is_pending());
    broker.faults().clear();
    assert!(!broker.faults().is_pending());
    line.pings().await;
    line.pings().await;
}
