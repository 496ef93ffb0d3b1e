//! Typed topics and JSON.

use std::time::Duration;

use packetboat::typed::{DecodeError, Typed, TypedMessage, TypedTopic};
use packetboat::{Callback, NothingCame, Publish, SubscribeError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Client, Subscriber, WaitError};

impl Client {
    /// A message of a [`TypedTopic`] to publish: [wait](crate::Wait::wait) for it.
    pub fn publish_typed<'a>(&'a self, message: &'a TypedMessage) -> Publish<'a> {
        self.as_async().publish_typed(message)
    }

    /// A message to publish whose payload is `value` as JSON; see [`packetboat::Client::publish_json`].
    pub fn publish_json<'a, T>(&'a self, topic: &'a str, value: &T) -> Result<Publish<'a>, serde_json::Error>
    where
        T: Serialize + ?Sized,
    {
        self.as_async().publish_json(topic, value)
    }

    /// As [`call`](Self::call), for the messages of a topic, each read as one. One that cannot be read is handed over as an
    /// error, and acknowledged like any other.
    ///
    /// ```no_run
    /// use packetboat::typed::TypedTopic;
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Sensor { room: String, id: u32 }
    ///
    /// # fn example(client: packetboat_blocking::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let readings = TypedTopic::<Sensor, f64>::new("sensors/{room}/{id}/temperature")?;
    /// let callback = client.call_typed(&readings, |_client, item| match item {
    ///     Ok(reading) => println!("{}/{}: {}", reading.levels.room, reading.levels.id, reading.payload),
    ///     Err(error) => eprintln!("{error}"),
    /// })?;
    /// callback.keep();
    /// # Ok(())
    /// # }
    /// ```
    pub fn call_typed<L, P>(
        &self,
        topic: &TypedTopic<L, P>,
        mut handler: impl FnMut(&Self, Result<Typed<L, P>, DecodeError>) + Send + 'static,
    ) -> Result<Callback, WaitError<SubscribeError>>
    where
        L: DeserializeOwned + 'static,
        P: DeserializeOwned + 'static,
    {
        let read = topic.clone();
        self.call(topic.filter(), move |client, message| handler(client, read.read(message)))
    }
}

impl Subscriber {
    /// Read its messages as those of a topic.
    ///
    /// ```no_run
    /// use packetboat::typed::TypedTopic;
    /// use packetboat_blocking::WaitError;
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Sensor { room: String, id: u32 }
    ///
    /// # fn example(client: packetboat_blocking::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let readings = TypedTopic::<Sensor, f64>::new("sensors/{room}/{id}/temperature")?;
    /// for item in client.subscribe(readings.filter())?.typed(&readings) {
    ///     match item {
    ///         Ok(reading) => println!("{}/{}: {}", reading.levels.room, reading.levels.id, reading.payload),
    ///         // The iterator goes on.
    ///         Err(WaitError::Failed(error)) => eprintln!("{error}"),
    ///         Err(other) => return Err(other.into()),
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn typed<L, P>(self, topic: &TypedTopic<L, P>) -> TypedSubscriber<L, P> {
        TypedSubscriber { messages: self, topic: topic.clone() }
    }
}

/// What the messages of a subscription say: made by [`Subscriber::typed`]. A message that cannot be read is
/// [`WaitError::Failed`], and the next one can be asked for: the iterator ends where that of messages does.
#[derive(Debug)]
pub struct TypedSubscriber<L, P> {
    messages: Subscriber,
    topic: TypedTopic<L, P>,
}

impl<L: DeserializeOwned, P: DeserializeOwned> TypedSubscriber<L, P> {
    /// What the next message says, however long it takes; `None` when the stream has ended.
    pub fn next_message(&mut self) -> Result<Option<Typed<L, P>>, WaitError<DecodeError>> {
        let message = self.messages.next_message().map_err(reword)?;
        message.map(|message| self.topic.read(message)).transpose().map_err(WaitError::Failed)
    }

    /// As [`next_message`](Self::next_message), but for no longer than this: then [`WaitError::TimedOut`].
    pub fn next_within(&mut self, limit: Duration) -> Result<Option<Typed<L, P>>, WaitError<DecodeError>> {
        let message = self.messages.next_within(limit).map_err(reword)?;
        message.map(|message| self.topic.read(message)).transpose().map_err(WaitError::Failed)
    }
}

impl<L, P> TypedSubscriber<L, P> {
    /// The messages below.
    #[must_use]
    pub fn into_messages(self) -> Subscriber {
        self.messages
    }
}

impl<L: DeserializeOwned, P: DeserializeOwned> Iterator for TypedSubscriber<L, P> {
    type Item = Result<Typed<L, P>, WaitError<DecodeError>>;

    fn next(&mut self) -> Option<Self::Item> {
        let message = match self.messages.next()? {
            Ok(message) => message,
            Err(error) => return Some(Err(reword(error))),
        };
        Some(self.topic.read(message).map_err(WaitError::Failed))
    }
}

/// That no message came is no fault of one.
fn reword(error: WaitError<NothingCame>) -> WaitError<DecodeError> {
    match error {
        WaitError::Failed(NothingCame { limit, .. }) | WaitError::TimedOut(limit) => {
            WaitError::TimedOut(limit)
        }
        WaitError::InsideRuntime => WaitError::InsideRuntime,
        WaitError::NotStarted(error) => WaitError::NotStarted(error),
    }
}
