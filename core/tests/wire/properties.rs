//! Properties: Table 2-4 once more, setters, getters.

use packetboat_core::wire::{DecodeError, Place, Properties, PropertiesBuf, Property, PropertyError, QoS};
use proptest::prelude::*;

use crate::arbitrary::{Seed, seed, set};

const PLACES: [(Place, &str); 9] = [
    (Place::Connect, "CONNECT"),
    (Place::Connack, "CONNACK"),
    (Place::Publish, "PUBLISH"),
    (Place::Will, "Will"),
    (Place::Ack, "PUBACK PUBREC PUBREL PUBCOMP SUBACK UNSUBACK"),
    (Place::Subscribe, "SUBSCRIBE"),
    (Place::Unsubscribe, "UNSUBSCRIBE"),
    (Place::Disconnect, "DISCONNECT"),
    (Place::Auth, "AUTH"),
];

const EVERYWHERE: &str = "CONNECT CONNACK PUBLISH Will PUBACK PUBREC PUBREL PUBCOMP SUBSCRIBE SUBACK UNSUBSCRIBE \
                          UNSUBACK DISCONNECT AUTH";
const ANSWERS: &str = "CONNACK PUBACK PUBREC PUBREL PUBCOMP SUBACK UNSUBACK DISCONNECT AUTH";

/// Identifier, name, packets and a value that is right: Table 2-4 in its own words.
const TABLE: [(u8, &str, &str, &[u8]); 27] = [
    (1, "Payload Format Indicator", "PUBLISH Will", &[1]),
    (2, "Message Expiry Interval", "PUBLISH Will", &[0, 0, 0, 0]),
    (3, "Content Type", "PUBLISH Will", b"\x00\x01c"),
    (8, "Response Topic", "PUBLISH Will", b"\x00\x01r"),
    (9, "Correlation Data", "PUBLISH Will", b"\x00\x01\xff"),
    (11, "Subscription Identifier", "PUBLISH SUBSCRIBE", &[0x80, 1]),
    (17, "Session Expiry Interval", "CONNECT CONNACK DISCONNECT", &[0, 0, 0, 0]),
    (18, "Assigned Client Identifier", "CONNACK", b"\x00\x01c"),
    (19, "Server Keep Alive", "CONNACK", &[0, 0]),
    (21, "Authentication Method", "CONNECT CONNACK AUTH", b"\x00\x01m"),
    (22, "Authentication Data", "CONNECT CONNACK AUTH", b"\x00\x01\xff"),
    (23, "Request Problem Information", "CONNECT", &[0]),
    (24, "Will Delay Interval", "Will", &[0, 0, 0, 0]),
    (25, "Request Response Information", "CONNECT", &[0]),
    (26, "Response Information", "CONNACK", b"\x00\x01r"),
    (28, "Server Reference", "CONNACK DISCONNECT", b"\x00\x01s"),
    (31, "Reason String", ANSWERS, b"\x00\x01r"),
    (33, "Receive Maximum", "CONNECT CONNACK", &[0, 1]),
    (34, "Topic Alias Maximum", "CONNECT CONNACK", &[0, 0]),
    (35, "Topic Alias", "PUBLISH", &[0, 1]),
    (36, "Maximum QoS", "CONNACK", &[0]),
    (37, "Retain Available", "CONNACK", &[0]),
    (38, "User Property", EVERYWHERE, b"\x00\x01n\x00\x01v"),
    (39, "Maximum Packet Size", "CONNECT CONNACK", &[0, 0, 0, 1]),
    (40, "Wildcard Subscription Available", "CONNACK", &[0]),
    (41, "Subscription Identifier Available", "CONNACK", &[0]),
    (42, "Shared Subscription Available", "CONNACK", &[0]),
];

const MISPLACED: DecodeError = DecodeError::Malformed("a property that does not belong in this packet");
const TWICE: DecodeError = DecodeError::ProtocolError("a property is there more than once");

#[test]
fn each_property_belongs_where_table_2_4_has_it() {
    assert_eq!(Property::all().count(), TABLE.len());
    for ((identifier, name, packets, value), property) in TABLE.into_iter().zip(Property::all()) {
        assert_eq!((property as u8, property.name()), (identifier, name));
        let block = [&[identifier], value].concat();
        for (place, names) in PLACES {
            let belongs = names.split(' ').any(|name| packets.split(' ').any(|packet| packet == name));
            let all = names.split(' ').all(|name| packets.split(' ').any(|packet| packet == name));
            assert_eq!(belongs, all, "{name}: one place stands for packets that differ");
            let parsed = Properties::parse(&block, place);
            assert_eq!(
                parsed.map(|_| ()),
                if belongs { Ok(()) } else { Err(MISPLACED) },
                "{name} in {place:?}"
            );
            assert_eq!(property.is_allowed_in(place), belongs, "{name} in {place:?}");
        }
    }
}

#[test]
fn only_some_may_be_there_more_than_once() {
    for (identifier, name, _, value) in TABLE {
        let twice = [&[identifier], value, &[identifier], value].concat();
        for (place, _) in PLACES {
            let expected = match (name, place) {
                ("User Property", _) | ("Subscription Identifier", Place::Publish) => Ok(()),
                _ => Err(TWICE),
            };
            let parsed = Properties::parse(&twice, place).map(|_| ());
            assert!(parsed == expected || parsed == Err(MISPLACED), "{name} in {place:?}: {parsed:?}");
        }
    }
}

#[test]
fn every_flag_is_0_or_1() {
    for (identifier, name, _, value) in TABLE {
        if value.len() != 1 {
            continue;
        }
        let place = PLACES
            .iter()
            .map(|(place, _)| *place)
            .find(|place| Properties::parse(&[identifier, 0], *place).is_ok());
        let place = place.expect("it belongs somewhere");
        assert!(Properties::parse(&[identifier, 1], place).is_ok(), "{name}");
        for value in [2, 0x80, 0xff] {
            let parsed = Properties::parse(&[identifier, value], place).map(|_| ());
            assert_eq!(parsed, Err(DecodeError::ProtocolError("a property is neither 0 nor 1")), "{name}");
        }
    }
}

#[test]
fn a_block_cut_anywhere_is_malformed() {
    let short = DecodeError::Malformed("a field reaches past the end of the packet");
    for (identifier, name, _, value) in TABLE {
        let block = [&[identifier], value].concat();
        let Some((place, _)) = PLACES.iter().find(|(place, _)| Properties::parse(&block, *place).is_ok())
        else {
            panic!("{name} belongs nowhere")
        };
        for cut in 1..block.len() {
            assert_eq!(Properties::parse(&block[..cut], *place), Err(short), "{name} cut at {cut}");
        }
    }
}

/// Whether the getter gives what the setter took.
fn holds(p: Properties<'_>, property: Property, seed: &Seed) -> bool {
    match property {
        Property::PayloadFormatIndicator => p.payload_format_indicator() == Some(seed.flag),
        Property::MessageExpiryInterval => p.message_expiry_interval() == Some(seed.number),
        Property::ContentType => p.content_type() == Some(seed.text),
        Property::ResponseTopic => p.response_topic() == Some(&seed.topic()),
        Property::CorrelationData => p.correlation_data() == Some(seed.bytes),
        Property::SubscriptionIdentifier => p.subscription_identifiers().eq([seed.identifier()]),
        Property::SessionExpiryInterval => p.session_expiry_interval() == Some(seed.number),
        Property::AssignedClientIdentifier => p.assigned_client_identifier() == Some(seed.text),
        Property::ServerKeepAlive => p.server_keep_alive() == Some(seed.two()),
        Property::AuthenticationMethod => p.authentication_method() == Some(seed.text),
        Property::AuthenticationData => p.authentication_data() == Some(seed.bytes),
        Property::RequestProblemInformation => p.request_problem_information() == Some(seed.flag),
        Property::WillDelayInterval => p.will_delay_interval() == Some(seed.number),
        Property::RequestResponseInformation => p.request_response_information() == Some(seed.flag),
        Property::ResponseInformation => p.response_information() == Some(seed.text),
        Property::ServerReference => p.server_reference() == Some(seed.text),
        Property::ReasonString => p.reason_string() == Some(seed.text),
        Property::ReceiveMaximum => p.receive_maximum() == Some(seed.not_zero()),
        Property::TopicAliasMaximum => p.topic_alias_maximum() == Some(seed.two()),
        Property::TopicAlias => p.topic_alias() == Some(seed.not_zero()),
        Property::MaximumQos => p.maximum_qos() == Some(seed.maximum_qos()),
        Property::RetainAvailable => p.retain_available() == Some(seed.flag),
        Property::UserProperty => p.user_properties().eq([(seed.text, seed.text)]),
        Property::MaximumPacketSize => p.maximum_packet_size() == Some(seed.identifier()),
        Property::WildcardSubscriptionAvailable => p.wildcard_subscription_available() == Some(seed.flag),
        Property::SubscriptionIdentifierAvailable => p.subscription_identifier_available() == Some(seed.flag),
        Property::SharedSubscriptionAvailable => p.shared_subscription_available() == Some(seed.flag),
    }
}

fn order() -> impl Strategy<Value = Vec<Property>> {
    Just(Property::all().collect::<Vec<_>>()).prop_shuffle()
}

proptest! {
    /// All at once, in any order; then each replaced by a second value; then each taken out.
    #[test]
    fn getters_give_what_setters_took(order in order(), first in seed(), second in seed()) {
        let mut buffer = PropertiesBuf::new();
        for &property in &order {
            prop_assert!(!buffer.as_properties().contains(property));
            set(&mut buffer, property, &first);
        }
        for &property in &order {
            prop_assert!(holds(buffer.as_properties(), property, &first), "{property:?}");
        }
        for &property in &order {
            buffer.remove(property);
            prop_assert!(!buffer.as_properties().contains(property));
            set(&mut buffer, property, &first);
            if !property.may_repeat_in(Place::Publish) {
                set(&mut buffer, property, &second);
                prop_assert!(holds(buffer.as_properties(), property, &second), "{property:?}");
            }
        }
        for &property in &order {
            buffer.remove(property);
        }
        prop_assert!(buffer.is_empty());
    }
}

#[test]
fn what_may_repeat_keeps_its_order() -> Result<(), PropertyError> {
    let mut buffer = PropertiesBuf::new();
    buffer
        .user_property("a", "1")?
        .subscription_identifier(9)?
        .user_property("a", "2")?
        .user_property("", "")?;
    buffer.subscription_identifier(3)?;
    let properties = buffer.as_properties();
    assert!(properties.user_properties().eq([("a", "1"), ("a", "2"), ("", "")]));
    assert!(properties.subscription_identifiers().eq([9, 3]));
    assert!(Properties::parse(buffer.as_bytes(), Place::Publish).is_ok());
    Ok(())
}

// Spec 5.0: MQTT-1.5.4-2 MQTT-1.5.7-1 MQTT-3.3.2-8 MQTT-3.3.2-14
#[test]
fn setters_refuse_what_cannot_be() {
    let long = "x".repeat(65_536);
    let mut buffer = PropertiesBuf::new();
    assert_eq!(buffer.content_type(&long).err(), Some(PropertyError::TooLong));
    assert_eq!(buffer.correlation_data(long.as_bytes()).err(), Some(PropertyError::TooLong));
    assert_eq!(buffer.user_property("n", &long).err(), Some(PropertyError::TooLong));
    assert_eq!(buffer.user_property(&long, "v").err(), Some(PropertyError::TooLong));
    assert_eq!(buffer.reason_string("a\0b").err(), Some(PropertyError::NullCharacter));
    assert_eq!(buffer.user_property("a\0b", "").err(), Some(PropertyError::NullCharacter));
    assert_eq!(buffer.response_topic("a/+").err(), Some(PropertyError::Wildcard));
    assert_eq!(buffer.response_topic("#").err(), Some(PropertyError::Wildcard));
    assert_eq!(buffer.topic_alias(0).err(), Some(PropertyError::OutOfRange));
    assert_eq!(buffer.receive_maximum(0).err(), Some(PropertyError::OutOfRange));
    assert_eq!(buffer.maximum_packet_size(0).err(), Some(PropertyError::OutOfRange));
    assert_eq!(buffer.subscription_identifier(0).err(), Some(PropertyError::OutOfRange));
    assert_eq!(buffer.subscription_identifier(268_435_456).err(), Some(PropertyError::OutOfRange));
    assert!(buffer.is_empty());
    assert!(buffer.content_type(&long[1..]).is_ok());
    assert_eq!(buffer.as_properties().content_type().map(str::len), Some(65_535));
}

#[test]
fn what_is_misplaced_is_found_and_taken_out() {
    let mut buffer = PropertiesBuf::new();
    buffer.server_keep_alive(1).message_expiry_interval(2).session_expiry_interval(3);
    assert_eq!(buffer.as_properties().misplaced(Place::Connack), Some(Property::MessageExpiryInterval));
    assert_eq!(buffer.as_properties().misplaced(Place::Publish), Some(Property::ServerKeepAlive));
    buffer.keep_only(Place::Publish);
    assert_eq!(format!("{buffer:?}"), "{MessageExpiryInterval: 2}");
    assert_eq!(buffer.as_properties().misplaced(Place::Publish), None);
}

#[test]
fn a_maximum_qos_of_2_is_absent() {
    let mut buffer = PropertiesBuf::new();
    buffer.maximum_qos(QoS::AtMostOnce);
    assert_eq!(buffer.as_properties().maximum_qos(), Some(QoS::AtMostOnce));
    buffer.maximum_qos(QoS::ExactlyOnce);
    assert!(buffer.is_empty());
}

#[test]
fn a_copy_replaces_what_was_there() {
    let mut first = PropertiesBuf::new();
    first.message_expiry_interval(1);
    let mut second = PropertiesBuf::from(first.as_properties());
    second.server_keep_alive(2);
    second.copy_from(first.as_properties());
    assert_eq!(first, second);
    second.clear();
    assert_eq!(second.as_properties(), Properties::EMPTY);
}

#[test]
fn debug_names_each_property() {
    let mut buffer = PropertiesBuf::new();
    buffer.message_expiry_interval(30).user_property("k", "v").expect("short");
    assert_eq!(format!("{buffer:?}"), "{MessageExpiryInterval: 30, UserProperty: (\"k\", \"v\")}");
}

/// A broker may repeat a property as often as a packet has room, and what it sent is passed on by bridges.
#[test]
fn what_is_there_often_is_taken_out_at_once() {
    let block = b"\x26\x00\x00\x00\x01x".repeat(2_000_000);
    let block = [b"\x03\x00\x01c", &block[..], b"\x08\x00\x01r"].concat();
    let mut properties = PropertiesBuf::from(Properties::parse(&block, Place::Publish).unwrap());
    let begun = std::time::Instant::now();
    properties.remove(Property::UserProperty);
    assert_eq!(properties.as_bytes(), b"\x03\x00\x01c\x08\x00\x01r");
    // One by one it is minutes.
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
}
