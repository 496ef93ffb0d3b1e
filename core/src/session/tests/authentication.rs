//! Enhanced authentication: which AUTH packets may come when, and which are sent.

use super::*;
use crate::wire::Auth;

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
