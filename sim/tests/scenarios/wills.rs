//! The will: published when the client is lost, and only then.

use super::*;
use packetboat_core::session::{Config, ConnectOptions, Will};
use packetboat_core::wire::PropertiesBuf;
use packetboat_sim::broker::{self, Message};
use std::time::Duration;

fn with_will(version: Version, delay: u32) -> Pair {
    let mut properties = PropertiesBuf::new();
    if delay > 0 {
        properties.will_delay_interval(delay);
    }
    let topic = "lost/boat".to_owned();
    let will = Will { topic, payload: vec![0, 255], qos: QOS1, retain: true, properties };
    let mut pair = Pair::new(version);
    let session = pair.client.options.session;
    pair.client.options = ConnectOptions {
        version,
        client_id: CLIENT.into(),
        session,
        will: Some(will),
        ..ConnectOptions::default()
    };
    pair
}

fn published(pair: &Pair) -> Option<&Message> {
    pair.broker.retained("lost/boat")
}

#[test]
fn a_cut_publishes_it_and_a_disconnect_does_not() {
    for version in BOTH {
        let mut pair = with_will(version, 0);
        pair.connect();
        pair.cut();
        assert_eq!(published(&pair).map(|message| &*message.payload), Some(&[0, 255][..]));

        let mut pair = with_will(version, 0);
        pair.connect();
        pair.client.session.disconnect(Reason::NORMAL_DISCONNECTION);
        pair.drive();
        assert_eq!(published(&pair), None);
        pair.check();
    }
}

#[test]
fn disconnect_with_will_publishes_it() {
    let mut pair = with_will(Version::V5, 0);
    pair.connect();
    pair.client.session.disconnect(Reason::DISCONNECT_WITH_WILL_MESSAGE);
    pair.drive();
    assert!(published(&pair).is_some());
    pair.check();
}

#[test]
fn a_delayed_will_is_called_off_by_coming_back() {
    let mut pair = with_will(Version::V5, 10);
    pair.connect();
    pair.cut();
    pair.pass(Duration::from_secs(9));
    pair.connect();
    pair.pass(Duration::from_secs(20));
    assert_eq!(published(&pair), None);
    pair.cut();
    pair.pass(Duration::from_secs(10));
    assert!(published(&pair).is_some());
    pair.check();
}

#[test]
fn the_end_of_the_session_publishes_a_delayed_will() {
    let mut pair = with_will(Version::V5, 1000);
    pair.client.options.session =
        packetboat_core::session::SessionMode::Persistent { expiry: Duration::from_secs(5) };
    pair.connect();
    pair.cut();
    pair.pass(Duration::from_secs(5));
    assert!(published(&pair).is_some());
    assert!(!pair.broker.has_session(CLIENT));
    pair.check();
}

#[test]
fn a_will_the_broker_cannot_keep_is_refused() {
    let broker = broker::Config { retain_available: false, ..broker::Config::default() };
    let will = with_will(Version::V5, 0).client.options.will;
    let mut pair = Pair::with(Version::V5, Config::default(), broker);
    pair.client.options.will = will;
    pair.connect();
    let refused = cause(&pair.events());
    let reason = Reason::RETAIN_NOT_SUPPORTED;
    assert!(matches!(refused, Some(Cause::Refused { reason: told, .. }) if told == reason), "{refused:?}");
}
