//! MQTT in WebSocket frames [MQTT-6.0.0-1 to 4, RFC 6455].

#[cfg(feature = "websocket")]
mod frames;
#[cfg(feature = "websocket")]
mod handshake;

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::Server;

/// Values may be secrets.
type Headers = Vec<(String, Zeroizing<String>)>;
type Asked = Pin<Box<dyn Future<Output = Result<Headers, Arc<dyn Error + Send + Sync>>> + Send>>;
type Ask = Arc<dyn Fn(Server) -> Asked + Send + Sync>;

/// How a WebSocket is opened. Its path and query are the server's, see [`Server::path`].
///
/// ```
/// use packetboat::WebSocket;
///
/// let fixed = WebSocket::new().header("Authorization", "Bearer token");
/// let fresh = WebSocket::new().headers_from(|_server| async {
///     Ok::<_, std::io::Error>(vec![("Authorization".to_owned(), "Bearer fresh token".to_owned())])
/// });
/// ```
#[derive(Clone, Default)]
pub struct WebSocket {
    headers: Headers,
    ask: Option<Ask>,
}

impl WebSocket {
    /// The defaults: the subprotocol is `mqtt`, nothing is compressed, and there are no further headers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Does it say the same? Of functions nobody can tell, unless they are one.
    pub(super) fn says_as(&self, other: &Self) -> bool {
        let asks = match (&self.ask, &other.ask) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            _ => false,
        };
        asks && self.headers == other.headers
    }

    /// A further header of the request. `Host` replaces the usual one.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), Zeroizing::new(value.into())));
        self
    }

    /// Asked for further headers on every attempt: for tokens and signatures that expire. An error fails the attempt.
    #[must_use]
    pub fn headers_from<F, Answer, E>(mut self, ask: F) -> Self
    where
        F: Fn(Server) -> Answer + Send + Sync + 'static,
        Answer: Future<Output = Result<Vec<(String, String)>, E>> + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        self.ask = Some(Arc::new(move |server| {
            let asked = ask(server);
            Box::pin(async move {
                let answer = asked.await.map_err(|error| Arc::from(error.into()))?;
                Ok(answer.into_iter().map(|(name, value)| (name, Zeroizing::new(value))).collect())
            })
        }));
        self
    }

    /// The first header that cannot be sent.
    pub(crate) fn wrong_header(&self) -> Option<String> {
        wrong_header(&self.headers)
    }
}

/// Values may be secrets: names only.
impl fmt::Debug for WebSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| &**name).collect();
        f.debug_struct("WebSocket").field("headers", &names).finish_non_exhaustive()
    }
}

/// Those of the handshake are not for others to set, and nothing may end a line.
fn wrong_header(headers: &[(String, Zeroizing<String>)]) -> Option<String> {
    const OURS: [&str; 6] = [
        "upgrade",
        "connection",
        "sec-websocket-key",
        "sec-websocket-version",
        "sec-websocket-protocol",
        "sec-websocket-extensions",
    ];
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let is_wrong = |name: &str, value: &str| {
        name.is_empty()
            || !name.bytes().all(is_token)
            || value.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t')
            || OURS.contains(&&*name.to_ascii_lowercase())
    };
    headers.iter().find(|(name, value)| is_wrong(name, value)).map(|(name, _)| name.clone())
}

/// Why no WebSocket came about.
#[derive(Clone)]
#[non_exhaustive]
pub enum WebSocketError {
    /// The server refused the request.
    Refused {
        /// The status of HTTP.
        status: u16,
        /// Its text.
        reason: String,
        /// The start of the body.
        body: String,
    },
    /// The server does not speak HTTP.
    NotHttp {
        /// The start of what it said.
        said: String,
    },
    /// The server agreed to something else: which rule its answer breaks.
    Answer(&'static str),
    /// The provider of headers has none.
    Provider(Arc<dyn Error + Send + Sync>),
    /// This header cannot be sent: it belongs to the handshake, or its value has more than one line.
    Header(String),
    /// The connection broke.
    Lost(Arc<io::Error>),
}

impl fmt::Display for WebSocketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { status, reason, body } => {
                write!(f, "the WebSocket was refused: {status} {reason}")?;
                if !body.is_empty() {
                    write!(f, " ({body:?})")?;
                }
                match status {
                    401 | 403 => f.write_str("; check the credentials in headers or query"),
                    404 => f.write_str("; check the path"),
                    _ => Ok(()),
                }
            }
            Self::NotHttp { said } => {
                write!(f, "this is no WebSocket port, the answer was {said:?}: check the port")
            }
            Self::Answer(what) => write!(f, "the WebSocket was answered wrongly: {what}"),
            Self::Provider(error) => write!(f, "no headers for the WebSocket: {error}"),
            Self::Header(name) => {
                write!(f, "the header {name:?} cannot be sent: it is the handshake's own, or no header")
            }
            Self::Lost(error) => write!(
                f,
                "the connection broke before the WebSocket was there ({error}): is it a WebSocket port, and does it \
                 expect TLS?"
            ),
        }
    }
}

impl Error for WebSocketError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Provider(error) => Some(&**error),
            Self::Lost(error) => Some(&**error),
            _ => None,
        }
    }
}
