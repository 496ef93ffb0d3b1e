//! Handlers that follow brokers as they come and go: the whiteboard of Pelix.

mod arrival;
mod builder;
mod pump;
mod record;

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use packetboat::{TopicError, TopicFilter};

use crate::hub::Inner;

pub use arrival::Arrival;
pub use builder::{Filters, ListenerBuilder};
pub(crate) use record::{Core, Record};

/// Keeps a listener in place; made by [`ListenerBuilder::call`]. Dropping it lets the message in hand be finished at each
/// broker and takes the filters back.
#[must_use = "dropping it removes the listener"]
pub struct Listener {
    hub: Weak<Inner>,
    number: u64,
    core: Arc<Core>,
    kept: bool,
}

/// What a listener has done so far, and has to do, at all brokers.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct ListenerCounts {
    /// Calls that began.
    pub called: u64,
    /// Calls that panicked.
    pub panicked: u64,
    /// Messages that were dropped since too many waited.
    pub dropped: u64,
    /// Messages that were acknowledged before their call, since the listener had fallen behind.
    pub acknowledged_early: u64,
    /// Filters that brokers refuse it at this moment: [`Listener::refused`].
    pub refused: u64,
    /// Messages in hand, or waiting for that, at this moment. With [`StreamPolicy::Wait`](packetboat::StreamPolicy::Wait) only
    /// those in hand: the others are the broker's.
    pub waiting: u64,
    /// How long ago the first of them arrived.
    pub lag: Duration,
}

impl std::ops::AddAssign for ListenerCounts {
    fn add_assign(&mut self, other: Self) {
        self.called += other.called;
        self.panicked += other.panicked;
        self.dropped += other.dropped;
        self.acknowledged_early += other.acknowledged_early;
        self.refused += other.refused;
        self.waiting += other.waiting;
        self.lag = self.lag.max(other.lag);
    }
}

/// A filter that a broker does not let a listener have.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct RefusedFilter {
    /// The name of the connection.
    pub connection: Arc<str>,
    /// Which filter.
    pub filter: TopicFilter,
    /// Why.
    pub reason: String,
}

impl Listener {
    pub(crate) fn new(hub: Weak<Inner>, number: u64, core: Arc<Core>) -> Self {
        Self { hub, number, core, kept: false }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.core.name
    }

    /// Its filters.
    #[must_use]
    pub fn filters(&self) -> Vec<TopicFilter> {
        let hub = self.hub.upgrade();
        hub.and_then(|hub| hub.listener_filters(self.number))
            .map(|filters| filters.to_vec())
            .unwrap_or_default()
    }

    /// Gives it other filters, at all brokers. Only the difference goes to them, and messages that match filters from before and
    /// after are neither lost nor doubled meanwhile. A wrong filter changes nothing.
    pub fn set_filters(&self, filters: impl Filters) -> Result<(), TopicError> {
        let filters = builder::parse(filters)?;
        if let Some(hub) = self.hub.upgrade() {
            hub.set_listener_filters(self.number, filters);
        }
        Ok(())
    }

    /// The filters that brokers refuse it now. They are asked for again when the broker has come back, or the filters change.
    #[must_use]
    pub fn refused(&self) -> Vec<RefusedFilter> {
        self.core.refused()
    }

    /// What it has done so far.
    #[must_use]
    pub fn counts(&self) -> ListenerCounts {
        self.core.counts()
    }

    /// Leaves it in place for as long as the hub lives.
    pub fn keep(mut self) {
        self.kept = true;
    }

    /// Removes it, and waits until the messages in hand are finished.
    pub async fn stop(self) {
        let core = self.core.clone();
        drop(self);
        core.finished().await;
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let (false, Some(hub)) = (self.kept, self.hub.upgrade()) {
            hub.remove_listener(self.number);
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener")
            .field("name", &self.name())
            .field("filters", &self.filters())
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}
