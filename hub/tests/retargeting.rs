//! Targets that change while messages flow: those that are the same keep their connections, and handlers stay.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{collect, within};
use packetboat::{Client, QoS};
use packetboat_config::Format;
use packetboat_hub::broker::{Received, SourceState};
use packetboat_hub::{HubConfig, MessageBroker, Service};
use packetboat_sim::broker::Config;
use packetboat_sim::net::{self, Broker};
use tokio::sync::mpsc;

async fn broker() -> Broker {
    let log = Config { keep_log: true, ..Config::default() };
    net::Options::new().config(log).start().await.unwrap()
}

fn target(name: &str, broker: &Broker, topic: &str, further: &str) -> String {
    format!(
        "[[targets]]\nname = \"{name}\"\nprotocol = \"mqtt\"\n\
         mqtt_options = {{ server = \"{}\", client_id = \"{name}\", reconnect = {{ minimum = 0.01, maximum = 0.1 }}{further} }}\n\
         mqtt_subscriptions = [ {{ subscription_id = \"commands\", topic = \"{topic}\" }} ]\n",
        broker.url()
    )
}

fn pipe(targets: &[&str]) -> String {
    let destinations = targets.iter().map(|name| {
        format!(
            "[[pipes.destinations]]\ntarget_name = \"{name}\"\nmqtt_message_options = {{ topic = \"out\" }}\n"
        )
    });
    "[[pipes]]\nmessage_id = \"reading\"\n".to_owned() + &destinations.collect::<String>()
}

fn file(parts: &[&str]) -> HubConfig {
    let text = format!("name = \"hub\"\n{}", parts.concat());
    HubConfig::parse(&text, Format::Toml, |_| None).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// Publishes until it is told to stop: everything is delivered everywhere. Gives how many.
async fn publish(broker: MessageBroker, stop: Arc<AtomicBool>) -> usize {
    let mut sent = 0;
    while !stop.load(Ordering::Relaxed) {
        broker.publish("reading", sent.to_string()).await.unwrap().into_result().unwrap();
        sent += 1;
    }
    sent
}

fn numbers(broker: &Broker, client: &str) -> Vec<usize> {
    let accepted = broker.accepted(client);
    let text = |payload: &[u8]| std::str::from_utf8(payload).unwrap().parse().unwrap();
    let mut numbers: Vec<usize> = accepted.iter().map(|one| text(&one.message.payload)).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

/// A command arrives, from the target that has this broker.
async fn commanded(
    broker: &Broker,
    topic: &str,
    target: &str,
    arrived: &mut mpsc::UnboundedReceiver<Received>,
) {
    let client = Client::connect(broker.url()).await.unwrap();
    client.publish(topic, "go").qos(QoS::AtLeastOnce).await.unwrap();
    let received = within(arrived.recv()).await.unwrap();
    assert_eq!((&*received.target, received.message.unwrap().topic()), (target, topic));
    client.disconnect().await.unwrap();
}

async fn subscribed(broker: &Broker, client: &str, filters: &[&str]) {
    within(broker.until(|core| core.subscriptions(client) == filters)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_changes_leaves_the_others_and_the_handlers_alone() {
    let (same, first, second) = (broker().await, broker().await, broker().await);
    let one = target("one", &same, "cmd/one", "");
    let pipes = pipe(&["one", "two"]);
    // A pipe from a subscription to the target that stays the same is not started anew either.
    let bridge = format!(
        "[connections.plant]\nserver = \"{}\"\n[[pipes]]\nname = \"bridge\"\n\
         from = {{ connection = \"plant\", filter = \"bridged/#\" }}\n[[pipes.destinations]]\ntarget_name = \"one\"\n\
         mqtt_message_options = {{ topic = \"${{topic}}\" }}\n",
        same.url()
    );
    let two = |broker, topic, further| target("two", broker, topic, further);
    let config = |two: &str| file(&[&one, two, &pipes, &bridge]);
    let mut service = Service::start(config(&two(&first, "cmd/two", ""))).await.unwrap();
    let messages = service.broker().unwrap().clone();
    let (handler, mut arrived) = collect();
    let token = messages.subscribe("commands", handler).await.unwrap();
    subscribed(&first, "two", &["cmd/two"]).await;
    within(same.until(|core| core.has_session("one") && core.has_session("hub-bridge"))).await;
    let connections = same.with(|core, _| (core.connection("one"), core.connection("hub-bridge")));
    let stop = Arc::new(AtomicBool::new(false));
    let publishing = tokio::spawn(publish(messages.clone(), stop.clone()));

    // What CONNECT says: the same client connects again, with what it has accepted.
    let changes = service.apply(config(&two(&first, "cmd/two", ", keep_alive = 30"))).await.unwrap();
    assert_eq!(changes.to_string(), "targets changed");
    within(async {
        while first.stats().connections < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    commanded(&first, "cmd/two", "two", &mut arrived).await;
    commanded(&same, "cmd/one", "one", &mut arrived).await;
    // What is subscribed: on the same connection.
    service.apply(config(&two(&first, "cmd/other", ", keep_alive = 30"))).await.unwrap();
    subscribed(&first, "two", &["cmd/other"]).await;
    commanded(&first, "cmd/other", "two", &mut arrived).await;
    assert_eq!(first.with(|core, _| core.subscriptions("one").len()), 0);
    // Another server.
    service.apply(config(&two(&second, "cmd/other", ", keep_alive = 30"))).await.unwrap();
    subscribed(&second, "two", &["cmd/other"]).await;
    commanded(&second, "cmd/other", "two", &mut arrived).await;
    stop.store(true, Ordering::Relaxed);
    let sent = within(publishing).await.unwrap();
    assert!(sent > 0);
    assert_eq!(numbers(&same, "one"), (0..sent).collect::<Vec<_>>());
    let mut there = numbers(&first, "two");
    there.extend(numbers(&second, "two"));
    there.sort_unstable();
    there.dedup();
    assert_eq!(there, (0..sent).collect::<Vec<_>>());
    let now = same.with(|core, _| (core.connection("one"), core.connection("hub-bridge")));
    assert_eq!(now, connections, "something was reconnected");

    // Gone, and back as something else.
    service.apply(file(&[&one, &pipe(&["one"]), &bridge])).await.unwrap();
    within(second.until(|core| core.connected() == 0)).await;
    commanded(&same, "cmd/one", "one", &mut arrived).await;
    service.apply(config(&two(&first, "cmd/again", ""))).await.unwrap();
    subscribed(&first, "two", &["cmd/again"]).await;
    commanded(&first, "cmd/again", "two", &mut arrived).await;
    messages.publish("commands", "here").await.unwrap().into_result().unwrap();
    assert_eq!(&*within(arrived.recv()).await.unwrap().target, "loopback");
    let states = messages.subscriptions();
    let targets: Vec<&str> = states.iter().map(|status| &*status.target).collect();
    assert_eq!(targets, ["loopback", "one", "two"]);
    assert!(
        states.iter().all(|status| status.token == token && status.state == SourceState::Active),
        "{states:?}"
    );
    assert!(messages.unsubscribe(token).await);
    subscribed(&first, "two", &[]).await;
    subscribed(&same, "one", &[]).await;
    assert!(within(service.stop()).await);
    for broker in [same, first, second] {
        assert_eq!(broker.violations(), []);
    }
}

/// `${count}` is in names of files: beginning again would write over them.
#[tokio::test]
async fn a_pipe_that_stays_goes_on_counting() {
    let (one, two) = (broker().await, broker().await);
    let pipe = "[[pipes]]\nmessage_id = \"reading\"\n[[pipes.destinations]]\ntarget_name = \"one\"\n\
                mqtt_message_options = { topic = \"out/${count}\" }\n";
    let config = |further| file(&[&target("one", &one, "a", ""), &target("two", &two, "a", further), pipe]);
    let mut service = Service::start(config("")).await.unwrap();
    let broker = service.broker().unwrap().clone();
    for further in [", keep_alive = 30", ", keep_alive = 31"] {
        broker.publish("reading", "x").await.unwrap().into_result().unwrap();
        service.apply(config(further)).await.unwrap();
    }
    broker.publish("reading", "x").await.unwrap().into_result().unwrap();
    let topics: Vec<String> =
        one.accepted("one").iter().map(|accepted| accepted.message.topic.clone()).collect();
    assert_eq!(topics, ["out/0", "out/1", "out/2"]);
    assert!(within(service.stop()).await);
}
