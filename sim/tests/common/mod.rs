//! Packets for tests that play the client by hand, and what the broker answers them.
#![allow(dead_code, reason = "each test binary uses its own part")]
#![allow(clippy::unwrap_used, reason = "a test fails so")]

use packetboat_core::wire::{
    Ack, AckKind, Connect, Decoded, Disconnect, FiltersBuf, Packet, Properties, PropertiesBuf, Publish, QoS,
    Reason, Subscribe, SubscribeOptions, Version, Will, decode, encode,
};

/// The versions most tests are about; 3.1 is 3.1.1 with another name.
pub(crate) const VERSIONS: [Version; 2] = [Version::V311, Version::V5];

/// A message the broker sent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Got {
    pub(crate) dup: bool,
    pub(crate) retain: bool,
    pub(crate) qos: QoS,
    pub(crate) topic: String,
    pub(crate) id: Option<u16>,
    pub(crate) properties: PropertiesBuf,
    pub(crate) payload: Vec<u8>,
}

/// A packet the broker sent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Heard {
    Connack {
        present: bool,
        reason: Reason,
        properties: PropertiesBuf,
    },
    Publish(Got),
    Ack(AckKind, u16, Reason),
    /// SUBACK or UNSUBACK.
    Granted(u16, Vec<u8>),
    Pong,
    Goodbye(Reason),
    Auth(Reason),
    /// No packet: the connection ended.
    Closed,
}

impl Heard {
    fn of(packet: &Packet<'_>) -> Self {
        match packet {
            Packet::Connack(connack) => Self::Connack {
                present: connack.session_present,
                reason: connack.reason,
                properties: connack.properties.into(),
            },
            Packet::Publish(publish) => Self::Publish(Got {
                dup: publish.dup,
                retain: publish.retain,
                qos: publish.qos,
                topic: publish.topic.to_owned(),
                id: publish.id,
                properties: publish.properties.into(),
                payload: publish.payload.to_vec(),
            }),
            Packet::Ack(ack) => Self::Ack(ack.kind, ack.id, ack.reason),
            Packet::Suback(suback) => Self::Granted(suback.id, suback.reasons.to_vec()),
            Packet::PingResp => Self::Pong,
            Packet::Disconnect(disconnect) => Self::Goodbye(disconnect.reason),
            Packet::Auth(auth) => Self::Auth(auth.reason),
            other => panic!("no broker sends {other:?}"),
        }
    }

    /// The message it is.
    pub(crate) fn message(&self) -> &Got {
        match self {
            Self::Publish(got) => got,
            other => panic!("not a PUBLISH: {other:?}"),
        }
    }
}

/// Take the whole packets out of the front of `bytes`.
pub(crate) fn take_packets(version: Version, bytes: &mut Vec<u8>) -> Vec<Heard> {
    let (mut heard, mut used) = (Vec::new(), 0);
    while let Decoded::Packet { packet, size } = decode(version, &bytes[used..], usize::MAX).unwrap() {
        heard.push(Heard::of(&packet));
        used += size;
    }
    bytes.drain(..used);
    heard
}

/// The messages among what was heard.
pub(crate) fn messages(heard: &[Heard]) -> Vec<&Got> {
    heard.iter().filter(|heard| matches!(heard, Heard::Publish(_))).map(Heard::message).collect()
}

pub(crate) fn bytes_of(version: Version, packets: &[Packet<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for packet in packets {
        encode(version, packet, &mut bytes);
    }
    bytes
}

/// A clean CONNECT without keep-alive.
pub(crate) fn connect(version: Version, client: &str) -> Connect<'_> {
    Connect {
        version,
        clean_start: true,
        keep_alive: 0,
        client_id: client,
        will: None,
        username: None,
        password: None,
        properties: Properties::EMPTY,
    }
}

pub(crate) fn will<'a>(topic: &'a str, payload: &'a [u8]) -> Will<'a> {
    Will { qos: QoS::AtLeastOnce, retain: false, topic, payload, properties: Properties::EMPTY }
}

/// A message; an identifier of zero stands for none.
pub(crate) fn message<'a>(qos: QoS, id: u16, topic: &'a str, payload: &'a str) -> Publish<'a> {
    Publish {
        dup: false,
        retain: false,
        qos,
        topic,
        id: (id > 0).then_some(id),
        properties: Properties::EMPTY,
        payload: payload.as_bytes(),
    }
}

pub(crate) fn again(publish: Publish<'_>) -> Packet<'_> {
    Packet::Publish(Publish { dup: true, ..publish })
}

pub(crate) fn at_least_once(id: u16, payload: &str) -> Publish<'_> {
    message(QoS::AtLeastOnce, id, "t", payload)
}

pub(crate) fn exactly_once(id: u16, payload: &str) -> Publish<'_> {
    message(QoS::ExactlyOnce, id, "t", payload)
}

pub(crate) fn ack(kind: AckKind, id: u16) -> Packet<'static> {
    Packet::Ack(Ack::new(kind, id))
}

pub(crate) fn failure(kind: AckKind, id: u16, reason: Reason) -> Packet<'static> {
    Packet::Ack(Ack { reason, ..Ack::new(kind, id) })
}

pub(crate) fn goodbye(reason: Reason) -> Packet<'static> {
    Packet::Disconnect(Disconnect::new(reason))
}

/// One filter of a SUBSCRIBE.
pub(crate) fn filter(filter: &str, options: impl Into<SubscribeOptions>) -> FiltersBuf {
    let mut filters = FiltersBuf::default();
    filters.push(filter, options.into());
    filters
}

pub(crate) fn subscribe(id: u16, filters: &FiltersBuf) -> Packet<'_> {
    Packet::Subscribe(Subscribe { id, properties: Properties::EMPTY, filters: filters.as_filters() })
}
