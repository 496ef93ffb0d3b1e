//! Those who listen to events.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use super::Event;
use crate::shared::{Deferred, Key, Shared, remember};

const KEPT_EVENTS: usize = 256;

/// Keeps a handler of events in place; made by [`Client::on_event`](crate::Client::on_event). Dropping it removes the
/// handler.
#[must_use = "dropping it removes the handler"]
pub struct EventHandler {
    pub(crate) shared: Weak<Shared>,
    pub(crate) key: Key,
}

impl EventHandler {
    /// Leave the handler in place for as long as the client lives.
    pub fn keep(mut self) {
        self.shared = Weak::new();
    }
}

impl Drop for EventHandler {
    fn drop(&mut self) {
        let Some(shared) = self.shared.upgrade() else { return };
        let gone = shared.lock().listeners.slab.remove(self.key);
        drop(gone);
    }
}

impl fmt::Debug for EventHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventHandler").finish_non_exhaustive()
    }
}

type Call = dyn FnMut(&Event) + Send;

/// Called with events, after the lock is released.
#[derive(Clone)]
pub(crate) struct Handler(Arc<Mutex<Call>>);

impl Handler {
    pub(crate) fn new(handler: impl FnMut(&Event) + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(handler)))
    }

    pub(crate) fn call(&self, event: &Event) {
        // One that panicked is called again: what it does with that is its own affair.
        (self.0.lock().unwrap_or_else(PoisonError::into_inner))(event);
    }
}

impl fmt::Debug for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handler").finish_non_exhaustive()
    }
}

/// Those who listen to events.
#[derive(Debug, Default)]
pub(crate) struct Listeners {
    pub(super) slab: crate::shared::Slab<Listener>,
}

#[derive(Debug, Default)]
pub(super) struct Listener {
    queue: VecDeque<Event>,
    missed: u64,
    waker: Option<Waker>,
    /// It is called instead of being queued for.
    handler: Option<Handler>,
}

impl Listeners {
    pub(crate) fn add(&mut self) -> Key {
        self.slab.insert(Listener::default())
    }

    pub(crate) fn add_handler(&mut self, handler: Handler) -> Key {
        self.slab.insert(Listener { handler: Some(handler), ..Listener::default() })
    }

    pub(crate) fn tell(&mut self, event: &Event, deferred: &mut Deferred) {
        for listener in self.slab.values_mut() {
            if let Some(handler) = &listener.handler {
                deferred.rare().calls.push((handler.clone(), event.clone()));
                continue;
            }
            if listener.queue.len() == KEPT_EVENTS {
                listener.queue.pop_front();
                listener.missed += 1;
            }
            listener.queue.push_back(event.clone());
            deferred.wake.extend(listener.waker.take());
        }
    }

    pub(crate) fn wake_all(&mut self, wake: &mut Vec<Waker>) {
        wake.extend(self.slab.values_mut().filter_map(|listener| listener.waker.take()));
    }

    pub(super) fn poll(
        &mut self,
        key: Key,
        closed: bool,
        cx: &Context<'_>,
        retired: &mut Vec<Waker>,
    ) -> Poll<Option<Event>> {
        let Some(listener) = self.slab.get_mut(key) else { return Poll::Ready(None) };
        if listener.missed > 0 {
            return Poll::Ready(Some(Event::Missed(std::mem::take(&mut listener.missed))));
        }
        match listener.queue.pop_front() {
            Some(event) => Poll::Ready(Some(event)),
            None if closed => Poll::Ready(None),
            None => {
                remember(&mut listener.waker, cx.waker(), retired);
                Poll::Pending
            }
        }
    }
}
