//! PUBLISH and PUBREL of the client: identifiers, DUP, order, repetition.

use super::*;

/// Answers are held back for ten milliseconds.
fn slow(version: Version) -> Harbour {
    let mut harbour = Harbour::online(version);
    harbour.broker.config_mut().answer_delay = 10..=10;
    harbour.broker.config_mut().report_no_subscribers = false;
    harbour
}

/// The connection is lost, and the client comes back to its session.
fn resume(harbour: &mut Harbour) {
    harbour.cut(1);
    harbour.broker.config_mut().answer_delay = 0..=0;
    assert_eq!(harbour.connects(1, "one"), ["CONNACK present"]);
}

fn unused(version: Version) -> &'static str {
    if version == Version::V5 { "MQTT-2.2.1-3" } else { "MQTT-2.3.1-2" }
}

#[test]
fn messages_are_taken_once_per_exchange() {
    for version in BOTH {
        let mut harbour = Harbour::online(version);
        harbour.broker.config_mut().report_no_subscribers = false;
        harbour.publishes(QOS0, 0, "zero");
        harbour.publishes(QOS1, 1, "one");
        harbour.publishes(QOS2, 2, "two");
        harbour.acks(AckKind::Pubrel, 2);
        assert_eq!(harbour.hears(1), ["PUBACK 1", "PUBREC 2", "PUBCOMP 2"]);
        harbour.publishes(QOS2, 2, "again two");
        assert_eq!(harbour.taken("one"), ["zero", "one", "two", "again two"]);
        assert_eq!(harbour.breaches(), [""; 0]);
    }
}

#[test]
fn an_identifier_in_use_is_not_used_again() {
    for version in BOTH {
        for (first, second) in [(QOS1, QOS1), (QOS1, QOS2), (QOS2, QOS1), (QOS2, QOS2)] {
            let mut harbour = slow(version);
            harbour.publishes(first, 1, "x");
            harbour.publishes(second, 1, "y");
            assert_eq!(harbour.breaches(), [unused(version)], "{first:?} {second:?}");
        }
        let mut harbour = slow(version);
        harbour.publishes(QOS2, 1, "x");
        harbour.passes(10);
        harbour.acks(AckKind::Pubrel, 1);
        harbour.publishes(QOS1, 1, "y");
        assert_eq!(harbour.breaches(), [unused(version)], "PUBCOMP is not out");

        let mut harbour = slow(version);
        harbour.publishes(QOS2, 1, "x");
        harbour.subscribes(1, 1, "a", QOS1.into());
        harbour.unsubscribes(1, 1, "a");
        assert_eq!(harbour.breaches(), [unused(version); 2]);

        let mut harbour = slow(version);
        harbour.subscribes(1, 1, "a", QOS1.into());
        harbour.publishes(QOS1, 1, "x");
        harbour.unsubscribes(1, 1, "a");
        assert_eq!(harbour.breaches(), [unused(version); 2]);
    }
}

#[test]
fn dup_is_for_what_was_sent_before() {
    for (version, statement) in [(Version::V311, "MQTT-4.3.2-1"), (Version::V5, "MQTT-4.3.2-2")] {
        for qos in [QOS1, QOS2] {
            let mut harbour = Harbour::online(version);
            harbour.publishes_again(qos, 1, "x");
            assert_eq!(harbour.breaches(), [statement]);
        }
        let mut harbour = slow(version);
        resume(&mut harbour);
        harbour.publishes_again(QOS1, 1, "x");
        assert_eq!(harbour.breaches(), [""; 0], "the first one may have been lost with the last connection");
    }
}

#[test]
fn nothing_is_sent_again_on_a_live_connection() {
    for version in BOTH {
        for qos in [QOS1, QOS2] {
            let mut harbour = slow(version);
            resume(&mut harbour);
            harbour.broker.config_mut().answer_delay = 10..=10;
            harbour.publishes(qos, 1, "x");
            harbour.publishes_again(qos, 1, "x");
            assert_eq!(harbour.breaches(), ["MQTT-4.4.0-1"], "before the answer");
            harbour.passes(10);
            if qos == QOS1 {
                harbour.publishes_again(qos, 1, "x");
                assert_eq!(harbour.breaches(), ["MQTT-4.4.0-1"; 2], "after the answer");
            }
        }
    }
}

#[test]
fn what_is_sent_again_has_dup_and_is_the_same() {
    for version in BOTH {
        let mut harbour = slow(version);
        harbour.publishes(QOS1, 1, "x");
        resume(&mut harbour);
        harbour.publishes(QOS1, 1, "x");
        assert_eq!(harbour.breaches(), ["MQTT-3.3.1-1"]);

        let mut harbour = slow(version);
        harbour.publishes(QOS2, 1, "x");
        resume(&mut harbour);
        harbour.publishes_again(QOS2, 1, "something else");
        let statement = if version == Version::V5 { "MQTT-4.4.0-1" } else { "MQTT-2.3.1-3" };
        assert_eq!(harbour.breaches(), [statement]);
    }
}

#[test]
fn a_repetition_of_qos_2_is_the_same_message() {
    for version in BOTH {
        let mut harbour = slow(version);
        harbour.publishes(QOS2, 1, "once");
        harbour.publishes(QOS1, 2, "twice");
        resume(&mut harbour);
        harbour.publishes_again(QOS2, 1, "once");
        harbour.publishes_again(QOS1, 2, "twice");
        assert_eq!(harbour.hears(1), ["PUBREC 1", "PUBACK 2"]);
        assert_eq!(harbour.taken("one"), ["once", "twice", "twice"]);
        assert_eq!(harbour.breaches(), [""; 0]);
    }
}

#[test]
fn repetitions_keep_the_original_order_and_go_first() {
    for version in BOTH {
        let mut harbour = slow(version);
        for id in 1..=3 {
            harbour.publishes(QOS1, id, "x");
        }
        resume(&mut harbour);
        for id in [1, 3, 2] {
            harbour.publishes_again(QOS1, id, "x");
        }
        assert_eq!(harbour.breaches(), ["MQTT-4.6.0-1"]);

        let mut harbour = slow(version);
        harbour.publishes(QOS2, 1, "x");
        resume(&mut harbour);
        harbour.publishes(QOS2, 2, "new");
        assert_eq!(harbour.breaches(), ["house"]);
        harbour.publishes_again(QOS2, 1, "x");
        assert_eq!(harbour.breaches(), ["house", "MQTT-4.6.0-1"]);
    }
}

#[test]
fn after_pubrel_no_publish() {
    for (version, statement) in [(Version::V311, "MQTT-4.3.3-1"), (Version::V5, "MQTT-4.3.3-6")] {
        let mut harbour = slow(version);
        harbour.publishes(QOS2, 1, "x");
        harbour.passes(10);
        harbour.acks(AckKind::Pubrel, 1);
        resume(&mut harbour);
        harbour.publishes_again(QOS2, 1, "x");
        assert_eq!(harbour.breaches(), [statement]);
    }
}

#[test]
fn pubrel_answers_a_pubrec() {
    for (version, statement) in [(Version::V311, "MQTT-4.3.3-1"), (Version::V5, "MQTT-4.3.3-4")] {
        let mut harbour = Harbour::online(version);
        harbour.acks(AckKind::Pubrel, 1);
        assert_eq!(harbour.breaches(), [statement], "nothing under this identifier");

        let mut harbour = slow(version);
        harbour.publishes(QOS2, 1, "x");
        harbour.acks(AckKind::Pubrel, 1);
        assert_eq!(harbour.breaches(), [statement], "PUBREC is not out");

        let mut harbour = Harbour::online(version);
        harbour.publishes(QOS2, 1, "x");
        harbour.acks(AckKind::Pubrel, 1);
        harbour.acks(AckKind::Pubrel, 1);
        assert_eq!(harbour.breaches(), [statement], "twice");
        resume(&mut harbour);
        harbour.acks(AckKind::Pubrel, 1);
        assert_eq!(harbour.breaches(), [statement], "after a cut it may be sent again");
        assert_eq!(harbour.hears(1), [if version == Version::V5 { "PUBCOMP 1 0x92" } else { "PUBCOMP 1" }]);
    }
    let mut harbour = Harbour::online(Version::V5);
    harbour.publishes(QOS2, 1, "x");
    let reason = Reason::PACKET_IDENTIFIER_NOT_FOUND;
    harbour.says(1, &Packet::Ack(Ack { reason, ..Ack::new(AckKind::Pubrel, 1) }));
    assert_eq!(harbour.breaches(), ["MQTT-4.3.3-4"], "it was found");
}

#[test]
fn pubrels_go_in_the_order_of_the_pubrecs() {
    for version in BOTH {
        let mut harbour = Harbour::online(version);
        harbour.publishes(QOS2, 1, "x");
        harbour.publishes(QOS2, 2, "y");
        harbour.acks(AckKind::Pubrel, 2);
        assert_eq!(harbour.breaches(), ["MQTT-4.6.0-4"]);

        let mut harbour = Harbour::online(version);
        harbour.publishes(QOS2, 1, "x");
        harbour.publishes(QOS2, 2, "y");
        resume(&mut harbour);
        harbour.acks(AckKind::Pubrel, 2);
        harbour.acks(AckKind::Pubrel, 1);
        assert_eq!(harbour.breaches(), ["MQTT-4.6.0-4"], "over a cut too");
    }
}

#[test]
fn at_rest_nothing_is_unfinished() {
    for version in BOTH {
        let mut harbour = Harbour::online(version);
        harbour.publishes(QOS2, 1, "x");
        harbour.broker.check_idle("one", harbour.now);
        assert_eq!(harbour.breaches(), ["MQTT-4.4.0-1"]);
        harbour.acks(AckKind::Pubrel, 1);
        harbour.broker.check_idle("one", harbour.now);
        assert_eq!(harbour.breaches().len(), 1);
        assert_eq!(harbour.broker.unfinished("one"), 0);
    }
}

#[test]
fn what_is_refused_is_not_taken() {
    let mut harbour = Harbour::online(Version::V5);
    harbour.broker.config_mut().denied = vec!["secret/#".parse().unwrap()];
    harbour.says(1, &publish_to("secret/a", QOS2, 1, "x"));
    assert_eq!(harbour.hears(1), ["PUBREC 1 0x87"]);
    harbour.publishes(QOS2, 1, "allowed");
    assert_eq!(harbour.taken("one"), ["allowed"], "the identifier is free again [MQTT-4.3.3-9]");
    assert_eq!(harbour.breaches(), [""; 0]);
}

#[test]
fn a_refused_message_whose_refusal_was_lost_is_judged_again() {
    let mut harbour = slow(Version::V5);
    harbour.broker.config_mut().refused_per_mille = 1000;
    harbour.publishes(QOS2, 1, "x");
    harbour.broker.config_mut().refused_per_mille = 0;
    resume(&mut harbour);
    harbour.publishes_again(QOS2, 1, "x");
    assert_eq!(harbour.hears(1), ["PUBREC 1"]);
    assert_eq!(harbour.taken("one"), ["x"]);
    assert_eq!(harbour.breaches(), [""; 0]);
}

#[test]
fn a_breach_ends_the_connection_unless_it_is_only_recorded() {
    let mut harbour = Harbour::unforgiving(Version::V5, Config::default());
    harbour.connects(1, "one");
    harbour.publishes_again(QOS1, 1, "x");
    assert_eq!(harbour.hears(1), ["DISCONNECT 0x82", "closed"]);
    assert_eq!(harbour.taken("one"), [""; 0]);
    let violation = &harbour.broker.violations()[0];
    assert_eq!((violation.connection, &*violation.client), (ConnectionId(1), "one"));
    assert!(violation.to_string().starts_with("[MQTT-4.3.2-2] DUP is 0 the first time"), "{violation}");
}

#[test]
#[should_panic(expected = "MQTT-4.3.2-2")]
fn or_panics() {
    let mut harbour = Harbour::with(Version::V5, Config::default());
    harbour.broker = Broker::new(Config { on_violation: OnViolation::Panic, ..Config::default() }, 1);
    harbour.connects(1, "one");
    harbour.publishes_again(QOS1, 1, "x");
}
