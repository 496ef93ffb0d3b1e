//! Who has an arrival, and how it will be acknowledged.

use super::event::Release;
use crate::wire::Reason;

/// What became of an arrival so far.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Progress {
    /// Somebody has it.
    #[default]
    Held,
    /// Everybody is done with it; its turn to be acknowledged has not come.
    Done,
    /// Somebody gave it up: not acknowledged on this connection.
    Abandoned,
    /// QoS 2 only: PUBREC is out, PUBREL awaited.
    Received,
}

/// An arrival and those who hold it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Hold {
    pub(super) holders: u16,
    pub(super) progress: Progress,
    pub(super) abandoned: bool,
    /// Success, or why a holder refused it.
    pub(super) reason: u8,
}

impl Hold {
    pub(super) fn new(holders: u16) -> Self {
        let progress = if holders == 0 { Progress::Done } else { Progress::Held };
        Self { holders, progress, ..Self::default() }
    }

    /// One holder less.
    pub(super) fn release(&mut self, release: Release) {
        match release {
            // A refusal is not to be taken back by another holder's good word.
            Release::Reject(reason) if !Reason(self.reason).is_error() => self.reason = reason.0,
            Release::Acknowledge | Release::Reject(_) => {}
            Release::Abandon => self.abandoned = true,
        }
        self.holders = self.holders.saturating_sub(1);
        if self.holders == 0 {
            self.progress = if self.abandoned { Progress::Abandoned } else { Progress::Done };
        }
    }
}
