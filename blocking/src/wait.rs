//! Waiting for what the async client awaits.

use std::fmt;
use std::io;
use std::time::Duration;

use crate::driver::{NoDriver, driver};

/// Waits for what the async client awaits: [`Publish`](packetboat::Publish), [`Enqueue`](packetboat::Enqueue),
/// [`Receipt`], [`Subscription`](packetboat::Subscription), [`Request`](packetboat::Request) and the like.
///
/// ```no_run
/// use packetboat_blocking::{Client, QoS, Wait};
///
/// # fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
/// // Returns when the broker has confirmed it.
/// client.publish("a/b", "payload").qos(QoS::AtLeastOnce).wait()?;
///
/// // Returns when it is accepted; the receipt tells the rest.
/// let receipt = client.publish("a/b", "more").qos(QoS::AtLeastOnce).enqueue().wait()?;
/// receipt.wait()?;
/// # Ok(())
/// # }
/// ```
///
/// [`Receipt`]: packetboat::Receipt
pub trait Wait<T, E>: IntoFuture<Output = Result<T, E>> + Sized {
    /// Blocks the thread until it is done.
    fn wait(self) -> Result<T, WaitError<E>> {
        wait_for(self)?.map_err(WaitError::Failed)
    }

    /// Blocks the thread until it is done, for no longer than this. What was begun is then given up as by dropping the
    /// future: a message that was accepted is still sent.
    fn wait_within(self, limit: Duration) -> Result<T, WaitError<E>> {
        let done = wait_for(async { tokio::time::timeout(limit, self.into_future()).await })?;
        done.map_err(|_| WaitError::TimedOut(limit))?.map_err(WaitError::Failed)
    }
}

impl<F, T, E> Wait<T, E> for F where F: IntoFuture<Output = Result<T, E>> {}

/// Waits for anything that can be awaited and cannot fail: [`Client::go_offline`](packetboat::Client::go_offline) or
/// [`Callback::stop`](packetboat::Callback::stop) for example.
///
/// ```no_run
/// use std::convert::Infallible;
/// use packetboat_blocking::{Client, WaitError, wait_for};
///
/// # fn example(client: Client) -> Result<(), WaitError<Infallible>> {
/// wait_for(client.as_async().go_offline())
/// # }
/// ```
pub fn wait_for<F: IntoFuture, E>(what: F) -> Result<F::Output, WaitError<E>> {
    match driver() {
        Ok(driver) => Ok(driver.block_on(what.into_future())),
        Err(NoDriver::InsideRuntime) => Err(WaitError::InsideRuntime),
        Err(NoDriver::NotStarted(error)) => {
            Err(WaitError::NotStarted(io::Error::new(error.kind(), error.to_string())))
        }
    }
}

/// Why waiting did not end well.
///
/// ```no_run
/// use std::time::Duration;
/// use packetboat_blocking::{QoS, Wait, WaitError};
///
/// # fn example(client: packetboat_blocking::Client) -> Result<(), Box<dyn std::error::Error>> {
/// match client.publish("a/b", "c").qos(QoS::AtLeastOnce).wait_within(Duration::from_secs(5)) {
///     Ok(_) => println!("delivered"),
///     Err(WaitError::TimedOut(_)) => println!("not yet confirmed; it is still being sent"),
///     Err(error) => println!("{error}"),
/// }
/// # Ok(())
/// # }
/// ```
#[non_exhaustive]
pub enum WaitError<E> {
    /// It was waited for, and failed.
    Failed(E),
    /// The time limit passed.
    TimedOut(Duration),
    /// The call came from a thread of an async runtime (tokio's), which it would have stopped. Nothing was done.
    InsideRuntime,
    /// A thread could not be started: the one that serves all blocking clients, or a callback's.
    NotStarted(io::Error),
}

impl<E: fmt::Display> fmt::Display for WaitError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => error.fmt(f),
            Self::TimedOut(limit) => write!(f, "not done within {limit:?}"),
            Self::InsideRuntime => f.write_str(
                "a blocking call inside an async runtime, which it would stop: use packetboat::Client there, or make the \
                 call in a thread of its own (std::thread::spawn)",
            ),
            Self::NotStarted(error) => write!(f, "a thread of the client does not start: {error}"),
        }
    }
}

impl<E: std::error::Error + 'static> fmt::Debug for WaitError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        packetboat::report(self, f)
    }
}

impl<E: std::error::Error + 'static> std::error::Error for WaitError<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            // It speaks with the error's own words.
            Self::Failed(error) => error.source(),
            Self::NotStarted(error) => Some(error),
            Self::TimedOut(_) | Self::InsideRuntime => None,
        }
    }
}
