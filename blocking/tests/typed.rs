//! Typed topics without async.
#![cfg(feature = "serde")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]

mod common;

use std::sync::mpsc;
use std::time::Duration;

use common::Served;
use packetboat::typed::{Problem, TypedTopic};
use packetboat_blocking::{Client, QoS, Wait, WaitError};
use serde::{Deserialize, Serialize};

const LONG: Duration = Duration::from_secs(40);

#[derive(Debug, Deserialize, PartialEq, Serialize)]
struct Sensor {
    room: String,
    id: u8,
}

fn readings() -> TypedTopic<Sensor, f64> {
    TypedTopic::new("sensors/{room}/{id}/temperature").unwrap()
}

fn publish(client: &Client, id: u8, celsius: f64) {
    let message = readings().message(&Sensor { room: "kitchen".into(), id }, &celsius).unwrap();
    client.publish_typed(&message).qos(QoS::AtLeastOnce).wait().unwrap();
}

#[test]
fn a_typed_iterator_goes_on_after_what_cannot_be_read() {
    let served = Served::start();
    let client = served.client();
    let mut stream = client.subscribe(readings().filter()).unwrap().typed(&readings());
    let short = Duration::from_millis(1);
    assert!(matches!(stream.next_within(short), Err(WaitError::TimedOut(limit)) if limit == short));
    publish(&client, 1, 20.5);
    client.publish("sensors/kitchen/2/temperature", "warm").qos(QoS::AtLeastOnce).wait().unwrap();
    let json = client.publish_json("sensors/kitchen/3/temperature", &21).unwrap();
    json.qos(QoS::AtLeastOnce).wait().unwrap();
    publish(&client, 4, 22.5);
    publish(&client, 5, 23.5);
    let first = stream.next_within(LONG).unwrap().unwrap();
    assert_eq!((first.levels, first.payload), (Sensor { room: "kitchen".into(), id: 1 }, 20.5));
    let Err(WaitError::Failed(error)) = stream.next_message() else { panic!("it was read") };
    assert!(matches!(error.problem, Problem::Payload(_)), "{error}");
    assert_eq!(error.message.topic(), "sensors/kitchen/2/temperature");
    let next: Vec<u8> = stream.by_ref().take(2).map(|item| item.unwrap().levels.id).collect();
    assert_eq!(next, [3, 4]);
    client.disconnect().unwrap();
    let left: Vec<u8> = stream.by_ref().map(|item| item.unwrap().levels.id).collect();
    assert_eq!(left, [5], "and then it ends");
    assert!(stream.into_messages().end().is_some());
    assert!(served.broker().violations().is_empty());
}

#[test]
fn a_typed_callback_gets_what_cannot_be_read_as_errors() {
    let served = Served::start();
    let client = served.client();
    let (said, heard) = mpsc::channel();
    let callback = client
        .call_typed(&readings(), move |client, item| {
            let said_of = item.as_ref().map(|item| item.levels.id).map_err(|error| error.problem.clone());
            assert!(client.is_connected());
            said.send(said_of).unwrap();
        })
        .unwrap();
    publish(&client, 1, 20.5);
    client.publish("sensors/kitchen/256/temperature", "1").qos(QoS::AtLeastOnce).wait().unwrap();
    publish(&client, 2, 20.5);
    assert_eq!(heard.recv_timeout(LONG).unwrap(), Ok(1));
    assert!(matches!(heard.recv_timeout(LONG).unwrap(), Err(Problem::Levels(_))));
    assert_eq!(heard.recv_timeout(LONG).unwrap(), Ok(2));
    assert_eq!(callback.panicked(), 0);
    client.disconnect().unwrap();
}

#[test]
fn inside_a_runtime_it_says_so_once() {
    let served = Served::start();
    let client = served.client();
    let mut stream = client.subscribe("a").unwrap().typed(&readings());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        assert!(matches!(stream.next(), Some(Err(WaitError::InsideRuntime))));
        assert!(stream.next().is_none());
    });
}
