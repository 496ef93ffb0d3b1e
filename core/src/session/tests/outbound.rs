use super::*;
use core::time::Duration;
use std::vec;

const QOS1: QoS = QoS::AtLeastOnce;
const QOS2: QoS = QoS::ExactlyOnce;

// Spec 3.1.1: MQTT-2.3.1-6 MQTT-4.3.2-1 MQTT-4.3.3-1
// Spec 5.0: MQTT-2.2.1-5 MQTT-4.3.3-4
#[test]
fn every_qos_is_acknowledged_in_its_own_way() {
    for version in BOTH {
        let mut story = Story::online(version);
        story.publish(QOS1, "one", 1);
        story.publish(QOS2, "two", 2);
        assert_eq!(story.told(), ["PUBLISH 1 one", "PUBLISH 2 two"]);
        story.acks(AckKind::Pubrec, 2);
        story.acks(AckKind::Puback, 1);
        assert_eq!(story.told(), ["PUBREL 2"]);
        story.acks(AckKind::Pubcomp, 2);
        assert_eq!(story.ended(), [(1, delivered()), (2, delivered())]);
        assert!(story.session.is_idle());
    }
}

// Spec 3.1.1: MQTT-2.3.1-3 MQTT-3.1.2-4 MQTT-3.3.1-1 MQTT-4.1.0-1 MQTT-4.4.0-1 MQTT-4.6.0-1
// Spec 5.0: MQTT-3.3.1-1 MQTT-3.3.1-3 MQTT-4.3.2-3 MQTT-4.3.3-3 MQTT-4.4.0-1 MQTT-4.6.0-1
#[test]
fn what_was_transmitted_is_sent_again_with_dup_and_the_rest_without() {
    for version in BOTH {
        let mut story = Story::online(version);
        story.publish(QOS1, "a", 1);
        story.publish(QOS2, "b", 2);
        let first = story.session.unwritten() / 2;
        story.publish(QOS1, "c", 3);
        // The socket took one byte of the second packet: it may have arrived, the third cannot.
        story.cut_after(usize::try_from(first).unwrap() + 1);
        story.open(true, &PropertiesBuf::default());
        assert_eq!(story.told(), ["PUBLISH 1 dup a", "PUBLISH 2 dup b", "PUBLISH 4 c"]);
    }
}

// Spec 3.1.1: MQTT-4.3.3-1 MQTT-4.4.0-1
// Spec 5.0: MQTT-4.3.3-5 MQTT-4.3.3-6 MQTT-4.4.0-1
#[test]
fn after_pubrec_only_pubrel_goes_out_again() {
    for version in BOTH {
        let mut story = Story::online(version);
        story.publish(QOS2, "a", 1);
        story.publish(QOS1, "b", 2);
        story.told();
        story.acks(AckKind::Pubrec, 1);
        story.cut_after(usize::MAX);
        story.open(true, &PropertiesBuf::default());
        assert_eq!(story.told(), ["PUBREL 1", "PUBLISH 2 dup b"]);
        story.acks(AckKind::Pubcomp, 1);
        story.acks(AckKind::Puback, 2);
        assert_eq!(story.ended(), [(1, delivered()), (2, delivered())]);
    }
}

// Spec 3.1.1: MQTT-4.6.0-4
// Spec 5.0: MQTT-4.6.0-4
#[test]
fn pubrels_go_out_again_in_the_order_of_their_pubrecs() {
    for version in BOTH {
        let mut story = Story::online(version);
        story.publish(QOS2, "a", 1);
        story.publish(QOS2, "b", 2);
        story.told();
        story.acks(AckKind::Pubrec, 2);
        story.acks(AckKind::Pubrec, 1);
        story.cut_after(usize::MAX);
        story.open(true, &PropertiesBuf::default());
        assert_eq!(story.told(), ["PUBREL 2", "PUBREL 1"]);
    }
}

// Spec 5.0: MQTT-3.2.2-5
#[test]
fn a_lost_session_gets_everything_as_new() {
    for version in BOTH {
        let mut story = Story::online(version);
        story.publish(QOS1, "one", 1);
        story.publish(QOS2, "two", 2);
        story.publish(QOS2, "received", 3);
        story.told();
        story.acks(AckKind::Pubrec, 3);
        story.cut_after(usize::MAX);
        story.publish(QOS1, "later", 4);
        story.open(false, &PropertiesBuf::default());
        // PUBREC says that the broker has it. With its session it may have lost it: mosquitto passes it on at PUBREL.
        let anew = ["PUBLISH 4 one", "PUBLISH 5 two", "PUBLISH 6 received", "PUBLISH 7 later"];
        assert_eq!(story.told(), anew);
        story.acks(AckKind::Puback, 4);
        for id in [5, 6] {
            story.acks(AckKind::Pubrec, id);
            story.acks(AckKind::Pubcomp, id);
        }
        let maybe_twice = delivered_perhaps_twice(true);
        assert_eq!(story.ended(), [(1, delivered()), (2, maybe_twice.clone()), (3, maybe_twice)]);
    }
}

#[test]
fn an_unresolved_message_can_be_reported_instead_of_sent_again() {
    let config = Config { resend_unresolved: false, ..Config::default() };
    let mut story = Story::with(Version::V5, config);
    story.open(false, &PropertiesBuf::default());
    story.publish(QOS2, "two", 2);
    story.told();
    story.cut_after(0);
    story.open(false, &PropertiesBuf::default());
    assert!(story.told().is_empty());
    assert_eq!(story.ended(), [(2, Outcome::Unresolved)]);
}

// Spec 5.0: MQTT-3.3.4-7 MQTT-4.9.0-1 MQTT-4.9.0-2 MQTT-4.9.0-3
#[test]
fn the_window_is_the_brokers_receive_maximum_also_for_resends() {
    let two = limits(|p| {
        p.receive_maximum(2).unwrap();
    });
    let mut story = Story::new(Version::V5);
    story.open(false, &two);
    for (tag, payload) in ["a", "b", "c", "d"].into_iter().enumerate() {
        story.publish(QOS1, payload, tag as u64);
    }
    // QoS 0 may overtake what waits for the window.
    story.publish(QoS::AtMostOnce, "z", 9);
    assert_eq!(story.told(), ["PUBLISH 1 a", "PUBLISH 2 b", "PUBLISH z"]);
    story.acks(AckKind::Puback, 2);
    assert_eq!(story.told(), ["PUBLISH 3 c"]);
    story.cut_after(0);
    let one = limits(|p| {
        p.receive_maximum(1).unwrap();
    });
    story.open(true, &one);
    assert_eq!(story.told(), ["PUBLISH 1 dup a"]);
    story.acks(AckKind::Puback, 1);
    assert_eq!(story.told(), ["PUBLISH 3 dup c"]);
    story.acks(AckKind::Puback, 3);
    assert_eq!(story.told(), ["PUBLISH 4 d"]);
}

// Spec 5.0: MQTT-4.4.0-2 MQTT-4.9.0-2
#[test]
fn a_failed_pubrec_ends_the_exchange_and_frees_the_window() {
    let one = limits(|p| {
        p.receive_maximum(1).unwrap();
    });
    let mut story = Story::new(Version::V5);
    story.open(false, &one);
    story.publish(QOS2, "a", 1);
    story.publish(QOS2, "b", 2);
    assert_eq!(story.told(), ["PUBLISH 1 a"]);
    let reason = Reason::QUOTA_EXCEEDED;
    story.says(&Packet::Ack(Ack { reason, ..Ack::new(AckKind::Pubrec, 1) }));
    assert_eq!(story.told(), ["PUBLISH 2 b"]);
    let refused = Outcome::Acknowledged { reason, properties: None, possible_duplicate: false };
    assert_eq!(story.ended(), [(1, refused)]);
}

#[test]
fn messages_expire_in_the_queue_and_travel_with_what_is_left() {
    let mut story = Story::new(Version::V5);
    let ten = limits(|p| {
        p.content_type("x").unwrap().message_expiry_interval(10);
    });
    let thirty = limits(|p| {
        p.message_expiry_interval(30);
    });
    story.publish_with(QOS1, "soon", 1, &ten).unwrap();
    story.publish_with(QOS1, "later", 2, &thirty).unwrap();
    story.publish_with(QoS::AtMostOnce, "never", 3, &ten).unwrap();
    story.now = story.now + Duration::from_secs(12);
    story.open(false, &PropertiesBuf::default());
    story.session.poll_transmit(&mut story.out, story.now);
    let bytes = story.out.bytes.clone();
    let Ok(Decoded::Packet { packet: Packet::Publish(sent), .. }) = decode(Version::V5, &bytes, 1000) else {
        panic!("a PUBLISH")
    };
    assert_eq!(sent.payload, b"later");
    assert_eq!(sent.properties.message_expiry_interval(), Some(18));
    assert_eq!(story.ended(), [(1, Outcome::Expired), (3, Outcome::Expired)]);
}

// Spec 5.0: MQTT-3.2.2-11 MQTT-3.2.2-15
#[test]
fn limits_learned_later_fail_the_message_and_harm_no_other() {
    let mut story = Story::new(Version::V5);
    story.publish(QOS2, "too high", 1);
    story.publish(QOS1, &"long".repeat(100), 2);
    story.publish(QOS1, "fits", 3);
    let small = limits(|p| {
        p.maximum_qos(QOS1).maximum_packet_size(100).unwrap();
    });
    story.open(false, &small);
    assert_eq!(story.told().len(), 1);
    let ended = story.ended();
    assert_eq!(ended[0], (1, Outcome::NotAllowed(PublishError::QosNotSupported(QOS1))));
    assert!(matches!(ended[1], (2, Outcome::NotAllowed(PublishError::TooLarge { maximum: 100, .. }))));
    // Known now: refused at the call.
    assert_eq!(story.try_publish(QOS2, "x", 4), Err(PublishError::QosNotSupported(QOS1)));
}

#[test]
fn properties_on_an_old_connection_fail_that_message_only() {
    let mut story = Story::new(Version::V311);
    let typed = limits(|p| {
        p.content_type("x").unwrap();
    });
    story.publish_with(QOS1, "typed", 1, &typed).unwrap();
    story.publish(QOS1, "plain", 2);
    story.open(false, &PropertiesBuf::default());
    assert_eq!(story.told(), ["PUBLISH 2 plain"]);
    assert_eq!(story.ended(), [(1, Outcome::NotAllowed(PublishError::NeedsVersion5))]);
    let fixed = Config { fixed_version: Some(Version::V311), ..Config::default() };
    let mut story = Story::with(Version::V311, fixed);
    assert_eq!(story.publish_with(QOS1, "typed", 1, &typed), Err(PublishError::NeedsVersion5));
}

#[test]
fn the_queue_is_bounded_and_says_what_it_drops() {
    let config = |overflow| Config { queue_messages: 2, overflow, ..Config::default() };
    let mut story = Story::with(Version::V5, config(Overflow::Refuse));
    story.publish(QOS1, "a", 1);
    story.publish(QoS::AtMostOnce, "b", 2);
    assert_eq!(story.try_publish(QOS1, "c", 3), Err(PublishError::Full));
    let mut story = Story::with(Version::V5, config(Overflow::DropOldest));
    for (tag, payload) in ["a", "b", "c"].into_iter().enumerate() {
        story.publish(QOS1, payload, tag as u64);
    }
    assert_eq!(story.ended(), [(0, Outcome::Dropped)]);
    let mut story = Story::with(Version::V5, config(Overflow::DropNewest));
    for (tag, payload) in ["a", "b", "c"].into_iter().enumerate() {
        story.publish(QOS1, payload, tag as u64);
    }
    assert_eq!(story.ended(), [(2, Outcome::Dropped)]);
    let bytes = Config { queue_bytes: 1000, ..Config::default() };
    let mut story = Story::with(Version::V5, bytes);
    story.publish(QOS1, &"x".repeat(5000), 1);
    assert_eq!(
        story.try_publish(QOS1, "y", 2),
        Err(PublishError::Full),
        "one oversize message, then no other"
    );
}

#[test]
fn only_what_was_never_encoded_can_be_cancelled() {
    let mut story = Story::new(Version::V5);
    let Accepted::Recorded(queued) = story.publish(QOS1, "queued", 1) else { panic!("recorded") };
    let Accepted::Recorded(sent) = story.publish(QOS1, "sent", 2) else { panic!("recorded") };
    assert_eq!(story.session.stage(queued), Some(Stage::Accepted));
    assert!(story.session.cancel(queued));
    assert!(!story.session.cancel(queued), "the ticket is stale");
    story.open(false, &PropertiesBuf::default());
    assert_eq!(story.told(), ["PUBLISH 1 sent"]);
    assert!(!story.session.cancel(sent));
    assert_eq!(story.session.stage(sent), Some(Stage::Written(1)));
    story.cut_after(0);
    assert!(!story.session.cancel(sent), "it was transmitted: it may have arrived");
    assert_eq!(story.ended(), [(1, Outcome::Cancelled)]);
}

// Spec 5.0: MQTT-3.3.2-7
#[test]
fn aliases_shorten_topics_and_end_with_the_connection() {
    let config = Config { outgoing_aliases: 5, ..Config::default() };
    let mut story = Story::with(Version::V5, config);
    let allowed = limits(|p| {
        p.topic_alias_maximum(3);
    });
    for session_present in [false, true] {
        story.open(session_present, &allowed);
        story.publish(QOS1, "a", 1);
        story.publish(QoS::AtMostOnce, "b", 2);
        story.session.poll_transmit(&mut story.out, story.now);
        let bytes = core::mem::take(&mut story.out.bytes);
        let mut rest = &bytes[..];
        let mut seen = vec![];
        while let Ok(Decoded::Packet { packet: Packet::Publish(sent), size }) =
            decode(Version::V5, rest, 1000)
        {
            seen.push((sent.topic.to_string(), sent.properties.topic_alias()));
            rest = &rest[size..];
        }
        let (last, first) = (seen.pop().unwrap(), seen.remove(0));
        assert_eq!(first, ("topic".to_string(), Some(1)));
        assert_eq!(last, (String::new(), Some(1)));
        story.session.handle_written(bytes.len(), story.now);
        story.session.handle_close(&Output::default(), 0);
        story.events();
    }
}

#[test]
fn large_shared_payloads_are_spliced_and_lost_ones_counted() {
    let mut story = Story::online(Version::V5);
    let large = vec![b'x'; 100_000];
    let message = Outgoing {
        topic: TopicName::new("topic").unwrap(),
        payload: Payload::Shared(&large),
        qos: QoS::AtMostOnce,
        retain: false,
        properties: Properties::EMPTY,
        drop_properties: false,
        tag: Tag::NONE,
    };
    story.publish(QoS::AtMostOnce, "before", 1);
    assert_eq!(story.session.publish(&message, story.now), Ok(Accepted::Encoded));
    story.publish(QoS::AtMostOnce, "after", 1);
    assert!(story.session.poll_transmit(&mut story.out, story.now));
    assert!(story.out.bytes.len() < 200, "the payload is not copied");
    assert_eq!(story.out.len() as u64, story.session.unwritten());
    let whole = story.out.len();
    assert_eq!(story.out.unwritten_qos0(0), 3);
    assert_eq!(story.out.unwritten_qos0(30), 2);
    assert_eq!(story.out.unwritten_qos0(whole - 1), 1);
    assert_eq!(story.out.unwritten_qos0(whole), 0);
}

// Spec 5.0: MQTT-3.2.2-15
#[test]
fn an_alias_never_makes_a_packet_too_large() {
    let config = Config { outgoing_aliases: 5, ..Config::default() };
    for qos in [QoS::AtMostOnce, QOS1] {
        let mut story = Story::with(Version::V5, config.clone());
        let size = if qos == QOS1 { 13 } else { 11 };
        let small = limits(|p| {
            p.topic_alias_maximum(3).maximum_packet_size(size).unwrap();
        });
        story.open(false, &small);
        story.publish(qos, "a", 1);
        story.session.poll_transmit(&mut story.out, story.now);
        assert_eq!(story.out.len(), size as usize);
    }
}

#[test]
fn nothing_is_dropped_for_a_message_that_does_not_fit_anyway() {
    let (window, queue_bytes, overflow) = (1, 1000, Overflow::DropOldest);
    let mut story = Story::with(Version::V5, Config { window, queue_bytes, overflow, ..Config::default() });
    story.open(false, &PropertiesBuf::default());
    story.publish(QOS1, &"x".repeat(600), 1);
    story.publish(QOS1, &"y".repeat(200), 2);
    assert_eq!(story.try_publish(QOS1, &"z".repeat(500), 3), Err(PublishError::Full));
    assert!(story.ended().is_empty(), "the first is on its way and cannot make room");
    story.publish(QOS1, &"z".repeat(300), 4);
    assert_eq!(story.ended(), [(2, Outcome::Dropped)]);
    story.cut_after(0);
    story.publish(QOS1, &"z".repeat(600), 5);
    assert_eq!(
        story.ended(),
        [(1, Outcome::Dropped)],
        "the socket took nothing of it: it is in the queue again"
    );
}

#[test]
fn a_second_begun_is_a_second_left() {
    let mut story = Story::new(Version::V5);
    let one = limits(|p| {
        p.message_expiry_interval(1);
    });
    story.publish_with(QOS1, "soon", 1, &one).unwrap();
    story.now = story.now + Duration::from_millis(5);
    story.open(false, &PropertiesBuf::default());
    story.session.poll_transmit(&mut story.out, story.now);
    let bytes = story.out.bytes.clone();
    let Ok(Decoded::Packet { packet: Packet::Publish(sent), .. }) = decode(Version::V5, &bytes, 1000) else {
        panic!("a PUBLISH")
    };
    assert_eq!(sent.properties.message_expiry_interval(), Some(1));
}

#[test]
fn a_refusal_for_nothing_needs_no_answer() {
    let mut story = Story::online(Version::V5);
    let reason = Reason::QUOTA_EXCEEDED;
    story.says(&Packet::Ack(Ack { reason, ..Ack::new(AckKind::Pubrec, 9) }));
    assert!(story.told().is_empty(), "the exchange is over on both sides");
    story.acks(AckKind::Pubrec, 9);
    assert_eq!(story.told(), ["PUBREL 9 0x92"]);
}

#[test]
fn a_broker_that_announces_no_maximum_gets_few_exactly_once_messages_at_a_time() {
    let config = Config { unannounced_window: 2, ..Config::default() };
    for (version, most) in [(Version::V311, 2), (Version::V5, 4)] {
        let mut story = Story::with(version, config.clone());
        story.open(false, &PropertiesBuf::default());
        for tag in 0..4 {
            story.publish(QOS2, "two", tag);
        }
        assert_eq!(story.told().len(), most);
        story.acks(AckKind::Pubrec, 1);
        assert_eq!(story.told(), ["PUBREL 1"], "until PUBCOMP it counts");
        story.cut_after(0);
        story.open(true, &PropertiesBuf::default());
        assert_eq!(story.told().len(), most);
        story.acks(AckKind::Pubcomp, 1);
        let next: &[&str] = if most == 2 { &["PUBLISH 3 two"] } else { &[] };
        assert_eq!(story.told(), next);
    }
}

#[test]
fn what_may_have_arrived_is_never_said_not_to_have() {
    let config = Config { queue_messages: 1, overflow: Overflow::DropOldest, ..Config::default() };
    let mut story = Story::with(Version::V5, config);
    story.open(false, &PropertiesBuf::default());
    let ten = limits(|p| {
        p.message_expiry_interval(10);
    });
    story.publish_with(QOS1, "expires", 1, &ten).unwrap();
    story.publish(QOS2, &"x".repeat(100), 2);
    let Accepted::Recorded(ticket) = story.publish(QOS1, "third", 3) else { panic!("recorded") };
    story.told();
    story.cut_after(usize::MAX);
    story.now = story.now + Duration::from_secs(12);
    let small = limits(|p| {
        p.maximum_packet_size(50).unwrap().receive_maximum(1).unwrap();
    });
    story.open(false, &small);
    assert_eq!(story.told(), ["PUBLISH 5 third"]);
    assert_eq!(story.ended(), [(1, Outcome::Unresolved), (2, Outcome::Unresolved)]);
    story.cut_after(0);
    assert!(!story.session.cancel(ticket), "it was encoded once");
    story.session.handle_open(&story.connect.clone());
    story.says_bytes(&[0x20, 3, 0, 0, 0]);
    story.session.handle_close(&Output::default(), 0);
    story.publish(QOS1, "fourth", 4);
    assert_eq!(story.ended(), [(3, Outcome::Unresolved)]);
}

/// mosquitto counts messages of QoS 2 that it has not released; when it is full of them it drops whatever comes, QoS 1
/// too, and before 5.0 its PUBACK cannot say so.
#[test]
fn before_5_0_qos_1_waits_while_the_broker_may_be_full_of_qos_2() {
    for version in BOTH {
        let config = Config { unannounced_window: 2, ..Config::default() };
        let mut story = Story::with(version, config);
        story.open(false, &PropertiesBuf::default());
        for (qos, payload) in [(QOS2, "a"), (QOS2, "b"), (QOS1, "c"), (QOS1, "d")] {
            story.publish(qos, payload, 1);
        }
        let mut told = story.told();
        if version == Version::V5 {
            assert_eq!(told, ["PUBLISH 1 a", "PUBLISH 2 b", "PUBLISH 3 c", "PUBLISH 4 d"]);
            continue;
        }
        assert_eq!(told, ["PUBLISH 1 a", "PUBLISH 2 b"]);
        story.acks(AckKind::Pubrec, 1);
        story.acks(AckKind::Pubcomp, 1);
        told = story.told();
        assert_eq!(told, ["PUBREL 1", "PUBLISH 3 c", "PUBLISH 4 d"]);
    }
}

#[test]
fn a_payload_declared_as_text_is_text() {
    for version in BOTH {
        let mut declared = PropertiesBuf::default();
        declared.payload_format_indicator(true);
        let mut plain = PropertiesBuf::default();
        plain.payload_format_indicator(false);
        let mut story = Story::online(version);
        for (payload, properties, expected) in [
            (&b"gr\xc3\xbcn"[..], &declared, true),
            (b"", &declared, true),
            (b"gr\xfcn", &declared, false),
            (b"cut \xc3", &declared, false),
            (b"gr\xfcn", &plain, true),
        ] {
            let message = Outgoing {
                topic: TopicName::new("topic").unwrap(),
                payload: Payload::Borrowed(payload),
                qos: QoS::AtLeastOnce,
                retain: false,
                properties: properties.as_properties(),
                drop_properties: false,
                tag: Tag(1),
            };
            let result = story.session.publish(&message, story.now);
            assert_eq!(result.is_ok(), expected, "{payload:x?}: {result:?}");
            assert!(expected || result == Err(PublishError::NotText));
        }
    }
}

#[test]
fn what_waits_is_not_overtaken_when_the_socket_has_caught_up() {
    for (kind, others) in [(QOS1, 0), (QOS1, 1), (QoS::AtMostOnce, 0)] {
        let mut story = Story::online(Version::V5);
        story.publish(QoS::AtMostOnce, &"x".repeat(300_000), 0);
        story.session.poll_transmit(&mut story.out, story.now);
        let written = story.out.len();
        story.out.clear();
        story.publish(kind, "old", 1);
        for number in 0..others {
            story.publish(QoS::AtMostOnce, "old too", 2 + number);
        }
        story.session.handle_written(written, story.now);
        story.publish(kind, "new", 9);
        let order: Vec<String> =
            story.told().iter().map(|line| line.rsplit(' ').next().unwrap().into()).collect();
        let (old, new) =
            (order.iter().position(|one| one == "old"), order.iter().position(|one| one == "new"));
        assert!(old.is_some() && old < new, "{kind:?} {others}: {order:?}");
    }
}

#[test]
fn sixteen_identifiers_are_kept_for_requests() {
    let config =
        Config { window: u16::MAX, queue_messages: 70_000, queue_bytes: usize::MAX, ..Config::default() };
    let mut story = Story::with(Version::V5, config);
    story.open(false, &PropertiesBuf::default());
    for number in 0..66_000 {
        story.publish(QOS1, "", number);
        // The output stays short, so that nothing else keeps a message from being encoded at once.
        if number % 1_000 == 0 {
            story.raw();
        }
    }
    story.raw();
    assert_eq!(story.session.queue().in_flight, 65_535 - 16);
    let filter = crate::topic::TopicFilter::new("a").unwrap();
    story.session.subscribe(&filter, QOS1.into(), Tag(70_000)).unwrap();
    assert_eq!(story.told(), ["SUBSCRIBE a"]);
    story.acks(AckKind::Puback, 1);
    assert_eq!(story.told().len(), 0, "the request took the one that was freed");
    story.acks(AckKind::Puback, 2);
    assert_eq!(story.told().len(), 1);
}

#[test]
fn messages_of_qos_0_that_no_socket_took_are_counted() {
    let mut story = Story::online(Version::V5);
    story.publish(QoS::AtMostOnce, "handed out", 1);
    story.session.poll_transmit(&mut story.out, story.now);
    story.publish(QoS::AtMostOnce, "encoded", 2);
    story.publish(QoS::AtMostOnce, "encoded", 3);
    story.session.handle_close(&story.out, 0);
    let lost = story.events().into_iter().find_map(|event| match event {
        Event::Disconnected { lost_qos0, .. } => Some(lost_qos0),
        _ => None,
    });
    assert_eq!(lost, Some(3));
}

#[test]
fn other_bounds_count_at_once_and_a_ping_goes_when_it_is_asked_for() {
    let mut story = Story::new(Version::V5);
    story.publish(QOS1, "a", 1);
    story.session.configure(Config { queue_messages: 1, ..Config::default() });
    assert_eq!(story.try_publish(QOS1, "b", 2), Err(PublishError::Full));
    story.open(false, &PropertiesBuf::default());
    story.told();
    story.session.ping(story.now);
    assert_eq!(story.told(), ["PINGREQ"]);
    story.session.ping(story.now);
    assert_eq!(story.told(), ["PINGREQ"]);
}

#[test]
fn a_large_shared_payload_that_waited_is_not_copied() {
    let mut story = Story::new(Version::V5);
    let payload = vec![b'x'; 20_000];
    let message = Outgoing {
        topic: TopicName::new("topic").unwrap(),
        payload: Payload::Shared(&payload),
        qos: QOS1,
        retain: false,
        properties: Properties::EMPTY,
        drop_properties: false,
        tag: Tag(1),
    };
    story.session.publish(&message, story.now).unwrap();
    story.open(false, &PropertiesBuf::default());
    assert!(story.session.poll_transmit(&mut story.out, story.now));
    assert_eq!(story.out.splices.len(), 1);
    assert!(story.out.bytes.len() < 100 && story.out.len() > 20_000);
}
