//! Payloads are the user's: the last handle of one may run the user's code, which must not happen under the lock.

use std::cell::{Cell, RefCell};

use bytes::Bytes;

/// A payload the session keeps. Dropped under the lock, it waits for the unlocking.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held(pub(crate) Bytes);

thread_local! {
    /// This thread holds a client's lock.
    static LOCKED: Cell<bool> = const { Cell::new(false) };
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
        if LOCKED.try_with(Cell::get).unwrap_or(false) {
            let payload = std::mem::take(&mut self.0);
            let _ = RETIRED.try_with(|retired| retired.borrow_mut().push(payload));
        }
    }
}

#[inline]
pub(super) fn locked() {
    let _ = LOCKED.try_with(|locked| locked.set(true));
}

/// To be called when the lock is released: drops what waited for that.
#[inline]
pub(super) fn unlocked() {
    let _ = LOCKED.try_with(|locked| locked.set(false));
    let retired = RETIRED.try_with(|retired| {
        let mut retired = retired.borrow_mut();
        if retired.is_empty() { Vec::new() } else { std::mem::take(&mut *retired) }
    });
    drop(retired);
}
