//! What goes wrong, at random.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use packetboat_core::rng::Rng;
use tokio::task::block_in_place;
use tokio::time::sleep;

use crate::broker::Mosquitto;
use crate::ledger::Ledger;
use crate::proxy::Proxy;

/// How often each kind of fault happened.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) terminated: AtomicUsize,
    pub(crate) killed: AtomicUsize,
    pub(crate) stopped: AtomicUsize,
    pub(crate) refused: AtomicUsize,
    pub(crate) cut: AtomicUsize,
    pub(crate) slowed: AtomicUsize,
}

impl Tally {
    fn counts(&self) -> [usize; 6] {
        let counts = [&self.terminated, &self.killed, &self.stopped, &self.refused, &self.cut, &self.slowed];
        counts.map(|count| count.load(Ordering::Relaxed))
    }

    pub(crate) fn sum(&self) -> usize {
        self.counts().into_iter().sum()
    }

    pub(crate) fn has_all(&self) -> bool {
        !self.counts().contains(&0)
    }
}

fn milliseconds(rng: &mut Rng, least: u64, most: u64) -> Duration {
    Duration::from_millis(least + rng.below(most - least))
}

#[derive(Clone, Copy, Debug)]
enum Fault {
    /// SIGKILL: what the broker has not saved is gone.
    Kill,
    /// SIGTERM: it saves its sessions.
    Terminate,
    /// SIGSTOP, and SIGCONT later.
    Stop,
    Refuse,
    Cut,
    Slow,
}

/// Dealt in random order, again and again: a short run has all of them, too.
const DECK: [Fault; 12] = [
    Fault::Kill,
    Fault::Kill,
    Fault::Terminate,
    Fault::Stop,
    Fault::Stop,
    Fault::Refuse,
    Fault::Refuse,
    Fault::Cut,
    Fault::Cut,
    Fault::Cut,
    Fault::Slow,
    Fault::Slow,
];

fn shuffled(rng: &mut Rng) -> Vec<Fault> {
    let mut deck = DECK.to_vec();
    for last in (1..deck.len()).rev() {
        deck.swap(last, usize::try_from(rng.below(last as u64 + 1)).unwrap_or(0));
    }
    deck
}

/// Ends it for a while: long enough for clients to read what it said at last. Tells when it last saved.
async fn end(broker: &mut Mosquitto, signal: &str, rng: &mut Rng) -> io::Result<SystemTime> {
    broker.signal(signal)?;
    block_in_place(|| broker.reap())?;
    sleep(milliseconds(rng, 1_000, 3_000)).await;
    Ok(broker.saved())
}

/// Trouble for one broker and the network before it, until then. In the end both are well.
pub(crate) async fn trouble(
    broker: &mut Mosquitto,
    proxy: &Proxy,
    until: Instant,
    tally: &Tally,
    ledger: &Ledger,
    rng: &mut Rng,
) -> io::Result<()> {
    let note = |count: &AtomicUsize| count.fetch_add(1, Ordering::Relaxed);
    let mut deck = Vec::new();
    while Instant::now() < until {
        sleep(milliseconds(rng, 1_000, 5_000)).await;
        if deck.is_empty() {
            deck = shuffled(rng);
        }
        match deck.pop().unwrap_or(Fault::Cut) {
            Fault::Kill => {
                note(&tally.killed);
                let saved = end(broker, "KILL", rng).await?;
                ledger.killed(proxy.broker, saved, SystemTime::now());
                block_in_place(|| broker.spawn())?;
            }
            Fault::Terminate => {
                note(&tally.terminated);
                end(broker, "TERM", rng).await?;
                block_in_place(|| broker.spawn())?;
            }
            Fault::Stop => {
                note(&tally.stopped);
                broker.signal("STOP")?;
                sleep(milliseconds(rng, 500, 8_000)).await;
                broker.signal("CONT")?;
            }
            Fault::Refuse => {
                note(&tally.refused);
                proxy.change(|weather| weather.refuse = true);
                proxy.cut();
                sleep(milliseconds(rng, 500, 4_000)).await;
                proxy.change(|weather| weather.refuse = false);
            }
            Fault::Cut => {
                note(&tally.cut);
                proxy.cut();
            }
            Fault::Slow => {
                note(&tally.slowed);
                let delay = milliseconds(rng, 20, 400);
                proxy.change(|weather| weather.delay = delay);
                sleep(milliseconds(rng, 1_000, 6_000)).await;
                proxy.change(|weather| weather.delay = Duration::ZERO);
            }
        }
    }
    Ok(())
}
