//! What the tests share.
#![allow(dead_code, reason = "each test program uses a part")]

#[path = "../../../client/tests/common/mosquitto.rs"]
pub(crate) mod mosquitto;
#[path = "../../../client/tests/common/port.rs"]
pub(crate) mod port;

pub(crate) mod folder;
pub(crate) mod server;

use std::time::Duration;

use packetboat::Options;
use packetboat_hub::broker::Received;
use packetboat_hub::{Change, Watch};
use tokio::sync::mpsc;

/// No test waits for ever.
pub(crate) async fn within<F: IntoFuture>(what: F) -> F::Output {
    tokio::time::timeout(Duration::from_mins(1), what.into_future()).await.expect("the test hangs")
}

/// Options that reconnect at once.
pub(crate) fn options(url: &str) -> Options {
    Options::new(url).backoff(Duration::from_millis(1), Duration::from_millis(50))
}

pub(crate) async fn came(watch: &mut Watch) -> String {
    match within(watch.next()).await.expect("the watch ended") {
        Change::Came(connection) => connection.id().to_owned(),
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn went(watch: &mut Watch) -> String {
    match within(watch.next()).await.expect("the watch ended") {
        Change::Went(connection) => connection.id().to_owned(),
        other => panic!("{other:?}"),
    }
}

/// A handler of a message broker that hands on what it gets.
pub(crate) fn collect()
-> (impl Fn(Received) -> std::future::Ready<()> + Send + Sync, mpsc::UnboundedReceiver<Received>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let handler = move |received| {
        sender.send(received).unwrap();
        std::future::ready(())
    };
    (handler, receiver)
}

/// Random numbers below a bound, from a seed.
pub(crate) fn numbers(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed;
    move |below| {
        // SplitMix64.
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % below as u64).unwrap()
    }
}
