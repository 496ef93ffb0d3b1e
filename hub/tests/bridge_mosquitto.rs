//! Pipes between real brokers that are killed, stopped and restarted while messages flow.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]

#[allow(dead_code, reason = "each test program uses a part")]
#[path = "../../client/tests/common/mosquitto.rs"]
mod mosquitto;
#[path = "../../client/tests/common/port.rs"]
mod port;

use std::collections::BTreeSet;
use std::time::Duration;

use mosquitto::{Mosquitto, mosquitto_with};
use packetboat::{Client, Options, QoS, SessionMode, Subscriber, VersionChoice};
use packetboat_config::Format;
use packetboat_hub::{HubConfig, Service};

const MESSAGES: u32 = 2000;

/// Whoever stops the test may be slow.
async fn within<F: Future>(what: F) -> F::Output {
    tokio::time::timeout(Duration::from_mins(3), what).await.expect("the test hangs")
}

/// With everything it sends on the way at once, so that what it confirmed was written to its readers when it is killed.
fn broker() -> Option<Mosquitto> {
    mosquitto_with("user root\nmax_inflight_messages 0\n")
}

fn options(broker: &Mosquitto, id: &str, version: VersionChoice) -> Options {
    Options::new(&broker.url())
        .client_id(id)
        .version(version)
        .session(SessionMode::Persistent { expiry: Duration::from_hours(1) })
        .backoff(Duration::from_millis(10), Duration::from_millis(200))
}

/// Whoever reads there; subscribed before anything happens.
async fn reader(broker: &Mosquitto, filter: &str) -> (Client, Subscriber) {
    let client = Client::connect(options(broker, "reader", VersionChoice::V5)).await.unwrap();
    let stream = client.subscription(filter).qos(QoS::AtLeastOnce).await.unwrap();
    (client, stream)
}

/// Takes until every message was there.
async fn all(mut stream: Subscriber) -> usize {
    let (mut seen, mut came) = (BTreeSet::new(), 0);
    while seen.len() < MESSAGES as usize {
        let Ok(message) = tokio::time::timeout(Duration::from_secs(100), stream.next()).await else {
            panic!(
                "these do not come: {:?}",
                (0..MESSAGES).filter(|number| !seen.contains(number)).collect::<Vec<_>>()
            );
        };
        let message = message.expect("the stream ended");
        seen.insert(u32::from_be_bytes(message.payload().try_into().unwrap()));
        came += 1;
    }
    came
}

/// Publishes all, a hundred on the way at once, and tells how far it is.
async fn publish(client: Client, progress: tokio::sync::watch::Sender<u32>) {
    for start in (0..MESSAGES).step_by(100) {
        let mut receipts = Vec::new();
        for number in start..start + 100 {
            let publish = client.publish("plant/7/temp", number.to_be_bytes().to_vec()).qos(QoS::AtLeastOnce);
            receipts.push(publish.enqueue().await.unwrap());
        }
        for receipt in receipts {
            receipt.await.unwrap();
        }
        progress.send_replace(start + 100);
    }
}

fn config(plant: &Mosquitto, clouds: &[&Mosquitto], version: &str) -> HubConfig {
    let connection = |name: &str, broker: &Mosquitto| {
        format!(
            "[connections.{name}]\nserver = \"{}\"\nversion = \"{version}\"\nreconnect = {{ minimum = 0.01, maximum = 0.2 }}\n",
            broker.url()
        )
    };
    let mut text = format!("name = \"hub\"\n{}", connection("plant", plant));
    let mut ends = Vec::new();
    for (number, cloud) in clouds.iter().enumerate() {
        text += &connection(&format!("cloud{number}"), cloud);
        ends.push(format!(
            "[[pipes.destinations]]\ntarget_name = \"cloud{number}\"\nmqtt_message_options = {{ topic = \"all/{{line}}\" }}\n"
        ));
    }
    let pipe = "[[pipes]]\nname = \"up\"\nwindow = 200\nfrom = { connection = \"plant\", filter = \"plant/{line}/temp\" }\n";
    HubConfig::parse(&(text + pipe + &ends.concat()), Format::Toml, |_| None)
        .unwrap_or_else(|error| panic!("{error}"))
}

async fn brokers_come_and_go(version: VersionChoice, name: &str) {
    let (Some(mut plant), Some(mut killed), Some(mut restarted)) = (broker(), broker(), broker()) else {
        return;
    };
    let (_one, first) = reader(&killed, "all/#").await;
    let (_other, second) = reader(&restarted, "all/#").await;
    let service = Service::start(config(&plant, &[&killed, &restarted], name)).await.unwrap();
    let mut pipe = service.pipes().next().unwrap().watch();
    within(pipe.wait_for(|state| *state == packetboat_hub::bridge::PipeState::Running)).await.unwrap();
    let (progress, mut at) = tokio::sync::watch::channel(0);
    let publisher = Client::connect(options(&plant, "publisher", version)).await.unwrap();
    let publishing = tokio::spawn(publish(publisher, progress));
    let reading = tokio::spawn(async move { tokio::join!(all(first), all(second)) });
    // A destination is killed.
    within(at.wait_for(|at| *at >= 300)).await.unwrap();
    killed.kill_when_heard();
    killed.restart();
    // Another one is stopped, which nobody is told, and goes on.
    within(at.wait_for(|at| *at >= 700)).await.unwrap();
    restarted.signal("STOP");
    within(at.wait_for(|at| *at >= 1100)).await.unwrap();
    restarted.signal("CONT");
    // It ends properly, and comes back.
    within(at.wait_for(|at| *at >= 1400)).await.unwrap();
    restarted.end();
    restarted.restart();
    // And so does the source.
    within(at.wait_for(|at| *at >= 1700)).await.unwrap();
    plant.end();
    plant.restart();
    within(publishing).await.unwrap();
    let (one, other) = within(reading).await.unwrap();
    let counts = service.pipes().next().unwrap().counts();
    println!("{name}: {MESSAGES} messages, {one} and {other} came, {counts:?}");
    within(service.stop()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_while_brokers_are_killed_stopped_and_restarted() {
    brokers_come_and_go(VersionChoice::V5, "5.0").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_with_3_1_1() {
    brokers_come_and_go(VersionChoice::V311, "3.1.1").await;
}
