//! Which filters streams want: what handles ask for and take back, under the lock.

use packetboat_core::session::{AckToken, Release, SessionMode, SubscribeError, Tag};
use packetboat_core::topic::TopicFilter;
use packetboat_core::wire::PropertiesBuf;

use super::{
    Consumed, Inner, Key, PendingSubscribe, PendingUnsubscribe, RouteChange, Stream, WakesFor, Wanted,
};
use crate::End;
use crate::subscribe::Asking;

impl Inner {
    /// Open a stream on filters and ask the broker for them: all, or none if one cannot be asked for. The answers come in
    /// the slots returned.
    pub(crate) fn subscribe(
        &mut self,
        stream: Option<Stream>,
        filters: &[TopicFilter],
        asking: &Asking,
        detached: bool,
    ) -> Result<(Vec<Key>, Option<u32>), SubscribeError> {
        if self.is_over() {
            return Err(SubscribeError::Closed);
        }
        let mut answers = Vec::with_capacity(filters.len());
        for (done, filter) in filters.iter().enumerate() {
            match self.ask(filter, asking, detached) {
                Ok(answer) => answers.push(answer),
                Err(error) => {
                    for (filter, answer) in filters.iter().take(done).zip(answers) {
                        self.session.unsubscribe(filter, Tag::NONE);
                        answer.and_then(|answer| self.subscribes.remove(answer));
                    }
                    return Err(error);
                }
            }
        }
        let stream = stream.map(|stream| self.streams.insert(stream));
        for (filter, answer) in filters.iter().zip(&answers) {
            if let Some(key) = stream {
                self.routes.push(RouteChange::Insert(filter.clone(), key));
            }
            if let Some(pending) = answer.and_then(|answer| self.subscribes.get_mut(answer)) {
                pending.stream = stream.map(|key| (key, filter.clone()));
            }
        }
        let answers = answers.into_iter().flatten().collect();
        self.drain_events();
        self.wake_task_for(WakesFor::Commands);
        Ok((answers, stream))
    }

    /// Ask the broker for a filter, or take part in what it is asked for already. The answer, if there will be one, comes in
    /// the slot returned.
    fn ask(
        &mut self,
        filter: &TopicFilter,
        asking: &Asking,
        detached: bool,
    ) -> Result<Option<Key>, SubscribeError> {
        let options = asking.options();
        if detached && !asking.retained && self.session.join(filter, options) {
            return Ok(None);
        }
        let tag = Tag::from(self.subscribes.vacant());
        self.session.subscribe_with(filter, options, asking.properties.as_properties(), tag)?;
        Ok(Some(self.subscribes.insert(PendingSubscribe { detached, ..PendingSubscribe::default() })))
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

    /// A filter is wanted no more, by anybody. The answer comes in the slot returned.
    pub(crate) fn unsubscribe(
        &mut self,
        filter: &TopicFilter,
        properties: &PropertiesBuf,
    ) -> Result<Key, SubscribeError> {
        if !properties.is_empty() && !self.session.can_have_properties() {
            return Err(SubscribeError::NeedsVersion5);
        }
        let streams = self.lose_streams(filter, &End::Unsubscribed);
        let orphans = self.adopt(filter);
        for _ in 1..(streams + orphans) {
            self.session.unsubscribe(filter, Tag::NONE);
        }
        let answer = self.unsubscribes.insert(PendingUnsubscribe::default());
        self.session.unsubscribe_with(filter, properties.as_properties(), Tag::from(answer))?;
        self.drain_events();
        self.wake_task_for(WakesFor::Commands);
        Ok(answer)
    }

    /// A filter is no dropped stream's any more. Of how many it was.
    pub(super) fn adopt(&mut self, filter: &TopicFilter) -> usize {
        let Some(seldom) = &mut self.seldom else { return 0 };
        let before = seldom.orphans.len();
        seldom.orphans.retain(|orphan| orphan != filter);
        before - seldom.orphans.len()
    }

    /// A filter is subscribed no more, and the streams that had it end. How many these are.
    pub(crate) fn lose_streams(&mut self, filter: &TopicFilter, end: &End) -> usize {
        let have = self.streams.open().filter(|(_, stream)| stream.place_of(filter).is_some());
        let keys: Vec<_> = have.map(|(key, _)| key).collect();
        for &key in &keys {
            self.lose(key, filter, end.clone());
        }
        keys.len()
    }

    /// One of a stream's filters is subscribed no more.
    pub(crate) fn lose(&mut self, key: u32, filter: &TopicFilter, end: End) {
        if self.streams.lose(key, filter, end, &mut self.deferred.wake) {
            self.routes.push(RouteChange::Remove(Some(filter.clone()), key));
            self.wake_task_for(WakesFor::Commands);
        }
    }

    /// One more filter for a standing stream.
    pub(crate) fn add_filter(
        &mut self,
        key: u32,
        filter: &TopicFilter,
        asking: &Asking,
    ) -> Result<(), SubscribeError> {
        if self.is_over() {
            return Err(SubscribeError::Closed);
        }
        if self.streams.get(key).is_none_or(|stream| stream.place_of(filter).is_some()) {
            return Ok(());
        }
        let answer = self.ask(filter, asking, true)?;
        if let Some(pending) = answer.and_then(|answer| self.subscribes.get_mut(answer)) {
            pending.stream = Some((key, filter.clone()));
        }
        // Taken back a moment ago, its route still stands, and is to stand.
        let is_it = |route: &mut (TopicFilter, u32)| route.1 == key && route.0 == *filter;
        let stands = self.unsubscribes.values_mut().any(|pending| pending.route.take_if(is_it).is_some());
        self.streams.add(key, filter, !stands);
        if !stands {
            self.routes.push(RouteChange::Insert(filter.clone(), key));
        }
        self.drain_events();
        self.wake_task_for(WakesFor::Commands);
        Ok(())
    }

    /// One filter less for a standing stream. False: it does not have it.
    pub(crate) fn remove_filter(&mut self, key: u32, filter: &TopicFilter) -> bool {
        let Some(stream) = self.streams.get_mut(key) else { return false };
        let Some(place) = stream.place_of(filter) else { return false };
        stream.filters.remove(place);
        // What the broker says to an earlier request is no news for a later one.
        for pending in self.subscribes.values_mut() {
            pending.stream.take_if(|(stream, other)| *stream == key && other == filter);
        }
        self.take_back(key, filter);
        self.wake_task_for(WakesFor::Commands);
        true
    }

    /// A stream no longer wants a filter. Its route stands until UNSUBACK, so that what is still on its way is known to be
    /// nobody's.
    fn take_back(&mut self, key: u32, filter: &TopicFilter) {
        if self.closed {
            return self.routes.push(RouteChange::Remove(Some(filter.clone()), key));
        }
        let route = Some((filter.clone(), key));
        let slot = PendingUnsubscribe { route, detached: true, ..PendingUnsubscribe::default() };
        let answer = self.unsubscribes.insert(slot);
        self.session.unsubscribe(filter, Tag::from(answer));
        self.drain_events();
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
        let filters = std::mem::take(&mut stream.filters);
        if filters.is_empty() && stream.lost.is_none() {
            self.left_everything = true;
            self.routes.push(RouteChange::Remove(None, key));
        }
        for Wanted { filter, subscribed } in filters {
            if subscribed && !persistent && !self.closed {
                self.take_back(key, &filter);
                continue;
            }
            if subscribed && !self.closed {
                self.seldom().orphans.push(filter.clone());
            }
            self.routes.push(RouteChange::Remove(Some(filter), key));
        }
        self.streams.free(key, &mut self.deferred.drops);
        self.wake_task_for(WakesFor::Commands);
    }
}
