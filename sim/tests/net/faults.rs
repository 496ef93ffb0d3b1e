//! Refusals, delays, and packets that vanish.

use std::time::Duration;

use packetboat_core::wire::{AckKind, Packet, PacketType, QoS, Reason, Version};
use packetboat_sim::broker::{Direction, Message, Refusal};
use packetboat_sim::net::{Broker, Options};

use crate::Line;
use crate::common::{Heard, VERSIONS, ack, again, at_least_once, connect, exactly_once, filter, subscribe};

/// The answer to a PUBLISH that nobody listens to.
fn puback(version: Version, id: u16) -> Heard {
    let reason = if version == Version::V5 { Reason::NO_MATCHING_SUBSCRIBERS } else { Reason::SUCCESS };
    Heard::Ack(AckKind::Puback, id, reason)
}

#[tokio::test]
async fn connections_are_refused_by_code_or_without_a_word() {
    for version in VERSIONS {
        let broker = Broker::start().await.unwrap();
        broker.faults().refuse(2, Refusal::Code(Reason::SERVER_UNAVAILABLE)).refuse(1, Refusal::Close);
        for _ in 0..2 {
            let mut line = Line::open(&broker, version).await;
            line.say(&Packet::Connect(connect(version, "boat"))).await;
            let heard = line.next().await;
            assert!(matches!(heard, Heard::Connack { reason: Reason::SERVER_UNAVAILABLE, .. }), "{heard:?}");
            line.hears(Heard::Closed).await;
        }
        assert!(broker.faults().is_pending());
        let mut line = Line::open(&broker, version).await;
        line.say(&Packet::Connect(connect(version, "boat"))).await;
        line.hears(Heard::Closed).await;
        assert!(!broker.faults().is_pending());
        Line::client(&broker, version, "boat").await.pings().await;
        assert_eq!((broker.stats().refused, broker.stats().accepted), (3, 1));
    }
}

#[tokio::test]
async fn only_one_client_may_be_disturbed() {
    let broker = Broker::start().await.unwrap();
    broker.faults().only(Some("unlucky")).refuse(1, Refusal::Close);
    Line::client(&broker, Version::V5, "lucky").await;
    let mut line = Line::open(&broker, Version::V5).await;
    line.say(&Packet::Connect(connect(Version::V5, "unlucky"))).await;
    line.hears(Heard::Closed).await;
}

#[tokio::test(start_paused = true)]
async fn answers_are_late() {
    let delay = Duration::from_secs(3);
    for version in VERSIONS {
        let broker = Broker::start().await.unwrap();
        broker.faults().delay_answers(delay);
        let filters = filter("elsewhere", QoS::AtMostOnce);
        let start = tokio::time::Instant::now();
        let mut line = Line::client(&broker, version, "boat").await;
        assert_eq!(start.elapsed().as_secs(), 3);
        for packet in [
            Packet::Publish(at_least_once(1, "x")),
            Packet::Publish(exactly_once(2, "x")),
            ack(AckKind::Pubrel, 2),
            subscribe(3, &filters),
        ] {
            let start = tokio::time::Instant::now();
            line.say(&packet).await;
            line.next().await;
            assert_eq!(start.elapsed().as_secs(), 3, "{packet:?}");
        }
        broker.faults().clear();
        let start = tokio::time::Instant::now();
        line.say(&Packet::Publish(at_least_once(4, "x"))).await;
        line.hears(puback(version, 4)).await;
        assert_eq!(start.elapsed().as_secs(), 0);
        assert_eq!(broker.violations(), []);
    }
}

#[tokio::test(start_paused = true)]
async fn a_configured_delay_is_kept() {
    let broker = Options::new().answer_delay(Duration::from_millis(700)).start().await.unwrap();
    let mut line = Line::client(&broker, Version::V311, "boat").await;
    let start = tokio::time::Instant::now();
    line.say(&Packet::Publish(at_least_once(1, "x"))).await;
    line.hears(puback(Version::V311, 1)).await;
    assert!(start.elapsed() >= Duration::from_millis(699), "{:?}", start.elapsed());
}

#[tokio::test]
async fn the_nth_packet_to_the_broker_vanishes() {
    for version in VERSIONS {
        let broker = Options::new().keep_log().start().await.unwrap();
        let mut line = Line::client(&broker, version, "boat").await;
        broker.faults().drop_nth(Direction::ToBroker, 2);
        line.say_all(&[1, 2, 3].map(|id| Packet::Publish(at_least_once(id, "x")))).await;
        line.hears(puback(version, 1)).await;
        line.hears(puback(version, 3)).await;
        line.pings().await;
        let taken: Vec<_> = broker.accepted("boat").iter().map(|taken| taken.id).collect();
        assert_eq!(taken, [Some(1), Some(3)]);
        assert!(!broker.faults().is_pending());
    }
}

#[tokio::test]
async fn the_nth_packet_to_the_client_vanishes_and_comes_again() {
    for version in VERSIONS {
        let broker = Broker::start().await.unwrap();
        let mut line = Line::lasting(&broker, version, "boat", false).await;
        line.subscribe("t", QoS::AtLeastOnce).await;
        broker.faults().drop_nth(Direction::ToClient, 2);
        for payload in ["1", "2", "3"] {
            broker.publish(Message::new("t", payload, QoS::AtLeastOnce));
        }
        for (payload, id) in [(b"1", 1), (b"3", 3)] {
            let heard = line.next().await;
            assert_eq!((&heard.message().payload[..], heard.message().id), (&payload[..], Some(id)));
            line.say(&ack(AckKind::Puback, id)).await;
        }
        line.pings().await;
        drop(line);
        broker.until(|core| core.connection("boat").is_none()).await;
        let mut line = Line::lasting(&broker, version, "boat", true).await;
        let heard = line.next().await;
        assert_eq!((&heard.message().payload[..], heard.message().dup), (&b"2"[..], true));
        assert_eq!(broker.violations(), []);
    }
}

#[tokio::test]
async fn packets_of_a_kind_vanish_until_the_count_is_up() {
    let broker = Broker::start().await.unwrap();
    let mut line = Line::client(&broker, Version::V5, "boat").await;
    broker.faults().drop_next(Direction::ToBroker, PacketType::Publish, 2);
    line.say_all(&[1, 2].map(|id| Packet::Publish(at_least_once(id, "x")))).await;
    line.pings().await;
    line.say(&Packet::Publish(at_least_once(3, "x"))).await;
    line.hears(puback(Version::V5, 3)).await;
}

#[tokio::test]
async fn connack_is_swallowed() {
    for version in VERSIONS {
        let broker = Broker::start().await.unwrap();
        broker.faults().swallow(PacketType::Connack);
        let mut line = Line::open(&broker, version).await;
        line.say(&Packet::Connect(connect(version, "boat"))).await;
        broker.until(|core| core.connection("boat").is_some()).await;
        line.is_silent().await;
        assert_eq!(broker.stats().sent(PacketType::Connack), 0);
        broker.faults().clear();
        Line::client(&broker, version, "boat").await.pings().await;
    }
}

#[tokio::test]
async fn answers_are_swallowed() {
    let filters = filter("elsewhere", QoS::AtMostOnce);
    for version in VERSIONS {
        for (kind, packets) in [
            (PacketType::Puback, vec![Packet::Publish(at_least_once(1, "x"))]),
            (PacketType::Pubrec, vec![Packet::Publish(exactly_once(1, "x"))]),
            (PacketType::Suback, vec![subscribe(1, &filters)]),
        ] {
            let broker = Broker::start().await.unwrap();
            let mut line = Line::client(&broker, version, "boat").await;
            broker.faults().swallow(kind);
            // PINGRESP comes behind the answer that does not.
            line.say_all(&packets).await;
            line.pings().await;
            assert_eq!(broker.stats().sent(kind), 0);
        }
        let broker = Broker::start().await.unwrap();
        let mut line = Line::client(&broker, version, "boat").await;
        broker.faults().swallow(PacketType::PingResp);
        line.say_all(&[Packet::PingReq, Packet::Publish(at_least_once(1, "x"))]).await;
        line.hears(puback(version, 1)).await;
    }
}

#[tokio::test]
async fn a_swallowed_pubcomp_may_be_asked_for_again() {
    for version in VERSIONS {
        let broker = Broker::start().await.unwrap();
        let mut line = Line::lasting(&broker, version, "boat", false).await;
        broker.faults().swallow(PacketType::Pubcomp);
        line.say(&Packet::Publish(exactly_once(1, "x"))).await;
        line.next().await;
        line.say(&ack(AckKind::Pubrel, 1)).await;
        line.pings().await;
        broker.faults().clear().cut();
        line.hears(Heard::Closed).await;
        let mut line = Line::lasting(&broker, version, "boat", true).await;
        line.say(&ack(AckKind::Pubrel, 1)).await;
        assert!(matches!(line.next().await, Heard::Ack(AckKind::Pubcomp, 1, _)));
        assert_eq!(broker.violations(), []);
    }
}

#[tokio::test]
async fn a_swallowed_puback_may_be_asked_for_again() {
    for version in VERSIONS {
        let broker = Options::new().keep_log().start().await.unwrap();
        let mut line = Line::lasting(&broker, version, "boat", false).await;
        broker.faults().swallow(PacketType::Puback);
        line.say(&Packet::Publish(at_least_once(1, "x"))).await;
        line.pings().await;
        broker.faults().clear().cut();
        line.hears(Heard::Closed).await;
        let mut line = Line::lasting(&broker, version, "boat", true).await;
        line.say(&again(at_least_once(1, "x"))).await;
        line.hears(puback(version, 1)).await;
        assert_eq!(broker.accepted("boat").iter().map(|taken| taken.dup).collect::<Vec<_>>(), [false, true]);
        assert_eq!(broker.violations(), []);
    }
}

#[tokio::test]
async fn bytes_no_honest_broker_sends_are_sent() {
    use tokio::io::AsyncReadExt;
    let broker = Broker::start().await.unwrap();
    for version in VERSIONS {
        let mut line = Line::client(&broker, version, "boat").await;
        assert!(broker.send_raw("boat", b"\xff\x00not a packet"));
        let mut bytes = [0; 14];
        tokio::time::timeout(crate::LIMIT, line.stream.read_exact(&mut bytes)).await.unwrap().unwrap();
        assert_eq!(&bytes, b"\xff\x00not a packet");
        line.pings().await;
    }
    assert!(!broker.send_raw("nobody", b"x"));
}
