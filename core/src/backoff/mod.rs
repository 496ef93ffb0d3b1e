//! When to connect again, and to which server.

mod options;
#[cfg(test)]
mod tests;

use alloc::boxed::Box;
use core::num::NonZeroUsize;
use core::time::Duration;

pub use options::{BackoffOptions, Delays, Jitter};

use crate::rng::Rng;
use crate::time::Instant;

/// The one owner of reconnecting: exponential backoff with jitter, over a list of servers.
///
/// The driver makes the first attempt at once, to server 0. It reports every end: [`failed`](Self::failed) for an attempt
/// that came to nothing, [`connected`](Self::connected) for an accepted CONNACK, [`lost`](Self::lost) for the end of a
/// connection; and waits as it is told. A connection that ends before it was stable is one more failed attempt: a server
/// that accepts and then drops its clients must not be asked again at once, each time anew (AWS Device Advisor,
/// "Reconnect backoff retries on unstable connection"). A refusal that only a person can mend is reported with
/// [`refused`](Self::refused) and waits longest at once; a connection that another client took over with our identifier
/// with [`failed`](Self::failed), however long it stood, or the two would take it from each other for ever.
///
/// While connected, [`renewal_deadline`](Self::renewal_deadline) says when to ask [`renewal`](Self::renewal) whether the
/// connection is to be replaced: by a new one, or by one to the first server.
///
/// ```
/// use core::time::Duration;
/// use packetboat_core::backoff::{Backoff, BackoffOptions, Jitter, Next};
/// use packetboat_core::time::Instant;
///
/// let options = BackoffOptions::default().jitter(Jitter::None).retry_limit(2);
/// let mut backoff = Backoff::new(options, 0);
/// let now = Instant(0);
/// assert_eq!(backoff.failed(now), Next::WaitUntil { at: now + Duration::from_secs(1), server: 0 });
/// assert_eq!(backoff.failed(now), Next::WaitUntil { at: now + Duration::from_secs(2), server: 0 });
/// assert_eq!(backoff.failed(now), Next::GiveUp);
/// ```
#[derive(Clone, Debug)]
pub struct Backoff {
    /// Absent: the usual ones.
    options: Option<Box<BackoffOptions>>,
    rng: Rng,
    server: usize,
    /// Retries since the first attempt or the last stable connection, over all servers.
    retries: u32,
    /// The last wait: none before the first failure, after a stable connection, and when a server's turn begins.
    wait: Option<Wait>,
    /// The server that works, while the first one is tried again: another one.
    works: Option<NonZeroUsize>,
    state: State,
}

/// Why a connection is to be replaced.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Renewal {
    /// It has lasted as long as it may.
    Scheduled,
    /// The first server may be back.
    ToFirstServer,
}

/// What to do after a failure.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum Next {
    /// Try `server`, an index into the list of servers, at this time.
    WaitUntil {
        /// The time of the attempt.
        at: Instant,
        /// The index of the server.
        server: usize,
    },
    /// The retry limit is reached: do not try again.
    GiveUp,
}

#[derive(Clone, Copy, Debug)]
struct Wait {
    /// What the wait could have been at most.
    bound: Duration,
    /// What it was, after jitter.
    actual: Duration,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Attempting, at once or since the end of a wait.
    Attempting {
        at: Option<Instant>,
    },
    Connected {
        since: Instant,
        /// When it is to be replaced, and why.
        renewal: Option<(Instant, Renewal)>,
    },
    GivenUp,
}

impl Backoff {
    /// Before the first attempt. The same `seed` and the same calls give the same waits; every client needs its own seed,
    /// or all of them return together.
    #[must_use]
    pub fn new(options: BackoffOptions, seed: u64) -> Self {
        Self {
            options: (options != BackoffOptions::USUAL).then(|| Box::new(options)),
            rng: Rng::new(seed),
            server: 0,
            retries: 0,
            wait: None,
            works: None,
            state: State::Attempting { at: None },
        }
    }

    /// Begin with this server of the list instead of the first.
    #[must_use]
    pub fn beginning_at(mut self, server: usize) -> Self {
        self.server = server.min(self.options().servers() - 1);
        self
    }

    /// The attempt failed, passing refusals ("Server busy") included.
    pub fn failed(&mut self, now: Instant) -> Next {
        self.end_attempt(now, Self::next_wait)
    }

    /// The server refused us as we are (a wrong password, for example): the next attempt comes after its longest wait, of
    /// which jitter takes no more than half.
    pub fn refused(&mut self, now: Instant) -> Next {
        self.end_attempt(now, |backoff| {
            let server = backoff.server;
            let next = backoff.next_wait();
            if backoff.server == server { backoff.longest_wait() } else { next }
        })
    }

    /// The server sends its clients elsewhere, and does not say where: the next server's turn begins. Alone it counts as
    /// a failure.
    pub fn sent_away(&mut self, now: Instant) -> Next {
        let bound = self.options().delays(self.server).maximum();
        self.wait = Some(Wait { bound, actual: bound });
        self.failed(now)
    }

    fn end_attempt(&mut self, now: Instant, wait: impl FnOnce(&mut Self) -> Wait) -> Next {
        let at = if let Some(server) = self.works.take() {
            // It was left though it worked: back to it without delay, and no retry.
            (self.server, self.wait) = (server.get(), None);
            now
        } else {
            let limit = self.options().retry_limit;
            if matches!(self.state, State::GivenUp) || limit.is_some_and(|limit| self.retries >= limit) {
                self.state = State::GivenUp;
                return Next::GiveUp;
            }
            self.retries = self.retries.saturating_add(1);
            let wait = wait(self);
            self.wait = Some(wait);
            now + wait.actual
        };
        self.state = State::Attempting { at: Some(at) };
        Next::WaitUntil { at, server: self.server }
    }

    /// The attempt succeeded. Nothing is forgotten yet: only a connection that proves stable ends a run of failures.
    pub fn connected(&mut self, now: Instant) {
        self.works = None;
        let renewal =
            self.options().renew_after.map(|after| (now + self.shorten(after, 10), Renewal::Scheduled));
        let away = self.options().return_after.filter(|_| self.server != 0);
        let returns = away.map(|after| (now + self.shorten(after, 10), Renewal::ToFirstServer));
        let earlier = [returns, renewal].into_iter().flatten().min_by_key(|(at, _)| *at);
        self.state = State::Connected { since: now, renewal: earlier };
    }

    /// When the connection is to be replaced, if it is.
    #[must_use]
    pub const fn renewal_deadline(&self) -> Option<Instant> {
        match self.state {
            State::Connected { renewal: Some((at, _)), .. } => Some(at),
            _ => None,
        }
    }

    /// Is the connection to be replaced now? Once asked for, it is not asked for again on this connection.
    pub fn renewal(&mut self, now: Instant) -> Option<Renewal> {
        let State::Connected { renewal, .. } = &mut self.state else { return None };
        renewal.take_if(|(at, _)| *at <= now).map(|(_, why)| why)
    }

    /// The connection was left on purpose, for a new one at once. Its failures before it count as no more than a stable
    /// connection's.
    pub fn renewed(&mut self, why: Renewal) {
        let works = NonZeroUsize::new(self.server).filter(|_| why == Renewal::ToFirstServer);
        self.restart();
        if works.is_some() {
            (self.server, self.works) = (0, works);
        }
    }

    /// The connection ended, other than by the user's wish. If it was stable the wait starts again from the server's
    /// minimum and the retries from zero; if not, it counts as a failed attempt.
    pub fn lost(&mut self, now: Instant) -> Next {
        if let State::Connected { since, .. } = self.state
            && now.since(since) >= self.options().stable_after
        {
            self.retries = 0;
            self.wait = None;
        }
        self.failed(now)
    }

    /// A hint that trying now may succeed (the network is up again): ends a wait under way. What has been learnt from
    /// failures stays, so that a hint that comes often does not undo the backoff. Ask [`deadline`](Self::deadline) then.
    pub fn connect_now(&mut self, now: Instant) {
        if let State::Attempting { at: Some(at) } = &mut self.state {
            *at = now.min(*at);
        }
    }

    /// The user asks to connect again, after giving up or disconnecting: begins anew, on the current server.
    pub fn restart(&mut self) {
        self.works = None;
        self.retries = 0;
        self.wait = None;
        self.state = State::Attempting { at: None };
    }

    /// When the attempt under way is or was due. None for one due at once, while connected, and after giving up.
    #[must_use]
    pub const fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Attempting { at } => at,
            State::Connected { .. } | State::GivenUp => None,
        }
    }

    /// The index of the server in use or tried next.
    #[must_use]
    pub const fn server(&self) -> usize {
        self.server
    }

    /// The number of the attempt: 0 for the first, then the number of the retry. It goes on counting over servers and
    /// short connections, and begins again when a stable connection is lost.
    #[must_use]
    pub const fn attempt(&self) -> u32 {
        self.retries
    }

    /// Was the retry limit reached?
    #[must_use]
    pub const fn has_given_up(&self) -> bool {
        matches!(self.state, State::GivenUp)
    }

    /// The next wait, on the next server if the attempt that failed had followed a longest wait on this one.
    fn next_wait(&mut self) -> Wait {
        let servers = self.options().servers();
        let maximum = self.options().delays(self.server).maximum();
        if servers > 1 && self.wait.is_some_and(|wait| wait.bound >= maximum) {
            self.server = (self.server + 1) % servers;
            self.wait = None;
        }
        let delays = self.options().delays(self.server);
        let bound = self.options().jitter.bound(delays, self.wait.map(|wait| (wait.bound, wait.actual)));
        let actual = self.options().jitter.apply(delays, bound, &mut self.rng);
        Wait { bound, actual }
    }

    fn options(&self) -> &BackoffOptions {
        static USUAL: BackoffOptions = BackoffOptions::USUAL;
        self.options.as_deref().unwrap_or(&USUAL)
    }

    fn longest_wait(&mut self) -> Wait {
        let bound = self.options().delays(self.server).maximum();
        Wait { bound, actual: self.shorten(bound, 2) }
    }

    /// All clients that connected together need not act together: at most this part of a time is left to chance.
    fn shorten(&mut self, time: Duration, part: u32) -> Duration {
        if self.options().jitter == Jitter::None {
            return time;
        }
        let range = u64::try_from((time / part).as_millis()).unwrap_or(u64::MAX);
        time.saturating_sub(Duration::from_millis(self.rng.below(range.saturating_add(1))))
    }
}
