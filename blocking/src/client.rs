//! The handle.

use std::fmt;
use std::time::Duration;

use packetboat::{
    Answer, Body, Callback, Closed, ConnectError, Message, Options, PingError, Publish, Request, State,
    SubscribeError, Subscription, Undelivered,
};

use crate::callback::on_a_thread;
use crate::subscriber::Subscriber;
use crate::wait::{Wait, WaitError, wait_for};

/// A connection to a broker, kept up for as long as this handle, a clone of it or one of its streams lives: a
/// [`packetboat::Client`] whose calls block. Handles are cheap to clone and can be used from any thread.
///
/// ```no_run
/// use packetboat_blocking::{Client, QoS, Wait};
///
/// # fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let client = Client::connect("mqtt://localhost")?;
/// client.publish("hello/world", "Hello!").qos(QoS::AtLeastOnce).wait()?;
/// client.disconnect()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    client: packetboat::Client,
}

impl Client {
    /// Connects: waits for the broker's first yes, or says clearly what is wrong. Once connected, the client reconnects
    /// by itself.
    pub fn connect(options: impl Into<Options>) -> Result<Self, WaitError<ConnectError>> {
        packetboat::Client::connect(options).wait().map(Self::from)
    }

    /// Starts without waiting: what is published is queued, and connecting is tried until it succeeds.
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// use packetboat_blocking::Client;
    ///
    /// # fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let client = Client::start("mqtt://localhost")?;
    /// if !client.wait_until_connected(Duration::from_secs(5))? {
    ///     println!("not yet; what is published waits");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn start(options: impl Into<Options>) -> Result<Self, WaitError<ConnectError>> {
        async { packetboat::Client::start(options) }.wait().map(Self::from)
    }

    /// A message to publish: [wait](Wait::wait) for it, or for its [`enqueue`](Publish::enqueue).
    pub fn publish<'a>(&'a self, topic: &'a str, payload: impl Into<Body<'a>>) -> Publish<'a> {
        self.client.publish(topic, payload)
    }

    /// A question: [wait](Wait::wait) for the answer. It begins only then.
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// use packetboat_blocking::Wait;
    ///
    /// # fn example(client: packetboat_blocking::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let answer = client.request("squares", "12").wait_within(Duration::from_secs(5))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn request<'a>(&'a self, topic: &'a str, payload: impl Into<Body<'a>>) -> Request<'a> {
        self.client.request(topic, payload)
    }

    /// Subscribes to a filter and gives the messages.
    pub fn subscribe(&self, filter: &str) -> Result<Subscriber, WaitError<SubscribeError>> {
        self.subscription(filter).wait().map(Subscriber::from)
    }

    /// A subscription with options: [wait](Wait::wait) for it, and make a [`Subscriber`] of what comes.
    ///
    /// ```no_run
    /// use packetboat_blocking::{Client, Subscriber, Wait};
    ///
    /// # fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let jobs: Subscriber = client.subscription("$share/workers/jobs").manual_ack().wait()?.into();
    /// for job in jobs {
    ///     let job = job?;
    ///     // ... work ...
    ///     job.ack()?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn subscription<'a>(&'a self, filter: &str) -> Subscription<'a> {
        self.client.subscription(filter)
    }

    /// Subscribes to a filter and calls `handler` with the client and each message, on a thread of the callback's own. It
    /// may publish, subscribe, and take its time; after a panic it is called again, with the next message.
    ///
    /// ```no_run
    /// # fn example(client: packetboat_blocking::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let callback = client.call("sensors/#", |_client, message| {
    ///     println!("{}: {}", message.topic(), String::from_utf8_lossy(message.payload()));
    /// })?;
    /// callback.keep();
    /// # Ok(())
    /// # }
    /// ```
    pub fn call(
        &self,
        filter: &str,
        handler: impl FnMut(&Self, Message) + Send + 'static,
    ) -> Result<Callback, WaitError<SubscribeError>> {
        let mut call = on_a_thread(self.clone(), handler).map_err(WaitError::NotStarted)?;
        self.subscription(filter).call(move |_, message| call(message).returned()).wait()
    }

    /// All that arrives, whatever its filter: [`packetboat::Client::messages`].
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// use packetboat_blocking::Wait;
    ///
    /// # fn example(client: packetboat_blocking::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut all = client.messages();
    /// client.subscription("sensors/#").to_messages().wait()?;
    /// while let Some(message) = all.next_within(Duration::from_secs(60))? {
    ///     println!("{}", message.topic());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn messages(&self) -> Subscriber {
        self.client.messages().into()
    }

    /// Ends all streams on a filter and takes it back from the broker.
    pub fn unsubscribe(&self, filter: &str) -> Result<Answer, WaitError<SubscribeError>> {
        self.client.unsubscribe(filter).wait()
    }

    /// Asks the broker for a sign of life; gives the time that took.
    pub fn ping(&self) -> Result<Duration, WaitError<PingError>> {
        self.client.ping().wait()
    }

    /// Waits until the socket has taken everything that was accepted so far.
    pub fn flush(&self) -> Result<(), WaitError<Closed>> {
        self.client.flush().wait()
    }

    /// Waits until there is a connection: true; false, if that took longer, or the client is closed.
    pub fn wait_until_connected(&self, limit: Duration) -> Result<bool, WaitError<Closed>> {
        let mut watch = self.client.watch();
        wait_for(async move {
            let connected = watch.wait_for(|state| matches!(state, State::Connected(_) | State::Closed));
            let state = tokio::time::timeout(limit, connected).await;
            matches!(state, Ok(Ok(state)) if state.is_connected())
        })
    }

    /// Is there a connection?
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.client.is_connected()
    }

    /// Finishes what was accepted, for at most [`drain_timeout`](Options::drain_timeout), then says goodbye to the
    /// broker and ends all streams. Nothing is accepted any more.
    pub fn disconnect(&self) -> Result<(), WaitError<Undelivered>> {
        self.client.disconnect().wait()
    }

    /// The async client below, for what has nothing to be waited for: its state, its queue, its limits, event handlers,
    /// staying offline.
    #[must_use]
    pub fn as_async(&self) -> &packetboat::Client {
        &self.client
    }
}

/// A client of an async part of the program. It stays on the runtime it was made on.
impl From<packetboat::Client> for Client {
    fn from(client: packetboat::Client) -> Self {
        Self { client }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.client.fmt(f)
    }
}
