//! What a pipe counts.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Counters of a pipe, as it runs.
#[derive(Debug, Default)]
pub(super) struct Stats {
    received: AtomicU64,
    acknowledged: AtomicU64,
    stale: AtomicU64,
    loops: AtomicU64,
    other: AtomicU64,
    pub(super) lanes: Vec<LaneStats>,
}

/// Counters of one of its destinations.
#[derive(Debug, Default)]
pub(super) struct LaneStats {
    name: Arc<str>,
    delivered: AtomicU64,
    failures: AtomicU64,
    dead: AtomicU64,
    echoes: AtomicU64,
    waiting: AtomicUsize,
    oldest: Mutex<Option<Instant>>,
    error: Mutex<Option<String>>,
}

/// Counters of a pipe so far.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct PipeCounts {
    /// Messages that came from the source.
    pub received: u64,
    /// Messages acknowledged to the source: every destination has them.
    pub acknowledged: u64,
    /// Messages that every destination had when the connection they came over was gone: they come again.
    pub stale: u64,
    /// Messages that had passed this pipe before and were taken out.
    pub loops: u64,
    /// Messages whose topic is none of the filter's; they were taken out.
    pub other: u64,
    /// Bytes of messages in it now, of which [`PipeOptions::bytes`](super::PipeOptions::bytes) is the most.
    pub bytes: u64,
    /// One for each destination, in the order of the configuration.
    pub destinations: Vec<DestinationCounts>,
}

/// Counters of a destination so far.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct DestinationCounts {
    /// Its name.
    pub name: String,
    /// Messages it confirmed.
    pub delivered: u64,
    /// Attempts that failed.
    pub failures: u64,
    /// Messages that went to the dead-letter destination instead.
    pub dead: u64,
    /// Messages that had come from there and were not sent back.
    pub echoes: u64,
    /// Messages that are on the way or wait.
    pub waiting: usize,
    /// How long the first of them has been in the pipe.
    pub lag: Duration,
    /// What keeps the first of them back, if it failed.
    pub error: Option<String>,
}

impl Stats {
    pub(super) fn new<'a>(destinations: impl Iterator<Item = &'a Arc<str>>) -> Self {
        let lanes =
            destinations.map(|name| LaneStats { name: name.clone(), ..LaneStats::default() }).collect();
        Self { lanes, ..Self::default() }
    }

    pub(super) fn received(&self) {
        self.received.fetch_add(1, Relaxed);
    }

    pub(super) fn acknowledged(&self) {
        self.acknowledged.fetch_add(1, Relaxed);
    }

    pub(super) fn stale(&self) {
        self.stale.fetch_add(1, Relaxed);
    }

    pub(super) fn looped(&self) {
        self.loops.fetch_add(1, Relaxed);
    }

    pub(super) fn other(&self) {
        self.other.fetch_add(1, Relaxed);
    }

    pub(super) fn counts(&self) -> PipeCounts {
        PipeCounts {
            received: self.received.load(Relaxed),
            acknowledged: self.acknowledged.load(Relaxed),
            stale: self.stale.load(Relaxed),
            loops: self.loops.load(Relaxed),
            other: self.other.load(Relaxed),
            bytes: 0,
            destinations: self.lanes.iter().map(LaneStats::counts).collect(),
        }
    }
}

impl LaneStats {
    pub(super) fn came(&self) {
        self.waiting.fetch_add(1, Relaxed);
    }

    /// One is done with; `next` is when the one behind it came into the pipe.
    pub(super) fn went(&self, next: Option<Instant>) {
        self.waiting.fetch_sub(1, Relaxed);
        self.first(next);
    }

    pub(super) fn first(&self, arrived: Option<Instant>) {
        *self.oldest.lock().unwrap_or_else(PoisonError::into_inner) = arrived;
    }

    pub(super) fn delivered(&self) {
        self.delivered.fetch_add(1, Relaxed);
    }

    pub(super) fn echoed(&self) {
        self.echoes.fetch_add(1, Relaxed);
    }

    pub(super) fn died(&self) {
        self.dead.fetch_add(1, Relaxed);
    }

    pub(super) fn failed(&self, error: &str) {
        self.failures.fetch_add(1, Relaxed);
        *self.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_owned());
    }

    pub(super) fn recovered(&self) {
        *self.error.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn counts(&self) -> DestinationCounts {
        let oldest = *self.oldest.lock().unwrap_or_else(PoisonError::into_inner);
        DestinationCounts {
            name: self.name.to_string(),
            delivered: self.delivered.load(Relaxed),
            failures: self.failures.load(Relaxed),
            dead: self.dead.load(Relaxed),
            echoes: self.echoes.load(Relaxed),
            waiting: self.waiting.load(Relaxed),
            lag: oldest.map(|since| since.elapsed()).unwrap_or_default(),
            error: self.error.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}
