//! Defects of other clients in reconnecting, queueing and resubscribing that no other test of ours shows: see
//! `defects.md`. On virtual time.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]

mod common;

use std::time::Duration;

use common::inside::{self, Host, Inside, Network, connected, disconnected, event, patient};
use packetboat::{
    Client, Disconnection, Event, Jitter, Leave, Options, QoS, QueuePolicy, Reason, SessionMode, Side, State,
    Switch,
};
use packetboat_core::wire::PacketType;
use packetboat_sim::broker::{Broker, Config, Message, Refusal};

const SECOND: Duration = Duration::from_secs(1);
const QOS1: QoS = QoS::AtLeastOnce;

fn options(network: &Network) -> Options {
    inside::options("mqtt://one", network)
        .session(SessionMode::Persistent { expiry: Duration::from_hours(1) })
}

fn slow() -> Inside {
    Inside::with_config(Config { answer_delay: 700..=700, ..Config::default() })
}

fn alone(broker: &Inside) -> Network {
    Network::new([("one", Host::Broker(broker.clone()))])
}

fn names(events: &[Event]) -> Vec<&'static str> {
    let name = |event: &Event| match event {
        Event::Connecting(_) => "connecting",
        Event::Connected(_) => "connected",
        Event::Disconnected { .. } => "disconnected",
        Event::ServerSwitched { .. } => "switched",
        Event::Leaving(_) => "leaving",
        _ => "other",
    };
    events.iter().map(name).collect()
}

/// AWS Panorama's hang-up event is never reset and iPOPO's timer starts again after success: one loss, endless attempts.
#[tokio::test(start_paused = true)]
async fn one_loss_is_one_reconnect() {
    let broker = Inside::new();
    let network = alone(&broker);
    let client = Client::connect(options(&network)).await.unwrap();
    let mut events = client.events();
    for count in 2..5 {
        broker.with(Broker::cut_all);
        connected(&mut events).await;
        tokio::time::sleep(Duration::from_hours(3)).await;
        assert_eq!(network.count(), count);
    }
    assert_eq!(broker.with(|core, _| core.stats().received(PacketType::Disconnect)), 0);
}

/// iPOPO announces a connection that the broker refuses and takes it back, every few seconds.
#[tokio::test(start_paused = true)]
async fn a_refused_attempt_is_no_connection_and_each_event_says_what_comes_next() {
    let broker = Inside::new();
    broker.with(|core, _| {
        core.faults().refuse(2, Refusal::Code(Reason::SERVER_BUSY));
    });
    let network = alone(&broker);
    let client = Client::start(options(&network)).unwrap();
    let mut stream = client.events();
    let mut events = Vec::new();
    while !matches!(events.last(), Some(Event::Connected(_))) {
        events.push(patient(stream.next()).await.unwrap());
    }
    let expected = ["connecting", "disconnected", "connecting", "disconnected", "connecting", "connected"];
    assert_eq!(names(&events), expected);
    for (event, wait) in [(&events[1], 1), (&events[3], 2)] {
        let Event::Disconnected { cause, retry_in: Some(retry_in), next: Some(next), .. } = event else {
            panic!("{event:?}")
        };
        assert_eq!((cause.by(), retry_in.as_secs(), next.host()), (Side::Broker, wait, "one"));
        assert!(matches!(cause, Disconnection::Failed(_)), "{cause:?}");
    }
    let Some(Event::Connected(connack)) = events.last() else { unreachable!() };
    assert_eq!((connack.server.host(), connack.session_present), ("one", false));
    client.go_offline().await;
    let (cause, retry_in, next) = event(&mut stream, |event| match event {
        Event::Disconnected { cause, retry_in, next, .. } => Some((cause.by(), *retry_in, next.is_some())),
        _ => None,
    })
    .await;
    assert_eq!((cause, retry_in, next), (Side::Us, None, false));
}

/// iPOPO asks for everything again at QoS 0; Panorama counts each filter once again, whoever else has it.
#[tokio::test(start_paused = true)]
async fn subscriptions_come_back_at_their_own_qos() {
    for version in common::VERSIONS {
        let broker = Inside::new();
        let network = alone(&broker);
        let client = Client::connect(options(&network).version(version)).await.unwrap();
        let mut events = client.events();
        let mut streams = Vec::new();
        for (filter, qos) in [("a", QoS::AtMostOnce), ("b", QOS1), ("c/#", QoS::ExactlyOnce)] {
            streams.push((qos, client.subscription(filter).qos(qos).await.unwrap()));
        }
        broker.with(|core, now| core.forget("boat", now));
        assert!(!connected(&mut events).await);
        event(&mut events, |event| matches!(event, Event::SubscriptionsRestored).then_some(())).await;
        for topic in ["a", "b", "c/d"] {
            let message = Message::new(topic, "x", QoS::ExactlyOnce);
            broker.with(|core, now| core.publish(message, now));
        }
        for (qos, stream) in &mut streams {
            assert_eq!(common::next(stream).await.qos(), *qos);
        }
        broker.check();
    }
}

/// Zerynth's client knows a subscription only after SUBACK: a retained message that comes before it is lost.
#[tokio::test(start_paused = true)]
async fn what_comes_before_suback_is_not_lost() {
    let broker = slow();
    let network = alone(&broker);
    let client = Client::connect(options(&network)).await.unwrap();
    let subscribing = tokio::spawn({
        let client = client.clone();
        async move { client.subscribe("a").await.unwrap() }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!subscribing.is_finished());
    assert!(broker.with(|core, _| core.send_raw("boat", &[0x31, 5, 0, 1, b'a', 0, b'!'])));
    let mut stream = patient(subscribing).await.unwrap();
    let message = common::next(&mut stream).await;
    assert_eq!((message.payload(), message.retain()), (&b"!"[..], true));
}

/// Zerynth's client compares only the beginning: giving `a` back may take `ab`.
#[tokio::test(start_paused = true)]
async fn giving_a_filter_back_takes_no_other_one() {
    let broker = Inside::new();
    let network = alone(&broker);
    let client = Client::connect(options(&network)).await.unwrap();
    let _short = client.subscribe("a").await.unwrap();
    let mut long = client.subscribe("ab").await.unwrap();
    let mut below = client.subscribe("a/#").await.unwrap();
    client.unsubscribe("a").await.unwrap();
    for (topic, stream) in [("ab", &mut long), ("a/b", &mut below)] {
        client.publish(topic, "here").qos(QOS1).await.unwrap();
        assert_eq!(common::next(stream).await.payload(), b"here");
    }
    let mut events = client.events();
    broker.with(|core, now| core.forget("boat", now));
    connected(&mut events).await;
    event(&mut events, |event| matches!(event, Event::SubscriptionsRestored).then_some(())).await;
    let restored = broker.with(|core, _| {
        let mut filters = core.subscriptions("boat");
        filters.sort_unstable();
        filters.join(" ")
    });
    assert_eq!(restored, "a/# ab", "and it does not come back either");
}

/// An older value must not overwrite a newer one. Mongoose keeps this order by sending one message at a time.
#[tokio::test(start_paused = true)]
async fn what_is_published_while_the_queue_drains_overtakes_nothing() {
    for version in common::VERSIONS {
        let broker = slow();
        let network = Network::new([]);
        let client = Client::start(options(&network).version(version).window(3)).unwrap();
        let mut events = client.events();
        let mut receipts = Vec::new();
        for number in 0..20 {
            receipts.push(client.publish("a", number.to_string()).qos(QOS1).enqueue().await.unwrap());
        }
        network.set("one", Host::Broker(broker.clone()));
        connected(&mut events).await;
        for number in 20..60 {
            receipts.push(client.publish("a", number.to_string()).qos(QOS1).enqueue().await.unwrap());
            tokio::time::sleep(Duration::from_millis(150)).await;
            if number == 35 {
                broker.with(Broker::cut_all);
            }
        }
        for receipt in receipts {
            patient(receipt).await.unwrap();
        }
        let mut arrived = broker.payloads("boat");
        // What was on the way when the connection was cut came twice: in a row, from the first of it.
        let mut newest = Vec::new();
        for payload in arrived.drain(..).map(|payload| payload.parse::<usize>().unwrap()) {
            assert!(payload <= newest.len(), "{payload} overtakes {}", newest.len());
            if payload == newest.len() {
                newest.push(payload);
            }
        }
        assert_eq!(newest.len(), 60);
        broker.check();
    }
}

/// Mongoose stores what `max_qos` 0 has made QoS 0, waits for its acknowledgement for ever, and lets nothing pass.
#[tokio::test(start_paused = true)]
async fn a_maximum_of_qos_0_blocks_no_queue() {
    let broker = Inside::new();
    let network = Network::new([]);
    let client = Client::start(options(&network)).unwrap();
    let mut events = client.events();
    let mut receipts = vec![client.publish("a", "before").qos(QOS1).enqueue().await.unwrap()];
    client.set_maximum_qos(QoS::AtMostOnce);
    for number in 0..5 {
        receipts.push(client.publish("a", number.to_string()).qos(QOS1).enqueue().await.unwrap());
    }
    network.set("one", Host::Broker(broker.clone()));
    for receipt in receipts {
        patient(receipt).await.unwrap();
    }
    for _ in 0..3 {
        broker.with(Broker::cut_all);
        disconnected(&mut events).await;
        connected(&mut events).await;
        patient(client.publish("a", "more").qos(QoS::ExactlyOnce)).await.unwrap();
    }
    assert_eq!(client.queue().messages + client.queue().in_flight, 0);
    let qos: Vec<QoS> = broker.with(|core, _| {
        core.accepted("boat").iter().map(|accepted| accepted.message.qos).collect::<Vec<_>>()
    });
    assert_eq!(qos.iter().filter(|qos| **qos != QoS::AtMostOnce).count(), 1, "{qos:?}");
    broker.check();
}

/// Mongoose drops the oldest message with a line in its log; nobody is told.
#[tokio::test(start_paused = true)]
async fn what_the_queue_drops_is_told() {
    let network = Network::new([]);
    for policy in [QueuePolicy::DropOldest, QueuePolicy::DropNewest] {
        let client = Client::start(options(&network).queue(2, 1 << 20).queue_policy(policy)).unwrap();
        let mut events = client.events();
        for number in 0..5 {
            drop(client.publish("a", number.to_string()).qos(QOS1).try_publish().unwrap());
        }
        let dropped = async {
            let mut dropped = 0;
            while dropped < 3 {
                dropped += event(&mut events, |event| match event {
                    Event::QueueDropped(messages) => Some(*messages),
                    _ => None,
                })
                .await;
            }
            dropped
        };
        assert_eq!(patient(dropped).await, 3, "{policy:?}");
    }
}

/// amqtt's "given up" is never forgotten: after one, the next loss makes calls fail at once.
#[tokio::test(start_paused = true)]
async fn retries_that_nearly_ran_out_begin_anew_after_a_stable_connection() {
    let broker = Inside::new();
    let network = alone(&broker);
    let client = Client::connect(options(&network).retry_limit(3)).await.unwrap();
    let mut events = client.events();
    for _ in 0..4 {
        tokio::time::sleep(31 * SECOND).await;
        let before = network.count();
        network.set("one", Host::Down);
        broker.with(Broker::cut_all);
        let waiting = client.publish("a", "b").qos(QOS1).enqueue().await.unwrap();
        patient(network.attempts(before + 2)).await;
        network.set("one", Host::Broker(broker.clone()));
        connected(&mut events).await;
        patient(waiting).await.unwrap();
    }
    network.set("one", Host::Down);
    broker.with(Broker::cut_all);
    event(&mut events, |event| matches!(event, Event::GaveUp).then_some(())).await;
}

/// Mongoose's `set_config` forgets the connection it had and never makes another; a store without a server crashes.
#[tokio::test(start_paused = true)]
async fn other_options_between_connections_lose_nothing() {
    for host in [Host::Down, Host::Silent] {
        let two = Inside::new();
        let network = Network::new([("one", host), ("two", Host::Broker(two.clone()))]);
        let client = Client::start(options(&network)).unwrap();
        let mut events = client.events();
        let before = client.publish("a", "before").qos(QOS1).enqueue().await.unwrap();
        patient(network.attempts(2)).await;
        client.reconfigure(client.options().keep_alive(5 * SECOND)).unwrap();
        let between = client.publish("a", "between").qos(QOS1).enqueue().await.unwrap();
        let elsewhere = Options::new("mqtt://two").client_id("boat").transport(network.clone());
        client.reconfigure(elsewhere).unwrap();
        let after = client.publish("a", "after").qos(QOS1).enqueue().await.unwrap();
        patient(connected(&mut events)).await;
        for receipt in [before, between, after] {
            patient(receipt).await.unwrap();
        }
        assert_eq!(two.payloads("boat"), ["before", "between", "after"]);
        // The list is that of the new options: a failure goes nowhere else, and comes back.
        two.with(Broker::cut_all);
        patient(connected(&mut events)).await;
        assert!(matches!(client.state(), State::Connected(connected) if connected.server.host() == "two"));
    }
}

/// The same for a return to the first server: what is on the way comes to its end, what comes meanwhile waits.
#[tokio::test(start_paused = true)]
async fn a_return_to_the_first_server_drains_and_loses_nothing() {
    let (one, two) = (Inside::new(), slow());
    let network = Network::new([("two", Host::Broker(two.clone()))]);
    let options = options(&network).backoff(SECOND, SECOND).or_server("mqtt://two");
    let client = Client::start(options.return_after(100 * SECOND)).unwrap();
    let mut events = client.events();
    connected(&mut events).await;
    network.set("one", Host::Broker(one.clone()));
    tokio::time::sleep(Duration::from_millis(98_500)).await;
    let mut receipts = Vec::new();
    for number in 0..40 {
        let qos = if number % 2 == 0 { QOS1 } else { QoS::ExactlyOnce };
        receipts.push(client.publish("a", number.to_string()).qos(qos).enqueue().await.unwrap());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for receipt in receipts {
        assert!(!patient(receipt).await.unwrap().possible_duplicate, "what was on the way was confirmed");
    }
    event(&mut events, |event| matches!(event, Event::Leaving(Leave::ToFirstServer)).then_some(())).await;
    let returned = event(&mut events, |event| match event {
        Event::ServerSwitched { why, .. } => Some(*why),
        _ => None,
    });
    assert_eq!(returned.await, Switch::Returned);
    let (before, after) = (two.payloads("boat"), one.payloads("boat"));
    assert!(!before.is_empty() && !after.is_empty(), "{before:?} {after:?}");
    let all: Vec<String> = before.into_iter().chain(after).collect();
    assert_eq!(all, (0..40).map(|number| number.to_string()).collect::<Vec<_>>());
    one.check();
    two.check();
}

/// AWS Device Advisor, "reconnect on unstable connection": drops follow successful connects; jitter and backoff all the
/// same.
#[tokio::test(start_paused = true)]
async fn drops_that_follow_successful_connects_back_off_with_every_jitter() {
    let all = [Jitter::Full, Jitter::Decorrelated, Jitter::Proportional { per_mille: 100 }, Jitter::None];
    for jitter in all {
        let mut sums = Vec::new();
        for _ in 0..20 {
            let broker = Inside::new();
            let network = alone(&broker);
            let settings = options(&network).backoff(SECOND, 64 * SECOND).jitter(jitter);
            let client = Client::start(settings).unwrap();
            let mut events = client.events();
            let mut waits = Vec::new();
            for drops in 0..8_u32 {
                connected(&mut events).await;
                broker.with(Broker::cut_all);
                disconnected(&mut events).await;
                let since = tokio::time::Instant::now();
                patient(network.attempts(usize::try_from(drops).unwrap() + 2)).await;
                let waited = since.elapsed();
                let bound = SECOND * 2_u32.pow(drops.min(6));
                let (least, most) = match jitter {
                    Jitter::None => (bound, bound),
                    Jitter::Proportional { .. } => (bound * 9 / 10, bound),
                    // It depends on the last wait, not on their number.
                    Jitter::Decorrelated => (SECOND, 64 * SECOND),
                    _ => (Duration::ZERO, bound),
                };
                let little = SECOND / 20;
                assert!(
                    waited + little >= least && waited <= most + little,
                    "{jitter:?} {drops}: {waited:?}"
                );
                waits.push(waited);
            }
            sums.push(waits.iter().sum::<Duration>().as_millis());
        }
        let (least, most) = (sums.iter().min().unwrap(), sums.iter().max().unwrap());
        assert_eq!(most - least > 1_000, jitter != Jitter::None, "{jitter:?}: {sums:?}");
        // Eight waits that did not grow would be eight seconds.
        assert!(sums.iter().sum::<u128>() / 20 > 16_000, "{jitter:?}: {sums:?}");
    }
}

/// AWS Device Advisor: PUBACK, whatever the payload's size up to its limit of 128 KiB.
#[tokio::test(start_paused = true)]
async fn payloads_of_every_size_are_confirmed() {
    for version in common::VERSIONS {
        let broker = Inside::new();
        let network = alone(&broker);
        let client = Client::connect(options(&network).version(version)).await.unwrap();
        let sizes = [0, 1, 127, 128, 16_383, 16_384, 16_385, 65_536, 131_071, 131_072];
        for size in sizes {
            client.publish("a/topic/of/choice", vec![7; size]).qos(QOS1).await.unwrap();
        }
        let taken = broker.with(|core, _| {
            core.accepted("boat").iter().map(|accepted| accepted.message.payload.len()).collect::<Vec<_>>()
        });
        assert_eq!(taken, sizes);
        broker.check();
    }
}
