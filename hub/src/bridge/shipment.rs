//! A message in a pipe: acknowledged when all its destinations have it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use packetboat::Message;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::route::Found;
use super::stats::Stats;

#[derive(Debug)]
pub(super) struct Shipment {
    /// A copy, to be sent.
    pub(super) message: Message,
    pub(super) found: Found,
    pub(super) arrived: Instant,
    /// The one that must be acknowledged. Dropped with the shipment, it is delivered again.
    duty: Mutex<Option<Message>>,
    /// Destinations that do not have it yet.
    missing: AtomicUsize,
    _room: Option<OwnedSemaphorePermit>,
}

impl Shipment {
    pub(super) fn new(
        message: Message,
        found: Found,
        destinations: usize,
        room: Option<OwnedSemaphorePermit>,
    ) -> Self {
        Self {
            message: message.clone(),
            found,
            arrived: Instant::now(),
            duty: Mutex::new(Some(message)),
            missing: AtomicUsize::new(destinations),
            _room: room,
        }
    }

    /// A destination has it, or it needs it no more. The last one acknowledges.
    pub(super) fn arrived_at_one(&self, stats: &Stats) {
        if self.missing.fetch_sub(1, Ordering::AcqRel) == 1 {
            let duty = self.duty.lock().unwrap_or_else(PoisonError::into_inner).take();
            // Stale: the connection it came over is gone, and the broker delivers it again.
            if duty.is_some_and(|message| message.ack().is_ok()) {
                stats.acknowledged();
            } else {
                stats.stale();
            }
        }
    }
}
