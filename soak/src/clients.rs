//! Ten clients: six that publish to whichever of two brokers they reach, and two that subscribe at each.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use packetboat::{Client, Event, Options, QoS, Receipt, SessionMode, VersionChoice};
use packetboat_core::rng::Rng;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::ledger::{CLASSES, Key, Ledger};
use crate::proxy::Proxy;
use crate::witness;

pub(crate) const PUBLISHERS: usize = 6;

/// What all of them share.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) connections: AtomicUsize,
    pub(crate) disconnections: AtomicUsize,
    /// Time to stop publishing.
    pub(crate) over: AtomicBool,
}

/// Messages of QoS 0.
const PLAIN: &str = "soak/plain";

fn options(proxy: &Proxy, name: &str, index: usize) -> Options {
    let version = if index.is_multiple_of(2) { VersionChoice::V5 } else { VersionChoice::V311 };
    let options = Options::new(&proxy.url())
        .client_id(format!("soak-{name}-{index}"))
        .version(version)
        .keep_alive(Duration::from_secs(3))
        .connect_timeout(Duration::from_secs(3))
        .acknowledgement_timeout(Duration::from_secs(5))
        .backoff(Duration::from_millis(50), Duration::from_secs(1))
        .stable_after(Duration::from_secs(2))
        .drain_timeout(Duration::from_secs(20));
    match log(name, index) {
        Some(log) => options.packet_log(log),
        None => options,
    }
}

/// With `PACKETBOAT_SOAK_LOG` every client logs its packets into a file in that folder.
fn log(name: &str, index: usize) -> Option<impl Write + Send + 'static> {
    Some(Timed { file: log_file(&format!("{name}-{index}"))?, begun: Instant::now() })
}

pub(crate) fn log_file(name: &str) -> Option<File> {
    let folder = std::env::var_os("PACKETBOAT_SOAK_LOG")?;
    let path = Path::new(&folder).join(format!("{name}.log"));
    File::options().append(true).create(true).open(path).ok()
}

/// Writes the time before each line.
struct Timed {
    file: File,
    begun: Instant,
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn write_fmt(&mut self, line: std::fmt::Arguments<'_>) -> io::Result<()> {
        self.file.write_all(format!("{:>9.3} {line}", self.begun.elapsed().as_secs_f64()).as_bytes())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Counts what happens to a client's connections, until it is closed.
fn count(client: &Client, counters: &Arc<Counters>) {
    let (mut events, counters) = (client.events(), counters.clone());
    tokio::spawn(async move {
        while let Some(event) = events.next().await {
            match event {
                Event::Connected(_) => counters.connections.fetch_add(1, Ordering::Relaxed),
                Event::Disconnected { .. } => counters.disconnections.fetch_add(1, Ordering::Relaxed),
                _ => 0,
            };
        }
    });
}

/// A client that publishes until it is over and waits for all receipts. It stays online.
pub(crate) async fn publisher(
    index: usize,
    proxies: &[Proxy; 2],
    ledger: Arc<Ledger>,
    counters: Arc<Counters>,
    mut rng: Rng,
) -> Result<JoinHandle<Client>, String> {
    let (first, second) = (&proxies[index % 2], &proxies[(index + 1) % 2]);
    let options = options(first, "publisher", index).or_server(second.url().as_str());
    let persistent = SessionMode::Persistent { expiry: Duration::from_hours(1) };
    let options = if index < 2 { options.session(persistent) } else { options };
    let options = options.queue(500, 4 << 20).on_packet(witness::promises(ledger.clone()));
    let client = Client::connect(options).await.map_err(|error| error.to_string())?;
    count(&client, &counters);
    let (receipts, results) = mpsc::channel(2000);
    let collector = tokio::spawn(collect(results, ledger.clone()));
    Ok(tokio::spawn(async move {
        let mut number = 0;
        while !counters.over.load(Ordering::Relaxed) {
            publish(&client, index, &mut number, &ledger, &receipts, &mut rng).await;
            sleep(Duration::from_millis(20 + rng.below(80))).await;
        }
        drop(receipts);
        let _ = collector.await;
        client
    }))
}

/// A few messages at once.
async fn publish(
    client: &Client,
    index: usize,
    number: &mut usize,
    ledger: &Ledger,
    receipts: &mpsc::Sender<(Key, Receipt)>,
    rng: &mut Rng,
) {
    for _ in 0..=rng.below(3) {
        let size = if rng.below(200) == 0 { 50_000 } else { rng.below(600) };
        let padding = "x".repeat(usize::try_from(size).unwrap_or(0));
        if rng.below(8) == 0 {
            ledger.plain();
            let _ = client.publish(PLAIN, padding).try_publish();
            continue;
        }
        let qos = if rng.below(2) == 0 { QoS::AtLeastOnce } else { QoS::ExactlyOnce };
        let key = (index, *number);
        ledger.offered(key);
        match client.publish("soak/messages", format!("{index} {number} {padding}")).qos(qos).enqueue().await
        {
            Ok(receipt) => {
                let _ = receipts.send((key, receipt)).await;
            }
            Err(error) => {
                println!("not accepted: {error}");
                ledger.refused(key);
            }
        }
        *number += 1;
    }
}

async fn collect(mut receipts: mpsc::Receiver<(Key, Receipt)>, ledger: Arc<Ledger>) {
    while let Some((key, receipt)) = receipts.recv().await {
        match receipt.await {
            Ok(published) => ledger.confirmed(key, published.possible_duplicate),
            Err(error) => {
                println!("publisher and number {key:?} failed: {error}");
                ledger.failed();
            }
        }
    }
}

/// A client that subscribes at one broker and enters what comes.
pub(crate) async fn subscriber(
    index: usize,
    proxy: &Proxy,
    ledger: Arc<Ledger>,
    counters: &Arc<Counters>,
) -> Result<Client, String> {
    let (class, broker) = (index % CLASSES, proxy.broker);
    let persistent = SessionMode::Persistent { expiry: Duration::from_hours(1) };
    let options = options(proxy, "subscriber", index).session(persistent);
    let options = options.on_packet(witness::mistakes(ledger.clone(), class));
    let client = Client::connect(options).await.map_err(|error| error.to_string())?;
    count(&client, counters);
    let subscription = client.subscription("soak/#").qos(QoS::ExactlyOnce);
    let mut messages = subscription.await.map_err(|error| error.to_string())?;
    tokio::spawn(async move {
        while let Some(message) = messages.next().await {
            if message.topic() == PLAIN {
                ledger.plain_came();
            } else {
                let exactly_once = message.qos() == QoS::ExactlyOnce;
                ledger.came(witness::key_of(message.payload()), class, broker, exactly_once);
            }
        }
    });
    Ok(client)
}
