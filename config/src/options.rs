//! From a configuration to the client's options.

use std::time::{Duration, SystemTime};

use packetboat::{
    Jitter, Options, Pem, PropertiesBuf, QoS, QueuePolicy, ServerOptions, SessionMode, Tls, TopicDefaults,
    VersionChoice, WebSocket, Will,
};

use crate::node::{Node, Value};
use crate::{Config, ConfigError, Problem};

impl Config {
    /// The client's options. What cannot be said in a file can be added to them.
    pub fn options(&self) -> Result<Options, ConfigError> {
        if !self.is_enabled() {
            return Err(wrong("enable", "is false: nothing is to be connected"));
        }
        let server =
            self.text("server").ok_or_else(|| wrong("server", "is missing: say where to connect"))?;
        let mut options = Options::new(server);
        options = self.identity(options);
        options = self.link(options);
        options = self.messages(options);
        options = self.reconnecting(options);
        options = self.will(options)?;
        if let Some(proxy) = self.text("proxy") {
            let proxy = proxy
                .parse()
                .map_err(|error: packetboat::ProxyUrlError| wrong("proxy", &error.to_string()))?;
            options = options.proxy(proxy);
        }
        if let Some(Value::Table(headers)) = self.value("websocket.headers") {
            let add = |websocket: WebSocket, (name, node): &(String, Node)| match &node.value {
                Value::Text(value) => websocket.header(name, value),
                _ => websocket,
            };
            options = options.websocket(headers.iter().fold(WebSocket::new(), add));
        }
        self.encryption(options)
    }

    fn identity(&self, mut options: Options) -> Options {
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
        options.session(match self.text("session") {
            Some("clean") => SessionMode::Clean,
            Some("persistent") => SessionMode::Persistent { expiry },
            _ => SessionMode::UntilDisconnect,
        })
    }

    fn link(&self, mut options: Options) -> Options {
        type Setter = fn(Options, Duration) -> Options;
        let times: [(&str, Setter); 6] = [
            ("keep_alive", Options::keep_alive),
            ("probe_ahead", Options::probe_ahead),
            ("connect_timeout", Options::connect_timeout),
            ("acknowledgement_timeout", Options::acknowledgement_timeout),
            ("drain_timeout", Options::drain_timeout),
            ("reconnect.stable_after", Options::stable_after),
        ];
        for (key, set) in times {
            if let Some(time) = self.seconds(key) {
                options = set(options, time);
            }
        }
        if let Some(bytes) = self.number("maximum_packet_size") {
            options = options.maximum_packet_size(bytes);
        }
        if let Some(window) = self.number("window") {
            options = options.window(window);
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
        if let Some(Value::Bool(retain)) = self.value("publish.retain") {
            options = options.default_retain(*retain);
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
        if let Some(Value::Bool(keep)) = self.value("queue.qos0_offline") {
            options = options.queue_qos0_offline(*keep);
        }
        options.queue_policy(match self.text("queue.policy") {
            Some("reject") => QueuePolicy::Reject,
            Some("drop_oldest") => QueuePolicy::DropOldest,
            Some("drop_newest") => QueuePolicy::DropNewest,
            _ => QueuePolicy::Wait,
        })
    }

    fn reconnecting(&self, mut options: Options) -> Options {
        let (minimum, maximum) = (Duration::from_secs(1), Duration::from_mins(2));
        let waits = |first: &str, longest: &str, (minimum, maximum)| {
            (self.seconds(first).unwrap_or(minimum), self.seconds(longest).unwrap_or(maximum))
        };
        let (minimum, maximum) = waits("reconnect.minimum", "reconnect.maximum", (minimum, maximum));
        options = options.backoff(minimum, maximum).jitter(match self.text("reconnect.jitter") {
            Some("decorrelated") => Jitter::Decorrelated,
            Some("tenth") => Jitter::Proportional { per_mille: 100 },
            Some("none") => Jitter::None,
            _ => Jitter::Full,
        });
        if let Some(retries) = self.number("reconnect.retries") {
            options = options.retry_limit(retries);
        }
        let Some(backup) = self.text("backup.server") else { return options };
        let (minimum, maximum) = waits("backup.minimum", "backup.maximum", (minimum, maximum));
        let mut backup = ServerOptions::new(backup).backoff(minimum, maximum);
        if let Some(username) = self.text("backup.username") {
            backup = backup.username(username);
        }
        if let Some(password) = self.text("backup.password") {
            backup = backup.password(password);
        }
        options.or_server(backup)
    }

    fn will(&self, options: Options) -> Result<Options, ConfigError> {
        let Some(topic) = self.text("will.topic") else {
            let lonely =
                ["will.message", "will.qos", "will.retain"].into_iter().find(|key| self.value(key).is_some());
            return lonely.map_or(Ok(options), |key| Err(wrong(key, "needs `will.topic` beside it")));
        };
        Ok(options.will(Will {
            topic: topic.to_owned(),
            payload: self.text("will.message").unwrap_or_default().as_bytes().to_vec(),
            qos: self.qos("will.qos").unwrap_or_default(),
            retain: self.value("will.retain") == Some(&Value::Bool(true)),
            properties: PropertiesBuf::new(),
        }))
    }

    fn encryption(&self, options: Options) -> Result<Options, ConfigError> {
        if self.text("tls.psk_identity").is_some() || self.text("tls.ciphers").is_some() {
            return self.openssl(options);
        }
        let mut tls = Tls::new();
        let mut given = false;
        let mut with = |key: &str, set: &dyn Fn(Tls, &str) -> Tls| {
            if let Some(text) = self.text(key) {
                (tls, given) = (set(std::mem::take(&mut tls), text), true);
            }
        };
        with("tls.authority", &|tls, path| tls.authority(Pem::file(path)));
        with("tls.authority_folder", &|tls, path| tls.authority_folder(path));
        with("tls.authority_data", &|tls, text| tls.authority(Pem::memory(text.as_bytes())));
        with("tls.key_password", &|tls, password| tls.key_password(password));
        with("tls.server_name", &|tls, name| tls.server_name(name));
        match (self.text("tls.certificate"), self.text("tls.key")) {
            (Some(certificate), Some(key)) => {
                tls = tls.client_certificate(Pem::file(certificate), Pem::file(key));
                given = true;
            }
            (Some(_), None) => return Err(wrong("tls.certificate", "needs `tls.key` beside it")),
            (None, Some(_)) => return Err(wrong("tls.key", "needs `tls.certificate` beside it")),
            (None, None) => {}
        }
        if let Some(Value::List(protocols)) = self.value("tls.alpn") {
            for protocol in protocols {
                if let Value::Text(protocol) = &protocol.value {
                    (tls, given) = (tls.alpn(protocol.as_bytes()), true);
                }
            }
        }
        // These alone do not ask for TLS: an address may.
        let asks = given || self.text("server").is_some_and(is_encrypted);
        if self.value("tls.verify_name") == Some(&Value::Bool(false)) {
            (tls, given) = (tls.danger_accept_any_name(), asks);
        }
        if self.value("tls.verify") == Some(&Value::Bool(false)) {
            (tls, given) = (tls.danger_accept_any_certificate(), asks);
        }
        Ok(if given { options.tls(tls) } else { options })
    }

    #[cfg(not(feature = "openssl"))]
    #[allow(clippy::unused_self, reason = "the other build needs it")]
    fn openssl(&self, _: Options) -> Result<Options, ConfigError> {
        Err(wrong("tls", "asks for a pre-shared key or cipher string: build with the feature `openssl`"))
    }

    #[cfg(feature = "openssl")]
    fn openssl(&self, options: Options) -> Result<Options, ConfigError> {
        if !self.text("server").is_some_and(is_encrypted) {
            return Err(wrong(
                "server",
                "must be an mqtts:// or wss:// address where a key or ciphers are given",
            ));
        }
        let mut tls = packetboat_openssl::OpenSsl::new();
        if let Some(identity) = self.text("tls.psk_identity") {
            let key = self.text("tls.psk_key").and_then(bytes);
            tls = tls.psk(identity, key.ok_or_else(|| wrong("tls.psk_key", "must be hexadecimal"))?);
        }
        if let Some(ciphers) = self.text("tls.ciphers") {
            tls = tls.ciphers(ciphers);
        }
        if let Some(path) = self.text("tls.authority") {
            tls = tls.ca_file(path);
        }
        if let (Some(certificate), Some(key)) = (self.text("tls.certificate"), self.text("tls.key")) {
            tls = tls.certificate(certificate, key);
        }
        if let Some(name) = self.text("tls.server_name") {
            tls = tls.server_name(name);
        }
        Ok(options.transport(tls))
    }

    fn seconds(&self, key: &str) -> Option<Duration> {
        match self.value(key)? {
            Value::Integer(seconds) => u64::try_from(*seconds).ok().map(Duration::from_secs),
            Value::Float(seconds) => Duration::try_from_secs_f64(*seconds).ok(),
            _ => None,
        }
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

fn is_encrypted(address: &str) -> bool {
    let scheme = address.split("://").next().unwrap_or_default().trim_start_matches("mqtt+");
    matches!(scheme, "mqtts" | "ssl" | "tls" | "wss")
}

#[cfg(feature = "openssl")]
fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = hex.chars().map(|digit| digit.to_digit(16)).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0 && !digits.is_empty())?;
    digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).ok()).collect()
}

fn wrong(key: &str, message: &str) -> ConfigError {
    ConfigError::Wrong(vec![Problem::new(None, key, message.to_owned())])
}
