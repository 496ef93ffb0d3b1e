//! Unsubscribing.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use packetboat_core::topic::TopicFilter;
use packetboat_core::wire::{PropertiesBuf, QoS, Reason};

use crate::SubscribeError;
use crate::shared::{Handle, Key, remember};

/// What the broker said to a SUBSCRIBE or an UNSUBSCRIBE that it did not refuse.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Answer {
    /// The granted QoS; for UNSUBSCRIBE, whether there was such a subscription (5.0).
    pub reason: Reason,
    /// Reason string and user properties, without these if they are larger than 64 KiB in all; empty on 3.1.1.
    pub properties: PropertiesBuf,
}

impl Answer {
    pub(crate) fn new(reason: Reason, properties: Option<Box<PropertiesBuf>>) -> Self {
        Self { reason, properties: properties.map_or_else(PropertiesBuf::new, |boxed| *boxed) }
    }

    /// The QoS that was granted.
    #[must_use]
    pub fn granted(&self) -> QoS {
        match self.reason {
            Reason::GRANTED_QOS_2 => QoS::ExactlyOnce,
            Reason::GRANTED_QOS_1 => QoS::AtLeastOnce,
            _ => QoS::AtMostOnce,
        }
    }
}

/// An unsubscription on its way; made by [`Client::unsubscribe`](crate::Client::unsubscribe). It is asked for at once;
/// awaiting it waits for the broker's answer, over as many connections as that takes, unless there is a
/// [`timeout`](Unsubscribe::timeout).
#[must_use = "await it to learn the broker's answer"]
pub struct Unsubscribe {
    pub(crate) handle: Arc<Handle>,
    state: Result<Key, SubscribeError>,
}

impl Unsubscribe {
    pub(crate) fn new(handle: &Arc<Handle>, filter: &str, mut properties: PropertiesBuf) -> Self {
        properties.keep_only(packetboat_core::wire::Place::Unsubscribe);
        let filter = TopicFilter::new(filter).map_err(SubscribeError::Filter);
        let state = filter.and_then(|filter| {
            let asked = handle.shared.lock().unsubscribe(&filter, &properties);
            asked.map_err(SubscribeError::Rejected)
        });
        Self { handle: handle.clone(), state }
    }
}

impl Future for Unsubscribe {
    type Output = Result<Answer, SubscribeError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let key = match &self.state {
            Ok(key) => *key,
            Err(error) => return Poll::Ready(Err(error.clone())),
        };
        let mut guard = self.handle.shared.lock();
        let inner = &mut *guard;
        let closed = inner.closed;
        let Some(pending) = inner.unsubscribes.get_mut(key) else {
            return Poll::Ready(Err(SubscribeError::Closed));
        };
        match pending.answer.clone() {
            Some(Answer { reason, properties }) if reason.is_error() => {
                Poll::Ready(Err(SubscribeError::Refused { reason, properties }))
            }
            Some(answer) => Poll::Ready(Ok(answer)),
            None if closed => Poll::Ready(Err(SubscribeError::Closed)),
            None => {
                remember(&mut pending.waker, cx.waker(), &mut inner.deferred.retired);
                Poll::Pending
            }
        }
    }
}

impl Drop for Unsubscribe {
    fn drop(&mut self) {
        if let Ok(key) = self.state {
            let mut inner = self.handle.shared.lock();
            let closed = inner.closed;
            match inner.unsubscribes.get_mut(key) {
                Some(pending) if pending.answer.is_none() && !closed => pending.detached = true,
                _ => {
                    let gone = inner.unsubscribes.remove(key);
                    drop(inner);
                    drop(gone);
                }
            }
        }
    }
}

impl fmt::Debug for Unsubscribe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unsubscribe").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use crate::{Client, Options, SubscribeError};

    #[tokio::test]
    async fn nothing_stays_of_one_that_comes_after_the_end() {
        let options = Options::new("mqtt://localhost").connect_on_demand(true);
        let client = Client::start(options).unwrap();
        let before = client.unsubscribe("a");
        client.disconnect().await.unwrap();
        assert!(matches!(before.await, Err(SubscribeError::Closed)));
        let after = client.unsubscribe("a");
        let shared = after.handle.shared.clone();
        assert!(matches!(after.await, Err(SubscribeError::Closed)));
        drop(client.unsubscribe("a"));
        assert_eq!(shared.lock().unsubscribes.len(), 0);
    }
}
