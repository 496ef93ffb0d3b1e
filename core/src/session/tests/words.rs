//! Reason strings and user properties: what ours say and when they are left out, and what the broker's come to.

use super::*;
use crate::wire::{Disconnect, Property, SubAckKind, Suback, SubscribeOptions};

/// A reason string and a user property of so many bytes in all.
fn words(size: usize) -> PropertiesBuf {
    // Identifier and length, twice for the pair.
    let text = "x".repeat(size - 3 - 7);
    let mut words = PropertiesBuf::default();
    words.reason_string(&text).unwrap().user_property("k", "v").unwrap();
    assert_eq!(words.as_bytes().len(), size);
    words
}

/// Online with a broker that takes packets of 40 bytes.
fn narrow(method: Option<&str>) -> Story {
    let mut story = Story::new(Version::V5);
    let mut properties = limits(|said| {
        said.maximum_packet_size(40).unwrap();
    });
    if let Some(method) = method {
        properties.authentication_method(method).unwrap();
        story.connect.properties.authentication_method(method).unwrap();
    }
    story.open(false, &properties);
    story
}

/// The properties of the one packet there is.
fn said(bytes: &[u8]) -> PropertiesBuf {
    let Ok(Decoded::Packet { packet, size }) = decode(Version::V5, bytes, 1000) else { panic!("{bytes:x?}") };
    assert_eq!(size, bytes.len(), "one packet");
    match packet {
        Packet::Ack(ack) => ack.properties.into(),
        Packet::Disconnect(disconnect) => disconnect.properties.into(),
        Packet::Auth(auth) => auth.properties.into(),
        Packet::Subscribe(subscribe) => subscribe.properties.into(),
        Packet::Unsubscribe(unsubscribe) => unsubscribe.properties.into(),
        other => panic!("{other:?}"),
    }
}

fn token(verdict: Verdict) -> AckToken {
    match verdict {
        Verdict::Deliver(Some(token)) => token,
        other => panic!("{other:?}"),
    }
}

const BOTH_QOS: [QoS; 2] = [QoS::AtLeastOnce, QoS::ExactlyOnce];

// Spec 5.0: MQTT-3.4.2-2 MQTT-3.4.2-3 MQTT-3.5.2-2 MQTT-3.5.2-3 MQTT-3.1.2-24 MQTT-3.2.2-15
#[test]
fn an_acknowledgement_tells_what_the_application_says_if_the_broker_takes_as_much() {
    for qos in BOTH_QOS {
        for reason in [Reason::SUCCESS, Reason::NO_MATCHING_SUBSCRIBERS, Reason::NOT_AUTHORIZED] {
            // Header, identifier, reason, and the length of the properties: 6 bytes.
            for (size, fits) in [(34, true), (35, false)] {
                let mut story = narrow(None);
                let one = token(story.arrives(qos, 1, 1));
                let two = token(story.arrives(qos, 2, 1));
                assert!(story.session.release_with(two, reason, words(size).as_properties()));
                assert!(story.raw().is_empty(), "its turn has not come");
                story.session.release(one, Release::Abandon);
                let bytes = story.raw();
                let expected = if fits { words(size) } else { PropertiesBuf::default() };
                assert_eq!(said(&bytes), expected, "{qos:?} {reason} {size}");
                assert!(bytes.len() <= 40);
                // Nothing of it is left for the next one of that identifier.
                if qos == QoS::AtLeastOnce || reason.is_error() {
                    let again = token(story.arrives(qos, 2, 1));
                    story.session.release(again, Release::Reject(Reason::QUOTA_EXCEEDED));
                    assert!(said(&story.raw()).is_empty());
                }
            }
        }
    }
}

#[test]
fn only_words_go_along_and_only_from_who_holds_the_message() {
    let mut story = Story::online(Version::V5);
    let mut all = words(30);
    all.server_keep_alive(7);
    let one = token(story.arrives(QoS::AtLeastOnce, 1, 2));
    // The second holder cannot take the refusal back, nor change its words.
    assert!(story.session.release_with(one, Reason::NOT_AUTHORIZED, all.as_properties()));
    assert!(story.session.release_with(one, Reason::SUCCESS, words(20).as_properties()));
    assert!(!story.session.release_with(one, Reason::SUCCESS, words(20).as_properties()), "it is spent");
    let bytes = story.raw();
    assert_eq!(said(&bytes), words(30));
    assert_eq!(bytes[4], Reason::NOT_AUTHORIZED.0);
    // A token of another connection says nothing, there or here.
    let old = token(story.arrives(QoS::AtLeastOnce, 1, 1));
    let lasting = token(story.arrives(QoS::ExactlyOnce, 2, 1));
    story.cut_after(0);
    assert!(story.session.release_with(lasting, Reason::SUCCESS, words(22).as_properties()));
    story.open(true, &PropertiesBuf::default());
    assert!(!story.session.release_with(old, Reason::SUCCESS, words(20).as_properties()));
    let new = token(story.arrives(QoS::AtLeastOnce, 1, 1));
    story.session.release(new, Release::Acknowledge);
    assert_eq!(story.raw(), [0x40, 2, 0, 1]);
    story.arrives(QoS::ExactlyOnce, 2, 1);
    assert_eq!(said(&story.raw()), words(22), "it waited for its message to come again");
}

#[test]
fn words_for_a_delivery_that_is_no_more_are_not_said_of_the_next_one_of_its_identifier() {
    // The session is lost, or kept while a second holder gave the message up.
    for kept in [false, true] {
        let mut story = Story::online(Version::V5);
        let _ahead = token(story.arrives(QoS::ExactlyOnce, 1, 1));
        let two = token(story.arrives(QoS::ExactlyOnce, 2, 2));
        assert!(story.session.release_with(two, Reason::NO_MATCHING_SUBSCRIBERS, words(20).as_properties()));
        let second = if kept { Release::Abandon } else { Release::Acknowledge };
        assert!(story.session.release(two, second));
        story.cut_after(0);
        story.open(kept, &PropertiesBuf::default());
        let next = token(story.arrives(QoS::ExactlyOnce, 2, 1));
        story.session.release(next, Release::Acknowledge);
        assert_eq!(story.raw(), [0x50, 2, 0, 2], "kept: {kept}");
    }
}

/// A broker could have us keep 256 MiB with each acknowledgement otherwise.
#[test]
fn of_the_endless_words_of_a_broker_only_what_has_a_bound_is_kept() {
    for (count, whole) in [(10, true), (10_000, false)] {
        let mut said = PropertiesBuf::default();
        said.reason_string("why").unwrap();
        for _ in 0..count {
            said.user_property("name", "value").unwrap();
        }
        let mut kept = said.clone();
        if !whole {
            kept.remove(Property::UserProperty);
        }
        let mut story = Story::online(Version::V5);
        for (qos, id, first) in
            [(QoS::AtLeastOnce, 1, AckKind::Puback), (QoS::ExactlyOnce, 2, AckKind::Pubrec)]
        {
            story.publish(qos, "x", id.into());
            story.told();
            let properties = said.as_properties();
            story.says(&Packet::Ack(Ack { properties, ..Ack::new(first, id) }));
        }
        story.acks(AckKind::Pubcomp, 2);
        let options = SubscribeOptions::from(QoS::AtLeastOnce);
        story.session.subscribe(&filter("a"), options, Tag(3)).unwrap();
        story.told();
        granting(&mut story, SubAckKind::Suback, 3, &said);
        story.says(&Packet::Disconnect(Disconnect {
            reason: Reason::SERVER_BUSY,
            properties: said.as_properties(),
        }));
        story.session.handle_close(&Output::default(), 0);
        let words: Vec<PropertiesBuf> = story
            .events()
            .into_iter()
            .map(|event| match event {
                Event::Published { outcome: Outcome::Acknowledged { properties, .. }, .. }
                | Event::Subscribed { properties, .. } => *properties.unwrap(),
                Event::Disconnected { cause: Cause::ByBroker { properties, .. }, .. } => properties,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(words.len(), 4);
        assert!(words.iter().all(|words| *words == kept), "{count}");
    }
}

#[test]
fn on_3_1_1_words_are_for_nobody() {
    let mut story = Story::online(Version::V311);
    for qos in BOTH_QOS {
        let one = token(story.arrives(qos, 1, 1));
        assert!(story.session.release_with(one, Reason::NOT_AUTHORIZED, words(20).as_properties()));
        assert_eq!(story.raw()[1..], [2, 0, 1]);
    }
    story.session.prepare_farewell(words(20));
    story.session.disconnect(Reason::NORMAL_DISCONNECTION);
    assert_eq!(story.raw(), [0xe0, 0]);
}

// Spec 5.0: MQTT-3.14.2-3 MQTT-3.14.2-4 MQTT-3.2.2-15
#[test]
fn a_goodbye_tells_what_the_application_says_if_the_broker_takes_as_much() {
    // Header, reason, the length of the properties, and the session expiry interval: 9 bytes.
    for (size, fits) in [(31, true), (32, false)] {
        let mut story = narrow(None);
        let mut farewell = words(size);
        farewell.session_expiry_interval(7).server_reference("elsewhere").unwrap();
        story.session.prepare_farewell(farewell);
        story.session.disconnect(Reason::DISCONNECT_WITH_WILL_MESSAGE);
        let bytes = story.raw();
        assert_eq!(bytes[2], Reason::DISCONNECT_WITH_WILL_MESSAGE.0);
        let properties = said(&bytes);
        let properties = properties.as_properties();
        assert_eq!(properties.session_expiry_interval(), Some(7));
        assert_eq!(properties.reason_string().is_some(), fits, "{size}");
        assert_eq!(properties.user_properties().count(), usize::from(fits));
        assert_eq!(properties.server_reference(), None, "that is the server's to say");
    }
    let mut story = Story::online(Version::V5);
    story.session.prepare_farewell(words(20));
    story.session.leave(Reason::NORMAL_DISCONNECTION);
    assert_eq!(story.raw(), [0xe0, 0], "it is no farewell");
}

// Spec 5.0: MQTT-3.15.2-2 MQTT-3.15.2-3
#[test]
fn an_auth_tells_what_its_method_says_if_the_broker_takes_as_much() {
    // Header, reason, the length of the properties, and the method: 8 bytes.
    for (size, fits) in [(32, true), (33, false)] {
        let mut story = narrow(Some("m"));
        let mut extra = words(size);
        extra.authentication_method("other").unwrap().authentication_data(b"data").unwrap();
        extra.server_keep_alive(9);
        let now = story.now;
        assert!(story.session.authenticate_with(Reason::RE_AUTHENTICATE, None, extra.as_properties(), now));
        let bytes = story.raw();
        let properties = said(&bytes);
        let properties = properties.as_properties();
        assert_eq!(properties.authentication_method(), Some("m"));
        assert_eq!(properties.reason_string().is_some(), fits, "{size}");
        assert_eq!(properties.user_properties().count(), usize::from(fits));
        assert!(
            !properties.contains(Property::AuthenticationData)
                && !properties.contains(Property::ServerKeepAlive)
        );
    }
}

#[test]
fn what_pubrec_says_is_told_at_the_end_and_pubcomp_has_the_last_word() {
    for (answer, last) in [(false, false), (true, false), (true, true)] {
        let mut story = Story::online(Version::V5);
        let (early, late) = (words(20), words(25));
        let said = |kind, reason, words: &PropertiesBuf, story: &mut Story| {
            let properties = words.as_properties();
            story.says(&Packet::Ack(Ack { kind, id: 1, reason, properties }));
            story.told();
        };
        let none = PropertiesBuf::default();
        // The one before leaves nothing behind.
        for round in 0..2 {
            story.publish(QoS::ExactlyOnce, "x", round);
            story.told();
            let reason = if answer { Reason::NO_MATCHING_SUBSCRIBERS } else { Reason::SUCCESS };
            let speaks = answer && round == 0;
            if speaks {
                said(AckKind::Pubrec, reason, &early, &mut story);
            } else {
                said(AckKind::Pubrec, Reason::SUCCESS, &none, &mut story);
            }
            said(AckKind::Pubcomp, Reason::SUCCESS, if last { &late } else { &none }, &mut story);
            let (reason, properties) = match (speaks, last) {
                (_, true) => (Reason::SUCCESS, Some(Box::new(late.clone()))),
                (true, false) => (Reason::NO_MATCHING_SUBSCRIBERS, Some(Box::new(early.clone()))),
                (false, false) => (Reason::SUCCESS, None),
            };
            let outcome = Outcome::Acknowledged { reason, properties, possible_duplicate: false };
            assert_eq!(story.ended(), [(round, outcome)]);
            // The identifiers go up.
            story.cut_after(0);
            story = Story { session: Session::new(Config::default()), ..story };
            story.open(false, &PropertiesBuf::default());
        }
    }
}

fn filter(text: &str) -> crate::topic::TopicFilter {
    crate::topic::TopicFilter::new(text).unwrap()
}

fn granting(story: &mut Story, kind: SubAckKind, id: u16, properties: &PropertiesBuf) {
    let (reasons, properties) = (&[1][..], properties.as_properties());
    story.says(&Packet::Suback(Suback { kind, id, properties, reasons }));
}

#[test]
fn requests_with_user_properties_go_alone_and_again_and_their_answers_are_data() {
    let mut story = Story::online(Version::V5);
    let mut mine = words(20);
    mine.subscription_identifier(77).unwrap();
    let options = SubscribeOptions::from(QoS::AtLeastOnce);
    story.session.subscribe_with(&filter("a"), options, mine.as_properties(), Tag(1)).unwrap();
    let bytes = story.raw();
    let properties = said(&bytes);
    let is_mine = |properties: Properties<'_>| {
        properties.user_properties().eq([("k", "v")])
            && properties.reason_string().is_none()
            && !properties.subscription_identifiers().any(|identifier| identifier == 77)
    };
    assert!(is_mine(properties.as_properties()), "{properties:?}");
    granting(&mut story, SubAckKind::Suback, 1, &words(15));
    let told = Event::Subscribed {
        tag: Tag(1),
        reason: Reason::GRANTED_QOS_1,
        properties: Some(Box::new(words(15))),
    };
    assert_eq!(story.events(), [told]);
    // The session is lost: asked again, with the same.
    story.cut_after(0);
    story.open(false, &PropertiesBuf::default());
    let bytes = story.raw();
    let properties = said(&bytes);
    assert!(is_mine(properties.as_properties()), "{properties:?}");
    granting(&mut story, SubAckKind::Suback, bytes[3].into(), &PropertiesBuf::default());
    story.events();

    story.session.unsubscribe_with(&filter("a"), mine.as_properties(), Tag(2)).unwrap();
    story.session.unsubscribe(&filter("b"), Tag(3));
    story.session.unsubscribe(&filter("c"), Tag(4));
    let bytes = story.raw();
    let first = usize::from(bytes[1]) + 2;
    let properties = said(&bytes[..first]);
    assert!(is_mine(properties.as_properties()), "{properties:?}");
    assert!(said(&bytes[first..]).is_empty());
    granting(&mut story, SubAckKind::Unsuback, bytes[3].into(), &words(16));
    let told = Event::Unsubscribed { tag: Tag(2), reason: Reason(1), properties: Some(Box::new(words(16))) };
    assert_eq!(story.events(), [told]);
}

#[test]
fn requests_with_user_properties_need_5_0() {
    let mut story = Story::online(Version::V311);
    let options = SubscribeOptions::from(QoS::AtLeastOnce);
    story.session.subscribe_with(&filter("a"), options, words(20).as_properties(), Tag(1)).unwrap();
    story.session.unsubscribe_with(&filter("b"), words(20).as_properties(), Tag(2)).unwrap();
    // Words that are no requests' do not count.
    let string = limits(|said| {
        said.reason_string("why").unwrap();
    });
    story.session.unsubscribe_with(&filter("c"), string.as_properties(), Tag(3)).unwrap();
    assert_eq!(story.told(), ["UNSUBSCRIBE c"]);
    let reason = Reason::UNSUPPORTED_PROTOCOL_VERSION;
    let refused = [
        Event::Subscribed { tag: Tag(1), reason, properties: None },
        Event::Unsubscribed { tag: Tag(2), reason, properties: None },
    ];
    assert_eq!(story.events(), refused);
    let config = Config { fixed_version: Some(Version::V311), ..Config::default() };
    let mut story = Story::with(Version::V311, config);
    let asked = story.session.subscribe_with(&filter("a"), options, words(20).as_properties(), Tag(1));
    assert_eq!(asked, Err(SubscribeError::NeedsVersion5));
    let asked = story.session.unsubscribe_with(&filter("a"), words(20).as_properties(), Tag(1));
    assert_eq!(asked, Err(SubscribeError::NeedsVersion5));
    assert!(!story.session.can_have_properties());
}

#[test]
fn words_that_wait_for_their_turn_outlive_a_cut_where_their_message_does() {
    let mut story = Story::online(Version::V5);
    let [one, two] = [1, 2].map(|id| token(story.arrives(QoS::ExactlyOnce, id, 1)));
    let [three, four] = [3, 4].map(|id| token(story.arrives(QoS::AtLeastOnce, id, 1)));
    for token in [two, four] {
        assert!(story.session.release_with(token, Reason::NOT_AUTHORIZED, words(20).as_properties()));
    }
    assert!(story.raw().is_empty(), "{three:?} is held");
    story.cut_after(0);
    story.open(true, &PropertiesBuf::default());
    for id in [1, 2] {
        assert_eq!(story.arrives(QoS::ExactlyOnce, id, 1), Verdict::Ignore);
    }
    let again = token(story.arrives(QoS::AtLeastOnce, 4, 1));
    story.session.release(again, Release::Acknowledge);
    assert_eq!(story.raw(), [0x40, 2, 0, 4], "a new delivery, of which nothing was said");
    story.session.release(one, Release::Acknowledge);
    let bytes = story.raw();
    assert_eq!(bytes[..4], [0x50, 2, 0, 1]);
    assert_eq!(said(&bytes[4..]), words(20));
}
