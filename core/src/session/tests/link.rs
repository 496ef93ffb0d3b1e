use super::*;
use core::time::Duration;

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

// Spec 3.1.1: MQTT-3.1.2-23
// Spec 5.0: MQTT-3.1.2-20
#[test]
fn a_silent_link_is_probed_and_given_up_after_one_and_a_half_intervals() {
    for version in BOTH {
        let mut story = Story::new(version);
        story.connect.keep_alive = 10;
        story.open(false, &PropertiesBuf::default());
        let start = story.now;
        assert_eq!(story.session.poll_timeout(), Some(start + seconds(10)));
        story.now = start + seconds(10);
        story.session.handle_timeout(story.now);
        assert_eq!(story.told(), ["PINGREQ"]);
        assert_eq!(story.session.poll_timeout(), Some(start + seconds(15)));
        story.now = start + seconds(15);
        story.session.handle_timeout(story.now);
        assert_eq!(story.cause(), Some(Cause::Silent));
    }
}

#[test]
fn a_trickle_of_messages_into_a_dead_link_does_not_hide_its_death() {
    let mut story = Story::new(Version::V5);
    story.connect.keep_alive = 10;
    story.open(false, &PropertiesBuf::default());
    let start = story.now;
    for second in 1..=15 {
        story.now = start + seconds(second);
        story.publish(QoS::AtMostOnce, "x", 1);
        story.told();
        story.session.handle_timeout(story.now);
    }
    assert_eq!(story.cause(), Some(Cause::Silent));
}

#[test]
fn a_large_payload_that_makes_progress_is_a_sign_of_life() {
    let mut story = Story::new(Version::V5);
    story.connect.keep_alive = 10;
    story.open(false, &PropertiesBuf::default());
    let start = story.now;
    story.publish(QoS::AtLeastOnce, &"x".repeat(200_000), 1);
    story.session.poll_transmit(&mut story.out, story.now);
    for second in 1..=30 {
        story.now = start + seconds(second);
        story.session.handle_written(1000, story.now);
        story.session.handle_timeout(story.now);
        assert!(!story.session.is_closing());
    }
    story.now = story.now + seconds(5);
    story.session.handle_timeout(story.now);
    assert!(story.session.is_closing(), "and it is dead when it stops");
}

// Spec 5.0: MQTT-3.1.2-21 MQTT-3.2.2-21
#[test]
fn the_broker_has_the_last_word_on_keep_alive() {
    let mut story = Story::new(Version::V5);
    let five = limits(|p| {
        p.server_keep_alive(5);
    });
    story.open(false, &five);
    assert_eq!(story.session.poll_timeout(), Some(story.now + seconds(5)));
    let never = limits(|p| {
        p.server_keep_alive(0);
    });
    let mut story = Story::new(Version::V5);
    story.open(false, &never);
    assert_eq!(story.session.poll_timeout(), None);
}

#[test]
fn a_missing_acknowledgement_ends_the_link() {
    for version in BOTH {
        let mut story = Story::new(version);
        story.connect.keep_alive = 0;
        story.open(false, &PropertiesBuf::default());
        let start = story.now;
        story.publish(QoS::AtLeastOnce, "a", 1);
        story.now = start + seconds(30);
        story.publish(QoS::AtLeastOnce, "b", 2);
        story.told();
        story.acks(AckKind::Puback, 1);
        story.now = start + seconds(60);
        story.session.handle_timeout(story.now);
        assert!(!story.session.is_closing(), "the first one was answered");
        assert_eq!(story.session.poll_timeout(), Some(start + seconds(90)));
        story.now = start + seconds(90);
        story.session.handle_timeout(story.now);
        assert_eq!(story.cause(), Some(Cause::NotAcknowledged));
    }
}

// Spec 5.0: MQTT-2.2.1-6 MQTT-3.2.0-2 MQTT-3.3.1-4 MQTT-3.3.2-11 MQTT-3.8.4-2 MQTT-4.13.1-1 MQTT-4.13.2-1
#[test]
fn breaches_are_answered_with_the_reason_the_specification_names() {
    let cases: [(&[u8], u8); 8] = [
        (&[0x40, 2, 0, 9], 0x82),                       // PUBACK for nothing
        (&[0x20, 3, 0, 0, 0], 0x82),                    // a second CONNACK
        (&[0xc0, 0], 0x82),                             // PINGREQ from a broker
        (&[0x90, 4, 0, 9, 0, 0], 0x82),                 // SUBACK for nothing
        (&[0x36, 5, 0, 1, b't', 0, 1], 0x81),           // QoS 3
        (&[0x30, 4, 0, 1, b't', 0xff], 0x81),           // a property length that is not all there
        (&[0x30, 7, 0, 1, b't', 3, 0x23, 0, 17], 0x94), // topic alias above our 16
        (&[0x30, 6, 0, 0, 3, 0x23, 0, 5], 0x82),        // topic alias never introduced
    ];
    for (bytes, reason) in cases {
        let mut story = Story::online(Version::V5);
        story.says_bytes(bytes);
        assert_eq!(story.told(), [std::format!("DISCONNECT {reason:#x}")], "{bytes:x?}");
        assert!(matches!(story.cause(), Some(Cause::Breach(breach)) if breach.reason.0 == reason));
    }
}

// Spec 3.1.1: MQTT-3.1.0-1 MQTT-3.2.0-1
// Spec 5.0: MQTT-3.1.0-1 MQTT-3.2.0-1
#[test]
fn before_connack_nothing_but_connect_is_written() {
    for version in BOTH {
        let mut story = Story::new(version);
        story.publish(QoS::AtLeastOnce, "early", 1);
        story.session.handle_open(&story.connect.clone());
        assert_eq!(story.told(), ["CONNECT"]);
        story.publish(QoS::AtMostOnce, "early too", 2);
        assert!(story.told().is_empty());
        story.says(&publish(QoS::AtMostOnce, 0));
        assert!(story.told().is_empty(), "no DISCONNECT either");
        assert!(matches!(story.cause(), Some(Cause::Breach(_))));
    }
}

// Spec 3.1.1: MQTT-3.2.2-5
// Spec 5.0: MQTT-3.2.2-7 MQTT-4.13.2-1
#[test]
fn refusals_are_told_with_their_reason() {
    let mut story = Story::new(Version::V311);
    story.session.handle_open(&story.connect.clone());
    story.told();
    story.says_bytes(&[0x20, 2, 0, 4]);
    let Some(Cause::Refused { reason, old_shape, .. }) = story.cause() else { panic!("refused") };
    assert_eq!((reason, old_shape), (Reason::BAD_USER_NAME_OR_PASSWORD, false));
    let mut story = Story::new(Version::V5);
    story.session.handle_open(&story.connect.clone());
    story.told();
    story.says_bytes(&[0x20, 2, 0, 1]);
    let Some(Cause::Refused { reason, old_shape, .. }) = story.cause() else { panic!("refused") };
    assert_eq!((reason, old_shape), (Reason::UNSUPPORTED_PROTOCOL_VERSION, true));
}

// Spec 5.0: MQTT-3.2.2-2 MQTT-3.2.2-4
#[test]
fn session_present_after_a_clean_start_is_a_breach() {
    let mut story = Story::new(Version::V5);
    story.connect.session = SessionMode::Clean;
    story.session.handle_open(&story.connect.clone());
    assert_eq!(story.told(), ["CONNECT clean"]);
    story.says_bytes(&[0x20, 3, 1, 0, 0]);
    assert!(matches!(story.cause(), Some(Cause::Breach(_))));
}

// Spec 5.0: MQTT-3.14.4-2
#[test]
fn until_disconnect_is_clean_once_and_resumed_after_a_cut() {
    let mut story = Story::new(Version::V5);
    story.connect.session = SessionMode::UntilDisconnect;
    story.session.handle_open(&story.connect.clone());
    assert_eq!(story.told(), ["CONNECT clean"]);
    story.says_bytes(&[0x20, 3, 0, 0, 0]);
    story.cut_after(0);
    story.session.handle_open(&story.connect.clone());
    assert_eq!(story.told(), ["CONNECT"]);
    story.says_bytes(&[0x20, 3, 1, 0, 0]);
    story.session.disconnect(Reason::SUCCESS);
    story.session.poll_transmit(&mut story.out, story.now);
    // DISCONNECT, success, session expiry interval 0.
    assert_eq!(story.out.bytes, [0xe0, 7, 0, 5, 0x11, 0, 0, 0, 0]);
    assert!(story.session.is_closing());
    assert_eq!(story.try_publish(QoS::AtMostOnce, "late", 1), Err(PublishError::Closed));
}

// Spec 3.1.1: MQTT-3.14.4-2
// Spec 5.0: MQTT-3.14.4-1
#[test]
fn nothing_follows_disconnect() {
    for version in BOTH {
        let mut story = Story::online(version);
        let Verdict::Deliver(Some(token)) = story.arrives(QoS::AtLeastOnce, 1, 1) else {
            panic!("delivered")
        };
        story.session.disconnect(Reason::SUCCESS);
        story.session.release(token, Release::Acknowledge);
        story.acks(AckKind::Pubrel, 3);
        assert_eq!(story.told(), ["DISCONNECT 0x0"]);
    }
}

#[test]
fn the_brokers_goodbye_is_told() {
    let mut story = Story::online(Version::V5);
    story.says_bytes(&[0xe0, 1, 0x8b]);
    let Some(Cause::ByBroker { reason, .. }) = story.cause() else { panic!("by the broker") };
    assert_eq!(reason, Reason::SERVER_SHUTTING_DOWN);
    let mut story = Story::online(Version::V311);
    story.says_bytes(&[0xe0, 0]);
    assert!(matches!(story.cause(), Some(Cause::Breach(_))), "only 5.0 has it");
}

#[test]
fn a_slow_socket_is_not_a_missing_acknowledgement() {
    let mut story = Story::new(Version::V5);
    story.connect.keep_alive = 0;
    story.open(false, &PropertiesBuf::default());
    let start = story.now;
    story.publish(QoS::AtLeastOnce, &"x".repeat(200_000), 1);
    story.session.poll_transmit(&mut story.out, story.now);
    for second in 1..=100 {
        story.now = start + seconds(second);
        story.session.handle_written(2000, story.now);
        story.session.handle_timeout(story.now);
        assert!(!story.session.is_closing(), "after {second} s");
    }
    let rest = usize::try_from(story.session.unwritten()).unwrap();
    story.session.handle_written(rest, story.now);
    assert_eq!(story.session.poll_timeout(), Some(story.now + seconds(60)));
    story.now = story.now + seconds(60);
    story.session.handle_timeout(story.now);
    assert!(story.session.is_closing(), "a whole minute without an answer");
}

#[test]
fn a_broker_that_talks_and_does_not_read_is_probed_once_an_interval() {
    let mut story = Story::new(Version::V5);
    story.connect.keep_alive = 10;
    story.open(false, &PropertiesBuf::default());
    let (start, before) = (story.now, story.session.position());
    for second in 1..=30 {
        story.now = start + seconds(second);
        story.session.handle_timeout(story.now);
        story.session.handle_read(story.now);
    }
    assert_eq!(story.session.position() - before, 3 * 2, "PINGREQ has two bytes");
}

#[test]
fn before_5_a_will_is_asked_for_by_silence() {
    for (version, told) in [(Version::V311, vec![]), (Version::V5, vec!["DISCONNECT 0x4"])] {
        let mut story = Story::online(version);
        story.session.disconnect(Reason::DISCONNECT_WITH_WILL_MESSAGE);
        assert_eq!(story.told(), told);
        assert_eq!(story.cause(), Some(Cause::Requested));
    }
}

/// Before a planned reconnect: what is on the way ends, what is accepted waits, nothing fails.
#[test]
fn a_session_on_hold_finishes_what_is_on_the_way_and_sends_nothing_new() {
    let mut story = Story::online(Version::V5);
    story.publish(QoS::AtLeastOnce, "first", 1);
    assert_eq!(story.told().len(), 1);
    story.session.hold();
    for (qos, tag) in [(QoS::AtMostOnce, 2), (QoS::AtLeastOnce, 3), (QoS::ExactlyOnce, 4)] {
        assert!(matches!(story.publish(qos, "later", tag), Accepted::Recorded(_)));
    }
    assert_eq!(story.told(), Vec::<String>::new());
    story.acks(AckKind::Puback, 1);
    assert_eq!(story.told(), Vec::<String>::new());
    assert_eq!((story.session.queue().in_flight, story.session.queue().messages), (0, 3));
    story.session.leave(Reason::NORMAL_DISCONNECTION);
    assert!(story.told()[0].starts_with("DISCONNECT"));
    story.cut_after(0);
    story.open(true, &PropertiesBuf::default());
    let told = story.told();
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told[0] == "PUBLISH later" && !told[1].contains("dup") && !told[2].contains("dup"), "{told:?}");
}

/// With a list of servers that do not share sessions: what another one kept of earlier days answers none of our packets.
#[test]
fn at_another_broker_a_session_begins_anew_and_nothing_is_taken_for_delivered() {
    for session in [SessionMode::Persistent { expiry: seconds(60) }, SessionMode::UntilDisconnect] {
        for version in BOTH {
            let mut story = Story::new(version);
            story.connect.session = session;
            story.open(false, &PropertiesBuf::default());
            story.publish(QoS::ExactlyOnce, "sent", 1);
            story.publish(QoS::ExactlyOnce, "received", 2);
            story.told();
            story.acks(AckKind::Pubrec, 2);
            story.cut_after(usize::MAX);
            story.session.forget_broker();
            story.session.handle_open(&story.connect);
            let connect = story.told();
            assert!(connect[0].contains("clean"), "{connect:?}");
            let properties = Properties::EMPTY;
            let yes = Connack { session_present: false, reason: Reason::SUCCESS, properties };
            story.says(&Packet::Connack(yes));
            assert_eq!(story.told(), ["PUBLISH 3 sent", "PUBLISH 4 received"]);
            story.cut_after(usize::MAX);
            let keeps = version == Version::V5;
            story.open(keeps, &PropertiesBuf::default());
            let again = story.told();
            let expected = if keeps { "PUBLISH 3 dup sent" } else { "PUBLISH 5 sent" };
            assert_eq!(again[0], expected, "the same broker: the session goes on");
        }
    }
}

#[test]
fn the_phase_is_that_of_the_connection() {
    for version in BOTH {
        let mut story = Story::new(version);
        assert_eq!(story.session.phase(), Phase::Offline);
        story.session.handle_open(&story.connect.clone());
        assert_eq!(story.session.phase(), Phase::Connecting);
        story.cut_after(0);
        assert_eq!(story.session.phase(), Phase::Offline);
        story.open(false, &PropertiesBuf::default());
        assert_eq!(story.session.phase(), Phase::Online);
        story.session.leave(Reason::NORMAL_DISCONNECTION);
        assert_eq!(story.session.phase(), Phase::Closing);
    }
}

#[test]
fn idle_is_who_awaits_nothing() {
    let mut story = Story::online(Version::V5);
    assert!(story.session.is_idle());
    story.publish(QoS::AtMostOnce, "a", 1);
    assert!(!story.session.is_idle(), "bytes wait for the socket");
    story.told();
    assert!(story.session.is_idle());
    story.publish(QoS::AtLeastOnce, "a", 2);
    story.told();
    assert!(!story.session.is_idle(), "PUBACK is awaited");
    story.acks(AckKind::Puback, 1);
    assert!(story.session.is_idle());
    let filter = crate::topic::TopicFilter::new("f").unwrap();
    story.session.subscribe(&filter, QoS::AtMostOnce.into(), Tag(3)).unwrap();
    story.told();
    assert!(!story.session.is_idle(), "SUBACK is awaited");
}

#[test]
fn a_probe_can_go_out_ahead_of_keep_alive_and_is_given_up_no_later() {
    for (ahead, first) in [(3, 7), (10, 1), (200, 1)] {
        let mut story = Story::new(Version::V311);
        (story.connect.keep_alive, story.connect.probe_ahead) = (10, ahead);
        story.open(false, &PropertiesBuf::default());
        let start = story.now;
        assert_eq!(story.session.poll_timeout(), Some(start + seconds(first)));
        story.now = start + seconds(first);
        story.session.handle_timeout(story.now);
        assert_eq!(story.told(), ["PINGREQ"]);
        assert_eq!(story.session.poll_timeout(), Some(start + seconds(first + 5)));
    }
}

#[test]
fn each_pingresp_answers_the_pingreq_of_its_number_on_this_connection() {
    let mut story = Story::online(Version::V5);
    for connection in 0..2 {
        assert_eq!(story.session.ping(story.now), Some(1));
        assert_eq!(story.session.ping(story.now), Some(2));
        story.session.handle_read(story.now);
        story.says(&Packet::PingResp);
        let answered = |event| match event {
            Event::ProbeAnswered { probe } => Some(probe),
            _ => None,
        };
        let probes: Vec<u64> =
            core::iter::from_fn(|| story.session.poll_event()).filter_map(answered).collect();
        assert_eq!(probes, [1], "connection {connection}");
        story.cut_after(0);
        assert_eq!(story.session.ping(story.now), None);
        story.open(false, &PropertiesBuf::default());
    }
}

#[test]
fn limits_are_those_of_the_last_connection_until_the_next_one_has_its_own() {
    let mut story = Story::new(Version::V5);
    assert_eq!(*story.session.limits(), Limits::default());
    let few = limits(|said| {
        said.maximum_qos(QoS::AtLeastOnce);
        said.receive_maximum(3).unwrap();
    });
    story.open(false, &few);
    let known = *story.session.limits();
    assert_eq!((known.maximum_qos, known.receive_maximum), (QoS::AtLeastOnce, 3));
    story.cut_after(0);
    assert_eq!(*story.session.limits(), known);
    story.open(false, &PropertiesBuf::default());
    assert_eq!(*story.session.limits(), Limits::default());
}
