//! Refusals, goodbyes, and a second connection under the same name.

use super::*;
use packetboat_core::session::{Config, ConnectOptions};
use packetboat_sim::broker::{self, Refusal};

#[test]
fn refusals_say_why_in_both_versions() {
    let reasons = [
        Reason::UNSUPPORTED_PROTOCOL_VERSION,
        Reason::CLIENT_IDENTIFIER_NOT_VALID,
        Reason::SERVER_UNAVAILABLE,
        Reason::BAD_USER_NAME_OR_PASSWORD,
        Reason::NOT_AUTHORIZED,
    ];
    for version in BOTH {
        for reason in reasons {
            let mut pair = Pair::new(version);
            pair.broker.faults().refuse(1, Refusal::Code(reason));
            pair.publish("a", "patient", QOS1, 1);
            pair.connect();
            assert!(!pair.is_connected());
            match cause(&pair.events()) {
                Some(Cause::Refused { reason: told, old_shape: false, .. }) => assert_eq!(told, reason),
                other => panic!("{version:?} {reason}: {other:?}"),
            }
            pair.connect();
            assert_eq!(acknowledged(&pair.events()), [1], "nothing accepted is lost by a refusal");
            pair.check();
        }
    }
}

#[test]
fn a_broker_that_does_not_know_5_0_is_understood() {
    let broker = broker::Config {
        versions: vec![Version::V311],
        wrong_version: Refusal::OldShape(1),
        ..broker::Config::default()
    };
    let mut pair = Pair::with(Version::V5, Config::default(), broker);
    pair.connect();
    let refused = cause(&pair.events());
    assert!(matches!(refused, Some(Cause::Refused { old_shape: true, .. })), "{refused:?}");
    pair.check();
}

#[test]
fn credentials_are_judged() {
    for version in BOTH {
        for (password, fits) in [("salt", true), ("fresh", false)] {
            let mut credentials = broker::Config::default().credentials;
            credentials.insert("captain".to_owned(), b"salt".to_vec());
            let broker = broker::Config { credentials, ..broker::Config::default() };
            let mut options =
                ConnectOptions { version, client_id: CLIENT.into(), ..ConnectOptions::default() };
            options.username = Some("captain".to_owned());
            options.password = Some(password.as_bytes().to_vec());
            let mut pair = Pair::with_options(options, Config::default(), broker, 1);
            pair.connect();
            assert_eq!(pair.is_connected(), fits);
            pair.check();
        }
    }
}

#[test]
fn the_brokers_goodbye_is_heard_and_the_session_goes_on() {
    let mut pair = Pair::new(Version::V5);
    pair.connect();
    pair.publish("a", "one", QOS1, 1);
    pair.drive();
    pair.broker.disconnect(CLIENT, Reason::SERVER_SHUTTING_DOWN, pair.now);
    pair.drive();
    let goodbye = cause(&pair.events());
    let reason = Reason::SERVER_SHUTTING_DOWN;
    assert!(matches!(goodbye, Some(Cause::ByBroker { reason: told, .. }) if told == reason), "{goodbye:?}");
    pair.publish("a", "two", QOS2, 2);
    pair.connect();
    let events = pair.events();
    assert_eq!(resumed(&events), Some(true));
    assert_eq!(acknowledged(&events), [2]);
    pair.check();
}

#[test]
fn an_assigned_identifier_comes_with_the_connack() {
    let options = ConnectOptions { version: Version::V5, ..ConnectOptions::default() };
    let mut pair = Pair::with_options(options, Config::default(), broker::Config::default(), 1);
    pair.connect();
    let events = pair.events();
    let assigned = events.iter().find_map(|event| match event {
        Event::Connected { properties, .. } => {
            properties.as_properties().assigned_client_identifier().map(str::to_owned)
        }
        _ => None,
    });
    assert!(assigned.is_some_and(|name| pair.broker.has_session(&name)));
    pair.check();
}

#[test]
fn a_breach_by_the_broker_is_answered_with_its_reason() {
    let bytes: [(&[u8], Reason); 4] = [
        // QoS 3.
        (&[0x36, 5, 0, 1, b'a', 0, 1], Reason::MALFORMED_PACKET),
        // A second CONNACK.
        (&[0x20, 3, 0, 0, 0], Reason::PROTOCOL_ERROR),
        // An alias beyond what was announced.
        (&[0x30, 6, 0, 0, 3, 0x23, 0xff, 0xff], Reason::TOPIC_ALIAS_INVALID),
        // A PUBACK for nothing.
        (&[0x40, 2, 0, 9], Reason::PROTOCOL_ERROR),
    ];
    for (bytes, reason) in bytes {
        let mut pair = Pair::new(Version::V5);
        pair.connect();
        pair.broker.send_raw(CLIENT, bytes);
        pair.drive();
        assert!(matches!(cause(&pair.events()), Some(Cause::Breach(_))), "{bytes:?}");
        assert_eq!(pair.broker.farewell(CLIENT), Some(reason), "{bytes:?}");
        pair.check();
    }
}
