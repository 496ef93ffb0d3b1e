use alloc::vec::Vec;
use core::time::Duration;

use crate::rng::Rng;

/// How to reconnect: by default one server, waits of 1 to 120 s with full jitter, no retry limit, stable after 30 s.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BackoffOptions {
    /// Empty: one with default delays.
    servers: Vec<Delays>,
    pub(super) jitter: Jitter,
    pub(super) stable_after: Duration,
    pub(super) retry_limit: Option<u32>,
    pub(super) return_after: Option<Duration>,
    pub(super) renew_after: Option<Duration>,
}

impl BackoffOptions {
    pub(super) const USUAL: Self = Self {
        servers: Vec::new(),
        jitter: Jitter::Full,
        stable_after: Duration::from_secs(30),
        retry_limit: None,
        return_after: None,
        renew_after: None,
    };

    /// Options for these servers, in order of preference. None at all is one with default delays.
    pub fn new(servers: impl IntoIterator<Item = Delays>) -> Self {
        let mut servers: Vec<Delays> = servers.into_iter().collect();
        if servers == [Delays::default()] {
            servers = Vec::new();
        }
        Self { servers, ..Self::USUAL }
    }

    /// How waits are spread.
    #[must_use]
    pub const fn jitter(mut self, jitter: Jitter) -> Self {
        self.jitter = jitter;
        self
    }

    /// How long a connection must last until earlier failures are forgotten.
    #[must_use]
    pub const fn stable_after(mut self, duration: Duration) -> Self {
        self.stable_after = duration;
        self
    }

    /// Gives up after this many retries, over all servers, not counting the first attempt or any before a stable
    /// connection. With 0 nothing is tried twice and no connection is restored.
    #[must_use]
    pub const fn retry_limit(mut self, retries: u32) -> Self {
        self.retry_limit = Some(retries);
        self
    }

    /// A connection to another server than the first is replaced after so long, if the first one is back. Otherwise, and
    /// by default, a server is kept for as long as it works.
    #[must_use]
    pub const fn return_after(mut self, duration: Duration) -> Self {
        self.return_after = Some(duration);
        self
    }

    /// Connections are replaced after so long, at the latest: some servers end them when credentials expire. With
    /// jitter, up to a tenth earlier.
    #[must_use]
    pub const fn renew_after(mut self, duration: Duration) -> Self {
        self.renew_after = Some(duration);
        self
    }

    pub(super) fn servers(&self) -> usize {
        self.servers.len().max(1)
    }

    pub(super) fn delays(&self, server: usize) -> Delays {
        self.servers.get(server).copied().unwrap_or_default()
    }
}

impl Default for BackoffOptions {
    fn default() -> Self {
        Self::new([])
    }
}

/// The shortest and the longest wait for one server, before jitter.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Delays {
    minimum: Duration,
    maximum: Duration,
}

impl Delays {
    /// Waits that double from `minimum` up to `maximum`. A minimum below 1 ms is taken as 1 ms, or it could not double,
    /// and a maximum below the minimum as the minimum.
    #[must_use]
    pub fn new(minimum: Duration, maximum: Duration) -> Self {
        let minimum = minimum.max(Duration::from_millis(1));
        Self { minimum, maximum: maximum.max(minimum) }
    }

    /// The first wait.
    #[must_use]
    pub const fn minimum(self) -> Duration {
        self.minimum
    }

    /// The longest wait.
    #[must_use]
    pub const fn maximum(self) -> Duration {
        self.maximum
    }
}

impl Default for Delays {
    fn default() -> Self {
        Self::new(Duration::from_secs(1), Duration::from_mins(2))
    }
}

/// How waits are spread, so that the clients of a restarted server do not all return at once.
///
/// The names and formulas of "full" and "decorrelated" are those of "Exponential Backoff And Jitter" (AWS Architecture
/// Blog). No wait is longer than the server's maximum.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Jitter {
    /// Anything from nothing to the doubling delay.
    #[default]
    Full,
    /// Anything from the minimum to three times the last wait, where the first counts as having followed a minimum.
    Decorrelated,
    /// The doubling delay, shortened by at most this share, in thousandths. Mongoose OS spreads by 100 to both sides; here
    /// delays are upper bounds, so only to the shorter.
    Proportional {
        /// Of the delay; above 1000 as 1000.
        per_mille: u16,
    },
    /// The exact doubling delay. For tests and lone devices.
    None,
}

impl Jitter {
    /// What the next wait can be at most, after `last` with its bound and actual length.
    pub(super) fn bound(self, delays: Delays, last: Option<(Duration, Duration)>) -> Duration {
        let unlimited = match (self, last) {
            (Self::Decorrelated, last) => last.map_or(delays.minimum, |(_, actual)| actual).saturating_mul(3),
            (_, None) => delays.minimum,
            (_, Some((bound, _))) => bound.saturating_mul(2),
        };
        unlimited.clamp(delays.minimum, delays.maximum)
    }

    /// A wait of at most `bound`.
    pub(super) fn apply(self, delays: Delays, bound: Duration, rng: &mut Rng) -> Duration {
        let shortest = match self {
            Self::Full => Duration::ZERO,
            Self::Decorrelated => delays.minimum,
            Self::Proportional { per_mille } => bound / 1000 * u32::from(1000_u16.saturating_sub(per_mille)),
            Self::None => return bound,
        };
        let range = u64::try_from(bound.saturating_sub(shortest).as_millis()).unwrap_or(u64::MAX);
        shortest + Duration::from_millis(rng.below(range.saturating_add(1)))
    }
}
