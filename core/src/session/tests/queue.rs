//! Looking into the queue, and what leaves it by itself.

use super::*;
use core::time::Duration;

const QOS0: QoS = QoS::AtMostOnce;
const QOS1: QoS = QoS::AtLeastOnce;
const QOS2: QoS = QoS::ExactlyOnce;

fn expiring(story: &mut Story, payload: &str, tag: u64, seconds: u32) {
    let properties = limits(|properties| {
        properties.message_expiry_interval(seconds);
    });
    story.publish_with(QOS1, payload, tag, &properties).unwrap();
}

/// QoS, size, age in seconds, stage.
fn seen(story: &Story) -> Vec<(QoS, usize, u64, Stage)> {
    let seen = story.session.queued();
    seen.map(|queued| (queued.qos, queued.size, story.now.since(queued.accepted).as_secs(), queued.stage))
        .collect()
}

#[test]
fn the_queue_tells_what_is_in_it_and_how_old_it_is() {
    let config = Config { window: 1, ..Config::default() };
    let mut story = Story::with(Version::V5, config);
    assert_eq!(story.session.oldest_queued(), None);
    story.publish(QOS0, "plain", 1);
    story.now = story.now + Duration::from_secs(2);
    story.publish(QOS1, "one", 2);
    story.publish(QOS2, "three", 3);
    story.now = story.now + Duration::from_secs(3);
    let topic = "topic".len();
    let waiting = [
        (QOS1, topic + 3, 3, Stage::Accepted),
        (QOS2, topic + 5, 3, Stage::Accepted),
        (QOS0, topic + 5, 5, Stage::Accepted),
    ];
    assert_eq!(seen(&story), waiting);
    assert!(story.session.queued().all(|queued| queued.topic == "topic" && !queued.retain));
    assert_eq!(story.session.oldest_queued(), Some(Instant(story.now.0 - 5_000)));
    assert_eq!(story.session.unsent(), 3 * topic as u64 + 13);
    assert_eq!(story.session.next_packet_id(), Some(1));
    story.open(false, &PropertiesBuf::default());
    story.told();
    assert_eq!(seen(&story)[0], (QOS1, topic + 3, 3, Stage::Written(1)));
    assert_eq!((seen(&story).len(), story.session.next_packet_id()), (2, Some(2)));
    assert_eq!(story.session.unsent(), topic as u64 + 5, "what a socket took is sent, confirmed or not");
    story.cut_after(usize::MAX);
    assert_eq!(story.session.unsent(), 2 * topic as u64 + 8, "and is to be sent again");
    assert_eq!(story.session.oldest_queued(), Some(Instant(story.now.0 - 3_000)));
}

/// Encoded bytes that wait for the socket count, too.
#[test]
fn unsent_bytes_are_those_that_no_socket_took() {
    let mut story = Story::online(Version::V311);
    story.publish(QOS0, "hello", 1);
    assert_eq!(story.session.unsent(), 2 + 7 + 5);
    story.told();
    assert_eq!(story.session.unsent(), 0);
}

#[test]
fn what_expires_offline_ends_then_and_not_at_the_next_connection() {
    let mut story = Story::new(Version::V5);
    expiring(&mut story, "ten", 1, 10);
    expiring(&mut story, "five", 2, 5);
    story.publish(QOS1, "always", 3);
    let start = story.now;
    for (seconds, tag) in [(5, 2), (10, 1)] {
        let due = start + Duration::from_secs(seconds);
        assert_eq!(story.session.poll_timeout(), Some(due));
        story.now = Instant(due.0 - 1);
        story.session.handle_timeout(story.now);
        assert_eq!(story.ended(), []);
        story.now = due;
        story.session.handle_timeout(story.now);
        assert_eq!(story.ended(), [(tag, Outcome::Expired)]);
    }
    assert_eq!(story.session.poll_timeout(), None);
    assert_eq!(story.session.queue().messages, 1);
}

/// An interval that is over as it begins (3.3.2.3.3): now or never, whatever the QoS.
#[test]
fn what_expires_in_no_time_is_sent_at_once_or_not_at_all() {
    let zero = limits(|properties| {
        properties.message_expiry_interval(0);
    });
    for qos in [QOS0, QOS1, QOS2] {
        let mut story = Story::online(Version::V5);
        story.publish_with(qos, "now", 1, &zero).unwrap();
        story.session.poll_transmit(&mut story.out, story.now);
        let bytes = std::mem::take(&mut story.out.bytes);
        let Ok(Decoded::Packet { packet: Packet::Publish(sent), .. }) = decode(Version::V5, &bytes, 1000)
        else {
            panic!("{qos:?}: a PUBLISH")
        };
        assert_eq!((sent.qos, sent.properties.message_expiry_interval()), (qos, Some(0)));
        assert_eq!(story.ended(), [], "{qos:?}");

        // With nothing else in its way than time.
        let mut story = Story::new(Version::V5);
        story.publish_with(qos, "never", 1, &zero).unwrap();
        assert_eq!(story.session.poll_timeout(), Some(story.now));
        story.now = Instant(story.now.0 + 1);
        story.open(false, &PropertiesBuf::default());
        assert_eq!((story.told(), story.ended()), (vec![], vec![(1, Outcome::Expired)]), "{qos:?}");

        // And with the window in its way.
        let mut story = Story::with(Version::V5, Config { window: 1, ..Config::default() });
        story.open(false, &PropertiesBuf::default());
        story.publish(QOS1, "first", 1);
        story.publish_with(QOS1, "never", 2, &zero).unwrap();
        assert_eq!(
            (story.told(), story.session.poll_timeout()),
            (vec!["PUBLISH 1 first".into()], Some(story.now))
        );
        story.session.handle_timeout(story.now);
        assert_eq!(story.ended(), [(2, Outcome::Expired)]);
    }
}

#[test]
fn what_was_sent_once_does_not_expire_while_it_waits_to_be_sent_again() {
    let mut story = Story::online(Version::V5);
    expiring(&mut story, "sent", 1, 5);
    story.told();
    story.cut_after(usize::MAX);
    story.now = story.now + Duration::from_mins(1);
    story.session.handle_timeout(story.now);
    assert_eq!((story.ended(), story.session.poll_timeout()), (vec![], None));
}

/// Mongoose drops the oldest message, whatever it is; what is worth nothing any more should go before.
#[test]
fn what_has_expired_makes_room_before_anything_is_dropped_or_refused() {
    for overflow in [Overflow::Refuse, Overflow::DropOldest, Overflow::DropNewest] {
        let mut story = Story::with(Version::V5, Config { queue_messages: 2, overflow, ..Config::default() });
        story.publish(QOS1, "old", 1);
        expiring(&mut story, "expired", 2, 5);
        story.now = story.now + Duration::from_secs(5);
        assert!(matches!(story.publish(QOS1, "new", 3), Accepted::Recorded(_)), "{overflow:?}");
        assert_eq!(story.ended(), [(2, Outcome::Expired)], "{overflow:?}");
    }
}

/// Mongoose stores what `max_qos` made QoS 0, and waits for an acknowledgement that never comes.
#[test]
fn a_lower_maximum_qos_counts_from_when_a_message_is_accepted() {
    let mut story = Story::new(Version::V5);
    story.publish(QOS2, "before", 1);
    story.session.set_maximum_qos(QOS0);
    story.publish(QOS2, "after", 2);
    story.session.set_maximum_qos(QOS1);
    story.publish(QOS2, "last", 3);
    story.open(false, &PropertiesBuf::default());
    assert_eq!(story.told(), ["PUBLISH 1 before", "PUBLISH after", "PUBLISH 2 last"]);
    assert_eq!(story.ended(), [(2, Outcome::Sent)]);
    story.acks(AckKind::Pubrec, 1);
    story.acks(AckKind::Pubcomp, 1);
    story.acks(AckKind::Puback, 2);
    assert_eq!(story.session.queue(), Queue::default());
}

/// Mongoose sends what never left with DUP, and both leading Rust clients lose it with the session: 20 of 20.
#[test]
fn twenty_messages_accepted_offline_and_never_sent_survive_a_new_session_in_order() {
    for version in BOTH {
        let mut story = Story::online(version);
        story.cut_after(usize::MAX);
        for number in 0..20 {
            story.publish(QOS1, &std::format!("{number}"), number);
        }
        story.open(false, &PropertiesBuf::default());
        let expected: Vec<String> = (0..20).map(|n| std::format!("PUBLISH {} {n}", n + 1)).collect();
        assert_eq!(story.told(), expected, "each once, without DUP, in order");
    }
}
