//! Payloads are the user's: the last handle of one may run the user's code, which must not happen under the lock.

use std::cell::{Cell, RefCell};

use bytes::Bytes;
use packetboat_core::session::Handle;

use crate::StreamedPayload;

/// A payload the session keeps. Dropped under the lock, it waits for the unlocking.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held(pub(crate) Content);

#[derive(Clone, Debug)]
pub(crate) enum Content {
    Bytes(Bytes),
    Streamed(StreamedPayload),
}

impl Default for Content {
    #[inline]
    fn default() -> Self {
        Self::Bytes(Bytes::new())
    }
}

/// Whether this thread holds a client's lock.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Lock {
    Free,
    Held,
    /// And payloads wait in the list.
    HeldWithRetired,
}

thread_local! {
    static LOCK: Cell<Lock> = const { Cell::new(Lock::Free) };
    static RETIRED: RefCell<Vec<Content>> = const { RefCell::new(Vec::new()) };
}

impl Handle for Held {
    #[inline]
    fn resident(&self) -> &[u8] {
        match &self.0 {
            Content::Bytes(bytes) => bytes,
            Content::Streamed(_) => &[],
        }
    }

    #[inline]
    fn absent(&self) -> usize {
        match &self.0 {
            Content::Bytes(_) => 0,
            Content::Streamed(payload) => payload.len(),
        }
    }

    fn is_lost(&self) -> bool {
        matches!(&self.0, Content::Streamed(payload) if payload.failure().is_some())
    }
}

impl Drop for Held {
    #[inline]
    fn drop(&mut self) {
        if LOCK.get() != Lock::Free {
            self.retire();
        }
    }
}

impl Held {
    #[cold]
    fn retire(&mut self) {
        LOCK.set(Lock::HeldWithRetired);
        let payload = std::mem::take(&mut self.0);
        // A thread that is ending has no list any more, and holds no lock.
        let _ = RETIRED.try_with(|retired| retired.borrow_mut().push(payload));
    }
}

#[inline]
pub(super) fn locked() {
    LOCK.set(Lock::Held);
}

/// To be called when the lock is released: drops what waited for that.
#[inline]
pub(super) fn unlocked() {
    if LOCK.replace(Lock::Free) == Lock::HeldWithRetired {
        drop_retired();
    }
}

#[cold]
fn drop_retired() {
    drop(RETIRED.try_with(RefCell::take));
}
