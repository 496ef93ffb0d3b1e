//! Where the bytes go: one trait-object byte stream per transport.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::Server;

/// A byte stream in both directions.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// What dialing gives, later. It is polled by the client's task and dropped when the client gives up on it.
pub type Dialing = Pin<Box<dyn Future<Output = Result<Box<dyn Io>, DialError>> + Send>>;

/// A way to reach a server.
///
/// ```
/// use packetboat::{Dialing, Options, Server, Transport};
///
/// /// A pipe inside the process.
/// struct Pipe(std::sync::Mutex<Option<tokio::io::DuplexStream>>);
///
/// impl Transport for Pipe {
///     fn dial(&self, _server: &Server) -> Dialing {
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
    fn dial(&self, server: &Server) -> Dialing;
}

/// Why no connection came about.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum DialError {
    /// The host name has no address.
    Resolve(Arc<io::Error>),
    /// No address took the connection; the error of the last one.
    Connect(Arc<io::Error>),
}

impl From<io::Error> for DialError {
    fn from(error: io::Error) -> Self {
        Self::Connect(Arc::new(error))
    }
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resolve(error) => write!(f, "the host name has no address: {error}"),
            Self::Connect(error) => write!(f, "no connection: {error}"),
        }
    }
}

impl std::error::Error for DialError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Resolve(error) | Self::Connect(error) => Some(&**error),
        }
    }
}

/// TCP, without encryption. All addresses of the host are tried in the resolver's order.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tcp;

impl Transport for Tcp {
    fn dial(&self, server: &Server) -> Dialing {
        let server = server.clone();
        Box::pin(async move {
            let resolved = tokio::net::lookup_host((server.host(), server.port())).await;
            let addresses = resolved.map_err(|error| DialError::Resolve(Arc::new(error)))?;
            let mut last = None;
            for address in addresses {
                match TcpStream::connect(address).await {
                    Ok(stream) => {
                        // Without it a small packet waits up to 40 ms for the acknowledgement of the one before.
                        stream.set_nodelay(true)?;
                        return Ok(Box::new(stream) as Box<dyn Io>);
                    }
                    Err(error) => last = Some(DialError::from(error)),
                }
            }
            let none = || DialError::Resolve(Arc::new(io::Error::from(io::ErrorKind::NotFound)));
            Err(last.unwrap_or_else(none))
        })
    }
}
