//! Brokers by their names, and as services that come and go.

mod presence;
mod watch;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use packetboat::{Body, Client, ConnectError, Options, OptionsError, Publish, Server, State, Undelivered};

use crate::filter::{Properties, PropertyValue};

pub(crate) use presence::attend;
pub use watch::{Change, Watch};

/// A named connection of a hub. While it is connected it is a service, in the words of Pelix: see
/// [`Hub::find`](crate::Hub::find) and [`Hub::watch`](crate::Hub::watch).
#[derive(Clone, Debug)]
pub struct Connection {
    id: Arc<str>,
    client: Client,
    /// By its options: the client takes new ones in its turn.
    identity: Arc<Mutex<Arc<Properties>>>,
}

impl Connection {
    pub(crate) fn start(id: &str, options: Options) -> Result<Self, ConnectError> {
        let identity = Arc::new(Mutex::new(identity(id, &options).into()));
        Ok(Self { id: id.into(), client: Client::start(options)?, identity })
    }

    pub(crate) fn reconfigure(&self, options: Options) -> Result<(), OptionsError> {
        let identity = identity(&self.id, &options);
        self.client.reconfigure(options)?;
        *self.identity.lock().unwrap_or_else(PoisonError::into_inner) = identity.into();
        Ok(())
    }

    /// Its name in the hub.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The client that keeps it.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// A message to this broker: [`Client::publish`].
    pub fn publish<'a>(&'a self, topic: &'a str, payload: impl Into<Body<'a>>) -> Publish<'a> {
        self.client.publish(topic, payload)
    }

    /// Is there a connection at this moment?
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.client.is_connected()
    }

    /// What it is found by:
    ///
    /// | Property | Value |
    /// | --- | --- |
    /// | `id` | its name |
    /// | `host`, `port` | its first server, or the one it is connected to |
    /// | `state` | `connected`; `connecting`; `waiting` for the next attempt; `offline` on purpose; `closed` |
    #[must_use]
    pub fn properties(&self) -> Properties {
        let state = self.client.state();
        let mut properties = Properties::clone(&self.identity());
        if let State::Connected(connected) = &state {
            reached_at(&mut properties, &connected.server);
        }
        let state = match state {
            State::Connected(_) => "connected",
            State::Waiting { .. } => "waiting",
            State::Offline => "offline",
            State::Closed => "closed",
            _ => "connecting",
        };
        properties.insert("state", PropertyValue::from(state));
        properties
    }

    /// What does not depend on its state: name, host and port of the first server.
    pub(crate) fn identity(&self) -> Arc<Properties> {
        self.identity.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn shared_id(&self) -> Arc<str> {
        self.id.clone()
    }

    /// The same one, not another of the same name that came later?
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.has_id(&other.id)
    }

    pub(crate) fn has_id(&self, id: &Arc<str>) -> bool {
        Arc::ptr_eq(&self.id, id)
    }
}

fn identity(id: &str, options: &Options) -> Properties {
    let mut properties = Properties::new();
    properties.insert("id", PropertyValue::from(id));
    if let Some(server) = options.first_server() {
        reached_at(&mut properties, server);
    }
    properties
}

fn reached_at(properties: &mut Properties, server: &Server) {
    properties.insert("host", PropertyValue::from(server.host()));
    properties.insert("port", PropertyValue::from(i64::from(server.port())));
}

/// Why there is no new connection.
#[non_exhaustive]
pub enum AddError {
    /// The hub has one of this name.
    Exists(String),
    /// Its configuration cannot be used.
    Options(ConnectError),
    /// The hub is closed.
    Closed,
}

impl fmt::Display for AddError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exists(id) => write!(f, "there is a connection `{id}`: update it, or take another name"),
            Self::Options(error) => error.fmt(f),
            Self::Closed => f.write_str("the hub is closed"),
        }
    }
}

packetboat::readable_debug!(AddError, UpdateError, RemoveError);

impl std::error::Error for AddError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Options(error) => error.source(),
            Self::Exists(_) | Self::Closed => None,
        }
    }
}

/// Why a connection was not changed. It goes on as it was.
#[non_exhaustive]
pub enum UpdateError {
    /// The hub has none of this name.
    Unknown(String),
    /// The new options cannot be used.
    Options(OptionsError),
}

impl fmt::Display for UpdateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(id) => unknown(f, id),
            Self::Options(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for UpdateError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Options(error) => Some(error),
            Self::Unknown(_) => None,
        }
    }
}

/// What is to say of a connection that was to be removed.
#[non_exhaustive]
pub enum RemoveError {
    /// The hub has none of this name.
    Unknown(String),
    /// It is removed, and left something behind.
    Undelivered(Undelivered),
}

impl fmt::Display for RemoveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(id) => unknown(f, id),
            Self::Undelivered(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for RemoveError {}

fn unknown(f: &mut fmt::Formatter<'_>, id: &str) -> fmt::Result {
    write!(f, "there is no connection `{id}`: add it first, or look for a misspelt name")
}
