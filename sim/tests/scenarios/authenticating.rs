//! Enhanced authentication on a bad link, and with a broker that does not keep to it.

use std::sync::Arc;

use super::*;
use packetboat_core::session::{Config, ConnectOptions, SessionMode};
use packetboat_core::wire::PacketType;
use packetboat_sim::broker::{self, Direction, Echo};

/// Both know the method, which takes two steps.
fn authenticated() -> Pair {
    let session = SessionMode::Persistent { expiry: std::time::Duration::from_hours(1) };
    let mut options = ConnectOptions { client_id: CLIENT.to_owned(), session, ..ConnectOptions::default() };
    options.properties.authentication_method(Echo::NAME).unwrap();
    let broker = broker::Config { methods: vec![Arc::new(Echo(2))], ..broker::Config::default() };
    Pair::with_options(options, Config::default(), broker, 0)
}

fn again(pair: &mut Pair, data: &[u8]) -> bool {
    pair.client.session.authenticate(Reason::RE_AUTHENTICATE, Some(data), pair.now)
}

/// Re-authentications that came to their good end.
fn accepted(events: &[Event]) -> usize {
    let good = |event: &&Event| matches!(event, Event::Authentication { reason: Reason::SUCCESS, .. });
    events.iter().filter(good).count()
}

#[test]
fn an_exchange_comes_before_connack_and_again_on_every_connection() {
    let mut pair = authenticated();
    for connection in 1..=3 {
        pair.connect();
        assert!(resumed(&pair.events()).is_some());
        assert_eq!(pair.broker.stats().received(PacketType::Auth), connection * 5 - 3);
        assert!(again(&mut pair, b"again"));
        pair.drive();
        assert_eq!(accepted(&pair.events()), 1);
        pair.cut();
    }
    pair.check();
}

/// Every byte of the conversation, in both directions, is once the last one before the cut: of the exchange at
/// connecting and of the one after it, with messages beside them.
// Spec 5.0: MQTT-4.12.0-5 MQTT-4.12.1-1
#[test]
fn a_cut_behind_any_byte_of_an_exchange_loses_and_doubles_nothing() {
    for direction in [Direction::ToBroker, Direction::ToClient] {
        let mut whole = false;
        for bytes in 0.. {
            let mut pair = authenticated();
            pair.dial();
            pair.link().unwrap().cut_after(direction, bytes);
            pair.publish("a", "m1", QOS2, 1);
            pair.drive();
            pair.publish("a", "m2", QOS1, 2);
            again(&mut pair, b"again");
            pair.publish("a", "m3", QOS2, 3);
            pair.drive();
            whole = pair.is_connected();
            if !whole {
                pair.connect();
            }
            let mut events = pair.events();
            if whole {
                assert_eq!((accepted(&events), acknowledged(&events).len()), (1, 3));
                break;
            }
            // The new connection can be authenticated again, whatever became of the old one.
            assert!(again(&mut pair, b"again"), "{direction:?} {bytes}");
            pair.drive();
            let more = pair.events();
            assert_eq!(accepted(&more), 1, "{direction:?} {bytes}");
            events.extend(more);
            let mut done = acknowledged(&events);
            done.sort_unstable();
            assert_eq!(done, [1, 2, 3], "{direction:?} {bytes}");
            assert_eq!((count(&pair, "m1"), count(&pair, "m3")), (1, 1));
            assert!((1..=2).contains(&count(&pair, "m2")));
            pair.broker.check_idle(CLIENT, pair.now);
            pair.check();
        }
        assert!(whole);
    }
}

/// The broker says this in the middle of an exchange, or without one.
fn told(pair: &mut Pair, reason: Reason, method: &str) {
    let mut properties = PropertiesBuf::new();
    properties.authentication_method(method).unwrap();
    let mut bytes = vec![0xf0, u8::try_from(properties.as_bytes().len() + 2).unwrap(), reason.0];
    bytes.push(u8::try_from(properties.as_bytes().len()).unwrap());
    bytes.extend_from_slice(properties.as_bytes());
    assert!(pair.broker.send_raw(CLIENT, &bytes));
}

// Spec 5.0: MQTT-3.15.2-1 MQTT-4.12.0-5
#[test]
fn the_wrong_method_or_reason_ends_the_connection_and_costs_no_message() {
    for (reason, method, within) in [
        (Reason::CONTINUE_AUTHENTICATION, "OTHER", true),
        (Reason::SUCCESS, "OTHER", true),
        (Reason::RE_AUTHENTICATE, Echo::NAME, true),
        (Reason::NOT_AUTHORIZED, Echo::NAME, true),
        (Reason::CONTINUE_AUTHENTICATION, Echo::NAME, false),
        (Reason::SUCCESS, Echo::NAME, false),
    ] {
        let mut pair = authenticated();
        pair.connect();
        pair.broker.faults().swallow(PacketType::Auth);
        pair.broker.faults().swallow(PacketType::Pubrec);
        pair.publish("a", "kept", QOS2, 1);
        if within {
            assert!(again(&mut pair, b"again"));
        }
        pair.drive();
        pair.events();
        told(&mut pair, reason, method);
        pair.drive();
        let ended = cause(&pair.events());
        assert!(matches!(ended, Some(Cause::Breach(_))), "{reason} {method} {within}: {ended:?}");
        assert!(pair.broker.farewell(CLIENT).is_some_and(Reason::is_error), "it is told");
        pair.broker.faults().clear();
        pair.connect();
        let events = pair.events();
        assert_eq!((resumed(&events), acknowledged(&events)), (Some(true), vec![1]));
        assert_eq!(count(&pair, "kept"), 1);
        pair.check();
    }
}

// Spec 5.0: MQTT-4.12.1-2
#[test]
fn a_refusal_while_connected_ends_the_connection_and_the_next_one_goes_on() {
    let mut pair = authenticated();
    pair.connect();
    pair.broker.faults().swallow(PacketType::Puback);
    pair.publish("a", "kept", QOS1, 1);
    assert!(again(&mut pair, Echo::REFUSED));
    pair.drive();
    match cause(&pair.events()) {
        Some(Cause::ByBroker { reason, .. }) => assert_eq!(reason, Reason::NOT_AUTHORIZED),
        other => panic!("{other:?}"),
    }
    pair.broker.faults().clear();
    pair.connect();
    assert_eq!(acknowledged(&pair.events()), [1]);
    pair.check();
}

#[test]
fn an_auth_that_is_lost_costs_the_connection_when_its_time_is_over() {
    let mut pair = authenticated();
    pair.connect();
    pair.broker.faults().swallow(PacketType::Auth);
    assert!(again(&mut pair, b"again"));
    pair.pass(Config::default().acknowledgement_timeout / 2);
    assert_eq!(cause(&pair.events()), None);
    pair.pass(Config::default().acknowledgement_timeout);
    assert_eq!(cause(&pair.events()), Some(Cause::NotAcknowledged));
    pair.broker.faults().clear();
    pair.connect();
    assert!(again(&mut pair, b"again"));
    pair.drive();
    assert_eq!(accepted(&pair.events()), 1);
    pair.check();
}
