//! Messages by id: `cargo run --example messages -- mqtt://localhost`
//!
//! The program knows message ids and subscription ids. Where messages go and come from is the configuration's: here a
//! broker of MQTT, and a file for each reading.

use packetboat_hub::{MessageBroker, Payload};
use tokio::sync::mpsc;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "mqtt://localhost".to_owned());
    let folder = std::env::temp_dir().join(format!("readings-{}", std::process::id())).display().to_string();
    let configuration = format!(
        r#"{{
            "targets": [
                {{ "protocol": "mqtt", "name": "broker", "mqtt_options": {{ "server": {url:?} }},
                  "mqtt_subscriptions": [{{ "subscription_id": "readings", "topic": "house/+/reading" }}] }},
                {{ "protocol": "file", "name": "disk", "file_options": {{ "directory": {folder:?} }} }}
            ],
            "pipes": [
                {{ "message_id": "reading_${{room}}", "destinations": [
                    {{ "target_name": "broker", "mqtt_message_options": {{ "topic": "house/${{room}}/reading" }} }},
                    {{ "target_name": "disk", "file_message_options": {{ "filename": "${{room}}-${{count}}.txt" }} }}
                ] }}
            ]
        }}"#
    );
    let broker = MessageBroker::builder().config(configuration).create()?;
    broker.initialise().await?;

    let (sender, mut arrived) = mpsc::unbounded_channel();
    let handler = move |received| {
        let sender = sender.clone();
        async move {
            let _ = sender.send(received);
        }
    };
    let token = broker.subscribe("readings", handler).await?;

    let report = broker.publish("reading_kitchen", Payload::new("21.5").correlation_id("first")).await?;
    for delivery in report.into_result()? {
        println!("{delivery}");
    }
    if let Some(received) = arrived.recv().await {
        let topic = received.message.as_ref().map_or("", |message| message.topic());
        println!("{topic}: {}", String::from_utf8_lossy(&received.payload.bytes()));
    }
    println!("on disk: {}", std::fs::read_to_string(format!("{folder}/kitchen-0.txt"))?);

    broker.unsubscribe(token).await;
    broker.close().await;
    std::fs::remove_dir_all(folder)?;
    Ok(())
}
