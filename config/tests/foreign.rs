//! Files of Mongoose OS and amqtt, read unchanged.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]

use std::io::Write;
use std::time::Duration;

use packetboat::{Client, PacketType};
use packetboat_config::{Config, ConfigError, Dialect, Format};
use packetboat_sim::net::Broker;

/// The sample of Mongoose's document. It lacks the comma after `will_topic`: mended here.
const MONGOOSE: &str = r#"{
  "clean_session": true,        // Clean session info stored on server
  "client_id": "",              // If not set, device.id is used
  "enable": false,              // Enable MQTT functionality
  "keep_alive": 60,             // How often to send PING messages in seconds
  "pass": "",                   // User password
  "reconnect_timeout_min": 2,   // Minimum reconnection timeout in seconds
  "reconnect_timeout_max": 60,  // Maximum reconnection timeout in seconds
  "server": "iot.eclipse.org",  // Server to connect to. if `:PORT` is not specified,
                                // 1883 or 8883 is used depending on whether SSL is enabled.
  "ssl_ca_cert": "",            // Set this to file name with CA certs to enable TLS
  "ssl_cert": "",               // Client certificate for mutual TLS
  "ssl_cipher_suites": "",      // TLS cipher suites
  "ssl_key": "",                // Private key for the client certificate
  "ssl_psk_identity": "",       // If set, a preshared key auth is used
  "ssl_psk_key": "",            // Preshared key
  "user": "",                   // MQTT user name, if MQTT auth is used
  "will_message": "",           // MQTT last will message
  "will_topic": "",             // MQTT last will topic

  "cloud_events": true,         // Trigger cloud events when connected / disconnected"
  "debug_use_log_level": false, // Use the original cs_log_level enum instead of stdout/stderr flag
}"#;

fn parse(text: &str, format: Format) -> Config {
    Config::parse(text, format).unwrap_or_else(|error| panic!("{error}"))
}

fn problems(text: &str) -> Vec<String> {
    match Config::parse(text, Format::Json) {
        Err(ConfigError::Wrong(problems)) => problems.iter().map(ToString::to_string).collect(),
        other => panic!("{other:?}"),
    }
}

/// All of these lines are shown, each without its origin.
fn says(config: &Config, lines: &[&str]) {
    let shown = config.show();
    for line in lines {
        assert!(shown.contains(&format!("{line}  #")), "{line} is missing:\n{shown}");
    }
}

#[test]
fn mongooses_own_sample_is_read_with_its_defaults() {
    let config = parse(MONGOOSE, Format::Json);
    assert_eq!(config.dialect(), Dialect::Mongoose);
    assert!(!config.is_enabled());
    let lines = [
        "server = \"mqtt://iot.eclipse.org:1883\"",
        "version = \"3.1.1\"",
        "session = \"clean\"",
        "keep_alive = 60",
        "reconnect.minimum = 2",
        "reconnect.maximum = 60",
        "reconnect.jitter = \"tenth\"",
        "queue.messages = 5",
        "queue.policy = \"drop_oldest\"",
        "maximum_packet_size = 3072",
    ];
    says(&config, &lines);
    let warnings: Vec<&str> = config.warnings().iter().map(|warning| warning.key.as_str()).collect();
    assert_eq!(warnings, ["cloud_events", "debug_use_log_level"]);
    assert!(config.options().unwrap_err().to_string().contains("`enable` is false"));
}

#[test]
fn every_key_of_mongoose_does_what_its_document_says() {
    let text = r#"{
      "device": { "id": "esp32_1", "mac": "x" },
      "wifi": { "ap": { "enable": true } },
      "debug": { "stdout_topic": "log/out", "stderr_topic": "log/err", "level": 2 },
      "mqtt": {
        "enable": true, "server": "h", "user": "u", "pass": "p", "keep_alive": 0, "clean_session": false,
        "reconnect_timeout_min": 1.5, "reconnect_timeout_max": 8, "max_qos": 1, "recv_mbuf_limit": 500,
        "require_time": true, "max_queue_length": 7, "ws_enable": true, "ws_path": "/ws",
        "will_topic": "w", "will_message": "gone", "will_retain": true,
        "ssl_ca_cert": "ca.pem", "ssl_cert": "c.pem", "ssl_key": "k.pem"
      },
      "mqtt1": { "enable": true, "server": "b:1234", "ssl_ca_cert": "ca.pem", "user": "u2", "pass": "p2",
                 "reconnect_timeout_min": 3, "keep_alive": 7 }
    }"#;
    let config = parse(text, Format::Json);
    let lines = [
        "enable = true",
        "server = \"wss://h:8883/ws\"",
        "client_id = \"esp32_1\"",
        "username = \"u\"",
        "password = ***",
        "keep_alive = 60",
        "session = \"persistent\"",
        "reconnect.minimum = 1.5",
        "reconnect.maximum = 8",
        "maximum_qos = 1",
        "maximum_packet_size = 500",
        "require_clock = 1500000000",
        "queue.messages = 7",
        "queue.qos0_offline = false",
        "will.topic = \"w\"",
        "will.message = \"gone\"",
        "will.retain = true",
        "tls.authority = \"ca.pem\"",
        "tls.certificate = \"c.pem\"",
        "tls.key = \"k.pem\"",
        "backup.server = \"mqtts://b:1234\"",
        "backup.username = \"u2\"",
        "backup.minimum = 3",
        "backup.maximum = 60.0",
        "log.topic = \"log/out\"",
        "log.error_topic = \"log/err\"",
    ];
    says(&config, &lines);
    assert!(config.show().contains("(mqtt.reconnect_timeout_min)"), "{}", config.show());
    let warnings: Vec<String> = config.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("`mqtt1.keep_alive` differs"), "{warnings:?}");
    config.options().unwrap();
    // As our own file it says the same.
    let own = parse(&config.write(Format::Toml), Format::Toml);
    assert_eq!(own.dialect(), Dialect::Packetboat);
    assert_eq!(own.write(Format::Json), config.write(Format::Json));
}

#[test]
fn mongooses_servers_ports_and_ciphers() {
    let server = |fields: &str| {
        let config = parse(&format!("{{\"mqtt\": {{\"enable\": true, {fields}}}}}"), Format::Json);
        config
            .show()
            .lines()
            .find(|line| line.starts_with("server"))
            .unwrap()
            .split("  #")
            .next()
            .unwrap()
            .to_owned()
    };
    assert_eq!(server("\"server\": \"h:99\""), "server = \"mqtt://h:99\"");
    assert_eq!(server("\"server\": \"::1\""), "server = \"mqtt://[::1]:1883\"");
    assert_eq!(server("\"server\": \"[::1]:7\""), "server = \"mqtt://[::1]:7\"");
    assert_eq!(server("\"server\": \"h\", \"ssl_ca_cert\": \"ca\""), "server = \"mqtts://h:8883\"");
    let psk = "\"server\": \"h\", \"ssl_psk_identity\": \"i\", \"ssl_psk_key\": \"00ff\"";
    assert_eq!(server(psk), "server = \"mqtts://h:8883\"");
    let suites =
        "\"ssl_cipher_suites\": \"TLS-PSK-WITH-AES-128-CCM-8:TLS-ECDHE-RSA-WITH-AES-128-GCM-SHA256\"";
    let config = parse(&format!("{{\"mqtt\": {{\"enable\": true, {psk}, {suites}}}}}"), Format::Json);
    says(&config, &["tls.ciphers = \"PSK-AES128-CCM8:ECDHE-RSA-AES128-GCM-SHA256\"", "tls.psk_key = ***"]);
    assert_eq!(config.options().is_ok(), cfg!(feature = "openssl"));
}

#[test]
fn mistakes_in_foreign_files_name_the_key_and_the_nearest_right_one() {
    assert_eq!(
        problems("{\"mqtt\": {\"reconnect_timout_max\": 3}}"),
        ["1:11: `mqtt.reconnect_timout_max` is no key: did you mean `mqtt.reconnect_timeout_max`?"]
    );
    let wrong = problems("{\"mqtt\": {\"enable\": \"yes\"}}");
    assert_eq!(wrong, ["1:11: `mqtt.enable` must be true or false, and is text: write true"]);
    let wrong = problems("{\"reconnect_retires\": 1, \"ping_delay\": 1}");
    assert_eq!(wrong, ["1:2: `reconnect_retires` is no key: did you mean `reconnect_retries`?"]);
    let wrong = problems("{\"cleansession\": true, \"certfile\": \"c\"}");
    assert_eq!(wrong, ["1:24: `certfile` needs `keyfile` beside it"]);
    let wrong = problems("{\"cleansession\": true, \"verify_cert\": false}");
    assert_eq!(wrong, ["1:24: `verify_cert` may be false only if `check_hostname` is false, too"]);
    let wrong = problems("{\"mqtt\": {}, \"mqtt1\": {\"enable\": true}}");
    assert!(wrong[0].contains("`mqtt1.server` must say where"), "{wrong:?}");
}

#[test]
fn mongooses_placeholders_are_filled_with_the_hardware_address() {
    let config = |device: &str| {
        let topics = r#""debug": { "stdout_topic": "log/????", "stderr_topic": "err/?/x" }"#;
        parse(
            &format!("{{\"mqtt\": {{\"enable\": true}}, {topics}, \"device\": {{{device}}}}}"),
            Format::Json,
        )
    };
    let own = config(r#""id": "esp32_??????", "mac": "aabbcc0102fe""#);
    // An odd number of question marks is left alone, as there.
    says(
        &own,
        &["client_id = \"esp32_0102FE\"", "log.topic = \"log/02FE\"", "log.error_topic = \"err/?/x\""],
    );
    assert!(own.warnings().is_empty(), "{:?}", own.warnings());
    // That of this machine, or a warning if it has none.
    let machines = config(r#""id": "esp32_??????""#);
    let is_filled = !machines.show().contains("esp32_??????");
    assert_eq!(is_filled, machines.warnings().is_empty(), "{}", machines.show());
    let wrong = config(r#""id": "a??", "mac": "zz""#);
    assert_eq!(wrong.warnings().len(), 2, "{:?}", wrong.warnings());
    assert!(wrong.warnings()[0].message.contains("question marks"), "{:?}", wrong.warnings());
}

/// The sample of amqtt's document, in the two formats its files have.
#[test]
fn amqtts_own_sample_is_read_and_both_generations_say_the_same() {
    let yaml = "
keep_alive: 10
ping_delay: 1
default_qos: 0
default_retain: false
auto_reconnect: true
reconnect_max_interval: 5
reconnect_retries: 10
topics:
  test: { qos: 1 }
  some_topic: { qos: 2, retain: true }
";
    let json = r#"{"keep_alive": 10, "ping_delay": 1, "default_qos": 0, "default_retain": false, "auto_reconnect": true,
      "reconnect_max_interval": 5, "reconnect_retries": 10,
      "topics": {"test": {"qos": 1}, "some_topic": {"qos": 2, "retain": true}}}"#;
    let (one, other) = (parse(yaml, Format::Yaml), parse(json, Format::Json));
    assert_eq!((one.dialect(), other.dialect()), (Dialect::Amqtt, Dialect::Amqtt));
    assert_eq!(one.write(Format::Toml), other.write(Format::Toml));
    let lines = [
        "server = \"mqtt://127.0.0.1:1883\"",
        "keep_alive = 10",
        "probe_ahead = 1",
        "session = \"clean\"",
        "connect_timeout = 60",
        "reconnect.maximum = 5",
        "reconnect.retries = 10",
        "topics = {\"test\": {\"qos\": 1}, \"some_topic\": {\"qos\": 2, \"retain\": true}}",
    ];
    says(&one, &lines);
    one.options().unwrap();
}

/// amqtt reads YAML 1.1, where these words are no text.
#[test]
fn amqtts_yes_and_no_are_true_and_false_where_that_is_wanted() {
    let text = "
cleansession: no
default_retain: Yes
auto_reconnect: off
topics: { yes: { retain: on } }
will: { topic: no, message: yes }
";
    let config = parse(text, Format::Yaml);
    let lines = [
        "session = \"persistent\"",
        "publish.retain = true",
        "reconnect.retries = 0",
        "topics = {\"yes\": {\"retain\": true}}",
        "will.topic = \"no\"",
        "will.message = \"yes\"",
    ];
    says(&config, &lines);
}

#[test]
fn amqtts_connection_will_and_plugins() {
    let text = "
cleansession: false
reconnect_retries: -1
check_hostname: false
connection: { uri: 'mqtts://u:p@h', cafile: ca.pem, certfile: c.pem, keyfile: k.pem }
will: { topic: w, message: gone, qos: 1, retain: true }
plugins: { 'amqtt.plugins.logging_amqtt.PacketLoggerPlugin': {} }
";
    let config = parse(text, Format::Yaml);
    let lines =
        ["session = \"persistent\"", "tls.authority = \"ca.pem\"", "tls.verify_name = false", "will.qos = 1"];
    says(&config, &lines);
    assert!(config.origin("reconnect.retries").is_none(), "a negative number: no limit");
    assert_eq!(config.warnings().len(), 1);
    assert!(config.warnings()[0].to_string().contains("`plugins` is not used"));
    let old = parse(&text.replace("connection:", "broker:"), Format::Yaml);
    assert_eq!(old.write(Format::Toml), config.write(Format::Toml));
    assert!(old.warnings()[0].message.contains("old name of `connection`"), "{:?}", old.warnings());
    let never = parse("auto_reconnect: false\nping_delay: 0", Format::Yaml);
    says(&never, &["reconnect.retries = 0", "probe_ahead = 0"]);
}

#[tokio::test]
async fn log_lines_are_published_and_do_not_breed() {
    let broker = Broker::start().await.unwrap();
    let text = format!(
        "{{\"mqtt\": {{\"enable\": true, \"server\": \"{}\", \"client_id\": \"dev\"}}, \
         \"debug\": {{\"stdout_topic\": \"log/out\"}}}}",
        broker.address()
    );
    let config = parse(&text, Format::Json);
    let watcher = Client::connect(broker.url().as_str()).await.unwrap();
    let mut lines = watcher.subscribe("log/#").await.unwrap();
    // The log of packets goes where packets of its own making are talked of.
    let (hand, take) = std::sync::mpsc::channel::<packetboat_config::TopicLog>();
    let log = std::sync::Mutex::new((take, None));
    let options = config.options().unwrap().on_packet(move |passing| {
        let mut log = log.lock().unwrap();
        if let Ok(new) = log.0.try_recv() {
            log.1 = Some(new);
        }
        if let Some(log) = &mut log.1 {
            writeln!(log, "{passing}").unwrap();
        }
    });
    let client = Client::connect(options).await.unwrap();
    assert!(config.error_log(&client).is_none());
    hand.send(config.output_log(&client).unwrap()).unwrap();
    let mut own = config.output_log(&client).unwrap();
    write!(own, "first li").unwrap();
    write!(own, "ne\nsecond line\n").unwrap();
    let mut next = async || {
        let message = tokio::time::timeout(Duration::from_secs(40), lines.next()).await.unwrap().unwrap();
        String::from_utf8_lossy(message.payload()).into_owned()
    };
    for (number, text) in ["first line", "second line"].iter().enumerate() {
        let line = next().await;
        assert!(
            line.starts_with(&format!("dev {number} ")) && line.ends_with(&format!(" 1|{text}")),
            "{line}"
        );
    }
    client.ping().await.unwrap();
    assert!(next().await.contains("sent PINGREQ"));
    assert!(next().await.contains("received PINGRESP"));
    client.flush().await.unwrap();
    client.ping().await.unwrap();
    assert!(next().await.contains("sent PINGREQ"), "its own PUBLISH packets are not talked of");
    assert!(broker.stats().received(PacketType::Publish) < 10);
}
