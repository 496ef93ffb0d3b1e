//! Statements of Azure's session client test document that no other test shows: see `azure.md`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use common::inside::{self, Host, Inside, Network, connected, disconnected, event, patient};
use packetboat::{Client, Event, OnFailure, Options, PublishError, QoS, Reason, SessionMode, SubscribeError};
use packetboat_core::wire::PacketType;
use packetboat_sim::broker::{Broker, Config, Direction, Message};

const SECOND: Duration = Duration::from_secs(1);

fn options(network: &Network) -> Options {
    inside::options("mqtt://one", network)
        .session(SessionMode::Persistent { expiry: Duration::from_hours(1) })
}

async fn online(broker: &Inside) -> (Network, Client) {
    let network = Network::new([("one", Host::Broker(broker.clone()))]);
    let client = Client::connect(options(&network)).await.unwrap();
    (network, client)
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_for_while_offline_is_done_in_order_once_there_is_a_connection() {
    let broker = Inside::new();
    let (network, client) = online(&broker).await;
    let mut events = client.events();
    let mut old = client.subscribe("old").await.unwrap();
    network.set("one", Host::Down);
    broker.with(Broker::cut_all);
    disconnected(&mut events).await;
    let receipt = client.publish("new", "queued").qos(QoS::AtLeastOnce).enqueue().await.unwrap();
    let (sub, unsub) = (client.clone(), client.clone());
    let subscribing = tokio::spawn(async move { sub.subscription("new").qos(QoS::AtLeastOnce).await });
    let unsubscribing = tokio::spawn(async move { unsub.unsubscribe("old").await });
    tokio::time::sleep(20 * SECOND).await;
    assert!(!subscribing.is_finished() && !unsubscribing.is_finished());
    network.set("one", Host::Broker(broker.clone()));
    patient(receipt).await.unwrap();
    let mut new = patient(subscribing).await.unwrap().unwrap();
    patient(unsubscribing).await.unwrap().unwrap();
    assert!(patient(old.next()).await.is_none());
    client.publish("new", "now").qos(QoS::AtLeastOnce).await.unwrap();
    while common::next(&mut new).await.payload() != b"now" {}
    assert_eq!(broker.with(|core, _| core.subscriptions("boat").join(" ")), "new");
    broker.check();
}

#[tokio::test(start_paused = true)]
async fn acknowledgements_leave_in_the_order_of_arrival_or_not_at_all() {
    let broker = Inside::new();
    let (_network, client) = online(&broker).await;
    let mut events = client.events();
    let mut stream = client.subscription("a").qos(QoS::AtLeastOnce).manual_ack().await.unwrap();
    let publish =
        |text: &str| broker.with(|core, now| core.publish(Message::new("a", text, QoS::AtLeastOnce), now));
    let acknowledged = || broker.with(|core, _| core.stats().received(PacketType::Puback));
    publish("1");
    publish("2");
    let (first, second) = (common::next(&mut stream).await, common::next(&mut stream).await);
    second.ack().unwrap();
    tokio::time::sleep(SECOND).await;
    assert_eq!(acknowledged(), 0, "the first is not done with");
    first.ack().unwrap();
    tokio::time::sleep(SECOND).await;
    // The broker, which is strict, judges their order.
    assert_eq!(acknowledged(), 2);
    publish("3");
    publish("4");
    let (first, second) = (common::next(&mut stream).await, common::next(&mut stream).await);
    second.ack().unwrap();
    tokio::time::sleep(SECOND).await;
    broker.with(Broker::cut_all);
    connected(&mut events).await;
    assert!(first.ack().is_err(), "its connection is gone");
    tokio::time::sleep(SECOND).await;
    assert_eq!(acknowledged(), 2);
    for text in [b"3", b"4"] {
        let again = common::next(&mut stream).await;
        assert_eq!(again.payload(), text);
        again.ack().unwrap();
    }
    broker.check();
}

#[tokio::test(start_paused = true)]
async fn a_refused_request_is_an_error_and_not_tried_again() {
    let denied = vec![packetboat::TopicFilter::new("secret/#").unwrap()];
    let broker = Inside::with_config(Config { denied, ..Config::default() });
    let (_network, client) = online(&broker).await;
    let error = client.publish("secret/a", "b").qos(QoS::AtLeastOnce).await.unwrap_err();
    assert!(matches!(error, PublishError::Refused { reason: Reason::NOT_AUTHORIZED, .. }), "{error:?}");
    let error = client.subscribe("secret/a").await.unwrap_err();
    assert!(matches!(error, SubscribeError::Refused { .. }), "{error:?}");
    tokio::time::sleep(Duration::from_mins(10)).await;
    let received = |packet| broker.with(|core, _| core.stats().received(packet));
    assert_eq!((received(PacketType::Publish), received(PacketType::Subscribe)), (1, 1));
}

/// No broker here refuses an UNSUBSCRIBE: the answer is put into its mouth.
#[tokio::test(start_paused = true)]
async fn a_refused_unsubscribe_is_an_error() {
    let broker = Inside::new();
    let (_network, client) = online(&broker).await;
    let mut stream = client.subscribe("a").await.unwrap();
    broker.with(|core, _| {
        core.faults().swallow(PacketType::Unsuback);
    });
    let [_, id] = client.next_packet_id().unwrap().to_be_bytes();
    let asked = client.unsubscribe("a");
    tokio::time::sleep(SECOND).await;
    assert!(broker.with(|core, _| core.send_raw("boat", &[0xb0, 4, 0, id, 0, 0x87])));
    let error = patient(asked).await.unwrap_err();
    assert!(matches!(error, SubscribeError::Refused { reason: Reason::NOT_AUTHORIZED, .. }), "{error:?}");
    assert!(patient(stream.next()).await.is_none(), "nobody listens any more all the same");
}

#[tokio::test(start_paused = true)]
async fn an_unsuback_says_what_it_says() {
    let broker = Inside::new();
    let (_network, client) = online(&broker).await;
    let mut stream = client.subscribe("a").await.unwrap();
    client.unsubscribe("a").await.unwrap();
    assert!(stream.next().await.is_none());
    let nobody = client.publish("a", "b").qos(QoS::AtLeastOnce).await.unwrap();
    assert_eq!(nobody.reason, Reason::NO_MATCHING_SUBSCRIBERS);
    broker.check();
}

#[tokio::test(start_paused = true)]
async fn an_unsubscribe_cut_short_is_asked_again() {
    let broker = Inside::new();
    let (_network, client) = online(&broker).await;
    let _stream = client.subscribe("a").await.unwrap();
    broker.with(|core, _| {
        core.faults().drop_next(Direction::ToClient, PacketType::Unsuback, 1);
        core.faults().cut_after_packets(Direction::ToBroker, 1);
    });
    patient(async { client.unsubscribe("a").await }).await.unwrap();
    assert_eq!(broker.with(|core, _| core.stats().received(PacketType::Unsubscribe)), 2);
    broker.check();
}

#[tokio::test(start_paused = true)]
async fn a_subscribe_cut_short_is_asked_again() {
    let broker = Inside::new();
    let (_network, client) = online(&broker).await;
    broker.with(|core, _| {
        core.faults().drop_next(Direction::ToClient, PacketType::Suback, 1);
        core.faults().cut_after_packets(Direction::ToBroker, 1);
    });
    let mut stream = patient(client.subscribe("a")).await.unwrap();
    client.publish("a", "b").qos(QoS::AtLeastOnce).await.unwrap();
    assert_eq!(common::next(&mut stream).await.payload(), b"b");
    broker.check();
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_never_retries_is_asked_once_and_ends_the_client() {
    let broker = Inside::new();
    let network = Network::new([("one", Host::Broker(broker.clone()))]);
    let asked = Arc::new(AtomicU32::new(0));
    let count = asked.clone();
    let never = options(&network).on_failure(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        OnFailure::Stop
    });
    let client = Client::connect(never).await.unwrap();
    let mut events = client.events();
    broker.with(Broker::cut_all);
    event(&mut events, |event| matches!(event, Event::GaveUp).then_some(())).await;
    assert_eq!((asked.load(Ordering::Relaxed), network.count()), (1, 1));
    assert!(client.publish("a", "b").await.is_err());
}

#[tokio::test(start_paused = true)]
async fn an_idle_client_that_is_thrown_out_comes_back() {
    for reason in [Reason::NOT_AUTHORIZED, Reason::SERVER_BUSY, Reason::QUOTA_EXCEEDED] {
        let broker = Inside::new();
        let (_network, client) = online(&broker).await;
        let mut events = client.events();
        tokio::time::sleep(Duration::from_mins(5)).await;
        assert!(broker.with(|core, now| core.disconnect("boat", reason, now)));
        assert!(connected(&mut events).await);
        broker.check();
    }
}
