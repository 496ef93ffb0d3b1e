//! What handles and the task share, behind one short lock.
//!
//! Nothing of the user's runs under the lock: wakers, dropped messages and state changes are put on a list
//! ([`Deferred`]) that the guard works off after it has unlocked.

mod commands;
mod events;
mod held;
mod lock;
mod receipts;
mod room;
mod slab;
mod streams;
mod wants;
mod wishes;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError, Weak};
use std::task::Waker;

use packetboat_core::session::{AckToken, Cause, Session, SessionMode, Ticket};
use packetboat_core::time::Instant;
use packetboat_core::topic::TopicFilter;
use packetboat_core::wire::{PropertiesBuf, Reason};
use tokio::sync::watch;

use crate::authentication::Authentication;
use crate::defaults::Defaults;
use crate::events::{Disconnection, Listeners};
use crate::ping::PendingPing;
use crate::request::Desk;
use crate::settings::Settings;
use crate::{Answer, Message, Server, State};

pub(crate) use commands::Accepted;
pub(crate) use held::{Content, Held};
pub(crate) use lock::{Deferred, Locked};
use receipts::Receipts;
pub(crate) use room::Room;
pub(crate) use slab::{Key, Slab};
pub(crate) use streams::{Consumed, Stream, Streams, Wanted};
pub(crate) use wishes::{Ending, Leaving, Wishes};

/// Shared by all handles and the task.
pub(crate) struct Shared {
    inner: Mutex<Inner>,
    /// Of messages before this one there is nothing to ask: they were delivered, or their owners know.
    settled: AtomicU64,
    epoch: tokio::time::Instant,
    /// Made when somebody first watches.
    watch: OnceLock<watch::Sender<State>>,
    /// Made with the first request.
    desk: OnceLock<Box<Desk>>,
    /// What all handles share; gone when the last of them is.
    handle: OnceLock<Weak<Handle>>,
}

/// Counts the handles that keep the client alive: when the last one is dropped the task drains briefly and disconnects.
pub(crate) struct Handle {
    pub(crate) shared: Arc<Shared>,
    /// It counts.
    keeps: bool,
}

/// What the lock guards.
pub(crate) struct Inner {
    pub(crate) settings: Arc<Settings>,
    pub(crate) session: Session<Held>,
    /// The time of the task's last turn: exact enough for those who call while it is awake.
    pub(crate) now: Instant,
    pub(crate) task: TaskState,
    pub(crate) deferred: Deferred,
    /// Those who await the end of a message.
    pub(crate) receipts: Receipts,
    pub(crate) room: Room,
    pub(crate) streams: Streams,
    pub(crate) subscribes: Slab<PendingSubscribe>,
    pub(crate) unsubscribes: Slab<PendingUnsubscribe>,
    /// Changes the task has not applied to its router.
    pub(crate) routes: Vec<RouteChange>,
    /// The session outlives the process: what nobody takes any more is a later process's.
    pub(crate) persistent: bool,
    /// The stream of everything was dropped.
    pub(crate) left_everything: bool,
    /// Messages without an owner that were acknowledged and not told of yet.
    pub(crate) unclaimed: u64,
    /// QoS and retain flag of messages that do not say theirs, if they are not the usual ones.
    pub(crate) defaults: Option<Box<Defaults>>,
    /// Messages that the queue dropped and nobody was told of yet.
    pub(crate) queue_dropped: u64,
    /// Unacknowledged messages the broker may have on the way to us.
    pub(crate) inbound_window: u16,
    pub(crate) flushes: Slab<Flush>,
    pub(crate) listeners: Listeners,
    pub(crate) authentication: Option<Box<Authentication>>,
    pub(crate) welcome: Option<Welcome>,
    /// Where the client stands, unless it is connected or connecting.
    pub(crate) halted: Option<Box<State>>,
    /// The server of the attempt or connection, and the client identifier in use.
    pub(crate) server: Server,
    /// The server that accepted the last connection: it has the session. With `shared_sessions`: nobody's business.
    pub(crate) home: Option<Server>,
    pub(crate) shared_sessions: bool,
    pub(crate) client_id: Arc<str>,
    /// How the last connection ended, for the task to take.
    pub(crate) ended: Option<Box<(Cause, usize)>>,
    /// What handles want of the task; absent if it is nothing.
    pub(crate) wishes: Option<Box<Wishes>>,
    /// Told to stay offline, and not told otherwise since.
    pub(crate) stays_down: bool,
    /// Why the last attempt failed, or the last connection ended; for those whose time is up.
    pub(crate) last_failure: Option<Box<Disconnection>>,
    /// What the last CONNACK said.
    pub(crate) answer: Option<Reason>,
    pub(crate) pings: Slab<PendingPing>,
    /// Nothing is accepted any more: the client is to end, or has ended.
    pub(crate) over: bool,
    /// The task is gone.
    pub(crate) closed: bool,
    pub(crate) seldom: Option<Box<Seldom>>,
}

/// What most clients have no use for most of the time: made when first needed.
#[derive(Debug, Default)]
pub(crate) struct Seldom {
    /// Filters of dropped streams that stay subscribed: the session is a persistent one.
    pub(crate) orphans: Vec<TopicFilter>,
    /// Messages of a resumed session that no stream wanted yet.
    pub(crate) unclaimed: Vec<(Message, AckToken, Instant)>,
    /// When those who set a time limit want to be woken.
    pub(crate) limits: BinaryHeap<Reverse<(Instant, Limit)>>,
    /// The connection is being left on purpose.
    pub(crate) leaving: Option<Leaving>,
    /// Somebody wants the client to end.
    pub(crate) ending: Option<Ending>,
    /// Those who wait for the end.
    pub(crate) end_waiters: Vec<Waker>,
    pub(crate) undelivered: usize,
}

/// The broker accepted the connection. The rest of what is told of it is known elsewhere.
pub(crate) struct Welcome {
    /// The identifier in use, the broker's choice included.
    pub(crate) client_id: Arc<str>,
    pub(crate) session_present: bool,
    /// CONNACK's, if it had any.
    pub(crate) properties: Option<Box<PropertiesBuf>>,
}

/// What the task does, so that nobody wakes it in vain.
#[derive(Debug, Default)]
pub(crate) struct TaskState {
    pub(crate) waker: Option<Waker>,
    pub(crate) wakes_for: WakesFor,
    /// The time of its last turn will do: it runs, or somebody has looked at the clock since it was woken.
    pub(crate) on_time: bool,
    /// It woke a crowd since it last gave way to one.
    pub(crate) woke: bool,
    /// When it wakes by itself.
    pub(crate) alarm: Option<Instant>,
}

#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum WakesFor {
    /// It runs, or was woken: it will see everything.
    #[default]
    Nothing,
    /// The socket is full, or there is none: output can wait.
    Commands,
    /// It sleeps.
    Everything,
}

#[derive(Debug, Default)]
pub(crate) struct PendingSubscribe {
    /// The stream, and which of its filters.
    pub(crate) stream: Option<(u32, TopicFilter)>,
    /// Nobody awaits the answer.
    pub(crate) detached: bool,
    pub(crate) waker: Option<Waker>,
    /// Boxed: it is there for a moment, its place for as long as the client.
    pub(crate) answer: Option<Box<Answer>>,
}

#[derive(Debug, Default)]
pub(crate) struct PendingUnsubscribe {
    /// It goes with the answer.
    pub(crate) route: Option<(TopicFilter, u32)>,
    pub(crate) detached: bool,
    pub(crate) waker: Option<Waker>,
    pub(crate) answer: Option<Answer>,
}

/// For the task's router.
#[derive(Debug)]
pub(crate) enum RouteChange {
    Insert(TopicFilter, u32),
    InsertAll(u32),
    Remove(Option<TopicFilter>, u32),
}

/// Somebody waits for the socket to take what was accepted.
#[derive(Debug)]
pub(crate) struct Flush {
    pub(crate) waker: Option<Waker>,
    /// Stream position to wait for, once everything is encoded.
    pub(crate) target: Option<u64>,
    pub(crate) done: bool,
}

/// Who wants to be woken at a time.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Limit {
    Receipt(Ticket),
    Room(Key),
}

impl Shared {
    pub(crate) fn new(settings: Settings) -> Arc<Self> {
        let settings = Arc::new(settings);
        let inner = Inner {
            session: Session::new(settings.options.config()),
            now: Instant(0),
            task: TaskState::default(),
            deferred: Deferred::default(),
            receipts: Receipts::default(),
            room: Room::default(),
            streams: Streams::new(settings.options.choices.inbound_bytes),
            subscribes: Slab::default(),
            unsubscribes: Slab::default(),
            routes: Vec::new(),
            persistent: matches!(settings.options.choices.session, SessionMode::Persistent { .. }),
            left_everything: false,
            unclaimed: 0,
            defaults: settings.options.unusual_defaults(),
            queue_dropped: 0,
            inbound_window: settings.options.choices.inbound_messages,
            flushes: Slab::default(),
            listeners: Listeners::default(),
            authentication: None,
            welcome: None,
            halted: None,
            server: settings.servers[0].server.clone(),
            home: None,
            shared_sessions: settings.options.choices.shared_sessions,
            client_id: settings.client_id.clone(),
            ended: None,
            wishes: None,
            stays_down: false,
            last_failure: None,
            answer: None,
            pings: Slab::default(),
            over: false,
            closed: false,
            seldom: None,
            settings,
        };
        let (inner, epoch) = (Mutex::new(inner), tokio::time::Instant::now());
        let (watch, desk) = (OnceLock::new(), OnceLock::new());
        Arc::new(Self { inner, settled: AtomicU64::new(1), epoch, watch, desk, handle: OnceLock::new() })
    }

    /// Where the client stands, to be watched.
    pub(crate) fn watch(&self) -> watch::Receiver<State> {
        let inner = self.lock();
        self.watch.get_or_init(|| watch::Sender::new(inner.state())).subscribe()
    }

    /// Tell those who watch.
    fn show(&self, state: State) {
        if let Some(watch) = self.watch.get() {
            watch.send_replace(state);
        }
    }

    pub(crate) fn desk(&self) -> &Desk {
        self.desk.get_or_init(|| Box::new(Desk::new()))
    }

    /// The handle of the user's, as long as there is one.
    pub(crate) fn handle(&self) -> Option<Arc<Handle>> {
        self.handle.get()?.upgrade()
    }

    pub(crate) fn settings(&self) -> Arc<Settings> {
        self.lock().settings.clone()
    }

    #[inline]
    pub(crate) fn lock(&self) -> Locked<'_> {
        let guard = match self.inner.try_lock() {
            Ok(guard) => guard,
            // A panic under the lock is a bug of ours; the state is still the best there is.
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => self.await_lock(),
        };
        Locked::new(guard, self)
    }

    /// Whoever has the lock has the session's memory at hand, too: it is handed over less often when it is not asked for
    /// at once.
    #[cold]
    fn await_lock(&self) -> MutexGuard<'_, Inner> {
        for pauses in [16, 32, 64, 128, 256, 512] {
            for _ in 0..pauses {
                std::hint::spin_loop();
            }
            if let Ok(guard) = self.inner.try_lock() {
                return guard;
            }
        }
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Was this message delivered, as far as can be said without the lock?
    #[inline]
    pub(crate) fn is_settled(&self, ticket: Ticket) -> bool {
        ticket.is_before(self.settled.load(Ordering::Acquire))
    }

    /// To be said under the lock, before those are woken who wait for it.
    pub(crate) fn settle(&self, settled: Option<u64>) {
        if let Some(settled) = settled {
            self.settled.store(settled, Ordering::Release);
        }
    }

    pub(crate) fn now(&self) -> Instant {
        Instant(u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    pub(crate) fn instant(&self, at: Instant) -> tokio::time::Instant {
        self.epoch + std::time::Duration::from_millis(at.0)
    }
}

impl Handle {
    pub(crate) fn new(shared: Arc<Shared>) -> Arc<Self> {
        let handle = Arc::new(Self { shared, keeps: true });
        // It is set once, here.
        let _ = handle.shared.handle.set(Arc::downgrade(&handle));
        handle
    }

    /// One that does not keep the client alive.
    pub(crate) fn observing(shared: Arc<Shared>) -> Self {
        Self { shared, keeps: false }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if !self.keeps {
            return;
        }
        let now = self.shared.now();
        let mut inner = self.shared.lock();
        let until = now + inner.settings.options.choices.drain_timeout;
        inner.end(Reason::NORMAL_DISCONNECTION, until);
    }
}

/// Remember whom to wake.
#[inline]
pub(crate) fn remember(slot: &mut Option<Waker>, waker: &Waker, retired: &mut Vec<Waker>) {
    match slot {
        Some(known) if known.will_wake(waker) => {}
        _ => retired.extend(slot.replace(waker.clone())),
    }
}

/// What is done once cannot be asked for again: who polls it after its end hears what an `async fn` says.
#[inline]
pub(crate) fn refuse_again(ended: bool) {
    assert!(!ended, "a future was polled after it had ended");
}
