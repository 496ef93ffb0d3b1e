//! How much arrives, on standard error: a line that changes where that is a terminal, a line a second elsewhere.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use packetboat::Message;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::bar;
use crate::report::{self, Report};

const SECOND: Duration = Duration::from_secs(1);

/// Counts, and tells.
#[derive(Debug)]
pub(super) struct Rate {
    counts: Arc<Counts>,
    teller: JoinHandle<()>,
    bar: Option<ProgressBar>,
}

#[derive(Debug, Default)]
struct Counts {
    messages: AtomicU64,
    bytes: AtomicU64,
}

impl Rate {
    /// Where standard output is a terminal, too, it is in the way of the messages and must be asked for.
    pub(super) fn new(asked: bool, to_files: bool, report: Report) -> Option<Self> {
        let seen = io::stderr().is_terminal() && (to_files || !io::stdout().is_terminal());
        if report.quiet || !asked && (!seen || report.debug) {
            return None;
        }
        let counts = Arc::<Counts>::default();
        let bar = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(None, bar::target());
            // The template is right; if not, the standard one will do.
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
                bar.set_style(style);
            }
            report::stay_above(&bar);
            bar.enable_steady_tick(SECOND / 5);
            bar
        });
        let teller = tokio::spawn(tell(counts.clone(), bar.clone(), report));
        Some(Self { counts, teller, bar })
    }

    pub(super) fn add(&self, batch: &[Message]) {
        let bytes: usize = batch.iter().map(|message| message.payload().len()).sum();
        self.counts.messages.fetch_add(batch.len() as u64, Ordering::Relaxed);
        self.counts.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Leave nothing behind.
    pub(super) fn finish(&self) {
        self.teller.abort();
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

async fn tell(counts: Arc<Counts>, bar: Option<ProgressBar>, report: Report) {
    let mut ticks = interval(SECOND);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut messages, mut bytes, mut then) = (0, 0, Instant::now());
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let now = (counts.messages.load(Ordering::Relaxed), counts.bytes.load(Ordering::Relaxed));
        #[allow(clippy::cast_precision_loss, reason = "rates for people")]
        let per_second = |count: u64| count as f64 / then.elapsed().as_secs_f64().max(1e-3);
        let text = format!(
            "{} messages, {:.0}/s, {:.1} kB/s of payload",
            now.0,
            per_second(now.0 - messages),
            per_second(now.1 - bytes) / 1e3
        );
        (messages, bytes, then) = (now.0, now.1, Instant::now());
        match &bar {
            Some(bar) => bar.set_message(text),
            None => report.note(text),
        }
    }
}
