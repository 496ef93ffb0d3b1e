//! One broker of MQTT without a configuration: Panorama's client of the protocol.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use packetboat::{Client, ConnectError, Options, TopicError};

use super::background::Background;
use super::plan::Bound;
use super::protocol::{Direct, Outgoing, SourceError};
use super::subscriptions::{Entry, Subscriptions, join};
use super::{Delivered, Delivery, DeliveryError, Inbox, MessageError, Payload, Received, Token};

/// Publishes and subscribes by topic, with handlers and tokens. Messages are published with QoS 1, and subscribed to with
/// QoS 1.
///
/// ```no_run
/// use packetboat_hub::broker::ProtocolClient;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let client = ProtocolClient::connect("mqtt://localhost").await?;
/// let token = client.subscribe("devices/+/state", async |received| println!("{:?}", received.payload)).await?;
/// client.publish("devices/7/state", "on").await?;
/// client.publish_async("devices/7/state", "off", |delivery| println!("{delivery}"))?;
/// client.unsubscribe(token).await;
/// # Ok(())
/// # }
/// ```
pub struct ProtocolClient {
    client: Client,
    direct: Direct,
    limit: Duration,
    subscriptions: Subscriptions,
    background: Background,
}

/// Why a filter is not subscribed to.
#[non_exhaustive]
pub enum FilterError {
    /// It is no filter.
    Filter {
        /// What it is.
        filter: String,
        /// What is wrong with it.
        error: TopicError,
    },
    /// The broker refused it.
    Refused {
        /// Which.
        filter: String,
        /// Why.
        error: SourceError,
    },
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Filter { filter, error } => write!(f, "{filter:?} is no topic filter: {error}"),
            Self::Refused { filter, error } => write!(f, "`{filter}`: {error}"),
        }
    }
}

packetboat::readable_debug!(FilterError);

impl std::error::Error for FilterError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Filter { error, .. } => Some(error),
            Self::Refused { error, .. } => Some(&**error),
        }
    }
}

impl ProtocolClient {
    /// Connects, as [`Client::connect`] does: an error if the broker is away.
    pub async fn connect(options: impl Into<Options>) -> Result<Self, ConnectError> {
        let options = options.into();
        Ok(Self::of(options.clone(), Client::connect(options).await?))
    }

    /// Begins without waiting, as [`Client::start`] does.
    pub fn start(options: impl Into<Options>) -> Result<Self, ConnectError> {
        let options = options.into();
        Ok(Self::of(options.clone(), Client::start(options)?))
    }

    fn of(options: Options, client: Client) -> Self {
        let direct = Direct::new(options, client.clone());
        let (subscriptions, background) = (Subscriptions::default(), Background::default());
        Self { client, direct, limit: Duration::from_secs(30), subscriptions, background }
    }

    /// How long publishing, and asking for a filter, may take. Default: 30 s.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Publishes, and waits until the broker has confirmed it.
    pub async fn publish(
        &self,
        topic: &str,
        payload: impl Into<Payload>,
    ) -> Result<Delivered, DeliveryError> {
        self.deliver(topic, payload.into()).await.outcome
    }

    /// Publishes without waiting: `handler` is told when the broker has confirmed it, or why not. At most 1,000 messages and
    /// 16 MiB are on their way so. To be called within a tokio runtime.
    pub fn publish_async(
        &self,
        topic: &str,
        payload: impl Into<Payload>,
        handler: impl Fn(Delivery) + Send + Sync + 'static,
    ) -> Result<(), MessageError> {
        let payload = payload.into();
        let delivery = || Ok(vec![self.deliver(topic, payload.clone())]);
        self.background.send(payload.bytes().len(), delivery, handler)
    }

    fn deliver(&self, topic: &str, payload: Payload) -> super::Later<'static, Delivery> {
        let name: Arc<str> = "mqtt".into();
        let destination = self.direct.destination(topic);
        let message = Outgoing { limit: self.limit, ..Outgoing::new(topic, payload) };
        Bound { target: name.clone(), protocol: name, destination, expands: false }.deliver(message)
    }

    /// Calls `handler` with every message of a filter, one after the other. There may be several handlers of one filter. A
    /// message is acknowledged when its handler is done with it.
    ///
    /// An error if the broker refuses; if it is away, it is asked when it comes back.
    pub async fn subscribe<F>(
        &self,
        filter: &str,
        handler: impl Fn(Received) -> F + Send + Sync + 'static,
    ) -> Result<Token, FilterError>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let text = || filter.to_owned();
        let source =
            self.direct.source(filter).map_err(|error| FilterError::Filter { filter: text(), error })?;
        let name: Arc<str> = "mqtt".into();
        let inbox = Inbox::new(filter.into(), name.clone(), handler);
        let joined = join(name, source, inbox.clone(), self.limit).await;
        let joined = joined.map_err(|(_, error)| FilterError::Refused { filter: text(), error })?;
        Ok(self.subscriptions.insert(Entry { inbox, sources: vec![joined] }))
    }

    /// Takes a handler back, and with the last one of a filter the filter. False: there is no such token.
    pub async fn unsubscribe(&self, token: Token) -> bool {
        self.subscriptions.end(token).await
    }

    /// Leaves the connection and makes a new one. Nothing is lost by that: what is published meanwhile waits.
    pub fn reconnect(&self) {
        self.client.reconnect();
    }

    /// All else it can do.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Ends: handlers are finished, and what was accepted, in bounded time.
    pub async fn close(&self) {
        self.subscriptions.end_all().await;
        // Those who published are told what was left.
        let _ = self.client.disconnect().await;
    }
}

impl fmt::Debug for ProtocolClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProtocolClient").field("client_id", &self.client.client_id()).finish_non_exhaustive()
    }
}
