//! Against a real broker: mosquitto.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]

mod common;

use std::time::{Duration, Instant};

use common::mosquitto::{mosquitto, mosquitto_with};
use common::{
    ALL_QOS, LONG, VERSIONS, connected, disconnected, event, next, on_both_runtimes, options, within,
};
use packetboat::{
    Cause, Client, ConnectError, DialError, Disconnection, Event, PropertiesBuf, QoS, Reason, RetainHandling,
    SessionMode, Version, VersionChoice, Will,
};

// Spec 3.1.1: MQTT-7.0.0-2 MQTT-7.1.2-1
// Spec 5.0: MQTT-4.2-1
#[test]
fn every_qos_goes_both_ways() {
    let Some(broker) = mosquitto() else { return };
    let url = broker.url();
    on_both_runtimes(move || {
        let url = url.clone();
        async move {
            for version in VERSIONS {
                let client = Client::connect(options(&url).version(version)).await.unwrap();
                let mut stream = client.subscribe("both/+").await.unwrap();
                for qos in ALL_QOS {
                    for payload in [&b""[..], b"text", &[0, 255, 128], &vec![7; 100_000]] {
                        client.publish("both/ways", payload).qos(qos).await.unwrap();
                        let message = next(&mut stream).await;
                        assert_eq!((message.topic(), message.payload()), ("both/ways", payload));
                        assert_eq!((message.qos(), message.retain(), message.dup()), (qos, false, false));
                    }
                }
                client.disconnect().await.unwrap();
                assert!(stream.next().await.is_none());
            }
        }
    });
}

#[test]
fn ten_thousand_messages_of_each_qos_arrive_in_order() {
    let Some(broker) = mosquitto() else { return };
    let url = broker.url();
    on_both_runtimes(move || {
        let url = url.clone();
        async move {
            for (version, qos) in VERSIONS.into_iter().flat_map(|version| ALL_QOS.map(|qos| (version, qos))) {
                // On 3.1.1 mosquitto drops, and confirms, QoS 2 beyond its max_inflight_messages of 20: the session
                // keeps below that without being told.
                let client = Client::connect(options(&url).version(version)).await.unwrap();
                let mut stream = client.subscribe("many").await.unwrap();
                let publisher = client.clone();
                let taken = std::sync::Arc::new(tokio::sync::Semaphore::new(2));
                let room = taken.clone();
                let publishing = tokio::spawn(async move {
                    let mut receipts = Vec::new();
                    for number in 0..10_000_u32 {
                        // mosquitto drops QoS 0 for a client it is ahead of: never more than 200 on the way.
                        if qos == QoS::AtMostOnce && number % 100 == 0 {
                            room.acquire().await.unwrap().forget();
                        }
                        let payload = number.to_be_bytes();
                        receipts.push(publisher.publish("many", &payload).qos(qos).enqueue().await.unwrap());
                    }
                    for receipt in receipts {
                        receipt.await.unwrap();
                    }
                });
                for number in 0..10_000_u32 {
                    assert_eq!(
                        next(&mut stream).await.payload(),
                        number.to_be_bytes(),
                        "{version:?} {qos:?}"
                    );
                    if number % 100 == 99 {
                        taken.add_permits(1);
                    }
                }
                publishing.await.unwrap();
                client.disconnect().await.unwrap();
            }
        }
    });
}

#[cfg(unix)]
#[tokio::test]
async fn a_socket_in_the_file_system_leads_to_mosquitto() {
    let path = std::env::temp_dir().join(format!("packetboat-unix-{}.socket", std::process::id()));
    let Some(broker) = mosquitto_with(&format!("listener 0 {}\n", path.display())) else { return };
    let client = Client::connect(options(&format!("unix://{}", path.display()))).await.unwrap();
    let mut stream = client.subscribe("unix/#").await.unwrap();
    client.publish("unix/it", "x".repeat(300_000)).qos(QoS::ExactlyOnce).await.unwrap();
    assert_eq!(next(&mut stream).await.payload().len(), 300_000);
    client.disconnect().await.unwrap();
    drop(broker);
    let _ = std::fs::remove_file(&path);
    let error = Client::connect(options(&format!("unix://{}", path.display()))).await.unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable { error: DialError::Socket(_), .. }), "{error:?}");
}

#[tokio::test]
async fn retained_messages_come_with_the_subscription() {
    let Some(broker) = mosquitto() else { return };
    for version in VERSIONS {
        let client = Client::connect(options(&broker.url()).version(version)).await.unwrap();
        client.publish("kept", "old").qos(QoS::AtLeastOnce).retain(true).await.unwrap();
        let mut stream = client.subscribe("kept").await.unwrap();
        let message = next(&mut stream).await;
        assert_eq!((message.payload(), message.retain()), (&b"old"[..], true));
        client.publish("kept", "new").qos(QoS::AtLeastOnce).retain(true).await.unwrap();
        let message = next(&mut stream).await;
        assert_eq!((message.payload(), message.retain()), (&b"new"[..], false));
        client.publish("kept", "").qos(QoS::AtLeastOnce).retain(true).await.unwrap();
        client.disconnect().await.unwrap();
    }
    let client = Client::connect(options(&broker.url()).version(VersionChoice::V5)).await.unwrap();
    client.publish("kept", "5").qos(QoS::AtLeastOnce).retain(true).await.unwrap();
    let without =
        client.subscription("kept").retain_handling(RetainHandling::DoNotSend).retain_as_published(true);
    let mut stream = without.await.unwrap();
    client.publish("kept", "6").qos(QoS::AtLeastOnce).retain(true).await.unwrap();
    let message = next(&mut stream).await;
    assert_eq!((message.payload(), message.retain()), (&b"6"[..], true));
}

#[tokio::test]
async fn the_will_is_published_when_the_client_is_lost_and_when_it_asks_for_it() {
    let Some(broker) = mosquitto() else { return };
    for version in VERSIONS {
        let watcher = Client::connect(options(&broker.url())).await.unwrap();
        let mut wills = watcher.subscribe("will/+").await.unwrap();
        let mut properties = PropertiesBuf::new();
        properties.content_type("application/octet-stream").unwrap();
        for payload in [vec![0, 255, 1], vec![]] {
            let will = Will {
                topic: "will/here".into(),
                payload: payload.clone(),
                qos: QoS::ExactlyOnce,
                retain: false,
                properties: properties.clone(),
            };
            let id = "will-client";
            let options = options(&broker.url()).version(version).client_id(id).will(will.clone());
            let client = Client::connect(options.clone().retry_limit(0)).await.unwrap();
            // A second client with the same identifier: the broker cuts the first off.
            let taker = common::options(&broker.url()).version(version).client_id(id);
            let taker = Client::connect(taker).await.unwrap();
            let message = next(&mut wills).await;
            assert_eq!((message.payload(), message.qos()), (&payload[..], QoS::ExactlyOnce));
            if version == VersionChoice::V5 {
                assert_eq!(message.properties().content_type(), Some("application/octet-stream"));
            }
            drop(client);
            taker.disconnect().await.unwrap();

            if version == VersionChoice::V5 {
                let client = Client::connect(options.clone().client_id("asks")).await.unwrap();
                client.disconnect_with_will().await.unwrap();
                assert_eq!(next(&mut wills).await.payload(), &payload[..]);
            }
            let client = Client::connect(options.client_id("leaves")).await.unwrap();
            client.disconnect().await.unwrap();
            watcher.publish("will/none", "end").await.unwrap();
            let mut last = next(&mut wills).await;
            while last.topic() == "will/here" {
                last = next(&mut wills).await;
                assert!(version == VersionChoice::V311, "a will after a proper goodbye");
            }
            assert_eq!(last.payload(), b"end");
        }
    }
}

#[tokio::test]
async fn a_persistent_session_keeps_messages_between_processes() {
    let Some(broker) = mosquitto() else { return };
    for version in VERSIONS {
        let session = SessionMode::Persistent { expiry: Duration::from_mins(1) };
        let options = options(&broker.url()).version(version).client_id("keeper").session(session);
        let client = Client::connect(options.clone()).await.unwrap();
        let stream = client.subscribe("kept/#").await.unwrap();
        client.disconnect().await.unwrap();
        drop(stream);
        let other = Client::connect(common::options(&broker.url())).await.unwrap();
        for number in 0..20_u8 {
            other.publish("kept/messages", &[number]).qos(QoS::AtLeastOnce).await.unwrap();
        }

        // They come before the application has subscribed, and wait for it.
        let client = Client::start(options).unwrap();
        assert!(connected(&mut client.events()).await, "session present");
        let mut stream = client.subscription("kept/#").retain_handling(RetainHandling::SendIfNew);
        if version == VersionChoice::V311 {
            stream = client.subscription("kept/#");
        }
        let mut stream = stream.await.unwrap();
        for number in 0..20_u8 {
            assert_eq!(next(&mut stream).await.payload(), [number]);
        }
        client.unsubscribe("kept/#").await.unwrap();
        client.disconnect().await.unwrap();
    }
}

#[tokio::test]
async fn a_client_whose_identifier_is_taken_over_says_so() {
    let Some(broker) = mosquitto() else { return };
    for version in VERSIONS {
        let options = options(&broker.url()).version(version).client_id("twice");
        let first = Client::connect(options.clone().retry_limit(0)).await.unwrap();
        let mut events = first.events();
        let second = Client::connect(options).await.unwrap();
        let cause = disconnected(&mut events).await;
        match (version, cause) {
            (VersionChoice::V5, Disconnection::Ended(Cause::ByBroker { reason, .. })) => {
                assert_eq!(reason, Reason::SESSION_TAKEN_OVER);
            }
            // mosquitto before 2.0.12 says nothing on 5.0 either.
            (_, Disconnection::Ended(Cause::Lost)) => {}
            other => panic!("{other:?}"),
        }
        event(&mut events, |event| matches!(event, Event::GaveUp).then_some(())).await;
        second.publish("still", "here").qos(QoS::AtLeastOnce).await.unwrap();
        second.disconnect().await.unwrap();
    }
}

#[test]
fn a_broker_killed_and_restarted_loses_nothing_that_was_accepted() {
    let Some(broker) = mosquitto() else { return };
    let broker = std::sync::Arc::new(std::sync::Mutex::new(broker));
    on_both_runtimes(move || {
        let broker = broker.clone();
        async move {
            for version in VERSIONS {
                let url = broker.lock().unwrap().url();
                let client = Client::connect(options(&url).version(version)).await.unwrap();
                let mut events = client.events();
                let mut stream = client.subscribe("survivor").await.unwrap();
                let mut receipts = Vec::new();
                for number in 0..300_u32 {
                    if number == 150 {
                        broker.lock().unwrap().restart();
                    }
                    let payload = number.to_be_bytes();
                    receipts.push(
                        client.publish("survivor", &payload).qos(QoS::AtLeastOnce).enqueue().await.unwrap(),
                    );
                }
                for receipt in receipts {
                    receipt.await.unwrap();
                }
                disconnected(&mut events).await;
                connected(&mut events).await;
                event(&mut events, |event| matches!(event, Event::SubscriptionsRestored).then_some(())).await;
                // What was published before the subscription stood again is not ours to expect.
                client.publish("survivor", "end").qos(QoS::AtLeastOnce).await.unwrap();
                while next(&mut stream).await.payload() != b"end" {}
                client.disconnect().await.unwrap();
            }
        }
    });
}

#[tokio::test]
async fn a_stopped_broker_is_noticed_within_one_and_a_half_keep_alives() {
    let Some(broker) = mosquitto() else { return };
    for version in VERSIONS {
        let keep_alive = Duration::from_secs(2);
        let options = options(&broker.url()).version(version).keep_alive(keep_alive);
        let client = Client::connect(options).await.unwrap();
        let mut events = client.events();
        broker.signal("STOP");
        let stopped = Instant::now();
        // A QoS 0 flood into a dead link must not pass for life.
        let flooding = client.clone();
        let flood = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(Duration::from_millis(50));
            loop {
                ticks.tick().await;
                let _ = flooding.publish("flood", "drop").try_publish();
            }
        });
        let cause = disconnected(&mut events).await;
        let noticed = stopped.elapsed();
        broker.signal("CONT");
        flood.abort();
        assert!(matches!(cause, Disconnection::Ended(Cause::Silent)), "{cause:?}");
        // Exact on the virtual clocks of `sim`; here with what a busy machine takes.
        assert!(noticed <= keep_alive * 3 / 2 + Duration::from_secs(5), "{noticed:?}");
        connected(&mut events).await;
        client.disconnect().await.unwrap();
    }
}

#[tokio::test]
async fn wrong_credentials_are_refused_with_a_reason() {
    // user:secret, as mosquitto_passwd writes it, is made by mosquitto_passwd itself.
    let directory = std::env::temp_dir().join(format!("packetboat-passwords-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let file = directory.join("passwords");
    let made = std::process::Command::new("mosquitto_passwd")
        .args(["-b", "-c"])
        .arg(&file)
        .args(["user", "secret"])
        .status();
    if !made.is_ok_and(|status| status.success()) {
        assert!(std::env::var_os("PACKETBOAT_REQUIRE_BROKER").is_none(), "mosquitto_passwd is required");
        return eprintln!("SKIPPED: mosquitto_passwd is not installed");
    }
    let Some(broker) = mosquitto_with(&format!("allow_anonymous false\npassword_file {}\n", file.display()))
    else {
        return;
    };
    for version in VERSIONS {
        let options = options(&broker.url()).version(version);
        for wrong in [options.clone(), options.clone().username("user").password("wrong")] {
            match Client::connect(wrong).await {
                Err(ConnectError::Refused { reason, .. }) => assert!(
                    [Reason::NOT_AUTHORIZED, Reason::BAD_USER_NAME_OR_PASSWORD].contains(&reason),
                    "{reason:?}"
                ),
                other => panic!("{other:?}"),
            }
        }
        let client = Client::connect(options.username("user").password("secret")).await.unwrap();
        client.disconnect().await.unwrap();
    }
    std::fs::remove_dir_all(&directory).unwrap();
}

#[tokio::test]
async fn automatic_choice_speaks_5_0_to_a_broker_that_knows_it() {
    let Some(broker) = mosquitto() else { return };
    let client = Client::connect(&broker.url()).await.unwrap();
    assert_eq!(client.version(), Version::V5);
    within(LONG, client.disconnect()).await.unwrap();
    let client = Client::connect(options(&broker.url()).version(VersionChoice::V31)).await.unwrap();
    assert_eq!(client.version(), Version::V31);
    client.publish("a", "b").qos(QoS::ExactlyOnce).await.unwrap();
    client.disconnect().await.unwrap();
}

#[tokio::test]
async fn overlapping_filters_reach_each_stream_once_per_copy() {
    let Some(broker) = mosquitto() else { return };
    for version in VERSIONS {
        let client = Client::connect(options(&broker.url()).version(version)).await.unwrap();
        let mut wide = client.subscribe("over/#").await.unwrap();
        let mut narrow = client.subscribe("over/lap").await.unwrap();
        for number in 0..10_u8 {
            client.publish("over/lap", &[number]).qos(QoS::AtLeastOnce).await.unwrap();
        }
        for number in 0..10_u8 {
            // mosquitto 2.0 sends one copy on 3.1.1 and one for each filter, with identifiers, on 5.0.
            assert_eq!(next(&mut wide).await.payload(), [number]);
            assert_eq!(next(&mut narrow).await.payload(), [number]);
        }
        client.disconnect().await.unwrap();
        assert!(wide.next().await.is_none() && narrow.next().await.is_none());
    }
}
