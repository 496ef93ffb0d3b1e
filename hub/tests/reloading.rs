//! The configuration is read again and again, at random, while messages flow: nothing is lost.
//!
//! `PACKETBOAT_RELOADS` says how often, `PACKETBOAT_SEED` with which numbers.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{numbers, options};
use packetboat::{Client, Options, QoS, Subscriber};
use packetboat_hub::{FollowError, Hub};
use packetboat_sim::net::Broker;

/// The connections that are always there; further ones come and go.
const STEADY: usize = 3;
const PASSING: usize = 3;

/// What a connection's section says at the moment.
#[derive(Clone, Debug)]
struct Section {
    broker: usize,
    keep_alive: usize,
    acknowledgement: usize,
    window: usize,
}

impl Section {
    fn new(broker: usize) -> Self {
        Self { broker, keep_alive: 60, acknowledgement: 60, window: 100 }
    }

    fn write(&self, text: &mut String, id: &str, brokers: &[Broker]) {
        let Self { keep_alive, acknowledgement, window, .. } = self;
        let url = brokers[self.broker].url();
        write!(
            text,
            "[connections.{id}]\nserver = \"{url}\"\nclient_id = \"{id}\"\nkeep_alive = {keep_alive}\n\
             acknowledgement_timeout = {acknowledgement}\nwindow = {window}\n\
             reconnect = {{ minimum = 0.001, maximum = 0.05 }}\n"
        )
        .unwrap();
    }
}

type Arrived = Arc<Mutex<BTreeSet<String>>>;

async fn collect(mut stream: Subscriber, arrived: Arrived) {
    while let Some(message) = stream.next().await {
        arrived.lock().unwrap().insert(String::from_utf8(message.payload().to_vec()).unwrap());
    }
}

/// Publishes until it is told to stop; gives what the brokers confirmed, which is all of it.
async fn publish(hub: Hub, id: String, stop: Arc<AtomicBool>) -> Vec<String> {
    let mut sent = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let mut receipts = Vec::new();
        for _ in 0..20 {
            let payload = format!("{id}/{}", sent.len());
            let connection = hub.connection(&id).unwrap();
            let publish = connection.publish("out", payload.clone()).qos(QoS::AtLeastOnce);
            receipts.push(publish.enqueue().await.unwrap());
            sent.push(payload);
        }
        for receipt in receipts {
            receipt.await.expect("what was accepted is delivered");
        }
    }
    sent
}

/// Sends to where the hub listens until it is told to stop.
async fn send(client: Client, stop: Arc<AtomicBool>) -> Vec<String> {
    let mut sent = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let payload = format!("in/{}", sent.len());
        client.publish("in", payload.clone()).qos(QoS::AtLeastOnce).await.unwrap();
        sent.push(payload);
    }
    sent
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn configurations_are_read_at_random_under_load_and_nothing_is_lost() {
    let count: u64 = std::env::var("PACKETBOAT_RELOADS").map_or(200, |count| count.parse().unwrap());
    let seed: u64 = std::env::var("PACKETBOAT_SEED").map_or(7, |seed| seed.parse().unwrap());
    println!("{count} reloads with PACKETBOAT_SEED={seed}");
    let limit = Duration::from_secs(60 + count);
    tokio::time::timeout(limit, reload(count, seed)).await.expect("the test hangs");
}

async fn reload(count: u64, seed: u64) {
    let mut random = numbers(seed);
    let brokers =
        [Broker::start().await.unwrap(), Broker::start().await.unwrap(), Broker::start().await.unwrap()];
    let arrived = Arrived::default();
    for broker in &brokers {
        let collector = Client::connect(options(&broker.url())).await.unwrap();
        tokio::spawn(collect(
            collector.subscription("out").qos(QoS::AtLeastOnce).await.unwrap(),
            arrived.clone(),
        ));
    }
    let path = std::env::temp_dir().join(format!("packetboat-reloading-{}.toml", std::process::id()));
    let mut sections: BTreeMap<String, Section> =
        (0..STEADY).map(|number| (format!("steady{number}"), Section::new(number))).collect();
    // Where the hub listens: what is left at a server that a connection leaves is not for the next one.
    sections.insert("ears".to_owned(), Section::new(0));
    let whole = |sections: &BTreeMap<String, Section>| {
        let mut text = String::new();
        for (id, section) in sections {
            section.write(&mut text, id, &brokers);
        }
        text
    };
    fs::write(&path, whole(&sections)).unwrap();
    let hub = Hub::new();
    let followed = hub.follow(&path).every(Duration::from_hours(1)).await.unwrap();
    let heard = Arrived::default();
    let listening = heard.clone();
    let listener = hub.listener("in").on("(id=ears)".parse().unwrap()).call(move |arrival| {
        listening.lock().unwrap().insert(String::from_utf8(arrival.payload().to_vec()).unwrap());
        async {}
    });
    let listener = listener.unwrap();
    brokers[0].until(|broker| broker.subscriptions("ears") == ["in"]).await;
    let stop = Arc::new(AtomicBool::new(false));
    let publishing: Vec<_> = (0..STEADY)
        .map(|number| tokio::spawn(publish(hub.clone(), format!("steady{number}"), stop.clone())))
        .collect();
    let sender = Client::connect(Options::new(&brokers[0].url())).await.unwrap();
    let sending = tokio::spawn(send(sender, stop.clone()));

    for _ in 0..count {
        let choice = random(5);
        let is_wrong = choice == 0;
        let text = if is_wrong {
            whole(&sections) + ["[connections.", "[connections.x]\nserver = 7\n"][random(2)]
        } else {
            change(&mut sections, choice, &mut random);
            whole(&sections)
        };
        fs::write(&path, &text).unwrap();
        match followed.reload().await {
            Ok(_) => assert!(!is_wrong, "it is refused"),
            Err(FollowError::Config(_)) if is_wrong => {}
            Err(error) => panic!("{error}\n{text}"),
        }
        listener.set_filters([&["in"][..], &["in", "more"], &["+", "in"], &["+"]][random(4)]).unwrap();
        assert_eq!(hub.connections().len(), sections.len());
        tokio::task::yield_now().await;
    }
    stop.store(true, Ordering::Relaxed);
    for publishing in publishing {
        let sent = publishing.await.unwrap();
        assert!(!sent.is_empty());
        all_of(&sent, &arrived).await;
    }
    let sent = sending.await.unwrap();
    all_of(&sent, &heard).await;
    println!("{} messages arrived, {} were heard", arrived.lock().unwrap().len(), sent.len());
    drop(followed);
    hub.close().await;
    fs::remove_file(path).unwrap();
    for broker in &brokers {
        assert!(broker.violations().is_empty(), "{:?}", broker.violations());
    }
}

fn change(sections: &mut BTreeMap<String, Section>, choice: usize, random: &mut impl FnMut(usize) -> usize) {
    let steady = format!("steady{}", random(STEADY));
    match choice {
        1 => sections.get_mut(&steady).unwrap().broker = random(3),
        2 => {
            let id = ["ears", &steady][random(2)];
            sections.get_mut(id).unwrap().keep_alive = 60 + random(5);
        }
        3 => {
            let section = sections.get_mut(&steady).unwrap();
            (section.acknowledgement, section.window) = (30 + random(60), 1 + random(200));
        }
        _ => {
            let id = format!("passing{}", random(PASSING));
            if sections.remove(&id).is_none() {
                sections.insert(id, Section::new(random(3)));
            }
        }
    }
}

async fn all_of(sent: &[String], arrived: &Arrived) {
    loop {
        let missing: Vec<_> = {
            let arrived = arrived.lock().unwrap();
            sent.iter().filter(|payload| !arrived.contains(*payload)).cloned().collect()
        };
        if missing.is_empty() {
            return;
        }
        // What is confirmed is on its way to us; the limit of the whole test says when it is not.
        tokio::task::yield_now().await;
    }
}
