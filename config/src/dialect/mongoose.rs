//! Mongoose OS.

use super::{Said, Table, hardware};
use crate::Problem;
use crate::check::Checked;
use crate::node::{Node, Value};
use crate::schema::{Key, Kind, QOS};

const fn key(path: &'static str, kind: Kind) -> Key {
    Key { path, kind, default: "", about: "" }
}

const KEYS: &[Key] = &[
    key("enable", Kind::Bool),
    key("server", Kind::Text),
    key("client_id", Kind::Text),
    key("user", Kind::Text),
    key("pass", Kind::Secret),
    key("reconnect_timeout_min", Kind::Seconds),
    key("reconnect_timeout_max", Kind::Seconds),
    key("ssl_cert", Kind::Text),
    key("ssl_key", Kind::Text),
    key("ssl_ca_cert", Kind::Text),
    key("ssl_cipher_suites", Kind::Text),
    key("ssl_psk_identity", Kind::Text),
    key("ssl_psk_key", Kind::Secret),
    key("clean_session", Kind::Bool),
    key("keep_alive", Kind::Integer(0, 65_535)),
    key("will_topic", Kind::Text),
    key("will_message", Kind::Text),
    key("will_retain", Kind::Bool),
    key("max_qos", QOS),
    key("recv_mbuf_limit", Kind::Integer(16, 268_435_460)),
    key("require_time", Kind::Bool),
    key("cloud_events", Kind::Ignored("the client's own events tell the same")),
    key("max_queue_length", Kind::Integer(0, 1_000_000)),
    key("ws_enable", Kind::Bool),
    key("ws_path", Kind::Text),
    key("debug_use_log_level", Kind::Ignored("a program's own logger has its levels")),
    key("debug.stdout_topic", Kind::Text),
    key("debug.stderr_topic", Kind::Text),
];

const DEVICE: &[Key] = &[
    key("stdout_topic", Kind::Text),
    key("stderr_topic", Kind::Text),
    key("id", Kind::Text),
    key("mac", Kind::Text),
];

/// A clock that shows less was never set.
const CLOCK: i64 = 1_500_000_000;

pub(super) fn translate(node: &Node, checked: &mut Checked) -> Vec<Said> {
    let Value::Table(sections) = &node.value else { return Vec::new() };
    let section = |name: &str| sections.iter().find(|(key, _)| key == name).map(|(_, node)| node);
    if section("mqtt").is_none() && section("mqtt1").is_none() {
        return main(&Table::check(node, KEYS, "", checked), checked);
    }
    let empty = Value::Table(Vec::new()).into();
    let table = Table::check(section("mqtt").unwrap_or(&empty), KEYS, "mqtt.", checked);
    let mut said = main(&table, checked);
    // The rest of a device's configuration is others' affair, but for these.
    if let Some(debug) = section("debug").map(|node| of_device(node, "debug.", checked)) {
        said.extend(debug.pass("log.topic", "stdout_topic"));
        said.extend(debug.pass("log.error_topic", "stderr_topic"));
    }
    let device = section("device").map(|node| of_device(node, "device.", checked));
    if let (None, Some(device)) = (table.text("client_id"), &device) {
        said.extend(device.pass("client_id", "id"));
    }
    let own = device.as_ref().and_then(|device| device.text("mac"));
    fill_placeholders(&mut said, own, checked);
    if let Some(node) = section("mqtt1") {
        said.extend(backup(&table, &Table::check(node, KEYS, "mqtt1.", checked), checked));
    }
    said
}

/// `device.id` and the topics of logs may hold digits of the hardware address.
fn fill_placeholders(said: &mut [Said], own: Option<&str>, checked: &mut Checked) {
    let theirs = |said: &Said| {
        said.path.starts_with("log.") || said.key.as_ref().is_some_and(|key| key == "device.id")
    };
    for said in said.iter_mut().filter(|said| theirs(said)) {
        let Value::Text(text) = &mut said.value else { continue };
        if !hardware::has_placeholders(text) {
            continue;
        }
        let address = own.map(str::to_owned).or_else(hardware::address);
        match address.and_then(|address| hardware::expand(text, &address)) {
            Some(filled) => *text = filled,
            None => checked.warnings.push(Problem::new(
                said.at,
                said.key.clone().unwrap_or_default(),
                "keeps its question marks: no hardware address is known, say one in `device.mac`".to_owned(),
            )),
        }
    }
}

/// What concerns us of a section that holds more.
fn of_device(node: &Node, name: &'static str, checked: &mut Checked) -> Table {
    let ours = |entries: &[(String, Node)]| {
        entries.iter().filter(|(key, _)| DEVICE.iter().any(|known| known.path == key)).cloned().collect()
    };
    let node = match &node.value {
        Value::Table(entries) => Node { at: node.at, value: Value::Table(ours(entries)) },
        _ => node.clone(),
    };
    Table::check(&node, DEVICE, name, checked)
}

fn main(table: &Table, checked: &mut Checked) -> Vec<Said> {
    let mut said = vec![
        table.pass_or("enable", "enable", Value::Bool(false)),
        table.say("server", Value::Text(address(table)), "server"),
        table.pass_or("reconnect.minimum", "reconnect_timeout_min", Value::Float(2.0)),
        table.pass_or("reconnect.maximum", "reconnect_timeout_max", Value::Float(60.0)),
        Said { path: "reconnect.jitter", value: Value::Text("tenth".into()), at: None, key: None },
        Said { path: "version", value: Value::Text("3.1.1".into()), at: None, key: None },
        table.pass_or("maximum_packet_size", "recv_mbuf_limit", Value::Integer(3072)),
        Said { path: "queue.policy", value: Value::Text("drop_oldest".into()), at: None, key: None },
        Said { path: "queue.qos0_offline", value: Value::Bool(false), at: None, key: None },
    ];
    let session = if table.is("clean_session", true) { "clean" } else { "persistent" };
    said.push(table.say("session", Value::Text(session.into()), "clean_session"));
    let keep_alive = table.integer("keep_alive").filter(|seconds| *seconds > 0).unwrap_or(60);
    said.push(table.say("keep_alive", Value::Integer(keep_alive), "keep_alive"));
    let queue = table.integer("max_queue_length").unwrap_or(5);
    if queue == 0 {
        let message = "0 leaves one place, that of the message that is being sent".to_owned();
        checked.warnings.push(problem(table, "max_queue_length", message));
    }
    said.push(table.say("queue.messages", Value::Integer(queue.max(1)), "max_queue_length"));
    if table.is("require_time", false) {
        said.push(table.say("require_clock", Value::Integer(CLOCK), "require_time"));
    }
    if table.text("will_topic").is_some() {
        said.extend(table.pass("will.topic", "will_topic"));
        said.push(table.pass_or("will.message", "will_message", Value::Text(String::new())));
        said.extend(table.pass("will.retain", "will_retain"));
    }
    let plain = [
        ("client_id", "client_id"),
        ("username", "user"),
        ("password", "pass"),
        ("maximum_qos", "max_qos"),
        ("log.topic", "debug.stdout_topic"),
        ("log.error_topic", "debug.stderr_topic"),
    ];
    said.extend(plain.iter().filter_map(|(ours, theirs)| table.pass(ours, theirs)));
    said.extend(encryption(table, checked));
    said
}

fn encryption(table: &Table, checked: &mut Checked) -> Vec<Said> {
    let mut said = Vec::new();
    if !is_encrypted(table) {
        for key in ["ssl_cert", "ssl_key", "ssl_cipher_suites", "ssl_psk_key"] {
            if table.text(key).is_some() {
                let message = "is not used: only ssl_ca_cert or ssl_psk_identity turn TLS on".to_owned();
                checked.warnings.push(problem(table, key, message));
            }
        }
        return said;
    }
    let pairs = [("ssl_cert", "ssl_key"), ("ssl_key", "ssl_cert"), ("ssl_psk_identity", "ssl_psk_key")];
    for (one, other) in pairs {
        if table.text(one).is_some() && table.text(other).is_none() {
            checked.problems.push(problem(table, one, format!("needs `{}{other}` beside it", table.name)));
        }
    }
    let plain = [
        ("tls.authority", "ssl_ca_cert"),
        ("tls.certificate", "ssl_cert"),
        ("tls.key", "ssl_key"),
        ("tls.psk_identity", "ssl_psk_identity"),
        ("tls.psk_key", "ssl_psk_key"),
    ];
    said.extend(plain.iter().filter_map(|(ours, theirs)| table.pass(ours, theirs)));
    if let Some(suites) = table.text("ssl_cipher_suites") {
        let suites: Vec<String> = suites.split([':', ',']).map(openssl_name).collect();
        said.push(table.say("tls.ciphers", Value::Text(suites.join(":")), "ssl_cipher_suites"));
    }
    said
}

/// The other server: where it is, who we are there, and its waits. The rest is that of the first.
fn backup(main: &Table, table: &Table, checked: &mut Checked) -> Vec<Said> {
    if !table.is("enable", false) {
        return Vec::new();
    }
    if table.text("server").is_none() {
        checked.problems.push(problem(table, "server", "must say where the backup server is".to_owned()));
        return Vec::new();
    }
    if is_encrypted(table) != is_encrypted(main) {
        let message = "both servers need TLS, or neither: there is one configuration for both".to_owned();
        checked.problems.push(problem(table, "ssl_ca_cert", message));
    }
    let own = [
        "enable",
        "server",
        "user",
        "pass",
        "reconnect_timeout_min",
        "reconnect_timeout_max",
        "ws_enable",
        "ws_path",
    ];
    for (key, node) in &table.values {
        let differs = main.node(key).is_none_or(|other| other.value != node.value);
        let says_something = !matches!(&node.value, Value::Text(text) if text.is_empty());
        if !own.contains(key) && differs && says_something {
            let message = "differs, and the value of `mqtt` counts for both servers".to_owned();
            checked.warnings.push(problem(table, key, message));
        }
    }
    let mut said = vec![
        table.say("backup.server", Value::Text(address(table)), "server"),
        table.pass_or("backup.minimum", "reconnect_timeout_min", Value::Float(2.0)),
        table.pass_or("backup.maximum", "reconnect_timeout_max", Value::Float(60.0)),
    ];
    said.extend(table.pass("backup.username", "user"));
    said.extend(table.pass("backup.password", "pass"));
    said
}

fn is_encrypted(table: &Table) -> bool {
    table.text("ssl_ca_cert").is_some() || table.text("ssl_psk_identity").is_some()
}

/// `host` or `host:port` as an address. An IPv6 address may have brackets, and must have them before a port.
fn address(table: &Table) -> String {
    let server = table.text("server").unwrap_or("iot.eclipse.org");
    let scheme = match (table.is("ws_enable", false), is_encrypted(table)) {
        (false, false) => "mqtt",
        (false, true) => "mqtts",
        (true, false) => "ws",
        (true, true) => "wss",
    };
    let (host, port) = match server.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(port)),
        _ => (server, None),
    };
    let host =
        if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() };
    let default = if is_encrypted(table) { "8883" } else { "1883" };
    let path = if scheme.starts_with("ws") { table.text("ws_path").unwrap_or("/mqtt") } else { "" };
    format!("{scheme}://{host}:{}{path}", port.unwrap_or(default))
}

/// A cipher suite as OpenSSL calls it: `TLS-ECDHE-RSA-WITH-AES-128-GCM-SHA256` is `ECDHE-RSA-AES128-GCM-SHA256`.
fn openssl_name(suite: &str) -> String {
    let Some((exchange, cipher)) =
        suite.trim().strip_prefix("TLS-").and_then(|name| name.split_once("-WITH-"))
    else {
        return suite.trim().to_owned();
    };
    let cipher = cipher
        .replace("AES-128", "AES128")
        .replace("AES-256", "AES256")
        .replace("-CBC", "")
        .replace("CCM-8", "CCM8")
        .replace("CHACHA20-POLY1305-SHA256", "CHACHA20-POLY1305");
    if exchange == "RSA" { cipher } else { format!("{exchange}-{cipher}") }
}

fn problem(table: &Table, key: &str, message: String) -> Problem {
    Problem::new(table.node(key).and_then(|node| node.at), format!("{}{key}", table.name), message)
}
