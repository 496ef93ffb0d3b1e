//! How many bytes of messages a pipe holds.

use std::sync::Arc;

use packetboat::Message;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Taken by each message until all destinations have it.
#[derive(Debug)]
pub(super) struct Room {
    bytes: u32,
    free: Arc<Semaphore>,
}

impl Room {
    pub(super) fn new(bytes: u32) -> Self {
        Self { bytes, free: Arc::new(Semaphore::new(bytes as usize)) }
    }

    /// Waits until there is room for a message. One that is larger than all of it waits until it is alone.
    pub(super) async fn of(&self, message: &Message) -> Option<OwnedSemaphorePermit> {
        let size = message.topic().len() + message.payload().len();
        let size = u32::try_from(size).unwrap_or(u32::MAX).min(self.bytes);
        // Never closed.
        self.free.clone().acquire_many_owned(size).await.ok()
    }

    pub(super) fn taken(&self) -> u64 {
        u64::from(self.bytes).saturating_sub(self.free.available_permits() as u64)
    }
}
