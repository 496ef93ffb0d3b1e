//! What a pipe is told.

use std::time::Duration;

use packetboat::{Options, QoS, VersionChoice};

use super::destination::PipeEnd;
use super::route::Route;

/// A pipe that starts at a subscription, in words.
#[derive(Clone, Debug)]
pub struct PipeOptions {
    pub(super) name: String,
    pub(super) hub: String,
    pub(super) source_name: String,
    pub(super) source: Options,
    pub(super) route: Route,
    pub(super) version: VersionChoice,
    pub(super) qos: QoS,
    pub(super) share: Option<String>,
    pub(super) replaces: Option<String>,
    pub(super) window: u16,
    pub(super) bytes: u32,
    pub(super) rate: Option<f64>,
    pub(super) retry: Retry,
    pub(super) drain: Duration,
    pub(super) needs_hops: bool,
    pub(super) destinations: Vec<PipeEnd>,
    pub(super) dead_letters: Option<PipeEnd>,
}

/// How often and how soon a delivery that failed is tried again.
#[derive(Clone, Copy, Debug)]
pub struct Retry {
    /// The first wait; each doubles the one before.
    pub minimum: Duration,
    /// The longest.
    pub maximum: Duration,
    /// How often a delivery is tried in all before the message is a dead letter. Without a place for dead letters it is tried
    /// for ever.
    pub attempts: u32,
}

impl Default for Retry {
    fn default() -> Self {
        Self { minimum: Duration::from_secs(1), maximum: Duration::from_mins(1), attempts: 10 }
    }
}

impl Retry {
    /// The wait after so many failures.
    pub(super) fn wait(&self, failures: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(failures.saturating_sub(1).min(20));
        self.minimum.saturating_mul(doubled).min(self.maximum)
    }
}

impl PipeOptions {
    /// A pipe from a filter on a broker, over a connection of its own. `source` must have a client identifier that no one else
    /// has and that stays the same, and a persistent session: messages wait in it while the pipe is away.
    ///
    /// `source_name` is what the hub calls the broker: by it loops are found.
    #[must_use]
    pub fn new(name: &str, source_name: &str, source: impl Into<Options>, route: Route) -> Self {
        Self {
            name: name.to_owned(),
            hub: "hub".to_owned(),
            source_name: source_name.to_owned(),
            source: source.into(),
            route,
            version: VersionChoice::Auto,
            qos: QoS::AtLeastOnce,
            share: None,
            replaces: None,
            window: 1024,
            bytes: 64 * 1024 * 1024,
            rate: None,
            retry: Retry::default(),
            drain: Duration::from_secs(5),
            needs_hops: false,
            destinations: Vec::new(),
            dead_letters: None,
        }
    }

    /// One more destination. A message is acknowledged to the source when all have it.
    #[must_use]
    pub fn destination(mut self, destination: PipeEnd) -> Self {
        self.destinations.push(destination);
        self
    }

    /// Where messages go that a destination does not take after all [attempts](Retry::attempts), or that are at fault
    /// themselves. Default: nowhere; the pipe stands still before them, and says so.
    #[must_use]
    pub fn dead_letters(mut self, destination: PipeEnd) -> Self {
        self.dead_letters = Some(destination);
        self
    }

    /// The version its connection speaks, whatever the source's options say. Default: [`VersionChoice::Auto`]; then it is
    /// asked for first, by a client of its own with `-version` behind the identifier.
    #[must_use]
    pub fn version(mut self, version: VersionChoice) -> Self {
        self.version = version;
        self
    }

    /// The QoS of the subscription. Default: 1. What comes at QoS 2 is still delivered at least once from end to end.
    #[must_use]
    pub fn qos(mut self, qos: QoS) -> Self {
        self.qos = qos;
        self
    }

    /// The group with which the subscription is shared: each message goes to one of its members. Default: none.
    #[must_use]
    pub fn share(mut self, group: impl Into<String>) -> Self {
        self.share = Some(group.into());
        self
    }

    /// What the pipe of this name and session subscribed before, as [`Pipe::filter`](super::Pipe::filter) has it: it is taken
    /// back once the new subscription stands, so that what both ask for comes all the time. Default: nothing.
    #[must_use]
    pub fn replaces(mut self, filter: impl Into<String>) -> Self {
        self.replaces = Some(filter.into());
        self
    }

    /// Messages in the pipe at once: what the source may send before the first is acknowledged. Default: 1,024.
    #[must_use]
    pub fn window(mut self, messages: u16) -> Self {
        self.window = messages.max(1);
        self
    }

    /// Bytes of messages in the pipe at once, topics and payloads: with so many it takes no more from its source before some
    /// are delivered, and beyond as many again, or 16 MiB, its connection reads no more. A message that is larger is in it
    /// alone. Default: 64 MiB.
    #[must_use]
    pub fn bytes(mut self, bytes: u32) -> Self {
        self.bytes = bytes.max(1);
        self
    }

    /// Messages a second, at most. Default: as many as go.
    #[must_use]
    pub fn rate(mut self, per_second: f64) -> Self {
        self.rate = Some(per_second).filter(|rate| rate.is_finite() && *rate > 0.0);
        self
    }

    /// How deliveries are tried again.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// How long stopping waits for what is in the pipe. Default: 5 s.
    #[must_use]
    pub fn drain(mut self, limit: Duration) -> Self {
        self.drain = limit;
        self
    }

    /// What this hub is called in the property by which loops are found. Default: `hub`.
    #[must_use]
    pub fn hub(mut self, name: impl Into<String>) -> Self {
        self.hub = name.into();
        self
    }

    /// The pipe is part of a circle: brokers that cannot carry the property by which loops are found, those of 3.1.1, are
    /// not served. Default: false.
    #[must_use]
    pub fn needs_hops(mut self, needed: bool) -> Self {
        self.needs_hops = needed;
        self
    }
}
