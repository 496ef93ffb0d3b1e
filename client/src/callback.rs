//! Messages handed to a function of the user's.

use std::fmt;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::{Client, Message, SubscribeError, Subscriber, Subscription};

impl Subscription<'_> {
    /// Makes the subscription and calls `handler` with the client and each message, one after the other. It may
    /// publish, and subscribe to other filters. Each callback has a task of its own, so that one that is slow or panics
    /// keeps no other waiting; after a panic it is called again, with the next message. A handler that blocks its thread
    /// belongs in [`spawn_blocking`](tokio::task::spawn_blocking).
    ///
    /// A message is acknowledged when its handler has returned; with [`manual_ack`](Self::manual_ack), by the handler.
    ///
    /// ```no_run
    /// # async fn example(client: packetboat::Client) -> Result<(), packetboat::SubscribeError> {
    /// let callback = client
    ///     .subscription("sensors/+/temperature")
    ///     .call(async |client, message| {
    ///         println!("{}: {}", message.topic(), String::from_utf8_lossy(message.payload()));
    ///         let _ = client.publish("seen", message.topic().to_owned()).await;
    ///     })
    ///     .await?;
    /// callback.keep();
    /// # Ok(())
    /// # }
    /// ```
    pub async fn call<H, F>(self, handler: H) -> Result<Callback, SubscribeError>
    where
        H: FnMut(Client, Message) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let client = Client::from(self.handle().clone());
        let stream = self.await?;
        let (stop, stopped) = oneshot::channel();
        let counts = Arc::<Counts>::default();
        let task = tokio::spawn(serve(client, stream, handler, counts.clone(), stopped));
        Ok(Callback { stop: Some(stop), counts, task })
    }
}

/// Keeps a callback in place; made by [`Subscription::call`]. Dropping it lets the message in hand be finished, and then
/// ends the callback's stream as dropping any stream would. A callback keeps its client alive.
///
/// ```no_run
/// # async fn example(client: packetboat::Client) -> Result<(), Box<dyn std::error::Error>> {
/// let callback = client.subscription("a/#").call(async |_, message| println!("{}", message.topic())).await?;
/// // ... later:
/// println!("called {} times", callback.called());
/// callback.stop().await;
/// # Ok(())
/// # }
/// ```
#[must_use = "dropping it ends the callback"]
pub struct Callback {
    stop: Option<oneshot::Sender<()>>,
    counts: Arc<Counts>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Counts {
    called: AtomicU64,
    panicked: AtomicU64,
}

impl Callback {
    /// Leaves it in place until the client is disconnected, or the filter unsubscribed.
    pub fn keep(mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }

    /// Ends it, and waits until the message in hand is finished.
    pub async fn stop(mut self) {
        self.stop = None;
        let _ = (&mut self.task).await;
    }

    /// Messages it was called with so far.
    #[must_use]
    pub fn called(&self) -> u64 {
        self.counts.called.load(Ordering::Relaxed)
    }

    /// How many of them made it panic.
    #[must_use]
    pub fn panicked(&self) -> u64 {
        self.counts.panicked.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callback").field("counts", &self.counts).finish_non_exhaustive()
    }
}

async fn serve<H, F>(
    client: Client,
    mut stream: Subscriber,
    mut handler: H,
    counts: Arc<Counts>,
    stop: oneshot::Receiver<()>,
) where
    H: FnMut(Client, Message) -> F,
    F: Future<Output = ()>,
{
    let mut stop = Some(stop);
    while let Some(message) = next(&mut stream, &mut stop).await {
        counts.called.fetch_add(1, Ordering::Relaxed);
        let call = async { handler(client.clone(), message).await };
        if !returns(call).await {
            counts.panicked.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The next message; `None` at the stream's end, or if the callback was dropped.
async fn next(stream: &mut Subscriber, stop: &mut Option<oneshot::Receiver<()>>) -> Option<Message> {
    poll_fn(|cx| {
        if let Some(receiver) = stop {
            match Pin::new(receiver).poll(cx) {
                Poll::Ready(Err(_)) => return Poll::Ready(None),
                // It is kept.
                Poll::Ready(Ok(())) => *stop = None,
                Poll::Pending => {}
            }
        }
        stream.poll_message(cx)
    })
    .await
}

/// False: it panicked.
async fn returns(call: impl Future<Output = ()>) -> bool {
    let mut call = pin!(call);
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(cx))) {
        Ok(polled) => polled.map(|()| true),
        Err(_) => Poll::Ready(false),
    })
    .await
}
