//! Files: each message becomes one.

mod path;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use packetboat_config::{Node, Problem};
use tokio::sync::Mutex;

use super::{
    Delivered, DeliveryError, Destination, Later, Outgoing, Protocol, Target, TargetDescription, exclusively,
};
use crate::broker::template::Template;
use crate::config::{Table, table};

/// The protocol `file`: a message is written to `directory`, which is made if it is not there, as `filename`. A file of the
/// same name is replaced, whole or not at all.
///
/// What `${name}` brings into a name cannot lead out of the directory: such a message is refused.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct File;

impl Protocol for File {
    fn name(&self) -> &'static str {
        "file"
    }

    fn target(&self, description: &TargetDescription<'_>) -> Result<Arc<dyn Target>, Vec<Problem>> {
        table::read(description.options, |table| {
            ignored(table);
            let folder = Folder {
                directory: table.text("directory").map(str::to_owned),
                any_directory: table.flag("any_directory").unwrap_or_default(),
                sync: table.flag("sync").unwrap_or(true),
                turn: Arc::default(),
            };
            Some(Arc::new(folder) as Arc<dyn Target>)
        })
    }
}

/// Panorama knows it, and does nothing with it.
fn ignored(table: &Table<'_>) {
    table.node("extension");
}

/// A target.
struct Folder {
    /// For destinations that have none.
    directory: Option<String>,
    /// What publishers bring may be any directory.
    any_directory: bool,
    /// A message is delivered when the disk has it.
    sync: bool,
    /// One file after the other.
    turn: Arc<Mutex<()>>,
}

impl Target for Folder {
    fn destination(&self, options: &Node, variables: &[&str]) -> Result<Arc<dyn Destination>, Vec<Problem>> {
        table::read(options, |table| {
            ignored(table);
            let directory = match (&self.directory, table.node("directory")) {
                (Some(directory), None) => Some(Template::fixed(directory)),
                _ => Template::needed(table, "directory", "say where files are written", variables),
            };
            let filename = Template::needed(table, "filename", "say how files are called", variables);
            if let Some(name) = &filename
                && let Err(error) = path::in_directory(name, |_| Some("x".to_owned()))
            {
                table.wrong("filename", error);
            }
            let (any_directory, sync, turn) = (self.any_directory, self.sync, self.turn.clone());
            let named = Named { directory: directory?, filename: filename?, any_directory, sync, turn };
            Some(Arc::new(named) as Arc<dyn Destination>)
        })
    }
}

/// A destination.
struct Named {
    directory: Template,
    filename: Template,
    any_directory: bool,
    sync: bool,
    turn: Arc<Mutex<()>>,
}

impl Named {
    fn path(&self, message: &Outgoing) -> Result<PathBuf, String> {
        let value = |name: &str| message.value(name);
        let directory = path::directory(&self.directory, value, self.any_directory)?;
        Ok(directory.join(path::in_directory(&self.filename, value)?))
    }
}

impl Destination for Named {
    fn publish(&self, message: Outgoing) -> Later<'static, Result<Delivered, DeliveryError>> {
        let (path, turn, sync) = (self.path(&message), self.turn.clone(), self.sync);
        Box::pin(async move {
            let path = path.map_err(DeliveryError::refused)?;
            let bytes = message.payload.bytes();
            let written = exclusively(turn, message.limit, async move {
                // Not to be torn apart: a file is there whole, or not.
                let work = tokio::task::spawn_blocking(move || (write(&path, &bytes, sync), path));
                work.await.map_err(DeliveryError::unknown)
            });
            let (written, path) = written.await??;
            written.map(|()| Delivered::new()).map_err(|error| failed(&path, &error))
        })
    }
}

fn failed(path: &Path, error: &io::Error) -> DeliveryError {
    let text = format!("{}: {error}", path.display());
    match error.kind() {
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidFilename | io::ErrorKind::IsADirectory => {
            DeliveryError::refused(text)
        }
        _ => DeliveryError::not_sent(text),
    }
}

/// In place only when it is whole.
fn write(path: &Path, bytes: &Bytes, sync: bool) -> io::Result<()> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let directory = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(directory)?;
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let unfinished = directory.join(format!(".packetboat-{}-{number}.part", std::process::id()));
    let result = fill(&unfinished, bytes, sync).and_then(|()| fs::rename(&unfinished, path));
    if result.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_file(&unfinished);
    }
    result?;
    // That it has this name, too.
    if cfg!(unix) && sync { fs::File::open(directory)?.sync_all() } else { Ok(()) }
}

fn fill(path: &Path, bytes: &[u8], sync: bool) -> io::Result<()> {
    let mut file = fs::File::create_new(path)?;
    file.write_all(bytes)?;
    if sync { file.sync_all() } else { Ok(()) }
}
