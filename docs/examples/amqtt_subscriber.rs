//! The subscriber of amqtt's documentation: prints what a broker says of itself, and ends after 99 messages.
//!
//! `cargo run -p packetboat-docs --example amqtt_subscriber -- mqtt://test.mosquitto.org`

use std::error::Error;

use packetboat::{Client, QoS};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "mqtt://test.mosquitto.org".into());
    uptime(&url, 99, |line| println!("{line}")).await
}

pub(crate) async fn uptime(
    url: &str,
    messages: usize,
    mut print: impl FnMut(String),
) -> Result<(), Box<dyn Error>> {
    let client = Client::connect(url).await?;
    // Before subscribing: what comes with the subscription is among it.
    let mut all = client.messages();
    client.subscription("$SYS/broker/uptime").qos(QoS::AtLeastOnce).to_messages().await?;
    client.subscription("$SYS/broker/load/#").qos(QoS::ExactlyOnce).to_messages().await?;
    for number in 1..=messages {
        // `None`: the client was disconnected. A cut is no reason for it.
        let Some(message) = all.next().await else { break };
        print(format!("{number}:  {} => {}", message.topic(), String::from_utf8_lossy(message.payload())));
    }
    client.unsubscribe("$SYS/broker/uptime").await?;
    client.unsubscribe("$SYS/broker/load/#").await?;
    client.disconnect().await?;
    Ok(())
}
