//! Where a pipe ends.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::Poll;
use std::time::Duration;

use packetboat::{
    Client, PropertiesBuf, PublishError, QoS, Reason, Receipt, RejectReason, Uncertainty, Withdrawal,
};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::lane::Common;
use super::letter::Obituary;
use super::route::Template;
use super::shipment::Shipment;
use crate::broker::{Delivered, DeliveryError, Destination, Outgoing};

/// Why a message did not get to a destination.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    /// What went wrong, for people.
    pub(super) error: String,
    /// Trying again is of no use: the message itself is at fault.
    pub(super) permanent: bool,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.error)
    }
}

/// Where a pipe ends: topics on a broker, or something else.
#[derive(Clone, Debug)]
pub struct PipeEnd {
    pub(super) name: Arc<str>,
    pub(super) end: End,
}

#[derive(Clone, Debug)]
pub(super) enum End {
    Broker(Box<OnBroker>),
    Target(Target),
}

/// A destination of any protocol.
#[derive(Clone)]
pub(super) struct Target {
    destination: Arc<dyn Destination>,
    /// Messages were handed over.
    count: Arc<AtomicU64>,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").finish_non_exhaustive()
    }
}

/// How long a target has for a message before that counts as a failure.
const LIMIT: Duration = Duration::from_secs(30);

#[derive(Clone, Debug)]
pub(super) struct OnBroker {
    pub(super) client: Client,
    pub(super) template: Option<Template>,
    pub(super) qos: Option<QoS>,
    pub(super) retain: Option<bool>,
}

impl PipeEnd {
    /// A broker. Without more words messages keep topic, QoS and retain flag. `name` is the connection's, by which loops are
    /// found.
    #[must_use]
    pub fn broker(name: &str, client: Client) -> Self {
        let end = OnBroker { client, template: None, qos: None, retain: None };
        Self { name: name.into(), end: End::Broker(Box::new(end)) }
    }

    /// Anything else. What its options have of `${name}` are the named levels of the filter, and `${topic}`.
    #[must_use]
    pub fn target(name: &str, destination: Arc<dyn Destination>) -> Self {
        let target = Target { destination, count: Arc::default() };
        Self { name: name.into(), end: End::Target(target) }
    }

    /// The topic, on a broker. Default: the one the message arrived on.
    #[must_use]
    pub fn topic(self, template: Template) -> Self {
        self.with(|broker| broker.template = Some(template))
    }

    /// The QoS, on a broker. Default: the message's.
    #[must_use]
    pub fn qos(self, qos: QoS) -> Self {
        self.with(|broker| broker.qos = Some(qos))
    }

    /// The retain flag, on a broker. Default: the message's.
    #[must_use]
    pub fn retain(self, retain: bool) -> Self {
        self.with(|broker| broker.retain = Some(retain))
    }

    fn with(mut self, change: impl FnOnce(&mut OnBroker)) -> Self {
        if let End::Broker(broker) = &mut self.end {
            change(broker);
        }
        self
    }

    pub(super) fn is_broker(&self) -> bool {
        matches!(self.end, End::Broker(_))
    }

    /// How many messages may be on the way at once.
    pub(super) fn concurrency(&self) -> usize {
        match &self.end {
            // The client has its own bounds.
            End::Broker(_) => usize::MAX,
            End::Target(target) => target.destination.concurrency().max(1),
        }
    }

    /// Hands a message over, in turn.
    pub(super) async fn hand_over(&self, parcel: &Parcel<'_>) -> Result<Delivery, Failure> {
        match &self.end {
            End::Broker(broker) => broker.hand_over(parcel).await,
            End::Target(target) => Ok(target.hand_over(parcel).await),
        }
    }
}

/// A message for one destination.
pub(super) struct Parcel<'a> {
    pub(super) common: &'a Common,
    pub(super) shipment: &'a Shipment,
    /// It is a dead letter.
    pub(super) obituary: Option<Obituary<'a>>,
}

impl Parcel<'_> {
    fn properties(&self) -> PropertiesBuf {
        let own = self.common.hop.add(self.shipment.message.properties());
        match &self.obituary {
            Some(obituary) => obituary.properties(own),
            None => own,
        }
    }
}

impl OnBroker {
    async fn hand_over(&self, parcel: &Parcel<'_>) -> Result<Delivery, Failure> {
        let message = &parcel.shipment.message;
        let rewritten =
            self.template.as_ref().map(|template| template.fill(message.topic(), &parcel.shipment.found));
        let publish = self
            .client
            .publish(rewritten.as_deref().unwrap_or(message.topic()), message.payload_bytes())
            .qos(self.qos.unwrap_or(message.qos()))
            .retain(self.retain.unwrap_or(message.retain()))
            .properties(parcel.properties())
            .drop_properties(!parcel.common.needs_hops);
        match publish.enqueue().await {
            Ok(receipt) => Ok(Delivery::Underway(receipt)),
            Err(error) => judge(&error).map(|()| Delivery::Done),
        }
    }
}

impl Target {
    async fn hand_over(&self, parcel: &Parcel<'_>) -> Delivery {
        let (common, message) = (parcel.common, &parcel.shipment.message);
        // A dead letter must say why it is one, and not every protocol has properties.
        let mut outgoing = match &parcel.obituary {
            Some(obituary) => Outgoing::new(&*common.pipe, obituary.envelope(message)),
            None => Outgoing::new(&*common.pipe, message.payload_bytes()),
        };
        outgoing.properties = parcel.properties();
        let found = common.route.values(message.topic(), &parcel.shipment.found);
        outgoing.variables = found.chain([("topic", message.topic())]).collect();
        outgoing.count = self.count.fetch_add(1, Relaxed);
        outgoing.limit = LIMIT;
        let destination = self.destination.clone();
        let (looked_at, first_look) = oneshot::channel();
        let mut task = JoinSet::new();
        // A task, so that it needs nobody to get on: a destination may let one message begin when another has ended.
        task.spawn(async move {
            let mut ending = destination.publish(outgoing);
            // Its place among others is that of the first look.
            let early = poll_fn(|cx| Poll::Ready(ending.as_mut().poll(cx))).await;
            let _ = looked_at.send(());
            match early {
                Poll::Ready(ended) => ended,
                Poll::Pending => ending.await,
            }
        });
        // An error: it panicked, as its end will tell.
        let _ = first_look.await;
        Delivery::Task(task)
    }
}

/// A message that was handed over.
pub(super) enum Delivery {
    Done,
    /// Gets on by itself.
    Underway(Receipt),
    /// Gets on by itself, and ends when this is dropped.
    Task(JoinSet<Result<Delivered, DeliveryError>>),
}

impl Delivery {
    /// How it ended. May be dropped and asked again.
    pub(super) async fn end(&mut self) -> Result<(), Failure> {
        match self {
            Self::Done => Ok(()),
            Self::Underway(receipt) => match receipt.await {
                Ok(_) => Ok(()),
                Err(error) => judge(&error),
            },
            Self::Task(task) => {
                let error = match task.join_next().await {
                    None | Some(Ok(Ok(_))) => return Ok(()),
                    Some(Ok(Err(error))) => error.to_string(),
                    Some(Err(error)) => format!("the target's own code failed: {error}"),
                };
                // Whether the message or the other side is at fault is not told.
                Err(Failure { error, permanent: false })
            }
        }
    }
}

/// What an error of the client means for a message. One that expired is at its end, as its sender wanted.
fn judge(error: &PublishError) -> Result<(), Failure> {
    let permanent = match error {
        PublishError::Withdrawn(Withdrawal::Expired) => return Ok(()),
        PublishError::Topic(_) | PublishError::Uncertain(Uncertainty::Poison { .. }) => true,
        PublishError::Rejected { reason, .. } | PublishError::Withdrawn(Withdrawal::NotAllowed(reason)) => {
            !matches!(reason, RejectReason::Full | RejectReason::Closed)
        }
        PublishError::Refused { reason, .. } => {
            [Reason::TOPIC_NAME_INVALID, Reason::PAYLOAD_FORMAT_INVALID, Reason::PACKET_TOO_LARGE]
                .contains(reason)
        }
        _ => false,
    };
    Err(Failure { error: error.to_string(), permanent })
}
