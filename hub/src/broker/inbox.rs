//! Handlers, and the way messages get to them.

use std::any::Any;
use std::fmt;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;

use packetboat::Message;

use super::{Later, Payload, Received};

type Handle = dyn Fn(Received) -> Later<'static, ()> + Send + Sync;

/// What a protocol puts arrived messages in: the handler of a subscription. Clones are the same.
#[derive(Clone)]
pub struct Inbox {
    pub(crate) subscription_id: Arc<str>,
    pub(crate) target: Arc<str>,
    handle: Arc<Handle>,
}

impl Inbox {
    pub(crate) fn new<F>(
        subscription_id: Arc<str>,
        target: Arc<str>,
        handler: impl Fn(Received) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self { subscription_id, target, handle: Arc::new(move |received| Box::pin(handler(received))) }
    }

    /// The same handler for what comes from another target.
    pub(crate) fn of_target(&self, target: Arc<str>) -> Self {
        Self { target, ..self.clone() }
    }

    /// Gives a message to the handler and waits until it is done with it. An error: the handler panicked.
    pub async fn put(&self, payload: Payload, message: Option<Message>) -> Result<(), Panicked> {
        let received = Received {
            subscription_id: self.subscription_id.clone(),
            target: self.target.clone(),
            payload,
            message,
        };
        caught(async { (self.handle)(received).await }).await
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox")
            .field("subscription_id", &self.subscription_id)
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

/// Code of the application's panicked, with this text.
#[derive(Clone, Eq, PartialEq)]
pub struct Panicked(pub(crate) String);

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it panicked: {}", self.0)
    }
}

packetboat::readable_debug!(Panicked);

impl std::error::Error for Panicked {}

/// What a future gives, unless it panics.
pub(crate) async fn caught<T>(future: impl Future<Output = T>) -> Result<T, Panicked> {
    let mut future = pin!(future);
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(polled) => polled.map(Ok),
        Err(panic) => std::task::Poll::Ready(Err(Panicked(text_of(&*panic)))),
    })
    .await
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without a text".to_owned())
}
