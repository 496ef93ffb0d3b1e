//! For peers that hand messages to a callback: waiting until so many have come.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

#[derive(Default)]
pub(super) struct Tally {
    seen: AtomicU64,
    wanted: AtomicU64,
    reached: Notify,
}

impl Tally {
    pub(super) fn add(&self) {
        let seen = self.seen.fetch_add(1, Ordering::SeqCst) + 1;
        if seen == self.wanted.load(Ordering::SeqCst) {
            self.reached.notify_one();
        }
    }

    pub(super) fn seen(&self) -> u64 {
        self.seen.load(Ordering::SeqCst)
    }

    /// Waits for one after the other of these totals.
    pub(super) async fn reach(&self, total: u64) {
        self.wanted.store(total, Ordering::SeqCst);
        while self.seen() < total {
            self.reached.notified().await;
        }
    }
}
