//! A message and the answer to it belong to one trace.
//!
//! `cargo run -p packetboat-telemetry --example one_trace -- mqtt://localhost:1883`

use std::error::Error;

use packetboat::{Client, PropertiesBuf, QoS};
use packetboat_telemetry::spans;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "mqtt://localhost:1883".into());
    let client = Client::connect(url.as_str()).await?;
    let mut messages = client.subscribe("trace/#").await?;
    let (span, context) = spans::sending("trace/here", None);
    let mut properties = PropertiesBuf::new();
    context.put(&mut properties)?;
    let publish = client.publish("trace/here", "hello").qos(QoS::AtLeastOnce).properties(properties);
    let receipt = span.in_scope(|| publish.drop_properties(true).try_publish())?;
    receipt.await?;
    if let Some(message) = messages.next().await {
        let (_span, received) = spans::receiving(&message);
        let same = received.trace_id() == context.trace_id();
        println!("{} is of {} trace", message.topic(), if same { "the same" } else { "another" });
    }
    client.disconnect().await?;
    Ok(())
}
