//! The programs of Mongoose OS' documentation in one: a device that reads its `conf.json`, prints what comes on
//! `my/topic/#`, tells of what happens to the connection, and publishes JSON when its button (a line of the standard input)
//! is pressed.
//!
//! `cargo run -p packetboat-docs --example mongoose_device -- conf.json`

use std::error::Error;
use std::io::BufRead;

use packetboat::{Client, QoS};
use packetboat_config::Config;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args().nth(1).unwrap_or_else(|| "conf.json".into());
    let config = Config::load(file)?;
    for warning in config.warnings() {
        eprintln!("{warning}");
    }
    let client = start(&config, |line| println!("{line}")).await?;
    for line in std::io::stdin().lock().lines() {
        line?;
        println!("Published: {}", if press(&client)? { "yes" } else { "no" });
    }
    client.disconnect().await?;
    Ok(())
}

/// `MQTT.setEventHandler` and `MQTT.sub`.
pub(crate) async fn start(
    config: &Config,
    print: impl Fn(String) + Clone + Send + Sync + 'static,
) -> Result<Client, Box<dyn Error>> {
    // As there: it keeps trying in the background.
    let client = Client::start(config.options()?)?;
    let tell = print.clone();
    client.on_event(move |event| tell(format!("MQTT event handler: got {event:?}"))).keep();
    client
        .subscription("my/topic/#")
        .qos(QoS::AtLeastOnce)
        .call(move |_client, message| {
            print(format!(
                "Topic: {} message: {}",
                message.topic(),
                String::from_utf8_lossy(message.payload())
            ));
            async {}
        })
        .await?
        .keep();
    Ok(client)
}

/// `MQTT.pub('my/topic', JSON.stringify({ a: 1, b: 2 }), 1)`. False: there is no room for it. Without a connection it
/// waits in the queue, as there.
pub(crate) fn press(client: &Client) -> Result<bool, Box<dyn Error>> {
    let value = serde_json::json!({ "a": 1, "b": 2 });
    Ok(client.publish_json("my/topic", &value)?.qos(QoS::AtLeastOnce).try_publish().is_ok())
}
