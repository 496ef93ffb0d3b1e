//! How a broker of messages is made: where its configuration comes from, and who shares it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use packetboat_config::{ConfigError, Format, Node};

use super::protocol::{File, Http, Loopback, Mqtt, Protocol};
use super::{Inner, MessageBroker, ProtocolError};
use crate::Hub;
use crate::config::{Findings, Table, parsed};

/// The variable that names the file.
const VARIABLE: &str = "MESSAGE_BROKER_CONFIG_FILE";

/// What is shared in this process.
#[derive(Default)]
struct Common {
    default: Option<String>,
    brokers: BTreeMap<String, Weak<Inner>>,
}

static COMMON: LazyLock<Mutex<Common>> = LazyLock::new(Mutex::default);

fn common() -> MutexGuard<'static, Common> {
    COMMON.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A broker of messages to be made; comes from [`MessageBroker::builder`].
#[must_use = "nothing is made before `create`"]
pub struct MessageBrokerBuilder {
    source: Source,
    unique: bool,
    protocols: Vec<Arc<dyn Protocol>>,
    hub: Hub,
    limit: Duration,
}

enum Source {
    Unsaid,
    Text(String),
    Tree { node: Node, file: String },
}

impl MessageBrokerBuilder {
    pub(crate) fn new() -> Self {
        let protocols = Vec::new();
        Self {
            source: Source::Unsaid,
            unique: false,
            protocols,
            hub: Hub::new(),
            limit: Duration::from_secs(30),
        }
    }

    /// The configuration, as JSON (comments are allowed). An empty text is none. Default: what
    /// [`MessageBroker::set_default_config`] said; else the file that the environment's `MESSAGE_BROKER_CONFIG_FILE` names,
    /// which may also be TOML or YAML; else no targets and no pipes.
    pub fn config(mut self, text: impl Into<String>) -> Self {
        let text = text.into();
        self.source = if text.is_empty() { Source::Unsaid } else { Source::Text(text) };
        self
    }

    /// The configuration as a tree, for example a part of a larger file. `file` is that file's name, for errors. Such a
    /// broker is not shared.
    pub fn config_tree(mut self, node: Node, file: impl Into<String>) -> Self {
        self.source = Source::Tree { node, file: file.into() };
        self
    }

    /// A broker of its own. Default: all who create one with the very same text get the same one, as it was created
    /// first, as long as somebody holds it.
    pub fn unique(mut self, unique: bool) -> Self {
        self.unique = unique;
        self
    }

    /// A further protocol, or another one in place of one of ours.
    pub fn protocol(mut self, protocol: impl Protocol) -> Self {
        self.protocols.push(Arc::new(protocol));
        self
    }

    /// The hub whose connections are targets by their names. Default: one without connections.
    pub fn hub(mut self, hub: &Hub) -> Self {
        self.hub = hub.clone();
        self
    }

    /// How long a destination has for a message, unless the call says otherwise; and how long subscribing waits for
    /// answers. Default: 30 s.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Makes it. The configuration is read, and not yet checked.
    pub fn create(self) -> Result<MessageBroker, ConfigError> {
        let (text, format, file) = match &self.source {
            Source::Tree { node, file } => return Ok(self.make(node.clone(), file)),
            Source::Text(text) => (text.clone(), Format::Json, String::new()),
            Source::Unsaid => unsaid()?,
        };
        if self.unique {
            return Ok(self.make(parse(&text, format, &file)?, &file));
        }
        let mut common = common();
        common.brokers.retain(|_, broker| broker.strong_count() > 0);
        if let Some(inner) = common.brokers.get(&text).and_then(Weak::upgrade) {
            return Ok(MessageBroker { inner });
        }
        let broker = self.make(parse(&text, format, &file)?, &file);
        common.brokers.insert(text, Arc::downgrade(&broker.inner));
        Ok(broker)
    }

    /// With a configuration that is a tree already.
    pub(crate) fn make(&self, node: Node, file: &str) -> MessageBroker {
        let loopback = Loopback::default();
        let mut protocols = self.protocols.clone();
        let ours: [Arc<dyn Protocol>; 4] =
            [Arc::new(Mqtt::new()), Arc::new(File), Arc::new(Http), Arc::new(loopback.clone())];
        for one in ours {
            if !protocols.iter().any(|protocol| protocol.name() == one.name()) {
                protocols.push(one);
            }
        }
        MessageBroker::new(node, file, protocols, self.hub.clone(), loopback, self.limit)
    }
}

impl MessageBroker {
    /// The configuration of brokers that are created without one, in this process. `None` and an empty text take it back.
    /// It is not looked at here.
    pub fn set_default_config(text: Option<&str>) {
        common().default = text.filter(|text| !text.is_empty()).map(str::to_owned);
    }
}

/// What applies where nothing was said.
fn unsaid() -> Result<(String, Format, String), ConfigError> {
    if let Some(text) = common().default.clone() {
        return Ok((text, Format::Json, String::new()));
    }
    let Some(path) = std::env::var_os(VARIABLE).filter(|path| !path.is_empty()) else {
        return Ok(("{}".to_owned(), Format::Json, String::new()));
    };
    let path = PathBuf::from(path);
    let text =
        std::fs::read_to_string(&path).map_err(|error| ConfigError::Read { path: path.clone(), error })?;
    Ok((text, format_of(&path), path.display().to_string()))
}

fn format_of(path: &Path) -> Format {
    Format::of(path).unwrap_or(Format::Json)
}

fn parse(text: &str, format: Format, file: &str) -> Result<Node, ConfigError> {
    let node = parsed(text, format, file)?;
    let findings = Findings::default();
    if let Some(root) = Table::of(&node, "", &findings) {
        // What is in them is read when the broker is initialised.
        root.node("targets");
        root.node("pipes");
        root.end();
    }
    match findings.end(file) {
        (problems, _) if problems.is_empty() => Ok(node),
        (problems, _) => Err(ConfigError::Wrong(problems)),
    }
}

impl MessageBroker {
    /// Adds a protocol, before the broker is initialised.
    pub fn add_protocol(&self, protocol: impl Protocol) -> Result<(), ProtocolError> {
        self.inner.add_protocol(Arc::new(protocol))
    }
}
