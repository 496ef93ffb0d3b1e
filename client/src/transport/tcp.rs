//! TCP: how a connection is opened, and how it is kept.

mod stream;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::time::Instant;

use stream::Stream;

use super::{Attempt, DialError};
use crate::ConnectStage;

/// How TCP connections are opened and kept. Each method documents its default.
///
/// ```
/// use std::time::Duration;
/// use packetboat::{TcpKeepAlive, Tcp};
///
/// let probes = TcpKeepAlive::after(Duration::from_secs(30)).interval(Duration::from_secs(5)).count(3);
/// let options = Tcp::new().keep_alive(probes).bind_address("192.0.2.7");
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tcp {
    no_delay: bool,
    keep_alive: Option<TcpKeepAlive>,
    bind_address: Option<Box<str>>,
    interface: Option<Box<str>>,
    connect_timeout: Option<Duration>,
}

impl Default for Tcp {
    fn default() -> Self {
        Self::new()
    }
}

impl Tcp {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self { no_delay: true, keep_alive: None, bind_address: None, interface: None, connect_timeout: None }
    }

    /// Small packets go out at once (`TCP_NODELAY`). Default: true; otherwise one may wait up to 40 ms for the
    /// acknowledgement of the one before.
    #[must_use]
    pub fn no_delay(mut self, no_delay: bool) -> Self {
        self.no_delay = no_delay;
        self
    }

    /// The operating system probes a silent connection. Default: it does not, MQTT's own keep-alive does.
    #[must_use]
    pub fn keep_alive(mut self, keep_alive: TcpKeepAlive) -> Self {
        self.keep_alive = Some(keep_alive);
        self
    }

    /// The local address to connect from, or a host name of it. Default: the operating system's choice.
    #[must_use]
    pub fn bind_address(mut self, address: impl Into<Box<str>>) -> Self {
        self.bind_address = Some(address.into());
        self
    }

    /// The network interface to connect through, such as `eth0`. Linux and Android only: elsewhere connecting fails.
    /// Default: the operating system's choice.
    #[must_use]
    pub fn interface(mut self, name: impl Into<Box<str>>) -> Self {
        self.interface = Some(name.into());
        self
    }

    /// Resolving the name and opening the connection may take so long together. Default: as long as the whole
    /// attempt, see [`Options::connect_timeout`](crate::Options::connect_timeout).
    #[must_use]
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = Some(limit);
        self
    }

    /// Connects to a host by name or address.
    pub(super) async fn connect(
        &self,
        attempt: &Attempt,
        host: &str,
        port: u16,
    ) -> Result<Stream, DialError> {
        let opening = self.open(attempt, host, port);
        let opened = match self.connect_timeout {
            None => opening.await,
            Some(limit) => tokio::time::timeout(limit, opening).await.unwrap_or_else(|_| {
                let what = format!("no connection within {limit:?}");
                Err(io::Error::new(io::ErrorKind::TimedOut, what).into())
            }),
        };
        opened.map(Stream::new)
    }

    async fn open(&self, attempt: &Attempt, host: &str, port: u16) -> Result<TcpStream, DialError> {
        let locals = match &self.bind_address {
            None => None,
            Some(name) => {
                attempt.enter(ConnectStage::Name);
                let found = lookup_host((&**name, 0)).await.map_err(|error| unusable(name, &error))?;
                Some(found.map(|address| address.ip()).collect::<Vec<_>>())
            }
        };
        reach(attempt, host, port, |address| self.open_one(address, locals.as_deref())).await
    }

    async fn open_one(&self, remote: SocketAddr, locals: Option<&[IpAddr]>) -> io::Result<TcpStream> {
        let socket = if remote.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        if let Some(name) = &self.interface {
            through(&socket, name).map_err(|error| unusable(name, &error))?;
        }
        if let (Some(locals), Some(name)) = (locals, &self.bind_address) {
            let local = locals.iter().find(|local| local.is_ipv4() == remote.is_ipv4());
            let other_family = || io::Error::other("it is of another family than the server's address");
            let local = local.ok_or_else(other_family).map_err(|error| unusable(name, &error))?;
            socket.bind(SocketAddr::new(*local, 0)).map_err(|error| unusable(name, &error))?;
        }
        if let Some(probes) = self.keep_alive {
            SockRef::from(&socket).set_tcp_keepalive(&probes.into())?;
        }
        socket.set_nodelay(self.no_delay)?;
        socket.connect(remote).await
    }
}

/// Whose fault it is, too: the local address or interface, not the server.
fn unusable(name: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("connecting from {name} is not possible: {error}"))
}

#[cfg(any(target_os = "android", target_os = "linux"))]
fn through(socket: &TcpSocket, interface: &str) -> io::Result<()> {
    socket.bind_device(Some(interface.as_bytes()))
}

#[cfg(not(any(target_os = "android", target_os = "linux")))]
fn through(_: &TcpSocket, _: &str) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "this operating system binds to no interface by name"))
}

/// How the operating system probes a silent connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TcpKeepAlive {
    idle: Duration,
    interval: Option<Duration>,
    count: Option<u32>,
}

impl TcpKeepAlive {
    /// The first probe comes after so much silence, in whole seconds.
    #[must_use]
    pub fn after(idle: Duration) -> Self {
        Self { idle, interval: None, count: None }
    }

    /// Time between probes that stay unanswered, in whole seconds. Default: the operating system's.
    #[must_use]
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = Some(interval);
        self
    }

    /// So many unanswered probes break the connection. Default: the operating system's. Windows has a fixed number.
    #[must_use]
    pub fn count(mut self, count: u32) -> Self {
        self.count = Some(count);
        self
    }
}

impl From<TcpKeepAlive> for TcpKeepalive {
    fn from(probes: TcpKeepAlive) -> Self {
        let mut parameters = Self::new().with_time(probes.idle);
        if let Some(interval) = probes.interval {
            parameters = parameters.with_interval(interval);
        }
        #[cfg(not(windows))]
        if let Some(count) = probes.count {
            parameters = parameters.with_retries(count);
        }
        parameters
    }
}

/// Resolves the name and dials its addresses until one answers.
pub(super) async fn reach<T, F>(
    attempt: &Attempt,
    host: &str,
    port: u16,
    dial: impl Fn(SocketAddr) -> F,
) -> Result<T, DialError>
where
    F: Future<Output = io::Result<T>>,
{
    attempt.enter(ConnectStage::Name);
    let resolved = lookup_host((host, port)).await;
    let addresses = interleaved(resolved.map_err(|error| DialError::Resolve(Arc::new(error)))?);
    if addresses.is_empty() {
        return Err(DialError::Resolve(Arc::new(io::ErrorKind::NotFound.into())));
    }
    attempt.enter(ConnectStage::Tcp);
    Ok(race(&addresses, dial).await?)
}

/// A new attempt joins those under way after so long [RFC 8305, section 5].
const STAGGER: Duration = Duration::from_millis(250);

/// The families take turns, beginning with the one the resolver prefers; within each its order stays
/// [RFC 8305, section 4].
fn interleaved(addresses: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let all: Vec<SocketAddr> = addresses.collect();
    let is_preferred = |address: &SocketAddr| address.is_ipv4() == all[0].is_ipv4();
    let (preferred, other): (Vec<SocketAddr>, Vec<SocketAddr>) = all.iter().partition(|at| is_preferred(at));
    let (mut preferred, mut other) = (preferred.into_iter(), other.into_iter());
    let mut turns = Vec::with_capacity(all.len());
    while turns.len() < all.len() {
        turns.extend(preferred.next());
        turns.extend(other.next());
    }
    turns
}

/// One attempt after the other, each [`STAGGER`] after the one before, or at once when one fails. The first connection
/// wins and the others are dropped; without any the last error says why.
async fn race<T, F>(addresses: &[SocketAddr], dial: impl Fn(SocketAddr) -> F) -> io::Result<T>
where
    F: Future<Output = io::Result<T>>,
{
    let mut waiting = addresses.iter();
    let mut attempts: Vec<(SocketAddr, Pin<Box<F>>)> = Vec::new();
    let mut failure = io::Error::from(io::ErrorKind::NotFound);
    let mut stagger = pin!(tokio::time::sleep(STAGGER));
    std::future::poll_fn(|cx| {
        loop {
            let (mut at, mut failed) = (0, attempts.is_empty());
            while let Some((address, attempt)) = attempts.get_mut(at) {
                match attempt.as_mut().poll(cx) {
                    Poll::Ready(Ok(connection)) => return Poll::Ready(Ok(connection)),
                    Poll::Ready(Err(error)) => {
                        failure = named(*address, error, addresses.len());
                        failed = true;
                        drop(attempts.remove(at));
                    }
                    Poll::Pending => at += 1,
                }
            }
            let is_due = failed || stagger.as_mut().poll(cx).is_ready();
            match is_due.then(|| waiting.next()).flatten() {
                Some(address) => {
                    attempts.push((*address, Box::pin(dial(*address))));
                    stagger.as_mut().reset(Instant::now() + STAGGER);
                }
                None if attempts.is_empty() => {
                    return Poll::Ready(Err(std::mem::replace(&mut failure, io::ErrorKind::NotFound.into())));
                }
                None => return Poll::Pending,
            }
        }
    })
    .await
}

/// Among several addresses, which one failed. What a transport of its own says stays whole.
fn named(address: SocketAddr, error: io::Error, addresses: usize) -> io::Error {
    if addresses == 1 || error.get_ref().is_some() {
        return error;
    }
    io::Error::new(error.kind(), format!("{}: {error}", address.ip()))
}

#[cfg(test)]
mod tests;
