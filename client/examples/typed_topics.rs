//! Topics with named levels and payloads with a type: `cargo run --features serde --example typed_topics --
//! mqtt://localhost`.

use packetboat::typed::{Format, Problem, TypedTopic};
use packetboat::{Client, QoS};
use serde::{Deserialize, Serialize};

/// The levels of `example/{room}/{id}/temperature`.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Sensor {
    room: String,
    id: u32,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Reading {
    celsius: f64,
    battery: Option<u8>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).ok_or("usage: typed_topics <url>")?;
    let client = Client::connect(&*url).await?;
    for line in readings(&client, Format::Json).await? {
        println!("{line}");
    }
    client.disconnect().await?;
    Ok(())
}

/// Publishes three messages, of which the second is wrong, and says what arrived.
pub(crate) async fn readings(
    client: &Client,
    format: Format,
) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let topic = TypedTopic::<Sensor, Reading>::new("example/{room}/{id}/temperature")?.format(format);
    let mut stream = client.subscribe(topic.filter()).await?.typed(&topic);

    let good = Reading { celsius: 21.5, battery: None };
    let first = topic.message(&Sensor { room: "kitchen".into(), id: 7 }, &good)?;
    client.publish_typed(&first).qos(QoS::AtLeastOnce).await?;
    client.publish("example/kitchen/8/temperature", "rather warm").qos(QoS::AtLeastOnce).await?;
    let third = topic.message(&Sensor { room: "cellar".into(), id: 9 }, &good)?;
    client.publish_typed(&third).qos(QoS::AtLeastOnce).await?;

    let mut lines = Vec::new();
    while lines.len() < 3 {
        match stream.next().await.ok_or("the stream ended")? {
            Ok(reading) => lines
                .push(format!("{}/{}: {}", reading.levels.room, reading.levels.id, reading.payload.celsius)),
            Err(error) => match error.problem {
                Problem::Payload(_) => lines.push(format!("{}: no reading", error.message.topic())),
                other => return Err(other.into()),
            },
        }
    }
    Ok(lines)
}
