//! What the keys of Mongoose OS and amqtt do, seen at the broker.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]

mod common;

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use common::inside::{Host, Inside, Network, connected, event, patient};
use packetboat::{
    Client, ConnectError, ConnectStage, Direction, Event, Options, Packet, PublishError, QoS, Withdrawal,
};
use packetboat_config::{Config, Format};
use packetboat_sim::broker::Broker;

fn mongoose(mqtt: &str, more: &str) -> Config {
    let text = format!("{{\"mqtt\": {{\"enable\": true, \"server\": \"one\", {mqtt}}}{more}}}");
    Config::parse(&text, Format::Json).unwrap_or_else(|error| panic!("{error}"))
}

/// At the server `one`.
fn amqtt(yaml: &str) -> Config {
    let text = format!("connection: {{ uri: 'mqtt://one' }}\n{yaml}");
    Config::parse(&text, Format::Yaml).unwrap_or_else(|error| panic!("{error}"))
}

/// What went to the broker and when, in whole seconds since the start.
#[derive(Clone)]
struct Watch(Arc<Mutex<Vec<String>>>);

impl Watch {
    /// Options of a file that go to this network, and what they send.
    fn over(config: &Config, network: &Network) -> (Options, Self) {
        let watch = Self(Arc::default());
        let (lines, start) = (watch.0.clone(), tokio::time::Instant::now());
        let options = config.options().unwrap().transport(network.clone()).on_packet(move |passing| {
            if passing.direction == Direction::Sent {
                let text = passing.packet.map_or_else(|| passing.to_string(), told);
                lines.lock().unwrap().push(format!("{} {text}", start.elapsed().as_secs()));
            }
        });
        (options, watch)
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// The first with this word.
    fn find(&self, word: &str) -> Option<String> {
        self.lines().into_iter().find(|line| line.contains(word))
    }
}

fn told(packet: &Packet<'_>) -> String {
    match packet {
        Packet::Connect(connect) => {
            let will = connect.will.map(|will| {
                (will.topic, String::from_utf8_lossy(will.payload).into_owned(), will.qos as u8, will.retain)
            });
            format!(
                "CONNECT {:?} {:?} {:?} {:?} clean {} keep alive {} will {will:?}",
                connect.version,
                connect.client_id,
                connect.username,
                connect.password.map(String::from_utf8_lossy),
                connect.clean_start,
                connect.keep_alive,
            )
        }
        Packet::Publish(publish) => format!(
            "PUBLISH {} {:?} qos {} retain {}",
            publish.topic,
            String::from_utf8_lossy(publish.payload),
            publish.qos as u8,
            publish.retain
        ),
        other => format!("{:?}", other.packet_type()).to_uppercase(),
    }
}

fn with_broker() -> (Inside, Network) {
    let broker = Inside::new();
    (broker.clone(), Network::new([("one", Host::Broker(broker))]))
}

#[tokio::test(start_paused = true)]
async fn mongooses_connect_says_who_it_is_and_what_is_left_behind() {
    let (_broker, network) = with_broker();
    let device = r#", "device": { "id": "esp32_??????", "mac": "aa:bb:cc:01:02:fe" }"#;
    let will = r#""will_topic": "w", "will_message": "gone", "will_retain": true"#;
    let keys = format!(r#""user": "u", "pass": "p", "clean_session": false, "keep_alive": 0, {will}"#);
    let (options, watch) = Watch::over(&mongoose(&keys, device), &network);
    let client = Client::connect(options).await.unwrap();
    let expected = r#"0 CONNECT V311 "esp32_0102FE" Some("u") Some("p") clean false keep alive 60 will Some(("w", "gone", 0, true))"#;
    assert_eq!(watch.lines(), [expected]);
    client.disconnect().await.unwrap();
    let (options, watch) = Watch::over(&mongoose(r#""client_id": "mine""#, device), &network);
    let client = Client::connect(options).await.unwrap();
    assert_eq!(watch.lines(), [r#"0 CONNECT V311 "mine" None None clean true keep alive 60 will None"#]);
    client.disconnect().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn mongooses_will_is_published_when_the_device_is_cut_off_and_kept() {
    let (broker, network) = with_broker();
    let keys = r#""client_id": "dev", "will_topic": "w", "will_message": "gone", "will_retain": true"#;
    let (options, _) = Watch::over(&mongoose(keys, ""), &network);
    let client = Client::connect(options).await.unwrap();
    let mut events = client.events();
    broker.with(Broker::cut_all);
    connected(&mut events).await;
    let kept = broker.with(|core, _| core.retained("w").map(|message| message.payload.clone()));
    assert_eq!(kept.as_deref(), Some(&b"gone"[..]));
    client.disconnect().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn mongooses_waits_double_from_minimum_to_maximum_and_then_the_backup_has_its_turn() {
    let (broker, network) = with_broker();
    network.set("one", Host::Down);
    network.set("two", Host::Broker(broker));
    let backup =
        r#", "mqtt1": { "enable": true, "server": "two", "user": "other", "reconnect_timeout_min": 3 }"#;
    let (options, watch) = Watch::over(&mongoose(r#""user": "u""#, backup), &network);
    let client = Client::start(options).unwrap();
    let attempts = patient(network.attempts(8)).await;
    for ((gap, name), (wanted, at)) in
        attempts.iter().zip([0, 2, 4, 8, 16, 32, 60].map(|gap| (gap, "one")).into_iter().chain([(3, "two")]))
    {
        // A tenth at random.
        assert!(name == at && gap.abs_diff(wanted) <= wanted / 10 + 1, "{attempts:?}");
    }
    patient(async {
        while !client.is_connected() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(watch.find("CONNECT").unwrap().contains(r#"Some("other")"#), "{:?}", watch.lines());
    client.disconnect().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn mongooses_max_qos_lowers_what_is_published_and_nothing_waits_for_an_answer_that_never_comes() {
    let (broker, network) = with_broker();
    let (options, watch) = Watch::over(&mongoose(r#""client_id": "dev", "max_qos": 0"#, ""), &network);
    let client = Client::connect(options).await.unwrap();
    client.publish("a", "x").qos(QoS::ExactlyOnce).await.unwrap();
    client.flush().await.unwrap();
    assert!(watch.find("PUBLISH").unwrap().ends_with(r#"PUBLISH a "x" qos 0 retain false"#));
    assert_eq!(client.queued().len(), 0);
    let mut events = client.events();
    broker.with(Broker::cut_all);
    connected(&mut events).await;
    client.disconnect().await.unwrap();
    let published = watch.lines().iter().filter(|line| line.contains("PUBLISH")).count();
    assert_eq!(published, 1, "and not again: {:?}", watch.lines());
}

#[tokio::test(start_paused = true)]
async fn mongooses_queue_keeps_its_newest_messages_of_qos_1_and_none_of_qos_0() {
    let (broker, network) = with_broker();
    network.set("one", Host::Down);
    let (options, _) = Watch::over(&mongoose(r#""client_id": "dev", "max_queue_length": 3"#, ""), &network);
    let client = Client::start(options).unwrap();
    let mut receipts = Vec::new();
    for number in 0..5 {
        let payload = number.to_string();
        receipts.push(client.publish("q", payload).qos(QoS::AtLeastOnce).enqueue().await.unwrap());
    }
    let zero = client.publish("q", "zero").qos(QoS::AtMostOnce).enqueue().await;
    assert!(
        matches!(zero.unwrap().await, Err(PublishError::Withdrawn(Withdrawal::Dropped))),
        "QoS 0 is not kept"
    );
    network.set("one", Host::Broker(broker.clone()));
    for (number, receipt) in receipts.into_iter().enumerate() {
        let result = patient(receipt).await;
        if number < 2 {
            assert!(matches!(result, Err(PublishError::Withdrawn(Withdrawal::Dropped))), "{result:?}");
        } else {
            result.unwrap();
        }
    }
    assert_eq!(broker.payloads("dev"), ["2", "3", "4"]);
    client.disconnect().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn mongooses_receive_limit_bounds_a_message_and_the_connection_goes_on() {
    let (_broker, network) = with_broker();
    let keys = r#""client_id": "dev", "recv_mbuf_limit": 500"#;
    let (options, _) = Watch::over(&mongoose(keys, ""), &network);
    let client = Client::connect(options).await.unwrap();
    let mut events = client.events();
    let mut stream = client.subscribe("a").await.unwrap();
    client.publish("a", "x".repeat(600)).qos(QoS::AtLeastOnce).await.unwrap();
    client.publish("a", "small").qos(QoS::AtLeastOnce).await.unwrap();
    assert_eq!(patient(stream.next()).await.unwrap().payload(), b"small");
    let size = event(&mut events, |event| match event {
        Event::Oversize { size, .. } => Some(*size),
        _ => None,
    });
    assert!(size.await > 600);
    assert!(client.is_connected());
    client.disconnect().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn mongooses_clock_is_waited_for_before_anything_is_sent() {
    let (_broker, network) = with_broker();
    let config = mongoose(r#""require_time": true"#, "");
    let (options, watch) = Watch::over(&config, &network);
    let client = Client::connect(options).await.unwrap();
    assert_eq!(watch.lines().len(), 1, "this clock was set");
    client.disconnect().await.unwrap();
    // A clock that was not set shows an earlier time than the one wanted: here the one wanted is later.
    let soon = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() + 3600;
    let variables = [("PACKETBOAT_OPTION_REQUIRE_CLOCK".to_owned(), soon.to_string())];
    let (options, watch) = Watch::over(&config.with_environment(variables).unwrap(), &network);
    let error = patient(Client::connect(options)).await.unwrap_err();
    assert!(matches!(error, ConnectError::TimedOut { stage: ConnectStage::Clock, .. }), "{error}");
    assert!(watch.lines().is_empty(), "{:?}", watch.lines());
}

#[tokio::test]
async fn mongooses_websocket_has_its_path() {
    let broker = packetboat_sim::net::Options::new().websocket().start().await.unwrap();
    let keys = format!(r#""ws_enable": true, "server": "127.0.0.1:{}""#, broker.port());
    let text = format!("{{\"mqtt\": {{\"enable\": true, {keys}, \"ws_path\": \"/other\"}}}}");
    let config = Config::parse(&text, Format::Json).unwrap();
    assert!(config.show().contains("/other\""), "{}", config.show());
    let client = Client::connect(config.options().unwrap()).await.unwrap();
    client.publish("a", "x").qos(QoS::AtLeastOnce).await.unwrap();
    client.disconnect().await.unwrap();
    assert!(broker.violations().is_empty(), "{:?}", broker.violations());
}

/// The transport of a file that is read again is another one in memory.
#[cfg(feature = "openssl")]
#[tokio::test]
async fn a_file_of_openssl_read_again_costs_no_connection_unless_it_says_something_else() {
    let port = common::port::free_port();
    let listener = format!("psk_file {{directory}}/keys\nlistener {port} 127.0.0.1\npsk_hint x\n");
    let keys = [("keys", "boat:00ff17\nother:00ff17\n")];
    let Some(_broker) = common::mosquitto::mosquitto_with_files(&listener, &keys) else { return };
    let options = |identity: &str, window: u16| {
        let text = format!(
            "server = \"mqtts://127.0.0.1:{port}\"\nwindow = {window}\n\
             tls = {{ psk_identity = \"{identity}\", psk_key = \"00ff17\" }}\n"
        );
        Config::parse(&text, Format::Toml).unwrap().options().unwrap()
    };
    let client = Client::connect(options("boat", 10)).await.unwrap();
    let connected = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let count = connected.clone();
    let _handler = client.on_event(move |event| {
        if matches!(event, Event::Connected(_)) {
            count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        }
    });
    // What changes a connection is seen by the second publication at the latest.
    for (identity, window, wanted) in [("boat", 20, 0), ("other", 20, 1), ("other", 30, 1)] {
        client.reconfigure(options(identity, window)).unwrap();
        for _ in 0..2 {
            client.publish("a", "x").qos(QoS::AtLeastOnce).await.unwrap();
        }
        assert_eq!(connected.load(std::sync::atomic::Ordering::SeqCst), wanted, "{identity} {window}");
    }
}

#[tokio::test(start_paused = true)]
async fn amqtts_ping_goes_out_so_much_ahead_of_the_keep_alive() {
    for (keys, says, first, second) in
        [("cleansession: yes", 10, 9, 18), ("keep_alive: 20\nping_delay: 5", 20, 15, 30)]
    {
        let (_broker, network) = with_broker();
        let (options, watch) = Watch::over(&amqtt(keys), &network);
        let client = Client::connect(options).await.unwrap();
        tokio::time::sleep(Duration::from_secs(second + 1)).await;
        let lines = watch.lines();
        assert!(lines[0].contains(&format!("keep alive {says}")), "{lines:?}");
        assert_eq!(lines[1..], [format!("{first} PINGREQ"), format!("{second} PINGREQ")]);
        client.disconnect().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn amqtts_defaults_of_qos_and_retain_count_by_topic_and_an_argument_wins_always() {
    let (_broker, network) = with_broker();
    let keys =
        "default_qos: 1\ndefault_retain: true\ntopics: { test: { qos: 2, retain: no }, s: { qos: 0 } }";
    let (options, watch) = Watch::over(&amqtt(keys), &network);
    let client = Client::connect(options).await.unwrap();
    for topic in ["other", "test", "s"] {
        client.publish(topic, "x").await.unwrap();
    }
    client.publish("test", "y").qos(QoS::AtMostOnce).retain(false).await.unwrap();
    client.publish("other", "y").qos(QoS::AtMostOnce).retain(false).await.unwrap();
    client.disconnect().await.unwrap();
    let published: Vec<String> = watch
        .lines()
        .iter()
        .filter_map(|line| line.split_once("PUBLISH ").map(|(_, rest)| rest.to_owned()))
        .collect();
    let expected = [
        r#"other "x" qos 1 retain true"#,
        r#"test "x" qos 2 retain false"#,
        r#"s "x" qos 0 retain true"#,
        r#"test "y" qos 0 retain false"#,
        r#"other "y" qos 0 retain false"#,
    ];
    assert_eq!(published, expected);
}

#[tokio::test(start_paused = true)]
async fn amqtt_gives_up_after_its_retries_never_or_at_once() {
    for (keys, gaps) in [
        ("reconnect_retries: 3\nreconnect_max_interval: 2", Some(vec![0, 1, 2, 2])),
        ("auto_reconnect: false\nreconnect_retries: 3", Some(vec![0])),
        ("reconnect_retries: -1\nreconnect_max_interval: 5", None),
    ] {
        let network = Network::new([]);
        let (options, _) = Watch::over(&amqtt(keys), &network);
        let client = Client::start(options).unwrap();
        let mut events = client.events();
        if let Some(gaps) = gaps {
            event(&mut events, |event| matches!(event, Event::GaveUp).then_some(())).await;
            let attempts = network.attempts(gaps.len()).await;
            assert_eq!(attempts.iter().map(|(gap, _)| *gap).collect::<Vec<_>>(), gaps, "{keys}");
        } else {
            let attempts = patient(network.attempts(40)).await;
            assert_eq!(attempts[39].0, 5, "{attempts:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn amqtts_limit_of_connecting_counts_and_its_session_and_will_are_said() {
    let (_broker, network) = with_broker();
    network.set("one", Host::Silent);
    let (options, _) = Watch::over(&amqtt("connection_timeout: 7"), &network);
    let error = patient(Client::connect(options)).await.unwrap_err();
    let ConnectError::TimedOut { limit, .. } = error else { panic!("{error}") };
    assert_eq!(limit, Duration::from_secs(7));
    let (_broker, network) = with_broker();
    let keys = "cleansession: false\nwill: { topic: w, message: no, qos: 1, retain: on }";
    let (options, watch) = Watch::over(&amqtt(keys), &network);
    let client = Client::connect(options.client_id("boat")).await.unwrap();
    let expected =
        r#"0 CONNECT V311 "boat" None None clean false keep alive 10 will Some(("w", "no", 1, true))"#;
    assert_eq!(watch.lines(), [expected], "a text that is a word for false stays a text");
    client.disconnect().await.unwrap();
}

#[tokio::test]
async fn amqtts_authorities_come_from_file_folder_and_data_and_names_are_checked() {
    let authority = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca = params.self_signed(&authority).unwrap().pem();
    let issuer = rcgen::Issuer::new(params, authority);
    let key = rcgen::KeyPair::generate().unwrap();
    let signed = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        rcgen::CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap().pem()
    };
    let server = signed(&["localhost"]);
    let start = |certificate: &str| {
        packetboat_sim::net::Options::new().tls(certificate, &key.serialize_pem()).client_authority(&ca)
    };
    let broker = start(&server).start().await.unwrap();
    let folder = std::env::temp_dir().join(format!("packetboat-amqtt-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("capath")).unwrap();
    let file = |name: &str, text: &str| {
        std::fs::write(folder.join(name), text).unwrap();
        folder.join(name).display().to_string()
    };
    let (cafile, capath) = (file("ca.pem", &ca), folder.join("capath").display().to_string());
    file("capath/one.pem", &ca);
    let cert = file("cert.pem", &signed(&["boat"]));
    let keyfile = file("key.pem", &key.serialize_pem());
    let uri = |host: &str| format!("uri: 'mqtts://{host}:{}'", broker.port());
    let trust = [
        format!("cafile: '{cafile}'"),
        format!("capath: '{capath}'"),
        format!("cadata: |\n    {}", ca.replace('\n', "\n    ")),
    ];
    let connect = async |text: &str| {
        let config = Config::parse(text, Format::Yaml).unwrap_or_else(|error| panic!("{error}: {text}"));
        Client::connect(config.options().unwrap()).await
    };
    for trust in &trust {
        for section in ["connection", "broker"] {
            let own = format!("  certfile: '{cert}'\n  keyfile: '{keyfile}'\n");
            let head = format!("{section}:\n  {}\n{own}  {trust}\n", uri("localhost"));
            let client = connect(&head).await.unwrap_or_else(|error| panic!("{error}: {head}"));
            client.disconnect().await.unwrap();
        }
    }
    // The older generation has them at the top; without a client certificate this broker says no.
    let old = format!(
        "certfile: '{cert}'\nkeyfile: '{keyfile}'\nbroker:\n  {}\n  cafile: '{cafile}'\n",
        uri("localhost")
    );
    connect(&old).await.unwrap().disconnect().await.unwrap();
    let without = format!("connection:\n  {}\n  cafile: '{cafile}'\n", uri("localhost"));
    assert!(connect(&without).await.is_err());
    let by_address = old.replace("localhost", "127.0.0.1");
    let error = connect(&by_address).await.unwrap_err().to_string();
    assert!(error.contains("made out to"), "{error}");
    connect(&format!("check_hostname: no\n{by_address}")).await.unwrap().disconnect().await.unwrap();
    let blind = by_address.replace(&format!("  cafile: '{cafile}'\n"), "");
    for text in [&blind, &by_address] {
        connect(&format!("check_hostname: no\nverify_cert: off\n{text}")).await.unwrap();
    }
    std::fs::remove_dir_all(folder).unwrap();
}
