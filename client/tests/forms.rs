//! Other forms of the same: callbacks, pull with a time limit, pings, return codes, JSON.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]

mod common;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::inside::{Host, Inside, Network};
use common::mosquitto::mosquitto;
use common::{LONG, VERSIONS, connected, disconnected, options, within};
use packetboat::{Client, ConnectError, Direction, Message, NothingCame, PacketType, PingError, QoS, Reason};
use packetboat_sim::net::Broker;
use tokio::sync::{Notify, mpsc};

fn line(message: &Message) -> String {
    format!("{} {}", message.topic(), String::from_utf8_lossy(message.payload()))
}

/// A handler that tells what it was called with.
fn teller() -> (mpsc::UnboundedSender<String>, mpsc::UnboundedReceiver<String>) {
    mpsc::unbounded_channel()
}

async fn told(lines: &mut mpsc::UnboundedReceiver<String>) -> String {
    within(LONG, lines.recv()).await.expect("the callback is gone")
}

#[tokio::test]
async fn a_callback_gets_client_topic_and_payload_and_may_publish_and_subscribe() {
    for version in VERSIONS {
        let broker = Broker::start().await.unwrap();
        let client = Client::connect(options(&broker.url()).version(version)).await.unwrap();
        let (tell, mut lines) = teller();
        let outer = client.subscription("first/+").call(move |client, message| {
            let tell = tell.clone();
            async move {
                let inner_tell = tell.clone();
                let inner = client.subscription("second/#").call(move |_, message| {
                    let _ = inner_tell.send(line(&message));
                    async {}
                });
                inner.await.unwrap().keep();
                let _ = tell.send(line(&message));
                client.publish("second/one", "from inside").qos(QoS::AtLeastOnce).await.unwrap();
            }
        });
        let outer = outer.await.unwrap();
        client.publish("first/a", "1").qos(QoS::ExactlyOnce).await.unwrap();
        assert_eq!(told(&mut lines).await, "first/a 1");
        assert_eq!(told(&mut lines).await, "second/one from inside");
        assert_eq!((outer.called(), outer.panicked()), (1, 0));
        client.disconnect().await.unwrap();
        assert!(broker.violations().is_empty(), "{:?}", broker.violations());
    }
}

#[tokio::test]
async fn a_callback_that_hangs_or_panics_keeps_no_other_waiting_and_goes_on_after_a_panic() {
    let broker = Broker::start().await.unwrap();
    let client = Client::connect(options(&broker.url())).await.unwrap();
    let (tell, mut lines) = teller();
    let hanging = Arc::new(Notify::new());
    let release = hanging.clone();
    let slow = client.subscription("#").call(move |_, _| {
        let release = release.clone();
        async move { release.notified().await }
    });
    let slow = slow.await.unwrap();
    let telling = tell.clone();
    let shaky = client.subscription("+/+").call(move |_, message| {
        let telling = telling.clone();
        async move {
            assert!(message.payload() != b"bad", "a panic that the test wants");
            telling.send(line(&message)).unwrap();
        }
    });
    let shaky = shaky.await.unwrap();
    let steady = client.subscription("a/#").call(move |_, message| {
        tell.send(format!("steady {}", line(&message))).unwrap();
        async {}
    });
    let _steady = steady.await.unwrap();
    for payload in ["bad", "good"] {
        client.publish("a/b", payload).qos(QoS::AtLeastOnce).await.unwrap();
    }
    let mut all = [told(&mut lines).await, told(&mut lines).await, told(&mut lines).await];
    all.sort();
    assert_eq!(all, ["a/b good", "steady a/b bad", "steady a/b good"]);
    assert_eq!((shaky.called(), shaky.panicked()), (2, 1));
    assert_eq!(slow.called(), 1, "still at the first");
    hanging.notify_one();
    hanging.notify_waiters();
}

#[tokio::test]
async fn a_dropped_callback_finishes_its_message_and_unsubscribes_and_a_kept_one_stays() {
    let broker = Broker::start().await.unwrap();
    let client = Client::connect(options(&broker.url())).await.unwrap();
    let (tell, mut lines) = teller();
    let gate = Arc::new(Notify::new());
    let call = |filter: &'static str| {
        let (tell, gate) = (tell.clone(), gate.clone());
        client.subscription(filter).call(move |_, message| {
            let (tell, gate) = (tell.clone(), gate.clone());
            async move {
                let _ = tell.send(format!("began {}", line(&message)));
                gate.notified().await;
                let _ = tell.send(format!("ended {}", line(&message)));
            }
        })
    };
    let dropped = call("a").await.unwrap();
    call("b").await.unwrap().keep();
    client.publish("a", "1").await.unwrap();
    assert_eq!(told(&mut lines).await, "began a 1");
    let stopping = tokio::spawn(dropped.stop());
    gate.notify_one();
    assert_eq!(told(&mut lines).await, "ended a 1");
    within(LONG, stopping).await.unwrap();
    client.publish("a", "2").qos(QoS::AtLeastOnce).await.unwrap();
    client.publish("b", "3").qos(QoS::AtLeastOnce).await.unwrap();
    assert_eq!(told(&mut lines).await, "began b 3");
    assert_eq!(broker.stats().received(PacketType::Unsubscribe), 1);
}

#[tokio::test]
async fn the_next_of_everything_comes_within_a_time_limit_and_ends_with_the_client() {
    let broker = Broker::start().await.unwrap();
    let client = Client::connect(options(&broker.url())).await.unwrap();
    let mut all = client.messages();
    client.subscription("a/#").to_messages().await.unwrap();
    let _other = client.subscribe("b").await.unwrap();
    let limit = Duration::from_millis(20);
    let none = all.next_within(limit).await.unwrap_err();
    assert_eq!(none.to_string(), "no message came within 20ms");
    for topic in ["a/1", "b", "a/2"] {
        client.publish(topic, "x").qos(QoS::AtLeastOnce).await.unwrap();
    }
    for topic in ["a/1", "b", "a/2"] {
        assert_eq!(all.next_within(LONG).await.unwrap().unwrap().topic(), topic);
    }
    let waiting = tokio::spawn(async move { all.next_within(LONG * 10).await });
    client.disconnect().await.unwrap();
    let end: Result<_, NothingCame> = within(LONG, waiting).await.unwrap();
    assert!(end.unwrap().is_none(), "disconnecting ends the wait");
}

#[tokio::test]
async fn a_ping_takes_as_long_as_its_answer_and_says_when_none_can_come() {
    let broker = Broker::start().await.unwrap();
    let settings = options(&broker.url()).client_id("pinger").acknowledgement_timeout(LONG);
    let client = Client::connect(settings).await.unwrap();
    let (one, two) = tokio::join!(client.ping(), client.ping());
    assert!(one.unwrap() < LONG && two.unwrap() < LONG);
    let mut events = client.events();
    broker.faults().swallow(PacketType::PingResp);
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.ping().await }
    });
    while broker.stats().received(PacketType::PingReq) < 3 {
        tokio::task::yield_now().await;
    }
    broker.kick("pinger");
    assert_eq!(within(LONG, waiting).await.unwrap(), Err(PingError::Disconnected));
    disconnected(&mut events).await;
    client.go_offline().await;
    assert_eq!(client.ping().await, Err(PingError::NotConnected));
    client.disconnect().await.unwrap();
    assert_eq!(client.ping().await, Err(PingError::Closed));
}

#[tokio::test]
async fn whether_there_is_a_connection_can_be_asked_at_any_time() {
    for version in VERSIONS {
        let broker = packetboat_sim::net::Options::new().start().await.unwrap();
        let mut client = Client::start(options(&broker.url()).version(version)).unwrap();
        let mut events = client.events();
        assert!(!client.is_connected(), "its task has not run yet");
        connected(&mut events).await;
        assert!(client.is_connected() && client.clone().is_connected());
        let stopped = broker.stop().await;
        disconnected(&mut events).await;
        assert!(!client.is_connected());
        let broker = stopped.restart(true).await.unwrap();
        connected(&mut events).await;
        assert!(client.is_connected());
        client.disconnect().await.unwrap();
        assert!(!client.is_connected());
        client = Client::connect(options(&broker.url()).version(version)).await.unwrap();
        assert!(client.is_connected(), "as soon as connect has returned");
    }
}

#[tokio::test]
async fn return_codes_read_as_text_and_as_numbers_and_stay_when_the_connection_is_gone() {
    let broker = packetboat_sim::net::Options::new().credentials("user", "right").start().await.unwrap();
    for version in VERSIONS {
        let settings = |password: &str| {
            options(&broker.url()).version(version).username("user").password(password.as_bytes())
        };
        let Err(ConnectError::Refused { reason, .. }) = Client::connect(settings("wrong")).await else {
            panic!("connected")
        };
        assert!(matches!(reason.return_code(), 4 | 5), "{reason}");
        let client = Client::start(settings("wrong")).unwrap();
        let mut events = client.events();
        disconnected(&mut events).await;
        assert!(!client.is_connected());
        let code = client.return_code().unwrap();
        assert!(matches!(code.return_code(), 4 | 5) && !code.to_string().is_empty(), "{code}");
        client.reconfigure(settings("right")).unwrap();
        connected(&mut events).await;
        assert!(client.is_connected());
        assert_eq!(client.return_code(), Some(Reason::SUCCESS));
        client.go_offline().await;
        assert!(!client.is_connected());
        assert_eq!(client.return_code(), Some(Reason::SUCCESS), "the last answer");
    }
}

#[cfg(feature = "serde")]
#[tokio::test]
async fn json_is_published_as_such_and_what_json_cannot_say_is_an_error() {
    let broker = Broker::start().await.unwrap();
    let client = Client::connect(options(&broker.url())).await.unwrap();
    let mut stream = client.subscribe("json").await.unwrap();
    let value = serde_json::json!({ "a": 1, "b": [true, null, "x"] });
    let publish = client.publish_json("json", &value).unwrap();
    publish.qos(QoS::AtLeastOnce).await.unwrap();
    let message = common::next(&mut stream).await;
    assert_eq!(serde_json::from_slice::<serde_json::Value>(message.payload()).unwrap(), value);
    let map = std::collections::BTreeMap::from([((1, 2), 3)]);
    assert!(client.publish_json("json", &map).unwrap_err().to_string().contains("key must be a string"));
}

#[tokio::test]
async fn callbacks_pull_and_ping_work_with_mosquitto() {
    let Some(mut broker) = mosquitto() else { return };
    for version in VERSIONS {
        let client = Client::connect(options(&broker.url()).version(version)).await.unwrap();
        let mut events = client.events();
        let (tell, mut lines) = teller();
        let count = AtomicU32::new(0);
        let called = Mutex::new(tell);
        let callback = client.subscription("c/+").call(move |_, message| {
            let number = count.fetch_add(1, Ordering::Relaxed);
            let _ = called.lock().unwrap().send(format!("{number} {}", line(&message)));
            async {}
        });
        callback.await.unwrap().keep();
        within(LONG, client.ping()).await.unwrap();
        client.publish("c/1", "x").qos(QoS::AtLeastOnce).await.unwrap();
        assert_eq!(told(&mut lines).await, "0 c/1 x");
        broker.restart();
        connected(&mut events).await;
        client.publish("c/2", "y").qos(QoS::AtLeastOnce).await.unwrap();
        assert_eq!(told(&mut lines).await, "1 c/2 y", "the callback outlives the connection");
    }
}

#[tokio::test(start_paused = true)]
async fn with_a_probe_ahead_connect_says_the_whole_keep_alive_and_the_ping_goes_out_earlier() {
    let broker = Inside::new();
    let network = Network::new([("h", Host::Broker(broker))]);
    let (tell, mut lines) = teller();
    let start = tokio::time::Instant::now();
    let settings = options("mqtt://h")
        .transport(network)
        .keep_alive(Duration::from_secs(10))
        .probe_ahead(Duration::from_secs(3))
        .on_packet(move |passing| {
            if passing.direction == Direction::Sent && passing.kind != PacketType::Disconnect {
                let _ = tell.send(format!("{} {passing}", start.elapsed().as_secs()));
            }
        });
    let client = Client::connect(settings).await.unwrap();
    let connect = lines.recv().await.unwrap();
    assert!(connect.contains("keep alive 10 s"), "{connect}");
    assert_eq!(lines.recv().await.unwrap(), "7 sent PINGREQ");
    assert_eq!(lines.recv().await.unwrap(), "14 sent PINGREQ");
    client.disconnect().await.unwrap();
}
