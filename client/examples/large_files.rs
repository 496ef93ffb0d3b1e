//! Sends a file and receives it into another: `cargo run --example large_files -- mqtt://localhost from.bin to.bin`. The
//! one that is sent is never held in memory; the one received is, once, as MQTT delivers messages whole.

use std::path::Path;
use std::time::Duration;

use packetboat::{Client, Options, QoS, StreamedPayload};
use tokio::io::AsyncWriteExt;

const TOPIC: &str = "example/large_files";

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, from, to] = &arguments[..] else { return Err("usage: large_files <url> <from> <to>".into()) };
    let size = transfer(url, from.as_ref(), to.as_ref()).await?;
    println!("{size} bytes sent, received and written");
    Ok(())
}

/// Sends `from` and writes what arrives to `to`; the size.
pub async fn transfer(url: &str, from: &Path, to: &Path) -> Result<usize, Box<dyn std::error::Error>> {
    // A large message takes its time to the broker and through it.
    let options = Options::new(url).acknowledgement_timeout(Duration::from_mins(10));
    let client = Client::connect(options).await?;
    let mut messages = client.subscribe(TOPIC).await?;
    let receive = async {
        let message = messages.next().await.ok_or("the stream ended")?;
        let mut file = tokio::fs::File::create(to).await?;
        file.write_all(message.payload()).await?;
        file.flush().await?;
        Ok::<_, Box<dyn std::error::Error>>(message.payload().len())
    };
    let send = async {
        let published = client.publish(TOPIC, StreamedPayload::open(from)?).qos(QoS::AtLeastOnce).await?;
        Ok::<_, Box<dyn std::error::Error>>(published)
    };
    let (size, _) = tokio::try_join!(receive, send)?;
    client.disconnect().await?;
    Ok(size)
}
