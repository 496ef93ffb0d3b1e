//! Ten clients and two real mosquittos under random faults: brokers are killed, stopped and started again, the network
//! before them refuses, cuts and delays. Whatever the clients accepted has to arrive, and neither memory nor
//! descriptors may grow.
//!
//! `packetboat-soak [minutes] [seed]`; without a number, half a minute.

mod broker;
mod clients;
mod faults;
mod ledger;
mod measure;
mod proxy;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use packetboat_core::rng::Rng;
use tokio::time::sleep;

use broker::Mosquitto;
use clients::{Counters, PUBLISHERS};
use faults::Tally;
use ledger::Ledger;
use measure::Samples;
use proxy::Proxy;

/// After the last fault something must arrive within so long, until all has.
const SETTLE: Duration = Duration::from_mins(1);

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let minutes: f64 = words.first().and_then(|word| word.parse().ok()).unwrap_or(0.5);
    let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let seed = words.get(1).and_then(|word| word.parse().ok());
    let seed = seed.unwrap_or_else(|| clock.map_or(1, |time| u64::from(time.subsec_nanos())));
    let Some(program) = broker::program() else {
        println!("SKIPPED: mosquitto is not installed");
        let required = std::env::var_os("PACKETBOAT_REQUIRE_BROKER").is_some_and(|value| value == "1");
        return if required { ExitCode::FAILURE } else { ExitCode::SUCCESS };
    };
    println!("soak of {minutes} minutes, seed {seed}");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let result = runtime.map_err(|error| error.to_string()).and_then(|runtime| {
        let time = Duration::from_secs_f64(minutes.clamp(0.1, 100_000.0) * 60.0);
        runtime.block_on(soak(program, time, seed))
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            println!("FAILED: {why}");
            ExitCode::FAILURE
        }
    }
}

async fn soak(program: std::path::PathBuf, time: Duration, seed: u64) -> Result<(), String> {
    let text = |error: std::io::Error| error.to_string();
    let mut rng = Rng::new(seed);
    let mut random = || Rng::new(rng.next_u64());
    let mut brokers =
        [Mosquitto::start(program.clone()).map_err(text)?, Mosquitto::start(program).map_err(text)?];
    let proxies = [
        Proxy::start(brokers[0].port).await.map_err(text)?,
        Proxy::start(brokers[1].port).await.map_err(text)?,
    ];
    let ledger = Arc::new(Ledger::new(PUBLISHERS));
    let counters = Arc::new(Counters::default());
    let mut subscribers = Vec::new();
    for index in 0..4 {
        subscribers.push(clients::subscriber(index, &proxies[index / 2], ledger.clone(), &counters).await?);
    }
    let publishers: Vec<_> = (0..PUBLISHERS)
        .map(|index| clients::publisher(index, &proxies, ledger.clone(), counters.clone(), random()))
        .collect::<Result<_, _>>()?;

    let tally = Tally::default();
    let until = Instant::now() + time;
    let mut samples = Samples::default();
    let (mut first, mut second) = (random(), random());
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
    for publisher in publishers {
        let _ = tokio::time::timeout(SETTLE, publisher).await;
    }
    samples.take();
    for subscriber in subscribers {
        let _ = subscriber.disconnect().await;
    }
    report(&ledger, &counters, &tally, &samples)
}

/// Measures now and then, for ever.
async fn watch(samples: &mut Samples, time: Duration, ledger: &Ledger, tally: &Tally) {
    // Everybody is connected and has worked a little.
    sleep((time / 10).min(Duration::from_mins(1))).await;
    let begin = Instant::now();
    loop {
        samples.take();
        println!(
            "{:>5} s: {} accepted, {} open, {} faults, {}",
            begin.elapsed().as_secs(),
            ledger.totals().accepted,
            ledger.open(),
            tally.sum(),
            samples.last()
        );
        sleep((time / 20).max(Duration::from_secs(5))).await;
    }
}

/// Waits until everything has arrived, or nothing has for long.
async fn settle(ledger: &Ledger) {
    let (mut open, mut since) = (ledger.open(), Instant::now());
    while open > 0 && since.elapsed() < SETTLE {
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
        "clients:  {connections} connections, {} of them or attempts ended",
        counters.disconnections.load(Ordering::Relaxed)
    );
    println!("process:  {samples}");
    if missing.lost > 0 || totals.failed > 0 || totals.strange > 0 {
        return Err(format!(
            "{} messages lost, {} failed, {} strange",
            missing.lost, totals.failed, totals.strange
        ));
    }
    if totals.accepted == 0 || connections < 10 {
        return Err("nothing was tested".into());
    }
    samples.are_flat()
}
