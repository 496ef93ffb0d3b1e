//! `record` and `replay`.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use packetboat::QoS;
use packetboat_sim::broker::Message;

use crate::support::{Embedded, Folder, Mosquitto, Running, run, run_with};

/// Every byte, and text that JSON has to escape.
fn payloads(folder: &Folder) -> [PathBuf; 3] {
    let every: Vec<u8> = (0..=255).collect();
    let all = [("every", every), ("text", "a \"b\" \\ \u{e4}\n\u{1}\0".into()), ("empty", Vec::new())];
    all.map(|(name, bytes)| {
        let file = folder.file(name);
        std::fs::write(&file, bytes).unwrap();
        file
    })
}

const PROPERTIES: &str = "-D publish payload-format-indicator 0 -D publish content-type text/x -D publish response-topic answers -D publish \
     correlation-data c -D publish user-property b 2 -D publish user-property a 1 -D publish user-property b 2 \
     -D publish message-expiry-interval 1000";

fn write(folder: &Folder, lines: &[&str]) -> PathBuf {
    let file = folder.file("written.jsonl");
    std::fs::write(&file, format!("{{\"packetboat_recording\":1}}\n{}", lines.concat())).unwrap();
    file
}

fn replay(embedded: &Embedded, line: &str, file: &Path) -> std::process::Command {
    let mut command = embedded.command("replay", line);
    command.arg(file);
    command
}

#[test]
fn a_replay_is_what_was_recorded() {
    let (one, other) = (Embedded::start(), Embedded::start());
    let folder = Folder::new();
    let file = folder.file("tape.jsonl");
    let mut record = one.command("record", "-d -t r/# -C 4");
    record.arg(&file);
    let recorder = Running::start(record).until("ready");
    for (qos, path) in payloads(&folder).iter().enumerate() {
        let mut publish = one.command("pub", &format!("-i source -V 5 -t r/{qos} -q {qos} {PROPERTIES} -f"));
        publish.arg(path);
        run(publish).expect(0);
    }
    run(one.command("pub", "-i source -V 311 -t r/kept -q 1 -r -m kept")).expect(0);
    recorder.end().expect(0).says("4 messages in");
    run(replay(&other, "-i player", &file)).expect(0).says("4 messages in");
    let (before, after) = (one.broker.accepted("source"), other.broker.accepted("player"));
    assert_eq!(before.len(), 4);
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(parts(&before.message), parts(&after.message));
    }
    assert!(after[3].message.retain && after[0].message.qos == QoS::AtMostOnce);
    run(replay(&other, "-i plain --no-retain --no-properties -V 311", &file)).expect(0);
    assert!(other.broker.accepted("plain").iter().all(|taken| !taken.message.retain));
    one.assert_no_violations();
    other.assert_no_violations();
}

/// What a replay has to keep. When a message expires is counted from its arrival.
fn parts(message: &Message) -> (&str, &[u8], QoS, bool, &[u8], bool) {
    let Message { topic, payload, qos, retain, properties, expires, .. } = message;
    (topic, payload, *qos, *retain, properties.as_bytes(), expires.is_some())
}

/// The gap goes through a replay, a recording of it, and what that says.
#[test]
fn times_are_those_of_the_original() {
    let embedded = Embedded::start();
    let folder = Folder::new();
    let lines = [
        "{\"at\":100.5,\"topic\":\"t/a\",\"qos\":0,\"payload\":\"1\"}\n",
        "{\"at\":102.5,\"topic\":\"t/a\",\"qos\":0,\"payload\":\"2\"}\n",
    ];
    let file = write(&folder, &lines);
    let recorder = Running::start(embedded.command("record", "-d -t t/a -C 2 -")).until("ready");
    let begin = Instant::now();
    run(replay(&embedded, "--speed 2", &file)).expect(0);
    let took = begin.elapsed();
    assert!(took >= Duration::from_secs(1), "{took:?}");
    let text = recorder.end().expect(0).text();
    let at: Vec<f64> = text
        .lines()
        .skip(1)
        .map(|line| line.split(&[':', ','][..]).nth(1).unwrap().parse().unwrap())
        .collect();
    // The recorder may have been late for the first one by more than for the second one.
    assert!(at[1] - at[0] > 0.5 && at[1] - at[0] < took.as_secs_f64(), "{text}");
    let begin = Instant::now();
    run(replay(&embedded, "--speed 0.5", &file)).expect(0);
    assert!(begin.elapsed() >= Duration::from_secs(4));
    let long = "{\"at\":1000000,\"topic\":\"t/a\",\"qos\":1,\"payload\":\"3\"}\n";
    let file = write(&folder, &[lines[0], long]);
    run(replay(&embedded, "-i player --speed max", &file)).expect(0);
    run(replay(&embedded, "-i player --speed 1e9", &file)).expect(0);
    assert_eq!(embedded.broker.accepted("player").len(), 4);
    embedded.assert_no_violations();
}

#[test]
fn what_is_wrong_with_a_recording_is_told_by_line() {
    let embedded = Embedded::start();
    let folder = Folder::new();
    let good = "{\"at\":0,\"topic\":\"a\",\"qos\":1,\"payload\":\"1\"}\n";
    for (line, why) in [
        ("{\"at\":0,\"topic\":\"a/#\",\"qos\":1,\"payload\":\"\"}\n", "`topic` is wrong"),
        ("{\"at\":-1,\"topic\":\"a\",\"qos\":1,\"payload\":\"\"}\n", "`at` cannot be -1"),
        ("{\"at\":0,\"topic\":\"a\",\"qos\":3,\"payload\":\"\"}\n", "`qos` cannot be 3"),
        ("{\"at\":0,\"topic\":\"a\",\"qos\":1}\n", "one of `payload` and `payload_base64`"),
        ("{\"at\":0,\"topic\":\"a\",\"qos\":1,\"payload_base64\":\"?\"}\n", "no base64"),
        ("{\"at\":0,\"topic\":\"a\",\"qos\":1,\"payload\":\"\",\"more\":1}\n", "unknown field `more`"),
        (
            "{\"at\":0,\"topic\":\"a\",\"qos\":1,\"payload\":\"\",\"properties\":{\"response-topic\":\"#\"}}\n",
            "`properties` are wrong",
        ),
        ("nonsense\n", "expected"),
    ] {
        let ended = run(replay(&embedded, "", &write(&folder, &[good, line, good]))).expect(1);
        ended.says("written.jsonl:3: ").says(why).says("1 messages delivered");
    }
    // What a killed recorder leaves is played up to there.
    let file = write(&folder, &[good, "{\"at\":1,\"topic\":\"a\",\"qos\":1,\"payl"]);
    run(replay(&embedded, "", &file)).expect(0).says("not whole").says("1 messages in");
    let mut command = embedded.command("replay", "-");
    command.env("LC_ALL", "C");
    run_with(command, b"hello\n").expect(1).says("this is no recording");
    run_with(embedded.command("replay", "-"), b"{\"packetboat_recording\":2}\n").expect(1).says("form 2");
    run(embedded.command("replay", "/nowhere/at")).expect(1).says("/nowhere/at cannot be read");
    run(embedded.command("replay", "--speed 0 -")).expect(1).says("above 0");
}

#[test]
fn a_file_is_not_replaced_unless_asked() {
    let embedded = Embedded::start();
    let folder = Folder::new();
    let file = folder.file("tape.jsonl");
    std::fs::write(&file, "precious").unwrap();
    let mut record = embedded.command("record", "-t a -W 1");
    record.arg(&file);
    run(record).expect(1).says("--force");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "precious");
    let mut record = embedded.command("record", "-t a -W 0.1 --force");
    record.arg(&file);
    run(record).expect(0).says("0 messages in");
    assert!(std::fs::read_to_string(&file).unwrap().starts_with("{\"packetboat_recording\":1,"));
}

/// Interrupted, it has everything that was acknowledged.
#[test]
fn mosquitto_through_a_recording_and_back() {
    let Some(broker) = Mosquitto::start() else { return };
    let folder = Folder::new();
    let file = folder.file("tape.jsonl");
    let mut record = broker.command("record", "-d -t m/#");
    record.arg(&file);
    let recorder = Running::start(record).until("ready");
    let all: Vec<String> = (0..500).map(|number| format!("line {number}\n")).collect();
    run_with(broker.theirs("mosquitto_pub", "-t m/a -q 1 -l"), all.concat().as_bytes()).expect(0);
    // Behind all others: when it is in the file, so are they.
    let last = Running::start(broker.command("sub", "-d -t m/end -C 1")).until("ready");
    run(broker.theirs("mosquitto_pub", "-t m/end -q 1 -m end")).expect(0);
    last.end().expect(0);
    while !std::fs::read_to_string(&file).unwrap().contains("m/end") {
        std::thread::yield_now();
    }
    recorder.signal("-INT");
    recorder.end().expect(0).says("501 messages in");
    let line = "-V 311 -i theirs -q 1 -t m/# -C 501";
    let subscriber = Running::start(broker.theirs("mosquitto_sub", line));
    broker.until("Sending SUBACK to theirs");
    let mut replay = broker.command("replay", "--speed 1000");
    replay.arg(&file);
    run(replay).expect(0);
    assert_eq!(subscriber.end().expect(0).text(), all.concat() + "end\n");
}
