//! Counters, by a recorder that can be asked.
#![cfg(feature = "metrics")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]

use std::time::Duration;

use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use packetboat::{Client, Options, QoS, VersionChoice};
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
    let values = values(&snapshotter);
    let of = |name: &str| values.iter().find(|(known, _)| known == name).map(|(_, value)| *value);
    // The last one may have gone out on the old connection, too.
    assert!(matches!(of("packetboat_packets_total sent PUBLISH"), Some(4..=5)), "{values:?}");
    assert_eq!(of("packetboat_packets_total received PUBACK"), Some(4), "{values:?}");
    assert_eq!(of("packetboat_packets_total sent CONNECT"), Some(2), "{values:?}");
    assert_eq!(of("packetboat_connections_total "), Some(2), "{values:?}");
    let ended = values.iter().filter(|(name, _)| name.starts_with("packetboat_disconnections_total"));
    assert_eq!(ended.map(|(_, value)| value).sum::<u64>(), 1, "{values:?}");
    assert_eq!(of("packetboat_failed_attempts_total network"), None, "{values:?}");
    assert!(of("packetboat_bytes_total sent").unwrap() > 4 * 8, "{values:?}");
}
