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
        let fixed_version = match self.version {
            VersionChoice::Auto => None,
            VersionChoice::V5 => Some(Version::V5),
            VersionChoice::V311 => Some(Version::V311),
            VersionChoice::V31 => Some(Version::V31),
        };
        Config {
            window: self.window,
            unannounced_window: self.unannounced_window,
            strict_receive_maximum: self.strict_receive_maximum,
            queue_messages: self.queue_messages,
            queue_bytes: self.queue_bytes,
            overflow: match self.queue_policy {
                QueuePolicy::Wait | QueuePolicy::Reject => Overflow::Refuse,
                QueuePolicy::DropOldest => Overflow::DropOldest,
                QueuePolicy::DropNewest => Overflow::DropNewest,
            },
            queue_qos0_offline: self.queue_qos0_offline,
            acknowledgement_timeout: self.acknowledgement_timeout,
            poison_limit: self.poison_limit,
            outgoing_aliases: self.outgoing_aliases,
            maximum_qos: self.maximum_qos,
            durable: false,
            fixed_version,
            resend_unresolved: self.resend_unresolved,
        }
    }

    /// A fallback would connect without what is to protect the connection.
    fn insist_on_authentication(&mut self) -> Result<(), OptionsError> {
        if self.exchange.authenticator.is_none() {
            return Ok(());
        }
        if self.config().fixed_version.is_some_and(|version| !version.has_properties()) {
            return Err(OptionsError::AuthenticatorNeedsVersion5);
        }
        self.version = VersionChoice::V5;
        Ok(())
    }

    /// Checks what types cannot.
    pub(crate) fn settle(mut self) -> Result<Settings, OptionsError> {
        self.insist_on_authentication()?;
        let servers = self.servers()?;
        let client_id = match (&self.client_id, self.session) {
            (None, SessionMode::Persistent { .. }) => return Err(OptionsError::PersistentWithoutClientId),
            (Some(id), SessionMode::Persistent { .. }) if id.is_empty() => {
                return Err(OptionsError::PersistentWithoutClientId);
            }
            (Some(id), SessionMode::UntilDisconnect) if id.is_empty() => {
                return Err(OptionsError::EmptyClientId);
            }
            (Some(id), _) => id.clone(),
            (None, _) => generated_client_id(),
        };
        check_text("client identifier", &client_id)?;
        self.check_credentials(&servers)?;
        if let Some(name) = self.road.websocket.wrong_header() {
            return Err(OptionsError::Header(name));
        }
        if let Some(error) = self.wrong_default {
            return Err(OptionsError::TopicDefaults(error));
        }
        if let Some(will) = &self.will {
            TopicName::new(&will.topic).map_err(OptionsError::WillTopic)?;
            if will.payload.len() > usize::from(u16::MAX) {
                return Err(OptionsError::TooLong("will payload"));
            }
            let declared = will.properties.as_properties().payload_format_indicator() == Some(true);
            if declared && std::str::from_utf8(&will.payload).is_err() {
                return Err(OptionsError::WillNotText);
            }
        }
        TopicName::new(&self.exchange.response_prefix).map_err(OptionsError::ResponsePrefix)?;
        Ok(Settings { servers, client_id: client_id.into(), options: self })
    }

    fn check_credentials(&self, servers: &[Endpoint]) -> Result<(), OptionsError> {
        let old = matches!(self.version, VersionChoice::V311 | VersionChoice::V31);
        let mut secret = self.provider.is_some();
        let each = servers.iter().filter_map(|endpoint| endpoint.credentials.as_ref());
        for credentials in each.chain([&self.credentials]) {
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
        let all = std::iter::once(&first).chain(&self.more_servers);
        all.map(|server| {
            let mut endpoint = server.clone().settle(self.backoff).map_err(OptionsError::Url)?;
            endpoint.server = if self.transport.is_some() {
                self.road.secure(endpoint.server)
            } else {
                self.road.signpost(endpoint.server).map_err(OptionsError::Url)?
            };
            Ok(endpoint)
        })
        .collect()
    }
}

impl Settings {
    /// What CONNECT says, but for user name and password, which each attempt brings.
    pub(crate) fn connect(&self) -> ConnectOptions {
        let options = &self.options;
        let mut properties = options.properties.clone();
        if options.exchange.response_information {
            properties.request_response_information(true);
        }
        ConnectOptions {
            version: options.config().fixed_version.unwrap_or(Version::V5),
            client_id: self.client_id.to_string(),
            keep_alive: whole_seconds(options.keep_alive),
            probe_ahead: whole_seconds(options.probe_ahead),
            session: options.session,
            username: None,
            password: None,
            will: options.will.as_deref().cloned(),
            receive_maximum: options.inbound_messages,
            maximum_packet_size: options.maximum_packet_size,
            topic_alias_maximum: options.topic_alias_maximum,
            properties,
        }
    }

    pub(crate) fn transport(&self) -> Arc<dyn Transport> {
        self.options.transport.clone().unwrap_or_else(|| self.options.road.clone())
    }

    fn has_transport_of(&self, other: &Self) -> bool {
        match (&self.options.transport, &other.options.transport) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => Arc::ptr_eq(&self.options.road, &other.options.road),
            _ => false,
        }
    }

    /// Can a connection made by these to the server at this place not stay under `new` ones?
    pub(crate) fn needs_reconnect(&self, new: &Self, place: usize) -> bool {
        let kept =
            self.servers.get(place).is_some_and(|here| new.servers.iter().any(|other| other.is_same(here)));
        !kept
            || self.connect() != new.connect()
            || self.options.version != new.options.version
            || !self.has_transport_of(new)
            || !self.options.exchange.has_authenticator_of(&new.options.exchange)
            || self.options.credentials != new.options.credentials
    }
}

/// What is wrong with the options.
#[derive(Clone, Debug, Eq, PartialEq)]
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
    u16::try_from(time.as_secs() + u64::from(time.subsec_nanos() > 0)).unwrap_or(u16::MAX)
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
}
