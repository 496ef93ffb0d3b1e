use super::*;
use std::format;

/// A story with a store, which is a list of what it was given.
fn durable(version: Version) -> Story {
    Story::with(version, Config { durable: true, ..Config::default() })
}

/// Take what the session wants stored; say how far that goes.
fn drain(story: &mut Story, log: &mut Vec<String>) -> StoreSequence {
    let mut last = StoreSequence(0);
    while let Some((sequence, operation)) = story.session.poll_store() {
        log.push(match operation {
            StoreOperation::Message { sequence, .. } => format!("message {sequence}"),
            StoreOperation::Identifier { sequence, .. } => format!("identifier {sequence}"),
            StoreOperation::Received { sequence } => format!("received {sequence}"),
            StoreOperation::Done { sequence } => format!("done {sequence}"),
            StoreOperation::Inbound { id } => format!("inbound {id}"),
            StoreOperation::InboundDone { id } => format!("inbound done {id}"),
        });
        last = sequence;
    }
    last
}

#[test]
fn a_message_waits_for_its_record_and_qos_0_does_not() {
    for version in BOTH {
        let mut story = durable(version);
        story.open(false, &PropertiesBuf::default());
        let mut log = vec![];
        story.publish(QoS::AtLeastOnce, "a", 1);
        story.publish(QoS::ExactlyOnce, "b", 2);
        story.publish(QoS::AtMostOnce, "z", 3);
        assert_eq!(story.told(), ["PUBLISH z"]);
        let stored = drain(&mut story, &mut log);
        assert_eq!(log, ["message 1", "message 2", "identifier 2"]);
        assert!(story.told().is_empty(), "handed over is not yet durable");
        story.session.handle_stored(stored);
        assert_eq!(story.told(), ["PUBLISH 1 a", "PUBLISH 2 b"]);
    }
}

#[test]
fn the_store_hears_nothing_of_a_message_withdrawn_before_it_was_handed_over() {
    let mut story = durable(Version::V5);
    story.open(false, &PropertiesBuf::default());
    let mut log = vec![];
    let Accepted::Recorded(ticket) = story.publish(QoS::ExactlyOnce, "a", 1) else { panic!("no record") };
    assert!(story.session.cancel(ticket));
    drain(&mut story, &mut log);
    assert_eq!(log, ["done 1"], "an identifier without its message would stay for ever");
}

#[test]
fn pubrel_pubrec_and_pubcomp_wait_for_their_records() {
    let mut story = durable(Version::V5);
    story.open(false, &PropertiesBuf::default());
    let mut log = vec![];
    story.publish(QoS::ExactlyOnce, "a", 1);
    let stored = drain(&mut story, &mut log);
    story.session.handle_stored(stored);
    story.told();
    story.acks(AckKind::Pubrec, 1);
    story.arrives(QoS::ExactlyOnce, 40, 0);
    story.arrives(QoS::AtLeastOnce, 41, 0);
    assert_eq!(story.told(), ["PUBACK 41"], "an acknowledgement covered by nothing never waits");
    log.clear();
    let stored = drain(&mut story, &mut log);
    assert_eq!(log, ["received 1", "inbound 40"]);
    story.session.handle_stored(stored);
    assert_eq!(story.told(), ["PUBREL 1", "PUBREC 40"]);
    story.acks(AckKind::Pubrel, 40);
    assert!(story.told().is_empty());
    let stored = drain(&mut story, &mut log);
    story.session.handle_stored(stored);
    assert_eq!(story.told(), ["PUBCOMP 40"]);
}

#[test]
fn a_new_process_goes_on_where_the_old_one_stopped() {
    let message = |sequence, qos, payload| StoreOperation::Message {
        sequence,
        topic: "topic",
        properties: &[],
        payload,
        qos,
        retain: false,
        drop_properties: false,
    };
    let operations = [
        message(3, QoS::AtLeastOnce, b"one"),
        message(4, QoS::ExactlyOnce, b"two"),
        message(5, QoS::ExactlyOnce, b"received"),
        StoreOperation::Identifier { sequence: 4, id: 77 },
        StoreOperation::Identifier { sequence: 5, id: 78 },
        StoreOperation::Received { sequence: 5 },
        message(6, QoS::AtLeastOnce, b"done"),
        StoreOperation::Done { sequence: 6 },
        StoreOperation::Inbound { id: 9 },
        StoreOperation::Inbound { id: 10 },
        StoreOperation::InboundDone { id: 10 },
    ];
    let mut story = durable(Version::V5);
    for operation in &operations {
        story.session.handle_loaded(operation, story.now);
    }
    story.open(true, &PropertiesBuf::default());
    assert_eq!(story.told(), ["PUBREL 78", "PUBLISH 77 dup two", "PUBLISH 1 one"]);
    assert_eq!(story.arrives(QoS::ExactlyOnce, 9, 1), Verdict::Ignore, "it was taken before the crash");
    assert_eq!(story.told(), ["PUBREC 9"]);
    assert!(matches!(story.arrives(QoS::ExactlyOnce, 10, 1), Verdict::Deliver(_)));
    let mut log = vec![];
    story.publish(QoS::AtLeastOnce, "next", 1);
    drain(&mut story, &mut log);
    assert_eq!(log, ["message 7"], "names go on ascending");
}

#[test]
fn a_failing_store_fails_what_it_did_not_keep() {
    let mut story = durable(Version::V5);
    story.open(false, &PropertiesBuf::default());
    story.publish(QoS::AtLeastOnce, "kept", 1);
    let stored = drain(&mut story, &mut vec![]);
    story.session.handle_stored(stored);
    story.told();
    story.publish(QoS::AtLeastOnce, "not kept", 2);
    story.session.handle_store_failed();
    assert_eq!(story.ended(), [(2, Outcome::NotStored)]);
    assert_eq!(story.cause(), Some(Cause::StoreFailed));
}

// Spec 3.1.1: MQTT-4.8.0-2
#[test]
fn a_failing_store_takes_nothing_from_the_broker() {
    let mut story = durable(Version::V5);
    story.open(false, &PropertiesBuf::default());
    story.publish(QoS::ExactlyOnce, "a", 1);
    let stored = drain(&mut story, &mut vec![]);
    story.session.handle_stored(stored);
    story.told();
    story.acks(AckKind::Pubrec, 1);
    drain(&mut story, &mut vec![]);
    story.session.handle_store_failed();
    assert!(story.ended().is_empty(), "PUBREC said that it was delivered");
    assert_eq!(story.cause(), Some(Cause::StoreFailed));
    story.open(true, &PropertiesBuf::default());
    assert!(story.told().is_empty(), "PUBREL waits for its record still");
    let mut log = vec![];
    let stored = drain(&mut story, &mut log);
    assert_eq!(log, ["received 1"], "what was not committed is given again");
    story.session.handle_stored(stored);
    assert_eq!(story.told(), ["PUBREL 1"]);
    story.acks(AckKind::Pubcomp, 1);
    assert_eq!(story.ended(), [(1, delivered())]);
}

#[test]
fn what_a_failing_store_may_have_kept_is_removed_from_it() {
    let mut story = durable(Version::V5);
    story.publish(QoS::AtLeastOnce, "a", 1);
    drain(&mut story, &mut vec![]);
    story.session.handle_store_failed();
    assert_eq!(story.ended(), [(1, Outcome::NotStored)]);
    let mut log = vec![];
    drain(&mut story, &mut log);
    assert_eq!(log, ["done 1"]);
}

#[test]
fn pubcomp_for_a_repeated_pubrel_waits_for_the_removal_too() {
    let mut story = durable(Version::V5);
    story.open(false, &PropertiesBuf::default());
    story.arrives(QoS::ExactlyOnce, 40, 0);
    let stored = drain(&mut story, &mut vec![]);
    story.session.handle_stored(stored);
    assert_eq!(story.told(), ["PUBREC 40"]);
    story.acks(AckKind::Pubrel, 40);
    story.cut_after(0);
    story.open(true, &PropertiesBuf::default());
    story.acks(AckKind::Pubrel, 40);
    assert!(story.told().is_empty(), "after a crash the identifier would still be known");
    let stored = drain(&mut story, &mut vec![]);
    story.session.handle_stored(stored);
    assert_eq!(story.told(), ["PUBCOMP 40 0x92"]);
}

#[test]
fn a_store_out_of_order_does_no_harm() {
    let mut story = durable(Version::V5);
    let (topic, payload, qos, retain, drop_properties) =
        ("topic", &b"one"[..], QoS::ExactlyOnce, false, false);
    let message = StoreOperation::Message {
        sequence: 1,
        topic,
        properties: &[],
        payload,
        qos,
        retain,
        drop_properties,
    };
    let operations = [
        StoreOperation::Identifier { sequence: 9, id: 9 },
        message,
        StoreOperation::Received { sequence: 1 },
        StoreOperation::Identifier { sequence: 1, id: 0 },
        StoreOperation::Identifier { sequence: 1, id: 5 },
        StoreOperation::Identifier { sequence: 1, id: 5 },
        StoreOperation::Done { sequence: 1 },
        StoreOperation::Done { sequence: 1 },
        StoreOperation::InboundDone { id: 3 },
    ];
    for operation in &operations {
        story.session.handle_loaded(operation, story.now);
    }
    story.open(true, &PropertiesBuf::default());
    assert!(story.told().is_empty());
    assert!(story.session.is_idle());
}
