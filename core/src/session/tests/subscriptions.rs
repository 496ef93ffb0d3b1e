use super::*;
use crate::topic::TopicFilter;
use crate::wire::{RetainHandling, SubAckKind, Suback, SubscribeOptions};

fn filter(text: &str) -> TopicFilter {
    TopicFilter::new(text).unwrap()
}

fn quiet(qos: QoS) -> SubscribeOptions {
    SubscribeOptions { retain_handling: RetainHandling::DoNotSend, ..qos.into() }
}

impl Story {
    fn subscribe(&mut self, text: &str, options: SubscribeOptions, tag: u64) {
        self.session.subscribe(&filter(text), options, Tag(tag)).unwrap();
    }

    fn suback(&mut self, id: u16, reasons: &[u8]) {
        let (kind, properties) = (SubAckKind::Suback, Properties::EMPTY);
        self.says(&Packet::Suback(Suback { kind, id, properties, reasons }));
    }

    fn unsuback(&mut self, id: u16) {
        let (kind, properties) = (SubAckKind::Unsuback, Properties::EMPTY);
        let reasons: &[u8] = if self.connect.version == Version::V5 { &[0] } else { &[] };
        self.says(&Packet::Suback(Suback { kind, id, properties, reasons }));
    }
}

fn granted(tag: u64, reason: u8) -> Event {
    Event::Subscribed { tag: Tag(tag), reason: Reason(reason), properties: None }
}

// Spec 3.1.1: MQTT-3.9.3-1
// Spec 5.0: MQTT-3.9.3-1
#[test]
fn each_filter_gets_its_own_result() {
    let mut story = Story::online(Version::V311);
    story.subscribe("a", QoS::AtLeastOnce.into(), 1);
    story.subscribe("b", QoS::AtLeastOnce.into(), 2);
    assert_eq!(story.told(), ["SUBSCRIBE a b"], "without identifiers one packet does");
    story.suback(1, &[1, 0x80]);
    assert_eq!(story.events(), [granted(1, 1), granted(2, 0x80)]);
    let mut story = Story::online(Version::V5);
    story.subscribe("a", QoS::AtLeastOnce.into(), 1);
    story.subscribe("b", QoS::AtLeastOnce.into(), 2);
    assert_eq!(story.told(), ["SUBSCRIBE a", "SUBSCRIBE b"], "an identifier belongs to a whole packet");
    story.suback(2, &[0x87]);
    story.suback(1, &[0]);
    assert_eq!(story.events(), [granted(2, 0x87), granted(1, 0)]);
}

// Spec 3.1.1: MQTT-3.10.3-2
// Spec 5.0: MQTT-3.10.3-2
#[test]
fn only_the_last_reference_unsubscribes() {
    for version in BOTH {
        let mut story = Story::online(version);
        story.subscribe("a", QoS::AtMostOnce.into(), 1);
        story.told();
        story.suback(1, &[0]);
        let options = if version == Version::V5 { quiet(QoS::AtMostOnce) } else { QoS::AtMostOnce.into() };
        story.subscribe("a", options, 2);
        if version == Version::V5 {
            assert!(story.told().is_empty(), "it raises nothing and asks for nothing");
        } else {
            assert_eq!(story.told(), ["SUBSCRIBE a"], "retained messages are asked for again");
            story.suback(2, &[0]);
        }
        story.events();
        story.session.unsubscribe(&filter("a"), Tag(3));
        assert!(story.told().is_empty());
        story.session.unsubscribe(&filter("a"), Tag(4));
        assert_eq!(story.told(), ["UNSUBSCRIBE a"]);
        story.unsuback(if version == Version::V5 { 2 } else { 3 });
        let done = |tag| Event::Unsubscribed { tag: Tag(tag), reason: Reason::SUCCESS, properties: None };
        assert_eq!(story.events(), [done(3), done(4)]);
    }
}

#[test]
fn a_higher_qos_asks_again() {
    let mut story = Story::online(Version::V5);
    story.subscribe("a", quiet(QoS::AtMostOnce), 1);
    story.told();
    story.suback(1, &[0]);
    story.subscribe("a", quiet(QoS::AtLeastOnce), 2);
    assert_eq!(story.told(), ["SUBSCRIBE a"]);
}

#[test]
fn session_present_decides_what_is_asked_again() {
    for version in BOTH {
        let mut story = Story::online(version);
        story.subscribe("known", QoS::AtMostOnce.into(), 1);
        story.told();
        story.suback(1, &[0]);
        story.subscribe("pending", QoS::AtMostOnce.into(), 2);
        story.told();
        story.cut_after(0);
        story.open(true, &PropertiesBuf::default());
        assert_eq!(story.told(), ["SUBSCRIBE pending"]);
        story.suback(3, &[0]);
        story.cut_after(0);
        story.events();
        story.open(false, &PropertiesBuf::default());
        let mut told = story.told().join(" ");
        told = told.replace("SUBSCRIBE ", "");
        assert_eq!(told, "known pending");
    }
}

#[test]
fn a_refused_restore_is_told_and_not_tried_again() {
    let mut story = Story::online(Version::V5);
    story.subscribe("a", QoS::AtMostOnce.into(), 1);
    story.told();
    story.suback(1, &[0]);
    story.cut_after(0);
    story.events();
    story.open(false, &PropertiesBuf::default());
    assert_eq!(story.told(), ["SUBSCRIBE a"]);
    story.suback(2, &[0x87]);
    let lost = Event::SubscriptionLost { filter: filter("a"), reason: Reason::NOT_AUTHORIZED };
    assert_eq!(story.events(), [lost, Event::SubscriptionsRestored]);
    story.cut_after(0);
    story.events();
    story.open(false, &PropertiesBuf::default());
    assert!(story.told().is_empty());
}

#[test]
fn unsubscribing_while_away_is_answered_when_the_session_is_gone() {
    let mut story = Story::online(Version::V5);
    story.subscribe("a", QoS::AtMostOnce.into(), 1);
    story.told();
    story.suback(1, &[0]);
    story.cut_after(0);
    story.session.unsubscribe(&filter("a"), Tag(2));
    story.events();
    story.session.handle_open(&story.connect.clone());
    story.told();
    story.says_bytes(&[0x20, 3, 0, 0, 0]);
    let gone = Event::Unsubscribed { tag: Tag(2), reason: Reason::SUCCESS, properties: None };
    assert!(story.events().contains(&gone));
    assert!(story.told().is_empty());
}

// Spec 5.0: MQTT-3.8.3-2
#[test]
fn what_the_broker_does_not_offer_is_refused_without_asking() {
    let mut story = Story::new(Version::V5);
    let plain = limits(|p| {
        p.wildcard_subscription_available(false).shared_subscription_available(false);
    });
    story.open(false, &plain);
    story.subscribe("a/#", QoS::AtMostOnce.into(), 1);
    story.subscribe("$share/g/a", QoS::AtMostOnce.into(), 2);
    assert!(story.told().is_empty());
    assert_eq!(story.events(), [granted(1, 0xa2), granted(2, 0x9e)]);
}

// Spec 5.0: MQTT-3.8.3-4
#[test]
fn conflicts_are_errors_at_the_call() {
    let mut story = Story::online(Version::V5);
    story.subscribe("a", QoS::AtMostOnce.into(), 1);
    let no_local = SubscribeOptions { no_local: true, ..QoS::AtMostOnce.into() };
    let refused = story.session.subscribe(&filter("a"), no_local, Tag(2));
    assert_eq!(refused, Err(SubscribeError::ConflictingOptions));
    let refused = story.session.subscribe(&filter("$share/g/b"), no_local, Tag(2));
    assert_eq!(refused, Err(SubscribeError::SharedNoLocal));
    let mut story = Story::online(Version::V311);
    story.subscribe("a/+", QoS::AtMostOnce.into(), 1);
    let refused = story.session.subscribe(&filter("$share/g/a/b"), QoS::AtMostOnce.into(), Tag(2));
    assert_eq!(refused, Err(SubscribeError::OverlapsShared));
}

// Spec 3.1.1: MQTT-3.8.4-5
#[test]
fn a_suback_with_too_few_reasons_is_a_breach() {
    let mut story = Story::online(Version::V311);
    story.subscribe("a", QoS::AtMostOnce.into(), 1);
    story.subscribe("b", QoS::AtMostOnce.into(), 2);
    story.told();
    story.suback(1, &[0]);
    assert!(matches!(story.cause(), Some(Cause::Breach(_))));
}

#[test]
fn requests_keep_their_order_over_a_cut() {
    for version in BOTH {
        let mut story = Story::online(version);
        story.subscribe("a", QoS::AtMostOnce.into(), 1);
        story.session.unsubscribe(&filter("a"), Tag(2));
        story.subscribe("b", QoS::AtMostOnce.into(), 3);
        assert_eq!(story.told(), ["SUBSCRIBE a", "UNSUBSCRIBE a", "SUBSCRIBE b"]);
        story.cut_after(0);
        story.open(false, &PropertiesBuf::default());
        assert_eq!(story.told(), ["SUBSCRIBE a", "UNSUBSCRIBE a", "SUBSCRIBE b"]);
    }
}

#[test]
fn a_broken_suback_loses_no_request() {
    let mut story = Story::online(Version::V311);
    story.subscribe("a", QoS::AtMostOnce.into(), 1);
    story.subscribe("b", QoS::AtMostOnce.into(), 2);
    story.told();
    story.suback(1, &[0]);
    assert!(matches!(story.cause(), Some(Cause::Breach(_))));
    story.open(false, &PropertiesBuf::default());
    assert_eq!(story.told(), ["SUBSCRIBE a b"]);
    story.suback(2, &[0, 0]);
    assert_eq!(story.events(), [granted(1, 0), granted(2, 0)]);
}

// Spec 5.0: MQTT-3.8.3-2
#[test]
fn one_refused_filter_refuses_no_other() {
    let mut story = Story::new(Version::V5);
    let plain = limits(|p| {
        p.subscription_identifier_available(false)
            .shared_subscription_available(false)
            .maximum_packet_size(60)
            .unwrap();
    });
    story.open(false, &plain);
    let (long, longer) = ("x".repeat(40), "y".repeat(70));
    for (tag, text) in ["a", "$share/g/b", "c", &long, "d", &longer, "e"].into_iter().enumerate() {
        story.subscribe(text, QoS::AtMostOnce.into(), tag as u64);
    }
    let told = [String::from("SUBSCRIBE a"), std::format!("SUBSCRIBE c {long} d"), "SUBSCRIBE e".into()];
    assert_eq!(story.told(), told);
    assert_eq!(story.events(), [granted(1, 0x9e), granted(5, 0x95)]);
}

#[test]
fn an_answer_belongs_to_the_subscription_that_asked() {
    let mut story = Story::online(Version::V5);
    story.subscribe("a", QoS::AtMostOnce.into(), 1);
    story.session.unsubscribe(&filter("a"), Tag(2));
    story.subscribe("a", QoS::AtMostOnce.into(), 3);
    assert_eq!(story.told(), ["SUBSCRIBE a", "UNSUBSCRIBE a", "SUBSCRIBE a"]);
    story.suback(1, &[0x87]);
    story.unsuback(2);
    story.suback(3, &[0]);
    story.cut_after(0);
    story.open(false, &PropertiesBuf::default());
    assert_eq!(story.told(), ["SUBSCRIBE a"], "the later subscription stands");
}

#[test]
fn a_refusal_ends_those_that_relied_on_the_request() {
    let mut story = Story::online(Version::V5);
    story.subscribe("a", QoS::AtMostOnce.into(), 1);
    story.told();
    story.suback(1, &[0]);
    story.cut_after(0);
    story.subscribe("a", QoS::AtLeastOnce.into(), 2);
    story.events();
    story.open(false, &PropertiesBuf::default());
    assert_eq!(story.told(), ["SUBSCRIBE a"]);
    story.suback(2, &[0x87]);
    let lost = Event::SubscriptionLost { filter: filter("a"), reason: Reason::NOT_AUTHORIZED };
    assert_eq!(story.events(), [granted(2, 0x87), lost]);
}

#[test]
fn two_refusals_of_two_requests_are_two_refusals() {
    let mut story = Story::online(Version::V5);
    story.subscribe("a", QoS::AtMostOnce.into(), 1);
    story.subscribe("a", QoS::AtMostOnce.into(), 2);
    story.told();
    story.suback(1, &[0x87]);
    story.suback(2, &[0x87]);
    assert_eq!(story.events(), [granted(1, 0x87), granted(2, 0x87)]);
    story.cut_after(0);
    story.open(false, &PropertiesBuf::default());
    assert!(story.told().is_empty());
}

#[test]
fn what_nobody_is_left_to_want_is_unsubscribed() {
    let mut story = Story::online(Version::V5);
    story.subscribe("a", QoS::AtMostOnce.into(), 1);
    story.told();
    story.suback(1, &[0]);
    story.subscribe("a", QoS::AtLeastOnce.into(), 2);
    story.session.unsubscribe(&filter("a"), Tag(3));
    assert_eq!(story.told(), ["SUBSCRIBE a"]);
    story.suback(2, &[0x87]);
    assert_eq!(story.told(), ["UNSUBSCRIBE a"], "the broker still has the first");
}

#[test]
fn a_filter_of_an_earlier_process_can_be_given_back() {
    let mut story = Story::new(Version::V5);
    story.open(true, &PropertiesBuf::default());
    story.session.unsubscribe(&filter("old"), Tag(1));
    assert_eq!(story.told(), ["UNSUBSCRIBE old"]);
}

// Spec 3.1.1: MQTT-3.8.3-3
#[test]
fn options_an_old_connection_cannot_tell_are_refused_and_not_dropped() {
    let mut story = Story::online(Version::V311);
    story.subscribe("a", SubscribeOptions { no_local: true, ..QoS::AtMostOnce.into() }, 1);
    story.subscribe("b", QoS::AtMostOnce.into(), 2);
    assert_eq!(story.told(), ["SUBSCRIBE b"]);
    assert_eq!(story.events(), [granted(1, 0x84)]);
}

#[test]
fn who_asks_for_less_takes_nothing_from_who_asked_for_more() {
    let mut story = Story::online(Version::V5);
    story.session.subscribe(&filter("a"), QoS::ExactlyOnce.into(), Tag(1)).unwrap();
    let first = story.raw();
    story.session.subscribe(&filter("a"), QoS::AtLeastOnce.into(), Tag(2)).unwrap();
    let second = story.raw();
    assert_eq!((first.last(), second.last()), (Some(&2), Some(&2)), "the QoS of both SUBSCRIBEs");
}

#[test]
fn who_joins_a_filter_asks_for_nothing_and_counts() {
    for version in BOTH {
        let mut story = Story::online(version);
        let joins = |story: &mut Story, qos: QoS| story.session.join(&filter("a"), qos.into());
        assert!(!joins(&mut story, QoS::AtMostOnce), "there is none");
        story.subscribe("a", QoS::AtLeastOnce.into(), 1);
        story.told();
        assert!(joins(&mut story, QoS::AtLeastOnce), "it is being asked for");
        story.suback(1, &[1]);
        assert!(joins(&mut story, QoS::AtMostOnce), "less is in it");
        assert!(!joins(&mut story, QoS::ExactlyOnce), "more is not");
        assert!(story.told().is_empty());
        // Three want it; who did not join, does not count.
        for tag in 2..4 {
            story.session.unsubscribe(&filter("a"), Tag(tag));
            assert!(story.told().is_empty(), "somebody wants it still");
        }
        story.session.unsubscribe(&filter("a"), Tag(4));
        assert_eq!(story.told(), ["UNSUBSCRIBE a"]);
        story.unsuback(2);
        assert!(!joins(&mut story, QoS::AtMostOnce), "nobody has it any more");
    }
}

#[test]
fn nobody_joins_a_filter_that_was_refused() {
    let mut story = Story::online(Version::V5);
    story.subscribe("a", QoS::AtLeastOnce.into(), 1);
    story.told();
    story.suback(1, &[0x87]);
    assert!(!story.session.join(&filter("a"), QoS::AtLeastOnce.into()));
}
