//! What a user starts from has an example in its documentation.

use super::items::Items;

/// Folder of the crate, and what one starts from: types, functions, methods.
const STARTS: &[(&str, &[&str])] = &[
    ("blocking", &["Client", "Subscriber", "Wait", "WaitError", "wait_for"]),
    (
        "client",
        &[
            "Authenticator",
            "Callback",
            "Client",
            "Client::connect",
            "Client::disconnect",
            "Client::events",
            "Client::messages",
            "Client::on_event",
            "Client::ping",
            "Client::publish",
            "Client::publish_json",
            "Client::publish_typed",
            "Client::reconfigure",
            "Client::request",
            "Client::respond_to",
            "Client::start",
            "Client::state",
            "Client::subscribe",
            "Client::subscribe_many",
            "Client::subscription",
            "ConnectError",
            "Credentials",
            "Events",
            "Message",
            "Message::ack",
            "Options",
            "Options::credentials_from",
            "Options::on_packet",
            "Pem",
            "Proxy",
            "Publish",
            "PublishError",
            "Receipt",
            "Request",
            "Responder",
            "Scram",
            "ServerOptions",
            "StreamedPayload",
            "Subscriber",
            "Subscription",
            "Subscription::call",
            "Subscription::standing",
            "Tcp",
            "Tls",
            "TopicDefaults",
            "Transport",
            "TypedTopic",
            "WebSocket",
        ],
    ),
    (
        "config",
        &[
            "Config",
            "Config::load",
            "Config::parse",
            "Config::options",
            "ConfigError",
            "TopicLog",
            "json_schema",
        ],
    ),
    ("core", &["Router", "TopicFilter", "TopicName", "Backoff", "PropertiesBuf"]),
    (
        "hub",
        &[
            "Hub",
            "Hub::add",
            "Hub::find",
            "Hub::follow",
            "Hub::listener",
            "Hub::publish",
            "HubConfig",
            "ListenerBuilder",
            "MessageBroker",
            "Mqtt",
            "Payload",
            "Pipe",
            "PropertyFilter",
            "Protocol",
            "ProtocolClient",
            "Service",
        ],
    ),
    ("openssl", &["OpenSsl"]),
    ("quic", &["Quic"]),
    ("sim", &["Broker", "Pair"]),
    ("telemetry", &["TraceContext"]),
];

pub(super) fn violations(items: &Items) -> Vec<String> {
    let all = STARTS.iter().flat_map(|(folder, names)| names.iter().map(move |name| (*folder, *name)));
    all.filter_map(|(folder, name)| {
        let (owner, last) = name.split_once("::").unwrap_or(("", name));
        match items.example(folder, owner, last) {
            Some(true) => None,
            Some(false) => {
                Some(format!("{folder}: `{name}` has no example: whoever starts from it needs one"))
            }
            None => {
                Some(format!("{folder}: there is no public `{name}` any more: see xtask/src/check/starts.rs"))
            }
        }
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::super::source::Source;
    use super::*;

    #[test]
    fn the_starts_of_this_project_have_examples() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let items = Items::of(&super::super::source::read_all(&root).unwrap_or_default());
        assert_eq!(Vec::<String>::new(), violations(&items));
    }

    #[test]
    fn a_start_without_an_example_is_found_and_one_that_is_gone() {
        let of = |text: &str| violations(&Items::of(&[Source::new("quic/src/lib.rs", text)]));
        let quic = |text: &str| of(text).into_iter().find(|finding| finding.starts_with("quic"));
        assert_eq!(quic("/// A.\n///\n/// ```\n/// ```\npub struct Quic;\n"), None);
        assert!(quic("/// A.\npub struct Quic;\n").is_some_and(|finding| finding.contains("no example")));
        assert!(quic("struct Quic;\n").is_some_and(|finding| finding.contains("any more")));
    }
}
