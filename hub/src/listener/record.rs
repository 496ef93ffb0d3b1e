//! What the hub keeps of a listener.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use packetboat::{PropertiesBuf, QoS, StreamPolicy, TopicFilter};
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::pump::{Ending, Pump};
use super::{Arrival, ListenerCounts, RefusedFilter};
use crate::{Connection, PropertyFilter};

/// How its subscriptions are made, and what may wait.
#[derive(Clone, Debug)]
pub(crate) struct Wishes {
    pub(super) qos: QoS,
    pub(super) retained: bool,
    pub(super) no_local: bool,
    pub(super) retain_as_published: bool,
    pub(super) properties: PropertiesBuf,
    pub(super) policy: StreamPolicy,
    pub(super) messages: usize,
    pub(super) bytes: usize,
}

impl Default for Wishes {
    fn default() -> Self {
        Self {
            qos: QoS::ExactlyOnce,
            retained: false,
            no_local: false,
            retain_as_published: false,
            properties: PropertiesBuf::new(),
            policy: StreamPolicy::DropOldest,
            messages: 1024,
            bytes: 16 * 1024 * 1024,
        }
    }
}

pub(super) type Call = Pin<Box<dyn Future<Output = ()> + Send>>;
type Handler = dyn Fn(Arrival) -> Call + Send + Sync;

#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) called: AtomicU64,
    pub(super) panicked: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) acknowledged_early: AtomicU64,
}

/// What one connection has for a listener at the moment.
#[derive(Debug, Default)]
pub(super) struct Load {
    /// In hand, or waiting for that.
    pub(super) messages: usize,
    /// When the first of them came.
    pub(super) oldest: Option<Instant>,
}

/// A pump's load, as long as it is at work.
pub(super) struct Loaded {
    core: Arc<Core>,
    load: Arc<Mutex<Load>>,
}

impl Loaded {
    pub(super) fn set(&self, load: Load) {
        *self.load.lock().unwrap_or_else(PoisonError::into_inner) = load;
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        self.core.loads().retain(|load| !Arc::ptr_eq(load, &self.load));
    }
}

/// Shared by all who have to do with a listener.
pub(crate) struct Core {
    pub(super) name: String,
    pub(super) wishes: Wishes,
    pub(super) handler: Box<Handler>,
    pub(super) counts: Counts,
    refused: Mutex<Vec<RefusedFilter>>,
    /// One for each pump.
    loads: Mutex<Vec<Arc<Mutex<Load>>>>,
    /// Each pump has a receiver.
    pumps: watch::Sender<()>,
}

impl Core {
    pub(super) fn new(name: String, wishes: Wishes, handler: Box<Handler>) -> Arc<Self> {
        let (counts, pumps) = (Counts::default(), watch::Sender::new(()));
        let (refused, loads) = (Mutex::default(), Mutex::default());
        Arc::new(Self { name, wishes, handler, counts, refused, loads, pumps })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// A pump begins.
    pub(super) fn loaded(self: &Arc<Self>) -> Loaded {
        let load: Arc<Mutex<Load>> = Arc::default();
        self.loads().push(load.clone());
        Loaded { core: self.clone(), load }
    }

    pub(crate) fn counts(&self) -> ListenerCounts {
        let counts = &self.counts;
        let mut told = ListenerCounts {
            called: counts.called.load(Relaxed),
            panicked: counts.panicked.load(Relaxed),
            dropped: counts.dropped.load(Relaxed),
            acknowledged_early: counts.acknowledged_early.load(Relaxed),
            refused: self.refusals().len() as u64,
            ..ListenerCounts::default()
        };
        for load in &*self.loads() {
            let load = load.lock().unwrap_or_else(PoisonError::into_inner);
            told.waiting += load.messages as u64;
            told.lag = told.lag.max(load.oldest.map(|since| since.elapsed()).unwrap_or_default());
        }
        told
    }

    pub(crate) fn refused(&self) -> Vec<RefusedFilter> {
        self.refusals().clone()
    }

    pub(super) fn refuse(&self, refused: RefusedFilter) {
        let RefusedFilter { connection, filter, reason } = &refused;
        tracing::warn!(listener = self.name, %connection, %filter, reason, "a filter was refused");
        self.refusals().push(refused);
    }

    /// Nothing of what this connection refused counts any more.
    pub(super) fn forgive(&self, connection: &str) {
        self.refusals().retain(|refused| &*refused.connection != connection);
    }

    /// Waits until no pump is at work.
    pub(crate) async fn finished(&self) {
        self.pumps.closed().await;
    }

    fn loads(&self) -> MutexGuard<'_, Vec<Arc<Mutex<Load>>>> {
        self.loads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refusals(&self) -> MutexGuard<'_, Vec<RefusedFilter>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The hub's side of a listener. Dropping it ends its pumps, once the message in hand is finished, and leaves the broker's
/// subscriptions to the session.
pub(crate) struct Record {
    core: Arc<Core>,
    on: PropertyFilter,
    filters: watch::Sender<Arc<[TopicFilter]>>,
    /// By connection.
    pumps: BTreeMap<Arc<str>, oneshot::Sender<Ending>>,
}

impl Record {
    pub(crate) fn new(core: Arc<Core>, on: PropertyFilter, filters: Arc<[TopicFilter]>) -> Self {
        Self { core, on, filters: watch::Sender::new(filters), pumps: BTreeMap::new() }
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    pub(crate) fn filters(&self) -> Arc<[TopicFilter]> {
        self.filters.borrow().clone()
    }

    pub(crate) fn set_filters(&self, filters: Arc<[TopicFilter]>) {
        self.filters.send_replace(filters);
    }

    /// The only connection it can be at, if its filter names one.
    pub(crate) fn only_at(&self) -> Option<&str> {
        self.on.demands("id")
    }

    /// A connection came, or its properties are others now.
    pub(crate) fn consider(&mut self, connection: &Connection) {
        // There may be ten thousand listeners for each of a thousand connections.
        if self.only_at().is_some_and(|id| id != connection.id()) {
            return;
        }
        let id = connection.shared_id();
        match (self.on.matches(&connection.identity()), self.pumps.contains_key(&id)) {
            (true, false) => {
                let (stop, stopped) = oneshot::channel();
                let filters = self.filters.subscribe();
                let pump = Pump::new(self.core.clone(), connection.clone(), filters, stopped);
                tokio::spawn(pump.run(self.core.pumps.subscribe()));
                self.pumps.insert(id, stop);
            }
            (false, true) => self.end(&id, Ending::Removed),
            _ => {}
        }
    }

    /// A connection is being removed.
    pub(crate) fn part(&mut self, connection: &Connection) {
        self.end(&connection.shared_id(), Ending::Parted);
    }

    /// All are.
    pub(crate) fn part_all(&mut self) {
        self.end_all(Ending::Parted);
    }

    /// The listener is.
    pub(crate) fn remove(mut self) {
        self.end_all(Ending::Removed);
    }

    fn end_all(&mut self, ending: Ending) {
        for stop in std::mem::take(&mut self.pumps).into_values() {
            // One that has ended is right, too.
            let _ = stop.send(ending);
        }
    }

    fn end(&mut self, connection: &Arc<str>, ending: Ending) {
        if let Some(stop) = self.pumps.remove(connection) {
            let _ = stop.send(ending);
        }
    }
}
