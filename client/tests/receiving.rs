//! Receiving: streams, acknowledgements, full queues, and what a reconnect does to them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]

mod common;

use std::time::Duration;

use common::{
    ALL_QOS, LONG, VERSIONS, connected, disconnected, event, next, on_both_runtimes, options, within,
};
use packetboat::{
    Client, End, Event, Message, Options, QoS, Reason, SessionMode, StreamPolicy, SubscribeError, Subscriber,
    VersionChoice,
};
use packetboat_core::topic::TopicFilter;
use packetboat_core::wire::PacketType;
use packetboat_sim::broker::Config;
use packetboat_sim::net::{self, Broker};

fn persistent() -> SessionMode {
    SessionMode::Persistent { expiry: Duration::from_mins(1) }
}

async fn publisher(broker: &Broker) -> Client {
    Client::connect(options(&broker.url())).await.unwrap()
}

/// Waits until the broker has nothing unacknowledged towards this client.
async fn settled(broker: &Broker, client: &str) {
    within(LONG, broker.until(|core| core.pending(client) + core.unfinished(client) == 0)).await;
}

fn assert_clean(broker: &Broker) {
    assert!(broker.violations().is_empty(), "{:?}", broker.violations());
}

#[test]
fn receiving_and_publishing_in_one_loop_ends_though_all_queues_are_full() {
    // PACKETBOAT_FLOOD=1000000 for the long form.
    let rounds = std::env::var("PACKETBOAT_FLOOD").map_or(4_000_u32, |rounds| rounds.parse().unwrap());
    on_both_runtimes(move || async move {
        for (version, qos) in
            VERSIONS.into_iter().flat_map(|version| [0, 1].map(|qos| (version, ALL_QOS[qos])))
        {
            let broker = Broker::start().await.unwrap();
            let options = options(&broker.url()).version(version).inbound(10, 1 << 20).queue(10, 1 << 20);
            let client = Client::connect(options).await.unwrap();
            let mut stream = client.subscription("flood").capacity(10).await.unwrap();
            let flooder = publisher(&broker).await;
            let flooding = tokio::spawn(async move {
                for number in 0..rounds {
                    drop(flooder.publish("flood", &number.to_be_bytes()).qos(qos).enqueue().await.unwrap());
                }
                flooder.publish("flood", "end").qos(QoS::AtLeastOnce).await.unwrap();
            });
            let mut received = 0;
            while let Some(message) = stream.next().await {
                if message.payload() == b"end" {
                    break;
                }
                received += 1;
                client.publish("answer", message.payload()).qos(QoS::AtLeastOnce).await.unwrap();
            }
            flooding.await.unwrap();
            let counted = u64::from(received) + stream.dropped();
            assert!(qos == QoS::AtMostOnce || received == rounds, "{version:?} {received}");
            assert!(counted <= u64::from(rounds), "{version:?} {counted}");
            within(LONG, client.disconnect()).await.unwrap();
            assert_clean(&broker);
        }
    });
}

#[tokio::test]
async fn taking_the_next_message_acknowledges_the_previous_one() {
    for (version, qos) in VERSIONS.into_iter().flat_map(|version| [1, 2].map(|qos| (version, ALL_QOS[qos]))) {
        let broker = Broker::start().await.unwrap();
        let client =
            Client::connect(options(&broker.url()).client_id("taker").version(version)).await.unwrap();
        let mut stream = client.subscribe("a").await.unwrap();
        let publisher = publisher(&broker).await;
        publisher.publish("a", "1").qos(qos).await.unwrap();
        publisher.publish("a", "2").qos(qos).await.unwrap();
        assert_eq!(next(&mut stream).await.payload(), b"1");
        client.publish("b", "a round trip").qos(QoS::AtLeastOnce).await.unwrap();
        assert_eq!(
            broker.with(|core, _| core.unfinished("taker") + core.pending("taker")),
            2,
            "the first is in hand"
        );
        assert_eq!(next(&mut stream).await.payload(), b"2");
        drop(stream);
        settled(&broker, "taker").await;
        client.disconnect().await.unwrap();
        assert_clean(&broker);
    }
}

#[tokio::test]
async fn what_arrives_for_a_dropped_stream_of_a_persistent_session_is_a_later_processs() {
    for version in VERSIONS {
        let broker = Broker::start().await.unwrap();
        let options = options(&broker.url()).client_id("later").version(version).session(persistent());
        let publisher = publisher(&broker).await;
        let client = Client::connect(options.clone()).await.unwrap();
        drop(client.subscribe("a").await.unwrap());
        let mut other = client.subscribe("b").await.unwrap();
        publisher.publish("a", "late").qos(QoS::AtLeastOnce).await.unwrap();
        publisher.publish("b", "mark").qos(QoS::AtMostOnce).await.unwrap();
        // What was sent before it has been received, and nobody took it.
        assert_eq!(next(&mut other).await.payload(), b"mark");
        client.disconnect().await.unwrap();
        let client = Client::connect(options).await.unwrap();
        let mut stream = client.subscribe("a").await.unwrap();
        assert_eq!(next(&mut stream).await.payload(), b"late");
        client.disconnect().await.unwrap();
    }
}

#[tokio::test]
async fn a_message_in_hand_comes_again_after_a_crash_and_not_after_it_was_done_with() {
    for version in VERSIONS {
        let broker = Broker::start().await.unwrap();
        let options = options(&broker.url()).client_id("crash").version(version).session(persistent());
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let crashing = options.clone();
        let publisher = publisher(&broker).await;
        let (had_first, took_first) = tokio::sync::oneshot::channel();
        let (ready, subscribed) = tokio::sync::oneshot::channel();
        let crashed = runtime.spawn(async move {
            let client = Client::connect(crashing).await.unwrap();
            let mut stream = client.subscribe("a").await.unwrap();
            ready.send(()).unwrap();
            let first = stream.next().await.unwrap();
            had_first.send(()).unwrap();
            let second = stream.next().await.unwrap();
            // Never drops: a crash runs no destructors.
            std::mem::forget((client, stream));
            (first.payload().to_vec(), second.payload().to_vec())
        });
        subscribed.await.unwrap();
        publisher.publish("a", "1").qos(QoS::AtLeastOnce).await.unwrap();
        took_first.await.unwrap();
        publisher.publish("a", "2").qos(QoS::AtLeastOnce).await.unwrap();
        assert_eq!(crashed.await.unwrap(), (b"1".to_vec(), b"2".to_vec()));
        publisher.publish("a", "3").qos(QoS::AtLeastOnce).await.unwrap();
        within(LONG, broker.until(|core| core.unfinished("crash") + core.pending("crash") == 2)).await;
        runtime.shutdown_background();
        let client = Client::connect(options).await.unwrap();
        let mut stream = client.subscribe("a").await.unwrap();
        assert_eq!(next(&mut stream).await.payload(), b"2");
        assert_eq!(next(&mut stream).await.payload(), b"3");
        client.disconnect().await.unwrap();
    }
}

#[tokio::test]
async fn in_manual_mode_messages_are_acknowledged_rejected_or_given_up() {
    for (version, qos) in VERSIONS.into_iter().flat_map(|version| [1, 2].map(|qos| (version, ALL_QOS[qos]))) {
        let broker = Broker::start().await.unwrap();
        let options = options(&broker.url()).client_id("manual").version(version).session(persistent());
        let client = Client::connect(options).await.unwrap();
        let mut events = client.events();
        let mut stream = client.subscription("a").manual_ack().await.unwrap();
        let publisher = publisher(&broker).await;
        for payload in ["done", "refused", "given up"] {
            publisher.publish("a", payload).qos(qos).await.unwrap();
        }
        next(&mut stream).await.ack().unwrap();
        next(&mut stream).await.reject(Reason::PAYLOAD_FORMAT_INVALID).unwrap();
        drop(next(&mut stream).await);
        within(LONG, broker.until(|core| core.pending("manual") == 1)).await;
        broker.faults().cut();
        disconnected(&mut events).await;
        connected(&mut events).await;
        let again = next(&mut stream).await;
        assert_eq!((again.payload(), again.dup()), (&b"given up"[..], true));
        again.ack().unwrap();
        settled(&broker, "manual").await;
        client.disconnect().await.unwrap();
        assert_clean(&broker);
    }
}

#[tokio::test]
async fn a_message_of_an_older_connection_cannot_be_acknowledged() {
    let broker = Broker::start().await.unwrap();
    let client = Client::connect(options(&broker.url())).await.unwrap();
    let mut events = client.events();
    let mut stream = client.subscription("a").manual_ack().await.unwrap();
    client.publish("a", "b").qos(QoS::AtLeastOnce).await.unwrap();
    let message = next(&mut stream).await;
    broker.faults().cut();
    disconnected(&mut events).await;
    connected(&mut events).await;
    assert!(message.ack().is_err());
    next(&mut stream).await.ack().unwrap();
    client.disconnect().await.unwrap();
    assert_clean(&broker);
}

/// Publishes ten messages of QoS 0 and then one of QoS 1 that must arrive.
async fn eleven(publisher: &Client) {
    for number in 0..10_u8 {
        publisher.publish("a", &[number]).await.unwrap();
    }
    publisher.publish("a", "last").qos(QoS::AtLeastOnce).await.unwrap();
}

async fn until_last(stream: &mut Subscriber) -> Vec<Vec<u8>> {
    let mut payloads = Vec::new();
    loop {
        let message = next(stream).await;
        payloads.push(message.payload().to_vec());
        if message.payload() == b"last" {
            return payloads;
        }
    }
}

#[tokio::test]
async fn full_streams_drop_what_their_policy_says_and_count_it() {
    let broker = Broker::start().await.unwrap();
    let client = Client::connect(options(&broker.url()).client_id("full")).await.unwrap();
    let mut oldest = client.subscription("a").policy(StreamPolicy::DropOldest).capacity(3).await.unwrap();
    let mut newest = client.subscription("a").policy(StreamPolicy::DropNewest).capacity(3).await.unwrap();
    let mut all = client.messages();
    let mut events = client.events();
    let publisher = publisher(&broker).await;
    eleven(&publisher).await;
    assert_eq!(until_last(&mut all).await.len(), 11);
    assert_eq!(until_last(&mut oldest).await, [vec![8], vec![9], b"last".to_vec()]);
    assert_eq!(oldest.dropped(), 8);
    for number in 0..3_u8 {
        assert_eq!(next(&mut newest).await.payload(), [number]);
    }
    assert_eq!(newest.dropped(), 8);
    for _ in 0..2 {
        let told = event(&mut events, |event| match event {
            Event::Dropped { filter: Some(filter), messages } => Some((filter.to_string(), *messages)),
            _ => None,
        });
        assert_eq!(told.await, ("a".to_owned(), 8));
    }
    drop((oldest, newest, all));
    settled(&broker, "full").await;
    client.disconnect().await.unwrap();
    assert_clean(&broker);
}

#[tokio::test]
async fn a_slow_consumer_stops_the_reading_and_loses_nothing_while_nothing_awaits_the_broker() {
    let broker = Broker::start().await.unwrap();
    let client =
        Client::connect(options(&broker.url()).client_id("slow").inbound(10, 1 << 20)).await.unwrap();
    let mut stream = client.subscribe("a").await.unwrap();
    let publisher = publisher(&broker).await;
    for number in 0..3_000_u32 {
        publisher.publish("a", vec![u8::try_from(number % 251).unwrap(); 5_000]).await.unwrap();
    }
    publisher.publish("a", "last").qos(QoS::AtLeastOnce).await.unwrap();
    // Longer than the stall rule needs to notice.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let payloads = until_last(&mut stream).await;
    let dropped_by_broker = usize::try_from(broker.stats().dropped).unwrap();
    assert_eq!(payloads.len() + dropped_by_broker, 3_001);
    assert_eq!(stream.dropped(), 0);
    client.disconnect().await.unwrap();
    assert_clean(&broker);
}

#[tokio::test]
async fn a_stream_nobody_takes_from_does_not_stop_what_awaits_the_broker() {
    for version in VERSIONS {
        let broker = Broker::start().await.unwrap();
        let options = options(&broker.url()).version(version).inbound(10, 1 << 20);
        let client = Client::connect(options).await.unwrap();
        let mut events = client.events();
        let mut stream = client.subscribe("a").await.unwrap();
        let publisher = publisher(&broker).await;
        for _ in 0..1_000 {
            publisher.publish("a", vec![0; 1_000]).await.unwrap();
        }
        publisher.publish("a", "last").qos(QoS::AtLeastOnce).await.unwrap();
        // Its PUBACK lies behind messages nobody takes.
        within(LONG, client.publish("b", "c").qos(QoS::AtLeastOnce)).await.unwrap();
        let filter = event(&mut events, |event| match event {
            Event::Stalled(filter) => Some(filter.clone()),
            _ => None,
        });
        assert_eq!(filter.await, Some(TopicFilter::new("a").unwrap()));
        let kept = until_last(&mut stream).await.len();
        assert_eq!(u64::try_from(kept).unwrap() + stream.dropped(), 1_001, "{version:?}");
        assert!(stream.dropped() > 0);
        client.disconnect().await.unwrap();
        assert_clean(&broker);
    }
}

#[tokio::test]
async fn a_resumed_session_keeps_its_subscriptions_and_a_lost_one_gets_them_back() {
    for version in VERSIONS {
        let broker = Broker::start().await.unwrap();
        let options = options(&broker.url()).client_id("resume").version(version).session(persistent());
        let client = Client::connect(options).await.unwrap();
        let mut events = client.events();
        let mut stream = client.subscribe("a/#").await.unwrap();
        let subscribed = broker.stats().received(PacketType::Subscribe);
        broker.faults().cut();
        disconnected(&mut events).await;
        assert!(connected(&mut events).await, "session present");
        client.publish("a/b", "resumed").qos(QoS::AtLeastOnce).await.unwrap();
        assert_eq!(next(&mut stream).await.payload(), b"resumed");
        assert_eq!(broker.stats().received(PacketType::Subscribe), subscribed, "nothing to subscribe again");

        broker.forget("resume");
        disconnected(&mut events).await;
        assert!(!connected(&mut events).await);
        event(&mut events, |event| matches!(event, Event::SubscriptionsRestored).then_some(())).await;
        client.publish("a/b", "anew").qos(QoS::AtLeastOnce).await.unwrap();
        while next(&mut stream).await.payload() != b"anew" {}
        client.disconnect().await.unwrap();
        assert_clean(&broker);
    }
}

#[tokio::test]
async fn refused_filters_are_errors_and_lost_ones_end_their_streams() {
    let config = Config { denied: vec![TopicFilter::new("secret/#").unwrap()], ..Config::default() };
    let broker = net::Options::new().config(config).start().await.unwrap();
    for version in VERSIONS {
        let client =
            Client::connect(options(&broker.url()).client_id("curious").version(version)).await.unwrap();
        let refused = client.subscribe("secret/plans").await;
        assert!(matches!(refused, Err(SubscribeError::Refused { .. })), "{refused:?}");
        assert!(matches!(client.subscribe("a/#/b").await, Err(SubscribeError::Filter(_))));
        let mut at_once = client.subscription("secret/plans").stream().unwrap();
        assert!(within(LONG, at_once.next()).await.is_none());
        assert!(matches!(at_once.end(), Some(End::Refused(_))), "{:?}", at_once.end());

        let mut stream = client.subscribe("public").await.unwrap();
        let mut events = client.events();
        broker.with(|core, _| core.config_mut().denied.push(TopicFilter::new("public").unwrap()));
        broker.forget("curious");
        let lost = event(&mut events, |event| match event {
            Event::SubscriptionLost { filter, .. } => Some(filter.clone()),
            _ => None,
        });
        assert_eq!(lost.await.as_str(), "public");
        assert!(within(LONG, stream.next()).await.is_none());
        broker.with(|core, _| core.config_mut().denied.pop());
        client.disconnect().await.unwrap();
    }
    assert_clean(&broker);
}

#[tokio::test]
async fn streams_on_one_filter_share_it_and_the_last_one_gives_it_back() {
    let broker = Broker::start().await.unwrap();
    let client = Client::connect(options(&broker.url()).client_id("sharing")).await.unwrap();
    let mut first = client.subscribe("a").await.unwrap();
    let mut second = client.subscribe("a").await.unwrap();
    client.publish("a", "both").qos(QoS::ExactlyOnce).await.unwrap();
    assert_eq!(next(&mut first).await.payload(), b"both");
    assert_eq!(next(&mut second).await.payload(), b"both");
    drop(first);
    client.publish("a", "one").qos(QoS::ExactlyOnce).await.unwrap();
    assert_eq!(next(&mut second).await.payload(), b"one");
    assert_eq!(broker.stats().received(PacketType::Unsubscribe), 0);
    drop(second);
    within(LONG, broker.until(|core| core.subscriptions("sharing").is_empty())).await;
    settled(&broker, "sharing").await;

    let mut third = client.subscribe("a").await.unwrap();
    client.unsubscribe("a").await.unwrap();
    assert!(within(LONG, third.next()).await.is_none());
    assert_eq!(third.end(), Some(End::Unsubscribed));
    client.disconnect().await.unwrap();
    assert_clean(&broker);
}

#[tokio::test]
async fn the_stream_of_everything_gets_everything() {
    let broker = Broker::start().await.unwrap();
    let client = Client::connect(options(&broker.url()).client_id("all")).await.unwrap();
    let mut all = client.messages();
    assert_eq!(
        client.subscription("a").qos(QoS::AtLeastOnce).to_messages().await.unwrap().granted(),
        QoS::AtLeastOnce
    );
    let mut narrow = client.subscribe("b").await.unwrap();
    client.publish("a", "1").qos(QoS::ExactlyOnce).await.unwrap();
    client.publish("b", "2").qos(QoS::ExactlyOnce).await.unwrap();
    assert_eq!(next(&mut all).await.topic(), "a");
    assert_eq!(next(&mut all).await.topic(), "b");
    assert_eq!(next(&mut narrow).await.topic(), "b");
    drop(all);
    drop(narrow);
    settled(&broker, "all").await;
    client.unsubscribe("a").await.unwrap();
    client.disconnect().await.unwrap();
    assert_clean(&broker);
}

// Spec 3.1.1: MQTT-3.3.2-3
// Spec 5.0: MQTT-3.3.2-3 MQTT-4.5.0-2
#[tokio::test]
async fn messages_nobody_claims_are_acknowledged_and_reported() {
    let broker = Broker::start().await.unwrap();
    let options = options(&broker.url()).client_id("claims").session(persistent());
    let client = Client::connect(options.clone()).await.unwrap();
    drop(client.subscribe("a/#").await.unwrap());
    client.disconnect().await.unwrap();
    let publisher = publisher(&broker).await;
    publisher.publish("a/claimed", "1").qos(QoS::AtLeastOnce).await.unwrap();
    publisher.publish("a/unclaimed", "2").qos(QoS::AtLeastOnce).await.unwrap();
    let client = Client::connect(options).await.unwrap();
    let mut events = client.events();
    let mut claimed = client.subscription("a/claimed").stream().unwrap();
    assert_eq!(next(&mut claimed).await.payload(), b"1");
    let count = event(&mut events, |event| match event {
        Event::Unclaimed(count) => Some(*count),
        _ => None,
    });
    assert_eq!(count.await, 1);
    drop(claimed);
    settled(&broker, "claims").await;
    client.disconnect().await.unwrap();
    assert_clean(&broker);
}

#[tokio::test]
async fn a_batch_counts_as_one_message() {
    let broker = Broker::start().await.unwrap();
    let client = Client::connect(options(&broker.url()).client_id("batch")).await.unwrap();
    let mut stream = client.subscribe("a").await.unwrap();
    for number in 0..10_u8 {
        client.publish("a", &[number]).qos(QoS::AtLeastOnce).await.unwrap();
    }
    let mut got: Vec<u8> = Vec::new();
    while got.len() < 10 {
        let batch = within(LONG, stream.next_batch(4)).await;
        assert!((1..=4).contains(&batch.len()));
        got.extend(batch.iter().map(|message| message.payload()[0]));
    }
    assert_eq!(got, (0..10).collect::<Vec<u8>>());
    drop(stream);
    settled(&broker, "batch").await;
    client.disconnect().await.unwrap();
}

#[tokio::test]
async fn a_kept_message_keeps_little_memory_and_aliases_are_understood() {
    let config = Config { own_aliases: 10, ..Config::default() };
    let broker = net::Options::new().config(config).start().await.unwrap();
    let client = Client::connect(options(&broker.url()).version(VersionChoice::V5)).await.unwrap();
    let mut stream = client.subscribe("alias/#").await.unwrap();
    let mut kept: Vec<Message> = Vec::new();
    for number in 0..40_u32 {
        let topic = format!("alias/{}", number % 3);
        client.publish(&topic, &number.to_be_bytes()).qos(QoS::AtLeastOnce).await.unwrap();
        kept.push(next(&mut stream).await.clone());
    }
    for (number, message) in (0_u32..).zip(&kept) {
        assert_eq!(message.topic(), format!("alias/{}", number % 3));
        assert_eq!(message.payload_bytes(), number.to_be_bytes()[..]);
    }
    client.disconnect().await.unwrap();
    assert_clean(&broker);
}

#[tokio::test]
async fn handlers_may_publish() {
    let broker = Broker::start().await.unwrap();
    let client = Client::connect(Options::new(&broker.url())).await.unwrap();
    let mut answers = client.subscribe("answer").await.unwrap();
    let questions = client.subscribe("question").await.unwrap();
    let answering = client.clone();
    tokio::spawn(questions.for_each(async move |message| {
        answering.publish("answer", message.payload()).qos(QoS::AtLeastOnce).await.unwrap();
    }));
    for payload in ["1", "2", "3"] {
        client.publish("question", payload).qos(QoS::AtLeastOnce).await.unwrap();
        assert_eq!(next(&mut answers).await.payload(), payload.as_bytes());
    }
    client.disconnect().await.unwrap();
    assert_clean(&broker);
}

#[tokio::test]
async fn a_broker_of_3_1_1_that_knows_no_limit_is_cut_off_and_resumed() {
    let broker = Broker::start().await.unwrap();
    let quota = 64 * 1024;
    let options = options(&broker.url()).client_id("flooded").version(VersionChoice::V311);
    let client = Client::connect(options.session(persistent()).inbound(1024, quota)).await.unwrap();
    let mut events = client.events();
    let mut stream = client.subscribe("a").await.unwrap();
    let publisher = publisher(&broker).await;
    for number in 0..1_000_u32 {
        let mut payload = vec![0; 1_000];
        payload[..4].copy_from_slice(&number.to_be_bytes());
        publisher.publish("a", payload).qos(QoS::AtLeastOnce).await.unwrap();
    }
    // Nobody takes, and this awaits the broker: reading must go on, at any price but memory.
    let awaiting = client.publish("b", "c").qos(QoS::AtLeastOnce).enqueue().await.unwrap();
    let cause = disconnected(&mut events).await;
    assert!(
        matches!(&cause, packetboat::Disconnection::Ended(packetboat::Cause::Breach(breach))
            if breach.reason == Reason::QUOTA_EXCEEDED),
        "{cause:?}"
    );
    let taking = async {
        let mut expected = 0;
        while expected < 1_000 {
            let message = next(&mut stream).await;
            let number = u32::from_be_bytes(*message.payload().first_chunk().unwrap());
            // What was in hand when the connection was cut comes again.
            assert!(number <= expected, "{number} before {expected}");
            expected = expected.max(number + 1);
        }
    };
    within(LONG, taking).await;
    within(LONG, awaiting).await.unwrap();
    client.disconnect().await.unwrap();
    assert_clean(&broker);
}

#[tokio::test]
async fn a_link_that_is_not_read_stays_alive() {
    let broker = Broker::start().await.unwrap();
    let options =
        options(&broker.url()).client_id("patient").keep_alive(Duration::from_secs(2)).inbound(10, 1 << 20);
    let client = Client::connect(options).await.unwrap();
    let mut events = client.events();
    let mut stream = client.subscribe("a").await.unwrap();
    let publisher = publisher(&broker).await;
    eleven(&publisher).await;
    eleven(&publisher).await;
    // Three keep-alive intervals pass while the stream is full: PINGREQ goes out, and nobody gives up.
    let pings = async { broker.until(|core| core.stats().received(PacketType::PingReq) >= 3).await };
    within(LONG, pings).await;
    assert_eq!(until_last(&mut stream).await.len(), 11);
    assert_eq!(until_last(&mut stream).await.len(), 11);
    let nothing = tokio::time::timeout(Duration::from_millis(10), disconnected(&mut events)).await;
    assert!(nothing.is_err(), "{nothing:?}");
    client.disconnect().await.unwrap();
    assert_clean(&broker);
}
