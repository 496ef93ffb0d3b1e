//! The connection kept up: backoff, failover, refusals, redirects, rivals, hooks. On virtual time, with exact waits.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]

mod common;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use common::inside::{Host, Inside, Network, connected, disconnected, event, patient};
use packetboat::{
    Client, ConnectError, ConnectStage, Disconnection, End, Event, Jitter, Leave, OnFailure, Options, QoS,
    Reason, Refusals, ServerOptions, SessionMode, Side, State, Switch, VersionChoice,
};
use packetboat_core::wire::PacketType;
use packetboat_sim::broker::{Broker, Config, Refusal};

const SECOND: Duration = Duration::from_secs(1);

/// Mongoose's numbers, exactly.
fn exact(network: &Network) -> Options {
    Options::new("mqtt://one")
        .client_id("boat")
        .transport(network.clone())
        .backoff(2 * SECOND, 60 * SECOND)
        .jitter(Jitter::None)
}

fn gaps(attempts: &[(u64, String)]) -> Vec<(u64, &str)> {
    attempts.iter().map(|(gap, name)| (*gap, name.as_str())).collect()
}

/// A CONNACK of 5.0 that refuses, with a server reference.
fn sends_to(reason: Reason, reference: &str) -> Host {
    let mut properties = vec![0x1c, 0, u8::try_from(reference.len()).unwrap()];
    properties.extend_from_slice(reference.as_bytes());
    let length = u8::try_from(properties.len()).unwrap();
    let mut bytes = vec![0x20, length + 3, 0, reason.0, length];
    bytes.extend_from_slice(&properties);
    Host::Says(bytes)
}

async fn switched(events: &mut packetboat::Events) -> (String, String, Switch) {
    event(events, |event| match event {
        Event::ServerSwitched { from, to, why } => Some((from.host().into(), to.host().into(), *why)),
        _ => None,
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn the_rule_of_mongoose_to_the_backup_and_back_with_each_its_own_waits() {
    let network = Network::new([]);
    let backup = ServerOptions::new("mqtt://two").backoff(SECOND, 3 * SECOND);
    let _client = Client::start(exact(&network).or_server(backup)).unwrap();
    let attempts = patient(network.attempts(13)).await;
    let expected = [0, 2, 4, 8, 16, 32, 60].map(|gap| (gap, "one")).into_iter();
    let expected: Vec<_> =
        expected.chain([(1, "two"), (2, "two"), (3, "two"), (2, "one"), (4, "one"), (8, "one")]).collect();
    assert_eq!(gaps(&attempts)[..13], expected);
}

#[tokio::test(start_paused = true)]
async fn a_backup_is_kept_while_it_works_and_the_switch_is_told() {
    let broker = Inside::new();
    let network = Network::new([("two", Host::Broker(broker.clone()))]);
    let options = exact(&network).backoff(SECOND, SECOND).or_server("mqtt://two");
    let client = Client::start(options).unwrap();
    let mut events = client.events();
    assert_eq!(patient(switched(&mut events)).await, ("one".into(), "two".into(), Switch::Failover));
    connected(&mut events).await;
    let before = network.count();
    for _ in 0..3 {
        tokio::time::sleep(31 * SECOND).await;
        broker.with(Broker::cut_all);
        connected(&mut events).await;
    }
    let attempts = network.attempts(before + 3).await;
    assert!(attempts[before..].iter().all(|(_, name)| name == "two"), "{attempts:?}");
}

#[tokio::test(start_paused = true)]
async fn each_server_has_its_own_credentials() {
    let with_user = |user: &str, password: &str| {
        let credentials = [(user.to_owned(), password.into())].into();
        Inside::with_config(Config { credentials, ..Config::default() })
    };
    let (one, two) = (with_user("a", "1"), with_user("b", "2"));
    let network =
        Network::new([("one", Host::Broker(one.clone())), ("two", Host::Broker(two)), ("three", Host::Down)]);
    let options = exact(&network).username("a").password("1").backoff(SECOND, SECOND);
    let client =
        Client::connect(options.or_server("mqtt://b:2@two").or_server("mqtt://three")).await.unwrap();
    let mut events = client.events();
    network.set("one", Host::Down);
    one.with(Broker::cut_all);
    connected(&mut events).await;
    assert!(matches!(client.state(), State::Connected(connected) if connected.server.host() == "two"));
}

#[tokio::test(start_paused = true)]
async fn the_first_server_is_returned_to_if_asked_announced_and_drained() {
    let (one, two) = (Inside::new(), Inside::new());
    let network = Network::new([("two", Host::Broker(two.clone()))]);
    let options = exact(&network).backoff(SECOND, SECOND).or_server("mqtt://two").return_after(100 * SECOND);
    let client = Client::start(options).unwrap();
    let mut events = client.events();
    connected(&mut events).await;
    // It is not back: back to the one that works, at once.
    patient(event(&mut events, |event| matches!(event, Event::Leaving(Leave::ToFirstServer)).then_some(())))
        .await;
    assert_eq!(switched(&mut events).await, ("two".into(), "one".into(), Switch::Returned));
    assert_eq!(switched(&mut events).await, ("one".into(), "two".into(), Switch::Failover));
    connected(&mut events).await;
    network.set("one", Host::Broker(one.clone()));
    patient(switched(&mut events)).await;
    connected(&mut events).await;
    client.publish("a", "home").qos(QoS::ExactlyOnce).await.unwrap();
    assert_eq!(one.payloads("boat"), ["home"]);
    assert_eq!(two.with(|core, _| core.farewell("boat")), Some(Reason::NORMAL_DISCONNECTION));
    two.check();
}

#[tokio::test(start_paused = true)]
async fn the_delay_is_forgotten_after_a_stable_connection_only() {
    let broker = Inside::new();
    let network = Network::new([("one", Host::Broker(broker.clone()))]);
    let client = Client::start(exact(&network).stable_after(30 * SECOND)).unwrap();
    let mut events = client.events();
    for (stood, wait) in [(1, 2), (29, 4), (1, 8), (31, 2), (1, 4)] {
        connected(&mut events).await;
        tokio::time::sleep(stood * SECOND).await;
        let before = network.count();
        broker.with(Broker::cut_all);
        disconnected(&mut events).await;
        let since = tokio::time::Instant::now();
        network.attempts(before + 1).await;
        let waited = since.elapsed();
        assert!(waited >= wait * SECOND && waited < (wait + 1) * SECOND, "{waited:?} after {stood} s");
    }
}

#[tokio::test(start_paused = true)]
async fn jitter_spreads_and_keeps_its_bounds() {
    let mut firsts = Vec::new();
    for _ in 0..40 {
        let network = Network::new([]);
        let _client = Client::start(exact(&network).jitter(Jitter::Full)).unwrap();
        let attempts = patient(network.attempts(7)).await;
        for ((gap, _), most) in attempts.iter().zip([0, 2, 4, 8, 16, 32, 60]) {
            assert!(*gap <= most, "{attempts:?}");
        }
        firsts.push(attempts[6].0);
    }
    firsts.sort_unstable();
    firsts.dedup();
    assert!(firsts.len() > 10, "{firsts:?}");
}

/// AWS Device Advisor: the server swallows CONNACK five times and accepts the sixth CONNECT, twice.
#[tokio::test(start_paused = true)]
async fn without_connack_attempts_back_off_with_and_without_jitter() {
    for jitter in [Jitter::None, Jitter::Full] {
        let broker = Inside::new();
        let network = Network::new([("one", Host::Silent)]);
        let client = Client::start(exact(&network).jitter(jitter).backoff(SECOND, 128 * SECOND)).unwrap();
        let mut events = client.events();
        for _ in 0..2 {
            for attempt in 0..5 {
                let cause = patient(disconnected(&mut events)).await;
                let stage = ConnectStage::Answer;
                assert!(
                    matches!(&cause, Disconnection::Failed(ConnectError::TimedOut { stage: at, .. }) if *at == stage),
                    "{cause:?}"
                );
                if attempt == 4 {
                    network.set("one", Host::Broker(broker.clone()));
                }
            }
            connected(&mut events).await;
            tokio::time::sleep(60 * SECOND).await;
            network.set("one", Host::Silent);
            broker.with(Broker::cut_all);
            disconnected(&mut events).await;
        }
        let attempts = network.attempts(12).await;
        if jitter == Jitter::None {
            let gaps: Vec<u64> = attempts.iter().map(|(gap, _)| *gap).collect();
            // Ten seconds for each attempt, then the wait.
            assert_eq!(gaps[..6], [0, 11, 12, 14, 18, 26]);
            assert_eq!(gaps[7..12], [12, 14, 18, 26, 42]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_ends_the_first_connect_and_is_retried_slowly_later() {
    let broker = Inside::new();
    let network = Network::new([("one", Host::Broker(broker.clone()))]);
    for reason in [
        Reason::BAD_USER_NAME_OR_PASSWORD,
        Reason::NOT_AUTHORIZED,
        Reason::BANNED,
        Reason::CLIENT_IDENTIFIER_NOT_VALID,
        Reason::BAD_AUTHENTICATION_METHOD,
    ] {
        broker.with(|core, _| {
            core.faults().refuse(1, Refusal::Code(reason));
        });
        let error = Client::connect(exact(&network)).await.unwrap_err();
        assert!(matches!(error, ConnectError::Refused { reason: found, .. } if found == reason), "{error:?}");
        assert_eq!(Disconnection::Failed(error).by(), Side::Broker);

        let client = Client::connect(exact(&network)).await.unwrap();
        let mut events = client.events();
        let before = network.count();
        broker.with(|core, now| {
            core.faults().refuse(2, Refusal::Code(reason));
            core.cut_all(now);
        });
        patient(connected(&mut events)).await;
        let attempts = network.attempts(before + 3).await;
        let gaps: Vec<u64> = attempts[before..].iter().map(|(gap, _)| *gap).collect();
        assert_eq!(gaps, [2, 60, 60], "{reason}");
        client.disconnect().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn passing_refusals_are_retried_as_failures_of_the_network() {
    let broker = Inside::new();
    let network = Network::new([("one", Host::Broker(broker.clone()))]);
    for reason in [
        Reason::SERVER_UNAVAILABLE,
        Reason::SERVER_BUSY,
        Reason::QUOTA_EXCEEDED,
        Reason::CONNECTION_RATE_EXCEEDED,
    ] {
        broker.with(|core, _| {
            core.faults().refuse(2, Refusal::Code(reason));
        });
        let before = network.count();
        let client = Client::start(exact(&network)).unwrap();
        connected(&mut client.events()).await;
        let attempts = network.attempts(before + 3).await;
        let gaps: Vec<u64> = attempts[before + 1..].iter().map(|(gap, _)| *gap).collect();
        assert_eq!(gaps, [2, 4], "{reason}");
        client.disconnect().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_refusal_does_can_be_chosen() {
    let refused = || sends_to(Reason::BANNED, "x");
    let network = Network::new([("one", refused())]);
    let client = Client::start(exact(&network).on_refusal(Refusals::Retry)).unwrap();
    let attempts = patient(network.attempts(3)).await;
    assert_eq!(gaps(&attempts)[..3], [(0, "one"), (2, "one"), (4, "one")]);
    drop(client);
    let network = Network::new([("one", refused())]);
    let client = Client::start(exact(&network).on_refusal(Refusals::Stop)).unwrap();
    let mut stream = client.messages();
    assert!(stream.next().await.is_none());
    assert_eq!((stream.end(), network.count()), (Some(End::GaveUp), 1));
}

/// AWS answers 7 on 3.1.1, others what they like.
#[tokio::test(start_paused = true)]
async fn unknown_connack_codes_break_nothing() {
    for (version, bytes) in [
        (VersionChoice::V311, vec![0x20, 2, 0, 7]),
        (VersionChoice::V311, vec![0x20, 2, 0, 200]),
        (VersionChoice::V5, vec![0x20, 3, 0, 0xf3, 0]),
    ] {
        let network = Network::new([("one", Host::Says(bytes))]);
        let error = Client::connect(exact(&network).version(version)).await.unwrap_err();
        assert!(matches!(error, ConnectError::Refused { .. }), "{error:?}");
        let client = Client::start(exact(&network).version(version)).unwrap();
        let mut events = client.events();
        disconnected(&mut events).await;
        network.set("one", Host::Broker(Inside::new()));
        patient(connected(&mut events)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn on_failure_is_asked_each_time_and_decides() {
    let broker = Inside::new();
    let network = Network::new([("one", Host::Broker(broker.clone()))]);
    let asked = Arc::new(AtomicU32::new(0));
    let count = asked.clone();
    let options = exact(&network).on_failure(move |failure| {
        assert_eq!(failure.server.host(), "one");
        count.fetch_add(1, Ordering::Relaxed);
        if failure.retry > 4 { OnFailure::Stop } else { OnFailure::Retry }
    });
    let client = Client::connect(options.clone()).await.unwrap();
    let mut events = client.events();
    broker.with(|core, now| {
        core.faults().refuse(2, Refusal::Code(Reason::SERVER_BUSY));
        core.cut_all(now);
    });
    connected(&mut events).await;
    assert_eq!(asked.load(Ordering::Relaxed), 3, "for the loss and for two refused attempts");
    network.set("one", Host::Down);
    broker.with(Broker::cut_all);
    patient(event(&mut events, |event| matches!(event, Event::GaveUp).then_some(()))).await;
    assert_eq!(asked.load(Ordering::Relaxed), 5, "the connection was not stable");
    // With it, the first attempt is not the last.
    let error = patient(Client::connect(options)).await.unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error:?}");
    assert_eq!(asked.load(Ordering::Relaxed), 10);
}

#[tokio::test(start_paused = true)]
async fn server_references_are_followed_from_connack_and_disconnect() {
    let (two, three) = (Inside::new(), Inside::new());
    let network = Network::new([
        ("one", sends_to(Reason::USE_ANOTHER_SERVER, "two:1883")),
        ("two", Host::Broker(two.clone())),
        ("three", Host::Broker(three.clone())),
    ]);
    let client = Client::connect(exact(&network)).await.unwrap();
    let mut events = client.events();
    assert!(matches!(client.state(), State::Connected(connected) if connected.server.host() == "two"));
    // DISCONNECT: Server moved, to "three".
    two.with(|core, _| core.send_raw("boat", &[0xe0, 10, 0x9d, 8, 0x1c, 0, 5, b't', b'h', b'r', b'e', b'e']));
    assert_eq!(switched(&mut events).await, ("two".into(), "three".into(), Switch::Redirected));
    connected(&mut events).await;
    // Moved for good: it is there that the next connection is looked for.
    tokio::time::sleep(60 * SECOND).await;
    three.with(Broker::cut_all);
    connected(&mut events).await;
    let names: Vec<String> = network.attempts(4).await.into_iter().map(|attempt| attempt.1).collect();
    assert_eq!(names, ["one", "two", "three", "three"]);
    // And if it fails there, the list counts again.
    network.set("three", Host::Down);
    three.with(Broker::cut_all);
    patient(network.attempts(6)).await;
    let names: Vec<String> = network.attempts(6).await.into_iter().map(|attempt| attempt.1).collect();
    assert_eq!(names[4..6], ["three", "one"]);
}

#[tokio::test(start_paused = true)]
async fn a_temporary_reference_counts_for_one_connection() {
    let two = Inside::new();
    let network = Network::new([
        ("one", sends_to(Reason::USE_ANOTHER_SERVER, "two")),
        ("two", Host::Broker(two.clone())),
    ]);
    let client = Client::connect(exact(&network)).await.unwrap();
    let mut events = client.events();
    tokio::time::sleep(60 * SECOND).await;
    two.with(Broker::cut_all);
    connected(&mut events).await;
    let names: Vec<String> = network.attempts(4).await.into_iter().map(|attempt| attempt.1).collect();
    assert_eq!(names, ["one", "two", "one", "two"]);
}

#[tokio::test(start_paused = true)]
async fn redirects_in_circles_without_end_or_sense_are_not_followed() {
    let moved = |to| sends_to(Reason::SERVER_MOVED, to);
    for (hosts, limit, dialed) in [
        (vec![("one", moved("two")), ("two", moved("one"))], 3, vec!["one", "two", "one"]),
        (
            vec![("one", moved("two")), ("two", moved("three")), ("three", moved("four"))],
            2,
            vec!["one", "two", "three", "one"],
        ),
        (vec![("one", moved("mqtt://two"))], 3, vec!["one", "one"]),
        (vec![("one", moved("two"))], 0, vec!["one", "one"]),
    ] {
        let network = Network::new([]);
        for (name, host) in hosts {
            network.set(name, host);
        }
        let client = Client::start(exact(&network).redirect_limit(limit)).unwrap();
        let mut events = client.events();
        let reference = patient(event(&mut events, |event| match event {
            Event::RedirectIgnored { reference, .. } => Some(reference.clone()),
            _ => None,
        }));
        assert!(!reference.await.is_empty());
        let attempts = patient(network.attempts(dialed.len())).await;
        let names: Vec<&str> = attempts.iter().map(|attempt| attempt.1.as_str()).collect();
        assert_eq!(names[..dialed.len()], dialed);
        assert_eq!(attempts[dialed.len() - 1].0, 60, "not in a hurry");
    }
}

#[tokio::test(start_paused = true)]
async fn two_clients_with_one_identifier_are_noticed_and_slow_each_other_down() {
    for version in common::VERSIONS {
        let broker = Inside::new();
        let network = Network::new([("one", Host::Broker(broker.clone()))]);
        let options = exact(&network).version(version).session(SessionMode::Clean);
        let one = Client::connect(options.clone()).await.unwrap();
        let mut events = one.events();
        let _other = Client::connect(options).await.unwrap();
        let certain = patient(event(&mut events, |event| match event {
            Event::IdentifierContended { client_id, certain } => {
                assert_eq!(&**client_id, "boat");
                Some(*certain)
            }
            _ => None,
        }));
        assert_eq!(certain.await, version == VersionChoice::V5);
        let before = network.count();
        tokio::time::sleep(Duration::from_mins(10)).await;
        let more = network.count() - before;
        assert!(more < 60, "{more} attempts in ten minutes");
    }
}

/// However long each connection stood, the next one is waited for longer.
#[tokio::test(start_paused = true)]
async fn a_connection_that_was_taken_over_does_not_count_as_stable() {
    let broker = Inside::new();
    let network = Network::new([("one", Host::Broker(broker.clone()))]);
    let client = Client::start(exact(&network)).unwrap();
    let mut events = client.events();
    for wait in [2, 4, 8, 16] {
        connected(&mut events).await;
        tokio::time::sleep(100 * SECOND).await;
        let before = network.count();
        broker.with(|core, now| core.disconnect("boat", Reason::SESSION_TAKEN_OVER, now));
        disconnected(&mut events).await;
        let since = tokio::time::Instant::now();
        network.attempts(before + 1).await;
        assert_eq!(since.elapsed().as_millis() / 1000, wait, "{:?}", since.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn offline_stays_offline_until_told_otherwise_and_loses_nothing() {
    let broker = Inside::new();
    let network = Network::new([("one", Host::Broker(broker.clone()))]);
    let client = Client::connect(exact(&network)).await.unwrap();
    let mut stream = client.subscription("a").qos(QoS::AtLeastOnce).await.unwrap();
    let mut events = client.events();
    client.go_offline().await;
    assert!(matches!(client.state(), State::Offline));
    assert_eq!(broker.with(|core, _| core.farewell("boat")), Some(Reason::NORMAL_DISCONNECTION));
    let receipt = client.publish("a", "kept").qos(QoS::AtLeastOnce).enqueue().await.unwrap();
    client.network_up();
    tokio::time::sleep(Duration::from_hours(5)).await;
    assert_eq!(network.count(), 1);
    client.go_offline().await;
    client.connect_now();
    connected(&mut events).await;
    receipt.await.unwrap();
    assert_eq!(common::next(&mut stream).await.payload(), b"kept");
    broker.check();
    client.go_offline().await;
    client.disconnect().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn going_offline_also_ends_an_attempt_and_a_wait() {
    for host in [Host::Silent, Host::Down] {
        let network = Network::new([("one", host)]);
        let client = Client::start(exact(&network)).unwrap();
        patient(network.attempts(2)).await;
        client.go_offline().await;
        let before = network.count();
        tokio::time::sleep(Duration::from_hours(5)).await;
        assert_eq!(network.count(), before);
        client.connect_now();
        network.attempts(before + 1).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_hint_that_the_network_is_up_ends_a_wait_and_forgets_nothing() {
    let network = Network::new([]);
    let client = Client::start(exact(&network)).unwrap();
    patient(network.attempts(6)).await;
    let now = tokio::time::Instant::now();
    client.network_up();
    network.attempts(7).await;
    assert!(now.elapsed() < SECOND);
    let attempts = patient(network.attempts(8)).await;
    assert_eq!(attempts[7].0, 60, "the delay has gone on growing");
    let now = tokio::time::Instant::now();
    client.connect_now();
    network.attempts(9).await;
    assert!(now.elapsed() < SECOND);
}

/// Whoever does not listen is told how much was missed, and holds no memory.
#[tokio::test(start_paused = true)]
async fn events_that_were_not_taken_in_time_are_counted() {
    let network = Network::new([]);
    let client = Client::start(exact(&network).backoff(SECOND, SECOND)).unwrap();
    let mut late = client.events();
    let mut all = 0;
    let counted = Arc::new(AtomicU32::new(0));
    let count = counted.clone();
    let _handler = client.on_event(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
    });
    patient(network.attempts(300)).await;
    client.go_offline().await;
    let total = counted.load(Ordering::Relaxed);
    assert!(total > 500, "{total}");
    let Some(Event::Missed(missed)) = late.next().await else { panic!("nothing is said to be missing") };
    while all + u32::try_from(missed).unwrap() < total {
        assert!(!matches!(late.next().await, Some(Event::Missed(_))));
        all += 1;
    }
    assert_eq!(all, 256);
}

#[tokio::test(start_paused = true)]
async fn on_demand_nothing_connects_before_something_waits_for_it() {
    let broker = Inside::new();
    let network = Network::new([("one", Host::Broker(broker.clone()))]);
    let client = Client::start(exact(&network).connect_on_demand(true)).unwrap();
    // Other options are no demand.
    client.reconfigure(client.options().version(VersionChoice::V311)).unwrap();
    tokio::time::sleep(Duration::from_hours(5)).await;
    assert_eq!(network.count(), 0);
    assert!(matches!(client.state(), State::Offline));
    let _stream = patient(client.subscribe("a")).await.unwrap();
    assert_eq!(network.count(), 1);
    assert!(
        matches!(client.state(), State::Connected(connected) if connected.version == packetboat::Version::V311)
    );
}

#[tokio::test(start_paused = true)]
async fn on_demand_a_lost_connection_is_restored_when_something_waits_for_it() {
    let broker = Inside::new();
    let network = Network::new([("one", Host::Broker(broker.clone()))]);
    let client = Client::connect(exact(&network).connect_on_demand(true)).await.unwrap();
    let mut watch = client.watch();
    let mut streams = Vec::new();
    for (count, demand) in [(2, "publish"), (3, "subscribe"), (4, "quality 0")] {
        broker.with(Broker::cut_all);
        patient(watch.wait_for(|state| matches!(state, State::Offline))).await.unwrap();
        tokio::time::sleep(Duration::from_hours(5)).await;
        assert_eq!(network.count(), count - 1);
        match demand {
            "publish" => drop(patient(client.publish("a", "b").qos(QoS::ExactlyOnce)).await.unwrap()),
            "subscribe" => streams.push(patient(client.subscribe("a")).await.unwrap()),
            _ => drop(patient(client.publish("a", "b")).await.unwrap()),
        }
        assert_eq!(network.count(), count, "{demand}");
    }
    // What is on the way is demand enough.
    broker.with(|core, _| {
        core.faults().swallow(PacketType::Puback);
    });
    let receipt = client.publish("a", "b").qos(QoS::AtLeastOnce).enqueue().await.unwrap();
    tokio::time::sleep(SECOND).await;
    broker.with(|core, now| {
        core.faults().clear();
        core.cut_all(now);
    });
    patient(receipt).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn no_attempt_is_made_before_the_clock_is_set() {
    let network = Network::new([("one", Host::Broker(Inside::new()))]);
    let never = SystemTime::now() + Duration::from_hours(1_000);
    let error = patient(Client::connect(exact(&network).require_clock(never))).await.unwrap_err();
    assert!(matches!(error, ConnectError::TimedOut { stage: ConnectStage::Clock, .. }), "{error:?}");
    assert_eq!(network.count(), 0);
    // The system's clock is a real one: soon it shows that time.
    let soon = SystemTime::now() + Duration::from_millis(20);
    let client = Client::start(exact(&network).require_clock(soon)).unwrap();
    connected(&mut client.events()).await;
    assert!(SystemTime::now() >= soon);
    assert_eq!(network.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn before_connect_is_asked_on_every_attempt() {
    let credentials = [("boat".to_owned(), b"token 2".to_vec())].into();
    let broker = Inside::with_config(Config { credentials, ..Config::default() });
    let network = Network::new([("one", Host::Broker(broker.clone()))]);
    let tokens = Arc::new(AtomicU32::new(0));
    let options = exact(&network).username("boat").before_connect(move |connect| {
        let token = tokens.fetch_add(1, Ordering::Relaxed) + 1;
        Box::pin(async move {
            tokio::time::sleep(SECOND).await;
            connect.password = Some(format!("token {token}").into_bytes());
            Ok(())
        })
    });
    let client = Client::start(options).unwrap();
    patient(connected(&mut client.events())).await;
    assert_eq!(network.count(), 2);
    broker.check();

    let error =
        Client::connect(exact(&network).before_connect(|_| Box::pin(async { Err("no token".into()) })));
    let error = error.await.unwrap_err();
    assert!(matches!(error, ConnectError::Credentials { .. }) && error.to_string().contains("no token"));
    let hangs = exact(&network).before_connect(|_| Box::pin(std::future::pending()));
    let error = patient(Client::connect(hangs)).await.unwrap_err();
    assert!(matches!(error, ConnectError::TimedOut { stage: ConnectStage::Preparing, .. }), "{error:?}");
    assert_eq!(network.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn after_connect_runs_on_every_connection_and_keeps_no_client_alive() {
    let broker = Inside::new();
    let network = Network::new([("one", Host::Broker(broker.clone()))]);
    let options = exact(&network).after_connect(|client, connected| async move {
        let text = format!("{}", connected.session_present);
        let _ = client.publish("hello", text).qos(QoS::AtLeastOnce).await;
    });
    let client = Client::connect(options).await.unwrap();
    let mut events = client.events();
    tokio::time::sleep(SECOND).await;
    broker.with(Broker::cut_all);
    connected(&mut events).await;
    tokio::time::sleep(SECOND).await;
    assert_eq!(broker.payloads("boat"), ["false", "true"]);
    drop((client, events));
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!(broker.with(|core, _| core.connected()), 0);
}

#[tokio::test(start_paused = true)]
async fn handlers_are_called_in_order_until_their_guard_is_dropped() {
    let broker = Inside::new();
    let network = Network::new([("one", Host::Broker(broker.clone()))]);
    let client = Client::start(exact(&network)).unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let list = told.clone();
    let guard = client.on_event(move |event| {
        let name = format!("{event:?}").split([' ', '(']).next().unwrap().to_owned();
        list.lock().unwrap().push(name);
    });
    let mut events = client.events();
    connected(&mut events).await;
    broker.with(Broker::cut_all);
    connected(&mut events).await;
    drop(guard);
    broker.with(Broker::cut_all);
    connected(&mut events).await;
    let told = told.lock().unwrap().clone();
    let told: Vec<&str> =
        told.iter().map(String::as_str).filter(|name| !name.starts_with("Subscr")).collect();
    assert_eq!(told, ["Connecting", "Connected", "Disconnected", "Connecting", "Connected"]);
}

/// Each broker is asked for 5.0 first, whatever another one knew.
#[tokio::test(start_paused = true)]
async fn a_backup_that_knows_only_3_1_1_is_spoken_to_in_it() {
    use packetboat::Version;
    let one = Inside::new();
    let old =
        Config { versions: vec![Version::V311], wrong_version: Refusal::OldShape(1), ..Config::default() };
    let two = Inside::with_config(old);
    let network = Network::new([("one", Host::Broker(one.clone())), ("two", Host::Broker(two.clone()))]);
    let client =
        Client::connect(exact(&network).backoff(SECOND, SECOND).or_server("mqtt://two")).await.unwrap();
    let mut events = client.events();
    for (here, gone, version) in [("one", "two", Version::V311), ("two", "one", Version::V5)] {
        let (from, to) = if here == "one" { (&one, &two) } else { (&two, &one) };
        network.set(here, Host::Down);
        network.set(gone, Host::Broker(to.clone()));
        from.with(Broker::cut_all);
        connected(&mut events).await;
        assert_eq!(client.version(), version);
        client.publish("a", "b").qos(QoS::AtLeastOnce).await.unwrap();
    }
}
