//! What people who come from Panorama bring along: their configuration, where it lies, and their client of the protocol.
//! Against a real mosquitto too, where there is one.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]

mod common;

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};

use common::mosquitto::{mosquitto, mosquitto_with};
use common::{collect, within};
use packetboat::{Attempt, Client, Dialing, Io, Options, QoS, Transport};
use packetboat_config::ConfigError;
use packetboat_hub::MessageBroker;
use packetboat_hub::broker::{DeliveryError, FilterError, Mqtt, ProtocolClient, Received};
use packetboat_sim::net::Broker;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

/// The sample of the document, with its blanks filled in as its readers do.
fn sample() -> String {
    include_str!("samples/panorama.json")
        .replace("<your-endpoint>", "abc-ats.iot.eu-west-1.amazonaws.com")
        .replace("<your-region>", "eu-west-1")
        .replace("<your-client-id>", "camera-7")
}

/// A road to AWS that ends at a broker of this machine, and notes where it should have led.
#[derive(Clone)]
struct Detour {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Detour {
    fn to(port: u16) -> Self {
        Self { port, asked: Arc::default() }
    }
}

impl Transport for Detour {
    fn dial(&self, attempt: &Attempt) -> Dialing {
        let server = attempt.server();
        self.asked.lock().unwrap().push(server.to_string());
        let port = self.port;
        Box::pin(async move {
            let io = TcpStream::connect(("127.0.0.1", port)).await?;
            Ok(Box::new(io) as Box<dyn Io>)
        })
    }
}

fn with_detour(config: String, detour: &Detour) -> MessageBroker {
    let (detour, regions) = (detour.clone(), Arc::new(Mutex::new(Vec::new())));
    let seen = regions.clone();
    let mqtt = Mqtt::new().signed_by(move |aws, options| {
        seen.lock().unwrap().push(format!("{} {} {}", aws.target, aws.endpoint, aws.region));
        Ok::<_, std::io::Error>(options.transport(detour.clone()))
    });
    MessageBroker::builder().config(config).protocol(mqtt).unique(true).create().unwrap()
}

async fn next(received: &mut mpsc::UnboundedReceiver<Received>) -> (String, String) {
    let received = within(received.recv()).await.unwrap();
    let topic = received.message.map(|message| message.topic().to_owned()).unwrap_or_default();
    (topic, String::from_utf8(received.payload.bytes().to_vec()).unwrap())
}

/// The sample's two ways, through a broker on this port.
async fn sample_works(url: &str, port: u16) {
    let detour = Detour::to(port);
    let broker = with_detour(sample(), &detour);
    assert!(broker.initialise().await.unwrap());
    let (handler, mut received) = collect();
    let token = within(broker.subscribe("your-subscription-id", handler)).await.unwrap();
    let other = Client::connect(url).await.unwrap();
    let mut there = other.subscribe("another-mqtt-topic").await.unwrap();
    within(broker.publish("your-message", "hello")).await.unwrap().into_result().unwrap();
    let message = within(there.next()).await.unwrap();
    assert_eq!((message.payload(), message.qos()), (&b"hello"[..], QoS::AtLeastOnce));
    other.publish("your-mqtt-topic", "command").qos(QoS::AtLeastOnce).await.unwrap();
    assert_eq!(next(&mut received).await, ("your-mqtt-topic".to_owned(), "command".to_owned()));
    assert!(within(broker.unsubscribe(token)).await);
    within(broker.close()).await;
    let asked = detour.asked.lock().unwrap();
    // The path is the default, /mqtt.
    assert_eq!(asked[0], "wss://abc-ats.iot.eu-west-1.amazonaws.com:443");
}

#[tokio::test]
async fn the_sample_of_the_document_works_unchanged() {
    let broker = Broker::start().await.unwrap();
    sample_works(&broker.url(), broker.port()).await;
    assert!(broker.violations().is_empty());
}

#[tokio::test]
async fn the_sample_of_the_document_works_unchanged_with_mosquitto() {
    let Some(broker) = mosquitto() else { return };
    sample_works(&broker.url(), broker.port()).await;
}

#[tokio::test]
async fn all_spellings_of_the_document_and_the_code_mean_the_same() {
    let broker = Broker::start().await.unwrap();
    for (from, to) in [
        ("client-id", "client_id"),
        ("subscription_id", "subscription-id"),
        ("mqtt_subscriptions", "mqtt_subscription"),
        ("\"region\": \"eu-west-1\",", "\"region\": \"eu-west-1\", \"keep_alive\": 1200,"),
        ("\"camera-7\"", "\"\""),
    ] {
        let detour = Detour::to(broker.port());
        let messages = with_detour(sample().replace(from, to), &detour);
        messages.initialise().await.unwrap_or_else(|error| panic!("{to}: {error}"));
        let (handler, mut received) = collect();
        within(messages.subscribe("your-subscription-id", handler)).await.unwrap();
        let other = Client::connect(broker.url()).await.unwrap();
        other.publish("your-mqtt-topic", to).qos(QoS::AtLeastOnce).await.unwrap();
        assert_eq!(next(&mut received).await.1, to);
        within(messages.close()).await;
    }
}

#[tokio::test]
async fn without_a_signer_the_error_says_what_to_do() {
    let broker = MessageBroker::builder().config(sample()).unique(true).create().unwrap();
    let error = broker.initialise().await.unwrap_err().to_string();
    assert!(error.starts_with("7:"), "{error}");
    for part in ["`targets[0].mqtt_options.endpoint` names a broker at AWS", "Mqtt::signed_by", "`server`"] {
        assert!(error.contains(part), "{error}");
    }
    let refusing = Mqtt::new().signed_by(|_, _| Err::<Options, _>("no credentials are set"));
    let broker = MessageBroker::builder().config(sample()).protocol(refusing).unique(true).create().unwrap();
    let error = broker.initialise().await.unwrap_err().to_string();
    assert!(error.contains("no credentials are set"), "{error}");
    let half = sample().replace("\"region\": \"eu-west-1\",", "");
    let broker = MessageBroker::builder().config(half).unique(true).create().unwrap();
    let error = broker.initialise().await.unwrap_err().to_string();
    assert!(error.contains("`targets[0].mqtt_options.region` is missing"), "{error}");
}

/// The sample's program: a client of the protocol, which subscribes and publishes.
async fn protocol_client_works(url: &str) {
    let client = within(ProtocolClient::connect(url)).await.unwrap();
    let (handler, mut received) = collect();
    let token = within(client.subscribe("sample/+/topic", handler)).await.unwrap();
    within(client.publish("sample/a/topic", "first")).await.unwrap();
    assert_eq!(next(&mut received).await, ("sample/a/topic".to_owned(), "first".to_owned()));
    let (sender, mut told) = mpsc::unbounded_channel();
    let tell = move |delivery: packetboat_hub::broker::Delivery| {
        sender.send((delivery.protocol.to_string(), delivery.payload.bytes(), delivery.is_ok())).unwrap();
    };
    client.publish_async("sample/b/topic", "second", tell).unwrap();
    assert_eq!(within(told.recv()).await.unwrap(), ("mqtt".to_owned(), "second".into(), true));
    assert_eq!(next(&mut received).await.1, "second");

    // A new connection; handlers and filters stay, also when one of two goes.
    let mut states = client.client().events();
    client.reconnect();
    while !matches!(within(states.next()).await, Some(packetboat::Event::Connected(_))) {}
    let (second, mut too) = collect();
    let second = within(client.subscribe("sample/+/topic", second)).await.unwrap();
    assert!(within(client.unsubscribe(second)).await);
    within(client.publish("sample/c/topic", "third")).await.unwrap();
    assert_eq!(next(&mut received).await.1, "third");
    assert!(too.recv().await.is_none());

    assert!(within(client.unsubscribe(token)).await);
    assert!(!within(client.unsubscribe(token)).await);
    let error = within(client.subscribe("a/#/b", |_| std::future::ready(()))).await.unwrap_err();
    assert!(
        matches!(&error, FilterError::Filter { .. }) && error.to_string().contains("\"a/#/b\""),
        "{error}"
    );
    let error = within(client.publish("a/#", "x")).await.unwrap_err();
    assert!(matches!(error, DeliveryError::Refused(_)), "{error}");
    within(client.close()).await;
}

#[tokio::test]
async fn a_client_of_the_protocol_needs_no_configuration() {
    let broker = Broker::start().await.unwrap();
    protocol_client_works(&broker.url()).await;
    assert!(broker.violations().is_empty());
}

#[tokio::test]
async fn a_client_of_the_protocol_needs_no_configuration_with_mosquitto() {
    let Some(broker) = mosquitto() else { return };
    protocol_client_works(&broker.url()).await;
}

#[tokio::test]
async fn mosquitto_killed_and_restarted_gets_what_was_published_meanwhile() {
    let Some(mut broker) = mosquitto_with("user root\n") else { return };
    let config = format!(
        r#"{{ "targets": [{{ "protocol": "mqtt", "name": "t", "mqtt_options": {{ "server": "{}", "version": "5.0",
                "client_id": "p", "session": "persistent", "reconnect": {{ "minimum": 0.01, "maximum": 0.1 }} }},
                "mqtt_subscriptions": [{{ "subscription_id": "s", "topic": "a/#" }}] }}],
             "pipes": [{{ "message_id": "m_${{x}}", "destinations": [
                {{ "target_name": "t", "mqtt_message_options": {{ "topic": "a/${{x}}" }} }}] }}] }}"#,
        broker.url()
    );
    let messages = MessageBroker::builder().config(config).unique(true).create().unwrap();
    messages.initialise().await.unwrap();
    let (handler, mut received) = collect();
    within(messages.subscribe("s", handler)).await.unwrap();
    let (sender, mut told) = mpsc::unbounded_channel();
    for number in 0..200_u32 {
        if number == 50 {
            // A session that was saved before its subscription would be resumed without one.
            broker.save();
            broker.kill();
        }
        if number == 150 {
            broker.restart();
        }
        let sender = sender.clone();
        let tell = move |delivery: packetboat_hub::broker::Delivery| sender.send(delivery.is_ok()).unwrap();
        messages.publish_async(&format!("m_{number}"), number.to_string(), tell).unwrap();
    }
    for _ in 0..200 {
        assert!(within(told.recv()).await.unwrap());
    }
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < 200 {
        let (topic, text) = next(&mut received).await;
        assert_eq!(topic, format!("a/{text}"));
        seen.insert(text);
    }
}

/// The configuration of a broker is one that knows this message id.
async fn knows(broker: &MessageBroker, id: &str) -> bool {
    broker.initialise().await.unwrap();
    !within(broker.publish(id, "x")).await.unwrap().deliveries().is_empty()
}

/// A configuration with one pipe, to a file that cannot be.
fn config_of(id: &str) -> String {
    format!(
        r#"{{ "targets": [{{ "protocol": "file", "name": "t", "file_options": {{}} }}],
             "pipes": [{{ "message_id": "{id}", "destinations": [
                {{ "target_name": "t", "file_message_options": {{ "directory": "/dev/null", "filename": "x" }} }}] }}] }}"#
    )
}

#[test]
fn the_configuration_is_looked_for_where_panorama_looks() {
    let path = std::env::temp_dir().join(format!("packetboat-sources-{}.json", std::process::id()));
    std::fs::write(&path, config_of("of-the-file")).unwrap();
    for (file, part) in [
        (Some(path.clone()), "inner::with_a_file"),
        (Some(PathBuf::from("/nowhere/messages.json")), "inner::with_a_missing_file"),
        (None, "inner::without_a_file"),
    ] {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", part, "--nocapture"])
            .env("PACKETBOAT_INNER", "1")
            .env_remove("MESSAGE_BROKER_CONFIG_FILE");
        if let Some(file) = file {
            command.env("MESSAGE_BROKER_CONFIG_FILE", file);
        }
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && text.contains("1 passed"), "{part}: {text}");
    }
    std::fs::remove_file(path).unwrap();
}

/// What is the whole process's is tested in one of its own; without it these do nothing.
mod inner {
    use super::*;

    fn is_meant() -> bool {
        std::env::var_os("PACKETBOAT_INNER").is_some()
    }

    fn create() -> Result<MessageBroker, ConfigError> {
        MessageBroker::builder().create()
    }

    #[tokio::test]
    async fn with_a_file() {
        if !is_meant() {
            return;
        }
        assert!(knows(&create().unwrap(), "of-the-file").await);
        MessageBroker::set_default_config(Some(&config_of("default")));
        let default = create().unwrap();
        assert!(knows(&default, "default").await && !knows(&default, "of-the-file").await);
        let argument = MessageBroker::builder().config(config_of("argument")).create().unwrap();
        assert!(knows(&argument, "argument").await && !knows(&argument, "default").await);
        // An empty argument is none, and so is an empty default.
        assert!(knows(&MessageBroker::builder().config("").create().unwrap(), "default").await);
        MessageBroker::set_default_config(Some(""));
        assert!(knows(&create().unwrap(), "of-the-file").await);
        // It is not looked at before it is needed.
        MessageBroker::set_default_config(Some("no JSON"));
        assert!(create().is_err());
        MessageBroker::set_default_config(None);
        assert!(create().is_ok());
    }

    #[tokio::test]
    async fn with_a_missing_file() {
        if !is_meant() {
            return;
        }
        let error = create().unwrap_err();
        assert!(matches!(error, ConfigError::Read { .. }));
        assert!(error.to_string().contains("/nowhere/messages.json"), "{error}");
    }

    #[tokio::test]
    async fn without_a_file() {
        if !is_meant() {
            return;
        }
        assert!(!knows(&create().unwrap(), "anything").await);
    }
}

#[tokio::test]
async fn brokers_with_the_same_configuration_are_the_same_unless_they_are_to_be_unique() {
    let text = config_of("shared-in-one-process");
    let create = |unique: bool| MessageBroker::builder().config(&*text).unique(unique).create().unwrap();
    let one = create(false);
    assert!(one.initialise().await.unwrap());
    assert!(!create(false).initialise().await.unwrap(), "the same one");
    assert!(create(true).initialise().await.unwrap(), "another one");
    let other = MessageBroker::builder().config(format!("{text} ")).create().unwrap();
    assert!(other.initialise().await.unwrap(), "not the very same text");
    let (handler, mut received) = collect();
    one.subscribe("local", handler).await.unwrap();
    within(create(false).publish("local", "x")).await.unwrap().into_result().unwrap();
    assert_eq!(next(&mut received).await.1, "x");
    drop(one);
    assert!(create(false).initialise().await.unwrap(), "gone with its last owner");
}

#[tokio::test]
async fn a_configuration_that_cannot_be_read_is_an_error_of_creating() {
    for (text, part) in [
        ("no JSON", "1:1"),
        ("[]", "must be a table, and is a list"),
        (r#"{ "pipe": [] }"#, "1:3: `pipe` is no key: did you mean `pipes`?"),
    ] {
        let error = MessageBroker::builder().config(text).create().unwrap_err().to_string();
        assert!(error.contains(part), "{text}: {error}");
    }
}
