//! Publishing: a builder that is the future itself.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use packetboat_core::session::{self, Outgoing, Payload, Tag, Ticket};
use packetboat_core::time::Instant;
use packetboat_core::topic::{TopicError, TopicName};
use packetboat_core::wire::{PropertiesBuf, QoS, Reason};

use crate::body::Body;
use crate::receipt::{self, Receipt};
use crate::shared::{Accepted, Content, Held, Inner, Key, Limit, Shared, refuse_again};
use crate::{PublishError, Published};

/// A message on its way out; made by [`Client::publish`](crate::Client::publish). Awaiting it sends the message and
/// waits until it is delivered:
///
/// * QoS 1 and 2: until the broker has confirmed it, over as many connections as that takes;
/// * QoS 0: until it is encoded for a live connection. Bytes that are lost with that connection are counted in
///   [`Event::Disconnected`](crate::Event::Disconnected); [`Client::flush`](crate::Client::flush) waits for the socket.
///
/// Dropped before it was accepted, it is not sent. Dropped later, only the result is forgotten.
///
/// ```no_run
/// use std::time::Duration;
/// use packetboat::QoS;
///
/// # async fn example(client: packetboat::Client) -> Result<(), Box<dyn std::error::Error>> {
/// let published = client
///     .publish("orders/7", "two crates")
///     .qos(QoS::ExactlyOnce)
///     .message_expiry(3600)
///     .timeout(Duration::from_secs(30))
///     .await?;
/// if published.possible_duplicate {
///     println!("the broker lost its session: it may have come twice");
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "a message is sent when it is awaited, enqueued or tried"]
pub struct Publish<'a> {
    shared: &'a Arc<Shared>,
    topic: Result<TopicName<'a>, TopicError>,
    body: Source<'a>,
    /// As given; otherwise the defaults count.
    qos: Option<QoS>,
    retain: Option<bool>,
    properties: PropertiesBuf,
    drop_properties: bool,
    patience: Patience,
    stage: Stage,
}

/// Borrowed payloads above this size are kept in a handle, as owned ones are: those are written without a copy.
const LARGE: usize = 16 * 1024;

enum Source<'a> {
    Borrowed(&'a [u8]),
    Owned(Held),
}

/// How long to wait.
#[derive(Clone, Copy, Debug)]
enum Patience {
    Endless,
    For(Duration),
    /// The waiting has begun.
    Until(Instant),
}

impl Patience {
    /// The waiting begins, or goes on. Its end, if it has one.
    fn begin(&mut self, shared: &Shared) -> Option<Instant> {
        if let Self::For(limit) = *self {
            *self = Self::Until(shared.now() + limit);
        }
        self.end()
    }

    fn end(self) -> Option<Instant> {
        match self {
            Self::Until(at) => Some(at),
            Self::Endless | Self::For(_) => None,
        }
    }

    fn is_over(self, shared: &Shared) -> bool {
        self.end().is_some_and(|at| shared.now() >= at)
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    New,
    /// In line for room.
    Waiting(Key),
    /// The session keeps the outcome under this ticket.
    Accepted(Ticket),
    Done,
}

impl<'a> Publish<'a> {
    #[inline]
    pub(crate) fn new(shared: &'a Arc<Shared>, topic: &'a str, body: Body<'a>) -> Self {
        Self {
            shared,
            topic: TopicName::new(topic),
            body: match body {
                // One copy instead of two: into what is kept, and into the output.
                Body::Borrowed(bytes) if bytes.len() > LARGE => {
                    Source::Owned(Held(Content::Bytes(Bytes::copy_from_slice(bytes))))
                }
                Body::Borrowed(bytes) => Source::Borrowed(bytes),
                Body::Owned(bytes) => Source::Owned(Held(Content::Bytes(bytes))),
                Body::Streamed(payload) => Source::Owned(Held(Content::Streamed(payload))),
            },
            qos: None,
            retain: None,
            properties: PropertiesBuf::new(),
            drop_properties: false,
            patience: Patience::Endless,
            stage: Stage::New,
        }
    }

    /// The delivery guarantee. Default: QoS 0, at most once, unless the options say otherwise
    /// ([`default_qos`](crate::Options::default_qos), [`topic_defaults`](crate::Options::topic_defaults)).
    pub fn qos(mut self, qos: QoS) -> Self {
        self.qos = Some(qos);
        self
    }

    /// Keep it as the topic's retained message. Default: false, unless the options say otherwise.
    pub fn retain(mut self, retain: bool) -> Self {
        self.retain = Some(retain);
        self
    }

    /// All PUBLISH properties at once (5.0). Topic alias and subscription identifier are not yours to set, and others
    /// do not belong in PUBLISH; they are taken out. A payload that is declared to be text must be UTF-8. Default: none.
    ///
    /// 3.1.1 has none: under a client that is fixed to it the call fails, and on a connection that turns out to be 3.1.1
    /// the message ([`NeedsVersion5`](crate::RejectReason::NeedsVersion5)), unless
    /// [`drop_properties`](Self::drop_properties) allows it to go without.
    pub fn properties(mut self, mut properties: PropertiesBuf) -> Self {
        use packetboat_core::wire::{Place, Property};
        properties.keep_only(Place::Publish);
        properties.remove(Property::TopicAlias).remove(Property::SubscriptionIdentifier);
        self.properties = properties;
        self
    }

    /// The message is worth nothing after so many seconds: it is not sent then, and the broker drops it (5.0). Zero: it is sent
    /// at once or not at all, and the broker passes it on at once or not at all. Together
    /// with [`drop_properties`](Self::drop_properties) it also goes to a broker of 3.1.1, which keeps it for ever; that it
    /// is not sent too late holds there, too.
    pub fn message_expiry(mut self, seconds: u32) -> Self {
        self.properties.message_expiry_interval(seconds);
        self
    }

    /// Send it without its properties if the broker speaks 3.1.1, instead of failing.
    pub fn drop_properties(mut self, allowed: bool) -> Self {
        self.drop_properties = allowed;
        self
    }

    /// Wait no longer than this. A message that was not transmitted by then is withdrawn
    /// ([`PublishError::TimedOut`]); for any other the receipt comes back ([`PublishError::Unresolved`]).
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.patience = Patience::For(limit);
        self
    }

    /// Wait only until the message is accepted; its delivery is the receipt's to tell.
    pub fn enqueue(self) -> Enqueue<'a> {
        Enqueue(self)
    }

    /// Hand the message over if there is room for it now. Never waits.
    pub fn try_publish(mut self) -> Result<Receipt, PublishError> {
        match self.poll_accept(None) {
            Poll::Ready(accepted) => Ok(self.receipt(accepted?)),
            Poll::Pending => Err(self.rejected(session::PublishError::Full)),
        }
    }

    /// Give the message to the session, in turn. Without a waker there is no waiting.
    #[inline]
    fn poll_accept(&mut self, waker: Option<&Waker>) -> Poll<Result<Accepted, PublishError>> {
        refuse_again(self.stage == Stage::Done);
        let topic = match self.topic {
            Ok(topic) => topic,
            Err(error) => return Poll::Ready(Err(PublishError::Topic(error))),
        };
        let mut guard = self.shared.lock();
        let inner = &mut *guard;
        let (qos, retain) = match &inner.defaults {
            None => (self.qos.unwrap_or_default(), self.retain.unwrap_or_default()),
            Some(defaults) => defaults.resolve(topic.as_str(), self.qos, self.retain),
        };
        let may_try = match (self.stage, waker) {
            (Stage::Waiting(key), Some(waker)) => {
                inner.room.poll(key, waker, &mut inner.deferred.retired) || inner.is_over()
            }
            _ => inner.is_open(qos) || inner.is_over(),
        };
        let tried = if may_try {
            guard.publish(&Outgoing {
                topic,
                payload: match &self.body {
                    Source::Borrowed(bytes) => Payload::Borrowed(bytes),
                    Source::Owned(held) => Payload::Shared(held),
                },
                qos,
                retain,
                properties: self.properties.as_properties(),
                drop_properties: self.drop_properties,
                tag: Tag::KEPT,
            })
        } else {
            Err(session::PublishError::Full)
        };
        let inner = &mut *guard;
        match (tried, waker) {
            (Ok(accepted), _) => {
                Self::leave_line(&mut self.stage, inner);
                Poll::Ready(Ok(accepted))
            }
            (Err(session::PublishError::Full), Some(waker)) if !inner.never_waits() => {
                let (stage, patience) = (&mut self.stage, &mut self.patience);
                if Self::wait(stage, patience, may_try, inner, self.shared, waker) {
                    return Poll::Pending;
                }
                Self::leave_line(&mut self.stage, inner);
                let offline = guard.why_offline();
                drop(guard);
                let payload = self.owned();
                Poll::Ready(Err(PublishError::TimedOut { payload, offline, accepted: false }))
            }
            (Err(session::PublishError::Full), None) => Poll::Pending,
            (Err(reason), _) => {
                Self::leave_line(&mut self.stage, inner);
                drop(guard);
                Poll::Ready(Err(self.rejected(reason)))
            }
        }
    }

    /// Stand in line. False: the time is up.
    fn wait(
        stage: &mut Stage,
        patience: &mut Patience,
        tried: bool,
        inner: &mut Inner,
        shared: &Shared,
        waker: &Waker,
    ) -> bool {
        match *stage {
            Stage::Waiting(key) if tried => inner.room.again(key, waker, &mut inner.deferred.retired),
            Stage::Waiting(_) => {}
            _ => {
                let key = inner.room.wait(waker);
                *stage = Stage::Waiting(key);
                if let Some(until) = patience.begin(shared) {
                    inner.limit(until, Limit::Room(key));
                }
                inner.wake_task();
            }
        }
        !patience.is_over(shared)
    }

    #[inline]
    fn leave_line(stage: &mut Stage, inner: &mut Inner) {
        if let Stage::Waiting(key) = *stage {
            inner.room.leave(key, &mut inner.deferred.retired);
            inner.grant_room();
        }
        *stage = Stage::Done;
    }

    fn poll_end(&mut self, ticket: Ticket, cx: &Context<'_>) -> Poll<Result<Published, PublishError>> {
        let mut inner = self.shared.lock();
        if let Some(outcome) = inner.outcome(ticket, cx.waker()) {
            self.stage = Stage::Done;
            return Poll::Ready(receipt::result_of(outcome));
        }
        if inner.closed {
            return Poll::Ready(Err(PublishError::Closed));
        }
        if self.patience.is_over(self.shared) {
            self.stage = Stage::Done;
            if inner.cancel(ticket) {
                inner.forget(ticket);
                let offline = inner.why_offline();
                let error = PublishError::TimedOut { payload: None, offline, accepted: true };
                return Poll::Ready(Err(error));
            }
            drop(inner);
            let receipt = Receipt::new(self.shared.clone(), ticket);
            return Poll::Ready(Err(PublishError::Unresolved(receipt)));
        }
        Poll::Pending
    }

    fn receipt(&self, accepted: Accepted) -> Receipt {
        match accepted {
            Accepted::Sent => Receipt::done(self.shared.clone()),
            Accepted::Pending(ticket) => Receipt::new(self.shared.clone(), ticket),
        }
    }

    /// Nobody waits for it any more.
    #[cold]
    fn abandon(&mut self) {
        match self.stage {
            Stage::New | Stage::Done => {}
            Stage::Waiting(_) => Self::leave_line(&mut self.stage, &mut self.shared.lock()),
            Stage::Accepted(ticket) => self.shared.lock().forget(ticket),
        }
    }

    fn owned(&mut self) -> Option<Bytes> {
        match &mut self.body {
            Source::Owned(Held(Content::Bytes(bytes))) => Some(std::mem::take(bytes)),
            Source::Owned(_) | Source::Borrowed(_) => None,
        }
    }

    #[cold]
    fn rejected(&mut self, reason: session::PublishError) -> PublishError {
        PublishError::Rejected { reason, payload: self.owned() }
    }
}

impl Future for Publish<'_> {
    type Output = Result<Published, PublishError>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let publish = self.get_mut();
        if let Stage::Accepted(ticket) = publish.stage {
            return publish.poll_end(ticket, cx);
        }
        match publish.poll_accept(Some(cx.waker())) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(Accepted::Sent)) => Poll::Ready(Ok(Published::of(Reason::SUCCESS))),
            Poll::Ready(Ok(Accepted::Pending(ticket))) => {
                publish.stage = Stage::Accepted(ticket);
                if let Some(until) = publish.patience.begin(publish.shared) {
                    publish.shared.lock().limit(until, Limit::Receipt(ticket));
                }
                publish.poll_end(ticket, cx)
            }
        }
    }
}

impl Drop for Publish<'_> {
    #[inline]
    fn drop(&mut self) {
        if !matches!(self.stage, Stage::New | Stage::Done) {
            self.abandon();
        }
    }
}

impl fmt::Debug for Publish<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publish")
            .field("topic", &self.topic)
            .field("qos", &self.qos)
            .field("retain", &self.retain)
            .field("stage", &self.stage)
            .finish_non_exhaustive()
    }
}

/// Waits until a message is accepted; made by [`Publish::enqueue`]. Its [`timeout`](Publish::timeout) bounds that wait.
#[must_use = "futures do nothing unless awaited"]
#[derive(Debug)]
pub struct Enqueue<'a>(Publish<'a>);

impl Future for Enqueue<'_> {
    type Output = Result<Receipt, PublishError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let publish = &mut self.get_mut().0;
        publish.poll_accept(Some(cx.waker())).map(|accepted| Ok(publish.receipt(accepted?)))
    }
}
