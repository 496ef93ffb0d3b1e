//! Files as they are, and when they have changed.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use packetboat_config::ConfigError;
use tokio::time::sleep;

use super::read::name_of;

/// How often the files are looked at.
pub(super) const LOOK: Duration = Duration::from_secs(1);

/// A file is no larger than this.
const MAXIMUM: u64 = 4 * 1024 * 1024;

/// The files as they were at one time.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Snapshot {
    pub(super) is_folder: bool,
    pub(super) texts: BTreeMap<PathBuf, String>,
}

/// A file, or the files of a folder that say how connections are made, which somebody else writes.
///
/// ```no_run
/// use packetboat_hub::{HubConfig, WatchedFiles};
///
/// # async fn example() -> Result<(), packetboat_config::ConfigError> {
/// let mut files = WatchedFiles::new("hub.toml").await;
/// loop {
///     println!("{:?}", HubConfig::load("hub.toml")?);
///     files.changed().await;
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct WatchedFiles {
    path: PathBuf,
    every: Duration,
    /// What they were, or why they could not be read.
    seen: Result<Snapshot, String>,
    /// They looked so the last time, and are not yet known to be at rest.
    moving: Option<Result<Snapshot, String>>,
}

impl WatchedFiles {
    /// What is there now counts as seen. To be called within a tokio runtime.
    pub async fn new(path: impl AsRef<Path>) -> Self {
        let mut files = Self::unseen(path.as_ref(), LOOK);
        files.mark_seen().await;
        files
    }

    pub(super) fn unseen(path: &Path, every: Duration) -> Self {
        Self { path: path.to_owned(), every, seen: Err(String::new()), moving: None }
    }

    /// What is there now counts as seen.
    pub async fn mark_seen(&mut self) {
        let _ = self.read().await;
    }

    /// Resolves when they say something else than what was seen, or cannot be read any more. They are looked at each second, and
    /// a change counts when they were the same twice, so that whoever writes them has finished. Safe to drop at any time.
    pub async fn changed(&mut self) {
        loop {
            sleep(self.every).await;
            if self.look().await.is_some() {
                return;
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whatever is there.
    pub(super) async fn read(&mut self) -> Result<Snapshot, ConfigError> {
        let now = self.take().await;
        self.seen = comparable(&now);
        now
    }

    /// What is there, if it is new and at rest.
    pub(super) async fn look(&mut self) -> Option<Result<Snapshot, ConfigError>> {
        let now = self.take().await;
        let told = comparable(&now);
        if self.seen == told {
            self.moving = None;
            return None;
        }
        if self.moving.as_ref() != Some(&told) {
            self.moving = Some(told);
            return None;
        }
        self.seen = told;
        Some(now)
    }

    async fn take(&self) -> Result<Snapshot, ConfigError> {
        let path = self.path.clone();
        let taken = tokio::task::spawn_blocking(move || Snapshot::take(&path)).await;
        taken.unwrap_or_else(|error| Err(failed(&self.path, io::Error::other(error))))
    }
}

fn comparable(taken: &Result<Snapshot, ConfigError>) -> Result<Snapshot, String> {
    match taken {
        Ok(snapshot) => Ok(snapshot.clone()),
        Err(error) => Err(error.to_string()),
    }
}

impl Snapshot {
    fn take(path: &Path) -> Result<Self, ConfigError> {
        let is_folder = fs::metadata(path).map_err(|error| failed(path, error))?.is_dir();
        let mut files = Vec::new();
        if is_folder {
            for entry in fs::read_dir(path).map_err(|error| failed(path, error))? {
                let file = entry.map_err(|error| failed(path, error))?.path();
                if name_of(&file).is_some() && file.is_file() {
                    files.push(file);
                }
            }
        } else {
            files.push(path.to_owned());
        }
        let mut texts = BTreeMap::new();
        for file in files {
            let text = text(&file)?;
            texts.insert(file, text);
        }
        Ok(Self { is_folder, texts })
    }
}

fn failed(path: &Path, error: io::Error) -> ConfigError {
    ConfigError::Read { path: path.to_owned(), error }
}

/// The text of a file, within bounds.
pub(crate) fn text(path: &Path) -> Result<String, ConfigError> {
    let mut text = String::new();
    let file = fs::File::open(path).and_then(|file| file.take(MAXIMUM + 1).read_to_string(&mut text));
    file.map_err(|error| failed(path, error))?;
    if text.len() as u64 > MAXIMUM {
        return Err(failed(path, io::Error::other("it is larger than 4 MiB")));
    }
    Ok(text)
}
