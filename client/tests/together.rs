//! One stream over several filters: each message once, however many of them match.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::mosquitto::mosquitto;
use common::{ALL_QOS, LONG, VERSIONS, connected, disconnected, event, next, options, within};
use packetboat::{
    Client, End, Event, PropertiesBuf, QoS, Reason, SessionMode, SubscribeError, SubscribeRejectReason,
    Subscriber, TopicFilter, VersionChoice,
};
use packetboat_core::rng::Rng;
use packetboat_core::wire::{Packet, Publish, Version, encode};
use packetboat_sim::broker::{Config, Overlap};
use packetboat_sim::net::{self, Broker};

async fn broker_with(config: Config) -> Broker {
    net::Options::new().config(config).start().await.unwrap()
}

async fn copying() -> Broker {
    broker_with(Config { overlap: Overlap::CopyEach, ..Config::default() }).await
}

fn assert_clean(broker: &Broker) {
    assert!(broker.violations().is_empty(), "{:?}", broker.violations());
}

async fn texts(stream: &mut Subscriber, count: usize) -> Vec<String> {
    let mut texts = Vec::new();
    for _ in 0..count {
        texts.push(String::from_utf8(next(stream).await.payload().to_vec()).unwrap());
    }
    texts
}

/// With identifiers each message comes once, equal ones in a row too; without, as many copies as the broker sends.
#[tokio::test]
async fn a_message_comes_once_however_many_filters_match() {
    for overlap in [Overlap::OneCopy, Overlap::CopyEach] {
        for (version, identifiers) in
            [(VersionChoice::V5, true), (VersionChoice::V5, false), (VersionChoice::V311, true)]
        {
            for qos in ALL_QOS {
                let config =
                    Config { overlap, subscription_identifiers_available: identifiers, ..Config::default() };
                let broker = broker_with(config).await;
                // A small window: copies that nobody acknowledged would stop it.
                let client = options(&broker.url()).version(version).inbound(4, 1 << 20);
                let client = Client::connect(client).await.unwrap();
                let stream = client.subscription("a/#").also("+/b").also("a/b").also("a/#").qos(qos);
                let mut stream = stream.await.unwrap();
                let filters: Vec<_> = stream.filters().iter().map(ToString::to_string).collect();
                assert_eq!(filters, ["a/#", "+/b", "a/b"], "one that is named twice counts once");
                assert_eq!(stream.answers().len(), 3);
                assert_eq!(stream.granted(), Some(qos));
                let sent = ["on", "on", "on", "off", "on", "on"].repeat(3);
                let publishing = async {
                    for payload in &sent {
                        client.publish("a/b", *payload).qos(qos).await.unwrap();
                    }
                    client.publish("a", "end").qos(qos).await.unwrap();
                };
                let named = identifiers && version == VersionChoice::V5;
                let copies = if named || overlap == Overlap::OneCopy { 1 } else { 3 };
                let mut expected: Vec<&str> =
                    sent.iter().flat_map(|payload| std::iter::repeat_n(*payload, copies)).collect();
                expected.push("end");
                let ((), came) = tokio::join!(publishing, texts(&mut stream, expected.len()));
                assert_eq!(came, expected, "{overlap:?} {version:?} identifiers {identifiers} {qos:?}");
                client.disconnect().await.unwrap();
                assert!(stream.next().await.is_none());
                assert_clean(&broker);
            }
        }
    }
}

#[tokio::test]
async fn mosquitto_sends_a_copy_for_each_filter_on_5_0_and_it_comes_once() {
    let Some(broker) = mosquitto() else { return };
    for version in VERSIONS {
        let client = Client::connect(options(&broker.url()).version(version)).await.unwrap();
        let mut stream = client.subscription("over/#").also("over/lap").also("+/lap").await.unwrap();
        let mut alone = client.subscribe("over/lap").await.unwrap();
        for payload in ["on", "on", "off", "on"].repeat(10) {
            client.publish("over/lap", payload).qos(QoS::AtLeastOnce).await.unwrap();
            // Both, as they come: mosquitto has 20 on the way on 3.1.1.
            assert_eq!(texts(&mut stream, 1).await, [payload], "{version:?}");
            assert_eq!(texts(&mut alone, 1).await, [payload], "{version:?}");
        }
        client.disconnect().await.unwrap();
        assert!(stream.next().await.is_none() && alone.next().await.is_none());
    }
}

/// A broker that sends this on topic `a/b`, for the filter with this identifier.
fn copy(payload: &str, identifier: u32) -> Vec<u8> {
    let mut properties = PropertiesBuf::new();
    properties.subscription_identifier(identifier).unwrap();
    let publish = Publish {
        dup: false,
        retain: false,
        qos: QoS::AtMostOnce,
        topic: "a/b",
        id: None,
        properties: properties.as_properties(),
        payload: payload.as_bytes(),
    };
    let mut bytes = Vec::new();
    encode(Version::V5, &Packet::Publish(publish), &mut bytes);
    bytes
}

/// Each filter's copies come in order, those of different filters as it happens: equal messages come as often as they were sent.
#[tokio::test]
async fn copies_that_come_in_any_order_are_copies() {
    let broker = copying().await;
    let options = options(&broker.url()).version(VersionChoice::V5).client_id("one");
    let client = Client::connect(options).await.unwrap();
    let mut stream = client.subscription("a/+").also("+/b").also("a/b").await.unwrap();
    let identifiers: Vec<u32> = stream.filters().iter().map(TopicFilter::subscription_identifier).collect();
    for seed in 0..300 {
        let mut rng = Rng::new(seed);
        let sent: Vec<&str> =
            (0..=rng.below(12)).map(|_| if rng.below(3) == 0 { "off" } else { "on" }).collect();
        // How many of them each filter has had.
        let mut had = vec![0; identifiers.len()];
        while let Some(&least) = had.iter().min().filter(|least| **least < sent.len()) {
            let at = usize::try_from(rng.below(3)).unwrap();
            if had[at] < sent.len() && (seed % 2 == 0 || had[at] < least + 2) {
                assert!(broker.send_raw("one", &copy(sent[had[at]], identifiers[at])));
                had[at] += 1;
            }
        }
        for identifier in &identifiers {
            broker.send_raw("one", &copy("end", *identifier));
        }
        let mut came = texts(&mut stream, sent.len() + 1).await;
        assert_eq!(came.pop().as_deref(), Some("end"), "{seed}: {sent:?}");
        let mut sent = sent;
        came.sort_unstable();
        sent.sort_unstable();
        assert_eq!(came, sent, "{seed}");
    }
}

/// What filters are behind by is forgotten when they change, or the one that is left would get nothing for a while.
#[tokio::test]
async fn a_filter_that_is_left_misses_no_more_than_one_of_equal_messages() {
    let broker = copying().await;
    let options = options(&broker.url()).version(VersionChoice::V5).client_id("one");
    let client = Client::connect(options).await.unwrap();
    let identifier = |filter: &str| TopicFilter::new(filter).unwrap().subscription_identifier();
    for by_hand in [true, false] {
        let mut stream = client.subscription("a/+").also("+/b").standing().unwrap();
        for _ in 0..5 {
            broker.send_raw("one", &copy("on", identifier("a/+")));
        }
        assert_eq!(texts(&mut stream, 5).await, ["on"; 5]);
        if by_hand {
            assert!(stream.remove_filter("a/+").unwrap());
        } else {
            client.unsubscribe("a/+").await.unwrap();
            assert_eq!(stream.take_lost().len(), 1);
        }
        for _ in 0..3 {
            broker.send_raw("one", &copy("on", identifier("+/b")));
        }
        broker.send_raw("one", &copy("end", identifier("+/b")));
        assert_eq!(texts(&mut stream, 3).await, ["on", "on", "end"], "{by_hand}");
        client.unsubscribe("+/b").await.unwrap();
    }
}

/// Messages that differ in nothing but one part are none the less two.
#[tokio::test]
async fn what_differs_in_anything_is_another_message() {
    let broker = copying().await;
    let client = Client::connect(options(&broker.url()).version(VersionChoice::V5)).await.unwrap();
    let mut stream = client.subscription("a/+").also("+/b").await.unwrap();
    let told = |message: &packetboat::Message| format!("{:?}", message.properties());
    let publish = |fill: fn(&mut PropertiesBuf)| {
        let mut properties = PropertiesBuf::new();
        fill(&mut properties);
        client.publish("a/b", "same").qos(QoS::AtLeastOnce).properties(properties)
    };
    publish(|_| {}).await.unwrap();
    publish(|properties| assert!(properties.content_type("text").is_ok())).await.unwrap();
    publish(|properties| assert!(properties.correlation_data(b"1").is_ok())).await.unwrap();
    publish(|properties| assert!(properties.user_property("a", "b").is_ok())).await.unwrap();
    publish(|properties| assert!(properties.user_property("a", "c").is_ok())).await.unwrap();
    let expected = [
        "",
        "ContentType: \"text\"",
        "CorrelationData: [49]",
        "UserProperty: (\"a\", \"b\")",
        "UserProperty: (\"a\", \"c\")",
    ];
    for expected in expected {
        let told = told(&next(&mut stream).await);
        assert!(told.contains(expected) && (expected.is_empty() != told.contains(',')), "{told} {expected}");
    }
    client.disconnect().await.unwrap();
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn what_a_broken_connection_repeats_comes_once_at_qos_2_and_at_least_once_at_qos_1() {
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        for cut_after in [3, 4, 5, 6, 7, 8, 9, 10, 12, 15] {
            let broker = copying().await;
            let options = options(&broker.url()).version(VersionChoice::V5).client_id("cut");
            let client = Client::connect(options).await.unwrap();
            let publisher = Client::connect(common::options(&broker.url())).await.unwrap();
            let mut stream = client.subscription("a/+").also("+/b").qos(qos).await.unwrap();
            broker
                .faults()
                .only(Some("cut"))
                .cut_after_packets(packetboat_sim::broker::Direction::ToClient, cut_after);
            for number in 0..20 {
                publisher.publish("a/b", number.to_string()).qos(qos).await.unwrap();
            }
            let mut came = Vec::new();
            while came.last().map(String::as_str) != Some("19") {
                came.extend(texts(&mut stream, 1).await);
            }
            assert!(broker.stats().connections >= 3, "{:?}", broker.stats());
            if qos == QoS::AtLeastOnce {
                came.dedup();
            }
            let expected: Vec<_> = (0..20).map(|number| number.to_string()).collect();
            for number in &expected {
                assert!(came.contains(number), "{number} of {came:?}");
            }
            if qos == QoS::ExactlyOnce {
                assert_eq!(came, expected);
            }
            client.disconnect().await.unwrap();
            publisher.disconnect().await.unwrap();
            assert_clean(&broker);
        }
    }
}

#[tokio::test]
async fn one_refused_filter_is_an_error_and_gives_the_others_back() {
    let denied = vec![TopicFilter::new("b").unwrap()];
    for version in VERSIONS {
        let broker = broker_with(Config { denied: denied.clone(), ..Config::default() }).await;
        let client = options(&broker.url()).version(version).client_id("refused");
        let client = Client::connect(client).await.unwrap();
        match within(LONG, client.subscription("a").also("b").also("c")).await {
            Err(SubscribeError::Refused { reason, .. }) => assert!(reason.is_error()),
            other => panic!("{other:?}"),
        }
        within(LONG, broker.until(|core| core.subscriptions("refused").is_empty())).await;
        // And what cannot be asked for at all asks for nothing.
        let wrong = client.subscription("a").also("b/#/c").also("d").await;
        assert!(matches!(wrong, Err(SubscribeError::Filter(_))), "{wrong:?}");
        let mut kept = client.subscribe("x").await.unwrap();
        if version == VersionChoice::V5 {
            let conflict = client.subscription("y").also("x").no_local(true).await;
            assert!(
                matches!(conflict, Err(SubscribeError::Rejected(SubscribeRejectReason::ConflictingOptions))),
                "{conflict:?}"
            );
        }
        client.publish("x", "x").qos(QoS::ExactlyOnce).await.unwrap();
        assert_eq!(texts(&mut kept, 1).await, ["x"]);
        let only = |core: &packetboat_sim::broker::Broker| core.subscriptions("refused").len() == 1;
        within(LONG, broker.until(only)).await;
        client.disconnect().await.unwrap();
        assert_clean(&broker);
    }
}

#[tokio::test]
async fn the_stream_ends_with_the_first_filter_it_loses_and_the_rest_goes_with_it() {
    let broker = copying().await;
    let client = Client::connect(options(&broker.url()).client_id("ends")).await.unwrap();
    let mut events = client.events();
    let mut first = client.subscription("a").also("b").also("c").await.unwrap();
    let mut other = client.subscription("c").also("d").await.unwrap();
    within(LONG, client.unsubscribe("b")).await.unwrap();
    assert!(within(LONG, first.next()).await.is_none());
    assert_eq!(first.end(), Some(End::Unsubscribed));
    drop(first);
    let left = |core: &packetboat_sim::broker::Broker| {
        let mut left: Vec<_> = core.subscriptions("ends").iter().map(ToString::to_string).collect();
        left.sort();
        left == ["c", "d"]
    };
    within(LONG, broker.until(left)).await;
    // Its place is taken by others, which get what is theirs alone.
    let mut next_one = client.subscription("e").also("f").await.unwrap();
    for topic in ["a", "b", "c", "d", "e"] {
        client.publish(topic, topic).qos(QoS::AtLeastOnce).await.unwrap();
    }
    assert_eq!(texts(&mut other, 2).await, ["c", "d"]);
    assert_eq!(texts(&mut next_one, 1).await, ["e"]);
    // Refused when they are asked for anew.
    broker.with(|core, _| core.config_mut().denied.push(TopicFilter::new("d").unwrap()));
    broker.forget("ends");
    disconnected(&mut events).await;
    assert!(!connected(&mut events).await);
    event(&mut events, |event| matches!(event, Event::SubscriptionsRestored).then_some(())).await;
    assert!(within(LONG, other.next()).await.is_none());
    assert!(matches!(other.end(), Some(End::Refused(_))), "{:?}", other.end());
    within(LONG, other.unsubscribe()).await.unwrap();
    within(LONG, next_one.unsubscribe()).await.unwrap();
    within(LONG, broker.until(|core| core.subscriptions("ends").is_empty())).await;
    client.disconnect().await.unwrap();
    assert_clean(&broker);
}

#[tokio::test]
async fn a_callback_with_a_list_of_filters_is_called_once_for_each_message() {
    let broker = copying().await;
    let client = Client::connect(&broker.url()).await.unwrap();
    let (calls, called) = tokio::sync::mpsc::unbounded_channel();
    let asked = client.subscription("a/+").also("+/b");
    let callback = asked.call(move |_, message| {
        let sent = calls.send(message.payload().to_vec());
        async move { sent.unwrap() }
    });
    let callback = callback.await.unwrap();
    for payload in ["1", "1", "2", "end"] {
        client.publish("a/b", payload).qos(QoS::AtLeastOnce).await.unwrap();
    }
    let mut called = called;
    for expected in ["1", "1", "2", "end"] {
        assert_eq!(within(LONG, called.recv()).await.unwrap(), expected.as_bytes());
    }
    assert_eq!(callback.called(), 4);
    callback.stop().await;
    client.disconnect().await.unwrap();
    assert!(called.recv().await.is_none());
}

#[tokio::test]
async fn what_waited_in_the_session_comes_once_too() {
    let broker = copying().await;
    let session = SessionMode::Persistent { expiry: Duration::from_mins(1) };
    let options = options(&broker.url()).version(VersionChoice::V5).client_id("later").session(session);
    let client = Client::connect(options.clone()).await.unwrap();
    let stream = client.subscription("a/+").also("+/b").await.unwrap();
    client.disconnect().await.unwrap();
    drop(stream);
    let publisher = Client::connect(&broker.url()).await.unwrap();
    for payload in ["on", "on", "off", "on"] {
        publisher.publish("a/b", payload).qos(QoS::ExactlyOnce).await.unwrap();
    }
    publisher.publish("x/b", "end").qos(QoS::ExactlyOnce).await.unwrap();
    let client = Client::connect(options).await.unwrap();
    let mut stream = client.subscription("a/+").also("+/b").await.unwrap();
    assert_eq!(texts(&mut stream, 5).await, ["on", "on", "off", "on", "end"]);
    client.disconnect().await.unwrap();
    assert!(stream.next().await.is_none());
    assert_clean(&broker);
}

#[tokio::test]
async fn copies_are_acknowledged_for_who_acknowledges_by_hand() {
    let broker = copying().await;
    let client = options(&broker.url()).version(VersionChoice::V5).client_id("hand").inbound(4, 1 << 20);
    let client = Client::connect(client).await.unwrap();
    let asked = client.subscription("a/+").also("+/b").also("#").qos(QoS::AtLeastOnce).manual_ack();
    let mut stream = asked.await.unwrap();
    let publisher = Client::connect(&broker.url()).await.unwrap();
    for number in 0..20 {
        publisher.publish("a/b", number.to_string()).qos(QoS::AtLeastOnce).await.unwrap();
    }
    let mut came = Vec::new();
    for _ in 0..20 {
        let batch = within(LONG, stream.next_batch(1)).await;
        for message in batch {
            came.push(String::from_utf8(message.payload().to_vec()).unwrap());
            message.ack().unwrap();
        }
    }
    assert_eq!(came, (0..20).map(|number| number.to_string()).collect::<Vec<_>>());
    client.disconnect().await.unwrap();
    assert_clean(&broker);
}

/// Two shared filters share with other clients: what comes for the one is no copy of what comes for the other.
#[tokio::test]
async fn what_comes_for_shared_filters_is_never_taken_for_a_copy() {
    let broker = copying().await;
    let client = Client::connect(options(&broker.url()).version(VersionChoice::V5)).await.unwrap();
    let asked = client.subscription("$share/one/a").also("$share/two/a").also("a").also("+");
    let mut stream = asked.await.unwrap();
    client.publish("a", "x").qos(QoS::AtLeastOnce).await.unwrap();
    client.publish("b", "end").qos(QoS::AtLeastOnce).await.unwrap();
    assert_eq!(texts(&mut stream, 4).await, ["x", "x", "x", "end"]);
    client.disconnect().await.unwrap();
    assert!(stream.next().await.is_none());
    assert_clean(&broker);
}

#[tokio::test]
async fn without_a_stream_several_filters_are_asked_for_as_well() {
    let broker = broker_with(Config {
        denied: vec![TopicFilter::new("no").unwrap()],
        overlap: Overlap::OneCopy,
        ..Config::default()
    })
    .await;
    let client = Client::connect(options(&broker.url()).client_id("all")).await.unwrap();
    let mut all = client.messages();
    let answer = within(LONG, client.subscription("a").also("+").to_messages()).await.unwrap();
    assert_eq!(answer.reason, Reason::GRANTED_QOS_2);
    let refused = within(LONG, client.subscription("b").also("no").to_messages()).await;
    assert!(matches!(refused, Err(SubscribeError::Refused { .. })), "{refused:?}");
    client.publish("a", "1").await.unwrap();
    assert_eq!(texts(&mut all, 1).await, ["1"]);
    client.disconnect().await.unwrap();
    assert!(within(LONG, all.next()).await.is_none());
    assert_clean(&broker);
}

/// What is asked for together with streams of their own, in one call.
#[tokio::test]
async fn many_streams_can_be_asked_for_of_which_some_have_several_filters() {
    let broker = copying().await;
    let client = Client::connect(options(&broker.url())).await.unwrap();
    let seen = Arc::new(Mutex::new(0));
    let many = [client.subscription("a/#").also("+/b"), client.subscription("a/b")];
    for stream in within(LONG, client.subscribe_many(many)).await {
        let (mut stream, seen) = (stream.unwrap(), seen.clone());
        client.publish("a/b", "x").qos(QoS::AtLeastOnce).await.unwrap();
        assert_eq!(texts(&mut stream, 1).await, ["x"]);
        *seen.lock().unwrap() += 1;
    }
    assert_eq!(*seen.lock().unwrap(), 2);
    client.disconnect().await.unwrap();
    assert_clean(&broker);
}

#[tokio::test]
async fn each_of_many_subscriptions_is_made_on_its_own_client() {
    let broker = copying().await;
    let connect = |name: &str| Client::connect(options(&broker.url()).client_id(name));
    let (one, other) = (connect("one").await.unwrap(), connect("other").await.unwrap());
    let many = [one.subscription("a"), other.subscription("b"), one.subscription("c")];
    let streams = within(LONG, one.subscribe_many(many)).await;
    for (stream, topic) in streams.into_iter().zip(["a", "b", "c"]) {
        let mut stream = stream.unwrap();
        one.publish(topic, topic).qos(QoS::AtLeastOnce).await.unwrap();
        assert_eq!(texts(&mut stream, 1).await, [topic]);
    }
    assert_clean(&broker);
}

async fn lost(stream: &mut Subscriber) -> Vec<(String, End)> {
    let search = async {
        loop {
            let lost = stream.take_lost();
            if !lost.is_empty() {
                return lost.into_iter().map(|(filter, end)| (filter.to_string(), end)).collect();
            }
            tokio::task::yield_now().await;
        }
    };
    within(LONG, search).await
}

/// Only differences go to the broker, and no message is lost or comes twice meanwhile.
#[tokio::test]
async fn a_standing_stream_changes_its_filters_while_messages_flow() {
    for version in VERSIONS {
        let broker = copying().await;
        let client = Client::connect(options(&broker.url()).version(version).client_id("it")).await.unwrap();
        let publisher = Client::connect(options(&broker.url())).await.unwrap();
        let mut stream = client.subscription("all/number").qos(QoS::AtLeastOnce).standing().unwrap();
        client.subscribe("other").await.unwrap();
        let publishing = tokio::spawn(async move {
            for number in 0..600 {
                let publish = publisher.publish("all/number", number.to_string());
                publish.qos(QoS::AtLeastOnce).await.unwrap();
            }
        });
        let mut came = Vec::new();
        while came.len() < 600 {
            came.push(String::from_utf8(next(&mut stream).await.payload().to_vec()).unwrap());
            match came.len() % 6 {
                1 => stream.add_filter("all/more").unwrap(),
                0 | 2 => assert!(stream.remove_filter("all/more").unwrap()),
                // Taken back and wanted again, before the broker has said a word.
                3 => {
                    stream.add_filter("all/more").unwrap();
                    assert!(stream.remove_filter("all/more").unwrap());
                    stream.add_filter("all/more").unwrap();
                }
                4 => stream.add_filter("all/number").unwrap(),
                5 => assert!(!stream.remove_filter("never").unwrap()),
                _ => {}
            }
        }
        publishing.await.unwrap();
        assert_eq!(came, (0..600).map(|number| number.to_string()).collect::<Vec<_>>());
        stream.add_filter("all/more").unwrap();
        client.publish("all/more", "more").qos(QoS::AtLeastOnce).await.unwrap();
        assert_eq!(texts(&mut stream, 1).await, ["more"]);
        assert!(stream.remove_filter("all/more").unwrap() && stream.remove_filter("all/number").unwrap());
        assert!(stream.filters().is_empty() && stream.end().is_none());
        // The one behind knows that those before are answered.
        client.unsubscribe("other").await.unwrap();
        client.publish("all/number", "nobody").qos(QoS::AtLeastOnce).await.unwrap();
        assert_eq!(broker.with(|broker, _| broker.subscriptions("it").len()), 0);
        stream.add_filter("last").unwrap();
        client.publish("last", "last").qos(QoS::AtLeastOnce).await.unwrap();
        assert_eq!(texts(&mut stream, 1).await, ["last"]);
        client.disconnect().await.unwrap();
        assert!(stream.next().await.is_none());
        assert_clean(&broker);
    }
}

#[tokio::test]
async fn a_standing_stream_outlives_filters_that_are_refused_or_taken_back() {
    let config = Config { denied: vec![TopicFilter::new("secret/#").unwrap()], ..Config::default() };
    let broker = broker_with(config).await;
    let client = Client::connect(options(&broker.url())).await.unwrap();
    let mut stream = client.subscription("secret/plan").also("open").standing().unwrap();
    assert_eq!(lost(&mut stream).await, [("secret/plan".to_owned(), End::Refused(Reason::NOT_AUTHORIZED))]);
    stream.add_filter("secret/more").unwrap();
    stream.add_filter("closing").unwrap();
    assert_eq!(lost(&mut stream).await, [("secret/more".to_owned(), End::Refused(Reason::NOT_AUTHORIZED))]);
    client.unsubscribe("closing").await.unwrap();
    assert_eq!(lost(&mut stream).await, [("closing".to_owned(), End::Unsubscribed)]);
    client.publish("open", "open").qos(QoS::AtLeastOnce).await.unwrap();
    assert_eq!(texts(&mut stream, 1).await, ["open"]);
    assert!(stream.end().is_none());
    assert!(matches!(stream.add_filter("a/#/b"), Err(SubscribeError::Filter(_))));
    let mut fixed = client.subscribe("open").await.unwrap();
    assert!(matches!(fixed.add_filter("more"), Err(SubscribeError::NotStanding)));
    assert!(matches!(fixed.remove_filter("open"), Err(SubscribeError::NotStanding)));
    client.disconnect().await.unwrap();
    assert!(stream.next().await.is_none());
    assert!(matches!(stream.add_filter("late"), Err(SubscribeError::Closed)));
    assert_clean(&broker);
}

/// Whoever comes later takes part without a word to the broker, unless it wants more than there is.
#[tokio::test]
async fn without_retained_messages_nothing_is_asked_twice() {
    for version in VERSIONS {
        let broker = Broker::start().await.unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = asked.clone();
        let options = options(&broker.url()).version(version).on_packet(move |packet| {
            if let Some(Packet::Subscribe(subscribe)) = packet.packet {
                log.lock().unwrap().extend(subscribe.filters.iter().map(|(filter, _)| filter.to_owned()));
            }
        });
        // Before there is a connection.
        let client = Client::start(options).unwrap();
        let live = |qos| client.subscription("a/b").qos(qos).retained(false).standing().unwrap();
        let mut early = [live(QoS::AtLeastOnce), live(QoS::AtLeastOnce), live(QoS::AtMostOnce)];
        client.publish("a/b", "kept").retain(true).qos(QoS::AtLeastOnce).await.unwrap();
        for stream in &mut early {
            assert_eq!(texts(stream, 1).await, ["kept"], "it was no retained one then");
        }
        assert_eq!(*asked.lock().unwrap(), ["a/b"], "{version:?}");
        let mut more = live(QoS::AtLeastOnce);
        more.add_filter("a/c").unwrap();
        let mut highest = live(QoS::ExactlyOnce);
        // What is asked before is answered before.
        client.subscribe("other").await.unwrap();
        let mut retained = client.subscription("a/b").qos(QoS::AtLeastOnce).standing().unwrap();
        assert_eq!(texts(&mut retained, 1).await, ["kept"], "asked for, it comes");
        let why = "another filter, a higher QoS, another, retained messages";
        assert_eq!(*asked.lock().unwrap(), ["a/b", "a/c", "a/b", "other", "a/b"], "{why}");
        client.publish("a/b", "new").qos(QoS::AtLeastOnce).await.unwrap();
        for stream in early.iter_mut().chain([&mut more, &mut highest, &mut retained]) {
            assert_eq!(texts(stream, 1).await, ["new"]);
        }
        client.disconnect().await.unwrap();
        assert_clean(&broker);
    }
}
