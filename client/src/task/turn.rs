//! What happens under the lock, once for each read.

use std::task::Context;

use packetboat_core::session::{Arrival, Breach, Phase};
use packetboat_core::time::Instant;
use packetboat_core::wire::{Ack, Packet, Properties, Reason};

use super::read::{Batch, Effect, Oversize, Routes};
use super::write::Writer;
use crate::message::Message;
use crate::shared::{Inner, RouteChange, Shared, WakesFor};
use crate::{Event, events};

/// More unwritten answers than this stop reading: the broker asks faster than it listens.
const REPLIES: usize = 64 * 1024;

/// When so many were woken, they run before the task sleeps: it would be woken by the first of them, and write what that one has
/// to say alone.
const CROWD: usize = 4;

/// What the last write came to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wrote {
    pub(super) bytes: usize,
    /// The socket takes nothing more for now.
    pub(super) blocked: bool,
}

/// What the last read came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Input {
    Came,
    /// There was nothing; the socket wakes the task.
    Nothing,
    NotTried,
}

/// What is to be done next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    /// Nothing, until somebody wakes the task.
    pub(super) asleep: bool,
    /// The same, but many were woken: what they have to say comes in one piece if they run first.
    pub(super) yields: bool,
    pub(super) may_read: bool,
    /// The session wants the connection closed, and that at our request.
    pub(super) closing: bool,
    pub(super) requested: bool,
    pub(super) alarm: Option<Instant>,
}

/// One short lock: what was read is applied, what is due is done, what is to be written is taken.
#[allow(clippy::too_many_arguments, reason = "the parts of a connection, borrowed apart")]
pub(super) fn turn(
    shared: &Shared,
    routes: &mut Routes,
    writer: &mut Writer,
    batch: &mut Batch,
    rare: &[Packet<'_>],
    wrote: Wrote,
    input: Input,
    now: Instant,
    cx: &mut Context<'_>,
) -> Turn {
    let mut guard = shared.lock();
    let inner = &mut *guard;
    (inner.now, inner.task.on_time) = (now, true);
    inner.session.handle_written(wrote.bytes, now);
    let was_online = inner.welcome.is_some();
    if input == Input::Came {
        inner.come(batch, rare, now);
    }
    inner.drain_events();
    if !was_online && inner.welcome.is_some() {
        inner.on_connected();
    }
    inner.apply_routes(routes);
    let (paused, shed) = inner.pressure(now);
    inner.session.handle_timeout(now);
    let ending = inner.ending_turn(now);
    if writer.is_empty() {
        inner.session.poll_transmit(&mut writer.output, now);
    }
    inner.drain_events();
    inner.apply_routes(routes);
    if !rare.is_empty() {
        // The connection was accepted, or a probe answered: it may stay idle for long.
        inner.session.rest();
    }
    inner.grant_room();
    if writer.is_flushed() || !writer.is_empty() {
        inner.settle_flushes();
    }
    let by_time = inner.on_time(now);
    let may_read = !paused && writer.replies() + inner.session.unwritten_replies() <= REPLIES;
    let closing = inner.session.is_closing();
    let nothing_to_write = writer.is_flushed() || wrote.blocked;
    let nothing_to_read = !may_read || input == Input::Nothing;
    let asleep = nothing_to_write && nothing_to_read && !closing;
    let alarm = [inner.session.poll_timeout(), shed, ending, by_time].into_iter().flatten().min();
    inner.task.woke |= inner.deferred.wake.len() >= CROWD;
    let yields = asleep && std::mem::take(&mut inner.task.woke);
    if asleep && !yields {
        let blocked = !writer.is_flushed();
        inner.sleep(cx, if blocked { WakesFor::Commands } else { WakesFor::Everything }, alarm);
    }
    shared.settle(inner.session.settled());
    let requested = inner.is_goodbye_said();
    Turn { asleep, yields, may_read, closing, requested, alarm }
}

impl Inner {
    /// What a read brought is applied.
    fn come(&mut self, batch: &mut Batch, rare: &[Packet<'_>], now: Instant) {
        let queued = self.streams.bytes();
        self.session.handle_read(now);
        self.apply(batch, rare, now);
        if self.streams.is_flooded(queued) {
            let what = "more unacknowledged messages than twice the inbound quota";
            self.session.handle_breach(Breach { reason: Reason::QUOTA_EXCEEDED, what });
        }
    }

    /// Whom to wake, and for what. To be said under the same lock under which there was nothing to do.
    pub(super) fn sleep(&mut self, cx: &Context<'_>, wakes_for: WakesFor, alarm: Option<Instant>) {
        match &mut self.task.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        (self.task.wakes_for, self.task.on_time) = (wakes_for, false);
        self.task.alarm = alarm;
    }

    pub(super) fn apply_routes(&mut self, routes: &mut Routes) {
        for change in std::mem::take(&mut self.routes) {
            routes.apply(&change);
            match change {
                // What was read before the route stood waited for it: nothing is overtaken.
                RouteChange::Insert(filter, key) => self.claim(key, Some(&filter)),
                RouteChange::InsertAll(key) => self.claim(key, None),
                RouteChange::Remove(_, key) => self.streams.unroute(key, &mut self.deferred.drops),
            }
        }
    }

    /// What a read brought, in its order.
    fn apply(&mut self, batch: &mut Batch, rare: &[Packet<'_>], now: Instant) {
        let mut rare = rare.iter();
        let Batch { effects, keys, blocks, takers, .. } = batch;
        for effect in effects.drain(..) {
            match effect {
                Effect::Message { id, keys: span, block, parts } => {
                    if self.session.phase() != Phase::Online {
                        // Nothing is delivered; before CONNACK this is a breach.
                        self.session.handle_publish(Arrival { qos: parts.qos, id, holders: 0 });
                        continue;
                    }
                    let Some(block) = blocks.get(block as usize) else { continue };
                    let keys = &keys[span.start as usize..span.end as usize];
                    self.on_message(id, keys, takers, Message::new(block.clone(), parts));
                }
                Effect::Unrouted if self.session.phase() == Phase::Online => self.unclaimed += 1,
                Effect::Unrouted => {
                    let qos = packetboat_core::wire::QoS::AtMostOnce;
                    self.session.handle_publish(Arrival { qos, id: None, holders: 0 });
                }
                Effect::Acks(run) => self.session.handle_acks(run, now),
                Effect::Ack(kind, id, reason) => {
                    let ack = Ack { kind, id, reason, properties: Properties::EMPTY };
                    self.session.handle_ack(&ack, now);
                }
                Effect::Rare => {
                    if let Some(packet) = rare.next() {
                        self.on_packet(packet, now);
                        self.drain_events();
                    }
                }
                Effect::Oversize(oversize) => {
                    let Oversize { qos, id, topic, size } = *oversize;
                    self.session.handle_publish(Arrival { qos, id, holders: 0 });
                    self.tell(&Event::Oversize { topic, size });
                }
                Effect::Breach(breach) => self.session.handle_breach(breach),
            }
        }
        keys.clear();
        blocks.clear();
    }

    fn on_connected(&mut self) {
        let Some(connected) = self.connected() else { return };
        self.home = Some(self.server.clone());
        self.answer = Some(Reason::SUCCESS);
        self.stands(events::State::Connected(connected.clone()));
        self.tell(&Event::Connected(connected));
    }

    /// Is reading to stop, and when is that to be looked at again? While we do not read, silence is ours.
    fn pressure(&mut self, now: Instant) -> (bool, Option<Instant>) {
        if !self.streams.is_paused() {
            return (false, None);
        }
        let awaits = !self.session.is_idle() || !self.room.is_empty();
        let mut stalled = Vec::new();
        let next = self.streams.shed(now, awaits, |filter| stalled.push(filter.cloned()));
        for filter in stalled {
            self.tell(&Event::Stalled(filter));
        }
        let paused = self.streams.is_paused();
        if paused {
            self.session.handle_read(now);
        }
        (paused, next)
    }

    /// Somebody wants the client to end: when nothing is left to be done, or the time is up, the session is told.
    fn ending_turn(&mut self, now: Instant) -> Option<Instant> {
        self.seldom.as_ref()?;
        let Some(ending) = self.ending().filter(|ending| !ending.said) else { return self.leaving_turn(now) };
        let queue = self.session.queue();
        let finished = queue.messages == 0 && queue.in_flight == 0;
        let drained = finished && (self.welcome.is_none() || self.session.is_idle());
        if drained || now >= ending.drain_until {
            self.seldom().undelivered = queue.messages + queue.in_flight;
            self.session.disconnect(ending.reason);
            self.seldom().ending = Some(crate::shared::Ending { said: true, ..ending });
            return None;
        }
        Some(ending.drain_until)
    }

    /// The connection ends because somebody wanted it to.
    fn is_goodbye_said(&self) -> bool {
        self.seldom.as_ref().is_some_and(|seldom| {
            seldom.leaving.is_some_and(|leaving| leaving.said)
                || seldom.ending.is_some_and(|ending| ending.said)
        })
    }

    /// The connection is to be left: when nothing is on the way any more, or the time is up, the session is told.
    fn leaving_turn(&mut self, now: Instant) -> Option<Instant> {
        let leaving = self.seldom.as_mut()?.leaving.as_mut().filter(|leaving| !leaving.said)?;
        if self.session.queue().in_flight > 0 && now < leaving.drain_until {
            return Some(leaving.drain_until);
        }
        leaving.said = true;
        self.session.leave(Reason::NORMAL_DISCONNECTION);
        None
    }
}
