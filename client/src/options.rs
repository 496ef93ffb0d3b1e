//! What a user decides before connecting. All defaults of the client are in `choices` and nowhere else.

mod choices;
mod exchange;
mod link;
mod queue;
mod road;

use choices::Choices;
pub(crate) use exchange::Exchange;

use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use packetboat_core::session::{SessionMode, Will};
use packetboat_core::wire::{Place, PropertiesBuf};

use crate::credentials::Provider;
use crate::server::{Url, UrlError};
use crate::transport::Road;
use crate::{Credentials, Server, Transport};

/// Which version of MQTT to speak.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum VersionChoice {
    /// 5.0, and 3.1.1 with a broker that does not know 5.0. The first accepted version stays.
    #[default]
    Auto,
    /// 5.0 only.
    V5,
    /// 3.1.1 only.
    V311,
    /// 3.1 only: 3.1.1 under its old name (`MQIsdp`).
    V31,
}

/// What a publish does when the queue is full.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum QueuePolicy {
    /// It waits for room ([`try_publish`](crate::Publish::try_publish) fails).
    #[default]
    Wait,
    /// It fails at once: [`RejectReason::Full`](crate::RejectReason::Full).
    Reject,
    /// The oldest queued message makes room; its receipt fails.
    DropOldest,
    /// The new message is dropped; its receipt fails.
    DropNewest,
}

/// How to wait between attempts to connect. The values are upper bounds where jitter is random.
pub use packetboat_core::backoff::Jitter;

/// Everything that can be decided about a client. Each method documents its default.
///
/// ```
/// use std::time::Duration;
/// use packetboat::Options;
///
/// let options = Options::new("mqtt://user:secret@localhost:1883")
///     .client_id("thermometer")
///     .keep_alive(Duration::from_secs(30));
/// ```
#[derive(Clone)]
pub struct Options {
    pub(crate) server: Result<Server, UrlError>,
    pub(crate) client_id: Option<Arc<str>>,
    /// The URL's, or chosen.
    pub(crate) credentials: Option<Box<Credentials>>,
    pub(crate) provider: Option<Provider>,
    /// Shared by all clients with these options.
    pub(crate) road: Arc<Road>,
    pub(crate) transport: Option<Arc<dyn Transport>>,
    /// What was said about none of those; shared until something is.
    pub(crate) choices: Arc<Choices>,
}

/// The road that nothing was said about, shared by all clients. One that leads to TLS is the options' own, since it keeps
/// sessions.
static PLAIN: LazyLock<Arc<Road>> = LazyLock::new(Arc::default);

impl Options {
    /// Options for a server, `mqtt://[user[:password]@]host[:port]`. A wrong URL is reported by
    /// [`Client::connect`](crate::Client::connect) and [`Client::start`](crate::Client::start).
    ///
    /// | Scheme | MQTT over | Default port |
    /// | --- | --- | --- |
    /// | `mqtt://`, `tcp://` | TCP | 1883 |
    /// | `mqtts://`, `ssl://`, `tls://` | TLS | 8883 |
    /// | `ws://host/path?query` | WebSocket; path `/mqtt` unless given | 80 |
    /// | `wss://host/path?query` | WebSocket over TLS | 443 |
    /// | `unix:///path/to/socket` | a socket in the file system | |
    ///
    /// `mqtt+ssl://` and the like are understood, too.
    #[must_use]
    pub fn new(url: &str) -> Self {
        let url = url.parse::<Url>();
        let credentials = match &url {
            Ok(Url { username: None, password: None, .. }) | Err(_) => None,
            Ok(Url { username, password, .. }) => {
                let (username, password) = (username.clone(), password.clone());
                Some(Box::new(Credentials { username, password, identity: None }))
            }
        };
        Self { credentials, ..Self::of(url.map(|url| url.server)) }
    }

    /// Options for a server that is known by host and port.
    #[must_use]
    pub fn for_server(server: Server) -> Self {
        Self::of(Ok(server))
    }

    fn of(server: Result<Server, UrlError>) -> Self {
        let secure = server.as_ref().is_ok_and(|server| server.scheme().is_secure());
        let road = if secure { Arc::default() } else { PLAIN.clone() };
        Self {
            server,
            client_id: None,
            credentials: None,
            provider: None,
            road,
            transport: None,
            choices: choices::USUAL.clone(),
        }
    }

    /// To choose something: what is shared becomes the options' own.
    pub(crate) fn choose(&mut self) -> &mut Choices {
        Arc::make_mut(&mut self.choices)
    }

    /// The version to speak. Default: [`VersionChoice::Auto`].
    #[must_use]
    pub fn version(mut self, version: VersionChoice) -> Self {
        self.choose().version = version;
        self
    }

    /// The client identifier. Default: `pb-` and 16 random characters. Empty lets the broker choose, for a
    /// [`Clean`](SessionMode::Clean) session. Some brokers of 3.1.1 take no more than 23 bytes.
    #[must_use]
    pub fn client_id(mut self, client_id: impl Into<String>) -> Self {
        self.client_id = Some(client_id.into().into());
        self
    }

    /// The message the broker publishes when the client is lost. Properties that do not belong in a will are taken out.
    /// Default: none. 3.1.1 takes it without its properties, and so without delay.
    #[must_use]
    pub fn will(mut self, mut will: Will) -> Self {
        will.properties.keep_only(Place::Will);
        self.choose().will = Some(Box::new(will));
        self
    }

    /// After so much silence the link is probed, and half of it later it is given up; zero turns it off. On a slow link that
    /// half has to be longer than what fills the socket's buffer takes to get through (128 KiB on Linux). Default: 60 s.
    /// Whole seconds, at most 65,535.
    #[must_use]
    pub fn keep_alive(mut self, interval: Duration) -> Self {
        self.choose().keep_alive = interval;
        self
    }

    /// What the broker keeps over a cut. Default: [`SessionMode::UntilDisconnect`].
    #[must_use]
    pub fn session(mut self, session: SessionMode) -> Self {
        self.choose().session = session;
        self
    }

    /// Further CONNECT properties, user properties for example; what does not belong there is taken out, and so is what has an
    /// option of its own ([`session`](Self::session), [`inbound`](Self::inbound),
    /// [`maximum_packet_size`](Self::maximum_packet_size), [`topic_alias_maximum`](Self::topic_alias_maximum)). Default: none.
    /// 3.1.1 leaves them out.
    #[must_use]
    pub fn properties(mut self, mut properties: PropertiesBuf) -> Self {
        use packetboat_core::wire::Property as P;
        properties.keep_only(Place::Connect);
        for own in [P::SessionExpiryInterval, P::ReceiveMaximum, P::MaximumPacketSize, P::TopicAliasMaximum] {
            properties.remove(own);
        }
        self.choose().properties = properties;
        self
    }

    /// Limit for one attempt, from the name's resolution to the broker's answer. Default: 10 s.
    #[must_use]
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.choose().connect_timeout = limit;
        self
    }

    /// An acknowledgement of the broker missing for so long declares the link dead. Default: 60 s.
    #[must_use]
    pub fn acknowledgement_timeout(mut self, limit: Duration) -> Self {
        self.choose().acknowledgement_timeout = limit;
        self
    }

    /// How long a disconnect waits for what was accepted. Default: 5 s.
    #[must_use]
    pub fn drain_timeout(mut self, limit: Duration) -> Self {
        self.choose().drain_timeout = limit;
        self
    }

    /// QoS 1 and 2 messages on the way to the broker at once; the broker may allow fewer. Default: 1,024.
    #[must_use]
    pub fn window(mut self, messages: u16) -> Self {
        self.choose().window = messages.max(1);
        self
    }

    /// QoS 2 messages on the way at once to a broker that speaks 3.1.1, where it cannot announce how many it takes:
    /// mosquitto confirms those beyond its limit and drops them. Default: 20, which is that limit.
    #[must_use]
    pub fn unannounced_window(mut self, messages: u16) -> Self {
        self.choose().unannounced_window = messages.max(1);
        self
    }

    /// Topic aliases used for outgoing messages, at most (5.0). Default: 0. 3.1.1 has none: topics go out whole.
    #[must_use]
    pub fn outgoing_aliases(mut self, maximum: u16) -> Self {
        self.choose().outgoing_aliases = maximum;
        self
    }

    /// Bounds of what has arrived and was not taken: QoS 1 and 2 messages unacknowledged at once (announced to a
    /// broker of 5.0), QoS 0 messages in one stream, and bytes of all streams. Default: 1,024 messages, 16 MiB.
    #[must_use]
    pub fn inbound(mut self, messages: u16, bytes: usize) -> Self {
        let choices = self.choose();
        (choices.inbound_messages, choices.inbound_bytes) = (messages.max(1), bytes.max(1));
        self
    }

    /// Disconnect from a broker that sends more unacknowledged messages than [`inbound`](Self::inbound) announces, as
    /// 5.0 says (reason 0x93). Default: false, since mosquitto 2.0.11 does so towards a slow subscriber and would be
    /// left again and again; what is held is bounded in bytes all the same. 3.1.1 announces nothing to keep to.
    #[must_use]
    pub fn strict_receive_maximum(mut self, strict: bool) -> Self {
        self.choose().strict_receive_maximum = strict;
        self
    }

    /// Largest packet accepted, in bytes. Default: 256 MiB; memory grows only by what is received. A broker of 5.0 is told, and
    /// left if it sends more; on 3.1.1 a larger message is skipped, confirmed and reported
    /// ([`Event::Oversize`](crate::Event::Oversize)).
    #[must_use]
    pub fn maximum_packet_size(mut self, bytes: u32) -> Self {
        self.choose().maximum_packet_size = bytes.max(16);
        self
    }

    /// Topic aliases the broker may use (5.0). Default: 16. 3.1.1 has none.
    #[must_use]
    pub fn topic_alias_maximum(mut self, maximum: u16) -> Self {
        self.choose().topic_alias_maximum = maximum;
        self
    }
}

impl From<&str> for Options {
    fn from(url: &str) -> Self {
        Self::new(url)
    }
}

impl From<String> for Options {
    fn from(url: String) -> Self {
        Self::new(&url)
    }
}

impl From<&String> for Options {
    fn from(url: &String) -> Self {
        Self::new(url)
    }
}

/// Secrets stay out.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("server", &self.server)
            .field("version", &self.choices.version)
            .field("client_id", &self.client_id)
            .field("credentials", &self.credentials)
            .field("session", &self.choices.session)
            .field("keep_alive", &self.choices.keep_alive)
            .finish_non_exhaustive()
    }
}
