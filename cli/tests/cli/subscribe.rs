//! The options of `sub`, by what it prints.

use packetboat::QoS;
use packetboat_sim::broker::{Config, Message};
use packetboat_sim::net::Options;

use crate::support::{Embedded, Folder, Mosquitto, Running, lines, packetboat, run, run_with};

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
fn json_is_filtered_and_cut_and_made_pretty() {
    let messages = [
        ("r/1", r#"{"state": "open", "t": 21.50, "who": "a \"b\" \u00e4"}"#),
        ("r/2", r#"{"state": "shut", "t": 19}"#),
        ("r/3", "no json"),
        ("r/4", r#"{"state":"open","list":[1,{"x":null}]}"#),
        ("r/end", r#"{"state":"open","t":{"deep":[true]},"who":"end"}"#),
    ];
    assert_eq!(printed("-t r/+ -C 3 -q 1 --pointer /t", &messages), "21.50\n19\n{\"deep\":[true]}\n");
    assert_eq!(printed("-t r/+ -C 2 -q 1 --pointer /who -v", &messages), "r/1 a \"b\" \u{e4}\nr/end end\n");
    assert_eq!(printed("-t r/+ -C 3 -q 1 --where /state=open -F %t", &messages), "r/1\nr/4\nr/end\n");
    assert_eq!(printed("-t r/+ -C 1 -q 1 --where /state=open --where /t/deep -F %t", &messages), "r/end\n");
    assert_eq!(printed("-t r/+ -C 1 -q 1 --where /t=21.5 --pointer /state", &messages), "open\n");
    let pretty = "no json\n{\n  \"state\": \"open\",\n  \"list\": [\n    1,\n    {\n      \"x\": null\n    }\n  ]\n}\n";
    assert_eq!(printed("-t r/3 -t r/4 -C 2 -q 1 --pretty", &messages), pretty);
    assert_eq!(printed("-t r/+ -C 1 -q 1 --pretty --pointer /t/deep", &messages), "[\n  true\n]\n");
    for (option, why) in
        [("--pointer a", "begins with /"), ("--where a=1", "begins with /"), ("--pointer /~2", "~0")]
    {
        run(packetboat(["sub", "-t", "a"].into_iter().chain(option.split(' ')))).expect(1).says(why);
    }
}

#[test]
fn files_begin_anew_when_they_are_full() {
    let embedded = Embedded::start();
    let folder = Folder::new();
    let file = folder.file("out");
    std::fs::write(&file, "before\n").unwrap();
    let mut command = embedded.command("sub", "-d -q 1 -t f -C 9 --rotate 20 --keep 2 --output-file");
    command.arg(&file);
    let subscriber = Running::start(command).until("ready");
    let long = "x".repeat(50);
    for payload in ["1", "2", "333333333", "4", &long, "6", "7", "88888888888888888", "9"] {
        embedded.publish(message("f", payload));
    }
    assert_eq!(subscriber.end().expect(0).text(), "");
    let read = |name: &str| std::fs::read_to_string(folder.file(name)).ok();
    // before 1 2 | 333333333 4 | long | 6 7 | 8... | 9: a message is in one file, and the third oldest is gone.
    assert_eq!(read("out").as_deref(), Some("88888888888888888\n9\n"));
    assert_eq!(read("out.1").as_deref(), Some("6\n7\n"));
    assert_eq!(read("out.2"), Some(format!("{long}\n")));
    assert_eq!(read("out.3"), None);
    let mut command = embedded.command("sub", "-t f --output-file");
    command.arg(folder.file("nowhere/out"));
    run(command).expect(1).says("cannot be written");
    run(embedded.command("sub", "-t f --rotate 10")).expect(1).says("--output-file");
    embedded.assert_no_violations();
}

/// All of it comes through a hundred files.
#[test]
fn nothing_is_lost_between_files() {
    let Some(broker) = Mosquitto::start() else { return };
    let folder = Folder::new();
    let file = folder.file("out");
    let text = lines(2000, &[]);
    let mut command = broker.command("sub", "-d -q 1 -t f -C 2000 --rotate 1k --keep 1000 --output-file");
    command.arg(&file);
    let subscriber = Running::start(command).until("ready");
    run_with(broker.command("pub", "-q 1 -t f -l"), &text).expect(0);
    subscriber.end().expect(0);
    let numbered = (1..1000).rev().map(|number| folder.file(&format!("out.{number}")));
    let mut all = Vec::new();
    for path in numbered.chain([file]).filter(|path| path.exists()) {
        let bytes = std::fs::read(path).unwrap();
        assert!(bytes.len() <= 1000);
        all.extend(bytes);
    }
    assert!(all == text, "{} bytes of {}", all.len(), text.len());
}

#[test]
fn the_rate_is_told_when_asked() {
    let embedded = Embedded::start();
    let subscriber = Running::start(embedded.command("sub", "-d --rate -t a")).until("ready");
    for _ in 0..3 {
        embedded.publish(message("a", "1234"));
    }
    let subscriber = subscriber.until("3 messages, ").until("3 messages, 0/s, 0.0 kB/s of payload");
    subscriber.signal("-INT");
    subscriber.end().expect(0);
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
