//! The example of the README: publish, and receive what was published.

use packetboat::{Client, QoS};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::connect("mqtt://localhost:1883").await?;
    let mut messages = client.subscribe("hello/#").await?;
    client.publish("hello/world", "Hello!").qos(QoS::AtLeastOnce).await?;
    if let Some(message) = messages.next().await {
        println!("{}: {}", message.topic(), String::from_utf8_lossy(message.payload()));
    }
    client.disconnect().await?;
    Ok(())
}
