//! What the broker does for clients written by hand, packet by packet. What it demands of them is in `strict`.
#![allow(clippy::unwrap_used, reason = "a test fails so")]

mod faults;
mod messages_out;
mod publishing;
mod subscribing;

use packetboat_core::time::Instant;
use packetboat_core::wire::{
    Ack, AckKind, Connect, Decoded, FiltersBuf, Packet, Properties, PropertiesBuf, Publish, QoS, Reason,
    Subscribe, SubscribeOptions, TopicFiltersBuf, Unsubscribe, Version, decode, encode,
};
use packetboat_sim::broker::{Broker, Config, ConnectionId, OnViolation};

const BOTH: [Version; 2] = [Version::V311, Version::V5];
const QOS0: QoS = QoS::AtMostOnce;
const QOS1: QoS = QoS::AtLeastOnce;
const QOS2: QoS = QoS::ExactlyOnce;
const FOREVER: u32 = u32::MAX;

/// A broker and the clients that talk to it.
struct Harbour {
    broker: Broker,
    now: Instant,
    version: Version,
    heard: Vec<(u64, Vec<u8>)>,
}

impl Harbour {
    /// Breaches are recorded and have no consequences, so that a test sees all of them.
    fn new(version: Version) -> Self {
        Self::with(version, Config::default())
    }

    fn with(version: Version, config: Config) -> Self {
        let config = Config { on_violation: OnViolation::Record, keep_log: true, ..config };
        Self { broker: Broker::new(config, 1), now: Instant(0), version, heard: Vec::new() }
    }

    /// With client 1 connected, its session kept for ever.
    fn online(version: Version) -> Self {
        let mut harbour = Self::new(version);
        assert_eq!(harbour.connects(1, "one"), ["CONNACK"]);
        harbour
    }

    fn connects(&mut self, connection: u64, client: &str) -> Vec<String> {
        let properties = kept();
        self.connects_with(
            connection,
            Connect { properties: properties.as_properties(), ..connect(self.version, client) },
        )
    }

    fn connects_with(&mut self, connection: u64, connect: Connect<'_>) -> Vec<String> {
        self.broker.handle_open(ConnectionId(connection), self.now);
        self.says(connection, &Packet::Connect(connect));
        self.hears(connection)
    }

    fn says(&mut self, connection: u64, packet: &Packet<'_>) {
        let mut bytes = Vec::new();
        encode(self.version, packet, &mut bytes);
        self.raw(connection, &bytes);
    }

    fn raw(&mut self, connection: u64, bytes: &[u8]) {
        self.broker.handle_bytes(ConnectionId(connection), bytes, self.now);
    }

    fn cut(&mut self, connection: u64) {
        self.broker.handle_close(ConnectionId(connection), self.now);
    }

    /// Time passes.
    fn passes(&mut self, milliseconds: u64) {
        let end = Instant(self.now.0 + milliseconds);
        while let Some(next) = self.broker.poll_timeout().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.broker.handle_timeout(self.now);
        }
        self.now = end;
    }

    /// What the broker said to a connection since it was last asked; `closed` if it wants to close.
    fn hears(&mut self, connection: u64) -> Vec<String> {
        let mut bytes = self
            .heard
            .iter()
            .position(|(id, _)| *id == connection)
            .map_or(Vec::new(), |at| self.heard.remove(at).1);
        self.broker.poll_transmit(ConnectionId(connection), &mut bytes);
        let (mut told, mut at) = (Vec::new(), 0);
        while let Ok(Decoded::Packet { packet, size }) = decode(self.version, &bytes[at..], usize::MAX) {
            told.push(describe(&packet));
            at += size;
        }
        if at < bytes.len() {
            told.push(format!("{:02x?}", &bytes[at..]));
        }
        if self.broker.should_close(ConnectionId(connection)) {
            told.push("closed".to_owned());
        }
        told
    }

    fn publishes(&mut self, qos: QoS, id: u16, payload: &str) {
        self.says(1, &publish(qos, id, payload));
    }

    fn publishes_again(&mut self, qos: QoS, id: u16, payload: &str) {
        let Packet::Publish(publish) = publish(qos, id, payload) else { return };
        self.says(1, &Packet::Publish(Publish { dup: true, ..publish }));
    }

    fn acks(&mut self, kind: AckKind, id: u16) {
        self.says(1, &Packet::Ack(Ack::new(kind, id)));
    }

    fn subscribes(&mut self, connection: u64, id: u16, filter: &str, options: SubscribeOptions) {
        self.subscribes_with(connection, id, filter, options, Properties::EMPTY);
    }

    fn subscribes_with(
        &mut self,
        connection: u64,
        id: u16,
        filter: &str,
        options: SubscribeOptions,
        properties: Properties<'_>,
    ) {
        let mut filters = FiltersBuf::default();
        filters.push(filter, options);
        self.says(
            connection,
            &Packet::Subscribe(Subscribe { id, properties, filters: filters.as_filters() }),
        );
    }

    fn unsubscribes(&mut self, connection: u64, id: u16, filter: &str) {
        let mut filters = TopicFiltersBuf::default();
        filters.push(filter);
        let properties = Properties::EMPTY;
        self.says(
            connection,
            &Packet::Unsubscribe(Unsubscribe { id, properties, filters: filters.as_filters() }),
        );
    }

    /// The statements of the breaches so far.
    fn breaches(&self) -> Vec<&'static str> {
        self.broker.violations().iter().map(|violation| violation.statement).collect()
    }

    /// Payloads taken from a client.
    fn taken(&self, client: &str) -> Vec<String> {
        let text = |taken: &packetboat_sim::broker::Accepted| {
            String::from_utf8(taken.message.payload.clone()).unwrap()
        };
        self.broker.accepted(client).iter().map(text).collect()
    }
}

/// The session is to be kept for ever.
fn kept() -> PropertiesBuf {
    let mut properties = PropertiesBuf::new();
    properties.session_expiry_interval(FOREVER);
    properties
}

fn connect(version: Version, client_id: &str) -> Connect<'_> {
    Connect {
        version,
        clean_start: false,
        keep_alive: 0,
        client_id,
        will: None,
        username: None,
        password: None,
        properties: Properties::EMPTY,
    }
}

fn publish(qos: QoS, id: u16, payload: &str) -> Packet<'_> {
    publish_to("a", qos, id, payload)
}

fn publish_to<'a>(topic: &'a str, qos: QoS, id: u16, payload: &'a str) -> Packet<'a> {
    let id = (qos > QOS0).then_some(id);
    let (properties, payload) = (Properties::EMPTY, payload.as_bytes());
    Packet::Publish(Publish { dup: false, retain: false, qos, topic, id, properties, payload })
}

/// A packet in few words: `PUBLISH 1 dup a=hello`, `PUBREL 1`, `DISCONNECT 0x8d`.
fn describe(packet: &Packet<'_>) -> String {
    let coded = |name: String, reason: Reason| {
        if reason == Reason::SUCCESS { name } else { format!("{name} {:#x}", reason.0) }
    };
    match packet {
        Packet::Connack(connack) if connack.session_present => "CONNACK present".to_owned(),
        Packet::Connack(connack) => coded("CONNACK".to_owned(), connack.reason),
        Packet::Publish(publish) => {
            let id = publish.id.map(|id| format!(" {id}")).unwrap_or_default();
            let flags = format!(
                "{}{}",
                if publish.dup { " dup" } else { "" },
                if publish.retain { " retain" } else { "" }
            );
            let identifiers: Vec<u32> = publish.properties.subscription_identifiers().collect();
            let identifiers =
                if identifiers.is_empty() { String::new() } else { format!(" for {identifiers:?}") };
            let alias =
                publish.properties.topic_alias().map(|alias| format!(" alias {alias}")).unwrap_or_default();
            let payload = String::from_utf8_lossy(publish.payload);
            format!("PUBLISH{id}{flags}{identifiers}{alias} {}={payload}", publish.topic)
        }
        Packet::Ack(ack) => coded(format!("{:?} {}", ack.kind, ack.id).to_uppercase(), ack.reason),
        Packet::Suback(suback) => format!("{:?} {} {:x?}", suback.kind, suback.id, suback.reasons),
        Packet::Disconnect(disconnect) => format!("DISCONNECT {:#x}", disconnect.reason.0),
        other => format!("{other:?}"),
    }
}
