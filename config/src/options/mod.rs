//! From a configuration to the client's options.

mod road;
mod tls;

use std::time::{Duration, SystemTime};

use packetboat::{
    Credentials, Jitter, Options, PropertiesBuf, QoS, QueuePolicy, Refusals, ServerOptions, SessionMode,
    TopicDefaults, VersionChoice, Will,
};

use crate::node::{Node, Value};
use crate::{Config, ConfigError, Problem};

/// First and longest.
type Waits = (Duration, Duration);
const WAITS: Waits = (Duration::from_secs(1), Duration::from_mins(2));

/// A key, and the option that it is.
type Setter<T> = (&'static str, fn(Options, T) -> Options);

const TIMES: [Setter<Duration>; 8] = [
    ("keep_alive", Options::keep_alive),
    ("probe_ahead", Options::probe_ahead),
    ("connect_timeout", Options::connect_timeout),
    ("acknowledgement_timeout", Options::acknowledgement_timeout),
    ("drain_timeout", Options::drain_timeout),
    ("reconnect.stable_after", Options::stable_after),
    ("reconnect.renew_after", Options::renew_after),
    ("reconnect.return_after", Options::return_after),
];
const COUNTS: [Setter<u16>; 4] = [
    ("window", Options::window),
    ("unannounced_window", Options::unannounced_window),
    ("outgoing_aliases", Options::outgoing_aliases),
    ("topic_alias_maximum", Options::topic_alias_maximum),
];
const SMALL_COUNTS: [Setter<u8>; 2] =
    [("queue.poison_limit", Options::poison_limit), ("reconnect.redirects", Options::redirect_limit)];
const LARGE_COUNTS: [Setter<u32>; 2] =
    [("maximum_packet_size", Options::maximum_packet_size), ("reconnect.retries", Options::retry_limit)];
const SWITCHES: [Setter<bool>; 7] = [
    ("publish.retain", Options::default_retain),
    ("queue.qos0_offline", Options::queue_qos0_offline),
    ("queue.resend_unresolved", Options::resend_unresolved),
    ("inbound.strict", Options::strict_receive_maximum),
    ("reconnect.on_demand", Options::connect_on_demand),
    ("reconnect.shared_sessions", Options::shared_sessions),
    ("response_information", Options::response_information),
];

/// What is said is set.
fn set<T>(options: Options, setters: &[Setter<T>], said: impl Fn(&str) -> Option<T>) -> Options {
    setters.iter().fold(options, |options, (key, set)| match said(key) {
        Some(value) => set(options, value),
        None => options,
    })
}

impl Config {
    /// The client's options. What cannot be said in a file can be added to them.
    ///
    /// ```
    /// use packetboat_config::{Config, Format};
    ///
    /// let options = Config::parse("server = 'mqtt://broker.example'", Format::Toml)?.options()?.client_id("boat");
    /// # Ok::<(), packetboat_config::ConfigError>(())
    /// ```
    pub fn options(&self) -> Result<Options, ConfigError> {
        if !self.is_enabled() {
            return Err(wrong("enable", "is false: nothing is to be connected"));
        }
        let server =
            self.text("server").ok_or_else(|| wrong("server", "is missing: say where to connect"))?;
        let mut options = Options::new(server);
        options = self.identity(options, server)?;
        options = self.properties(options)?;
        options = self.link(options);
        options = self.messages(options);
        options = self.reconnecting(options);
        options = self.servers(options);
        options = self.will(options)?;
        options = self.road(options)?;
        self.encryption(options, server)
    }

    fn identity(&self, mut options: Options, server: &str) -> Result<Options, ConfigError> {
        if let Some(id) = self.text("client_id") {
            options = options.client_id(id);
        }
        if let Some(username) = self.text("username") {
            options = options.username(username);
        }
        if let Some(password) = self.text("password") {
            options = options.password(password);
        }
        options = options.version(match self.text("version") {
            Some("5.0") => VersionChoice::V5,
            Some("3.1.1") => VersionChoice::V311,
            Some("3.1") => VersionChoice::V31,
            _ => VersionChoice::Auto,
        });
        let expiry = self.seconds("session_expiry").unwrap_or(Duration::from_hours(1));
        options = options.session(match self.text("session") {
            Some("clean") => SessionMode::Clean,
            Some("persistent") => SessionMode::Persistent { expiry },
            _ => SessionMode::UntilDisconnect,
        });
        self.password_file(options, server)
    }

    /// Whoever changes passwords changes the file, and the next attempt has the new one.
    fn password_file(&self, options: Options, server: &str) -> Result<Options, ConfigError> {
        let Some(path) = self.text("password_file") else { return Ok(options) };
        if self.text("password").is_some() {
            return Err(wrong("password_file", "and `password` both say it: drop one of them"));
        }
        if server.contains('@') {
            return Err(wrong("password_file", "needs the user name as `username`, and not in `server`"));
        }
        let (path, username) = (path.to_owned(), self.text("username").map(str::to_owned));
        Ok(options.credentials_from(move |_| {
            let read = std::fs::read(&path).map_err(|error| format!("{path}: {error}"));
            let user =
                username.clone().map_or_else(Credentials::new, |name| Credentials::new().username(name));
            async move { read.map(|bytes| user.password(without_line_end(bytes))) }
        }))
    }

    fn properties(&self, options: Options) -> Result<Options, ConfigError> {
        let Some(Value::Table(entries)) = self.value("user_properties") else { return Ok(options) };
        let mut properties = PropertiesBuf::new();
        for (name, node) in entries {
            if let Value::Text(value) = &node.value {
                properties
                    .user_property(name, value)
                    .map_err(|error| wrong("user_properties", &error.to_string()))?;
            }
        }
        Ok(options.properties(properties))
    }

    fn link(&self, mut options: Options) -> Options {
        options = set(options, &TIMES, |key| self.seconds(key));
        options = set(options, &COUNTS, |key| self.number(key));
        options = set(options, &SMALL_COUNTS, |key| self.number(key));
        options = set(options, &LARGE_COUNTS, |key| self.number(key));
        options = set(options, &SWITCHES, |key| self.switch(key));
        if let Some(prefix) = self.text("response_prefix") {
            options = options.response_prefix(prefix);
        }
        if let Some(earliest) = self.number("require_clock") {
            options = options.require_clock(SystemTime::UNIX_EPOCH + Duration::from_secs(earliest));
        }
        options
    }

    fn messages(&self, mut options: Options) -> Options {
        if let Some(qos) = self.qos("maximum_qos") {
            options = options.maximum_qos(qos);
        }
        if let Some(qos) = self.qos("publish.qos") {
            options = options.default_qos(qos);
        }
        if let Some(Value::Table(topics)) = self.value("topics") {
            for (filter, node) in topics {
                options = options.topic_defaults(filter, topic_defaults(node));
            }
        }
        let messages = self.number("queue.messages").unwrap_or(1000);
        options = options.queue(messages, self.number("queue.bytes").unwrap_or(16 * 1024 * 1024));
        let messages = self.number("inbound.messages").unwrap_or(1024);
        options = options.inbound(messages, self.number("inbound.bytes").unwrap_or(16 * 1024 * 1024));
        options.queue_policy(match self.text("queue.policy") {
            Some("reject") => QueuePolicy::Reject,
            Some("drop_oldest") => QueuePolicy::DropOldest,
            Some("drop_newest") => QueuePolicy::DropNewest,
            _ => QueuePolicy::Wait,
        })
    }

    fn reconnecting(&self, mut options: Options) -> Options {
        let (minimum, maximum) = self.waits("reconnect.minimum", "reconnect.maximum", WAITS);
        options = options.backoff(minimum, maximum).jitter(match self.text("reconnect.jitter") {
            Some("decorrelated") => Jitter::Decorrelated,
            Some("tenth") => Jitter::Proportional { per_mille: 100 },
            Some("none") => Jitter::None,
            _ => Jitter::Full,
        });
        options.on_refusal(match self.text("reconnect.refusals") {
            Some("retry") => Refusals::Retry,
            Some("stop") => Refusals::Stop,
            _ => Refusals::RetrySlowly,
        })
    }

    fn servers(&self, mut options: Options) -> Options {
        if let Some(backup) = self.text("backup.server") {
            let common = self.waits("reconnect.minimum", "reconnect.maximum", WAITS);
            let (minimum, maximum) = self.waits("backup.minimum", "backup.maximum", common);
            let mut backup = ServerOptions::new(backup).backoff(minimum, maximum);
            if let Some(username) = self.text("backup.username") {
                backup = backup.username(username);
            }
            if let Some(password) = self.text("backup.password") {
                backup = backup.password(password);
            }
            options = options.or_server(backup);
        }
        self.texts("servers").fold(options, Options::or_server)
    }

    fn waits(&self, first: &str, longest: &str, (minimum, maximum): Waits) -> Waits {
        (self.seconds(first).unwrap_or(minimum), self.seconds(longest).unwrap_or(maximum))
    }

    fn will(&self, options: Options) -> Result<Options, ConfigError> {
        let Some(topic) = self.text("will.topic") else {
            let others = ["message", "qos", "retain", "delay", "expiry", "content_type"];
            let lonely = others.iter().map(|key| format!("will.{key}")).find(|key| self.value(key).is_some());
            return lonely.map_or(Ok(options), |key| Err(wrong(&key, "needs `will.topic` beside it")));
        };
        let mut properties = PropertiesBuf::new();
        if let Some(seconds) = self.whole_seconds("will.delay") {
            properties.will_delay_interval(seconds);
        }
        if let Some(seconds) = self.whole_seconds("will.expiry") {
            properties.message_expiry_interval(seconds);
        }
        if let Some(kind) = self.text("will.content_type") {
            properties.content_type(kind).map_err(|error| wrong("will.content_type", &error.to_string()))?;
        }
        Ok(options.will(Will {
            topic: topic.to_owned(),
            payload: self.text("will.message").unwrap_or_default().as_bytes().to_vec(),
            qos: self.qos("will.qos").unwrap_or_default(),
            retain: self.switch("will.retain") == Some(true),
            properties,
        }))
    }

    fn seconds(&self, key: &str) -> Option<Duration> {
        match self.value(key)? {
            Value::Integer(seconds) => u64::try_from(*seconds).ok().map(Duration::from_secs),
            Value::Float(seconds) => Duration::try_from_secs_f64(*seconds).ok(),
            _ => None,
        }
    }

    /// A part of a second counts as a whole one.
    fn whole_seconds(&self, key: &str) -> Option<u32> {
        let time = self.seconds(key)?;
        u32::try_from(time.as_secs() + u64::from(time.subsec_nanos() > 0)).ok()
    }

    fn switch(&self, key: &str) -> Option<bool> {
        match self.value(key)? {
            Value::Bool(on) => Some(*on),
            _ => None,
        }
    }

    fn texts(&self, key: &str) -> impl Iterator<Item = &str> {
        let list = match self.value(key) {
            Some(Value::List(list)) => list.as_slice(),
            _ => &[],
        };
        list.iter().filter_map(|node| match &node.value {
            Value::Text(text) => Some(text.as_str()),
            _ => None,
        })
    }

    fn number<N: TryFrom<i64>>(&self, key: &str) -> Option<N> {
        match self.value(key)? {
            Value::Integer(number) => N::try_from(*number).ok(),
            _ => None,
        }
    }

    fn qos(&self, key: &str) -> Option<QoS> {
        self.value(key).and_then(qos)
    }
}

fn without_line_end(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.ends_with(b"\n") {
        bytes.pop();
        if bytes.ends_with(b"\r") {
            bytes.pop();
        }
    }
    bytes
}

fn qos(value: &Value) -> Option<QoS> {
    match value {
        Value::Integer(0) => Some(QoS::AtMostOnce),
        Value::Integer(1) => Some(QoS::AtLeastOnce),
        Value::Integer(2) => Some(QoS::ExactlyOnce),
        _ => None,
    }
}

fn topic_defaults(node: &Node) -> TopicDefaults {
    let Value::Table(entries) = &node.value else { return TopicDefaults::new() };
    entries.iter().fold(TopicDefaults::new(), |defaults, (key, node)| match (key.as_str(), &node.value) {
        ("qos", value) => qos(value).map_or(defaults, |qos| defaults.qos(qos)),
        (_, Value::Bool(retain)) => defaults.retain(*retain),
        _ => defaults,
    })
}

fn wrong(key: &str, message: &str) -> ConfigError {
    ConfigError::Wrong(vec![Problem::new(None, key, message.to_owned())])
}
