//! `bench`: what it counts is what a broker sees.

use packetboat_sim::broker::Config;
use packetboat_sim::net::Options;
use serde_json::Value;

use crate::support::{Embedded, Mosquitto, Running, run};

#[track_caller]
fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn every_message_is_counted_on_both_sides() {
    let Some(broker) = Mosquitto::start() else { return };
    for (qos, version) in [(0, "311"), (1, "5"), (2, "5")] {
        let line = format!(
            "-V {version} -q {qos} --publishers 3 --subscribers 2 -s 24,1000 --rate 2000 -C 600 --patience 20 --json"
        );
        let result = json(&run(broker.command("bench", &line)).expect(0).text());
        assert_eq!(result["sent"], 600, "{result}");
        assert_eq!(result["confirmed"], 600, "{result}");
        assert_eq!(result["received"], 1200, "{result}");
        assert_eq!(
            (&result["lost"], &result["twice"], &result["foreign"]),
            (&0.into(), &0.into(), &0.into())
        );
        assert_eq!(result["payload_bytes"], 300 * 1024, "{result}");
        assert_eq!(result["latency_seconds"]["count"], 1200, "{result}");
        let share = |name: &str| result["latency_seconds"][name].as_f64().unwrap();
        assert!(
            share("p50") <= share("p99") && share("p99") <= share("max") && share("p50") > 0.0,
            "{result}"
        );
        assert_eq!(result["times_from"], "due");
        // 600 messages at 2000/s are due within 0.3 s.
        assert!(result["seconds"].as_f64().unwrap() >= 0.29, "{result}");
    }
}

/// As many as get through, for a time, in words.
#[test]
fn without_a_rate_it_says_what_its_times_are() {
    let Some(broker) = Mosquitto::start() else { return };
    let line = "-q 1 --publishers 2 --time 0.6 --patience 20 --in-flight 10";
    let text = run(broker.command("bench", line)).expect(0).text();
    for part in [
        "confirmed",
        "p99",
        "max",
        "lost       0 messages; 0 twice",
        "beware     without --rate",
        "shares this machine",
    ] {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
    let text =
        run(broker.command("bench", "-q 1 --subscribers 0 -C 50 --rate 1000 --time 60")).expect(0).text();
    assert!(text.contains("50 messages;") && !text.contains("received"), "{text}");
}

/// What stands still for a second, stands still for all that were due in it: no coordinated omission.
#[test]
fn messages_that_had_to_wait_count_from_when_they_were_due() {
    let embedded = Embedded::start();
    let line = "-d -i load -q 1 --rate 200 -C 300 --time 60 --patience 30 --json";
    let bench = Running::start(embedded.command("bench", line)).until("connected");
    embedded.runtime.block_on(embedded.broker.until(|core| core.stats().messages_in[1] > 20));
    embedded.broker.faults().stop_reading();
    // That takes a second, with another broker.
    run(Embedded::start().command("sub", "-t nothing -W 1")).expect(27);
    embedded.broker.faults().resume_reading();
    let result = json(&bench.end().expect(0).text());
    assert_eq!((&result["sent"], &result["lost"]), (&300.into(), &0.into()));
    // A fifth and more of them were due within the second; one each would hide behind a sender that waits.
    let p90 = result["latency_seconds"]["p90"].as_f64().unwrap();
    assert!(p90 > 0.3, "{result}");
}

/// A broker that confirms and throws away is found out.
#[test]
fn losses_are_found_and_are_a_failure() {
    let config = Config { refused_per_mille: 200, ..Config::default() };
    let embedded = Embedded::with(Options::new().config(config));
    let line = "-V 5 -q 1 --rate 1000 -C 200 --patience 1 --json";
    let result = json(&run(embedded.command("bench", line)).expect(4).text());
    let failed = result["failed"].as_u64().unwrap();
    assert!(failed > 0 && result["confirmed"].as_u64().unwrap() + failed == 200, "{result}");
    assert!(result["first_failure"].as_str().unwrap().contains("Quota exceeded"), "{result}");
    let Some(broker) = Mosquitto::start_with("max_qos 0\n") else { return };
    run(broker.command("bench", "-V 5 -q 1 -C 2 --time 1")).expect(4);
}

#[test]
fn it_can_be_stopped_and_tells_what_there_was() {
    let embedded = Embedded::start();
    let line = "-d -q 1 --rate 100 --time 1000 --json";
    let bench = Running::start(embedded.command("bench", line)).until("connected");
    embedded.runtime.block_on(embedded.broker.until(|core| core.stats().messages_in[1] > 10));
    bench.signal("-INT");
    let result = json(&bench.end().expect(0).text());
    assert_eq!((&result["stopped"], &result["lost"]), (&true.into(), &0.into()), "{result}");
    assert!(result["sent"].as_u64().unwrap() > 10);
    embedded.assert_no_violations();
    run(embedded.command("bench", "-s 23")).expect(1).says("at least 24");
}
