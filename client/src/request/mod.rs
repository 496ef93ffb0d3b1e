//! Requests and answers: a convention on top of publishing and subscribing.
//!
//! On 5.0 a request carries a response topic and correlation data (4.10), and an answer that is no answer says so in
//! the user property `response-status`: `error`, with a text as payload, or `busy`.
//!
//! 3.1.1 has no properties, and the topic carries all of it. A request to `a/b` is published on
//! `a/b/$request/<response topic>/<number>`; the answer to it on `<response topic>/<number>`, an error on
//! `<response topic>/<number>/error`, a refusal for too much load on `<response topic>/<number>/busy`. Payloads are
//! left alone. A responder of 5.0 answers both kinds. One of 3.1.1 is told no properties, and so cannot answer what was
//! asked with them.

mod convention;
mod desk;
mod reply;
mod responder;

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use packetboat_core::topic::TopicName;
use packetboat_core::wire::{PropertiesBuf, QoS, Reason};

use crate::body::Body;
use crate::shared::Handle;
use crate::{Disconnection, Message, Publish, PublishError, Receipt, SubscribeError};

pub(crate) use desk::Desk;
pub use desk::RequestCounts;
pub use reply::Reply;
pub use responder::{Incoming, Responded, Responder, ResponderBuilder};

/// How long an answer is waited for.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A question to whoever answers on a topic; made by [`Client::request`](crate::Client::request). Awaiting it sends it
/// and gives the answer.
///
/// Dropped, a request that was not transmitted is withdrawn, and an answer that still comes is dropped and counted
/// ([`RequestCounts::late`]).
///
/// ```no_run
/// use std::time::Duration;
///
/// # async fn example(client: packetboat::Client) -> Result<(), Box<dyn std::error::Error>> {
/// let answer = client.request("squares", "12").timeout(Duration::from_secs(5)).await?;
/// assert_eq!(answer.payload(), b"144");
/// # Ok(())
/// # }
/// ```
#[must_use = "a request is made when it is awaited"]
pub struct Request<'a> {
    handle: &'a Arc<Handle>,
    topic: &'a str,
    body: Body<'a>,
    qos: QoS,
    properties: PropertiesBuf,
    timeout: Duration,
}

impl<'a> Request<'a> {
    pub(crate) fn new(handle: &'a Arc<Handle>, topic: &'a str, body: Body<'a>) -> Self {
        let properties = PropertiesBuf::new();
        Self { handle, topic, body, qos: QoS::AtMostOnce, properties, timeout: TIMEOUT }
    }

    /// The delivery guarantee of the request; answers come at QoS 0, so that they pass a full window. Default: QoS 0.
    /// From QoS 1 on a broker of 5.0 says when nobody listens, and the request fails at once; after a lost connection
    /// the responder may see the request twice.
    pub fn qos(mut self, qos: QoS) -> Self {
        self.qos = qos;
        self
    }

    /// Further PUBLISH properties (5.0), content type and user properties for example. Response topic and correlation
    /// data are not yours to set. Default: none, but for a message expiry interval as long as the timeout. On 3.1.1, where there
    /// are none, a request that was given any fails.
    pub fn properties(mut self, properties: PropertiesBuf) -> Self {
        self.properties = properties;
        self
    }

    /// The limit for all of it: connection, subscription, sending, answer. Default: 30 s.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    async fn run(self) -> Result<Message, RequestError> {
        let (limit, shared) = (self.timeout, self.handle.shared.clone());
        let answer = tokio::time::timeout(limit, self.ask()).await;
        answer.unwrap_or_else(|_| Err(RequestError::TimedOut { limit, offline: shared.lock().why_offline() }))
    }

    async fn ask(mut self) -> Result<Message, RequestError> {
        // Before anything stands behind it.
        TopicName::new(self.topic).map_err(|error| RequestError::NotSent(PublishError::Topic(error)))?;
        let shared = &self.handle.shared;
        let address = shared.desk().address(shared).await?;
        let (number, mut answer) = shared.desk().register();
        let topic = if address.in_topic {
            convention::request_topic(self.topic, &address.topic, number)
        } else {
            self.put_address(&address.topic, number)?;
            self.topic.to_owned()
        };
        // Not what is usual for messages: nobody may be asked again whenever he subscribes.
        let publish = Publish::new(shared, &topic, self.body).qos(self.qos).retain(false);
        let receipt = publish.properties(self.properties).enqueue().await.map_err(RequestError::NotSent)?;
        let mut sending = Sending { receipt: Some(receipt) };
        poll_fn(|cx| {
            if let Poll::Ready(answer) = Pin::new(&mut answer.receiver).poll(cx) {
                return Poll::Ready(answer.unwrap_or(Err(RequestError::Closed)));
            }
            let Some(receipt) = &mut sending.receipt else { return Poll::Pending };
            let Poll::Ready(sent) = Pin::new(receipt).poll(cx) else { return Poll::Pending };
            sending.receipt = None;
            match sent {
                Ok(published) if published.reason == Reason::NO_MATCHING_SUBSCRIBERS => {
                    Poll::Ready(Err(RequestError::NobodyListens))
                }
                Ok(_) => Poll::Pending,
                Err(error) => Poll::Ready(Err(RequestError::NotSent(error))),
            }
        })
        .await
    }

    fn put_address(&mut self, response_topic: &str, number: u64) -> Result<(), RequestError> {
        let properties = &mut self.properties;
        if properties.as_properties().message_expiry_interval().is_none() {
            // What nobody waits for any more is not worth a responder's time.
            let seconds = self.timeout.as_secs().saturating_add(u64::from(self.timeout.subsec_nanos() > 0));
            properties.message_expiry_interval(u32::try_from(seconds).unwrap_or(u32::MAX).max(1));
        }
        let set = properties.response_topic(response_topic).map(drop);
        let set = set.and_then(|()| properties.correlation_data(&number.to_be_bytes()).map(drop));
        set.map_err(|_| RequestError::ResponseTopic)
    }
}

/// A request that is given up before it was encoded is not sent.
struct Sending {
    receipt: Option<Receipt>,
}

impl Drop for Sending {
    fn drop(&mut self) {
        if let Some(receipt) = &self.receipt {
            receipt.cancel();
        }
    }
}

impl<'a> IntoFuture for Request<'a> {
    type Output = Result<Message, RequestError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("topic", &self.topic)
            .field("qos", &self.qos)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// Why a request has no answer.
#[non_exhaustive]
pub enum RequestError {
    /// The request did not reach the broker, or the broker refused it.
    NotSent(PublishError),
    /// Answers cannot be received: the broker refused the subscription to the response topic, and may want
    /// [`Options::response_prefix`](crate::Options::response_prefix) to be another one; or it was taken back by hand.
    NotSubscribed(SubscribeError),
    /// Prefix and client identifier make no response topic that a broker takes.
    ResponseTopic,
    /// The broker says that nobody subscribes to the topic (5.0, from QoS 1 on).
    NobodyListens,
    /// No answer came in time. Somebody may have acted on the request all the same.
    TimedOut {
        /// The limit.
        limit: Duration,
        /// Why there was no connection when it passed, if there was none.
        offline: Option<Box<Disconnection>>,
    },
    /// The responder has too much to do and did not look at the request: try again later.
    Busy,
    /// The responder could not do what was asked.
    Failed {
        /// What it says.
        message: String,
    },
    /// The client was closed.
    Closed,
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSent(error) => write!(f, "the request was not taken: {error}"),
            Self::NotSubscribed(SubscribeError::Unsubscribed) => {
                f.write_str("the response topic was unsubscribed before the answer came")
            }
            Self::NotSubscribed(error) => {
                write!(f, "the response topic cannot be subscribed to, set response_prefix: {error}")
            }
            Self::ResponseTopic => f.write_str("response prefix and client identifier make no topic"),
            Self::NobodyListens => f.write_str("nobody answers on this topic"),
            Self::TimedOut { limit, offline: None } => write!(f, "no answer within {limit:?}"),
            Self::TimedOut { limit, offline: Some(cause) } => {
                write!(f, "no answer within {limit:?}, and there is no connection: {cause}")
            }
            Self::Busy => f.write_str("the responder has too much to do: try again later"),
            Self::Failed { message } => write!(f, "the responder failed: {message}"),
            Self::Closed => f.write_str("the client was closed"),
        }
    }
}

impl std::error::Error for RequestError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NotSent(error) => Some(error),
            Self::NotSubscribed(error) => Some(error),
            _ => None,
        }
    }
}
