//! Which server, and as whom: the parts of a URL.

use std::fmt;
use std::str::FromStr;

use fluent_uri::Uri;
use fluent_uri::component::Host;
use fluent_uri::encoding::EStr;

/// A server to connect to.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Server {
    host: Box<str>,
    port: u16,
}

impl Server {
    /// A server by host name or address (IPv6 without brackets) and port.
    #[must_use]
    pub fn new(host: impl Into<Box<str>>, port: u16) -> Self {
        Self { host: host.into(), port }
    }

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
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// `mqtt://[user[:password]@]host[:port]`, taken apart. User and password are percent-decoded.
#[derive(Clone, Eq, PartialEq)]
pub(crate) struct Url {
    pub(crate) server: Server,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<Vec<u8>>,
}

/// Why a text is no server URL.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum UrlError {
    /// It is not a URL at all.
    NotAUrl(String),
    /// Its scheme is none that is supported.
    Scheme(String),
    /// It names no host.
    NoHost,
    /// The port is no number from 1 to 65535.
    Port(String),
    /// The user name is not UTF-8 after percent-decoding.
    Username,
    /// It has a path, a query or a fragment, which a connection has no use for.
    TooMuch,
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAUrl(text) => write!(f, "{text:?} is no URL: write mqtt://host or mqtt://host:port"),
            Self::Scheme(scheme) => write!(
                f,
                "the scheme {scheme}:// is not supported by this build: use mqtt:// (or tcp://), which is MQTT over \
                 plain TCP"
            ),
            Self::NoHost => f.write_str("the URL names no host: write mqtt://host or mqtt://host:port"),
            Self::Port(port) => write!(f, "{port:?} is no port: use a number from 1 to 65535"),
            Self::Username => f.write_str("the user name in the URL is not UTF-8"),
            Self::TooMuch => {
                f.write_str("the URL has something after the port: remove path, query and fragment")
            }
        }
    }
}

impl std::error::Error for UrlError {}

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        // "localhost" alone is a relative reference and "localhost:1883" has the scheme "localhost": neither is meant.
        if !text.contains("://") {
            return Err(UrlError::NotAUrl(text.to_owned()));
        }
        let uri = Uri::parse(text).map_err(|_| wrong_part(text))?;
        let scheme = uri.scheme().as_str().to_ascii_lowercase();
        if scheme != "mqtt" && scheme != "tcp" {
            return Err(UrlError::Scheme(scheme));
        }
        let authority = uri.authority().ok_or(UrlError::NoHost)?;
        if authority.host().is_empty() {
            return Err(UrlError::NoHost);
        }
        if !matches!(uri.path().as_str(), "" | "/") || uri.query().is_some() || uri.fragment().is_some() {
            return Err(UrlError::TooMuch);
        }
        let port = match authority.port().map(EStr::as_str).filter(|port| !port.is_empty()) {
            None => DEFAULT_PORT,
            Some(text) => port(text)?,
        };
        let host = match authority.host_parsed() {
            Host::RegName(name) => name.decode().into_string().map_err(|_| UrlError::NoHost)?.into_owned(),
            _ => authority.host().trim_matches(['[', ']']).to_owned(),
        };
        let mut url = Self { server: Server::new(host, port), username: None, password: None };
        if let Some(userinfo) = authority.userinfo() {
            let (username, password) = match userinfo.split_once(':') {
                Some((username, password)) => (username, Some(password)),
                None => (userinfo, None),
            };
            let username = username.decode().into_string().map_err(|_| UrlError::Username)?;
            url.username = Some(username.into_owned());
            url.password = password.map(|password| password.decode().into_bytes().into_owned());
        }
        Ok(url)
    }
}

const DEFAULT_PORT: u16 = 1883;

fn port(text: &str) -> Result<u16, UrlError> {
    match text.parse() {
        Ok(0) | Err(_) => Err(UrlError::Port(text.to_owned())),
        Ok(port) => Ok(port),
    }
}

/// The parser says where it stumbled; a port of letters is the one place worth telling apart.
fn wrong_part(text: &str) -> UrlError {
    let authority = text.split_once("://").map_or("", |(_, rest)| rest);
    let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    match host.rsplit_once(':') {
        Some((_, text)) if !text.is_empty() && !text.ends_with(']') => {
            port(text).err().unwrap_or_else(|| UrlError::NotAUrl(authority.to_owned()))
        }
        _ => UrlError::NotAUrl(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Url, UrlError> {
        text.parse()
    }

    #[test]
    fn parts_are_found_and_decoded() {
        let url = parse("mqtt://a%40b:p%3Aw%00%ff@example.org:1884").unwrap();
        assert_eq!(url.server, Server::new("example.org", 1884));
        assert_eq!(url.username.as_deref(), Some("a@b"));
        assert_eq!(url.password.as_deref(), Some(&b"p:w\0\xff"[..]));
        let url = parse("tcp://[::1]").unwrap();
        assert_eq!(url.server, Server::new("::1", 1883));
        assert_eq!(url.server.to_string(), "[::1]:1883");
        assert_eq!(parse("MQTT://user@10.0.0.1/").unwrap().username.as_deref(), Some("user"));
    }

    #[test]
    fn each_mistake_has_its_own_error() {
        assert!(matches!(parse("localhost"), Err(UrlError::NotAUrl(_))));
        assert!(matches!(parse("localhost:1883"), Err(UrlError::NotAUrl(_))));
        assert!(matches!(parse(""), Err(UrlError::NotAUrl(_))));
        assert!(matches!(parse("mqtt://a b"), Err(UrlError::NotAUrl(_))));
        assert_eq!(parse("mqtts://host").err(), Some(UrlError::Scheme("mqtts".into())));
        assert_eq!(parse("mqtt://").err(), Some(UrlError::NoHost));
        assert_eq!(parse("mqtt://:1883").err(), Some(UrlError::NoHost));
        assert_eq!(parse("mqtt://host:0").err(), Some(UrlError::Port("0".into())));
        assert_eq!(parse("mqtt://host:65536").err(), Some(UrlError::Port("65536".into())));
        assert_eq!(parse("mqtt://host:port").err(), Some(UrlError::Port("port".into())));
        assert_eq!(parse("mqtt://%ff@host").err(), Some(UrlError::Username));
        assert_eq!(parse("mqtt://host/topic").err(), Some(UrlError::TooMuch));
    }
}
