//! Asks and answers: `cargo run --example squares -- mqtt://localhost 12` squares a number, with a responder of its own;
//! `... serve` only answers, `... ask 12` only asks.

use std::time::Duration;

use packetboat::{Client, Incoming, Responder, SubscribeError};

const TOPIC: &str = "example/squares";

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (url, serves, number) = match arguments[..] {
        [url, "serve"] => (url, true, None),
        [url, "ask", number] => (url, false, Some(number)),
        [url, number] => (url, true, Some(number)),
        _ => return Err("usage: squares <url> (serve | [ask] <number>)".into()),
    };
    let client = Client::connect(url).await?;
    let responder = if serves { Some(serve(&client).await?) } else { None };
    match number {
        Some(number) => {
            let answer = client.request(TOPIC, number).timeout(Duration::from_secs(5)).await?;
            println!("{}", String::from_utf8_lossy(answer.payload()));
        }
        // Until it is killed.
        None => std::future::pending().await,
    }
    if let Some(responder) = responder {
        responder.stop().await;
    }
    client.disconnect().await?;
    Ok(())
}

async fn serve(client: &Client) -> Result<Responder, SubscribeError> {
    let square = async |request: Incoming| {
        let text = String::from_utf8_lossy(request.payload()).into_owned();
        let number: i64 = text.parse().map_err(|error| format!("{text:?} is no number: {error}"))?;
        number.checked_mul(number).map(|square| square.to_string()).ok_or_else(|| "too large".to_owned())
    };
    client.respond_to(TOPIC, square).concurrency(8).await
}
