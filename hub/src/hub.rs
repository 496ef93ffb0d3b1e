//! The handle.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use packetboat::{Options, TopicFilter, Undelivered};
use tokio::sync::watch;

use crate::connections::attend;
use crate::listener::{Core, Record};
use crate::{
    AddError, Connection, Filters, Follow, Listener, ListenerBuilder, ListenerCounts, PropertyFilter,
    PublishToAll, RefusedFilter, RemoveError, UpdateError, Watch,
};

/// How long a connection may be away without having gone.
const PATIENCE: Duration = Duration::from_secs(1);

/// Many brokers. Clones are handles to the same hub; when the last one is dropped its connections end as
/// [`Client`](packetboat::Client)s do that are dropped. [`close`](Self::close) waits for that.
///
/// ```no_run
/// use packetboat::Options;
/// use packetboat_hub::Hub;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let hub = Hub::new();
/// hub.add("factory", "mqtt://factory.example")?;
/// hub.add("office", Options::new("mqtt://office.example").client_id("clock"))?;
/// for outcome in hub.publish("time", "12:00").await {
///     println!("{}: {:?}", outcome.connection.id(), outcome.result);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Hub {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) patience: Duration,
    state: Mutex<State>,
    /// Counts what may concern those who watch.
    generation: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    connections: BTreeMap<Arc<str>, Entry>,
    listeners: BTreeMap<u64, Record>,
    /// Of the next listener.
    number: u64,
    closed: bool,
}

struct Entry {
    connection: Connection,
    /// It is a service.
    present: bool,
}

impl Hub {
    /// A hub without connections.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A hub that counts a connection as gone when it has been away for longer than this. Default: 1 s.
    #[must_use]
    pub fn with_patience(patience: Duration) -> Self {
        Self { inner: Arc::new(Inner { patience, ..Inner::default() }) }
    }

    /// Adds a connection. It is tried until it stands: a broker that is away is no error.
    ///
    /// To be called within a tokio runtime.
    ///
    /// ```no_run
    /// # async fn example(hub: packetboat_hub::Hub) -> Result<(), Box<dyn std::error::Error>> {
    /// let options = packetboat::Options::new("mqtts://factory.example").client_id("gateway");
    /// let factory = hub.add("factory", options)?;
    /// factory.publish("gateway/state", "here").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn add(&self, id: &str, options: impl Into<Options>) -> Result<Connection, AddError> {
        let mut state = self.inner.state();
        if state.closed {
            return Err(AddError::Closed);
        }
        if state.connections.contains_key(id) {
            return Err(AddError::Exists(id.to_owned()));
        }
        let connection = Connection::start(id, options.into()).map_err(AddError::Options)?;
        let (id, states) = (connection.shared_id(), connection.client().watch());
        state.connections.insert(id.clone(), Entry { connection: connection.clone(), present: false });
        for listener in state.listeners.values_mut() {
            listener.consider(&connection);
        }
        drop(state);
        tokio::spawn(attend(Arc::downgrade(&self.inner), id, states));
        Ok(connection)
    }

    /// Gives a connection other options: what differs is changed and the rest goes on, as [`Client::reconfigure`](packetboat::Client::reconfigure) has it.
    /// Options that cannot be used change nothing.
    pub fn update(&self, id: &str, options: impl Into<Options>) -> Result<(), UpdateError> {
        let mut state = self.inner.state();
        let State { connections, listeners, .. } = &mut *state;
        let entry = connections.get(id).ok_or_else(|| UpdateError::Unknown(id.to_owned()))?;
        entry.connection.reconfigure(options.into()).map_err(UpdateError::Options)?;
        for listener in listeners.values_mut() {
            listener.consider(&entry.connection);
        }
        drop(state);
        self.inner.changed();
        Ok(())
    }

    /// Removes a connection: it is gone at once for everybody who looks for it, finishes what it had accepted, for at most
    /// [`Options::drain_timeout`], and says goodbye. One that is only being tried ends as well.
    pub async fn remove(&self, id: &str) -> Result<(), RemoveError> {
        let entry = {
            let mut state = self.inner.state();
            let entry = state.connections.remove(id);
            let entry = entry.ok_or_else(|| RemoveError::Unknown(id.to_owned()))?;
            for listener in state.listeners.values_mut() {
                listener.part(&entry.connection);
            }
            entry
        };
        self.inner.changed();
        entry.connection.client().disconnect().await.map_err(RemoveError::Undelivered)
    }

    /// Keeps connections equal to what files say, from now on: await it. Those that are added otherwise are not touched.
    ///
    /// * A file has a table `connections`, as that of the command `packetboat hub` has.
    /// * In a folder each file is one connection, named as the file is without its ending, with the keys of
    ///   [`packetboat_config`] and Pelix's `host`, `port` and `keepalive`. Pelix's own files are read, too
    ///   (`mqtt.connector-1.config.js`).
    ///
    /// What differs is changed, and the rest goes on. Files that are wrong, or half written, change nothing: the error is
    /// [told](crate::Followed::readings) and logged.
    ///
    /// ```no_run
    /// # async fn example(hub: packetboat_hub::Hub) -> Result<(), packetboat_hub::FollowError> {
    /// let followed = hub.follow("/etc/boats").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn follow(&self, path: impl AsRef<Path>) -> Follow {
        Follow::new(self.clone(), path.as_ref())
    }

    /// The connection of this name, whether or not its broker is there.
    #[must_use]
    pub fn connection(&self, id: &str) -> Option<Connection> {
        self.inner.state().connections.get(id).map(|entry| entry.connection.clone())
    }

    /// All connections, in the order of their names, whether or not their brokers are there.
    #[must_use]
    pub fn connections(&self) -> Vec<Connection> {
        self.inner.state().connections.values().map(|entry| entry.connection.clone()).collect()
    }

    /// The services that match a filter over [`Connection::properties`], in the order of their names. A connection is a
    /// service from when its broker has accepted it until it has been away for a while ([`with_patience`](Self::with_patience)).
    ///
    /// ```no_run
    /// # async fn example(hub: packetboat_hub::Hub) -> Result<(), Box<dyn std::error::Error>> {
    /// for connection in hub.find(&"(&(host=*.local)(!(port=8883)))".parse()?) {
    ///     println!("{}", connection.id());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn find(&self, filter: &PropertyFilter) -> Vec<Connection> {
        self.inner.find(filter)
    }

    /// The services that match a filter, as they come and go.
    #[must_use]
    pub fn watch(&self, filter: PropertyFilter) -> Watch {
        Watch::new(Arc::downgrade(&self.inner), filter, self.inner.generation.subscribe())
    }

    /// A message to all connected brokers; await it to send it and to get a result for each connection.
    ///
    /// A connection whose broker is away at the call gets nothing, and its result says so
    /// ([`ToAllError::Away`](crate::ToAllError::Away)); with [`also_away`](PublishToAll::also_away) the message waits in its
    /// queue.
    ///
    /// ```no_run
    /// # async fn example(hub: packetboat_hub::Hub) -> Result<(), Box<dyn std::error::Error>> {
    /// for outcome in hub.publish("alarms/none", "").await {
    ///     println!("{}: {:?}", outcome.connection.id(), outcome.result);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn publish<'a>(&self, topic: &'a str, payload: impl Into<Bytes>) -> PublishToAll<'a> {
        PublishToAll::new(self.connections(), topic, payload.into())
    }

    /// A handler that is called with each message that matches one of its filters, at every broker that is or will be
    /// connected; [`call`](ListenerBuilder::call) puts it in place.
    ///
    /// ```no_run
    /// # async fn example(hub: packetboat_hub::Hub) -> Result<(), packetboat::TopicError> {
    /// let listener = hub
    ///     .listener(["sensors/+/temperature", "alarms/#"])
    ///     .call(async |arrival| println!("{} {}: {:?}", arrival.broker(), arrival.topic(), arrival.payload()))?;
    /// listener.set_filters("alarms/#")?;
    /// listener.keep();
    /// # Ok(())
    /// # }
    /// ```
    pub fn listener(&self, filters: impl Filters) -> ListenerBuilder<'_> {
        ListenerBuilder::new(self, filters)
    }

    pub(crate) fn listen(
        &self,
        core: Arc<Core>,
        on: PropertyFilter,
        filters: Arc<[TopicFilter]>,
    ) -> Listener {
        let mut record = Record::new(core.clone(), on, filters);
        let mut state = self.inner.state();
        if let Some(id) = record.only_at() {
            if let Some(entry) = state.connections.get(id) {
                record.consider(&entry.connection);
            }
        } else {
            state.connections.values().for_each(|entry| record.consider(&entry.connection));
        }
        state.number += 1;
        let number = state.number;
        state.listeners.insert(number, record);
        Listener::new(Arc::downgrade(&self.inner), number, core)
    }

    /// The listeners by name, with what they have done and have to do. Those of the same name are added up.
    #[must_use]
    pub fn listener_counts(&self) -> BTreeMap<String, ListenerCounts> {
        let mut all: BTreeMap<String, ListenerCounts> = BTreeMap::new();
        for core in self.cores() {
            *all.entry(core.name().to_owned()).or_default() += core.counts();
        }
        all
    }

    /// The filters that listeners are refused now, with the listeners' names.
    #[must_use]
    pub fn refused_filters(&self) -> Vec<(String, RefusedFilter)> {
        let named = |core: &Arc<Core>| {
            let name = core.name().to_owned();
            core.refused().into_iter().map(move |refused| (name.clone(), refused)).collect::<Vec<_>>()
        };
        self.cores().iter().flat_map(named).collect()
    }

    fn cores(&self) -> Vec<Arc<Core>> {
        self.inner.state().listeners.values().map(|listener| listener.core().clone()).collect()
    }

    /// Removes all connections, accepts no more, and waits until listeners have finished what came over them. Tells which
    /// connections left something behind.
    pub async fn close(&self) -> Vec<(Connection, Undelivered)> {
        let (connections, listeners) = {
            let mut state = self.inner.state();
            state.closed = true;
            let State { connections, listeners, .. } = &mut *state;
            listeners.values_mut().for_each(Record::part_all);
            let listeners: Vec<_> = listeners.values().map(|listener| listener.core().clone()).collect();
            (std::mem::take(connections), listeners)
        };
        self.inner.changed();
        let leaving: Vec<_> = connections
            .into_values()
            .map(|Entry { connection, .. }| {
                tokio::spawn(async move { (connection.client().disconnect().await, connection) })
            })
            .collect();
        let mut left = Vec::new();
        for leaving in leaving {
            if let Ok((Err(undelivered), connection)) = leaving.await {
                left.push((connection, undelivered));
            }
        }
        for listener in listeners {
            listener.finished().await;
        }
        left
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self) {
        self.generation.send_modify(|generation| *generation += 1);
    }

    pub(crate) fn set_present(&self, id: &Arc<str>, present: bool) {
        if let Some(entry) = self.state().connections.get_mut(id)
            && entry.connection.has_id(id)
        {
            entry.present = present;
        }
        self.changed();
    }

    pub(crate) fn listener_filters(&self, number: u64) -> Option<Arc<[TopicFilter]>> {
        self.state().listeners.get(&number).map(Record::filters)
    }

    pub(crate) fn set_listener_filters(&self, number: u64, filters: Arc<[TopicFilter]>) {
        if let Some(listener) = self.state().listeners.get(&number) {
            listener.set_filters(filters);
        }
    }

    pub(crate) fn remove_listener(&self, number: u64) {
        let listener = self.state().listeners.remove(&number);
        if let Some(listener) = listener {
            listener.remove();
        }
    }

    pub(crate) fn find(&self, filter: &PropertyFilter) -> Vec<Connection> {
        let state = self.state();
        let present = state.connections.values().filter(|entry| entry.present);
        let present: Vec<_> = present.map(|entry| entry.connection.clone()).collect();
        drop(state);
        present.into_iter().filter(|connection| filter.matches(&connection.properties())).collect()
    }
}

impl Default for Inner {
    fn default() -> Self {
        Self { patience: PATIENCE, state: Mutex::default(), generation: watch::Sender::new(0) }
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("connections", &self.connections()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner").finish_non_exhaustive()
    }
}
