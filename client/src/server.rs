//! Which server, and as whom: the parts of a URL.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use fluent_uri::Uri;
use fluent_uri::component::{Authority, Host};
use fluent_uri::encoding::EStr;
use zeroize::Zeroizing;

/// What carries MQTT to a server.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Scheme {
    /// `mqtt://` (`tcp://`): plain TCP, port 1883.
    #[default]
    Mqtt,
    /// `mqtts://` (`ssl://`, `tls://`): TLS, port 8883.
    Mqtts,
    /// `ws://`: WebSocket, port 80.
    Ws,
    /// `wss://`: WebSocket over TLS, port 443.
    Wss,
    /// `unix://`: a socket in the file system of this machine.
    Unix,
}

impl Scheme {
    /// Also by the names that other clients have for them.
    fn parse(text: &str) -> Result<Self, UrlError> {
        let text = text.to_ascii_lowercase();
        Ok(match text.strip_prefix("mqtt+").unwrap_or(&text) {
            "mqtt" | "tcp" => Self::Mqtt,
            "mqtts" | "ssl" | "tls" => Self::Mqtts,
            "ws" => Self::Ws,
            "wss" => Self::Wss,
            "unix" => Self::Unix,
            _ => return Err(UrlError::Scheme(text)),
        })
    }

    /// As written in front of `://`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mqtt => "mqtt",
            Self::Mqtts => "mqtts",
            Self::Ws => "ws",
            Self::Wss => "wss",
            Self::Unix => "unix",
        }
    }

    /// The port unless another is named; 0 where there are no ports.
    #[must_use]
    pub fn default_port(self) -> u16 {
        match self {
            Self::Mqtt => 1883,
            Self::Mqtts => 8883,
            Self::Ws => 80,
            Self::Wss => 443,
            Self::Unix => 0,
        }
    }

    /// Is the connection encrypted?
    #[must_use]
    pub fn is_secure(self) -> bool {
        matches!(self, Self::Mqtts | Self::Wss)
    }

    /// Is MQTT wrapped in WebSocket frames?
    #[must_use]
    pub fn is_websocket(self) -> bool {
        matches!(self, Self::Ws | Self::Wss)
    }

    fn secured(self) -> Self {
        match self {
            Self::Mqtt => Self::Mqtts,
            Self::Ws => Self::Wss,
            other => other,
        }
    }
}

/// A server to connect to.
///
/// ```
/// use packetboat::{Options, Scheme, Server};
///
/// let server = Server::with_scheme(Scheme::Wss, "broker.example", None).path("/mqtt");
/// assert_eq!(server.port(), 443);
/// let options = Options::for_server(server);
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Server(Arc<Place>);

/// Shared: a client has its server in many hands, and a process may have many clients.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Place {
    scheme: Scheme,
    host: Box<str>,
    port: Option<u16>,
    /// Path and query of the HTTP request, or path of the socket.
    path: Box<str>,
}

impl Server {
    /// A server reached by plain TCP, by host name or address (IPv6 without brackets) and port.
    #[must_use]
    pub fn new(host: impl Into<Box<str>>, port: u16) -> Self {
        Self::with_scheme(Scheme::Mqtt, host, Some(port))
    }

    /// A server by what carries MQTT to it, host and port. Without a port the scheme decides.
    #[must_use]
    pub fn with_scheme(scheme: Scheme, host: impl Into<Box<str>>, port: Option<u16>) -> Self {
        let path = if scheme.is_websocket() { DEFAULT_PATH } else { "" };
        Self(Arc::new(Place { scheme, host: host.into(), port, path: path.into() }))
    }

    /// A server at a socket in the file system.
    #[must_use]
    pub fn unix(path: impl Into<Box<str>>) -> Self {
        let (host, path) = ("localhost".into(), path.into());
        Self(Arc::new(Place { scheme: Scheme::Unix, host, port: None, path }))
    }

    /// The path of the HTTP request that opens a WebSocket, query included. Default: `/mqtt`.
    #[must_use]
    pub fn path(mut self, path: impl Into<Box<str>>) -> Self {
        Arc::make_mut(&mut self.0).path = path.into();
        self
    }

    /// What carries MQTT to it.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.0.scheme
    }

    /// A server that this one refers to: `host`, `host:port`, `[IPv6]` or `[IPv6]:port`, with this one's port unless
    /// another is given [5.0, 4.11].
    pub(crate) fn referenced(&self, text: &str) -> Option<Self> {
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
                (host, self::port(port).ok()?)
            }
            _ => (text, self.port()),
        };
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let fine = !host.is_empty() && !host.contains(['/', '@', '[', ']', '?', '#']);
        fine.then(|| Self(Arc::new(Place { host: host.into(), port: Some(port), ..(*self.0).clone() })))
    }

    /// The same place, however it is written.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let place = |server: &Self| (server.0.scheme, server.port());
        place(self) == place(other)
            && self.0.host.eq_ignore_ascii_case(&other.0.host)
            && self.0.path == other.0.path
    }

    /// Host name or address, a link-local one with its interface behind `%`.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.0.host
    }

    /// The same without the interface, which is this machine's business: what certificates and requests of HTTP name.
    #[must_use]
    pub fn host_without_zone(&self) -> &str {
        self.0.host.split_once('%').map_or(&self.0.host, |(address, _)| address)
    }

    /// TCP port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.0.port.unwrap_or(self.0.scheme.default_port())
    }

    /// Path and query of the HTTP request that opens a WebSocket, or path of the socket in the file system.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.0.path
    }

    /// With TLS configured, a plain address means the encrypted one, and so does a missing port.
    pub(crate) fn secured(mut self) -> Self {
        let place = Arc::make_mut(&mut self.0);
        place.scheme = place.scheme.secured();
        self
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.scheme == Scheme::Unix {
            return write!(f, "unix://{}", self.0.path);
        }
        if self.0.scheme != Scheme::Mqtt {
            write!(f, "{}://", self.0.scheme.as_str())?;
        }
        let port = self.port();
        if self.0.host.contains(':') {
            write!(f, "[{}]:{port}", self.0.host)
        } else {
            write!(f, "{}:{port}", self.0.host)
        }
    }
}

/// `mqtt://[user[:password]@]host[:port]` and the like, taken apart. User and password are percent-decoded.
#[derive(Clone, Eq, PartialEq)]
pub(crate) struct Url {
    pub(crate) server: Server,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<Zeroizing<Vec<u8>>>,
}

/// Why a text is no server URL.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub enum UrlError {
    /// It is not a URL at all.
    NotAUrl(String),
    /// Its scheme is none that carries MQTT.
    Scheme(String),
    /// It names no host.
    NoHost,
    /// The port is no number from 1 to 65535.
    Port(String),
    /// The user name is not UTF-8 after percent-decoding.
    Username,
    /// It has a path, a query or a fragment, which this kind of connection has no use for.
    TooMuch,
    /// A `unix://` URL names no file.
    NoPath,
    /// This build of the crate does not know the way.
    Unsupported {
        /// The address asks for it.
        scheme: Scheme,
        /// The feature of the crate that was left out.
        feature: &'static str,
    },
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAUrl(text) => write!(f, "{text:?} is no URL: write mqtt://host or mqtt://host:port"),
            Self::Scheme(scheme) => write!(
                f,
                "{scheme}:// does not carry MQTT: use mqtt:// (TCP), mqtts:// (TLS), ws:// or wss:// (WebSocket), or \
                 unix://"
            ),
            Self::NoHost => f.write_str("the URL names no host: write mqtt://host or mqtt://host:port"),
            Self::Port(port) => write!(f, "{port:?} is no port: use a number from 1 to 65535"),
            Self::Username => f.write_str("the user name in the URL is not UTF-8"),
            Self::TooMuch => {
                f.write_str("the URL has something after the port: remove path, query and fragment")
            }
            Self::Unsupported { scheme, feature } => write!(
                f,
                "this build does not know {}://: build packetboat with the feature `{feature}`",
                scheme.as_str()
            ),
            Self::NoPath => f.write_str("the URL names no socket: write unix:///path/to/socket"),
        }
    }
}

impl std::error::Error for UrlError {}

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        // "localhost" alone is a relative reference and "localhost:1883" has the scheme "localhost": neither is meant.
        if !text.contains("://") {
            return Err(wrong_part(text));
        }
        let (plain, zone) = apart_from_zone(text);
        let uri = Uri::parse(&*plain).map_err(|_| wrong_part(text))?;
        let scheme = Scheme::parse(uri.scheme().as_str())?;
        let authority = uri.authority().ok_or(UrlError::NoHost)?;
        if uri.fragment().is_some() {
            return Err(UrlError::TooMuch);
        }
        let (path, query) = (uri.path(), uri.query());
        let server = match scheme {
            Scheme::Unix if query.is_some() || !authority.host().is_empty() => return Err(UrlError::NoPath),
            Scheme::Unix => {
                let path = path.decode().into_string().map_err(|_| UrlError::NoPath)?;
                if path.len() < 2 {
                    return Err(UrlError::NoPath);
                }
                Server::unix(path.into_owned())
            }
            Scheme::Ws | Scheme::Wss => {
                let path = if path.as_str().is_empty() { DEFAULT_PATH } else { path.as_str() };
                let query = query.map(|query| format!("?{query}")).unwrap_or_default();
                server(scheme, &authority, zone)?.path(format!("{path}{query}"))
            }
            Scheme::Mqtt | Scheme::Mqtts if matches!(path.as_str(), "" | "/") && query.is_none() => {
                server(scheme, &authority, zone)?
            }
            Scheme::Mqtt | Scheme::Mqtts => return Err(UrlError::TooMuch),
        };
        let (username, password) = credentials(&authority)?;
        Ok(Self { server, username, password })
    }
}

/// Where most brokers take them; AWS takes them nowhere else.
const DEFAULT_PATH: &str = "/mqtt";

/// The zone identifier of a link-local address, `[fe80::1%25eth0]` [RFC 6874] or as people write it, `[fe80::1%eth0]`, which the
/// parser does not know: the text without it, and the zone. Only what stands between brackets in front of path and query is one.
fn apart_from_zone(text: &str) -> (Cow<'_, str>, Option<&str>) {
    let begin = text.find("://").map_or(0, |at| at + 3);
    let end = text[begin..].find(['/', '?', '#']).map_or(text.len(), |at| begin + at);
    let begin = text[begin..end].rfind('@').map_or(begin, |at| begin + at);
    let address = &text[begin..end];
    let zone = address.find('[').zip(address.find('%')).zip(address.find(']'));
    let Some(((_, from), until)) = zone.filter(|((open, from), until)| open < from && from < until) else {
        return (text.into(), None);
    };
    let name = &address[from + 1..until];
    let name = name.strip_prefix("25").unwrap_or(name);
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_plain) {
        return (text.into(), None);
    }
    (format!("{}{}", &text[..begin + from], &text[begin + until..]).into(), Some(name))
}

fn server(scheme: Scheme, authority: &Authority<'_>, zone: Option<&str>) -> Result<Server, UrlError> {
    if authority.host().is_empty() {
        return Err(UrlError::NoHost);
    }
    let text = authority.port().map(EStr::as_str).filter(|port| !port.is_empty());
    let port = text.map(port).transpose()?;
    let zone = zone.map(|zone| format!("%{zone}")).unwrap_or_default();
    let host = match authority.host_parsed() {
        Host::RegName(name) => name.decode().into_string().map_err(|_| UrlError::NoHost)?.into_owned(),
        _ => format!("{}{zone}", authority.host().trim_matches(['[', ']'])),
    };
    Ok(Server::with_scheme(scheme, host, port))
}

type Credentials = (Option<String>, Option<Zeroizing<Vec<u8>>>);

fn credentials(authority: &Authority<'_>) -> Result<Credentials, UrlError> {
    let Some(userinfo) = authority.userinfo() else { return Ok((None, None)) };
    let (username, password) = match userinfo.split_once(':') {
        Some((username, password)) => (username, Some(password)),
        None => (userinfo, None),
    };
    let username = username.decode().into_string().map_err(|_| UrlError::Username)?.into_owned();
    let password = password.map(|password| Zeroizing::new(password.decode().into_bytes().into_owned()));
    Ok((Some(username), password))
}

fn port(text: &str) -> Result<u16, UrlError> {
    match text.parse() {
        Ok(0) | Err(_) => Err(UrlError::Port(text.to_owned())),
        Ok(port) => Ok(port),
    }
}

/// The parser says where it stumbled; a port of letters is the one place worth telling apart. What stands before `@`
/// may be a password and is not repeated.
fn wrong_part(text: &str) -> UrlError {
    let Some((scheme, rest)) = text.split_once("://") else {
        return UrlError::NotAUrl(text.rsplit('@').next().unwrap_or_default().to_owned());
    };
    let rest = rest.rsplit('@').next().unwrap_or_default();
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    match host.rsplit_once(':') {
        Some((_, text)) if !text.is_empty() && !text.ends_with(']') => {
            port(text).err().unwrap_or_else(|| UrlError::NotAUrl(host.to_owned()))
        }
        _ => UrlError::NotAUrl(format!("{scheme}://{rest}")),
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
        assert_eq!(url.password.unwrap().as_slice(), b"p:w\0\xff");
        let url = parse("tcp://[::1]").unwrap();
        assert_eq!((url.server.host(), url.server.port()), ("::1", 1883));
        assert_eq!(url.server.to_string(), "[::1]:1883");
        assert_eq!(parse("MQTT://user@10.0.0.1/").unwrap().username.as_deref(), Some("user"));
    }

    #[test]
    fn an_address_may_name_its_interface() {
        for text in ["mqtt://u:p%25@[fe80::1%25eth0]:1884", "mqtt://u:p%25@[fe80::1%eth0]:1884"] {
            let url = parse(text).unwrap();
            assert_eq!(url.server, Server::new("fe80::1%eth0", 1884));
            assert_eq!(url.server.host_without_zone(), "fe80::1");
            assert_eq!(url.password.unwrap().as_slice(), b"p%");
        }
        let websocket = parse("ws://[fe80::1%25eth0]/a?b=%25c").unwrap().server;
        assert_eq!((websocket.host(), websocket.target()), ("fe80::1%eth0", "/a?b=%25c"));
        for wrong in ["mqtt://[fe80::1%25]", "mqtt://[fe80::1%]", "mqtt://[fe80::1%25a b]", "mqtt://%25a]["] {
            assert!(matches!(parse(wrong), Err(UrlError::NotAUrl(_))), "{wrong}");
        }
    }

    #[test]
    fn schemes_have_their_ports_and_the_names_that_users_know() {
        let cases = [
            ("mqtt", Scheme::Mqtt, 1883, "h:1883"),
            ("tcp", Scheme::Mqtt, 1883, "h:1883"),
            ("mqtts", Scheme::Mqtts, 8883, "mqtts://h:8883"),
            ("ssl", Scheme::Mqtts, 8883, "mqtts://h:8883"),
            ("tls", Scheme::Mqtts, 8883, "mqtts://h:8883"),
            ("mqtt+ssl", Scheme::Mqtts, 8883, "mqtts://h:8883"),
            ("ws", Scheme::Ws, 80, "ws://h:80"),
            ("mqtt+ws", Scheme::Ws, 80, "ws://h:80"),
            ("WSS", Scheme::Wss, 443, "wss://h:443"),
        ];
        for (text, scheme, port, shown) in cases {
            let server = parse(&format!("{text}://h")).unwrap().server;
            assert_eq!((server.scheme(), server.port()), (scheme, port), "{text}");
            assert_eq!(server.to_string(), shown);
            assert_eq!(parse(&format!("{text}://h:7")).unwrap().server.port(), 7);
        }
    }

    #[test]
    fn with_tls_a_plain_address_and_a_missing_port_mean_the_encrypted_one() {
        let secured = |text| parse(text).unwrap().server.secured();
        assert_eq!(secured("mqtt://h").to_string(), "mqtts://h:8883");
        assert_eq!(secured("mqtt://[::1]").to_string(), "mqtts://[::1]:8883");
        assert_eq!(secured("mqtt://h:1884").to_string(), "mqtts://h:1884");
        assert_eq!(secured("ws://h").to_string(), "wss://h:443");
        assert_eq!(secured("unix:///s").to_string(), "unix:///s");
    }

    #[test]
    fn path_and_query_are_the_websockets_as_they_stand() {
        let target = |text| parse(text).unwrap().server.target().to_owned();
        assert_eq!(target("ws://h"), "/mqtt");
        assert_eq!(target("ws://h/"), "/");
        assert_eq!(target("wss://u:p@[::1]:8/a%20b?x=%2F&y"), "/a%20b?x=%2F&y");
        assert_eq!(target("ws://h?x=1"), "/mqtt?x=1");
    }

    #[test]
    fn a_socket_is_a_file_of_this_machine() {
        let url = parse("unix://user:pw@/run/a%20b.sock").unwrap();
        assert_eq!(url.server, Server::unix("/run/a b.sock"));
        assert_eq!(url.username.as_deref(), Some("user"));
        for wrong in ["unix://", "unix:///", "unix://host/file", "unix:///file?x"] {
            assert_eq!(parse(wrong).err(), Some(UrlError::NoPath), "{wrong}");
        }
    }

    #[test]
    fn references_are_hosts_with_or_without_a_port() {
        let here = Server::new("here", 1884);
        let found = |text| here.referenced(text).map(|server| server.to_string());
        assert_eq!(found("there").as_deref(), Some("there:1884"));
        assert_eq!(found("there.example:99").as_deref(), Some("there.example:99"));
        assert_eq!(found("fe80::1").as_deref(), Some("[fe80::1]:1884"));
        assert_eq!(found("[fe80::1]").as_deref(), Some("[fe80::1]:1884"));
        assert_eq!(found("[fe80::1]:99").as_deref(), Some("[fe80::1]:99"));
        for wrong in ["", ":1", "a:0", "a:b", "mqtt://a", "a/b", "u@h"] {
            assert_eq!(found(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn each_mistake_has_its_own_error() {
        assert!(matches!(parse("localhost"), Err(UrlError::NotAUrl(_))));
        assert!(matches!(parse("localhost:1883"), Err(UrlError::NotAUrl(_))));
        assert!(matches!(parse(""), Err(UrlError::NotAUrl(_))));
        assert!(matches!(parse("mqtt://a b"), Err(UrlError::NotAUrl(_))));
        assert_eq!(parse("http://host").err(), Some(UrlError::Scheme("http".into())));
        assert_eq!(parse("mqtt://").err(), Some(UrlError::NoHost));
        assert_eq!(parse("wss://:1883").err(), Some(UrlError::NoHost));
        assert_eq!(parse("mqtt://host:0").err(), Some(UrlError::Port("0".into())));
        assert_eq!(parse("mqtts://host:65536").err(), Some(UrlError::Port("65536".into())));
        assert_eq!(parse("mqtt://host:port").err(), Some(UrlError::Port("port".into())));
        assert_eq!(parse("mqtt://%ff@host").err(), Some(UrlError::Username));
        assert_eq!(parse("mqtt://host/topic").err(), Some(UrlError::TooMuch));
        assert_eq!(parse("mqtts://host?query").err(), Some(UrlError::TooMuch));
        assert_eq!(parse("ws://host/path#fragment").err(), Some(UrlError::TooMuch));
    }

    #[test]
    fn a_password_is_not_repeated_in_an_error() {
        for wrong in ["mqtt://user:se cret@host", "mqtt://user:se/cret@ho st", "mqtt://user:se#cret@host:x"] {
            let error = parse(wrong).err().unwrap();
            assert!(!format!("{error} {error:?}").contains("cret"), "{error}");
        }
    }
}
