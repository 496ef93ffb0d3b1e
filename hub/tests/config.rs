//! The file of a hub: what is right, and what is said of what is wrong.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]

use packetboat_config::{ConfigError, Format};
use packetboat_hub::HubConfig;

fn parse(text: &str) -> Result<HubConfig, ConfigError> {
    HubConfig::parse(text, Format::Toml, |name| (name == "HOSTNAME").then(|| "boat-1".to_owned()))
}

/// All that is wrong, one a line.
fn wrong(text: &str) -> Vec<String> {
    match parse(text) {
        Ok(_) => Vec::new(),
        Err(error) => error.to_string().lines().map(str::to_owned).collect(),
    }
}

const FINE: &str = r#"
name = "harbour"
instance = "${HOSTNAME}"
drain_timeout = 5

[connections.plant]
host = "plant.local"
keepalive = 20

[connections.cloud]
server = "mqtts://cloud.example"
username = "boat"
password = "${NO_PASSWORD:-secret}"

[http]
listen = "127.0.0.1:9464"

[log]
level = "debug"
format = "json"

[[targets]]
protocol = "mqtt"
name = "other"
mqtt_options = { server = "mqtt://other", client_id = "${HOSTNAME}" }

[[pipes]]
name = "temperatures"
from = { connection = "plant", filter = "plant/{line}/temp/#", qos = 2, share = "hubs" }
rate = 500
window = 100
retry = { minimum = 0.5, maximum = 30, attempts = 5 }
dead_letter = { target_name = "other", mqtt_message_options = { topic = "dead/${id}" } }

[[pipes.destinations]]
target_name = "cloud"
mqtt_message_options = { topic = "all/{line}/#", qos = 1, retain = false }

[[pipes.destinations]]
target_name = "other"
mqtt_message_options = { topic = "lines/${line}/${topic}" }
"#;

#[test]
fn a_whole_file_is_read() {
    let config = parse(FINE).unwrap();
    assert_eq!(config.name(), "harbour");
    assert_eq!(config.http(), Some("127.0.0.1:9464".parse().unwrap()));
    assert!(config.log().json);
    let shown = format!("{config:?}");
    assert!(!shown.contains("secret") && shown.contains("temperatures"), "{shown}");
}

#[test]
fn every_problem_is_told_with_its_place_and_the_nearest_key() {
    let text = r#"
naem = "harbour"
[connections.plant]
hots = "plant.local"
keep_alive = "long"
[[pipes]]
name = "up there"
from = { connection = "plnat", filter = "a/{b" }
windwo = 3
[[pipes.destinations]]
target_name = "clod"
[[pipes]]
message_id = "x"
from = { connection = "plant", filter = "a" }
[[pipes]]
destinations = []
[log]
level = "loud"
[http]
listen = "everywhere"
"#;
    let wrong = wrong(text);
    let expected = [
        "2:1: `naem` is no key: did you mean `name`?",
        "5:1: `connections.plant.keep_alive` must be a number of seconds, and is text",
        "4:1: `connections.plant.hots` is no key",
        "7:1: `pipes[0].name` must have 1 to 64 letters",
        "8:10: `pipes[0].from.connection` is \"plnat\", and there is no such connection: did you mean `plant`?",
        "`pipes[0].from.filter` has the level \"{b\"",
        "9:1: `pipes[0].windwo` is no key: did you mean `pipes[0].window`?",
        "`pipes[0].destinations[0].target_name` is \"clod\", and there is no such connection or target",
        "`pipes[1].message_id` cannot be beside `from`",
        "`pipes[2]` must start somewhere",
        "18:1: `log.level` must be one of error, warn, info, debug",
        "20:1: `http.listen` must be an address and a port",
    ];
    for part in expected {
        assert!(wrong.iter().any(|line| line.contains(part)), "{part:?} is not in {wrong:#?}");
    }
    let lines: Vec<usize> =
        wrong.iter().map(|line| line.split(':').next().unwrap().parse().unwrap()).collect();
    assert!(lines.is_sorted(), "{wrong:#?}");
}

#[test]
fn each_mistake_is_told_once_and_brings_no_others() {
    for (text, told) in [
        ("pipes = 3", "1:1: `pipes` must be a list, and is 3"),
        (
            "connections = { a = { host = \"h\", port = 70000 } }",
            "1:35: `connections.a.port` must be a whole number from 1 to 65535",
        ),
        (
            "targets = [{ name = \"f\", protocol = \"file\", file_options = { sinc = true } }]\n\
             pipes = [{ message_id = \"m\", destinations = [{ target_name = \"f\" }] }]",
            "1:62: `targets[0].file_options.sinc` is no key: did you mean `sync`?",
        ),
    ] {
        assert_eq!(wrong(text), [told]);
    }
}

/// A file with these lines at the top and in its only pipe.
fn with(top: &str, pipe: &str) -> String {
    format!(
        "{top}\n[connections.plant]\nserver = \"mqtt://plant\"\n[connections.cloud]\nserver = \"mqtt://cloud\"\n\
         [[pipes]]\nname = \"up\"\ndestinations = [{{ target_name = \"cloud\" }}]\n{pipe}\n"
    )
}

#[test]
fn what_a_pipe_needs_is_told() {
    let from = "from = { connection = \"plant\", filter = \"a/#\" }";
    assert_eq!(wrong(&with("name = \"hub\"", from)), [""; 0]);
    for (top, pipe, part) in [
        ("", from, "the file has no `name` at its top"),
        (
            "name = \"hub\"",
            "from = { connection = \"plant\", filter = \"a\", share = \"g\" }",
            "`pipes[0].from.share` needs `instance`",
        ),
        ("name = \"hub\"", &format!("{from}\nretry = {{ attempts = 3 }}"), "needs a `dead_letter`"),
        ("name = \"${NOTHING}\"", from, "needs the variable `NOTHING` of the environment"),
        (
            "name = \"hub\"",
            "from = { connection = \"plant\", filter = \"$share/g/a\" }",
            "say `share = \"group\"`",
        ),
    ] {
        let wrong = wrong(&with(top, pipe));
        assert!(wrong.len() == 1 && wrong[0].contains(part), "{part:?}: {wrong:#?}");
    }
}

/// Two pipes, between plant and cloud, that speak these versions.
fn both_ways(version: &str, up: (&str, &str), down: (&str, &str)) -> String {
    let pipe = |name: &str, from: &str, to: &str, (filter, topic): (&str, &str)| {
        format!(
            "[[pipes]]\nname = \"{name}\"\nfrom = {{ connection = \"{from}\", filter = \"{filter}\" }}\ndestinations = [{{ \
             target_name = \"{to}\", mqtt_message_options = {{ topic = \"{topic}\" }} }}]\n"
        )
    };
    format!(
        "name = \"hub\"\n[connections.plant]\nserver = \"mqtt://plant\"\n[connections.again]\nserver = \"mqtt://plant:1883\"\n\
         [connections.cloud]\nserver = \"mqtt://cloud\"\nversion = \"{version}\"\n{}{}",
        pipe("up", "plant", "cloud", up),
        pipe("down", "cloud", "again", down)
    )
}

#[test]
fn a_circle_over_3_1_1_is_refused() {
    let same = ("a/#", "a/#");
    let wrong_then = wrong(&both_ways("3.1.1", same, same));
    assert_eq!(wrong_then.len(), 1, "{wrong_then:?}");
    assert!(wrong_then[0].contains("`pipes.up` is part of a circle: `up` -> `down`"), "{wrong_then:?}");
    assert!(wrong_then[0].contains("`cloud` speaks 3.1.1"), "{wrong_then:?}");
    // 5.0 carries the property by which messages are known.
    assert_eq!(wrong(&both_ways("5.0", same, same)), [""; 0]);
    // Topics that do not meet are no circle.
    assert_eq!(wrong(&both_ways("3.1.1", ("a/{x}", "up/{x}"), ("b/{x}", "down/{x}"))), [""; 0]);
    assert_eq!(wrong(&both_ways("3.1.1", ("a/{x}", "up/{x}"), ("up/{x}", "b/{x}"))), [""; 0]);
    assert_eq!(wrong(&both_ways("3.1.1", ("a/{x}", "up/{x}"), ("up/{x}", "a/{x}"))).len(), 1);
}

#[test]
fn panoramas_document_is_read_unchanged() {
    let text = r#"{
        "targets": [{ "protocol": "mqtt", "name": "sample-mqtt",
            "mqtt_options": { "endpoint": "<your-endpoint>", "region": "<your-region>", "client-id": "<your-client-id>" },
            "mqtt_subscriptions": [{ "subscription_id": "your-subscription-id", "topic": "your-mqtt-topic" }] }],
        "pipes": [{ "message_id": "your-message", "destinations": [
            { "target_name": "sample-mqtt", "mqtt_message_options": { "topic": "another-mqtt-topic" } }] }]
    }"#;
    // The broker it names is at AWS, whose connections are signed; all else is right.
    let error = HubConfig::parse(text, Format::Json, |_| None).unwrap_err().to_string();
    assert!(
        error.lines().next().unwrap().contains("`targets[0].mqtt_options.endpoint` names a broker at AWS"),
        "{error}"
    );
    let elsewhere = "\"server\": \"mqtt://broker\", \"client-id\"";
    let start = text.find("\"endpoint\"").unwrap();
    let end = text.find("\"client-id\"").unwrap() + "\"client-id\"".len();
    let text = format!("{}{elsewhere}{}", &text[..start], &text[end..]);
    let config = HubConfig::parse(&text, Format::Json, |_| None).unwrap();
    assert!(config.graph().contains("another-mqtt-topic"));
}

#[test]
fn the_drawing_is_whole_and_names_every_end() {
    let drawing = parse(FINE).unwrap().graph();
    for part in [
        "plant/{line}/temp/#",
        "temperatures",
        "all/{line}/# (QoS 1)",
        "mqtt: lines/${line}/${topic}",
        "dead letters: other",
        "shared: hubs",
    ] {
        assert!(drawing.contains(part), "{part} is missing");
    }
    for tag in ["svg", "g", "text", "title", "defs", "marker", "style"] {
        let (open, close) = (format!("<{tag}"), format!("</{tag}>"));
        let opened =
            drawing.match_indices(&open).filter(|(at, _)| drawing[at + open.len()..].starts_with([' ', '>']));
        assert_eq!(opened.count(), drawing.matches(&close).count(), "{tag}");
    }
    let odd = with("name = \"hub\"", "from = { connection = \"plant\", filter = \"<a>&b\" }");
    assert!(parse(&odd).unwrap().graph().contains("&lt;a&gt;&amp;b"));
}

#[test]
fn every_file_in_the_documentation_is_right() {
    let text = include_str!("../../docs/hub.md");
    let mut seen = 0;
    for part in text.split("```toml\n").skip(1) {
        let file = part.split("```").next().unwrap();
        parse(file).unwrap_or_else(|error| panic!("{error}\n{file}"));
        seen += 1;
    }
    assert_eq!(seen, 2);
}

#[test]
fn every_metric_in_the_documentation_is_there_and_the_other_way_round() {
    let documented = include_str!("../../docs/hub.md");
    let source = include_str!("../src/service/metrics.rs");
    let mut seen = 0;
    for name in source.split('"').filter(|word| word.starts_with("packetboat_hub_")) {
        let short = ["connection", "listener", "pipe", "destination"]
            .into_iter()
            .find_map(|part| name.strip_prefix(&format!("packetboat_hub_{part}")))
            .unwrap_or(name);
        assert!(
            documented.contains(&format!("`{name}`")) || documented.contains(&format!("`{short}`")),
            "{name}"
        );
        seen += 1;
    }
    assert!(seen >= 20, "{seen}");
}
