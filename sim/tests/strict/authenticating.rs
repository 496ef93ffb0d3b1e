//! Enhanced authentication: what the broker catches.
#![allow(clippy::unwrap_used, reason = "a test fails so")]

use std::sync::Arc;

use packetboat_core::wire::{Auth, Connect, Packet, PropertiesBuf, Reason, Version};
use packetboat_sim::broker::{Config, Echo};

use crate::common::{Heard, at_least_once, connect};
use crate::desk::{Desk, Line};

fn named(method: &str) -> PropertiesBuf {
    let mut properties = PropertiesBuf::new();
    properties.authentication_method(method).unwrap();
    properties
}

fn say(desk: &mut Desk, line: Line, reason: Reason, method: &str, data: &[u8]) -> Vec<Heard> {
    let mut properties = named(method);
    properties.authentication_data(data).unwrap();
    desk.say(line, &Packet::Auth(Auth { reason, properties: properties.as_properties() }))
}

/// CONNECT is out, and the broker waits for the first of two echos.
fn under_way() -> (Desk, Line) {
    let mut desk = Desk::with(Config { methods: vec![Arc::new(Echo(2))], ..Config::default() });
    let properties = named(Echo::NAME);
    let hello = Connect { properties: properties.as_properties(), ..connect(Version::V5, "boat") };
    let (line, _) = desk.connect(hello);
    (desk, line)
}

fn authenticated() -> (Desk, Line) {
    let (mut desk, line) = under_way();
    for data in [2, 1] {
        say(&mut desk, line, Reason::CONTINUE_AUTHENTICATION, Echo::NAME, &[data]);
    }
    desk.is_content();
    (desk, line)
}

/// Before CONNACK there is no DISCONNECT.
fn caught_early(desk: &Desk, heard: &[Heard], statement: &str) {
    assert_eq!(desk.statements(), [statement]);
    assert_eq!(heard, [Heard::Closed]);
}

// Spec 5.0: MQTT-4.12.0-5 MQTT-4.12.1-1
#[test]
fn another_method_than_connects_is_caught() {
    let (mut desk, line) = under_way();
    let heard = say(&mut desk, line, Reason::CONTINUE_AUTHENTICATION, "OTHER", &[2]);
    caught_early(&desk, &heard, "MQTT-4.12.0-5");
    let (mut desk, line) = authenticated();
    let heard = say(&mut desk, line, Reason::RE_AUTHENTICATE, "OTHER", b"");
    desk.caught(line, &heard, ("MQTT-4.12.0-5", ""), Reason::PROTOCOL_ERROR);
}

// Spec 5.0: MQTT-4.12.0-3 MQTT-3.15.2-1
#[test]
fn an_auth_out_of_turn_is_caught() {
    for reason in [Reason::SUCCESS, Reason::RE_AUTHENTICATE] {
        let (mut desk, line) = under_way();
        let heard = say(&mut desk, line, reason, Echo::NAME, &[2]);
        caught_early(&desk, &heard, "MQTT-4.12.0-3");
    }
    for reason in [Reason::SUCCESS, Reason::CONTINUE_AUTHENTICATION] {
        let (mut desk, line) = authenticated();
        let heard = say(&mut desk, line, reason, Echo::NAME, &[2]);
        desk.caught(line, &heard, ("MQTT-4.12.0-3", ""), Reason::PROTOCOL_ERROR);
    }
    let (mut desk, line) = authenticated();
    say(&mut desk, line, Reason::RE_AUTHENTICATE, Echo::NAME, b"");
    desk.is_content();
    let heard = say(&mut desk, line, Reason::RE_AUTHENTICATE, Echo::NAME, b"");
    desk.caught(line, &heard, ("MQTT-4.12.0-3", ""), Reason::PROTOCOL_ERROR);
}

// Spec 5.0: MQTT-3.1.2-30
#[test]
fn nothing_but_auth_may_be_said_during_the_first_exchange() {
    for packet in [Packet::PingReq, Packet::Publish(at_least_once(1, ""))] {
        let (mut desk, line) = under_way();
        let heard = desk.say(line, &packet);
        caught_early(&desk, &heard, "MQTT-3.1.2-30");
    }
    // While connected everything else goes on.
    let (mut desk, line) = authenticated();
    say(&mut desk, line, Reason::RE_AUTHENTICATE, Echo::NAME, b"");
    assert_eq!(desk.say(line, &Packet::PingReq).len(), 1);
    desk.is_content();
}

// Spec 5.0: MQTT-4.12.0-4 MQTT-4.12.1-2
#[test]
fn who_fails_is_refused_before_and_after_connack() {
    let (mut desk, line) = under_way();
    let heard = say(&mut desk, line, Reason::CONTINUE_AUTHENTICATION, Echo::NAME, &[9]);
    assert_eq!(heard.last(), Some(&Heard::Closed));
    assert_eq!(desk.broker.connected(), 0);
    let (mut desk, line) = authenticated();
    let heard = say(&mut desk, line, Reason::RE_AUTHENTICATE, Echo::NAME, Echo::REFUSED);
    assert_eq!(heard, [Heard::Goodbye(Reason::NOT_AUTHORIZED), Heard::Closed]);
    desk.is_content();
}
