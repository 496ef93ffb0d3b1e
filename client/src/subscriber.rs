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

use crate::shared::{Consumed, Handle};
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
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
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
    pub(crate) answer: Option<Answer>,
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
    ) -> Self {
        let window = usize::from(handle.shared.settings().options.inbound_messages).min(capacity);
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
            answer: None,
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
            let Some(message) = self.local.pop_front() else { break };
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

    /// The filter; `None` for [`Client::messages`](crate::Client::messages).
    #[must_use]
    pub fn filter(&self) -> Option<TopicFilter> {
        self.handle.shared.lock().streams.get(self.key)?.filter.clone()
    }

    /// The QoS the broker granted, if it was waited for.
    #[must_use]
    pub fn granted(&self) -> Option<QoS> {
        self.answer.as_ref().map(Answer::granted)
    }

    /// What the broker said when the filter was subscribed, if that was waited for.
    #[must_use]
    pub fn answer(&self) -> Option<&Answer> {
        self.answer.as_ref()
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

    /// Unsubscribes the filter: all streams on it end. The stream of [`Client::messages`](crate::Client::messages) has
    /// none to unsubscribe.
    pub async fn unsubscribe(self) -> Result<(), SubscribeError> {
        let Some(filter) = self.filter() else { return Ok(()) };
        Unsubscribe::new(&self.handle, filter.as_str(), PropertiesBuf::new()).await.map(drop)
    }

    pub(crate) fn poll_message(&mut self, cx: &Context<'_>) -> Poll<Option<Message>> {
        self.finish_current();
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
        let message = self.local.pop_front();
        Poll::Ready(message.map(|message| self.yielded(message)))
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
        let session = inner.settings.options.session;
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
