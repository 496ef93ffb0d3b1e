//! Start, serve, stop, start again.

use std::time::Duration;

use packetboat_core::wire::{AckKind, Connect, Packet, PacketType, QoS, Reason, Version};
use packetboat_sim::broker::{Config, Message, Refusal};
use packetboat_sim::net::{Broker, Options};
use tokio::net::TcpStream;

use crate::Line;
use crate::common::{
    Heard, VERSIONS, ack, again, at_least_once, bytes_of, connect, exactly_once, goodbye, will,
};

#[tokio::test]
async fn each_broker_has_a_port_of_its_own() {
    let (one, other) = (Broker::start().await.unwrap(), Broker::start().await.unwrap());
    assert_ne!(one.port(), other.port());
    assert_eq!(one.url(), format!("mqtt://127.0.0.1:{}", one.port()));
    Line::client(&one, Version::V5, "boat").await.pings().await;
    assert_eq!((one.stats().accepted, other.stats().connections), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_goes_from_one_client_to_another() {
    let broker = Options::new().keep_log().start().await.unwrap();
    for version in [Version::V31, Version::V311, Version::V5] {
        let mut subscriber = Line::client(&broker, version, "subscriber").await;
        subscriber.subscribe("t", QoS::ExactlyOnce).await;
        let mut publisher = Line::client(&broker, version, "publisher").await;
        publisher.say(&Packet::Publish(exactly_once(7, "x"))).await;
        publisher.hears(Heard::Ack(AckKind::Pubrec, 7, Reason::SUCCESS)).await;
        publisher.say(&ack(AckKind::Pubrel, 7)).await;
        publisher.hears(Heard::Ack(AckKind::Pubcomp, 7, Reason::SUCCESS)).await;
        assert_eq!(subscriber.next().await.message().payload, b"x");
        subscriber.say(&ack(AckKind::Pubrec, 1)).await;
        subscriber.hears(Heard::Ack(AckKind::Pubrel, 1, Reason::SUCCESS)).await;
        subscriber.say(&ack(AckKind::Pubcomp, 1)).await;
        subscriber.pings().await;
        assert_eq!(broker.with(|core, _| core.pending("subscriber")), 0);
    }
    assert_eq!(broker.accepted("publisher").len(), 3);
    assert_eq!(broker.stats().received(PacketType::Publish), 3);
    assert_eq!(broker.stats().sent(PacketType::Pubcomp), 3);
    assert_eq!(broker.violations(), []);
}

#[tokio::test]
async fn packets_may_come_byte_by_byte() {
    use tokio::io::AsyncWriteExt;
    let broker = Broker::start().await.unwrap();
    for version in VERSIONS {
        let mut line = Line::open(&broker, version).await;
        for byte in bytes_of(version, &[Packet::Connect(connect(version, "boat"))]) {
            line.stream.write_all(&[byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
        line.is_admitted(false).await;
        for byte in bytes_of(version, &[Packet::PingReq, Packet::PingReq]) {
            line.stream.write_all(&[byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
        line.hears(Heard::Pong).await;
        line.hears(Heard::Pong).await;
    }
    assert_eq!(broker.violations(), []);
}

#[tokio::test]
async fn a_breach_is_told_recorded_and_the_end() {
    let broker = Broker::start().await.unwrap();
    for version in VERSIONS {
        let mut line = Line::client(&broker, version, "boat").await;
        // Bytes the broker does not read any more must not cost the client its DISCONNECT.
        let packets = [again(at_least_once(1, "x")), Packet::PingReq, Packet::PingReq];
        line.say_all(&packets).await;
        if version == Version::V5 {
            line.hears(Heard::Goodbye(Reason::PROTOCOL_ERROR)).await;
        }
        line.hears(Heard::Closed).await;
    }
    let statements: Vec<&str> = broker.violations().iter().map(|violation| violation.statement).collect();
    assert_eq!(statements, ["MQTT-4.3.2-1", "MQTT-4.3.2-2"]);
    broker.until(|core| core.connection("boat").is_none()).await;
    let stopped = broker.stop().await;
    assert_eq!(stopped.violations().len(), 2);
}

#[tokio::test]
async fn a_lost_socket_is_a_lost_client() {
    let broker = Broker::start().await.unwrap();
    for version in VERSIONS {
        let mut listener = Line::client(&broker, version, "listener").await;
        listener.subscribe("t", QoS::AtMostOnce).await;
        let mut line = Line::open(&broker, version).await;
        line.say(&Packet::Connect(Connect { will: Some(will("t", b"lost")), ..connect(version, "boat") }))
            .await;
        line.is_admitted(false).await;
        drop(line);
        assert_eq!(listener.next().await.message().payload, b"lost");
    }
    assert_eq!(broker.stats().wills, 2);
}

#[tokio::test]
async fn who_connects_again_takes_over() {
    let broker = Broker::start().await.unwrap();
    for version in VERSIONS {
        let mut first = Line::client(&broker, version, "boat").await;
        let mut second = Line::client(&broker, version, "boat").await;
        if version == Version::V5 {
            first.hears(Heard::Goodbye(Reason::SESSION_TAKEN_OVER)).await;
        }
        first.hears(Heard::Closed).await;
        second.pings().await;
    }
    assert_eq!(broker.stats().taken_over, 2);
}

#[tokio::test]
async fn an_administrator_may_end_a_connection() {
    let broker = Broker::start().await.unwrap();
    for version in VERSIONS {
        let mut line = Line::client(&broker, version, "boat").await;
        assert!(broker.kick("boat"));
        assert!(!broker.kick("boat"));
        if version == Version::V5 {
            line.hears(Heard::Goodbye(Reason::ADMINISTRATIVE_ACTION)).await;
        }
        line.hears(Heard::Closed).await;
        let mut line = Line::lasting(&broker, version, "boat", false).await;
        broker.forget("boat");
        line.hears(Heard::Closed).await;
        drop(Line::lasting(&broker, version, "boat", false).await);
        broker.until(|core| core.connection("boat").is_none()).await;
        broker.forget("boat");
    }
}

#[tokio::test]
async fn who_is_not_known_is_not_let_in() {
    let broker = Options::new().credentials("captain", "rum").start().await.unwrap();
    for version in VERSIONS {
        let mut line = Line::open(&broker, version).await;
        line.say(&Packet::Connect(connect(version, "boat"))).await;
        let heard = line.next().await;
        assert!(matches!(heard, Heard::Connack { reason: Reason::BAD_USER_NAME_OR_PASSWORD, .. }));
        line.hears(Heard::Closed).await;
        let mut line = Line::open(&broker, version).await;
        let known = Connect { username: Some("captain"), password: Some(b"rum"), ..connect(version, "boat") };
        line.say(&Packet::Connect(known)).await;
        line.is_admitted(false).await;
    }
    assert_eq!(broker.stats().refused, 2);
}

#[tokio::test]
async fn a_broker_may_speak_one_version_only() {
    let broker = Options::new().versions(&[Version::V311]).start().await.unwrap();
    let mut line = Line::open(&broker, Version::V5).await;
    line.say(&Packet::Connect(connect(Version::V5, "boat"))).await;
    let heard = line.next().await;
    assert!(matches!(heard, Heard::Connack { reason: Reason::UNSUPPORTED_PROTOCOL_VERSION, .. }));
    line.hears(Heard::Closed).await;

    let (versions, wrong_version) = (vec![Version::V311], Refusal::OldShape(1));
    let config = Config { versions, wrong_version, ..Config::default() };
    let broker = Options::new().config(config).start().await.unwrap();
    let mut line = Line::open(&broker, Version::V5).await;
    line.say(&Packet::Connect(connect(Version::V5, "boat"))).await;
    line.version = Version::V311;
    let heard = line.next().await;
    assert!(matches!(heard, Heard::Connack { reason: Reason::UNSUPPORTED_PROTOCOL_VERSION, .. }));
    line.hears(Heard::Closed).await;
}

#[tokio::test]
async fn limits_are_announced() {
    let options = Options::new().receive_maximum(3).maximum_packet_size(1000).seed(7);
    let broker = options.start().await.unwrap();
    let mut line = Line::open(&broker, Version::V5).await;
    line.say(&Packet::Connect(connect(Version::V5, "boat"))).await;
    let Heard::Connack { properties, .. } = line.next().await else { panic!("no CONNACK") };
    let properties = properties.as_properties();
    assert_eq!((properties.receive_maximum(), properties.maximum_packet_size()), (Some(3), Some(1000)));
}

#[tokio::test]
async fn it_starts_again_on_its_port_with_or_without_what_it_had() {
    for version in VERSIONS {
        let mut broker = Broker::start().await.unwrap();
        let port = broker.port();
        broker.publish(Message::new("kept", "x", QoS::AtMostOnce).retain());
        let mut line = Line::lasting(&broker, version, "boat", false).await;
        line.subscribe("t", QoS::AtLeastOnce).await;
        for keep in [true, false] {
            broker.publish(Message::new("t", "x", QoS::AtLeastOnce));
            assert_eq!(line.next().await.message().payload, b"x");
            let stopped = broker.stop().await;
            line.hears(Heard::Closed).await;
            assert!(TcpStream::connect(("127.0.0.1", stopped.port())).await.is_err(), "nobody listens");
            broker = stopped.restart(keep).await.unwrap();
            assert_eq!(broker.port(), port);
            line = Line::lasting(&broker, version, "boat", keep).await;
            if keep {
                let got = line.next().await;
                assert!(got.message().dup);
                line.say(&ack(AckKind::Puback, got.message().id.unwrap())).await;
            }
            line.pings().await;
            assert_eq!(broker.with(|core, _| core.retained("kept").is_some()), keep);
        }
        assert_eq!(broker.stats().resumed, 1, "counts go on");
        assert_eq!(broker.violations(), []);
    }
}

#[tokio::test]
async fn a_broker_that_is_dropped_is_gone() {
    let broker = Broker::start().await.unwrap();
    let port = broker.port();
    let mut line = Line::client(&broker, Version::V5, "boat").await;
    drop(broker);
    line.hears(Heard::Closed).await;
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
}

#[tokio::test]
async fn a_port_that_is_taken_is_an_error() {
    let broker = Broker::start().await.unwrap();
    let error = Options::new().port(broker.port()).start().await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
}

#[tokio::test(start_paused = true)]
async fn silence_ends_after_one_and_a_half_intervals() {
    let broker = Broker::start().await.unwrap();
    for version in VERSIONS {
        let mut line = Line::open(&broker, version).await;
        line.say(&Packet::Connect(Connect { keep_alive: 4, ..connect(version, "boat") })).await;
        line.is_admitted(false).await;
        let start = tokio::time::Instant::now();
        if version == Version::V5 {
            line.hears(Heard::Goodbye(Reason::KEEP_ALIVE_TIMEOUT)).await;
        }
        line.hears(Heard::Closed).await;
        let passed = start.elapsed();
        assert!(passed >= Duration::from_secs(6) && passed < Duration::from_millis(6_010), "{passed:?}");
    }
    assert_eq!(broker.stats().silent, 2);
    assert_eq!(broker.violations(), []);
}

#[tokio::test(start_paused = true)]
async fn who_does_not_connect_or_does_not_leave_is_put_out() {
    let broker = Broker::start().await.unwrap();
    let start = tokio::time::Instant::now();
    let mut line = Line::open(&broker, Version::V5).await;
    line.hears(Heard::Closed).await;
    assert_eq!(start.elapsed().as_secs(), 10);
    drop(line);

    let mut line = Line::client(&broker, Version::V5, "boat").await;
    let start = tokio::time::Instant::now();
    line.say(&goodbye(Reason::NORMAL_DISCONNECTION)).await;
    line.hears(Heard::Closed).await;
    assert_eq!(start.elapsed().as_secs(), 10);
    assert_eq!(broker.violations(), []);
}
