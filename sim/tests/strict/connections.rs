//! CONNECT, DISCONNECT, silence, and bytes that are no packets.

use std::time::Duration;

use packetboat_core::wire::{
    AckKind, Auth, Connack, Connect, Disconnect, Packet, Properties, PropertiesBuf, Reason, SubAckKind,
    Suback, Version,
};
use packetboat_sim::broker::{Config, OnViolation, Refusal};

use crate::common::{Heard, VERSIONS, ack, at_least_once, bytes_of, connect, goodbye};
use crate::desk::Desk;

const MALFORMED: (&str, &str) = ("MQTT-4.13.1-1", "MQTT-4.8.0-1");

// Spec 3.1.1: MQTT-3.1.0-1 MQTT-3.1.2-1 MQTT-3.1.2-3 MQTT-3.1.4-1
// Spec 5.0: MQTT-3.1.0-1 MQTT-3.1.4-1
#[test]
fn the_first_packet_is_connect() {
    for (bytes, statement) in [
        (&b"\xc0\x00"[..], "MQTT-3.1.0-1"),
        (b"GET / HTTP/1.1\r\n\r\n", "MQTT-3.1.0-1"),
        // A CONNECT, but of no protocol that there is.
        (b"\x10\x0c\x00\x04MQTX\x04\x02\x00\x00\x00\x00", "MQTT-3.1.4-1"),
        // The reserved flag of CONNECT.
        (b"\x10\x0c\x00\x04MQTT\x04\x03\x00\x00\x00\x00", "MQTT-3.1.4-1"),
    ] {
        let mut desk = Desk::new();
        let line = desk.open(Version::V311);
        assert_eq!(desk.say_bytes(line, bytes), [Heard::Closed], "no answer to {bytes:?}");
        assert_eq!(desk.statements(), [statement], "{bytes:?}");
    }
}

// Spec 5.0: MQTT-3.1.2-2
#[test]
fn a_version_of_the_future_breaks_no_rule() {
    let mut desk = Desk::new();
    let line = desk.open(Version::V5);
    let heard = desk.say_bytes(line, b"\x10\x0d\x00\x04MQTT\x06\x02\x00\x00\x00\x00\x00");
    assert!(matches!(heard[0], Heard::Connack { reason: Reason::UNSUPPORTED_PROTOCOL_VERSION, .. }));
    assert_eq!(heard[1..], [Heard::Closed]);
    assert_eq!(desk.broker.stats().refused, 1);
    desk.is_content();
}

// Spec 3.1.1: MQTT-3.1.0-2
// Spec 5.0: MQTT-3.1.0-2
#[test]
fn a_second_connect_is_caught() {
    for version in VERSIONS {
        let mut desk = Desk::new();
        let line = desk.client(version, "boat");
        let heard = desk.say(line, &Packet::Connect(connect(version, "boat")));
        desk.caught(line, &heard, ("MQTT-3.1.0-2", "MQTT-3.1.0-2"), Reason::PROTOCOL_ERROR);
    }
}

// Spec 3.1.1: MQTT-4.8.0-1
// Spec 5.0: MQTT-4.13.1-1
#[test]
fn bytes_that_are_no_packet_are_caught() {
    // Reserved flags; a SUBSCRIBE of nothing, which 5.0 calls a Protocol Error.
    let nothing = |version| if version == Version::V5 { vec![0x82, 3, 0, 1, 0] } else { vec![0x82, 2, 0, 1] };
    for version in VERSIONS {
        for (bytes, reason) in
            [(vec![0x80, 0], Reason::MALFORMED_PACKET), (nothing(version), Reason::PROTOCOL_ERROR)]
        {
            let mut desk = Desk::new();
            let line = desk.client(version, "boat");
            let heard = desk.say_bytes(line, &bytes);
            desk.caught(line, &heard, MALFORMED, reason);
        }
    }
}

#[test]
fn packets_only_servers_send_are_caught() {
    let connack = Connack { session_present: false, reason: Reason::SUCCESS, properties: Properties::EMPTY };
    let suback = Suback { kind: SubAckKind::Suback, id: 1, properties: Properties::EMPTY, reasons: &[0] };
    for version in VERSIONS {
        for packet in [Packet::Connack(connack), Packet::Suback(suback), Packet::PingResp] {
            let mut desk = Desk::new();
            let line = desk.client(version, "boat");
            let heard = desk.say(line, &packet);
            desk.caught(line, &heard, ("section 2.1.2", "section 2.2.1"), Reason::PROTOCOL_ERROR);
        }
    }
}

#[test]
fn only_servers_name_another_server() {
    let mut properties = PropertiesBuf::new();
    properties.server_reference("elsewhere").unwrap();
    let mut desk = Desk::new();
    let line = desk.client(Version::V5, "boat");
    let disconnect = Disconnect {
        properties: properties.as_properties(),
        ..Disconnect::new(Reason::NORMAL_DISCONNECTION)
    };
    let heard = desk.say(line, &Packet::Disconnect(disconnect));
    desk.caught(line, &heard, ("section 2.1.2", ""), Reason::PROTOCOL_ERROR);
}

// Spec 3.1.1: MQTT-3.1.3-6 MQTT-3.1.3-7 MQTT-3.1.3-8
#[test]
fn an_empty_identifier_demands_a_clean_session_in_3_1_1() {
    let mut desk = Desk::new();
    let (_, heard) = desk.connect(Connect { clean_start: false, ..connect(Version::V311, "") });
    assert!(matches!(heard[0], Heard::Connack { reason: Reason::CLIENT_IDENTIFIER_NOT_VALID, .. }));
    assert_eq!(heard[1..], [Heard::Closed]);
    assert_eq!(desk.statements(), ["MQTT-3.1.3-7"]);

    let mut desk = Desk::new();
    desk.client(Version::V311, "");
    desk.is_content();
}

// Spec 5.0: MQTT-3.1.3-6 MQTT-3.1.3-7 MQTT-3.2.2-16
#[test]
fn a_client_without_identifier_is_given_one_in_5_0() {
    let mut desk = Desk::new();
    let mut names = Vec::new();
    for clean_start in [true, false] {
        let (line, heard) = desk.connect(Connect { clean_start, ..connect(Version::V5, "") });
        let [Heard::Connack { properties, .. }] = &heard[..] else { panic!("{heard:?}") };
        let name = properties.as_properties().assigned_client_identifier().unwrap().to_owned();
        assert_eq!(desk.broker.connection(&name), Some(line.id));
        names.push(name);
    }
    assert_ne!(names[0], names[1]);
    desk.is_content();
}

#[test]
fn nothing_is_sent_before_connack() {
    for version in VERSIONS {
        // Right behind CONNECT: it cannot have waited.
        let mut desk = Desk::new();
        let line = desk.open(version);
        let heard = desk.say_all(line, &[Packet::Connect(connect(version, "boat")), Packet::PingReq]);
        desk.caught(line, &heard, ("house", "house"), Reason::PROTOCOL_ERROR);

        // While CONNACK takes its time: there is nothing to say DISCONNECT with yet [MQTT-3.14.0-1].
        let mut desk = Desk::slow(100);
        let (line, heard) = desk.connect(connect(version, "boat"));
        assert_eq!(heard, []);
        assert_eq!(desk.say(line, &Packet::PingReq), [Heard::Closed]);
        assert_eq!(desk.statements(), ["house"]);

        // DISCONNECT is allowed at any time.
        let mut desk = Desk::slow(100);
        let (line, _) = desk.connect(connect(version, "boat"));
        desk.say(line, &goodbye(Reason::NORMAL_DISCONNECTION));
        desk.is_content();
    }
}

// Spec 5.0: MQTT-4.12.0-7
#[test]
fn auth_without_method_is_caught() {
    let auth = Auth { reason: Reason::SUCCESS, properties: Properties::EMPTY };
    let mut desk = Desk::new();
    let line = desk.client(Version::V5, "boat");
    let heard = desk.say(line, &Packet::Auth(auth));
    desk.caught(line, &heard, ("MQTT-4.12.0-7", ""), Reason::PROTOCOL_ERROR);

    // 3.1.1 has no such packet.
    let mut desk = Desk::new();
    let line = desk.client(Version::V311, "boat");
    let heard = desk.say_bytes(line, &[0xf0, 0]);
    desk.caught(line, &heard, MALFORMED, Reason::MALFORMED_PACKET);
}

// Spec 3.1.1: MQTT-3.14.4-2
// Spec 5.0: MQTT-3.14.4-1
#[test]
fn nothing_follows_disconnect() {
    for version in VERSIONS {
        let mut desk = Desk::new();
        let line = desk.client(version, "boat");
        assert_eq!(desk.say(line, &goodbye(Reason::NORMAL_DISCONNECTION)), []);
        assert_eq!(desk.broker.farewell("boat"), Some(Reason::NORMAL_DISCONNECTION));
        desk.is_content();
        // No DISCONNECT answers a DISCONNECT.
        assert_eq!(desk.say(line, &Packet::PingReq), [Heard::Closed]);
        assert_eq!(
            desk.statements(),
            [if version == Version::V5 { "MQTT-3.14.4-1" } else { "MQTT-3.14.4-2" }]
        );

        let mut desk = Desk::new();
        let line = desk.client(version, "boat");
        let bytes = bytes_of(version, &[goodbye(Reason::NORMAL_DISCONNECTION), Packet::PingReq]);
        assert_eq!(desk.say_bytes(line, &bytes), [Heard::Closed]);
        assert_eq!(desk.statements().len(), 1);
    }
}

#[test]
fn who_says_goodbye_and_stays_is_put_out() {
    for version in VERSIONS {
        let mut desk = Desk::with(Config { connect_timeout: Duration::from_secs(5), ..Config::default() });
        let line = desk.client(version, "boat");
        assert_eq!(desk.say(line, &goodbye(Reason::NORMAL_DISCONNECTION)), []);
        assert_eq!(desk.pass(Duration::from_millis(4_999), line), []);
        assert_eq!(desk.pass(Duration::from_millis(1), line), [Heard::Closed]);
        desk.is_content();
    }
}

#[test]
fn a_session_expiry_of_zero_stays_zero() {
    let disconnect = |seconds| {
        let mut properties = PropertiesBuf::new();
        properties.session_expiry_interval(seconds);
        properties
    };
    let bye = Disconnect::new(Reason::NORMAL_DISCONNECTION);
    for (asked, then, kept) in [(0, 60, false), (0, 0, true), (60, 0, true), (60, 120, true)] {
        let mut desk = Desk::new();
        let (first, second) = (disconnect(asked), disconnect(then));
        let line =
            desk.admitted(Connect { properties: first.as_properties(), ..connect(Version::V5, "boat") });
        let bye = Disconnect { properties: second.as_properties(), ..bye };
        let heard = desk.say(line, &Packet::Disconnect(bye));
        if kept {
            desk.is_content();
            assert_eq!(desk.broker.has_session("boat"), then > 0, "{asked} {then}");
        } else {
            desk.caught(line, &heard, ("section 3.14.2.2.2", ""), Reason::PROTOCOL_ERROR);
        }
    }
}

// Spec 3.1.1: MQTT-3.1.2-24
// Spec 5.0: MQTT-3.1.2-22
#[test]
fn silence_ends_after_one_and_a_half_intervals() {
    for version in VERSIONS {
        let mut desk = Desk::new();
        let line = desk.admitted(Connect { keep_alive: 10, ..connect(version, "boat") });
        assert_eq!(desk.pass(Duration::from_millis(14_999), line), []);
        assert_eq!(desk.say(line, &Packet::PingReq), [Heard::Pong]);
        assert_eq!(desk.pass(Duration::from_millis(14_999), line), []);
        let heard = desk.pass(Duration::from_millis(1), line);
        let goodbye = Heard::Goodbye(Reason::KEEP_ALIVE_TIMEOUT);
        assert_eq!(
            heard,
            if version == Version::V5 { vec![goodbye, Heard::Closed] } else { vec![Heard::Closed] }
        );
        assert_eq!(desk.broker.stats().silent, 1);
        desk.is_content();
    }
}

// Spec 3.1.1: MQTT-3.1.2-23
// Spec 5.0: MQTT-3.1.2-20
#[test]
fn silence_is_blamed_where_it_may_be() {
    for version in VERSIONS {
        let config = Config { blame_silence: true, ..Config::default() };
        let (rule, reason) = (("MQTT-3.1.2-20", "MQTT-3.1.2-23"), Reason::KEEP_ALIVE_TIMEOUT);
        let mut desk = Desk::with(config.clone());
        let line = desk.admitted(Connect { keep_alive: 10, ..connect(version, "boat") });
        desk.wait(Duration::from_secs(10));
        assert_eq!(desk.say(line, &Packet::PingReq), [Heard::Pong]);
        desk.is_content();
        desk.wait(Duration::from_millis(10_001));
        let heard = desk.say(line, &Packet::PingReq);
        desk.caught(line, &heard, rule, reason);

        let mut desk = Desk::with(config);
        let line = desk.admitted(Connect { keep_alive: 10, ..connect(version, "boat") });
        let heard = desk.pass(Duration::from_secs(15), line);
        desk.caught(line, &heard, rule, reason);
    }
}

#[test]
fn nobody_is_silent_who_waits_for_an_answer() {
    for version in VERSIONS {
        let mut desk = Desk::new();
        let line = desk.admitted(Connect { keep_alive: 1, ..connect(version, "boat") });
        desk.broker.faults().delay_answers(Duration::from_secs(10));
        desk.say(line, &Packet::Publish(at_least_once(1, "x")));
        assert_eq!(desk.pass(Duration::from_secs(2), line), []);
        // A deadline in the past would make whoever drives the broker turn in circles.
        assert!(desk.broker.poll_timeout() > Some(desk.now));
        let heard = desk.pass(Duration::from_secs(8), line);
        assert!(matches!(heard[0], Heard::Ack(AckKind::Puback, 1, _)), "{heard:?}");
    }
}

// Spec 5.0: MQTT-3.1.2-21 MQTT-3.2.2-21
#[test]
fn the_server_sets_the_keep_alive() {
    let mut desk = Desk::with(Config { server_keep_alive: Some(2), ..Config::default() });
    let (line, heard) = desk.connect(Connect { keep_alive: 100, ..connect(Version::V5, "boat") });
    let [Heard::Connack { properties, .. }] = &heard[..] else { panic!("{heard:?}") };
    assert_eq!(properties.as_properties().server_keep_alive(), Some(2));
    assert_eq!(desk.pass(Duration::from_millis(2_999), line), []);
    let goodbye = Heard::Goodbye(Reason::KEEP_ALIVE_TIMEOUT);
    assert_eq!(desk.pass(Duration::from_millis(1), line), [goodbye, Heard::Closed]);

    // An older client cannot be told and keeps its own.
    let line = desk.admitted(Connect { keep_alive: 100, ..connect(Version::V311, "boat") });
    assert_eq!(desk.pass(Duration::from_millis(149_999), line), []);
    assert_eq!(desk.pass(Duration::from_millis(1), line), [Heard::Closed]);
}

#[test]
fn who_does_not_connect_is_put_out() {
    let mut desk = Desk::with(Config { connect_timeout: Duration::from_secs(3), ..Config::default() });
    let line = desk.open(Version::V5);
    assert_eq!(desk.broker.poll_timeout(), Some(desk.now + Duration::from_secs(3)));
    assert_eq!(desk.pass(Duration::from_secs(3), line), [Heard::Closed]);
    desk.is_content();
}

#[test]
fn credentials_are_checked() {
    for version in VERSIONS {
        let mut config = Config::default();
        config.credentials.insert("captain".to_owned(), b"rum".to_vec());
        let mut desk = Desk::with(config);
        let with = |username, password| Connect { username, password, ..connect(version, "boat") };
        desk.admitted(with(Some("captain"), Some(b"rum")));
        for wrong in [with(None, None), with(Some("captain"), None), with(Some("cook"), Some(b"rum"))] {
            let (_, heard) = desk.connect(wrong);
            assert!(matches!(heard[0], Heard::Connack { reason: Reason::BAD_USER_NAME_OR_PASSWORD, .. }));
            assert_eq!(heard[1..], [Heard::Closed]);
        }
        assert_eq!(desk.broker.stats().refused, 3);
        desk.is_content();
    }
}

// Spec 5.0: MQTT-4.12.0-1
#[test]
fn an_authentication_method_is_refused() {
    let mut properties = PropertiesBuf::new();
    properties.authentication_method("SCRAM-SHA-1").unwrap();
    let (_, heard) = Desk::new()
        .connect(Connect { properties: properties.as_properties(), ..connect(Version::V5, "boat") });
    assert!(matches!(heard[0], Heard::Connack { reason: Reason::BAD_AUTHENTICATION_METHOD, .. }));
}

// Spec 3.1.1: MQTT-3.2.2-5
// Spec 5.0: MQTT-3.2.2-7
#[test]
fn refusals_come_as_ordered() {
    for version in VERSIONS {
        let mut desk = Desk::new();
        desk.broker.faults().refuse(1, Refusal::Code(Reason::SERVER_UNAVAILABLE)).refuse(1, Refusal::Close);
        assert!(desk.broker.faults().is_pending());
        let (_, heard) = desk.connect(connect(version, "boat"));
        assert!(matches!(heard[0], Heard::Connack { reason: Reason::SERVER_UNAVAILABLE, .. }));
        assert_eq!(heard[1..], [Heard::Closed]);
        assert_eq!(desk.connect(connect(version, "boat")).1, [Heard::Closed]);
        desk.client(version, "boat");
        assert_eq!((desk.broker.stats().refused, desk.broker.stats().accepted), (2, 1));
    }
}

// Spec 3.1.1: MQTT-3.1.2-2
#[test]
fn a_broker_that_never_heard_of_5_0_says_so_in_its_own_words() {
    let (versions, wrong_version) = (vec![Version::V311], Refusal::OldShape(1));
    let mut desk = Desk::with(Config { versions, wrong_version, ..Config::default() });
    let line = desk.open(Version::V5);
    desk.broker.handle_bytes(
        line.id,
        &bytes_of(Version::V5, &[Packet::Connect(connect(Version::V5, "b"))]),
        desk.now,
    );
    let mut bytes = Vec::new();
    assert!(desk.broker.poll_transmit(line.id, &mut bytes));
    assert_eq!(bytes, [0x20, 2, 0, 1]);
    assert!(desk.broker.should_close(line.id));
    desk.client(Version::V311, "b");
    desk.is_content();
}

#[test]
fn a_breach_may_be_recorded_only() {
    let mut desk = Desk::with(Config { on_violation: OnViolation::Record, ..Config::default() });
    let line = desk.client(Version::V5, "boat");
    assert_eq!(desk.say(line, &Packet::PingResp), []);
    assert_eq!(desk.say(line, &ack(AckKind::Puback, 9)), []);
    assert_eq!(desk.say(line, &Packet::PingReq), [Heard::Pong]);
    assert_eq!(desk.statements(), ["section 2.1.2", "MQTT-2.2.1-5"]);
    let first = desk.broker.violations()[0].to_string();
    assert!(first.contains("[section 2.1.2]") && first.contains("\"boat\""), "{first}");
}

#[test]
#[should_panic(expected = "MQTT-3.1.0-2")]
fn a_breach_may_be_the_end_of_the_test() {
    let mut desk = Desk::with(Config { on_violation: OnViolation::Panic, ..Config::default() });
    let line = desk.client(Version::V5, "boat");
    desk.say(line, &Packet::Connect(connect(Version::V5, "boat")));
}
