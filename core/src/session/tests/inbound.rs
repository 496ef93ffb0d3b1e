use super::*;

fn token(verdict: Verdict) -> AckToken {
    match verdict {
        Verdict::Deliver(Some(token)) => token,
        other => panic!("{other:?}"),
    }
}

// Spec 3.1.1: MQTT-4.6.0-2 MQTT-4.6.0-3
// Spec 5.0: MQTT-4.6.0-2 MQTT-4.6.0-3 MQTT-2.2.1-5
#[test]
fn acknowledgements_leave_in_receive_order() {
    for version in BOTH {
        let mut story = Story::online(version);
        let one = token(story.arrives(QoS::AtLeastOnce, 11, 1));
        let two = token(story.arrives(QoS::ExactlyOnce, 12, 1));
        let three = token(story.arrives(QoS::AtLeastOnce, 13, 2));
        let four = token(story.arrives(QoS::ExactlyOnce, 14, 1));
        assert!(story.session.release(four, Release::Acknowledge));
        assert!(story.session.release(three, Release::Acknowledge));
        assert!(story.told().is_empty());
        assert!(story.session.release(one, Release::Acknowledge));
        assert_eq!(story.told(), ["PUBACK 11"]);
        assert!(story.session.release(two, Release::Acknowledge));
        assert_eq!(story.told(), ["PUBREC 12", "PUBREC 14"]);
        assert!(story.session.release(three, Release::Acknowledge), "the second holder");
        assert_eq!(story.told(), ["PUBACK 13"]);
        story.acks(AckKind::Pubrel, 12);
        story.acks(AckKind::Pubrel, 14);
        assert_eq!(story.told(), ["PUBCOMP 12", "PUBCOMP 14"]);
        assert_eq!(story.session.unacknowledged(), 0);
    }
}

// Spec 3.1.1: MQTT-4.5.0-2
// Spec 5.0: MQTT-4.5.0-2
#[test]
fn nobody_wants_it_acknowledged_at_once() {
    for version in BOTH {
        let mut story = Story::online(version);
        story.arrives(QoS::AtLeastOnce, 1, 0);
        story.arrives(QoS::ExactlyOnce, 2, 0);
        assert_eq!(story.told(), ["PUBACK 1", "PUBREC 2"]);
    }
}

// Spec 3.1.1: MQTT-4.3.3-2
// Spec 5.0: MQTT-4.3.3-10 MQTT-4.3.3-11 MQTT-4.3.3-12
#[test]
fn a_repetition_before_and_after_pubrec_is_the_same_delivery() {
    for version in BOTH {
        let mut story = Story::online(version);
        let held = token(story.arrives(QoS::ExactlyOnce, 7, 1));
        story.cut_after(0);
        story.open(true, &PropertiesBuf::default());
        assert_eq!(story.arrives(QoS::ExactlyOnce, 7, 1), Verdict::Ignore);
        assert!(story.session.release(held, Release::Acknowledge), "the token outlives the connection");
        assert_eq!(story.told(), ["PUBREC 7"]);
        story.cut_after(0);
        story.open(true, &PropertiesBuf::default());
        assert_eq!(story.arrives(QoS::ExactlyOnce, 7, 1), Verdict::Ignore);
        assert_eq!(story.told(), ["PUBREC 7"]);
        story.acks(AckKind::Pubrel, 7);
        assert_eq!(story.told(), ["PUBCOMP 7"]);
        assert!(matches!(story.arrives(QoS::ExactlyOnce, 7, 1), Verdict::Deliver(_)), "a new message");
    }
}

/// mosquitto restored from an older state, after a kill: it numbers on from there.
#[test]
fn a_broker_that_forgot_a_delivery_may_use_its_identifier_again() {
    for version in BOTH {
        let mut story = Story::online(version);
        story.arrives(QoS::ExactlyOnce, 7, 0);
        let held = token(story.arrives(QoS::ExactlyOnce, 8, 1));
        assert_eq!(story.told(), ["PUBREC 7"]);
        story.cut_after(0);
        story.open(true, &PropertiesBuf::default());
        for id in [7, 8] {
            assert!(matches!(story.arrives(QoS::AtLeastOnce, id, 0), Verdict::Deliver(_)));
        }
        assert_eq!(story.told(), ["PUBACK 7", "PUBACK 8"]);
        assert!(story.session.release(held, Release::Acknowledge));
        assert!(story.told().is_empty(), "the broker does not know what that was");
        assert!(matches!(story.arrives(QoS::ExactlyOnce, 7, 0), Verdict::Deliver(_)), "a new message");
    }
}

#[test]
fn an_identifier_of_qos_2_is_not_used_for_qos_1_on_the_same_connection() {
    let mut story = Story::online(Version::V5);
    story.arrives(QoS::ExactlyOnce, 7, 0);
    assert_eq!(story.arrives(QoS::AtLeastOnce, 7, 0), Verdict::Ignore);
    assert_eq!(story.told(), ["PUBREC 7", "DISCONNECT 0x82"]);
}

#[test]
fn old_tokens_send_nothing() {
    let mut story = Story::online(Version::V5);
    let one = token(story.arrives(QoS::AtLeastOnce, 1, 1));
    let two = token(story.arrives(QoS::ExactlyOnce, 2, 1));
    story.cut_after(0);
    assert!(!story.session.release(one, Release::Acknowledge));
    story.open(false, &PropertiesBuf::default());
    story.arrives(QoS::AtLeastOnce, 1, 1);
    story.arrives(QoS::ExactlyOnce, 2, 1);
    assert!(!story.session.release(one, Release::Acknowledge));
    assert!(!story.session.release(two, Release::Acknowledge));
    assert!(story.told().is_empty());
}

#[test]
fn a_refusal_is_final_on_5_and_an_acknowledgement_before() {
    let no = Release::Reject(Reason::NOT_AUTHORIZED);
    let mut story = Story::online(Version::V5);
    let one = token(story.arrives(QoS::AtLeastOnce, 1, 1));
    let two = token(story.arrives(QoS::ExactlyOnce, 2, 1));
    story.session.release(one, no);
    story.session.release(two, no);
    assert_eq!(story.told(), ["PUBACK 1 0x87", "PUBREC 2 0x87"]);
    assert_eq!(story.session.unacknowledged(), 0);
    let mut story = Story::online(Version::V311);
    let two = token(story.arrives(QoS::ExactlyOnce, 2, 1));
    story.session.release(two, no);
    assert_eq!(story.told(), ["PUBREC 2"]);
    story.acks(AckKind::Pubrel, 2);
    assert_eq!(story.told(), ["PUBCOMP 2"]);
}

#[test]
fn an_abandoned_message_is_skipped_and_delivered_again() {
    for version in BOTH {
        let mut story = Story::online(version);
        let one = token(story.arrives(QoS::ExactlyOnce, 1, 1));
        let two = token(story.arrives(QoS::ExactlyOnce, 2, 1));
        story.session.release(one, Release::Abandon);
        story.session.release(two, Release::Acknowledge);
        assert_eq!(story.told(), ["PUBREC 2"]);
        assert_eq!(story.session.unacknowledged(), 2, "it goes on holding its slot");
        story.cut_after(0);
        story.open(true, &PropertiesBuf::default());
        assert!(matches!(story.arrives(QoS::ExactlyOnce, 1, 1), Verdict::Deliver(Some(_))));
    }
}

/// What the session has said of withheld acknowledgements, up to this time.
fn withheld(story: &mut Story, seconds: u64) -> Vec<Event> {
    story.told();
    let end = story.now + core::time::Duration::from_secs(seconds);
    while let Some(due) = story.session.poll_timeout().filter(|due| *due <= end) {
        story.now = due;
        story.session.handle_read(story.now);
        story.session.handle_timeout(story.now);
    }
    story.now = end;
    story.session.handle_timeout(end);
    story.told();
    let cost = |event: &Event| matches!(event, Event::Held { .. } | Event::Abandoned { .. });
    story.events().into_iter().filter(cost).collect()
}

#[test]
fn a_message_that_keeps_others_back_for_30_seconds_is_told_of_once() {
    for version in BOTH {
        for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let mut story = Story::online(version);
            let one = token(story.arrives(qos, 11, 1));
            assert_eq!(withheld(&mut story, 100), [], "it keeps nobody back");
            let two = token(story.arrives(qos, 12, 1));
            let held = |id, waiting| [Event::Held { id, qos, waiting }];
            assert_eq!(withheld(&mut story, 0), held(11, 1));
            assert_eq!(withheld(&mut story, 100), []);
            story.session.release(one, Release::Acknowledge);
            story.arrives(qos, 13, 1);
            story.arrives(qos, 14, 1);
            assert_eq!(withheld(&mut story, 29), []);
            assert_eq!(withheld(&mut story, 1), held(12, 2));
            // Released and gone.
            story.session.release(two, Release::Abandon);
            assert_eq!(withheld(&mut story, 29), []);
            story.cut_after(0);
            story.open(true, &PropertiesBuf::default());
            assert_eq!(withheld(&mut story, 100), []);
        }
    }
}

#[test]
fn abandoned_messages_are_told_of_when_they_take_half_the_window() {
    for version in BOTH {
        let mut story = Story::new(version);
        story.connect.receive_maximum = 6;
        story.open(false, &PropertiesBuf::default());
        for _ in 0..2 {
            let one = token(story.arrives(QoS::AtLeastOnce, 1, 1));
            let two = token(story.arrives(QoS::ExactlyOnce, 2, 2));
            let three = token(story.arrives(QoS::AtLeastOnce, 3, 1));
            let four = token(story.arrives(QoS::ExactlyOnce, 4, 1));
            story.session.release(two, Release::Abandon);
            story.session.release(three, Release::Abandon);
            story.session.release(four, Release::Acknowledge);
            assert_eq!(withheld(&mut story, 1), [], "one of them is still with another holder");
            story.session.release(two, Release::Acknowledge);
            assert_eq!(withheld(&mut story, 1), []);
            story.session.release(one, Release::Abandon);
            let abandoned = Event::Abandoned { messages: 3, window: 6 };
            assert_eq!(withheld(&mut story, 1), [abandoned]);
            let five = token(story.arrives(QoS::AtLeastOnce, 5, 1));
            story.session.release(five, Release::Abandon);
            assert_eq!(withheld(&mut story, 1), [], "once for each connection");
            story.cut_after(0);
            story.open(false, &PropertiesBuf::default());
        }
    }
}

// Spec 5.0: MQTT-3.3.4-9
#[test]
fn more_than_our_receive_maximum_is_a_breach() {
    let mut story = Story::new(Version::V5);
    story.connect.receive_maximum = 2;
    story.open(false, &PropertiesBuf::default());
    story.arrives(QoS::AtLeastOnce, 1, 1);
    story.arrives(QoS::ExactlyOnce, 2, 1);
    assert_eq!(story.arrives(QoS::AtLeastOnce, 3, 1), Verdict::Ignore);
    assert_eq!(story.told(), ["DISCONNECT 0x93"]);
    let breach = Breach {
        reason: Reason::RECEIVE_MAXIMUM_EXCEEDED,
        what: "more unacknowledged messages than our receive maximum",
    };
    assert_eq!(story.cause(), Some(Cause::Breach(breach)));
}

// Spec 5.0: MQTT-3.1.2-24
#[test]
fn an_oversize_message_is_skipped_on_3_1_1_and_a_breach_on_5() {
    let mut bytes = vec![];
    let payload = [b'x'; 500];
    let properties = Properties::EMPTY;
    let (dup, retain, qos, id) = (false, false, QoS::AtLeastOnce, Some(9));
    let large = Publish { dup, retain, qos, topic: "big", id, properties, payload: &payload };
    encode(Version::V311, &Packet::Publish(large), &mut bytes);
    encode(Version::V311, &publish(QoS::AtMostOnce, 0), &mut bytes);
    for chunk in [1, 7, 400, 1000] {
        let connect =
            ConnectOptions { version: Version::V311, maximum_packet_size: 100, ..Default::default() };
        let mut receiver = Receiver::new(&connect);
        let (mut pending, mut seen) = (vec![], vec![]);
        for part in bytes.chunks(chunk) {
            pending.extend_from_slice(part);
            let mut used = 0;
            loop {
                used += match receiver.next(&pending[used..]).unwrap() {
                    Received::Incomplete { .. } => break,
                    Received::Oversize { qos, id, topic, size, used } => {
                        assert_eq!((qos, id, topic, size), (QoS::AtLeastOnce, Some(9), "big", 510));
                        seen.push("oversize");
                        used
                    }
                    Received::Skipped { used } => used,
                    Received::Publish { size, .. } | Received::Packet { size, .. } => {
                        seen.push("packet");
                        size
                    }
                };
            }
            pending.drain(..used);
            assert!(pending.len() < 30, "the body is never buffered");
        }
        assert_eq!(seen, ["oversize", "packet"]);
    }
    let mut story = Story::new(Version::V5);
    story.connect.maximum_packet_size = 100;
    story.open(false, &PropertiesBuf::default());
    story.says_bytes(&[0x30, 0x80, 0x01]);
    assert_eq!(story.told(), ["DISCONNECT 0x95"]);
}

#[test]
fn pubrel_for_nothing_is_answered() {
    let mut story = Story::online(Version::V5);
    story.acks(AckKind::Pubrel, 5);
    assert_eq!(story.told(), ["PUBCOMP 5 0x92"]);
    let mut story = Story::online(Version::V311);
    story.acks(AckKind::Pubrel, 5);
    assert_eq!(story.told(), ["PUBCOMP 5"]);
}

#[test]
fn what_is_abandoned_while_away_is_delivered_again_at_once() {
    for version in BOTH {
        let mut story = Story::online(version);
        let held = token(story.arrives(QoS::ExactlyOnce, 1, 1));
        story.cut_after(0);
        assert!(story.session.release(held, Release::Abandon));
        story.open(true, &PropertiesBuf::default());
        let again = token(story.arrives(QoS::ExactlyOnce, 1, 1));
        assert!(story.session.release(again, Release::Acknowledge));
        assert_eq!(story.told(), ["PUBREC 1"]);
    }
}

// Spec 3.1.1: MQTT-4.6.0-3
// Spec 5.0: MQTT-4.6.0-3
#[test]
fn pubrec_of_a_repetition_keeps_its_place() {
    for version in BOTH {
        let mut story = Story::online(version);
        let one = token(story.arrives(QoS::ExactlyOnce, 1, 1));
        story.session.release(one, Release::Abandon);
        story.arrives(QoS::ExactlyOnce, 2, 0);
        story.cut_after(0);
        story.open(true, &PropertiesBuf::default());
        let one = token(story.arrives(QoS::ExactlyOnce, 1, 1));
        assert_eq!(story.arrives(QoS::ExactlyOnce, 2, 1), Verdict::Ignore);
        assert!(story.told().is_empty(), "PUBREC leaves in receive order");
        story.session.release(one, Release::Acknowledge);
        assert_eq!(story.told(), ["PUBREC 1", "PUBREC 2"]);
        assert_eq!(story.arrives(QoS::ExactlyOnce, 2, 1), Verdict::Ignore);
        assert_eq!(story.told(), ["PUBREC 2"], "as often as it is sent");
    }
}

#[test]
fn a_token_is_spent_by_its_last_holder() {
    let mut story = Story::online(Version::V5);
    let one = token(story.arrives(QoS::ExactlyOnce, 1, 1));
    assert!(story.session.release(one, Release::Acknowledge));
    assert!(!story.session.release(one, Release::Acknowledge));
    assert_eq!(story.told(), ["PUBREC 1"]);
    story.acks(AckKind::Pubrel, 1);
    assert_eq!(story.told(), ["PUBCOMP 1"]);
}

#[test]
fn a_receive_maximum_of_zero_is_the_default() {
    let mut story = Story::new(Version::V5);
    story.connect.receive_maximum = 0;
    story.open(false, &PropertiesBuf::default());
    assert!(matches!(story.arrives(QoS::AtLeastOnce, 1, 1), Verdict::Deliver(_)));
}

#[test]
fn a_publish_that_repeats_another_is_read_as_if_alone() {
    let message = |topic, alias: Option<u16>, payload: &[u8]| {
        let mut properties = PropertiesBuf::default();
        if let Some(alias) = alias {
            properties.topic_alias(alias).unwrap();
        }
        let properties = properties.as_properties();
        // What stands beside topic and properties is each one's own.
        let (dup, retain, qos, id) = match payload {
            b"2" => (false, true, QoS::AtLeastOnce, Some(7)),
            b"4" => (true, false, QoS::ExactlyOnce, Some(8)),
            _ => (false, false, QoS::AtMostOnce, None),
        };
        let mut bytes = vec![];
        encode(
            Version::V5,
            &Packet::Publish(Publish { dup, retain, qos, topic, id, properties, payload }),
            &mut bytes,
        );
        bytes
    };
    let bytes = [
        message("a/b", None, b"1"),
        message("a/b", None, b"2"),
        message("a/b", Some(1), b"3"),
        message("a/b", Some(1), b"4"),
        message("a/c", Some(1), b"5"),
        message("", Some(1), b"6"),
        message("a/c", None, b"7"),
        message("a/cd", None, b"8"),
    ]
    .concat();
    let connect = ConnectOptions { version: Version::V5, topic_alias_maximum: 1, ..Default::default() };
    let (mut alone, mut beside) = (Receiver::new(&connect), Receiver::new(&connect));
    for receiver in [&mut alone, &mut beside] {
        assert!(matches!(receiver.next(&[0x20, 3, 0, 0, 0]), Ok(Received::Packet { .. })));
    }
    let (mut at, mut previous, mut repeats) = (0, None, vec![]);
    while at < bytes.len() {
        let expected = alone.next(&bytes[at..]).unwrap();
        let repeated = previous.as_ref().and_then(|previous| beside.repeated(&bytes[at..], previous));
        repeats.push(repeated.is_some());
        let received = match repeated {
            Some((publish, size)) => Received::Publish { publish, aliased: None, size },
            None => beside.next(&bytes[at..]).unwrap(),
        };
        assert_eq!(received, expected);
        let Received::Publish { publish, size, .. } = received else { panic!("not a message") };
        previous = Some(publish);
        at += size;
    }
    assert_eq!(repeats, [false, true, false, true, false, false, false, false]);
    // What is wrong or cut short is left to the other door.
    let previous = previous.unwrap();
    let good = message("a/cd", None, b"9");
    assert!(beside.repeated(&good, &previous).is_some());
    assert_eq!(beside.repeated(&good[..good.len() - 1], &previous), None);
    for flags in [0x38, 0x36, 0x32, 0x20] {
        let wrong = [&[flags], &good[1..]].concat();
        assert_eq!(beside.repeated(&wrong, &previous).map(|(publish, _)| publish.id), None, "{flags:x}");
    }
}

/// Every bound of the front of a message that is too large, on 3.1.1, where it is read before it is skipped.
#[test]
fn the_front_of_an_oversize_message_is_asked_for_byte_by_byte_and_judged() {
    let connect =
        ConnectOptions { version: Version::V311, maximum_packet_size: 10, ..ConnectOptions::default() };
    for (first, id, qos) in [(0x30, &[][..], QoS::AtMostOnce), (0x32, &[0, 7], QoS::AtLeastOnce)] {
        for payload in [0, 5] {
            let topic = b"twelve bytes";
            let rest = 2 + topic.len() + id.len() + payload;
            let mut bytes = vec![first, u8::try_from(rest).unwrap(), 0, 12];
            bytes.extend_from_slice(topic);
            bytes.extend_from_slice(id);
            let front = bytes.len();
            bytes.resize(front + payload, b'p');
            let whole = bytes.len();
            bytes.extend_from_slice(&[0xd0, 0]);
            for given in 2..=bytes.len() {
                let mut receiver = Receiver::new(&connect);
                match receiver.next(&bytes[..given]).unwrap() {
                    Received::Incomplete { missing } if given < 4 => assert_eq!(missing, None),
                    Received::Incomplete { missing } => {
                        assert!(given < front);
                        assert_eq!(missing, Some(front - given), "{given} of {whole}");
                    }
                    Received::Oversize { qos: of, id: named, topic, size, used } => {
                        assert!(given >= front);
                        assert_eq!(
                            (of, named.is_some(), topic, size),
                            (qos, !id.is_empty(), "twelve bytes", whole)
                        );
                        assert_eq!(used, given.min(whole));
                    }
                    other => panic!("{other:?}"),
                }
            }
            // A topic that reaches past the end, by one byte.
            let mut longer = bytes.clone();
            longer[3] += u8::try_from(payload).unwrap() + 1;
            let what = Receiver::new(&connect).next(&longer).err().map(|breach| breach.what);
            assert_eq!(what, Some("topic longer than its packet"));
        }
    }
    // The length of the packet takes two bytes.
    let mut long = vec![0x32, 0x90, 1, 0, 1, b't', 0, 9];
    long.resize(3 + 0x90, b'p');
    match Receiver::new(&connect).next(&long).unwrap() {
        Received::Oversize { id, topic, size, .. } => assert_eq!((id, topic, size), (Some(9), "t", 3 + 0x90)),
        other => panic!("{other:?}"),
    }
    long[7] = 0;
    let what = Receiver::new(&connect).next(&long).err().map(|breach| breach.what);
    assert_eq!(what, Some("packet identifier 0"));
}
