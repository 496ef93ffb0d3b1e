//! A broker that does not read or does not write.

use packetboat_core::wire::{AckKind, Packet, QoS, Reason, Version};
use packetboat_sim::broker::Message;
use packetboat_sim::net::{Broker, Options};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use crate::common::{Heard, VERSIONS, bytes_of, message};
use crate::{LIMIT, Line, idle};

#[tokio::test]
async fn who_does_not_read_does_not_answer() {
    for version in VERSIONS {
        let broker = Broker::start().await.unwrap();
        let mut line = Line::client(&broker, version, "boat").await;
        broker.faults().stop_reading();
        line.say(&Packet::PingReq).await;
        line.is_silent().await;
        // It still writes.
        line.version = version;
        broker.send_raw("boat", &[0xd0, 0]);
        line.hears(Heard::Pong).await;
        broker.faults().resume_reading();
        line.hears(Heard::Pong).await;
    }
}

#[tokio::test]
async fn who_does_not_read_lets_the_socket_fill_up_and_loses_nothing() {
    let broker = Options::new().start().await.unwrap();
    let mut line = Line::client(&broker, Version::V311, "boat").await;
    broker.faults().stop_reading();
    let payload = "x".repeat(1 << 20);
    let publish = Packet::Publish(message(QoS::AtMostOnce, 0, "t", &payload));
    let bytes = bytes_of(Version::V311, &[publish; 32]);
    let mut written = 0;
    while written < bytes.len() {
        match idle(line.stream.write(&bytes[written..])).await {
            Some(count) => written += count.unwrap(),
            None => break,
        }
    }
    assert!(written < bytes.len(), "the socket took {written} bytes");
    assert_eq!(broker.stats().messages_in[0], 0);
    broker.faults().resume_reading();
    timeout(LIMIT, line.stream.write_all(&bytes[written..])).await.unwrap().unwrap();
    line.pings().await;
    assert_eq!(broker.stats().messages_in[0], 32);
}

#[tokio::test]
async fn who_does_not_write_reads() {
    for version in VERSIONS {
        let broker = Options::new().keep_log().start().await.unwrap();
        let mut line = Line::client(&broker, version, "boat").await;
        line.subscribe("t", QoS::AtMostOnce).await;
        broker.faults().stop_writing();
        line.say(&Packet::Publish(message(QoS::AtLeastOnce, 1, "t", "x"))).await;
        line.is_silent().await;
        assert_eq!(broker.accepted("boat").len(), 1);
        broker.faults().resume_writing();
        let (one, other) = (line.next().await, line.next().await);
        assert_eq!(one.message().payload, b"x");
        assert_eq!(other, Heard::Ack(AckKind::Puback, 1, Reason::SUCCESS));
    }
}

#[tokio::test]
async fn a_new_connection_stalls_too() {
    let broker = Broker::start().await.unwrap();
    broker.faults().stop_writing();
    let mut line = Line::open(&broker, Version::V5).await;
    line.say(&Packet::Connect(crate::common::connect(Version::V5, "boat"))).await;
    line.is_silent().await;
    assert_eq!(broker.stats().accepted, 1);
    broker.faults().clear();
    line.is_admitted(false).await;
}

#[tokio::test]
async fn a_cut_reaches_who_is_not_written_to() {
    for version in VERSIONS {
        let broker = Broker::start().await.unwrap();
        let mut line = Line::client(&broker, version, "boat").await;
        line.subscribe("t", QoS::AtMostOnce).await;
        broker.faults().stop_writing();
        broker.publish(Message::new("t", "x", QoS::AtMostOnce));
        // The answer to this one is taken over by the task that writes, and stays there.
        line.say(&Packet::PingReq).await;
        broker.until(|core| core.stats().received(packetboat_core::wire::PacketType::PingReq) == 1).await;
        broker.faults().cut();
        line.hears(Heard::Closed).await;
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut_all_the_same() {
    let broker = Broker::start().await.unwrap();
    let mut line = Line::client(&broker, Version::V311, "boat").await;
    line.subscribe("t", QoS::AtLeastOnce).await;
    for _ in 0..32 {
        broker.publish(Message::new("t", vec![0; 1 << 20], QoS::AtLeastOnce));
    }
    // As much as the sockets take.
    assert_eq!(idle(std::future::pending::<()>()).await, None);
    broker.faults().cut();
    let mut messages = 0;
    while line.next().await != Heard::Closed {
        messages += 1;
    }
    assert!(messages < 32, "{messages}");
}
