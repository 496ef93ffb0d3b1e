//! How far it is, on standard error where that is a terminal.

use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::Board;
use crate::arguments::Bench;
use crate::report::{self, Report};

/// One bar for each side.
#[derive(Debug)]
pub(super) struct Progress(Option<(ProgressBar, ProgressBar)>);

impl Progress {
    pub(super) fn new(arguments: &Bench, report: Report) -> Self {
        if report.quiet || report.debug || !io::stderr().is_terminal() {
            return Self(None);
        }
        let length = u64::try_from(arguments.time.as_millis()).unwrap_or(u64::MAX);
        let bars = MultiProgress::new();
        let bar = |name: &'static str| {
            let bar = bars.add(ProgressBar::new(length));
            // The template is right; if not, the standard one will do.
            if let Ok(style) = ProgressStyle::with_template("{prefix:9} {bar:30} {msg}") {
                bar.set_style(style);
            }
            bar.set_prefix(name);
            bar
        };
        let (sent, received) = (bar("confirmed"), bar("received"));
        report::stay_above(&sent);
        for bar in [&sent, &received] {
            bar.enable_steady_tick(Duration::from_millis(100));
        }
        Self(Some((sent, received)))
    }

    /// Its share of the time, or of the messages where those come to an end before.
    pub(super) fn show(&self, board: &Board, settled: u64, heard: u64) {
        let Some((sent, received)) = &self.0 else { return };
        let now = board.elapsed();
        let by_time = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        let by_count = sent.length().unwrap_or(0).saturating_mul(settled) / board.count.max(1);
        for (bar, count) in [(sent, settled), (received, heard)] {
            bar.set_position(by_time.max(by_count).min(bar.length().unwrap_or(0)));
            #[allow(clippy::cast_precision_loss, reason = "a rate for people")]
            bar.set_message(format!("{count} messages, {:.0}/s", count as f64 / now.as_secs_f64().max(1e-3)));
        }
    }

    /// Leave nothing behind.
    pub(super) fn finish(&self) {
        if let Some((sent, received)) = &self.0 {
            sent.finish_and_clear();
            received.finish_and_clear();
        }
    }
}
