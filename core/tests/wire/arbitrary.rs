//! Arbitrary packets. What they borrow is leaked: a test process does not live long.

#![allow(clippy::expect_used)] // Test data, though not inside a test function.

use packetboat_core::wire::Version::{self, V5};
use packetboat_core::wire::{
    Ack, AckKind, Auth, Connack, Connect, Disconnect, FiltersBuf, Packet, Place, Properties, PropertiesBuf,
    Property, Publish, QoS, Reason, RetainHandling, SubAckKind, Suback, Subscribe, SubscribeOptions,
    TopicFiltersBuf, Unsubscribe, Will,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

fn leak<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

pub(crate) fn text() -> impl Strategy<Value = &'static str> {
    "[^\0]{0,12}".prop_map(|text| leak(text).as_str())
}

fn topic_name() -> impl Strategy<Value = &'static str> {
    "[^\0+#]{1,20}".prop_map(|text| leak(text).as_str())
}

fn topic_filter() -> impl Strategy<Value = String> {
    "([$]share/g/)?[^\0]{1,12}"
}

fn binary(longest: usize) -> impl Strategy<Value = &'static [u8]> {
    vec(any::<u8>(), 0..=longest).prop_map(|bytes| leak(bytes).as_slice())
}

fn qos() -> impl Strategy<Value = QoS> {
    select(vec![QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce])
}

/// What a property is set from.
#[derive(Clone, Debug)]
pub(crate) struct Seed {
    pub(crate) number: u32,
    pub(crate) flag: bool,
    pub(crate) text: &'static str,
    pub(crate) bytes: &'static [u8],
}

impl Seed {
    pub(crate) fn not_zero(&self) -> u16 {
        self.two().max(1)
    }

    pub(crate) fn two(&self) -> u16 {
        u16::try_from(self.number & 0xffff).unwrap_or(1)
    }

    pub(crate) fn identifier(&self) -> u32 {
        self.number % 268_435_455 + 1
    }

    pub(crate) fn topic(&self) -> String {
        self.text.replace(['+', '#'], "-")
    }

    pub(crate) fn maximum_qos(&self) -> QoS {
        if self.flag { QoS::AtLeastOnce } else { QoS::AtMostOnce }
    }
}

pub(crate) fn seed() -> impl Strategy<Value = Seed> {
    (any::<u32>(), any::<bool>(), text(), binary(8)).prop_map(|(number, flag, text, bytes)| Seed {
        number,
        flag,
        text,
        bytes,
    })
}

/// Set a property through its setter.
pub(crate) fn set(p: &mut PropertiesBuf, property: Property, seed: &Seed) {
    let result = match property {
        Property::PayloadFormatIndicator => Ok(p.payload_format_indicator(seed.flag)),
        Property::MessageExpiryInterval => Ok(p.message_expiry_interval(seed.number)),
        Property::ContentType => p.content_type(seed.text),
        Property::ResponseTopic => p.response_topic(&seed.topic()),
        Property::CorrelationData => p.correlation_data(seed.bytes),
        Property::SubscriptionIdentifier => p.subscription_identifier(seed.identifier()),
        Property::SessionExpiryInterval => Ok(p.session_expiry_interval(seed.number)),
        Property::AssignedClientIdentifier => p.assigned_client_identifier(seed.text),
        Property::ServerKeepAlive => Ok(p.server_keep_alive(seed.two())),
        Property::AuthenticationMethod => p.authentication_method(seed.text),
        Property::AuthenticationData => p.authentication_data(seed.bytes),
        Property::RequestProblemInformation => Ok(p.request_problem_information(seed.flag)),
        Property::WillDelayInterval => Ok(p.will_delay_interval(seed.number)),
        Property::RequestResponseInformation => Ok(p.request_response_information(seed.flag)),
        Property::ResponseInformation => p.response_information(seed.text),
        Property::ServerReference => p.server_reference(seed.text),
        Property::ReasonString => p.reason_string(seed.text),
        Property::ReceiveMaximum => p.receive_maximum(seed.not_zero()),
        Property::TopicAliasMaximum => Ok(p.topic_alias_maximum(seed.two())),
        Property::TopicAlias => p.topic_alias(seed.not_zero()),
        Property::MaximumQos => Ok(p.maximum_qos(seed.maximum_qos())),
        Property::RetainAvailable => Ok(p.retain_available(seed.flag)),
        Property::UserProperty => p.user_property(seed.text, seed.text),
        Property::MaximumPacketSize => p.maximum_packet_size(seed.identifier()),
        Property::WildcardSubscriptionAvailable => Ok(p.wildcard_subscription_available(seed.flag)),
        Property::SubscriptionIdentifierAvailable => Ok(p.subscription_identifier_available(seed.flag)),
        Property::SharedSubscriptionAvailable => Ok(p.shared_subscription_available(seed.flag)),
    };
    result.expect("the seed's values are allowed");
}

/// Any properties that may stand at `place`, in any order.
pub(crate) fn properties(version: Version, place: Place) -> BoxedStrategy<Properties<'static>> {
    if version != V5 {
        return Just(Properties::EMPTY).boxed();
    }
    let allowed: Vec<Property> = Property::all().filter(|property| property.is_allowed_in(place)).collect();
    let count = allowed.len();
    let chosen = prop_oneof![Just(vec![]), subsequence(allowed, 0..=count).prop_shuffle()];
    (chosen, vec((seed(), 1..3_usize), count))
        .prop_map(move |(chosen, seeds)| {
            let buffer = leak_buffer();
            for (property, (seed, times)) in chosen.into_iter().zip(seeds) {
                let times = if property.may_repeat_in(place) { times } else { 1 };
                (0..times).for_each(|_| set(buffer, property, &seed));
            }
            buffer.as_properties()
        })
        .boxed()
}

fn leak_buffer() -> &'static mut PropertiesBuf {
    Box::leak(Box::new(PropertiesBuf::new()))
}

fn with_method(properties: Properties<'_>) -> Properties<'static> {
    let buffer = leak_buffer();
    buffer.copy_from(properties);
    if properties.authentication_method().is_none() {
        buffer.authentication_method("method").expect("short");
    }
    buffer.as_properties()
}

fn connect(version: Version) -> impl Strategy<Value = Packet<'static>> {
    let will = (qos(), any::<bool>(), topic_name(), binary(20), properties(version, Place::Will)).prop_map(
        |(qos, retain, topic, payload, properties)| Will { qos, retain, topic, payload, properties },
    );
    let credentials = (option::of(text()), option::of(binary(8)));
    (any::<bool>(), any::<u16>(), text(), option::of(will), credentials, properties(version, Place::Connect))
        .prop_map(move |(clean_start, keep_alive, client_id, will, (username, password), properties)| {
            let properties =
                if properties.authentication_data().is_some() { with_method(properties) } else { properties };
            let password = if version == V5 || username.is_some() { password } else { None };
            Packet::Connect(Connect {
                version,
                clean_start,
                keep_alive,
                client_id,
                will,
                username,
                password,
                properties,
            })
        })
}

fn connack(version: Version) -> impl Strategy<Value = Packet<'static>> {
    let reasons = if version == V5 { (0..=255).collect() } else { vec![0x00, 0x84, 0x85, 0x86, 0x87, 0x88] };
    (any::<bool>(), select(reasons), properties(version, Place::Connack)).prop_map(
        |(present, reason, properties)| {
            let session_present = present && reason == 0;
            Packet::Connack(Connack { session_present, reason: Reason(reason), properties })
        },
    )
}

fn publish(version: Version) -> impl Strategy<Value = Packet<'static>> {
    let flags = (any::<bool>(), any::<bool>(), qos());
    let content = (topic_name(), any::<bool>(), binary(300));
    (flags, 1..=u16::MAX, content, properties(version, Place::Publish)).prop_map(
        |((dup, retain, qos), id, (topic, aliased, payload), properties)| {
            let topic = if aliased && properties.topic_alias().is_some() { "" } else { topic };
            let acknowledged = qos > QoS::AtMostOnce;
            let (dup, id) = (dup && acknowledged, acknowledged.then_some(id));
            Packet::Publish(Publish { dup, retain, qos, topic, id, properties, payload })
        },
    )
}

fn reason(version: Version) -> BoxedStrategy<Reason> {
    if version == V5 {
        prop_oneof![Just(Reason::SUCCESS), any::<u8>().prop_map(Reason)].boxed()
    } else {
        Just(Reason::SUCCESS).boxed()
    }
}

fn ack(version: Version) -> impl Strategy<Value = Packet<'static>> {
    let kinds = vec![AckKind::Puback, AckKind::Pubrec, AckKind::Pubrel, AckKind::Pubcomp];
    (select(kinds), 1..=u16::MAX, reason(version), properties(version, Place::Ack))
        .prop_map(|(kind, id, reason, properties)| Packet::Ack(Ack { kind, id, reason, properties }))
}

fn subscribe(version: Version) -> impl Strategy<Value = Packet<'static>> {
    let handling = select(vec![RetainHandling::Send, RetainHandling::SendIfNew, RetainHandling::DoNotSend]);
    let options = (qos(), any::<bool>(), any::<bool>(), handling);
    let entries = vec((topic_filter(), options), 1..5);
    (1..=u16::MAX, properties(version, Place::Subscribe), entries).prop_map(
        move |(id, properties, entries)| {
            let buffer = Box::leak(Box::new(FiltersBuf::default()));
            for (filter, (qos, no_local, retain_as_published, retain_handling)) in entries {
                let no_local = no_local && !filter.starts_with("$share/");
                let options = SubscribeOptions { qos, no_local, retain_as_published, retain_handling };
                buffer.push(&filter, if version == V5 { options } else { qos.into() });
            }
            Packet::Subscribe(Subscribe { id, properties, filters: buffer.as_filters() })
        },
    )
}

fn unsubscribe(version: Version) -> impl Strategy<Value = Packet<'static>> {
    (1..=u16::MAX, properties(version, Place::Unsubscribe), vec(topic_filter(), 1..5)).prop_map(
        |(id, properties, entries)| {
            let buffer = Box::leak(Box::new(TopicFiltersBuf::default()));
            for filter in &entries {
                buffer.push(filter);
            }
            Packet::Unsubscribe(Unsubscribe { id, properties, filters: buffer.as_filters() })
        },
    )
}

fn suback(version: Version) -> impl Strategy<Value = Packet<'static>> {
    let kinds = select(vec![SubAckKind::Suback, SubAckKind::Unsuback]);
    let codes = if version == V5 { (0..=255).collect() } else { vec![0, 1, 2, 0x80] };
    let reasons = vec(select(codes), 1..6);
    (kinds, 1..=u16::MAX, properties(version, Place::Ack), reasons).prop_map(
        move |(kind, id, properties, reasons)| {
            let none = version != V5 && kind == SubAckKind::Unsuback;
            let reasons = if none { &[] } else { leak(reasons).as_slice() };
            Packet::Suback(Suback { kind, id, properties, reasons })
        },
    )
}

fn ending(version: Version) -> impl Strategy<Value = Packet<'static>> {
    (reason(version), properties(version, Place::Disconnect))
        .prop_map(|(reason, properties)| Packet::Disconnect(Disconnect { reason, properties }))
}

fn auth() -> impl Strategy<Value = Packet<'static>> {
    (reason(V5), properties(V5, Place::Auth)).prop_map(|(reason, properties)| {
        let short = reason == Reason::SUCCESS && properties.is_empty();
        let properties = if short { properties } else { with_method(properties) };
        Packet::Auth(Auth { reason, properties })
    })
}

/// Any packet that can be sent in `version`.
pub(crate) fn packet(version: Version) -> BoxedStrategy<Packet<'static>> {
    let common = prop_oneof![
        2 => connect(version),
        1 => connack(version),
        3 => publish(version),
        1 => ack(version),
        1 => subscribe(version),
        1 => unsubscribe(version),
        1 => suback(version),
        1 => ending(version),
        1 => Just(Packet::PingReq),
        1 => Just(Packet::PingResp),
    ];
    if version == V5 { prop_oneof![11 => common, 1 => auth()].boxed() } else { common.boxed() }
}
