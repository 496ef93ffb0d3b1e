//! Messages that are read on their way to the user: streams and callbacks.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use serde::de::DeserializeOwned;

use super::{DecodeError, Typed, TypedTopic};
use crate::{Callback, Client, NothingCame, SubscribeError, Subscriber, Subscription};

impl Subscription<'_> {
    /// As [`call`](Self::call), with each message read as one of a topic. One that cannot be read is handed over as an
    /// error, and acknowledged like any other.
    ///
    /// ```no_run
    /// use packetboat::typed::TypedTopic;
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Sensor { room: String, id: u32 }
    ///
    /// # async fn example(client: packetboat::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let readings = TypedTopic::<Sensor, f64>::new("sensors/{room}/{id}/temperature")?;
    /// let callback = client
    ///     .subscription(readings.filter())
    ///     .call_typed(&readings, async |_client, item| match item {
    ///         Ok(reading) => println!("{}/{}: {}", reading.levels.room, reading.levels.id, reading.payload),
    ///         Err(error) => eprintln!("{error}"),
    ///     })
    ///     .await?;
    /// callback.keep();
    /// # Ok(())
    /// # }
    /// ```
    pub async fn call_typed<L, P, H, F>(
        self,
        topic: &TypedTopic<L, P>,
        mut handler: H,
    ) -> Result<Callback, SubscribeError>
    where
        L: DeserializeOwned + 'static,
        P: DeserializeOwned + 'static,
        H: FnMut(Client, Result<Typed<L, P>, DecodeError>) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let topic = topic.clone();
        self.call(move |client, message| handler(client, topic.read(message))).await
    }
}

/// A stream of what messages say; made by [`Subscriber::typed`]. A message that cannot be read is an error item, and the
/// stream goes on: it ends where the stream of messages does.
#[derive(Debug)]
pub struct TypedSubscriber<L, P> {
    messages: Subscriber,
    topic: TypedTopic<L, P>,
}

impl Subscriber {
    /// Read its messages as those of a topic.
    #[must_use]
    pub fn typed<L, P>(self, topic: &TypedTopic<L, P>) -> TypedSubscriber<L, P> {
        TypedSubscriber { messages: self, topic: topic.clone() }
    }
}

impl<L: DeserializeOwned, P: DeserializeOwned> TypedSubscriber<L, P> {
    /// The next message, or what is wrong with it; `None` when the stream has ended. Safe to drop at any time. As with
    /// [`Subscriber::next`], taking the next acknowledges the previous one.
    pub async fn next(&mut self) -> Option<Result<Typed<L, P>, DecodeError>> {
        let message = self.messages.next().await?;
        Some(self.topic.read(message))
    }

    /// As [`next`](Self::next), but for no longer than this.
    pub async fn next_within(
        &mut self,
        limit: Duration,
    ) -> Result<Option<Result<Typed<L, P>, DecodeError>>, NothingCame> {
        let message = self.messages.next_within(limit).await?;
        Ok(message.map(|message| self.topic.read(message)))
    }

    /// What is there, at least one message and at most `maximum`; none when the stream has ended. The whole batch counts as
    /// one message: asking again acknowledges it.
    pub async fn next_batch(&mut self, maximum: usize) -> Vec<Result<Typed<L, P>, DecodeError>> {
        let batch = self.messages.next_batch(maximum).await;
        batch.into_iter().map(|message| self.topic.read(message)).collect()
    }
}

impl<L, P> TypedSubscriber<L, P> {
    /// The stream of messages below.
    #[must_use]
    pub fn into_messages(self) -> Subscriber {
        self.messages
    }
}

impl<L: DeserializeOwned, P: DeserializeOwned> Stream for TypedSubscriber<L, P> {
    type Item = Result<Typed<L, P>, DecodeError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let message = Pin::new(&mut this.messages).poll_next(cx);
        message.map(|message| message.map(|message| this.topic.read(message)))
    }
}
