//! With `mosquitto_pub` and `mosquitto_sub`, through mosquitto: compared byte by byte.

use crate::support::{Ended, Folder, Mosquitto, Running, lines, run, run_with};

const MESSAGES: usize = 10_000;

#[track_caller]
fn same(ended: &Ended, expected: &[u8]) {
    if ended.stdout != expected {
        let at = ended.stdout.iter().zip(expected).take_while(|(one, other)| one == other).count();
        panic!("{} bytes instead of {}, equal up to {at}", ended.stdout.len(), expected.len());
    }
}

fn theirs_to_ours(version: &str, qos: &str) {
    let Some(broker) = Mosquitto::start() else { return };
    // What mosquitto_pub makes of a line ends at a NUL.
    let text = lines(MESSAGES, &[0]);
    let line = format!("-d -V {version} -q {qos} -t i/+ -C {MESSAGES}");
    let subscriber = Running::start(broker.command("sub", &line)).until("ready");
    let line = format!("-V {version} -q {qos} -t i/o -l");
    run_with(broker.theirs("mosquitto_pub", &line), &text).expect(0);
    same(&subscriber.end().expect(0), &text);
}

fn ours_to_theirs(version: &str, qos: &str) {
    let Some(broker) = Mosquitto::start() else { return };
    let text = lines(MESSAGES, &[]);
    let line = format!("-i theirs -V {version} -q {qos} -t i/+ -C {MESSAGES}");
    let subscriber = Running::start(broker.theirs("mosquitto_sub", &line));
    broker.until("Sending SUBACK to theirs");
    let line = format!("-V {version} -q {qos} -t i/o -l");
    run_with(broker.command("pub", &line), &text).expect(0);
    same(&subscriber.end().expect(0), &text);
}

#[test]
fn mosquitto_pub_to_packetboat_sub_3_1_1() {
    theirs_to_ours("311", "2");
}

#[test]
fn mosquitto_pub_to_packetboat_sub_5_0() {
    theirs_to_ours("5", "1");
}

#[test]
fn packetboat_pub_to_mosquitto_sub_3_1_1() {
    ours_to_theirs("311", "2");
}

/// At QoS 1: `mosquitto_sub` 2.0.11 breaks off at QoS 2 of 5.0 with a protocol error, from `mosquitto_pub` as well.
#[test]
fn packetboat_pub_to_mosquitto_sub_5_0() {
    ours_to_theirs("5", "1");
}

#[test]
fn packetboat_pub_to_packetboat_sub_at_qos_0() {
    let Some(broker) = Mosquitto::start() else { return };
    let text = lines(MESSAGES, &[]);
    for version in ["31", "mqttv311", "auto"] {
        let line = format!("-d -V {version} -t i/+ -C {MESSAGES}");
        let subscriber = Running::start(broker.command("sub", &line)).until("ready");
        run_with(broker.command("pub", &format!("-V {version} -t i/o -l")), &text).expect(0);
        same(&subscriber.end().expect(0), &text);
    }
}

/// A file with every byte in it, both ways, as it is.
#[test]
fn files_travel_unchanged() {
    let Some(broker) = Mosquitto::start() else { return };
    let folder = Folder::new();
    let file = folder.file("every byte");
    let bytes: Vec<u8> = (0..300_000_u32).map(|at| u8::try_from(at / 7 % 256).unwrap()).collect();
    std::fs::write(&file, &bytes).unwrap();

    let subscriber = Running::start(broker.theirs("mosquitto_sub", "-i theirs -q 1 -t f -C 1 -N"));
    broker.until("Sending SUBACK to theirs");
    let mut publish = broker.command("pub", "-q 1 -t f -f");
    publish.arg(&file);
    run(publish).expect(0);
    same(&subscriber.end().expect(0), &bytes);

    let subscriber = Running::start(broker.command("sub", "-d -q 1 -t f -C 1 -N")).until("ready");
    let mut publish = broker.theirs("mosquitto_pub", "-q 1 -t f -f");
    publish.arg(&file);
    run(publish).expect(0);
    same(&subscriber.end().expect(0), &bytes);
}

/// What we print is what `mosquitto_sub` prints.
#[test]
fn formats_are_those_of_mosquitto_sub() {
    let Some(broker) = Mosquitto::start() else { return };
    let formats = [
        "%t|%p|%q|%r|%l|%%|%x|%X",
        "%C|%D|%E|%F|%P|%R|%S.|%A.",
        "%8t|%-8t|%08l|%-8l|%8l|%.2t|%12.2t|%3C",
        "\\\\\\0\\a\\e\\n\\r\\t\\v@@",
        "@Y@C",
    ];
    for format in formats {
        let mut theirs = broker.theirs("mosquitto_sub", "-V 5 -i theirs -q 2 -t f/+ -C 2 -F");
        theirs.arg(format);
        let theirs = Running::start(theirs);
        broker.until("Sending SUBACK to theirs");
        let mut ours = broker.command("sub", "-d -V 5 -q 2 -t f/+ -C 2 -F");
        ours.arg(format);
        let ours = Running::start(ours).until("ready");
        run(broker.command(
            "pub",
            "-q 1 -t f/one -m payload -D publish content-type text/plain -D publish response-topic answers \
             -D publish payload-format-indicator 1 -D publish correlation-data c -D publish user-property a b \
             -D publish user-property c d -D publish message-expiry-interval 1000",
        ))
        .expect(0);
        run(broker.command("pub", "-t f/two -m \u{e4}")).expect(0);
        let (theirs, ours) = (theirs.end().expect(0), ours.end().expect(0));
        // Our subscriptions have identifiers.
        assert_eq!(without_identifier(&ours.text()), theirs.text(), "{format}");
    }
}

/// Digits before `.|`, which is where the identifier is.
fn without_identifier(text: &str) -> String {
    let mut parts: Vec<&str> = text.split(".|").collect();
    let last = parts.len() - 1;
    for part in &mut parts[..last] {
        *part = part.trim_end_matches(|character: char| character.is_ascii_digit());
    }
    parts.join(".|")
}

/// 10,000 messages over a connection that breaks again and again.
#[test]
fn nothing_is_lost_over_cuts() {
    use packetboat_sim::broker::Direction;
    let embedded = crate::support::Embedded::start();
    let text = lines(MESSAGES, &[]);
    let subscriber = embedded.subscriber(&format!("-i reader -q 2 -t i -C {MESSAGES}"));
    let faults = embedded.broker.faults().only(Some("writer"));
    faults.cut_after_bytes(Direction::ToBroker, 100_000).cut_after_bytes(Direction::ToBroker, 250_000);
    let ended = run_with(embedded.command("pub", "-i writer -q 2 -t i -l"), &text).expect(0);
    assert!(ended.stderr.contains("trying again"), "{}", ended.stderr);
    same(&subscriber.end().expect(0), &text);
    embedded.assert_no_violations();
}
