//! Publishes one message over QUIC:
//! `cargo run -p packetboat-quic --example quic -- mqtts://localhost:14567 ca.pem`

use packetboat::{Client, Options, QoS};
use packetboat_quic::Quic;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let Some(url) = arguments.next() else { return Err("arguments: URL, and a file of authorities".into()) };
    let mut quic = Quic::new();
    if let Some(path) = arguments.next() {
        quic = quic.ca_file(path);
    }
    let client = Client::connect(Options::new(&url).transport(quic)).await?;
    client.publish("hello/quic", "Hello!").qos(QoS::AtLeastOnce).await?;
    client.disconnect().await?;
    println!("published over QUIC");
    Ok(())
}
