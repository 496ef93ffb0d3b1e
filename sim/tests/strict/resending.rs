//! Messages from the client, over several connections of one session.

use std::time::Duration;

use packetboat_core::wire::{AckKind, Packet, Publish, Reason, Version};
use packetboat_sim::broker::{Config, Direction};

use crate::common::{Heard, VERSIONS, ack, again, at_least_once, exactly_once};
use crate::desk::{Desk, Line};

/// A session whose connection was lost before these were answered, resumed.
fn unanswered(version: Version, publishes: &[Publish<'_>]) -> (Desk, Line) {
    let config = Config { answer_delay: 10..=10, keep_log: true, ..Config::default() };
    let mut desk = Desk::with(config);
    let line = desk.lasting(version, "boat");
    let packets: Vec<Packet<'_>> = publishes.iter().copied().map(Packet::Publish).collect();
    assert_eq!(desk.say_all(line, &packets), []);
    desk.lose(line);
    let (line, heard) = desk.resumed(version, "boat");
    assert!(matches!(heard[..], [Heard::Connack { present: true, .. }]), "{heard:?}");
    desk.is_content();
    (desk, line)
}

#[test]
fn what_is_unanswered_comes_again_and_is_taken_as_its_qos_says() {
    for version in VERSIONS {
        let publishes = [at_least_once(2, "a"), exactly_once(1, "b"), at_least_once(3, "c")];
        let (mut desk, line) = unanswered(version, &publishes);
        desk.say_all(line, &publishes.map(again));
        assert_eq!(desk.pass(Duration::from_millis(10), line).len(), 3);
        desk.say_all(line, &[ack(AckKind::Pubrel, 1), Packet::Publish(at_least_once(2, "new"))]);
        desk.wait(Duration::from_millis(10));
        desk.broker.check_idle("boat", desk.now);
        desk.is_content();
        let payloads: Vec<&[u8]> =
            desk.broker.accepted("boat").iter().map(|taken| &taken.message.payload[..]).collect();
        assert_eq!(payloads, [&b"a"[..], b"b", b"c", b"a", b"c", b"new"], "QoS 2 once, QoS 1 at least once");
    }
}

// Spec 3.1.1: MQTT-3.3.1-1
// Spec 5.0: MQTT-3.3.1-1
#[test]
fn dup_missing_when_sent_again_is_caught() {
    for version in VERSIONS {
        for publish in [at_least_once(1, "x"), exactly_once(1, "x")] {
            let (mut desk, line) = unanswered(version, &[publish]);
            let heard = desk.say(line, &Packet::Publish(publish));
            desk.caught(line, &heard, ("MQTT-3.3.1-1", "MQTT-3.3.1-1"), Reason::PROTOCOL_ERROR);
        }
    }
}

#[test]
fn another_message_sent_again_is_caught() {
    for version in VERSIONS {
        for other in [at_least_once(1, "another"), exactly_once(1, "x")] {
            let (mut desk, line) = unanswered(version, &[at_least_once(1, "x")]);
            let heard = desk.say(line, &again(other));
            desk.caught(line, &heard, ("MQTT-4.4.0-1", "MQTT-2.3.1-3"), Reason::PROTOCOL_ERROR);
        }
    }
}

// Spec 3.1.1: MQTT-4.6.0-1
// Spec 5.0: MQTT-4.6.0-1
#[test]
fn another_order_when_sent_again_is_caught() {
    for version in VERSIONS {
        let (first, second) = (at_least_once(2, "first"), exactly_once(1, "second"));
        let (mut desk, line) = unanswered(version, &[first, second]);
        desk.say(line, &again(second));
        desk.is_content();
        let heard = desk.say(line, &again(first));
        desk.caught(line, &heard, ("MQTT-4.6.0-1", "MQTT-4.6.0-1"), Reason::PROTOCOL_ERROR);
    }
}

#[test]
fn what_is_new_before_what_comes_again_is_caught() {
    for version in VERSIONS {
        let (mut desk, line) = unanswered(version, &[at_least_once(1, "old"), at_least_once(2, "old")]);
        desk.say(line, &again(at_least_once(1, "old")));
        desk.is_content();
        let heard = desk.say(line, &Packet::Publish(at_least_once(3, "new")));
        desk.caught(line, &heard, ("house", "house"), Reason::PROTOCOL_ERROR);
    }
}

// Spec 3.1.1: MQTT-4.4.0-1
// Spec 5.0: MQTT-4.4.0-1
#[test]
fn what_never_comes_again_is_caught_when_all_is_still() {
    for version in VERSIONS {
        let (mut desk, line) = unanswered(version, &[at_least_once(1, "x")]);
        desk.broker.check_idle("boat", desk.now);
        let heard = desk.hear(line);
        desk.caught(line, &heard, ("MQTT-4.4.0-1", "MQTT-4.4.0-1"), Reason::PROTOCOL_ERROR);
    }
}

/// A session whose connection was lost behind the PUBRECs of these, resumed.
fn received(version: Version, ids: &[u16]) -> (Desk, Line) {
    let mut desk = Desk::with(Config { keep_log: true, ..Config::default() });
    let line = desk.lasting(version, "boat");
    let packets: Vec<Packet<'_>> = ids.iter().map(|id| Packet::Publish(exactly_once(*id, "x"))).collect();
    assert_eq!(desk.say_all(line, &packets).len(), ids.len());
    desk.lose(line);
    let line = desk.lasting(version, "boat");
    (desk, line)
}

#[test]
fn a_pubrec_may_have_been_lost_or_not() {
    for version in VERSIONS {
        let (mut desk, line) = received(version, &[5, 4]);
        // The second PUBREC was lost with the connection, as the client sees it.
        desk.say_all(line, &[ack(AckKind::Pubrel, 5), again(exactly_once(4, "x")), ack(AckKind::Pubrel, 4)]);
        desk.broker.check_idle("boat", desk.now);
        desk.is_content();
        assert_eq!(desk.broker.accepted("boat").len(), 2);
    }
}

#[test]
fn a_pubcomp_may_have_been_lost() {
    for version in VERSIONS {
        let (mut desk, line) = received(version, &[1]);
        desk.say(line, &ack(AckKind::Pubrel, 1));
        desk.lose(line);
        let line = desk.lasting(version, "boat");
        let reason =
            if version == Version::V5 { Reason::PACKET_IDENTIFIER_NOT_FOUND } else { Reason::SUCCESS };
        assert_eq!(desk.say(line, &ack(AckKind::Pubrel, 1)), [Heard::Ack(AckKind::Pubcomp, 1, reason)]);
        desk.is_content();
        // Once on each connection.
        let heard = desk.say(line, &ack(AckKind::Pubrel, 1));
        desk.caught(line, &heard, ("MQTT-4.3.3-4", "MQTT-4.3.3-1"), Reason::PROTOCOL_ERROR);
    }
}

#[test]
fn releases_of_an_earlier_connection_keep_their_order() {
    for version in VERSIONS {
        let (mut desk, line) = received(version, &[7, 3, 5]);
        desk.say_all(line, &[ack(AckKind::Pubrel, 7), ack(AckKind::Pubrel, 5)]);
        desk.is_content();
        let heard = desk.say(line, &ack(AckKind::Pubrel, 3));
        desk.caught(line, &heard, ("MQTT-4.6.0-4", "MQTT-4.6.0-4"), Reason::PROTOCOL_ERROR);
    }
}

#[test]
fn a_message_that_never_arrived_comes_with_dup() {
    for version in VERSIONS {
        let mut desk = Desk::new();
        let line = desk.lasting(version, "boat");
        desk.lose(line);
        let line = desk.lasting(version, "boat");
        desk.say(line, &again(at_least_once(1, "lost with the first connection")));
        desk.is_content();
    }
}

#[test]
fn a_dropped_packet_excuses_what_follows_from_it() {
    for version in VERSIONS {
        let mut desk = Desk::new();
        let line = desk.client(version, "boat");
        desk.broker.faults().drop_nth(Direction::ToBroker, 1);
        assert_eq!(desk.say(line, &Packet::Publish(exactly_once(1, "x"))), []);
        // The client cannot know that the broker never saw it.
        assert_eq!(desk.say(line, &again(exactly_once(1, "x"))).len(), 1);
        desk.is_content();
        assert!(!desk.broker.faults().is_pending());
    }
}

#[test]
fn who_lost_its_process_is_excused() {
    for version in VERSIONS {
        let (mut desk, line) = unanswered(version, &[at_least_once(1, "x"), at_least_once(2, "y")]);
        desk.lose(line);
        desk.broker.excuse_crash("boat");
        let line = desk.lasting(version, "boat");
        desk.say(line, &Packet::Publish(at_least_once(1, "new")));
        desk.is_content();
    }
}
