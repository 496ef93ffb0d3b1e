//! What handles ask for, under the lock.

use std::cmp::Reverse;
use std::task::Waker;

use packetboat_core::session::{
    self, AckToken, Outgoing, PublishError, Release, SessionMode, SubscribeError, Tag, Ticket,
};
use packetboat_core::time::Instant;
use packetboat_core::topic::TopicFilter;
use packetboat_core::wire::{Properties, PropertiesBuf, QoS, Reason, SubscribeOptions};

use super::{
    Consumed, Ending, Held, Inner, Key, Limit, Locked, PendingSubscribe, PendingUnsubscribe, RouteChange,
    Stream, WakesFor,
};
use crate::{End, Message, QueuePolicy};

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
        let now = self.time();
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
        self.limits.push(Reverse((at, limit)));
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
        let queue = self.session.queue();
        if queue.bytes >= self.queue_bytes.max(1) {
            0
        } else {
            self.queue_messages.saturating_sub(queue.messages)
        }
    }

    /// Give places to those who wait, once a quarter is free.
    pub(crate) fn grant_room(&mut self) {
        if self.room.is_empty() {
            return;
        }
        let free = self.free();
        if free > 0 && (free >= self.queue_messages / 4 || self.session.queue().messages == 0) {
            self.room.grant(free, &mut self.deferred.wake);
        }
    }

    /// Nobody stands in line for room in the queue.
    pub(crate) fn never_waits(&self) -> bool {
        self.settings.options.queue_policy == QueuePolicy::Reject
    }

    /// The connection about to open is not with the server that has the session.
    pub(crate) fn is_elsewhere(&self) -> bool {
        !self.shared_sessions && self.home.as_ref().is_some_and(|home| !home.is_same(&self.server))
    }

    /// Nothing is accepted any more.
    pub(crate) fn is_over(&self) -> bool {
        self.ending.is_some() || self.closed
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
            let filter = stream.filter.clone();
            self.tell(&crate::Event::Dropped { filter, messages });
        }
    }

    /// Acknowledgements may have been encoded, or not: their turn may not have come.
    fn wake_task_if_output(&mut self) {
        if self.session.unwritten() > 0 {
            self.wake_task_for(WakesFor::Everything);
        }
    }

    /// Open a stream on a filter and ask the broker for it. The answer comes in the slot returned.
    pub(crate) fn subscribe(
        &mut self,
        stream: Option<Stream>,
        filter: &TopicFilter,
        options: SubscribeOptions,
        properties: &PropertiesBuf,
        detached: bool,
    ) -> Result<(Key, Option<u32>), SubscribeError> {
        if self.is_over() {
            return Err(SubscribeError::Closed);
        }
        let answer = self.subscribes.vacant();
        let properties = properties.as_properties();
        self.session.subscribe_with(filter, options, properties, Tag::from(answer))?;
        let stream = stream.map(|mut stream| {
            stream.subscribed = true;
            self.streams.insert(stream)
        });
        if let Some(key) = stream {
            self.routes.push(RouteChange::Insert(filter.clone(), key));
        }
        self.subscribes.insert(PendingSubscribe { stream, detached, ..PendingSubscribe::default() });
        self.drain_events();
        self.wake_task_for(WakesFor::Commands);
        Ok((answer, stream))
    }

    /// A stream of everything.
    pub(crate) fn everything(&mut self, stream: Stream) -> u32 {
        let key = self.streams.insert(stream);
        if self.closed {
            self.streams.end(key, End::Disconnected, &mut self.deferred.wake);
        }
        self.left_everything = false;
        self.routes.push(RouteChange::InsertAll(key));
        self.wake_task_for(WakesFor::Commands);
        key
    }

    /// Messages of a resumed session that waited for this stream.
    pub(crate) fn claim(&mut self, key: u32, filter: Option<&TopicFilter>) {
        let matches = |message: &Message| {
            filter.is_none_or(|filter| packetboat_core::topic::matches(filter.filter(), message.topic()))
        };
        let (claimed, waiting): (Vec<_>, Vec<_>) =
            self.unclaimed.waiting.drain(..).partition(|(message, ..)| matches(message));
        self.unclaimed.waiting = waiting;
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

    /// A filter is wanted no more, by anybody. The answer comes in the slot returned.
    pub(crate) fn unsubscribe(
        &mut self,
        filter: &TopicFilter,
        properties: &PropertiesBuf,
    ) -> Result<Key, SubscribeError> {
        if !properties.is_empty() && !self.session.can_have_properties() {
            return Err(SubscribeError::NeedsVersion5);
        }
        let of_filter = |stream: &Stream| stream.subscribed && stream.filter.as_ref() == Some(filter);
        let streams: Vec<u32> =
            self.streams.open().filter(|(_, stream)| of_filter(stream)).map(|(key, _)| key).collect();
        let orphans = self.orphans.iter().filter(|orphan| *orphan == filter).count();
        self.orphans.retain(|orphan| orphan != filter);
        for &key in &streams {
            self.streams.end(key, End::Unsubscribed, &mut self.deferred.wake);
        }
        for _ in 1..(streams.len() + orphans) {
            self.session.unsubscribe(filter, Tag::NONE);
        }
        let answer = self.unsubscribes.insert(PendingUnsubscribe::default());
        self.session.unsubscribe_with(filter, properties.as_properties(), Tag::from(answer))?;
        self.drain_events();
        self.wake_task_for(WakesFor::Commands);
        Ok(answer)
    }

    /// A stream's owner is gone. What it held is released: acknowledged, unless a later process is to have it.
    pub(crate) fn close_stream(
        &mut self,
        key: u32,
        held: &mut Vec<AckToken>,
        consumed: Consumed,
        manual: bool,
        session: SessionMode,
    ) {
        let persistent = matches!(session, SessionMode::Persistent { .. });
        self.session.release_all(held.drain(..));
        let (queue, resumed) = self.streams.close(key, consumed);
        self.give_up(queue, if persistent || manual { Release::Abandon } else { Release::Acknowledge });
        if resumed {
            self.wake_task_for(WakesFor::Commands);
        }
        let Some(stream) = self.streams.get_mut(key) else { return };
        let (filter, subscribed) = (stream.filter.clone(), std::mem::take(&mut stream.subscribed));
        match (&filter, subscribed) {
            // Its route stands until UNSUBACK, so that what is still on its way is known to be nobody's.
            (Some(filter), true) if !persistent && !self.closed => {
                let slot = PendingUnsubscribe {
                    streams: vec![key],
                    detached: true,
                    ..PendingUnsubscribe::default()
                };
                let answer = self.unsubscribes.insert(slot);
                self.session.unsubscribe(filter, Tag::from(answer));
                self.drain_events();
            }
            (filter, subscribed) => {
                if let (Some(filter), true) = (filter, subscribed) {
                    self.orphans.push(filter.clone());
                }
                self.left_everything |= filter.is_none();
                self.routes.push(RouteChange::Remove(filter.clone(), key));
            }
        }
        self.wake_task_for(WakesFor::Commands);
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
        if self.ending.is_none() && !self.closed {
            self.ending = Some(Ending { reason, drain_until, said: false });
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
        self.session.forget(ticket);
        self.deferred.retired.extend(self.receipts.take(ticket));
    }
}
