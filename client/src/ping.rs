//! Asking the broker whether it is there.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::Client;
use crate::shared::{Inner, Key, Shared, WakesFor, remember};

/// Why a ping was not answered.
#[derive(Clone, Copy, Eq, PartialEq)]
#[non_exhaustive]
pub enum PingError {
    /// There is no connection: nothing was sent.
    NotConnected,
    /// The connection ended before the answer came.
    Disconnected,
    /// No answer within [`acknowledgement_timeout`](crate::Options::acknowledgement_timeout).
    TimedOut(Duration),
    /// The client was closed, or its runtime shut down.
    Closed,
}

impl fmt::Display for PingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotConnected => {
                f.write_str("there is no connection to ping: wait until the client is connected")
            }
            Self::Disconnected => f.write_str("the connection ended before the broker answered the ping"),
            Self::TimedOut(limit) => write!(f, "the broker did not answer the ping within {limit:?}"),
            Self::Closed => f.write_str("the client was closed"),
        }
    }
}

impl std::error::Error for PingError {}

impl Client {
    /// Asks the broker for a sign of life and waits for it; gives the time that took. The client does so by itself on a
    /// silent link ([`keep_alive`](crate::Options::keep_alive)): this is for whoever wants to know now.
    ///
    /// ```no_run
    /// # async fn example(client: packetboat::Client) -> Result<(), packetboat::PingError> {
    /// println!("the broker answered after {:?}", client.ping().await?);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn ping(&self) -> Result<Duration, PingError> {
        let shared = self.shared();
        let (limit, now, began) = {
            let limit = shared.settings().options.choices.acknowledgement_timeout;
            (limit, shared.now(), tokio::time::Instant::now())
        };
        let key = {
            let mut inner = shared.lock();
            if inner.closed {
                return Err(PingError::Closed);
            }
            let number = inner.session.ping(now).ok_or(PingError::NotConnected)?;
            inner.wake_task_for(WakesFor::Everything);
            inner.pings.insert(PendingPing { number, answer: None, waker: None })
        };
        let answer = tokio::time::timeout(limit, Pinging { shared, key }).await;
        answer.unwrap_or(Err(PingError::TimedOut(limit)))?;
        Ok(began.elapsed())
    }
}

/// Somebody waits for PINGRESP.
#[derive(Debug)]
pub(crate) struct PendingPing {
    /// Of the PINGREQ, on this connection.
    number: u64,
    answer: Option<Result<(), PingError>>,
    waker: Option<Waker>,
}

impl Inner {
    /// These were answered, or never will be.
    pub(crate) fn end_pings(&mut self, which: impl Fn(u64) -> bool, answer: Result<(), PingError>) {
        for ping in self.pings.values_mut() {
            if ping.answer.is_none() && which(ping.number) {
                ping.answer = Some(answer);
                self.deferred.wake.extend(ping.waker.take());
            }
        }
    }
}

struct Pinging<'a> {
    shared: &'a Shared,
    key: Key,
}

impl Future for Pinging<'_> {
    type Output = Result<(), PingError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut guard = self.shared.lock();
        let inner = &mut *guard;
        let Some(ping) = inner.pings.get_mut(self.key) else { return Poll::Ready(Err(PingError::Closed)) };
        if let Some(answer) = ping.answer {
            return Poll::Ready(answer);
        }
        remember(&mut ping.waker, cx.waker(), &mut inner.deferred.retired);
        Poll::Pending
    }
}

impl Drop for Pinging<'_> {
    fn drop(&mut self) {
        let gone = self.shared.lock().pings.remove(self.key);
        drop(gone);
    }
}
