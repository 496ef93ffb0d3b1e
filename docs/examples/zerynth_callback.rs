//! What Zerynth's documentation shows: connect with name and password, a callback that uses the client, publish.
//!
//! `cargo run -p packetboat-docs --example zerynth_callback -- mqtt://localhost:1883`

use std::error::Error;
use std::sync::mpsc;
use std::time::Duration;

use packetboat::{SessionMode, Will};
use packetboat_blocking::{Client, Message, Options, QoS, Wait};

fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "mqtt://localhost:1883".into());
    for line in conversation(&url)? {
        println!("{line}");
    }
    Ok(())
}

pub(crate) fn conversation(url: &str) -> Result<Vec<String>, Box<dyn Error>> {
    let will = Will { retain: true, ..Will::new("board/state", "gone") };
    let options = Options::new(url)
        .client_id("zerynth-board")
        .session(SessionMode::Clean)
        .username("user")
        .password("password")
        .keep_alive(Duration::from_mins(1))
        .will(will);
    // An error has the return code: `ConnectError::Refused { reason, .. }`, `reason.return_code()`.
    let client = Client::connect(options)?;

    let (tell, told) = mpsc::channel();
    let my_callback = move |client: &Client, message: Message| {
        let text = String::from_utf8_lossy(message.payload()).into_owned();
        // It may publish. It may subscribe, too.
        let _ = client.publish("board/seen", text.clone()).qos(QoS::AtLeastOnce).wait();
        let _ = tell.send(format!("{}: {text}", message.topic()));
    };
    client.call("board/+/set", my_callback)?.keep();
    let mut seen = client.subscribe("board/seen")?;

    client.publish("board/led/set", "on").qos(QoS::AtLeastOnce).wait_within(Duration::from_secs(10))?;
    let mut lines = vec![told.recv_timeout(Duration::from_secs(10))?];
    if let Some(message) = seen.next_within(Duration::from_secs(10))? {
        lines.push(format!("{}: {}", message.topic(), String::from_utf8_lossy(message.payload())));
    }
    lines.push(format!("connected: {}", client.is_connected()));
    client.unsubscribe("board/+/set")?;
    client.disconnect()?;
    Ok(lines)
}
