//! Counters, by a recorder that can be asked.
#![cfg(feature = "metrics")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]

use std::time::Duration;

use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use packetboat::{Client, Event, Options, QoS, QueuePolicy, VersionChoice};
use packetboat_sim::net;
use packetboat_telemetry::counters;

/// The counters of this name: labels and value.
fn values(snapshotter: &Snapshotter) -> Vec<(String, u64)> {
    let snapshot = snapshotter.snapshot().into_vec();
    let mut values: Vec<_> = snapshot
        .into_iter()
        .filter_map(|(key, _, _, value)| {
            let labels: Vec<&str> = key.key().labels().map(metrics::Label::value).collect();
            let name = format!("{} {}", key.key().name(), labels.join(" "));
            if let DebugValue::Counter(value) = value { Some((name, value)) } else { None }
        })
        .collect();
    values.sort();
    values
}

fn options(url: &str) -> Options {
    let quick = Duration::from_millis(1);
    Options::new(url).version(VersionChoice::V5).client_id("counted").backoff(quick, quick)
}

#[tokio::test]
async fn packets_and_connections_are_counted() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    recorder.install().unwrap();
    let broker = net::Options::new().start().await.unwrap();
    let options = counters::packets(options(&broker.url()));
    let client = Client::start(options).unwrap();
    let _counting = counters::events(&client);
    for _ in 0..3 {
        client.publish("a", "x").qos(QoS::AtLeastOnce).await.unwrap();
    }
    assert!(broker.kick("counted"));
    client.publish("a", "x").qos(QoS::AtLeastOnce).await.unwrap();
    client.disconnect().await.unwrap();
    let counted = values(&snapshotter);
    let of = |name: &str| counted.iter().find(|(known, _)| known == name).map(|(_, value)| *value);
    // The last one may have gone out on the old connection, too.
    assert!(matches!(of("packetboat_packets_total sent PUBLISH"), Some(4..=5)), "{counted:?}");
    assert_eq!(of("packetboat_packets_total received PUBACK"), Some(4), "{counted:?}");
    assert_eq!(of("packetboat_packets_total sent CONNECT"), Some(2), "{counted:?}");
    assert_eq!(of("packetboat_connections_total "), Some(2), "{counted:?}");
    let ended = counted.iter().filter(|(name, _)| name.starts_with("packetboat_disconnections_total"));
    assert_eq!(ended.map(|(_, value)| value).sum::<u64>(), 1, "{counted:?}");
    assert_eq!(of("packetboat_failed_attempts_total network"), None, "{counted:?}");
    assert!(of("packetboat_bytes_total sent").unwrap() > 4 * 8, "{counted:?}");

    let full = self::options(&broker.url()).queue(1, 1 << 20).queue_policy(QueuePolicy::DropNewest);
    let client = Client::connect(full).await.unwrap();
    let _counting = counters::events(&client);
    let mut events = client.events();
    client.go_offline().await;
    for _ in 0..3 {
        drop(client.publish("a", "x").qos(QoS::AtLeastOnce).try_publish().unwrap());
    }
    let told = async { while !matches!(events.next().await, Some(Event::QueueDropped(2))) {} };
    tokio::time::timeout(Duration::from_secs(40), told).await.unwrap();
    let counted = values(&snapshotter);
    assert!(counted.contains(&("packetboat_lost_total queue".to_owned(), 2)), "{counted:?}");
}
