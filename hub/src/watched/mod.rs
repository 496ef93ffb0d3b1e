//! Connections kept equal to a file or a folder.

mod files;
mod read;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use packetboat::{Options, OptionsError};
use packetboat_config::{ConfigError, Node};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::config::{ConnectionSettings, same};
use crate::{AddError, Hub, UpdateError};
pub use files::WatchedFiles;
pub(crate) use files::text;
use files::{LOOK, Snapshot};

/// Connections that are to be as a file or a folder says; made by [`Hub::follow`]. Awaiting it reads for the first time.
#[must_use = "nothing is read before it is awaited"]
#[derive(Clone, Debug)]
pub struct Follow {
    hub: Hub,
    path: PathBuf,
    every: Duration,
}

/// Keeps a hub's connections equal to what files say. Dropping it leaves them as they are.
#[derive(Debug)]
pub struct Followed {
    keeper: Arc<Mutex<Keeper>>,
    readings: watch::Receiver<Reading>,
    task: JoinHandle<()>,
}

/// What came of reading, the last time something had changed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Reading {
    /// Counts them.
    pub number: u64,
    /// What was changed, or why nothing was.
    pub result: Result<Arc<Difference>, Arc<FollowError>>,
}

/// The names of connections that were changed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Difference {
    /// New ones.
    pub added: Vec<String>,
    /// Those with other options.
    pub updated: Vec<String>,
    /// Those that are no more.
    pub removed: Vec<String>,
}

/// Why connections were not changed: none was.
#[non_exhaustive]
pub enum FollowError {
    /// The files cannot be read, or are wrong.
    Config(ConfigError),
    /// Options that are right by themselves do not go together.
    Options {
        /// Whose.
        id: String,
        /// What is wrong.
        error: OptionsError,
    },
    /// The hub has a connection of this name that is not from these files.
    Taken(String),
    /// The hub is closed.
    Closed,
}

impl fmt::Display for FollowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Options { id, error } => write!(f, "connection `{id}`: {error}"),
            Self::Taken(id) => write!(
                f,
                "the hub has a connection `{id}` that is not from these files: give one of them another name"
            ),
            Self::Closed => f.write_str("the hub is closed"),
        }
    }
}

packetboat::readable_debug!(FollowError);

impl std::error::Error for FollowError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Config(error) => Some(error),
            Self::Options { error, .. } => Some(error),
            Self::Taken(_) | Self::Closed => None,
        }
    }
}

impl Follow {
    pub(crate) fn new(hub: Hub, path: &Path) -> Self {
        Self { hub, path: path.to_owned(), every: LOOK }
    }

    /// How often the files are looked at. A change counts when they were the same twice, so that whoever writes them has
    /// finished. Default: 1 s.
    pub fn every(mut self, interval: Duration) -> Self {
        self.every = interval.max(Duration::from_millis(1));
        self
    }

    async fn start(self) -> Result<Followed, FollowError> {
        let files = WatchedFiles::unseen(&self.path, self.every);
        let mut keeper = Keeper { hub: self.hub, files, applied: BTreeMap::new() };
        let first = keeper.reload().await?;
        let keeper = Arc::new(Mutex::new(keeper));
        let (sender, readings) = watch::channel(Reading { number: 1, result: Ok(Arc::new(first)) });
        let task = tokio::spawn(look(keeper.clone(), self.every, sender));
        Ok(Followed { keeper, readings, task })
    }
}

impl IntoFuture for Follow {
    type Output = Result<Followed, FollowError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<Followed, FollowError>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.start())
    }
}

impl Followed {
    /// Reads now, whether or not something has changed.
    pub async fn reload(&self) -> Result<Difference, FollowError> {
        self.keeper.lock().await.reload().await
    }

    /// What came of reading by itself, to be watched.
    #[must_use]
    pub fn readings(&self) -> watch::Receiver<Reading> {
        self.readings.clone()
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn look(keeper: Arc<Mutex<Keeper>>, every: Duration, readings: watch::Sender<Reading>) {
    loop {
        sleep(every).await;
        let mut keeper = keeper.lock().await;
        let Some(now) = keeper.files.look().await else { continue };
        let path = keeper.files.path().display().to_string();
        let result = keeper.apply(now).await;
        match &result {
            Ok(changes) => tracing::info!(path, ?changes, "connections were read"),
            Err(error) => {
                tracing::error!(path, %error, "connections stay as they are");
            }
        }
        let result = result.map(Arc::new).map_err(Arc::new);
        readings.send_modify(|reading| *reading = Reading { number: reading.number + 1, result });
    }
}

#[derive(Debug)]
struct Keeper {
    hub: Hub,
    files: WatchedFiles,
    /// The connections that are from these files, as they are.
    applied: BTreeMap<String, Node>,
}

impl Keeper {
    async fn reload(&mut self) -> Result<Difference, FollowError> {
        let now = self.files.read().await;
        self.apply(now).await
    }

    /// All of it, or nothing.
    async fn apply(&mut self, now: Result<Snapshot, ConfigError>) -> Result<Difference, FollowError> {
        let mut next = now.and_then(|snapshot| snapshot.read()).map_err(FollowError::Config)?;
        next.retain(|_, settings| settings.enabled);
        let changes = self.difference(&next);
        self.check(&changes, &next)?;
        for id in &changes.added {
            self.hub.add(id, options(&next, id)).map_err(|error| match error {
                AddError::Exists(id) => FollowError::Taken(id),
                _ => FollowError::Closed,
            })?;
        }
        for id in &changes.updated {
            match self.hub.update(id, options(&next, id)) {
                Ok(()) => {}
                // Somebody removed it.
                Err(UpdateError::Unknown(_)) => drop(self.hub.add(id, options(&next, id))),
                Err(UpdateError::Options(error)) => {
                    return Err(FollowError::Options { id: id.clone(), error });
                }
            }
        }
        self.applied = next.into_iter().map(|(id, settings)| (id, settings.node)).collect();
        for (id, end) in
            changes.removed.iter().zip(join_all(changes.removed.iter().map(|id| self.hub.remove(id))).await)
        {
            if let Err(error) = end {
                tracing::warn!(connection = id, %error, "removed");
            }
        }
        Ok(changes)
    }

    fn difference(&self, next: &BTreeMap<String, ConnectionSettings>) -> Difference {
        let mut changes = Difference::default();
        for (id, settings) in next {
            match self.applied.get(id) {
                None => changes.added.push(id.clone()),
                Some(node) if !same(node, &settings.node) => changes.updated.push(id.clone()),
                Some(_) => {}
            }
        }
        changes.removed = self.applied.keys().filter(|id| !next.contains_key(*id)).cloned().collect();
        changes
    }

    fn check(
        &self,
        changes: &Difference,
        next: &BTreeMap<String, ConnectionSettings>,
    ) -> Result<(), FollowError> {
        for id in changes.added.iter().chain(&changes.updated) {
            options(next, id).check().map_err(|error| FollowError::Options { id: id.clone(), error })?;
        }
        match changes.added.iter().find(|id| self.hub.connection(id).is_some()) {
            Some(id) => Err(FollowError::Taken(id.clone())),
            None => Ok(()),
        }
    }
}

fn options(next: &BTreeMap<String, ConnectionSettings>, id: &str) -> Options {
    next[id].options.clone()
}
