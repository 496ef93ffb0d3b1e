//! A hub with several real brokers at once, killed, stopped and started again while messages flow.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]

mod common;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::mosquitto::{Mosquitto, mosquitto, mosquitto_with};
use common::{came, options, went, within};
use packetboat::{Client, Options, QoS, SessionMode, VersionChoice};
use packetboat_hub::{Hub, PropertyFilter};

/// Notices soon that a broker is silent, and keeps its session wherever it goes.
fn enduring(broker: &Mosquitto, id: &str, version: VersionChoice) -> Options {
    options(&broker.url())
        .client_id(id)
        .version(version)
        .keep_alive(Duration::from_secs(2))
        .session(SessionMode::Persistent { expiry: Duration::from_hours(1) })
}

/// Payloads by broker, in the order of their first arrival.
type Heard = Arc<Mutex<BTreeMap<String, Vec<String>>>>;

fn note(heard: &Heard, broker: &str, payload: &[u8]) {
    let payload = String::from_utf8(payload.to_vec()).unwrap();
    let mut heard = heard.lock().unwrap();
    let of_broker = heard.entry(broker.to_owned()).or_default();
    if !of_broker.contains(&payload) {
        of_broker.push(payload);
    }
}

/// Sends numbers one after the other; each is confirmed before the next.
async fn send(client: Client, from: usize, to: usize) {
    for number in from..to {
        client.publish("numbers/n", number.to_string()).qos(QoS::AtLeastOnce).await.unwrap();
    }
}

#[tokio::test]
async fn brokers_are_killed_stopped_and_started_again_and_a_listener_misses_nothing() {
    for version in [VersionChoice::V5, VersionChoice::V311] {
        let start = || mosquitto_with("user root\n");
        let (Some(steady), Some(mut killed), Some(stopped)) = (start(), start(), start()) else { return };
        let hub = Hub::new();
        let mut watch = hub.watch(PropertyFilter::all());
        let heard = Heard::default();
        let listening = heard.clone();
        // The list overlaps: on 5.0 mosquitto sends a copy for each filter.
        let listener = hub.listener(["numbers/#", "+/n"]).qos(QoS::AtLeastOnce).call(move |arrival| {
            note(&listening, arrival.broker(), arrival.payload());
            async {}
        });
        let listener = listener.unwrap();
        let mut senders = BTreeMap::new();
        for (name, broker) in [("steady", &steady), ("killed", &killed), ("stopped", &stopped)] {
            hub.add(name, enduring(broker, &format!("hub-{name}"), version)).unwrap();
            assert_eq!(came(&mut watch).await, name);
            let client = Client::connect(enduring(broker, &format!("sender-{name}"), version)).await.unwrap();
            senders.insert(name, client);
        }
        // The listener stands everywhere once it has heard of each.
        let told = async {
            loop {
                for sender in senders.values() {
                    sender.publish("numbers/n", "first").qos(QoS::AtLeastOnce).await.unwrap();
                }
                if heard.lock().unwrap().len() == 3 {
                    return;
                }
            }
        };
        within(told).await;
        let flow = |name: &str| tokio::spawn(send(senders[name].clone(), 0, 200));
        let mut sending = vec![flow("steady"), flow("stopped")];
        // What it has confirmed and not yet saved is lost with it: nothing is on its way there just now, and the hub's session is saved.
        killed.save();
        killed.kill();
        sending.push(flow("killed"));
        assert_eq!(went(&mut watch).await, "killed");
        stopped.signal("STOP");
        assert_eq!(went(&mut watch).await, "stopped");
        // One message for all goes to who is there, and tells of the others.
        let outcomes = within(hub.publish("other", "x").qos(QoS::AtLeastOnce).into_future()).await;
        let good: Vec<_> =
            outcomes.iter().filter(|one| one.result.is_ok()).map(|one| one.connection.id()).collect();
        assert_eq!(good, ["steady"]);
        // Filters change while two of three are away.
        listener.set_filters("numbers/#").unwrap();
        killed.restart();
        assert_eq!(came(&mut watch).await, "killed");
        stopped.signal("CONT");
        assert_eq!(came(&mut watch).await, "stopped");
        for sending in sending {
            within(sending).await.unwrap();
        }
        let all = async {
            loop {
                let counts: Vec<_> = heard.lock().unwrap().values().map(Vec::len).collect();
                if counts == [201, 201, 201] {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        let all = tokio::time::timeout(Duration::from_secs(30), all).await;
        assert!(all.is_ok(), "{version:?}: something is missing: {:?}", heard.lock().unwrap());
        for (broker, payloads) in &*heard.lock().unwrap() {
            let expected: Vec<_> =
                ["first".to_owned()].into_iter().chain((0..200).map(|n| n.to_string())).collect();
            assert_eq!(*payloads, expected, "{version:?} {broker}: in its order");
        }
        within(hub.close()).await;
    }
}

#[tokio::test]
async fn what_waits_for_a_broker_that_is_away_goes_out_when_it_is_back() {
    let (Some(mut one), Some(two)) = (mosquitto(), mosquitto()) else { return };
    let hub = Hub::new();
    let mut watch = hub.watch(PropertyFilter::all());
    hub.add("one", enduring(&one, "hub", VersionChoice::Auto)).unwrap();
    hub.add("two", enduring(&two, "hub", VersionChoice::Auto)).unwrap();
    came(&mut watch).await;
    came(&mut watch).await;
    one.kill();
    assert_eq!(went(&mut watch).await, "one");
    let publish = hub.publish("late", "x").qos(QoS::AtLeastOnce).retain(true).also_away().into_future();
    let publishing = tokio::spawn(publish);
    one.restart();
    let outcomes = within(publishing).await.unwrap();
    assert!(outcomes.iter().all(|outcome| outcome.result.is_ok()), "{outcomes:?}");
    for broker in [&one, &two] {
        let client = Client::connect(options(&broker.url())).await.unwrap();
        let message = within(client.subscribe("late").await.unwrap().next()).await.unwrap();
        assert_eq!(message.payload(), b"x");
    }
}
