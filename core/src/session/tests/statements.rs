//! Statements of the specifications that no story elsewhere happens to tell.

use core::time::Duration;

use super::*;
use crate::topic::TopicFilter;
use crate::wire::{AckKind, Auth, PacketType, SubscribeOptions};

const QOS1: QoS = QoS::AtLeastOnce;
const QOS2: QoS = QoS::ExactlyOnce;

fn new_delivery(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Deliver(Some(_)))
}

impl Story {
    fn publish_to(&mut self, topic: &str, qos: QoS, retain: bool) -> Result<Accepted, PublishError> {
        let message = Outgoing {
            topic: TopicName::new(topic).unwrap(),
            payload: Payload::Borrowed(b"x"),
            qos,
            retain,
            properties: Properties::EMPTY,
            drop_properties: false,
            tag: Tag(1),
        };
        self.session.publish(&message, self.now)
    }

    /// A breach: told on 5.0, and the end of the connection in both versions.
    fn is_breach(&mut self, reason: u8) {
        let told = self.told();
        let expected = [std::format!("DISCONNECT {reason:#x}")];
        assert_eq!(told, if self.connect.version == Version::V5 { &expected[..] } else { &[] });
        assert!(matches!(self.cause(), Some(Cause::Breach(breach)) if breach.reason.0 == reason));
    }
}

// Spec 3.1.1: MQTT-1.5.3-1 MQTT-1.5.3-2 MQTT-3.3.2-2 MQTT-4.8.0-1
// Spec 5.0: MQTT-1.5.4-1 MQTT-1.5.4-2 MQTT-3.3.2-2 MQTT-4.13.1-1 MQTT-4.13.2-1
#[test]
fn a_topic_that_is_none_ends_the_connection() {
    for version in BOTH {
        for topic in [&[0xed_u8, 0xa0, 0x80][..], &[b'a', 0xff], &[b'a', 0, b'b'], b"a/#", b"+"] {
            let mut story = Story::online(version);
            let mut packet = vec![0x30, 0, 0, u8::try_from(topic.len()).unwrap()];
            packet.extend_from_slice(topic);
            if version == Version::V5 {
                packet.push(0);
            }
            packet[1] = u8::try_from(packet.len() - 2).unwrap();
            story.says_bytes(&packet);
            story.is_breach(0x81);
        }
    }
}

// Spec 3.1.1: MQTT-2.2.2-2 MQTT-3.3.1-4 MQTT-4.8.0-1
// Spec 5.0: MQTT-3.3.1-4 MQTT-3.14.1-1 MQTT-3.15.1-1 MQTT-4.13.1-1 MQTT-4.13.2-1
#[test]
fn flags_that_are_none_end_the_connection() {
    for version in BOTH {
        // CONNACK, PUBLISH of QoS 3, acknowledgements, SUBACK, UNSUBACK, PINGRESP, DISCONNECT, AUTH.
        for first in [0x21, 0x36, 0x41, 0x58, 0x60, 0x63, 0x74, 0x91, 0xb2, 0xd1, 0xe1, 0xf1, 0xf8] {
            let mut story = Story::online(version);
            story.says_bytes(&[first, 5, 0, 1, b't', 0, 1]);
            story.is_breach(0x81);
        }
    }
}

// Spec 3.1.1: MQTT-2.3.1-1 MQTT-2.3.1-2 MQTT-2.3.1-5
// Spec 5.0: MQTT-2.2.1-2 MQTT-2.2.1-3
#[test]
fn requests_and_messages_share_one_set_of_identifiers() {
    for version in BOTH {
        let mut story = Story::online(version);
        let filter = TopicFilter::new("f").unwrap();
        story.publish(QOS1, "a", 1);
        story.session.subscribe(&filter, SubscribeOptions::from(QOS1), Tag(2)).unwrap();
        story.publish(QOS2, "b", 3);
        story.session.unsubscribe(&filter, Tag(4));
        story.publish(QoS::AtMostOnce, "c", 5);
        let bytes = story.raw();
        let (mut at, mut ids) = (0, Vec::new());
        while let Ok(Decoded::Packet { packet, size }) = decode(version, &bytes[at..], 1000) {
            ids.push(match packet {
                Packet::Publish(publish) => publish.id,
                Packet::Subscribe(subscribe) => Some(subscribe.id),
                Packet::Unsubscribe(unsubscribe) => Some(unsubscribe.id),
                other => panic!("{other:?}"),
            });
            at += size;
        }
        ids.sort_unstable();
        assert_eq!(ids, [None, Some(1), Some(2), Some(3), Some(4)]);
    }
}

// Spec 3.1.1: MQTT-2.3.1-6 MQTT-3.3.4-1 MQTT-4.3.1-1 MQTT-4.3.2-2 MQTT-4.3.3-2
// Spec 5.0: MQTT-2.2.1-5 MQTT-3.3.4-1 MQTT-4.3.1-1 MQTT-4.3.2-4 MQTT-4.3.3-8 MQTT-4.3.3-11
#[test]
fn the_answer_follows_from_the_qos() {
    for version in BOTH {
        let mut story = Story::online(version);
        story.says(&publish(QoS::AtMostOnce, 0));
        assert!(story.told().is_empty());
        story.says(&publish(QOS1, 513));
        assert_eq!(story.told(), ["PUBACK 513"]);
        story.says(&publish(QOS2, 514));
        assert_eq!(story.told(), ["PUBREC 514"]);
        story.acks(AckKind::Pubrel, 514);
        assert_eq!(story.told(), ["PUBCOMP 514"]);
    }
}

// Spec 3.1.1: MQTT-4.3.2-2 MQTT-4.3.3-2
// Spec 5.0: MQTT-4.3.2-5 MQTT-4.3.3-10 MQTT-4.3.3-12
#[test]
fn an_identifier_that_is_done_with_is_a_new_message() {
    for version in BOTH {
        let mut story = Story::online(version);
        for _ in 0..2 {
            assert!(new_delivery(story.arrives(QOS1, 5, 0)), "DUP or not: nothing is asked of it");
            assert_eq!(story.told(), ["PUBACK 5"]);
        }
        for _ in 0..2 {
            assert!(new_delivery(story.arrives(QOS2, 6, 0)));
            assert_eq!(story.told(), ["PUBREC 6"]);
            assert_eq!(story.arrives(QOS2, 6, 0), Verdict::Ignore, "the same delivery");
            assert_eq!(story.told(), ["PUBREC 6"]);
            story.acks(AckKind::Pubrel, 6);
            assert_eq!(story.told(), ["PUBCOMP 6"]);
        }
    }
}

// Spec 5.0: MQTT-4.3.3-9
#[test]
fn an_identifier_that_was_refused_is_a_new_message() {
    let mut story = Story::online(Version::V5);
    for _ in 0..2 {
        let Verdict::Deliver(Some(token)) = story.arrives(QOS2, 6, 1) else { panic!("the same delivery") };
        story.session.release(token, Release::Reject(Reason::QUOTA_EXCEEDED));
        assert_eq!(story.told(), ["PUBREC 6 0x97"]);
    }
}

// Spec 3.1.1: MQTT-3.3.1-2 MQTT-4.3.1-1
// Spec 5.0: MQTT-3.3.1-2 MQTT-4.3.1-1 MQTT-4.4.0-1
#[test]
fn a_qos_0_message_is_sent_once_and_never_again() {
    for version in BOTH {
        let mut story = Story::online(version);
        story.publish(QoS::AtMostOnce, "a", 1);
        // The first byte of PUBLISH: QoS 0, DUP 0.
        assert_eq!(story.raw()[0], 0x30);
        story.publish(QoS::AtMostOnce, "b", 2);
        story.cut_after(1);
        story.open(true, &PropertiesBuf::default());
        assert!(story.told().is_empty());
    }
}

// Spec 3.1.1: MQTT-4.3.2-1 MQTT-4.3.3-1
// Spec 5.0: MQTT-3.3.1-3 MQTT-4.3.2-1 MQTT-4.3.2-2 MQTT-4.3.3-1 MQTT-4.3.3-2
#[test]
fn a_first_send_has_its_qos_and_no_dup() {
    for version in BOTH {
        for (qos, first) in [(QOS1, 0x32), (QOS2, 0x34)] {
            let mut story = Story::online(version);
            // What arrived with DUP has no say in it.
            story.says(&Packet::Publish(Publish { dup: true, ..message(qos, 1) }));
            story.raw();
            story.publish(qos, "a", 1);
            let bytes = story.raw();
            let identifier = 4 + "topic".len();
            assert_eq!((bytes[0], &bytes[identifier..identifier + 2]), (first, &[0, 1][..]));
        }
    }
}

fn message(qos: QoS, id: u16) -> Publish<'static> {
    match publish(qos, id) {
        Packet::Publish(publish) => publish,
        other => panic!("{other:?}"),
    }
}

// Spec 3.1.1: MQTT-3.1.2-6
// Spec 5.0: MQTT-3.1.2-4 MQTT-3.2.2-5
#[test]
fn a_new_session_starts_with_nothing_of_the_old_one() {
    for version in BOTH {
        for mode in [SessionMode::Clean, SessionMode::Persistent { expiry: Duration::from_mins(1) }] {
            let mut story = Story::new(version);
            story.connect.session = mode;
            story.open(false, &PropertiesBuf::default());
            story.arrives(QOS2, 7, 0);
            story.publish(QOS2, "a", 1);
            story.told();
            story.acks(AckKind::Pubrec, 1);
            assert_eq!(story.told(), ["PUBREL 1"]);
            story.cut_after(0);
            story.open(false, &PropertiesBuf::default());
            // The message is a new one; its PUBREL was the old session's.
            assert_eq!(story.told(), ["PUBLISH 2 a"]);
            assert!(new_delivery(story.arrives(QOS2, 7, 0)), "no delivery of the old session");
        }
    }
}

// Spec 3.1.1: MQTT-3.1.2-4 MQTT-4.1.0-1 MQTT-4.1.0-2
// Spec 5.0: MQTT-3.1.2-23 MQTT-4.1.0-1
#[test]
fn a_kept_session_goes_on_where_it_was() {
    for version in BOTH {
        let mut story = Story::online(version);
        story.arrives(QOS2, 7, 0);
        story.publish(QOS2, "a", 1);
        story.publish(QOS1, "b", 2);
        story.told();
        story.acks(AckKind::Pubrec, 1);
        story.told();
        for _ in 0..2 {
            story.cut_after(0);
            story.open(true, &PropertiesBuf::default());
            assert_eq!(story.told(), ["PUBREL 1", "PUBLISH 2 dup b"]);
            assert_eq!(story.arrives(QOS2, 7, 0), Verdict::Ignore);
            assert_eq!(story.told(), ["PUBREC 7"]);
        }
    }
}

// Spec 3.1.1: MQTT-3.1.3-2
// Spec 5.0: MQTT-3.1.3-2
#[test]
fn every_connection_of_a_session_has_its_client_identifier() {
    for version in BOTH {
        let mut story = Story::new(version);
        story.connect.client_id = "the one".into();
        for _ in 0..2 {
            story.session.handle_open(&story.connect.clone());
            let bytes = story.raw();
            let Ok(Decoded::Packet { packet: Packet::Connect(connect), .. }) = decode(version, &bytes, 1000)
            else {
                panic!("CONNECT")
            };
            assert_eq!(connect.client_id, "the one");
            story.cut_after(0);
        }
    }
}

// Spec 5.0: MQTT-3.4.2-1 MQTT-3.5.2-1
// Spec 5.0: MQTT-3.6.2-1 MQTT-3.6.2-2 MQTT-3.6.2-3 MQTT-3.7.2-1 MQTT-3.7.2-2 MQTT-3.7.2-3
#[test]
fn acknowledgements_have_their_own_reasons_and_no_words_unasked() {
    let said = |story: &mut Story| {
        let bytes = story.raw();
        let Ok(Decoded::Packet { packet: Packet::Ack(ack), size }) = decode(Version::V5, &bytes, 1000) else {
            panic!("{bytes:x?}")
        };
        assert_eq!(size, bytes.len(), "one packet");
        assert!(ack.properties.is_empty());
        let kind = match ack.kind {
            AckKind::Puback => PacketType::Puback,
            AckKind::Pubrec => PacketType::Pubrec,
            AckKind::Pubrel => PacketType::Pubrel,
            AckKind::Pubcomp => PacketType::Pubcomp,
        };
        assert!(ack.reason.is_valid_in(kind), "{kind:?} with {}", ack.reason);
        ack.reason
    };
    let mut story = Story::online(Version::V5);
    for code in 0..=255 {
        for qos in [QOS1, QOS2] {
            let Verdict::Deliver(Some(token)) = story.arrives(qos, 5, 1) else { panic!("delivered") };
            story.session.release(token, Release::Reject(Reason(code)));
            let reason = said(&mut story);
            let valid = Reason(code).is_valid_in(PacketType::Puback);
            assert_eq!(reason, if valid { Reason(code) } else { Reason::UNSPECIFIED_ERROR });
            if qos == QOS2 && !reason.is_error() {
                story.acks(AckKind::Pubrel, 5);
                said(&mut story);
            }
        }
    }
    // PUBREL and PUBCOMP, expected and for nothing.
    story.acks(AckKind::Pubrel, 9);
    assert_eq!(said(&mut story), Reason::PACKET_IDENTIFIER_NOT_FOUND);
    story.acks(AckKind::Pubrec, 9);
    assert_eq!(said(&mut story), Reason::PACKET_IDENTIFIER_NOT_FOUND);
    story.publish(QOS2, "a", 1);
    story.raw();
    story.acks(AckKind::Pubrec, 1);
    assert_eq!(said(&mut story), Reason::SUCCESS);
}

// Spec 5.0: MQTT-3.14.2-1
#[test]
fn disconnect_has_its_own_reasons_and_no_words_unasked() {
    for code in 0..=255 {
        let mut story = Story::online(Version::V5);
        story.session.disconnect(Reason(code));
        let bytes = story.raw();
        let Ok(Decoded::Packet { packet: Packet::Disconnect(said), .. }) = decode(Version::V5, &bytes, 1000)
        else {
            panic!("{bytes:x?}")
        };
        assert!(said.reason.is_valid_in(PacketType::Disconnect), "{}", said.reason);
        assert!(said.properties.is_empty());
    }
}

#[test]
fn the_expiry_may_change_at_disconnect_where_connect_kept_the_session() {
    let minute = SessionMode::Persistent { expiry: Duration::from_mins(1) };
    let five = &[0xe0, 7, 0, 5, 0x11, 0, 0, 0, 5][..];
    let bare: &[u8] = &[0xe0, 0];
    for (version, mode, expected) in [
        (Version::V5, minute, five),
        (Version::V5, SessionMode::UntilDisconnect, five),
        (Version::V5, SessionMode::Clean, bare),
        (Version::V311, minute, bare),
    ] {
        let mut story = Story::new(version);
        story.connect.session = mode;
        story.open(false, &PropertiesBuf::default());
        story.session.prepare_farewell(limits(|said| {
            said.session_expiry_interval(5);
        }));
        story.session.disconnect(Reason::NORMAL_DISCONNECTION);
        assert_eq!(story.raw(), expected, "{version:?} {mode:?}");
    }
}

// Spec 3.1.1: MQTT-3.14.4-1 MQTT-3.14.4-2
// Spec 5.0: MQTT-3.14.4-1 MQTT-3.14.4-2
#[test]
fn after_disconnect_the_connection_is_to_be_closed() {
    for version in BOTH {
        let mut story = Story::online(version);
        story.session.leave(Reason::NORMAL_DISCONNECTION);
        story.publish(QOS1, "later", 1);
        story.session.ping(story.now);
        assert!(story.session.is_closing());
        assert_eq!(story.told(), ["DISCONNECT 0x0"]);
        assert_eq!(story.cause(), Some(Cause::Requested));
    }
}

// Spec 5.0: MQTT-3.2.2-14
#[test]
fn nothing_retained_goes_to_a_broker_that_keeps_nothing() {
    let mut story = Story::new(Version::V5);
    story.publish_to("early", QOS1, true).unwrap();
    story.publish_to("other", QOS1, false).unwrap();
    let none = limits(|p| {
        p.retain_available(false);
    });
    story.open(false, &none);
    assert_eq!(story.told(), ["PUBLISH 2 x"]);
    assert_eq!(story.ended(), [(1, Outcome::NotAllowed(PublishError::RetainNotSupported))]);
    for qos in [QoS::AtMostOnce, QOS1, QOS2] {
        assert_eq!(story.publish_to("late", qos, true), Err(PublishError::RetainNotSupported));
    }
}

// Spec 5.0: MQTT-3.2.2-11 MQTT-3.2.2-15
#[test]
fn qos_and_size_are_the_brokers_to_limit() {
    let mut story = Story::new(Version::V5);
    let small = limits(|p| {
        p.maximum_qos(QoS::AtMostOnce).maximum_packet_size(30).unwrap();
    });
    story.open(false, &small);
    for qos in [QOS1, QOS2] {
        assert_eq!(story.publish_to("a", qos, false), Err(PublishError::QosNotSupported(QoS::AtMostOnce)));
    }
    // Fixed header 2, topic 2 + 5, property length 1: 20 bytes of payload make 30.
    assert!(story.try_publish(QoS::AtMostOnce, &"x".repeat(20), 1).is_ok());
    let refused = story.try_publish(QoS::AtMostOnce, &"x".repeat(21), 1);
    assert_eq!(refused, Err(PublishError::TooLarge { size: 31, maximum: 30 }));
    let long = TopicFilter::new("f".repeat(40)).unwrap();
    story.session.subscribe(&long, SubscribeOptions::from(QOS1), Tag(2)).unwrap();
    assert_eq!(story.raw().len(), 30);
}

// Spec 5.0: MQTT-3.2.2-17 MQTT-3.2.2-18 MQTT-3.3.2-8 MQTT-3.3.2-9
#[test]
fn no_alias_is_above_what_the_broker_takes() {
    for maximum in [None, Some(0), Some(1), Some(2)] {
        let mut story = Story::with(Version::V5, Config { outgoing_aliases: 10, ..Config::default() });
        let allowed = limits(|p| {
            if let Some(maximum) = maximum {
                p.topic_alias_maximum(maximum);
            }
        });
        story.open(false, &allowed);
        for topic in ["first", "second", "third", "first", "second", "third"] {
            story.publish_to(topic, QoS::AtMostOnce, false).unwrap();
        }
        let (bytes, mut at, mut most) = (story.raw(), 0, 0);
        while let Ok(Decoded::Packet { packet: Packet::Publish(sent), size }) =
            decode(Version::V5, &bytes[at..], 1000)
        {
            most = most.max(sent.properties.topic_alias().unwrap_or(0));
            at += size;
        }
        assert_eq!((at, most), (bytes.len(), maximum.unwrap_or(0)), "{maximum:?}");
    }
}

// Spec 5.0: MQTT-3.1.2-26 MQTT-3.1.2-27 MQTT-3.3.2-7 MQTT-3.3.2-10 MQTT-3.3.2-11
#[test]
fn aliases_are_taken_up_to_our_maximum_and_forgotten_with_the_connection() {
    let aliased = |topic: &'static str, alias: u8| {
        let length = u8::try_from(topic.len()).unwrap();
        [&[0x30, 6 + length, 0, length], topic.as_bytes(), &[3, 0x23, 0, alias]].concat()
    };
    let mut story = Story::new(Version::V5);
    story.connect.topic_alias_maximum = 3;
    story.open(false, &PropertiesBuf::default());
    for alias in 1..=3 {
        story.says_bytes(&aliased("t", alias));
        story.says_bytes(&aliased("", alias));
    }
    assert!(!story.session.is_closing());
    story.cut_after(0);
    story.open(true, &PropertiesBuf::default());
    story.says_bytes(&aliased("", 2));
    story.is_breach(0x82);
    for maximum in [3, 0] {
        let mut story = Story::new(Version::V5);
        story.connect.topic_alias_maximum = maximum;
        story.open(false, &PropertiesBuf::default());
        story.says_bytes(&aliased("t", u8::try_from(maximum).unwrap() + 1));
        story.is_breach(0x94);
    }
}

// Spec 5.0: MQTT-3.1.2-30 MQTT-4.12.0-6 MQTT-4.12.0-7
#[test]
fn no_auth_and_nothing_else_is_sent_uninvited() {
    let mut story = Story::new(Version::V5);
    story.publish(QOS1, "early", 1);
    story.session.handle_open(&story.connect.clone());
    assert_eq!(story.told(), ["CONNECT"]);
    story.publish(QoS::AtMostOnce, "early too", 2);
    story.session.ping(story.now);
    assert!(story.told().is_empty());
    story.open_again();
    let mut properties = PropertiesBuf::new();
    properties.authentication_method("SCRAM-SHA-1").unwrap();
    let (reason, properties) = (Reason::CONTINUE_AUTHENTICATION, properties.as_properties());
    story.says(&Packet::Auth(Auth { reason, properties }));
    story.is_breach(0x82);
}

impl Story {
    /// The connection that hangs is cut, and another one opened, its first messages acknowledged.
    fn open_again(&mut self) {
        self.cut_after(0);
        self.open(false, &PropertiesBuf::default());
        assert_eq!(self.told().len(), 2);
    }
}

// Spec 5.0: MQTT-3.2.2-7 MQTT-3.2.2-8 MQTT-4.13.2-1
#[test]
fn every_refusal_ends_the_connection() {
    for code in 0x80..=0xff {
        let mut story = Story::new(Version::V5);
        story.session.handle_open(&story.connect.clone());
        story.told();
        story.says_bytes(&[0x20, 3, 0, code, 0]);
        assert!(story.session.is_closing());
        assert!(matches!(story.cause(), Some(Cause::Refused { reason, .. }) if reason.0 == code));
    }
}

// Spec 3.1.1: MQTT-3.2.2-4
// Spec 5.0: MQTT-3.2.2-1 MQTT-3.2.2-6
#[test]
fn a_connack_that_contradicts_itself_ends_the_connection() {
    for version in BOTH {
        for (flags, code) in [(1, 5), (1, 0x87), (2, 0), (0x80, 0)] {
            let mut story = Story::new(version);
            story.session.handle_open(&story.connect.clone());
            story.told();
            let long = [0x20, 3, flags, code, 0];
            let short = [0x20, 2, flags, code];
            story.says_bytes(if version == Version::V5 { &long } else { &short });
            let cause = story.cause();
            let unknown = version == Version::V5 && code == 5;
            assert!(
                unknown || matches!(cause, Some(Cause::Breach(_))),
                "{version:?} {flags} {code}: {cause:?}"
            );
        }
    }
}

// Spec 5.0: MQTT-4.3.2-3 MQTT-4.4.0-2
#[test]
fn a_refused_message_is_not_sent_again() {
    let mut story = Story::online(Version::V5);
    story.publish(QOS1, "a", 1);
    story.publish(QOS2, "b", 2);
    story.told();
    let reason = Reason::NOT_AUTHORIZED;
    story.says(&Packet::Ack(Ack { reason, ..Ack::new(AckKind::Puback, 1) }));
    story.says(&Packet::Ack(Ack { reason, ..Ack::new(AckKind::Pubrec, 2) }));
    assert_eq!(story.ended().len(), 2);
    story.cut_after(0);
    story.open(true, &PropertiesBuf::default());
    assert!(story.told().is_empty());
}

// Spec 3.1.1: MQTT-3.1.2-23
// Spec 5.0: MQTT-3.1.2-20 MQTT-4.4.0-1
#[test]
fn on_a_live_connection_time_brings_pings_and_no_repetition() {
    for version in BOTH {
        let mut story = Story::new(version);
        story.connect.keep_alive = 10;
        story.open(false, &PropertiesBuf::default());
        story.publish(QOS1, "a", 1);
        story.publish(QOS2, "b", 2);
        story.told();
        let mut told = Vec::new();
        for _ in 0..50 {
            story.now = story.now + Duration::from_secs(1);
            story.session.handle_timeout(story.now);
            told.extend(story.told());
            story.says(&Packet::PingResp);
        }
        assert_eq!(told, ["PINGREQ"; 5]);
    }
}

// Spec 5.0: MQTT-4.3.3-7
#[test]
fn what_was_sent_does_not_expire_any_more() {
    for qos in [QOS1, QOS2] {
        let mut story = Story::online(Version::V5);
        let ten = limits(|p| {
            p.message_expiry_interval(10);
        });
        story.publish_with(qos, "a", 1, &ten).unwrap();
        story.told();
        story.cut_after(0);
        story.now = story.now + Duration::from_secs(30);
        story.open(true, &PropertiesBuf::default());
        let bytes = story.raw();
        let Ok(Decoded::Packet { packet: Packet::Publish(again), .. }) = decode(Version::V5, &bytes, 1000)
        else {
            panic!("sent again")
        };
        assert!(again.dup);
        assert_eq!(again.properties.message_expiry_interval(), Some(0));
        assert!(story.ended().is_empty());
    }
}

// Spec 3.1.1: MQTT-4.3.3-1
// Spec 5.0: MQTT-4.3.3-3 MQTT-4.3.3-5 MQTT-4.3.3-6
#[test]
fn each_half_of_qos_2_is_unacknowledged_until_its_answer() {
    for version in BOTH {
        let mut story = Story::online(version);
        story.publish(QOS2, "a", 1);
        story.told();
        for answer in ["PUBLISH 1 dup a", "PUBREL 1"] {
            for _ in 0..2 {
                story.cut_after(0);
                story.open(true, &PropertiesBuf::default());
                assert_eq!(story.told(), [answer]);
            }
            story.acks(AckKind::Pubrec, 1);
            assert_eq!(story.told(), ["PUBREL 1"]);
        }
        assert!(story.ended().is_empty());
        story.acks(AckKind::Pubcomp, 1);
        assert_eq!(story.ended(), [(1, delivered())]);
        story.cut_after(0);
        story.open(true, &PropertiesBuf::default());
        assert!(story.told().is_empty());
    }
}
