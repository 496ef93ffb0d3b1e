//! Prints what arrives on a filter: `cargo run --example subscribe -- mqtt://localhost 'a/#'`.

use packetboat::{Client, Event};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(url), Some(filter)) = (arguments.next(), arguments.next()) else {
        return Err("usage: subscribe <url> <filter>".into());
    };
    let client = Client::connect(url).await?;
    let mut events = client.events();
    tokio::spawn(async move {
        while let Some(event) = events.next().await {
            if let Event::Disconnected { cause, retry_in, .. } = event {
                eprintln!("{cause}; next attempt: {retry_in:?}");
            }
        }
    });
    let mut messages = client.subscribe(&filter).await?;
    eprintln!("subscribed to {filter}");
    while let Some(message) = messages.next().await {
        println!("{} {}", message.topic(), String::from_utf8_lossy(message.payload()));
    }
    Ok(())
}
