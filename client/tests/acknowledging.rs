//! Manual acknowledgement: in the application's order and on the wire in the order of arrival; what withheld
//! acknowledgements cost, and who is told. On virtual time.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::inside::{Host, Inside, Network, connected, patient};
use common::{ALL_QOS, VERSIONS};
use packetboat::{
    Client, Direction, Event, Events, Message, Options, Packet, PacketType, QoS, Reason, SessionMode,
    Subscriber, Version,
};
use packetboat_core::wire::AckKind;
use packetboat_sim::broker::{Broker, Message as Sent};

const SECOND: Duration = Duration::from_secs(1);

/// The acknowledgements of messages as they leave: identifier and reason.
#[derive(Clone, Default)]
struct Wire(Arc<Mutex<Vec<(u16, Reason)>>>);

impl Wire {
    fn taken(&self) -> Vec<(u16, Reason)> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// A client, the broker it talks to, and what it acknowledges.
async fn setting(options: impl FnOnce(Options) -> Options) -> (Client, Inside, Wire) {
    let broker = Inside::new();
    let network = Network::new([("one", Host::Broker(broker.clone()))]);
    let wire = Wire::default();
    let acknowledged = wire.clone();
    let common = Options::new("mqtt://one")
        .client_id("manual")
        .session(SessionMode::Persistent { expiry: 3600 * SECOND })
        .transport(network)
        .on_packet(move |passing| match passing.packet {
            Some(Packet::Ack(ack))
                if passing.direction == Direction::Sent
                    && matches!(ack.kind, AckKind::Puback | AckKind::Pubrec) =>
            {
                acknowledged.0.lock().unwrap().push((ack.id, ack.reason));
            }
            _ => {}
        });
    let client = Client::connect(options(common)).await.unwrap();
    (client, broker, wire)
}

fn send(broker: &Inside, payload: &str, qos: QoS) {
    broker.with(|core, now| core.publish(Sent::new("a", payload, qos), now));
}

async fn next(stream: &mut Subscriber) -> Message {
    patient(stream.next()).await.expect("the stream ended")
}

/// The broker has got everything that was to be said.
async fn told(client: &Client) {
    patient(client.publish("mark", "").qos(QoS::AtLeastOnce)).await.unwrap();
}

/// What was said of withheld acknowledgements until now.
async fn withheld(events: &mut Events, for_so_long: Duration) -> Vec<Event> {
    let mut found = Vec::new();
    let search = async {
        while let Some(event) = events.next().await {
            if matches!(event, Event::Held { .. } | Event::Abandoned { .. }) {
                found.push(event);
            }
        }
    };
    let _ = tokio::time::timeout(for_so_long, search).await;
    found
}

// Spec 3.1.1: MQTT-4.6.0-2 MQTT-4.6.0-3
// Spec 5.0: MQTT-4.6.0-2 MQTT-4.6.0-3
#[tokio::test(start_paused = true)]
async fn in_any_order_of_the_application_they_leave_in_the_order_of_arrival() {
    for (version, qos) in VERSIONS.into_iter().flat_map(|version| [1, 2].map(|qos| (version, ALL_QOS[qos]))) {
        let (client, broker, wire) = setting(|options| options.version(version)).await;
        let mut events = client.events();
        let mut stream = client.subscription("a").manual_ack().await.unwrap();
        for payload in ["0", "1", "2", "3", "4", "5"] {
            send(&broker, payload, qos);
        }
        let mut messages = Vec::new();
        for _ in 0..6 {
            messages.push(Some(next(&mut stream).await));
        }
        let mut take = |at: usize| messages[at].take().unwrap();
        take(4).ack().unwrap();
        take(2).reject(Reason::PAYLOAD_FORMAT_INVALID).unwrap();
        drop(take(3));
        told(&client).await;
        assert_eq!(wire.taken(), [], "the first is held");
        take(0).ack().unwrap();
        told(&client).await;
        let first = wire.taken();
        assert!(matches!(first[..], [(_, Reason::SUCCESS)]), "the second is held: {first:?}");
        take(1).ack().unwrap();
        told(&client).await;
        let refused = match client.version() {
            Version::V5 => Reason::PAYLOAD_FORMAT_INVALID,
            _ => Reason::SUCCESS,
        };
        let acknowledged = [first, wire.taken()].concat();
        let reasons: Vec<Reason> = acknowledged.iter().map(|(_, reason)| *reason).collect();
        assert_eq!(
            reasons,
            [Reason::SUCCESS, Reason::SUCCESS, refused, Reason::SUCCESS],
            "{version:?} {qos:?}"
        );
        // Identifiers in the order of arrival, and the abandoned one is not among them.
        let ids: Vec<u16> = acknowledged.iter().map(|(id, _)| *id).collect();
        assert_eq!(ids, [ids[0], ids[0] + 1, ids[0] + 2, ids[0] + 4], "{version:?} {qos:?}");
        broker.with(Broker::cut_all);
        assert!(connected(&mut events).await);
        // The last one was never acknowledged and is still in hand; the abandoned one comes again.
        let again = next(&mut stream).await;
        assert_eq!((again.payload(), again.dup()), (&b"3"[..], true));
        again.ack().unwrap();
        let last = take(5);
        if qos == QoS::AtLeastOnce {
            assert!(last.ack().is_err(), "its connection is gone");
            let again = next(&mut stream).await;
            assert_eq!((again.payload(), again.dup()), (&b"5"[..], true));
            again.ack().unwrap();
        } else {
            last.ack().unwrap();
        }
        told(&client).await;
        assert_eq!(wire.taken().len(), 2);
        assert_eq!(broker.with(|core, _| core.pending("manual")), 0);
        broker.check();
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_held_for_30_seconds_is_told_of_if_others_wait() {
    for (version, qos) in VERSIONS.into_iter().flat_map(|version| [1, 2].map(|qos| (version, ALL_QOS[qos]))) {
        let (client, broker, wire) = setting(|options| options.version(version)).await;
        let mut events = client.events();
        let mut stream = client.subscription("a").manual_ack().await.unwrap();
        send(&broker, "slow", qos);
        let slow = next(&mut stream).await;
        assert!(withheld(&mut events, 100 * SECOND).await.is_empty(), "nobody waits");
        send(&broker, "done", qos);
        next(&mut stream).await.ack().unwrap();
        let told = withheld(&mut events, SECOND).await;
        assert!(matches!(&told[..], [Event::Held { qos: of, waiting: 1, .. }] if *of == qos), "{told:?}");
        assert!(withheld(&mut events, 100 * SECOND).await.is_empty(), "once is enough");
        assert_eq!(wire.taken(), []);
        slow.ack().unwrap();
        // Another one, from the beginning.
        send(&broker, "slow", qos);
        send(&broker, "more", qos);
        let slow = next(&mut stream).await;
        assert!(withheld(&mut events, 29 * SECOND).await.is_empty());
        assert_eq!(withheld(&mut events, 2 * SECOND).await.len(), 1);
        slow.ack().unwrap();
        next(&mut stream).await.ack().unwrap();
        self::told(&client).await;
        assert_eq!(wire.taken().len(), 4);
        broker.check();
    }
}

#[tokio::test(start_paused = true)]
async fn abandoned_messages_take_window_are_told_of_at_half_of_it_and_come_again() {
    for version in VERSIONS {
        let (client, broker, _) = setting(|options| options.version(version).inbound(8, 1 << 20)).await;
        let mut events = client.events();
        let mut stream = client.subscription("a").manual_ack().await.unwrap();
        for number in 0..4_u8 {
            assert!(withheld(&mut events, SECOND).await.is_empty(), "{number} are not half of 8");
            send(&broker, &number.to_string(), ALL_QOS[1 + usize::from(number % 2)]);
            drop(next(&mut stream).await);
        }
        let told = withheld(&mut events, SECOND).await;
        assert!(matches!(&told[..], [Event::Abandoned { messages: 4, window: 8 }]), "{told:?}");
        client.reconnect();
        assert!(connected(&mut events).await);
        for _ in 0..4 {
            let again = next(&mut stream).await;
            assert!(again.dup());
            again.ack().unwrap();
        }
        self::told(&client).await;
        assert_eq!(broker.with(|core, _| core.pending("manual")), 0);
        broker.check();
    }
}

/// The broker counts expiry until it sends; what has arrived goes its way.
// Spec 5.0: MQTT-4.3.3-13
#[tokio::test(start_paused = true)]
async fn a_message_that_expires_in_hand_is_acknowledged_to_the_end() {
    let (client, broker, wire) = setting(|options| options).await;
    let mut stream = client.subscription("a").manual_ack().await.unwrap();
    let mut queued = client.subscribe("a").await.unwrap();
    client.publish("a", "brief").qos(QoS::ExactlyOnce).message_expiry(1).await.unwrap();
    let brief = next(&mut stream).await;
    assert_eq!(brief.properties().message_expiry_interval(), Some(1));
    tokio::time::sleep(100 * SECOND).await;
    brief.ack().unwrap();
    assert_eq!(next(&mut queued).await.payload(), b"brief", "nor is it taken out of a queue");
    drop(queued);
    told(&client).await;
    assert_eq!(wire.taken().len(), 1);
    patient(async {
        while broker.with(|core, _| core.pending("manual")) > 0 {
            tokio::time::sleep(SECOND).await;
        }
    })
    .await;
    assert_eq!(broker.with(|core, _| core.stats().received(PacketType::Pubcomp)), 1);
    broker.check();
}
