//! Probing a silent link, and giving up when the probe goes unanswered.

use core::time::Duration;

use crate::time::Instant;

/// What a timeout means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Due {
    Nothing,
    Ping,
    Dead,
}

/// Two times are kept: when the socket last took bytes and when bytes last came. PINGREQ is due when either is
/// older than the interval: the first because the broker would give us up [MQTT-3.1.2-20], the second because a
/// half-open link swallows what we write for a long time.
#[derive(Debug, Default)]
pub(super) struct KeepAlive {
    /// Seconds.
    interval: u16,
    /// Seconds of silence after which a probe goes out.
    patience: u16,
    spoke: Instant,
    heard: Instant,
    /// When the probe that is out began to count.
    probed: Option<Instant>,
    /// The socket could not take all it was offered: what it takes now, the peer has made room for.
    congested: bool,
    /// When the socket last took bytes while it was behind.
    progress: Instant,
}

impl KeepAlive {
    pub(super) fn start(&mut self, now: Instant, seconds: u16, ahead: u16) {
        let patience = seconds.saturating_sub(ahead).max(1);
        *self = Self { interval: seconds, patience, spoke: now, heard: now, ..Self::default() };
    }

    pub(super) fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.probed = None;
    }

    /// The socket took bytes and `left` remain. A large payload that makes progress is a sign of life.
    pub(super) fn spoke(&mut self, now: Instant, left: u64) {
        self.spoke = now;
        if self.congested && self.probed.is_some() {
            self.probed = Some(now);
        }
        if self.congested || left > 0 {
            self.progress = now;
        }
        self.congested = left > 0;
    }

    /// Until then bytes of ours may have stood in front of the socket: no answer to them can have been missing.
    pub(super) fn progress(&self) -> Instant {
        self.progress
    }

    /// A probe was encoded.
    pub(super) fn pinged(&mut self, now: Instant) {
        self.probed.get_or_insert(now);
    }

    pub(super) fn due(&mut self, now: Instant) -> Due {
        if self.deadline().is_none_or(|at| now < at) {
            return Due::Nothing;
        }
        if self.probed.is_some() {
            return Due::Dead;
        }
        self.pinged(now);
        // Once an interval, even if the socket takes nothing and the peer goes on talking.
        self.spoke = now;
        Due::Ping
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        if self.interval == 0 {
            return None;
        }
        Some(match self.probed {
            Some(at) => at + Duration::from_secs(self.interval.into()) / 2,
            None => self.spoke.min(self.heard) + Duration::from_secs(self.patience.into()),
        })
    }
}
