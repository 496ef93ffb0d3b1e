//! Ten clients and two real mosquittos under random faults: brokers are killed, stopped and started again, the network
//! before them refuses, cuts and delays. Whatever the clients accepted has to arrive, and neither memory nor
//! descriptors may grow. `ledger` says what a broker that is killed may forget, and `measure` what flat is.
//!
//! `packetboat-soak [minutes] [seed]`; without a number, half a minute. `packetboat-soak links` is another thing, see there.

mod broker;
mod clients;
mod faults;
mod lab;
mod ledger;
mod links;
mod measure;
mod proxy;
mod witness;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use packetboat::Client;
use packetboat_core::rng::Rng;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use broker::Mosquitto;
use clients::{Counters, PUBLISHERS};
use faults::Tally;
use ledger::Ledger;
use measure::{Samples, descriptors};
use proxy::Proxy;

/// After the last fault something must arrive within so long, until all has. Nothing else takes longer either.
const SETTLE: Duration = Duration::from_mins(1);

/// The same for messages that their broker may have lost.
const SETTLE_EXCUSED: Duration = Duration::from_secs(5);

/// In so much time every fault has its turn.
const ALL_FAULTS: Duration = Duration::from_secs(80);

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["links"] => links::run(),
        ["links", far, port] => runtime().and_then(|runtime| runtime.block_on(links::inside(far, port))),
        words => {
            let minutes: f64 = words.first().and_then(|word| word.parse().ok()).unwrap_or(0.5);
            let seed = words.get(1).and_then(|word| word.parse().ok()).unwrap_or_else(seed_by_clock);
            println!("soak of {minutes} minutes, seed {seed}");
            let time = Duration::from_secs_f64(minutes.clamp(0.1, 100_000.0) * 60.0);
            let result = runtime().and_then(|runtime| runtime.block_on(soak(time, seed)));
            result.inspect_err(|_| {
                println!(
                    "again: `cargo xtask soak {minutes} {seed}`; PACKETBOAT_SOAK_LOG=folder keeps every packet's line"
                );
            })
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            println!("FAILED: {why}");
            ExitCode::FAILURE
        }
    }
}

fn seed_by_clock() -> u64 {
    let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    clock.map_or(1, |time| u64::from(time.subsec_nanos()))
}

fn runtime() -> Result<Runtime, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.map_err(|error| error.to_string())
}

async fn soak(time: Duration, seed: u64) -> Result<(), String> {
    let program = broker::program().ok_or("mosquitto is not installed")?;
    let text = |error: std::io::Error| error.to_string();
    let mut rng = Rng::new(seed);
    let mut random = || Rng::new(rng.next_u64());
    let mut brokers =
        [Mosquitto::start(program.clone()).map_err(text)?, Mosquitto::start(program).map_err(text)?];
    let proxies = [
        Proxy::start(0, brokers[0].port).await.map_err(text)?,
        Proxy::start(1, brokers[1].port).await.map_err(text)?,
    ];
    let ledger = Arc::new(Ledger::new(PUBLISHERS));
    let counters = Arc::new(Counters::default());
    let without_clients = descriptors();
    let mut clients = Vec::new();
    for index in 0..4 {
        clients.push(clients::subscriber(index, &proxies[index / 2], ledger.clone(), &counters).await?);
    }
    let mut publishers = Vec::new();
    for index in 0..PUBLISHERS {
        let (ledger, counters) = (ledger.clone(), counters.clone());
        publishers.push(clients::publisher(index, &proxies, ledger, counters, random()).await?);
    }

    let tally = Tally::default();
    let mut samples = Samples::default();
    samples.take();
    let (until, mut first, mut second) = (Instant::now() + time, random(), random());
    let [one, other] = &mut brokers;
    let troubles = async {
        tokio::try_join!(
            faults::trouble(one, &proxies[0], until, &tally, &ledger, &mut first),
            faults::trouble(other, &proxies[1], until, &tally, &ledger, &mut second),
        )
    };
    tokio::select! {
        result = troubles => drop(result.map_err(text)?),
        () = watch(&mut samples, time, &ledger, &tally) => {}
    }
    counters.over.store(true, Ordering::Relaxed);
    settle(&ledger).await;
    clients.extend(finished(publishers).await);
    // Who was cut late is online again, and what is dead is gone.
    let at_rest = samples.first().descriptors();
    let _ = within(|| descriptors() == at_rest, "").await;
    samples.take();
    report(&ledger, &counters, &tally, &samples)?;
    if time >= ALL_FAULTS && !tally.has_all() {
        return Err("some fault never happened".into());
    }
    samples.are_flat()?;
    for client in clients {
        client.disconnect().await.map_err(|error| error.to_string())?;
    }
    within(|| descriptors() == without_clients, "clients leave descriptors behind").await
}

async fn within(condition: impl Fn() -> bool, otherwise: &str) -> Result<(), String> {
    let wait = async {
        while !condition() {
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(SETTLE, wait).await.map_err(|_| otherwise.to_owned())
}

/// The publishers that have all their receipts.
async fn finished(publishers: Vec<JoinHandle<Client>>) -> Vec<Client> {
    let end = tokio::time::Instant::now() + SETTLE;
    let mut clients = Vec::new();
    for publisher in publishers {
        if let Ok(Ok(client)) = tokio::time::timeout_at(end, publisher).await {
            clients.push(client);
        }
    }
    clients
}

/// Measures now and then, for ever.
async fn watch(samples: &mut Samples, time: Duration, ledger: &Ledger, tally: &Tally) {
    let begin = Instant::now();
    loop {
        sleep((time / 30).max(Duration::from_secs(5))).await;
        samples.take();
        println!(
            "{:>5} s: {} accepted, {} open, {} faults, {}",
            begin.elapsed().as_secs(),
            ledger.totals().accepted,
            ledger.open(),
            tally.sum(),
            samples.last()
        );
    }
}

/// Waits until everything has arrived, or nothing has for long. What has an excuse is not waited for so long.
async fn settle(ledger: &Ledger) {
    let (mut open, mut since) = (ledger.open(), Instant::now());
    while open > 0 && since.elapsed() < if ledger.waiting() > 0 { SETTLE } else { SETTLE_EXCUSED } {
        sleep(Duration::from_millis(200)).await;
        let now = ledger.open();
        if now < open {
            since = Instant::now();
        }
        open = now;
    }
}

fn report(ledger: &Ledger, counters: &Counters, tally: &Tally, samples: &Samples) -> Result<(), String> {
    let (totals, missing) = (ledger.totals(), ledger.missing());
    println!("messages: {totals:?}");
    println!("missing:  {missing:?}");
    println!("faults:   {} in all, {tally:?}", tally.sum());
    let connections = counters.connections.load(Ordering::Relaxed);
    println!(
        "clients:  {connections} times connected again, {} connections or attempts ended",
        counters.disconnections.load(Ordering::Relaxed)
    );
    println!("process:  {samples}");
    let wrong = [
        ("lost", missing.lost),
        ("unconfirmed", missing.unconfirmed),
        ("failed", totals.failed),
        ("of nobody", totals.strange),
        ("of QoS 2 twice without a reason", missing.doubled),
        ("of QoS 0 twice", totals.plain_came.saturating_sub(totals.plain * ledger::CLASSES)),
    ];
    let wrong: Vec<_> = wrong.iter().filter(|(_, count)| *count > 0).collect();
    if !wrong.is_empty() {
        let told: Vec<_> = wrong.iter().map(|(what, count)| format!("{count} {what}")).collect();
        return Err(format!("messages: {}", told.join(", ")));
    }
    if totals.accepted == 0 {
        return Err("nothing was tested".into());
    }
    Ok(())
}
