//! The strict broker on a real socket, for demonstrations and for tests of clients. Not for production.
//!
//! It listens on 127.0.0.1, with TLS only if asked, keeps everything in memory, and closes the connection of a client that
//! breaks a rule of the protocol. What the rules are about is in [`broker`].
//!
//! ```
//! use packetboat_sim::net::Broker;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let broker = Broker::start().await?;
//! println!("listening at {}", broker.url());
//! // ... run the client against it ...
//! assert!(broker.violations().is_empty());
//! broker.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! Faults are ordered at [`Broker::faults`]: refused connections, packets that vanish, links that stall or break.
//! Nothing here sleeps to wait for a client: [`Broker::until`] waits for what a test needs to have happened.

mod connection;
mod door;
mod faults;
mod options;
mod server;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "websocket")]
mod websocket;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use packetboat_core::time::Instant;
use packetboat_core::wire::Reason;
use tokio::task::JoinHandle;

pub use faults::Faults;
pub use options::Options;

use crate::broker::{self, Accepted, Message, Stats, Violation};
use server::Shared;

/// A running broker. Dropping it stops it without a word to its clients.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let broker = packetboat_sim::net::Broker::start().await?;
/// println!("{} has {} connections", broker.url(), broker.stats().accepted);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Broker {
    shared: Arc<Shared>,
    address: SocketAddr,
    server: Option<JoinHandle<()>>,
}

/// A broker that was stopped, with all it knew.
#[derive(Debug)]
pub struct Stopped {
    shared: Arc<Shared>,
    address: SocketAddr,
}

impl Broker {
    /// Start with default settings on a free port of 127.0.0.1.
    pub async fn start() -> io::Result<Self> {
        Options::new().start().await
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The URL for a client, such as `mqtt://127.0.0.1:40123`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://{}", self.shared.door.scheme(), self.address)
    }

    /// Order faults, or call them off.
    #[must_use]
    pub fn faults(&self) -> Faults<'_> {
        Faults::new(&self.shared)
    }

    /// Every breach of the rules so far, oldest first.
    #[must_use]
    pub fn violations(&self) -> Vec<Violation> {
        self.shared.look(|core| core.violations().to_vec())
    }

    /// Counts so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.look(|core| core.stats().clone())
    }

    /// The messages taken from a client, in order. Needs [`Config::keep_log`](broker::Config::keep_log).
    #[must_use]
    pub fn accepted(&self, client: &str) -> Vec<Accepted> {
        self.shared.look(|core| core.accepted(client).to_vec())
    }

    /// Publish a message of the broker's own.
    pub fn publish(&self, message: Message) {
        self.with(|core, now| core.publish(message, now));
    }

    /// Disconnect a client as an administrator would: 5.0 clients are told "Administrative action". Its session stays.
    /// False: it is not connected.
    #[allow(clippy::must_use_candidate, reason = "mostly the client is known to be connected")]
    pub fn kick(&self, client: &str) -> bool {
        self.disconnect(client, Reason::ADMINISTRATIVE_ACTION)
    }

    /// Disconnect a client with this reason. False: it is not connected.
    #[allow(clippy::must_use_candidate, reason = "mostly the client is known to be connected")]
    pub fn disconnect(&self, client: &str, reason: Reason) -> bool {
        self.with(|core, now| core.disconnect(client, reason, now))
    }

    /// Lose the session of a client, and its connection.
    pub fn forget(&self, client: &str) {
        self.with(|core, now| core.forget(client, now));
    }

    /// Send bytes that no honest broker would send. False: the client is not connected.
    #[allow(clippy::must_use_candidate, reason = "mostly the client is known to be connected")]
    pub fn send_raw(&self, client: &str, bytes: &[u8]) -> bool {
        self.with(|core, _| core.send_raw(client, bytes))
    }

    /// Look into the broker, or tell it anything else it can do. Other connections wait meanwhile: be brief.
    pub fn with<T>(&self, work: impl FnOnce(&mut broker::Broker, Instant) -> T) -> T {
        self.shared.with(work)
    }

    /// Wait until something is so. Looks after everything that happens; wrap it in a timeout if it may never be so.
    ///
    /// ```no_run
    /// # async fn example(broker: packetboat_sim::net::Broker) {
    /// broker.until(|core| core.connection("boat").is_some()).await;
    /// # }
    /// ```
    pub async fn until(&self, condition: impl Fn(&broker::Broker) -> bool) {
        loop {
            let happened = self.shared.happened();
            tokio::pin!(happened);
            // Wait from here on, so that nothing that happens between the look and the wait is missed.
            happened.as_mut().enable();
            if self.shared.look(&condition) {
                return;
            }
            happened.await;
        }
    }

    /// Stop as a process that is killed does: all connections break, nobody is told.
    pub async fn stop(mut self) -> Stopped {
        if let Some(server) = self.server.take() {
            server.abort();
            // It was told to end; that it did so by being cancelled is no news.
            let _ = server.await;
        }
        Stopped { shared: Arc::clone(&self.shared), address: self.address }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(server) = &self.server {
            server.abort();
        }
    }
}

impl Stopped {
    /// The port it listened on, where nobody listens now.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Every breach of the rules before it stopped.
    #[must_use]
    pub fn violations(&self) -> Vec<Violation> {
        self.shared.look(|core| core.violations().to_vec())
    }

    /// Start again on the same port, with the sessions and retained messages it had (as a broker with a disk does) or
    /// without. Faults that were ordered and did not happen still stand.
    pub async fn restart(self, keep_sessions: bool) -> io::Result<Broker> {
        self.shared.with(|core, now| core.restart(keep_sessions, now));
        server::start(self.shared, self.address).await
    }
}
