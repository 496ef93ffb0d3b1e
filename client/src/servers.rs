//! The servers of a client, each with what is its own.

use std::fmt;
use std::time::Duration;

use packetboat_core::backoff::Delays;

use crate::server::{Url, UrlError};
use crate::{Credentials, Server};

/// One server of several: see [`Options::or_server`](crate::Options::or_server). What is not said here is as in the
/// client's options.
///
/// ```
/// use std::time::Duration;
/// use packetboat::{Options, ServerOptions};
///
/// let backup = ServerOptions::new("mqtt://other:secret@backup.example")
///     .backoff(Duration::from_secs(5), Duration::from_secs(30));
/// let options = Options::new("mqtt://user:secret@broker.example").or_server(backup);
/// ```
#[derive(Clone)]
pub struct ServerOptions {
    server: Result<Server, UrlError>,
    /// `None`: those of the client's options.
    credentials: Option<Credentials>,
    backoff: Option<(Duration, Duration)>,
}

impl ServerOptions {
    /// A server by its URL, as in [`Options::new`](crate::Options::new). User and password in it are its own; without
    /// any it gets those of the client's options.
    #[must_use]
    pub fn new(url: &str) -> Self {
        match url.parse::<Url>() {
            Ok(Url { server, username, password }) => {
                let own = username.is_some() || password.is_some();
                let credentials = own.then_some(Credentials { username, password, identity: None });
                Self { credentials, ..Self::of(Ok(server)) }
            }
            Err(error) => Self::of(Err(error)),
        }
    }

    /// A server that is known by its parts.
    #[must_use]
    pub fn for_server(server: Server) -> Self {
        Self::of(Ok(server))
    }

    pub(crate) fn of(server: Result<Server, UrlError>) -> Self {
        Self { server, credentials: None, backoff: None }
    }

    /// Its own user name. Default: the URL's, or that of the client's options.
    #[must_use]
    pub fn username(mut self, username: impl Into<String>) -> Self {
        self.credentials = Some(self.credentials.unwrap_or_default().username(username));
        self
    }

    /// Its own password. Default: the URL's, or that of the client's options.
    #[must_use]
    pub fn password(mut self, password: impl Into<Vec<u8>>) -> Self {
        self.credentials = Some(self.credentials.unwrap_or_default().password(password));
        self
    }

    /// Its own shortest and longest wait. Default: [`Options::backoff`](crate::Options::backoff).
    #[must_use]
    pub fn backoff(mut self, minimum: Duration, maximum: Duration) -> Self {
        self.backoff = Some((minimum, maximum));
        self
    }

    /// Filled up with what is the same for all servers.
    pub(crate) fn settle(self, common: (Duration, Duration)) -> Result<Endpoint, UrlError> {
        let (minimum, maximum) = self.backoff.unwrap_or(common);
        let delays = Delays::new(minimum, maximum);
        Ok(Endpoint { server: self.server?, credentials: self.credentials.map(Box::new), delays })
    }
}

impl From<&str> for ServerOptions {
    fn from(url: &str) -> Self {
        Self::new(url)
    }
}

impl From<&String> for ServerOptions {
    fn from(url: &String) -> Self {
        Self::new(url)
    }
}

impl From<Server> for ServerOptions {
    fn from(server: Server) -> Self {
        Self::for_server(server)
    }
}

/// Secrets stay out.
impl fmt::Debug for ServerOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerOptions")
            .field("server", &self.server)
            .field("credentials", &self.credentials)
            .field("backoff", &self.backoff)
            .finish()
    }
}

/// A server of the list, with nothing left open.
#[derive(Clone)]
pub(crate) struct Endpoint {
    pub(crate) server: Server,
    /// Boxed, since most have none of their own.
    pub(crate) credentials: Option<Box<Credentials>>,
    pub(crate) delays: Delays,
}

impl Endpoint {
    /// May a connection to one stay when the other takes its place? Waits are no part of a connection.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.server == other.server && self.credentials == other.credentials
    }
}
