//! Subscribing.

mod many;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::task::{Context, Poll};

use packetboat_core::topic::{TopicError, TopicFilter};
use packetboat_core::wire::{Place, PropertiesBuf, Property, QoS, RetainHandling, SubscribeOptions};

use crate::shared::{Handle, Inner, Key, Stream, remember};
use crate::{Answer, StreamPolicy, SubscribeError, Subscriber};

pub use many::SubscribeMany;

/// A subscription to be made; comes from [`Client::subscription`](crate::Client::subscription). Awaiting it asks the
/// broker, waits for the answer (over as many connections as that takes, unless there is a
/// [`timeout`](Subscription::timeout)) and gives the stream.
///
/// Dropped before that, the filter is unsubscribed again.
///
/// What is marked (5.0) has no counterpart on 3.1.1. Under a client that is fixed to 3.1.1 it is an error
/// ([`NeedsVersion5`](crate::SubscribeRejectReason::NeedsVersion5)), and a connection that turns out to be 3.1.1 refuses it
/// ([`Reason::UNSUPPORTED_PROTOCOL_VERSION`](crate::Reason::UNSUPPORTED_PROTOCOL_VERSION)): a subscription without it would be
/// another one. Subscription identifiers are assigned by the client where the broker takes them, and used to tell apart the
/// copies of overlapping filters; without them, as on 3.1.1, each copy goes to every stream whose filter matches.
#[must_use = "a subscription is made when it is awaited"]
pub struct Subscription<'a> {
    pub(crate) handle: &'a Arc<Handle>,
    filter: Result<TopicFilter, TopicError>,
    options: SubscribeOptions,
    properties: PropertiesBuf,
    policy: StreamPolicy,
    capacity: Option<usize>,
    manual: bool,
    asked: Option<(Key, Option<Subscriber>)>,
}

impl<'a> Subscription<'a> {
    pub(crate) fn new(handle: &'a Arc<Handle>, filter: &str) -> Self {
        Self {
            handle,
            filter: TopicFilter::new(filter),
            options: SubscribeOptions::from(QoS::ExactlyOnce),
            properties: PropertiesBuf::new(),
            policy: StreamPolicy::default(),
            capacity: None,
            manual: false,
            asked: None,
        }
    }

    /// The highest delivery guarantee wanted. Default: QoS 2, so that messages come as they were published.
    pub fn qos(mut self, qos: QoS) -> Self {
        self.options.qos = qos;
        self
    }

    /// Leave out what this client publishes itself (5.0). Default: false.
    pub fn no_local(mut self, no_local: bool) -> Self {
        self.options.no_local = no_local;
        self
    }

    /// Keep the retain flag as it was published (5.0). Default: false.
    pub fn retain_as_published(mut self, keep: bool) -> Self {
        self.options.retain_as_published = keep;
        self
    }

    /// Which retained messages are wanted (5.0). Default: all.
    pub fn retain_handling(mut self, handling: RetainHandling) -> Self {
        self.options.retain_handling = handling;
        self
    }

    /// User properties of its SUBSCRIBE (5.0); the subscription identifier is not yours to set. They go along again when
    /// the filter is subscribed anew after a reconnect. Default: none.
    pub fn properties(mut self, mut properties: PropertiesBuf) -> Self {
        properties.keep_only(Place::Subscribe).remove(Property::SubscriptionIdentifier);
        self.properties = properties;
        self
    }

    /// What happens when the stream is full. Default: [`StreamPolicy::Wait`].
    pub fn policy(mut self, policy: StreamPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Messages the stream holds: with [`StreamPolicy::Wait`] QoS 0 ones, since the others are bounded by what is not
    /// acknowledged. Default: the client's [`inbound`](crate::Options::inbound) bound.
    pub fn capacity(mut self, messages: usize) -> Self {
        self.capacity = Some(messages);
        self
    }

    /// Messages are acknowledged by [`Message::ack`](crate::Message::ack) and
    /// [`Message::reject`](crate::Message::reject), not by taking the next one.
    pub fn manual_ack(mut self) -> Self {
        self.manual = true;
        self
    }

    /// The stream at once, without waiting for the broker: before there is a connection, for example. If the broker
    /// refuses the filter the stream ends, and [`Subscriber::end`] says so.
    pub fn stream(mut self) -> Result<Subscriber, SubscribeError> {
        let (_, subscriber) = self.ask(true, true)?;
        subscriber.ok_or(SubscribeError::Closed)
    }

    /// Ask for the filter without a stream of its own: its messages are for [`Client::messages`](crate::Client::messages).
    /// The filter stays subscribed until [`Client::unsubscribe`](crate::Client::unsubscribe). Gives the broker's
    /// answer.
    pub fn to_messages(self) -> ToMessages<'a> {
        ToMessages(self)
    }

    pub(crate) fn handle(&self) -> &Arc<Handle> {
        self.handle
    }

    fn ask(&mut self, with_stream: bool, detached: bool) -> Asked {
        let mut draft = self.draft(with_stream)?;
        let asked = self.submit(&mut self.handle.shared.lock(), &mut draft, detached);
        self.finish(draft, asked)
    }

    /// What can be done without the lock.
    fn draft(&self, with_stream: bool) -> Result<Draft, SubscribeError> {
        let filter = self.filter.clone().map_err(SubscribeError::Filter)?;
        let capacity = self.capacity.unwrap_or(self.handle.shared.settings().options.inbound_messages.into());
        let stream = with_stream.then(|| Stream::new(Some(filter.clone()), self.policy, capacity));
        Ok(Draft { filter, capacity, progress: stream.as_ref().map(Stream::progress), stream })
    }

    fn submit(
        &self,
        inner: &mut Inner,
        draft: &mut Draft,
        detached: bool,
    ) -> Result<(Key, Option<u32>), SubscribeError> {
        let stream = draft.stream.take();
        let asked = inner.subscribe(stream, &draft.filter, self.options, &self.properties, detached);
        let asked = asked.map_err(|error| match error {
            packetboat_core::session::SubscribeError::Closed => SubscribeError::Closed,
            other => SubscribeError::Rejected(other),
        })?;
        if asked.1.is_none() {
            inner.orphans.push(draft.filter.clone());
        }
        Ok(asked)
    }

    fn finish(&self, draft: Draft, asked: Result<(Key, Option<u32>), SubscribeError>) -> Asked {
        let (answer, key) = asked?;
        let Draft { progress, capacity, .. } = draft;
        let subscriber = key.zip(progress).map(|(key, progress)| {
            Subscriber::new(self.handle.clone(), key, progress, self.manual, capacity)
        });
        Ok((answer, subscriber))
    }

    fn poll_subscriber(&mut self, cx: &Context<'_>) -> Poll<Result<Subscriber, SubscribeError>> {
        let Poll::Ready(answer) = self.poll_answer(true, cx) else { return Poll::Pending };
        let subscriber = self.asked.as_mut().and_then(|(_, subscriber)| subscriber.take());
        Poll::Ready(answer.and_then(|answer| {
            let mut subscriber = subscriber.ok_or(SubscribeError::Closed)?;
            subscriber.answer = Some(answer);
            Ok(subscriber)
        }))
    }

    fn poll_answer(&mut self, with_stream: bool, cx: &Context<'_>) -> Poll<Result<Answer, SubscribeError>> {
        if self.asked.is_none() {
            match self.ask(with_stream, false) {
                Ok(asked) => self.asked = Some(asked),
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        let Some((key, _)) = &self.asked else { return Poll::Pending };
        let mut guard = self.handle.shared.lock();
        let inner = &mut *guard;
        let closed = inner.closed;
        let Some(pending) = inner.subscribes.get_mut(*key) else {
            return Poll::Ready(Err(SubscribeError::Closed));
        };
        match pending.answer.take() {
            Some(Answer { reason, properties }) if reason.is_error() => {
                if let (false, Ok(filter)) = (with_stream, &self.filter)
                    && let Some(at) = inner.orphans.iter().position(|orphan| orphan == filter)
                {
                    inner.orphans.swap_remove(at);
                }
                Poll::Ready(Err(SubscribeError::Refused { reason, properties }))
            }
            Some(answer) => Poll::Ready(Ok(answer)),
            None if closed => Poll::Ready(Err(SubscribeError::Closed)),
            None => {
                remember(&mut pending.waker, cx.waker(), &mut inner.deferred.retired);
                Poll::Pending
            }
        }
    }
}

struct Draft {
    filter: TopicFilter,
    capacity: usize,
    stream: Option<Stream>,
    progress: Option<Arc<AtomicU32>>,
}

/// Where the answer will be, and the stream.
type Asked = Result<(Key, Option<Subscriber>), SubscribeError>;

impl Future for Subscription<'_> {
    type Output = Result<Subscriber, SubscribeError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.get_mut().poll_subscriber(cx)
    }
}

impl Drop for Subscription<'_> {
    fn drop(&mut self) {
        if let Some((key, _)) = &self.asked {
            let gone = self.handle.shared.lock().subscribes.remove(*key);
            drop(gone);
        }
    }
}

impl fmt::Debug for Subscription<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("filter", &self.filter)
            .field("options", &self.options)
            .field("manual", &self.manual)
            .finish_non_exhaustive()
    }
}

/// A subscription without a stream of its own; made by [`Subscription::to_messages`].
#[must_use = "a subscription is made when it is awaited"]
#[derive(Debug)]
pub struct ToMessages<'a>(pub(crate) Subscription<'a>);

impl Future for ToMessages<'_> {
    type Output = Result<Answer, SubscribeError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.get_mut().0.poll_answer(false, cx)
    }
}
