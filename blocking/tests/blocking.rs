//! The blocking client against the strict broker.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]

mod common;

use std::sync::mpsc;
use std::time::{Duration, Instant};

use common::Served;
use packetboat::{ConnectError, NothingCame, PingError, SubscribeError};
use packetboat_blocking::{Client, Message, Options, QoS, Subscriber, Wait, WaitError, wait_for};

const LONG: Duration = Duration::from_secs(40);

fn payload(message: &Message) -> String {
    String::from_utf8_lossy(message.payload()).into_owned()
}

#[test]
fn everything_that_is_awaited_can_be_waited_for() {
    let served = Served::start();
    let client = served.client();
    let mut stream = client.subscribe("a/#").unwrap();
    assert_eq!(stream.granted(), Some(QoS::ExactlyOnce));
    client.publish("a/1", "one").qos(QoS::ExactlyOnce).wait().unwrap();
    let receipt = client.publish("a/2", "two").qos(QoS::AtLeastOnce).enqueue().wait().unwrap();
    receipt.wait().unwrap();
    client.publish("a/3", "three").wait_within(LONG).unwrap();
    let batch = stream.next_batch(10).unwrap();
    assert!(!batch.is_empty());
    let mut got: Vec<String> = batch.iter().map(payload).collect();
    while got.len() < 3 {
        got.push(payload(&stream.next_within(LONG).unwrap().unwrap()));
    }
    assert_eq!(got, ["one", "two", "three"]);
    assert!(client.ping().unwrap() < LONG);
    client.flush().unwrap();
    assert!(client.is_connected());
    client.unsubscribe("a/#").unwrap();
    assert!(stream.next_message().unwrap().is_none(), "the stream has ended");
    client.disconnect().unwrap();
    assert!(!client.is_connected());
    assert!(matches!(client.ping(), Err(WaitError::Failed(PingError::Closed))));
    assert!(served.broker().violations().is_empty());
}

#[test]
fn an_iterator_goes_on_across_a_cut_and_ends_with_the_client() {
    let served = Served::start();
    let client = Client::connect(served.options().client_id("iterating")).unwrap();
    let stream = client.subscribe("n").unwrap();
    let publisher = client.clone();
    let thread = std::thread::spawn(move || {
        for number in 0..20 {
            publisher.publish("n", number.to_string()).qos(QoS::ExactlyOnce).wait().unwrap();
        }
        publisher
    });
    let mut numbers = Vec::new();
    let mut publisher = Some(thread);
    for message in stream {
        numbers.push(payload(&message.unwrap()));
        if numbers.len() == 5 {
            served.broker().kick("iterating");
        }
        if numbers.len() == 20 {
            publisher.take().unwrap().join().unwrap().disconnect().unwrap();
        }
    }
    assert_eq!(numbers, (0..20).map(|number| number.to_string()).collect::<Vec<_>>());
}

#[test]
fn time_limits_end_waits_and_nothing_else() {
    let served = Served::start();
    let client = served.client();
    let mut stream = client.subscribe("a").unwrap();
    let limit = Duration::from_millis(20);
    let error = stream.next_within(limit).unwrap_err();
    assert!(matches!(error, WaitError::Failed(NothingCame { .. })), "{error:?}");
    served.broker().faults().swallow(packetboat::PacketType::Puback);
    let error = client.publish("a", "x").qos(QoS::AtLeastOnce).wait_within(limit).unwrap_err();
    assert!(matches!(error, WaitError::TimedOut(after) if after == limit), "{error:?}");
    assert_eq!(payload(&stream.next_within(LONG).unwrap().unwrap()), "x", "it was sent all the same");
    let offline = Client::start(Options::new("mqtt://127.0.0.1:9")).unwrap();
    assert!(!offline.wait_until_connected(limit).unwrap());
    assert!(client.wait_until_connected(LONG).unwrap());
}

#[test]
fn a_callback_has_a_thread_of_its_own_and_may_subscribe_and_publish_and_wait() {
    let served = Served::start();
    let client = served.client();
    let (tell, told) = mpsc::channel();
    let inner_tell = tell.clone();
    let outer = client.call("first", move |client, message| {
        let tell = inner_tell.clone();
        let inner = client.call("second", move |_, message| tell.send(payload(&message)).unwrap());
        inner.unwrap().keep();
        client
            .publish("second", format!("after {}", payload(&message)))
            .qos(QoS::AtLeastOnce)
            .wait()
            .unwrap();
    });
    outer.unwrap().keep();
    client.publish("first", "one").qos(QoS::AtLeastOnce).wait().unwrap();
    assert_eq!(told.recv_timeout(LONG).unwrap(), "after one");

    // One that never returns, and one that panics: the others do not notice.
    let (release, held) = mpsc::channel::<()>();
    let stuck = client
        .call("+", move |_, _| {
            let _ = held.recv();
        })
        .unwrap();
    let steady = client.call("third", move |_, message| {
        assert!(message.payload() != b"bad", "a panic that the test wants");
        tell.send(payload(&message)).unwrap();
    });
    let steady = steady.unwrap();
    for payload in ["bad", "good"] {
        client.publish("third", payload).qos(QoS::AtLeastOnce).wait().unwrap();
    }
    assert_eq!(told.recv_timeout(LONG).unwrap(), "good");
    assert_eq!((steady.panicked(), steady.called(), stuck.called()), (1, 2, 1));
    drop(release);
    wait_for::<_, SubscribeError>(steady.stop()).unwrap();
}

/// A program that calls it from async code by mistake gets an error, at once, on every kind of runtime.
#[test]
fn inside_a_runtime_every_call_says_so_instead_of_hanging() {
    let served = Served::start();
    let (client, mut stream) = (served.client(), served.client().subscribe("a").unwrap());
    let single = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let multi = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let begun = Instant::now();
    for runtime in [single, multi] {
        let options = served.options();
        runtime.block_on(async {
            let error = Client::connect(options.clone()).unwrap_err();
            assert!(matches!(error, WaitError::InsideRuntime));
            assert!(error.to_string().contains("use packetboat::Client there"), "{error}");
            assert!(matches!(Client::start(options), Err(WaitError::<ConnectError>::InsideRuntime)));
            assert!(matches!(client.publish("a", "x").wait(), Err(WaitError::InsideRuntime)));
            assert!(matches!(client.subscribe("b"), Err(WaitError::InsideRuntime)));
            assert!(matches!(client.disconnect(), Err(WaitError::InsideRuntime)));
            assert!(matches!(stream.next_within(LONG), Err(WaitError::InsideRuntime)));
        });
    }
    let messages = client.messages();
    let counting = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        // An iterator that errors would never end otherwise.
        runtime.block_on(async { messages.flatten().count() })
    });
    assert_eq!(counting.join().unwrap(), 0);
    assert!(begun.elapsed() < LONG);
    client.publish("a", "y").qos(QoS::AtLeastOnce).wait().unwrap();
    assert_eq!(
        payload(&stream.next_within(LONG).unwrap().unwrap()),
        "y",
        "only what was done outside was done"
    );
}

/// Threads are counted where the system lists them.
#[cfg(target_os = "linux")]
#[test]
fn all_blocking_clients_of_a_process_share_one_thread() {
    let served = Served::start();
    let clients: Vec<Client> = (0..50).map(|_| served.client()).collect();
    for client in &clients {
        client.ping().unwrap();
    }
    let names = std::fs::read_dir("/proc/self/task")
        .unwrap()
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    assert_eq!(names.filter(|name| name.trim() == "packetboat").count(), 1);
}

#[test]
fn manual_acknowledgement_and_the_streams_end_read_as_with_the_async_client() {
    let served = Served::start();
    let client = served.client();
    let mut jobs: Subscriber = client.subscription("jobs").manual_ack().wait().unwrap().into();
    client.publish("jobs", "one").qos(QoS::AtLeastOnce).wait().unwrap();
    jobs.next_message().unwrap().unwrap().ack().unwrap();
    client.disconnect().unwrap();
    assert!(jobs.next().is_none());
    assert_eq!(jobs.end(), Some(packetboat::End::Disconnected));
}
