//! Connections left on purpose, other options while everything goes on, and AWS's device qualification list. On virtual
//! time.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]

mod common;

use std::time::Duration;

use common::inside::{self, Host, Inside, Network, connected, disconnected, event, patient};
use packetboat::{
    Cause, Client, Disconnection, Event, Leave, Options, PublishError, QoS, SessionMode, Switch,
};
use packetboat_core::wire::PacketType;
use packetboat_sim::broker::{Broker, Config};

const SECOND: Duration = Duration::from_secs(1);

fn options(network: &Network) -> Options {
    to("mqtt://one", network)
}

fn to(url: &str, network: &Network) -> Options {
    inside::options(url, network).session(SessionMode::Persistent { expiry: Duration::from_hours(1) })
}

fn slow() -> Inside {
    Inside::with_config(Config { answer_delay: 700..=700, ..Config::default() })
}

async fn left(events: &mut packetboat::Events) -> Leave {
    event(events, |event| match event {
        Event::Leaving(why) => Some(*why),
        _ => None,
    })
    .await
}

/// Publishing is paused, not failed: nothing is sent twice, nothing is lost, the order stays.
#[tokio::test(start_paused = true)]
async fn a_connection_is_renewed_on_schedule_while_messages_go_on() {
    let broker = slow();
    let network = Network::new([("one", Host::Broker(broker.clone()))]);
    let client = Client::connect(options(&network).renew_after(10 * SECOND)).await.unwrap();
    let mut events = client.events();
    let mut receipts = Vec::new();
    for number in 0..400 {
        receipts
            .push(client.publish("a", format!("{number}")).qos(QoS::AtLeastOnce).enqueue().await.unwrap());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for receipt in receipts {
        receipt.await.unwrap();
    }
    for _ in 0..3 {
        assert_eq!(left(&mut events).await, Leave::Renewal);
        let cause = disconnected(&mut events).await;
        assert!(matches!(cause, Disconnection::Ended(Cause::Requested)), "{cause:?}");
        assert!(connected(&mut events).await, "the session is kept");
    }
    let expected: Vec<String> = (0..400).map(|number| number.to_string()).collect();
    assert_eq!(broker.payloads("boat"), expected);
    broker.check();
}

#[tokio::test(start_paused = true)]
async fn a_fresh_connection_is_made_when_asked_and_leaving_waits_no_longer_than_its_limit() {
    let broker = Inside::new();
    let network = Network::new([("one", Host::Broker(broker.clone()))]);
    let client = Client::connect(options(&network).drain_timeout(3 * SECOND)).await.unwrap();
    let mut events = client.events();
    client.reconnect();
    assert_eq!(left(&mut events).await, Leave::Reconnect);
    assert!(connected(&mut events).await);
    broker.with(|core, _| {
        core.faults().swallow(PacketType::Puback);
    });
    let receipt = client.publish("a", "slow").qos(QoS::AtLeastOnce).enqueue().await.unwrap();
    tokio::time::sleep(SECOND).await;
    client.reconnect();
    let since = tokio::time::Instant::now();
    left(&mut events).await;
    let kept = client.publish("a", "while leaving").qos(QoS::AtMostOnce).enqueue().await.unwrap();
    connected(&mut events).await;
    assert_eq!(since.elapsed().as_secs(), 3);
    broker.with(|core, _| {
        core.faults().clear();
    });
    kept.await.unwrap();
    client.reconnect();
    receipt.await.unwrap();
    let arrived = broker.payloads("boat");
    assert!(arrived.contains(&"while leaving".to_owned()), "{arrived:?}");
}

/// Found by random worlds: a renewal that came due while the client was on its way offline called it back.
#[tokio::test(start_paused = true)]
async fn going_offline_is_called_off_by_the_application_alone() {
    let broker = Inside::new();
    let network = Network::new([("one", Host::Broker(broker.clone()))]);
    let client = Client::connect(options(&network).renew_after(10 * SECOND)).await.unwrap();
    broker.with(|core, _| {
        core.faults().swallow(PacketType::Puback);
    });
    let receipt = client.publish("a", "b").qos(QoS::AtLeastOnce).enqueue().await.unwrap();
    tokio::time::sleep(8 * SECOND).await;
    patient(client.go_offline()).await;
    assert!(matches!(client.state(), packetboat::State::Offline));
    tokio::time::sleep(60 * SECOND).await;
    assert_eq!(network.count(), 1);
    client.connect_now();
    connected(&mut client.events()).await;
    let leaving = tokio::spawn({
        let client = client.clone();
        async move { client.go_offline().await }
    });
    tokio::time::sleep(SECOND).await;
    client.connect_now();
    patient(leaving).await.unwrap();
    broker.with(|core, _| {
        core.faults().clear();
    });
    client.reconnect();
    patient(receipt).await.unwrap();
    assert!(network.count() > 2);
}

#[tokio::test(start_paused = true)]
async fn what_needs_no_reconnect_counts_at_once() {
    let broker = Inside::new();
    let network = Network::new([("one", Host::Broker(broker.clone()))]);
    let client = Client::connect(options(&network)).await.unwrap();
    let other = client.options().backoff(5 * SECOND, 5 * SECOND).queue(2, 1000).or_server("mqtt://two");
    client.reconfigure(other).unwrap();
    tokio::time::sleep(60 * SECOND).await;
    assert_eq!(network.count(), 1);
    network.set("one", Host::Down);
    broker.with(Broker::cut_all);
    let attempts = patient(network.attempts(3)).await;
    let names: Vec<(u64, &str)> = attempts[1..].iter().map(|(gap, name)| (*gap % 60, &**name)).collect();
    assert_eq!(names, [(5, "one"), (5, "two")]);
    for _ in 0..2 {
        drop(client.publish("a", "b").qos(QoS::AtLeastOnce).try_publish().unwrap());
    }
    assert!(client.publish("a", "b").qos(QoS::AtLeastOnce).try_publish().is_err(), "the queue is smaller");
    assert!(client.reconfigure("nonsense").is_err());
}

/// As the documentation of `reconfigure` says.
#[tokio::test(start_paused = true)]
async fn other_connect_options_reconnect_and_what_is_queued_follows_to_another_server() {
    let (one, two) = (Inside::new(), Inside::new());
    let network = Network::new([("one", Host::Broker(one.clone())), ("two", Host::Broker(two.clone()))]);
    let client = Client::connect(options(&network).drain_timeout(2 * SECOND)).await.unwrap();
    let mut stream = client.subscription("news").qos(QoS::AtLeastOnce).await.unwrap();
    let mut events = client.events();
    client.reconfigure(client.options().keep_alive(20 * SECOND)).unwrap();
    assert_eq!(left(&mut events).await, Leave::Reconfigured);
    assert!(connected(&mut events).await, "the same session");
    client.reconfigure(client.options().username("boat").password("other")).unwrap();
    assert_eq!(left(&mut events).await, Leave::Reconfigured);
    assert!(connected(&mut events).await);
    let own = packetboat::ServerOptions::new("mqtt://one").password("own");
    client.reconfigure(client.options().or_server(own)).unwrap();

    // One is never confirmed, and others wait behind it.
    one.with(|core, _| {
        core.faults().swallow(PacketType::Pubrec);
    });
    let unconfirmed = client.publish("a", "0").qos(QoS::ExactlyOnce).enqueue().await.unwrap();
    tokio::time::sleep(SECOND).await;
    let mut receipts = Vec::new();
    client.reconfigure(to("mqtt://two", &network).drain_timeout(2 * SECOND)).unwrap();
    left(&mut events).await;
    for number in 1..20 {
        let message = client.publish("a", number.to_string()).qos(QoS::AtLeastOnce);
        receipts.push(message.enqueue().await.unwrap());
    }
    let from_to = event(&mut events, |event| match event {
        Event::ServerSwitched { to, why, .. } => Some((to.host().to_owned(), *why)),
        _ => None,
    });
    assert_eq!(from_to.await, ("two".to_owned(), Switch::Reconfigured));
    assert!(!connected(&mut events).await);
    assert!(unconfirmed.await.unwrap().possible_duplicate, "it may be on both");
    for receipt in receipts {
        receipt.await.unwrap();
    }
    let expected: Vec<String> = (0..20).map(|number| number.to_string()).collect();
    assert_eq!(two.payloads("boat"), expected);
    client.publish("news", "there").qos(QoS::AtLeastOnce).await.unwrap();
    assert_eq!(common::next(&mut stream).await.payload(), b"there");
    two.check();
}

/// Messages of a client that loses its session: none of those that were never sent is lost (both leading clients lose all).
#[tokio::test(start_paused = true)]
async fn twenty_accepted_messages_survive_a_new_session_in_order() {
    let broker = Inside::new();
    let network = Network::new([("one", Host::Broker(broker.clone()))]);
    let client = Client::connect(options(&network)).await.unwrap();
    network.set("one", Host::Down);
    broker.with(|core, now| core.forget("boat", now));
    disconnected(&mut client.events()).await;
    let mut receipts = Vec::new();
    for number in 0..20 {
        let qos = if number % 2 == 0 { QoS::AtLeastOnce } else { QoS::ExactlyOnce };
        receipts.push(client.publish("a", number.to_string()).qos(qos).enqueue().await.unwrap());
    }
    network.set("one", Host::Broker(broker.clone()));
    for receipt in receipts {
        assert!(!patient(receipt).await.unwrap().possible_duplicate);
    }
    let expected: Vec<String> = (0..20).map(|number| number.to_string()).collect();
    assert_eq!(broker.payloads("boat"), expected);
    broker.check();
}

/// AWS Device Advisor: no PUBACK. On a live connection 5.0 forbids to send again [MQTT-4.4.0-1]: the link is given up.
#[tokio::test(start_paused = true)]
async fn without_puback_the_message_is_sent_again_on_another_connection() {
    for version in common::VERSIONS {
        let broker = Inside::new();
        let network = Network::new([("one", Host::Broker(broker.clone()))]);
        let client = Client::connect(options(&network).version(version)).await.unwrap();
        let mut events = client.events();
        broker.with(|core, _| {
            core.faults().swallow(PacketType::Puback);
        });
        let receipt = client.publish("a", "again").qos(QoS::AtLeastOnce).enqueue().await.unwrap();
        let cause = patient(disconnected(&mut events)).await;
        assert!(matches!(cause, Disconnection::Ended(Cause::NotAcknowledged)), "{cause:?}");
        broker.with(|core, _| {
            core.faults().clear();
        });
        patient(receipt).await.unwrap();
        let dups = broker.with(|core, _| core.accepted("boat").iter().map(|one| one.dup).collect::<Vec<_>>());
        assert_eq!(dups, [false, true]);
        broker.check();
    }
}

/// AWS Device Advisor: no SUBACK.
#[tokio::test(start_paused = true)]
async fn without_suback_the_subscription_is_asked_for_again_on_another_connection() {
    for version in common::VERSIONS {
        let broker = Inside::new();
        let network = Network::new([("one", Host::Broker(broker.clone()))]);
        let client = Client::connect(options(&network).version(version)).await.unwrap();
        let mut events = client.events();
        broker.with(|core, _| {
            core.faults().swallow(PacketType::Suback);
        });
        let asked = tokio::spawn({
            let client = client.clone();
            async move { client.subscribe("a").await.unwrap() }
        });
        let cause = patient(disconnected(&mut events)).await;
        assert!(matches!(cause, Disconnection::Ended(Cause::NotAcknowledged)), "{cause:?}");
        broker.with(|core, _| {
            core.faults().clear();
        });
        let mut stream = patient(asked).await.unwrap();
        client.publish("a", "b").qos(QoS::AtLeastOnce).await.unwrap();
        assert_eq!(common::next(&mut stream).await.payload(), b"b");
        assert_eq!(broker.with(|core, _| core.stats().received(PacketType::Subscribe)), 2);
        broker.check();
    }
}

/// AWS Device Advisor: no PINGRESP is noticed within one and a half keep-alive intervals.
#[tokio::test(start_paused = true)]
async fn without_pingresp_the_link_is_given_up_within_one_and_a_half_intervals() {
    for version in common::VERSIONS {
        let broker = Inside::new();
        let network = Network::new([("one", Host::Broker(broker.clone()))]);
        let quick = options(&network).version(version).keep_alive(10 * SECOND);
        let client = Client::connect(quick).await.unwrap();
        let mut events = client.events();
        broker.with(|core, _| {
            core.faults().swallow(PacketType::PingResp);
        });
        let since = tokio::time::Instant::now();
        let cause = patient(disconnected(&mut events)).await;
        assert!(matches!(cause, Disconnection::Ended(Cause::Silent)), "{cause:?}");
        assert!((14..=15).contains(&since.elapsed().as_secs()), "{:?}", since.elapsed());
        broker.with(|core, _| {
            core.faults().clear();
        });
        connected(&mut events).await;
    }
}

/// AWS Device Advisor: persistent session, its expiry, and what is subscribed again after it.
#[tokio::test(start_paused = true)]
async fn session_present_decides_what_is_subscribed_again_and_references_survive() {
    for (version, lost) in
        common::VERSIONS.into_iter().flat_map(|version| [(version, false), (version, true)])
    {
        let broker = Inside::new();
        let network = Network::new([("one", Host::Broker(broker.clone()))]);
        let client = Client::connect(options(&network).version(version)).await.unwrap();
        let mut one = client.subscription("a").qos(QoS::AtLeastOnce).await.unwrap();
        let mut other = client.subscription("a").qos(QoS::AtLeastOnce).await.unwrap();
        let mut events = client.events();
        network.set("one", Host::Down);
        broker.with(|core, now| if lost { core.forget("boat", now) } else { core.cut_all(now) });
        disconnected(&mut events).await;
        if !lost {
            let stored = packetboat_sim::broker::Message::new("a", "stored", QoS::AtLeastOnce);
            broker.with(|core, now| core.publish(stored, now));
        }
        network.set("one", Host::Broker(broker.clone()));
        assert_eq!(patient(connected(&mut events)).await, !lost);
        if lost {
            event(&mut events, |event| matches!(event, Event::SubscriptionsRestored).then_some(())).await;
        } else {
            for stream in [&mut one, &mut other] {
                assert_eq!(common::next(stream).await.payload(), b"stored");
            }
        }
        let asked = broker.with(|core, _| core.stats().received(PacketType::Subscribe));
        // Each stream asks for retained messages; together they are one subscription.
        assert_eq!(asked, 2 + u64::from(lost));
        // The first to go takes nothing from the other.
        drop(one);
        client.publish("a", "after").qos(QoS::AtLeastOnce).await.unwrap();
        assert_eq!(common::next(&mut other).await.payload(), b"after");
        broker.check();
    }
}

#[tokio::test(start_paused = true)]
async fn a_publish_before_there_is_a_connection_waits_within_its_limit_and_says_why() {
    let network = Network::new([]);
    let client = Client::start(options(&network)).unwrap();
    let ended = client.publish("a", "b").qos(QoS::AtLeastOnce).timeout(20 * SECOND).await;
    let error = ended.unwrap_err();
    assert!(matches!(&error, PublishError::TimedOut { offline: Some(_), .. }), "{error:?}");
    assert!(error.to_string().contains("one:1883: it does not take connections"), "{error}");
}
