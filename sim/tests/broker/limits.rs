//! What the broker announces, it enforces.

use super::*;

fn with(config: Config) -> Harbour {
    let mut harbour = Harbour::with(Version::V5, config);
    harbour.connects(1, "one");
    harbour
}

#[test]
fn the_receive_maximum_counts_what_is_unanswered() {
    let mut harbour = with(Config { receive_maximum: 2, ..Config::default() });
    harbour.broker.config_mut().answer_delay = 10..=10;
    harbour.publishes(QOS1, 1, "x");
    harbour.publishes(QOS2, 2, "x");
    assert_eq!(harbour.breaches(), [""; 0]);
    harbour.passes(10);
    assert_eq!(harbour.hears(1), ["PUBACK 1 0x10", "PUBREC 2 0x10"]);
    harbour.publishes(QOS2, 3, "x");
    assert_eq!(harbour.breaches(), [""; 0], "PUBACK gave room back");
    harbour.publishes(QOS1, 4, "x");
    assert_eq!(harbour.breaches(), ["MQTT-3.3.4-7"], "PUBREC did not");
}

#[test]
fn limits_are_limits() {
    let config = Config {
        maximum_packet_size: 200,
        maximum_qos: QOS1,
        retain_available: false,
        wildcards_available: false,
        subscription_identifiers_available: false,
        shared_available: false,
        topic_alias_maximum: 2,
        ..Config::default()
    };
    let breach = |act: &dyn Fn(&mut Harbour)| {
        let mut harbour = with(config.clone());
        act(&mut harbour);
        harbour.breaches()
    };
    assert_eq!(breach(&|harbour| harbour.publishes(QOS0, 0, &"x".repeat(200))), ["MQTT-3.2.2-15"]);
    assert_eq!(breach(&|harbour| harbour.publishes(QOS2, 1, "x")), ["MQTT-3.2.2-11"]);
    let retained = Publish { retain: true, ..plain("a", Properties::EMPTY) };
    assert_eq!(breach(&|harbour| harbour.says(1, &Packet::Publish(retained))), ["MQTT-3.2.2-14"]);
    assert_eq!(breach(&|harbour| harbour.subscribes(1, 1, "a/#", QOS1.into())), ["section 3.2.2.3.11"]);
    assert_eq!(
        breach(&|harbour| harbour.subscribes(1, 1, "$share/g/a", QOS1.into())),
        ["section 3.2.2.3.13"]
    );
    let mut identifier = PropertiesBuf::new();
    identifier.subscription_identifier(7).unwrap();
    let with_identifier = |harbour: &mut Harbour| {
        harbour.subscribes_with(1, 1, "a", QOS1.into(), identifier.as_properties());
    };
    assert_eq!(breach(&with_identifier), ["section 3.2.2.3.12"]);
    let in_publish = Packet::Publish(plain("a", identifier.as_properties()));
    assert_eq!(breach(&|harbour| harbour.says(1, &in_publish)), ["MQTT-3.3.4-6"]);
    let alias = |alias: u16| {
        let mut properties = PropertiesBuf::new();
        properties.topic_alias(alias).unwrap();
        properties
    };
    let (two, three) = (alias(2), alias(3));
    let too_high = Packet::Publish(plain("a", three.as_properties()));
    assert_eq!(breach(&|harbour| harbour.says(1, &too_high)), ["MQTT-3.3.2-9"]);
    let unknown = Packet::Publish(plain("", two.as_properties()));
    assert_eq!(breach(&|harbour| harbour.says(1, &unknown)), ["section 3.3.2.3.4"]);
}

#[test]
fn aliases_stand_for_their_topics_on_one_connection() {
    let mut harbour = Harbour::online(Version::V5);
    let mut one = PropertiesBuf::new();
    one.topic_alias(1).unwrap();
    for topic in ["first", "", "second", ""] {
        harbour.says(1, &Packet::Publish(plain(topic, one.as_properties())));
    }
    let topics: Vec<_> =
        harbour.broker.accepted("one").iter().map(|taken| taken.message.topic.clone()).collect();
    assert_eq!(topics, ["first", "first", "second", "second"]);
    harbour.cut(1);
    harbour.connects(2, "one");
    harbour.says(2, &Packet::Publish(plain("", one.as_properties())));
    assert_eq!(harbour.breaches(), ["section 3.3.2.3.4"]);
}

#[test]
fn connack_says_what_is_unusual() {
    let config =
        Config { receive_maximum: 3, maximum_qos: QOS0, server_keep_alive: Some(9), ..Config::default() };
    let mut harbour = Harbour::with(Version::V5, config);
    harbour.broker.handle_open(ConnectionId(1), harbour.now);
    harbour.says(1, &Packet::Connect(connect(Version::V5, "one")));
    let mut bytes = Vec::new();
    harbour.broker.poll_transmit(ConnectionId(1), &mut bytes);
    let Ok(Decoded::Packet { packet: Packet::Connack(connack), .. }) = decode(Version::V5, &bytes, 100)
    else {
        panic!()
    };
    let said = connack.properties;
    assert_eq!(
        (said.receive_maximum(), said.maximum_qos(), said.server_keep_alive()),
        (Some(3), Some(QOS0), Some(9))
    );
    assert_eq!((said.topic_alias_maximum(), said.retain_available()), (Some(16), None));
}

fn plain<'a>(topic: &'a str, properties: Properties<'a>) -> Publish<'a> {
    Publish { dup: false, retain: false, qos: QOS0, topic, id: None, properties, payload: b"x" }
}
