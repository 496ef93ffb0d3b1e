//! Pipes that start at a subscription.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use packetboat::{Options, QoS, SessionMode};
use packetboat_config::{Node, Position, Value, nearest_word};

use super::connections::ConnectionSettings;
use super::table::Table;
use super::variables;
use crate::bridge::{Retry, Route, Template};
use crate::broker::PlannedTarget;

/// A pipe with `from`, as the file has it.
#[derive(Clone)]
pub(crate) struct PipeSettings {
    pub(crate) name: String,
    pub(crate) node: Node,
    pub(crate) at: Option<Position>,
    pub(crate) connection: String,
    /// The client identifier of its own connection, and that connection's options.
    pub(crate) identifier: String,
    pub(crate) options: Options,
    pub(crate) route: Route,
    /// As written, with names.
    pub(crate) filter: String,
    pub(crate) qos: QoS,
    pub(crate) share: Option<String>,
    pub(crate) window: u16,
    pub(crate) bytes: Option<u32>,
    pub(crate) rate: Option<f64>,
    pub(crate) retry: Retry,
    pub(crate) destinations: Vec<DestinationSettings>,
    pub(crate) dead_letters: Option<DestinationSettings>,
    /// It is part of a circle.
    pub(crate) needs_hops: bool,
}

/// Where it ends.
#[derive(Clone)]
pub(crate) struct DestinationSettings {
    pub(crate) target: String,
    pub(crate) kind: DestinationKind,
}

#[derive(Clone)]
pub(crate) enum DestinationKind {
    /// A connection of this file.
    Connection { template: Option<Template>, topic: Option<String>, qos: Option<QoS>, retain: Option<bool> },
    /// A target of this file, with the options of its protocol.
    Target { protocol: String, options: Node },
}

/// What pipes may refer to.
pub(super) struct World<'a> {
    pub(super) hub: Option<&'a str>,
    pub(super) instance: Option<&'a str>,
    pub(super) connections: &'a BTreeMap<String, ConnectionSettings>,
    /// Connections that something is wrong with.
    pub(super) broken: &'a [String],
    /// Targets and their protocols.
    pub(super) targets: &'a BTreeMap<Arc<str>, PlannedTarget>,
    pub(super) file: &'a str,
}

const DAY: Duration = Duration::from_hours(24);

/// `None`: it is wrong, and all that is wrong is told.
pub(super) fn read(table: &Table<'_>, node: &Node, world: &World<'_>) -> Option<PipeSettings> {
    let name = table.needed("name", "its connection and its session at the broker are called by it");
    let name = name.filter(|name| is_name(name, table, "name"));
    let from = table.table("from")?;
    let connection = from.needed("connection", "say on which broker the pipe starts");
    let filter = from.needed("filter", "say what is subscribed");
    let route = filter
        .and_then(|filter| Route::new(filter).map_err(|error| from.wrong("filter", error.to_string())).ok());
    let (qos, share) = (from.qos("qos").unwrap_or(QoS::AtLeastOnce), from.text("share"));
    if share.is_some_and(|share| share.is_empty() || share.contains(['/', '+', '#'])) {
        from.wrong("share", "must be the name of a group, without `/`, `+` and `#`");
    }
    let expiry = from.seconds("session_expiry").unwrap_or(DAY);
    let options =
        connection.and_then(|connection| source(&from, connection, name, expiry, share.is_some(), world));
    from.end();
    let window = table.integer("window", 1, 65_535).and_then(|window| u16::try_from(window).ok());
    let bytes = table.integer("bytes", 1, u32::MAX);
    let rate = table.positive("rate", "a number of messages a second above 0");
    let destinations = destinations(table, route.as_ref(), world);
    let dead_letters = table.table("dead_letter").and_then(|table| {
        let destination = destination(&table, route.as_ref(), world);
        table.end();
        destination
    });
    let retry = retry(table, table.node("dead_letter").is_some());
    table.end();
    let (options, identifier) = options?;
    Some(PipeSettings {
        name: name?.to_owned(),
        node: node.clone(),
        at: table.at,
        connection: connection?.to_owned(),
        identifier,
        options,
        route: route?,
        filter: filter?.to_owned(),
        qos,
        share: share.map(str::to_owned),
        window: window.unwrap_or(1024),
        bytes,
        rate,
        retry,
        destinations: destinations?,
        dead_letters,
        needs_hops: false,
    })
}

/// A name that can be part of a client identifier and of a label.
pub(super) fn is_name(name: &str, table: &Table<'_>, key: &str) -> bool {
    let fine = (1..=64).contains(&name.len())
        && name.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter));
    if !fine {
        table.wrong(key, "must have 1 to 64 letters, digits, `-`, `_` or `.`");
    }
    fine
}

fn source(
    from: &Table<'_>,
    connection: &str,
    pipe: Option<&str>,
    expiry: Duration,
    shared: bool,
    world: &World<'_>,
) -> Option<(Options, String)> {
    let Some(settings) = world.connections.get(connection) else {
        world.unknown(
            from,
            "connection",
            connection,
            "connection",
            world.connections.keys().map(String::as_str),
        );
        return None;
    };
    settings.used(connection, from, "connection");
    let Some(hub) = world.hub else {
        let why = "the file has no `name` at its top, and connections of pipes need client identifiers that stay: \
                   `<name>-<pipe>`";
        from.findings.wrong(from.at, &from.path, why);
        return None;
    };
    if shared && world.instance.is_none() {
        from.wrong(
            "share",
            "needs `instance` at the top of the file, so that each member of the group has a client identifier and a \
             session of its own: `instance = \"${HOSTNAME}\"`",
        );
    }
    let identifier: Vec<&str> = [Some(hub), pipe, world.instance].into_iter().flatten().collect();
    let options = settings.for_pipe(&from.path, world.file, from.findings)?;
    let identifier = identifier.join("-");
    Some((options.client_id(&identifier).session(SessionMode::Persistent { expiry }), identifier))
}

fn retry(table: &Table<'_>, has_dead_letters: bool) -> Retry {
    let mut retry = Retry::default();
    let Some(table) = table.table("retry") else { return retry };
    retry.minimum = table.seconds("minimum").unwrap_or(retry.minimum);
    retry.maximum = table.seconds("maximum").unwrap_or(retry.maximum).max(retry.minimum);
    if let Some(attempts) = table.integer("attempts", 1, u32::MAX) {
        retry.attempts = attempts;
        if !has_dead_letters {
            table.wrong(
                "attempts",
                "needs a `dead_letter`: a message that is given up must go somewhere, and without one it is tried until it \
                 is delivered",
            );
        }
    }
    table.end();
    retry
}

fn destinations(
    table: &Table<'_>,
    route: Option<&Route>,
    world: &World<'_>,
) -> Option<Vec<DestinationSettings>> {
    // All of them are looked at, even if the first is wrong.
    let read: Vec<Option<DestinationSettings>> = table
        .tables("destinations")
        .map(|(_, table)| {
            let read = destination(&table, route, world);
            table.end();
            read
        })
        .collect();
    if read.is_empty() {
        table.wrong("destinations", "must name at least one destination");
        return None;
    }
    read.into_iter().collect()
}

fn destination(table: &Table<'_>, route: Option<&Route>, world: &World<'_>) -> Option<DestinationSettings> {
    let target = table.needed("target_name", "say which connection or target takes the messages")?;
    let kind = if let Some(settings) = world.connections.get(target) {
        settings.used(target, table, "target_name");
        on_connection(table, route)?
    } else if let Some(planned) = world.targets.get(target) {
        let protocol = &planned.protocol;
        let key = format!("{protocol}_message_options");
        let empty = Node { at: table.at, value: Value::Table(Vec::new()) };
        let options = table.node(&*key).cloned().unwrap_or(empty);
        if let Some(route) = route
            && let Err(problems) = planned.target.destination(&options, &variables(route))
        {
            table.findings.below(options.at, &table.key(&key), problems);
        }
        DestinationKind::Target { protocol: protocol.to_string(), options }
    } else {
        world.unknown(
            table,
            "target_name",
            target,
            "connection or target",
            world.connections.keys().map(String::as_str).chain(world.targets.keys().map(|name| &**name)),
        );
        table.entries();
        return None;
    };
    Some(DestinationSettings { target: target.to_owned(), kind })
}

fn on_connection(table: &Table<'_>, route: Option<&Route>) -> Option<DestinationKind> {
    let none = DestinationKind::Connection { template: None, topic: None, qos: None, retain: None };
    let Some(options) = table.table("mqtt_message_options") else { return Some(none) };
    let (topic, qos, retain) = (options.text("topic"), options.qos("qos"), options.flag("retain"));
    options.end();
    let Some(written) = topic else {
        return Some(DestinationKind::Connection { template: None, topic: None, qos, retain });
    };
    // `${line}` is how pipes with a message id write it.
    let plain = written.replace("${", "{");
    let template = route?.template(&plain).map_err(|error| options.wrong("topic", error.to_string())).ok()?;
    Some(DestinationKind::Connection { template: Some(template), topic: Some(plain), qos, retain })
}

impl World<'_> {
    fn unknown<'a>(
        &'a self,
        table: &Table<'_>,
        key: &str,
        name: &str,
        what: &str,
        known: impl Iterator<Item = &'a str>,
    ) where
        Self: 'a,
    {
        // What is wrong with it was told where it stands.
        if self.broken.iter().any(|broken| broken == name) {
            return;
        }
        let near = nearest_word(name, known.chain(self.broken.iter().map(String::as_str)));
        let near = near.map_or_else(String::new, |near| format!(": did you mean `{near}`?"));
        table.wrong(key, format!("is {name:?}, and there is no such {what}{near}"));
    }
}
