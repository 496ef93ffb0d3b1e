//! Payloads are the user's: the last handle of one may run the user's code, which must not happen under the lock.

use std::cell::{Cell, RefCell};

use bytes::Bytes;

/// A payload the session keeps. Dropped under the lock, it waits for the unlocking.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held(pub(crate) Bytes);

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
    static RETIRED: RefCell<Vec<Bytes>> = const { RefCell::new(Vec::new()) };
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // A thread that is ending has no list any more, and holds no lock.
        if LOCK.get() != Lock::Free {
            LOCK.set(Lock::HeldWithRetired);
            let payload = std::mem::take(&mut self.0);
            let _ = RETIRED.try_with(|retired| retired.borrow_mut().push(payload));
        }
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
