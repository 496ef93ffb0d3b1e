//! The programs of other systems' documentation, as examples here, against mosquitto.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]
#![allow(dead_code, reason = "a main is not called here, and each test program uses a part")]

#[path = "../examples/amqtt_publisher.rs"]
mod amqtt_publisher;
#[path = "../examples/amqtt_subscriber.rs"]
mod amqtt_subscriber;
#[path = "../examples/mongoose_device.rs"]
mod mongoose_device;
#[path = "../../client/tests/common/mosquitto.rs"]
mod mosquitto;
#[path = "../../client/tests/common/port.rs"]
mod port;
#[path = "../examples/zerynth_callback.rs"]
mod zerynth_callback;

use std::time::Duration;

use mosquitto::{mosquitto, mosquitto_with};
use packetboat::{Client, QoS, Subscriber};
use packetboat_config::{Config, Format};

const LONG: Duration = Duration::from_mins(1);

async fn next(stream: &mut Subscriber) -> (String, String, QoS) {
    let message = stream.next_within(LONG).await.unwrap().unwrap();
    let text = String::from_utf8_lossy(message.payload()).into_owned();
    (message.topic().to_owned(), text, message.qos())
}

#[tokio::test]
async fn amqtts_subscriber_prints_what_mosquitto_says_of_itself() {
    let Some(broker) = mosquitto_with("sys_interval 1\n") else { return };
    let mut lines = Vec::new();
    let url = broker.url();
    let program = amqtt_subscriber::uptime(&url, 5, |line| lines.push(line));
    tokio::time::timeout(LONG, program).await.unwrap().unwrap();
    assert_eq!(lines.len(), 5, "{lines:?}");
    for (number, line) in lines.iter().enumerate() {
        assert!(line.starts_with(&format!("{}:  $SYS/broker/", number + 1)), "{line}");
    }
    assert!(lines.iter().any(|line| line.contains("$SYS/broker/uptime => ")), "{lines:?}");
}

#[tokio::test]
async fn amqtts_publishers_deliver_at_each_qos() {
    let Some(broker) = mosquitto() else { return };
    let watcher = Client::connect(broker.url().as_str()).await.unwrap();
    let mut stream = watcher.subscribe("a/b").await.unwrap();
    amqtt_publisher::together(&broker.url()).await.unwrap();
    amqtt_publisher::one_by_one(&broker.url()).await.unwrap();
    for _ in 0..2 {
        // On their way together, they may overtake one another in the broker, which delivers QoS 2 at its end.
        let mut three = [next(&mut stream).await, next(&mut stream).await, next(&mut stream).await];
        three.sort_by_key(|(_, text, _)| text.clone());
        for (number, (topic, text, qos)) in three.into_iter().enumerate() {
            assert_eq!((topic.as_str(), text), ("a/b", format!("TEST MESSAGE WITH QOS_{number}")));
            assert_eq!(qos as usize, number);
        }
    }
    let error = amqtt_publisher::one_by_one("mqtt://127.0.0.1:1").await.unwrap_err().to_string();
    assert!(error.starts_with("no connection: "), "{error}");
}

#[test]
fn zerynths_callback_uses_the_client() {
    let Some(broker) = mosquitto() else { return };
    let lines = zerynth_callback::conversation(&broker.url()).unwrap();
    assert_eq!(lines, ["board/led/set: on", "board/seen: on", "connected: true"]);
}

#[tokio::test]
async fn mongooses_device_reads_its_file_and_publishes_from_its_button() {
    let Some(mut broker) = mosquitto() else { return };
    let conf = format!(
        r#"{{ "device": {{ "id": "esp32_1" }},
              "mqtt": {{ "enable": true, "server": "127.0.0.1:{}", "reconnect_timeout_min": 0.01 }} }}"#,
        broker.port()
    );
    let config = Config::parse(&conf, Format::Json).unwrap();
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let device = mongoose_device::start(&config, move |line| drop(tell.send(line)));
    let device = tokio::time::timeout(LONG, device).await.unwrap().unwrap();
    let mut line = async |wanted: &str| {
        let search = async {
            loop {
                let line = told.recv().await.expect("the program ended");
                if line.contains(wanted) {
                    return line;
                }
            }
        };
        tokio::time::timeout(LONG, search).await.unwrap_or_else(|_| panic!("{wanted} did not come"))
    };
    assert_eq!(&*device.client_id(), "esp32_1");
    line("MQTT event handler: got Connected").await;
    assert!(mongoose_device::press(&device).unwrap());
    assert_eq!(line("Topic").await, r#"Topic: my/topic message: {"a":1,"b":2}"#);
    broker.kill();
    line("MQTT event handler: got Disconnected").await;
    assert!(mongoose_device::press(&device).unwrap(), "it waits in the queue");
    broker.restart();
    assert_eq!(line("Topic").await, r#"Topic: my/topic message: {"a":1,"b":2}"#);
}
