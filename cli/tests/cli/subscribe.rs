//! The options of `sub`, by what it prints.

use packetboat::QoS;
use packetboat_sim::broker::{Config, Message};
use packetboat_sim::net::Options;

use crate::support::{Embedded, packetboat, run};

fn message(topic: &str, payload: &str) -> Message {
    Message::new(topic, payload, QoS::AtLeastOnce)
}

/// What `sub` with these options prints of the messages.
#[track_caller]
fn printed(line: &str, messages: &[(&str, &str)]) -> String {
    let embedded = Embedded::start();
    let subscriber = embedded.subscriber(line);
    for (topic, payload) in messages {
        embedded.publish(message(topic, payload));
    }
    let ended = subscriber.end().expect(0);
    embedded.assert_no_violations();
    ended.text()
}

#[test]
fn payloads_are_printed_with_or_without_more() {
    let messages = [("a/b", "one"), ("a/c", ""), ("a/d", "t w o")];
    assert_eq!(printed("-t a/+ -C 3", &messages), "one\nt w o\n");
    assert_eq!(printed("-t a/+ -C 3 -N", &messages), "onet w o");
    assert_eq!(printed("-t a/+ -C 3 -v", &messages), "a/b one\na/c (null)\na/d t w o\n");
    assert_eq!(printed("-t a/b -t a/d -C 2 -v -q 2", &messages), "a/b one\na/d t w o\n");
    assert_eq!(printed("-t a/+ -C 3 -F %t=%p; -v", &messages), "a/b=one;\na/c=;\na/d=t w o;\n");
    assert_eq!(printed("-t a/+ -C 2 -F %t=%p\\n -N -q 1", &messages), "a/b=one\na/c=\n");
    assert_eq!(printed("-t a/+ -C 2 -F %q%r%l -q 1", &messages), "103\n100\n");
    assert_eq!(printed("-t a/+ -C 1 -F %q", &messages), "0\n");
}

#[test]
fn json_is_one_object_per_line() {
    let text = printed("-t j -C 2 -q 1 -F %J", &[("j", "{\n \"a\": 1 }"), ("j", "[]")]);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("{\"tst\":\"20") && lines[0].ends_with("\"payload\":{\"a\":1}}"), "{text}");
    assert!(lines[1].contains("\"topic\":\"j\",\"qos\":1,\"retain\":0,\"payloadlen\":2"), "{text}");
    let embedded = Embedded::start();
    let subscriber = embedded.subscriber("-t j -C 2 -F %J");
    embedded.publish(message("j", "no"));
    embedded.publish(message("j", "1"));
    let ended = subscriber.end().expect(0).says("is not JSON");
    assert!(
        ended.text().ends_with("\"payload\":1}\n") && ended.text().lines().count() == 1,
        "{}",
        ended.text()
    );
}

#[test]
fn topics_can_be_filtered_out() {
    let messages = [("a/x", "1"), ("a/b/c", "2"), ("a/y", "3"), ("a/z", "4")];
    assert_eq!(printed("-t a/# -T a/b/# -T +/y -C 2", &messages), "1\n4\n");
}

#[test]
fn retained_messages_can_be_left_out() {
    for version in ["5", "311"] {
        let embedded = Embedded::start();
        embedded.publish(message("r/old", "old").retain());
        let subscriber = embedded.subscriber(&format!("-V {version} -t r/# -R -C 1 -v"));
        embedded.publish(message("r/old", "new").retain());
        assert_eq!(subscriber.end().expect(0).text(), "r/old new\n");
    }
}

#[test]
fn retained_messages_can_be_all_there_is() {
    let embedded = Embedded::start();
    for (topic, payload) in [("r/1", "a"), ("r/2", "b"), ("r/3", "c")] {
        embedded.publish(message(topic, payload).retain());
    }
    let subscriber = embedded.subscriber("-t r/# --retained-only -F %t%r -T r/2");
    embedded.publish(message("r/1", "new"));
    assert_eq!(subscriber.end().expect(0).text(), "r/11\nr/31\n");
    run(packetboat(["sub", "-t", "a", "-R", "--retained-only"])).expect(1).says("cannot be used with");
}

#[test]
fn the_flag_can_stay_as_it_was_published() {
    let embedded = Embedded::start();
    let subscriber = embedded.subscriber("-t r/# --retain-as-published -C 2 -F %r");
    embedded.publish(message("r/1", "a").retain());
    embedded.publish(message("r/1", "a"));
    assert_eq!(subscriber.end().expect(0).text(), "1\n0\n");
    run(embedded.command("sub", "-V 311 -t a --retain-as-published")).expect(1).says("MQTT 5.0");
}

#[test]
fn retained_messages_can_be_removed() {
    let embedded = Embedded::start();
    for number in 0..3000 {
        embedded.publish(message(&format!("r/{number}"), "x").retain());
    }
    embedded.publish(message("keep", "x").retain());
    let line = "-t # -T keep -T r/7 --remove-retained --retained-only";
    let ended = run(embedded.command("sub", line)).expect(0);
    assert_eq!(ended.text().lines().count(), 2999);
    embedded.broker.with(|core, _| {
        assert!(core.retained("keep").is_some() && core.retained("r/7").is_some());
        assert!((0..3000).all(|number| number == 7 || core.retained(&format!("r/{number}")).is_none()));
    });
    // It also works where they are not to be printed.
    let ended = run(embedded.command("sub", "-t r/7 --remove-retained -R -W 0.5 --quiet")).expect(27);
    assert_eq!(ended.text(), "");
    assert!(embedded.broker.with(|core, _| core.retained("r/7").is_none()));
    embedded.assert_no_violations();
}

#[test]
fn time_runs_out_with_the_code_of_mosquitto_sub() {
    let embedded = Embedded::start();
    let ended = run(embedded.command("sub", "-t a -W 0.2 -C 5")).expect(27);
    assert!(ended.stderr.contains("time is up after 0 messages"), "{}", ended.stderr);
    assert_eq!(run(embedded.command("sub", "-t a -W 0.2 --quiet")).expect(27).stderr, "");
}

#[test]
fn a_refused_filter_is_an_error() {
    let config = Config { denied: vec!["denied".parse().unwrap()], ..Config::default() };
    let embedded = Embedded::with(Options::new().config(config));
    run(embedded.command("sub", "-t allowed -t denied")).expect(3).says("denied: ");
}

#[test]
fn a_url_and_credentials_work_here_too() {
    let embedded = Embedded::with(Options::new().credentials("me", "secret"));
    embedded.publish(message("a/b", "x").retain());
    let url = format!("mqtt://me:secret@127.0.0.1:{}/a/#", embedded.broker.port());
    assert_eq!(run(packetboat(["sub", "-L", &url, "-C", "1", "-A", "127.0.0.1"])).expect(0).text(), "x\n");
    assert_eq!(run(embedded.command("sub", "-u me -P secret -t a/b -C 1")).expect(0).text(), "x\n");
    run(embedded.command("sub", "-u me -P guess -t a/b -C 1")).expect(3);
}

#[test]
fn a_batch_ends_where_the_count_does() {
    let embedded = Embedded::start();
    let subscriber = embedded.subscriber("-i s -c -q 1 -t a -C 3");
    for number in 0..10 {
        embedded.publish(message("a", &number.to_string()));
    }
    assert_eq!(subscriber.end().expect(0).text(), "0\n1\n2\n");
    // What was not taken was not acknowledged.
    let ended = run(embedded.command("sub", "-i s -c -q 1 -t a -C 7")).expect(0);
    assert_eq!(ended.text(), "3\n4\n5\n6\n7\n8\n9\n");
    embedded.assert_no_violations();
}
