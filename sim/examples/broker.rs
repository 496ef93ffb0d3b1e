//! The strict broker on a socket.
//!
//! `cargo run -p packetboat-sim --features net --example broker` shows what it says to a client that breaks a rule.
//! With a port as argument it listens there until it is stopped, and reports every breach:
//! `cargo run -p packetboat-sim --features net --example broker -- 1883`.

use std::error::Error;

use packetboat_core::wire::{Connect, Packet, Properties, Publish, QoS, Version, encode};
use packetboat_sim::broker::{Config, OnViolation};
use packetboat_sim::net::{Broker, Options};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    match std::env::args().nth(1) {
        Some(port) => listen(port.parse()?).await,
        None => show().await,
    }
}

/// Listen until stopped.
async fn listen(port: u16) -> Result<(), Box<dyn Error>> {
    let config = Config { on_violation: OnViolation::Record, ..Config::default() };
    let broker = Options::new().config(config).port(port).start().await?;
    println!("listening at {}; every breach of the rules is reported here", broker.url());
    let mut reported = 0;
    loop {
        broker.until(|core| core.violations().len() > reported).await;
        for violation in &broker.violations()[reported..] {
            println!("{violation}");
            reported += 1;
        }
    }
}

/// Be a bad client: a first PUBLISH with DUP set.
async fn show() -> Result<(), Box<dyn Error>> {
    let broker = Broker::start().await?;
    println!("listening at {}", broker.url());
    let connect = Connect {
        version: Version::V5,
        clean_start: true,
        keep_alive: 30,
        client_id: "boat",
        will: None,
        username: None,
        password: None,
        properties: Properties::EMPTY,
    };
    let publish = Publish {
        dup: true,
        retain: false,
        qos: QoS::AtLeastOnce,
        topic: "harbour/depth",
        id: Some(1),
        properties: Properties::EMPTY,
        payload: b"4.2",
    };
    let mut stream = TcpStream::connect(("127.0.0.1", broker.port())).await?;
    let (mut bytes, mut buffer) = (Vec::new(), [0; 1024]);
    encode(Version::V5, &Packet::Connect(connect), &mut bytes);
    stream.write_all(&bytes).await?;
    let count = stream.read(&mut buffer).await?;
    println!("CONNACK: {:02x?}", &buffer[..count]);

    bytes.clear();
    encode(Version::V5, &Packet::Publish(publish), &mut bytes);
    stream.write_all(&bytes).await?;
    let count = stream.read(&mut buffer).await?;
    println!("DISCONNECT with reason 0x{:02x}: {}", buffer[2], String::from_utf8_lossy(&buffer[7..count]));

    for violation in broker.violations() {
        println!("recorded: {violation}");
    }
    broker.stop().await;
    Ok(())
}
