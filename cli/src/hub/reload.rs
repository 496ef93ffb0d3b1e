//! When to read the file again: on SIGHUP, and when it has changed.

use std::future::pending;
use std::path::Path;

use packetboat_hub::WatchedFiles;

pub(super) struct Reload {
    /// Unless it is only to be read when it is asked for.
    files: Option<WatchedFiles>,
    #[cfg(unix)]
    hangup: Option<tokio::signal::unix::Signal>,
}

impl Reload {
    pub(super) async fn new(path: &Path, watch: bool) -> Self {
        Self {
            files: if watch { Some(WatchedFiles::new(path).await) } else { None },
            #[cfg(unix)]
            hangup: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).ok(),
        }
    }

    /// Resolves when it is time, and says why.
    pub(super) async fn asked(&mut self) -> &'static str {
        #[cfg(unix)]
        let hangup = async {
            match &mut self.hangup {
                Some(signal) => signal.recv().await,
                None => pending().await,
            }
        };
        #[cfg(not(unix))]
        let hangup = pending::<Option<()>>();
        let changed = async {
            match &mut self.files {
                Some(files) => files.changed().await,
                None => pending().await,
            }
        };
        tokio::select! {
            _ = hangup => {}
            () = changed => return "the file changed",
        }
        if let Some(files) = &mut self.files {
            files.mark_seen().await;
        }
        "SIGHUP"
    }
}
