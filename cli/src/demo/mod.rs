//! `packetboat demo`: a broker, a client, two cuts, and the count.

mod story;
mod tally;

use std::time::Duration;

use packetboat::{Client, Event, Jitter, Options, QoS, Receipt, Subscriber};
use packetboat_sim::broker::Direction;
use packetboat_sim::net::Broker;
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval, timeout};

use crate::failure::{Exit, Failure};
use crate::report::version_name;
use story::Story;
use tally::{Check, QOS, Tally};

const CLIENT_ID: &str = "demo-boat";

/// Messages at each QoS.
const ROUNDS: u32 = 2000;

/// Rounds in each tick of the clock.
const AT_ONCE: u32 = 10;
const TICK: Duration = Duration::from_millis(10);

/// The rounds with large messages, in the middle of which the connection is cut.
const CUT_TOWARDS_BROKER: u32 = 700;
const CUT_TOWARDS_CLIENT: u32 = 1400;

const LARGE: usize = 32 * 1024;
const SMALL: usize = 64;

/// Where the cut is: inside the first of three large packets, if nothing else is on the wire, and otherwise still
/// inside one of them.
const CUT_AFTER: u64 = 20_000;

/// The demonstration promises to end in ten seconds.
const LIMIT: Duration = Duration::from_secs(9);

pub(crate) async fn run() -> Result<Exit, Failure> {
    let story = Story::begin();
    let end = timeout(LIMIT, tell(&story)).await;
    let check = end.unwrap_or_else(|_| Err("it has not come to an end".into()));
    match check {
        Ok(check) => {
            story.result(&check);
            Ok(if check.holds() { Exit::Success } else { Exit::NotDelivered })
        }
        Err(why) => Err(Failure::new(Exit::NotDelivered, format_args!("the demonstration failed: {why}"))),
    }
}

async fn tell(story: &Story) -> Result<Check, String> {
    let broker = Broker::start().await.map_err(|error| format!("no broker: {error}"))?;
    story.line("broker", format_args!("strict, in this process: {}", broker.url()));
    let options = Options::new(&broker.url())
        .client_id(CLIENT_ID)
        .backoff(Duration::from_millis(400), Duration::from_millis(400))
        .jitter(Jitter::None)
        .queue(20_000, LARGE * 1000);
    let client = Client::connect(options).await.map_err(|error| error.to_string())?;
    story.line(
        "connected",
        format_args!("as {CLIENT_ID}, with MQTT {}", version_name(client.version().level())),
    );
    let watcher = watch(&client, *story);
    let stream =
        client.subscription("demo/#").qos(QoS::ExactlyOnce).await.map_err(|error| error.to_string())?;
    story.line("subscribed", "to demo/# at QoS 2");
    let receiver = tokio::spawn(receive(stream));

    let unconfirmed = publish(&client, &broker, story).await?;
    story.line("confirmed", format_args!("{} of {} messages", 3 * ROUNDS as usize - unconfirmed, 3 * ROUNDS));
    let end = client.publish("demo/end", "end").qos(QoS::ExactlyOnce).await;
    end.map_err(|error| error.to_string())?;
    let tally = receiver.await.map_err(|error| error.to_string())?;
    let undelivered = client.disconnect().await.err().map_or(0, |undelivered| undelivered.messages);
    let cuts = watcher.await.map_err(|error| error.to_string())?;
    story.line("disconnected", "and everything that was accepted is finished");
    let stats = broker.stats();
    let violations = broker.violations();
    broker.stop().await;
    Ok(Check {
        sent: ROUNDS,
        tally,
        unconfirmed: unconfirmed + undelivered,
        cuts,
        resumed: stats.resumed,
        violations: violations.iter().map(ToString::to_string).collect(),
    })
}

/// Publish on and on, and have the connection cut twice meanwhile. Gives how many the broker did not confirm.
async fn publish(client: &Client, broker: &Broker, story: &Story) -> Result<usize, String> {
    story.line("publishing", format_args!("{ROUNDS} messages at each QoS, {SMALL} bytes each"));
    let mut receipts: Vec<Receipt> = Vec::new();
    let mut clock = interval(TICK);
    for round in 0..ROUNDS {
        if round % AT_ONCE == 0 {
            clock.tick().await;
        }
        let direction = match round {
            CUT_TOWARDS_BROKER => Some((Direction::ToBroker, "to")),
            CUT_TOWARDS_CLIENT => Some((Direction::ToClient, "from")),
            _ => None,
        };
        if let Some((direction, word)) = direction {
            story.line("cut", format_args!("in the middle of a 32 KiB message {word} the broker"));
            broker.faults().cut_after_bytes(direction, CUT_AFTER);
        }
        let size = if direction.is_some() { LARGE } else { SMALL };
        for qos in QOS {
            let topic = format!("demo/qos{}", qos as u8);
            let payload = tally::payload(qos, round, size);
            let receipt = client.publish(&topic, payload).qos(qos).enqueue().await;
            receipts.push(receipt.map_err(|error| error.to_string())?);
        }
    }
    story.line("published", "all, also while there was no connection");
    let mut unconfirmed = 0;
    for receipt in receipts {
        unconfirmed += usize::from(receipt.await.is_err());
    }
    Ok(unconfirmed)
}

/// Count what arrives, up to the end.
async fn receive(mut stream: Subscriber) -> Tally {
    let mut tally = Tally::new(ROUNDS);
    while let Some(message) = stream.next().await {
        if message.topic() == "demo/end" {
            break;
        }
        tally.count(message.payload());
    }
    tally
}

/// Tell what happens to the connection; gives how often it was lost.
fn watch(client: &Client, story: Story) -> JoinHandle<u64> {
    let (mut events, client) = (client.events(), client.clone());
    tokio::spawn(async move {
        let (mut cuts, mut since) = (0, Instant::now());
        while let Some(event) = events.next().await {
            match event {
                Event::Disconnected { cause, retry_in: Some(wait), .. } => {
                    (cuts, since) = (cuts + 1, Instant::now());
                    story.line("lost", format_args!("{cause}; next attempt in {} ms", wait.as_millis()));
                }
                Event::Connected(connected) => {
                    let queue = client.queue();
                    let waiting = queue.in_flight + queue.messages;
                    let session = if connected.session_present { "resumed" } else { "LOST" };
                    let outage = since.elapsed().as_millis();
                    let text =
                        format!("after {outage} ms, session {session}; {waiting} messages had to wait");
                    story.line("reconnected", text);
                }
                _ => {}
            }
        }
        cuts
    })
}
