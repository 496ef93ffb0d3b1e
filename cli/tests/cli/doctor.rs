//! `doctor`: what it says of brokers of which we know what they do.

use packetboat::QoS;
use packetboat_sim::broker::Config;
use packetboat_sim::net::Options;
use serde_json::Value;

use crate::certificates::{Authority, params, valid};
use crate::support::{Embedded, Folder, Mosquitto, packetboat, run};

/// A broker and what is said of it.
struct Examined {
    chart: Value,
}

impl Examined {
    #[track_caller]
    fn of(mut command: std::process::Command, code: i32) -> Self {
        command.args(["--json", "--patience", "2"]);
        let ended = run(command).expect(code);
        Self { chart: serde_json::from_slice(&ended.stdout).unwrap() }
    }

    #[track_caller]
    fn finding(&self, version: &str, name: &str) -> (&str, &str, &str) {
        let all = self.chart["findings"].as_array().unwrap();
        let found = all.iter().find(|finding| finding["version"] == version && finding["name"] == name);
        let found = found.unwrap_or_else(|| panic!("{version} {name} is not in {:#}", self.chart));
        let text = |key: &str| found[key].as_str().unwrap_or("-");
        (text("verdict"), text("claim"), text("found"))
    }

    #[track_caller]
    fn expect(&self, version: &str, names: &[&str], verdict: &str) {
        for name in names {
            let found = self.finding(version, name);
            assert_eq!(found.0, verdict, "{version} {name}: {found:?}");
        }
    }
}

const BOTH: [&str; 8] = [
    "QoS 0",
    "QoS 1",
    "QoS 2",
    "retained messages",
    "wildcards",
    "kept sessions",
    "will",
    "empty client identifier",
];
const NEW: [&str; 4] = ["subscription identifiers", "topic aliases", "largest packet", "receive maximum"];

#[test]
fn a_sound_broker_is_found_to_be_one_and_left_as_it_was() {
    let embedded = Embedded::start();
    let examined = Examined::of(embedded.command("doctor", "-i doc"), 0);
    examined.expect("5.0", &BOTH, "works");
    examined.expect("5.0", &NEW, "works");
    examined.expect("5.0", &["shared subscriptions", "keep alive"], "works");
    examined.expect("3.1.1", &BOTH, "works");
    examined.expect("3.1", &["is spoken"], "works");
    assert_eq!(examined.finding("5.0", "receive maximum").1, "1024");
    assert_eq!(examined.chart["left_behind"], serde_json::json!([]));
    assert!(examined.chart["seconds"]["for a message of QoS 1, max"].as_f64().unwrap() > 0.0);
    // Nothing is retained, and no session is left.
    run(embedded.command("sub", "-t # -W 0.5")).expect(27);
    for id in (0..100).flat_map(|number| [format!("doc4{number}"), format!("doc5{number}")]) {
        assert!(!embedded.broker.with(|core, _| core.has_session(&id)), "{id}");
    }
}

#[test]
fn what_a_broker_does_not_have_is_missing_and_its_limits_are_measured() {
    let config = Config {
        versions: vec![packetboat::Version::V5],
        maximum_qos: QoS::AtLeastOnce,
        retain_available: false,
        wildcards_available: false,
        subscription_identifiers_available: false,
        shared_available: false,
        topic_alias_maximum: 0,
        receive_maximum: 7,
        maximum_packet_size: 2000,
        ..Config::default()
    };
    let embedded = Embedded::with(Options::new().config(config));
    let examined = Examined::of(embedded.command("doctor", ""), 0);
    let missing =
        ["QoS 2", "retained messages", "wildcards", "subscription identifiers", "shared subscriptions"];
    examined.expect("5.0", &missing, "missing");
    examined.expect("5.0", &["QoS 0", "QoS 1", "will", "kept sessions", "largest packet"], "works");
    assert_eq!(
        examined.finding("5.0", "topic aliases"),
        ("missing", "0", examined.finding("5.0", "topic aliases").2)
    );
    assert_eq!(examined.finding("5.0", "largest packet").2, "2000 bytes come, 2001 do not");
    examined.expect("5.0", &["receive maximum"], "unknown");
    examined.expect("3.1.1", &["is spoken"], "missing");

    let config = Config { receive_maximum: 7, ..Config::default() };
    let embedded = Embedded::with(Options::new().config(config));
    let examined = Examined::of(embedded.command("doctor", "-V 5"), 0);
    let (_, claim, found) = examined.finding("5.0", "receive maximum");
    assert!(claim == "7" && found.starts_with("7 at once are taken, 8 are not"), "{found}");
}

#[test]
fn what_is_not_allowed_is_not_held_against_the_broker() {
    let config = Config {
        denied: vec![packetboat::TopicFilter::new("packetboat/doctor/#").unwrap()],
        ..Config::default()
    };
    let embedded = Embedded::with(Options::new().config(config));
    let examined = Examined::of(embedded.command("doctor", "-V 5"), 0);
    examined.expect("5.0", &["QoS 1", "retained messages", "wildcards", "will"], "unknown");
    let examined = Examined::of(embedded.command("doctor", "-V 5 -t mine"), 0);
    examined.expect("5.0", &["QoS 1", "retained messages", "wildcards", "will"], "works");
}

#[test]
fn mosquitto_is_examined() {
    let Some(broker) = Mosquitto::start() else { return };
    let examined = Examined::of(broker.command("doctor", ""), 0);
    examined.expect("5.0", &BOTH, "works");
    examined.expect("5.0", &NEW, "works");
    examined.expect("5.0", &["shared subscriptions"], "works");
    examined.expect("3.1.1", &BOTH, "works");
    run(broker.command("sub", "-t # -W 0.5")).expect(27);
    let Some(broker) = Mosquitto::start_with("max_qos 1\nretain_available false\n") else { return };
    let examined = Examined::of(broker.command("doctor", "-V 5"), 0);
    assert_eq!((examined.finding("5.0", "QoS 2").0, examined.finding("5.0", "QoS 2").1), ("missing", "no"));
    examined.expect("5.0", &["retained messages"], "missing");
}

#[test]
fn a_claim_that_does_not_hold_is_named() {
    let Some(broker) = Mosquitto::start_with("message_size_limit 3000\n") else { return };
    let ended = run(broker.command("doctor", "-V 5 --patience 1")).expect(5);
    // mosquitto 2.0 names no maximum packet size for a limit of payloads.
    let text = ended.text();
    assert!(
        text.contains("DIFFERS: ") && text.contains("In one thing the broker does something else"),
        "{text}"
    );
    assert!(text.lines().any(|line| line.contains("largest packet") && line.contains("no limit")), "{text}");
}

#[test]
fn certificates_are_shown_with_their_days() {
    let (authority, folder) = (Authority::new(), Folder::new());
    let between = authority.intermediate("between");
    let mut pair = between.sign(&valid(params(&["localhost"]), -86_400, 10 * 86_400 + 60));
    pair.certificate.push_str(&between.pem);
    let embedded = Embedded::with(Options::new().tls(&pair.certificate, &pair.key));
    let file = folder.file("ca.pem");
    std::fs::write(&file, &authority.pem).unwrap();
    let examine = |more: &[&str]| {
        let mut command = packetboat(["doctor", "-V", "311", "--cafile"]);
        command.arg(&file).args(more).arg(format!("mqtts://localhost:{}", embedded.broker.port()));
        command
    };
    let examined = Examined::of(examine(&[]), 0);
    let shown = &examined.chart["tls"]["certificates"];
    assert_eq!((&shown[0]["days_left"], shown.as_array().unwrap().len()), (&10.into(), 2), "{shown}");
    assert!(shown[1]["subject"].as_str().unwrap().contains("between"), "{shown}");
    assert!(
        examined.chart["tls"]["protocol"].as_str().unwrap().starts_with("TLSv1_3"),
        "{:#}",
        examined.chart
    );
    let text = run(examine(&["--patience", "2"])).expect(0).text();
    assert!(text.contains("only 10 days left"), "{text}");
    // One that is not trusted is shown all the same, with the reason.
    std::fs::write(&file, &Authority::new().pem).unwrap();
    run(examine(&[])).expect(2).says("only 10 days left").says("authority");
}
