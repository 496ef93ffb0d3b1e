//! Messages by id: targets, pipes and handlers, against strict brokers in this process.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]

mod common;

use std::future::IntoFuture;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{collect, within};
use packetboat::{Client, Message, Options, QoS, Subscriber};
use packetboat_config::{Node, Problem};
use packetboat_hub::broker::{
    Delivered, Delivery, DeliveryError, Destination, HandlerError, Inbox, InitialiseError, Later,
    MessageError, Outgoing, Protocol, ProtocolError, Received, Source, SourceError, SourceState, Subscribed,
    Target, TargetDescription,
};
use packetboat_hub::{Hub, MessageBroker, Payload};
use packetboat_sim::net::Broker;
use tokio::sync::{Semaphore, mpsc};

async fn sim() -> Broker {
    Broker::start().await.unwrap()
}

async fn client(broker: &Broker) -> Client {
    Client::connect(broker.url()).await.unwrap()
}

async fn next(stream: &mut Subscriber) -> Message {
    within(stream.next()).await.expect("the stream ended")
}

fn unique(config: &str) -> MessageBroker {
    MessageBroker::builder().config(config).unique(true).create().unwrap()
}

async fn initialised(config: &str) -> MessageBroker {
    let broker = unique(config);
    assert!(broker.initialise().await.unwrap());
    broker
}

/// A target of MQTT, with subscriptions.
fn target(name: &str, broker: &Broker, subscriptions: &str) -> String {
    let url = broker.url();
    format!(
        r#"{{ "protocol": "mqtt", "name": "{name}", "mqtt_options": {{ "server": "{url}" }},
              "mqtt_subscriptions": [{subscriptions}] }}"#
    )
}

/// A pipe of one destination.
fn pipe(message_id: &str, target: &str, options: &str) -> String {
    format!(
        r#"{{ "message_id": "{message_id}", "destinations": [
              {{ "target_name": "{target}", "mqtt_message_options": {{ {options} }} }}] }}"#
    )
}

fn config(targets: &[String], pipes: &[String]) -> String {
    format!(r#"{{ "targets": [{}], "pipes": [{}] }}"#, targets.join(","), pipes.join(","))
}

async fn text(receiver: &mut mpsc::UnboundedReceiver<Received>) -> String {
    String::from_utf8(within(receiver.recv()).await.unwrap().payload.bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn a_message_id_leads_to_every_destination_of_its_pipes() {
    let (one, other) = (sim().await, sim().await);
    let mut there = client(&one).await.subscribe("#").await.unwrap();
    let mut elsewhere = client(&other).await.subscribe("#").await.unwrap();
    let broker = initialised(&config(
        &[target("one", &one, ""), target("other", &other, "")],
        &[
            pipe("data", "one", r#""topic": "a""#),
            pipe("data", "other", r#""topic": "b", "qos": 2"#),
            pipe("other data", "one", r#""topic": "never""#),
        ],
    ))
    .await;
    let report = within(broker.publish("data", "21.5")).await.unwrap().into_result().unwrap();
    let places: Vec<_> = report.iter().map(|delivery| (&*delivery.target, &*delivery.protocol)).collect();
    assert_eq!(places, [("one", "mqtt"), ("other", "mqtt")]);
    let (a, b) = (next(&mut there).await, next(&mut elsewhere).await);
    assert_eq!((a.topic(), a.payload(), a.qos()), ("a", &b"21.5"[..], QoS::AtLeastOnce));
    assert_eq!((b.topic(), b.payload(), b.qos()), ("b", &b"21.5"[..], QoS::ExactlyOnce));
}

#[tokio::test]
async fn one_failure_does_not_keep_the_others_from_the_message() {
    let broker = sim().await;
    let mut there = client(&broker).await.subscribe("#").await.unwrap();
    let nowhere =
        r#"{ "protocol": "mqtt", "name": "away", "mqtt_options": { "server": "mqtt://127.0.0.1:1" } }"#;
    let broker = initialised(&config(
        &[nowhere.to_owned(), target("here", &broker, "")],
        &[pipe("data", "away", r#""topic": "a""#), pipe("data", "here", r#""topic": "b""#)],
    ))
    .await;
    let report = within(broker.publish("data", "x").timeout(Duration::from_secs(2))).await.unwrap();
    assert_eq!(next(&mut there).await.topic(), "b");
    let failures: Vec<_> = report.failures().collect();
    assert_eq!(failures.len(), 1);
    assert!(matches!(failures[0].outcome, Err(DeliveryError::NotSent(_))), "{failures:?}");
    let error = report.into_result().unwrap_err();
    assert!(error.to_string().contains("`data` to `away` (mqtt): not sent"), "{error}");
    assert_eq!(error.0.deliveries().len(), 2);
}

#[tokio::test]
async fn one_target_may_be_several_destinations_of_a_pipe() {
    let broker = sim().await;
    let mut there = client(&broker).await.subscribe("#").await.unwrap();
    let pipe = r#"{ "message_id": "m", "destinations": [
        { "target_name": "t", "mqtt_message_options": { "topic": "first" } },
        { "target_name": "t", "mqtt_message_options": { "topic": "second", "retain": true } }] }"#;
    let messages = initialised(&config(&[target("t", &broker, "")], &[pipe.to_owned()])).await;
    let report = within(messages.publish("m", "x")).await.unwrap().into_result().unwrap();
    assert_eq!(report.len(), 2);
    assert_eq!((next(&mut there).await.topic(), next(&mut there).await.topic()), ("first", "second"));
    let kept = next(&mut client(&broker).await.subscribe("#").await.unwrap()).await;
    assert_eq!((kept.topic(), kept.retain()), ("second", true));
}

#[tokio::test]
async fn message_ids_are_matched_as_they_are_written_and_variables_reach_the_topic() {
    let broker = sim().await;
    let mut there = client(&broker).await.subscribe("#").await.unwrap();
    let messages = initialised(&config(
        &[target("t", &broker, "")],
        &[
            pipe("data", "t", r#""topic": "exact""#),
            pipe("a.c", "t", r#""topic": "dot""#),
            pipe("image_${camera}_${kind}", "t", r#""topic": "images/${camera}/${kind}""#),
            pipe("image_left_${rest}", "t", r#""topic": "left/${c_id}""#),
        ],
    ))
    .await;
    for id in ["big_data", "data2", "abc", "an image_x_y"] {
        let report = within(messages.publish(id, "x")).await.unwrap();
        assert!(report.is_ok() && report.deliveries().is_empty(), "{id}");
    }
    let payload = Payload::new("x").correlation_id("order-7");
    for id in ["data", "a.c", "image_left_jpg"] {
        within(messages.publish(id, payload.clone())).await.unwrap().into_result().unwrap();
    }
    let mut topics = Vec::new();
    for _ in 0..4 {
        topics.push(next(&mut there).await.topic().to_owned());
    }
    assert_eq!(topics, ["exact", "dot", "images/left/jpg", "left/order-7"]);
    // What a variable brings can make a topic wrong.
    let report = within(messages.publish("image_#_x", "x")).await.unwrap();
    let failure = report.failures().next().unwrap();
    assert!(matches!(failure.outcome, Err(DeliveryError::Refused(_))), "{failure}");
}

#[tokio::test]
async fn each_target_gets_messages_in_the_order_of_the_calls() {
    let broker = sim().await;
    let mut there = client(&broker).await.subscribe("#").await.unwrap();
    let messages =
        initialised(&config(&[target("t", &broker, "")], &[pipe("m", "t", r#""topic": "t""#)])).await;
    let (sender, mut told) = mpsc::unbounded_channel();
    for number in 0..200_u32 {
        let sender = sender.clone();
        let handler = move |delivery: Delivery| sender.send(delivery.is_ok()).unwrap();
        messages.publish_async("m", number.to_string(), handler).unwrap();
    }
    for number in 0..200_u32 {
        assert_eq!(next(&mut there).await.payload(), number.to_string().as_bytes());
        assert!(within(told.recv()).await.unwrap());
    }
}

#[tokio::test]
async fn publishing_without_waiting_tells_a_handler_of_each_destination() {
    let broker = sim().await;
    let nowhere =
        r#"{ "protocol": "mqtt", "name": "away", "mqtt_options": { "server": "mqtt://127.0.0.1:1" } }"#;
    let messages = MessageBroker::builder()
        .config(config(
            &[nowhere.to_owned(), target("here", &broker, "")],
            &[pipe("data", "away", r#""topic": "a""#), pipe("data", "here", r#""topic": "b""#)],
        ))
        .unique(true)
        .timeout(Duration::from_secs(2))
        .create()
        .unwrap();
    messages.initialise().await.unwrap();
    let (handler, _received) = collect();
    messages.subscribe("data", handler).await.unwrap();
    let (sender, mut told) = mpsc::unbounded_channel();
    messages
        .publish_async("data", "x", move |delivery| {
            sender
                .send((delivery.target.to_string(), delivery.protocol.to_string(), delivery.is_ok()))
                .unwrap();
            assert!(!delivery.is_ok() || &*delivery.target != "here", "a handler that panics");
        })
        .unwrap();
    let mut all = Vec::new();
    while let Some(one) = within(told.recv()).await {
        all.push(one);
    }
    all.sort();
    let expected = [("away", "mqtt", false), ("here", "mqtt", true), ("loopback", "loopback", true)];
    assert_eq!(all, expected.map(|(target, protocol, ok)| (target.to_owned(), protocol.to_owned(), ok)));
}

#[tokio::test]
async fn what_nobody_waits_for_is_bounded() {
    let messages = unique("{}");
    messages.initialise().await.unwrap();
    let gate = Arc::new(Semaphore::new(0));
    let held = gate.clone();
    let handler = move |_| {
        let held = held.clone();
        async move { held.acquire().await.unwrap().forget() }
    };
    messages.subscribe("slow", handler).await.unwrap();
    for _ in 0..1000 {
        messages.publish_async("slow", "x", |_| ()).unwrap();
    }
    assert_eq!(messages.publish_async("slow", "x", |_| ()), Err(MessageError::Full));
    gate.add_permits(2000);
    // Waiting is possible in any case.
    within(messages.publish("slow", "x")).await.unwrap().into_result().unwrap();
}

#[tokio::test]
async fn handlers_get_what_is_published_here_and_what_arrives_for_their_id() {
    let (one, other) = (sim().await, sim().await);
    let subscription = r#"{ "subscription_id": "commands", "topic": "devices/+/commands/#" }"#;
    let spelled = r#"{ "subscription-id": "commands", "topic": "all" }"#;
    let messages =
        initialised(&config(&[target("one", &one, subscription), target("other", &other, spelled)], &[]))
            .await;
    let (handler, mut received) = collect();
    let (second, mut too) = collect();
    messages.subscribe("commands", handler).await.unwrap();
    let token = messages.subscribe("commands", second).await.unwrap();
    let states = messages.subscriptions();
    assert_eq!(states.len(), 6);
    assert!(states.iter().all(|status| status.state == SourceState::Active), "{states:?}");

    // A filter with wildcards delivers.
    client(&one).await.publish("devices/7/commands/stop/now", "1").qos(QoS::AtLeastOnce).await.unwrap();
    for stream in [&mut received, &mut too] {
        let message = within(stream.recv()).await.unwrap();
        assert_eq!((&*message.target, &*message.subscription_id), ("one", "commands"));
        assert_eq!(message.payload.bytes(), "1");
        let arrived = message.message.unwrap();
        assert_eq!((arrived.topic(), arrived.qos()), ("devices/7/commands/stop/now", QoS::AtLeastOnce));
    }
    client(&other).await.publish("all", "2").qos(QoS::AtLeastOnce).await.unwrap();
    assert_eq!((text(&mut received).await, text(&mut too).await), ("2".to_owned(), "2".to_owned()));
    let payload = Payload::new("3").correlation_id("c");
    let report = within(messages.publish("commands", payload.clone())).await.unwrap().into_result().unwrap();
    assert_eq!(&*report[0].target, "loopback");
    let local = within(received.recv()).await.unwrap();
    assert_eq!((&*local.target, local.payload.id()), ("loopback", payload.id()));
    assert!(local.message.is_none());
    assert_eq!(text(&mut too).await, "3");

    // One goes, the other stays, and the filter with it.
    assert!(within(messages.unsubscribe(token)).await);
    client(&one).await.publish("devices/7/commands", "4").qos(QoS::AtLeastOnce).await.unwrap();
    assert_eq!(text(&mut received).await, "4");
    assert!(too.recv().await.is_none());
    assert!(!within(messages.unsubscribe(token)).await, "the token is gone");
}

#[tokio::test]
async fn a_later_handler_brings_no_retained_message_again() {
    for version in ["3.1.1", "5.0"] {
        let broker = sim().await;
        let sender = client(&broker).await;
        sender.publish("a/b", "kept").qos(QoS::AtLeastOnce).retain(true).await.unwrap();
        let target = format!(
            r#"{{ "protocol": "mqtt", "name": "t", "mqtt_options": {{ "server": "{}", "version": "{version}" }},
                "mqtt_subscriptions": [{{ "subscription_id": "s", "topic": "a/#" }}] }}"#,
            broker.url()
        );
        let messages = initialised(&config(&[target], &[])).await;
        let ((handler, mut received), (second, mut too)) = (collect(), collect());
        messages.subscribe("s", handler).await.unwrap();
        assert_eq!(text(&mut received).await, "kept");
        messages.subscribe("s", second).await.unwrap();
        sender.publish("a/b", "new").qos(QoS::AtLeastOnce).await.unwrap();
        assert_eq!((text(&mut received).await, text(&mut too).await), ("new".to_owned(), "new".to_owned()));
    }
}

#[tokio::test]
async fn the_last_handler_of_a_filter_takes_it_back_from_the_broker() {
    let broker = sim().await;
    let persistent = format!(
        r#"{{ "protocol": "mqtt", "name": "t", "mqtt_options": {{ "server": "{}", "client_id": "c",
            "session": "persistent" }}, "mqtt_subscriptions": [{{ "subscription_id": "s", "topic": "a/#" }}] }}"#,
        broker.url()
    );
    let messages = initialised(&config(&[persistent], &[])).await;
    let publisher = client(&broker).await;
    let publish = async || publisher.publish("a/b", "x").qos(QoS::AtLeastOnce).await.unwrap().reason;
    let (one, _one) = collect();
    let (other, _other) = collect();
    let (one, other) =
        (messages.subscribe("s", one).await.unwrap(), messages.subscribe("s", other).await.unwrap());
    assert!(within(messages.unsubscribe(one)).await);
    assert_eq!(publish().await, packetboat::Reason::SUCCESS);
    assert!(within(messages.unsubscribe(other)).await);
    assert_eq!(publish().await, packetboat::Reason::NO_MATCHING_SUBSCRIBERS);
    assert!(broker.violations().is_empty());
}

#[tokio::test]
async fn a_handler_that_panics_or_is_slow_harms_no_other() {
    let broker = sim().await;
    let subscription = r#"{ "subscription_id": "s", "topic": "s" }"#;
    let messages = initialised(&config(&[target("t", &broker, subscription)], &[])).await;
    messages.subscribe("s", |_| -> std::future::Ready<()> { panic!("the handler's") }).await.unwrap();
    messages.subscribe("s", |_| std::future::pending()).await.unwrap();
    let (handler, mut received) = collect();
    messages.subscribe("s", handler).await.unwrap();
    let publisher = client(&broker).await;
    for number in 0..3 {
        publisher.publish("s", number.to_string()).qos(QoS::AtLeastOnce).await.unwrap();
        assert_eq!(text(&mut received).await, number.to_string());
    }
    // Here, too; and who publishes is told.
    let report = within(messages.publish("s", "3").timeout(Duration::from_secs(1))).await.unwrap();
    assert_eq!(text(&mut received).await, "3");
    assert!(!report.is_ok());
}

#[tokio::test]
async fn a_handler_that_panics_is_told_of() {
    let messages = initialised("{}").await;
    messages.subscribe("s", |_| -> std::future::Ready<()> { panic!("the handler's") }).await.unwrap();
    let error = within(messages.publish("s", "x")).await.unwrap().into_result().unwrap_err();
    assert!(error.to_string().contains("the handler's"), "{error}");
}

#[tokio::test]
async fn a_refused_subscription_is_an_error_and_leaves_nothing_behind() {
    let denied = vec![packetboat::TopicFilter::new("secret/#").unwrap()];
    let rules = packetboat_sim::broker::Config { denied, ..Default::default() };
    let broker = packetboat_sim::net::Options::new().config(rules).start().await.unwrap();
    let shared = r#"{ "subscription_id": "s", "topic": "secret/#" }"#;
    let old = format!(
        r#"{{ "protocol": "mqtt", "name": "old", "mqtt_options": {{ "server": "{}", "version": "3.1.1" }},
            "mqtt_subscriptions": [{shared}] }}"#,
        broker.url()
    );
    let messages = initialised(&config(&[old], &[])).await;
    let (handler, mut received) = collect();
    let error = within(messages.subscribe("s", handler)).await.unwrap_err();
    assert!(matches!(error, HandlerError::Refused { .. }), "{error}");
    assert!(error.to_string().contains("target `old` refused the subscription `s`"), "{error}");
    assert!(messages.subscriptions().is_empty());
    let report = within(messages.publish("s", "x")).await.unwrap();
    assert!(report.deliveries().is_empty() && received.recv().await.is_none());
}

#[tokio::test]
async fn a_broker_that_is_away_gets_its_subscriptions_when_it_comes() {
    let gone = sim().await;
    let port = gone.port();
    gone.stop().await;
    let away = format!(
        r#"{{ "protocol": "mqtt", "name": "away", "mqtt_options": {{ "server": "mqtt://127.0.0.1:{port}",
            "reconnect": {{ "minimum": 0.01, "maximum": 0.05 }} }},
            "mqtt_subscriptions": [{{ "subscription_id": "s", "topic": "a" }}] }}"#
    );
    let messages = initialised(&config(&[away], &[])).await;
    let (handler, mut received) = collect();
    within(messages.subscribe("s", handler)).await.unwrap();
    let away = |messages: &MessageBroker| {
        messages.subscriptions().into_iter().find(|status| &*status.target == "away")
    };
    assert_eq!(away(&messages).unwrap().state, SourceState::Asked);
    let broker = packetboat_sim::net::Options::new().port(port).start().await.unwrap();
    let publisher = client(&broker).await;
    let retained = publisher.publish("a", "kept").qos(QoS::AtLeastOnce).retain(true);
    retained.await.unwrap();
    assert_eq!(text(&mut received).await, "kept");
    assert_eq!(away(&messages).unwrap().state, SourceState::Active);
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let messages = unique("{}");
    assert!(matches!(messages.publish("m", "x").await, Err(MessageError::NotInitialised)));
    assert!(messages.initialise().await.unwrap());
    assert!(!messages.initialise().await.unwrap(), "a second time nothing happens");
    assert!(matches!(messages.publish("", "x").await, Err(MessageError::EmptyId)));
    assert_eq!(messages.publish_async("", "x", |_| ()), Err(MessageError::EmptyId));
    let (handler, _) = collect();
    assert!(matches!(
        messages.subscribe("", handler).await,
        Err(HandlerError::Message(MessageError::EmptyId))
    ));
    // An id that nothing is configured for is none of these.
    assert!(messages.publish("unknown", "x").await.unwrap().deliveries().is_empty());
    messages.close().await;
    assert!(matches!(messages.publish("m", "x").await, Err(MessageError::Closed)));
    assert!(matches!(messages.initialise().await, Err(InitialiseError::Closed)));
}

/// All problems of a configuration, one a line.
async fn wrong(config: &str) -> String {
    let error = unique(config).initialise().await.unwrap_err();
    assert!(matches!(error, InitialiseError::Wrong(_)));
    error.to_string()
}

#[tokio::test]
async fn a_wrong_configuration_says_all_that_is_wrong_and_where() {
    let text = r#"{
    "targets": [
        { "protocol": "mqtt", "name": "a", "mqtt_options": { "server": "mqtt://h" } },
        { "protocol": "mqtt", "name": "a", "mqtt_options": { "server": "mqtt://h" } },
        { "protocol": "carrier-pigeon", "name": "p", "carrier-pigeon_options": {} },
        { "protocol": "mqtt", "name": "b" },
        { "protocol": "mqtt", "name": "c", "mqtt_options": { "sever": "mqtt://h" } },
        { "protocol": "mqtt", "name": "d", "mqtt_options": { "server": "mqtt://h" }, "mqtt_subscriptions": [
            { "subscription_id": "s", "topic": "a" },
            { "subscription_id": "s", "topic": "b" },
            { "topic": "c" },
            { "subscription_id": "t", "topic": "a/#/b" }] }
    ],
    "pipes": [
        { "message_id": "m", "destinations": [
            { "target_name": "nobody", "mqtt_message_options": { "topic": "t" } },
            { "target_name": "a" },
            { "target_name": "a", "mqtt_message_options": { "topic": "a/+" } },
            { "target_name": "a", "mqtt_message_options": { "topic": "${x}", "qos": 3 } },
            { "target_name": "a", "mqtt_message_options": {} }] },
        { "message_id": "${x}${x}", "destinations": [] },
        { "destinations": [] },
        { "message_id": "m", "message-id": "n", "destinations": [] },
        { "message_id": "", "destination": [], "zzzzzzzzzzzz": 1 }
    ] }"#;
    let said = wrong(text).await;
    for part in [
        "4:31: `targets[1].name` is `a`, as another target's",
        "`targets[2].protocol` of the target `p` is `carrier-pigeon`: there are mqtt, file, http, loopback",
        "`targets[3].mqtt_options` is missing, of the target `b`",
        "7:62: `targets[4].mqtt_options.sever` is no key: did you mean `server`?",
        "10:15: `targets[5].mqtt_subscriptions[1].subscription_id` is `s`",
        "`targets[5].mqtt_subscriptions[2].subscription_id` is missing",
        "`targets[5].mqtt_subscriptions[3].topic` is no topic filter",
        "16:15: `pipes[0].destinations[0].target_name` is `nobody`, which is no target: there are a, b, c, d, p",
        "`pipes[0].destinations[1].mqtt_message_options` is missing",
        "`pipes[0].destinations[2].mqtt_message_options.topic` is no topic",
        "`pipes[0].destinations[3].mqtt_message_options.topic` has `${x}`, which nothing says here",
        "`pipes[0].destinations[3].mqtt_message_options.qos` must be a whole number from 0 to 2, and is 3",
        "`pipes[0].destinations[4].mqtt_message_options.topic` is missing",
        "`pipes[1].message_id` has `${x}` twice",
        "`pipes[2].message_id` is missing",
        "23:30: `pipes[3].message-id` is said a second time: it is the same as `message_id`",
        "`pipes[4].message_id` is empty",
        "`pipes[4].destination` is no key: did you mean `pipes[4].destinations`?",
        "`pipes[4].zzzzzzzzzzzz` is no key: there are message_id, message-id, destinations",
    ] {
        assert!(said.contains(part), "{part}\n--\n{said}");
    }
    assert_eq!(said.lines().count(), 19, "{said}");
}

/// A protocol of the user's: it notes what it gets, and fails when told to.
#[derive(Clone, Default)]
struct Notes {
    lines: Arc<Mutex<Vec<String>>>,
    fails_to_start: Arc<Mutex<bool>>,
    /// Who is subscribed.
    inboxes: Arc<Mutex<Vec<Inbox>>>,
}

impl Protocol for Notes {
    fn name(&self) -> &'static str {
        "notes"
    }

    fn target(&self, _: &TargetDescription<'_>) -> Result<Arc<dyn Target>, Vec<Problem>> {
        Ok(Arc::new(self.clone()))
    }
}

impl Target for Notes {
    fn destination(&self, options: &Node, _: &[&str]) -> Result<Arc<dyn Destination>, Vec<Problem>> {
        if options.key("wrong").is_some() {
            return Err(vec![Problem::new(options.at, "wrong", "is wrong")]);
        }
        Ok(Arc::new(self.clone()))
    }

    fn source(&self, _: &Node) -> Result<Arc<dyn Source>, Vec<Problem>> {
        Ok(Arc::new(self.clone()))
    }

    fn start(&self) -> Result<(), packetboat_hub::broker::FailedStart> {
        if *self.fails_to_start.lock().unwrap() { Err("no paper".into()) } else { Ok(()) }
    }
}

impl Destination for Notes {
    fn publish(&self, message: Outgoing) -> Later<'static, Result<Delivered, DeliveryError>> {
        let lines = self.lines.clone();
        Box::pin(async move {
            assert_ne!(message.payload.bytes(), "panic");
            if message.payload.bytes() == "hang" {
                std::future::pending::<()>().await;
            }
            lines.lock().unwrap().push(format!("{} {}", message.message_id, message.count));
            Ok(Delivered::new())
        })
    }
}

impl Source for Notes {
    fn subscribe(
        &self,
        inbox: Inbox,
        _: Duration,
    ) -> Later<'static, Result<Box<dyn Subscribed>, SourceError>> {
        self.inboxes.lock().unwrap().push(inbox);
        let reader: Box<dyn Subscribed> = Box::new(self.clone());
        Box::pin(async move { Ok(reader) })
    }
}

impl Subscribed for Notes {
    fn state(&self) -> SourceState {
        SourceState::Active
    }

    fn end(self: Box<Self>) -> Later<'static, ()> {
        self.inboxes.lock().unwrap().clear();
        Box::pin(std::future::ready(()))
    }
}

const NOTES: &str = r#"{ "targets": [{ "protocol": "notes", "name": "n", "notes_options": {} }],
    "pipes": [{ "message_id": "m", "destinations": [{ "target_name": "n", "notes_message_options": {} }] }] }"#;

#[tokio::test]
async fn protocols_of_others_take_part() {
    let notes = Notes::default();
    let messages = unique(NOTES);
    messages.add_protocol(notes.clone()).unwrap();
    assert_eq!(messages.add_protocol(notes.clone()), Err(ProtocolError::Exists("notes".to_owned())));
    messages.initialise().await.unwrap();
    assert_eq!(messages.add_protocol(notes.clone()), Err(ProtocolError::TooLate("notes".to_owned())));
    for _ in 0..2 {
        within(messages.publish("m", "x")).await.unwrap().into_result().unwrap();
    }
    assert_eq!(*notes.lines.lock().unwrap(), ["m 0", "m 1"]);
    let error = within(messages.publish("m", "panic")).await.unwrap().into_result().unwrap_err();
    assert!(error.to_string().contains("panicked"), "{error}");
}

#[tokio::test]
async fn protocols_of_others_have_subscriptions() {
    let notes = Notes::default();
    let messages = unique(
        r#"{ "targets": [{ "protocol": "notes", "name": "n", "notes_options": {},
            "notes_subscriptions": [{ "subscription_id": "s", "page": 7 }] }] }"#,
    );
    messages.add_protocol(notes.clone()).unwrap();
    messages.initialise().await.unwrap();
    let (handler, mut received) = collect();
    let token = messages.subscribe("s", handler).await.unwrap();
    let inbox = notes.inboxes.lock().unwrap()[0].clone();
    within(inbox.put("written".into(), None)).await.unwrap();
    let message = within(received.recv()).await.unwrap();
    assert_eq!((&*message.target, message.payload.bytes()), ("n", "written".into()));
    assert!(messages.unsubscribe(token).await);
    assert!(notes.inboxes.lock().unwrap().is_empty());
    let failing = |_| -> std::future::Ready<()> { panic!("the handler's") };
    messages.subscribe("s", failing).await.unwrap();
    let inbox = notes.inboxes.lock().unwrap()[0].clone();
    assert!(within(inbox.put("written".into(), None)).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_never_ends_is_given_up() {
    let messages = unique(NOTES);
    messages.add_protocol(Notes::default()).unwrap();
    messages.initialise().await.unwrap();
    let before = tokio::time::Instant::now();
    let report = messages.publish("m", "hang").await.unwrap();
    assert!(matches!(report.deliveries()[0].outcome, Err(DeliveryError::Unknown(_))), "{report:?}");
    assert_eq!(before.elapsed(), Duration::from_secs(31));
}

#[tokio::test]
async fn an_initialisation_that_failed_leaves_nothing_and_can_be_repeated() {
    let notes = Notes::default();
    *notes.fails_to_start.lock().unwrap() = true;
    let messages = unique(NOTES);
    let error = messages.initialise().await.unwrap_err().to_string();
    assert!(error.contains("`notes`: there are mqtt, file, http, loopback"), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    messages.add_protocol(notes.clone()).unwrap();
    let error = messages.initialise().await.unwrap_err().to_string();
    assert_eq!(error, "the target `n` could not begin: no paper");
    *notes.fails_to_start.lock().unwrap() = false;
    assert!(messages.initialise().await.unwrap());
    within(messages.publish("m", "x")).await.unwrap().into_result().unwrap();
}

#[tokio::test]
async fn a_connection_of_the_hub_is_a_target_by_its_name() {
    let broker = sim().await;
    let hub = Hub::new();
    hub.add("plant", Options::new(&broker.url())).unwrap();
    let target = r#"{ "protocol": "mqtt", "name": "in", "mqtt_options": { "connection": "plant" },
        "mqtt_subscriptions": [{ "subscription_id": "s", "topic": "up/+" }] }"#;
    let config = config(&[target.to_owned()], &[pipe("m_${x}", "plant", r#""topic": "up/${x}""#)]);
    let messages = MessageBroker::builder().config(config).hub(&hub).unique(true).create().unwrap();
    messages.initialise().await.unwrap();
    let (handler, mut received) = collect();
    within(messages.subscribe("s", handler)).await.unwrap();
    within(messages.publish("m_7", "x")).await.unwrap().into_result().unwrap();
    let message = within(received.recv()).await.unwrap();
    assert_eq!((&*message.target, message.message.unwrap().topic()), ("in", "up/7"));
}

#[tokio::test]
async fn a_lost_acknowledgement_holds_up_nobody_else() {
    let broker = sim().await;
    let subscription = r#"{ "subscription_id": "s", "topic": "s" }"#;
    let messages = initialised(&config(
        &[target("t", &broker, subscription)],
        &[pipe("m", "t", r#""topic": "a""#), pipe("n", "t", r#""topic": "s", "qos": 0"#)],
    ))
    .await;
    within(messages.publish("m", "1")).await.unwrap().into_result().unwrap();
    broker.faults().swallow(packetboat::PacketType::Puback);
    let lost = messages.publish("m", "2").timeout(Duration::from_secs(1));
    let others = async {
        let (handler, received) = collect();
        let token = messages.subscribe("s", handler).await.unwrap();
        within(messages.unsubscribe(token)).await;
        drop(received);
    };
    let (lost, ()) = tokio::join!(within(lost), within(others));
    assert!(matches!(lost.unwrap().deliveries()[0].outcome, Err(DeliveryError::Unknown(_))));
}

#[tokio::test]
async fn dropping_a_publication_withdraws_what_was_not_accepted() {
    let messages = initialised(&config(
        &[r#"{ "protocol": "mqtt", "name": "t", "mqtt_options": { "server": "mqtt://127.0.0.1:1",
            "queue": { "messages": 1 } } }"#
            .to_owned()],
        &[pipe("m", "t", r#""topic": "t""#)],
    ))
    .await;
    let mut first = Box::pin(messages.publish("m", "1").into_future());
    assert!(futures_now(&mut first).is_none());
    // In line behind it, and gone.
    let mut second = Box::pin(messages.publish("m", "2").into_future());
    assert!(futures_now(&mut second).is_none());
    drop(second);
    let third = messages.publish("m", "3").timeout(Duration::from_millis(50));
    assert!(!within(third).await.unwrap().is_ok());
}

fn futures_now<T>(future: &mut std::pin::Pin<Box<impl Future<Output = T> + ?Sized>>) -> Option<T> {
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut cx) {
        std::task::Poll::Ready(value) => Some(value),
        std::task::Poll::Pending => None,
    }
}
