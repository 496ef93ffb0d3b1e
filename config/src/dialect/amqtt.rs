//! amqtt, of both generations: 0.10 has what concerns TLS at the top, 0.11 under `connection`.

use super::{Said, Table};
use crate::Problem;
use crate::check::{Checked, truth};
use crate::node::{Node, Value};
use crate::schema::{Key, Kind, QOS};

const fn key(path: &'static str, kind: Kind) -> Key {
    Key { path, kind, default: "", about: "" }
}

const KEYS: &[Key] = &[
    key("keep_alive", Kind::Integer(0, 65_535)),
    key("ping_delay", Kind::Integer(0, 65_535)),
    key("default_qos", QOS),
    key("default_retain", Kind::Bool),
    key("auto_reconnect", Kind::Bool),
    key("connection_timeout", Kind::Seconds),
    key("reconnect_retries", Kind::Integer(i64::MIN, 1_000_000)),
    key("reconnect_max_interval", Kind::Seconds),
    key("cleansession", Kind::Bool),
    key("topics", Kind::Topics),
    key("connection.uri", Kind::Url),
    key("connection.cafile", Kind::Text),
    key("connection.capath", Kind::Text),
    key("connection.cadata", Kind::Text),
    key("connection.certfile", Kind::Text),
    key("connection.keyfile", Kind::Text),
    key("broker.uri", Kind::Url),
    key("broker.cafile", Kind::Text),
    key("broker.capath", Kind::Text),
    key("broker.cadata", Kind::Text),
    key("broker.certfile", Kind::Text),
    key("broker.keyfile", Kind::Text),
    key("certfile", Kind::Text),
    key("keyfile", Kind::Text),
    key("check_hostname", Kind::Bool),
    key("verify_cert", Kind::Bool),
    key("will.topic", Kind::Text),
    key("will.message", Kind::Text),
    key("will.qos", QOS),
    key("will.retain", Kind::Bool),
    key("plugins", Kind::Ignored("handlers of packets and events are given in code")),
];

pub(super) fn translate(node: &Node, checked: &mut Checked) -> Vec<Said> {
    let table = Table::check(&as_read_by_amqtt(node, ""), KEYS, "", checked);
    if let Some((key, node)) = table.values.iter().find(|(key, _)| key.starts_with("broker.")) {
        let message = "is the old name of `connection`".to_owned();
        checked.warnings.push(Problem::new(node.at, *key, message));
    }
    let default = |path, value| Said { path, value, at: None, key: None };
    let mut said = vec![
        default("version", Value::Text("3.1.1".into())),
        default("reconnect.minimum", Value::Integer(1)),
        default("reconnect.jitter", Value::Text("none".into())),
        table.pass_or("keep_alive", "keep_alive", Value::Integer(10)),
        table.pass_or("probe_ahead", "ping_delay", Value::Integer(1)),
        table.pass_or("connect_timeout", "connection_timeout", Value::Integer(60)),
        table.pass_or("reconnect.maximum", "reconnect_max_interval", Value::Integer(10)),
    ];
    let session = if table.is("cleansession", true) { "clean" } else { "persistent" };
    said.push(table.say("session", Value::Text(session.into()), "cleansession"));
    let retries = table.integer("reconnect_retries").unwrap_or(2);
    if !table.is("auto_reconnect", true) {
        said.push(table.say("reconnect.retries", Value::Integer(0), "auto_reconnect"));
    } else if retries >= 0 {
        said.push(table.say("reconnect.retries", Value::Integer(retries), "reconnect_retries"));
    }
    let plain = [
        ("publish.qos", "default_qos"),
        ("publish.retain", "default_retain"),
        ("topics", "topics"),
        ("will.topic", "will.topic"),
        ("will.message", "will.message"),
        ("will.qos", "will.qos"),
        ("will.retain", "will.retain"),
        ("tls.verify_name", "check_hostname"),
        ("tls.verify", "verify_cert"),
    ];
    said.extend(plain.iter().filter_map(|(ours, theirs)| table.pass(ours, theirs)));
    said.extend(connection(&table, checked));
    said
}

/// amqtt reads YAML 1.1, where `yes` is true.
fn as_read_by_amqtt(node: &Node, name: &str) -> Node {
    let last = |path: &'static str| path.rsplit('.').next();
    let wanted = || KEYS.iter().any(|key| key.kind == Kind::Bool && last(key.path) == Some(name));
    let value = match (&node.value, truth(node)) {
        (_, Some(is)) if wanted() => Value::Bool(is),
        (Value::Table(entries), _) => {
            let entry = |(key, node): &(String, Node)| (key.clone(), as_read_by_amqtt(node, key));
            Value::Table(entries.iter().map(entry).collect())
        }
        (value, _) => value.clone(),
    };
    Node { at: node.at, value }
}

fn connection(table: &Table, checked: &mut Checked) -> Vec<Said> {
    let places = [
        ("server", ["connection.uri", "broker.uri", ""]),
        ("tls.authority", ["connection.cafile", "broker.cafile", ""]),
        ("tls.authority_folder", ["connection.capath", "broker.capath", ""]),
        ("tls.authority_data", ["connection.cadata", "broker.cadata", ""]),
        ("tls.certificate", ["connection.certfile", "broker.certfile", "certfile"]),
        ("tls.key", ["connection.keyfile", "broker.keyfile", "keyfile"]),
    ];
    let mut said: Vec<Said> = Vec::new();
    for (ours, theirs) in places {
        said.extend(theirs.iter().find_map(|key| table.pass(ours, key)));
    }
    if !said.iter().any(|said| said.path == "server") {
        let value = Value::Text("mqtt://127.0.0.1:1883".into());
        said.push(Said { path: "server", value, at: None, key: None });
    }
    let has = |path: &str| said.iter().find(|said| said.path == path);
    for (one, other, missing) in
        [("tls.certificate", "tls.key", "keyfile"), ("tls.key", "tls.certificate", "certfile")]
    {
        if let (Some(said), None) = (has(one), has(other)) {
            let key = said.key.clone().unwrap_or_default();
            checked.problems.push(Problem::new(said.at, key, format!("needs `{missing}` beside it")));
        }
    }
    if !table.is("verify_cert", true) {
        for said in said.extract_if(.., |said| said.path.starts_with("tls.authority")) {
            let message = "is not used: `verify_cert` is false".to_owned();
            checked.warnings.push(Problem::new(said.at, said.key.unwrap_or_default(), message));
        }
    }
    if !table.is("verify_cert", true) && table.is("check_hostname", true) {
        let at = table.node("verify_cert").and_then(|node| node.at);
        let message = "may be false only if `check_hostname` is false, too".to_owned();
        checked.problems.push(Problem::new(at, "verify_cert", message));
    }
    said
}
