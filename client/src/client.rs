//! The handle.

mod ending;
mod keeping;

use std::fmt;
use std::sync::Arc;

use packetboat_core::session::Limits;
use packetboat_core::wire::{PropertiesBuf, Reason, Version};
use tokio::sync::{oneshot, watch};

use crate::body::Body;
use crate::shared::{Handle, Shared, Stream};
use crate::task::{First, Task};
use crate::{
    ConnectError, Events, Incoming, Options, Publish, Reply, Request, RequestCounts, ResponderBuilder, State,
    StreamPolicy, SubscribeError, SubscribeMany, Subscriber, Subscription, Unsubscribe,
};

/// A connection to a broker, kept up for as long as this handle, a clone of it or one of its streams lives.
///
/// Handles are cheap to clone and can be used from any thread. A task of the client's own does the rest; nothing has
/// to be pumped. When the last handle is dropped, the task finishes what was accepted, for at most
/// [`drain_timeout`](Options::drain_timeout), and disconnects; [`disconnect`](Client::disconnect) lets you wait for that.
///
/// ```no_run
/// use packetboat::{Client, QoS};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let client = Client::connect("mqtt://localhost").await?;
/// let mut temperatures = client.subscribe("sensors/+/temperature").await?;
/// client.publish("sensors/7/temperature", "21.5").qos(QoS::AtLeastOnce).await?;
/// if let Some(message) = temperatures.next().await {
///     println!("{}: {:?}", message.topic(), message.payload());
/// }
/// client.disconnect().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    handle: Arc<Handle>,
}

impl Client {
    /// Connects: waits for the broker's first yes, or says clearly what is wrong. Nothing is tried twice but for the
    /// choice of a version. Once connected, the client reconnects by itself.
    ///
    /// To be called within a tokio runtime, on which the client's task will live.
    ///
    /// ```no_run
    /// use packetboat::{Client, ConnectError};
    ///
    /// # async fn example() -> Result<(), ConnectError> {
    /// match Client::connect("mqtt://localhost").await {
    ///     Ok(client) => println!("connected, MQTT {:?}", client.version()),
    ///     // It says who is to blame and what to do.
    ///     Err(error) => eprintln!("{error}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn connect(options: impl Into<Options>) -> Result<Self, ConnectError> {
        let (first, answer) = oneshot::channel();
        let client = Self::spawn(options.into(), Some(first))?;
        answer.await.unwrap_or(Err(ConnectError::Closed))?;
        Ok(client)
    }

    /// Starts without waiting: what is published is queued, and connecting is tried until it succeeds.
    ///
    /// To be called within a tokio runtime, on which the client's task will live.
    ///
    /// ```no_run
    /// use packetboat::{Client, QoS};
    ///
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let client = Client::start("mqtt://localhost")?;
    /// // Waits in the queue until there is a connection.
    /// let receipt = client.publish("boat/started", "").qos(QoS::AtLeastOnce).enqueue().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn start(options: impl Into<Options>) -> Result<Self, ConnectError> {
        Self::spawn(options.into(), None)
    }

    fn spawn(options: Options, first: Option<First>) -> Result<Self, ConnectError> {
        let shared = Shared::new(options.settle()?);
        tokio::spawn(Task::new(shared.clone(), first));
        Ok(Self { handle: Handle::new(shared) })
    }

    /// A message to publish. Nothing happens until it is awaited, [enqueued](Publish::enqueue) or
    /// [tried](Publish::try_publish).
    ///
    /// ```no_run
    /// # use packetboat::{Client, QoS};
    /// # async fn example(client: Client) -> Result<(), packetboat::PublishError> {
    /// // Returns when the broker has confirmed it.
    /// client.publish("a/b", "payload").qos(QoS::AtLeastOnce).await?;
    ///
    /// // Returns when it is accepted; the receipt tells the rest.
    /// let receipt = client.publish("a/b", vec![0; 1_000_000]).qos(QoS::ExactlyOnce).enqueue().await?;
    /// receipt.await?;
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn publish<'a>(&'a self, topic: &'a str, payload: impl Into<Body<'a>>) -> Publish<'a> {
        Publish::new(&self.handle.shared, topic, payload.into())
    }

    /// Asks whoever answers on a topic, and waits for the answer.
    ///
    /// All requests of a client share one subscription, to a response topic of its own: the broker's response
    /// information where it gives one ([`Options::response_information`]), else [`Options::response_prefix`], with the
    /// client identifier behind it. On 3.1.1 the request goes to a topic below the one named here that says where the
    /// answer is wanted: `a/b/$request/<response topic>/<number>`. [`respond_to`](Self::respond_to) understands both, on 5.0.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # async fn example(client: packetboat::Client) -> Result<(), packetboat::RequestError> {
    /// let answer = client.request("boiler/temperature", "").timeout(Duration::from_secs(5)).await?;
    /// println!("{:?}", answer.payload());
    /// # Ok(())
    /// # }
    /// ```
    pub fn request<'a>(&'a self, topic: &'a str, payload: impl Into<Body<'a>>) -> Request<'a> {
        Request::new(&self.handle, topic, payload.into())
    }

    /// What became of this client's requests so far.
    #[must_use]
    pub fn requests(&self) -> RequestCounts {
        self.handle.shared.desk().counts()
    }

    /// Answers the requests that arrive on a filter: await it to start. What the handler returns is the answer, a payload or
    /// a [`Reply`]; its error goes to whoever asked, as text. Requests above its bounds are answered "busy" at once.
    ///
    /// On 3.1.1 the topic of a request says where its answer is wanted; the responder subscribes to
    /// `<filter>/$request/#` too, on every version. So one that is connected by 5.0 serves clients of both; one that is by
    /// 3.1.1 serves those of 3.1.1 alone, since the broker keeps from it where others want their answers.
    ///
    /// ```no_run
    /// # async fn example(client: packetboat::Client) -> Result<(), packetboat::SubscribeError> {
    /// let responder = client
    ///     .respond_to("squares", async |request| {
    ///         let text = String::from_utf8(request.payload().to_vec()).map_err(|error| error.to_string())?;
    ///         let number: u32 = text.parse().map_err(|error| format!("{text:?}: {error}"))?;
    ///         Ok::<_, String>((u64::from(number) * u64::from(number)).to_string())
    ///     })
    ///     .concurrency(8)
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn respond_to<H, F, B, E>(&self, filter: &str, handler: H) -> ResponderBuilder<'_>
    where
        H: Fn(Incoming) -> F + Send + Sync + 'static,
        F: Future<Output = Result<B, E>> + Send + 'static,
        B: Into<Reply>,
        E: fmt::Display,
    {
        ResponderBuilder::new(&self.handle, filter, handler)
    }

    /// Subscribes to a filter and gives the stream of its messages. Several streams may have the same filter.
    ///
    /// ```no_run
    /// # async fn example(client: packetboat::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut temperatures = client.subscribe("rooms/+/temperature").await?;
    /// while let Some(message) = temperatures.next().await {
    ///     println!("{}: {:?}", message.topic(), message.payload());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn subscribe(&self, filter: &str) -> Result<Subscriber, SubscribeError> {
        self.subscription(filter).await
    }

    /// A subscription with options; await it to make it.
    ///
    /// ```no_run
    /// # use packetboat::{Client, QoS, StreamPolicy};
    /// # async fn example(client: Client) -> Result<(), packetboat::SubscribeError> {
    /// let mut newest = client.subscription("sensors/#").qos(QoS::AtMostOnce).policy(StreamPolicy::DropOldest).await?;
    /// let mut jobs = client.subscription("$share/workers/jobs").manual_ack().await?;
    /// while let Some(job) = jobs.next().await {
    ///     // ... work ...
    ///     let _ = job.ack();
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn subscription<'a>(&'a self, filter: &str) -> Subscription<'a> {
        Subscription::new(&self.handle, filter)
    }

    /// Makes several subscriptions together, in as few packets as the broker allows (8 filters in each), and gives for
    /// each its stream or why there is none, in their order. Where the broker takes subscription identifiers each filter
    /// needs a packet of its own.
    ///
    /// ```no_run
    /// # use packetboat::{Client, QoS};
    /// # async fn example(client: Client) {
    /// let filters = ["sensors/#", "valves/+/state", "alarms"];
    /// let many = filters.map(|filter| client.subscription(filter).qos(QoS::AtLeastOnce));
    /// for (filter, result) in filters.iter().zip(client.subscribe_many(many).await) {
    ///     match result {
    ///         Ok(stream) => println!("{filter}: granted {:?}", stream.granted()),
    ///         Err(error) => println!("{filter}: {error}"),
    ///     }
    /// }
    /// # }
    /// ```
    pub fn subscribe_many<'a>(
        &'a self,
        subscriptions: impl IntoIterator<Item = Subscription<'a>>,
    ) -> SubscribeMany<'a> {
        SubscribeMany::new(subscriptions)
    }

    /// Ends all streams on a filter and takes it back from the broker.
    ///
    /// ```no_run
    /// # async fn example(client: packetboat::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// client.unsubscribe("sensors/#").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn unsubscribe(&self, filter: &str) -> Unsubscribe {
        Unsubscribe::new(&self.handle, filter, PropertiesBuf::new())
    }

    /// As [`unsubscribe`](Self::unsubscribe), with user properties (5.0). Under a client that is fixed to 3.1.1 that is an
    /// error, and a connection that turns out to be 3.1.1 refuses it.
    pub fn unsubscribe_with(&self, filter: &str, properties: PropertiesBuf) -> Unsubscribe {
        Unsubscribe::new(&self.handle, filter, properties)
    }

    /// The stream of everything that arrives, whatever its filter. With QoS 1 and 2 a message is acknowledged when all
    /// streams that have it are done with it, this one included.
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// # async fn example(client: packetboat::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut all = client.messages();
    /// // Only into that stream, and none of their own.
    /// client.subscription("sensors/#").to_messages().await?;
    /// client.subscription("alarms/#").to_messages().await?;
    /// while let Some(message) = all.next_within(Duration::from_secs(60)).await? {
    ///     println!("{}", message.topic());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn messages(&self) -> Subscriber {
        let capacity = self.handle.shared.settings().options.choices.inbound_messages.into();
        let stream = Stream::new(&[], StreamPolicy::Wait, capacity);
        let progress = stream.progress();
        let key = self.handle.shared.lock().everything(stream);
        Subscriber::new(self.handle.clone(), key, progress, false, capacity, &[])
    }

    /// Where the client stands.
    ///
    /// ```no_run
    /// # async fn example(client: packetboat::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// if !matches!(client.state(), packetboat::State::Connected(_)) {
    ///     println!("not connected: what is published waits");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn state(&self) -> State {
        self.handle.shared.lock().state()
    }

    /// Is there a connection?
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.handle.shared.watch().borrow().is_connected()
    }

    /// What the broker's last answer to CONNECT was, whether or not there is a connection now; `None` before the first.
    /// It reads as text, and [`Reason::return_code`] has the number of 3.1.1.
    #[must_use]
    pub fn return_code(&self) -> Option<Reason> {
        self.handle.shared.lock().answer
    }

    /// Where the client stands, to be watched.
    ///
    /// ```no_run
    /// # async fn example(client: packetboat::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut state = client.watch();
    /// state.wait_for(|state| state.is_connected()).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<State> {
        self.handle.shared.watch()
    }

    /// What happens from now on.
    ///
    /// ```no_run
    /// # async fn example(client: packetboat::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut events = client.events();
    /// while let Some(event) = events.next().await {
    ///     println!("{event:?}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn events(&self) -> Events {
        let key = self.handle.shared.lock().listeners.add();
        Events { handle: self.handle.clone(), key }
    }

    /// What the broker allows; what it last allowed while there is no connection.
    #[must_use]
    pub fn limits(&self) -> Limits {
        *self.handle.shared.lock().session.limits()
    }

    /// The version spoken, or last spoken, or to be tried first.
    #[must_use]
    pub fn version(&self) -> Version {
        self.handle.shared.lock().session.version()
    }

    /// The client identifier in use: yours, a generated one, or the broker's choice.
    #[must_use]
    pub fn client_id(&self) -> Arc<str> {
        self.handle.shared.lock().client_id.clone()
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.handle.shared
    }
}

impl From<Arc<Handle>> for Client {
    fn from(handle: Arc<Handle>) -> Self {
        Self { handle }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("client_id", &self.client_id()).field("state", &self.state()).finish()
    }
}
