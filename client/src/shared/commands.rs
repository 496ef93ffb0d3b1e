//! What handles ask for, under the lock.

use std::cmp::Reverse;
use std::task::Waker;

use packetboat_core::session::{self, AckToken, Outgoing, PublishError, Release, Ticket};
use packetboat_core::time::Instant;
use packetboat_core::topic::TopicFilter;
use packetboat_core::wire::{Properties, QoS, Reason};

use super::{Consumed, Ending, Held, Inner, Limit, Locked, Seldom, WakesFor};
use crate::{Message, QueuePolicy};

/// With fewer unwritten bytes the session encodes QoS 0 at once.
const WRITABLE: u64 = 128 * 1024;

/// How far a publish got.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Accepted {
    /// QoS 0, in the output of a live connection.
    Sent,
    /// Accepted; the session keeps the outcome under this ticket.
    Pending(Ticket),
}

impl Locked<'_> {
    /// Hand a message to the session, past those who wait for room.
    #[inline]
    pub(crate) fn publish(&mut self, message: &Outgoing<'_, Held>) -> Result<Accepted, PublishError> {
        if self.is_over() {
            return Err(PublishError::Closed);
        }
        // The clock, under the lock, would cost a third of a message while the socket is full.
        let now = self.time_unless(|inner| {
            let is_plain = message.qos == QoS::AtMostOnce && message.properties.is_empty();
            is_plain && inner.session.queue().messages == 0
        });
        match self.session.publish(message, now)? {
            session::Accepted::Encoded => {
                self.wake_task_for(WakesFor::Everything);
                Ok(Accepted::Sent)
            }
            session::Accepted::Recorded(ticket) => {
                self.wake_task_for(WakesFor::Everything);
                if !message.properties.is_empty() {
                    self.rearm();
                }
                self.drain_events();
                Ok(Accepted::Pending(ticket))
            }
        }
    }
}

impl Inner {
    /// Wake me at this time, whatever happens.
    pub(crate) fn limit(&mut self, at: Instant, limit: Limit) {
        self.seldom().limits.push(Reverse((at, limit)));
        if self.task.alarm.is_none_or(|alarm| at < alarm) {
            self.wake_task_for(WakesFor::Commands);
        }
    }

    /// A message in the queue may expire before the task wakes by itself.
    fn rearm(&mut self) {
        let due = self.session.poll_timeout();
        if due.is_some_and(|at| self.task.alarm.is_none_or(|alarm| at < alarm)) {
            self.wake_task_for(WakesFor::Commands);
        }
    }

    /// May somebody who has not waited publish now? QoS 0 that can be encoded at once needs no place in the queue.
    #[inline]
    pub(crate) fn is_open(&self, qos: QoS) -> bool {
        self.room.is_idle() || self.room.is_open(self.free()) || qos == QoS::AtMostOnce && self.is_writable()
    }

    fn is_writable(&self) -> bool {
        self.session.phase() == session::Phase::Online && self.session.unwritten() < WRITABLE
    }

    /// Places free in the queue.
    fn free(&self) -> usize {
        let (queue, config) = (self.session.queue(), self.session.config());
        if queue.bytes >= config.queue_bytes.max(1) {
            0
        } else {
            config.queue_messages.saturating_sub(queue.messages)
        }
    }

    /// Give places to those who wait, once a quarter is free.
    pub(crate) fn grant_room(&mut self) {
        if self.room.is_empty() {
            return;
        }
        let free = self.free();
        if free > 0
            && (free >= self.session.config().queue_messages / 4 || self.session.queue().messages == 0)
        {
            self.room.grant(free, &mut self.deferred.wake);
        }
    }

    /// Nobody stands in line for room in the queue.
    pub(crate) fn never_waits(&self) -> bool {
        self.settings.options.choices.queue_policy == QueuePolicy::Reject
    }

    /// The connection about to open is not with the server that has the session.
    pub(crate) fn is_elsewhere(&self) -> bool {
        !self.shared_sessions && self.home.as_ref().is_some_and(|home| !home.is_same(&self.server))
    }

    /// Nothing is accepted any more.
    #[inline]
    pub(crate) fn is_over(&self) -> bool {
        self.over
    }

    pub(crate) fn seldom(&mut self) -> &mut Seldom {
        self.seldom.get_or_insert_default()
    }

    pub(crate) fn ending(&self) -> Option<Ending> {
        self.seldom.as_ref()?.ending
    }

    /// Something is wanted that the task should know of.
    pub(crate) fn wake_task(&mut self) {
        self.wake_task_for(WakesFor::Commands);
    }

    #[inline]
    pub(crate) fn wake_task_for(&mut self, what: WakesFor) {
        if self.task.wakes_for >= what {
            self.task.wakes_for = WakesFor::Nothing;
            self.deferred.task = self.task.waker.take();
        }
    }

    pub(crate) fn cancel(&mut self, ticket: Ticket) -> bool {
        let cancelled = self.session.cancel(ticket);
        if cancelled {
            self.drain_events();
            self.grant_room();
        }
        cancelled
    }

    /// False: the token is of an older connection.
    pub(crate) fn release(&mut self, token: AckToken, release: Release) -> bool {
        let known = self.session.release(token, release);
        if known {
            self.wake_task_for(WakesFor::Everything);
        }
        known
    }

    /// The same with a reason and properties.
    pub(crate) fn release_with(&mut self, token: AckToken, reason: Reason, words: Properties<'_>) -> bool {
        let known = self.session.release_with(token, reason, words);
        if known {
            self.wake_task_for(WakesFor::Everything);
        }
        known
    }

    /// A stream's owner says what it is done with, and asks for what there is.
    pub(crate) fn take(
        &mut self,
        key: u32,
        done: &mut Vec<AckToken>,
        consumed: Consumed,
        into: Option<&mut std::collections::VecDeque<Message>>,
    ) {
        self.session.release_all(done.drain(..));
        if self.streams.take(key, consumed, into) {
            self.wake_task_for(WakesFor::Commands);
        }
        self.wake_task_if_output();
        if let Some(stream) = self.streams.get_mut(key)
            && stream.untold > 0
        {
            let messages = std::mem::take(&mut stream.untold);
            let filter = stream.filter().cloned();
            self.tell(&crate::Event::Dropped { filter, messages });
        }
    }

    /// Acknowledgements may have been encoded, or not: their turn may not have come.
    fn wake_task_if_output(&mut self) {
        if self.session.unwritten() > 0 {
            self.wake_task_for(WakesFor::Everything);
        }
    }

    /// Messages of a resumed session that waited for this stream.
    pub(crate) fn claim(&mut self, key: u32, filter: Option<&TopicFilter>) {
        let matches = |message: &Message| {
            filter.is_none_or(|filter| packetboat_core::topic::matches(filter.filter(), message.topic()))
        };
        let Some(seldom) = &mut self.seldom else { return };
        let (claimed, waiting): (Vec<_>, Vec<_>) =
            seldom.unclaimed.drain(..).partition(|(message, ..)| matches(message));
        seldom.unclaimed = waiting;
        for (mut message, token, _) in claimed {
            message.token = Some(token);
            self.queue(key, message, self.now);
        }
    }

    /// A policy dropped a queued message: its hold goes with it.
    pub(crate) fn discard(&mut self, dropped: Option<Message>) {
        let Some(message) = dropped else { return };
        if let Some(token) = message.token {
            self.session.release(token, Release::Acknowledge);
        }
        self.deferred.drops.push(message);
    }

    pub(crate) fn give_up(&mut self, messages: impl IntoIterator<Item = Message>, release: Release) {
        for message in messages {
            if let Some(token) = message.token {
                self.session.release(token, release);
            }
            self.deferred.drops.push(message);
        }
    }

    /// The client is to end: what is accepted may be finished until then.
    pub(crate) fn end(&mut self, reason: Reason, drain_until: Instant) {
        if !self.is_over() {
            self.over = true;
            self.seldom().ending = Some(Ending { reason, drain_until, said: false });
            self.room.close(&mut self.deferred.wake);
            self.wake_task_for(WakesFor::Commands);
        }
    }

    /// How this message ended; if it has not, its owner is woken when it has.
    #[allow(
        clippy::inline_always,
        reason = "every acknowledged message: the calls would be a tenth of the whole"
    )]
    #[inline(always)]
    pub(crate) fn outcome(&mut self, ticket: Ticket, waker: &Waker) -> Option<session::Outcome> {
        let outcome = self.session.poll_outcome(ticket);
        if outcome.is_none() {
            self.receipts.wait(ticket, waker, &mut self.deferred.retired);
        }
        outcome
    }

    /// Nobody awaits the end of this message any more.
    pub(crate) fn forget(&mut self, ticket: Ticket) {
        // Otherwise its place may be another's by now.
        if self.session.stage(ticket).is_some() {
            self.deferred.retired.extend(self.receipts.take(ticket));
        }
        self.session.forget(ticket);
    }
}
