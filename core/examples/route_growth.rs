//! What routing costs as filters grow from 1 to 100,000.
//!
//! `cargo run --release --example route_growth` prints times. With arguments `<filters> <kind> <messages>` it does one
//! thing a number of times, for `valgrind --tool=callgrind`: the difference between two numbers of messages, divided, is
//! the instructions of one. The kinds are `hit`, `named` (a hit with a subscription identifier), `miss`, `name` (the check
//! of a topic name) and `nothing` (the loop alone).

use std::hint::black_box;
use std::time::Instant;

use packetboat_core::route::Router;
use packetboat_core::topic::{TopicError, TopicFilter, TopicName};

/// More topics than the cache holds, so that every one is a miss; of 20 bytes.
const TOPICS: usize = 4096;

fn main() -> Result<(), TopicError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize| arguments.get(index).and_then(|text: &String| text.parse().ok()).unwrap_or(1);
    if let Some(kind) = arguments.get(1) {
        let mut router = router(number(0))?;
        run(&mut router, kind, &topics(number(0)), number(2));
        return Ok(());
    }
    println!("{:>9} {:>10} {:>10} {:>12}", "filters", "hit", "miss", "insert all");
    for filters in [1, 10, 100, 1_000, 10_000, 100_000] {
        let start = Instant::now();
        let mut router = router(filters)?;
        let inserting = start.elapsed();
        let topics = topics(filters);
        let [hit, miss] = ["hit", "miss"].map(|kind| {
            let messages = 1_000_000;
            let start = Instant::now();
            run(&mut router, kind, &topics, messages);
            start.elapsed().as_nanos() / messages as u128
        });
        println!("{filters:>9} {hit:>7} ns {miss:>7} ns {:>9} us", inserting.as_micros());
    }
    Ok(())
}

fn router(filters: usize) -> Result<Router<u64>, TopicError> {
    let mut router = Router::new();
    for (key, number) in (0..).zip(0..filters) {
        router.insert(&TopicFilter::new(format!("site/{number:05}/+/temp"))?, key);
    }
    Ok(router)
}

fn topics(filters: usize) -> Vec<String> {
    (0..TOPICS).map(|number| format!("site/{:05}/{number:04}/temp", number * 7919 % filters)).collect()
}

fn run(router: &mut Router<u64>, kind: &str, topics: &[String], messages: usize) {
    match kind {
        "hit" => repeat(topics, messages, |_| router.route(&topics[0], []).len()),
        "named" => repeat(topics, messages, |_| router.route(&topics[0], [black_box(1)]).len()),
        "miss" => repeat(topics, messages, |topic| router.route(topic, []).len()),
        "name" => repeat(topics, messages, |topic| usize::from(TopicName::new(topic).is_ok())),
        _ => repeat(topics, messages, str::len),
    }
}

fn repeat(topics: &[String], times: usize, mut action: impl FnMut(&str) -> usize) {
    for topic in topics.iter().cycle().take(times) {
        black_box(action(black_box(topic)));
    }
}
