//! Looking at packets: handlers, the log, and what neither may tell.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]

mod common;

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use common::{VERSIONS, next, options};
use packetboat::{Client, Direction, Packet, PacketType, PropertiesBuf, QoS, Will};
use packetboat_sim::broker::Config;
use packetboat_sim::net::{self, Broker};

/// A log to read again.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_packet_log_tells_every_packet_and_no_secret() {
    let broker = Broker::start().await.unwrap();
    for version in VERSIONS {
        let log = Log::default();
        let mut properties = PropertiesBuf::new();
        properties.correlation_data(b"hush").unwrap().user_property("token", "hush").unwrap();
        let will = Will {
            topic: "will".into(),
            payload: b"hush".to_vec(),
            qos: QoS::AtLeastOnce,
            retain: true,
            properties: PropertiesBuf::new(),
        };
        let options = options(&broker.url())
            .version(version)
            .client_id("logged")
            .username("hush-user")
            .password("hush-word")
            .will(will)
            .packet_log(log.clone());
        let client = Client::connect(options).await.unwrap();
        let mut stream = client.subscribe("a/#").await.unwrap();
        let publish = client.publish("a/b", "hush").qos(QoS::ExactlyOnce).retain(true);
        publish.properties(properties).drop_properties(true).await.unwrap();
        next(&mut stream).await;
        client.disconnect().await.unwrap();
        let text = log.text();
        assert!(!text.contains("hush"), "{text}");
        let kinds = ["sent CONNECT", "received CONNACK Success", "sent SUBSCRIBE id", "received SUBACK id"];
        let kinds = kinds.into_iter().chain(["sent PUBLISH id", "received PUBREC id", "sent PUBREL id"]);
        let kinds = kinds.chain(["received PUBCOMP id", "received PUBLISH id", "sent DISCONNECT"]);
        for kind in kinds {
            assert!(text.contains(kind), "{kind}: {text}");
        }
        assert!(text.contains("client id \"logged\"") && text.contains("user name ***"), "{text}");
        assert!(
            text.contains("QoS 2, retain, topic \"a/b\"") && text.contains("payload of 4 bytes"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn handlers_see_what_passes_whole_however_large_it_is() {
    let config = Config { maximum_packet_size: 10_000_000, ..Config::default() };
    let broker = net::Options::new().config(config).start().await.unwrap();
    let seen: Arc<Mutex<Vec<(Direction, PacketType, usize)>>> = Arc::default();
    let payloads = Arc::new(Mutex::new(Vec::new()));
    let (of_all, of_contents) = (seen.clone(), payloads.clone());
    let options = options(&broker.url())
        .on_packet(move |packet| {
            of_all.lock().unwrap().push((packet.direction, packet.kind, packet.size));
        })
        .on_packet(move |packet| {
            if let (Direction::Sent, Some(Packet::Publish(publish))) = (packet.direction, packet.packet) {
                of_contents.lock().unwrap().push(publish.payload.to_vec());
            }
        });
    let client = Client::connect(options).await.unwrap();
    let mut stream = client.subscribe("a").await.unwrap();
    for size in [0, 100, 20_000, 3_000_000] {
        client.publish("a", vec![b'x'; size]).qos(QoS::AtLeastOnce).await.unwrap();
        assert_eq!(next(&mut stream).await.payload().len(), size);
    }
    client.disconnect().await.unwrap();
    let sizes: Vec<usize> = payloads.lock().unwrap().iter().map(Vec::len).collect();
    assert_eq!(sizes, [0, 100, 20_000], "contents above 64 KiB are not gathered");
    let seen = seen.lock().unwrap();
    for direction in [Direction::Sent, Direction::Received] {
        let publishes =
            seen.iter().filter(|(way, kind, _)| *way == direction && *kind == PacketType::Publish);
        let sizes: Vec<usize> = publishes.map(|(.., size)| *size).collect();
        assert_eq!(sizes.len(), 4, "{direction:?} {seen:?}");
        assert!(sizes[3] > 3_000_000, "{sizes:?}");
    }
    assert_eq!(seen.first().map(|(.., kind, _)| *kind), Some(PacketType::Connect));
    assert_eq!(seen.last().map(|(.., kind, _)| *kind), Some(PacketType::Disconnect));
}
