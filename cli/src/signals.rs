//! SIGINT and SIGTERM: the first asks for a proper end, the second ends at once.

use std::io;
use std::time::Duration;

use tokio::sync::watch;

use crate::failure::Failure;
use crate::report::Report;

/// A proper end may take so long.
const GRACE: Duration = Duration::from_secs(10);

/// Says whether the end was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Stop(watch::Receiver<bool>);

impl Stop {
    /// From now on signals no longer kill the process.
    pub(crate) fn listen(report: Report) -> Result<Self, Failure> {
        Self::listen_with(GRACE, move || report.debug("stopping; once more to stop at once"))
    }

    /// The same, for what takes up to `end` to end properly, and as long again at most.
    pub(crate) fn listen_for(end: Duration) -> Result<Self, Failure> {
        Self::listen_with(end * 2 + GRACE, || {})
    }

    fn listen_with(grace: Duration, told: impl FnOnce() + Send + 'static) -> Result<Self, Failure> {
        let wrong = |error: io::Error| Failure::usage(format_args!("signals cannot be received: {error}"));
        let mut signals = Signals::new().map_err(wrong)?;
        let (sender, receiver) = watch::channel(false);
        tokio::spawn(async move {
            let code = signals.next().await;
            sender.send_replace(true);
            told();
            // Whatever holds the process up now, a standard output nobody reads from for example, does so for long.
            let _ = tokio::time::timeout(grace, signals.next()).await;
            std::process::exit(code);
        });
        Ok(Self(receiver))
    }

    /// Resolves when the end is asked for, at once if it was.
    pub(crate) async fn asked(&mut self) {
        // The sender is only dropped with the process.
        let _ = self.0.wait_for(|stop| *stop).await;
    }
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// The exit code of a process that the signal killed, as shells have it.
    async fn next(&mut self) -> i32 {
        tokio::select! {
            _ = self.interrupt.recv() => 128 + 2,
            _ = self.terminate.recv() => 128 + 15,
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    #[allow(clippy::unnecessary_wraps, reason = "it can fail on Unix")]
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> i32 {
        match tokio::signal::ctrl_c().await {
            Ok(()) => 130,
            Err(_) => std::future::pending().await,
        }
    }
}
