//! Targets and pipes: messages have an id, and the configuration says where they go.

mod background;
mod client;
mod creation;
mod error;
mod inbox;
mod payload;
mod plan;
mod protocol;
mod report;
mod subscriptions;
mod template;
mod update;

use std::fmt;
use std::future::IntoFuture;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use packetboat_config::Node;
use tokio::sync::RwLock;

pub use client::{FilterError, ProtocolClient};
pub use creation::MessageBrokerBuilder;
pub use error::{HandlerError, InitialiseError, MessageError, ProtocolError};
pub use inbox::{Inbox, Panicked};
pub use payload::Payload;
pub(crate) use plan::{Bound, Plan, PlannedTarget};
pub use protocol::{
    AwsEndpoint, Delivered, DeliveryError, Destination, FailedStart, Later, Mqtt, Outgoing, Protocol,
    Received, Source, SourceError, SourceState, Subscribed, Target, TargetDescription,
};
pub use report::{Delivery, Failed, Report};
pub use subscriptions::{SubscriptionStatus, Token};
pub use template::{Template, Variables};
pub(crate) use update::Prepared;

use crate::Hub;
use crate::config::Findings;
use background::Background;
use protocol::Loopback;
use subscriptions::Subscriptions;

/// A broker of messages inside the program. Clones are handles to the same one; when the last is dropped, its targets
/// finish what they have accepted.
///
/// ```
/// use packetboat_hub::MessageBroker;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let broker = MessageBroker::builder().config("{}").create()?;
/// broker.initialise().await?;
/// let token = broker.subscribe("commands", async |received| println!("{:?}", received.payload.bytes())).await?;
/// broker.publish("commands", "start").await?.into_result()?;
/// broker.unsubscribe(token).await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct MessageBroker {
    inner: Arc<Inner>,
}

struct Inner {
    hub: Hub,
    loopback: Loopback,
    limit: Duration,
    state: Mutex<State>,
    /// While the configuration changes, nobody subscribes.
    changing: RwLock<()>,
    subscriptions: Subscriptions,
    background: Background,
}

struct State {
    config: Node,
    file: String,
    protocols: Vec<Arc<dyn Protocol>>,
    phase: Phase,
}

enum Phase {
    New,
    Running(Arc<Plan>),
    Closed,
}

impl MessageBroker {
    /// A broker to be made.
    pub fn builder() -> MessageBrokerBuilder {
        MessageBrokerBuilder::new()
    }

    fn new(
        config: Node,
        file: &str,
        protocols: Vec<Arc<dyn Protocol>>,
        hub: Hub,
        loopback: Loopback,
        limit: Duration,
    ) -> Self {
        let inner = Inner {
            hub,
            loopback,
            limit,
            state: Mutex::new(State { config, file: file.to_owned(), protocols, phase: Phase::New }),
            changing: RwLock::default(),
            subscriptions: Subscriptions::default(),
            background: Background::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Checks the whole configuration, makes targets and pipes, and lets them begin. It does not wait for connections.
    /// False: that had been done before. After an error nothing is left of it.
    #[allow(clippy::unused_async, reason = "targets begin within a runtime")]
    pub async fn initialise(&self) -> Result<bool, InitialiseError> {
        let mut state = self.inner.state();
        match state.phase {
            Phase::New => {}
            Phase::Running(_) => return Ok(false),
            Phase::Closed => return Err(InitialiseError::Closed),
        }
        let context = self.inner.context(&state.protocols, &state.file, &[], None);
        let plan = Inner::begin(&state.config, context)?;
        state.phase = Phase::Running(Arc::new(plan));
        Ok(true)
    }

    /// Publishes to every destination of every pipe that takes this message id, and to the handlers in this process. Await
    /// it for what became of it everywhere. A failure at one destination keeps none of the others from it, and a message
    /// id that no pipe takes is no error.
    ///
    /// Each target gets messages in the order in which they were first awaited. Dropped earlier, what a destination has
    /// not accepted is not sent.
    pub fn publish<'a>(&'a self, message_id: &'a str, payload: impl Into<Payload>) -> Publication<'a> {
        Publication { broker: self, message_id, payload: payload.into(), limit: self.inner.limit }
    }

    /// Publishes without waiting: `handler` is told of each destination. At most 1,000 messages and 16 MiB are on their way
    /// so, or it is [`MessageError::Full`]; those who want to wait for room await [`publish`](Self::publish).
    ///
    /// To be called within a tokio runtime.
    pub fn publish_async(
        &self,
        message_id: &str,
        payload: impl Into<Payload>,
        handler: impl Fn(Delivery) + Send + Sync + 'static,
    ) -> Result<(), MessageError> {
        let payload = payload.into();
        let deliveries = || self.inner.deliveries(message_id, &payload, self.inner.limit);
        self.inner.background.send(payload.bytes().len(), deliveries, handler)
    }

    /// Ends: handlers are finished, targets finish what they have accepted, in bounded time. Nothing is published any
    /// more.
    pub async fn close(&self) {
        let plan = match std::mem::replace(&mut self.inner.state().phase, Phase::Closed) {
            Phase::Running(plan) => plan,
            Phase::New | Phase::Closed => return,
        };
        self.inner.subscriptions.end_all().await;
        join_all(plan.targets.values().map(|planned| planned.target.close())).await;
    }
}

/// For pipes that start at a subscription.
impl MessageBroker {
    /// Reads the whole configuration, of which nothing begins. The hub will have these connections.
    pub(crate) fn read(&self, connections: &[&str], findings: &Findings) -> Plan {
        let State { config, file, protocols, .. } = &*self.inner.state();
        Plan::read(config, self.inner.context(protocols, file, connections, None), findings)
    }

    /// The targets, once they have begun.
    pub(crate) fn running(&self) -> Option<Arc<Plan>> {
        self.inner.plan().ok()
    }
}

impl Inner {
    fn context<'a>(
        &'a self,
        protocols: &'a [Arc<dyn Protocol>],
        file: &'a str,
        connections: &'a [&'a str],
        earlier: Option<&'a Plan>,
    ) -> plan::Context<'a> {
        plan::Context { protocols, file, hub: &self.hub, connections, earlier }
    }

    /// Reads and checks a configuration, and lets the targets begin that do not run already. After an error nothing is left of
    /// it.
    fn begin(config: &Node, context: plan::Context<'_>) -> Result<Plan, InitialiseError> {
        let findings = Findings::default();
        let plan = Plan::read(config, context, &findings);
        let (problems, _) = findings.end(context.file);
        if !problems.is_empty() {
            return Err(InitialiseError::Wrong(problems));
        }
        for (name, planned) in &plan.targets {
            if context.earlier.is_some_and(|earlier| earlier.runs(&planned.target)) {
                continue;
            }
            let target = || name.to_string();
            planned.target.start().map_err(|error| InitialiseError::Start { target: target(), error })?;
        }
        Ok(plan)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn plan(&self) -> Result<Arc<Plan>, MessageError> {
        match &self.state().phase {
            Phase::New => Err(MessageError::NotInitialised),
            Phase::Running(plan) => Ok(plan.clone()),
            Phase::Closed => Err(MessageError::Closed),
        }
    }

    fn add_protocol(&self, protocol: Arc<dyn Protocol>) -> Result<(), ProtocolError> {
        let mut state = self.state();
        let name = protocol.name();
        if !matches!(state.phase, Phase::New) {
            return Err(ProtocolError::TooLate(name.to_owned()));
        }
        if state.protocols.iter().any(|other| other.name() == name) {
            return Err(ProtocolError::Exists(name.to_owned()));
        }
        state.protocols.push(protocol);
        Ok(())
    }

    /// The way to each destination; not yet begun.
    fn deliveries(
        &self,
        message_id: &str,
        payload: &Payload,
        limit: Duration,
    ) -> Result<Vec<Later<'static, Delivery>>, MessageError> {
        if message_id.is_empty() {
            return Err(MessageError::EmptyId);
        }
        let plan = self.plan()?;
        let message = Outgoing { limit, ..Outgoing::new(message_id, payload.clone()) };
        let here = self.loopback.destination_of(message_id).map(|destination| {
            let name: Arc<str> = Loopback::NAME.into();
            Bound { target: name.clone(), protocol: name, destination, expands: false }
                .deliver(message.clone())
        });
        let mut deliveries: Vec<_> = here.into_iter().collect();
        for pipe in &plan.pipes {
            let Some(variables) = pipe.takes(message_id) else { continue };
            let message = Outgoing { variables, count: pipe.count(), ..message.clone() };
            deliveries.extend(pipe.destinations.iter().map(|bound| bound.deliver(message.clone())));
        }
        Ok(deliveries)
    }
}

impl fmt::Debug for MessageBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("MessageBroker");
        if let Ok(plan) = self.inner.plan() {
            debug.field("targets", &plan.targets.keys());
        }
        debug.finish_non_exhaustive()
    }
}

/// A message to be published; made by [`MessageBroker::publish`].
#[must_use = "a message is published when it is awaited"]
#[derive(Debug)]
pub struct Publication<'a> {
    broker: &'a MessageBroker,
    message_id: &'a str,
    payload: Payload,
    limit: Duration,
}

impl Publication<'_> {
    /// How long each destination has. Default: the broker's limit, 30 s.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }
}

impl<'a> IntoFuture for Publication<'a> {
    type Output = Result<Report, MessageError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let deliveries = self.broker.inner.deliveries(self.message_id, &self.payload, self.limit)?;
            Ok(Report::new(join_all(deliveries).await))
        })
    }
}
