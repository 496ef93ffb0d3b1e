//! The listener, the clock, and what the connections share.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use packetboat_core::time::Instant;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::task::JoinSet;

use super::door::Door;
use super::{Broker, connection};
use crate::broker::{self, Config, ConnectionId};

/// What the listener, the connections and the owner share.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    /// The next deadline has become an earlier one.
    hurry: Notify,
    /// Something happened: whoever waits for it may look.
    happened: Notify,
    reading: AtomicBool,
    writing: AtomicBool,
    epoch: tokio::time::Instant,
    pub(super) door: Door,
}

#[derive(Debug)]
struct State {
    core: broker::Broker,
    connections: BTreeMap<ConnectionId, Arc<Notify>>,
    last: u64,
    /// When the clock is set to ring.
    alarm: Option<Instant>,
}

impl Shared {
    pub(super) fn new(config: Config, seed: u64, door: Door) -> Arc<Self> {
        let core = broker::Broker::new(config, seed);
        Arc::new(Self {
            state: Mutex::new(State { core, connections: BTreeMap::new(), last: 0, alarm: None }),
            hurry: Notify::new(),
            happened: Notify::new(),
            reading: AtomicBool::new(true),
            writing: AtomicBool::new(true),
            epoch: tokio::time::Instant::now(),
            door,
        })
    }

    /// Do something with the broker, then wake every connection that has something to do because of it.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut broker::Broker, Instant) -> T) -> T {
        let now = self.now();
        let mut guard = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = &mut *guard;
        let result = work(&mut state.core, now);
        for id in state.core.ready() {
            if let Some(wake) = state.connections.get(&id) {
                wake.notify_one();
            }
        }
        let deadline = state.core.poll_timeout();
        if deadline.is_some_and(|deadline| state.alarm.is_none_or(|alarm| deadline < alarm)) {
            self.hurry.notify_one();
        }
        drop(guard);
        self.happened.notify_waiters();
        result
    }

    /// Look, and change nothing.
    pub(super) fn look<T>(&self, look: impl FnOnce(&broker::Broker) -> T) -> T {
        look(&self.state.lock().unwrap_or_else(PoisonError::into_inner).core)
    }

    pub(super) fn happened(&self) -> Notified<'_> {
        self.happened.notified()
    }

    pub(super) fn is_reading(&self) -> bool {
        self.reading.load(Ordering::Relaxed)
    }

    pub(super) fn is_writing(&self) -> bool {
        self.writing.load(Ordering::Relaxed)
    }

    pub(super) fn set_reading(&self, reading: bool) {
        self.reading.store(reading, Ordering::Relaxed);
        self.wake_all();
    }

    pub(super) fn set_writing(&self, writing: bool) {
        self.writing.store(writing, Ordering::Relaxed);
        self.wake_all();
    }

    pub(super) fn now(&self) -> Instant {
        Instant(u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// A client has connected: its number, and what wakes its task.
    fn open(&self) -> (ConnectionId, Arc<Notify>) {
        let wake = Arc::new(Notify::new());
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.last += 1;
        let id = ConnectionId(state.last);
        state.connections.insert(id, Arc::clone(&wake));
        drop(state);
        self.with(|core, now| core.handle_open(id, now));
        (id, wake)
    }

    fn close(&self, id: ConnectionId) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).connections.remove(&id);
        self.with(|core, now| core.handle_close(id, now));
    }

    fn wake_all(&self) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.connections.values().for_each(|wake| wake.notify_one());
    }

    /// Set the alarm to the next deadline and say when it rings.
    fn set_alarm(&self) -> Option<tokio::time::Instant> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.alarm = state.core.poll_timeout();
        let alarm = state.alarm?;
        Some(self.epoch + Duration::from_millis(alarm.0))
    }
}

/// How long a handshake may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Closes the connection however its task ends.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) shared: Arc<Shared>,
    pub(super) id: ConnectionId,
    pub(super) wake: Arc<Notify>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.shared.close(self.id);
    }
}

pub(super) async fn start(shared: Arc<Shared>, address: SocketAddr) -> io::Result<Broker> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let server = tokio::spawn(serve(Arc::clone(&shared), listener));
    Ok(Broker { shared, address, server: Some(server) })
}

/// Accept connections and keep the time. Whoever aborts this ends all connections with it.
async fn serve(shared: Arc<Shared>, listener: TcpListener) {
    let mut connections = JoinSet::new();
    loop {
        let alarm = shared.set_alarm();
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => admit(&shared, stream, &mut connections),
                // Out of file descriptors: those that close make room.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            () = ring(alarm) => shared.with(broker::Broker::handle_timeout),
            () = shared.hurry.notified() => {}
            Some(_) = connections.join_next() => {}
        }
    }
}

fn admit(shared: &Arc<Shared>, stream: TcpStream, connections: &mut JoinSet<()>) {
    let shared = Arc::clone(shared);
    connections.spawn(async move {
        let passed = tokio::time::timeout(PATIENCE, shared.door.clone().pass(stream)).await;
        // Whoever does not get through the door is no client.
        let Ok(Ok(stream)) = passed else { return };
        let (id, wake) = shared.open();
        let open = Open { shared: Arc::clone(&shared), id, wake };
        #[cfg(feature = "websocket")]
        if shared.door.websocket {
            return super::websocket::serve(open, stream).await;
        }
        connection::serve(open, stream).await;
    });
}

async fn ring(alarm: Option<tokio::time::Instant>) {
    match alarm {
        Some(alarm) => tokio::time::sleep_until(alarm).await,
        None => std::future::pending().await,
    }
}
