//! The section `connections`.

use std::collections::BTreeMap;

use packetboat::{Options, VersionChoice};
use packetboat_config::{Config, ConfigError, Dialect, Node, Value};

use super::node::{Lookup, environment, expanded, without};
use super::table::{Findings, Table};

/// A connection, as the file has it.
#[derive(Clone)]
pub(crate) struct ConnectionSettings {
    /// With variables put in.
    pub(crate) node: Node,
    pub(crate) options: Options,
    pub(crate) enabled: bool,
    pub(crate) version: VersionChoice,
    /// Where it leads, for comparing.
    pub(crate) server: String,
}

pub(super) fn read(
    root: &Table<'_>,
    lookup: Lookup<'_>,
    file: &str,
) -> (BTreeMap<String, ConnectionSettings>, Vec<String>) {
    let (mut connections, mut broken) = (BTreeMap::new(), Vec::new());
    let Some(section) = root.table("connections") else { return (connections, broken) };
    for (id, node) in section.entries() {
        if id.is_empty() {
            section.wrong(id.as_str(), "has no name");
        }
        let path = section.key(id);
        let node = expanded(node, &path, lookup, Some(section.findings));
        match connection(node, &path, file, section.findings) {
            Some(connection) => drop(connections.insert(id.clone(), connection)),
            None => broken.push(id.clone()),
        }
    }
    (connections, broken)
}

fn connection(node: Node, path: &str, file: &str, findings: &Findings) -> Option<ConnectionSettings> {
    let node = of_pelix(node, path, findings);
    let (config, options) = options(&node, path, file, findings)?;
    let text = |key| match node.key(key) {
        Some(Node { value: Value::Text(text), .. }) => text.clone(),
        _ => String::new(),
    };
    let version = match &*text("version") {
        "5.0" => VersionChoice::V5,
        "3.1.1" => VersionChoice::V311,
        "3.1" => VersionChoice::V31,
        _ => VersionChoice::Auto,
    };
    let server = host(&text("server"));
    Some(ConnectionSettings { options, enabled: config.is_enabled(), version, server, node })
}

/// The client's options, or what is wrong with them.
fn options(node: &Node, path: &str, file: &str, findings: &Findings) -> Option<(Config, Options)> {
    // What is switched off must be right, too.
    let enabled = without(node, &["enable"]);
    let read = Config::of_node(node, Dialect::Packetboat, file)
        .and_then(|config| Ok((config, Config::of_node(&enabled, Dialect::Packetboat, file)?.options()?)));
    match read {
        Ok((config, options)) => {
            findings.warn_below(node.at, path, config.warnings());
            if let Err(error) = options.check() {
                findings.wrong(node.at, path, format!("cannot be used: {error}"));
            }
            Some((config, options))
        }
        Err(ConfigError::Wrong(problems)) => {
            findings.below(node.at, path, problems);
            None
        }
        Err(other) => {
            findings.wrong(node.at, path, other.to_string());
            None
        }
    }
}

impl ConnectionSettings {
    /// A connection that has a file of its own.
    pub(crate) fn read(id: &str, node: &Node, file: &str) -> Result<Self, ConfigError> {
        let findings = Findings::default();
        let node = expanded(node, id, &environment, Some(&findings));
        let settings = connection(node, id, file, &findings);
        let (problems, _) = findings.end(file);
        match settings {
            Some(settings) if problems.is_empty() => Ok(settings),
            _ => Err(ConfigError::Wrong(problems)),
        }
    }

    /// It cannot carry the properties of 5.0.
    pub(super) fn is_old(&self) -> bool {
        matches!(self.version, VersionChoice::V311 | VersionChoice::V31)
    }

    /// A pipe needs it.
    pub(super) fn used(&self, id: &str, table: &Table<'_>, key: &str) {
        if !self.enabled {
            table.wrong(key, format!("is {id:?}, which is switched off (`enable = false`)"));
        }
    }

    /// The same for a pipe's own connection: who it is and what the broker keeps for it is the pipe's to say.
    pub(super) fn for_pipe(&self, path: &str, file: &str, findings: &Findings) -> Option<Options> {
        let node = without(&self.node, &["enable", "client_id", "session", "session_expiry", "will", "log"]);
        options(&node, path, file, findings).map(|(_, options)| options)
    }
}

/// `host`, `port` and `keepalive`, as Pelix has them, in our keys.
fn of_pelix(node: Node, path: &str, findings: &Findings) -> Node {
    let mut node = node;
    let Value::Table(entries) = &mut node.value else { return node };
    let mut take = |key: &str| {
        let at = entries.iter().position(|(known, _)| known == key)?;
        Some(entries.remove(at).1)
    };
    let (host, port, keep_alive) = (take("host"), take("port"), take("keepalive"));
    if let Some(seconds) = keep_alive {
        entries.push(("keep_alive".to_owned(), seconds));
    }
    let Some(host) = host else {
        if let Some(port) = port {
            findings.wrong(
                port.at,
                format!("{path}.port"),
                "needs `host` beside it; with `server` it is in the address",
            );
        }
        return node;
    };
    let Value::Text(name) = &host.value else {
        findings.wrong(
            host.at,
            format!("{path}.host"),
            format!("must be text, and is {}", host.value.kind()),
        );
        return node;
    };
    let name = if name.contains(':') { format!("[{name}]") } else { name.clone() };
    let port = match port {
        None => 1883,
        Some(Node { value: Value::Integer(port @ 1..=65_535), .. }) => port,
        Some(port) => {
            findings.wrong(port.at, format!("{path}.port"), "must be a whole number from 1 to 65535");
            // That there is no server is not to be told, too.
            1883
        }
    };
    let server = format!("mqtt://{name}:{port}");
    if entries.iter().any(|(key, _)| key == "server") {
        findings.wrong(host.at, format!("{path}.host"), "says the same as `server`: leave one of them out");
    } else {
        entries.push(("server".to_owned(), Node { at: host.at, value: Value::Text(server) }));
    }
    node
}

/// Host and port of an address.
fn host(address: &str) -> String {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let rest = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    rest.split(['/', '?']).next().unwrap_or_default().trim_end_matches(":1883").to_ascii_lowercase()
}
