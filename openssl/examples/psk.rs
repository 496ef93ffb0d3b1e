//! Publishes one message over TLS with a pre-shared key:
//! `cargo run -p packetboat-openssl --example psk -- mqtts://localhost:8883 identity key`

use packetboat::{Client, Options, QoS};
use packetboat_openssl::OpenSsl;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(url), Some(identity), Some(key)) = (arguments.next(), arguments.next(), arguments.next())
    else {
        return Err("arguments: URL, identity, key (as text)".into());
    };
    let tls = OpenSsl::new().psk(identity, key);
    let client = Client::connect(Options::new(&url).transport(tls)).await?;
    client.publish("hello/psk", "Hello!").qos(QoS::AtLeastOnce).await?;
    client.disconnect().await?;
    println!("published over TLS with a pre-shared key");
    Ok(())
}
