//! Options checked, and taken apart for those who need them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use packetboat_core::session::{Config, ConnectOptions, Overflow, SessionMode};
use packetboat_core::topic::{TopicError, TopicName};
use packetboat_core::wire::Version;

use crate::server::UrlError;
use crate::servers::Endpoint;
use crate::{Options, QueuePolicy, ServerOptions, Transport, VersionChoice};

/// Options found to be right.
pub(crate) struct Settings {
    /// At least one.
    pub(crate) servers: Box<[Endpoint]>,
    /// As given, or made up.
    pub(crate) client_id: Arc<str>,
    pub(crate) options: Options,
}

impl Options {
    /// What the session needs to know for its whole life.
    pub(crate) fn config(&self) -> Config {
        let fixed_version = match self.choices.version {
            VersionChoice::Auto => None,
            VersionChoice::V5 => Some(Version::V5),
            VersionChoice::V311 => Some(Version::V311),
            VersionChoice::V31 => Some(Version::V31),
        };
        Config {
            window: self.choices.window,
            unannounced_window: self.choices.unannounced_window,
            strict_receive_maximum: self.choices.strict_receive_maximum,
            queue_messages: self.choices.queue_messages,
            queue_bytes: self.choices.queue_bytes,
            overflow: match self.choices.queue_policy {
                QueuePolicy::Wait | QueuePolicy::Reject => Overflow::Refuse,
                QueuePolicy::DropOldest => Overflow::DropOldest,
                QueuePolicy::DropNewest => Overflow::DropNewest,
            },
            queue_qos0_offline: self.choices.queue_qos0_offline,
            acknowledgement_timeout: self.choices.acknowledgement_timeout,
            poison_limit: self.choices.poison_limit,
            outgoing_aliases: self.choices.outgoing_aliases,
            maximum_qos: self.choices.maximum_qos,
            durable: false,
            fixed_version,
            resend_unresolved: self.choices.resend_unresolved,
        }
    }

    /// A fallback would connect without what is to protect the connection.
    fn insist_on_authentication(&mut self) -> Result<(), OptionsError> {
        let said = self.choices.properties.as_properties();
        if self.choices.exchange.authenticator.is_none() && said.authentication_method().is_none() {
            return match said.authentication_data() {
                Some(_) => Err(OptionsError::AuthenticationDataWithoutMethod),
                None => Ok(()),
            };
        }
        if self.config().fixed_version.is_some_and(|version| !version.has_properties()) {
            return Err(OptionsError::AuthenticatorNeedsVersion5);
        }
        self.choose().version = VersionChoice::V5;
        Ok(())
    }

    /// Can a client be made with them? Nothing is tried.
    pub fn check(&self) -> Result<(), OptionsError> {
        self.clone().settle().map(drop)
    }

    /// Checks what types cannot.
    pub(crate) fn settle(mut self) -> Result<Settings, OptionsError> {
        self.insist_on_authentication()?;
        let servers = self.servers()?;
        let client_id = match (&self.client_id, self.choices.session) {
            (None, SessionMode::Persistent { .. }) => return Err(OptionsError::PersistentWithoutClientId),
            (Some(id), SessionMode::Persistent { .. }) if id.is_empty() => {
                return Err(OptionsError::PersistentWithoutClientId);
            }
            (Some(id), SessionMode::UntilDisconnect) if id.is_empty() => {
                return Err(OptionsError::EmptyClientId);
            }
            (Some(id), _) => id.clone(),
            (None, _) => generated_client_id().into(),
        };
        check_text("client identifier", &client_id)?;
        self.check_credentials(&servers)?;
        if let Some(name) = self.road.websocket.wrong_header() {
            return Err(OptionsError::Header(name));
        }
        if let Some(error) = &self.choices.wrong_default {
            return Err(OptionsError::TopicDefaults(*error));
        }
        if let Some(will) = &self.choices.will {
            TopicName::new(&will.topic).map_err(OptionsError::WillTopic)?;
            if will.payload.len() > usize::from(u16::MAX) {
                return Err(OptionsError::TooLong("will payload"));
            }
            let declared = will.properties.as_properties().payload_format_indicator() == Some(true);
            if declared && std::str::from_utf8(&will.payload).is_err() {
                return Err(OptionsError::WillNotText);
            }
        }
        TopicName::new(&self.choices.exchange.response_prefix).map_err(OptionsError::ResponsePrefix)?;
        Ok(Settings { servers, client_id, options: self })
    }

    fn check_credentials(&self, servers: &[Endpoint]) -> Result<(), OptionsError> {
        let old = matches!(self.choices.version, VersionChoice::V311 | VersionChoice::V31);
        let mut secret = self.provider.is_some();
        let each = servers.iter().filter_map(|endpoint| endpoint.credentials.as_deref());
        for credentials in each.chain(self.credentials.as_deref()) {
            credentials.check()?;
            if old && credentials.password.is_some() && credentials.username.is_none() {
                return Err(OptionsError::PasswordWithoutUsername);
            }
            secret |= credentials.password.is_some();
        }
        self.road.tls.check(secret)
    }

    fn servers(&self) -> Result<Box<[Endpoint]>, OptionsError> {
        let first = ServerOptions::of(self.server.clone());
        let all = std::iter::once(&first).chain(&self.choices.more_servers);
        all.map(|server| {
            let mut endpoint = server.clone().settle(self.choices.backoff).map_err(OptionsError::Url)?;
            endpoint.server = self.lead(endpoint.server).map_err(OptionsError::Url)?;
            Ok(endpoint)
        })
        .collect()
    }
}

impl Settings {
    /// What CONNECT says, but for user name and password, which each attempt brings.
    pub(crate) fn connect(&self) -> ConnectOptions {
        let options = &self.options;
        let mut properties = options.choices.properties.clone();
        if options.choices.exchange.response_information {
            properties.request_response_information(true);
        }
        ConnectOptions {
            version: options.config().fixed_version.unwrap_or(Version::V5),
            client_id: self.client_id.to_string(),
            keep_alive: whole_seconds(options.choices.keep_alive),
            probe_ahead: whole_seconds(options.choices.probe_ahead),
            session: options.choices.session,
            username: None,
            password: None,
            will: options.choices.will.as_deref().cloned(),
            receive_maximum: options.choices.inbound_messages,
            maximum_packet_size: options.choices.maximum_packet_size,
            topic_alias_maximum: options.choices.topic_alias_maximum,
            properties,
        }
    }

    pub(crate) fn transport(&self) -> Arc<dyn Transport> {
        self.options.transport.clone().unwrap_or_else(|| self.options.road.clone())
    }

    /// A transport of one's own stands on the road, too: its socket, proxy and WebSocket.
    fn has_transport_of(&self, other: &Self) -> bool {
        let (road, others) = (&self.options.road, &other.options.road);
        let same_road = Arc::ptr_eq(road, others) || road.says_as(others);
        same_road
            && match (&self.options.transport, &other.options.transport) {
                (Some(one), Some(other)) => Arc::ptr_eq(one, other) || one.says_as(&**other),
                (None, None) => true,
                _ => false,
            }
    }

    /// Can a connection made by these to the server at this place not stay under `new` ones?
    pub(crate) fn needs_reconnect(&self, new: &Self, place: usize) -> bool {
        let kept =
            self.servers.get(place).is_some_and(|here| new.servers.iter().any(|other| other.is_same(here)));
        !kept
            || self.connect() != new.connect()
            || self.options.choices.version != new.options.choices.version
            || !self.has_transport_of(new)
            || !self.options.choices.exchange.has_authenticator_of(&new.options.choices.exchange)
            || self.options.credentials != new.options.credentials
    }
}

/// What is wrong with the options.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub enum OptionsError {
    /// The server's URL is wrong.
    Url(UrlError),
    /// A persistent session needs a client identifier of your choice, or nobody finds it again.
    PersistentWithoutClientId,
    /// An empty client identifier is for clean sessions only [MQTT-3.1.3-7].
    EmptyClientId,
    /// The will's topic is wrong.
    WillTopic(TopicError),
    /// The will's payload is declared to be UTF-8 text, and is none.
    WillNotText,
    /// Only 5.0 has methods of authentication.
    AuthenticatorNeedsVersion5,
    /// The properties of CONNECT have authentication data and name no method for it (5.0, 3.1.2.11.10).
    AuthenticationDataWithoutMethod,
    /// A filter of [`topic_defaults`](Options::topic_defaults) is wrong.
    TopicDefaults(TopicError),
    /// The prefix of response topics is no topic.
    ResponsePrefix(TopicError),
    /// This field is longer than 65,535 bytes.
    TooLong(&'static str),
    /// This header of the WebSocket's request cannot be sent: it is the handshake's own, or no header.
    Header(String),
    /// This field contains U+0000.
    NullCharacter(&'static str),
    /// The options of TLS contradict each other, or are dangerous without saying so.
    Tls(&'static str),
    /// 3.1.1 knows no password without a user name [MQTT-3.1.2-22].
    PasswordWithoutUsername,
}

impl fmt::Display for OptionsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(error) => error.fmt(f),
            Self::PersistentWithoutClientId => {
                f.write_str("a persistent session needs a client identifier of your choice: set client_id")
            }
            Self::EmptyClientId => f.write_str(
                "an empty client identifier is for clean sessions only: choose one, or set session to Clean",
            ),
            Self::WillTopic(error) => write!(f, "the will's topic is wrong: {error}"),
            Self::WillNotText => f.write_str(
                "the will's payload is declared to be UTF-8 text and is not: leave the payload format indicator out",
            ),
            Self::AuthenticatorNeedsVersion5 => {
                f.write_str("an authenticator needs MQTT 5.0: leave the version out, or the authenticator")
            }
            Self::AuthenticationDataWithoutMethod => {
                f.write_str("authentication data needs an authentication method: name one, or leave the data out")
            }
            Self::TopicDefaults(error) => write!(f, "a filter of the topic defaults is wrong: {error}"),
            Self::ResponsePrefix(error) => write!(f, "the response prefix is wrong: {error}"),
            Self::TooLong(what) => write!(f, "the {what} is longer than 65,535 bytes"),
            Self::Header(name) => {
                write!(f, "the header {name:?} cannot be sent: it is the handshake's own, or no header")
            }
            Self::NullCharacter(what) => write!(f, "the {what} contains the character U+0000"),
            Self::Tls(what) => f.write_str(what),
            Self::PasswordWithoutUsername => {
                f.write_str("MQTT 3.1.1 knows no password without a user name: set username")
            }
        }
    }
}

impl std::error::Error for OptionsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Url(error) => Some(error),
            Self::WillTopic(error) | Self::TopicDefaults(error) | Self::ResponsePrefix(error) => Some(error),
            _ => None,
        }
    }
}

fn whole_seconds(time: Duration) -> u16 {
    u16::try_from(time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0))).unwrap_or(u16::MAX)
}

pub(crate) fn check_text(what: &'static str, text: &str) -> Result<(), OptionsError> {
    if text.len() > usize::from(u16::MAX) {
        return Err(OptionsError::TooLong(what));
    }
    if text.contains('\0') {
        return Err(OptionsError::NullCharacter(what));
    }
    Ok(())
}

pub(crate) fn check_password(password: Option<&[u8]>) -> Result<(), OptionsError> {
    if password.is_some_and(|password| password.len() > usize::from(u16::MAX)) {
        return Err(OptionsError::TooLong("password"));
    }
    Ok(())
}

/// `pb-` and 16 characters that every broker must take [MQTT-3.1.3-5].
fn generated_client_id() -> String {
    const CHARACTERS: &[u8; 62] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let mut rng = packetboat_core::rng::Rng::new(seed());
    let mut random = || usize::try_from(rng.below(62)).map_or('0', |at| char::from(CHARACTERS[at]));
    std::iter::once("pb-".to_owned()).chain((0..16).map(|_| random().to_string())).collect()
}

/// A number that differs between clients, processes and machines: the standard library keys its hash maps from the
/// operating system's randomness.
pub(crate) fn seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::hash::RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use packetboat_core::session::Will;
    use packetboat_core::wire::{PropertiesBuf, QoS};

    #[test]
    fn generated_client_ids_differ_and_suit_every_broker() {
        let (one, other) = (generated_client_id(), generated_client_id());
        assert_ne!(one, other);
        assert_eq!(one.len(), 19);
        assert!(one.starts_with("pb-") && one[3..].bytes().all(|byte| byte.is_ascii_alphanumeric()));
    }

    #[test]
    fn the_longest_times_are_as_long_as_can_be() {
        let longest = Options::new("mqtt://host").keep_alive(Duration::MAX).probe_ahead(Duration::MAX);
        let connect = longest.settle().unwrap().connect();
        assert_eq!((connect.keep_alive, connect.probe_ahead), (u16::MAX, u16::MAX));
    }

    // Spec 3.1.1: MQTT-1.5.3-2 MQTT-3.1.2-22 MQTT-3.1.3-7
    // Spec 5.0: MQTT-1.5.4-2
    #[test]
    fn options_that_cannot_work_are_refused() {
        let persistent = SessionMode::Persistent { expiry: Duration::from_mins(1) };
        let error = |options: Options| options.settle().err().unwrap();
        let options = || Options::new("mqtt://host");
        assert_eq!(error(options().session(persistent)), OptionsError::PersistentWithoutClientId);
        assert_eq!(error(options().client_id("")), OptionsError::EmptyClientId);
        assert_eq!(error(options().client_id("a\0")), OptionsError::NullCharacter("client identifier"));
        assert_eq!(error(options().username("a".repeat(65_536))), OptionsError::TooLong("user name"));
        let fixed = options().version(VersionChoice::V311).password("secret");
        assert_eq!(error(fixed), OptionsError::PasswordWithoutUsername);
        let will = Will {
            topic: "a/#".into(),
            payload: Vec::new(),
            qos: QoS::AtMostOnce,
            retain: false,
            properties: PropertiesBuf::new(),
        };
        let defaults = crate::TopicDefaults::new();
        let wrong = OptionsError::TopicDefaults(TopicError::MultiLevelWildcard);
        assert_eq!(error(options().topic_defaults("a/#/b", defaults)), wrong);
        assert_eq!(error(options().will(will.clone())), OptionsError::WillTopic(TopicError::WildcardInName));
        let mut data = PropertiesBuf::new();
        data.authentication_data(b"secret").unwrap();
        let alone = OptionsError::AuthenticationDataWithoutMethod;
        assert_eq!(error(options().properties(data.clone())), alone);
        data.authentication_method("TICKET").unwrap();
        let old = options().properties(data.clone()).version(VersionChoice::V311);
        assert_eq!(error(old), OptionsError::AuthenticatorNeedsVersion5);
        // It is not fallen back from either.
        let settings = options().properties(data).settle().unwrap();
        assert_eq!(settings.options.choices.version, VersionChoice::V5);
        let mut declared = Will { topic: "will".into(), payload: vec![0xff], ..will };
        declared.properties.payload_format_indicator(true);
        assert_eq!(error(options().will(declared)), OptionsError::WillNotText);
    }

    #[test]
    fn properties_that_do_not_belong_in_connect_or_a_will_are_taken_out() {
        let mut properties = PropertiesBuf::new();
        properties.will_delay_interval(5).server_keep_alive(1).user_property("k", "v").unwrap();
        let topic = "a".into();
        let (payload, qos, retain) = (Vec::new(), QoS::AtMostOnce, false);
        let will = Will { topic, payload, qos, retain, properties: properties.clone() };
        let options = Options::new("mqtt://host").properties(properties).will(will);
        let connect = options.settle().unwrap().connect();
        assert_eq!(format!("{:?}", connect.properties), "{UserProperty: (\"k\", \"v\")}");
        let will = connect.will.unwrap().properties;
        assert_eq!(format!("{will:?}"), "{WillDelayInterval: 5, UserProperty: (\"k\", \"v\")}");
    }

    #[test]
    fn secrets_are_not_printed() {
        let options = Options::new("mqtt://user:secret@host");
        assert!(!format!("{options:?}").contains("secret"), "{options:?}");
    }

    /// Options that are read from a file again are never the same in memory.
    #[test]
    fn a_road_that_says_the_same_needs_no_other_connection() {
        let tls = || crate::Tls::new().authority(crate::Pem::file("ca.pem")).server_name("broker");
        let options = || {
            let options = Options::new("wss://broker/mqtt").client_id("boat").tls(tls());
            options.tcp(crate::Tcp::new()).websocket(crate::WebSocket::new().header("a", "b"))
        };
        let settled = |options: Options| options.settle().unwrap();
        let (before, after) = (settled(options()), settled(options().window(3)));
        assert!(!before.needs_reconnect(&after, 0));
        let others = [
            options().tls(tls().server_name("other")),
            options().tls(tls().pin([7; 32])),
            options().tcp(crate::Tcp::new().no_delay(false)),
            options().websocket(crate::WebSocket::new().header("a", "c")),
            options().websocket(
                crate::WebSocket::new()
                    .header("a", "b")
                    .headers_from(async |_| Ok::<_, std::io::Error>(Vec::new())),
            ),
            options().proxy("http://proxy:8080".parse().unwrap()),
        ];
        for (place, other) in others.into_iter().enumerate() {
            assert!(before.needs_reconnect(&settled(other), 0), "{place}");
        }
    }
    #[derive(PartialEq)]
    struct Other(u8);

    impl Transport for Other {
        fn dial(&self, _: &crate::Attempt) -> crate::Dialing {
            Box::pin(std::future::pending())
        }

        fn says_as(&self, other: &dyn Transport) -> bool {
            (other as &dyn std::any::Any).downcast_ref() == Some(self)
        }
    }

    #[test]
    fn a_transport_that_says_the_same_needs_no_other_connection() {
        let options = |number| Options::new("mqtt://broker").client_id("boat").transport(Other(number));
        let settled = |options: Options| options.settle().unwrap();
        let before = settled(options(1));
        assert!(!before.needs_reconnect(&settled(options(1).window(3)), 0));
        let road = options(1).tcp(crate::Tcp::new().no_delay(false));
        let mute = Options::new("mqtt://broker").client_id("boat");
        for (place, other) in [options(2), road, mute].into_iter().enumerate() {
            assert!(before.needs_reconnect(&settled(other), 0), "{place}");
        }
    }
}
