//! Listeners that follow brokers, with strict brokers in this process.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::{came, options, within};
use packetboat::{PacketType, PropertiesBuf, QoS, StreamPolicy, TopicFilter, VersionChoice};
use packetboat_hub::{Arrival, Hub, Listener, ListenerBuilder, PropertyFilter};
use packetboat_sim::broker::{Config, Overlap};
use packetboat_sim::net::{self, Broker};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

const VERSIONS: [VersionChoice; 2] = [VersionChoice::V5, VersionChoice::V311];

/// A listener that tells each message as text: broker, topic, payload, QoS, retain flag.
fn telling(builder: ListenerBuilder<'_>) -> (Listener, UnboundedReceiver<String>) {
    let (tell, told) = unbounded_channel();
    let listener = builder.call(move |arrival: Arrival| {
        tell.send(text(&arrival)).unwrap();
        async {}
    });
    (listener.unwrap(), told)
}

fn text(arrival: &Arrival) -> String {
    let payload = String::from_utf8_lossy(arrival.payload());
    let retained = if arrival.retain() { " retained" } else { "" };
    format!("{} {} {payload} {}{retained}", arrival.broker(), arrival.topic(), arrival.qos() as u8)
}

async fn next(told: &mut UnboundedReceiver<String>) -> String {
    within(told.recv()).await.expect("the listener is gone")
}

fn nothing(told: &mut UnboundedReceiver<String>) {
    assert!(told.try_recv().is_err(), "nothing was to come");
}

async fn publish(hub: &Hub, connection: &str, topic: &str, payload: &str) {
    let connection = hub.connection(connection).unwrap();
    connection.publish(topic, payload).qos(QoS::ExactlyOnce).await.unwrap();
}

/// Until the broker has exactly these filters of this client.
async fn subscribed(broker: &Broker, client: &str, filters: &[&str]) {
    within(broker.until(|broker| broker.subscriptions(client) == filters)).await;
}

async fn broker_with(config: Config) -> Broker {
    net::Options::new().config(config).start().await.unwrap()
}

#[tokio::test]
async fn a_listener_is_subscribed_at_every_broker_that_is_or_will_be_connected() {
    let (one, two) = (Broker::start().await.unwrap(), Broker::start().await.unwrap());
    let hub = Hub::new();
    hub.add("one", options(&one.url()).client_id("it")).unwrap();
    let (_listener, mut told) = telling(hub.listener("a/+"));
    subscribed(&one, "it", &["a/+"]).await;
    publish(&hub, "one", "a/b", "1").await;
    assert_eq!(next(&mut told).await, "one a/b 1 2");
    hub.add("two", options(&two.url()).client_id("it")).unwrap();
    subscribed(&two, "it", &["a/+"]).await;
    publish(&hub, "two", "a/b", "2").await;
    assert_eq!(next(&mut told).await, "two a/b 2 2");
    // One that was away is subscribed again when it is back.
    let stopped = two.stop().await;
    let two = stopped.restart(false).await.unwrap();
    subscribed(&two, "it", &["a/+"]).await;
    publish(&hub, "two", "a/c", "3").await;
    assert_eq!(next(&mut told).await, "two a/c 3 2");
    hub.close().await;
    assert!(one.violations().is_empty() && two.violations().is_empty());
}

#[tokio::test]
async fn only_connections_that_match_are_listened_to_and_an_update_may_change_that() {
    let (one, two) = (Broker::start().await.unwrap(), Broker::start().await.unwrap());
    let hub = Hub::new();
    let there: PropertyFilter = format!("(&(id=it)(port={}))", two.port()).parse().unwrap();
    let (_listener, mut told) = telling(hub.listener("a").on(there));
    hub.add("other", options(&two.url()).client_id("other")).unwrap();
    hub.add("it", options(&one.url()).client_id("it")).unwrap();
    publish(&hub, "it", "a", "unheard").await;
    publish(&hub, "other", "a", "unheard").await;
    hub.update("it", options(&two.url()).client_id("it")).unwrap();
    subscribed(&two, "it", &["a"]).await;
    publish(&hub, "it", "a", "heard").await;
    assert_eq!(next(&mut told).await, "it a heard 2");
    hub.update("it", options(&one.url()).client_id("it")).unwrap();
    within(one.until(|broker| broker.connection("it").is_some() && broker.subscriptions("it").is_empty()))
        .await;
    publish(&hub, "it", "a", "unheard").await;
    nothing(&mut told);
}

#[tokio::test]
async fn a_message_is_told_once_however_many_filters_match() {
    for overlap in [Overlap::OneCopy, Overlap::CopyEach] {
        let broker = broker_with(Config { overlap, ..Config::default() }).await;
        let hub = Hub::new();
        hub.add("it", options(&broker.url()).version(VersionChoice::V5).client_id("it")).unwrap();
        let (_first, mut told) = telling(hub.listener(["a/#", "+/b", "a/b"]));
        let (_second, mut also) = telling(hub.listener(vec!["a/b".to_owned(), "#".to_owned()]));
        subscribed(&broker, "it", &["#", "+/b", "a/#", "a/b"]).await;
        for payload in ["on", "on", "off", "on"] {
            publish(&hub, "it", "a/b", payload).await;
        }
        publish(&hub, "it", "a/c", "end").await;
        for told in [&mut told, &mut also] {
            for payload in ["on", "on", "off", "on"] {
                assert_eq!(next(told).await, format!("it a/b {payload} 2"), "{overlap:?}");
            }
            assert_eq!(next(told).await, "it a/c end 2");
            nothing(told);
        }
    }
}

#[tokio::test]
async fn changed_filters_send_only_the_difference() {
    for version in VERSIONS {
        let broker = Broker::start().await.unwrap();
        let hub = Hub::new();
        let (log, mut asked) = unbounded_channel();
        let tapped = options(&broker.url()).version(version).client_id("it").on_packet(move |packet| {
            let filters: Vec<String> = match packet.packet {
                Some(packetboat::Packet::Subscribe(packet)) => {
                    packet.filters.iter().map(|(one, _)| format!("+{one}")).collect()
                }
                Some(packetboat::Packet::Unsubscribe(packet)) => {
                    packet.filters.iter().map(|one| format!("-{one}")).collect()
                }
                _ => Vec::new(),
            };
            for filter in filters {
                log.send(filter).unwrap();
            }
        });
        hub.add("it", tapped).unwrap();
        let (listener, mut told) = telling(hub.listener("old"));
        assert_eq!(next(&mut asked).await, "+old");
        subscribed(&broker, "it", &["old"]).await;
        // Another listener with the same filter costs the broker nothing.
        let (other, mut others) = telling(hub.listener("old"));
        listener.set_filters(["kept/#", "old"]).unwrap();
        assert_eq!(next(&mut asked).await, "+kept/#");
        subscribed(&broker, "it", &["kept/#", "old"]).await;
        listener.set_filters(["kept/#", "new"]).unwrap();
        assert_eq!(next(&mut asked).await, "+new");
        subscribed(&broker, "it", &["kept/#", "new", "old"]).await;
        publish(&hub, "it", "old", "1").await;
        publish(&hub, "it", "kept/x", "2").await;
        publish(&hub, "it", "new", "3").await;
        assert_eq!(next(&mut others).await, "it old 1 2", "what another listener wants stays");
        assert_eq!(next(&mut told).await, "it kept/x 2 2");
        assert_eq!(next(&mut told).await, "it new 3 2");
        drop(other);
        assert_eq!(next(&mut asked).await, "-old");
        assert!(listener.set_filters(["a/#/b"]).is_err());
        let filters: Vec<_> = listener.filters().iter().map(ToString::to_string).collect();
        assert_eq!(filters, ["kept/#", "new"], "a wrong one changes nothing");
        listener.set_filters([""; 0]).unwrap();
        let mut gone = [next(&mut asked).await, next(&mut asked).await];
        gone.sort();
        assert_eq!(gone, ["-kept/#", "-new"]);
        subscribed(&broker, "it", &[]).await;
        listener.set_filters("again").unwrap();
        assert_eq!(next(&mut asked).await, "+again");
        listener.stop().await;
        assert_eq!(next(&mut asked).await, "-again");
        nothing(&mut asked);
        nothing(&mut told);
    }
}

#[tokio::test]
async fn filters_change_a_hundred_times_and_no_message_is_lost_or_doubled() {
    let broker = broker_with(Config { overlap: Overlap::CopyEach, ..Config::default() }).await;
    let hub = Hub::new();
    hub.add("it", options(&broker.url()).client_id("it")).unwrap();
    hub.add("sender", options(&broker.url())).unwrap();
    let (listener, mut told) = telling(hub.listener("n/#"));
    subscribed(&broker, "it", &["n/#"]).await;
    hub.remove("sender").await.unwrap();
    let sender = Hub::new();
    let sender = sender.add("sender", options(&broker.url())).unwrap();
    let sending = async {
        for number in 0..1000 {
            sender.publish("n/x", number.to_string()).qos(QoS::AtLeastOnce).await.unwrap();
            if number % 10 == 0 {
                let sets: [&[&str]; 4] =
                    [&["+/x", "n/#"], &["+/x"], &["+/x", "n/x"], &["n/#", "+/x", "other"]];
                listener.set_filters(sets[number / 10 % 4]).unwrap();
            }
        }
    };
    let receiving = async {
        for number in 0..1000 {
            assert_eq!(next(&mut told).await, format!("it n/x {number} 1"));
        }
    };
    within(async { tokio::join!(sending, receiving) }).await;
    nothing(&mut told);
}

#[tokio::test]
async fn messages_come_at_the_qos_that_is_asked_for_with_their_properties() {
    let broker = Broker::start().await.unwrap();
    let hub = Hub::new();
    hub.add("it", options(&broker.url()).client_id("it")).unwrap();
    for (qos, filter) in [(QoS::AtMostOnce, "q0"), (QoS::AtLeastOnce, "q1"), (QoS::ExactlyOnce, "q2")] {
        let (_listener, mut told) = telling(hub.listener(filter).qos(qos));
        subscribed(&broker, "it", &[filter]).await;
        publish(&hub, "it", filter, "x").await;
        assert_eq!(next(&mut told).await, format!("it {filter} x {}", qos as u8));
    }
    let (tell, mut told) = unbounded_channel();
    let listener = hub.listener("p").call(move |arrival| {
        let properties = arrival.properties();
        let users: Vec<_> =
            properties.user_properties().map(|(name, value)| format!("{name}={value}")).collect();
        let answer = properties.response_topic().map(str::to_owned);
        tell.send(format!("{users:?} {answer:?}")).unwrap();
        async {}
    });
    let _listener = listener.unwrap();
    subscribed(&broker, "it", &["p"]).await;
    let mut properties = PropertiesBuf::new();
    properties.user_property("a", "b").unwrap().response_topic("back").unwrap();
    let connection = hub.connection("it").unwrap();
    connection.publish("p", "").properties(properties).await.unwrap();
    assert_eq!(next(&mut told).await, "[\"a=b\"] Some(\"back\")");
}

#[tokio::test]
async fn retained_messages_come_on_request() {
    for version in VERSIONS {
        let broker = Broker::start().await.unwrap();
        let hub = Hub::new();
        hub.add("it", options(&broker.url()).version(version).client_id("it")).unwrap();
        let connection = hub.connection("it").unwrap();
        connection.publish("kept", "old").retain(true).qos(QoS::AtLeastOnce).await.unwrap();
        let (_plain, mut plain) = telling(hub.listener("kept"));
        subscribed(&broker, "it", &["kept"]).await;
        let (_late, mut late) = telling(hub.listener("kept").retained(true));
        assert_eq!(next(&mut late).await, "it kept old 1 retained");
        connection.publish("kept", "new").retain(true).qos(QoS::AtLeastOnce).await.unwrap();
        assert_eq!(next(&mut late).await, "it kept new 1");
        assert_eq!(next(&mut plain).await, "it kept new 1", "{version:?}: it was told of news alone");
    }
}

/// More messages than the broker may have unacknowledged, and one listener that is done with none of them.
#[tokio::test]
async fn a_slow_listener_keeps_no_other_waiting() {
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let broker = Broker::start().await.unwrap();
        let hub = Hub::new();
        hub.add("it", options(&broker.url()).client_id("it").inbound(100, 1 << 20)).unwrap();
        let gate = Arc::new(Semaphore::new(0));
        let (tell, mut slowly) = unbounded_channel();
        let waits = gate.clone();
        let slow = hub.listener("#").room(400, 1 << 20).call(move |arrival| {
            let (gate, tell) = (waits.clone(), tell.clone());
            async move {
                gate.acquire().await.unwrap().forget();
                tell.send(text(&arrival)).unwrap();
            }
        });
        let slow = slow.unwrap();
        let (_quick, mut quick) = telling(hub.listener("a"));
        subscribed(&broker, "it", &["#", "a"]).await;
        let sender = Hub::new();
        let sender = sender.add("sender", options(&broker.url())).unwrap();
        for number in 0..1000 {
            sender.publish("a", number.to_string()).qos(qos).await.unwrap();
            assert_eq!(next(&mut quick).await, format!("it a {number} {}", qos as u8));
        }
        assert_eq!(slow.counts().called, 1);
        gate.add_permits(2000);
        assert_eq!(next(&mut slowly).await, format!("it a 0 {}", qos as u8));
        // The oldest made room; what is left comes in its order.
        for number in 600..1000 {
            assert_eq!(next(&mut slowly).await, format!("it a {number} {}", qos as u8));
        }
        let counts = slow.counts();
        assert_eq!((counts.called, counts.dropped), (401, 599), "{qos:?}");
        assert!(counts.acknowledged_early > 900, "{counts:?}");
        // It has caught up and counts as quick again.
        sender.publish("a", "last").qos(qos).await.unwrap();
        assert_eq!(next(&mut slowly).await, format!("it a last {}", qos as u8));
        assert_eq!(slow.counts().acknowledged_early, counts.acknowledged_early);
        assert!(broker.violations().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn one_message_that_takes_long_is_acknowledged_after_a_second() {
    let (log, mut acknowledged) = unbounded_channel();
    let broker = Broker::start().await.unwrap();
    let hub = Hub::new();
    let tapped = options(&broker.url()).on_packet(move |packet| {
        if packet.kind == PacketType::Puback && packet.direction == packetboat::Direction::Sent {
            log.send(()).unwrap();
        }
    });
    hub.add("it", tapped.client_id("it")).unwrap();
    let listener = hub.listener("a").call(async |_| std::future::pending().await).unwrap();
    subscribed(&broker, "it", &["a"]).await;
    let connection = hub.connection("it").unwrap();
    connection.publish("a", "x").qos(QoS::AtLeastOnce).await.unwrap();
    within(acknowledged.recv()).await.unwrap();
    assert_eq!(listener.counts().acknowledged_early, 1);
}

#[tokio::test]
async fn with_the_policy_to_wait_a_message_is_acknowledged_when_its_call_returned() {
    let broker = Broker::start().await.unwrap();
    let hub = Hub::new();
    hub.add("it", options(&broker.url()).client_id("it").inbound(10, 1 << 20)).unwrap();
    let gate = Arc::new(Semaphore::new(0));
    let (waits, called) = (gate.clone(), Arc::new(AtomicUsize::new(0)));
    let count = called.clone();
    let listener = hub.listener("a").policy(StreamPolicy::Wait).call(move |_| {
        let gate = waits.clone();
        count.fetch_add(1, Ordering::Relaxed);
        async move { gate.acquire().await.unwrap().forget() }
    });
    let listener = listener.unwrap();
    subscribed(&broker, "it", &["a"]).await;
    let sender = Hub::new();
    let sender = sender.add("sender", options(&broker.url())).unwrap();
    for _ in 0..100 {
        sender.publish("a", "x").qos(QoS::AtLeastOnce).await.unwrap();
    }
    assert!(broker.with(|broker, _| broker.pending("it")) >= 90, "the broker keeps what is not handled");
    assert_eq!(called.load(Ordering::Relaxed), 1);
    gate.add_permits(100);
    within(broker.until(|broker| broker.pending("it") == 0 && broker.unfinished("it") == 0)).await;
    let counts = listener.counts();
    assert_eq!((counts.called, counts.dropped, counts.acknowledged_early), (100, 0, 0));
}

#[tokio::test]
async fn a_listener_that_panics_is_called_again_and_harms_no_other() {
    let broker = Broker::start().await.unwrap();
    let hub = Hub::new();
    hub.add("it", options(&broker.url()).client_id("it")).unwrap();
    let (tell, mut told) = unbounded_channel();
    let panicking = hub.listener("a").name("fragile").call(move |arrival| {
        assert_ne!(arrival.payload(), b"at once", "as it should");
        let tell = tell.clone();
        async move {
            assert_ne!(arrival.payload(), b"later", "as it should");
            tell.send(text(&arrival)).unwrap();
        }
    });
    let panicking = panicking.unwrap();
    let blocking = hub.listener("a").call_blocking(|arrival| assert_eq!(arrival.payload(), b"good")).unwrap();
    let (_other, mut others) = telling(hub.listener("a"));
    subscribed(&broker, "it", &["a"]).await;
    for payload in ["at once", "later", "good"] {
        publish(&hub, "it", "a", payload).await;
        assert_eq!(next(&mut others).await, format!("it a {payload} 2"));
    }
    assert_eq!(next(&mut told).await, "it a good 2");
    let counts = panicking.counts();
    assert_eq!((panicking.name(), counts.called, counts.panicked), ("fragile", 3, 2));
    hub.close().await;
    let counts = blocking.counts();
    assert_eq!((counts.called, counts.panicked), (3, 2));
    assert!(broker.violations().is_empty());
}

#[tokio::test]
async fn a_refused_filter_is_told_and_asked_for_again_and_the_others_go_on() {
    let config = Config { denied: vec![TopicFilter::new("secret").unwrap()], ..Config::default() };
    let broker = broker_with(config).await;
    let hub = Hub::new();
    hub.add("it", options(&broker.url()).client_id("it")).unwrap();
    let (listener, mut told) = telling(hub.listener(["open", "secret"]));
    subscribed(&broker, "it", &["open"]).await;
    publish(&hub, "it", "open", "x").await;
    assert_eq!(next(&mut told).await, "it open x 2");
    let refused = within(async {
        loop {
            match listener.refused() {
                refused if refused.is_empty() => tokio::task::yield_now().await,
                refused => return refused,
            }
        }
    });
    let refused = refused.await;
    assert_eq!((&*refused[0].connection, refused[0].filter.as_str(), refused.len()), ("it", "secret", 1));
    assert!(refused[0].reason.contains("authorized"), "{refused:?}");
    broker.with(|broker, _| broker.config_mut().denied.clear());
    broker.kick("it");
    subscribed(&broker, "it", &["open", "secret"]).await;
    within(async {
        while !listener.refused().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    publish(&hub, "it", "secret", "x").await;
    assert_eq!(next(&mut told).await, "it secret x 2");
}

#[tokio::test]
async fn what_came_is_handled_when_a_connection_is_removed_and_the_hub_is_closed() {
    let broker = Broker::start().await.unwrap();
    let hub = Hub::new();
    let mut watch = hub.watch(PropertyFilter::all());
    hub.add("it", options(&broker.url()).client_id("it")).unwrap();
    came(&mut watch).await;
    let handled = Arc::new(AtomicUsize::new(0));
    let count = handled.clone();
    let listener = hub.listener("a").call(move |_| {
        let count = count.clone();
        async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    let _listener = listener.unwrap();
    subscribed(&broker, "it", &["a"]).await;
    let connection = hub.connection("it").unwrap();
    for _ in 0..200 {
        connection.publish("a", "x").qos(QoS::AtLeastOnce).await.unwrap();
    }
    let sent = broker.stats().messages_out[1];
    within(hub.close()).await;
    assert!(handled.load(Ordering::Relaxed) as u64 >= sent.min(150), "{handled:?} of {sent}");
}
