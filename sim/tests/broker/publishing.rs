//! Retained messages, expiry, properties on their way through.

use super::*;

/// Clients 1 and 2; what 1 publishes, 2 hears.
fn two(first: Version, second: Version) -> Harbour {
    let mut harbour = Harbour::new(second);
    harbour.connects(2, "two");
    harbour.subscribes(2, 1, "#", QOS2.into());
    harbour.hears(2);
    harbour.version = first;
    harbour.connects(1, "one");
    harbour.version = second;
    harbour
}

fn retained<'a>(topic: &'a str, payload: &'a str) -> Packet<'a> {
    let Packet::Publish(publish) = publish_to(topic, QOS0, 0, payload) else { unreachable!() };
    Packet::Publish(Publish { retain: true, ..publish })
}

#[test]
fn the_last_retained_message_of_a_topic_is_kept() {
    for version in BOTH {
        let mut harbour = Harbour::online(version);
        for payload in ["old", "new"] {
            harbour.says(1, &retained("a/b", payload));
        }
        harbour.says(1, &retained("a/c", "gone"));
        harbour.says(1, &retained("a/c", ""));
        harbour.says(1, &publish_to("a/b", QOS0, 0, "passing"));
        harbour.hears(1);
        harbour.subscribes(1, 1, "a/+", QOS1.into());
        assert_eq!(harbour.hears(1), ["Suback 1 [1]", "PUBLISH retain a/b=new"]);
    }
}

#[test]
fn retain_handling_says_when() {
    use packetboat_core::wire::RetainHandling::{DoNotSend, Send, SendIfNew};
    let mut harbour = Harbour::online(Version::V5);
    harbour.says(1, &retained("a", "kept"));
    let mut id = 0;
    let mut asks = |harbour: &mut Harbour, retain_handling| {
        id += 1;
        harbour.subscribes(1, id, "a", SubscribeOptions { retain_handling, ..SubscribeOptions::default() });
        harbour.hears(1).len() - 1
    };
    assert_eq!(asks(&mut harbour, DoNotSend), 0);
    assert_eq!(asks(&mut harbour, SendIfNew), 0, "it exists");
    assert_eq!(asks(&mut harbour, Send), 1);
    harbour.unsubscribes(1, 50, "a");
    harbour.hears(1);
    assert_eq!(asks(&mut harbour, SendIfNew), 1);
}

#[test]
fn the_retain_flag_travels_on_request_only() {
    let mut harbour = two(Version::V5, Version::V5);
    harbour.says(1, &retained("a", "x"));
    assert_eq!(harbour.hears(2), ["PUBLISH a=x"]);
    let options = SubscribeOptions { retain_as_published: true, ..SubscribeOptions::default() };
    harbour.subscribes(2, 2, "#", options);
    harbour.hears(2);
    harbour.says(1, &retained("a", "x"));
    assert_eq!(harbour.hears(2), ["PUBLISH retain a=x"]);
}

// Spec 5.0: MQTT-3.3.2-4 MQTT-3.3.2-15 MQTT-3.3.2-16 MQTT-3.3.2-17 MQTT-3.3.2-18 MQTT-3.3.2-20
#[test]
fn properties_travel_unaltered_to_5_0_and_not_at_all_to_3_1_1() {
    let mut properties = PropertiesBuf::new();
    properties.content_type("text/plain").unwrap().response_topic("answer").unwrap();
    properties.correlation_data(&[1, 2]).unwrap().payload_format_indicator(true);
    properties.user_property("k", "1").unwrap().user_property("k", "2").unwrap();
    let forwarded = properties.clone();
    properties.topic_alias(1).unwrap();
    let mut harbour = two(Version::V5, Version::V5);
    let Packet::Publish(publish) = publish_to("a", QOS0, 0, "x") else { unreachable!() };
    harbour.says(1, &Packet::Publish(Publish { properties: properties.as_properties(), ..publish }));
    let mut bytes = Vec::new();
    harbour.broker.poll_transmit(ConnectionId(2), &mut bytes);
    let Ok(Decoded::Packet { packet: Packet::Publish(arrived), .. }) = decode(Version::V5, &bytes, 1000)
    else {
        panic!()
    };
    assert_eq!(arrived.properties, forwarded.as_properties());

    let mut harbour = two(Version::V5, Version::V311);
    harbour.version = Version::V5;
    harbour.says(1, &Packet::Publish(Publish { properties: properties.as_properties(), ..publish }));
    harbour.version = Version::V311;
    assert_eq!(harbour.hears(2), ["PUBLISH a=x"]);
}

#[test]
fn messages_expire_and_their_interval_shrinks() {
    let mut harbour = two(Version::V5, Version::V5);
    harbour.cut(2);
    let mut properties = PropertiesBuf::new();
    properties.message_expiry_interval(10);
    for (id, payload) in [(1, "first"), (2, "second")] {
        let Packet::Publish(publish) = publish(QOS1, id, payload) else { unreachable!() };
        harbour.says(1, &Packet::Publish(Publish { properties: properties.as_properties(), ..publish }));
        harbour.passes(4_000);
    }
    harbour.passes(3_000);
    harbour.broker.handle_open(ConnectionId(3), harbour.now);
    let properties = kept();
    harbour.says(
        3,
        &Packet::Connect(Connect { properties: properties.as_properties(), ..connect(Version::V5, "two") }),
    );
    let mut bytes = Vec::new();
    harbour.broker.poll_transmit(ConnectionId(3), &mut bytes);
    let Ok(Decoded::Packet { size, .. }) = decode(Version::V5, &bytes, 1000) else { panic!() };
    let Ok(Decoded::Packet { packet: Packet::Publish(left), .. }) = decode(Version::V5, &bytes[size..], 1000)
    else {
        panic!()
    };
    assert_eq!((left.payload, left.properties.message_expiry_interval()), (&b"second"[..], Some(3)));
    assert_eq!(harbour.broker.stats().expired, 1);
}
