//! The keys: their names, types, defaults and meanings, in one table from which checking, showing, overriding and the
//! published JSON Schema come.

use crate::format::quoted;

/// A key of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    /// With dots between tables.
    pub(crate) path: &'static str,
    pub(crate) kind: Kind,
    /// As it would be written in JSON; empty: none.
    pub(crate) default: &'static str,
    pub(crate) about: &'static str,
}

/// What a value may be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Bool,
    /// From, to.
    Integer(i64, i64),
    /// Seconds, fractions allowed.
    Seconds,
    Text,
    /// Not to be shown.
    Secret,
    /// May hold a password, which is not to be shown.
    Url,
    Choice(&'static [&'static str]),
    TextList,
    /// As `Url`.
    UrlList,
    /// SHA-256 of certificates, hexadecimal.
    Digests,
    TextMap,
    /// Filters with QoS and retain flag.
    Topics,
    /// Anything: it has no meaning here, and passes with a warning.
    Ignored(&'static str),
}

const fn key(path: &'static str, kind: Kind, default: &'static str, about: &'static str) -> Key {
    Key { path, kind, default, about }
}

pub(crate) const QOS: Kind = Kind::Integer(0, 2);
/// The longest time, 136 years: what the protocol has room for.
pub(crate) const LONGEST: u32 = u32::MAX;
const BIG: i64 = u32::MAX as i64;

/// The keys of our own files.
pub(crate) const KEYS: &[Key] = &[
    key("$schema", Kind::Text, "", "Where this schema is, for editors. It has no meaning here."),
    key("enable", Kind::Bool, "true", "False: nothing is to be connected."),
    key("server", Kind::Url, "", "mqtt://, mqtts://, ws://, wss:// or unix:// address of the server."),
    key(
        "servers",
        Kind::UrlList,
        "",
        "Addresses of further servers, tried in turn after the first and the backup.",
    ),
    key("client_id", Kind::Text, "", "Client identifier; without one, pb- and random characters."),
    key("username", Kind::Text, "", "User name."),
    key("password", Kind::Secret, "", "Password."),
    key(
        "password_file",
        Kind::Text,
        "",
        "File that holds the password, read anew for every attempt; a line's end behind it is left out.",
    ),
    key("version", Kind::Choice(&["auto", "5.0", "3.1.1", "3.1"]), "\"auto\"", "Version of MQTT."),
    key(
        "session",
        Kind::Choice(&["until_disconnect", "clean", "persistent"]),
        "\"until_disconnect\"",
        "What the broker keeps over a cut; persistent: also over restarts.",
    ),
    key("session_expiry", Kind::Seconds, "3600", "How long a persistent session is kept (5.0)."),
    key("user_properties", Kind::TextMap, "", "User properties of the connection (5.0)."),
    key("keep_alive", Kind::Seconds, "60", "Silence after which the link is probed; 0 turns it off."),
    key("probe_ahead", Kind::Seconds, "0", "How long before that the probe goes out."),
    key("connect_timeout", Kind::Seconds, "10", "Limit of one attempt to connect."),
    key("acknowledgement_timeout", Kind::Seconds, "60", "A missing acknowledgement ends the connection."),
    key("drain_timeout", Kind::Seconds, "5", "How long disconnecting waits for what was accepted."),
    key("maximum_qos", QOS, "2", "Messages above this QoS are sent at it."),
    key(
        "maximum_packet_size",
        Kind::Integer(16, 268_435_460),
        "268435456",
        "Largest packet accepted, bytes.",
    ),
    key("window", Kind::Integer(1, 65_535), "1024", "QoS 1 and 2 messages on the way at once."),
    key(
        "unannounced_window",
        Kind::Integer(1, 65_535),
        "20",
        "QoS 2 messages on the way at once to a broker of 3.1.1.",
    ),
    key("outgoing_aliases", Kind::Integer(0, 65_535), "0", "Topic aliases used for what is sent (5.0)."),
    key("topic_alias_maximum", Kind::Integer(0, 65_535), "16", "Topic aliases the broker may use (5.0)."),
    key("response_prefix", Kind::Text, "\"responses\"", "What the topics of answers to requests begin with."),
    key("response_information", Kind::Bool, "false", "Ask the broker for that beginning (5.0)."),
    key(
        "require_clock",
        Kind::Integer(0, i64::MAX),
        "",
        "Wait until the clock shows this, in seconds since 1970.",
    ),
    key("will.topic", Kind::Text, "", "Where the broker publishes the will."),
    key("will.message", Kind::Text, "\"\"", "What it says."),
    key("will.qos", QOS, "0", "Its QoS."),
    key("will.retain", Kind::Bool, "false", "Keep it as the topic's retained message."),
    key("will.delay", Kind::Seconds, "0", "How long the broker waits before it publishes the will (5.0)."),
    key("will.expiry", Kind::Seconds, "", "How long the will is worth delivering (5.0)."),
    key("will.content_type", Kind::Text, "", "What its message is, image/png for example (5.0)."),
    key("publish.qos", QOS, "0", "QoS of messages that do not say theirs."),
    key("publish.retain", Kind::Bool, "false", "Retain flag of messages that do not say theirs."),
    key("topics", Kind::Topics, "", "The same by topic filter."),
    key("queue.messages", Kind::Integer(1, BIG), "1000", "Messages that may wait for the connection."),
    key("queue.bytes", Kind::Integer(1, BIG), "16777216", "Their bytes."),
    key(
        "queue.policy",
        Kind::Choice(&["wait", "reject", "drop_oldest", "drop_newest"]),
        "\"wait\"",
        "What publishing does when the queue is full.",
    ),
    key("queue.qos0_offline", Kind::Bool, "true", "Keep QoS 0 messages while offline."),
    key(
        "queue.resend_unresolved",
        Kind::Bool,
        "true",
        "Send QoS 2 messages again whose end a lost session leaves open; false: they fail.",
    ),
    key(
        "queue.poison_limit",
        Kind::Integer(0, 255),
        "5",
        "Connections that may end over one message before it is given up; 0: any number.",
    ),
    key("inbound.messages", Kind::Integer(1, 65_535), "1024", "Arrived messages that may wait to be taken."),
    key("inbound.bytes", Kind::Integer(1, BIG), "16777216", "Their bytes."),
    key("inbound.strict", Kind::Bool, "false", "Leave a broker that sends more than that at once."),
    key("reconnect.minimum", Kind::Seconds, "1", "First wait between attempts; each doubles the one before."),
    key("reconnect.maximum", Kind::Seconds, "120", "Longest wait."),
    key(
        "reconnect.jitter",
        Kind::Choice(&["full", "decorrelated", "tenth", "none"]),
        "\"full\"",
        "How waits are made random; tenth: by a tenth up or down.",
    ),
    key(
        "reconnect.retries",
        Kind::Integer(0, BIG),
        "",
        "Retries before the client gives up; no limit without it.",
    ),
    key(
        "reconnect.stable_after",
        Kind::Seconds,
        "30",
        "A connection that stood so long starts the waits anew.",
    ),
    key(
        "reconnect.refusals",
        Kind::Choice(&["retry_slowly", "retry", "stop"]),
        "\"retry_slowly\"",
        "What is done when the broker refuses user, password or the like.",
    ),
    key(
        "reconnect.redirects",
        Kind::Integer(0, 255),
        "3",
        "References to other servers followed in a row (5.0).",
    ),
    key(
        "reconnect.on_demand",
        Kind::Bool,
        "false",
        "Connect, at first and again, only when something waits to be sent.",
    ),
    key("reconnect.renew_after", Kind::Seconds, "", "Replace a connection by a fresh one after so long."),
    key(
        "reconnect.return_after",
        Kind::Seconds,
        "",
        "From another server, try the first one again after so long.",
    ),
    key(
        "reconnect.shared_sessions",
        Kind::Bool,
        "false",
        "All servers know the session that one of them keeps.",
    ),
    key("backup.server", Kind::Url, "", "Address of a second server, for when the first fails."),
    key("backup.username", Kind::Text, "", "User name there."),
    key("backup.password", Kind::Secret, "", "Password there."),
    key("backup.minimum", Kind::Seconds, "", "First wait between attempts there."),
    key("backup.maximum", Kind::Seconds, "", "Longest wait there."),
    key("tcp.no_delay", Kind::Bool, "true", "Send small packets at once."),
    key("tcp.keep_alive", Kind::Seconds, "", "Silence after which the operating system probes, too."),
    key("tcp.keep_alive_interval", Kind::Seconds, "", "Time between its probes without answer."),
    key("tcp.keep_alive_count", Kind::Integer(1, 127), "", "So many of them break the connection."),
    key("tcp.bind_address", Kind::Text, "", "Local address to connect from, or a host name of it."),
    key("tcp.interface", Kind::Text, "", "Network interface to connect through (Linux)."),
    key("tcp.connect_timeout", Kind::Seconds, "", "Limit of finding the address and opening the connection."),
    key("tls.authority", Kind::Text, "", "PEM file of the certificate authorities to trust; turns TLS on."),
    key("tls.authority_folder", Kind::Text, "", "Folder of such files."),
    key("tls.authority_data", Kind::Text, "", "The same in the file itself."),
    key(
        "tls.system_authorities",
        Kind::Bool,
        "",
        "Trust the system's; without a word, unless others are given.",
    ),
    key("tls.certificate", Kind::Text, "", "PEM file of the client's certificate."),
    key("tls.key", Kind::Text, "", "PEM file of its private key."),
    key("tls.key_password", Kind::Secret, "", "Password of that key."),
    key("tls.revocation_lists", Kind::TextList, "", "PEM files of revoked certificates, which are refused."),
    key(
        "tls.pins",
        Kind::Digests,
        "",
        "SHA-256 of certificates or public keys, hexadecimal: the server must have one of them.",
    ),
    key("tls.server_name", Kind::Text, "", "Name to find in the server's certificate; its host otherwise."),
    key("tls.alpn", Kind::TextList, "", "Application protocols to offer."),
    key("tls.oldest", Kind::Choice(&["1.2", "1.3"]), "\"1.2\"", "Oldest version to speak."),
    key("tls.newest", Kind::Choice(&["1.2", "1.3"]), "\"1.3\"", "Newest version to speak."),
    key("tls.resumption", Kind::Bool, "true", "Take up the TLS session of an earlier connection."),
    key("tls.verify_name", Kind::Bool, "true", "False, which is dangerous: accept any name."),
    key("tls.verify", Kind::Bool, "true", "False, which is dangerous: accept any certificate."),
    key("tls.psk_identity", Kind::Text, "", "Identity for a pre-shared key."),
    key("tls.psk_key", Kind::Secret, "", "That key, hexadecimal."),
    key("tls.ciphers", Kind::Text, "", "Cipher string of OpenSSL, for TLS 1.2."),
    key("tls.cipher_suites", Kind::Text, "", "Cipher suites of OpenSSL, for TLS 1.3."),
    key(
        "proxy",
        Kind::Url,
        "",
        "http:// or socks5:// address of a proxy; environment: the one that it names.",
    ),
    key("websocket.headers", Kind::TextMap, "", "Further headers of the WebSocket's request."),
    key("log.topic", Kind::Text, "", "Log lines of the program are published here."),
    key("log.error_topic", Kind::Text, "", "Its error lines."),
];

pub(crate) fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path == path)
}

/// The JSON Schema (2020-12) of our own files.
///
/// ```
/// assert!(packetboat_config::json_schema().contains("keep_alive"));
/// ```
#[must_use]
pub fn json_schema() -> String {
    let mut tables: Vec<(&str, Vec<String>)> = vec![("", Vec::new())];
    for key in KEYS {
        let (table, name) = key.path.split_once('.').unwrap_or(("", key.path));
        if !tables.iter().any(|(other, _)| *other == table) {
            tables.push((table, Vec::new()));
        }
        let line = format!("{}: {}", quoted(name), property(key));
        if let Some((_, lines)) = tables.iter_mut().find(|(other, _)| *other == table) {
            lines.push(line);
        }
    }
    let object = |lines: &[String], indent: &str| {
        let body = lines.join(&format!(",\n{indent}    "));
        format!(
            "\"type\": \"object\",\n{indent}  \"additionalProperties\": false,\n{indent}  \"properties\": \
             {{\n{indent}    {body}\n{indent}  }}"
        )
    };
    let nested: Vec<String> = tables[1..]
        .iter()
        .map(|(name, lines)| format!("{}: {{\n      {}\n    }}", quoted(name), object(lines, "    ")))
        .collect();
    let all: Vec<String> = tables[0].1.iter().cloned().chain(nested).collect();
    format!(
        "{{\n  \"$schema\": \"https://json-schema.org/draft/2020-12/schema\",\n  \"title\": \"packetboat\",\n  {}\n}}\n",
        object(&all, "")
    )
}

fn property(key: &Key) -> String {
    let kind = match key.kind {
        Kind::Bool => "\"type\": \"boolean\"".to_owned(),
        Kind::Integer(from, to) => format!("\"type\": \"integer\", \"minimum\": {from}, \"maximum\": {to}"),
        Kind::Seconds => format!("\"type\": \"number\", \"minimum\": 0, \"maximum\": {LONGEST}"),
        Kind::Text | Kind::Secret | Kind::Url => "\"type\": \"string\"".to_owned(),
        Kind::Choice(choices) => {
            let choices: Vec<String> = choices.iter().map(|choice| quoted(choice)).collect();
            format!("\"enum\": [{}]", choices.join(", "))
        }
        Kind::TextList | Kind::UrlList => {
            "\"type\": \"array\", \"items\": { \"type\": \"string\" }".to_owned()
        }
        Kind::Digests => "\"type\": \"array\", \"items\": { \"type\": \"string\", \"pattern\": \
             \"^([0-9A-Fa-f]{2}:?){31}[0-9A-Fa-f]{2}$\" }"
            .to_owned(),
        Kind::TextMap => {
            "\"type\": \"object\", \"additionalProperties\": { \"type\": \"string\" }".to_owned()
        }
        Kind::Topics => "\"type\": \"object\", \"additionalProperties\": { \"type\": \"object\", \
             \"additionalProperties\": false, \"properties\": { \"qos\": { \"type\": \"integer\", \"minimum\": 0, \
             \"maximum\": 2 }, \"retain\": { \"type\": \"boolean\" } } }"
            .to_owned(),
        Kind::Ignored(_) => String::new(),
    };
    let default =
        if key.default.is_empty() { String::new() } else { format!(", \"default\": {}", key.default) };
    format!("{{ {kind}{default}, \"description\": {} }}", quoted(key.about))
}
