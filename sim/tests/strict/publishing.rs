//! Messages from the client, on one connection.

use std::time::Duration;

use packetboat_core::wire::{
    AckKind, Packet, Properties, Publish, QoS, Reason, TopicFiltersBuf, Unsubscribe, Version,
};
use packetboat_sim::broker::Config;

use crate::common::{
    Heard, VERSIONS, ack, again, at_least_once, exactly_once, failure, filter, message, subscribe,
};
use crate::desk::Desk;

const UNUSED_ID: (&str, &str) = ("MQTT-2.2.1-3", "MQTT-2.3.1-2");
const DUP_ON_FIRST: (&str, &str) = ("MQTT-4.3.2-2", "MQTT-4.3.2-1");
const LIVE_RESEND: (&str, &str) = ("MQTT-4.4.0-1", "MQTT-4.4.0-1");
const RELEASE_UNKNOWN: (&str, &str) = ("MQTT-4.3.3-4", "MQTT-4.3.3-1");
const RELEASE_ORDER: (&str, &str) = ("MQTT-4.6.0-4", "MQTT-4.6.0-4");

const TICK: Duration = Duration::from_millis(10);

// Spec 3.1.1: MQTT-3.3.4-1
// Spec 5.0: MQTT-3.3.4-1
#[test]
fn each_qos_is_answered_as_it_must_be() {
    for version in VERSIONS {
        let mut desk =
            Desk::with(Config { keep_log: true, report_no_subscribers: false, ..Config::default() });
        let line = desk.client(version, "boat");
        assert_eq!(desk.say(line, &Packet::Publish(message(QoS::AtMostOnce, 0, "t", "0"))), []);
        let answer = |kind, id| [Heard::Ack(kind, id, Reason::SUCCESS)];
        let heard = desk.say(line, &Packet::Publish(at_least_once(7, "1")));
        assert_eq!(heard, answer(AckKind::Puback, 7));
        let heard = desk.say(line, &Packet::Publish(exactly_once(8, "2")));
        assert_eq!(heard, answer(AckKind::Pubrec, 8));
        assert_eq!(desk.broker.unfinished("boat"), 1);
        let heard = desk.say(line, &ack(AckKind::Pubrel, 8));
        assert_eq!(heard, answer(AckKind::Pubcomp, 8));
        let payloads: Vec<&[u8]> =
            desk.broker.accepted("boat").iter().map(|taken| &taken.message.payload[..]).collect();
        assert_eq!(payloads, [b"0", b"1", b"2"]);
        assert_eq!(desk.broker.stats().messages_in, [1, 1, 1]);
        desk.broker.check_idle("boat", desk.now);
        desk.is_content();
    }
}

// Spec 3.1.1: MQTT-2.3.1-2
// Spec 5.0: MQTT-2.2.1-3
#[test]
fn an_identifier_in_use_is_caught() {
    for version in VERSIONS {
        let (first, other) = (exactly_once(1, "one"), exactly_once(1, "another"));
        let filters = filter("t", QoS::AtMostOnce);
        let mut topics = TopicFiltersBuf::default();
        topics.push("t");
        let unsubscribe = Packet::Unsubscribe(Unsubscribe {
            id: 1,
            properties: Properties::EMPTY,
            filters: topics.as_filters(),
        });
        for packet in [Packet::Publish(other), subscribe(1, &filters), unsubscribe] {
            let mut desk = Desk::new();
            let line = desk.client(version, "boat");
            desk.say(line, &Packet::Publish(first));
            desk.is_content();
            let heard = desk.say(line, &packet);
            desk.caught(line, &heard, UNUSED_ID, Reason::PROTOCOL_ERROR);
        }
        // The same where the identifier stands for a request.
        for packet in [Packet::Publish(other), subscribe(1, &filters), unsubscribe] {
            let mut desk = Desk::slow(10);
            let line = desk.client(version, "boat");
            assert_eq!(desk.say(line, &subscribe(1, &filters)), []);
            let heard = desk.say(line, &packet);
            desk.caught(line, &heard, UNUSED_ID, Reason::PROTOCOL_ERROR);
        }
    }
}

#[test]
fn an_identifier_is_free_after_the_last_answer() {
    for version in VERSIONS {
        let mut desk = Desk::slow(10);
        let line = desk.client(version, "boat");
        let filters = filter("elsewhere", QoS::AtMostOnce);
        for payload in ["one", "another"] {
            for packet in [
                Packet::Publish(at_least_once(1, payload)),
                Packet::Publish(exactly_once(1, payload)),
                ack(AckKind::Pubrel, 1),
                subscribe(1, &filters),
            ] {
                assert_eq!(desk.say(line, &packet), []);
                assert_eq!(desk.pass(TICK, line).len(), 1, "{packet:?}");
            }
        }
        desk.is_content();
    }
}

// Spec 3.1.1: MQTT-4.3.2-1
// Spec 5.0: MQTT-4.3.2-2
#[test]
fn dup_on_a_first_send_is_caught() {
    for version in VERSIONS {
        for publish in [at_least_once(1, "x"), exactly_once(1, "x")] {
            let mut desk = Desk::new();
            let line = desk.client(version, "boat");
            let heard = desk.say(line, &again(publish));
            desk.caught(line, &heard, DUP_ON_FIRST, Reason::PROTOCOL_ERROR);
        }
    }
}

// Spec 3.1.1: MQTT-4.4.0-1
// Spec 5.0: MQTT-4.4.0-1
#[test]
fn sending_again_without_a_reconnect_is_caught() {
    for version in VERSIONS {
        // PUBACK is late; PUBREC is out, PUBREL awaited.
        for (delay, publish) in [(10, at_least_once(1, "x")), (0, exactly_once(1, "x"))] {
            let mut desk = Desk::slow(delay);
            let line = desk.client(version, "boat");
            desk.say(line, &Packet::Publish(publish));
            desk.is_content();
            let heard = desk.say(line, &again(publish));
            desk.caught(line, &heard, LIVE_RESEND, Reason::PROTOCOL_ERROR);
        }
        // After PUBACK, on a session that was resumed.
        let mut desk = Desk::new();
        let line = desk.lasting(version, "boat");
        desk.lose(line);
        let line = desk.lasting(version, "boat");
        desk.say(line, &Packet::Publish(at_least_once(1, "x")));
        let heard = desk.say(line, &again(at_least_once(1, "x")));
        desk.caught(line, &heard, LIVE_RESEND, Reason::PROTOCOL_ERROR);
    }
}

// Spec 3.1.1: MQTT-4.3.3-1
// Spec 5.0: MQTT-4.3.3-6
#[test]
fn sending_again_after_release_is_caught() {
    for version in VERSIONS {
        let mut desk = Desk::slow(10);
        let line = desk.client(version, "boat");
        let publish = exactly_once(1, "x");
        desk.say(line, &Packet::Publish(publish));
        desk.wait(TICK);
        desk.say(line, &ack(AckKind::Pubrel, 1));
        desk.is_content();
        let heard = desk.say(line, &again(publish));
        let rule = ("MQTT-4.3.3-6", "MQTT-4.3.3-1");
        desk.caught(line, &heard, rule, Reason::PROTOCOL_ERROR);
    }
}

#[test]
fn a_release_of_nothing_is_caught() {
    for version in VERSIONS {
        // Never sent; of QoS 1; released already; PUBREC not out yet.
        for (delay, packets) in [
            (0, vec![]),
            (0, vec![Packet::Publish(at_least_once(1, "x"))]),
            (0, vec![Packet::Publish(exactly_once(1, "x")), ack(AckKind::Pubrel, 1)]),
            (10, vec![Packet::Publish(exactly_once(1, "x"))]),
        ] {
            let mut desk = Desk::slow(delay);
            let line = desk.client(version, "boat");
            desk.say_all(line, &packets);
            desk.is_content();
            let heard = desk.say(line, &ack(AckKind::Pubrel, 1));
            desk.caught(line, &heard, RELEASE_UNKNOWN, Reason::PROTOCOL_ERROR);
        }
    }
}

#[test]
fn a_release_that_denies_its_pubrec_is_caught() {
    let mut desk = Desk::new();
    let line = desk.client(Version::V5, "boat");
    desk.say(line, &Packet::Publish(exactly_once(1, "x")));
    let heard = desk.say(line, &failure(AckKind::Pubrel, 1, Reason::PACKET_IDENTIFIER_NOT_FOUND));
    desk.caught(line, &heard, RELEASE_UNKNOWN, Reason::PROTOCOL_ERROR);
}

// Spec 3.1.1: MQTT-4.6.0-4
// Spec 5.0: MQTT-4.6.0-4
#[test]
fn releases_go_in_the_order_of_the_pubrecs() {
    for version in VERSIONS {
        let publishes = [3, 1, 2].map(|id| Packet::Publish(exactly_once(id, "x")));
        let mut desk = Desk::new();
        let line = desk.client(version, "boat");
        desk.say_all(line, &publishes);
        desk.say_all(line, &[3, 1, 2].map(|id| ack(AckKind::Pubrel, id)));
        desk.is_content();

        desk.say_all(line, &publishes);
        let heard = desk.say(line, &ack(AckKind::Pubrel, 1));
        desk.caught(line, &heard, RELEASE_ORDER, Reason::PROTOCOL_ERROR);
    }
}

#[test]
fn a_release_that_never_comes_is_caught_when_all_is_still() {
    for version in VERSIONS {
        let mut desk = Desk::new();
        let line = desk.client(version, "boat");
        desk.say(line, &Packet::Publish(exactly_once(1, "x")));
        desk.is_content();
        desk.broker.check_idle("boat", desk.now);
        let heard = desk.hear(line);
        desk.caught(line, &heard, ("MQTT-4.4.0-1", "MQTT-4.4.0-1"), Reason::PROTOCOL_ERROR);
    }
}

// Spec 5.0: MQTT-3.4.2-1
#[test]
fn reason_codes_that_are_not_the_clients_are_caught() {
    for packet in [
        failure(AckKind::Puback, 1, Reason::NO_MATCHING_SUBSCRIBERS),
        failure(AckKind::Puback, 1, Reason::PACKET_IDENTIFIER_NOT_FOUND),
        failure(AckKind::Pubrec, 1, Reason::NO_MATCHING_SUBSCRIBERS),
        failure(AckKind::Pubrel, 1, Reason::UNSPECIFIED_ERROR),
        failure(AckKind::Pubcomp, 1, Reason(0x42)),
        crate::common::goodbye(Reason::SESSION_TAKEN_OVER),
        crate::common::goodbye(Reason::NOT_AUTHORIZED),
        crate::common::goodbye(Reason::GRANTED_QOS_1),
    ] {
        let mut desk = Desk::new();
        let line = desk.client(Version::V5, "boat");
        let heard = desk.say(line, &packet);
        let first = desk.broker.violations()[0].clone();
        assert_eq!(first.statement, "section 2.4", "{packet:?}");
        assert_eq!(heard, [Heard::Goodbye(Reason::PROTOCOL_ERROR), Heard::Closed], "{packet:?}");
    }
    for reason in [Reason::DISCONNECT_WITH_WILL_MESSAGE, Reason::UNSPECIFIED_ERROR, Reason::QUOTA_EXCEEDED] {
        let mut desk = Desk::new();
        let line = desk.client(Version::V5, "boat");
        desk.say(line, &crate::common::goodbye(reason));
        desk.is_content();
    }
}

#[test]
fn answers_may_change_places() {
    let config = Config { answer_delay: 10..=10, shuffle_answers: true, ..Config::default() };
    let mut desk = Desk::with(config);
    let line = desk.client(Version::V311, "boat");
    let packets: Vec<Packet<'_>> = (1..=20).map(|id| Packet::Publish(at_least_once(id, "x"))).collect();
    desk.say_all(line, &packets);
    let heard = desk.pass(TICK, line);
    let mut ids: Vec<u16> = heard
        .iter()
        .map(|heard| match heard {
            Heard::Ack(AckKind::Puback, id, Reason::SUCCESS) => *id,
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(!ids.is_sorted());
    ids.sort_unstable();
    assert_eq!(ids, (1..=20).collect::<Vec<_>>());
    desk.is_content();
}

#[test]
fn an_exactly_once_message_of_another_retain_flag_is_another_message() {
    let mut desk = Desk::new();
    let line = desk.client(Version::V5, "boat");
    desk.say(line, &Packet::Publish(exactly_once(1, "x")));
    let heard = desk.say(line, &Packet::Publish(Publish { retain: true, ..exactly_once(1, "x") }));
    desk.caught(line, &heard, UNUSED_ID, Reason::PROTOCOL_ERROR);
}
