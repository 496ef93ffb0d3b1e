//! The client's task: attempts, connections and the waits between them, for the life of the client.

mod attempt;
mod failure;
mod leaving;
mod online;
mod read;
mod redirect;
mod retry;
mod turn;
mod write;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use packetboat_core::backoff::Backoff;
use packetboat_core::session::{Cause, Phase};
use packetboat_core::time::Instant;
use tokio::sync::oneshot;
use tokio::time::Sleep;

use crate::events::{Disconnection, Leave, State, Switch};
use crate::settings::Settings;
use crate::shared::{Inner, Shared, WakesFor};
use crate::{Attempt, Client, ConnectError, End, Server};
use attempt::Opening;
use failure::Fallback;
use online::{Online, Step};
use read::Routes;
use redirect::Detour;
use retry::backoff_of;

/// What [`Client::connect`](crate::Client::connect) waits for.
pub(crate) type First = oneshot::Sender<Result<(), ConnectError>>;

/// The task of one client.
pub(crate) struct Task {
    shared: Arc<Shared>,
    settings: Arc<Settings>,
    /// Those that count once the connection was left.
    next_settings: Option<Arc<Settings>>,
    stage: Stage,
    timer: Pin<Box<Sleep>>,
    routes: Routes,
    backoff: Backoff,
    fallback: Fallback,
    /// The first attempt decides: no retries until it succeeded.
    first: Option<Box<First>>,
    /// The attempt under way must have succeeded by then.
    deadline: Instant,
    /// The connection was accepted then.
    since: Instant,
    detour: Detour,
    /// Why the next server is another one, if it is.
    switch: Switch,
    /// Connections that another client may have taken over, in a row.
    rivals: u32,
    clock_is_set: bool,
}

#[allow(
    clippy::large_enum_variant,
    reason = "the large one is the usual one: a box would cost an idle connection more"
)]
enum Stage {
    /// The transport is being opened.
    Dialing(Opening, Attempt),
    Online(Online),
    /// Until the next attempt.
    Waiting(Instant),
    /// Until somebody wants something.
    Down {
        /// Whatever it is; otherwise only to connect.
        on_demand: bool,
    },
    Over,
}

/// What became of an attempt or a connection.
enum After {
    /// Try again at once: with another version, or to see whether it closes without a word again.
    Again,
    Failed(Disconnection, usize),
    /// Left on purpose.
    Left(Leave, Cause, usize),
    /// As requested.
    Over,
}

impl Task {
    pub(crate) fn new(shared: Arc<Shared>, first: Option<First>) -> Self {
        let settings = shared.lock().settings.clone();
        let limit = shared.now() + settings.options.choices.connect_timeout;
        // Nobody waits for the first connection, either.
        let stage = if settings.options.choices.on_demand && first.is_none() {
            shared.lock().stands(State::Offline);
            Stage::Down { on_demand: true }
        } else {
            Stage::Waiting(Instant(0))
        };
        Self {
            stage,
            timer: Box::pin(tokio::time::sleep(Duration::ZERO)),
            routes: Routes::default(),
            backoff: backoff_of(&settings),
            fallback: Fallback::new(settings.options.choices.version),
            first: first.map(Box::new),
            deadline: limit,
            since: Instant(0),
            next_settings: None,
            detour: Detour::default(),
            switch: Switch::default(),
            rivals: 0,
            clock_is_set: settings.options.choices.require_clock.is_none(),
            settings,
            shared,
        }
    }

    /// The server of the attempt or connection, or of the next attempt.
    fn server(&self) -> Server {
        if let Some(server) = self.detour.server() {
            return server.clone();
        }
        let servers = &self.settings.servers;
        servers.get(self.backoff.server()).unwrap_or(&servers[0]).server.clone()
    }

    fn poll_online(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Stage::Online(online) = &mut self.stage else { return Poll::Ready(()) };
        let step = online.poll(&self.shared, &mut self.routes, cx);
        let (online_now, now, wishes) = {
            let mut inner = self.shared.lock();
            let closing = inner.session.is_closing();
            (inner.welcome.is_some(), inner.now, if closing { None } else { inner.wishes.take() })
        };
        if online_now && !self.fallback.is_settled() {
            self.settle(now);
        }
        if wishes.is_some_and(|wishes| self.obey_online(wishes)) {
            return Poll::Ready(());
        }
        if self.backoff.renewal_deadline().is_some_and(|at| at <= now) && self.renew_if_due() {
            return Poll::Ready(());
        }
        match step {
            Step::Over => self.connection_over(),
            Step::Sleep(alarm) if self.shared.lock().session.phase() == Phase::Connecting => {
                if self.shared.now() >= self.deadline {
                    let after = self.timed_out(self.shared.lock().awaited());
                    self.abandon();
                    self.go_on(after);
                } else {
                    let alarm = alarm.map_or(self.deadline, |at| at.min(self.deadline));
                    return self.poll_timer(Some(alarm), cx);
                }
            }
            Step::Sleep(alarm) => {
                let alarm = [alarm, self.backoff.renewal_deadline()].into_iter().flatten().min();
                return self.poll_timer(alarm, cx);
            }
        }
        Poll::Ready(())
    }

    /// The broker accepted the connection.
    fn settle(&mut self, now: Instant) {
        self.fallback.accepted();
        self.backoff.connected(now);
        self.since = now;
        self.greet();
        if let Some(first) = self.first.take() {
            let _ = first.send(Ok(()));
        }
    }

    /// The application may say something first.
    fn greet(&self) {
        let hooks = self.settings.options.choices.hooks.as_ref();
        let Some(greet) = hooks.and_then(|hooks| hooks.after_connect.as_ref()) else { return };
        let connected = self.shared.lock().connected();
        if let (Some(handle), Some(connected)) = (self.shared.handle(), connected) {
            tokio::spawn(greet(Client::from(handle), connected));
        }
    }

    /// The connection is over: tell the session, and see what that means.
    fn connection_over(&mut self) {
        let Stage::Online(online) = std::mem::replace(&mut self.stage, Stage::Over) else { return };
        let mut inner = self.shared.lock();
        let was_online = inner.welcome.is_some();
        let requested = inner.ending().is_some_and(|ending| ending.said);
        inner.session.handle_close(&online.writer.output, online.writer.taken);
        inner.drain_events();
        let ended = inner.ended.take().map(|ended| *ended);
        let leaving = inner.seldom.as_mut().and_then(|seldom| seldom.leaving.take());
        let distrust = inner.authentication_failure().filter(|_| !was_online);
        drop(inner);
        let after = match (ended, leaving) {
            _ if requested => After::Over,
            (Some((cause, lost_qos0)), Some(leaving)) => After::Left(leaving.why, cause, lost_qos0),
            (Some(_), None) if let Some(error) = distrust => {
                let error = ConnectError::NotAuthenticated { server: self.server(), error };
                After::Failed(Disconnection::Failed(error), 0)
            }
            (Some((Cause::Lost, lost_qos0)), None)
                if was_online && let Some(words) = online.reader.complaint() =>
            {
                After::Failed(Disconnection::Broken(words), lost_qos0)
            }
            (Some((cause, lost_qos0)), None) if was_online => {
                After::Failed(Disconnection::Ended(cause), lost_qos0)
            }
            (Some((cause, _)), None) => {
                failure::of_attempt(self.server(), cause, &online.reader, &mut self.fallback)
            }
            (None, _) => After::Over,
        };
        self.go_on(after);
    }

    /// Drop the connection without asking why.
    fn abandon(&mut self) {
        if let Stage::Online(online) = std::mem::replace(&mut self.stage, Stage::Over) {
            let mut inner = self.shared.lock();
            inner.session.handle_close(&online.writer.output, online.writer.taken);
            inner.drain_events();
            inner.ended = None;
        }
    }

    fn go_on(&mut self, after: After) {
        match after {
            After::Again => self.begin(),
            After::Over => self.finish(&End::Disconnected),
            After::Left(why, cause, lost_qos0) => self.left(why, cause, lost_qos0),
            After::Failed(cause, lost_qos0) => {
                if let Some(settings) = self.next_settings.take() {
                    self.shared.lock().wish(|wishes| wishes.settings = Some(settings));
                }
                self.fail(cause, lost_qos0);
            }
        }
    }

    fn poll_waiting(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(wishes) = self.take_wishes() {
            self.obey_offline(&wishes);
            return Poll::Ready(());
        }
        match self.stage {
            Stage::Waiting(at) if self.shared.now() >= at => self.begin(),
            Stage::Waiting(at) => return self.poll_offline(Some(at), cx),
            Stage::Down { on_demand: true } if self.shared.lock().has_demand() => self.begin(),
            Stage::Down { .. } => return self.poll_offline(None, cx),
            _ => {}
        }
        Poll::Ready(())
    }

    /// While there is no connection: what can be done without, and the end.
    fn poll_offline(&mut self, until: Option<Instant>, cx: &mut Context<'_>) -> Poll<()> {
        let now = self.shared.now();
        let mut guard = self.shared.lock();
        let inner: &mut Inner = &mut guard;
        (inner.now, inner.task.on_time) = (now, true);
        inner.session.handle_timeout(now);
        inner.drain_events();
        inner.apply_routes(&mut self.routes);
        inner.grant_room();
        inner.settle_flushes();
        let by_time = inner.on_time(now);
        if let Some(ending) = inner.ending() {
            let queue = inner.session.queue();
            let undelivered = queue.messages + queue.in_flight;
            inner.seldom().undelivered = undelivered;
            if undelivered == 0 || now >= ending.drain_until {
                inner.session.disconnect(ending.reason);
                drop(guard);
                self.finish(&End::Disconnected);
                return Poll::Ready(());
            }
        }
        let drain = inner.ending().map(|ending| ending.drain_until);
        let alarm = [until, by_time, drain, inner.session.poll_timeout()].into_iter().flatten().min();
        let down = matches!(self.stage, Stage::Down { .. });
        let on_demand = matches!(self.stage, Stage::Down { on_demand: true });
        if inner.wishes.is_some() || on_demand && inner.has_demand() {
            // It came since we looked.
            cx.waker().wake_by_ref();
        }
        // Output can wait for the connection, unless it is what the connection waits for.
        inner.sleep(cx, if down { WakesFor::Everything } else { WakesFor::Commands }, alarm);
        drop(guard);
        self.poll_timer(alarm, cx)
    }

    /// Ready: it is time.
    fn poll_timer(&mut self, alarm: Option<Instant>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(alarm) = alarm else { return Poll::Pending };
        let at = self.shared.instant(alarm);
        // A timer that fires early costs one turn; one that is set for each acknowledgement costs more.
        if self.timer.is_elapsed() || at < self.timer.deadline() {
            self.timer.as_mut().reset(at);
        }
        self.timer.as_mut().poll(cx)
    }

    fn finish(&mut self, end: &End) {
        self.stage = Stage::Over;
        self.shared.lock().close(end, self.settings.options.choices.session);
    }
}

impl Future for Task {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let task = self.get_mut();
        loop {
            let again = match &task.stage {
                Stage::Dialing(..) => task.poll_dialing(cx),
                Stage::Online(_) => task.poll_online(cx),
                Stage::Waiting(_) | Stage::Down { .. } => task.poll_waiting(cx),
                Stage::Over => return Poll::Ready(()),
            };
            if again.is_pending() {
                return Poll::Pending;
            }
        }
    }
}

/// The runtime is gone, or we panicked: nobody waits for ever.
impl Drop for Task {
    fn drop(&mut self) {
        self.finish(&End::Disconnected);
    }
}
