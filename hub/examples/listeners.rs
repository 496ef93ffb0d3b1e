//! What the documentation of Pelix's MQTT service shows: two brokers that are configured by files, a listener at both, and messages to one
//! and to all.
//!
//!     cargo run -p packetboat-hub --example listeners
//!
//! The brokers are the strict ones of `packetboat-sim`, in this process.

use std::error::Error;

use packetboat::QoS;
use packetboat_hub::{Change, Hub, PropertyFilter};
use packetboat_sim::net::Broker;
use tokio::sync::mpsc::unbounded_channel;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (kitchen, cellar) = (Broker::start().await?, Broker::start().await?);
    let folder = std::env::temp_dir().join(format!("packetboat-listeners-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    for (name, broker) in [("kitchen", &kitchen), ("cellar", &cellar)] {
        let text = format!("host = \"127.0.0.1\"\nport = {}\nkeepalive = 60\n", broker.port());
        std::fs::write(folder.join(name).with_extension("toml"), text)?;
    }

    let hub = Hub::new();
    let (tell, mut told) = unbounded_channel();
    let listener =
        hub.listener(["home/+/temperature", "home/alarm"]).qos(QoS::AtLeastOnce).call(move |arrival| {
            let text = String::from_utf8_lossy(arrival.payload()).into_owned();
            let _ = tell.send(format!("{}: {} = {text}", arrival.broker(), arrival.topic()));
            async {}
        })?;

    let mut watch = hub.watch(PropertyFilter::all());
    let followed = hub.follow(&folder).await?;
    for _ in 0..2 {
        if let Some(Change::Came(connection)) = watch.next().await {
            println!("{} came: {:?}", connection.id(), connection.properties());
        }
    }
    // The subscription goes out before the message: what is asked for first is answered first.
    let there = hub.find(&"(&(host=127.0.0.1)(id=kit*))".parse()?);
    for connection in &there {
        connection.client().subscribe("ready").await?;
        connection.publish("home/stove/temperature", "80").qos(QoS::AtLeastOnce).await?;
    }
    println!("{}", told.recv().await.unwrap_or_default());

    listener.set_filters("home/alarm")?;
    for connection in hub.connections() {
        connection.client().subscribe("ready").await?;
    }
    for outcome in hub.publish("home/alarm", "off").qos(QoS::AtLeastOnce).await {
        println!("{}: {}", outcome.connection.id(), outcome.result?.reason);
    }
    for _ in 0..2 {
        println!("{}", told.recv().await.unwrap_or_default());
    }
    drop(followed);
    hub.close().await;
    std::fs::remove_dir_all(folder)?;
    Ok(())
}
