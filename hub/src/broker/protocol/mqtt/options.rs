//! From a target's options to the client's.

use packetboat::Options;
use packetboat_config::{Config, ConfigError, Dialect, Node, Problem, Value};

use super::Signer;
use crate::broker::protocol::TargetDescription;
use crate::config::table;

/// A broker at AWS, as Panorama's configuration names it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct AwsEndpoint<'a> {
    /// The name of the target.
    pub target: &'a str,
    /// `endpoint`: the host.
    pub endpoint: &'a str,
    /// `region`: that of the signature.
    pub region: &'a str,
}

pub(super) fn read(
    description: &TargetDescription<'_>,
    signer: Option<&Signer>,
) -> Result<Options, Vec<Problem>> {
    let node = one_spelling(description.options);
    let options = if node.key("endpoint").or(node.key("region")).is_some() {
        of_aws(description, &node, signer)?
    } else {
        of_config(&node, description.file)?
    };
    options.check().map_err(|error| vec![Problem::new(node.at, "", format!("cannot be used: {error}"))])?;
    Ok(options)
}

fn of_config(node: &Node, file: &str) -> Result<Options, Vec<Problem>> {
    let config = Config::of_node(node, Dialect::Packetboat, file).map_err(|error| problems(error, node))?;
    config.options().map_err(|error| problems(error, node))
}

fn problems(error: ConfigError, node: &Node) -> Vec<Problem> {
    match error {
        ConfigError::Wrong(mut problems) => {
            for problem in &mut problems {
                problem.at = problem.at.or(node.at);
            }
            problems
        }
        other => vec![Problem::new(node.at, "", other.to_string())],
    }
}

/// Panorama's document says `client-id`, and others `client_id`. An empty one is none.
fn one_spelling(node: &Node) -> Node {
    let Value::Table(entries) = &node.value else { return node.clone() };
    let renamed = entries.iter().filter_map(|(key, node)| match (&**key, &node.value) {
        ("client-id" | "client_id", Value::Text(text)) if text.is_empty() => None,
        ("client-id", _) => Some(("client_id".to_owned(), node.clone())),
        _ => Some((key.clone(), node.clone())),
    });
    Node { at: node.at, value: Value::Table(renamed.collect()) }
}

fn of_aws(
    description: &TargetDescription<'_>,
    node: &Node,
    signer: Option<&Signer>,
) -> Result<Options, Vec<Problem>> {
    let (endpoint, region) = table::read(node, |table| {
        // The others are read as the client's.
        table.entries();
        let why = "`endpoint` and `region` together name a broker at AWS";
        let (endpoint, region) = (table.needed("endpoint", why), table.needed("region", why));
        if table.node("server").is_some() {
            table.wrong("server", "is not said together with `endpoint`: they name the same");
        }
        Some((endpoint?.to_owned(), region?.to_owned()))
    })?;
    let Some(signer) = signer else {
        let message = "names a broker at AWS, whose connections are signed: give the protocol `mqtt` a signer \
                       (`Mqtt::signed_by`), or say `server` for any other broker";
        return Err(vec![Problem::new(node.key("endpoint").and_then(|node| node.at), "endpoint", message)]);
    };
    let options = of_config(&for_client(node, &endpoint), description.file)?;
    let aws = AwsEndpoint { target: description.name, endpoint: &endpoint, region: &region };
    signer(&aws, options)
        .map_err(|error| vec![Problem::new(node.at, "endpoint", format!("is no use: {error}"))])
}

/// The rest of the options are the client's. AWS speaks both versions; Panorama speaks 3.1.1, with a session that stays
/// if the client has an identifier of its own.
fn for_client(node: &Node, endpoint: &str) -> Node {
    let Value::Table(entries) = &node.value else { return node.clone() };
    let mut entries: Vec<_> =
        entries.iter().filter(|(key, _)| !matches!(&**key, "endpoint" | "region")).cloned().collect();
    let mut put = |key: &str, value: String| {
        if node.key(key).is_none() {
            entries.push((key.to_owned(), Value::Text(value).into()));
        }
    };
    put("server", format!("wss://{endpoint}:443/mqtt"));
    put("version", "3.1.1".to_owned());
    if node.key("client_id").is_some() {
        put("session", "persistent".to_owned());
    }
    Node { at: node.at, value: Value::Table(entries) }
}
