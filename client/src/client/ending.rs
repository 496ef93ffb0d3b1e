//! Waiting for what was accepted, and the goodbye.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use packetboat_core::wire::{PropertiesBuf, Reason};

use super::Client;
use crate::shared::{Flush, Key, Shared, remember};
use crate::{Closed, Undelivered};

impl Client {
    /// Waits until the socket has taken everything that was accepted so far, and what others publish meanwhile.
    /// Acknowledgements are not waited for. While there is no connection it waits for one.
    ///
    /// ```no_run
    /// # async fn example(client: packetboat::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// client.publish("position", "54.1,10.9").await?;
    /// client.flush().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn flush(&self) -> Result<(), Closed> {
        let key = {
            let mut inner = self.handle.shared.lock();
            let key = inner.flushes.insert(Flush { waker: None, target: None, done: false });
            inner.settle_flushes();
            key
        };
        Flushing { shared: &self.handle.shared, key }.await
    }

    /// Finishes what was accepted, for at most [`drain_timeout`](crate::Options::drain_timeout), then says goodbye to the
    /// broker and ends all streams. Nothing is accepted any more.
    ///
    /// ```no_run
    /// # async fn example(client: packetboat::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// if let Err(undelivered) = client.disconnect().await {
    ///     eprintln!("{undelivered}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn disconnect(&self) -> Result<(), Undelivered> {
        self.leave(Reason::NORMAL_DISCONNECTION).await
    }

    /// As [`disconnect`](Self::disconnect), but the broker publishes the will. 3.1.1 knows no such goodbye: there the
    /// will is not published.
    pub async fn disconnect_with_will(&self) -> Result<(), Undelivered> {
        self.leave(Reason::DISCONNECT_WITH_WILL_MESSAGE).await
    }

    /// As [`disconnect`](Self::disconnect), but the broker keeps the session for this long instead of what was asked for
    /// when connecting (5.0): zero ends it. A session that was [`Clean`](crate::SessionMode::Clean) is not kept, and
    /// 3.1.1 knows no such wish.
    pub async fn disconnect_keeping_session(&self, expiry: Duration) -> Result<(), Undelivered> {
        let mut properties = PropertiesBuf::new();
        properties.session_expiry_interval(u32::try_from(expiry.as_secs()).unwrap_or(u32::MAX));
        self.disconnect_with(Reason::NORMAL_DISCONNECTION, properties).await
    }

    /// As [`disconnect`](Self::disconnect), with one of DISCONNECT's reasons and properties (5.0): session expiry interval,
    /// reason string and user properties. The words are left out where they would make the packet too large for the
    /// broker; 3.1.1 says goodbye without a reason.
    pub async fn disconnect_with(
        &self,
        reason: Reason,
        properties: PropertiesBuf,
    ) -> Result<(), Undelivered> {
        self.handle.shared.lock().session.prepare_farewell(properties);
        self.leave(reason).await
    }

    async fn leave(&self, reason: Reason) -> Result<(), Undelivered> {
        let shared = &self.handle.shared;
        let until = shared.now() + shared.settings().options.choices.drain_timeout;
        shared.lock().end(reason, until);
        poll_fn(|cx| {
            let mut inner = shared.lock();
            if inner.closed {
                let messages = inner.seldom().undelivered;
                return Poll::Ready(if messages == 0 { Ok(()) } else { Err(Undelivered { messages }) });
            }
            let waiters = &mut inner.seldom().end_waiters;
            if !waiters.iter().any(|waker| waker.will_wake(cx.waker())) {
                waiters.push(cx.waker().clone());
            }
            Poll::Pending
        })
        .await
    }
}

struct Flushing<'a> {
    shared: &'a Shared,
    key: Key,
}

impl Future for Flushing<'_> {
    type Output = Result<(), Closed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut guard = self.shared.lock();
        let inner = &mut *guard;
        let closed = inner.closed;
        let Some(flush) = inner.flushes.get_mut(self.key) else { return Poll::Ready(Err(Closed)) };
        if flush.done {
            return Poll::Ready(Ok(()));
        }
        if closed {
            return Poll::Ready(Err(Closed));
        }
        remember(&mut flush.waker, cx.waker(), &mut inner.deferred.retired);
        Poll::Pending
    }
}

impl Drop for Flushing<'_> {
    fn drop(&mut self) {
        let gone = self.shared.lock().flushes.remove(self.key);
        drop(gone);
    }
}
