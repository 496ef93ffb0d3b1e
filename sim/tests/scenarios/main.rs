//! Stories of a client session and the strict broker on a virtual clock, one situation each.
#![allow(clippy::unwrap_used, reason = "a test fails so")]

mod authenticating;
mod connecting;
mod crashing;
mod limits;
mod receiving;
mod resuming;
mod silence;
mod wills;

use packetboat_core::session::{Cause, Event, Outcome};
use packetboat_core::topic::TopicFilter;
use packetboat_core::wire::{PropertiesBuf, QoS, Reason, SubscribeOptions, Version};
use packetboat_sim::pair::{CLIENT, Pair};

const BOTH: [Version; 2] = [Version::V311, Version::V5];
const QOS0: QoS = QoS::AtMostOnce;
const QOS1: QoS = QoS::AtLeastOnce;
const QOS2: QoS = QoS::ExactlyOnce;

/// Tags and outcomes of the messages that ended.
fn ended(events: &[Event]) -> Vec<(u64, Outcome)> {
    let ended = |event: &Event| match event {
        Event::Published { tag, outcome } => Some((tag.0, outcome.clone())),
        _ => None,
    };
    events.iter().filter_map(ended).collect()
}

/// Tags of the messages the broker acknowledged.
fn acknowledged(events: &[Event]) -> Vec<u64> {
    let good =
        |outcome: &Outcome| matches!(outcome, Outcome::Acknowledged { reason, .. } if !reason.is_error());
    ended(events).into_iter().filter(|(_, outcome)| good(outcome)).map(|(tag, _)| tag).collect()
}

/// Why the connection ended.
fn cause(events: &[Event]) -> Option<Cause> {
    events.iter().rev().find_map(|event| match event {
        Event::Disconnected { cause, .. } => Some(cause.clone()),
        _ => None,
    })
}

/// Did the last CONNACK say that the session was there?
fn resumed(events: &[Event]) -> Option<bool> {
    events.iter().rev().find_map(|event| match event {
        Event::Connected { session_present, .. } => Some(*session_present),
        _ => None,
    })
}

fn subscribe(pair: &mut Pair, filter: &str, tag: u64) {
    let filter = TopicFilter::new(filter).unwrap();
    let tag = packetboat_core::session::Tag(tag);
    pair.client.session.subscribe(&filter, SubscribeOptions::from(QOS2), tag).unwrap();
    pair.drive();
}

fn granted(events: &[Event]) -> Vec<Reason> {
    let granted = |event: &Event| match event {
        Event::Subscribed { reason, .. } => Some(*reason),
        _ => None,
    };
    events.iter().filter_map(granted).collect()
}

/// Offer a message with properties.
fn publish_with(pair: &mut Pair, topic: &str, payload: &str, qos: QoS, tag: u64, properties: &PropertiesBuf) {
    let message = packetboat_core::session::Outgoing {
        topic: packetboat_core::topic::TopicName::new(topic).unwrap(),
        payload: packetboat_core::session::Payload::Borrowed(payload.as_bytes()),
        qos,
        retain: false,
        properties: properties.as_properties(),
        drop_properties: false,
        tag: packetboat_core::session::Tag(tag),
    };
    pair.client.session.publish(&message, pair.now).unwrap();
}

fn expiring(seconds: u32) -> PropertiesBuf {
    let mut properties = PropertiesBuf::new();
    properties.message_expiry_interval(seconds);
    properties
}

/// How often each payload reached the broker.
fn count(pair: &Pair, payload: &str) -> usize {
    pair.taken().iter().filter(|taken| *taken == payload).count()
}

#[test]
fn what_is_published_arrives_and_is_reported_once() {
    for version in BOTH {
        for qos in [QOS0, QOS1, QOS2] {
            let mut pair = Pair::new(version);
            pair.connect();
            let recorded = pair.publish("a/b", "hello", qos, 1).is_some();
            pair.drive();
            assert_eq!(pair.taken(), ["hello"]);
            assert_eq!(ended(&pair.events()).len(), usize::from(recorded), "QoS 0 is finished at the call");
            assert!(pair.client.session.is_idle());
            pair.broker.check_idle(CLIENT, pair.now);
            pair.check();
        }
    }
}
