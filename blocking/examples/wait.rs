//! A program without async: publish, wait until it is delivered, and take what comes.
//!
//! `cargo run -p packetboat-blocking --example wait -- mqtt://localhost:1883`

use std::error::Error;
use std::time::Duration;

use packetboat_blocking::{Client, QoS, Wait};

fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "mqtt://localhost:1883".into());
    let client = Client::connect(url.as_str())?;
    let mut messages = client.subscribe("hello/#")?;
    client.publish("hello/world", "Hello!").qos(QoS::AtLeastOnce).wait_within(Duration::from_secs(5))?;
    if let Some(message) = messages.next_within(Duration::from_secs(5))? {
        println!("{}: {}", message.topic(), String::from_utf8_lossy(message.payload()));
    }
    client.disconnect()?;
    Ok(())
}
