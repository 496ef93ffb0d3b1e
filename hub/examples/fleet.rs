//! What many connections and listeners in one hub take: memory, time to place them, and messages a second.
//!
//!     cargo run --release -p packetboat-hub --example fleet [connections] [listeners] [URL]
//!
//! Without an address the broker is the strict one of `packetboat-sim`, in a process of its own so that its memory does not
//! count, on this machine so that its time does. Each connection takes a file descriptor in either process: `ulimit -n`.

use std::error::Error;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use packetboat::{Client, Options, QoS, SessionMode};
use packetboat_hub::bridge::{Pipe, PipeEnd, PipeOptions, Route};
use packetboat_hub::{Hub, Listener, PropertyFilter};
use packetboat_sim::net::Broker;
use tokio::sync::Notify;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// As the first argument: be the broker.
const BROKER: &str = "broker";
/// Destinations of the one source.
const FAN: usize = 10;
const PAYLOAD: [u8; 64] = [b'x'; 64];

#[tokio::main]
async fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == BROKER) {
        return be_broker().await;
    }
    let number = |at: usize, otherwise| arguments.get(at).map_or(Ok(otherwise), |text| text.parse());
    let (connections, listeners) = (number(0, 1000)?.max(FAN), number(1, 10_000)?);
    let own = if arguments.len() < 3 { Some(Own::start()?) } else { None };
    let url = own.as_ref().map_or_else(|| arguments[2].clone(), |own| own.url.clone());
    let hub = Hub::new();
    connect(&hub, &url, connections).await?;
    let count = Arc::new(Count::default());
    let sender = Client::connect(url.as_str()).await?;

    let one_each = at_one_each(&hub, &sender, &count, connections, listeners).await?;
    let at_all = at_all(&hub, &sender, &count, connections, listeners).await?;
    // The strict broker looks at every filter for every message; one without those of the fleet shows what the hub can do.
    let fresh = if own.is_some() { Some(Own::start()?) } else { None };
    fan_out(&hub, fresh.as_ref().map_or(&url, |fresh| &fresh.url), listeners).await?;

    let begin = Instant::now();
    drop((one_each, at_all));
    let left = hub.close().await;
    println!("closed in {:.1?}, {} connections left something behind", begin.elapsed(), left.len());
    sender.disconnect().await?;
    for own in own.into_iter().chain(fresh) {
        own.end()?;
    }
    println!("all of it arrived");
    Ok(())
}

/// Ten thousand listeners, each at one of a thousand connections: that many subscriptions.
async fn at_one_each(
    hub: &Hub,
    sender: &Client,
    count: &Arc<Count>,
    connections: usize,
    listeners: usize,
) -> Outcome<Vec<Listener>> {
    let (before, begin) = (memory(), Instant::now());
    let one_each = (0..listeners)
        .map(|number| {
            listen(hub, count, &format!("one/{number}"), &format!("(id=c{})", number % connections))
        })
        .collect::<Outcome<Vec<_>>>()?;
    let placed = begin.elapsed();
    settled(hub).await?;
    println!(
        "{listeners} listeners, each at one connection: placed in {placed:.1?}, subscribed after {:.1?}, {}",
        begin.elapsed(),
        each(memory().saturating_sub(before), listeners)
    );
    let begin = Instant::now();
    for number in 0..listeners {
        let topic = format!("one/{number}");
        drop(sender.publish(&topic, &PAYLOAD).qos(QoS::AtLeastOnce).enqueue().await?);
    }
    count.reaches(listeners).await;
    println!("a message for each of them: {}", rate(listeners, begin));
    Ok(one_each)
}

/// As many pairs of a listener and a connection, by few listeners that are at all connections.
async fn at_all(
    hub: &Hub,
    sender: &Client,
    count: &Arc<Count>,
    connections: usize,
    listeners: usize,
) -> Outcome<Vec<Listener>> {
    let (before, begin, everywhere) = (memory(), Instant::now(), listeners.div_ceil(connections));
    let at_all = (0..everywhere)
        .map(|number| listen(hub, count, &format!("all/{number}"), ""))
        .collect::<Outcome<Vec<_>>>()?;
    settled(hub).await?;
    let pairs = everywhere * connections;
    println!(
        "{everywhere} listeners at all connections, {pairs} pairs: subscribed after {:.1?}, {}",
        begin.elapsed(),
        each(memory().saturating_sub(before), pairs)
    );
    let begin = Instant::now();
    for number in 0..everywhere {
        sender.publish(&format!("all/{number}"), &PAYLOAD).qos(QoS::AtLeastOnce).await?;
    }
    count.reaches(listeners + pairs).await;
    println!("a message for each pair: {}", rate(pairs, begin));
    Ok(at_all)
}

async fn connect(hub: &Hub, url: &str, connections: usize) -> Outcome<()> {
    let (before, begin) = (memory(), Instant::now());
    let mut services = hub.watch(PropertyFilter::all());
    for number in 0..connections {
        let options = Options::new(url).client_id(format!("fleet-{number}"));
        // A thousand at once is more than some brokers take within 10 s on a busy machine.
        hub.add(&format!("c{number}"), options.connect_timeout(Duration::from_mins(1)))?;
    }
    while hub.find(&PropertyFilter::all()).len() < connections {
        let _ = tokio::time::timeout(Duration::from_mins(2), services.next())
            .await
            .map_err(|_| "the connections do not come about: is `ulimit -n` above their number?")?;
    }
    println!(
        "{connections} connections: {:.1?}, {}",
        begin.elapsed(),
        each(memory().saturating_sub(before), connections)
    );
    Ok(())
}

fn listen(hub: &Hub, count: &Arc<Count>, filter: &str, at: &str) -> Outcome<Listener> {
    let count = count.clone();
    let builder = hub.listener(filter).on(at.parse()?).qos(QoS::AtLeastOnce);
    Ok(builder.call(move |_| {
        count.add();
        async {}
    })?)
}

/// What each connection was asked for before was answered when this is.
async fn settled(hub: &Hub) -> Outcome<()> {
    let all = hub.connections();
    let asked = all.iter().map(|connection| async {
        let stream = connection.client().subscribe("fleet/ready").await?;
        stream.unsubscribe().await.map_err(Box::<dyn Error>::from)
    });
    try_join_all(asked).await?;
    Ok(())
}

/// From one source to ten destinations, each on a connection of its own, while the hub has all the others as well.
async fn fan_out(hub: &Hub, url: &str, messages: usize) -> Outcome<()> {
    let session = SessionMode::Persistent { expiry: Duration::from_mins(5) };
    let source = Options::new(url).client_id("fleet-source").session(session);
    let route = Route::new("fan/in")?;
    let mut options = PipeOptions::new("fan", "source", source, route.clone());
    for number in 0..FAN {
        let name = format!("destination-{number}");
        let connection = hub.add(&name, Options::new(url).client_id(&name))?;
        let end = PipeEnd::broker(&name, connection.client().clone());
        options = options.destination(end.topic(route.template(&format!("fan/{name}"))?));
    }
    let sender = Client::connect(url).await?;
    let pipe = Pipe::start(options)?;
    let mut states = pipe.watch();
    states.wait_for(|state| state.to_string() == "running").await?;
    let begin = Instant::now();
    for _ in 0..messages {
        drop(sender.publish("fan/in", &PAYLOAD).qos(QoS::AtLeastOnce).enqueue().await?);
    }
    while pipe.counts().acknowledged < messages as u64 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    println!("from one source to {FAN} destinations, each at QoS 1: {}", rate(messages * FAN, begin));
    pipe.remove().await;
    sender.disconnect().await?;
    Ok(())
}

/// Until whoever started it is gone.
async fn be_broker() -> Outcome<()> {
    let broker = Broker::start().await?;
    println!("{}", broker.url());
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    match broker.violations() {
        violations if violations.is_empty() => Ok(()),
        violations => Err(format!("the broker saw rules broken: {violations:?}").into()),
    }
}

/// A broker in a process of its own, which ends when this one does.
struct Own {
    process: Child,
    url: String,
}

impl Own {
    fn start() -> Outcome<Self> {
        let (input, output) = (Stdio::piped(), Stdio::piped());
        let mut process =
            Command::new(std::env::current_exe()?).arg(BROKER).stdin(input).stdout(output).spawn()?;
        let mut url = String::new();
        if let Some(output) = process.stdout.take() {
            BufReader::new(output).read_line(&mut url)?;
        }
        Ok(Self { process, url: url.trim().to_owned() })
    }

    fn end(mut self) -> Outcome<()> {
        drop(self.process.stdin.take());
        // It said what.
        if self.process.wait()?.success() { Ok(()) } else { Err("rules were broken".into()) }
    }
}

/// Counts messages, and tells when there are as many as are wanted.
#[derive(Default)]
struct Count {
    came: AtomicUsize,
    changed: Notify,
}

impl Count {
    fn add(&self) {
        self.came.fetch_add(1, Ordering::Relaxed);
        self.changed.notify_one();
    }

    async fn reaches(&self, wanted: usize) {
        while self.came.load(Ordering::Relaxed) < wanted {
            self.changed.notified().await;
        }
    }
}

/// Resident bytes of this process, where the system tells.
fn memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    status.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or_default() * 4096
}

#[allow(clippy::cast_precision_loss, reason = "for people")]
fn each(bytes: usize, count: usize) -> String {
    format!("{:.1} MiB, {:.1} KiB each", bytes as f64 / 1_048_576.0, bytes as f64 / 1024.0 / count as f64)
}

#[allow(clippy::cast_precision_loss, reason = "for people")]
fn rate(count: usize, begin: Instant) -> String {
    let elapsed = begin.elapsed();
    format!("{count} in {elapsed:.1?}, {:.0} a second", count as f64 / elapsed.as_secs_f64())
}
