//! The whole file of a hub: what it says, and what is wrong with it.

mod circles;
mod connections;
mod graph;
mod node;
mod pipes;
pub(crate) mod table;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use crate::bridge::Route;
use crate::broker::{InitialiseError, MessageBroker, Prepared};
use crate::{Hub, watched};
use packetboat_config::{ConfigError, Format, Node, Problem, Value};

pub(crate) use connections::ConnectionSettings;
pub(crate) use node::{parsed, same, without};
pub(crate) use pipes::{DestinationKind, DestinationSettings, PipeSettings};
pub(crate) use table::{Findings, Key, Table};

use node::{environment, expanded};
use pipes::World;

/// What the file of a hub says, read and found to be right.
///
/// ```
/// use packetboat_config::Format;
/// use packetboat_hub::HubConfig;
///
/// let config = HubConfig::parse("name: gateway", Format::Yaml, |_| None)?;
/// assert_eq!(config.name(), "gateway");
/// # Ok::<(), packetboat_config::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct HubConfig {
    name: Option<String>,
    http: Option<SocketAddr>,
    log: LogSettings,
    drain: Duration,
    embedded: Vec<u16>,
    pub(crate) connections: BTreeMap<String, ConnectionSettings>,
    pub(crate) pipes: Vec<PipeSettings>,
    /// Targets, and pipes with a message id, as a [`MessageBroker`] reads them.
    pub(crate) tree: Node,
    file: String,
    warnings: Vec<Problem>,
}

/// The section `log`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct LogSettings {
    /// How much is said.
    pub level: LogLevel,
    /// One JSON object a line instead of text.
    pub json: bool,
}

/// How much is said.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum LogLevel {
    /// What keeps messages from going on.
    Error,
    /// And what went wrong and is tried again.
    Warn,
    /// And what comes and goes.
    #[default]
    Info,
    /// And more.
    Debug,
}

const LEVELS: [(&str, LogLevel); 4] = [
    ("error", LogLevel::Error),
    ("warn", LogLevel::Warn),
    ("info", LogLevel::Info),
    ("debug", LogLevel::Debug),
];

impl HubConfig {
    /// Reads a file: its format by its name's ending. `${NAME}` in it stands for variables of the environment.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        let format = Format::of(path).ok_or_else(|| ConfigError::UnknownFormat(path.to_owned()))?;
        Self::read(&watched::text(path)?, format, &path.display().to_string(), &environment)
    }

    /// Reads text, with variables from somewhere else.
    pub fn parse(
        text: &str,
        format: Format,
        variables: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        Self::read(text, format, "", &variables)
    }

    /// The text of a file.
    pub(crate) fn read_here(text: &str, format: Format, file: &Path) -> Result<Self, ConfigError> {
        Self::read(text, format, &file.display().to_string(), &environment)
    }

    fn read(
        text: &str,
        format: Format,
        file: &str,
        lookup: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let node = parsed(text, format, file)?;
        let findings = Findings::default();
        let config = Self::of_node(&node, file, lookup, &findings);
        let (problems, warnings) = findings.end(file);
        match config {
            Some(config) if problems.is_empty() => Ok(Self { warnings, ..config }),
            _ => Err(ConfigError::Wrong(problems)),
        }
    }

    fn of_node(
        node: &Node,
        file: &str,
        lookup: &dyn Fn(&str) -> Option<String>,
        findings: &Findings,
    ) -> Option<Self> {
        let root = Table::of(node, "", findings)?;
        let name_of = |key| {
            let node = expanded(root.node(key)?, key, lookup, Some(findings));
            let Value::Text(text) = node.value else {
                root.wrong(key, format!("must be text, and is {}", node.value.kind()));
                return None;
            };
            // What a variable left open was told already.
            (text.contains("${") || pipes::is_name(&text, &root, key)).then_some(text)
        };
        let (name, instance) = (name_of("name"), name_of("instance"));
        let (connections, broken) = connections::read(&root, lookup, file);
        let tree = tree(&root, lookup);
        let ids: Vec<&str> = connections.keys().chain(&broken).map(String::as_str).collect();
        let plan = broker(&tree, file, &Hub::new()).read(&ids, findings);
        for (name, _) in plan.targets.iter().filter(|(name, _)| connections.contains_key(&***name)) {
            let why = "is the name of a target and of a connection: pipes could mean either";
            findings.wrong(root.node("targets").and_then(|node| node.at), &**name, why);
        }
        let world = World {
            hub: name.as_deref(),
            instance: instance.as_deref(),
            connections: &connections,
            broken: &broken,
            targets: &plan.targets,
            file,
        };
        let mut pipes = pipes(&root, &world);
        circles::find(&mut pipes, &connections, findings);
        let http = root.table("http").and_then(|http| listen(&http, lookup));
        let log = root.table("log").map(|log| log_settings(&log)).unwrap_or_default();
        let drain = root.seconds("drain_timeout").unwrap_or(Duration::from_secs(10));
        let embedded = root.list("embedded_brokers").iter().filter_map(|node| port(node, &root)).collect();
        root.end();
        let file = file.to_owned();
        Some(Self { name, http, log, drain, embedded, connections, pipes, tree, file, warnings: Vec::new() })
    }

    /// What is worth knowing and no mistake.
    #[must_use]
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// What the hub is called.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or("hub")
    }

    /// Where health and metrics are to be read, if anywhere.
    #[must_use]
    pub fn http(&self) -> Option<SocketAddr> {
        self.http
    }

    /// How it is to log.
    #[must_use]
    pub fn log(&self) -> LogSettings {
        self.log
    }

    /// Ports on 127.0.0.1 where the command is to be a broker itself, for trying things out.
    #[must_use]
    pub fn embedded_brokers(&self) -> &[u16] {
        &self.embedded
    }

    /// How long stopping waits for what is on the way.
    #[must_use]
    pub fn drain_timeout(&self) -> Duration {
        self.drain
    }

    fn list(&self, key: &str) -> &[Node] {
        match self.tree.key(key) {
            Some(Node { value: Value::List(list), .. }) => list,
            _ => &[],
        }
    }

    fn message_pipes(&self) -> impl Iterator<Item = &Node> {
        self.list("pipes").iter().filter(|node| is_message_pipe(node))
    }

    /// Is this target the same in both?
    pub(crate) fn same_target(&self, name: &str, other: &Self) -> bool {
        let is_it = |node: &&Node| matches!(node.key("name").map(|name| &name.value), Some(Value::Text(text)) if text == name);
        match (self.list("targets").iter().find(is_it), other.list("targets").iter().find(is_it)) {
            (Some(one), Some(other)) => same(one, other),
            _ => false,
        }
    }

    /// Do targets and pipes with a message id say the same?
    pub(crate) fn same_targets(&self, other: &Self) -> bool {
        let all = |config: &Self| -> Vec<Node> {
            config.list("targets").iter().chain(config.message_pipes()).cloned().collect()
        };
        same(&Value::List(all(self)).into(), &Value::List(all(other)).into())
    }

    /// How much it says: "2 connections, 1 target, 3 pipes".
    #[must_use]
    pub fn summary(&self) -> String {
        let count =
            |number: usize, word: &str| format!("{number} {word}{}", if number == 1 { "" } else { "s" });
        let pipes = self.pipes.len() + self.message_pipes().count();
        [
            count(self.connections.len(), "connection"),
            count(self.list("targets").len(), "target"),
            count(pipes, "pipe"),
        ]
        .join(", ")
    }

    /// Its targets and pipes with a message id, to be begun.
    pub(crate) fn broker(&self, hub: &Hub) -> MessageBroker {
        broker(&self.tree, &self.file, hub)
    }

    /// The same for one that may run already.
    pub(crate) fn prepare(&self, broker: &MessageBroker) -> Result<Prepared, InitialiseError> {
        let connections: Vec<&str> = self.connections.keys().map(String::as_str).collect();
        broker.prepare(self.tree.clone(), &self.file, &connections)
    }

    /// The pipes as a drawing (SVG).
    #[must_use]
    pub fn graph(&self) -> String {
        graph::draw(self)
    }
}

/// An empty file.
impl Default for HubConfig {
    fn default() -> Self {
        Self {
            name: None,
            http: None,
            log: LogSettings::default(),
            drain: Duration::ZERO,
            embedded: Vec::new(),
            connections: BTreeMap::new(),
            pipes: Vec::new(),
            tree: Value::Table(Vec::new()).into(),
            file: String::new(),
            warnings: Vec::new(),
        }
    }
}

/// Names alone: there are secrets in the rest.
impl fmt::Debug for HubConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pipes: Vec<&str> = self.pipes.iter().map(|pipe| &*pipe.name).collect();
        f.debug_struct("HubConfig")
            .field("name", &self.name)
            .field("connections", &self.connections.keys())
            .field("pipes", &pipes)
            .finish_non_exhaustive()
    }
}

/// What a [`MessageBroker`] reads: targets, with variables put in, and those pipes that have a message id. The others keep
/// their places, by which errors call them.
fn tree(root: &Table<'_>, lookup: &dyn Fn(&str) -> Option<String>) -> Node {
    let list = |key: &'static str, each: &dyn Fn(&Node) -> Node| {
        let list = root.list(key).iter().map(each).collect();
        (key.to_owned(), Node { at: root.node(key).and_then(|node| node.at), value: Value::List(list) })
    };
    // Macros of file names look the same; what is no variable stays.
    let targets = list("targets", &|node| expanded(node, "", lookup, None));
    let elsewhere = || Node::from(Value::Table(vec![("from".to_owned(), Value::Null.into())]));
    let pipes = list("pipes", &|node| if is_message_pipe(node) { node.clone() } else { elsewhere() });
    Value::Table(vec![targets, pipes]).into()
}

fn is_message_pipe(node: &Node) -> bool {
    node.key("from").is_none() && node.key("message_id").or(node.key("message-id")).is_some()
}

fn broker(tree: &Node, file: &str, hub: &Hub) -> MessageBroker {
    MessageBroker::builder().hub(hub).make(tree.clone(), file)
}

/// The variables that destinations of a pipe may have in their options.
pub(crate) fn variables(route: &Route) -> Vec<&str> {
    route.names().chain(["topic"]).collect()
}

fn pipes(root: &Table<'_>, world: &World<'_>) -> Vec<PipeSettings> {
    let mut pipes: Vec<PipeSettings> = Vec::new();
    for (node, table) in root.tables("pipes").filter(|(node, _)| !is_message_pipe(node)) {
        if table.node("from").is_none() {
            let why = "must start somewhere: say `from` (a subscription) or `message_id`";
            table.findings.wrong(table.at, &table.path, why);
            continue;
        }
        if table.node(["message_id", "message-id"]).is_some() {
            table
                .wrong(["message_id", "message-id"], "cannot be beside `from`: a pipe starts at one of them");
        }
        let Some(pipe) = pipes::read(&table, node, world) else { continue };
        if pipes.iter().any(|other| other.name == pipe.name) {
            table.wrong("name", format!("is {:?}, and there is another pipe of this name", pipe.name));
        }
        pipes.push(pipe);
    }
    pipes
}

fn listen(http: &Table<'_>, lookup: &dyn Fn(&str) -> Option<String>) -> Option<SocketAddr> {
    let node = expanded(http.node("listen")?, "http.listen", lookup, Some(http.findings));
    http.end();
    let address = match &node.value {
        Value::Text(text) => text.parse().ok(),
        _ => None,
    };
    if address.is_none() {
        http.wrong("listen", "must be an address and a port, such as \"127.0.0.1:9464\"");
    }
    address
}

fn port(node: &Node, root: &Table<'_>) -> Option<u16> {
    let port = match node.value {
        Value::Integer(number) => u16::try_from(number).ok().filter(|port| *port > 0),
        _ => None,
    };
    if port.is_none() {
        root.findings.wrong(node.at, "embedded_brokers", "must be ports, from 1 to 65535");
    }
    port
}

fn log_settings(log: &Table<'_>) -> LogSettings {
    let mut settings = LogSettings::default();
    if let Some(level) = log.text("level") {
        match LEVELS.iter().find(|(name, _)| *name == level) {
            Some((_, level)) => settings.level = *level,
            None => log.wrong("level", "must be one of error, warn, info, debug"),
        }
    }
    match log.text("format") {
        Some("json") => settings.json = true,
        Some("text") | None => {}
        Some(_) => log.wrong("format", "must be text or json"),
    }
    log.end();
    settings
}
