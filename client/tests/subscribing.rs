//! Subscriptions: many at once, overlapping, shared, and their options.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{LONG, VERSIONS, connected, disconnected, event, next, options, within};
use packetboat::{
    Client, Direction, End, Event, Options, Packet, QoS, Reason, RetainHandling, StreamPolicy,
    SubscribeError, SubscribeRejectReason, Subscriber, TopicFilter, VersionChoice,
};
use packetboat_sim::broker::{Config, Overlap};
use packetboat_sim::net::{self, Broker};

async fn broker_with(config: Config) -> Broker {
    net::Options::new().config(config).start().await.unwrap()
}

fn assert_clean(broker: &Broker) {
    assert!(broker.violations().is_empty(), "{:?}", broker.violations());
}

/// How many filters each SUBSCRIBE had.
type Packets = Arc<Mutex<Vec<usize>>>;

fn counting(options: Options) -> (Options, Packets) {
    let packets = Packets::default();
    let seen = packets.clone();
    let options = options.on_packet(move |passing| {
        if let (Direction::Sent, Some(Packet::Subscribe(subscribe))) = (passing.direction, passing.packet) {
            seen.lock().unwrap().push(subscribe.filters.iter().count());
        }
    });
    (options, packets)
}

/// What is in the streams before a mark, in order.
async fn until_mark(client: &Client, streams: &mut [&mut Subscriber]) -> Vec<Vec<String>> {
    client.publish("mark", "mark").qos(QoS::ExactlyOnce).await.unwrap();
    let mut all = Vec::new();
    for stream in streams {
        let mut payloads = Vec::new();
        loop {
            let message = next(stream).await;
            if message.payload() == b"mark" {
                break;
            }
            payloads.push(String::from_utf8(message.payload().to_vec()).unwrap());
        }
        all.push(payloads);
    }
    all
}

#[tokio::test]
async fn many_filters_go_eight_to_a_packet_and_each_has_its_own_result() {
    let denied = ["f/3", "f/11"].map(|filter| TopicFilter::new(filter).unwrap());
    for identifiers in [false, true] {
        for version in VERSIONS {
            let broker = broker_with(Config {
                denied: denied.to_vec(),
                subscription_identifiers_available: identifiers,
                ..Config::default()
            })
            .await;
            let (options, packets) = counting(options(&broker.url()).version(version).client_id("many"));
            let client = Client::connect(options).await.unwrap();
            let filters: Vec<String> = (0..20).map(|number| format!("f/{number}")).collect();
            let many = filters.iter().map(|filter| client.subscription(filter).qos(QoS::AtLeastOnce));
            let wrong = client.subscription("f/#/wrong");
            let mut results = within(LONG, client.subscribe_many(many.chain([wrong]))).await;
            assert!(matches!(results.pop(), Some(Err(SubscribeError::Filter(_)))));
            assert_eq!(results.len(), 20);
            for (number, result) in results.iter().enumerate() {
                match result {
                    Ok(stream) => {
                        assert_eq!(stream.filter().unwrap().as_str(), filters[number]);
                        assert_eq!(stream.granted(), Some(QoS::AtLeastOnce));
                        assert!(number != 3 && number != 11);
                    }
                    Err(SubscribeError::Refused { .. }) => assert!(number == 3 || number == 11, "{number}"),
                    Err(other) => panic!("{number}: {other:?}"),
                }
            }
            // With subscription identifiers each filter needs a packet of its own.
            let alone = identifiers && version == VersionChoice::V5;
            let expected = if alone { vec![1; 20] } else { vec![8, 8, 4] };
            assert_eq!(*packets.lock().unwrap(), expected, "{version:?}");
            client.publish("f/7", "seven").qos(QoS::AtLeastOnce).await.unwrap();
            let seventh = results[7].as_mut().unwrap();
            assert_eq!(next(seventh).await.payload(), b"seven");
            // All of them go with their streams.
            drop(results);
            within(LONG, broker.until(|core| core.subscriptions("many").is_empty())).await;
            assert!(within(LONG, client.subscribe_many([])).await.is_empty());
            client.disconnect().await.unwrap();
            assert_clean(&broker);
        }
    }
}

#[tokio::test]
async fn many_subscriptions_that_are_dropped_half_way_leave_nothing() {
    let broker = Broker::start().await.unwrap();
    let client = Client::connect(options(&broker.url()).client_id("dropped")).await.unwrap();
    {
        let mut many =
            std::pin::pin!(client.subscribe_many(["a", "b"].map(|filter| client.subscription(filter))));
        let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(many.as_mut().poll(cx).is_pending()));
        assert!(polled.await);
    }
    within(LONG, client.publish("x", "a round trip").qos(QoS::AtLeastOnce)).await.unwrap();
    within(LONG, broker.until(|core| core.subscriptions("dropped").is_empty())).await;
    client.disconnect().await.unwrap();
    assert_clean(&broker);
}

/// As `semantics.md` of the house has it: with identifiers each stream gets what its filter is named for; without, every
/// copy that the broker sends goes to every stream that matches.
#[tokio::test]
async fn overlapping_filters_get_each_message_once_where_the_broker_tells_them_apart() {
    for overlap in [Overlap::OneCopy, Overlap::CopyEach] {
        for (version, identifiers) in
            [(VersionChoice::V5, true), (VersionChoice::V5, false), (VersionChoice::V311, true)]
        {
            let broker = broker_with(Config {
                overlap,
                subscription_identifiers_available: identifiers,
                ..Config::default()
            })
            .await;
            let client = Client::connect(options(&broker.url()).version(version)).await.unwrap();
            let mut streams = Vec::new();
            for filter in ["a/#", "a/+", "a/b"] {
                streams.push(client.subscribe(filter).await.unwrap());
            }
            // Two on one filter: it is one subscription to the broker.
            streams.push(client.subscribe("a/b").await.unwrap());
            let mut other = client.subscribe("+").await.unwrap();
            for (payload, topic) in [("1", "a/b"), ("2", "a/c"), ("3", "a/b")] {
                client.publish(topic, payload).qos(QoS::ExactlyOnce).await.unwrap();
            }
            assert_eq!(until_mark(&client, &mut [&mut other]).await, [[""; 0]]);
            let named = identifiers && version == VersionChoice::V5;
            let copies = if named || overlap == Overlap::OneCopy { [1, 1] } else { [3, 2] };
            let mut all = Vec::new();
            for (stream, topics) in streams.iter_mut().zip([2, 2, 1, 1]) {
                // "2" is on a topic that the last two do not match.
                let mut expected = vec!["1"; copies[0]];
                expected.extend(vec!["2"; if topics == 2 { copies[1] } else { 0 }]);
                expected.extend(vec!["3"; copies[0]]);
                let mut payloads = Vec::new();
                for _ in &expected {
                    payloads.push(String::from_utf8(next(stream).await.payload().to_vec()).unwrap());
                }
                payloads.sort();
                all.push((payloads, expected));
            }
            for (payloads, expected) in all {
                assert_eq!(payloads, expected, "{overlap:?} {version:?} identifiers {identifiers}");
            }
            for mut stream in streams {
                let more = tokio::time::timeout(Duration::from_millis(20), stream.next()).await;
                assert!(more.is_err(), "{overlap:?} {version:?}: {more:?}");
            }
            client.disconnect().await.unwrap();
            assert_clean(&broker);
        }
    }
}

#[tokio::test]
async fn a_shared_subscription_gives_each_message_to_one_and_the_rest_to_those_who_stay() {
    for version in VERSIONS {
        let broker = Broker::start().await.unwrap();
        let mut members = Vec::new();
        for name in ["one", "two"] {
            let client =
                Client::connect(options(&broker.url()).client_id(name).version(version)).await.unwrap();
            let stream = client.subscription("$share/crew/jobs/#").manual_ack().await.unwrap();
            members.push((client, stream));
        }
        let boss = Client::connect(options(&broker.url()).version(version)).await.unwrap();
        for number in 0..10_u8 {
            boss.publish("jobs/x", &[number]).qos(QoS::AtLeastOnce).await.unwrap();
        }
        let mut all = Vec::new();
        while all.len() < 10 {
            let [(_, first), (_, second)] = &mut members[..] else { unreachable!() };
            let message = within(LONG, async {
                tokio::select! { message = first.next() => message, message = second.next() => message }
            });
            let message = message.await.unwrap();
            all.push(message.payload()[0]);
            message.ack().unwrap();
        }
        all.sort_unstable();
        assert_eq!(all, (0..10).collect::<Vec<u8>>(), "each once, whoever gets it");
        let (gone, stream) = members.remove(0);
        drop(stream);
        gone.disconnect().await.unwrap();
        boss.publish("jobs/x", "left").qos(QoS::AtLeastOnce).await.unwrap();
        let message = next(&mut members[0].1).await;
        assert_eq!(message.payload(), b"left");
        message.ack().unwrap();
        boss.publish("x", "a round trip").qos(QoS::AtLeastOnce).await.unwrap();
        assert_clean(&broker);
    }
}

#[tokio::test]
async fn what_shared_subscriptions_cannot_be_is_refused_at_the_call_or_by_its_reason() {
    let broker = broker_with(Config { subscription_identifiers_available: false, ..Config::default() }).await;
    let client = Client::connect(options(&broker.url()).version(VersionChoice::V5)).await.unwrap();
    let refused = client.subscription("$share/g/a").no_local(true).await.unwrap_err();
    assert!(matches!(refused, SubscribeError::Rejected(SubscribeRejectReason::SharedNoLocal)), "{refused:?}");
    let _shared = client.subscribe("$share/g/a/+").await.unwrap();
    // Nobody could tell whose a message is.
    let refused = client.subscribe("a/b").await.unwrap_err();
    assert!(
        matches!(refused, SubscribeError::Rejected(SubscribeRejectReason::OverlapsShared)),
        "{refused:?}"
    );
    client.disconnect().await.unwrap();
    let broker = broker_with(Config { shared_available: false, ..Config::default() }).await;
    let client = Client::connect(options(&broker.url()).version(VersionChoice::V5)).await.unwrap();
    match client.subscribe("$share/g/a").await.unwrap_err() {
        SubscribeError::Refused { reason, .. } => {
            assert_eq!(reason, Reason::SHARED_SUBSCRIPTIONS_NOT_SUPPORTED);
        }
        other => panic!("{other:?}"),
    }
    client.disconnect().await.unwrap();
    assert_clean(&broker);
}

#[tokio::test]
async fn options_of_subscriptions_do_what_they_say() {
    let broker = Broker::start().await.unwrap();
    let client = Client::connect(options(&broker.url()).version(VersionChoice::V5)).await.unwrap();
    let other = Client::connect(options(&broker.url())).await.unwrap();
    other.publish("a", "kept").qos(QoS::AtLeastOnce).retain(true).await.unwrap();

    // No local: not what this client says, whatever its QoS.
    let mut foreign =
        client.subscription("a").no_local(true).retain_handling(RetainHandling::DoNotSend).await.unwrap();
    client.publish("a", "mine").qos(QoS::ExactlyOnce).await.unwrap();
    other.publish("a", "theirs").qos(QoS::AtLeastOnce).retain(true).await.unwrap();
    let message = next(&mut foreign).await;
    assert_eq!((message.payload(), message.retain()), (&b"theirs"[..], false), "not as published by default");
    drop(foreign);

    // Retain as published.
    let asked = client.subscription("b").retain_as_published(true);
    let mut published = asked.await.unwrap();
    other.publish("b", "yes").qos(QoS::AtLeastOnce).retain(true).await.unwrap();
    other.publish("b", "no").qos(QoS::AtLeastOnce).await.unwrap();
    assert!(next(&mut published).await.retain());
    assert!(!next(&mut published).await.retain());

    // Retain handling: always, never, and for a new subscription only.
    let mut first = client.subscription("b").retain_as_published(true).await.unwrap();
    assert_eq!(next(&mut first).await.payload(), b"yes");
    for handling in [RetainHandling::SendIfNew, RetainHandling::DoNotSend] {
        let again = client.subscription("b").retain_as_published(true).retain_handling(handling);
        let mut again = again.await.unwrap();
        other.publish("b", "live").qos(QoS::AtLeastOnce).await.unwrap();
        assert_eq!(next(&mut again).await.payload(), b"live", "{handling:?}");
    }
    let mut new = client.subscription("+").retain_handling(RetainHandling::SendIfNew).await.unwrap();
    let mut kept = vec![next(&mut new).await.payload().to_vec(), next(&mut new).await.payload().to_vec()];
    kept.sort();
    assert_eq!(kept, [&b"theirs"[..], b"yes"]);

    // One filter has one set of options.
    let conflict = client.subscription("b").no_local(true).await.unwrap_err();
    assert!(
        matches!(conflict, SubscribeError::Rejected(SubscribeRejectReason::ConflictingOptions)),
        "{conflict:?}"
    );
    client.disconnect().await.unwrap();
    other.disconnect().await.unwrap();
    assert_clean(&broker);
}

#[tokio::test]
async fn options_that_3_1_1_does_not_have_are_refused_and_never_left_out() {
    let broker = Broker::start().await.unwrap();
    let fixed = Client::connect(options(&broker.url()).version(VersionChoice::V311)).await.unwrap();
    let old = net::Options::new().versions(&[packetboat::Version::V311]).start().await.unwrap();
    let found = Client::connect(options(&old.url())).await.unwrap();
    for (client, at_the_call) in [(&fixed, true), (&found, false)] {
        let asked = [
            client.subscription("a").no_local(true),
            client.subscription("b").retain_as_published(true),
            client.subscription("c").retain_handling(RetainHandling::DoNotSend),
        ];
        for result in within(LONG, client.subscribe_many(asked)).await {
            match result.unwrap_err() {
                SubscribeError::Rejected(SubscribeRejectReason::NeedsVersion5) => assert!(at_the_call),
                SubscribeError::Refused { reason: Reason::UNSUPPORTED_PROTOCOL_VERSION, .. } => {
                    assert!(!at_the_call);
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert_clean(&broker);
    assert_clean(&old);
}

#[tokio::test]
async fn everything_asked_for_stands_again_after_the_session_was_lost() {
    let broker = broker_with(Config {
        denied: vec![],
        subscription_identifiers_available: false,
        ..Config::default()
    })
    .await;
    let (options, packets) = counting(options(&broker.url()).client_id("again"));
    let client = Client::connect(options).await.unwrap();
    let mut events = client.events();
    let filters: Vec<String> = (0..10).map(|number| format!("f/{number}")).collect();
    let many = filters.iter().map(|filter| client.subscription(filter).policy(StreamPolicy::DropOldest));
    let mut streams: Vec<Subscriber> =
        within(LONG, client.subscribe_many(many)).await.into_iter().map(Result::unwrap).collect();
    packets.lock().unwrap().clear();
    broker.with(|core, _| core.config_mut().denied.push(TopicFilter::new("f/4").unwrap()));
    broker.forget("again");
    disconnected(&mut events).await;
    assert!(!connected(&mut events).await);
    event(&mut events, |event| matches!(event, Event::SubscriptionsRestored).then_some(())).await;
    assert_eq!(*packets.lock().unwrap(), [8, 2]);
    for (number, stream) in streams.iter_mut().enumerate() {
        client.publish(&format!("f/{number}"), "x").qos(QoS::AtMostOnce).await.unwrap();
        if number == 4 {
            assert!(within(LONG, stream.next()).await.is_none());
            assert!(matches!(stream.end(), Some(End::Refused(_))));
        } else {
            assert_eq!(next(stream).await.payload(), b"x");
        }
    }
    client.disconnect().await.unwrap();
    assert_clean(&broker);
}
