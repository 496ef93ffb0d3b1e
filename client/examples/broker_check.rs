//! Finds out what a broker can do, by doing it: `cargo run --example broker_check -- mqtt://localhost`. One line for each
//! version and ability: `5.0 retained: yes`, or what went wrong instead.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use packetboat::{Client, Event, Message, Options, QoS, SessionMode, Subscriber, Version, VersionChoice};
use packetboat_core::wire::{Connect, Packet, Properties, Will, encode};

type Failure = Box<dyn std::error::Error>;

/// Nothing here takes longer, unless it is not coming.
const PATIENCE: Duration = Duration::from_secs(5);

const VERSIONS: [(VersionChoice, Version, &str); 2] =
    [(VersionChoice::V311, Version::V311, "3.1.1"), (VersionChoice::V5, Version::V5, "5.0")];

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let address = std::env::args().nth(1).ok_or("usage: broker_check <host:port>")?;
    let check =
        Check { address: address.clone(), choice: VersionChoice::Auto, version: Version::V5, name: "any" };
    check.say("connect", check.finds_a_version()).await;
    for (choice, version, name) in VERSIONS {
        let check = Check { address: address.clone(), choice, version, name };
        if !check.say("connect", check.connects()).await {
            continue;
        }
        check.say("QoS 0", check.both_ways(QoS::AtMostOnce)).await;
        check.say("QoS 1", check.both_ways(QoS::AtLeastOnce)).await;
        check.say("QoS 2", check.both_ways(QoS::ExactlyOnce)).await;
        check.say("retained", check.retains()).await;
        check.say("will", check.has_wills()).await;
        check.say("session", check.keeps_sessions()).await;
        check.say("shared", check.shares()).await;
    }
    Ok(())
}

struct Check {
    address: String,
    choice: VersionChoice,
    version: Version,
    name: &'static str,
}

impl Check {
    async fn say(&self, what: &str, does: impl Future<Output = Result<(), Failure>>) -> bool {
        let result = tokio::time::timeout(6 * PATIENCE, does).await;
        let result = result.unwrap_or_else(|_| Err("no end".into()));
        match &result {
            Ok(()) => println!("{} {what}: yes", self.name),
            Err(error) => println!("{} {what}: {error}", self.name),
        }
        result.is_ok()
    }

    fn options(&self, id: &str) -> Options {
        Options::new(&format!("mqtt://{}", self.address))
            .version(self.choice)
            .client_id(format!("check-{}-{id}", self.name.replace('.', "")))
            .connect_timeout(PATIENCE)
            .acknowledgement_timeout(PATIENCE)
    }

    /// A topic of this version's own. Without a dot, for which some brokers put a slash.
    fn topic(&self, name: &str) -> String {
        format!("check/{}/{name}", self.name.replace('.', ""))
    }

    async fn client(&self, id: &str) -> Result<Client, Failure> {
        let client = Client::connect(self.options(id).retry_limit(0)).await?;
        let (mut events, name) = (client.events(), format!("{} {id}", self.name));
        tokio::spawn(async move {
            while let Some(event) = events.next().await {
                if let Event::Disconnected { cause, .. } = event {
                    eprintln!("{name}: {cause}");
                }
            }
        });
        Ok(client)
    }

    async fn connects(&self) -> Result<(), Failure> {
        self.client("connects").await?.disconnect().await?;
        Ok(())
    }

    /// Left to itself the client tries 5.0 first, and 3.1.1 where that is not understood.
    async fn finds_a_version(&self) -> Result<(), Failure> {
        let quick = Duration::from_millis(100);
        Client::connect(self.options("any").backoff(quick, quick)).await?.disconnect().await?;
        Ok(())
    }

    async fn both_ways(&self, qos: QoS) -> Result<(), Failure> {
        let (client, topic) = (self.client("ways").await?, self.topic(&format!("ways/{qos:?}")));
        let mut stream = client.subscribe(&topic).await?;
        for number in 0..50 {
            client.publish(&topic, number.to_string()).qos(qos).timeout(PATIENCE).await?;
        }
        for number in 0..50 {
            let message = next(&mut stream).await?;
            expect(&message, number)?;
            if message.qos() != qos {
                return Err(format!("comes as QoS {}", message.qos() as u8).into());
            }
        }
        client.disconnect().await?;
        Ok(())
    }

    async fn retains(&self) -> Result<(), Failure> {
        let (client, topic) = (self.client("retains").await?, self.topic("retained"));
        client.publish(&topic, "kept").qos(QoS::AtLeastOnce).retain(true).timeout(PATIENCE).await?;
        let mut stream = client.subscribe(&topic).await?;
        let message = next(&mut stream).await?;
        if !message.retain() || message.payload() != b"kept" {
            return Err("comes without its flag".into());
        }
        stream.unsubscribe().await?;
        client.publish(&topic, "").qos(QoS::AtLeastOnce).retain(true).timeout(PATIENCE).await?;
        let mut stream = client.subscribe(&topic).await?;
        client.publish(&topic, "new").qos(QoS::AtLeastOnce).timeout(PATIENCE).await?;
        let message = next(&mut stream).await?;
        if message.payload() != b"new" {
            return Err("an empty message does not remove it".into());
        }
        client.disconnect().await?;
        Ok(())
    }

    async fn has_wills(&self) -> Result<(), Failure> {
        let (client, topic) = (self.client("heir").await?, self.topic("will"));
        let mut stream = client.subscribe(&topic).await?;
        let will = Will {
            qos: QoS::AtLeastOnce,
            retain: false,
            topic: &topic,
            payload: b"gone",
            properties: Properties::EMPTY,
        };
        let connect = Connect {
            version: self.version,
            clean_start: true,
            keep_alive: 60,
            client_id: "check-testator",
            will: Some(will),
            username: None,
            password: None,
            properties: Properties::EMPTY,
        };
        let mut packet = Vec::new();
        encode(self.version, &Packet::Connect(connect), &mut packet);
        let address = self.address.clone();
        // A connection that ends without a goodbye.
        let lost = move || {
            let mut socket = TcpStream::connect(address)?;
            socket.set_read_timeout(Some(PATIENCE))?;
            socket.write_all(&packet)?;
            socket.read_exact(&mut [0; 4])
        };
        tokio::task::spawn_blocking(lost).await??;
        if next(&mut stream).await?.payload() != b"gone" {
            return Err("comes changed".into());
        }
        client.disconnect().await?;
        Ok(())
    }

    async fn keeps_sessions(&self) -> Result<(), Failure> {
        let topic = self.topic("session");
        let session = SessionMode::Persistent { expiry: Duration::from_mins(5) };
        let connect = async || Client::connect(self.options("keeper").session(session).retry_limit(0)).await;
        let client = connect().await?;
        drop(client.subscribe(&topic).await?);
        client.disconnect().await?;
        let other = self.client("meanwhile").await?;
        for number in 0..3 {
            other.publish(&topic, number.to_string()).qos(QoS::AtLeastOnce).timeout(PATIENCE).await?;
        }
        other.disconnect().await?;
        let client = Client::start(self.options("keeper").session(session).retry_limit(0))?;
        let mut stream = client.messages();
        for number in 0..3 {
            expect(&next(&mut stream).await?, number)?;
        }
        client.disconnect().await?;
        // And nothing is left of it once it is not wanted.
        self.client("keeper").await?.disconnect().await?;
        Ok(())
    }

    async fn shares(&self) -> Result<(), Failure> {
        let (one, other) = (self.client("one").await?, self.client("other").await?);
        let topic = self.topic("shared");
        let filter = format!("$share/group/{topic}");
        let mut streams = [one.subscribe(&filter).await?, other.subscribe(&filter).await?];
        let publisher = self.client("many").await?;
        for number in 0..20 {
            publisher.publish(&topic, number.to_string()).qos(QoS::AtLeastOnce).timeout(PATIENCE).await?;
        }
        let [first, second] = &mut streams;
        let (mut firsts, mut seconds) = (0, 0);
        while firsts + seconds < 20 {
            tokio::select! {
                message = next(first) => firsts += message.map(|_| 1)?,
                message = next(second) => seconds += message.map(|_| 1)?,
            }
        }
        // Whoever got more than a share has it now.
        for client in [&one, &other] {
            client.publish(&self.topic("end"), "").qos(QoS::AtLeastOnce).timeout(PATIENCE).await?;
        }
        let more = tokio::select! {
            message = first.next() => message.is_some(),
            message = second.next() => message.is_some(),
            () = tokio::time::sleep(Duration::from_millis(300)) => false,
        };
        if more || firsts == 0 || seconds == 0 {
            return Err(format!("20 messages were shared {firsts} to {seconds}, and more: {more}").into());
        }
        for client in [one, other, publisher] {
            client.disconnect().await?;
        }
        Ok(())
    }
}

fn expect(message: &Message, number: u32) -> Result<(), Failure> {
    if message.payload() == number.to_string().as_bytes() {
        return Ok(());
    }
    let (topic, got) = (message.topic(), String::from_utf8_lossy(message.payload()));
    Err(format!("{got:?} on {topic} where {number} should be").into())
}

async fn next(stream: &mut Subscriber) -> Result<Message, Failure> {
    match tokio::time::timeout(PATIENCE, stream.next()).await {
        Ok(Some(message)) => Ok(message),
        Ok(None) => Err("the stream ended".into()),
        Err(_) => Err("nothing comes".into()),
    }
}
