//! What the configuration says: targets and pipes, read and checked before anything begins.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use packetboat_config::{Node, Value};

use super::protocol::{Destination, Protocol, SUBSCRIPTION_ID, Source, Target, TargetDescription};
use super::{Template, Variables};
use crate::Hub;
use crate::config::{Findings, Table, same, without};

/// Panorama has it for S3 alone.
const EXPANSION: &str = "batch_payload_expansion";

/// What reading needs to know.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) protocols: &'a [Arc<dyn Protocol>],
    /// The file's name, for errors; empty for text.
    pub(crate) file: &'a str,
    pub(crate) hub: &'a Hub,
    /// Connections that will be the hub's, beside those that are.
    pub(crate) connections: &'a [&'a str],
    /// What runs: what is the same in both stays.
    pub(crate) earlier: Option<&'a Plan>,
}

impl Context<'_> {
    fn protocol(&self, name: &str) -> Option<&Arc<dyn Protocol>> {
        self.protocols.iter().find(|protocol| protocol.name() == name)
    }

    fn has_connection(&self, name: &str) -> bool {
        self.connections.contains(&name) || self.hub.connection(name).is_some()
    }
}

/// Targets and pipes.
#[derive(Default)]
pub(crate) struct Plan {
    pub(crate) targets: BTreeMap<Arc<str>, PlannedTarget>,
    pub(crate) pipes: Vec<Pipe>,
    /// Names of targets something is wrong with: not to be complained about twice.
    wrong: BTreeSet<String>,
}

/// A target.
pub(crate) struct PlannedTarget {
    pub(crate) protocol: Arc<str>,
    pub(crate) target: Arc<dyn Target>,
    /// What a target that goes on is to become.
    pub(crate) next: Option<Arc<dyn Target>>,
    options: Node,
    sources: BTreeMap<Arc<str>, PlannedSource>,
}

struct PlannedSource {
    source: Arc<dyn Source>,
    options: Node,
}

/// A pipe from a message id to its destinations.
pub(crate) struct Pipe {
    pub(crate) message_id: Template,
    pub(crate) destinations: Vec<Bound>,
    node: Node,
    taken: Arc<AtomicU64>,
}

/// A destination of a pipe, with the target it belongs to.
#[derive(Clone)]
pub(crate) struct Bound {
    pub(crate) target: Arc<str>,
    pub(crate) protocol: Arc<str>,
    pub(crate) destination: Arc<dyn Destination>,
    /// Of a batch, its payloads go there, too.
    pub(crate) expands: bool,
}

impl Pipe {
    /// The variables of a message with this id, if it is for this pipe.
    pub(crate) fn takes(&self, message_id: &str) -> Option<Variables> {
        self.message_id.match_text(message_id)
    }

    /// One more message. How many there were before.
    pub(crate) fn count(&self) -> u64 {
        self.taken.fetch_add(1, Ordering::Relaxed)
    }
}

impl Plan {
    /// Reads `targets` and `pipes` of a table. Pipes that start at a subscription (`from`) are left out: they are bridges.
    pub(crate) fn read(root: &Node, context: Context<'_>, findings: &Findings) -> Self {
        let mut plan = Self::default();
        let Some(root) = Table::of(root, "", findings) else { return plan };
        for (node, table) in root.tables("targets") {
            plan.target(&table, context);
            if let Some(Value::Text(name)) = node.key("name").map(|node| &node.value)
                && !plan.targets.contains_key(&**name)
            {
                plan.wrong.insert(name.clone());
            }
        }
        for (node, table) in root.tables("pipes").filter(|(node, _)| node.key("from").is_none()) {
            plan.pipe(node, &table, context);
        }
        plan
    }

    pub(crate) fn runs(&self, target: &Arc<dyn Target>) -> bool {
        self.targets.values().any(|planned| Arc::ptr_eq(&planned.target, target))
    }

    fn target(&mut self, table: &Table<'_>, context: Context<'_>) -> Option<()> {
        let name = table.needed("name", "pipes call the target by it");
        let protocol = table.needed("protocol", "say by what the target is reached");
        let (name, protocol) = (name?, protocol?);
        let Some(maker) = context.protocol(protocol) else {
            let known: Vec<&str> = context.protocols.iter().map(|protocol| protocol.name()).collect();
            let message = format!("of the target `{name}` is `{protocol}`: there are {}", known.join(", "));
            table.wrong("protocol", message);
            return None;
        };
        if self.targets.contains_key(name) {
            table.wrong("name", format!("is `{name}`, as another target's: each has its own"));
            return None;
        }
        let [options_key, plural, singular] =
            ["options", "subscriptions", "subscription"].map(|part| format!("{protocol}_{part}"));
        let options = table.node(&*options_key);
        // Panorama's document has both.
        let subscriptions = table.tables([&*plural, &*singular]);
        let Some(options) = options else {
            table.wrong(&*options_key, format!("is missing, of the target `{name}`"));
            return None;
        };
        table.end();
        let description = TargetDescription::new(name, options, context.file, context.hub);
        match maker.target(&description) {
            Ok(target) => {
                let earlier = context.earlier.and_then(|plan| plan.targets.get(name));
                let mut planned = PlannedTarget::new(protocol, target, options).following(earlier);
                planned.subscriptions(subscriptions, earlier);
                self.targets.insert(name.into(), planned);
            }
            Err(found) => table.findings.below(options.at, &table.key(&options_key), found),
        }
        Some(())
    }

    fn pipe(&mut self, node: &Node, table: &Table<'_>, context: Context<'_>) -> Option<()> {
        let message_id = pattern(table);
        let destinations = table.tables("destinations");
        table.end();
        let message_id = message_id?;
        let names: Vec<&str> = message_id.names().collect();
        let destinations =
            destinations.filter_map(|(_, table)| self.destination(&table, &names, context)).collect();
        // What it counted is in names of files.
        let earlier = context.earlier.and_then(|plan| plan.pipes.iter().find(|pipe| same(&pipe.node, node)));
        let taken = earlier.map(|pipe| pipe.taken.clone()).unwrap_or_default();
        self.pipes.push(Pipe { message_id: message_id.clone(), destinations, node: node.clone(), taken });
        Some(())
    }

    /// Messages will have a value for each of these variables.
    fn destination(&mut self, table: &Table<'_>, variables: &[&str], context: Context<'_>) -> Option<Bound> {
        let name = table.needed(["target_name", "target-name"], "say which target takes the messages")?;
        let Some((target, planned)) = self.named(name, context) else {
            if !self.wrong.contains(name) {
                let known = self.targets.keys().map(|name| &**name);
                let mut known: Vec<&str> = known.chain(self.wrong.iter().map(String::as_str)).collect();
                known.sort_unstable();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                let message = format!("is `{name}`, which is no target: there are {known}");
                table.wrong(["target_name", "target-name"], message);
            }
            return None;
        };
        let options_key = format!("{}_message_options", planned.protocol);
        let Some(options) = table.node(&*options_key) else {
            table.wrong(&*options_key, format!("is missing, for the target `{name}`"));
            return None;
        };
        table.end();
        let path = table.key(&options_key);
        // What every protocol has.
        let expands = Table::of(options, &path, table.findings)?.flag(EXPANSION).unwrap_or_default();
        match planned.target.destination(&without(options, &[EXPANSION]), variables) {
            Ok(destination) => {
                Some(Bound { target, protocol: planned.protocol.clone(), destination, expands })
            }
            Err(found) => {
                table.findings.below(options.at, &path, found);
                None
            }
        }
    }

    /// A target by its name; a connection of the hub's is one.
    fn named(&mut self, name: &str, context: Context<'_>) -> Option<(Arc<str>, &PlannedTarget)> {
        if !self.targets.contains_key(name) && context.has_connection(name) {
            let options = Value::Table(vec![("connection".to_owned(), Value::Text(name.to_owned()).into())]);
            let options = options.into();
            let description = TargetDescription::new(name, &options, context.file, context.hub);
            let target = context.protocol("mqtt")?.target(&description).ok()?;
            let planned = PlannedTarget::new("mqtt", target, &options);
            self.targets.insert(name.into(), planned);
        }
        self.targets.get_key_value(name).map(|(name, planned)| (name.clone(), planned))
    }
}

impl PlannedTarget {
    fn new(protocol: &str, target: Arc<dyn Target>, options: &Node) -> Self {
        let (options, sources) = (options.clone(), BTreeMap::new());
        Self { protocol: protocol.into(), target, next: None, options, sources }
    }

    /// As the one of its name that runs, where that can go on.
    fn following(self, earlier: Option<&Self>) -> Self {
        let Some(earlier) = earlier.filter(|earlier| earlier.protocol == self.protocol) else { return self };
        let target = || earlier.target.clone();
        if same(&earlier.options, &self.options) {
            Self { target: target(), ..self }
        } else if earlier.target.can_become(&*self.target) {
            Self { target: target(), next: Some(self.target), ..self }
        } else {
            self
        }
    }

    pub(crate) fn source(&self, subscription_id: &str) -> Option<&Arc<dyn Source>> {
        self.sources.get(subscription_id).map(|planned| &planned.source)
    }

    fn subscriptions<'a>(
        &mut self,
        list: impl Iterator<Item = (&'a Node, Table<'a>)>,
        earlier: Option<&Self>,
    ) {
        let earlier = earlier.filter(|earlier| Arc::ptr_eq(&earlier.target, &self.target));
        for (node, table) in list {
            let Some(id) = table.needed(SUBSCRIPTION_ID, "programs subscribe by it") else { continue };
            if self.sources.contains_key(id) {
                table.wrong(SUBSCRIPTION_ID, format!("is `{id}`, as another one's of this target"));
                continue;
            }
            let options = without(node, &SUBSCRIPTION_ID);
            match self.target.source(&options) {
                Ok(source) => {
                    let before = earlier.and_then(|earlier| earlier.sources.get(id));
                    let before = before.filter(|before| same(&before.options, &options));
                    let source = before.map_or(source, |before| before.source.clone());
                    self.sources.insert(id.into(), PlannedSource { source, options });
                }
                Err(found) => table.findings.below(node.at, &table.path, found),
            }
        }
    }
}

/// The message ids a pipe takes.
fn pattern(table: &Table<'_>) -> Option<Template> {
    let key = ["message_id", "message-id"];
    let wrong = match Template::parse(table.needed(key, "say which messages the pipe takes")?) {
        Err(wrong) => wrong,
        Ok(template) => {
            let names: Vec<&str> = template.names().collect();
            let twice = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name));
            match twice {
                None => return Some(template),
                Some((_, name)) => format!("has `${{{name}}}` twice"),
            }
        }
    };
    table.wrong(key, wrong);
    None
}
