//! The lock, held, and what waits for its release.

use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::sync::MutexGuard;
use std::task::Waker;

use packetboat_core::time::Instant;

use super::{Inner, Shared, WakesFor, held};
use crate::events::Handler;
use crate::{Event, Message, State};

/// To be done after unlocking.
#[derive(Default)]
pub(crate) struct Deferred {
    pub(crate) wake: Vec<Waker>,
    pub(crate) task: Option<Waker>,
    pub(crate) drops: Vec<Message>,
    /// Wakers that were replaced: the last one of a task may drop the task.
    pub(crate) retired: Vec<Waker>,
    pub(crate) rare: Option<Box<Rare>>,
}

/// What comes a few times for each connection.
#[derive(Default)]
pub(crate) struct Rare {
    pub(crate) state: Option<State>,
    /// Handlers and what they are called with, in order.
    pub(crate) calls: Vec<(Handler, Event)>,
}

/// The lock, held. Dropping it unlocks and then does what was deferred: fields are dropped in their order.
pub(crate) struct Locked<'a> {
    guard: MutexGuard<'a, Inner>,
    after: After<'a>,
}

/// What is to be done once the lock is free.
struct After<'a> {
    shared: &'a Shared,
    /// Mostly there is nothing, and that is not worth the call that would drop it: `Drop` takes what there is.
    deferred: ManuallyDrop<Option<Deferred>>,
}

impl<'a> Locked<'a> {
    #[inline]
    pub(super) fn new(guard: MutexGuard<'a, Inner>, shared: &'a Shared) -> Self {
        held::locked();
        Self { guard, after: After { shared, deferred: ManuallyDrop::new(None) } }
    }

    /// The time, as exact as the task's state allows without asking the clock.
    #[inline]
    pub(crate) fn time(&mut self) -> Instant {
        if self.task.on_time { self.now } else { self.look_at_clock() }
    }

    /// The same for who can do with any time while nobody is awake.
    #[inline]
    pub(crate) fn time_unless(&mut self, timeless: impl FnOnce(&Inner) -> bool) -> Instant {
        if self.task.on_time { self.now } else { self.look_unless(timeless) }
    }

    #[cold]
    #[inline(never)]
    fn look_unless(&mut self, timeless: impl FnOnce(&Inner) -> bool) -> Instant {
        if timeless(self) { self.now } else { self.look_at_clock() }
    }

    #[cold]
    #[inline(never)]
    fn look_at_clock(&mut self) -> Instant {
        self.now = self.after.shared.now();
        self.task.on_time = self.task.wakes_for == WakesFor::Nothing;
        self.now
    }
}

impl Deref for Locked<'_> {
    type Target = Inner;

    #[inline]
    fn deref(&self) -> &Inner {
        &self.guard
    }
}

impl DerefMut for Locked<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut Inner {
        &mut self.guard
    }
}

impl Drop for Locked<'_> {
    #[inline]
    fn drop(&mut self) {
        if !self.guard.deferred.is_empty() {
            self.take_deferred();
        }
    }
}

impl Locked<'_> {
    #[cold]
    fn take_deferred(&mut self) {
        *self.after.deferred = Some(std::mem::take(&mut self.guard.deferred));
    }
}

impl Drop for After<'_> {
    #[inline]
    fn drop(&mut self) {
        held::unlocked();
        if let Some(deferred) = self.deferred.take() {
            deferred.run(self.shared);
        }
    }
}

impl Deferred {
    #[inline]
    fn is_empty(&self) -> bool {
        let lists = self.wake.len() + self.drops.len() + self.retired.len();
        lists == 0 && self.task.is_none() && self.rare.is_none()
    }

    #[cold]
    pub(crate) fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    #[cold]
    fn run(self, shared: &Shared) {
        if let Some(rare) = self.rare {
            if let Some(state) = rare.state {
                shared.show(state);
            }
            for (handler, event) in rare.calls {
                handler.call(&event);
            }
        }
        for waker in self.wake {
            waker.wake();
        }
        drop((self.drops, self.retired));
        if let Some(task) = self.task {
            task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::mem::ManuallyDrop;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::mpsc;
    use std::time::Duration;

    use tokio::runtime::Builder;

    use crate::{Client, Options};

    #[test]
    fn a_panic_under_the_lock_ends_nothing_else() {
        // Were the lock lost, its end would wait for it, too.
        let runtime = ManuallyDrop::new(Builder::new_current_thread().enable_all().build().unwrap());
        let options = Options::new("mqtt://localhost").connect_on_demand(true);
        let client = ManuallyDrop::new(runtime.block_on(async { Client::start(options) }).unwrap());
        let shared = client.unsubscribe("a").handle.shared.clone();
        let panics = || {
            let _guard = shared.lock();
            panic!("under the lock");
        };
        catch_unwind(AssertUnwindSafe(panics)).unwrap_err();
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            drop(shared.lock());
            sender.send(())
        });
        receiver.recv_timeout(Duration::from_secs(40)).expect("the lock is free");
    }
}
