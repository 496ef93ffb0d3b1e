//! A stream of messages that are read.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use serde::de::DeserializeOwned;

use super::{DecodeError, Typed, TypedTopic};
use crate::Subscriber;

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
