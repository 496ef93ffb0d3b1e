//! What the session says, passed on to those it concerns.

use std::cmp::Reverse;
use std::time::Duration;

use packetboat_core::session::{self, Arrival, Cause, Release, SessionMode, Tag, Verdict};
use packetboat_core::time::Instant;
use packetboat_core::topic::TopicFilter;
use packetboat_core::wire::{QoS, Reason};

use super::{Inner, Key, Limit, RouteChange, WakesFor, Welcome};
use crate::events::Connected;
use crate::{Answer, End, Event, Message, PingError, ReauthenticateError, State};

/// An unclaimed message waits so long for a stream.
const CLAIM_TIME: Duration = Duration::from_secs(10);

impl Inner {
    /// To be called after everything that may have made the session say something.
    #[allow(
        clippy::inline_always,
        reason = "every acknowledged message: the calls would be a tenth of the whole"
    )]
    #[inline(always)]
    pub(crate) fn drain_events(&mut self) {
        while let Some(event) = self.session.poll_event() {
            match event {
                session::Event::Finished { ticket } => self.deferred.wake.extend(self.receipts.take(ticket)),
                event => self.on_event(event),
            }
        }
    }

    /// Where the client stands now.
    pub(crate) fn state(&self) -> State {
        match &self.halted {
            Some(state) => (**state).clone(),
            None => self.connected().map_or(State::Connecting, State::Connected),
        }
    }

    /// What the broker said when it accepted the connection.
    pub(crate) fn connected(&self) -> Option<Connected> {
        let Welcome { client_id, session_present, properties } = self.welcome.as_ref()?;
        Some(Connected {
            server: self.server.clone(),
            version: self.session.version(),
            session_present: *session_present,
            limits: *self.session.limits(),
            client_id: client_id.clone(),
            properties: properties.as_deref().cloned().unwrap_or_default(),
        })
    }

    /// The client stands elsewhere from now on: tell those who watch.
    pub(crate) fn stands(&mut self, state: State) {
        let halted = !matches!(state, State::Connecting | State::Connected(_));
        self.halted = halted.then(|| Box::new(state.clone()));
        self.deferred.rare().state = Some(state);
    }

    pub(crate) fn tell(&mut self, event: &Event) {
        self.listeners.tell(event, &mut self.deferred);
    }

    #[inline(never)]
    fn on_event(&mut self, event: session::Event) {
        match event {
            session::Event::Subscribed { tag, reason, properties } => {
                self.on_subscribed(tag, Answer::new(reason, properties));
            }
            session::Event::Unsubscribed { tag, reason, properties } => {
                self.on_unsubscribed(tag, Answer::new(reason, properties));
            }
            session::Event::SubscriptionLost { filter, reason } => {
                self.lose_streams(&filter, &End::Refused(reason));
                self.adopt(&filter);
                self.tell(&Event::SubscriptionLost { filter, reason });
            }
            session::Event::Poison { topic, qos, size, connections, .. } => {
                self.tell(&Event::Poison { topic, qos, size, connections });
            }
            session::Event::Held { id, qos, waiting } => {
                self.tell(&Event::Held { packet_id: id, qos, waiting });
            }
            session::Event::Abandoned { messages, window } => {
                self.tell(&Event::Abandoned { messages, window });
            }
            session::Event::ProbeAnswered { probe } => self.end_pings(|number| number <= probe, Ok(())),
            session::Event::SubscriptionsRestored => self.tell(&Event::SubscriptionsRestored),
            session::Event::Dropped { messages } => {
                // Told by the task, so that a flood makes few events.
                self.queue_dropped += messages;
                self.wake_task_for(WakesFor::Commands);
            }
            session::Event::Connected { session_present, properties, .. } => {
                if session_present {
                    // QoS 1 comes again, from the first that was not acknowledged; what nobody has taken is forgotten,
                    // or it would pile up and arrive out of order. QoS 2 does not come again.
                    let repeated = |message: &Message| message.qos() == QoS::AtLeastOnce;
                    self.streams.forget(repeated, &mut self.deferred.drops);
                }
                let assigned = properties.as_properties().assigned_client_identifier();
                if let Some(assigned) = assigned.filter(|id| !id.is_empty()) {
                    self.client_id = assigned.into();
                }
                let properties = (!properties.is_empty()).then(|| Box::new(properties));
                self.welcome =
                    Some(Welcome { client_id: self.client_id.clone(), session_present, properties });
            }
            session::Event::Authentication { reason: Reason::SUCCESS, .. } => self.end_again(Ok(())),
            session::Event::Disconnected { cause, lost_qos0 } => {
                self.on_disconnected(cause, lost_qos0);
            }
            // A vocabulary that grows: what is not known here concerns nobody.
            #[allow(unreachable_patterns, reason = "the store's events come with the store")]
            _ => {}
        }
    }

    fn on_disconnected(&mut self, cause: Cause, lost_qos0: usize) {
        self.end_again(Err(ReauthenticateError::Disconnected));
        self.end_pings(|_| true, Err(PingError::Disconnected));
        self.welcome = None;
        self.ended = Some(Box::new((cause, lost_qos0)));
        // The broker delivers QoS 1 again; QoS 2 it does not, while the session lasts.
        if let Some(seldom) = &mut self.seldom {
            seldom.unclaimed.retain(|(message, ..)| message.qos() == QoS::ExactlyOnce);
        }
        for flush in self.flushes.values_mut() {
            flush.target = None;
        }
    }

    fn on_subscribed(&mut self, tag: Tag, answer: Answer) {
        let key = Key::from(tag);
        let Some(pending) = self.subscribes.get_mut(key) else { return };
        let (stream, detached, reason) = (pending.stream.take(), pending.detached, answer.reason);
        pending.answer = Some(Box::new(answer));
        self.deferred.wake.extend(pending.waker.take());
        if detached {
            self.subscribes.remove(key);
        }
        if let Some((stream, filter)) = stream.filter(|_| reason.is_error()) {
            self.lose(stream, &filter, End::Refused(reason));
        }
    }

    fn on_unsubscribed(&mut self, tag: Tag, answer: Answer) {
        let key = Key::from(tag);
        let Some(pending) = self.unsubscribes.get_mut(key) else { return };
        let route = pending.route.take();
        pending.answer = Some(answer);
        self.deferred.wake.extend(pending.waker.take());
        if pending.detached {
            self.unsubscribes.remove(key);
        }
        if let Some((filter, stream)) = route {
            self.routes.push(RouteChange::Remove(Some(filter), stream));
        }
        self.wake_task_for(WakesFor::Commands);
    }

    fn end_streams(&mut self, end: &End) {
        let open: Vec<u32> = self.streams.open().map(|(key, _)| key).collect();
        for key in open {
            self.streams.end(key, end.clone(), &mut self.deferred.wake);
        }
    }

    /// A message arrived for these streams. `make` makes its handle; it shares the memory.
    #[inline]
    pub(crate) fn on_message(
        &mut self,
        id: Option<u16>,
        keys: &[u32],
        several: &mut Vec<u32>,
        message: Message,
    ) {
        let (qos, now) = (message.qos(), self.now);
        if qos == QoS::AtMostOnce {
            let Some((&first, rest)) = keys.split_first() else {
                self.unclaimed += 1;
                return;
            };
            for &key in rest {
                if self.streams.takes(key, qos) {
                    self.queue(key, message.clone(), now);
                }
            }
            if self.streams.takes(first, qos) {
                self.queue(first, message, now);
            }
            return;
        }
        let takers = if let [key] = keys {
            &keys[..self.streams.takes(*key, qos).into()]
        } else {
            several.clear();
            several.extend(keys.iter().filter(|key| self.streams.takes(**key, qos)));
            several.as_slice()
        };
        self.on_acknowledged_message(id, keys, takers, message);
    }

    fn on_acknowledged_message(
        &mut self,
        id: Option<u16>,
        keys: &[u32],
        takers: &[u32],
        mut message: Message,
    ) {
        let (qos, now) = (message.qos(), self.now);
        let waits = keys.is_empty() && self.may_wait();
        let left = takers.is_empty() && !waits && self.is_for_later(message.topic());
        let holders = u16::try_from(takers.len()).unwrap_or(u16::MAX) + u16::from(waits || left);
        let Verdict::Deliver(token) = self.session.handle_publish(Arrival { qos, id, holders }) else {
            return;
        };
        if let (true, Some(token)) = (waits, token) {
            return self.seldom().unclaimed.push((message, token, now + CLAIM_TIME));
        }
        if let (true, Some(token)) = (left, token) {
            self.session.release(token, Release::Abandon);
            return self.deferred.drops.push(message);
        }
        self.unclaimed += u64::from(keys.is_empty());
        if let Some((&last, rest)) = takers.split_last() {
            for &key in rest {
                let mut copy = message.clone();
                copy.token = token;
                self.queue(key, copy, now);
            }
            message.token = token;
            self.queue(last, message, now);
        }
    }

    pub(crate) fn queue(&mut self, key: u32, message: Message, now: Instant) {
        let dropped = self.streams.push(key, message, now, &mut self.deferred.wake);
        if dropped.is_some() {
            self.discard(dropped);
        }
    }

    /// Nobody takes it here any more, but the session stays: it is not acknowledged, so that it comes again to whoever
    /// goes on with the session.
    fn is_for_later(&self, topic: &str) -> bool {
        let orphaned = |filter: &TopicFilter| packetboat_core::topic::matches(filter.filter(), topic);
        self.persistent
            && (self.left_everything
                || self
                    .seldom
                    .as_ref()
                    .is_some_and(|seldom| seldom.ending.is_some() || seldom.orphans.iter().any(orphaned)))
    }

    /// Only a resumed session delivers before the application has subscribed.
    fn may_wait(&self) -> bool {
        self.welcome.as_ref().is_some_and(|welcome| welcome.session_present)
            && self.seldom.as_ref().map_or(0, |seldom| seldom.unclaimed.len()) < self.unclaimed_maximum()
    }

    fn unclaimed_maximum(&self) -> usize {
        usize::from(self.inbound_window) / 2
    }

    /// What is due by the clock. Returns when to look again.
    pub(crate) fn on_time(&mut self, now: Instant) -> Option<Instant> {
        let next = self.on_seldom(now);
        if self.queue_dropped > 0 {
            let messages = std::mem::take(&mut self.queue_dropped);
            self.tell(&Event::QueueDropped(messages));
        }
        if self.unclaimed > 0 {
            let count = std::mem::take(&mut self.unclaimed);
            self.tell(&Event::Unclaimed(count));
        }
        next
    }

    /// Time limits, and messages that nobody claimed in time.
    fn on_seldom(&mut self, now: Instant) -> Option<Instant> {
        let seldom = self.seldom.as_mut()?;
        while let Some(Reverse((at, limit))) = seldom.limits.peek().copied() {
            if at > now {
                break;
            }
            seldom.limits.pop();
            match limit {
                Limit::Room(key) => self.room.wake(key, &mut self.deferred.wake),
                Limit::Receipt(ticket) => {
                    self.deferred.wake.extend(self.receipts.waker(ticket).cloned());
                }
            }
        }
        let expired = seldom.unclaimed.iter().take_while(|(_, _, until)| *until <= now).count();
        for (message, token, _) in seldom.unclaimed.drain(..expired) {
            self.session.release(token, Release::Acknowledge);
            self.unclaimed += 1;
            self.deferred.drops.push(message);
        }
        let limit = seldom.limits.peek().map(|Reverse((at, _))| *at);
        let claim = seldom.unclaimed.first().map(|(_, _, until)| *until);
        [limit, claim].into_iter().flatten().min()
    }

    /// Those who flush: everything accepted is encoded, and the socket took it.
    pub(crate) fn settle_flushes(&mut self) {
        if self.flushes.len() == 0 {
            return;
        }
        let encoded = self.session.queue().messages == 0;
        let (position, written) = (self.session.position(), self.session.written());
        for flush in self.flushes.values_mut() {
            if flush.target.is_none() && encoded {
                flush.target = Some(position);
            }
            if flush.target.is_some_and(|target| written >= target) {
                flush.done = true;
                self.deferred.wake.extend(flush.waker.take());
            }
        }
    }

    /// The task is gone: whoever waits for anything learns it now.
    pub(crate) fn close(&mut self, end: &End, session: SessionMode) {
        if self.closed {
            return;
        }
        (self.closed, self.over) = (true, true);
        self.end_pings(|_| true, Err(PingError::Closed));
        let queue = self.session.queue();
        self.seldom().undelivered = queue.messages + queue.in_flight;
        let wake = &mut self.deferred.wake;
        self.receipts.close(wake);
        wake.extend(self.subscribes.values_mut().filter_map(|pending| pending.waker.take()));
        wake.extend(self.unsubscribes.values_mut().filter_map(|pending| pending.waker.take()));
        wake.extend(self.flushes.values_mut().filter_map(|flush| flush.waker.take()));
        self.room.close(wake);
        self.listeners.wake_all(wake);
        self.end_streams(end);
        if matches!(session, SessionMode::Persistent { .. }) {
            // A later process gets them.
            self.streams.forget(|message| message.token.is_some(), &mut self.deferred.drops);
        }
        if let Some(seldom) = &mut self.seldom {
            self.deferred.wake.append(&mut seldom.end_waiters);
            self.deferred.drops.extend(seldom.unclaimed.drain(..).map(|(message, ..)| message));
        }
        self.stands(State::Closed);
    }
}
