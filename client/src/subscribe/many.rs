//! Several filters at once.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::{Draft, Subscription};
use crate::shared::refuse_again;
use crate::{SubscribeError, Subscriber};

/// Several subscriptions to be made together; comes from [`Client::subscribe_many`](crate::Client::subscribe_many).
/// Awaiting it asks the broker and waits for the answers. Dropped before that, the filters are unsubscribed again.
#[must_use = "subscriptions are made when they are awaited"]
pub struct SubscribeMany<'a> {
    subscriptions: Vec<Subscription<'a>>,
    /// Empty until they were asked for.
    results: Vec<Option<Result<Subscriber, SubscribeError>>>,
    ended: bool,
}

impl<'a> SubscribeMany<'a> {
    pub(crate) fn new(subscriptions: impl IntoIterator<Item = Subscription<'a>>) -> Self {
        Self { subscriptions: subscriptions.into_iter().collect(), results: Vec::new(), ended: false }
    }

    /// All of one client under one lock, so that they go into as few packets as the broker allows.
    fn ask(&mut self) {
        let mut drafts: Vec<Result<Draft, SubscribeError>> =
            self.subscriptions.iter().map(|subscription| subscription.draft(true)).collect();
        let Some(first) = self.subscriptions.first() else { return };
        let mut shared = &first.handle.shared;
        let mut inner = shared.lock();
        let mut asked = Vec::with_capacity(drafts.len());
        for (subscription, draft) in self.subscriptions.iter().zip(&mut drafts) {
            if !Arc::ptr_eq(shared, &subscription.handle.shared) {
                drop(inner);
                shared = &subscription.handle.shared;
                inner = shared.lock();
            }
            let submit = |draft: &mut Draft| subscription.submit(&mut inner, draft, false);
            asked.push(draft.as_mut().map_err(|error| error.clone()).and_then(submit));
        }
        drop(inner);
        let finished = self.subscriptions.iter_mut().zip(drafts.into_iter().zip(asked));
        self.results = finished
            .map(|(subscription, (draft, asked))| {
                match draft.and_then(|draft| subscription.finish(draft, asked)) {
                    Ok(asked) => {
                        subscription.asked = Some(asked);
                        None
                    }
                    Err(error) => Some(Err(error)),
                }
            })
            .collect();
    }
}

impl Future for SubscribeMany<'_> {
    type Output = Vec<Result<Subscriber, SubscribeError>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let many = self.get_mut();
        refuse_again(many.ended);
        if many.results.is_empty() {
            many.ask();
        }
        let mut pending = false;
        for (subscription, result) in many.subscriptions.iter_mut().zip(&mut many.results) {
            if result.is_none() {
                match subscription.poll_subscriber(cx) {
                    Poll::Ready(ready) => *result = Some(ready),
                    Poll::Pending => pending = true,
                }
            }
        }
        many.ended = !pending;
        if pending { Poll::Pending } else { Poll::Ready(many.results.drain(..).flatten().collect()) }
    }
}

impl fmt::Debug for SubscribeMany<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.subscriptions).finish()
    }
}
