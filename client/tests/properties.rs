//! Table 2-4 once more: every property that a client may send can be set, and every one that a broker may send can be
//! read, through the public doors. The broker is a script that says whatever the table allows.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]

mod common;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::inside::{connected, disconnected, patient};
use packetboat::{
    Answer, Attempt, AuthenticationError, Authenticator, Cause, Client, ConnectError, Dialing, Direction,
    Disconnection, Exchange, Io, Options, PacketType, Properties, PropertiesBuf, Property, PublishError, QoS,
    Reason, SessionMode, State, SubscribeError, Transport, Will,
};
use packetboat_core::wire::{
    Ack, AckKind, Auth, Connack, Decoded, Disconnect, Packet, Place, Publish, SubAckKind, Suback, Version,
    decode, encode,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

/// A value of each property, as it is on the wire. Those of limits limit nothing that happens here.
const VALUES: [&[u8]; 27] = [
    &[1, 1],
    &[2, 0, 0, 0, 60],
    b"\x03\x00\x01c",
    b"\x08\x00\x01r",
    b"\x09\x00\x01\xff",
    &[11, 7],
    &[17, 0, 0, 0, 9],
    b"\x12\x00\x04boat",
    &[19, 0, 30],
    b"\x15\x00\x01m",
    b"\x16\x00\x01d",
    &[23, 1],
    &[24, 0, 0, 0, 3],
    &[25, 1],
    b"\x1a\x00\x02ri",
    b"\x1c\x00\x01s",
    b"\x1f\x00\x03why",
    &[33, 0, 20],
    &[34, 0, 5],
    &[35, 0, 1],
    &[36, 1],
    &[37, 1],
    b"\x26\x00\x01k\x00\x01v\x26\x00\x01k\x00\x01w",
    &[39, 0, 1, 0, 0],
    &[40, 1],
    &[41, 1],
    &[42, 1],
];

/// All that the table allows at a place.
fn all(place: Place) -> PropertiesBuf {
    assert_eq!(Property::all().count(), VALUES.len());
    let allowed = Property::all().zip(VALUES).filter(|(property, _)| property.is_allowed_in(place));
    let bytes: Vec<u8> = allowed.flat_map(|(_, value)| value.to_vec()).collect();
    PropertiesBuf::from(Properties::parse(&bytes, place).expect("the values are right"))
}

/// What there is to know of a packet: everything the table allows, but for what does not apply.
fn assert_complete(what: &str, found: &PropertiesBuf, place: Place, without: &[Property]) {
    for property in Property::all().filter(|property| property.is_allowed_in(place)) {
        let there = found.as_properties().contains(property);
        assert_eq!(there, !without.contains(&property), "{property} in {what}: {found:?}");
    }
    let users: Vec<_> = found.as_properties().user_properties().collect();
    assert_eq!(users, [("k", "v"), ("k", "w")], "{what}: repeated, and in order");
}

/// Says yes, or no, with all the properties there are.
#[derive(Clone, Copy)]
struct Script {
    refuses_connections: bool,
    refuses_requests: bool,
    /// Leaves out its maximum QoS, which is 1.
    any_qos: bool,
}

impl Transport for Script {
    fn dial(&self, _: &Attempt) -> Dialing {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        tokio::spawn(self.serve(theirs));
        Box::pin(async move { Ok(Box::new(ours) as Box<dyn Io>) })
    }
}

impl Script {
    async fn serve(self, mut stream: DuplexStream) {
        let mut input = Vec::new();
        loop {
            let (mut out, mut used) = (Vec::new(), 0);
            while let Ok(Decoded::Packet { packet, size }) = decode(Version::V5, &input[used..], 1 << 20) {
                self.answer(&packet, &mut out);
                used += size;
            }
            input.drain(..used);
            if stream.write_all(&out).await.is_err() || stream.read_buf(&mut input).await.unwrap_or(0) == 0 {
                return;
            }
        }
    }

    fn answer(self, packet: &Packet<'_>, out: &mut Vec<u8>) {
        let (acks, mut connack, auth) = (all(Place::Ack), all(Place::Connack), all(Place::Auth));
        if self.any_qos {
            connack.remove(Property::MaximumQos);
        }
        let properties = acks.as_properties();
        let mut say = |packet: &Packet<'_>| encode(Version::V5, packet, out);
        let request = if self.refuses_requests { Reason::NOT_AUTHORIZED } else { Reason::SUCCESS };
        let ack = |kind, id, reason| Packet::Ack(Ack { kind, id, reason, properties });
        match packet {
            Packet::Connect(_) if self.refuses_connections => {
                let properties = connack.as_properties();
                say(&Packet::Connack(Connack { session_present: false, reason: Reason::BANNED, properties }));
            }
            Packet::Connect(_) => {
                let properties = auth.as_properties();
                say(&Packet::Auth(Auth { reason: Reason::CONTINUE_AUTHENTICATION, properties }));
            }
            Packet::Auth(said) => match said.reason {
                Reason::CONTINUE_AUTHENTICATION => {
                    let properties = connack.as_properties();
                    say(&Packet::Connack(Connack {
                        session_present: false,
                        reason: Reason::SUCCESS,
                        properties,
                    }));
                }
                _ => say(&Packet::Auth(Auth { reason: Reason::SUCCESS, properties: auth.as_properties() })),
            },
            Packet::Publish(publish) if publish.topic == "leave" => {
                let goodbye = all(Place::Disconnect);
                let (reason, properties) = (Reason::SERVER_BUSY, goodbye.as_properties());
                say(&Packet::Disconnect(Disconnect { reason, properties }));
            }
            Packet::Publish(publish) => match (publish.qos, publish.id) {
                (QoS::AtLeastOnce, Some(id)) => say(&ack(AckKind::Puback, id, request)),
                (QoS::ExactlyOnce, Some(id)) => say(&ack(AckKind::Pubrec, id, request)),
                _ => {}
            },
            Packet::Ack(said) if said.kind == AckKind::Pubrel => {
                say(&ack(AckKind::Pubcomp, said.id, Reason::SUCCESS));
            }
            Packet::Subscribe(said) => {
                let reasons = &[if self.refuses_requests { 0x87 } else { 1 }];
                say(&Packet::Suback(Suback { kind: SubAckKind::Suback, id: said.id, properties, reasons }));
                let full = all(Place::Publish);
                for (id, qos) in [(1, QoS::AtLeastOnce), (2, QoS::ExactlyOnce)] {
                    let properties = full.as_properties();
                    let (id, topic, payload) = (Some(id), "t", &b"text"[..]);
                    say(&Packet::Publish(Publish {
                        dup: false,
                        retain: false,
                        qos,
                        topic,
                        id,
                        properties,
                        payload,
                    }));
                }
            }
            Packet::Unsubscribe(said) => {
                let reasons = &[if self.refuses_requests { 0x87 } else { 0x11 }];
                say(&Packet::Suback(Suback { kind: SubAckKind::Unsuback, id: said.id, properties, reasons }));
            }
            _ => {}
        }
    }
}

/// A method that listens to everything and says all it may.
#[derive(Clone, Default)]
struct Curious(Arc<Mutex<Vec<PropertiesBuf>>>);

impl Authenticator for Curious {
    fn method(&self) -> &'static str {
        "m"
    }

    fn begin(&self) -> Result<Box<dyn Exchange>, AuthenticationError> {
        Ok(Box::new(self.clone()))
    }
}

impl Exchange for Curious {
    fn first(&mut self) -> Result<Option<Vec<u8>>, AuthenticationError> {
        Ok(Some(b"first".to_vec()))
    }

    fn step(&mut self, _: Option<&[u8]>) -> Result<Option<Vec<u8>>, AuthenticationError> {
        Ok(Some(b"next".to_vec()))
    }

    fn said(&mut self, properties: Properties<'_>) {
        self.0.lock().unwrap().push(PropertiesBuf::from(properties));
    }

    fn words(&mut self) -> PropertiesBuf {
        all(Place::Auth)
    }
}

fn options(script: Script, curious: Curious) -> Options {
    Options::new("mqtt://script")
        .client_id("boat")
        .session(SessionMode::Persistent { expiry: Duration::from_secs(9) })
        .transport(script)
        .authenticator(curious)
}

const AGREEABLE: Script = Script { refuses_connections: false, refuses_requests: false, any_qos: false };

/// The last packet of each type that was sent.
type Sent = Arc<Mutex<HashMap<PacketType, PropertiesBuf>>>;

fn properties_of(packet: &Packet<'_>) -> PropertiesBuf {
    match packet {
        Packet::Connect(packet) => packet.properties,
        Packet::Publish(packet) => packet.properties,
        Packet::Ack(packet) => packet.properties,
        Packet::Subscribe(packet) => packet.properties,
        Packet::Unsubscribe(packet) => packet.properties,
        Packet::Disconnect(packet) => packet.properties,
        Packet::Auth(packet) => packet.properties,
        _ => Properties::default(),
    }
    .into()
}

/// PUBREL and PUBCOMP are nobody's: the session sends them by itself.
#[tokio::test(start_paused = true)]
async fn every_property_a_client_may_send_can_be_set() {
    use Property as P;
    let (sent, wills) = (Sent::default(), Arc::new(Mutex::new(PropertiesBuf::new())));
    let (packets, will_seen) = (sent.clone(), wills.clone());
    let will = Will {
        topic: "will".into(),
        payload: b"text".to_vec(),
        qos: QoS::AtMostOnce,
        retain: false,
        properties: all(Place::Will),
    };
    let options = options(AGREEABLE, Curious::default())
        .properties(all(Place::Connect))
        .will(will)
        .outgoing_aliases(3)
        .on_packet(move |passing| {
            let Some(packet) = passing.packet.filter(|_| passing.direction == Direction::Sent) else {
                return;
            };
            if let Packet::Connect(connect) = packet {
                *will_seen.lock().unwrap() = connect.will.unwrap().properties.into();
            }
            packets.lock().unwrap().insert(passing.kind, properties_of(packet));
        });
    let client = Client::connect(options).await.unwrap();
    let found = |kind| sent.lock().unwrap().get(&kind).cloned().expect("it was sent");
    assert_complete("CONNECT", &found(PacketType::Connect), Place::Connect, &[]);
    assert_complete("the will", &wills.lock().unwrap(), Place::Will, &[]);
    assert_complete("AUTH before CONNACK", &found(PacketType::Auth), Place::Auth, &[]);
    client.reauthenticate().await.unwrap();
    assert_complete("AUTH", &found(PacketType::Auth), Place::Auth, &[]);

    for _ in 0..2 {
        client
            .publish("long/enough", "text")
            .properties(all(Place::Publish))
            .qos(QoS::AtLeastOnce)
            .await
            .unwrap();
    }
    // The alias is the session's, the subscription identifier a server's [MQTT-3.3.4-6].
    assert_complete("PUBLISH", &found(PacketType::Publish), Place::Publish, &[P::SubscriptionIdentifier]);

    let subscription = client.subscription("t").properties(all(Place::Subscribe)).manual_ack();
    let mut stream = patient(subscription).await.unwrap();
    let subscribed = found(PacketType::Subscribe);
    assert_complete("SUBSCRIBE", &subscribed, Place::Subscribe, &[]);
    let identifier = subscribed.as_properties().subscription_identifiers().next();
    assert_ne!(identifier, Some(7), "the session's own");
    // The script's copies name identifier 7, which is none of ours: the filter routes.
    for kind in [PacketType::Puback, PacketType::Pubrec] {
        let message = patient(stream.next()).await.unwrap();
        message.ack_with(Reason::QUOTA_EXCEEDED, &all(Place::Ack)).unwrap();
        client.flush().await.unwrap();
        patient(client.publish("a", "b").qos(QoS::AtLeastOnce)).await.unwrap();
        assert_complete("PUBACK and PUBREC", &found(kind), Place::Ack, &[]);
    }
    patient(client.unsubscribe_with("t", all(Place::Unsubscribe))).await.unwrap();
    assert_complete("UNSUBSCRIBE", &found(PacketType::Unsubscribe), Place::Unsubscribe, &[]);
    client.disconnect_with(Reason::ADMINISTRATIVE_ACTION, all(Place::Disconnect)).await.unwrap();
    let goodbye = found(PacketType::Disconnect);
    assert_complete("DISCONNECT", &goodbye, Place::Disconnect, &[P::ServerReference]);
    assert_eq!(goodbye.as_properties().session_expiry_interval(), Some(9));
}

/// What the session must know of is not to be said behind its back.
#[tokio::test]
async fn what_has_an_option_is_said_by_it_alone() {
    let broker = packetboat_sim::net::Broker::start().await.unwrap();
    let connects = Arc::new(Mutex::new(Vec::new()));
    let seen = connects.clone();
    let options = Options::new(&broker.url())
        .client_id("plain")
        .session(SessionMode::Clean)
        .inbound(u16::MAX, 1 << 20)
        .topic_alias_maximum(0)
        .properties(all(Place::Connect))
        .authenticator(Curious::default())
        .on_packet(move |passing| {
            if let Some(Packet::Connect(connect)) = passing.packet {
                seen.lock().unwrap().push(PropertiesBuf::from(connect.properties));
            }
        });
    // No such method there.
    Client::connect(options).await.unwrap_err();
    let connects = connects.lock().unwrap();
    let said = connects[0].as_properties();
    assert_eq!(said.maximum_packet_size(), Some(256 * 1024 * 1024));
    assert_eq!(
        (said.receive_maximum(), said.topic_alias_maximum(), said.session_expiry_interval()),
        (None, None, None)
    );
    assert_eq!(said.request_response_information(), Some(true));
}

/// PUBREL's are nobody's: the packet log and `Options::on_packet` have them.
#[tokio::test(start_paused = true)]
async fn every_property_a_broker_may_send_can_be_read() {
    let curious = Curious::default();
    let client = Client::connect(options(AGREEABLE, curious.clone())).await.unwrap();
    let mut events = client.events();
    let State::Connected(connected) = client.state() else { panic!("{:?}", client.state()) };
    assert_complete("CONNACK", &connected.properties, Place::Connack, &[]);
    let heard = std::mem::take(&mut *curious.0.lock().unwrap());
    assert_complete("AUTH before CONNACK", &heard[0], Place::Auth, &[]);
    assert_complete("CONNACK, as the method sees it", &heard[1], Place::Connack, &[]);
    client.reauthenticate().await.unwrap();
    assert_complete("AUTH", &curious.0.lock().unwrap()[0], Place::Auth, &[]);

    let any_qos = Script { any_qos: true, ..AGREEABLE };
    let other = Client::connect(options(any_qos, Curious::default())).await.unwrap();
    for (client, qos) in [(&client, QoS::AtLeastOnce), (&other, QoS::ExactlyOnce)] {
        let published = client.publish("a", "b").qos(qos).await.unwrap();
        assert_complete("PUBACK and PUBCOMP", &published.properties, Place::Ack, &[]);
    }
    let mut stream = patient(client.subscribe("t")).await.unwrap();
    let granted = stream.answer().unwrap();
    assert_eq!((granted.reason, granted.granted()), (Reason::GRANTED_QOS_1, QoS::AtLeastOnce));
    assert_complete("SUBACK", &granted.properties, Place::Ack, &[]);
    let message = patient(stream.next()).await.unwrap();
    assert_complete("PUBLISH", &message.properties().into(), Place::Publish, &[]);
    let Answer { reason, properties, .. } = patient(client.unsubscribe("t")).await.unwrap();
    assert_eq!(reason, Reason::NO_SUBSCRIPTION_EXISTED);
    assert_complete("UNSUBACK", &properties, Place::Ack, &[]);
    client.publish("leave", "").await.unwrap();
    match disconnected(&mut events).await {
        Disconnection::Ended(Cause::ByBroker { reason: Reason::SERVER_BUSY, properties }) => {
            // A session expiry interval is the client's to send [MQTT-3.14.2-2], and harmless.
            assert_complete("DISCONNECT", &properties, Place::Disconnect, &[]);
        }
        other => panic!("{other:?}"),
    }
    self::connected(&mut events).await;
}

#[tokio::test(start_paused = true)]
async fn refusals_tell_theirs_too() {
    let script = Script { refuses_connections: true, refuses_requests: false, any_qos: false };
    match Client::connect(options(script, Curious::default())).await.unwrap_err() {
        ConnectError::Refused { reason: Reason::BANNED, properties, .. } => {
            assert_complete("CONNACK", &properties, Place::Connack, &[]);
        }
        other => panic!("{other:?}"),
    }
    let script = Script { refuses_connections: false, refuses_requests: true, any_qos: true };
    let client = Client::connect(options(script, Curious::default())).await.unwrap();
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        match client.publish("a", "b").qos(qos).await.unwrap_err() {
            PublishError::Refused { reason: Reason::NOT_AUTHORIZED, properties } => {
                assert_complete("PUBACK and PUBREC", &properties, Place::Ack, &[]);
            }
            other => panic!("{other:?}"),
        }
    }
    let refused = [
        patient(client.subscribe("t")).await.unwrap_err(),
        patient(client.unsubscribe("t")).await.unwrap_err(),
    ];
    for error in refused {
        match error {
            SubscribeError::Refused { reason: Reason::NOT_AUTHORIZED, properties } => {
                assert_complete("SUBACK and UNSUBACK", &properties, Place::Ack, &[]);
            }
            other => panic!("{other:?}"),
        }
    }
}

/// What CONNACK decides, by name.
#[tokio::test(start_paused = true)]
async fn limits_and_choices_of_the_broker_are_readable() {
    let client = Client::connect(options(AGREEABLE, Curious::default())).await.unwrap();
    let limits = client.limits();
    assert_eq!((limits.receive_maximum, limits.maximum_packet_size), (20, 65_536));
    assert_eq!((limits.maximum_qos, limits.retain_available), (QoS::AtLeastOnce, true));
    assert!(limits.wildcard_subscription_available && limits.subscription_identifier_available);
    assert!(limits.shared_subscription_available && limits.properties);
    assert_eq!((limits.topic_alias_maximum, limits.server_keep_alive), (5, Some(30)));
    assert_eq!(limits.session_expiry_interval, Some(9));
    assert_eq!(&*client.client_id(), "boat");
    let State::Connected(connected) = client.state() else { panic!("{:?}", client.state()) };
    assert_eq!(connected.limits, limits);
    let properties = connected.properties.as_properties();
    assert_eq!(properties.assigned_client_identifier(), Some("boat"));
    assert_eq!(properties.response_information(), Some("ri"));
    assert_eq!((properties.server_reference(), properties.reason_string()), (Some("s"), Some("why")));
}
