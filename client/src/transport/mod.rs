//! The road to a server, layer upon layer: name, TCP, proxy, TLS, WebSocket. Plain async code, boxed, and dropped once
//! the connection stands.

mod error;
mod tcp;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncWrite};

pub use error::DialError;
pub use tcp::Tcp;

use crate::server::Scheme;
use crate::{ConnectStage, Options, Server};

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
pub trait Transport: Send + Sync + 'static {
    /// Opens a connection. The future must be safe to drop at any time; the client bounds its time.
    fn dial(&self, attempt: &Attempt) -> Dialing;
}

/// One attempt to reach a server. Clones are the same attempt.
#[derive(Clone, Debug)]
pub struct Attempt {
    server: Server,
    stage: Arc<Mutex<ConnectStage>>,
}

impl Attempt {
    /// An attempt that has not begun.
    #[must_use]
    pub fn new(server: Server) -> Self {
        Self { server, stage: Arc::new(Mutex::new(ConnectStage::Transport)) }
    }

    /// Where to.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
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
pub struct Road {
    pub(crate) tcp: Tcp,
}

impl Road {
    /// What this build lacks to go there, if it lacks something: the name of the feature.
    pub(crate) fn missing(scheme: Scheme) -> Option<&'static str> {
        match scheme {
            Scheme::Mqtt => None,
            Scheme::Mqtts => Some("tls"),
            Scheme::Ws | Scheme::Wss => Some("websocket"),
            Scheme::Unix => Some("unix"),
        }
    }

    async fn open(self, attempt: Attempt) -> Result<Box<dyn Io>, DialError> {
        let scheme = attempt.server().scheme();
        if let Some(feature) = Self::missing(scheme) {
            return Err(DialError::Unsupported { scheme, feature });
        }
        self.tunnel(&attempt).await
    }

    /// The lowest layers: bytes to the server and back, without encryption. For transports that have their own TLS.
    pub async fn tunnel(&self, attempt: &Attempt) -> Result<Box<dyn Io>, DialError> {
        Ok(Box::new(self.tcp.connect(attempt).await?))
    }
}

impl Options {
    /// How TCP connections are made. Default: [`Tcp::new`].
    #[must_use]
    pub fn tcp(mut self, tcp: Tcp) -> Self {
        Arc::make_mut(&mut self.road).tcp = tcp;
        self
    }

    /// A way to the server of your own, instead of the one that the address names.
    #[must_use]
    pub fn transport(mut self, transport: impl Transport) -> Self {
        self.transport = Some(Arc::new(transport));
        self
    }
}

impl Transport for Road {
    fn dial(&self, attempt: &Attempt) -> Dialing {
        Box::pin(self.clone().open(attempt.clone()))
    }
}

/// Options hold it; there is nothing in it to read.
impl fmt::Debug for dyn Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transport")
    }
}
