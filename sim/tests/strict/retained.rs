//! Retained messages, and the options of subscriptions.

use std::time::Duration;

use packetboat_core::wire::{
    Packet, Properties, PropertiesBuf, Publish, QoS, RetainHandling, SubscribeOptions, TopicFiltersBuf,
    Unsubscribe, Version,
};
use packetboat_sim::broker::Message;

use crate::common::{Heard, VERSIONS, message, messages};
use crate::desk::{Desk, Line};

const ZERO: QoS = QoS::AtMostOnce;

fn retain(desk: &mut Desk, line: Line, topic: &str, payload: &str) -> Vec<Heard> {
    desk.say(line, &Packet::Publish(Publish { retain: true, ..message(ZERO, 0, topic, payload) }))
}

/// What came, with its retain flag.
fn flags(heard: &[Heard]) -> Vec<(&str, bool)> {
    let text = |payload| std::str::from_utf8(payload).unwrap_or_default();
    messages(heard).iter().map(|got| (text(&got.payload[..]), got.retain)).collect()
}

// Spec 3.1.1: MQTT-3.3.1-5 MQTT-3.3.1-6 MQTT-3.3.1-8 MQTT-3.3.1-10 MQTT-3.3.1-11
// Spec 5.0: MQTT-3.3.1-5 MQTT-3.3.1-6 MQTT-3.3.1-7
// Spec 3.1.1: MQTT-3.3.1-12
// Spec 5.0: MQTT-3.3.1-8
#[test]
fn the_last_retained_message_of_a_topic_is_kept_until_an_empty_one() {
    for version in VERSIONS {
        let mut desk = Desk::new();
        let line = desk.client(version, "boat");
        retain(&mut desk, line, "a/b", "old");
        retain(&mut desk, line, "a/b", "new");
        desk.say(line, &Packet::Publish(message(ZERO, 0, "a/b", "not retained")));
        assert_eq!(desk.broker.retained("a/b").map(|kept| &kept.payload[..]), Some(&b"new"[..]));
        assert_eq!(flags(&desk.subscribe(line, "a/#", ZERO)), [("new", true)]);
        // The empty message goes to who is subscribed, like any other.
        assert_eq!(flags(&retain(&mut desk, line, "a/b", "")), [("", false)]);
        assert_eq!(desk.broker.retained("a/b"), None);
        assert_eq!(desk.subscribe(line, "a/#", ZERO), []);
        desk.is_content();
    }
}

// Spec 3.1.1: MQTT-3.3.1-9
// Spec 5.0: MQTT-3.3.1-12
#[test]
fn who_is_subscribed_already_gets_it_as_a_live_message() {
    for version in VERSIONS {
        let mut desk = Desk::new();
        let line = desk.client(version, "boat");
        desk.subscribe(line, "t", ZERO);
        assert_eq!(flags(&retain(&mut desk, line, "t", "x")), [("x", false)]);
    }
}

// Spec 5.0: MQTT-3.3.1-13
#[test]
fn the_retain_flag_is_kept_where_asked_for() {
    let mut desk = Desk::new();
    let line = desk.client(Version::V5, "boat");
    let options = SubscribeOptions { retain_as_published: true, ..ZERO.into() };
    desk.subscribe_with(line, "t", options, Properties::EMPTY);
    assert_eq!(flags(&retain(&mut desk, line, "t", "x")), [("x", true)]);
    let heard = desk.say(line, &Packet::Publish(message(ZERO, 0, "t", "y")));
    assert_eq!(flags(&heard), [("y", false)]);
}

// Spec 5.0: MQTT-3.3.1-9 MQTT-3.3.1-10 MQTT-3.3.1-11
#[test]
fn retain_handling_says_which_subscriptions_get_retained_messages() {
    for (retain_handling, first, second) in
        [(RetainHandling::Send, 1, 1), (RetainHandling::SendIfNew, 1, 0), (RetainHandling::DoNotSend, 0, 0)]
    {
        let mut desk = Desk::new();
        desk.broker.publish(Message::new("t", "x", ZERO).retain(), desk.now);
        let line = desk.client(Version::V5, "boat");
        let options = SubscribeOptions { retain_handling, ..ZERO.into() };
        for count in [first, second] {
            let heard = desk.subscribe_with(line, "t", options, Properties::EMPTY);
            assert_eq!(flags(&heard), vec![("x", true); count], "{retain_handling:?}");
        }
        // Another filter is another subscription.
        let heard = desk.subscribe_with(line, "+", options, Properties::EMPTY);
        assert_eq!(flags(&heard).len(), first);
    }
}

// Spec 3.1.1: MQTT-3.8.4-3
#[test]
fn an_older_client_gets_retained_messages_at_every_subscribe() {
    let mut desk = Desk::new();
    desk.broker.publish(Message::new("t", "x", ZERO).retain(), desk.now);
    let line = desk.client(Version::V311, "boat");
    for _ in 0..2 {
        assert_eq!(flags(&desk.subscribe(line, "t", ZERO)), [("x", true)]);
    }
}

#[test]
fn a_retained_message_comes_with_the_lower_qos_and_the_identifier() {
    let mut desk = Desk::new();
    desk.broker.publish(Message::new("t", "x", QoS::ExactlyOnce).retain(), desk.now);
    let line = desk.client(Version::V5, "boat");
    let mut properties = PropertiesBuf::new();
    properties.subscription_identifier(5).unwrap();
    let heard = desk.subscribe_with(line, "t", QoS::AtLeastOnce.into(), properties.as_properties());
    let got = heard[0].message();
    assert_eq!((got.qos, got.id), (QoS::AtLeastOnce, Some(1)));
    assert_eq!(got.properties.as_properties().subscription_identifiers().collect::<Vec<_>>(), [5]);
}

// Spec 3.1.1: MQTT-4.7.2-1
// Spec 5.0: MQTT-4.7.2-1
#[test]
fn wildcards_do_not_find_topics_of_the_server() {
    let mut desk = Desk::new();
    desk.broker.publish(Message::new("$SYS/uptime", "1", ZERO).retain(), desk.now);
    let line = desk.client(Version::V311, "boat");
    assert_eq!(desk.subscribe(line, "#", ZERO), []);
    assert_eq!(desk.subscribe(line, "+/uptime", ZERO), []);
    assert_eq!(flags(&desk.subscribe(line, "$SYS/#", ZERO)), [("1", true)]);
}

#[test]
fn retained_messages_expire() {
    let mut desk = Desk::new();
    let line = desk.client(Version::V5, "boat");
    let mut properties = PropertiesBuf::new();
    properties.message_expiry_interval(10);
    let publish = Publish { retain: true, ..message(ZERO, 0, "t", "x") };
    desk.say(line, &Packet::Publish(Publish { properties: properties.as_properties(), ..publish }));
    desk.wait(Duration::from_secs(4));
    let heard = desk.subscribe(line, "t", ZERO);
    assert_eq!(heard[0].message().properties.as_properties().message_expiry_interval(), Some(6));
    desk.wait(Duration::from_secs(6));
    assert_eq!(desk.subscribe(line, "t", ZERO), []);
}

// Spec 5.0: MQTT-3.8.3-3
#[test]
fn no_local_spares_the_publisher() {
    let mut desk = Desk::new();
    let (line, other) = (desk.client(Version::V5, "boat"), desk.client(Version::V5, "other"));
    let options = SubscribeOptions { no_local: true, ..ZERO.into() };
    for line in [line, other] {
        desk.subscribe_with(line, "t", options, Properties::EMPTY);
    }
    assert_eq!(retain(&mut desk, line, "t", "x"), []);
    assert_eq!(flags(&desk.hear(other)), [("x", false)]);
    // Nor does the retained message come back.
    assert_eq!(desk.subscribe_with(line, "t", options, Properties::EMPTY), []);
    assert_eq!(flags(&desk.subscribe_with(other, "t", options, Properties::EMPTY)), [("x", true)]);
}

// Spec 5.0: MQTT-3.8.3-4
#[test]
fn no_local_on_a_shared_subscription_is_caught() {
    let mut desk = Desk::new();
    let line = desk.client(Version::V5, "boat");
    let options = SubscribeOptions { no_local: true, ..ZERO.into() };
    let filters = crate::common::filter("$share/group/t", options);
    let heard = desk.say(line, &crate::common::subscribe(1, &filters));
    let reason = packetboat_core::wire::Reason::PROTOCOL_ERROR;
    desk.caught(line, &heard, ("MQTT-4.13.1-1", ""), reason);
}

#[test]
fn one_member_of_a_shared_subscription_gets_each_message() {
    for version in VERSIONS {
        let mut desk = Desk::new();
        desk.broker.publish(Message::new("t", "kept", ZERO).retain(), desk.now);
        let lines = ["a", "b", "c"].map(|client| desk.client(version, client));
        for line in lines {
            assert_eq!(desk.subscribe(line, "$share/group/t", QoS::AtLeastOnce), [], "no retained messages");
        }
        let whole = desk.client(version, "whole");
        desk.subscribe(whole, "t", QoS::AtLeastOnce);
        let counts = |desk: &mut Desk| lines.map(|line| messages(&desk.hear(line)).len());
        for _ in 0..9 {
            desk.publish("t", "x", QoS::AtLeastOnce);
        }
        assert_eq!(counts(&mut desk), [3, 3, 3]);
        assert_eq!(messages(&desk.hear(whole)).len(), 9);
        // Another group gets copies of its own.
        desk.subscribe(whole, "$share/other/t", QoS::AtLeastOnce);
        desk.lose(lines[0]);
        for _ in 0..4 {
            desk.publish("t", "x", QoS::AtLeastOnce);
        }
        assert_eq!(counts(&mut desk)[1..], [2, 2]);
        assert_eq!(messages(&desk.hear(whole)).len(), 8);
    }
}

#[test]
fn members_who_are_away_get_messages_only_if_all_are() {
    let mut desk = Desk::new();
    let lines = ["a", "b"].map(|client| desk.lasting(Version::V5, client));
    for line in lines {
        desk.subscribe(line, "$share/group/t", QoS::AtLeastOnce);
    }
    desk.lose(lines[0]);
    for _ in 0..4 {
        desk.publish("t", "x", QoS::AtLeastOnce);
    }
    assert_eq!(["a", "b"].map(|client| desk.broker.pending(client)), [0, 4]);
    desk.lose(lines[1]);
    desk.publish("t", "x", QoS::AtLeastOnce);
    desk.publish("t", "x", QoS::AtLeastOnce);
    assert_eq!(["a", "b"].map(|client| desk.broker.pending(client)), [1, 5]);
}

// Spec 3.1.1: MQTT-3.10.4-2
// Spec 5.0: MQTT-3.10.4-2
#[test]
fn an_unsubscribed_filter_gets_nothing() {
    for version in VERSIONS {
        let mut desk = Desk::new();
        let line = desk.client(version, "boat");
        desk.subscribe(line, "a", ZERO);
        desk.subscribe(line, "b", ZERO);
        assert_eq!(desk.broker.granted("boat", "a"), Some(ZERO));
        let mut topics = TopicFiltersBuf::default();
        topics.push("a");
        topics.push("never");
        let unsubscribe = Packet::Unsubscribe(Unsubscribe {
            id: 3,
            properties: Properties::EMPTY,
            filters: topics.as_filters(),
        });
        let reasons = if version == Version::V5 { vec![0, 0x11] } else { vec![] };
        assert_eq!(desk.say(line, &unsubscribe), [Heard::Granted(3, reasons)]);
        desk.publish("a", "x", ZERO);
        assert_eq!(desk.hear(line), []);
        assert_eq!(desk.broker.subscriptions("boat"), ["b"]);
        desk.is_content();
    }
}
