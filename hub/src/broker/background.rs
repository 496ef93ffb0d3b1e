//! Messages that nobody waits for.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_util::future::join_all;
use tokio::sync::Semaphore;

use super::inbox::caught;
use super::protocol::Later;
use super::{Delivery, MessageError};

/// As many messages wait at most, as in a client.
const MESSAGES: usize = 1000;
/// And as many bytes.
const BYTES: u32 = 16 * 1024 * 1024;

/// Room for messages that nobody waits for.
pub(super) struct Background {
    messages: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
}

impl Default for Background {
    fn default() -> Self {
        let bytes = Arc::new(Semaphore::new(BYTES as usize));
        Self { messages: Arc::new(Semaphore::new(MESSAGES)), bytes }
    }
}

impl Background {
    /// Lets one message, of so many bytes, get to its destinations, and tells the handler of each. To be called within a
    /// tokio runtime.
    pub(super) fn send(
        &self,
        bytes: usize,
        deliveries: impl FnOnce() -> Result<Vec<Later<'static, Delivery>>, MessageError>,
        handler: impl Fn(Delivery) + Send + Sync + 'static,
    ) -> Result<(), MessageError> {
        let bytes = u32::try_from(bytes).unwrap_or(BYTES).min(BYTES);
        let message = self.messages.clone().try_acquire_owned().map_err(|_| MessageError::Full)?;
        let bytes = self.bytes.clone().try_acquire_many_owned(bytes).map_err(|_| MessageError::Full)?;
        let handler = Arc::new(handler);
        let each = deliveries()?.into_iter().map(|mut delivery| {
            // Its place in the target's order is this call's.
            let early = match delivery.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(done) => Some(done),
                Poll::Pending => None,
            };
            let handler = handler.clone();
            async move {
                let done = match early {
                    Some(done) => done,
                    None => delivery.await,
                };
                // A handler that panics has had its call.
                let _ = caught(async { handler(done) }).await;
            }
        });
        let all = join_all(each);
        tokio::spawn(async move {
            all.await;
            drop((message, bytes));
        });
        Ok(())
    }
}
