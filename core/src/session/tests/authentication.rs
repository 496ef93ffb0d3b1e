//! Enhanced authentication: which AUTH packets may come when, and which are sent.

use super::*;
use crate::wire::{Auth, Property};

fn named(method: &str) -> PropertiesBuf {
    let mut properties = PropertiesBuf::default();
    properties.authentication_method(method).unwrap();
    properties
}

fn auth(story: &mut Story, reason: Reason, method: &str) {
    let properties = named(method);
    story.says(&Packet::Auth(Auth { reason, properties: properties.as_properties() }));
}

/// CONNECT is out and names the method `m`.
fn connecting() -> Story {
    let mut story = Story::new(Version::V5);
    story.connect.properties = named("m");
    story.session.handle_open(&story.connect);
    story.told();
    story
}

fn online() -> Story {
    let mut story = Story::new(Version::V5);
    story.connect.properties = named("m");
    story.open(false, &named("m"));
    story
}

fn is_breach(story: &mut Story) -> bool {
    matches!(story.cause(), Some(Cause::Breach(_)))
}

/// The AUTH packets the session has written, as the peer reads them: reason, method, data, and how many properties.
fn said(story: &mut Story) -> Vec<(u8, String, Option<Vec<u8>>, usize)> {
    let bytes = story.raw();
    let mut said = Vec::new();
    let mut rest = &bytes[..];
    while let Ok(Decoded::Packet { packet, size }) = decode(Version::V5, rest, 1 << 28) {
        if let Packet::Auth(Auth { reason, properties }) = packet {
            let method = properties.authentication_method().unwrap_or_default().into();
            let data = properties.authentication_data().map(<[u8]>::to_vec);
            said.push((
                reason.0,
                method,
                data,
                Property::all().filter(|one| properties.contains(*one)).count(),
            ));
        }
        rest = &rest[size..];
    }
    said
}

// Spec 5.0: MQTT-3.15.2-1 MQTT-4.12.0-3 MQTT-4.12.0-5 MQTT-4.12.1-1
#[test]
fn our_auth_has_a_clients_reason_the_method_of_connect_and_nothing_but_data() {
    let mut story = connecting();
    auth(&mut story, Reason::CONTINUE_AUTHENTICATION, "m");
    let now = story.now;
    for reason in (0..=u8::MAX).map(Reason) {
        let one_of_ours = reason == Reason::CONTINUE_AUTHENTICATION;
        assert_eq!(story.session.authenticate(reason, Some(b"x"), now), one_of_ours, "{reason}");
    }
    assert_eq!(said(&mut story), [(0x18, "m".into(), Some(b"x".to_vec()), 2)]);
    let mut story = online();
    let now = story.now;
    for reason in (0..=u8::MAX).map(Reason) {
        let one_of_ours = reason == Reason::RE_AUTHENTICATE;
        assert_eq!(story.session.authenticate(reason, None, now), one_of_ours, "{reason}");
    }
    auth(&mut story, Reason::CONTINUE_AUTHENTICATION, "m");
    assert!(story.session.authenticate(Reason::CONTINUE_AUTHENTICATION, Some(b""), now));
    assert_eq!(said(&mut story), [(0x19, "m".into(), None, 1), (0x18, "m".into(), Some(vec![]), 2)]);
}

// Spec 5.0: MQTT-3.15.2-1
#[test]
fn an_auth_with_another_reason_ends_the_connection() {
    for reason in (0..=u8::MAX).map(Reason) {
        if matches!(reason, Reason::SUCCESS | Reason::CONTINUE_AUTHENTICATION) {
            continue;
        }
        let mut story = online();
        let now = story.now;
        assert!(story.session.authenticate(Reason::RE_AUTHENTICATE, None, now));
        auth(&mut story, reason, "m");
        assert!(is_breach(&mut story), "{reason}");
    }
}

#[test]
fn no_auth_is_larger_than_the_broker_takes() {
    let mut story = Story::new(Version::V5);
    story.connect.properties = named("m");
    let mut properties = named("m");
    properties.maximum_packet_size(20).unwrap();
    story.open(false, &properties);
    let now = story.now;
    // Header and reason, the length of the properties, the method, and the identifier and length of the data.
    assert!(!story.session.authenticate(Reason::RE_AUTHENTICATE, Some(&[7; 20 - 10]), now));
    assert!(story.session.authenticate(Reason::RE_AUTHENTICATE, Some(&[7; 20 - 11]), now));
}

#[test]
fn steps_alternate_before_connack() {
    let mut story = connecting();
    auth(&mut story, Reason::CONTINUE_AUTHENTICATION, "m");
    let events = story.events();
    let step = |event: &Event| matches!(event, Event::Authentication { reason, .. } if reason.0 == 0x18);
    assert!(events.iter().any(step), "{events:?}");
    let now = story.now;
    assert!(!story.session.authenticate(Reason::RE_AUTHENTICATE, None, now), "not yet");
    let long = vec![0; 65_536];
    assert!(!story.session.authenticate(Reason::CONTINUE_AUTHENTICATION, Some(&long), now));
    assert_eq!(story.told().len(), 0);
    assert!(story.session.authenticate(Reason::CONTINUE_AUTHENTICATION, Some(b"x"), now));
    assert_eq!(story.told().len(), 1);
}

// Spec 5.0: MQTT-4.12.0-5
#[test]
fn what_ends_an_exchange_at_connecting_is_connack_with_its_method() {
    // [MQTT-4.12.0-5], and what only CONNACK may say.
    for (reason, method) in [(Reason::CONTINUE_AUTHENTICATION, "other"), (Reason::SUCCESS, "m")] {
        let mut story = connecting();
        auth(&mut story, reason, method);
        assert!(is_breach(&mut story), "{reason} {method}");
    }
    for properties in [PropertiesBuf::default(), named("other")] {
        let mut story = connecting();
        let (session_present, reason) = (false, Reason::SUCCESS);
        let connack = Connack { session_present, reason, properties: properties.as_properties() };
        story.says(&Packet::Connack(connack));
        assert!(is_breach(&mut story), "{properties:?}");
    }
}

#[test]
fn without_a_method_none_may_come() {
    // [MQTT-4.12.0-6]
    let mut story = Story::online(Version::V5);
    auth(&mut story, Reason::CONTINUE_AUTHENTICATION, "m");
    assert!(is_breach(&mut story));
    let mut story = Story::new(Version::V5);
    story.session.handle_open(&story.connect);
    let properties = named("m");
    let (session_present, reason) = (false, Reason::SUCCESS);
    let connack = Connack { session_present, reason, properties: properties.as_properties() };
    story.says(&Packet::Connack(connack));
    assert!(is_breach(&mut story));
    let mut story = Story::online(Version::V311);
    let now = story.now;
    assert!(!story.session.authenticate(Reason::RE_AUTHENTICATE, None, now));
}

// Spec 5.0: MQTT-4.12.0-5 MQTT-4.12.1-2
#[test]
fn an_online_session_authenticates_again_when_it_wants_and_one_at_a_time() {
    let mut story = online();
    let now = story.now;
    assert!(!story.session.authenticate(Reason::CONTINUE_AUTHENTICATION, None, now), "nothing goes on");
    for _ in 0..2 {
        assert!(story.session.authenticate(Reason::RE_AUTHENTICATE, None, now));
        assert!(!story.session.authenticate(Reason::RE_AUTHENTICATE, None, now), "one at a time");
        auth(&mut story, Reason::CONTINUE_AUTHENTICATION, "m");
        assert!(story.session.authenticate(Reason::CONTINUE_AUTHENTICATION, None, now));
        auth(&mut story, Reason::SUCCESS, "m");
        let events = story.events();
        assert_eq!(events.len(), 2, "{events:?}");
        assert_eq!(story.session.phase(), Phase::Online);
    }
    for (reason, method) in [
        (Reason::CONTINUE_AUTHENTICATION, "other"),
        (Reason::SUCCESS, "other"),
        (Reason::RE_AUTHENTICATE, "m"),
    ] {
        let mut story = online();
        let now = story.now;
        assert!(story.session.authenticate(Reason::RE_AUTHENTICATE, None, now));
        auth(&mut story, reason, method);
        assert!(is_breach(&mut story), "{reason} {method}");
    }
}

#[test]
fn an_answer_is_not_waited_for_for_ever() {
    let mut story = online();
    let now = story.now;
    story.connect.keep_alive = 0;
    assert!(story.session.authenticate(Reason::RE_AUTHENTICATE, None, now));
    story.told();
    let limit = Config::default().acknowledgement_timeout;
    assert!(story.session.poll_timeout().is_some_and(|at| at <= now + limit));
    story.session.handle_read(now + limit);
    story.session.handle_timeout(now + limit);
    assert_eq!(story.cause(), Some(Cause::NotAcknowledged));
}
