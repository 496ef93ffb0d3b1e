//! Wills.
#![allow(clippy::unwrap_used, reason = "a test fails so")]

use std::time::Duration;

use packetboat_core::wire::{Connect, Packet, PropertiesBuf, QoS, Reason, Version, Will};

use crate::common::{Heard, VERSIONS, connect, goodbye, messages, will};
use crate::desk::{Desk, Line, lasting};

/// A client with this will, and one that listens for it.
fn mourned(version: Version, will: Will<'_>) -> (Desk, Line, Line) {
    let mut desk = Desk::new();
    let listener = desk.client(version, "listener");
    desk.subscribe(listener, "#", QoS::ExactlyOnce);
    let lasting = lasting();
    let properties = if version == Version::V5 {
        lasting.as_properties()
    } else {
        packetboat_core::wire::Properties::EMPTY
    };
    let line = desk.admitted(Connect { will: Some(will), properties, ..connect(version, "boat") });
    (desk, line, listener)
}

fn payloads(heard: &[Heard]) -> Vec<&[u8]> {
    messages(heard).iter().map(|got| &got.payload[..]).collect()
}

// Spec 3.1.1: MQTT-3.1.2-8 MQTT-3.1.2-17
// Spec 5.0: MQTT-3.1.2-8 MQTT-3.1.2-15
#[test]
fn a_will_is_published_when_its_client_is_lost() {
    for version in VERSIONS {
        let (mut desk, line, listener) = mourned(version, Will { retain: true, ..will("t", b"\x00\xff") });
        assert_eq!(desk.hear(listener), []);
        desk.lose(line);
        let heard = desk.hear(listener);
        let got = heard[0].message();
        assert_eq!((&got.topic[..], &got.payload[..], got.qos), ("t", &b"\x00\xff"[..], QoS::AtLeastOnce));
        assert_eq!(desk.broker.retained("t").map(|kept| &kept.payload[..]), Some(&b"\x00\xff"[..]));
        assert_eq!(desk.broker.stats().wills, 1);
    }
}

#[test]
fn an_empty_will_is_a_message_too() {
    for version in VERSIONS {
        let (mut desk, line, listener) = mourned(version, will("t", b""));
        desk.lose(line);
        assert_eq!(payloads(&desk.hear(listener)), [b""]);
    }
}

// Spec 3.1.1: MQTT-3.1.2-10 MQTT-3.14.4-3
// Spec 5.0: MQTT-3.1.2-10 MQTT-3.14.4-3
#[test]
fn who_leaves_in_peace_has_no_will() {
    for version in VERSIONS {
        let (mut desk, line, listener) = mourned(version, will("t", b"lost"));
        desk.say(line, &goodbye(Reason::NORMAL_DISCONNECTION));
        desk.lose(line);
        desk.wait(Duration::from_secs(1_000));
        assert_eq!(desk.hear(listener), []);
        assert_eq!(desk.broker.stats().wills, 0);
    }
}

#[test]
fn who_leaves_with_its_will_has_it_published() {
    for reason in [Reason::DISCONNECT_WITH_WILL_MESSAGE, Reason::UNSPECIFIED_ERROR] {
        let (mut desk, line, listener) = mourned(Version::V5, will("t", b"lost"));
        desk.say(line, &goodbye(reason));
        assert_eq!(payloads(&desk.hear(listener)), [b"lost"]);
        desk.lose(line);
        assert_eq!(desk.hear(listener), [], "once");
    }
}

#[test]
fn a_will_follows_silence_a_breach_and_a_takeover() {
    for version in VERSIONS {
        let (mut desk, line, listener) = mourned(version, will("t", b"broke a rule"));
        desk.say(line, &Packet::PingResp);
        assert_eq!(payloads(&desk.hear(listener)), [b"broke a rule"]);

        let (mut desk, _, listener) = mourned(version, will("t", b"taken over"));
        desk.client(version, "boat");
        assert_eq!(payloads(&desk.hear(listener)), [b"taken over"]);

        let mut desk = Desk::new();
        let listener = desk.client(version, "listener");
        desk.subscribe(listener, "t", QoS::AtMostOnce);
        let will = Some(will("t", b"silent"));
        desk.admitted(Connect { will, keep_alive: 2, ..connect(version, "boat") });
        desk.wait(Duration::from_secs(3));
        assert_eq!(payloads(&desk.hear(listener)), [b"silent"]);
    }
}

/// A will that waits so many seconds and expires in ten.
fn delayed(seconds: u32) -> PropertiesBuf {
    let mut properties = PropertiesBuf::new();
    properties.will_delay_interval(seconds).message_expiry_interval(10).content_type("text/plain").unwrap();
    properties
}

// Spec 5.0: MQTT-3.1.2-8
#[test]
fn a_will_waits_for_its_delay() {
    let properties = delayed(5);
    let (mut desk, line, listener) =
        mourned(Version::V5, Will { properties: properties.as_properties(), ..will("t", b"lost") });
    desk.lose(line);
    assert_eq!(desk.broker.poll_timeout(), Some(desk.now + Duration::from_secs(5)));
    assert_eq!(desk.pass(Duration::from_millis(4_999), listener), []);
    let heard = desk.pass(Duration::from_millis(1), listener);
    let got = heard[0].message().properties.as_properties();
    assert_eq!(got.content_type(), Some("text/plain"));
    assert_eq!(got.message_expiry_interval(), Some(10), "from its publication");
    assert_eq!(got.will_delay_interval(), None);
}

// Spec 5.0: MQTT-3.1.3-9
#[test]
fn a_will_that_waits_is_withdrawn_when_the_client_is_back() {
    let properties = delayed(5);
    let (mut desk, line, listener) =
        mourned(Version::V5, Will { properties: properties.as_properties(), ..will("t", b"lost") });
    desk.lose(line);
    desk.wait(Duration::from_secs(4));
    desk.lasting(Version::V5, "boat");
    assert_eq!(desk.pass(Duration::from_secs(100), listener), []);
}

#[test]
fn a_will_waits_no_longer_than_its_session() {
    // The session ends after a minute.
    let properties = delayed(1_000);
    let will = Will { properties: properties.as_properties(), ..will("t", b"lost") };
    let (mut desk, line, listener) = mourned(Version::V5, will);
    desk.lose(line);
    assert_eq!(desk.pass(Duration::from_millis(59_999), listener), []);
    assert_eq!(payloads(&desk.pass(Duration::from_millis(1), listener)), [b"lost"]);

    // A clean start ends it at once.
    let (mut desk, line, listener) = mourned(Version::V5, will);
    desk.lose(line);
    desk.client(Version::V5, "boat");
    assert_eq!(payloads(&desk.hear(listener)), [b"lost"]);
}

#[test]
fn a_will_of_a_session_that_ends_with_its_connection_does_not_wait() {
    let properties = delayed(5);
    let mut desk = Desk::new();
    let listener = desk.client(Version::V5, "listener");
    desk.subscribe(listener, "t", QoS::AtMostOnce);
    let will = Will { properties: properties.as_properties(), ..will("t", b"lost") };
    let line = desk.admitted(Connect { will: Some(will), ..connect(Version::V5, "boat") });
    desk.lose(line);
    assert_eq!(payloads(&desk.hear(listener)), [b"lost"]);
}
