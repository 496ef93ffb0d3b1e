//! Our own files: three formats, errors with their places, the environment, showing and converting.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]

use packetboat_config::{Config, ConfigError, Dialect, Format, Origin, Position};

const FORMATS: [Format; 3] = [Format::Toml, Format::Json, Format::Yaml];

const TOML: &str = "
server = \"mqtt://user:hush@h:1884\" # a comment
client_id = \"thermometer\"
keep_alive = 30
probe_ahead = 2.5
password = \"secret\"
version = \"3.1.1\"

[reconnect]
maximum = 60

[topics.\"a/+/b\"]
qos = 1
retain = true

[tls]
alpn = [\"mqtt\", \"x\\ty\"]
";

const JSON: &str = r#"{
  // a comment
  "server": "mqtt://user:hush@h:1884", "client_id": "thermometer", /* another */
  "keep_alive": 30, "probe_ahead": 2.5, "password": "secret", "version": "3.1.1",
  "reconnect": { "maximum": 60 },
  "topics": { "a/+/b": { "qos": 1, "retain": true } },
  "tls": { "alpn": ["mqtt", "x\ty"] },
}"#;

const YAML: &str = "# a comment
server: mqtt://user:hush@h:1884
client_id: thermometer
keep_alive: 30
probe_ahead: 2.5
password: secret
version: '3.1.1'
reconnect:
  maximum: 60
topics:
  a/+/b: { qos: 1, retain: true }
tls:
  alpn: [mqtt, \"x\\ty\"]
";

fn parse(text: &str, format: Format) -> Config {
    Config::parse(text, format).unwrap_or_else(|error| panic!("{format:?}: {error}"))
}

fn wrong(text: &str, format: Format) -> Vec<String> {
    match Config::parse(text, format) {
        Err(ConfigError::Wrong(problems)) => problems.iter().map(ToString::to_string).collect(),
        other => panic!("{other:?}"),
    }
}

/// Without the places.
fn values(config: &Config) -> Vec<String> {
    config.show().lines().map(|line| line.split("  #").next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn the_three_formats_say_the_same_and_each_is_converted_to_each() {
    let all = [(TOML, Format::Toml), (JSON, Format::Json), (YAML, Format::Yaml)];
    let first = parse(TOML, Format::Toml);
    assert_eq!(first.dialect(), Dialect::Packetboat);
    for (text, format) in all {
        let config = parse(text, format);
        assert_eq!(values(&config), values(&first), "{format:?}");
        for other in FORMATS {
            let written = config.write(other);
            let back = parse(&written, other);
            assert_eq!(
                back.write(Format::Json),
                first.write(Format::Json),
                "{format:?} to {other:?}: {written}"
            );
            assert!(written.contains("hush") && written.contains("secret"), "a conversion keeps secrets");
        }
        config.options().unwrap();
    }
}

#[test]
fn what_is_wrong_is_told_with_line_and_column_and_the_nearest_right_key() {
    let cases = [
        (
            "server = 'mqtt://h'\nkeep_alvie = 3",
            Format::Toml,
            "2:1: `keep_alvie` is no key: did you mean `keep_alive`?",
        ),
        ("a = 1\nb = ", Format::Toml, "2:5: "),
        ("{\n  \"server\": \"mqtt://h\"\n  \"keep_alive\": 3\n}", Format::Json, "2:23: Expected comma"),
        (
            "{\n  \"keep_alive\": \"3\"\n}",
            Format::Json,
            "2:3: `keep_alive` must be a number of seconds, and is text",
        ),
        ("{\"keep_alive\": 1, \"keep_alive\": 2}", Format::Json, "1:19: `keep_alive` is there twice"),
        (
            "reconnect:\n  maxmum: 3",
            Format::Yaml,
            "2:3: `reconnect.maxmum` is no key: did you mean `reconnect.maximum`?",
        ),
        ("authority: ca.pem", Format::Yaml, "1:1: `authority` is no key: did you mean `tls.authority`?"),
        (
            "queue:\n  policy: dropoldest",
            Format::Yaml,
            "2:3: `queue.policy` must be one of wait, reject, drop_oldest",
        ),
        ("server: [a", Format::Yaml, "2:1: while parsing a flow sequence"),
        ("tls = 3", Format::Toml, "1:1: `tls` must be a table, and is a whole number"),
        ("topics = { a = { qos = 3 } }", Format::Toml, "1:1: `topics` must be a table of topics"),
        ("maximum_qos = 3", Format::Toml, "1:1: `maximum_qos` must be a whole number from 0 to 2"),
        (
            "client_id: 123",
            Format::Yaml,
            "1:1: `client_id` must be text, and is a whole number: put it in quotes",
        ),
        (
            "version: 5.0",
            Format::Yaml,
            "1:1: `version` must be one of auto, 5.0, 3.1.1, 3.1, and is a number: put it in quotes",
        ),
        ("keep_alive = -1", Format::Toml, "1:1: `keep_alive` must be a number of seconds"),
        ("a: 1\n---\nb: 2", Format::Yaml, "3:1: a second document begins"),
    ];
    for (text, format, expected) in cases {
        let problems = wrong(text, format);
        assert!(problems[0].starts_with(expected), "{text}: {problems:?}");
    }
    let all = wrong("x = 1\ny = 2\nkeep_alive = true", Format::Toml);
    assert_eq!(all.len(), 3, "all of them at once: {all:?}");
}

#[test]
fn files_are_known_by_their_names_and_errors_name_them() {
    let directory = std::env::temp_dir().join(format!("packetboat-config-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    for (name, text) in [("a.toml", TOML), ("b.json", JSON), ("c.yml", YAML)] {
        let path = directory.join(name);
        std::fs::write(&path, text).unwrap();
        let config = Config::load(&path).unwrap();
        let Some(Origin::File { name: origin, at: Some(Position { line, .. }), key: None }) =
            config.origin("keep_alive")
        else {
            panic!("{:?}", config.origin("keep_alive"))
        };
        assert_eq!((origin.as_str(), *line), (path.to_str().unwrap(), 4));
    }
    let wrong = directory.join("wrong.toml");
    std::fs::write(&wrong, "\nsevrer = 1").unwrap();
    let error = Config::load(&wrong).unwrap_err().to_string();
    assert!(error.starts_with(&format!("{}:2:1: `sevrer`", wrong.display())), "{error}");
    assert!(matches!(Config::load(directory.join("none.toml")), Err(ConfigError::Read { .. })));
    assert!(matches!(Config::load(directory.join("boat.conf")), Err(ConfigError::UnknownFormat(_))));
    std::fs::remove_dir_all(directory).unwrap();
}

#[test]
fn the_environment_wins_and_its_mistakes_are_errors() {
    let variables = |list: &[(&str, &str)]| {
        list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<Vec<_>>()
    };
    let good = variables(&[
        ("PACKETBOAT_OPTION_KEEP_ALIVE", "20"),
        ("PACKETBOAT_OPTION_TLS__ALPN", "a,b"),
        ("PACKETBOAT_OPTION_WILL__RETAIN", "true"),
        ("PACKETBOAT_WORLDS", "3"),
    ]);
    let config = parse(TOML, Format::Toml).with_environment(good).unwrap();
    let shown = config.show();
    assert!(shown.contains("keep_alive = 20.0  # environment, PACKETBOAT_OPTION_KEEP_ALIVE\n"), "{shown}");
    assert!(shown.contains("tls.alpn = [\"a\", \"b\"]  # environment"), "{shown}");
    let bad = variables(&[("PACKETBOAT_OPTION_KEEPALIVE", "20"), ("PACKETBOAT_OPTION_MAXIMUM_QOS", "x")]);
    let error = parse(TOML, Format::Toml).with_environment(bad).unwrap_err().to_string();
    assert!(error.contains("did you mean PACKETBOAT_OPTION_KEEP_ALIVE?"), "{error}");
    assert!(error.contains("PACKETBOAT_OPTION_MAXIMUM_QOS: `maximum_qos` must be a whole number"), "{error}");
}

#[test]
fn showing_says_every_value_that_applies_and_where_it_comes_from_and_no_secret() {
    let config = parse(TOML, Format::Toml);
    let shown = config.show();
    assert!(shown.contains("server = \"mqtt://user:***@h:1884\"  # text:2:1"), "{shown}");
    assert!(shown.contains("password = ***  # text:6:1"), "{shown}");
    assert!(shown.contains("connect_timeout = 10  # default"), "{shown}");
    for hidden in [&shown, &format!("{config:?}")] {
        assert!(!hidden.contains("hush") && !hidden.contains("secret"), "{hidden}");
    }
}

#[test]
fn options_that_cannot_be_are_errors_that_name_the_key() {
    let error = |text: &str| match parse(text, Format::Toml).options() {
        Err(error) => error.to_string(),
        Ok(options) => panic!("{options:?}"),
    };
    assert_eq!(error(""), "`server` is missing: say where to connect");
    assert_eq!(error("enable = false"), "`enable` is false: nothing is to be connected");
    assert_eq!(error("server = 'mqtt://h'\nwill.qos = 1"), "`will.qos` needs `will.topic` beside it");
    assert_eq!(error("server = 'mqtt://h'\nwill.delay = 1"), "`will.delay` needs `will.topic` beside it");
    assert_eq!(
        error("server = 'mqtt://h'\ntcp.keep_alive_count = 1"),
        "`tcp.keep_alive_count` needs `tcp.keep_alive` beside it"
    );
    assert_eq!(
        error("server = 'mqtts://h'\ntls.ciphers = 'PSK'\ntls.alpn = ['mqtt']"),
        "`tls.alpn` does not go together with `tls.ciphers`, which asks for OpenSSL"
    );
    let both = "server = 'mqtt://h'\npassword = 'a'\npassword_file = 'b'";
    assert_eq!(error(both), "`password_file` and `password` both say it: drop one of them");
    assert_eq!(
        error("server = 'mqtt://u@h'\npassword_file = 'b'"),
        "`password_file` needs the user name as `username`, and not in `server`"
    );
    assert_eq!(error("server = 'mqtt://h'\ntls.key = 'k'"), "`tls.key` needs `tls.certificate` beside it");
    assert!(error("server = 'mqtt://h'\nproxy = 'ftp://x'").starts_with("`proxy` "));
}

/// YAML 1.2 knows `true` and `false`; what 1.1 took for them is text, which is told where it is wrong and kept where text
/// is wanted.
#[test]
fn yes_and_no_are_text_in_yaml() {
    for word in ["yes", "Yes", "on", "no", "off", "'yes'"] {
        let is = matches!(word.trim_matches('\'').to_lowercase().as_str(), "yes" | "on");
        let problems = wrong(&format!("publish: {{ retain: {word} }}"), Format::Yaml);
        let expected = format!("1:12: `publish.retain` must be true or false, and is text: write {is}");
        assert_eq!(problems, [expected]);
        let config = parse(&format!("client_id: {word}"), Format::Yaml);
        assert_eq!(values(&config)[1], format!("client_id = \"{}\"", word.trim_matches('\'')));
    }
    for word in ["true", "True", "TRUE", "false"] {
        let config = parse(&format!("publish: {{ retain: {word} }}"), Format::Yaml);
        let expected = format!("publish.retain = {}", word.to_lowercase());
        assert!(values(&config).contains(&expected), "{word}");
    }
    assert_eq!(
        wrong("publish: { retain: 'true' }", Format::Yaml),
        ["1:12: `publish.retain` must be true or false, and is text"]
    );
}
