//! Proxies: a tunnel through HTTP CONNECT [RFC 9110, section 9.3.6] or SOCKS5 [RFC 1928, RFC 1929].

mod environment;
mod socks;

use std::fmt;
use std::io;
use std::str::FromStr;
use std::sync::Arc;

use fluent_uri::Uri;
use fluent_uri::component::Host;
use fluent_uri::encoding::EStr;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use zeroize::Zeroizing;

use super::http::{self, Head, HeadError};

/// A proxy to connect through. It resolves the server's name.
///
/// ```
/// use packetboat::Proxy;
///
/// let proxy: Proxy = "socks5h://user:secret@proxy.example:1080".parse()?;
/// # Ok::<(), packetboat::ProxyUrlError>(())
/// ```
#[derive(Clone, Eq, PartialEq)]
pub struct Proxy {
    kind: Kind,
    host: Box<str>,
    port: u16,
    /// User name and password.
    credentials: Option<(String, Zeroizing<Vec<u8>>)>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Http,
    Socks5,
}

impl Proxy {
    /// Host name or address.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// TCP port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Asks for a tunnel. Afterwards the bytes are the server's.
    pub(super) async fn tunnel<T: AsyncRead + AsyncWrite + Unpin>(
        &self,
        io: &mut T,
        host: &str,
        port: u16,
    ) -> Result<(), ProxyError> {
        match self.kind {
            Kind::Http => self.http(io, host, port).await,
            Kind::Socks5 => socks::connect(io, self.credentials.as_ref(), host, port).await,
        }
    }

    async fn http<T: AsyncRead + AsyncWrite + Unpin>(
        &self,
        io: &mut T,
        host: &str,
        port: u16,
    ) -> Result<(), ProxyError> {
        let target = http::authority(host, port);
        let mut request = Zeroizing::new(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n"));
        if let Some((username, password)) = &self.credentials {
            let pair = Zeroizing::new([username.as_bytes(), b":", password].concat());
            request.push_str("Proxy-Authorization: Basic ");
            request.push_str(&Zeroizing::new(http::base64(&pair)));
            request.push_str("\r\n");
        }
        request.push_str("\r\n");
        io.write_all(request.as_bytes()).await?;
        io.flush().await?;
        let head = Head::read(io).await?;
        match head.status {
            200..=299 => Ok(()),
            // 401 is what tinyproxy says of wrong ones.
            401 | 407 => Err(ProxyError::Credentials { were_given: self.credentials.is_some() }),
            code => Err(ProxyError::Refused { code, text: head.reason }),
        }
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.kind {
            Kind::Http => "http",
            Kind::Socks5 => "socks5h",
        };
        write!(f, "{scheme}://{}", http::authority(&self.host, self.port))
    }
}

/// Secrets stay out.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

/// Why a text names no proxy. Nothing of the text is told: it may hold a password.
#[derive(Clone, Copy, Eq, PartialEq)]
#[non_exhaustive]
pub enum ProxyUrlError {
    /// It is not a URL, or has more than host and port.
    NotAUrl,
    /// Its scheme is neither `http` nor `socks5` or `socks5h`.
    Scheme,
    /// User name or password are longer than the 255 bytes SOCKS has room for, or no UTF-8, or hold what may not be
    /// there.
    Credentials,
}

impl fmt::Display for ProxyUrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAUrl => "the proxy is no URL: write http://host:port or socks5h://host:port",
            Self::Scheme => {
                "this kind of proxy is not supported: use http:// (HTTP CONNECT) or socks5h:// (SOCKS5)"
            }
            Self::Credentials => {
                "user name or password for the proxy do not do: SOCKS5 has room for 1 to 255 bytes each, and a \
                 user name for an HTTP proxy has no colon"
            }
        })
    }
}

impl std::error::Error for ProxyUrlError {}

impl FromStr for Proxy {
    type Err = ProxyUrlError;

    fn from_str(text: &str) -> Result<Self, ProxyUrlError> {
        let uri = Uri::parse(text).map_err(|_| ProxyUrlError::NotAUrl)?;
        let authority = uri.authority().ok_or(ProxyUrlError::NotAUrl)?;
        let (kind, default_port) = match &*uri.scheme().as_str().to_ascii_lowercase() {
            "http" => (Kind::Http, 80),
            "socks5" | "socks5h" => (Kind::Socks5, 1080),
            _ => return Err(ProxyUrlError::Scheme),
        };
        let has_more = !matches!(uri.path().as_str(), "" | "/") || uri.query().is_some();
        if has_more || uri.fragment().is_some() || authority.host().is_empty() {
            return Err(ProxyUrlError::NotAUrl);
        }
        let port = match authority.port().map(EStr::as_str).filter(|port| !port.is_empty()) {
            None => default_port,
            Some(port) => port.parse().ok().filter(|port| *port > 0).ok_or(ProxyUrlError::NotAUrl)?,
        };
        let host = match authority.host_parsed() {
            Host::RegName(name) => name.decode().into_string().map_err(|_| ProxyUrlError::NotAUrl)?.into(),
            _ => authority.host().trim_matches(['[', ']']).into(),
        };
        let credentials = match authority.userinfo() {
            None => None,
            Some(userinfo) => {
                let (username, password) = userinfo.split_once(':').unwrap_or((userinfo, EStr::EMPTY));
                let username = username.decode().into_string().map_err(|_| ProxyUrlError::Credentials)?;
                let password = Zeroizing::new(password.decode().into_bytes().into_owned());
                Some((username.into_owned(), password))
            }
        };
        if let Some((username, password)) = &credentials {
            let fits = |length: usize| (1..=255).contains(&length);
            let do_fit = match kind {
                Kind::Http => !username.contains(':'),
                Kind::Socks5 => fits(username.len()) && fits(password.len()),
            };
            if !do_fit {
                return Err(ProxyUrlError::Credentials);
            }
        }
        Ok(Self { kind, host, port, credentials })
    }
}

/// What a proxy did instead of opening the tunnel.
#[derive(Clone)]
#[non_exhaustive]
pub enum ProxyError {
    /// It could not be reached.
    Unreachable(Arc<io::Error>),
    /// It refused, or cannot reach the server: the status of HTTP, or the reply of SOCKS5.
    Refused {
        /// The number.
        code: u16,
        /// What it means.
        text: String,
    },
    /// It wants user name and password, or other ones.
    Credentials {
        /// It was told some.
        were_given: bool,
    },
    /// It speaks something else.
    NotAProxy {
        /// The start of what it said.
        said: String,
    },
    /// It broke the connection off.
    Lost(Arc<io::Error>),
    /// The environment names it wrongly.
    Url(ProxyUrlError),
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(error) => write!(f, "cannot be reached ({error}): check its address"),
            Self::Refused { code, text } => write!(f, "did not open the way to the server: {code} {text}"),
            Self::Credentials { were_given: true } => {
                f.write_str("does not take this user name and password: correct them in its URL")
            }
            Self::Credentials { were_given: false } => {
                f.write_str("wants a user name and password: write them into its URL")
            }
            Self::NotAProxy { said } => {
                write!(f, "is no proxy of this kind, it said {said:?}: check its port")
            }
            Self::Lost(error) => write!(f, "broke the connection off ({error})"),
            Self::Url(error) => write!(f, "cannot be used: {error}"),
        }
    }
}

impl std::error::Error for ProxyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreachable(error) | Self::Lost(error) => Some(&**error),
            Self::Url(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for ProxyError {
    fn from(error: io::Error) -> Self {
        Self::Lost(Arc::new(error))
    }
}

impl From<HeadError> for ProxyError {
    fn from(error: HeadError) -> Self {
        match error {
            HeadError::Lost(error) => Self::Lost(error),
            HeadError::NotHttp(said) => Self::NotAProxy { said },
        }
    }
}

#[cfg(test)]
mod tests;
