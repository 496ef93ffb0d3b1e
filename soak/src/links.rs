//! Broken links between clients and a real mosquitto, in network namespaces: cut, half-open, slow and lossy.
//!
//! `packetboat-soak links` as root, with iproute2 and nftables. Client and broker have a namespace each, and a link between
//! them for each case. All cases run at once, each with a client of either version that publishes all the time.
//! Whatever it accepts has to arrive, QoS 2 once.

use std::collections::HashMap;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use packetboat::{Client, Event, Options, QoS, SessionMode, VersionChoice};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::broker::{self, Mosquitto};
use crate::lab::{Lab, Link, Loss, broker_address};

/// A dead link is noticed within one and a half of it.
const KEEP_ALIVE: Duration = Duration::from_secs(2);

/// Where a link is only bad. Half of it is more than what fills a socket's buffer takes at 64 KB/s.
const PATIENT_KEEP_ALIVE: Duration = Duration::from_secs(10);

/// For a busy machine. Without the keep-alive nobody would notice for a quarter of an hour.
const SLACK: Duration = Duration::from_secs(10);

/// What takes longer has failed.
const PATIENCE: Duration = Duration::from_mins(1);

/// At 64 KB/s it takes longer than a connection may be silent and its probe unanswered.
const LARGE: usize = 1_200_000;

#[derive(Clone, Copy, Debug)]
enum Fault {
    Cut,
    DeafBroker,
    DeafClient,
    Slow,
    Lossy,
}

impl Fault {
    fn keep_alive(self) -> Duration {
        match self {
            Self::Cut | Self::DeafBroker | Self::DeafClient => KEEP_ALIVE,
            Self::Slow | Self::Lossy => PATIENT_KEEP_ALIVE,
        }
    }
}

const FAULTS: [Fault; 5] = [Fault::Cut, Fault::DeafBroker, Fault::DeafClient, Fault::Slow, Fault::Lossy];

/// What arrived, and how often.
type Heard = Arc<Mutex<HashMap<String, u32>>>;

/// Builds the namespaces, starts the broker in one, and this program again in the other.
pub(crate) fn run() -> Result<(), String> {
    let program = broker::program().ok_or("mosquitto is not installed")?;
    let lab = Lab::build().map_err(|why| format!("no network namespaces: {why}"))?;
    let mosquitto = Mosquitto::start_in(program, &lab.far).map_err(|error| error.to_string())?;
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut inside = Command::new("ip");
    inside.args(["netns", "exec", &lab.near]).arg(own).args(["links", &lab.far, &mosquitto.port.to_string()]);
    match inside.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("links: {status}")),
        Err(error) => Err(error.to_string()),
    }
}

/// The part inside the client's namespace.
pub(crate) async fn inside(far: &str, port: &str) -> Result<(), String> {
    let heard = Heard::default();
    let witness = listen(&format!("mqtt://{}:{port}", broker_address(0)), heard.clone()).await?;
    let mut cases = JoinSet::new();
    for (index, fault) in (1..).zip(FAULTS) {
        let link = Link { far: far.to_owned(), index };
        let case = Case { fault, link, port: port.to_owned(), heard: heard.clone() };
        cases.spawn(async move { (fault, case.play().await) });
    }
    let mut failed = false;
    while let Some(result) = cases.join_next().await {
        let (fault, result) = result.map_err(|error| error.to_string())?;
        failed |= result.is_err();
        let (Ok(what) | Err(what)) = result.map_err(|why| format!("FAILED, {why}"));
        println!("{fault:?}: {what}");
    }
    witness.disconnect().await.map_err(|error| error.to_string())?;
    if failed { Err("see above".into()) } else { Ok(()) }
}

/// Hears everything, over the link that stays well.
async fn listen(url: &str, heard: Heard) -> Result<Client, String> {
    let witness = Client::connect(Options::new(url)).await.map_err(|error| error.to_string())?;
    let subscription = witness.subscription("links").qos(QoS::ExactlyOnce);
    let mut messages = subscription.await.map_err(|error| error.to_string())?;
    tokio::spawn(async move {
        while let Some(message) = messages.next().await {
            let text = String::from_utf8_lossy(message.payload());
            let key = text.trim_end_matches('x').to_owned();
            *heard.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default() += 1;
        }
    });
    Ok(witness)
}

/// A fault, and its link.
struct Case {
    fault: Fault,
    link: Link,
    port: String,
    heard: Heard,
}

/// A client that publishes until it is over.
struct Sender {
    name: String,
    version: VersionChoice,
    client: Client,
    over: AtomicBool,
    /// Why connections and attempts ended.
    ends: Arc<Mutex<Vec<String>>>,
}

impl Case {
    async fn play(self) -> Result<String, String> {
        let senders = [self.sender(VersionChoice::V5).await?, self.sender(VersionChoice::V311).await?];
        let [one, other] = &senders;
        let (one, other, what) = tokio::join!(one.publish(&self), other.publish(&self), async {
            let what = self.trouble(&senders).await;
            for sender in &senders {
                sender.over.store(true, Ordering::Relaxed);
            }
            what
        });
        let (what, count) = (what?, one? + other?);
        let mut ends = Vec::new();
        for sender in senders {
            ends.append(&mut *sender.ends.lock().unwrap_or_else(PoisonError::into_inner));
            sender.client.disconnect().await.map_err(|error| error.to_string())?;
        }
        if matches!(self.fault, Fault::Slow) && !ends.is_empty() {
            return Err(format!("{what}, and yet connections ended: {ends:?}"));
        }
        Ok(format!("{what}; {count} messages, {} connections or attempts ended", ends.len()))
    }

    async fn sender(&self, version: VersionChoice) -> Result<Sender, String> {
        let name = format!("{:?}-{version:?}", self.fault);
        let options = Options::new(&format!("mqtt://{}:{}", broker_address(self.link.index), self.port))
            .client_id(&*name)
            .version(version)
            .session(SessionMode::Persistent { expiry: Duration::from_hours(1) })
            .keep_alive(self.fault.keep_alive())
            .connect_timeout(Duration::from_secs(5))
            .backoff(Duration::from_millis(100), Duration::from_secs(1))
            .drain_timeout(PATIENCE);
        let client = Client::connect(options).await.map_err(|error| error.to_string())?;
        let ends = Arc::new(Mutex::new(Vec::new()));
        let (mut events, list) = (client.events(), ends.clone());
        tokio::spawn(async move {
            while let Some(event) = events.next().await {
                if let Event::Disconnected { cause, .. } = event {
                    list.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{cause:?}"));
                }
            }
        });
        Ok(Sender { name, version, client, over: AtomicBool::new(false), ends })
    }

    /// Breaks the link for a while.
    async fn trouble(&self, senders: &[Sender; 2]) -> Result<String, String> {
        sleep(Duration::from_secs(1)).await;
        match self.fault {
            Fault::Cut => self.link.cut()?,
            Fault::DeafBroker => self.link.lose(Loss::All, Loss::None)?,
            Fault::DeafClient => self.link.lose(Loss::None, Loss::All)?,
            Fault::Lossy => {
                self.link.lose(Loss::Percent(15), Loss::Percent(15))?;
                sleep(Duration::from_secs(10)).await;
                return Ok("15 of 100 packets lost each way".into());
            }
            Fault::Slow => {
                let how = match self.link.slow_down() {
                    Ok(how) => how,
                    Err(why) => return Ok(format!("SKIPPED, this kernel makes nothing slow: {why}")),
                };
                sleep(PATIENT_KEEP_ALIVE * 6 / 5).await;
                return Ok(how.into());
            }
        }
        let begin = Instant::now();
        for sender in senders {
            sender.becomes(false, KEEP_ALIVE * 3 / 2 + SLACK).await?;
        }
        let noticed = begin.elapsed();
        if noticed > KEEP_ALIVE * 3 / 2 + SLACK {
            return Err(format!("noticed after {noticed:?}"));
        }
        sleep(Duration::from_secs(1)).await;
        if matches!(self.fault, Fault::Cut) {
            self.link.join()?;
        } else {
            self.link.lose_nothing()?;
        }
        for sender in senders {
            sender.becomes(true, PATIENCE).await?;
        }
        Ok(format!("noticed after {:.1} s", noticed.as_secs_f64()))
    }
}

impl Sender {
    async fn becomes(&self, connected: bool, within: Duration) -> Result<(), String> {
        let mut state = self.client.watch();
        let result = timeout(within, state.wait_for(|state| state.is_connected() == connected)).await;
        let what = if connected { "connected again" } else { "known to be dead" };
        result.map(|_| ()).map_err(|_| format!("{}: not {what} within {within:?}", self.name))
    }

    async fn publish(&self, case: &Case) -> Result<usize, String> {
        let mut receipts = Vec::new();
        while !self.over.load(Ordering::Relaxed) {
            let (number, qos) = match receipts.len() {
                number if number % 2 == 0 => (number, QoS::AtLeastOnce),
                number => (number, QoS::ExactlyOnce),
            };
            let large =
                number == 30 && matches!(case.fault, Fault::Slow) && self.version == VersionChoice::V5;
            let padding = if large { LARGE } else { 0 };
            let key = format!("{} {number}", self.name);
            let payload = format!("{key}{}", "x".repeat(padding));
            let receipt = self.client.publish("links", payload).qos(qos).enqueue().await;
            receipts.push((key, qos, receipt.map_err(|error| error.to_string())?));
            sleep(Duration::from_millis(50)).await;
        }
        let count = receipts.len();
        for (key, qos, receipt) in receipts {
            let published = timeout(PATIENCE, receipt).await.map_err(|_| format!("{key}: no receipt"))?;
            let published = published.map_err(|error| format!("{key}: {error}"))?;
            if published.possible_duplicate {
                return Err(format!("{key}: the session was lost"));
            }
            match arrivals(&case.heard, &key).await {
                0 => return Err(format!("{key}: lost")),
                2.. if qos == QoS::ExactlyOnce => return Err(format!("{key}: came twice")),
                _ => {}
            }
        }
        Ok(count)
    }
}

/// How often it came, once it has.
async fn arrivals(heard: &Heard, key: &str) -> u32 {
    let begin = Instant::now();
    loop {
        let count = heard.lock().unwrap_or_else(PoisonError::into_inner).get(key).copied().unwrap_or(0);
        if count > 0 || begin.elapsed() > PATIENCE {
            return count;
        }
        sleep(Duration::from_millis(50)).await;
    }
}
