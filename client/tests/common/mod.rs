//! What the tests share.
#![allow(dead_code, reason = "each test program uses a part")]

#[cfg(feature = "tls")]
pub(crate) mod certificates;
pub(crate) mod inside;
pub(crate) mod mosquitto;
pub(crate) mod port;
pub(crate) mod proxy;

use std::time::Duration;

use packetboat::{Event, Events, Message, Options, QoS, Subscriber, VersionChoice};

pub(crate) const VERSIONS: [VersionChoice; 2] = [VersionChoice::V5, VersionChoice::V311];
pub(crate) const ALL_QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

/// Nothing takes so long, on a slow and busy machine either; and yet it is less than what an acknowledgement is waited for.
pub(crate) const LONG: Duration = Duration::from_secs(40);

/// No test waits for ever.
pub(crate) async fn within<F: Future>(limit: Duration, what: F) -> F::Output {
    tokio::time::timeout(limit, what).await.expect("the test hangs")
}

/// Runs a test on both runtimes of tokio, within a time limit.
pub(crate) fn on_both_runtimes<F: Future<Output = ()> + Send + 'static>(test: impl Fn() -> F) {
    let limit = Duration::from_mins(2);
    let single = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    single.block_on(within(limit, test()));
    drop(single);
    let multi = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    // Spawned: the test itself runs on a worker.
    let test = multi.spawn(test());
    multi.block_on(within(limit, test)).unwrap();
}

/// Options that reconnect at once.
pub(crate) fn options(url: &str) -> Options {
    Options::new(url).backoff(Duration::from_millis(1), Duration::from_millis(50))
}

/// The next message, which must come.
pub(crate) async fn next(stream: &mut Subscriber) -> Message {
    within(LONG, stream.next()).await.expect("the stream ended")
}

/// The next event of this kind, which must come.
pub(crate) async fn event<T>(events: &mut Events, mut wanted: impl FnMut(&Event) -> Option<T>) -> T {
    let search = async {
        loop {
            let event = events.next().await.expect("the client is closed");
            if let Some(found) = wanted(&event) {
                return found;
            }
        }
    };
    within(LONG, search).await
}

pub(crate) async fn connected(events: &mut Events) -> bool {
    event(events, |event| match event {
        Event::Connected(connected) => Some(connected.session_present),
        _ => None,
    })
    .await
}

pub(crate) async fn disconnected(events: &mut Events) -> packetboat::Disconnection {
    event(events, |event| match event {
        Event::Disconnected { cause, .. } => Some(cause.clone()),
        _ => None,
    })
    .await
}
