//! Messages that end every connection they are sent on.

use super::*;

const QOS1: QoS = QoS::AtLeastOnce;
const QOS2: QoS = QoS::ExactlyOnce;

/// Reconnects to a broker that keeps the session and hangs up as soon as it is sent `poison`; until it is sent no more.
fn live(story: &mut Story, kept: bool) -> Vec<Vec<String>> {
    let mut connections = Vec::new();
    while connections.len() < 20 {
        story.open(kept, &PropertiesBuf::default());
        let mut told = Vec::new();
        loop {
            let new = story.told();
            if new.is_empty() {
                connections.push(told);
                return connections;
            }
            told.extend(new.clone());
            if new.iter().any(|line| line.contains("poison")) {
                connections.push(told);
                story.cut_after(usize::MAX);
                break;
            }
            for line in new.iter().filter(|line| line.starts_with("PUBLISH")) {
                let id = line.split(' ').nth(1).unwrap().parse().unwrap();
                let two = line.contains("two");
                story.acks(if two { AckKind::Pubrec } else { AckKind::Puback }, id);
                if two {
                    story.acks(AckKind::Pubcomp, id);
                }
            }
        }
    }
    connections
}

fn poisoned(events: &[Event]) -> Vec<(String, u8)> {
    let poison = |event: &Event| match event {
        Event::Poison { topic, connections, .. } => Some((topic.to_string(), *connections)),
        _ => None,
    };
    events.iter().filter_map(poison).collect()
}

#[test]
fn a_message_that_ends_every_connection_is_sent_alone_and_then_given_up_and_the_others_go_on() {
    for version in BOTH {
        for (qos, kept) in [(QOS1, true), (QOS1, false), (QOS2, true), (QOS2, false)] {
            let mut story = Story::online(version);
            story.publish(QOS1, "one", 1);
            story.publish(qos, "poison", 2);
            story.publish(QOS2, "two", 3);
            story.publish(QOS1, "one more", 4);
            assert_eq!(story.told().len(), 4, "all at once, at first");
            story.cut_after(usize::MAX);
            let connections = live(&mut story, kept);
            assert_eq!(connections.len(), 5, "{connections:?}");
            assert_eq!(connections[0].len(), 4, "{connections:?}");
            // From the second end on nothing goes out beside what is unanswered: "one" first, then the poison alone.
            let payloads = |told: &[String]| -> Vec<String> {
                told.iter().map(|line| line.rsplit(' ').next().unwrap().into()).collect()
            };
            assert_eq!(payloads(&connections[1]), ["one", "poison"]);
            assert_eq!(payloads(&connections[2]), ["poison"]);
            assert_eq!(payloads(&connections[3]), ["poison"]);
            let events = story.events();
            assert_eq!(poisoned(&events), [(String::from("topic"), 5)]);
            let mut ended: Vec<u64> = Vec::new();
            for event in events {
                if let Event::Published { tag, outcome } = event {
                    let expected = matches!(outcome, Outcome::Poison { connections: 5 });
                    assert_eq!(expected, tag.0 == 2, "{outcome:?}");
                    ended.push(tag.0);
                }
            }
            assert_eq!(ended, [1, 2, 3, 4], "in their order");
            assert_eq!(story.session.queue(), Queue::default());
        }
    }
}

#[test]
fn while_a_suspect_is_on_the_way_nothing_goes_out_beside_it_and_then_everything() {
    let mut story = Story::online(Version::V5);
    story.publish(QOS1, "suspect", 1);
    story.told();
    for _ in 0..2 {
        story.cut_after(usize::MAX);
        story.open(true, &PropertiesBuf::default());
        assert_eq!(story.told(), ["PUBLISH 1 dup suspect"]);
    }
    story.publish(QoS::AtMostOnce, "plain", 2);
    story.publish(QOS1, "later", 3);
    assert_eq!(story.told(), Vec::<String>::new(), "it could be blamed in its place");
    story.acks(AckKind::Puback, 1);
    assert_eq!(story.told(), ["PUBLISH plain", "PUBLISH 2 later"]);
    assert_eq!(story.publish(QoS::AtMostOnce, "plain", 4), Accepted::Encoded, "and as ever from then on");
}

/// AWS and others: an acknowledgement that does not come is no poison, nor is what a broker says of itself.
#[test]
fn ends_with_a_reason_of_their_own_do_not_count() {
    for version in BOTH {
        let mut story = Story::online(version);
        story.publish(QOS1, "slow", 1);
        for _ in 0..20 {
            story.told();
            story.now = story.now + core::time::Duration::from_mins(2);
            story.session.handle_timeout(story.now);
            assert!(story.session.is_closing());
            story.cut_after(usize::MAX);
            story.open(true, &PropertiesBuf::default());
        }
        for reason in
            [Reason::SERVER_SHUTTING_DOWN, Reason::SERVER_BUSY, Reason::SESSION_TAKEN_OVER].repeat(5)
        {
            if version == Version::V5 {
                story.told();
                story.says(&Packet::Disconnect(crate::wire::Disconnect::new(reason)));
                story.cut_after(usize::MAX);
                story.open(true, &PropertiesBuf::default());
            }
        }
        assert_eq!(story.told(), ["PUBLISH 1 dup slow"]);
        assert!(story.ended().is_empty());
    }
}

#[test]
fn a_request_that_ends_every_connection_is_not_blamed_on_a_message() {
    let mut story = Story::online(Version::V5);
    story.publish(QOS1, "innocent", 1);
    story.told();
    for _ in 0..2 {
        story.cut_after(usize::MAX);
        story.open(true, &PropertiesBuf::default());
        story.told();
    }
    let filter = "x/#".parse().unwrap();
    for _ in 0..10 {
        story.cut_after(usize::MAX);
        story.session.subscribe(&filter, crate::wire::SubscribeOptions::default(), Tag(9)).ok();
        story.open(true, &PropertiesBuf::default());
        let told = story.told();
        assert!(told.iter().all(|line| line.starts_with("SUBSCRIBE")), "{told:?}");
    }
    assert!(story.ended().is_empty());
}

#[test]
fn a_limit_of_zero_never_gives_up() {
    let config = Config { poison_limit: 0, ..Config::default() };
    let mut story = Story::with(Version::V5, config);
    story.open(false, &PropertiesBuf::default());
    story.publish(QOS1, "poison", 1);
    for _ in 0..300 {
        story.told();
        story.cut_after(usize::MAX);
        story.open(true, &PropertiesBuf::default());
    }
    assert_eq!(story.told(), ["PUBLISH 1 dup poison"]);
    assert!(story.ended().is_empty());
}

/// The broker may have received it: under its identifier another message would be a repetition [MQTT-4.3.3-10].
#[test]
fn the_identifier_of_an_exactly_once_message_that_was_given_up_stays_out_of_use() {
    let mut story = Story::online(Version::V5);
    story.publish(QOS2, "poison", 1);
    assert_eq!(story.told(), ["PUBLISH 1 poison"]);
    story.cut_after(usize::MAX);
    live(&mut story, true);
    assert_eq!(story.ended().len(), 1);
    for _ in 0..66_000 {
        story.publish(QOS1, "x", 2);
        let told = story.told();
        let id = told[0].split(' ').nth(1).unwrap().parse().unwrap();
        assert_ne!(id, 1);
        story.acks(AckKind::Puback, id);
    }
}
