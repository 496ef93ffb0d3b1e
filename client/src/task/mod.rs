//! The client's task: attempts, connections and the waits between them, for the life of the client.

mod attempt;
mod failure;
mod online;
mod read;
mod turn;
mod write;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use packetboat_core::backoff::{Backoff, BackoffOptions, Delays, Next};
use packetboat_core::session::{ConnectOptions, Phase};
use packetboat_core::time::Instant;
use tokio::sync::oneshot;
use tokio::time::Sleep;
use zeroize::Zeroize;

use crate::events::{Disconnection, State};
use crate::shared::{Inner, Shared, WakesFor};
use crate::{Attempt, ConnectError, ConnectStage, End, Event, Server};
use attempt::{Opened, Opening};
use failure::Fallback;
use online::{Online, Step};
use read::Routes;

/// What [`Client::connect`](crate::Client::connect) waits for.
pub(crate) type First = oneshot::Sender<Result<(), ConnectError>>;

/// The task of one client.
pub(crate) struct Task {
    shared: Arc<Shared>,
    stage: Stage,
    timer: Pin<Box<Sleep>>,
    routes: Routes,
    backoff: Backoff,
    /// What the next CONNECT says.
    connect: ConnectOptions,
    fallback: Fallback,
    /// The first attempt decides: no retries until it succeeded.
    first: Option<First>,
    /// The attempt under way must have succeeded by then.
    deadline: Instant,
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
    Over,
}

/// What became of an attempt or a connection.
enum After {
    /// Try again at once: with another version, or to see whether it closes without a word again.
    Again,
    Failed(Disconnection, usize),
    /// As requested.
    Over,
}

impl Task {
    pub(crate) fn new(shared: Arc<Shared>, first: Option<First>) -> Self {
        let options = &shared.settings.options;
        let delays = Delays::new(options.backoff.0, options.backoff.1);
        let servers = shared.settings.servers.iter().map(|_| delays);
        let mut backoff =
            BackoffOptions::new(servers).jitter(options.jitter).stable_after(options.stable_after);
        if let Some(limit) = options.retry_limit {
            backoff = backoff.retry_limit(limit);
        }
        Self {
            stage: Stage::Waiting(Instant(0)),
            timer: Box::pin(tokio::time::sleep(std::time::Duration::ZERO)),
            routes: Routes::default(),
            backoff: Backoff::new(backoff, crate::settings::seed()),
            connect: shared.settings.connect.clone(),
            fallback: Fallback::new(options.version),
            first,
            deadline: Instant(0),
            shared,
        }
    }

    /// Begin an attempt.
    fn dial(&mut self) {
        let server = self.server();
        self.deadline = self.shared.now() + self.shared.settings.options.connect_timeout;
        let attempt = Attempt::on(self.shared.settings.options.road.clone(), server.clone());
        self.connect.version = self.fallback.version();
        let opening = attempt::open(self.shared.clone(), attempt.clone(), self.connect.clone());
        self.stage = Stage::Dialing(Box::pin(opening), attempt);
        let mut inner = self.shared.lock();
        inner.server = server.clone();
        inner.tell(&Event::Connecting(server));
        inner.deferred.state = Some(State::Connecting);
    }

    fn server(&self) -> Server {
        let servers = &self.shared.settings.servers;
        servers.get(self.backoff.server()).unwrap_or(&servers[0]).clone()
    }

    fn poll_dialing(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Stage::Dialing(opening, attempt) = &mut self.stage else { return Poll::Ready(()) };
        match opening.as_mut().poll(cx) {
            Poll::Ready(Ok(Opened { io, mut connect })) => {
                let mut inner = self.shared.lock();
                if inner.is_elsewhere() {
                    inner.session.forget_broker();
                }
                inner.session.handle_open(&connect);
                inner.task.wakes_for = WakesFor::Nothing;
                drop(inner);
                connect.password.zeroize();
                self.stage = Stage::Online(Online::new(io, &connect));
                return Poll::Ready(());
            }
            Poll::Ready(Err(error)) => {
                self.go_on(After::Failed(Disconnection::Failed(error), 0));
                return Poll::Ready(());
            }
            Poll::Pending => {}
        }
        if self.shared.now() >= self.deadline {
            let stage = attempt.stage();
            self.go_on(self.timed_out(stage));
            return Poll::Ready(());
        }
        self.poll_offline(self.deadline, cx)
    }

    fn poll_online(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Stage::Online(online) = &mut self.stage else { return Poll::Ready(()) };
        let step = online.poll(&self.shared, &mut self.routes, cx);
        let (online_now, now) = {
            let inner = self.shared.lock();
            (inner.connected.is_some(), inner.now)
        };
        if online_now && !self.fallback.is_settled() {
            self.settle(now);
        }
        match step {
            Step::Over => self.connection_over(),
            Step::Sleep(alarm) if self.shared.lock().session.phase() == Phase::Connecting => {
                if self.shared.now() >= self.deadline {
                    let after = self.timed_out(ConnectStage::Answer);
                    self.abandon();
                    self.go_on(after);
                } else {
                    let alarm = alarm.map_or(self.deadline, |at| at.min(self.deadline));
                    return self.poll_timer(Some(alarm), cx);
                }
            }
            Step::Sleep(alarm) => return self.poll_timer(alarm, cx),
        }
        Poll::Ready(())
    }

    /// The broker accepted the connection.
    fn settle(&mut self, now: Instant) {
        self.fallback.accepted();
        self.backoff.connected(now);
        self.connect.client_id = self.shared.lock().client_id.to_string();
        if let Some(first) = self.first.take() {
            let _ = first.send(Ok(()));
        }
    }

    fn timed_out(&self, stage: ConnectStage) -> After {
        let limit = self.shared.settings.options.connect_timeout;
        After::Failed(
            Disconnection::Failed(ConnectError::TimedOut { server: self.server(), stage, limit }),
            0,
        )
    }

    /// The connection is over: tell the session, and see what that means.
    fn connection_over(&mut self) {
        let Stage::Online(online) = std::mem::replace(&mut self.stage, Stage::Over) else { return };
        let mut inner = self.shared.lock();
        let was_online = inner.connected.is_some();
        let requested = inner.ending.is_some_and(|ending| ending.said);
        inner.session.handle_close(&online.writer.output, online.writer.taken);
        inner.drain_events();
        let ended = inner.ended.take();
        drop(inner);
        let after = match ended {
            _ if requested => After::Over,
            Some((cause, lost_qos0)) if was_online => After::Failed(Disconnection::Ended(cause), lost_qos0),
            Some((cause, _)) => failure::of_attempt(self.server(), cause, &online.reader, &mut self.fallback),
            None => After::Over,
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
            After::Again => self.dial(),
            After::Over => self.finish(&End::Disconnected),
            After::Failed(cause, lost_qos0) => match (self.first.take(), cause) {
                (Some(first), Disconnection::Failed(error)) => {
                    self.finish(&End::GaveUp);
                    let _ = first.send(Err(error));
                }
                (_, cause) => self.wait(cause, lost_qos0),
            },
        }
    }

    fn wait(&mut self, cause: Disconnection, lost_qos0: usize) {
        let now = self.shared.now();
        let next = match &cause {
            Disconnection::Ended(_) => self.backoff.lost(now),
            Disconnection::Failed(_) => self.backoff.failed(now),
        };
        self.fallback.next_attempt();
        let Next::WaitUntil { at, .. } = next else {
            let mut inner = self.shared.lock();
            inner.tell(&Event::Disconnected { cause, lost_qos0, retry_in: None });
            inner.tell(&Event::GaveUp);
            drop(inner);
            return self.finish(&End::GaveUp);
        };
        let retry_in = at.since(now);
        let mut inner = self.shared.lock();
        inner.deferred.state = Some(State::Waiting { cause: cause.clone(), retry_in });
        inner.tell(&Event::Disconnected { cause, lost_qos0, retry_in: Some(retry_in) });
        drop(inner);
        self.stage = Stage::Waiting(at);
    }

    fn poll_waiting(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Stage::Waiting(at) = self.stage else { return Poll::Ready(()) };
        let hurry = std::mem::take(&mut self.shared.lock().connect_now);
        if hurry || self.shared.now() >= at {
            self.dial();
            return Poll::Ready(());
        }
        self.poll_offline(at, cx)
    }

    /// While there is no connection: what can be done without, and the end.
    fn poll_offline(&mut self, until: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let now = self.shared.now();
        let mut guard = self.shared.lock();
        let inner: &mut Inner = &mut guard;
        inner.now = now;
        inner.drain_events();
        inner.apply_routes(&mut self.routes);
        inner.grant_room();
        inner.settle_flushes();
        let by_time = inner.on_time(now);
        if let Some(ending) = inner.ending {
            let queue = inner.session.queue();
            inner.undelivered = queue.messages + queue.in_flight;
            if inner.undelivered == 0 || now >= ending.drain_until {
                inner.session.disconnect(ending.reason);
                drop(guard);
                self.finish(&End::Disconnected);
                return Poll::Ready(());
            }
        }
        let drain = inner.ending.map(|ending| ending.drain_until);
        let alarm = [Some(until), by_time, drain].into_iter().flatten().min();
        if inner.connect_now && matches!(self.stage, Stage::Waiting(_)) {
            return Poll::Ready(());
        }
        inner.connect_now = false;
        inner.sleep(cx, WakesFor::Commands, alarm);
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
        self.shared.lock().close(end, self.shared.settings.options.session);
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
                Stage::Waiting(_) => task.poll_waiting(cx),
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
