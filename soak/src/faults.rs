//! What goes wrong, at random.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

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
    pub(crate) fn sum(&self) -> usize {
        let counts = [&self.terminated, &self.killed, &self.stopped, &self.refused, &self.cut, &self.slowed];
        counts.into_iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }
}

fn milliseconds(rng: &mut Rng, least: u64, most: u64) -> Duration {
    Duration::from_millis(least + rng.below(most - least))
}

/// Trouble for one broker and the network before it, until then. In the end both are well.
pub(crate) async fn trouble(
    broker: &mut Mosquitto,
    proxy: &Proxy,
    until: Instant,
    tally: &Tally,
    ledger: &Arc<Ledger>,
    rng: &mut Rng,
) -> io::Result<()> {
    let note = |count: &AtomicUsize| count.fetch_add(1, Ordering::Relaxed);
    while Instant::now() < until {
        sleep(milliseconds(rng, 1_000, 5_000)).await;
        let fault = rng.below(12);

        match fault {
            0..=2 => {
                let kill = fault == 0;
                note(if kill { &tally.killed } else { &tally.terminated });
                broker.signal(if kill { "KILL" } else { "TERM" })?;
                if kill {
                    ledger.killed();
                }
                block_in_place(|| broker.reap())?;
                sleep(milliseconds(rng, 100, 3_000)).await;
                block_in_place(|| broker.spawn())?;
            }
            3..=4 => {
                note(&tally.stopped);
                broker.signal("STOP")?;
                sleep(milliseconds(rng, 500, 8_000)).await;
                broker.signal("CONT")?;
            }
            5..=6 => {
                note(&tally.refused);
                proxy.change(|weather| weather.refuse = true);
                proxy.cut();
                sleep(milliseconds(rng, 500, 4_000)).await;
                proxy.change(|weather| weather.refuse = false);
            }
            7..=9 => {
                note(&tally.cut);
                proxy.cut();
            }
            _ => {
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
