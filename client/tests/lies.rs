//! A broker that lies is told which rule it broke, costs bounded memory, and is recovered from.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]

mod common;

use std::time::Duration;

use common::{ALL_QOS, LONG, VERSIONS, connected, disconnected, options, within};
use packetboat::{
    Attempt, Cause, Client, Dialing, Disconnection, Io, Options, QoS, Reason, SessionMode, Stage, Transport,
    VersionChoice,
};
use packetboat_core::wire::PacketType;
use packetboat_sim::net::{self, Broker};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

const LIAR: &str = "victim";

fn lasting(broker: &Broker, version: VersionChoice) -> Options {
    let session = SessionMode::Persistent { expiry: Duration::from_mins(1) };
    options(&broker.url()).client_id(LIAR).version(version).session(session).maximum_packet_size(10_000)
}

/// The client is told of this breach, the broker of this reason (5.0), and the next connection is as good as new.
async fn caught(broker: &Broker, client: &Client, lie: &[u8], reason: Reason) {
    let mut events = client.events();
    assert!(broker.send_raw(LIAR, lie));
    let cause = disconnected(&mut events).await;
    assert!(
        matches!(&cause, Disconnection::Ended(Cause::Breach(breach)) if breach.reason == reason),
        "{lie:x?}: {cause:?}"
    );
    connected(&mut events).await;
    if client.version() == packetboat::Version::V5 {
        assert_eq!(broker.with(|core, _| core.farewell(LIAR)), Some(reason), "{lie:x?}");
    }
}

// Spec 5.0: MQTT-4.13.1-1
#[tokio::test]
async fn each_lie_is_answered_with_its_reason_and_survived() {
    use Reason as R;
    let broker = Broker::start().await.unwrap();
    let client = Client::connect(lasting(&broker, VersionChoice::V5)).await.unwrap();
    let lies: [(&[u8], Reason); 26] = [
        (&[0x40, 2, 3, 0xe7], R::PROTOCOL_ERROR), // PUBACK of an identifier never used
        (&[0x90, 4, 3, 0xe7, 0, 0], R::PROTOCOL_ERROR), // SUBACK
        (&[0xb0, 4, 3, 0xe7, 0, 0], R::PROTOCOL_ERROR), // UNSUBACK
        (&[0x20, 3, 0, 0, 0], R::PROTOCOL_ERROR), // a second CONNACK
        (&[0x20, 3, 1, 0, 0], R::PROTOCOL_ERROR), // and with session present
        (&[0xc0, 0], R::PROTOCOL_ERROR),          // what only clients send
        (&[0x82, 7, 0, 1, 0, 0, 1, b'a', 0], R::PROTOCOL_ERROR),
        (&[0xf0, 0], R::PROTOCOL_ERROR), // AUTH uninvited
        (&[0x30, 7, 0, 1, b't', 3, 0x23, 0, 0], R::PROTOCOL_ERROR), // alias 0
        (&[0x30, 7, 0, 1, b't', 3, 0x23, 0, 17], R::TOPIC_ALIAS_INVALID),
        (&[0x30, 6, 0, 0, 3, 0x23, 0, 5], R::PROTOCOL_ERROR), // an alias that stands for nothing
        (&[0x30, 3, 0, 0, 0], R::PROTOCOL_ERROR),             // neither topic nor alias
        (&[0x30, 6, 0, 1, b't', 2, 0x0b, 0], R::PROTOCOL_ERROR), // subscription identifier 0
        (&[0x30, 8, 0, 1, b't', 4, 1, 0, 1, 0], R::PROTOCOL_ERROR), // a property twice
        (&[0x30, 7, 0, 1, b't', 3, 0x13, 0, 5], R::MALFORMED_PACKET), // a property of CONNACK
        (&[0x30, 6, 0, 1, b't', 2, 0x7f, 0], R::MALFORMED_PACKET), // a property of nobody
        (&[0x30, 5, 0, 1, b't', 9, 0], R::MALFORMED_PACKET),  // properties past the end
        (&[0x30, 4, 0, 1, b'#', 0], R::MALFORMED_PACKET),     // a wildcard in a topic
        (&[0x30, 4, 0, 1, 0xff, 0], R::MALFORMED_PACKET),     // no UTF-8
        (&[0x32, 6, 0, 1, b't', 0, 0, 0], R::MALFORMED_PACKET), // identifier 0
        (&[0x36, 6, 0, 1, b't', 0, 1, 0], R::MALFORMED_PACKET), // QoS 3
        (&[0x30, 0xff, 0xff, 0xff, 0x7f], R::PACKET_TOO_LARGE), // 256 MiB
        (&[0x30, 0xff, 0xff, 0xff, 0xff], R::MALFORMED_PACKET), // a length of five bytes
        (&[0xd0, 0x80, 0], R::MALFORMED_PACKET),              // a length that is not minimal
        (&[0xe1, 0], R::MALFORMED_PACKET),                    // reserved flags
        (&[0, 0], R::MALFORMED_PACKET),                       // type 0
    ];
    for (lie, reason) in lies {
        caught(&broker, &client, lie, reason).await;
        client.publish("still", "alive").qos(QoS::AtLeastOnce).await.unwrap();
    }
    client.disconnect().await.unwrap();
    assert!(broker.violations().is_empty(), "{:?}", broker.violations());
}

// Spec 3.1.1: MQTT-4.8.0-1 MQTT-2.3.1-7 MQTT-3.8.4-2
#[tokio::test]
async fn on_3_1_1_each_lie_ends_the_connection_and_is_survived() {
    let broker = Broker::start().await.unwrap();
    let client = Client::connect(lasting(&broker, VersionChoice::V311)).await.unwrap();
    let lies: [(&[u8], Reason); 10] = [
        (&[0x40, 2, 3, 0xe7], Reason::PROTOCOL_ERROR),
        (&[0x90, 3, 3, 0xe7, 0], Reason::PROTOCOL_ERROR),
        (&[0xb0, 2, 3, 0xe7], Reason::PROTOCOL_ERROR),
        (&[0x20, 2, 0, 0], Reason::PROTOCOL_ERROR),
        (&[0xc0, 0], Reason::PROTOCOL_ERROR),
        (&[0xe0, 0], Reason::PROTOCOL_ERROR),
        (&[0xf0, 0], Reason::MALFORMED_PACKET),
        (&[0x32, 5, 0, 1, b't', 0, 0], Reason::MALFORMED_PACKET),
        (&[0x36, 5, 0, 1, b't', 0, 1], Reason::MALFORMED_PACKET),
        (&[0x30, 0xff, 0xff, 0xff, 0xff], Reason::MALFORMED_PACKET),
    ];
    for (lie, reason) in lies {
        caught(&broker, &client, lie, reason).await;
        client.publish("still", "alive").qos(QoS::AtLeastOnce).await.unwrap();
    }
    client.disconnect().await.unwrap();
    assert!(broker.violations().is_empty(), "{:?}", broker.violations());
}

#[tokio::test]
async fn the_wrong_answer_loses_no_message() {
    for version in VERSIONS {
        for (qos, swallowed, wrong) in [
            (QoS::AtLeastOnce, PacketType::Puback, [0x50, 2, 0, 1]),
            (QoS::AtLeastOnce, PacketType::Puback, [0x70, 2, 0, 1]),
            (QoS::ExactlyOnce, PacketType::Pubrec, [0x40, 2, 0, 1]),
            (QoS::ExactlyOnce, PacketType::Pubrec, [0x70, 2, 0, 1]),
        ] {
            let broker = net::Options::new().keep_log().start().await.unwrap();
            let client = Client::connect(lasting(&broker, version)).await.unwrap();
            broker.faults().swallow(swallowed);
            let receipt = client.publish("a", "kept").qos(qos).enqueue().await.unwrap();
            within(LONG, broker.until(|core| !core.accepted(LIAR).is_empty())).await;
            broker.faults().clear();
            caught(&broker, &client, &wrong, Reason::PROTOCOL_ERROR).await;
            within(LONG, receipt).await.unwrap();
            client.disconnect().await.unwrap();
            if qos == QoS::ExactlyOnce {
                assert_eq!(broker.accepted(LIAR).len(), 1, "{version:?}");
            }
        }
    }
}

#[tokio::test]
async fn answers_in_any_order_are_answers() {
    for version in VERSIONS {
        let broker = Broker::start().await.unwrap();
        let client = Client::connect(lasting(&broker, version)).await.unwrap();
        broker.faults().swallow(PacketType::Puback);
        let mut receipts = Vec::new();
        for payload in ["1", "2", "3"] {
            receipts.push(client.publish("a", payload).qos(QoS::AtLeastOnce).enqueue().await.unwrap());
        }
        client.flush().await.unwrap();
        broker.send_raw(LIAR, &[0x40, 2, 0, 3, 0x40, 2, 0, 1, 0x40, 2, 0, 2]);
        for receipt in receipts {
            within(LONG, receipt).await.unwrap();
        }
        broker.faults().clear();
        client.publish("a", "4").qos(QoS::ExactlyOnce).await.unwrap();
        client.disconnect().await.unwrap();
    }
}

#[tokio::test]
async fn a_receipt_that_is_dropped_late_leaves_the_next_message_in_its_place_alone() {
    let broker = Broker::start().await.unwrap();
    let client = Client::connect(lasting(&broker, VersionChoice::V5)).await.unwrap();
    broker.faults().swallow(PacketType::Puback);
    let publish = |payload| client.publish("a", payload).qos(QoS::AtLeastOnce).enqueue();
    let (first, second) = (publish("1").await.unwrap(), publish("2").await.unwrap());
    client.flush().await.unwrap();
    // The first one's is missing, so that this one's owner has to ask.
    broker.send_raw(LIAR, &[0x40, 2, 0, 2]);
    let acknowledged = async {
        while second.stage() != Stage::Acknowledged {
            tokio::task::yield_now().await;
        }
    };
    within(LONG, acknowledged).await;
    let third = publish("3").await.unwrap();
    client.flush().await.unwrap();
    let id = third.packet_id().unwrap().to_be_bytes();
    let waiting = tokio::spawn(third);
    tokio::task::yield_now().await;
    drop(second);
    broker.send_raw(LIAR, &[0x40, 2, id[0], id[1], 0x40, 2, 0, 1]);
    within(LONG, waiting).await.unwrap().unwrap();
    within(LONG, first).await.unwrap();
}

/// The first connection gets this instead of CONNACK, the next ones get what they ask for.
async fn liar_at_the_door(lie: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("mqtt://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut bytes = [0; 1024];
        let (mut first, _) = listener.accept().await.unwrap();
        let _ = first.read(&mut bytes).await;
        let _ = first.write_all(lie).await;
        while first.read(&mut bytes).await.is_ok_and(|count| count > 0) {}
        let (mut second, _) = listener.accept().await.unwrap();
        let _ = second.read(&mut bytes).await;
        let _ = second.write_all(&[0x20, 3, 0, 0, 0]).await;
        while second.read(&mut bytes).await.is_ok_and(|count| count > 0) {}
    });
    url
}

// Spec 5.0: MQTT-3.2.0-1
#[tokio::test]
async fn what_comes_before_connack_ends_the_attempt_and_the_next_one_succeeds() {
    let lies: [&[u8]; 8] = [
        &[0x30, 4, 0, 1, b't', 0],
        &[0x32, 6, 0, 1, b't', 0, 1, 0],
        &[0x40, 2, 0, 1],
        &[0x90, 4, 0, 1, 0, 0],
        &[0xd0, 0],
        &[0xe0, 2, 0x8b, 0],
        &[0xf0, 0],
        &[0x20, 3, 2, 0, 0],
    ];
    for lie in lies {
        let client = Client::start(options(&liar_at_the_door(lie).await).version(VersionChoice::V5)).unwrap();
        let mut events = client.events();
        let cause = disconnected(&mut events).await;
        assert!(
            matches!(cause, Disconnection::Failed(_) | Disconnection::Ended(Cause::Breach(_))),
            "{cause:?}"
        );
        connected(&mut events).await;
        client.disconnect().await.unwrap();
    }
}

/// Pipes of this capacity; the other ends go where the test can have them.
struct Pipes(usize, mpsc::UnboundedSender<DuplexStream>);

impl Transport for Pipes {
    fn dial(&self, _: &Attempt) -> Dialing {
        let (ours, theirs) = tokio::io::duplex(self.0);
        let sent = self.1.send(theirs);
        Box::pin(async move {
            sent.map_err(std::io::Error::other)?;
            Ok(Box::new(ours) as Box<dyn Io>)
        })
    }
}

/// Connected through a pipe, with the broker's end.
async fn through_a_pipe(capacity: usize, version: VersionChoice) -> (Client, DuplexStream) {
    let (sender, mut pipes) = mpsc::unbounded_channel();
    let options = options("mqtt://inside").version(version).transport(Pipes(capacity, sender));
    let client = Client::start(options).unwrap();
    let mut pipe = pipes.recv().await.unwrap();
    let mut head = [0; 2];
    pipe.read_exact(&mut head).await.unwrap();
    let mut rest = vec![0; usize::from(head[1])];
    pipe.read_exact(&mut rest).await.unwrap();
    let connack: &[u8] = if version == VersionChoice::V5 { &[0x20, 3, 0, 0, 0] } else { &[0x20, 2, 0, 0] };
    pipe.write_all(connack).await.unwrap();
    connected(&mut client.events()).await;
    (client, pipe)
}

/// Each packet demands an answer that the broker does not read.
#[tokio::test(start_paused = true)]
async fn a_million_packets_that_ask_for_answers_nobody_reads_are_not_taken_in() {
    for version in VERSIONS {
        for packet in [&[0x62_u8, 2, 0, 7][..], &[0x50, 2, 0, 7]] {
            let (client, mut pipe) = through_a_pipe(4096, version).await;
            let flood = packet.repeat(1_000_000);
            let mut taken = 0;
            // Ends when the client stops reading: then only the clock moves.
            while let Ok(written) =
                tokio::time::timeout(Duration::from_millis(100), pipe.write(&flood[taken..])).await
            {
                taken += written.unwrap();
                assert!(taken < 1_000_000, "the client takes in everything");
            }
            drop(pipe);
            drop(client);
        }
    }
}

/// Packets that ask for nothing cost nothing, as many as there are.
#[tokio::test]
async fn a_million_tiny_packets_are_read_and_forgotten() {
    for version in VERSIONS {
        let (client, mut pipe) = through_a_pipe(4096, version).await;
        let publish: &[u8] =
            if version == VersionChoice::V5 { &[0x30, 4, 0, 1, b't', 0] } else { &[0x30, 3, 0, 1, b't'] };
        let flood = [publish, &[0xd0, 0]].concat().repeat(1_000);
        within(Duration::from_mins(1), async {
            for _ in 0..500 {
                pipe.write_all(&flood).await.unwrap();
            }
            // It is alive behind them all.
            pipe.write_all(&[0x62, 2, 0, 7]).await.unwrap();
            let mut answer = [0; 2];
            pipe.read_exact(&mut answer).await.unwrap();
            assert_eq!(answer[0], 0x70);
        })
        .await;
        drop(client);
    }
}

#[tokio::test]
async fn one_byte_at_a_time_is_as_good_as_all_at_once() {
    for version in VERSIONS {
        let broker = Broker::start().await.unwrap();
        let (sender, mut pipes) = mpsc::unbounded_channel();
        let port = broker.port();
        tokio::spawn(async move {
            while let Some(mut pipe) = pipes.recv().await {
                let mut socket = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                tokio::spawn(async move { tokio::io::copy_bidirectional(&mut pipe, &mut socket).await });
            }
        });
        let options = options("mqtt://inside").version(version).transport(Pipes(1, sender));
        let client = Client::connect(options).await.unwrap();
        let mut stream = client.subscribe("slow/#").await.unwrap();
        for qos in ALL_QOS {
            for size in [0, 1, 130, 3_000] {
                client.publish("slow/a", vec![b'x'; size]).qos(qos).await.unwrap();
                assert_eq!(common::next(&mut stream).await.payload().len(), size);
            }
        }
        client.disconnect().await.unwrap();
        assert!(broker.violations().is_empty(), "{:?}", broker.violations());
    }
}
