//! Stories of one session, told packet by packet. Random ones are `packetboat-sim`'s.

mod authentication;
mod elsewhere;
mod inbound;
mod link;
mod outbound;
mod outcomes;
mod poison;
mod queue;
mod statements;
mod store;
mod subscriptions;
mod words;

use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use super::*;
use crate::topic::TopicName;
use crate::wire::{
    Ack, AckKind, Connack, Decoded, Packet, Properties, PropertiesBuf, Publish, QoS, Reason, Version, decode,
    encode,
};

/// A session and the bytes it wrote, read by a peer that says only what it is told to.
struct Story {
    session: Session<Vec<u8>>,
    receiver: Receiver,
    now: Instant,
    connect: ConnectOptions,
    /// Written by the session, taken by the socket, not yet read by the peer.
    wire: Vec<u8>,
    out: Output<Vec<u8>>,
    /// Events of earlier connections not yet looked at.
    kept: Vec<Event>,
}

impl Story {
    fn new(version: Version) -> Self {
        Self::with(version, Config::default())
    }

    fn with(version: Version, config: Config) -> Self {
        let session = SessionMode::Persistent { expiry: core::time::Duration::from_mins(1) };
        let connect = ConnectOptions { version, client_id: "c".into(), session, ..ConnectOptions::default() };
        Self {
            session: Session::new(config),
            receiver: Receiver::new(&connect),
            now: Instant(1_000),
            connect,
            wire: Vec::new(),
            out: Output::default(),
            kept: Vec::new(),
        }
    }

    /// Connected, with the CONNECT read and the event taken.
    fn online(version: Version) -> Self {
        let mut story = Self::new(version);
        story.open(false, &PropertiesBuf::default());
        story
    }

    fn open(&mut self, session_present: bool, properties: &PropertiesBuf) {
        self.session.handle_open(&self.connect);
        self.receiver = Receiver::new(&self.connect);
        assert!(self.told()[0].starts_with("CONNECT"));
        let properties = properties.as_properties();
        self.says(&Packet::Connack(Connack { session_present, reason: Reason::SUCCESS, properties }));
        let events: Vec<_> = core::iter::from_fn(|| self.session.poll_event()).collect();
        assert!(events.iter().any(|event| matches!(event, Event::Connected { .. })));
        let link = |event: &Event| matches!(event, Event::Connected { .. } | Event::Disconnected { .. });
        self.kept.extend(events.into_iter().filter(|event| !link(event)));
    }

    /// The peer says this.
    fn says(&mut self, packet: &Packet<'_>) {
        let mut bytes = Vec::new();
        encode(self.connect.version, packet, &mut bytes);
        self.says_bytes(&bytes);
    }

    fn says_bytes(&mut self, bytes: &[u8]) {
        self.session.handle_read(self.now);
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.receiver.next(rest) {
                Ok(Received::Packet { packet, size }) => {
                    self.session.handle_packet(&packet, self.now);
                    rest = &rest[size..];
                }
                Ok(Received::Publish { publish, size, .. }) => {
                    self.session.handle_publish(Arrival { qos: publish.qos, id: publish.id, holders: 0 });
                    rest = &rest[size..];
                }
                Ok(_) => return,
                Err(breach) => return self.session.handle_breach(breach),
            }
        }
    }

    fn acks(&mut self, kind: AckKind, id: u16) {
        self.says(&Packet::Ack(Ack::new(kind, id)));
    }

    /// A PUBLISH arrives and somebody holds it.
    fn arrives(&mut self, qos: QoS, id: u16, holders: u16) -> Verdict {
        self.session.handle_publish(Arrival { qos, id: Some(id), holders })
    }

    fn publish(&mut self, qos: QoS, payload: &str, tag: u64) -> Accepted {
        self.try_publish(qos, payload, tag).unwrap()
    }

    fn try_publish(&mut self, qos: QoS, payload: &str, tag: u64) -> Result<Accepted, PublishError> {
        self.publish_with(qos, payload, tag, &PropertiesBuf::default())
    }

    fn publish_with(
        &mut self,
        qos: QoS,
        payload: &str,
        tag: u64,
        properties: &PropertiesBuf,
    ) -> Result<Accepted, PublishError> {
        let message = Outgoing {
            topic: TopicName::new("topic").unwrap(),
            payload: Payload::Borrowed(payload.as_bytes()),
            qos,
            retain: false,
            properties: properties.as_properties(),
            drop_properties: false,
            tag: Tag(tag),
        };
        self.session.publish(&message, self.now)
    }

    /// Everything the session writes, taken by the socket and read by the peer.
    fn told(&mut self) -> Vec<String> {
        while self.session.poll_transmit(&mut self.out, self.now) {
            let (mut at, len) = (0, self.out.len());
            for (offset, payload) in self.out.splices.drain(..) {
                self.wire.extend_from_slice(&self.out.bytes[at..offset]);
                self.wire.extend_from_slice(&payload);
                at = offset;
            }
            self.wire.extend_from_slice(&self.out.bytes[at..]);
            self.out.clear();
            self.session.handle_written(len, self.now);
        }
        self.read()
    }

    /// What the session writes, as it is on the wire.
    fn raw(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        while self.session.poll_transmit(&mut self.out, self.now) {
            assert!(self.out.splices.is_empty());
            bytes.extend_from_slice(&self.out.bytes);
            self.session.handle_written(self.out.len(), self.now);
            self.out.clear();
        }
        bytes
    }

    fn read(&mut self) -> Vec<String> {
        let mut told = Vec::new();
        let mut at = 0;
        while let Ok(Decoded::Packet { packet, size }) =
            decode(self.connect.version, &self.wire[at..], 1 << 28)
        {
            told.push(describe(&packet));
            at += size;
        }
        self.wire.drain(..at);
        told
    }

    /// The link is cut after the socket took `taken` bytes of what the session has to say.
    fn cut_after(&mut self, taken: usize) {
        self.session.poll_transmit(&mut self.out, self.now);
        let taken = taken.min(self.out.len());
        self.session.handle_written(taken, self.now);
        self.session.handle_close(&self.out, taken);
        self.out.clear();
        self.wire.clear();
    }

    fn events(&mut self) -> Vec<Event> {
        let mut events = core::mem::take(&mut self.kept);
        events.extend(core::iter::from_fn(|| self.session.poll_event()));
        events
    }

    /// Tags and outcomes of the messages that ended.
    fn ended(&mut self) -> Vec<(u64, Outcome)> {
        let ended = |event| match event {
            Event::Published { tag, outcome } => Some((tag.0, outcome)),
            _ => None,
        };
        self.events().into_iter().filter_map(ended).collect()
    }

    fn cause(&mut self) -> Option<Cause> {
        self.told();
        self.session.handle_close(&Output::default(), 0);
        self.events().into_iter().find_map(|event| match event {
            Event::Disconnected { cause, .. } => Some(cause),
            _ => None,
        })
    }
}

/// A packet in one word and its identifier: `PUBLISH 1 dup hello`, `PUBREL 1`.
fn describe(packet: &Packet<'_>) -> String {
    match packet {
        Packet::Connect(connect) if connect.clean_start => "CONNECT clean".into(),
        Packet::Connect(_) => "CONNECT".into(),
        Packet::Publish(publish) => {
            let id = publish.id.map(|id| std::format!(" {id}")).unwrap_or_default();
            let dup = if publish.dup { " dup" } else { "" };
            let payload = core::str::from_utf8(publish.payload).unwrap();
            std::format!("PUBLISH{id}{dup} {payload}")
        }
        Packet::Ack(ack) => {
            let reason = if ack.reason == Reason::SUCCESS {
                String::new()
            } else {
                std::format!(" {:#x}", ack.reason.0)
            };
            std::format!("{} {}{reason}", std::format!("{:?}", ack.kind).to_uppercase(), ack.id)
        }
        Packet::Subscribe(subscribe) => {
            let filters: Vec<_> = subscribe.filters.iter().map(|(filter, _)| filter).collect();
            std::format!("SUBSCRIBE {}", filters.join(" "))
        }
        Packet::Unsubscribe(unsubscribe) => {
            let filters: Vec<_> = unsubscribe.filters.iter().collect();
            std::format!("UNSUBSCRIBE {}", filters.join(" "))
        }
        Packet::Disconnect(disconnect) => std::format!("DISCONNECT {:#x}", disconnect.reason.0),
        Packet::PingReq => "PINGREQ".to_string(),
        other => std::format!("{other:?}"),
    }
}

fn delivered() -> Outcome {
    delivered_perhaps_twice(false)
}

fn delivered_perhaps_twice(possible_duplicate: bool) -> Outcome {
    Outcome::Acknowledged { reason: Reason::SUCCESS, properties: None, possible_duplicate }
}

fn limits(fill: impl FnOnce(&mut PropertiesBuf)) -> PropertiesBuf {
    let mut properties = PropertiesBuf::default();
    fill(&mut properties);
    properties
}

fn publish(qos: QoS, id: u16) -> Packet<'static> {
    let id = (qos != QoS::AtMostOnce).then_some(id);
    let properties = Properties::EMPTY;
    Packet::Publish(Publish { dup: false, retain: false, qos, topic: "t", id, properties, payload: b"p" })
}

const BOTH: [Version; 2] = [Version::V311, Version::V5];

#[test]
fn the_story_teller_sees_what_is_written() {
    for version in BOTH {
        let mut story = Story::online(version);
        assert_eq!(story.publish(QoS::AtMostOnce, "hello", 1), Accepted::Encoded);
        assert_eq!(story.told(), vec!["PUBLISH hello"]);
    }
}
