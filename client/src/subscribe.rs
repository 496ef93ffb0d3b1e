//! Subscribing.

mod many;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::task::{Context, Poll};

use packetboat_core::topic::{TopicError, TopicFilter};
use packetboat_core::wire::{Place, PropertiesBuf, Property, QoS, RetainHandling, SubscribeOptions};

use crate::shared::{Handle, Inner, Key, Stream, refuse_again, remember};
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
///
/// ```no_run
/// use packetboat::{QoS, StreamPolicy};
///
/// # async fn example(client: packetboat::Client) -> Result<(), Box<dyn std::error::Error>> {
/// let jobs = client
///     .subscription("$share/workers/jobs/#")
///     .qos(QoS::ExactlyOnce)
///     .manual_ack()
///     .capacity(100)
///     .policy(StreamPolicy::Wait)
///     .await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a subscription is made when it is awaited"]
pub struct Subscription<'a> {
    pub(crate) handle: &'a Arc<Handle>,
    filters: Result<Vec<TopicFilter>, TopicError>,
    asking: Asking,
    policy: StreamPolicy,
    capacity: Option<usize>,
    manual: bool,
    stands: bool,
    asked: Option<(Vec<Key>, Option<Subscriber>)>,
    ended: bool,
}

impl<'a> Subscription<'a> {
    pub(crate) fn new(handle: &'a Arc<Handle>, filter: &str) -> Self {
        Self {
            handle,
            filters: TopicFilter::new(filter).map(|filter| vec![filter]),
            asking: Asking {
                options: SubscribeOptions::from(QoS::ExactlyOnce),
                properties: PropertiesBuf::new(),
                retained: true,
            },
            policy: StreamPolicy::default(),
            capacity: None,
            manual: false,
            stands: false,
            asked: None,
            ended: false,
        }
    }

    /// One more filter for the same stream, which gets a message once, however many of its filters match: all are asked for
    /// with the same options, and the stream lives as long as the broker has all of them. One that is refused is an error,
    /// and the others are given back.
    ///
    /// The broker may send a copy for each filter that matches. Where it takes subscription identifiers (5.0) they and what
    /// the message says tell its copies from another message, and all but the first are acknowledged and left out; not for
    /// shared filters, whose messages are spread over several clients. Without identifiers, as on 3.1.1, nobody can tell:
    /// what the broker sends is what comes, and most send one copy.
    ///
    /// ```no_run
    /// # async fn example(client: packetboat::Client) -> Result<(), packetboat::SubscribeError> {
    /// let mut kitchen = client.subscription("+/kitchen/#").also("temperature/+/inside").await?;
    /// while let Some(message) = kitchen.next().await {
    ///     println!("{}", message.topic());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn also(mut self, filter: &str) -> Self {
        if let Ok(filters) = &mut self.filters {
            match TopicFilter::new(filter) {
                Ok(filter) if filters.contains(&filter) => {}
                Ok(filter) => filters.push(filter),
                Err(error) => self.filters = Err(error),
            }
        }
        self
    }

    /// The highest delivery guarantee wanted. Default: QoS 2, so that messages come as they were published.
    pub fn qos(mut self, qos: QoS) -> Self {
        self.asking.options.qos = qos;
        self
    }

    /// Leave out what this client publishes itself (5.0). Default: false.
    pub fn no_local(mut self, no_local: bool) -> Self {
        self.asking.options.no_local = no_local;
        self
    }

    /// Keep the retain flag as it was published (5.0). Default: false.
    pub fn retain_as_published(mut self, keep: bool) -> Self {
        self.asking.options.retain_as_published = keep;
        self
    }

    /// Whether retained messages are wanted. Without them they are acknowledged and left out, and a stream that does not wait
    /// for the broker ([`stream`](Self::stream), [`standing`](Self::standing)) takes part in what the client has subscribed
    /// already, without asking again. With [`retain_as_published`](Self::retain_as_published) nobody can tell retained messages
    /// from others when they come, and the broker is asked not to send them (5.0). Default: true.
    pub fn retained(mut self, wanted: bool) -> Self {
        self.asking.retained = wanted;
        self
    }

    /// Which retained messages are wanted (5.0). Default: all.
    pub fn retain_handling(mut self, handling: RetainHandling) -> Self {
        self.asking.options.retain_handling = handling;
        self
    }

    /// User properties of its SUBSCRIBE (5.0); the subscription identifier is not yours to set. They go along again when
    /// the filter is subscribed anew after a reconnect. Default: none.
    pub fn properties(mut self, mut properties: PropertiesBuf) -> Self {
        properties.keep_only(Place::Subscribe).remove(Property::SubscriptionIdentifier);
        self.asking.properties = properties;
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

    /// The stream at once, as [`stream`](Self::stream), but one that stands whatever becomes of its filters: those that the
    /// broker refuses are told by [`Subscriber::take_lost`], and others come and go by [`Subscriber::add_filter`] and
    /// [`Subscriber::remove_filter`]. So a stream's filters are changed without a message lost or doubled.
    ///
    /// ```no_run
    /// # async fn example(client: packetboat::Client) -> Result<(), packetboat::SubscribeError> {
    /// let mut rooms = client.subscription("temperature/kitchen").standing()?;
    /// rooms.add_filter("temperature/cellar")?;
    /// rooms.remove_filter("temperature/kitchen")?;
    /// while let Some(message) = rooms.next().await {
    ///     println!("{}", message.topic());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn standing(mut self) -> Result<Subscriber, SubscribeError> {
        self.stands = true;
        let asking = self.asking.clone();
        let mut subscriber = self.stream()?;
        subscriber.asking = Some(Box::new(asking));
        Ok(subscriber)
    }

    /// Ask for the filter without a stream of its own: its messages are for [`Client::messages`](crate::Client::messages).
    /// The filter stays subscribed until [`Client::unsubscribe`](crate::Client::unsubscribe). Gives the broker's
    /// answer; of several filters, that for the first.
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
        let filters = self.filters.clone().map_err(SubscribeError::Filter)?;
        let capacity =
            self.capacity.unwrap_or(self.handle.shared.settings().options.choices.inbound_messages.into());
        let stream = with_stream.then(|| {
            let mut stream = Stream::new(&filters, self.policy, capacity);
            stream.lost = self.stands.then(Vec::new);
            stream
        });
        Ok(Draft { filters, capacity, progress: stream.as_ref().map(Stream::progress), stream })
    }

    fn submit(
        &self,
        inner: &mut Inner,
        draft: &mut Draft,
        detached: bool,
    ) -> Result<(Vec<Key>, Option<u32>), SubscribeError> {
        let stream = draft.stream.take();
        let asked = inner.subscribe(stream, &draft.filters, &self.asking, detached);
        let asked = asked.map_err(|error| match error {
            packetboat_core::session::SubscribeError::Closed => SubscribeError::Closed,
            other => SubscribeError::Rejected(other),
        })?;
        if asked.1.is_none() {
            inner.seldom().orphans.extend(draft.filters.iter().cloned());
        }
        Ok(asked)
    }

    fn finish(&self, draft: Draft, asked: Result<(Vec<Key>, Option<u32>), SubscribeError>) -> Asked {
        let (answers, key) = asked?;
        let Draft { filters, progress, capacity, .. } = draft;
        let subscriber = key.zip(progress).map(|(key, progress)| {
            let mut subscriber =
                Subscriber::new(self.handle.clone(), key, progress, self.manual, capacity, &filters);
            if self.asking.skips_retained() {
                subscriber.skip_retained();
            }
            subscriber
        });
        Ok((answers, subscriber))
    }

    fn poll_subscriber(&mut self, cx: &Context<'_>) -> Poll<Result<Subscriber, SubscribeError>> {
        let Poll::Ready(answers) = self.poll_answers(true, cx) else { return Poll::Pending };
        let subscriber = self.asked.as_mut().and_then(|(_, subscriber)| subscriber.take());
        Poll::Ready(answers.and_then(|answers| {
            let mut subscriber = subscriber.ok_or(SubscribeError::Closed)?;
            subscriber.answers = answers;
            Ok(subscriber)
        }))
    }

    fn poll_answers(
        &mut self,
        with_stream: bool,
        cx: &Context<'_>,
    ) -> Poll<Result<Vec<Answer>, SubscribeError>> {
        refuse_again(self.ended);
        let polled = self.poll_asked(with_stream, cx);
        self.ended = polled.is_ready();
        polled
    }

    fn poll_asked(
        &mut self,
        with_stream: bool,
        cx: &Context<'_>,
    ) -> Poll<Result<Vec<Answer>, SubscribeError>> {
        if self.asked.is_none() {
            match self.ask(with_stream, false) {
                Ok(asked) => self.asked = Some(asked),
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        let (Some((keys, _)), Ok(filters)) = (&self.asked, &self.filters) else { return Poll::Pending };
        let mut guard = self.handle.shared.lock();
        let inner = &mut *guard;
        for key in keys {
            match inner.subscribes.get_mut(*key) {
                Some(pending) if pending.answer.is_some() => {}
                Some(pending) if !inner.closed => {
                    remember(&mut pending.waker, cx.waker(), &mut inner.deferred.retired);
                    return Poll::Pending;
                }
                _ => return Poll::Ready(Err(SubscribeError::Closed)),
            }
        }
        let mut answers = Vec::with_capacity(keys.len());
        let mut refused = None;
        for (key, filter) in keys.iter().zip(filters) {
            let answer = inner.subscribes.get_mut(*key).and_then(|pending| pending.answer.take());
            let Some(answer) = answer else { continue };
            if !answer.reason.is_error() {
                answers.push(*answer);
                continue;
            }
            let orphans = inner.seldom.as_mut().map(|seldom| &mut seldom.orphans).filter(|_| !with_stream);
            if let Some(orphans) = orphans
                && let Some(at) = orphans.iter().position(|orphan| orphan == filter)
            {
                orphans.swap_remove(at);
            }
            let Answer { reason, properties } = *answer;
            refused.get_or_insert(SubscribeError::Refused { reason, properties });
        }
        Poll::Ready(refused.map_or(Ok(answers), Err))
    }
}

/// How filters are asked for.
#[derive(Clone, Debug)]
pub(crate) struct Asking {
    pub(crate) options: SubscribeOptions,
    pub(crate) properties: PropertiesBuf,
    pub(crate) retained: bool,
}

impl Asking {
    /// What the session is to ask for.
    pub(crate) fn options(&self) -> SubscribeOptions {
        let mut options = self.options;
        if !self.retained && options.retain_as_published {
            options.retain_handling = RetainHandling::DoNotSend;
        }
        options
    }

    fn skips_retained(&self) -> bool {
        !self.retained && !self.options.retain_as_published
    }
}

struct Draft {
    filters: Vec<TopicFilter>,
    capacity: usize,
    stream: Option<Stream>,
    progress: Option<Arc<AtomicU32>>,
}

/// Where the answers will be, and the stream.
type Asked = Result<(Vec<Key>, Option<Subscriber>), SubscribeError>;

impl Future for Subscription<'_> {
    type Output = Result<Subscriber, SubscribeError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.get_mut().poll_subscriber(cx)
    }
}

impl Drop for Subscription<'_> {
    fn drop(&mut self) {
        for key in self.asked.iter().flat_map(|(keys, _)| keys) {
            let gone = self.handle.shared.lock().subscribes.remove(*key);
            drop(gone);
        }
    }
}

impl fmt::Debug for Subscription<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("filters", &self.filters)
            .field("options", &self.asking.options)
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
        self.get_mut()
            .0
            .poll_answers(false, cx)
            .map(|answers| answers?.into_iter().next().ok_or(SubscribeError::Closed))
    }
}
