//! The publisher of amqtt's documentation: three messages of three QoS, first on their way together, then one after the
//! other.
//!
//! `cargo run -p packetboat-docs --example amqtt_publisher -- mqtt://test.mosquitto.org`

use std::error::Error;

use packetboat::{Client, ConnectError, QoS};

const MESSAGES: [(&str, QoS); 3] = [
    ("TEST MESSAGE WITH QOS_0", QoS::AtMostOnce),
    ("TEST MESSAGE WITH QOS_1", QoS::AtLeastOnce),
    ("TEST MESSAGE WITH QOS_2", QoS::ExactlyOnce),
];

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "mqtt://test.mosquitto.org".into());
    together(&url).await?;
    println!("messages published");
    one_by_one(&url).await?;
    println!("messages published");
    Ok(())
}

pub(crate) async fn together(url: &str) -> Result<(), Box<dyn Error>> {
    let client = Client::connect(url).await?;
    let mut receipts = Vec::new();
    for (text, qos) in MESSAGES {
        // Accepted, and on its way. No task is needed for that.
        receipts.push(client.publish("a/b", text).qos(qos).enqueue().await?);
    }
    for receipt in receipts {
        receipt.await?;
    }
    client.disconnect().await?;
    Ok(())
}

pub(crate) async fn one_by_one(url: &str) -> Result<(), Box<dyn Error>> {
    let client = match Client::connect(url).await {
        Ok(client) => client,
        Err(error @ ConnectError::Refused { .. }) => return Err(format!("refused: {error}").into()),
        Err(error) => return Err(format!("no connection: {error}").into()),
    };
    for (text, qos) in MESSAGES {
        // Delivered.
        client.publish("a/b", text).qos(qos).await?;
    }
    client.disconnect().await?;
    Ok(())
}
