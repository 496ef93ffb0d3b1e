//! Publishing: acceptance, receipts, limits in time and room, and the cutting of connections.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use common::{ALL_QOS, LONG, VERSIONS, connected, disconnected, on_both_runtimes, options, within};
use packetboat::{
    Client, PropertiesBuf, PublishError, QoS, QueuePolicy, Reason, RejectReason, SessionMode, Stage,
    TopicError, VersionChoice, Withdrawal,
};
use packetboat_core::wire::PacketType;
use packetboat_sim::broker::Config;
use packetboat_sim::net::{self, Broker};

async fn logging_broker() -> Broker {
    net::Options::new().keep_log().start().await.unwrap()
}

/// How often each payload was taken from this client.
fn taken(broker: &Broker, client: &str) -> BTreeMap<Vec<u8>, usize> {
    let mut counts = BTreeMap::new();
    for accepted in broker.accepted(client) {
        *counts.entry(accepted.message.payload.clone()).or_default() += 1;
    }
    counts
}

#[test]
fn publishing_resolves_when_the_broker_has_confirmed_and_says_what_it_said() {
    on_both_runtimes(|| async {
        let broker = logging_broker().await;
        for version in VERSIONS {
            let client = Client::connect(options(&broker.url()).version(version)).await.unwrap();
            for qos in ALL_QOS {
                let published = client.publish("a/b", "payload").qos(qos).await.unwrap();
                let confirmed = version == VersionChoice::V5 && qos > QoS::AtMostOnce;
                let nobody = if confirmed { Reason::NO_MATCHING_SUBSCRIBERS } else { Reason::SUCCESS };
                assert!([nobody, Reason::SUCCESS].contains(&published.reason), "{published:?}");
            }
            client.disconnect().await.unwrap();
        }
        assert!(broker.violations().is_empty(), "{:?}", broker.violations());
    });
}

#[tokio::test]
async fn payloads_may_be_borrowed_or_owned() {
    let broker = logging_broker().await;
    let client = Client::connect(options(&broker.url()).client_id("bodies")).await.unwrap();
    let (text, bytes) = (String::from("4"), vec![b'5']);
    client.publish("a", "1").await.unwrap();
    client.publish("a", b"2").await.unwrap();
    client.publish("a", &b"3"[..]).await.unwrap();
    client.publish("a", &text).await.unwrap();
    client.publish("a", &bytes).await.unwrap();
    client.publish("a", String::from("6")).await.unwrap();
    client.publish("a", vec![b'7']).await.unwrap();
    client.publish("a", Bytes::from_static(b"8")).await.unwrap();
    client.publish("a", vec![9; 3_000_000]).qos(QoS::AtLeastOnce).await.unwrap();
    client.flush().await.unwrap();
    let sizes: Vec<usize> =
        broker.accepted("bodies").iter().map(|accepted| accepted.message.payload.len()).collect();
    assert_eq!(sizes, [1, 1, 1, 1, 1, 1, 1, 1, 3_000_000]);
    client.disconnect().await.unwrap();
}

#[tokio::test]
async fn wrong_messages_are_refused_with_their_payload() {
    let config = Config { maximum_packet_size: 1000, ..Config::default() };
    let broker = net::Options::new().config(config).start().await.unwrap();
    let client = Client::connect(options(&broker.url())).await.unwrap();
    assert!(matches!(client.publish("a/#", "x").await, Err(PublishError::Topic(TopicError::WildcardInName))));
    assert!(matches!(client.publish("", "x").try_publish(), Err(PublishError::Topic(TopicError::Empty))));
    match client.publish("a", vec![1; 2000]).qos(QoS::AtLeastOnce).await {
        Err(PublishError::Rejected {
            reason: RejectReason::TooLarge { maximum: 1000, .. },
            payload: Some(payload),
        }) => {
            assert_eq!(payload.len(), 2000);
        }
        other => panic!("{other:?}"),
    }
    client.disconnect().await.unwrap();
    match client.publish("a", vec![1; 20]).await {
        Err(PublishError::Rejected { reason: RejectReason::Closed, payload: Some(payload) }) => {
            assert_eq!(payload.len(), 20);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn properties_need_5_0_or_leave_to_drop_them() {
    let broker = Broker::start().await.unwrap();
    let mut properties = PropertiesBuf::new();
    properties.content_type("text/plain").unwrap();
    let fixed = Client::connect(options(&broker.url()).version(VersionChoice::V311)).await.unwrap();
    let refused = fixed.publish("a", "b").properties(properties.clone()).await;
    assert!(
        matches!(refused, Err(PublishError::Rejected { reason: RejectReason::NeedsVersion5, .. })),
        "{refused:?}"
    );
    fixed.publish("a", "b").properties(properties.clone()).drop_properties(true).await.unwrap();

    let config = Config { versions: vec![packetboat::Version::V311], ..Config::default() };
    let old = net::Options::new().config(config).start().await.unwrap();
    let client = Client::start(options(&old.url())).unwrap();
    let publish = client.publish("a", "b").qos(QoS::AtLeastOnce).properties(properties);
    let ended = within(LONG, publish).await;
    let expected = Withdrawal::NotAllowed(RejectReason::NeedsVersion5);
    assert!(matches!(ended, Err(PublishError::Withdrawn(why)) if why == expected), "{ended:?}");
}

// Spec 5.0: MQTT-3.3.4-6
#[tokio::test]
async fn properties_that_are_not_the_publishers_are_taken_out() {
    let broker = logging_broker().await;
    let client = Client::connect(options(&broker.url()).client_id("careless")).await.unwrap();
    let mut properties = PropertiesBuf::new();
    properties.subscription_identifier(5).unwrap().topic_alias(9).unwrap().server_keep_alive(1);
    properties.reason_string("because").unwrap().content_type("text/plain").unwrap();
    client.publish("a", "b").qos(QoS::AtLeastOnce).properties(properties).await.unwrap();
    let accepted = broker.accepted("careless");
    let kept = accepted[0].message.properties.as_properties();
    assert_eq!(format!("{kept:?}"), "{ContentType: \"text/plain\"}");
    assert!(broker.violations().is_empty(), "{:?}", broker.violations());
}

#[tokio::test]
async fn receipts_follow_a_message_and_can_withdraw_it() {
    let broker = net::Options::new().receive_maximum(1).keep_log().start().await.unwrap();
    let client = Client::connect(options(&broker.url()).client_id("receipts")).await.unwrap();
    broker.faults().stop_reading();
    let first = client.publish("a", "first").qos(QoS::AtLeastOnce).enqueue().await.unwrap();
    let second = client.publish("a", "second").qos(QoS::AtLeastOnce).enqueue().await.unwrap();
    let third = client.publish("a", "third").qos(QoS::ExactlyOnce).enqueue().await.unwrap();
    assert_eq!((first.stage(), second.stage()), (Stage::Written, Stage::Accepted));
    assert!(first.packet_id().is_some() && second.packet_id().is_none());
    assert!(second.cancel(), "it was not encoded");
    assert!(!first.cancel(), "it was encoded");
    assert_eq!(second.stage(), Stage::Failed);
    assert!(matches!(second.await, Err(PublishError::Withdrawn(Withdrawal::Cancelled))));
    broker.faults().resume_reading();
    first.await.unwrap();
    third.await.unwrap();
    let payloads: Vec<Vec<u8>> = taken(&broker, "receipts").into_keys().collect();
    assert_eq!(payloads, [b"first".to_vec(), b"third".to_vec()]);
    client.disconnect().await.unwrap();
}

#[tokio::test]
async fn a_time_limit_withdraws_what_was_not_sent_and_gives_the_receipt_of_what_was() {
    let broker = net::Options::new().receive_maximum(1).keep_log().start().await.unwrap();
    let client = Client::connect(options(&broker.url()).client_id("limits").queue(1, 1 << 20)).await.unwrap();
    broker.faults().stop_reading();
    let limit = Duration::from_millis(100);
    let sent = client.publish("a", "sent").qos(QoS::AtLeastOnce).timeout(limit).await;
    let Err(PublishError::Unresolved(receipt)) = sent else { panic!("{sent:?}") };
    let queued = client.publish("a", "queued").qos(QoS::AtLeastOnce).timeout(limit).await;
    assert!(matches!(queued, Err(PublishError::TimedOut { payload: None, .. })), "{queued:?}");
    let _fills = client.publish("a", "fills").qos(QoS::AtLeastOnce).enqueue().await.unwrap();
    let waiting = client.publish("a", String::from("waiting")).qos(QoS::AtLeastOnce).timeout(limit).await;
    assert!(
        matches!(&waiting, Err(PublishError::TimedOut { payload: Some(payload), .. }) if payload == "waiting")
    );
    broker.faults().resume_reading();
    receipt.await.unwrap();
    client.disconnect().await.unwrap();
    assert_eq!(taken(&broker, "limits").into_values().collect::<Vec<_>>(), [1, 1]);
}

#[tokio::test]
async fn a_time_limit_holds_also_for_a_message_accepted_after_standing_in_line() {
    let client = Client::start(options("mqtt://127.0.0.1:1").queue(1, 1 << 20)).unwrap();
    let first = client.publish("a", "first").qos(QoS::AtLeastOnce).enqueue().await.unwrap();
    let second = client.publish("a", "second").qos(QoS::AtLeastOnce).timeout(Duration::from_millis(300));
    // It is polled first, and stands in line when the first message leaves its place to it.
    let both = async { tokio::join!(second, async { first.cancel() }) };
    let begun = std::time::Instant::now();
    let (second, withdrawn) = within(LONG, both).await;
    // The test's own limit wakes as well, and must not be what did.
    assert!(withdrawn && begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert!(matches!(second, Err(PublishError::TimedOut { payload: None, .. })), "{second:?}");
}

#[tokio::test]
async fn a_full_queue_waits_refuses_or_drops_as_told() {
    let offline =
        |policy| Client::start(options("mqtt://127.0.0.1:1").queue(2, 1 << 20).queue_policy(policy)).unwrap();
    let client = offline(QueuePolicy::Wait);
    let publish = |payload: &'static str| client.publish("a", payload).qos(QoS::AtLeastOnce);
    let one = publish("1").try_publish().unwrap();
    let _two = publish("2").try_publish().unwrap();
    let full = publish("3").try_publish();
    assert!(matches!(full, Err(PublishError::Rejected { reason: RejectReason::Full, .. })), "{full:?}");
    let waiter = client.clone();
    #[allow(clippy::async_yields_async, reason = "the receipt is what is wanted")]
    let three =
        tokio::spawn(async move { waiter.publish("a", "3").qos(QoS::AtLeastOnce).enqueue().await.unwrap() });
    tokio::task::yield_now().await;
    assert!(!three.is_finished());
    assert!(one.cancel());
    let three = within(LONG, three).await.unwrap();
    assert_eq!(three.stage(), Stage::Accepted);

    let client = offline(QueuePolicy::DropOldest);
    let mut receipts = Vec::new();
    for payload in ["1", "2", "3"] {
        receipts.push(client.publish("a", payload).qos(QoS::AtLeastOnce).try_publish().unwrap());
    }
    assert_eq!(
        receipts.iter().map(packetboat::Receipt::stage).collect::<Vec<_>>(),
        [Stage::Failed, Stage::Accepted, Stage::Accepted]
    );
    assert!(matches!(receipts.remove(0).await, Err(PublishError::Withdrawn(Withdrawal::Dropped))));

    let client = offline(QueuePolicy::DropNewest);
    for (payload, stage) in [("1", Stage::Accepted), ("2", Stage::Accepted), ("3", Stage::Failed)] {
        let receipt = client.publish("a", payload).qos(QoS::AtLeastOnce).try_publish().unwrap();
        assert_eq!(receipt.stage(), stage);
        std::mem::forget(receipt);
    }
}

#[test]
fn queues_hold_their_bounds_against_a_broker_that_does_not_read() {
    on_both_runtimes(|| async {
        let broker = Broker::start().await.unwrap();
        for qos in ALL_QOS {
            let bound = 1 << 20;
            let client = Client::connect(options(&broker.url()).queue(100, bound)).await.unwrap();
            broker.faults().stop_reading();
            // 64 MiB are offered; the socket's buffers, the output and the queue take what they may.
            let payload = Bytes::from(vec![1; 8 * 1024]);
            let mut accepted = 0;
            let mut receipts = Vec::new();
            for _ in 0..8192 {
                match client.publish("flood", &payload).qos(qos).try_publish() {
                    Ok(receipt) => {
                        accepted += 1;
                        receipts.push(receipt);
                    }
                    Err(PublishError::Rejected { reason: RejectReason::Full, .. }) => {
                        tokio::task::yield_now().await;
                    }
                    Err(other) => panic!("{other:?}"),
                }
                let queue = client.queue();
                assert!(queue.messages <= 100 && queue.bytes <= bound, "{queue:?}");
            }
            assert!(accepted < 8192, "{accepted} were accepted");
            broker.faults().resume_reading();
            for receipt in receipts {
                within(LONG, receipt).await.unwrap();
            }
            client.disconnect().await.unwrap();
        }
    });
}

#[test]
fn sixty_four_publishers_share_a_small_queue_and_window() {
    on_both_runtimes(|| async {
        let broker = net::Options::new().receive_maximum(7).keep_log().start().await.unwrap();
        let options = options(&broker.url()).client_id("shared").queue(16, 1 << 20).window(5);
        let client = Client::connect(options).await.unwrap();
        let tasks: Vec<_> = (0..64_u8)
            .map(|task| {
                let client = client.clone();
                tokio::spawn(async move {
                    for number in 0..50_u8 {
                        let qos = ALL_QOS[usize::from((task + number) % 2) + 1];
                        client.publish("shared", &[task, number]).qos(qos).await.unwrap();
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let taken = taken(&broker, "shared");
        assert_eq!(taken.len(), 64 * 50);
        assert!(taken.values().all(|&count| count == 1));
        // Nothing kept a place it did not use.
        let free = client.publish("shared", "last").qos(QoS::AtLeastOnce).try_publish().unwrap();
        free.await.unwrap();
        client.disconnect().await.unwrap();
        assert!(broker.violations().is_empty(), "{:?}", broker.violations());
    });
}

#[test]
fn cuts_lose_and_double_nothing_while_the_broker_keeps_the_session() {
    on_both_runtimes(|| async {
        for version in VERSIONS {
            let broker = logging_broker().await;
            let session = SessionMode::Persistent { expiry: Duration::from_mins(1) };
            let options = options(&broker.url()).version(version).client_id("cut").session(session);
            let client = Client::connect(options).await.unwrap();
            let mut events = client.events();
            let mut receipts = Vec::new();
            for number in 0..2_000_u32 {
                if number % 500 == 250 {
                    broker.faults().cut();
                }
                let qos = if number % 2 == 0 { QoS::AtLeastOnce } else { QoS::ExactlyOnce };
                let payload = number.to_be_bytes();
                receipts.push(client.publish("cut", &payload).qos(qos).enqueue().await.unwrap());
            }
            for receipt in receipts {
                assert!(!receipt.await.unwrap().possible_duplicate);
            }
            disconnected(&mut events).await;
            connected(&mut events).await;
            let counts = taken(&broker, "cut");
            assert_eq!(counts.len(), 2_000);
            for (payload, count) in counts {
                let number = u32::from_be_bytes(payload.try_into().unwrap());
                assert!(number % 2 == 0 || count == 1, "{number} came {count} times");
            }
            client.disconnect().await.unwrap();
            assert!(broker.violations().is_empty(), "{:?}", broker.violations());
        }
    });
}

#[tokio::test]
async fn disconnecting_waits_for_what_was_accepted_and_says_what_it_left_behind() {
    let broker = logging_broker().await;
    let client = Client::connect(options(&broker.url()).client_id("polite")).await.unwrap();
    let receipts: Vec<_> = (0..100_u8)
        .map(|number| client.publish("a", &[number]).qos(QoS::ExactlyOnce).try_publish().unwrap())
        .collect();
    client.disconnect().await.unwrap();
    assert_eq!(taken(&broker, "polite").len(), 100);
    for receipt in receipts {
        receipt.await.unwrap();
    }

    let limit = Duration::from_millis(200);
    let client = Client::connect(options(&broker.url()).drain_timeout(limit)).await.unwrap();
    broker.faults().swallow(PacketType::Puback);
    let receipt = client.publish("a", "b").qos(QoS::AtLeastOnce).enqueue().await.unwrap();
    let left = within(Duration::from_secs(5), client.disconnect()).await.unwrap_err();
    assert_eq!(left.messages, 1);
    assert!(matches!(receipt.await, Err(PublishError::Closed)));
}

#[tokio::test]
async fn dropping_the_last_handle_finishes_what_was_accepted() {
    let broker = logging_broker().await;
    let client = Client::connect(options(&broker.url()).client_id("dropped")).await.unwrap();
    for number in 0..100_u8 {
        drop(client.publish("a", &[number]).qos(QoS::AtLeastOnce).try_publish().unwrap());
    }
    let clone = client.clone();
    drop(client);
    drop(clone);
    within(LONG, broker.until(|core| core.connection("dropped").is_none())).await;
    assert_eq!(taken(&broker, "dropped").len(), 100);
    assert_eq!(broker.stats().received(PacketType::Disconnect), 1);
}

#[tokio::test]
async fn an_expired_message_is_not_sent() {
    let client = Client::start(options("mqtt://127.0.0.1:1")).unwrap();
    let broker = logging_broker().await;
    drop(client);
    let client = Client::start(options(&broker.url()).client_id("expiry")).unwrap();
    // Not connected yet: the interval passes at once.
    let receipt = client.publish("a", "b").qos(QoS::AtLeastOnce).message_expiry(0).try_publish().unwrap();
    let ended = within(LONG, receipt).await;
    assert!(matches!(ended, Err(PublishError::Withdrawn(Withdrawal::Expired))), "{ended:?}");
    client.disconnect().await.unwrap();
    assert!(taken(&broker, "expiry").is_empty());
}

/// A payload whose last handle uses the client: what a user's code may do when it is dropped.
struct Reentrant(Client, Vec<u8>);

impl AsRef<[u8]> for Reentrant {
    fn as_ref(&self) -> &[u8] {
        &self.1
    }
}

impl Drop for Reentrant {
    fn drop(&mut self) {
        drop(self.0.publish("again", "from drop").qos(QoS::AtLeastOnce).try_publish());
    }
}

#[test]
fn nothing_of_the_users_runs_under_the_lock() {
    on_both_runtimes(|| async {
        let broker = logging_broker().await;
        let client = Client::connect(options(&broker.url()).client_id("user")).await.unwrap();
        for size in [10, 2_000, 100_000] {
            let payload = Bytes::from_owner(Reentrant(client.clone(), vec![1; size]));
            client.publish("a", payload).qos(QoS::AtLeastOnce).await.unwrap();
        }
        let queued = Bytes::from_owner(Reentrant(client.clone(), vec![1; 2_000]));
        let receipt = client.publish("a", queued).qos(QoS::AtLeastOnce).enqueue().await.unwrap();
        receipt.await.unwrap();
        client.publish("a", "last").qos(QoS::AtLeastOnce).await.unwrap();
        client.disconnect().await.unwrap();
        assert_eq!(broker.accepted("user").iter().filter(|taken| taken.message.topic == "again").count(), 4);
        assert!(broker.violations().is_empty(), "{:?}", broker.violations());
    });
}

#[tokio::test]
async fn text_that_is_declared_is_checked_on_the_way_out_and_readable_on_the_way_in() {
    let broker = Broker::start().await.unwrap();
    let client = Client::connect(options(&broker.url()).version(VersionChoice::V5)).await.unwrap();
    let mut stream = client.subscribe("text").await.unwrap();
    let mut text = PropertiesBuf::new();
    text.payload_format_indicator(true).content_type("text/plain").unwrap();
    let error = client.publish("text", vec![0xff, 0xfe]).properties(text.clone()).await.unwrap_err();
    match error {
        PublishError::Rejected { reason: RejectReason::NotText, payload } => {
            assert_eq!(payload.as_deref(), Some(&[0xff, 0xfe][..]), "it comes back");
        }
        other => panic!("{other:?}"),
    }
    client.publish("text", "grün").properties(text).await.unwrap();
    client.publish("text", vec![0xff]).await.unwrap();
    // A broker passes on what its publishers declare, true or not.
    let mut lying = packetboat_sim::broker::Message::new("text", vec![0xff], QoS::AtMostOnce);
    lying.properties.payload_format_indicator(true);
    let message = common::next(&mut stream).await;
    assert_eq!(message.text(), Some(Ok("grün")));
    assert_eq!(message.properties().content_type(), Some("text/plain"));
    assert_eq!(common::next(&mut stream).await.text(), None);
    broker.with(|core, now| core.publish(lying, now));
    assert!(matches!(common::next(&mut stream).await.text(), Some(Err(_))));
    client.disconnect().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn receipts_tell_every_stage_of_every_qos_over_cuts() {
    use common::inside::{Host, Inside, Network, connected, patient};
    for (version, qos) in VERSIONS.into_iter().flat_map(|version| ALL_QOS.map(|qos| (version, qos))) {
        let (broker, network) = (Inside::new(), Network::new([("one", Host::Down)]));
        let session = SessionMode::Persistent { expiry: Duration::from_hours(1) };
        let options = options("mqtt://one").client_id("stages").version(version).session(session);
        let client = Client::start(options.transport(network.clone())).unwrap();
        let mut events = client.events();
        let mut receipt = client.publish("a", "x").qos(qos).enqueue().await.unwrap();
        assert_eq!((receipt.stage(), receipt.packet_id()), (Stage::Accepted, None));
        let answer = if qos == QoS::ExactlyOnce { PacketType::Pubcomp } else { PacketType::Puback };
        broker.with(|core, _| {
            core.faults().swallow(answer);
        });
        network.set("one", Host::Broker(broker.clone()));
        connected(&mut events).await;
        patient(client.flush()).await.unwrap();
        if qos != QoS::AtMostOnce {
            for _ in 0..2 {
                // With PUBREC in hand, too, it is on its way until PUBCOMP.
                assert_eq!(receipt.stage(), Stage::Written, "{version:?} {qos:?}");
                assert!(receipt.packet_id().is_some());
                assert!(!receipt.cancel(), "too late");
                broker.with(packetboat_sim::broker::Broker::cut_all);
                connected(&mut events).await;
                patient(client.flush()).await.unwrap();
            }
            broker.with(|core, _| {
                core.faults().clear();
            });
            broker.with(packetboat_sim::broker::Broker::cut_all);
        }
        let published = patient(&mut receipt).await.unwrap();
        assert!(!published.reason.is_error() && !published.possible_duplicate);
        assert!(receipt.packet_id().is_none() && !receipt.cancel(), "there is nothing to withdraw");
        drop(receipt);
        let other = client.publish("a", "y").qos(qos).enqueue().await.unwrap();
        patient(async {
            while other.stage() != Stage::Acknowledged {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
        assert!(other.packet_id().is_none() && !other.cancel());
        patient(other).await.unwrap();
        client.disconnect().await.unwrap();
        broker.check();
    }
}
