//! The answering side.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use packetboat_core::topic::{TopicFilter, matches};
use packetboat_core::wire::{PropertiesBuf, QoS};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::convention::{ReturnAddress, Status, asked_topic, request_filter};
use crate::body::Body;
use crate::shared::{Handle, Shared};
use crate::{Message, Publish, PublishError, Reply, SubscribeError, Subscriber, Subscription};

/// An answer that the socket does not take waits so long at most.
const PATIENCE: Duration = Duration::from_secs(10);

type Answer = Result<Reply, String>;
type Handler = dyn Fn(Incoming) -> Pin<Box<dyn Future<Output = Answer> + Send>> + Send + Sync;

/// A request that arrived at a responder.
#[derive(Clone, Debug)]
pub struct Incoming {
    message: Message,
}

impl Incoming {
    /// The topic that was asked.
    #[must_use]
    pub fn topic(&self) -> &str {
        asked_topic(&self.message)
    }

    /// What was asked.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.message.payload()
    }

    /// The message that carried it.
    #[must_use]
    pub fn message(&self) -> &Message {
        &self.message
    }
}

/// A responder to be started; made by [`Client::respond_to`](crate::Client::respond_to). Awaiting it subscribes.
#[must_use = "a responder starts when it is awaited"]
pub struct ResponderBuilder<'a> {
    handle: &'a Arc<Handle>,
    filter: String,
    handler: Arc<Handler>,
    concurrency: usize,
    backlog: usize,
    qos: QoS,
    only_to: Option<String>,
}

impl<'a> ResponderBuilder<'a> {
    pub(crate) fn new<H, F, B, E>(handle: &'a Arc<Handle>, filter: &str, handler: H) -> Self
    where
        H: Fn(Incoming) -> F + Send + Sync + 'static,
        F: Future<Output = Result<B, E>> + Send + 'static,
        B: Into<Reply>,
        E: fmt::Display,
    {
        let handler = move |incoming: Incoming| {
            let answer = handler(incoming);
            let answer = async move {
                match answer.await {
                    Ok(reply) => Ok(reply.into()),
                    Err(error) => Err(error.to_string()),
                }
            };
            Box::pin(answer) as Pin<Box<dyn Future<Output = Answer> + Send>>
        };
        Self {
            handle,
            filter: filter.to_owned(),
            handler: Arc::new(handler),
            concurrency: 64,
            backlog: 256,
            qos: QoS::ExactlyOnce,
            only_to: None,
        }
    }

    /// Requests worked on at once. Default: 64.
    pub fn concurrency(mut self, requests: usize) -> Self {
        self.concurrency = requests.clamp(1, 1 << 20);
        self
    }

    /// Requests that may wait for their turn; the next one is answered "busy" at once. Default: 256. More than the
    /// client's [`inbound`](crate::Options::inbound) bound never wait here at QoS 1 and 2: the broker keeps them.
    pub fn backlog(mut self, requests: usize) -> Self {
        self.backlog = requests.min(1 << 20);
        self
    }

    /// The highest delivery guarantee of requests. Default: QoS 2, that is, as they were published.
    pub fn qos(mut self, qos: QoS) -> Self {
        self.qos = qos;
        self
    }

    /// Answer only on topics this filter matches: whoever may ask could otherwise have the responder publish on any
    /// topic it is allowed to. Default: any topic.
    pub fn only_to(mut self, filter: &str) -> Self {
        self.only_to = Some(filter.to_owned());
        self
    }

    async fn start(self) -> Result<Responder, SubscribeError> {
        let parse = |text: &str| TopicFilter::new(text).map_err(SubscribeError::Filter);
        let filter = parse(&self.filter)?;
        let only_to = self.only_to.as_deref().map(parse).transpose()?;
        let (shared, handle) = (self.handle.shared.clone(), self.handle);
        let mut filters = vec![filter.as_str().to_owned()];
        if shared.lock().session.limits().wildcard_subscription_available {
            filters.extend(request_filter(&filter));
        }
        let mut streams = Vec::new();
        for filter in &filters {
            streams.push(Subscription::new(handle, filter).qos(self.qos).manual_ack().await?);
        }
        let admitted = self.concurrency + self.backlog;
        let service = Arc::new(Service {
            shared,
            handler: self.handler,
            filter,
            only_to,
            running: Semaphore::new(self.concurrency),
            admitted: Arc::new(Semaphore::new(admitted)),
            tally: Tally::default(),
        });
        let mut loops = JoinSet::new();
        for stream in streams {
            loops.spawn(serve(service.clone(), stream));
        }
        let whole = u32::try_from(admitted).unwrap_or(u32::MAX);
        Ok(Responder { service, loops: Mutex::new(loops), whole })
    }
}

impl<'a> IntoFuture for ResponderBuilder<'a> {
    type Output = Result<Responder, SubscribeError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.start())
    }
}

impl fmt::Debug for ResponderBuilder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponderBuilder").field("filter", &self.filter).finish_non_exhaustive()
    }
}

/// What a responder did so far.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Responded {
    /// Requests answered, errors included.
    pub answered: u64,
    /// Those answered with an error, or whose handler panicked.
    pub failed: u64,
    /// Requests answered "busy".
    pub shed: u64,
    /// Messages without a response topic, or with one that is not allowed; dropped.
    pub unanswerable: u64,
    /// Answers that could not be published. Whoever asked is told where that is possible: an answer that is too large for the
    /// broker, for example, becomes an error.
    pub undelivered: u64,
}

#[derive(Debug, Default)]
struct Tally {
    answered: AtomicU64,
    failed: AtomicU64,
    shed: AtomicU64,
    unanswerable: AtomicU64,
    undelivered: AtomicU64,
}

/// Answers requests until it is dropped or [stopped](Self::stop), or the client is closed. It keeps the client alive.
///
/// A request of QoS 1 or 2 is acknowledged when it was answered: what a process had in hand when it died comes again
/// if the session outlives it.
///
/// ```no_run
/// # async fn example(client: packetboat::Client) -> Result<(), Box<dyn std::error::Error>> {
/// let responder = client
///     .respond_to("echo", async |request| Ok::<_, std::io::Error>(request.payload().to_vec()))
///     .await?;
/// // ... for as long as there is something to answer ...
/// responder.stop().await;
/// # Ok(())
/// # }
/// ```
#[must_use = "it stops when it is dropped"]
pub struct Responder {
    service: Arc<Service>,
    loops: Mutex<JoinSet<()>>,
    whole: u32,
}

impl Responder {
    /// What it did so far.
    #[must_use]
    pub fn counts(&self) -> Responded {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let tally = &self.service.tally;
        Responded {
            answered: count(&tally.answered),
            failed: count(&tally.failed),
            shed: count(&tally.shed),
            unanswerable: count(&tally.unanswerable),
            undelivered: count(&tally.undelivered),
        }
    }

    /// Takes no more requests, and waits for those in hand to be answered.
    pub async fn stop(self) {
        let mut loops = std::mem::take(&mut *self.loops.lock().unwrap_or_else(PoisonError::into_inner));
        loops.shutdown().await;
        // All permits are back: nothing is in hand.
        let _ = self.service.admitted.acquire_many(self.whole).await;
    }
}

impl fmt::Debug for Responder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Responder").field("counts", &self.counts()).finish_non_exhaustive()
    }
}

struct Service {
    shared: Arc<Shared>,
    handler: Arc<Handler>,
    filter: TopicFilter,
    only_to: Option<TopicFilter>,
    running: Semaphore,
    admitted: Arc<Semaphore>,
    tally: Tally,
}

async fn serve(service: Arc<Service>, mut stream: Subscriber) {
    while let Some(message) = stream.next().await {
        let allowed = |address: &ReturnAddress| {
            let only_to = service.only_to.as_ref().map(TopicFilter::filter);
            // A filter with wildcards also matches requests to topics that it does not.
            matches(service.filter.filter(), asked_topic(&message))
                && only_to.is_none_or(|filter| matches(filter, &address.topic))
        };
        let Some(address) = ReturnAddress::of(&message).filter(allowed) else {
            service.tally.unanswerable.fetch_add(1, Ordering::Relaxed);
            let _ = message.ack();
            continue;
        };
        let Ok(permit) = service.admitted.clone().try_acquire_owned() else {
            service.tally.shed.fetch_add(1, Ordering::Relaxed);
            service.answer_at_once(&address, Status::Busy, "");
            let _ = message.ack();
            continue;
        };
        let service = service.clone();
        tokio::spawn(async move {
            let _permit = permit;
            service.work(message, address).await;
        });
    }
}

impl Service {
    async fn work(&self, message: Message, address: ReturnAddress) {
        let _turn = self.running.acquire().await;
        let copy = message.clone();
        let mut guard = Unanswered { service: self, address: &address, message: Some(message) };
        let answer = (self.handler)(Incoming { message: copy }).await;
        let message = guard.message.take();
        let (status, reply) = match answer {
            Ok(reply) => (Status::Done, reply),
            Err(text) => (Status::Failed, Reply::new(text)),
        };
        let (topic, properties) = address.answer(status, reply.properties);
        let publish = self.answer(&topic, reply.body).properties(properties);
        let sent = publish.drop_properties(address.in_topic).timeout(PATIENCE).await;
        self.count(status, sent.is_ok());
        if let Err(error @ (PublishError::Rejected { .. } | PublishError::Withdrawn(_))) = sent {
            // Too large for the broker, for example: whoever asked need not wait for it.
            self.say(&address, Status::Failed, &format!("the answer was not sent: {error}"));
        }
        let _ = message.map(Message::ack);
    }

    fn answer_at_once(&self, address: &ReturnAddress, status: Status, text: &str) {
        let sent = self.say(address, status, text);
        if !sent || status != Status::Busy {
            self.count(status, sent);
        }
    }

    fn say(&self, address: &ReturnAddress, status: Status, text: &str) -> bool {
        let (topic, properties) = address.answer(status, PropertiesBuf::new());
        self.answer(&topic, text.into()).properties(properties).try_publish().is_ok()
    }

    /// Whatever is usual for messages.
    fn answer<'a>(&'a self, topic: &'a str, body: Body<'a>) -> Publish<'a> {
        Publish::new(&self.shared, topic, body).qos(QoS::AtMostOnce).retain(false)
    }

    fn count(&self, status: Status, sent: bool) {
        if status == Status::Failed {
            self.tally.failed.fetch_add(1, Ordering::Relaxed);
        }
        let counter = if sent { &self.tally.answered } else { &self.tally.undelivered };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// A handler is at work. If it panics, whoever asked is not left waiting, and the request does not come again: given up, it
/// would keep its place in the window until then. One whose runtime shuts down does come again.
struct Unanswered<'a> {
    service: &'a Service,
    address: &'a ReturnAddress,
    message: Option<Message>,
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(message) = self.message.take()
        {
            self.service.answer_at_once(self.address, Status::Failed, "the responder failed");
            let _ = message.ack();
        }
    }
}
