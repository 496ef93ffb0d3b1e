//! What the application has a say in: before an attempt, after a connection, and when something failed.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use packetboat_core::session::ConnectOptions;

use crate::events::Disconnection;
use crate::{Client, Connected, Server};

/// Why an attempt could not be prepared: an error of the application's.
pub type PrepareError = Box<dyn std::error::Error + Send + Sync>;

/// What [`Options::before_connect`](crate::Options::before_connect) does, boxed.
pub type Preparing<'a> = Pin<Box<dyn Future<Output = Result<(), PrepareError>> + Send + 'a>>;

/// The answer of [`Options::on_failure`](crate::Options::on_failure).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OnFailure {
    /// Try again, after the wait that is due.
    Retry,
    /// Give up: the client is closed.
    Stop,
}

/// What became of an attempt or a connection, for [`Options::on_failure`](crate::Options::on_failure).
#[derive(Debug)]
#[non_exhaustive]
pub struct Failure<'a> {
    /// Why there is no connection.
    pub cause: &'a Disconnection,
    /// With which server.
    pub server: &'a Server,
    /// The number of the retry that is to come, over all servers, since the last stable connection.
    pub retry: u32,
}

/// What is done with a server that refuses us as we are: wrong user name or password, not authorized, banned, identifier
/// or version rejected. Refusals that pass ("Server busy", "Server unavailable", "Quota exceeded", "Connection rate
/// exceeded", "Unspecified error") are like failures of the network.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Refusals {
    /// The next attempt comes after the server's longest wait: somebody may mend it meanwhile.
    #[default]
    RetrySlowly,
    /// As after a failure of the network.
    Retry,
    /// The client gives up.
    Stop,
}

type Prepare = dyn for<'a> Fn(&'a mut ConnectOptions) -> Preparing<'a> + Send + Sync;
type Greet = dyn Fn(Client, Connected) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync;
type Decide = dyn Fn(&Failure<'_>) -> OnFailure + Send + Sync;

/// Absent in most clients, and then nothing but a null pointer.
#[derive(Clone, Default)]
pub(crate) struct Hooks {
    pub(crate) before_connect: Option<Arc<Prepare>>,
    pub(crate) after_connect: Option<Arc<Greet>>,
    pub(crate) on_failure: Option<Arc<Decide>>,
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks").finish_non_exhaustive()
    }
}
