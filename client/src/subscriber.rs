//! The stream of messages of a subscription.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use packetboat_core::session::{AckToken, Release, SessionMode};
use packetboat_core::topic::TopicFilter;
use packetboat_core::wire::{PropertiesBuf, QoS, Reason};

use crate::copies::{Copies, Sieve};
use crate::shared::{Consumed, Handle};
use crate::subscribe::Asking;
use crate::{Answer, Message, SubscribeError, Unsubscribe};

/// What a stream does when it is full.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum StreamPolicy {
    /// The broker waits: QoS 1 and 2 by withheld acknowledgements, QoS 0 by not being read. If something of ours
    /// awaits the broker meanwhile and nobody takes from the stream for a second, QoS 0 messages are dropped after all
    /// ([`Event::Stalled`](crate::Event::Stalled)), or both sides would wait for ever.
    #[default]
    Wait,
    /// The oldest message makes room.
    DropOldest,
    /// The new message is dropped.
    DropNewest,
}

/// Why a stream ended.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum End {
    /// The client was disconnected, or its runtime shut down.
    Disconnected,
    /// The client gave up connecting.
    GaveUp,
    /// The broker refused the filter, at first or after a reconnect.
    Refused(Reason),
    /// The filter was unsubscribed.
    Unsubscribed,
}

/// No message came within the time limit. The stream goes on.
#[derive(Clone, Copy, Eq, PartialEq)]
#[non_exhaustive]
pub struct NothingCame {
    /// The limit.
    pub limit: Duration,
}

impl fmt::Display for NothingCame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no message came within {:?}", self.limit)
    }
}

impl std::error::Error for NothingCame {}

/// A stream of messages. It goes on across reconnects.
///
/// **Taking the next message acknowledges the previous one** (unless acknowledging is [manual]): a message that was
/// being worked on when the process died is delivered again. Dropping the stream acknowledges the last one and, unless
/// the session is a persistent one, unsubscribes the filter if this was its last stream.
///
/// ```no_run
/// # async fn example(mut readings: packetboat::Subscriber) {
/// while let Some(message) = readings.next().await {
///     println!("{}", message.topic());
/// }
/// println!("no more: {:?}", readings.end());
/// # }
/// ```
///
/// [manual]: crate::Subscription::manual_ack
pub struct Subscriber {
    handle: Arc<Handle>,
    key: u32,
    /// Taken under the lock all at once, given out one by one.
    local: VecDeque<Message>,
    /// Given out last; acknowledged when the next is asked for.
    current: Option<AckToken>,
    /// The rest of a batch given out last.
    held: Vec<AckToken>,
    /// To be acknowledged at the next occasion.
    done: Vec<AckToken>,
    consumed: Consumed,
    progress: Arc<AtomicU32>,
    batch: usize,
    manual: bool,
    pub(crate) answers: Vec<Answer>,
    /// What arrives and is not for its owner, if there may be such.
    sieve: Option<Box<Sieve>>,
    /// Of a standing stream: how its filters are asked for.
    pub(crate) asking: Option<Box<Asking>>,
    finished: bool,
}

/// Acknowledgements leave in batches of at most this.
const BATCH: usize = 64;

impl Subscriber {
    pub(crate) fn new(
        handle: Arc<Handle>,
        key: u32,
        progress: Arc<AtomicU32>,
        manual: bool,
        capacity: usize,
        filters: &[TopicFilter],
    ) -> Self {
        let window = usize::from(handle.shared.settings().options.choices.inbound_messages).min(capacity);
        Self {
            handle,
            key,
            local: VecDeque::new(),
            current: None,
            held: Vec::new(),
            done: Vec::new(),
            consumed: Consumed::default(),
            progress,
            batch: BATCH.min(window / 4).max(1),
            manual,
            answers: Vec::new(),
            sieve: Sieve::of(Copies::of(filters), false),
            asking: None,
            finished: false,
        }
    }

    /// The next message; `None` when the stream has ended. Safe to drop at any time: no message is lost.
    pub async fn next(&mut self) -> Option<Message> {
        poll_fn(|cx| self.poll_message(cx)).await
    }

    /// As [`next`](Self::next), but for no longer than this.
    pub async fn next_within(&mut self, limit: Duration) -> Result<Option<Message>, NothingCame> {
        tokio::time::timeout(limit, self.next()).await.map_err(|_| NothingCame { limit })
    }

    /// The messages that are there, at least one and at most `maximum`; none when the stream has ended. The whole batch
    /// counts as one message: asking again acknowledges it.
    pub async fn next_batch(&mut self, maximum: usize) -> Vec<Message> {
        let Some(first) = self.next().await else { return Vec::new() };
        let mut tokens: Vec<AckToken> = self.current.take().into_iter().collect();
        let mut batch = vec![first];
        while batch.len() < maximum {
            let Some(message) = self.pop() else { break };
            batch.push(self.yielded(message));
            tokens.extend(self.current.take());
        }
        // Acknowledged when the next is asked for, as a single message would be.
        self.current = tokens.pop();
        self.held.append(&mut tokens);
        batch
    }

    /// Runs `handler` for each message, one after the other, until the stream ends.
    pub async fn for_each(mut self, mut handler: impl AsyncFnMut(Message)) {
        while let Some(message) = self.next().await {
            handler(message).await;
        }
    }

    /// The filter, of several the first; `None` for [`Client::messages`](crate::Client::messages).
    #[must_use]
    pub fn filter(&self) -> Option<TopicFilter> {
        self.handle.shared.lock().streams.get(self.key)?.filter().cloned()
    }

    /// All its filters; none for [`Client::messages`](crate::Client::messages).
    #[must_use]
    pub fn filters(&self) -> Vec<TopicFilter> {
        let inner = self.handle.shared.lock();
        let filters = inner.streams.get(self.key).map(|stream| stream.filters.iter());
        filters.into_iter().flatten().map(|wanted| wanted.filter.clone()).collect()
    }

    /// The QoS the broker granted, if it was waited for; of several filters, the lowest.
    #[must_use]
    pub fn granted(&self) -> Option<QoS> {
        self.answers.iter().map(Answer::granted).min()
    }

    /// What the broker said when the filter was subscribed, if that was waited for; of several filters, for the first.
    #[must_use]
    pub fn answer(&self) -> Option<&Answer> {
        self.answers.first()
    }

    /// What the broker said for each of [`filters`](Self::filters), if that was waited for.
    #[must_use]
    pub fn answers(&self) -> &[Answer] {
        &self.answers
    }

    /// Why the stream has ended, if it has. Messages may still be in it.
    #[must_use]
    pub fn end(&self) -> Option<End> {
        self.handle.shared.lock().streams.get(self.key)?.end.clone()
    }

    /// Messages its policy has dropped so far.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.handle.shared.lock().streams.get(self.key).map_or(0, |stream| stream.dropped)
    }

    /// Unsubscribes its filters: all streams on them end. The stream of [`Client::messages`](crate::Client::messages) has
    /// none to unsubscribe.
    pub async fn unsubscribe(self) -> Result<(), SubscribeError> {
        let ask = |filter: TopicFilter| Unsubscribe::new(&self.handle, filter.as_str(), PropertiesBuf::new());
        // Asked for at once, and then waited for.
        let asked: Vec<_> = self.filters().into_iter().map(ask).collect();
        let mut result = Ok(());
        for unsubscribe in asked {
            result = result.and(unsubscribe.await.map(drop));
        }
        result
    }

    /// One more filter for a [standing](crate::Subscription::standing) stream, asked for with the options of its subscription
    /// and not waited for. One that it has already changes nothing.
    pub fn add_filter(&mut self, filter: &str) -> Result<(), SubscribeError> {
        let filter = TopicFilter::new(filter).map_err(SubscribeError::Filter)?;
        let Some(asking) = &self.asking else { return Err(SubscribeError::NotStanding) };
        let before = self.filters();
        let added = self.handle.shared.lock().add_filter(self.key, &filter, asking);
        added.map_err(|error| match error {
            packetboat_core::session::SubscribeError::Closed => SubscribeError::Closed,
            other => SubscribeError::Rejected(other),
        })?;
        self.go_on_from(&before);
        Ok(())
    }

    /// One filter less for a [standing](crate::Subscription::standing) stream; the broker is told if it was the last stream
    /// with it, in persistent sessions, too. What is on its way may still come. False: it did not have it.
    pub fn remove_filter(&mut self, filter: &str) -> Result<bool, SubscribeError> {
        let filter = TopicFilter::new(filter).map_err(SubscribeError::Filter)?;
        if self.asking.is_none() {
            return Err(SubscribeError::NotStanding);
        }
        let before = self.filters();
        let removed = self.handle.shared.lock().remove_filter(self.key, &filter);
        self.go_on_from(&before);
        Ok(removed)
    }

    /// The filters that a [standing](crate::Subscription::standing) stream has lost since this was last asked, since the
    /// broker refused them or somebody unsubscribed them. Whoever awaits a message is woken when one is lost.
    pub fn take_lost(&mut self) -> Vec<(TopicFilter, End)> {
        let mut inner = self.handle.shared.lock();
        let lost = inner.streams.get_mut(self.key).and_then(|stream| stream.lost.as_mut());
        let lost = lost.map(std::mem::take).unwrap_or_default();
        drop(inner);
        if !lost.is_empty() {
            self.go_on_from(&[]);
        }
        lost
    }

    /// The filters have changed.
    fn go_on_from(&mut self, before: &[TopicFilter]) {
        let filters = self.filters();
        if filters == before {
            return;
        }
        let sieve = self.sieve.get_or_insert_default();
        sieve.copies.get_or_insert_with(|| Copies::among(before)).go_on_with(&filters);
    }

    pub(crate) fn skip_retained(&mut self) {
        let copies = self.sieve.take().and_then(|sieve| sieve.copies);
        self.sieve = Sieve::of(copies, true);
    }

    pub(crate) fn poll_message(&mut self, cx: &Context<'_>) -> Poll<Option<Message>> {
        self.finish_current();
        loop {
            if self.local.is_empty() {
                if self.finished {
                    return Poll::Ready(None);
                }
                if !self.refill(cx) {
                    return if self.finished { Poll::Ready(None) } else { Poll::Pending };
                }
            } else if self.done.len() >= self.batch || self.consumed.messages >= self.batch {
                let consumed = std::mem::take(&mut self.consumed);
                self.handle.shared.lock().take(self.key, &mut self.done, consumed, None);
            }
            if let Some(message) = self.pop() {
                return Poll::Ready(Some(self.yielded(message)));
            }
        }
    }

    /// The next one in hand; what is a copy of an earlier one is done with.
    #[inline]
    fn pop(&mut self) -> Option<Message> {
        loop {
            let mut message = self.local.pop_front()?;
            let Some(sieve) = &mut self.sieve else { return Some(message) };
            if !sieve.holds_back(&message) {
                return Some(message);
            }
            self.consumed.add(&message);
            self.done.extend(message.token.take());
        }
    }

    /// What was given out last is done with.
    #[inline]
    fn finish_current(&mut self) {
        if !self.held.is_empty() {
            self.done.append(&mut self.held);
        }
        if let Some(token) = self.current.take() {
            self.done.push(token);
        }
    }

    /// Take all there is. False: there is nothing, for now or for ever.
    #[inline(never)]
    fn refill(&mut self, cx: &Context<'_>) -> bool {
        let consumed = std::mem::take(&mut self.consumed);
        let mut inner = self.handle.shared.lock();
        inner.take(self.key, &mut self.done, consumed, Some(&mut self.local));
        if !self.local.is_empty() {
            return true;
        }
        let inner = &mut *inner;
        match inner.streams.get_mut(self.key) {
            Some(stream) if stream.end.is_none() => stream.poll(cx.waker(), &mut inner.deferred.retired),
            _ => self.finished = true,
        }
        false
    }

    #[inline]
    fn yielded(&mut self, mut message: Message) -> Message {
        self.consumed.add(&message);
        self.progress.store(self.progress.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        if self.manual && message.token.is_some() {
            message.shared = Some(self.handle.shared.clone());
        } else {
            self.current = message.token.take();
        }
        message
    }
}

impl futures_core::Stream for Subscriber {
    type Item = Message;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        self.get_mut().poll_message(cx)
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.finish_current();
        let mut inner = self.handle.shared.lock();
        let session = inner.settings.options.choices.session;
        let unseen = std::mem::take(&mut self.local);
        let keeps = self.manual || matches!(session, SessionMode::Persistent { .. });
        for message in &unseen {
            self.consumed.add(message);
        }
        inner.give_up(unseen, if keeps { Release::Abandon } else { Release::Acknowledge });
        inner.close_stream(self.key, &mut self.done, self.consumed, keeps, session);
    }
}

impl fmt::Debug for Subscriber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscriber")
            .field("filter", &self.filter())
            .field("end", &self.end())
            .finish_non_exhaustive()
    }
}
