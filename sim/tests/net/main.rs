//! The strict broker on a real socket, with clients that are nothing but a socket and the wire format.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]

#[path = "../common/mod.rs"]
mod common;
mod cuts;
mod faults;
mod life;
mod stalls;

use std::time::Duration;

use packetboat_core::wire::{Connect, Packet, Properties, PropertiesBuf, QoS, Reason, Version};
use packetboat_sim::net::Broker;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use common::{Heard, bytes_of, connect, filter, subscribe, take_packets};

/// Nothing here takes so long, on a paused clock or on a real one.
const LIMIT: Duration = Duration::from_secs(40);

/// A client's connection.
struct Line {
    stream: TcpStream,
    version: Version,
    bytes: Vec<u8>,
    heard: std::collections::VecDeque<Heard>,
}

impl Line {
    async fn open(broker: &Broker, version: Version) -> Self {
        let stream = TcpStream::connect(broker.address()).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, version, bytes: Vec::new(), heard: std::collections::VecDeque::new() }
    }

    /// A clean client, let in.
    async fn client(broker: &Broker, version: Version, client: &str) -> Self {
        let mut line = Self::open(broker, version).await;
        line.say(&Packet::Connect(connect(version, client))).await;
        line.is_admitted(false).await;
        line
    }

    /// A client whose session lasts, and whether it was there.
    async fn lasting(broker: &Broker, version: Version, client: &str, present: bool) -> Self {
        let mut lasting = PropertiesBuf::new();
        lasting.session_expiry_interval(60);
        let properties = if version == Version::V5 { lasting.as_properties() } else { Properties::EMPTY };
        let mut line = Self::open(broker, version).await;
        line.say(&Packet::Connect(Connect { clean_start: false, properties, ..connect(version, client) }))
            .await;
        line.is_admitted(present).await;
        line
    }

    async fn is_admitted(&mut self, expected: bool) {
        match self.next().await {
            Heard::Connack { present, reason: Reason::SUCCESS, .. } => assert_eq!(present, expected),
            other => panic!("{other:?}"),
        }
    }

    async fn say(&mut self, packet: &Packet<'_>) {
        self.say_all(std::slice::from_ref(packet)).await;
    }

    async fn say_all(&mut self, packets: &[Packet<'_>]) {
        self.stream.write_all(&bytes_of(self.version, packets)).await.unwrap();
    }

    async fn subscribe(&mut self, text: &str, qos: QoS) {
        let filters = filter(text, qos);
        self.say(&subscribe(999, &filters)).await;
        assert_eq!(self.next().await, Heard::Granted(999, vec![qos as u8]));
    }

    /// The next packet, or the end of the connection.
    async fn next(&mut self) -> Heard {
        loop {
            if let Some(heard) = self.heard.pop_front() {
                return heard;
            }
            let mut buffer = [0; 4096];
            match timeout(LIMIT, self.stream.read(&mut buffer)).await.expect("nothing came") {
                Ok(0) | Err(_) => return Heard::Closed,
                Ok(count) => self.bytes.extend_from_slice(&buffer[..count]),
            }
            self.heard.extend(take_packets(self.version, &mut self.bytes));
        }
    }

    async fn hears(&mut self, expected: Heard) {
        assert_eq!(self.next().await, expected);
    }

    /// The broker lives and answers: whatever it had to say before has been said.
    async fn pings(&mut self) {
        self.say(&Packet::PingReq).await;
        self.hears(Heard::Pong).await;
    }

    /// Nothing comes for a while.
    async fn is_silent(&mut self) {
        let mut byte = [0];
        assert!(self.heard.is_empty(), "{:?}", self.heard);
        let read = idle(self.stream.read(&mut byte)).await;
        assert!(read.is_none(), "{read:?} {byte:?}");
    }
}

/// Do this until nothing moves any more: on a paused clock time passes only when nobody has anything to do.
async fn idle<T>(work: impl Future<Output = T>) -> Option<T> {
    tokio::time::pause();
    let done = timeout(Duration::from_secs(5), work).await.ok();
    tokio::time::resume();
    done
}
