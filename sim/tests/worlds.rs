//! Random worlds. `PACKETBOAT_WORLDS` says how many (default 2,000 for each version), `PACKETBOAT_SEED` replays one.

use packetboat_core::wire::Version;
use packetboat_sim::world::{Failure, Summary, run, run_telling};

const WORLDS: u64 = 2_000;

/// Failures shown in full, unless `PACKETBOAT_SHOW` says otherwise.
const SHOWN: u64 = 5;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|error| panic!("{name}={text}: {error}")))
}

/// Live through all worlds of a version and add up what happened in them.
fn worlds(version: Version) {
    // A session that panics fails its world; the panic's own report would only hide which.
    std::panic::set_hook(Box::new(|_| {}));
    let replayed = number("PACKETBOAT_SEED");
    let seeds = match replayed {
        Some(seed) => seed..=seed,
        None => 1..=number("PACKETBOAT_WORLDS").unwrap_or(WORLDS),
    };
    let count = seeds.clone().count();
    let mut total = Summary::default();
    let mut failures: Vec<Failure> = Vec::new();
    for seed in seeds {
        let result = if replayed.is_some() { run_telling(version, seed, true) } else { run(version, seed) };
        match result {
            Ok(summary) => total += summary,
            Err(failure) => failures.push(failure),
        }
    }
    let _ = std::panic::take_hook();
    println!("{version:?}: {count} worlds, {total:?}");
    let shown = usize::try_from(number("PACKETBOAT_SHOW").unwrap_or(SHOWN)).unwrap_or(usize::MAX);
    for failure in failures.iter().take(shown) {
        println!("{failure}");
    }
    assert!(failures.is_empty(), "{} of {count} worlds of {version:?} failed", failures.len());
}

#[test]
fn worlds_of_3_1_1() {
    worlds(Version::V311);
}

#[test]
fn worlds_of_5_0() {
    worlds(Version::V5);
}
