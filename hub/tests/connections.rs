//! Connections that come and go, with strict brokers in this process.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]

mod common;

use std::time::Duration;

use common::{came, options, went, within};
use packetboat::{Options, OptionsError, QoS, SessionMode};
use packetboat_hub::{AddError, Change, Hub, PropertyFilter, RemoveError, ToAllError, UpdateError};
use packetboat_sim::broker::{Config, Direction, Refusal};
use packetboat_sim::net::{self, Broker};

#[tokio::test]
async fn a_connection_is_found_by_its_name_and_by_its_properties() {
    let (one, two) = (Broker::start().await.unwrap(), Broker::start().await.unwrap());
    let hub = Hub::new();
    let mut watch = hub.watch(PropertyFilter::all());
    hub.add("one", options(&one.url())).unwrap();
    assert_eq!(came(&mut watch).await, "one");
    hub.add("two", options(&two.url())).unwrap();
    assert_eq!(came(&mut watch).await, "two");
    hub.add("away", options("mqtt://127.0.0.1:1")).unwrap();

    let found = |filter: &str| {
        let filter: PropertyFilter = filter.parse().unwrap();
        hub.find(&filter).iter().map(|one| one.id().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(found(""), ["one", "two"], "only those that are there are services");
    assert_eq!(found(&format!("(port={})", two.port())), ["two"]);
    assert_eq!(found("(&(host=127.0.0.1)(id=o*))"), ["one"]);
    assert_eq!(found("(state=connected)"), ["one", "two"]);
    assert_eq!(found("(!(state=connected))"), [""; 0]);
    assert!(hub.connection("two").unwrap().is_connected());
    assert!(!hub.connection("away").unwrap().is_connected());
    assert_eq!(hub.connection("away").unwrap().properties().get("port").unwrap().to_string(), "1");
    assert!(hub.connection("three").is_none());
    assert_eq!(hub.connections().len(), 3);
    assert!(hub.close().await.is_empty());
    assert!(matches!(hub.add("late", options(&one.url())), Err(AddError::Closed)));
    let mut gone = vec![went(&mut watch).await, went(&mut watch).await];
    gone.sort();
    assert_eq!(gone, ["one", "two"]);
    drop(hub);
    assert!(within(watch.next()).await.is_none());
    assert!(one.violations().is_empty() && two.violations().is_empty());
}

#[tokio::test]
async fn a_first_connect_that_fails_is_tried_again() {
    let broker = Broker::start().await.unwrap();
    broker.faults().refuse(3, Refusal::Code(packetboat::Reason::SERVER_UNAVAILABLE));
    let hub = Hub::new();
    let mut watch = hub.watch(PropertyFilter::all());
    hub.add("one", options(&broker.url())).unwrap();
    assert_eq!(came(&mut watch).await, "one");
    assert_eq!(broker.stats().accepted, 1);
}

#[tokio::test]
async fn a_refused_attempt_is_never_seen() {
    let config =
        Config { credentials: [("user".to_owned(), b"secret".to_vec())].into(), ..Config::default() };
    let broker = net::Options::new().config(config).start().await.unwrap();
    let hub = Hub::new();
    let mut watch = hub.watch(PropertyFilter::all());
    let login = |login: &str| {
        let url = format!("mqtt://{login}@127.0.0.1:{}", broker.port());
        options(&url).on_refusal(packetboat::Refusals::Retry)
    };
    let connection = hub.add("one", login("user:guess")).unwrap();
    within(broker.until(|broker| broker.stats().refused >= 5)).await;
    hub.update("one", login("user:secret")).unwrap();
    let Some(Change::Came(came)) = within(watch.next()).await else { panic!("it never came") };
    assert!(came.is_connected() && connection.is_connected());
    assert!(broker.stats().refused >= 5, "and none of these was told");
}

#[tokio::test]
async fn a_short_absence_is_not_told_and_a_long_one_is() {
    let broker = Broker::start().await.unwrap();
    let hub = Hub::with_patience(Duration::from_secs(30));
    let mut watch = hub.watch(PropertyFilter::all());
    let mut strict = hub.watch("(state=connected)".parse().unwrap());
    let connection = hub.add("one", options(&broker.url())).unwrap();
    came(&mut watch).await;
    came(&mut strict).await;
    let port = broker.port();
    let stopped = broker.stop().await;
    assert_eq!(went(&mut strict).await, "one", "who asks for the state is told of the state");
    assert_eq!(hub.find(&PropertyFilter::all()).len(), 1, "it is still a service");
    let broker = stopped.restart(true).await.unwrap();
    assert_eq!(broker.port(), port);
    assert_eq!(came(&mut strict).await, "one");
    hub.remove("one").await.unwrap();
    assert_eq!(went(&mut watch).await, "one", "that is the first it hears of it");
    assert!(!connection.is_connected());

    let hub = Hub::with_patience(Duration::ZERO);
    let mut watch = hub.watch(PropertyFilter::all());
    hub.add("one", options(&broker.url())).unwrap();
    came(&mut watch).await;
    let stopped = broker.stop().await;
    assert_eq!(went(&mut watch).await, "one");
    assert!(hub.find(&PropertyFilter::all()).is_empty());
    let _broker = stopped.restart(true).await.unwrap();
    assert_eq!(came(&mut watch).await, "one");
}

#[tokio::test]
async fn an_update_changes_what_differs_and_reconnects_only_for_that() {
    let (one, two) = (Broker::start().await.unwrap(), Broker::start().await.unwrap());
    let hub = Hub::new();
    let mut watch = hub.watch(PropertyFilter::all());
    let mut at_two = hub.watch(format!("(port={})", two.port()).parse().unwrap());
    let first = options(&one.url()).client_id("clock");
    hub.add("it", first.clone()).unwrap();
    came(&mut watch).await;
    hub.update("it", first.clone()).unwrap();
    hub.update("it", first.clone().acknowledgement_timeout(Duration::from_secs(7))).unwrap();
    let connection = hub.connection("it").unwrap();
    connection.publish("a", "1").qos(QoS::AtLeastOnce).await.unwrap();
    assert_eq!(one.stats().connections, 1, "nothing that differs needs another connection");

    hub.update("it", options(&two.url()).client_id("clock")).unwrap();
    assert_eq!(came(&mut at_two).await, "it");
    hub.connection("it").unwrap().publish("a", "2").qos(QoS::AtLeastOnce).await.unwrap();
    assert_eq!(two.stats().messages_in[1], 1);

    let wrong = options(&two.url()).session(SessionMode::Persistent { expiry: Duration::from_hours(1) });
    let error = hub.update("it", wrong).unwrap_err();
    assert!(matches!(error, UpdateError::Options(OptionsError::PersistentWithoutClientId)), "{error}");
    assert!(matches!(hub.update("it", "mqtt://"), Err(UpdateError::Options(OptionsError::Url(_)))));
    connection.publish("a", "3").qos(QoS::AtLeastOnce).await.unwrap();
    assert_eq!(two.stats().connections, 1, "what runs goes on");
    assert!(
        matches!(hub.update("other", "mqtt://localhost"), Err(UpdateError::Unknown(id)) if id == "other")
    );
    assert!(matches!(hub.add("it", options(&one.url())), Err(AddError::Exists(id)) if id == "it"));
    assert!(matches!(hub.add("new", "mqtt://"), Err(AddError::Options(_))));
    assert!(hub.connection("new").is_none());
}

#[tokio::test]
async fn what_was_queued_goes_where_the_update_leads() {
    let broker = Broker::start().await.unwrap();
    let hub = Hub::new();
    let connection = hub.add("it", options("mqtt://127.0.0.1:1")).unwrap();
    let mut receipts = Vec::new();
    for number in 0..100 {
        let publish = connection.publish("a", number.to_string()).qos(QoS::AtLeastOnce);
        receipts.push(publish.enqueue().await.unwrap());
    }
    hub.update("it", options(&broker.url())).unwrap();
    for receipt in receipts {
        within(receipt).await.unwrap();
    }
    assert_eq!(broker.stats().messages_in[1], 100);
}

#[tokio::test]
async fn removing_delivers_what_was_accepted_and_tells_what_was_not() {
    let broker = Broker::start().await.unwrap();
    let hub = Hub::new();
    let connection = hub.add("it", options(&broker.url())).unwrap();
    for number in 0..50 {
        let publish = connection.publish("a", number.to_string()).qos(QoS::ExactlyOnce);
        drop(publish.enqueue().await.unwrap());
    }
    within(hub.remove("it")).await.unwrap();
    assert_eq!(broker.stats().messages_in[2], 50);
    assert!(hub.connection("it").is_none());
    assert!(matches!(hub.remove("it").await, Err(RemoveError::Unknown(_))));

    // One that is only being tried ends, too: nobody connects behind our back.
    let never = hub.add("never", options("mqtt://127.0.0.1:1").drain_timeout(Duration::ZERO)).unwrap();
    drop(never.publish("a", "lost").qos(QoS::AtLeastOnce).enqueue().await.unwrap());
    let Err(RemoveError::Undelivered(left)) = within(hub.remove("never")).await else {
        panic!("nothing was left behind")
    };
    assert_eq!(left.messages, 1);
    assert!(matches!(never.client().state(), packetboat::State::Closed));
}

#[tokio::test]
async fn a_name_that_is_taken_again_is_another_connection() {
    let broker = Broker::start().await.unwrap();
    let hub = Hub::new();
    let mut watch = hub.watch(PropertyFilter::all());
    hub.add("it", options(&broker.url())).unwrap();
    came(&mut watch).await;
    hub.remove("it").await.unwrap();
    hub.add("it", options(&broker.url())).unwrap();
    assert_eq!(went(&mut watch).await, "it");
    assert_eq!(came(&mut watch).await, "it");
}

#[tokio::test]
async fn one_message_goes_to_all_that_are_connected_with_a_result_for_each() {
    let config = Config { denied: vec!["secret/#".parse().unwrap()], ..Config::default() };
    let (good, strict) =
        (Broker::start().await.unwrap(), net::Options::new().config(config).start().await.unwrap());
    let slow = Broker::start().await.unwrap();
    let hub = Hub::new();
    let mut watch = hub.watch(PropertyFilter::all());
    hub.add("good", options(&good.url())).unwrap();
    hub.add("strict", options(&strict.url())).unwrap();
    hub.add("slow", options(&slow.url())).unwrap();
    for _ in 0..3 {
        came(&mut watch).await;
    }
    let away = hub.add("away", options("mqtt://127.0.0.1:1")).unwrap();
    slow.faults().drop_next(Direction::ToClient, packetboat::PacketType::Puback, 1);
    let publish = hub.publish("secret/plan", "x").qos(QoS::AtLeastOnce).timeout(Duration::from_secs(2));
    let outcomes = within(publish.into_future()).await;
    let text = |outcome: &packetboat_hub::Outcome| match &outcome.result {
        Ok(_) => format!("{} ok", outcome.connection.id()),
        Err(error) => format!("{} {error}", outcome.connection.id()),
    };
    let texts: Vec<_> = outcomes.iter().map(text).collect();
    assert_eq!(texts.len(), 4);
    assert_eq!(texts[0], "away not sent: the broker is away");
    assert_eq!(texts[1], "good ok");
    assert!(texts[2].starts_with("slow sent, but not confirmed"), "{texts:?}");
    assert!(texts[3].starts_with("strict the broker refused"), "{texts:?}");
    assert_eq!(good.stats().messages_in[1], 1);

    // On request it waits for those that are away.
    let publish = hub.publish("a", "b").qos(QoS::AtLeastOnce).also_away().into_future();
    let publishing = tokio::spawn(publish);
    let late = Broker::start().await.unwrap();
    away.client().reconfigure(options(&late.url())).unwrap();
    let outcomes = within(publishing).await.unwrap();
    assert!(outcomes.iter().all(|outcome| outcome.result.is_ok()), "{outcomes:?}");
    assert_eq!(late.stats().messages_in[1], 1);
    let wrong = hub.publish("a/#", "b").await;
    assert!(wrong.iter().all(|outcome| matches!(&outcome.result, Err(ToAllError::Publish(_)))), "{wrong:?}");
}

#[tokio::test]
async fn dropping_the_hub_ends_its_connections() {
    let broker = Broker::start().await.unwrap();
    let hub = Hub::new();
    let connection = hub.add("it", options(&broker.url()).client_id("boat")).unwrap();
    connection.publish("a", "b").qos(QoS::AtLeastOnce).await.unwrap();
    let mut watch = hub.watch(PropertyFilter::all());
    came(&mut watch).await;
    drop((hub, connection));
    assert_eq!(went(&mut watch).await, "it");
    assert!(within(watch.next()).await.is_none());
    within(broker.until(|broker| broker.connection("boat").is_none())).await;
}

#[test]
fn nothing_of_a_secret_is_shown() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let hub = Hub::new();
        hub.add("it", Options::new("mqtt://user:hunter2@127.0.0.1:1")).unwrap();
        let shown = format!("{hub:?} {:?}", hub.connection("it").unwrap().properties());
        assert!(!shown.contains("hunter2"), "{shown}");
    });
}
