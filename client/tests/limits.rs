//! No call hangs: with a broker that never answers, with one that takes nothing, and with none at all, each call ends
//! within its limit and says why. On virtual time.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]

mod common;

use std::time::Duration;

use common::inside::{self, Host, Inside, Network, connected, disconnected, patient};
use packetboat::{
    Cause, Client, Disconnection, Options, PublishError, QoS, ReauthenticateError, RequestError, State,
    SubscribeError,
};
use packetboat_core::wire::PacketType;

const SECOND: Duration = Duration::from_secs(1);
const LIMIT: Duration = Duration::from_secs(7);

/// CONNACK of 5.0, all limits at their defaults.
const WELCOME: [u8; 5] = [0x20, 3, 0, 0, 0];

fn options(network: &Network) -> Options {
    inside::options("mqtt://one", network)
}

/// Ends after so many seconds of virtual time, to the second.
async fn after<T>(seconds: u64, what: &str, call: impl Future<Output = T>) -> T {
    let begun = tokio::time::Instant::now();
    let result = patient(call).await;
    assert_eq!(begun.elapsed().as_secs(), seconds, "{what}");
    result
}

/// Accepts the connection and answers nothing more.
fn speechless() -> Inside {
    let broker = Inside::new();
    broker.with(|core, _| {
        for packet in [
            PacketType::Puback,
            PacketType::Pubrec,
            PacketType::Suback,
            PacketType::Unsuback,
            PacketType::PingResp,
        ] {
            core.faults().swallow(packet);
        }
    });
    broker
}

/// Each call that waits for the broker, with its limit.
async fn all_end(client: &Client, why: &str) {
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let publish = client.publish("a", "b").qos(qos).timeout(LIMIT);
        match after(7, "publish", publish).await {
            Err(error @ PublishError::TimedOut { .. }) => assert!(error.to_string().contains(why), "{error}"),
            Err(PublishError::Unresolved(_)) if why.contains("answer") => {}
            other => panic!("{other:?}"),
        }
    }
    let times_out = |error: SubscribeError| {
        assert!(matches!(error, SubscribeError::TimedOut { .. }), "{error:?}");
        assert!(error.to_string().contains(why), "{error}");
    };
    let subscribe = client.subscription("a").timeout(LIMIT);
    times_out(after(7, "subscribe", subscribe).await.unwrap_err());
    let subscribe = client.subscription("a").to_messages().timeout(LIMIT);
    times_out(after(7, "subscribe for all", subscribe).await.unwrap_err());
    let unsubscribe = client.unsubscribe("a").timeout(LIMIT);
    times_out(after(7, "unsubscribe", unsubscribe).await.unwrap_err());
    let request = client.request("a", "b").timeout(LIMIT);
    let unanswered = after(7, "request", async { request.await }).await;
    let Err(error @ RequestError::TimedOut { limit: LIMIT, .. }) = unanswered else {
        panic!("{unanswered:?}")
    };
    let why = if why == "did not answer" { "no answer within" } else { why };
    assert!(error.to_string().contains(why), "{error}");
    let again = after(0, "reauthenticate", client.reauthenticate()).await;
    assert_eq!(again.unwrap_err(), ReauthenticateError::NotPossible);
    client.reconfigure(client.options()).unwrap();
}

#[tokio::test(start_paused = true)]
async fn with_a_broker_that_never_answers_each_call_ends_within_its_limit() {
    let network = Network::new([("one", Host::Broker(speechless()))]);
    // What is not acknowledged, and a probe that is not answered, would end the connection sooner.
    let patience = options(&network).keep_alive(Duration::ZERO).acknowledgement_timeout(600 * SECOND);
    let client = Client::connect(patience.drain_timeout(3 * SECOND)).await.unwrap();
    all_end(&client, "did not answer").await;
    let sent = client.publish("a", "b").qos(QoS::AtLeastOnce).enqueue().await.unwrap();
    after(0, "flush: the socket took it", client.flush()).await.unwrap();
    after(3, "go offline", client.go_offline()).await;
    assert!(matches!(client.state(), State::Offline));
    client.connect_now();
    connected(&mut client.events()).await;
    let left = after(3, "disconnect", client.disconnect()).await.unwrap_err();
    assert!(left.messages >= 1, "{left}");
    assert!(matches!(sent.await, Err(PublishError::Closed)));
}

/// amqtt waits for ever before it is connected.
#[tokio::test(start_paused = true)]
async fn without_a_connection_each_call_ends_within_its_limit_and_says_why_there_is_none() {
    for (host, why) in [(Host::Down, "does not take connections"), (Host::Silent, "CONNECT was not answered")]
    {
        let network = Network::new([("one", host)]);
        let client = Client::start(options(&network).drain_timeout(3 * SECOND)).unwrap();
        disconnected(&mut client.events()).await;
        all_end(&client, why).await;
        // QoS 0 and a flush wait for a connection, too.
        let publish = client.publish("a", "b").timeout(LIMIT);
        let error = after(7, "publish", publish).await.unwrap_err();
        assert!(matches!(error, PublishError::TimedOut { offline: Some(_), .. }), "{error:?}");
        let _waits = client.publish("a", "b").qos(QoS::AtLeastOnce).enqueue().await.unwrap();
        let flush = tokio::time::timeout(LIMIT, client.flush());
        assert!(after(7, "flush", flush).await.is_err());
        after(0, "go offline", client.go_offline()).await;
        let left = after(3, "disconnect", client.disconnect()).await.unwrap_err();
        assert_eq!(left.messages, 1);
        let begun = tokio::time::Instant::now();
        assert!(patient(Client::connect(options(&network))).await.is_err());
        assert!(begun.elapsed() <= 10 * SECOND, "connect");
    }
}

/// Whoever set no limit waits for as long as the client lives, and no longer.
#[tokio::test(start_paused = true)]
async fn without_a_limit_a_call_ends_with_the_client() {
    let network = Network::new([]);
    let client = Client::start(options(&network)).unwrap();
    let handles = [(); 6].map(|()| client.clone());
    let [publish, subscribe, messages, unsubscribe, flush, next] = handles;
    let publish = tokio::spawn(async move { publish.publish("a", "b").qos(QoS::AtLeastOnce).await.err() });
    let subscribe = tokio::spawn(async move { subscribe.subscribe("a").await.err() });
    let to_messages = async move { messages.subscription("b").to_messages().await.err() };
    let to_messages = tokio::spawn(to_messages);
    let unsubscribe = tokio::spawn(async move { unsubscribe.unsubscribe("c").await.err() });
    let flush = tokio::spawn(async move { flush.flush().await.err() });
    let next = tokio::spawn(async move { next.messages().next().await.map(|_| ()) });
    tokio::time::sleep(Duration::from_hours(5)).await;
    let waits = [publish.is_finished(), subscribe.is_finished(), flush.is_finished(), next.is_finished()];
    assert_eq!(waits, [false; 4]);
    after(5, "disconnect", client.disconnect()).await.unwrap_err();
    assert!(matches!(patient(publish).await.unwrap(), Some(PublishError::Closed)));
    for request in [subscribe, to_messages, unsubscribe] {
        assert!(matches!(patient(request).await.unwrap(), Some(SubscribeError::Closed)));
    }
    assert!(patient(flush).await.unwrap().is_some());
    assert!(patient(next).await.unwrap().is_none());
    assert!(matches!(client.publish("a", "b").await, Err(PublishError::Rejected { .. })));
    assert!(matches!(client.subscribe("a").await, Err(SubscribeError::Closed)));
    after(0, "go offline", client.go_offline()).await;
    after(0, "disconnect again", client.disconnect()).await.unwrap_err();
}

/// A socket that takes nothing holds nobody longer than the keep-alive, or than what a goodbye may last.
#[tokio::test(start_paused = true)]
async fn with_a_broker_that_does_not_read_flushing_and_leaving_end() {
    let network = Network::new([("one", Host::Deaf(WELCOME.to_vec()))]);
    let client = Client::connect(options(&network).keep_alive(10 * SECOND)).await.unwrap();
    let mut events = client.events();
    let _large = client.publish("a", vec![0; 1 << 20]).qos(QoS::AtLeastOnce).enqueue().await.unwrap();
    let flush = tokio::spawn({
        let client = client.clone();
        async move { client.flush().await }
    });
    let begun = tokio::time::Instant::now();
    let cause = patient(disconnected(&mut events)).await;
    assert!(matches!(cause, Disconnection::Ended(Cause::Silent)), "{cause:?}");
    assert!(begun.elapsed() <= 15 * SECOND, "{:?}", begun.elapsed());
    let broker = Inside::new();
    network.set("one", Host::Broker(broker.clone()));
    patient(flush).await.unwrap().unwrap();

    // Without a keep-alive nobody would ever notice; a goodbye ends all the same.
    for leave in [true, false] {
        let network = Network::new([("one", Host::Deaf(WELCOME.to_vec()))]);
        let unprobed = options(&network).keep_alive(Duration::ZERO).drain_timeout(3 * SECOND);
        let client = Client::connect(unprobed).await.unwrap();
        let _large = client.publish("a", vec![0; 1 << 20]).qos(QoS::AtLeastOnce).enqueue().await.unwrap();
        let begun = tokio::time::Instant::now();
        if leave {
            patient(client.go_offline()).await;
        } else {
            assert_eq!(patient(client.disconnect()).await.unwrap_err().messages, 1);
        }
        assert!(begun.elapsed() <= 6 * SECOND, "{:?}", begun.elapsed());
    }
}
