//! The road to a server, layer upon layer: name, TCP, proxy, TLS, WebSocket. Plain async code, boxed, and dropped once
//! the connection stands.

mod error;
mod http;
mod proxy;
mod tcp;
mod tls;
#[cfg(unix)]
mod unix;
mod websocket;

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncWrite};

pub use error::DialError;
pub use proxy::{Proxy, ProxyError, ProxyUrlError};
pub use tcp::{Tcp, TcpKeepAlive};
pub(crate) use tls::Identity;
#[cfg(feature = "tls")]
pub use tls::PrivateKey;
pub use tls::{CertificateProblem, Pem, Tls, TlsError, TlsVersion};
pub use websocket::{WebSocket, WebSocketError};

use crate::server::Scheme;
use crate::{ConnectStage, Server, UrlError};

/// A byte stream in both directions.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// What dialing gives, later. It is polled by the client's task and dropped when the client gives up on it.
pub type Dialing = Pin<Box<dyn Future<Output = Result<Box<dyn Io>, DialError>> + Send>>;

/// A way to reach a server.
///
/// ```
/// use packetboat::{Attempt, Dialing, Options, Transport};
///
/// /// A pipe inside the process.
/// struct Pipe(std::sync::Mutex<Option<tokio::io::DuplexStream>>);
///
/// impl Transport for Pipe {
///     fn dial(&self, _attempt: &Attempt) -> Dialing {
///         let end = self.0.lock().unwrap().take();
///         Box::pin(async move {
///             let end = end.ok_or_else(|| std::io::Error::other("the pipe is used up"))?;
///             Ok(Box::new(end) as Box<dyn packetboat::Io>)
///         })
///     }
/// }
///
/// let (client_end, _broker_end) = tokio::io::duplex(4096);
/// let options = Options::new("mqtt://inside").transport(Pipe(Some(client_end).into()));
/// ```
pub trait Transport: Any + Send + Sync {
    /// Opens a connection. The future must be safe to drop at any time; the client bounds its time.
    fn dial(&self, attempt: &Attempt) -> Dialing;

    /// Would another one dial in the very same way? Then options that bring it cost no connection
    /// ([`Client::reconfigure`](crate::Client::reconfigure)). Unless written: nobody knows, and no other would.
    ///
    /// Whoever has [`PartialEq`] says `(other as &dyn std::any::Any).downcast_ref() == Some(self)`.
    fn says_as(&self, _other: &dyn Transport) -> bool {
        false
    }
}

/// One attempt to reach a server. Clones are the same attempt.
#[derive(Clone, Debug)]
pub struct Attempt {
    server: Server,
    road: Arc<Road>,
    /// What the provider of credentials gave; it goes before that of the options.
    identity: Option<Identity>,
    stage: Arc<Mutex<ConnectStage>>,
}

impl Attempt {
    /// An attempt that has not begun, with the defaults for every layer of the road.
    #[must_use]
    pub fn new(server: Server) -> Self {
        Self::on(Arc::default(), server)
    }

    pub(crate) fn on(road: Arc<Road>, server: Server) -> Self {
        Self { server, road, identity: None, stage: Arc::new(Mutex::new(ConnectStage::Transport)) }
    }

    /// The lowest layers as the client's options want them: a socket, through a proxy if there is one. Without
    /// encryption, for transports that have one of their own.
    pub async fn tunnel(&self) -> Result<Box<dyn Io>, DialError> {
        self.road.tunnel(self).await
    }

    /// Resolves the server's name and dials its addresses as RFC 8305 says: the families take turns, the next address
    /// joins after 250 ms or a failure, the first that answers wins. For transports that do not go through TCP.
    pub async fn reach<T, F>(&self, dial: impl Fn(SocketAddr) -> F + Send) -> Result<T, DialError>
    where
        F: Future<Output = std::io::Result<T>> + Send,
    {
        tcp::reach(self, self.server.host(), self.server.port(), dial).await
    }

    /// The highest layer: WebSocket, if the address asks for it. Otherwise the stream as it is.
    pub async fn frame(&self, io: Box<dyn Io>) -> Result<Box<dyn Io>, DialError> {
        self.road.frame(self, io).await
    }

    /// Where to.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    pub(crate) fn with_identity(self, identity: Option<Identity>) -> Self {
        Self { identity, ..self }
    }

    #[cfg_attr(not(feature = "tls"), allow(dead_code, reason = "nobody to show it to"))]
    pub(crate) fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// How far it has come.
    #[must_use]
    pub fn stage(&self) -> ConnectStage {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says what comes next: when the time is up, the error names it.
    pub fn enter(&self, stage: ConnectStage) {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = stage;
    }
}

/// The options of every layer, and the layers in their order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Road {
    pub(crate) tcp: Tcp,
    pub(crate) proxy: ProxyChoice,
    pub(crate) tls: Tls,
    /// TLS was configured: plain addresses mean the encrypted ones.
    pub(crate) secured: bool,
    pub(crate) websocket: WebSocket,
}

/// Through which proxy.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) enum ProxyChoice {
    #[default]
    None,
    /// The one the environment names for the server, if it does.
    Environment,
    Proxy(Proxy),
}

impl Road {
    /// Does it say the same? A connection that was made by one is then as good as one by the other.
    pub(crate) fn says_as(&self, other: &Self) -> bool {
        self.tcp == other.tcp
            && self.proxy == other.proxy
            && self.secured == other.secured
            && self.tls.says_as(&other.tls)
            && self.websocket.says_as(&other.websocket)
    }

    /// Where the address leads with these options.
    pub(crate) fn secure(&self, server: Server) -> Server {
        if self.secured { server.secured() } else { server }
    }

    /// Where the address leads, with these options and this build.
    pub(crate) fn signpost(&self, server: Server) -> Result<Server, UrlError> {
        let server = self.secure(server);
        let scheme = server.scheme();
        let missing = if scheme.is_secure() && cfg!(not(feature = "tls")) {
            "tls"
        } else if scheme.is_websocket() && cfg!(not(feature = "websocket")) {
            "websocket"
        } else if scheme == Scheme::Unix && cfg!(not(unix)) {
            "unix"
        } else {
            return Ok(server);
        };
        Err(UrlError::Unsupported { scheme, feature: missing })
    }

    async fn open(&self, attempt: &Attempt) -> Result<Box<dyn Io>, DialError> {
        #[cfg(feature = "tls")]
        if attempt.server().scheme().is_secure() {
            attempt.enter(ConnectStage::Tls);
            let prepared = self.tls.prepare(attempt).await?;
            attempt.enter(ConnectStage::Transport);
            let io = self.tunnel(attempt).await?;
            attempt.enter(ConnectStage::Tls);
            let io = prepared.connect(io).await?;
            return self.frame(attempt, io).await;
        }
        let io = self.tunnel(attempt).await?;
        self.frame(attempt, io).await
    }

    async fn tunnel(&self, attempt: &Attempt) -> Result<Box<dyn Io>, DialError> {
        let server = attempt.server();
        #[cfg(unix)]
        if server.scheme() == Scheme::Unix {
            return unix::connect(attempt).await;
        }
        let proxy = match &self.proxy {
            ProxyChoice::None => None,
            ProxyChoice::Proxy(proxy) => Some(proxy.clone()),
            ProxyChoice::Environment => Proxy::from_environment(server.host(), server.port())
                .map_err(|error| DialError::of_proxy("of the environment", ProxyError::Url(error)))?,
        };
        match proxy {
            None => Ok(Box::new(self.tcp.connect(attempt, server.host(), server.port()).await?)),
            Some(proxy) => self.through(&proxy, attempt).await,
        }
    }

    async fn through(&self, proxy: &Proxy, attempt: &Attempt) -> Result<Box<dyn Io>, DialError> {
        let of_proxy = |error| DialError::of_proxy(proxy, error);
        let mut io =
            self.tcp.connect(attempt, proxy.host(), proxy.port()).await.map_err(|error| match error {
                DialError::Resolve(error) | DialError::Connect(error) => {
                    of_proxy(ProxyError::Unreachable(error))
                }
                other => other,
            })?;
        attempt.enter(ConnectStage::Proxy);
        let server = attempt.server();
        proxy.tunnel(&mut io, server.host(), server.port()).await.map_err(of_proxy)?;
        Ok(Box::new(io))
    }

    #[cfg_attr(not(feature = "websocket"), allow(clippy::unused_async, reason = "it waits with the feature"))]
    async fn frame(&self, attempt: &Attempt, io: Box<dyn Io>) -> Result<Box<dyn Io>, DialError> {
        let scheme = attempt.server().scheme();
        if !scheme.is_websocket() {
            return Ok(io);
        }
        #[cfg(feature = "websocket")]
        return Ok(Box::new(self.websocket.open(attempt, io).await.map_err(DialError::WebSocket)?));
        #[cfg(not(feature = "websocket"))]
        Err(DialError::Unsupported(UrlError::Unsupported { scheme, feature: "websocket" }))
    }
}

impl Transport for Road {
    fn dial(&self, attempt: &Attempt) -> Dialing {
        let (road, attempt) = (self.clone(), attempt.clone());
        Box::pin(async move {
            let server = road.signpost(attempt.server.clone()).map_err(DialError::Unsupported)?;
            road.open(&Attempt { server, ..attempt }).await
        })
    }
}

/// Options hold it; there is nothing in it to read.
impl fmt::Debug for dyn Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transport")
    }
}
