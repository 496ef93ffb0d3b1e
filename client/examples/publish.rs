//! Publishes lines of the standard input: `cargo run --example publish -- mqtt://localhost a/topic`.
//!
//! The lines are pipelined: many are on their way at once, and each is known to have arrived in the end.

use std::io::BufRead;

use packetboat::{Client, QoS};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(url), Some(topic)) = (arguments.next(), arguments.next()) else {
        return Err("usage: publish <url> <topic>".into());
    };
    let client = Client::connect(url).await?;
    let mut receipts = Vec::new();
    for line in std::io::stdin().lock().lines() {
        receipts.push(client.publish(&topic, line?).qos(QoS::AtLeastOnce).enqueue().await?);
    }
    let count = receipts.len();
    for receipt in receipts {
        receipt.await?;
    }
    client.disconnect().await?;
    println!("{count} lines delivered");
    Ok(())
}
