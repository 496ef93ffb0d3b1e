//! What is done when an attempt failed or a connection was lost: try again, when and where, or give up.

use packetboat_core::backoff::{Backoff, BackoffOptions, Next};
use packetboat_core::session::Cause;
use packetboat_core::time::Instant;
use packetboat_core::wire::Reason;

use super::redirect::Directions;
use super::{Stage, Task};
use crate::events::{Disconnection, State, Switch};
use crate::hooks::{Failure, OnFailure, Refusals};
use crate::settings::Settings;
use crate::{ConnectError, End, Event, Server};

/// So many connections in a row that another client may have taken: from then on it is said. One that was certainly
/// taken counts twice.
const CONTENDED: u32 = 3;

/// What a failure means for the next attempt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    /// The network's, or a passing one of the broker's.
    Passing,
    /// The broker does not want us as we are.
    Refused,
    /// Another client connected with our identifier.
    TakenOver,
    /// We are sent elsewhere.
    SentAway,
}

impl Kind {
    fn of(cause: &Disconnection) -> Self {
        match cause {
            Disconnection::Ended(Cause::ByBroker { reason: Reason::SESSION_TAKEN_OVER, .. }) => {
                Self::TakenOver
            }
            _ if Directions::of(cause).is_some() => Self::SentAway,
            Disconnection::Failed(ConnectError::Refused { reason, .. }) if !passes(*reason) => Self::Refused,
            _ => Self::Passing,
        }
    }
}

/// Will waiting help? Codes that nobody knows are no reason to hurry.
fn passes(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::UNSPECIFIED_ERROR
            | Reason::IMPLEMENTATION_SPECIFIC_ERROR
            | Reason::SERVER_UNAVAILABLE
            | Reason::SERVER_BUSY
            | Reason::QUOTA_EXCEEDED
            | Reason::CONNECTION_RATE_EXCEEDED
    )
}

pub(super) fn backoff_of(settings: &Settings) -> Backoff {
    let options = &settings.options;
    let servers = settings.servers.iter().map(|endpoint| endpoint.delays);
    let mut backoff = BackoffOptions::new(servers)
        .jitter(options.choices.jitter)
        .stable_after(options.choices.stable_after);
    if let Some(limit) = options.choices.retry_limit {
        backoff = backoff.retry_limit(limit);
    }
    if let Some(after) = options.choices.return_after {
        backoff = backoff.return_after(after);
    }
    if let Some(after) = options.choices.renew_after {
        backoff = backoff.renew_after(after);
    }
    Backoff::new(backoff, crate::settings::seed())
}

impl Task {
    /// An attempt failed, or a connection was lost.
    pub(super) fn fail(&mut self, cause: Disconnection, lost_qos0: usize) {
        let now = self.shared.now();
        let (server, kind) = (self.server(), Kind::of(&cause));
        match &cause {
            Disconnection::Ended(ended) => self.watch_rivals(ended, kind, now),
            Disconnection::Broken(_) => self.watch_rivals(&Cause::Lost, kind, now),
            Disconnection::Failed(_) => {}
        }
        let followed = kind == Kind::SentAway && self.follow(&server, &cause);
        let next = if followed {
            Next::WaitUntil { at: now, server: self.backoff.server() }
        } else {
            if matches!(cause, Disconnection::Failed(_)) {
                self.detour.give_up();
            }
            self.ask_backoff(&cause, kind, now)
        };
        self.fallback.next_attempt();
        let stops = !followed && self.stops(&cause, kind, &server);
        self.shared.lock().failed(&cause);
        match next {
            Next::WaitUntil { at, .. } if !stops => self.wait(cause, lost_qos0, at, now),
            _ => self.give_up(cause, lost_qos0),
        }
    }

    fn ask_backoff(&mut self, cause: &Disconnection, kind: Kind, now: Instant) -> Next {
        let before = self.backoff.server();
        let next = match (kind, cause) {
            (Kind::Refused, _) if self.settings.options.choices.refusals == Refusals::RetrySlowly => {
                self.backoff.refused(now)
            }
            (Kind::SentAway, _) => self.backoff.sent_away(now),
            (Kind::Passing, Disconnection::Ended(_) | Disconnection::Broken(_)) => self.backoff.lost(now),
            // However long it stood before it was taken over: each would have its turn, for ever.
            _ => self.backoff.failed(now),
        };
        if self.backoff.server() != before {
            self.detour.give_up();
        }
        next
    }

    /// Does somebody not want another attempt?
    fn stops(&mut self, cause: &Disconnection, kind: Kind, server: &Server) -> bool {
        let options = &self.settings.options;
        if let Some(decide) = options.choices.hooks.as_ref().and_then(|hooks| hooks.on_failure.as_ref()) {
            let failure = Failure { cause, server, retry: self.backoff.attempt() };
            return decide(&failure) == OnFailure::Stop;
        }
        self.first.is_some() || kind == Kind::Refused && options.choices.refusals == Refusals::Stop
    }

    fn give_up(&mut self, cause: Disconnection, lost_qos0: usize) {
        if let Some(first) = self.first.take() {
            self.finish(&End::GaveUp);
            let error = match cause {
                Disconnection::Failed(error) => error,
                Disconnection::Ended(_) | Disconnection::Broken(_) => ConnectError::Closed,
            };
            let _ = first.send(Err(error));
            return;
        }
        let mut inner = self.shared.lock();
        inner.tell(&Event::Disconnected { cause, lost_qos0, retry_in: None, next: None });
        inner.tell(&Event::GaveUp);
        drop(inner);
        self.finish(&End::GaveUp);
    }

    fn wait(&mut self, cause: Disconnection, lost_qos0: usize, at: Instant, now: Instant) {
        let next = self.server();
        let mut inner = self.shared.lock();
        if self.settings.options.choices.on_demand && !inner.has_demand() {
            inner.tell(&Event::Disconnected { cause, lost_qos0, retry_in: None, next: None });
            inner.stands(State::Offline);
            drop(inner);
            self.stage = Stage::Down { on_demand: true };
            return;
        }
        let retry_in = at.since(now);
        inner.stands(State::Waiting { cause: cause.clone(), retry_in });
        inner.tell(&Event::Disconnected { cause, lost_qos0, retry_in: Some(retry_in), next: Some(next) });
        drop(inner);
        self.stage = Stage::Waiting(at);
    }

    /// True: the next attempt goes where the broker said.
    fn follow(&mut self, server: &Server, cause: &Disconnection) -> bool {
        let Some(directions) = Directions::of(cause) else { return false };
        let limit = self.settings.options.choices.redirect_limit.into();
        if let Err((reference, why)) = self.detour.follow(server, &directions, limit) {
            self.shared.lock().tell(&Event::RedirectIgnored { reference, why });
        }
        let followed = self.detour.server().is_some();
        if followed {
            self.switch = Switch::Redirected;
        }
        followed
    }

    /// Two clients with one identifier throw each other out for ever: 5.0 says so, 3.1.1 just closes.
    fn watch_rivals(&mut self, cause: &Cause, kind: Kind, now: Instant) {
        let stable = now.since(self.since) >= self.settings.options.choices.stable_after;
        self.detour.ended(stable);
        let taken_over = kind == Kind::TakenOver;
        self.rivals = match cause {
            _ if taken_over => self.rivals.saturating_add(2),
            Cause::Lost if !stable => self.rivals.saturating_add(1),
            _ => 0,
        };
        if self.rivals >= CONTENDED {
            let mut inner = self.shared.lock();
            let client_id = inner.client_id.clone();
            inner.tell(&Event::IdentifierContended { client_id, certain: taken_over });
        }
    }
}
