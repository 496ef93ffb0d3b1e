//! The options of `pub`, by what the broker received.

use std::sync::Arc;
use std::time::{Duration, Instant};

use packetboat::QoS;
use packetboat_sim::broker::Message;
use packetboat_sim::net::Options;

use crate::support::{Embedded, Folder, LONG, Running, packetboat, run, run_with};

/// What `pub -i p` with these options made the broker take.
#[track_caller]
fn taken(line: &str, input: &[u8]) -> Vec<Arc<Message>> {
    let embedded = Embedded::start();
    run_with(embedded.command("pub", &format!("-i p {line}")), input).expect(0);
    embedded.assert_no_violations();
    embedded.broker.accepted("p").into_iter().map(|accepted| accepted.message).collect()
}

fn payloads(messages: &[Arc<Message>]) -> Vec<&[u8]> {
    messages.iter().map(|message| &message.payload[..]).collect()
}

#[test]
fn a_message_has_topic_payload_qos_and_flag() {
    for (version, qos) in [("5", QoS::AtMostOnce), ("311", QoS::AtLeastOnce), ("31", QoS::ExactlyOnce)] {
        let taken = taken(&format!("-V {version} -t a/b -m text -q {} -r", qos as u8), b"");
        let [message] = &taken[..] else { panic!("{taken:?}") };
        assert_eq!((&*message.topic, &message.payload[..]), ("a/b", &b"text"[..]));
        assert_eq!((message.qos, message.retain), (qos, true));
    }
    assert!(!taken("-t a -m b", b"")[0].retain);
}

#[test]
fn payloads_come_from_everywhere() {
    let binary: Vec<u8> = (0..=255).collect();
    let folder = Folder::new();
    std::fs::write(folder.file("payload"), &binary).unwrap();
    let file = folder.file("payload");
    assert_eq!(payloads(&taken(&format!("-t a -f {}", file.display()), b"")), [&binary[..]]);
    assert_eq!(payloads(&taken("-t a -s", &binary)), [&binary[..]]);
    assert_eq!(payloads(&taken("-t a -s", b"")), [b""]);
    assert_eq!(payloads(&taken("-t a -n", b"")), [b""]);
    assert_eq!(payloads(&taken("-t a -m -5", b"")), [b"-5"]);
    assert_eq!(
        payloads(&taken("-t a -q 1 -l", b"one\n\ntwo\r\n\xff\0\nlast")),
        [&b"one"[..], b"", b"two\r", b"\xff\0", b"last"]
    );
    assert!(taken("-t a -l", b"").is_empty());
}

#[cfg(unix)]
#[test]
fn a_message_on_the_command_line_may_be_binary() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let embedded = Embedded::start();
    let mut command = embedded.command("pub", "-i p -t a -m");
    command.arg(OsStr::from_bytes(b"\xff\xfe"));
    run(command).expect(0);
    assert_eq!(embedded.broker.accepted("p")[0].message.payload, b"\xff\xfe");
}

#[test]
fn lines_are_sent_as_they_are_typed() {
    let embedded = Embedded::start();
    let mut publisher = Running::start(embedded.command("pub", "-i p -t a -q 1 -l"));
    publisher.write(b"one\n");
    embedded.runtime.block_on(embedded.broker.until(|core| core.accepted("p").len() == 1));
    publisher.write(b"two\nthr");
    embedded.runtime.block_on(embedded.broker.until(|core| core.accepted("p").len() == 2));
    publisher.write(b"ee");
    publisher.close_input();
    publisher.end().expect(0);
    assert_eq!(embedded.broker.accepted("p")[2].message.payload, b"three");
}

#[test]
fn each_message_goes_to_every_topic() {
    let taken = taken("-t a -t b -t c/d -q 2 -l", b"1\n2\n");
    let mut pairs: Vec<(&str, &[u8])> =
        taken.iter().map(|message| (&*message.topic, &message.payload[..])).collect();
    pairs.sort_unstable();
    assert_eq!(
        pairs,
        [("a", &b"1"[..]), ("a", b"2"), ("b", b"1"), ("b", b"2"), ("c/d", b"1"), ("c/d", b"2")]
    );
}

#[test]
fn repeating_with_and_without_delay() {
    assert_eq!(taken("-t a -m x --repeat 1000 -q 1", b"").len(), 1000);
    assert_eq!(taken("-t a -n --repeat 3", b"").len(), 3);
    let began = Instant::now();
    assert_eq!(taken("-t a -m x --repeat 3 --repeat-delay 0.1 -q 1", b"").len(), 3);
    assert!(began.elapsed() >= Duration::from_millis(200), "{:?}", began.elapsed());
}

#[test]
fn properties_reach_the_broker() {
    let taken = taken(
        "-t a -m x -D publish content-type text/plain -D publish response-topic r -D publish correlation-data c \
         -D publish message-expiry-interval 60 -D publish payload-format-indicator 1 -D publish user-property n v \
         -D publish topic-alias 5 -D connect user-property a b -D connect receive-maximum 10 \
         -D connect topic-alias-maximum 3 -D connect maximum-packet-size 1000 --repeat 2",
        b"",
    );
    for message in &taken {
        let properties = message.properties.as_properties();
        assert_eq!(properties.content_type(), Some("text/plain"));
        assert_eq!(properties.response_topic(), Some("r"));
        assert_eq!(properties.correlation_data(), Some(&b"c"[..]));
        // The broker counts it down by itself.
        assert!(message.expires.is_some());
        assert_eq!(properties.payload_format_indicator(), Some(true));
        assert_eq!(properties.user_properties().collect::<Vec<_>>(), [("n", "v")]);
        assert_eq!(message.topic, "a");
    }
    assert_eq!(taken.len(), 2);
}

#[test]
fn a_url_says_it_all() {
    let embedded = Embedded::with(Options::new().keep_log().credentials("me@home", "p:w"));
    let url = format!("mqtt://me%40home:p%3Aw@127.0.0.1:{}/a/b#c", embedded.broker.port());
    run(packetboat(["pub", "-i", "p", "-L", &url.replace("#c", ""), "-m", "x"])).expect(0);
    assert_eq!(embedded.broker.accepted("p")[0].message.topic, "a/b");
    // A wildcard is as wrong here as with -t.
    run(packetboat(["pub", "-i", "p", "-L", &url, "-m", "x"])).expect(1).says("\"a/b#c\"");
    // Explicit options win, and add topics.
    let line = ["pub", "-i", "p", "-L", &url.replace("#c", ""), "-P", "wrong", "-m", "x"];
    run(packetboat(line)).expect(3).says("password");
    let line = ["pub", "-i", "q", "-L", &url.replace("/a/b#c", ""), "-t", "z", "-m", "x"];
    run(packetboat(line)).expect(0);
    assert_eq!(embedded.broker.accepted("q")[0].message.topic, "z");
}

#[test]
fn credentials_are_given() {
    let embedded = Embedded::with(Options::new().keep_log().credentials("me", "secret"));
    run(embedded.command("pub", "-t a -m x -u me -P secret")).expect(0);
    run(embedded.command("pub", "-t a -m x -u me -P wrong")).expect(3).says("user name and password");
    run(embedded.command("pub", "-t a -m x")).expect(3);
}

#[test]
fn the_local_address_can_be_chosen() {
    let embedded = Embedded::start();
    run(embedded.command("pub", "-i p -t a -m x -A 127.0.0.1 -k 5")).expect(0);
    assert_eq!(embedded.broker.accepted("p").len(), 1);
    // An address of documentation, which no machine has.
    run(embedded.command("pub", "-t a -m x -A 192.0.2.1")).expect(2).says("from 192.0.2.1");
    run(embedded.command("pub", "-t a -m x -A ::1")).expect(2).says("another family");
}

#[test]
fn debug_tells_and_quiet_is_quiet() {
    let embedded = Embedded::start();
    let ended = run(embedded.command("pub", "-d -i p -t a -m x -q 1")).expect(0);
    for part in ["MQTT 5.0", "client identifier p", "1 bytes to a", "1 messages delivered"] {
        assert!(ended.stderr.contains(part), "{part} is not in: {}", ended.stderr);
    }
    let ended = run(embedded.command("pub", "-t a -m x")).expect(0);
    assert_eq!(ended.stderr, "");
    let ended = run(packetboat(["pub", "-p", "1", "-t", "a", "-m", "x", "--quiet"])).expect(2);
    assert_eq!(ended.stderr, "");
    let ended = run(packetboat(["pub", "-t", "a#", "-m", "x", "--quiet"])).expect(1);
    assert_ne!(ended.stderr, "");
}

#[test]
fn what_the_broker_does_not_take_is_refused() {
    let config = packetboat_sim::broker::Config {
        denied: vec!["denied/#".parse().unwrap()],
        maximum_packet_size: 1000,
        maximum_qos: QoS::AtLeastOnce,
        retain_available: false,
        ..Default::default()
    };
    let embedded = Embedded::with(Options::new().config(config));
    run(embedded.command("pub", "-t denied/a -m x -q 1")).expect(3).says("refused");
    run(embedded.command("pub", "-t a -m x -q 2")).expect(3).says("QoS 1");
    run(embedded.command("pub", "-t a -m x -r")).expect(3).says("retained");
    run_with(embedded.command("pub", "-t a -s"), &[b'x'; 2000]).expect(3).says("1000");
    let input = b"1\n2\n3\n";
    let ended = run_with(embedded.command("pub", "-t denied/a -t ok -q 1 -l"), input).expect(3);
    assert!(ended.stderr.contains("3 of 6 messages failed; the first: message 1"), "{}", ended.stderr);
    embedded.assert_no_violations();
}

#[test]
fn a_limit_of_time_is_kept() {
    let embedded = Embedded::start();
    embedded.broker.faults().swallow(packetboat_core::wire::PacketType::Puback);
    let began = Instant::now();
    let ended = run(embedded.command("pub", "-t a -m x -q 1 -W 2")).expect(4);
    assert!(began.elapsed() < LONG, "{:?}", began.elapsed());
    assert!(ended.stderr.contains("1 on the way"), "{}", ended.stderr);
}
