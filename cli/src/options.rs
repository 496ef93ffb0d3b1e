//! From the command line to the options of the client.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use packetboat::{Options, QoS, Scheme, Server, SessionMode, VersionChoice, Will};
use packetboat_config::Config;
use packetboat_core::wire::{Place, PropertiesBuf, Property};

use crate::arguments::{Connection, Expiry, Protocol};
use crate::config;
use crate::failure::Failure;

/// `-L`: a URL whose path is a topic.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Location {
    /// Without the topic.
    pub(crate) broker: String,
    pub(crate) topic: Option<String>,
}

impl Location {
    /// Everything behind the first slash after the host is the topic as it stands: `#` and `?` are no delimiters.
    /// Whether the rest is right is for the client to say.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err("write mqtt://host/topic or mqtt://user:password@host:port/topic".into());
        };
        // There the path belongs to the address.
        if matches!(scheme.to_ascii_lowercase().trim_start_matches("mqtt+"), "ws" | "wss" | "unix") {
            return Ok(Self { broker: text.to_owned(), topic: None });
        }
        let (authority, topic) = match rest.split_once('/') {
            Some((authority, topic)) => (authority, Some(topic)),
            None => (rest, None),
        };
        let topic = topic.filter(|topic| !topic.is_empty()).map(str::to_owned);
        Ok(Self { broker: format!("{scheme}://{authority}"), topic })
    }
}

/// What the session is to outlive.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Keeping {
    /// As the file has it; without a word there a cut, but not the end.
    Unsaid,
    /// A cut, but not the end.
    UntilTheEnd,
    /// The end, too; an earlier session is taken up.
    Resumed(Expiry),
    /// The end, too; an earlier session is thrown away.
    Fresh(Expiry),
}

/// What the command line, and the file it names, ask for.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) options: Options,
    pub(crate) keeping: Keeping,
}

impl Settings {
    /// Warnings about the file are told here.
    pub(crate) fn of(arguments: &Connection) -> Result<Self, Failure> {
        let config = arguments.config.as_deref().map(read).transpose()?;
        let keeping = keeping(arguments, config.as_ref())?;
        Ok(Self { options: options(arguments, config, keeping)?, keeping })
    }
}

fn read(path: &Path) -> Result<Config, Failure> {
    let config = config::load(path, None)?;
    config::with_environment(config)
}

/// The options of the file, or without one the defaults, for the server that was named.
fn base(arguments: &Connection, config: Option<Config>) -> Result<Options, Failure> {
    let Some(mut config) = config else {
        return Ok(match &arguments.url {
            Some(location) => Options::new(&location.broker),
            None => Options::for_server(named_server(arguments, None).unwrap_or_else(localhost)),
        });
    };
    if let Some(location) = &arguments.url {
        config = config.with_server(&location.broker);
    } else if config.origin("server").is_none() {
        config = config.with_server(url(&named_server(arguments, None).unwrap_or_else(localhost)));
    } else {
        let options = config.options().map_err(Failure::usage)?;
        if let Some(server) = named_server(arguments, options.first_server()) {
            config = config.with_server(url(&server));
        }
    }
    config.options().map_err(Failure::usage)
}

fn localhost() -> Server {
    Server::with_scheme(Scheme::Mqtt, "localhost", None)
}

fn named_server(arguments: &Connection, file: Option<&Server>) -> Option<Server> {
    arguments.road.server(arguments.host.as_deref(), arguments.port, file)
}

fn url(server: &Server) -> String {
    match server.scheme() {
        // What is written without a scheme.
        Scheme::Mqtt => format!("mqtt://{server}"),
        Scheme::Ws | Scheme::Wss => format!("{server}{}", server.target()),
        _ => server.to_string(),
    }
}

fn options(arguments: &Connection, config: Option<Config>, keeping: Keeping) -> Result<Options, Failure> {
    let drain = config.as_ref().is_some_and(|config| config.origin("drain_timeout").is_some());
    let mut options = base(arguments, config)?;
    if let Some(username) = &arguments.username {
        options = options.username(username);
    }
    if let Some(password) = &arguments.password {
        options = options.password(bytes(password.clone()));
    }
    if let Some(id) = &arguments.id {
        options = options.client_id(id);
    }
    options = match keeping {
        Keeping::Unsaid => options,
        Keeping::UntilTheEnd => options.session(SessionMode::UntilDisconnect),
        Keeping::Resumed(expiry) | Keeping::Fresh(expiry) => {
            options.session(SessionMode::Persistent { expiry: expiry.duration() })
        }
    };
    if let Some(will) = will(arguments)? {
        options = options.will(will);
    }
    options = arguments.tls.apply(arguments.road.apply(options));
    #[cfg(feature = "openssl")]
    if let Some(transport) = arguments.openssl.transport(&arguments.tls) {
        // That TLS is configured makes the address an encrypted one.
        options = options.tls(packetboat::Tls::new()).transport(transport);
    }
    if !drain {
        // Whoever has something to lose waits for it before the goodbye.
        options = options.drain_timeout(GOODBYE);
    }
    if let Some(version) = version(arguments)? {
        options = options.version(version);
    }
    if let Some(seconds) = arguments.keepalive {
        options = options.keep_alive(Duration::from_secs(seconds.into()));
    }
    Ok(with_properties(arguments, options))
}

/// What -c and -x together ask for.
fn keeping(arguments: &Connection, config: Option<&Config>) -> Result<Keeping, Failure> {
    let given: Option<u32> = arguments.properties.number(Place::Connect, Property::SessionExpiryInterval);
    let expiry = arguments.session_expiry_interval.or(given.map(Expiry));
    let named = match &arguments.id {
        Some(id) => !id.is_empty(),
        None => config.is_some_and(|config| config.origin("client_id").is_some()),
    };
    match (arguments.disable_clean_session, expiry) {
        (true, _) if !named => {
            Err(Failure::usage("-c needs a client identifier of your choice: add -i <id>"))
        }
        (true, expiry) => Ok(Keeping::Resumed(expiry.unwrap_or(Expiry::NEVER))),
        (false, None) => Ok(Keeping::Unsaid),
        (false, Some(Expiry(0))) => Ok(Keeping::UntilTheEnd),
        (false, Some(_)) if !named => Err(Failure::usage(
            "a session that is kept after the end needs a client identifier of your choice: add -i <id>",
        )),
        (false, Some(expiry)) => Ok(Keeping::Fresh(expiry)),
    }
}

/// Properties need 5.0: that is what is spoken then.
fn version(arguments: &Connection) -> Result<Option<VersionChoice>, Failure> {
    let protocol = arguments.protocol_version;
    if arguments.properties.is_empty() {
        return Ok(protocol.map(|protocol| protocol.0));
    }
    if protocol.is_some_and(Protocol::is_old) {
        return Err(Failure::usage("-D is for MQTT 5.0: leave out -D, or leave out -V"));
    }
    Ok(Some(VersionChoice::V5))
}

fn will(arguments: &Connection) -> Result<Option<Will>, Failure> {
    let will = &arguments.will;
    let properties = arguments.properties.block(Place::Will, &[]);
    let Some(topic) = &will.topic else {
        if properties.is_empty() {
            return Ok(None);
        }
        return Err(Failure::usage("there is no will for -D will: add --will-topic"));
    };
    Ok(Some(Will {
        topic: topic.clone(),
        payload: will.payload.clone().map(bytes).unwrap_or_default(),
        qos: will.qos.unwrap_or(QoS::AtMostOnce),
        retain: will.retain,
        properties,
    }))
}

/// The properties of CONNECT. Those that are options of the client are set as such.
fn with_properties(arguments: &Connection, mut options: Options) -> Options {
    const OPTIONS: [Property; 4] = [
        Property::SessionExpiryInterval,
        Property::ReceiveMaximum,
        Property::MaximumPacketSize,
        Property::TopicAliasMaximum,
    ];
    let given = &arguments.properties;
    if let Some(maximum) = given.number(Place::Connect, Property::ReceiveMaximum) {
        options = options.inbound(maximum, INBOUND_BYTES);
    }
    if let Some(maximum) = given.number(Place::Connect, Property::MaximumPacketSize) {
        options = options.maximum_packet_size(maximum);
    }
    if let Some(maximum) = given.number(Place::Connect, Property::TopicAliasMaximum) {
        options = options.topic_alias_maximum(maximum);
    }
    // Which alias stands for which topic the client decides; the number given is how many it may use.
    if let Some(aliases) = given.number(Place::Publish, Property::TopicAlias) {
        options = options.outgoing_aliases(aliases);
    }
    let block: PropertiesBuf = given.block(Place::Connect, &OPTIONS);
    if block.is_empty() { options } else { options.properties(block) }
}

/// What is accepted may be finished for so long after the end has come.
const GOODBYE: Duration = Duration::from_millis(500);

/// The client's default.
const INBOUND_BYTES: usize = 16 * 1024 * 1024;

/// The bytes of an argument: on Unix any, elsewhere UTF-8.
pub(crate) fn bytes(argument: OsString) -> Vec<u8> {
    argument.into_encoded_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (String, Option<String>) {
        let Location { broker, topic } = Location::parse(text).unwrap();
        (broker, topic)
    }

    #[test]
    fn the_path_of_a_url_is_the_topic() {
        let pair = |broker: &str, topic: Option<&str>| (broker.to_owned(), topic.map(str::to_owned));
        assert_eq!(parsed("mqtt://h/a/b"), pair("mqtt://h", Some("a/b")));
        assert_eq!(parsed("mqtt://u:p@h:1/a/#"), pair("mqtt://u:p@h:1", Some("a/#")));
        assert_eq!(parsed("mqtt://h//a"), pair("mqtt://h", Some("/a")));
        assert_eq!(parsed("mqtt://h/"), pair("mqtt://h", None));
        assert_eq!(parsed("mqtt://h"), pair("mqtt://h", None));
        assert_eq!(parsed("ws://h:1/a/b?c"), pair("ws://h:1/a/b?c", None));
        assert_eq!(parsed("unix:///run/broker"), pair("unix:///run/broker", None));
        assert!(Location::parse("h/a").is_err());
    }
}
