//! The queue: what waits in it, what it does when it is full, how long calls wait, defaults, and poison.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]

mod common;

use std::time::Duration;

use common::port::free_port;
use common::{VERSIONS, connected, event, options, within};
use packetboat::{
    Client, Event, Options, PublishError, QoS, QueuePolicy, RejectReason, Stage, TopicDefaults, Uncertainty,
    Withdrawal,
};
use packetboat_core::wire::PacketType;
use packetboat_sim::broker::Config;
use packetboat_sim::net::{self, Broker};

const QOS1: QoS = QoS::AtLeastOnce;

/// Nobody listens there.
fn nowhere() -> Options {
    let port = free_port();
    Options::new(&format!("mqtt://127.0.0.1:{port}"))
}

/// QoS, retain flag, topic and payload of everything the broker took of this client.
fn taken(broker: &Broker, client: &str) -> Vec<(QoS, bool, String, String)> {
    let accepted = broker.accepted(client);
    let of = |message: &packetboat_sim::broker::Message| {
        let payload = String::from_utf8_lossy(&message.payload).into_owned();
        (message.qos, message.retain, message.topic.clone(), payload)
    };
    accepted.iter().map(|accepted| of(&accepted.message)).collect()
}

#[tokio::test(start_paused = true)]
async fn the_queue_can_be_looked_at_and_messages_be_taken_back_one_some_or_all() {
    let client = Client::start(nowhere()).unwrap();
    let mut receipts = Vec::new();
    for (number, qos) in [QOS1, QoS::ExactlyOnce, QoS::AtMostOnce, QOS1].into_iter().enumerate() {
        let topic = format!("queue/{number}");
        let publish = client.publish(&topic, "12345").qos(qos).retain(number == 1).message_expiry(100);
        receipts.push(publish.enqueue().await.unwrap());
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let queued = client.queued();
    let topics: Vec<&str> = queued.iter().map(|message| &*message.topic).collect();
    assert_eq!(topics, ["queue/0", "queue/1", "queue/3", "queue/2"], "QoS 0 has a queue of its own");
    let ages: Vec<u64> = queued.iter().map(|message| message.age.as_secs()).collect();
    assert_eq!(ages, [4, 3, 1, 2]);
    assert!(queued.iter().all(|message| message.stage == Stage::Accepted && message.packet_id.is_none()));
    assert_eq!((queued[1].qos, queued[1].retain), (QoS::ExactlyOnce, true));
    assert_eq!(queued[0].expires_in.map(|left| left.as_secs()), Some(96));
    let size = queued.iter().map(|message| message.size).sum::<usize>();
    assert_eq!((client.queue().messages, client.queue().bytes), (4, size));
    assert_eq!(client.unsent_bytes(), size as u64);
    assert_eq!(client.queue_age().map(|age| age.as_secs()), Some(4));
    assert_eq!(client.next_packet_id(), Some(1));

    assert!(receipts[0].cancel());
    assert_eq!(client.queue_age().map(|age| age.as_secs()), Some(3));
    assert_eq!(client.withdraw(|message| message.topic.ends_with('3') || message.topic.ends_with('9')), 1);
    assert_eq!(client.queue().messages, 2);
    assert_eq!(client.withdraw(|_| true), 2);
    assert_eq!((client.queue().messages, client.unsent_bytes(), client.queue_age()), (0, 0, None));
    for receipt in receipts {
        let ended = receipt.await;
        assert!(matches!(ended, Err(PublishError::Withdrawn(Withdrawal::Cancelled))), "{ended:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_expiry_interval_counts_down_in_the_queue_and_ends_a_message_when_it_is_over() {
    let client = Client::start(nowhere()).unwrap();
    let begun = tokio::time::Instant::now();
    let later = client.publish("a", "later").qos(QOS1).message_expiry(20).enqueue().await.unwrap();
    let sooner = client.publish("a", "sooner").qos(QOS1).message_expiry(5).await;
    assert!(matches!(sooner, Err(PublishError::Withdrawn(Withdrawal::Expired))), "{sooner:?}");
    assert_eq!(begun.elapsed().as_secs(), 5, "at its time, though there is no connection");
    let later = later.await;
    assert!(matches!(later, Err(PublishError::Withdrawn(Withdrawal::Expired))), "{later:?}");
    assert_eq!(begun.elapsed().as_secs(), 20);
}

/// The task has slept for long, and somebody woke it without looking at the clock.
#[tokio::test(start_paused = true)]
async fn an_expiry_interval_begins_when_the_message_is_accepted_whoever_woke_the_task_before() {
    let client = Client::start(nowhere()).unwrap();
    let wakes: [fn(&Client); 3] = [
        |_| {},
        |client| drop(client.publish("a", "at most once").try_publish().unwrap()),
        |client| drop(client.messages()),
    ];
    for wake in wakes {
        client.go_offline().await;
        tokio::time::sleep(Duration::from_secs(50)).await;
        wake(&client);
        let begun = tokio::time::Instant::now();
        let brief = client.publish("a", "brief").qos(QOS1).message_expiry(5).await;
        assert!(matches!(brief, Err(PublishError::Withdrawn(Withdrawal::Expired))), "{brief:?}");
        assert_eq!(begun.elapsed().as_secs(), 5);
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_rejects_waits_or_drops_as_it_is_told_and_in_bytes_as_in_messages() {
    for bounds in [(2, 1 << 20), (100, 40)] {
        let start = |policy| Client::start(nowhere().queue(bounds.0, bounds.1).queue_policy(policy)).unwrap();
        let payload = "ten bytes.";
        let fill = async |client: &Client| {
            let one = client.publish("a", payload).qos(QOS1).enqueue().await.unwrap();
            let two = client.publish("a", payload).qos(QOS1).enqueue().await.unwrap();
            (one, two)
        };
        let rejecting = start(QueuePolicy::Reject);
        let _kept = fill(&rejecting).await;
        let rejected = within(Duration::from_secs(1), rejecting.publish("a", payload).qos(QOS1)).await;
        let is_full = matches!(rejected, Err(PublishError::Rejected { reason: RejectReason::Full, .. }));
        assert!(is_full, "{rejected:?}");

        let waiting = start(QueuePolicy::Wait);
        let kept = fill(&waiting).await;
        let third = waiting.publish("a", payload).qos(QOS1).enqueue();
        let (third, cancelled) = tokio::join!(third, async { kept.0.cancel() });
        assert!(cancelled && third.unwrap().stage() == Stage::Accepted, "room wakes who waits");

        let oldest = start(QueuePolicy::DropOldest);
        let (one, two) = fill(&oldest).await;
        let _third = oldest.publish("a", payload).qos(QOS1).enqueue().await.unwrap();
        assert!(matches!(one.await, Err(PublishError::Withdrawn(Withdrawal::Dropped))));
        assert_eq!(two.stage(), Stage::Accepted);

        let newest = start(QueuePolicy::DropNewest);
        let (one, two) = fill(&newest).await;
        let third = newest.publish("a", payload).qos(QOS1).await;
        assert!(matches!(third, Err(PublishError::Withdrawn(Withdrawal::Dropped))));
        assert_eq!((one.stage(), two.stage()), (Stage::Accepted, Stage::Accepted));
    }
}

#[tokio::test(start_paused = true)]
async fn qos_0_is_kept_offline_or_not() {
    for keep in [true, false] {
        let client = Client::start(nowhere().queue_qos0_offline(keep)).unwrap();
        let receipt = client.publish("a", "x").enqueue().await.unwrap();
        assert_eq!(client.queue().messages, usize::from(keep));
        if !keep {
            assert!(matches!(receipt.await, Err(PublishError::Withdrawn(Withdrawal::Dropped))));
        }
    }
}

/// amqtt waits for ever before it is connected.
#[tokio::test(start_paused = true)]
async fn publishing_waits_within_its_limit_in_every_state_and_then_says_why() {
    let limit = Duration::from_secs(7);
    // Never connected, and with a full queue.
    let client = Client::start(nowhere().queue(1, 1 << 20)).unwrap();
    for (accepted, payload) in [(true, "first"), (false, "second")] {
        if !accepted {
            let _fills = client.publish("a", "fills").qos(QOS1).enqueue().await.unwrap();
        }
        let begun = tokio::time::Instant::now();
        let ended = client.publish("a", payload.to_owned()).qos(QOS1).timeout(limit).await;
        assert_eq!(begun.elapsed().as_secs(), 7);
        let Err(PublishError::TimedOut { payload: back, offline: Some(_), accepted: was }) = &ended else {
            panic!("{ended:?}")
        };
        assert_eq!((*was, back.is_some()), (accepted, !accepted), "what was not accepted comes back");
        assert!(ended.unwrap_err().to_string().contains("no connection"), "and the last failure is named");
    }
}

#[tokio::test]
async fn publishing_with_the_window_shut_waits_within_its_limit_and_says_so() {
    let broker = net::Options::new().receive_maximum(1).start().await.unwrap();
    let client = Client::connect(options(&broker.url()).queue(1, 1 << 20)).await.unwrap();
    broker.faults().swallow(PacketType::Puback);
    let _window = client.publish("a", "1").qos(QOS1).enqueue().await.unwrap();
    let limit = Duration::from_millis(50);
    let shut = client.publish("a", "2").qos(QOS1).timeout(limit).await.unwrap_err();
    assert!(matches!(shut, PublishError::TimedOut { offline: None, accepted: true, .. }), "{shut:?}");
    assert!(shut.to_string().contains("confirmed what was sent before"), "{shut}");
    let _queued = client.publish("a", "3").qos(QOS1).enqueue().await.unwrap();
    let full = client.publish("a", "4").qos(QOS1).timeout(limit).await.unwrap_err();
    assert!(matches!(full, PublishError::TimedOut { offline: None, accepted: false, .. }), "{full:?}");
    assert!(full.to_string().contains("queue was full"), "{full}");
}

/// amqtt's `topics`, `default_qos` and `default_retain`; and what it gets wrong: explicit `False` and `0` do not win.
#[tokio::test]
async fn defaults_count_where_a_message_says_nothing() {
    let broker = net::Options::new().keep_log().start().await.unwrap();
    let options = options(&broker.url())
        .client_id("defaults")
        .default_qos(QOS1)
        .default_retain(true)
        .topic_defaults("a/#", TopicDefaults::new().qos(QoS::ExactlyOnce))
        .topic_defaults("a/b", TopicDefaults::new().qos(QoS::AtMostOnce).retain(false));
    let client = Client::connect(options).await.unwrap();
    client.publish("x", "1").await.unwrap();
    client.publish("a/x", "2").await.unwrap();
    client.publish("a/b", "3").await.unwrap();
    client.publish("a/x", "4").qos(QoS::AtMostOnce).retain(false).await.unwrap();
    client.publish("a/b", "5").qos(QOS1).await.unwrap();
    client.set_maximum_qos(QoS::AtMostOnce);
    client.publish("a/x", "6").await.unwrap();
    client.disconnect().await.unwrap();
    let said: Vec<_> = taken(&broker, "defaults")
        .into_iter()
        .map(|(qos, retain, _, payload)| (payload, qos, retain))
        .collect();
    let expected = [
        ("1", QOS1, true),
        ("2", QoS::ExactlyOnce, true),
        ("3", QoS::AtMostOnce, false),
        ("4", QoS::AtMostOnce, false),
        ("5", QOS1, false),
        ("6", QoS::AtMostOnce, true),
    ];
    assert_eq!(said, expected.map(|(payload, qos, retain)| (payload.to_owned(), qos, retain)));
}

/// The `topics` of amqtt's documentation, literally: whole topics, and nothing below them.
#[tokio::test]
async fn the_topics_of_amqtt_mean_the_same_here() {
    let broker = net::Options::new().keep_log().start().await.unwrap();
    let options = options(&broker.url())
        .client_id("amqtt")
        .default_qos(QoS::AtMostOnce)
        .default_retain(false)
        .topic_defaults("/test", TopicDefaults::new().qos(QOS1))
        .topic_defaults("/some_topic", TopicDefaults::new().qos(QoS::ExactlyOnce).retain(true));
    let client = Client::connect(options).await.unwrap();
    for topic in ["/test", "/some_topic", "/some_topic/below", "test", "/other"] {
        client.publish(topic, "x").await.unwrap();
    }
    client.publish("/some_topic", "x").qos(QoS::AtMostOnce).retain(false).await.unwrap();
    client.disconnect().await.unwrap();
    let said: Vec<_> = taken(&broker, "amqtt").into_iter().map(|(qos, retain, ..)| (qos, retain)).collect();
    let plain = (QoS::AtMostOnce, false);
    assert_eq!(said, [(QOS1, false), (QoS::ExactlyOnce, true), plain, plain, plain, plain]);
}

#[tokio::test]
async fn a_message_that_ends_every_connection_is_reported_and_the_others_arrive() {
    let poisonous = vec!["poison".parse().unwrap()];
    let config = Config { poisonous, ..Config::default() };
    let broker = net::Options::new().config(config).keep_log().start().await.unwrap();
    for (version, client_id) in VERSIONS.into_iter().zip(["new", "old"]) {
        let options = options(&broker.url()).client_id(client_id).version(version).poison_limit(3);
        let client = Client::connect(options).await.unwrap();
        let mut events = client.events();
        let before = client.publish("a", "before").qos(QoS::ExactlyOnce).enqueue().await.unwrap();
        let poison = client.publish("poison", "bad").qos(QOS1).enqueue().await.unwrap();
        let behind = client.publish("a", "behind").qos(QOS1).enqueue().await.unwrap();
        let limit = Duration::from_secs(20);
        within(limit, before).await.unwrap();
        within(limit, behind).await.unwrap();
        let ended = within(limit, poison).await;
        let given_up = Uncertainty::Poison { connections: 3 };
        assert!(matches!(&ended, Err(PublishError::Uncertain(why)) if *why == given_up), "{ended:?}");
        let told = event(&mut events, |event| match event {
            Event::Poison { topic, qos, connections, .. } => Some((topic.clone(), *qos, *connections)),
            _ => None,
        });
        assert_eq!(told.await, ("poison".into(), QOS1, 3));
        client.disconnect().await.unwrap();
        let payloads: Vec<String> = taken(&broker, client_id).into_iter().map(|taken| taken.3).collect();
        assert_eq!(payloads.last().map(String::as_str), Some("behind"));
        assert!(!payloads.contains(&"bad".to_owned()));
    }
    assert!(broker.violations().is_empty(), "{:?}", broker.violations());
}

/// What another server kept of earlier days answers no packet of today: the message has to arrive at the new one.
#[tokio::test]
async fn what_one_server_had_received_and_not_released_goes_to_the_next_server_as_new() {
    for version in VERSIONS {
        let [one, other] = [(); 2].map(|()| net::Options::new().keep_log());
        let (one, other) = (one.start().await.unwrap(), other.start().await.unwrap());
        let options = options(&one.url()).or_server(&other.url()).client_id("moving").version(version);
        let client = Client::connect(options).await.unwrap();
        let mut events = client.events();
        one.faults().swallow(PacketType::Pubcomp);
        let receipt = client.publish("a", "x").qos(QoS::ExactlyOnce).enqueue().await.unwrap();
        let received = one.until(|broker| broker.stats().received(PacketType::Pubrel) == 1);
        within(Duration::from_secs(10), received).await;
        one.stop().await;
        assert!(!connected(&mut events).await, "a new session");
        let published = within(Duration::from_secs(10), receipt).await.unwrap();
        assert!(published.possible_duplicate);
        assert_eq!(taken(&other, "moving").len(), 1);
        client.disconnect().await.unwrap();
    }
}
