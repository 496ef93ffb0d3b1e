//! A network inside the process, on tokio's clock, which a test may pause: hosts by name, each down, silent, scripted, or
//! with the strict broker behind it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use packetboat::{Attempt, Dialing, Disconnection, Event, Events, Io, Jitter, Options, Transport};
use packetboat_core::time::Instant;
use packetboat_sim::broker::{Broker, Config, ConnectionId};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::watch;

/// What answers at a host.
#[derive(Clone)]
pub(crate) enum Host {
    /// Nobody: the connection is refused.
    Down,
    /// Somebody who says nothing.
    Silent,
    /// Somebody who answers the first bytes with these, and closes.
    Says(Vec<u8>),
    /// Somebody who answers the first bytes with these, and takes nothing more.
    Deaf(Vec<u8>),
    Broker(Inside),
}

/// Hosts, and who was dialed when.
#[derive(Clone)]
pub(crate) struct Network(Arc<Inner>);

struct Inner {
    start: tokio::time::Instant,
    hosts: Mutex<BTreeMap<String, Host>>,
    dialed: watch::Sender<Vec<(Duration, String)>>,
}

impl Network {
    pub(crate) fn new<const N: usize>(hosts: [(&str, Host); N]) -> Self {
        let hosts = hosts.into_iter().map(|(name, host)| (name.to_owned(), host)).collect();
        let dialed = watch::Sender::new(Vec::new());
        Self(Arc::new(Inner { start: tokio::time::Instant::now(), hosts: Mutex::new(hosts), dialed }))
    }

    pub(crate) fn set(&self, name: &str, host: Host) {
        self.0.hosts.lock().unwrap().insert(name.to_owned(), host);
    }

    /// Waits until so many attempts were made; all of them, with the time since the one before in seconds.
    pub(crate) async fn attempts(&self, count: usize) -> Vec<(u64, String)> {
        let mut watch = self.0.dialed.subscribe();
        let all = patient(watch.wait_for(|dialed| dialed.len() >= count)).await.unwrap().clone();
        let mut last = Duration::ZERO;
        let gap = |(at, name): (Duration, String)| {
            let gap = at.saturating_sub(std::mem::replace(&mut last, at));
            (gap.as_secs() + u64::from(gap.subsec_millis() > 900), name)
        };
        all.into_iter().map(gap).collect()
    }

    pub(crate) fn count(&self) -> usize {
        self.0.dialed.borrow().len()
    }
}

impl Transport for Network {
    fn dial(&self, attempt: &Attempt) -> Dialing {
        let name = attempt.server().host().to_owned();
        let host = self.0.hosts.lock().unwrap().get(&name).cloned().unwrap_or(Host::Down);
        self.0.dialed.send_modify(|dialed| dialed.push((self.0.start.elapsed(), name)));
        Box::pin(async move {
            let (ours, theirs) = tokio::io::duplex(64 * 1024);
            match host {
                Host::Down => return Err(std::io::Error::from(std::io::ErrorKind::ConnectionRefused).into()),
                Host::Silent => drop(tokio::spawn(async move {
                    let mut theirs = theirs;
                    while theirs.read(&mut [0; 1024]).await.is_ok_and(|count| count > 0) {}
                })),
                Host::Says(bytes) => drop(tokio::spawn(async move {
                    let mut theirs = theirs;
                    let _ = theirs.read(&mut [0; 1024]).await;
                    let _ = theirs.write_all(&bytes).await;
                })),
                Host::Deaf(bytes) => drop(tokio::spawn(async move {
                    let mut theirs = theirs;
                    let _ = theirs.read(&mut [0; 1024]).await;
                    let _ = theirs.write_all(&bytes).await;
                    std::future::pending::<()>().await;
                })),
                Host::Broker(broker) => drop(tokio::spawn(broker.serve(theirs))),
            }
            Ok(Box::new(ours) as Box<dyn Io>)
        })
    }
}

/// The strict broker without a socket.
#[derive(Clone)]
pub(crate) struct Inside(Arc<Shared>);

struct Shared {
    core: Mutex<Broker>,
    changed: watch::Sender<u64>,
    start: tokio::time::Instant,
}

impl Inside {
    pub(crate) fn new() -> Self {
        Self::with_config(Config::default())
    }

    pub(crate) fn with_config(config: Config) -> Self {
        let core = Mutex::new(Broker::new(Config { keep_log: true, ..config }, 7));
        let changed = watch::Sender::new(0);
        Self(Arc::new(Shared { core, changed, start: tokio::time::Instant::now() }))
    }

    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut Broker, Instant) -> T) -> T {
        let now = Instant(u64::try_from(self.0.start.elapsed().as_millis()).unwrap());
        let result = work(&mut self.0.core.lock().unwrap(), now);
        self.0.changed.send_modify(|changes| *changes += 1);
        result
    }

    pub(crate) fn payloads(&self, client: &str) -> Vec<String> {
        let text = |accepted: &packetboat_sim::broker::Accepted| {
            String::from_utf8_lossy(&accepted.message.payload).into_owned()
        };
        self.with(|core, _| core.accepted(client).iter().map(text).collect())
    }

    pub(crate) fn check(&self) {
        let violations = self.with(|core, _| core.violations().to_vec());
        assert!(violations.is_empty(), "{violations:?}");
    }

    async fn serve(self, mut stream: DuplexStream) {
        // A number that nobody else has: it grows with every change.
        self.with(|_, _| ());
        let id = ConnectionId(*self.0.changed.borrow());
        let mut changed = self.0.changed.subscribe();
        self.with(|core, now| core.handle_open(id, now));
        let (mut input, mut out) = (vec![0; 64 * 1024], Vec::new());
        loop {
            changed.mark_unchanged();
            let alarm = self.0.core.lock().unwrap().poll_timeout();
            let (last, broken) = self.with_quietly(|core| {
                core.poll_transmit(id, &mut out);
                (core.should_close(id), core.is_broken(id))
            });
            if stream.write_all(&out).await.is_err() || last || broken {
                break;
            }
            if !out.is_empty() {
                out.clear();
                continue;
            }
            let ring = async {
                match alarm {
                    Some(at) => {
                        tokio::time::sleep_until(self.0.start + Duration::from_millis(at.0)).await;
                    }
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                read = stream.read(&mut input) => match read {
                    Ok(count @ 1..) => self.with(|core, now| core.handle_bytes(id, &input[..count], now)),
                    Ok(0) | Err(_) => break,
                },
                _ = changed.changed() => {}
                () = ring => self.with(Broker::handle_timeout),
            }
        }
        drop(stream);
        self.with(|core, now| core.handle_close(id, now));
    }

    fn with_quietly<T>(&self, work: impl FnOnce(&mut Broker) -> T) -> T {
        work(&mut self.0.core.lock().unwrap())
    }
}

/// Within so much virtual time: long enough for every wait there is.
pub(crate) async fn patient<T>(what: impl Future<Output = T>) -> T {
    super::within(Duration::from_secs(100_000), what).await
}

/// The next event of this kind, which must come.
pub(crate) async fn event<T>(events: &mut Events, mut wanted: impl FnMut(&Event) -> Option<T>) -> T {
    let search = async {
        loop {
            let event = events.next().await.expect("the client is closed");
            if let Some(found) = wanted(&event) {
                return found;
            }
        }
    };
    patient(search).await
}

/// A client of this network whose waits are exact: 1, 2, 4 and 8 s.
pub(crate) fn options(url: &str, network: &Network) -> Options {
    let second = Duration::from_secs(1);
    Options::new(url)
        .client_id("boat")
        .transport(network.clone())
        .backoff(second, 8 * second)
        .jitter(Jitter::None)
}

pub(crate) async fn connected(events: &mut Events) -> bool {
    event(events, |event| match event {
        Event::Connected(connected) => Some(connected.session_present),
        _ => None,
    })
    .await
}

pub(crate) async fn disconnected(events: &mut Events) -> Disconnection {
    event(events, |event| match event {
        Event::Disconnected { cause, .. } => Some(cause.clone()),
        _ => None,
    })
    .await
}
