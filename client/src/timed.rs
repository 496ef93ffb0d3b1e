//! Requests with a time limit.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Timeout;

use crate::shared::Shared;
use crate::{SubscribeError, Subscription, ToMessages, Unsubscribe};

/// A request that is given up after a while; made by [`Subscription::timeout`], [`ToMessages::timeout`] and
/// [`Unsubscribe::timeout`].
#[must_use = "futures do nothing unless awaited"]
pub struct Timed<F> {
    request: Pin<Box<Timeout<F>>>,
    shared: Arc<Shared>,
}

impl<F: Future> Timed<F> {
    fn new(request: F, shared: &Arc<Shared>, limit: Duration) -> Self {
        Self { request: Box::pin(tokio::time::timeout(limit, request)), shared: shared.clone() }
    }
}

impl Subscription<'_> {
    /// Wait no longer than this: then it ends with [`SubscribeError::TimedOut`], and it is as if its stream was dropped.
    pub fn timeout(self, limit: Duration) -> Timed<Self> {
        let shared = &self.handle.shared;
        Timed::new(self, shared, limit)
    }
}

impl ToMessages<'_> {
    /// Wait no longer than this: then it ends with [`SubscribeError::TimedOut`]. What was asked for still is, until
    /// [`Client::unsubscribe`](crate::Client::unsubscribe).
    pub fn timeout(self, limit: Duration) -> Timed<Self> {
        let shared = &self.0.handle.shared;
        Timed::new(self, shared, limit)
    }
}

impl Unsubscribe {
    /// Wait no longer than this: then it ends with [`SubscribeError::TimedOut`]. What was asked for still is.
    pub fn timeout(self, limit: Duration) -> Timed<Self> {
        let shared = self.handle.shared.clone();
        Timed::new(self, &shared, limit)
    }
}

impl<T, F: Future<Output = Result<T, SubscribeError>>> Future for Timed<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let timed = self.get_mut();
        timed.request.as_mut().poll(cx).map(|ended| {
            ended.unwrap_or_else(|_| {
                let offline = timed.shared.lock().why_offline();
                Err(SubscribeError::TimedOut { offline })
            })
        })
    }
}

impl<F> fmt::Debug for Timed<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timed").finish_non_exhaustive()
    }
}
