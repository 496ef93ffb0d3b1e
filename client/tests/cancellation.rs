//! Everything that can be awaited can be dropped at any await: nothing accepted is lost, nothing else is sent. What has ended
//! tells the same again, or panics as an `async fn` does; it never does a thing twice.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]

mod common;

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use common::{ALL_QOS, LONG, VERSIONS, next, on_both_runtimes, options, within};
use packetboat::{Client, PublishError, QoS, Reason, Receipt, SessionMode, Stage, Withdrawal};
use packetboat_core::rng::Rng;
use packetboat_core::wire::PacketType;
use packetboat_sim::net::{self, Broker};

/// Polls at most so often, each time when woken, and then drops. `None`: dropped before it was ready.
async fn polled<F: Future>(times: u32, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = times;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

#[test]
fn publishes_dropped_at_every_await_under_load_lose_nothing_that_was_accepted() {
    on_both_runtimes(|| async {
        for version in VERSIONS {
            let broker = net::Options::new().receive_maximum(3).keep_log().start().await.unwrap();
            let session = SessionMode::Persistent { expiry: Duration::from_mins(1) };
            let options = options(&broker.url()).version(version).client_id("dropper").session(session);
            let client = Client::connect(options.queue(8, 1 << 20).window(3)).await.unwrap();
            let tasks: Vec<_> = (0..8_u32)
                .map(|task| {
                    let client = client.clone();
                    tokio::spawn(async move { dropper(&client, task).await })
                })
                .collect();
            let mut must = Vec::new();
            let mut must_not = Vec::new();
            for (number, task) in tasks.into_iter().enumerate() {
                if number % 3 == 2 {
                    broker.faults().cut();
                }
                let (accepted, refused) = task.await.unwrap();
                must.extend(accepted);
                must_not.extend(refused);
            }
            within(LONG, client.disconnect()).await.unwrap();
            let taken: Vec<Vec<u8>> =
                broker.accepted("dropper").iter().map(|accepted| accepted.message.payload.clone()).collect();
            assert!(must.iter().all(|payload| taken.contains(payload)), "an accepted message is lost");
            assert!(
                !must_not.iter().any(|payload| taken.contains(payload)),
                "a message never polled was sent"
            );
            assert!(broker.violations().is_empty(), "{:?}", broker.violations());
        }
    });
}

/// Publishes and drops at random; what must have arrived, and what must not.
async fn dropper(client: &Client, task: u32) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let mut rng = Rng::new(task.into());
    let (mut must, mut must_not) = (Vec::new(), Vec::new());
    for number in 0..200_u32 {
        let payload = [task.to_be_bytes(), number.to_be_bytes()].concat();
        let qos = if rng.below(2) == 0 { QoS::AtLeastOnce } else { QoS::ExactlyOnce };
        let polls = u32::try_from(rng.below(4)).unwrap();
        let publish = client.publish("drop", &payload).qos(qos);
        if rng.below(2) == 0 {
            match polled(polls, publish).await {
                Some(result) => {
                    result.unwrap();
                    must.push(payload);
                }
                None if polls == 0 => must_not.push(payload),
                None => {}
            }
        } else {
            match polled(polls, publish.enqueue()).await {
                Some(receipt) => {
                    // Accepted: whatever becomes of the receipt.
                    let _ = polled(polls, receipt.unwrap()).await;
                    must.push(payload);
                }
                // Waiting for room is not yet being accepted, however often it was polled.
                None => must_not.push(payload),
            }
        }
    }
    (must, must_not)
}

#[test]
fn takes_dropped_at_every_await_lose_no_message() {
    on_both_runtimes(|| async {
        let broker = net::Options::new().start().await.unwrap();
        let client = Client::connect(options(&broker.url()).inbound(16, 1 << 20)).await.unwrap();
        let mut stream = client.subscribe("take").await.unwrap();
        let publisher = client.clone();
        let publishing = tokio::spawn(async move {
            for number in 0..2_000_u32 {
                publisher.publish("take", &number.to_be_bytes()).qos(QoS::ExactlyOnce).await.unwrap();
            }
        });
        let mut rng = Rng::new(1);
        let mut expected = 0_u32;
        while expected < 2_000 {
            let polls = u32::try_from(rng.below(3)).unwrap();
            if rng.below(5) == 0 {
                if let Some(batch) = polled(polls, stream.next_batch(7)).await {
                    for message in batch {
                        assert_eq!(message.payload(), expected.to_be_bytes());
                        expected += 1;
                    }
                }
            } else if let Some(message) = polled(polls, stream.next()).await {
                assert_eq!(message.unwrap().payload(), expected.to_be_bytes());
                expected += 1;
            }
            tokio::task::yield_now().await;
        }
        publishing.await.unwrap();
        within(LONG, client.disconnect()).await.unwrap();
        assert!(broker.violations().is_empty(), "{:?}", broker.violations());
    });
}

#[test]
fn subscriptions_flushes_and_connects_can_be_dropped() {
    on_both_runtimes(|| async {
        let broker = net::Options::new().start().await.unwrap();
        let client = Client::connect(options(&broker.url())).await.unwrap();
        for polls in 0..50 {
            let _ = polled(polls % 4, client.subscribe("half/+")).await;
            let _ = polled(polls % 4, client.unsubscribe("half/+")).await;
            let _ = polled(polls % 3, client.flush()).await;
            let _ = polled(polls % 5, Client::connect(options(&broker.url()))).await;
        }
        let mut stream = client.subscribe("half/whole").await.unwrap();
        client.publish("half/whole", "still works").qos(QoS::AtLeastOnce).await.unwrap();
        assert_eq!(next(&mut stream).await.payload(), b"still works");
        let _ = polled(1, client.disconnect()).await;
        within(LONG, client.disconnect()).await.unwrap();
        // Every client that was dropped half-way has gone.
        within(LONG, broker.until(|core| core.connected() == 0)).await;
        assert!(broker.violations().is_empty(), "{:?}", broker.violations());
    });
}

/// Polled once more; `None`: it panicked.
fn again<F: Future>(future: &mut Pin<&mut F>) -> Option<Poll<F::Output>> {
    let mut poll = || future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    catch_unwind(AssertUnwindSafe(&mut poll)).ok()
}

/// How a receipt ends, asked three times.
async fn end_of(mut receipt: Receipt, stage: Stage) -> String {
    let ended = format!("{:?}", within(LONG, &mut receipt).await);
    for _ in 0..2 {
        assert_eq!(format!("{:?}", (&mut receipt).await), ended);
        assert_eq!(receipt.stage(), stage, "{ended}");
    }
    ended
}

#[tokio::test]
async fn a_receipt_that_is_asked_again_tells_the_same_again() {
    for version in VERSIONS {
        let broker = Broker::start().await.unwrap();
        let options = options(&broker.url()).version(version).drain_timeout(Duration::ZERO);
        let client = Client::connect(options).await.unwrap();
        let publish = || client.publish("again", "x").qos(QoS::AtLeastOnce).enqueue();
        let reason =
            if client.limits().properties { Reason::NO_MATCHING_SUBSCRIBERS } else { Reason::SUCCESS };
        let delivered = end_of(publish().await.unwrap(), Stage::Acknowledged).await;
        assert!(delivered.contains(&format!("{reason:?}")), "{delivered}");

        client.go_offline().await;
        let (cancelled, waiting) = (publish().await.unwrap(), publish().await.unwrap());
        assert!(cancelled.cancel());
        let words = PublishError::Withdrawn(Withdrawal::Cancelled).to_string();
        assert_eq!(end_of(cancelled, Stage::Failed).await, format!("Err({words})"));
        let _ = client.disconnect().await;
        assert_eq!(end_of(waiting, Stage::Accepted).await, format!("Err({})", PublishError::Closed));
    }
}

#[tokio::test]
async fn what_is_done_once_is_not_done_again_when_it_is_polled_after_its_end() {
    for version in VERSIONS {
        let broker = net::Options::new().keep_log().start().await.unwrap();
        let client =
            Client::connect(options(&broker.url()).version(version).client_id("once")).await.unwrap();
        for qos in ALL_QOS {
            let mut publish = pin!(client.publish("once", "x").qos(qos));
            publish.as_mut().await.unwrap();
            assert!(again(&mut publish).is_none(), "{qos:?}");
            let mut enqueue = pin!(client.publish("once", "y").qos(qos).enqueue());
            enqueue.as_mut().await.unwrap().await.unwrap();
            assert!(again(&mut enqueue).is_none(), "{qos:?}");
        }
        let mut subscription = pin!(client.subscription("once"));
        let stream = subscription.as_mut().await.unwrap();
        assert!(again(&mut subscription).is_none());
        let mut only = pin!(client.subscription("once/2").to_messages());
        only.as_mut().await.unwrap();
        assert!(again(&mut only).is_none());
        let mut many = pin!(client.subscribe_many([client.subscription("once/3")]));
        assert_eq!(many.as_mut().await.len(), 1);
        assert!(again(&mut many).is_none());
        // Was asked for when it was made, and stands for that.
        let mut unsubscribe = pin!(client.unsubscribe("once"));
        let answer = unsubscribe.as_mut().await.unwrap();
        for _ in 0..2 {
            assert!(matches!(again(&mut unsubscribe), Some(Poll::Ready(Ok(same))) if same == answer));
        }
        drop(stream);
        client.ping().await.unwrap();
        assert_eq!(broker.accepted("once").len(), 6);
        assert_eq!(broker.stats().received(PacketType::Subscribe), 3);
        assert!(broker.violations().is_empty(), "{:?}", broker.violations());
    }
}
