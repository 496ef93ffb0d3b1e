//! What a protocol is: it makes targets, which messages go to and come from.

mod file;
mod http;
mod loopback;
mod mqtt;

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use packetboat::{Message, PropertiesBuf, Reason};
use packetboat_config::{Node, Problem};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};

use super::{Inbox, Payload, Variables};
use crate::Hub;

pub(crate) use file::File;
pub(crate) use http::Http;
pub(crate) use loopback::Loopback;
pub(crate) use mqtt::Direct;
pub use mqtt::{AwsEndpoint, Mqtt};

/// Something that happens later.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Makes targets. Register one of your own with [`MessageBroker::add_protocol`](crate::MessageBroker::add_protocol).
///
/// Its name is in the keys of the configuration: targets with `"protocol": "mine"` have `mine_options` and perhaps
/// `mine_subscriptions`, and pipes that lead there `mine_message_options`.
///
/// Reading the configuration does nothing yet. [`Target::start`] is called once all of it was found to be right.
///
/// ```
/// use std::sync::Arc;
/// use packetboat_config::{Node, Problem};
/// use packetboat_hub::MessageBroker;
/// use packetboat_hub::broker::{Delivered, DeliveryError, Destination, Later, Outgoing, Protocol, Target, TargetDescription};
///
/// /// Prints what is published.
/// struct Printer;
///
/// impl Protocol for Printer {
///     fn name(&self) -> &str {
///         "printer"
///     }
///
///     fn target(&self, _: &TargetDescription<'_>) -> Result<Arc<dyn Target>, Vec<Problem>> {
///         Ok(Arc::new(Printer))
///     }
/// }
///
/// impl Target for Printer {
///     fn destination(&self, _: &Node, _: &[&str]) -> Result<Arc<dyn Destination>, Vec<Problem>> {
///         Ok(Arc::new(Printer))
///     }
/// }
///
/// impl Destination for Printer {
///     fn publish(&self, message: Outgoing) -> Later<'static, Result<Delivered, DeliveryError>> {
///         Box::pin(async move {
///             println!("{}: {:?}", message.message_id, message.payload.bytes());
///             Ok(Delivered::default())
///         })
///     }
/// }
///
/// let broker = MessageBroker::builder().protocol(Printer).create()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Protocol: Send + Sync + 'static {
    /// Its name.
    fn name(&self) -> &str;

    /// Reads the options of a target. An error says all that is wrong.
    fn target(&self, description: &TargetDescription<'_>) -> Result<Arc<dyn Target>, Vec<Problem>>;
}

/// A target to be made.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct TargetDescription<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its options: a table, `mine_options` in the file.
    pub options: &'a Node,
    /// The file's name, for errors; empty for text.
    pub file: &'a str,
    /// The hub whose connections can be targets.
    pub hub: &'a Hub,
}

impl<'a> TargetDescription<'a> {
    pub(crate) fn new(name: &'a str, options: &'a Node, file: &'a str, hub: &'a Hub) -> Self {
        Self { name, options, file, hub }
    }
}

/// Where messages go, and may come from.
pub trait Target: Any + Send + Sync {
    /// Reads the options of a destination, `mine_message_options` in the file. `variables` are the names that
    /// [`Outgoing::variables`] will have a value for.
    fn destination(&self, options: &Node, variables: &[&str]) -> Result<Arc<dyn Destination>, Vec<Problem>>;

    /// Reads an entry of `mine_subscriptions`, without its subscription id. Unless written: there are no subscriptions.
    fn source(&self, options: &Node) -> Result<Arc<dyn Source>, Vec<Problem>> {
        Err(vec![Problem::new(options.at, "", "cannot be: this protocol has no subscriptions")])
    }

    /// Begins, within a tokio runtime. Does not wait.
    fn start(&self) -> Result<(), FailedStart> {
        Ok(())
    }

    /// The configuration has changed while it runs, and this is what its protocol makes of the new one: can it
    /// [become](Self::become_this) that without an end and a new beginning? Destinations and sources that either of them made
    /// belong to this one then. Unless written: it cannot, and the other begins in its place.
    fn can_become(&self, _next: &dyn Target) -> bool {
        false
    }

    /// Becomes what it said it can.
    fn become_this(&self, _next: &dyn Target) {}

    /// Ends: finishes what it has accepted, in a bounded time.
    fn close(&self) -> Later<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// Why a target could not begin.
pub type FailedStart = Box<dyn Error + Send + Sync>;

/// Where a pipe ends.
pub trait Destination: Send + Sync + 'static {
    /// Sends a message. It is delivered when the future says so, and not before.
    ///
    /// The order of messages is that in which their futures are first polled. A future waits no longer than
    /// [`Outgoing::limit`]; a second later it is dropped. It can be dropped at any time: then nobody is told.
    fn publish(&self, message: Outgoing) -> Later<'static, Result<Delivered, DeliveryError>>;

    /// How many messages of a [bridge](crate::bridge) may be on the way here at once. Those behind them wait in the bridge,
    /// where no time limit counts, and need not go again when one of the first fails. Unless written: one.
    fn concurrency(&self) -> usize {
        1
    }
}

/// A message on its way to a destination.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Outgoing {
    /// The message id it was published with; empty if it has none.
    pub message_id: Arc<str>,
    /// What is sent.
    pub payload: Payload,
    /// Properties of MQTT that go along where the protocol has them.
    pub properties: PropertiesBuf,
    /// What stands for `${name}` in the destination's options.
    pub variables: Variables,
    /// How many messages this pipe took before.
    pub count: u64,
    /// How long to wait.
    pub limit: Duration,
}

impl Outgoing {
    /// A message without properties and variables, the first of its pipe.
    #[must_use]
    pub fn new(message_id: impl Into<Arc<str>>, payload: impl Into<Payload>) -> Self {
        Self {
            message_id: message_id.into(),
            payload: payload.into(),
            properties: PropertiesBuf::new(),
            variables: Variables::default(),
            count: 0,
            limit: Duration::from_secs(30),
        }
    }

    /// The value of `${name}`: a variable, or what is known of the payload: `id`, `c_id`, `timestamp`, `count`.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<String> {
        self.variables.value(name).map(str::to_owned).or_else(|| match name {
            "id" => Some(self.payload.id()),
            "c_id" => Some(self.payload.correlation().to_owned()),
            "timestamp" => Some(self.payload.ticks().to_string()),
            "count" => Some(self.count.to_string()),
            _ => None,
        })
    }
}

/// As the code of Panorama has it, and its document.
pub(crate) const SUBSCRIPTION_ID: [&str; 2] = ["subscription_id", "subscription-id"];

/// The names [`Outgoing::value`] knows in any case.
pub(crate) const MACROS: [&str; 4] = ["id", "c_id", "timestamp", "count"];

/// A message was delivered.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Delivered {
    /// What an MQTT broker said, for example that nobody subscribes to the topic; success otherwise.
    pub reason: Reason,
}

impl Delivered {
    /// It was, and nothing more is known.
    #[must_use]
    pub fn new() -> Self {
        Self { reason: Reason::SUCCESS }
    }
}

impl Default for Delivered {
    fn default() -> Self {
        Self::new()
    }
}

/// Why a message was not delivered, or nobody knows.
#[non_exhaustive]
pub enum DeliveryError {
    /// It was not sent: it can be tried again.
    NotSent(Box<dyn Error + Send + Sync>),
    /// The other side refused it, or it cannot be sent as it is. Trying again helps when something changes.
    Refused(Box<dyn Error + Send + Sync>),
    /// It was sent, and not confirmed: it may have arrived.
    Unknown(Box<dyn Error + Send + Sync>),
}

impl DeliveryError {
    /// It was not sent.
    pub fn not_sent(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::NotSent(error.into())
    }

    /// It was refused.
    pub fn refused(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Refused(error.into())
    }

    /// Nobody knows.
    pub fn unknown(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unknown(error.into())
    }
}

impl fmt::Display for DeliveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSent(error) | Self::Refused(error) | Self::Unknown(error) => error.fmt(f),
        }
    }
}

packetboat::readable_debug!(DeliveryError);

impl Error for DeliveryError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::NotSent(error) | Self::Refused(error) | Self::Unknown(error) => error.source(),
        }
    }
}

/// Where messages come from: an entry of a target's subscriptions.
pub trait Source: Send + Sync + 'static {
    /// Lets messages come to an inbox from now on. Waits for the other side's answer if there is a connection, and no
    /// longer than `limit`: without an answer the wish stays, and is fulfilled when there is one.
    fn subscribe(
        &self,
        inbox: Inbox,
        limit: Duration,
    ) -> Later<'static, Result<Box<dyn Subscribed>, SourceError>>;
}

/// Why messages do not come: the other side's reason.
pub type SourceError = Box<dyn Error + Send + Sync>;

/// Messages come. Dropping it ends that, too.
pub trait Subscribed: Send + Sync + 'static {
    /// How it stands.
    fn state(&self) -> SourceState;

    /// Ends it: waits for the message in hand, and for the other side, in a bounded time.
    fn end(self: Box<Self>) -> Later<'static, ()>;
}

/// How a subscription stands.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SourceState {
    /// The other side was not asked yet, or has not answered.
    Asked,
    /// It agreed.
    Active,
    /// It came to an end: why.
    Ended(String),
}

/// A message that arrived, for a handler.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Received {
    /// The subscription id it arrived for.
    pub subscription_id: Arc<str>,
    /// The name of the target it came from; `loopback` for what was published here.
    pub target: Arc<str>,
    /// What it says.
    pub payload: Payload,
    /// The message of MQTT, with topic, QoS, retain flag and properties, if it came over that.
    pub message: Option<Message>,
}

/// Work that is done one after the other, in the order of the first polls. It has `limit` to begin and to end; when the
/// time is up it is not torn apart, but goes on in a task.
pub(crate) async fn exclusively<T: Send + 'static>(
    turn: Arc<Mutex<()>>,
    limit: Duration,
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, DeliveryError> {
    let until = Instant::now() + limit;
    let turn = timeout_at(until, turn.lock_owned()).await;
    let turn = turn.map_err(|_| {
        DeliveryError::not_sent(format!("what came before it was still not done after {limit:?}"))
    })?;
    let work = tokio::spawn(async move {
        let done = work.await;
        drop(turn);
        done
    });
    match timeout_at(until, work).await {
        Ok(done) => done.map_err(DeliveryError::unknown),
        Err(_) => Err(DeliveryError::unknown(format!("it was not done within {limit:?}"))),
    }
}
