//! CONNECT, DISCONNECT, keep-alive, sessions that come and go.

use super::*;
use packetboat_core::wire::{Auth, Connack, Disconnect, Will};
use packetboat_sim::broker::Refusal;
use std::time::Duration;

#[test]
fn the_first_packet_is_connect() {
    for version in BOTH {
        let mut harbour = Harbour::new(version);
        harbour.broker.handle_open(ConnectionId(1), harbour.now);
        harbour.says(1, &Packet::PingReq);
        assert_eq!(harbour.breaches(), ["MQTT-3.1.0-1"]);
        assert_eq!(harbour.hears(1), ["closed"], "nothing is said before CONNACK [MQTT-3.14.0-1]");
    }
}

#[test]
fn there_is_one_connect() {
    for (version, said) in [(Version::V311, vec!["closed"]), (Version::V5, vec!["DISCONNECT 0x82", "closed"])]
    {
        let mut harbour = Harbour::unforgiving(version, Config::default());
        harbour.connects(1, "one");
        harbour.says(1, &Packet::Connect(connect(version, "one")));
        assert_eq!(harbour.breaches(), ["MQTT-3.1.0-2"]);
        assert_eq!(harbour.hears(1), said);
    }
}

#[test]
fn nonsense_ends_the_connection_with_its_reason() {
    let cases: [(&[u8], &str); 3] = [
        (&[0x00, 0], "DISCONNECT 0x81"),
        (&[0x82, 3, 0, 1, 0], "DISCONNECT 0x82"),
        (&[0xc0, 0xff, 0xff, 0xff, 0x7f], "DISCONNECT 0x95"),
    ];
    for (bytes, said) in cases {
        let mut harbour = Harbour::unforgiving(Version::V5, Config::default());
        harbour.connects(1, "one");
        harbour.raw(1, bytes);
        assert_eq!(harbour.hears(1), [said, "closed"]);
        assert_eq!(harbour.breaches().len(), 1);
    }
}

#[test]
fn packets_of_servers_are_not_for_clients() {
    for version in BOTH {
        let properties = Properties::EMPTY;
        let connack = Connack { session_present: false, reason: Reason::SUCCESS, properties };
        for packet in [Packet::PingResp, Packet::Connack(connack)] {
            let mut harbour = Harbour::online(version);
            harbour.says(1, &packet);
            assert!(harbour.breaches()[0].starts_with("section 2"));
        }
    }
}

#[test]
fn nothing_goes_before_connack() {
    for version in BOTH {
        let mut harbour = Harbour::new(version);
        harbour.broker.handle_open(ConnectionId(1), harbour.now);
        let mut bytes = Vec::new();
        encode(version, &Packet::Connect(connect(version, "one")), &mut bytes);
        encode(version, &Packet::PingReq, &mut bytes);
        harbour.raw(1, &bytes);
        assert_eq!(harbour.breaches(), ["house"], "in one piece with CONNECT");

        let mut harbour = Harbour::with(version, Config { answer_delay: 5..=5, ..Config::default() });
        assert_eq!(harbour.connects(1, "one"), [""; 0]);
        harbour.says(1, &Packet::PingReq);
        assert_eq!(harbour.breaches(), ["house"], "while CONNACK is held back");
        harbour.passes(5);
        assert_eq!(harbour.hears(1), ["CONNACK"]);
    }
}

#[test]
fn nothing_goes_after_disconnect() {
    for (version, statement) in [(Version::V311, "MQTT-3.14.4-2"), (Version::V5, "MQTT-3.14.4-1")] {
        let mut harbour = Harbour::online(version);
        harbour.says(1, &Packet::Disconnect(Disconnect::new(Reason::NORMAL_DISCONNECTION)));
        assert_eq!(harbour.broker.farewell("one"), Some(Reason::NORMAL_DISCONNECTION));
        harbour.says(1, &Packet::PingReq);
        assert_eq!(harbour.breaches(), [statement]);
        assert_eq!(harbour.hears(1), ["closed"]);
    }
}

#[test]
fn a_client_has_its_own_reasons_to_leave() {
    for reason in [Reason::SERVER_SHUTTING_DOWN, Reason::SESSION_TAKEN_OVER, Reason(0x42)] {
        let mut harbour = Harbour::online(Version::V5);
        harbour.says(1, &Packet::Disconnect(Disconnect::new(reason)));
        assert_eq!(harbour.breaches(), ["section 2.4"], "{reason}");
    }
}

#[test]
fn an_expiry_of_zero_cannot_be_raised_at_the_end() {
    let mut harbour = Harbour::new(Version::V5);
    harbour.connects_with(1, connect(Version::V5, "one"));
    let properties = kept();
    let reason = Reason::NORMAL_DISCONNECTION;
    harbour.says(1, &Packet::Disconnect(Disconnect { reason, properties: properties.as_properties() }));
    assert_eq!(harbour.breaches(), ["section 3.14.2.2.2"]);
    assert!(!harbour.broker.has_session("one"));
}

#[test]
fn auth_needs_a_method_and_there_is_none() {
    let mut method = PropertiesBuf::new();
    method.authentication_method("SCRAM").unwrap();
    let mut harbour = Harbour::online(Version::V5);
    let reason = Reason::CONTINUE_AUTHENTICATION;
    harbour.says(1, &Packet::Auth(Auth { reason, properties: method.as_properties() }));
    assert_eq!(harbour.breaches(), ["MQTT-4.12.0-7"]);

    let asking = Connect { properties: method.as_properties(), ..connect(Version::V5, "two") };
    assert_eq!(harbour.connects_with(2, asking), ["CONNACK 0x8c", "closed"]);
}

#[test]
fn an_empty_identifier_is_for_clean_sessions() {
    let mut harbour = Harbour::new(Version::V311);
    assert_eq!(harbour.connects_with(1, connect(Version::V311, "")), ["CONNACK 0x85", "closed"]);
    assert_eq!(harbour.breaches(), ["MQTT-3.1.3-7"]);
    let clean = Connect { clean_start: true, ..connect(Version::V311, "") };
    assert_eq!(harbour.connects_with(2, clean), ["CONNACK"]);

    let mut harbour = Harbour::new(Version::V5);
    assert_eq!(harbour.connects_with(1, connect(Version::V5, "")), ["CONNACK"]);
    assert!(harbour.broker.has_session("assigned-1-1"));
}

#[test]
fn silence_ends_the_connection_at_one_and_a_half_intervals() {
    for (version, said) in [(Version::V311, vec!["closed"]), (Version::V5, vec!["DISCONNECT 0x8d", "closed"])]
    {
        let mut harbour = Harbour::new(version);
        harbour.connects_with(1, Connect { keep_alive: 10, ..connect(version, "one") });
        harbour.passes(9_000);
        harbour.says(1, &Packet::PingReq);
        assert_eq!(harbour.hears(1), ["PingResp"]);
        harbour.passes(14_999);
        assert_eq!(harbour.hears(1), [""; 0]);
        harbour.passes(1);
        assert_eq!(harbour.hears(1), said);
        assert_eq!(harbour.broker.stats().silent, 1);
        assert_eq!(harbour.breaches(), [""; 0], "the link may be to blame");
    }
}

#[test]
fn silence_is_a_breach_where_the_link_is_sound() {
    for (version, statement) in [(Version::V311, "MQTT-3.1.2-23"), (Version::V5, "MQTT-3.1.2-20")] {
        let mut harbour = Harbour::with(version, Config { blame_silence: true, ..Config::default() });
        harbour.connects_with(1, Connect { keep_alive: 10, ..connect(version, "one") });
        harbour.passes(10_001);
        harbour.says(1, &Packet::PingReq);
        assert_eq!(harbour.breaches(), [statement]);
    }
}

#[test]
fn whoever_says_nothing_is_shown_out() {
    let mut harbour = Harbour::new(Version::V5);
    harbour.broker.handle_open(ConnectionId(1), harbour.now);
    harbour.passes(10_000);
    assert_eq!(harbour.hears(1), ["closed"]);
}

#[test]
fn credentials_and_versions_are_judged() {
    let mut config = Config { versions: vec![Version::V311], ..Config::default() };
    config.credentials.insert("captain".into(), b"salt".to_vec());
    for (username, password, said) in [
        (Some("captain"), Some(&b"salt"[..]), "CONNACK"),
        (Some("captain"), Some(b"pepper"), "CONNACK 0x86"),
        (Some("mate"), Some(b"salt"), "CONNACK 0x86"),
        (None, None, "CONNACK 0x86"),
    ] {
        let mut harbour = Harbour::with(Version::V311, config.clone());
        let answer =
            harbour.connects_with(1, Connect { username, password, ..connect(Version::V311, "one") });
        assert_eq!(answer[0], said);
    }
    for (wrong_version, said) in [
        (Refusal::Code(Reason::UNSUPPORTED_PROTOCOL_VERSION), vec!["CONNACK 0x84", "closed"]),
        (Refusal::OldShape(1), vec!["[20, 02, 00, 01]", "closed"]),
        (Refusal::Close, vec!["closed"]),
    ] {
        let mut harbour = Harbour::with(Version::V5, Config { wrong_version, ..config.clone() });
        assert_eq!(harbour.connects_with(1, connect(Version::V5, "one")), said);
        assert_eq!(harbour.breaches(), [""; 0]);
    }
}

#[test]
fn sessions_are_kept_ended_and_taken_over() {
    for version in BOTH {
        let mut harbour = Harbour::online(version);
        harbour.cut(1);
        harbour.passes(100_000_000);
        assert_eq!(harbour.connects(2, "one"), ["CONNACK present"]);
        assert_eq!(harbour.connects(3, "one"), ["CONNACK present"]);
        let goodbye = if version == Version::V5 { vec!["DISCONNECT 0x8e", "closed"] } else { vec!["closed"] };
        assert_eq!(harbour.hears(2), goodbye);
        harbour.cut(2);
        assert_eq!(
            harbour.broker.connection("one"),
            Some(ConnectionId(3)),
            "the older one's end does not matter"
        );
        let clean = Connect { clean_start: true, ..connect(version, "one") };
        assert_eq!(harbour.connects_with(4, clean), ["CONNACK"]);
        harbour.cut(4);
        assert!(!harbour.broker.has_session("one"));
        assert_eq!(harbour.breaches(), [""; 0]);
    }
}

#[test]
fn sessions_expire() {
    let mut properties = PropertiesBuf::new();
    properties.session_expiry_interval(10);
    let config = Config { maximum_session_expiry: Duration::from_secs(5), ..Config::default() };
    let mut harbour = Harbour::with(Version::V5, config);
    harbour
        .connects_with(1, Connect { properties: properties.as_properties(), ..connect(Version::V5, "one") });
    harbour.cut(1);
    harbour.passes(4_999);
    assert!(harbour.broker.has_session("one"));
    harbour.passes(1);
    assert!(!harbour.broker.has_session("one"));
}

#[test]
fn wills_are_published_when_the_connection_is_lost() {
    let connect = |version| Connect {
        will: Some(Will {
            qos: QOS0,
            retain: true,
            topic: "will",
            payload: b"gone",
            properties: Properties::EMPTY,
        }),
        ..connect(version, "one")
    };
    for version in BOTH {
        for (reason, published) in [
            (None, true),
            (Some(Reason::NORMAL_DISCONNECTION), false),
            (Some(Reason::DISCONNECT_WITH_WILL_MESSAGE), version == Version::V5),
        ] {
            let mut harbour = Harbour::new(version);
            harbour.connects_with(1, connect(version));
            if let Some(reason) = reason {
                harbour.says(1, &Packet::Disconnect(Disconnect::new(reason)));
            }
            harbour.cut(1);
            assert_eq!(harbour.broker.retained("will").is_some(), published, "{version:?} {reason:?}");
            assert_eq!(harbour.broker.stats().wills, u64::from(published));
        }
    }
}
