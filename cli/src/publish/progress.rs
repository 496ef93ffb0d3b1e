//! How far a bulk publish has got, on standard error where that is a terminal.

use std::fmt::Write;
use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use crate::bar;
use crate::report;

/// Drawn ten times a second, or not at all.
#[derive(Debug)]
pub(super) struct Progress(Option<ProgressBar>);

impl Progress {
    pub(super) fn none() -> Self {
        Self(None)
    }

    /// For so many messages, where that is known.
    pub(super) fn new(count: Option<u64>) -> Self {
        // Who types the lines sees them.
        if !io::stderr().is_terminal() || count.is_none() && io::stdin().is_terminal() {
            return Self::none();
        }
        let (bar, template) = match count {
            Some(count) => (
                ProgressBar::with_draw_target(Some(count), bar::target()),
                "{bar:20} {human_pos} of {human_len} messages delivered, {rate}",
            ),
            None => (
                ProgressBar::with_draw_target(None, bar::target()),
                "{spinner} {human_pos} messages delivered, {rate}",
            ),
        };
        // The templates above are right; if not, the standard one will do.
        if let Ok(style) = ProgressStyle::with_template(template) {
            let rate = |state: &ProgressState, out: &mut dyn Write| {
                let _ = write!(out, "{:.0}/s", state.per_sec());
            };
            bar.set_style(style.with_key("rate", rate));
        }
        report::stay_above(&bar);
        bar.enable_steady_tick(Duration::from_millis(100));
        Self(Some(bar))
    }

    pub(super) fn set(&self, delivered: u64) {
        if let Some(bar) = &self.0 {
            bar.set_position(delivered);
        }
    }

    /// Leave nothing behind.
    pub(super) fn finish(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
