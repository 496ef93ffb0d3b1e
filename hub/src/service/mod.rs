//! A hub that is what a file says, and becomes what it says next.

mod changes;
mod http;
mod metrics;
mod watched;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::join_all;
use packetboat::ConnectError;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::bridge::{Pipe, PipeEnd, PipeMonitor, PipeOptions, Route};
use crate::broker::{InitialiseError, MessageBroker};
use crate::config::{DestinationKind, DestinationSettings, PipeSettings, variables};
use crate::{Hub, HubConfig, RefusedFilter};
pub use changes::Changes;
use changes::Plan;
use watched::Watched;

/// A running hub: connections, targets and pipes of a [`HubConfig`].
///
/// ```no_run
/// use packetboat_hub::{HubConfig, Service};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let mut service = Service::start(HubConfig::load("hub.toml")?).await?;
/// // Later: only what differs is touched.
/// let changes = service.apply(HubConfig::load("hub.toml")?).await?;
/// println!("{changes}");
/// service.stop().await;
/// # Ok(())
/// # }
/// ```
pub struct Service {
    config: HubConfig,
    broker: Option<MessageBroker>,
    pipes: BTreeMap<String, Pipe>,
    board: Arc<Board>,
    http: Option<JoinHandle<()>>,
}

/// What is shown outside.
#[derive(Debug, Default)]
struct Board {
    hub: Hub,
    connections: Mutex<BTreeMap<String, Watched>>,
    pipes: Mutex<BTreeMap<String, PipeMonitor>>,
    reloads: AtomicU64,
    refused_reloads: AtomicU64,
}

/// Why a hub could not begin or change.
#[non_exhaustive]
pub enum ServiceError {
    /// A connection or pipe of this name cannot be made.
    Connection {
        /// Its name.
        name: String,
        /// Why.
        error: Box<ConnectError>,
    },
    /// A target cannot be made.
    Targets(InitialiseError),
    /// Nothing can listen for HTTP there.
    Http(io::Error),
}

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection { name, error } => write!(f, "`{name}`: {error}"),
            Self::Targets(error) => error.fmt(f),
            Self::Http(error) => write!(f, "`http.listen`: {error}"),
        }
    }
}

packetboat::readable_debug!(ServiceError);

impl std::error::Error for ServiceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Connection { error, .. } => Some(&**error),
            Self::Targets(error) => Some(error),
            Self::Http(error) => Some(error),
        }
    }
}

impl Service {
    /// Begins. Brokers that are away are no error: they are tried until they are there. To be called within a tokio runtime.
    pub async fn start(config: HubConfig) -> Result<Self, ServiceError> {
        let empty = HubConfig::default();
        let listener = match config.http() {
            Some(address) => Some(TcpListener::bind(address).await.map_err(ServiceError::Http)?),
            None => None,
        };
        let mut service =
            Self { config: empty, broker: None, pipes: BTreeMap::new(), board: Arc::default(), http: None };
        service.become_this(config).await?;
        service.http = listener.map(|listener| tokio::spawn(http::serve(listener, service.board.clone())));
        Ok(service)
    }

    /// Becomes what another file says. What is the same in both is not touched; a pipe that differs is stopped and started
    /// again with its session, in which messages wait meanwhile.
    ///
    /// Where HTTP listens and how is logged stays until the next start.
    pub async fn apply(&mut self, config: HubConfig) -> Result<Changes, ServiceError> {
        let changes = self.become_this(config).await?;
        self.board.reloads.fetch_add(1, Relaxed);
        Ok(changes)
    }

    /// A file that could not be read, or was wrong: it counts among what is shown.
    pub fn refused(&self) {
        self.board.refused_reloads.fetch_add(1, Relaxed);
    }

    /// Its connections.
    #[must_use]
    pub fn hub(&self) -> &Hub {
        &self.board.hub
    }

    /// Its pipes that start at a subscription, by name.
    pub fn pipes(&self) -> impl Iterator<Item = &PipeMonitor> {
        self.pipes.values().map(|pipe| &**pipe)
    }

    /// Counters and gauges in the text format of Prometheus.
    #[must_use]
    pub fn metrics(&self) -> String {
        metrics::text(&self.board)
    }

    /// What keeps it from being ready: brokers that are away, unless they are connected on demand alone; pipes without a
    /// subscription, filters that listeners are refused. Empty: it is.
    #[must_use]
    pub fn missing(&self) -> Vec<String> {
        self.board.missing()
    }

    /// Ends: pipes take no more and empty themselves, for at most [`HubConfig::drain_timeout`]; then connections end. True:
    /// nothing was left. What was, was not acknowledged and comes again.
    pub async fn stop(mut self) -> bool {
        if let Some(http) = self.http.take() {
            http.abort();
        }
        let pipes = std::mem::take(&mut self.pipes).into_values();
        let emptied = join_all(pipes.map(Pipe::stop)).await.into_iter().all(|emptied| emptied);
        self.board.pipes().clear();
        if let Some(broker) = self.broker.take() {
            broker.close().await;
        }
        let ids: Vec<String> = self.board.connections().keys().cloned().collect();
        let ended =
            join_all(ids.iter().map(|id| self.board.hub.remove(id))).await.into_iter().all(|end| end.is_ok());
        self.board.connections().clear();
        emptied && ended
    }

    async fn become_this(&mut self, config: HubConfig) -> Result<Changes, ServiceError> {
        let plan = Plan::new(&self.config, &config);
        // What can fail comes first: then nothing has changed.
        let prepared = if plan.targets {
            let broker = self.broker.clone().unwrap_or_else(|| config.broker(&self.board.hub));
            let prepared = config.prepare(&broker).map_err(ServiceError::Targets)?;
            Some((broker, prepared))
        } else {
            None
        };
        let mut before: BTreeMap<String, String> = BTreeMap::new();
        let mut ends = Vec::new();
        for name in plan.pipes.gone.iter().chain(&plan.pipes.changed) {
            self.board.pipes().remove(name);
            let Some(pipe) = self.pipes.remove(name) else { continue };
            let stays = plan.pipes.changed.contains(name);
            before.insert(name.clone(), pipe.filter().to_owned());
            ends.push(async move { if stays { pipe.stop().await } else { pipe.remove().await } });
        }
        join_all(ends).await;
        for id in &plan.connections.gone {
            self.board.connections().remove(id);
            // What it left behind has receipts that tell.
            let _ = self.board.hub.remove(id).await;
        }
        for id in plan.connections.changed.iter().chain(&plan.connections.new) {
            if let Some(settings) = config.connections.get(id) {
                self.connect(id, settings.options.clone(), plan.connections.changed.contains(id))?;
            }
        }
        let mut over = Vec::new();
        if let Some((broker, prepared)) = prepared {
            over = broker.become_this(prepared).await;
            self.broker = Some(broker);
        }
        for name in plan.pipes.changed.iter().chain(&plan.pipes.new) {
            if let Some(settings) = config.pipes.iter().find(|pipe| pipe.name == *name) {
                self.start_pipe(settings, &config, before.remove(name))?;
            }
        }
        join_all(over.iter().map(|target| target.close())).await;
        self.config = config;
        Ok(Changes::of(plan))
    }

    /// By which the program publishes to targets, and subscribes. It stays the same when the file changes, and its handlers stay;
    /// `None` until a file has targets, or pipes with a message id.
    #[must_use]
    pub fn broker(&self) -> Option<&MessageBroker> {
        self.broker.as_ref()
    }

    fn connect(&self, id: &str, options: packetboat::Options, stands: bool) -> Result<(), ServiceError> {
        let wrong = |error| ServiceError::Connection { name: id.to_owned(), error: Box::new(error) };
        let tally = self.board.connections().get(id).map(|watched| watched.tally.clone()).unwrap_or_default();
        let options = tally.counting(options);
        if stands {
            return match self.board.hub.update(id, options) {
                Err(crate::UpdateError::Options(error)) => Err(wrong(ConnectError::Options(error))),
                _ => Ok(()),
            };
        }
        let connection = match self.board.hub.add(id, options) {
            Ok(connection) => connection,
            Err(crate::AddError::Options(error)) => return Err(wrong(error)),
            Err(_) => return Err(wrong(ConnectError::Closed)),
        };
        let watched = Watched::new(id, connection.client().clone(), tally);
        self.board.connections().insert(id.to_owned(), watched);
        Ok(())
    }

    fn start_pipe(
        &mut self,
        settings: &PipeSettings,
        config: &HubConfig,
        before: Option<String>,
    ) -> Result<(), ServiceError> {
        let mut options = PipeOptions::new(
            &settings.name,
            &settings.connection,
            settings.options.clone(),
            settings.route.clone(),
        )
        .hub(config.name())
        .qos(settings.qos)
        .window(settings.window)
        .retry(settings.retry)
        .drain(config.drain_timeout())
        .needs_hops(settings.needs_hops);
        if let Some(connection) = config.connections.get(&settings.connection) {
            options = options.version(connection.version);
        }
        if let Some(group) = &settings.share {
            options = options.share(group);
        }
        if let Some(bytes) = settings.bytes {
            options = options.bytes(bytes);
        }
        if let Some(rate) = settings.rate {
            options = options.rate(rate);
        }
        if let Some(filter) = before {
            options = options.replaces(filter);
        }
        for destination in &settings.destinations {
            options = options.destination(self.destination(destination, &settings.route)?);
        }
        if let Some(destination) = &settings.dead_letters {
            options = options.dead_letters(self.destination(destination, &settings.route)?);
        }
        let name = settings.name.clone();
        let pipe = Pipe::start(options)
            .map_err(|error| ServiceError::Connection { name: name.clone(), error: Box::new(error) })?;
        self.board.pipes().insert(name.clone(), pipe.monitor().clone());
        self.pipes.insert(name, pipe);
        Ok(())
    }

    fn destination(&self, settings: &DestinationSettings, route: &Route) -> Result<PipeEnd, ServiceError> {
        let wrong = |problems| ServiceError::Targets(InitialiseError::Wrong(problems));
        let gone = || ServiceError::Connection {
            name: settings.target.clone(),
            error: Box::new(ConnectError::Closed),
        };
        match &settings.kind {
            DestinationKind::Connection { template, qos, retain, .. } => {
                let connection = self.board.hub.connection(&settings.target).ok_or_else(gone)?;
                let mut destination = PipeEnd::broker(&settings.target, connection.client().clone());
                if let Some(template) = template {
                    destination = destination.topic(template.clone());
                }
                if let Some(qos) = qos {
                    destination = destination.qos(*qos);
                }
                if let Some(retain) = retain {
                    destination = destination.retain(*retain);
                }
                Ok(destination)
            }
            DestinationKind::Target { options, .. } => {
                let plan = self.broker.as_ref().and_then(MessageBroker::running).ok_or_else(gone)?;
                let planned = plan.targets.get(&*settings.target).ok_or_else(gone)?;
                let destination = planned.target.destination(options, &variables(route)).map_err(wrong)?;
                Ok(PipeEnd::target(&settings.target, destination))
            }
        }
    }
}

impl Board {
    fn connections(&self) -> MutexGuard<'_, BTreeMap<String, Watched>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pipes(&self) -> MutexGuard<'_, BTreeMap<String, PipeMonitor>> {
        self.pipes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn missing(&self) -> Vec<String> {
        let mut missing = Vec::new();
        for (id, connection) in &*self.connections() {
            if let Some(why) = connection.away() {
                missing.push(format!("connection {id}: {why}"));
            }
        }
        for (listener, refused) in self.hub.refused_filters() {
            let RefusedFilter { connection, filter, reason } = refused;
            missing.push(format!("listener {listener}: {connection} refuses {filter}: {reason}"));
        }
        for (name, pipe) in &*self.pipes() {
            let state = pipe.state();
            if state != crate::bridge::PipeState::Running {
                missing.push(format!("pipe {name}: {state}"));
            } else if !pipe.client().is_connected() {
                missing.push(format!("pipe {name}: its connection is lost"));
            }
        }
        missing
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some(http) = &self.http {
            http.abort();
        }
    }
}
