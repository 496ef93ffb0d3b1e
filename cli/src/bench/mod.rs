//! `packetboat bench`: what a broker, a link and a machine do under a load.

mod histogram;
mod listen;
mod load;
mod machine;
mod outcome;
mod progress;
mod stamp;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use packetboat::{Client, Options, QoS, SessionMode};
use packetboat_core::wire::Place;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::arguments::Bench;
use crate::connect::Watch;
use crate::failure::{Exit, Failure};
use crate::options::Settings;
use crate::report::Report;
use crate::signals::Stop;
use listen::{Heard, listen};
use load::{Publisher, Sent, flood, pace};
use machine::Clock;
use outcome::Outcome;
use progress::Progress;

/// What all sides look at.
#[derive(Debug)]
struct Board {
    run: u64,
    topic: String,
    qos: QoS,
    sizes: Vec<usize>,
    in_flight: u32,
    count: u64,
    time: Duration,
    patience: Duration,
    start: Instant,
    halt: AtomicBool,
    /// Messages begun with, of all publishers.
    begun: AtomicU64,
    /// Sides that publish no more.
    ended: AtomicU64,
}

impl Board {
    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    fn begun(&self) -> u64 {
        self.begun.load(Ordering::Acquire)
    }

    fn is_over(&self, at: Duration) -> bool {
        at >= self.time || self.halt.load(Ordering::Relaxed)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) async fn run(arguments: Bench) -> Result<Exit, Failure> {
    let connection = &arguments.connection;
    let report = Report { debug: connection.debug, quiet: connection.quiet };
    connection.properties.only(&[Place::Connect])?;
    let run = RandomState::new().build_hasher().finish();
    let options = Settings::of(connection)?.options.session(SessionMode::UntilDisconnect);
    let mut stop = Stop::listen(report)?;
    let names = arguments.connection.id.clone().unwrap_or_else(|| format!("pb-{:08x}", run >> 32));
    let sides = tokio::select! {
        sides = Sides::connect(&arguments, &options, &names, report) => sides?,
        () = stop.asked() => return Err(Failure::new(Exit::Connection, "stopped before it began")),
    };
    let bench = Measurement::begin(&arguments, run, sides).await?;
    let progress = Progress::new(&arguments, report);
    let stopped = bench.wait(&mut stop, &progress).await;
    progress.finish();
    let outcome = bench.end(&arguments, stopped).await;
    outcome.write(arguments.json)?;
    Ok(if outcome.is_complete() { Exit::Success } else { Exit::NotDelivered })
}

/// All connections.
struct Sides {
    publishers: Vec<Client>,
    subscribers: Vec<Client>,
    watches: Vec<Watch>,
}

impl Sides {
    async fn connect(
        arguments: &Bench,
        options: &Options,
        names: &str,
        report: Report,
    ) -> Result<Self, Failure> {
        let publishers = connect_all(options, &format!("{names}-p"), arguments.publishers).await?;
        let subscribers = connect_all(options, &format!("{names}-s"), arguments.subscribers).await?;
        let all = publishers.iter().chain(&subscribers);
        let watches = all.map(|client| Watch::new(client, report, drop)).collect();
        report.debug("connected");
        Ok(Self { publishers, subscribers, watches })
    }
}

/// So many at once.
async fn connect_all(options: &Options, names: &str, count: u32) -> Result<Vec<Client>, Failure> {
    const AT_ONCE: u32 = 32;
    let mut clients = Vec::new();
    for first in (0..count).step_by(AT_ONCE as usize) {
        let mut attempts = JoinSet::new();
        for number in first..count.min(first + AT_ONCE) {
            attempts.spawn(Client::connect(options.clone().client_id(format!("{names}{number}"))));
        }
        for client in attempts.join_all().await {
            clients.push(client?);
        }
    }
    Ok(clients)
}

/// One run.
struct Measurement {
    board: Arc<Board>,
    sides: Sides,
    sent: Arc<Mutex<Sent>>,
    heard: Vec<Arc<Mutex<Heard>>>,
    /// Sides that publish.
    floods: u64,
    before: Option<Clock>,
}

impl Measurement {
    async fn begin(arguments: &Bench, run: u64, sides: Sides) -> Result<Self, Failure> {
        let topic = arguments.topic.clone().unwrap_or_else(|| format!("packetboat/bench/{run:016x}"));
        let filter = format!("{topic}/+");
        let mut streams = Vec::new();
        for client in &sides.subscribers {
            streams.push(client.subscription(&filter).qos(arguments.qos).await?);
        }
        let board = Arc::new(Board {
            run,
            topic,
            qos: arguments.qos,
            sizes: arguments.size.clone(),
            in_flight: arguments.in_flight,
            count: arguments.count.map_or(u32::MAX, |count| count).into(),
            time: arguments.time,
            patience: arguments.patience,
            start: Instant::now(),
            halt: AtomicBool::new(false),
            begun: AtomicU64::new(0),
            ended: AtomicU64::new(0),
        });
        let sent = Arc::new(Mutex::new(Sent::default()));
        let mut heard = Vec::new();
        for stream in streams {
            let one = Arc::new(Mutex::new(Heard::of(arguments.publishers)));
            tokio::spawn(listen(stream, board.clone(), one.clone()));
            heard.push(one);
        }
        let before = Clock::now();
        let numbered = (0..).zip(&sides.publishers);
        let publishers =
            numbered.map(|(number, client)| Publisher::new(client.clone(), number, &board, &sent));
        let publishers: Vec<Publisher> = publishers.collect();
        let mut floods = 1;
        if let Some(rate) = arguments.rate {
            let (board, sent, runtime) = (board.clone(), sent.clone(), Handle::current());
            std::thread::spawn(move || pace(publishers, rate, &board, &sent, &runtime));
        } else {
            floods = publishers.len() as u64;
            for publisher in publishers {
                tokio::spawn(flood(publisher, board.clone(), sent.clone()));
            }
        }
        Ok(Self { board, sides, sent, heard, floods, before })
    }

    /// Until everything has arrived, or nothing does any more. Says whether it was stopped.
    async fn wait(&self, stop: &mut Stop, progress: &Progress) -> bool {
        let mut tick = interval(Duration::from_millis(50));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut last, mut since, mut stopped) = (0, Instant::now(), false);
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                () = stop.asked(), if !stopped => {
                    stopped = true;
                    self.board.halt.store(true, Ordering::Relaxed);
                }
            }
            // Asked before the counts: the last message is in them then.
            let is_sent = self.board.ended.load(Ordering::Acquire) >= self.floods;
            let (settled, confirmed, open) = {
                let sent = locked(&self.sent);
                (sent.settled, sent.confirmed, sent.accepted - sent.settled)
            };
            let heard: u64 = self.heard.iter().map(|heard| locked(heard).messages).sum();
            progress.show(&self.board, settled, heard);
            if last != settled + heard {
                (last, since) = (settled + heard, Instant::now());
            }
            let quiet = since.elapsed() >= self.board.patience;
            let over = self.board.elapsed() >= self.board.time || stopped;
            if !is_sent {
                // One that waits for room does not come to its end by itself.
                if over && quiet {
                    return stopped;
                }
                continue;
            }
            if quiet || open == 0 && heard >= confirmed * self.heard.len() as u64 {
                return stopped;
            }
        }
    }

    async fn end(self, arguments: &Bench, stopped: bool) -> Outcome {
        let after = Clock::now();
        self.board.halt.store(true, Ordering::Relaxed);
        let connected = self.sides.publishers[0].state();
        let version = self.sides.publishers[0].version();
        let mut outcome = Outcome::new(arguments, &self.board, stopped, &connected, version.level());
        outcome.take_sent(&locked(&self.sent));
        for heard in &self.heard {
            outcome.take_heard(&locked(heard));
        }
        outcome.load = after.zip(self.before).and_then(|(after, before)| after.since(before));
        for client in self.sides.publishers.iter().chain(&self.sides.subscribers) {
            // What is open was counted.
            let _ = timeout(Duration::from_secs(1), client.disconnect()).await;
        }
        for watch in self.sides.watches {
            let losses = watch.finish().await;
            outcome.cuts += losses.cuts;
        }
        outcome
    }
}
