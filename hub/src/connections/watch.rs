//! Services as they come and go.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Weak;

use tokio::sync::watch;

use super::Connection;
use crate::PropertyFilter;
use crate::hub::Inner;

/// What happened to a service.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Change {
    /// It is there: its broker accepted the connection, and it matches the filter.
    Came(Connection),
    /// It was there, and is no more.
    Went(Connection),
}

/// Services that match a filter, as they come and go; made by [`Hub::watch`](crate::Hub::watch). Those that are there
/// already come first.
///
/// It tells of differences between what it told and what is: whoever asks seldom is told little, and a service that went and
/// came again meanwhile was never away.
#[derive(Debug)]
pub struct Watch {
    hub: Weak<Inner>,
    filter: PropertyFilter,
    generation: watch::Receiver<u64>,
    known: BTreeMap<Box<str>, Connection>,
    waiting: VecDeque<Change>,
}

impl Watch {
    pub(crate) fn new(hub: Weak<Inner>, filter: PropertyFilter, generation: watch::Receiver<u64>) -> Self {
        let mut watch = Self { hub, filter, generation, known: BTreeMap::new(), waiting: VecDeque::new() };
        watch.generation.mark_changed();
        watch
    }

    /// The next change; `None` when the hub is closed and all services have gone. Safe to drop at any time.
    pub async fn next(&mut self) -> Option<Change> {
        loop {
            if let Some(change) = self.waiting.pop_front() {
                return Some(change);
            }
            let open = self.generation.changed().await.is_ok();
            self.compare();
            if !open && self.waiting.is_empty() {
                return None;
            }
        }
    }

    fn compare(&mut self) {
        let hub = self.hub.upgrade();
        let there = hub.map(|hub| hub.find(&self.filter)).unwrap_or_default();
        let mut before = std::mem::take(&mut self.known);
        for connection in there {
            match before.remove(connection.id()) {
                Some(known) if known.is_same(&connection) => {}
                earlier => {
                    self.waiting.extend(earlier.map(Change::Went));
                    self.waiting.push_back(Change::Came(connection.clone()));
                }
            }
            self.known.insert(connection.id().into(), connection);
        }
        self.waiting.extend(before.into_values().map(Change::Went));
    }
}
