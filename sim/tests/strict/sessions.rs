//! How long sessions live, and who owns them.

use std::time::Duration;

use packetboat_core::wire::{Connect, Disconnect, Packet, PropertiesBuf, QoS, Reason, Version};
use packetboat_sim::broker::Config;

use crate::common::{Heard, VERSIONS, connect, messages};
use crate::desk::Desk;

fn expiry(seconds: u32) -> PropertiesBuf {
    let mut properties = PropertiesBuf::new();
    properties.session_expiry_interval(seconds);
    properties
}

fn present(heard: &[Heard]) -> bool {
    match heard.first() {
        Some(Heard::Connack { present, reason: Reason::SUCCESS, .. }) => *present,
        other => panic!("{other:?}"),
    }
}

// Spec 3.1.1: MQTT-3.1.2-4 MQTT-3.1.2-5 MQTT-3.2.2-2
// Spec 5.0: MQTT-3.1.2-5 MQTT-3.2.2-3
#[test]
fn a_session_keeps_subscriptions_and_messages() {
    for version in VERSIONS {
        let mut desk = Desk::new();
        let (line, heard) = desk.resumed(version, "boat");
        assert!(!present(&heard));
        desk.subscribe(line, "t", QoS::AtLeastOnce);
        desk.lose(line);
        desk.publish("t", "while away", QoS::AtLeastOnce);
        desk.publish("t", "not worth keeping", QoS::AtMostOnce);
        let (_, heard) = desk.resumed(version, "boat");
        assert!(present(&heard));
        let got = messages(&heard[1..]);
        assert_eq!(got.len(), 1);
        assert_eq!((&got[0].payload[..], got[0].dup), (&b"while away"[..], false));
        assert_eq!(desk.broker.stats().resumed, 1);
    }
}

#[test]
fn qos_0_is_kept_where_it_is_wanted() {
    let mut desk = Desk::with(Config { queue_qos0: true, ..Config::default() });
    let line = desk.lasting(Version::V5, "boat");
    desk.subscribe(line, "t", QoS::AtLeastOnce);
    desk.lose(line);
    desk.publish("t", "kept", QoS::AtMostOnce);
    let (_, heard) = desk.resumed(Version::V5, "boat");
    assert_eq!(messages(&heard[1..]).len(), 1);
}

// Spec 3.1.1: MQTT-3.1.2-6 MQTT-3.1.4-3 MQTT-3.2.2-1
// Spec 5.0: MQTT-3.1.2-4 MQTT-3.1.4-4 MQTT-3.2.2-2
#[test]
fn a_clean_start_forgets() {
    for version in VERSIONS {
        let mut desk = Desk::new();
        let line = desk.lasting(version, "boat");
        desk.subscribe(line, "t", QoS::AtLeastOnce);
        desk.lose(line);
        assert!(desk.broker.has_session("boat"));
        let (line, heard) = desk.connect(connect(version, "boat"));
        assert!(!present(&heard));
        assert_eq!(desk.broker.subscriptions("boat"), [""; 0]);
        // Without an expiry interval it ends with its connection; clean sessions of 3.1.1 do too.
        desk.lose(line);
        assert!(!desk.broker.has_session("boat"));
        let (_, heard) = desk.resumed(version, "boat");
        assert!(!present(&heard));
    }
}

// Spec 5.0: MQTT-4.1.0-2
#[test]
fn a_session_expires() {
    let mut desk = Desk::new();
    let line = desk.lasting(Version::V5, "boat");
    desk.wait(Duration::from_secs(1_000));
    desk.lose(line);
    desk.wait(Duration::from_millis(59_999));
    assert!(desk.broker.has_session("boat"), "it is counted from the end of the connection");
    desk.wait(Duration::from_millis(1));
    assert!(!desk.broker.has_session("boat"));
    let (_, heard) = desk.resumed(Version::V5, "boat");
    assert!(!present(&heard));
}

#[test]
fn a_session_of_3_1_1_lasts_as_configured() {
    for (configured, lasts) in [(None, true), (Some(Duration::from_secs(5)), false)] {
        let mut desk = Desk::with(Config { session_expiry_of_3_1_1: configured, ..Config::default() });
        let line = desk.lasting(Version::V311, "boat");
        desk.lose(line);
        desk.wait(Duration::from_secs(1_000_000));
        assert_eq!(desk.broker.has_session("boat"), lasts);
    }
}

#[test]
fn the_largest_expiry_is_never() {
    let mut desk = Desk::new();
    let properties = expiry(u32::MAX);
    let line =
        desk.admitted(Connect { properties: properties.as_properties(), ..connect(Version::V5, "boat") });
    desk.lose(line);
    assert_eq!(desk.broker.poll_timeout(), None);
    desk.wait(Duration::from_secs(u64::from(u32::MAX) * 2));
    assert!(desk.broker.has_session("boat"));
}

#[test]
fn the_server_may_keep_it_shorter_and_says_so() {
    let maximum_session_expiry = Duration::from_secs(30);
    let mut desk = Desk::with(Config { maximum_session_expiry, ..Config::default() });
    for (asked, told) in [(60, Some(30)), (30, None), (5, None)] {
        let properties = expiry(asked);
        let (line, heard) =
            desk.connect(Connect { properties: properties.as_properties(), ..connect(Version::V5, "boat") });
        let [Heard::Connack { properties, .. }] = &heard[..] else { panic!("{heard:?}") };
        assert_eq!(properties.as_properties().session_expiry_interval(), told);
        desk.lose(line);
        let ends = desk.now + Duration::from_secs(told.unwrap_or(asked).into());
        assert_eq!(desk.broker.poll_timeout(), Some(ends));
    }
}

#[test]
fn disconnect_may_change_the_expiry() {
    let mut desk = Desk::new();
    let line = desk.lasting(Version::V5, "boat");
    let properties = expiry(5);
    let disconnect = Disconnect {
        properties: properties.as_properties(),
        ..Disconnect::new(Reason::NORMAL_DISCONNECTION)
    };
    desk.say(line, &Packet::Disconnect(disconnect));
    desk.lose(line);
    desk.wait(Duration::from_millis(4_999));
    assert!(desk.broker.has_session("boat"));
    desk.wait(Duration::from_millis(1));
    assert!(!desk.broker.has_session("boat"));
    desk.is_content();
}

// Spec 3.1.1: MQTT-3.1.4-2
// Spec 5.0: MQTT-3.1.4-3
#[test]
fn who_connects_again_takes_over() {
    for version in VERSIONS {
        let mut desk = Desk::new();
        let first = desk.lasting(version, "boat");
        desk.subscribe(first, "t", QoS::AtLeastOnce);
        desk.publish("t", "x", QoS::AtLeastOnce);
        assert_eq!(desk.hear(first).len(), 1);
        let (second, heard) = desk.resumed(version, "boat");
        assert!(present(&heard));
        let got = messages(&heard[1..]);
        assert_eq!((got.len(), got[0].dup), (1, true));
        let goodbye = Heard::Goodbye(Reason::SESSION_TAKEN_OVER);
        let expected =
            if version == Version::V5 { vec![goodbye, Heard::Closed] } else { vec![Heard::Closed] };
        assert_eq!(desk.hear(first), expected);
        // That the first one closes late harms nobody.
        assert_eq!(desk.broker.connection("boat"), Some(second.id));
        assert_eq!(desk.broker.stats().taken_over, 1);
        desk.is_content();
    }
}

#[test]
fn a_session_moves_between_versions() {
    let mut desk = Desk::new();
    let line = desk.lasting(Version::V311, "boat");
    desk.subscribe(line, "t", QoS::AtLeastOnce);
    desk.lose(line);
    desk.publish("t", "x", QoS::AtLeastOnce);
    let (_, heard) = desk.resumed(Version::V5, "boat");
    assert!(present(&heard));
    assert_eq!(messages(&heard[1..]).len(), 1);
}

#[test]
fn the_owner_may_break_and_end_what_it_likes() {
    let mut desk = Desk::new();
    let line = desk.lasting(Version::V5, "boat");
    assert!(desk.broker.disconnect("boat", Reason::SERVER_SHUTTING_DOWN, desk.now));
    assert_eq!(desk.hear(line), [Heard::Goodbye(Reason::SERVER_SHUTTING_DOWN), Heard::Closed]);
    assert!(!desk.broker.disconnect("boat", Reason::SERVER_SHUTTING_DOWN, desk.now));

    let line = desk.lasting(Version::V5, "boat");
    desk.publish("elsewhere", "x", QoS::AtMostOnce);
    assert!(desk.broker.cut_off("boat", desk.now));
    assert!(desk.broker.is_broken(line.id));
    assert_eq!(desk.hear(line), [Heard::Closed]);
    assert!(desk.broker.has_session("boat"));
    assert!(!desk.broker.cut_off("boat", desk.now));

    let line = desk.lasting(Version::V5, "boat");
    desk.broker.forget("boat", desk.now);
    assert_eq!(desk.hear(line), [Heard::Closed]);
    assert!(!desk.broker.has_session("boat"));
}

#[test]
fn a_restart_keeps_sessions_or_loses_them() {
    for keep in [true, false] {
        let mut desk = Desk::new();
        let line = desk.lasting(Version::V5, "boat");
        desk.broker
            .publish(packetboat_sim::broker::Message::new("t", "x", QoS::AtMostOnce).retain(), desk.now);
        desk.broker.restart(keep, desk.now);
        assert_eq!(desk.hear(line), [Heard::Closed]);
        assert_eq!(desk.broker.has_session("boat"), keep);
        assert_eq!(desk.broker.retained("t").is_some(), keep);
    }
}

#[test]
fn sessions_can_be_told_apart() {
    let mut desk = Desk::with(Config { keep_log: true, ..Config::default() });
    let first = desk.lasting(Version::V5, "boat");
    desk.lose(first);
    let second = desk.lasting(Version::V5, "boat");
    let third = desk.client(Version::V5, "boat");
    let number = |line: crate::desk::Line| desk.broker.session_number(line.id);
    assert!(number(first).is_some());
    assert_eq!(number(first), number(second));
    assert_ne!(number(second), number(third));
}
