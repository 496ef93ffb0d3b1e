//! Pipes that start at a subscription: from a filter on one broker to topics on others, or to files and servers.

mod destination;
mod hops;
mod lane;
mod letter;
mod options;
mod pace;
mod room;
mod route;
mod shipment;
mod source;
mod stats;

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use packetboat::{Client, ConnectError, VersionChoice};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

pub use destination::PipeEnd;
pub use options::{PipeOptions, Retry};
pub use route::{Route, RouteError, Template};
pub use stats::{DestinationCounts, PipeCounts};

use hops::Hop;
use lane::{Common, Lane};
use pace::Pace;
use room::Room;
use source::Source;
use stats::Stats;

/// How a pipe does.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum PipeState {
    /// Its subscription does not stand yet.
    #[default]
    Connecting,
    /// Its subscription stands. While the connection is lost it comes back by itself.
    Running,
    /// The broker does not give it its subscription; it is tried again.
    Refused(String),
    /// It was stopped, or its client gave up.
    Stopped,
}

impl fmt::Display for PipeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connecting => f.write_str("connecting"),
            Self::Running => f.write_str("running"),
            Self::Refused(error) => write!(f, "refused: {error}"),
            Self::Stopped => f.write_str("stopped"),
        }
    }
}

/// A running pipe from a subscription to its destinations. A message is acknowledged to its source when every destination has
/// acknowledged it: until then the source's broker keeps it, so that whatever happens here, nothing is lost. Messages keep
/// their order at each destination.
///
/// Dropped, it stops without waiting for what is in it; that comes again.
///
/// ```no_run
/// use packetboat::Client;
/// use packetboat_hub::bridge::{Pipe, PipeEnd, PipeOptions, Route};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let office = Client::connect("mqtt://office.example").await?;
/// let route = Route::new("machines/+/temperature")?;
/// let options = PipeOptions::new("temperatures", "factory", "mqtt://factory.example", route)
///     .destination(PipeEnd::broker("office", office));
/// let pipe = Pipe::start(options)?;
/// println!("{}", pipe.state());
/// pipe.stop().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Pipe {
    monitor: PipeMonitor,
    filter: String,
    drain: Duration,
    stop: watch::Sender<bool>,
    source: Option<JoinHandle<()>>,
    lanes: Vec<JoinHandle<()>>,
}

/// What can be seen of a pipe. Clones look at the same one, also when it is gone.
#[derive(Clone, Debug)]
pub struct PipeMonitor {
    common: Arc<Common>,
    client: Client,
    state: watch::Receiver<PipeState>,
}

impl PipeMonitor {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.common.pipe
    }

    /// How it does.
    #[must_use]
    pub fn state(&self) -> PipeState {
        self.state.borrow().clone()
    }

    /// How it does, to be watched.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<PipeState> {
        self.state.clone()
    }

    /// What it counted.
    #[must_use]
    pub fn counts(&self) -> PipeCounts {
        PipeCounts { bytes: self.common.room.taken(), ..self.common.stats.counts() }
    }

    /// The connection it comes over.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }
}

impl Deref for Pipe {
    type Target = PipeMonitor;

    fn deref(&self) -> &PipeMonitor {
        &self.monitor
    }
}

impl Pipe {
    /// Starts it: its connection is tried until it stands. To be called within a tokio runtime.
    pub fn start(options: PipeOptions) -> Result<Self, ConnectError> {
        let client = Client::start(source::connection(&options))?;
        let common = Arc::new(Common {
            hop: Hop::new(&options.hub, &options.source_name, &options.name),
            pipe: options.name,
            retry: options.retry,
            needs_hops: options.needs_hops,
            dead_letters: options.dead_letters,
            route: options.route,
            room: Room::new(options.bytes),
            stats: Stats::new(options.destinations.iter().map(|destination| &destination.name)),
        });
        let (mut senders, mut lanes) = (Vec::new(), Vec::new());
        for (number, destination) in options.destinations.into_iter().enumerate() {
            let (sender, line) = mpsc::channel(options.window.into());
            senders.push(sender);
            let end = Lane::new(common.clone(), number, destination, options.window);
            lanes.push(tokio::spawn(end.run(line)));
        }
        let (stop, stopped) = watch::channel(false);
        let (state, watched) = watch::channel(PipeState::Connecting);
        let filter = Source::filter(&common.route, options.share.as_deref());
        let source = Source {
            client: client.clone(),
            common: common.clone(),
            version: if options.needs_hops { VersionChoice::V5 } else { options.version },
            qos: options.qos,
            share: options.share,
            replaces: options.replaces,
            pace: options.rate.map(Pace::new),
            lanes: senders,
            state,
        };
        let source = Some(tokio::spawn(source.run(stopped)));
        let monitor = PipeMonitor { common, client, state: watched };
        Ok(Self { monitor, filter, drain: options.drain, stop, source, lanes })
    }

    /// What can be seen of it, also when it is gone.
    #[must_use]
    pub fn monitor(&self) -> &PipeMonitor {
        &self.monitor
    }

    /// What it asks its source for.
    #[must_use]
    pub fn filter(&self) -> &str {
        &self.filter
    }

    /// Stops: takes no more, waits for what is in it for at most [`drain`](PipeOptions::drain), and leaves the session at the
    /// source's broker, where messages wait for the next start. True: nothing was in it any more.
    pub async fn stop(mut self) -> bool {
        let emptied = self.empty().await;
        let _ = self.client.disconnect().await;
        emptied
    }

    /// Stops for good: the subscription and the session at the source's broker end, too.
    pub async fn remove(mut self) -> bool {
        let emptied = self.empty().await;
        if self.client.is_connected() {
            let _ = timeout(self.drain, self.client.unsubscribe(&self.filter)).await;
        }
        let _ = self.client.disconnect_keeping_session(Duration::ZERO).await;
        emptied
    }

    async fn empty(&mut self) -> bool {
        self.stop.send_replace(true);
        if let Some(source) = self.source.take() {
            let _ = source.await;
        }
        let drained = timeout(self.drain, async {
            for lane in &mut self.lanes {
                let _ = lane.await;
            }
        });
        let emptied = drained.await.is_ok();
        if !emptied {
            self.lanes.iter().for_each(JoinHandle::abort);
        }
        self.lanes.clear();
        emptied
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        self.lanes.iter().for_each(JoinHandle::abort);
    }
}
