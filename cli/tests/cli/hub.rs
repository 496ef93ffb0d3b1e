//! `packetboat hub`.

use std::path::{Path, PathBuf};
use std::process::Command;

use packetboat_core::wire::PacketType;

use crate::port::free_port;
use crate::support::{Embedded, Folder, Mosquitto, Running, packetboat, run, run_with};

fn file(folder: &Folder, text: &str) -> PathBuf {
    let path = folder.file("hub.toml");
    std::fs::write(&path, text).unwrap();
    path
}

fn hub(words: &[&str], path: &Path) -> Command {
    let mut command = packetboat(["hub"]);
    command.args(words).arg(path);
    command
}

#[test]
fn check_tells_all_that_is_wrong_with_line_and_column() {
    let folder = Folder::new();
    let path = file(&folder, "name = 'h'\n[conections.a]\nserver = 'mqtt://a'\n[log]\nlevel = 'loud'\n");
    let ended = run(hub(&["check"], &path)).expect(1);
    let place = format!("{}:2:2: `conections` is no key: did you mean `connections`?", path.display());
    ended.says(&place).says(":5:1: `log.level` must be one of error, warn, info, debug");
    let path = file(&folder, "name = 'h'\n[connections.a]\nserver = 'mqtt://a'\n");
    let text = run(hub(&["check"], &path)).expect(0).text();
    assert!(text.ends_with("hub.toml: fine: 1 connection, 0 targets, 0 pipes\n"), "{text}");
}

#[test]
fn every_example_is_right_and_can_be_drawn() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/hub");
    let mut seen = 0;
    for entry in std::fs::read_dir(examples).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "toml") {
            continue;
        }
        seen += 1;
        let with_variables = |mut command: Command| {
            command.env("BROKER", "mqtt://broker").env("CLOUD", "mqtt://cloud").env("HOSTNAME", "hub-0");
            command
        };
        run(with_variables(hub(&["check"], &path))).expect(0);
        let drawing = run(with_variables(hub(&["graph"], &path))).expect(0).text();
        assert!(drawing.starts_with("<svg ") && drawing.ends_with("</svg>\n"), "{drawing}");
    }
    assert!(seen >= 1);
}

#[test]
fn the_unit_for_systemd_is_right() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/hub");
    let unit = std::fs::read_to_string(examples.join("packetboat-hub.service")).unwrap();
    let folder = Folder::new();
    let path = folder.file("packetboat-hub.service");
    // The program must be there.
    std::fs::write(&path, unit.replace("/usr/local/bin/packetboat", env!("CARGO_BIN_EXE_packetboat")))
        .unwrap();
    match Command::new("systemd-analyze").arg("verify").arg(&path).output() {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && said.is_empty(), "{said}");
        }
        Err(error) => eprintln!("SKIPPED: systemd-analyze cannot be run: {error}"),
    }
}

#[test]
fn the_file_for_kubernetes_is_right() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/hub");
    let manifest = std::fs::read_to_string(examples.join("kubernetes/statefulset.yaml")).unwrap();
    let inner = manifest.split("  hub.toml: |\n").nth(1).unwrap().split("---").next().unwrap();
    let text: Vec<&str> = inner.lines().map(|line| line.strip_prefix("    ").unwrap_or(line)).collect();
    let folder = Folder::new();
    let mut command = hub(&["check"], &file(&folder, &text.join("\n")));
    command
        .env("HOSTNAME", "harbour-0")
        .env("BROKER", "mqtt://b")
        .env("CLOUD", "mqtts://c")
        .env("BROKER_PASSWORD", "x");
    run(command).expect(0);
}

#[test]
#[cfg(unix)]
fn the_example_with_embedded_brokers_does_what_it_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let text = std::fs::read_to_string(root.join("examples/hub/two-brokers.toml")).unwrap();
    let [plant, cloud, http] = [free_port(), free_port(), free_port()];
    let ports = [("18831", plant), ("18832", cloud), ("19464", http)];
    let text = ports.iter().fold(text, |text, (theirs, ours)| text.replace(theirs, &ours.to_string()));
    // What its comment says is to be typed.
    let lines: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("#     cargo run --release -- ")).collect();
    let [line, subscribe, publish] = lines[..] else { panic!("{lines:?}") };
    assert_eq!(line, "hub examples/hub/two-brokers.toml");
    let page = std::fs::read_to_string(root.join("docs/hub.md")).unwrap();
    assert!(page.contains(&format!("cargo run --release -- {line} ")), "docs/hub.md says something else");
    let typed = |line: &str| packetboat(line.split(' ').map(|word| word.trim_matches('\'')));
    let folder = Folder::new();
    let hub = Running::start(hub(&[], &file(&folder, &text))).until("subscribed pipe=\"temperatures\"");
    carries(http, typed(&format!("{subscribe} -d -C 1")), typed(publish), "all/7 21.5\n", "temperatures");
    hub.signal("-TERM");
    hub.end().expect(0).says("nothing was left on the way");
}

#[test]
#[cfg(unix)]
fn the_example_of_several_hubs_works() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/hub/shared.toml");
    let [cluster, cloud] = [Embedded::start(), Embedded::start()];
    let http = free_port();
    let mut command = hub(&[], &example);
    command
        .env("BROKER", cluster.broker.url())
        .env("CLOUD", cloud.broker.url())
        .env("LISTEN", format!("127.0.0.1:{http}"))
        .env("HOSTNAME", "hub-0");
    let hub = Running::start(command).until("\"message\":\"subscribed\",\"pipe\":\"readings\"");
    assert!(
        cluster
            .runtime
            .block_on(async { cluster.broker.with(|core, _| core.has_session("harbour-readings-hub-0")) })
    );
    let subscribe = cloud.command("sub", "-d -t all/# -v -C 1");
    let publish = cluster.command("pub", "-t plant/7/temperature -m 21.5 -q 1");
    carries(http, subscribe, publish, "all/7/temperature 21.5\n", "readings");
    hub.signal("-TERM");
    hub.end().expect(0).says("nothing was left on the way");
    cluster.assert_no_violations();
    cloud.assert_no_violations();
}

/// One message passes the pipe, and whoever asks over HTTP is told.
#[track_caller]
fn carries(http: u16, subscribe: Command, publish: Command, arrives: &str, pipe: &str) {
    let reader = Running::start(subscribe).until("ready");
    run(publish).expect(0);
    assert_eq!(reader.end().expect(0).text(), arrives);
    // A connection that no message passes may come last.
    while !ready(http) {
        std::thread::yield_now();
    }
    let answer = ask(http, "/health");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nok\n"), "{answer}");
    while metric(http, &format!("packetboat_hub_pipe_acknowledged_total{{pipe=\"{pipe}\"}}")) < 1.0 {
        std::thread::yield_now();
    }
}

/// Empty: nobody answers yet.
fn ask(port: u16, path: &str) -> String {
    use std::io::{Read, Write};
    let Ok(mut stream) = std::net::TcpStream::connect(("127.0.0.1", port)) else { return String::new() };
    let mut answer = String::new();
    let asked = stream
        .write_all(format!("GET {path} HTTP/1.1\r\n\r\n").as_bytes())
        .and_then(|()| stream.read_to_string(&mut answer));
    asked.map(|_| answer).unwrap_or_default()
}

/// What `/ready` says.
fn ready(port: u16) -> bool {
    ask(port, "/ready").starts_with("HTTP/1.1 200")
}

#[test]
#[cfg(unix)]
fn a_changed_file_is_read_again_and_a_wrong_one_changes_nothing() {
    let (one, other) = (Embedded::start(), Embedded::start());
    let folder = Folder::new();
    let connection = |name: &str, embedded: &Embedded| {
        format!("[connections.{name}]\nserver = \"{}\"\nclient_id = \"{name}\"\n", embedded.broker.url())
    };
    let first = format!("[log]\nformat = \"json\"\n{}", connection("one", &one));
    let path = file(&folder, &first);
    let hub = Running::start(hub(&[], &path)).until("\"message\":\"the hub runs\"");
    one.runtime.block_on(one.broker.until(|core| core.connection("one").is_some()));
    std::fs::write(&path, format!("{first}[connections.two]\nsevrer = \"x\"\n")).unwrap();
    hub.signal("-HUP");
    let hub = hub.until("hub.toml:7:1: `connections.two.sevrer` is no key: did you mean");
    // By SIGHUP; and without it, by looking at the file.
    std::fs::write(&path, format!("{first}{}", connection("two", &other))).unwrap();
    hub.signal("-HUP");
    let hub = hub.until("connections new: two");
    other.runtime.block_on(other.broker.until(|core| core.connection("two").is_some()));
    std::fs::write(&path, &first).unwrap();
    let hub = hub.until("connections gone: two");
    other.runtime.block_on(other.broker.until(|core| core.connected() == 0));
    assert_eq!(one.broker.stats().received(PacketType::Connect), 1, "it was reconnected");
    hub.signal("-TERM");
    hub.end().expect(0);
    one.assert_no_violations();
    other.assert_no_violations();
}

/// So many messages for each of the three.
const MESSAGES: usize = 3000;

#[test]
#[cfg(unix)]
fn three_hubs_share_a_subscription_and_lose_nothing() {
    let Some(plant) = Mosquitto::start() else { return };
    let Some(cloud) = Mosquitto::start() else { return };
    let folder = Folder::new();
    let config = format!(
        "name = \"hub\"\ninstance = \"${{INSTANCE}}\"\ndrain_timeout = 3\n[connections.plant]\nserver = \
         \"mqtt://127.0.0.1:{}\"\nreconnect = {{ minimum = 0.05, maximum = 0.2 }}\n[connections.cloud]\nserver = \
         \"mqtt://127.0.0.1:{}\"\nreconnect = {{ minimum = 0.05, maximum = 0.2 }}\n[http]\nlisten = \
         \"127.0.0.1:${{PORT}}\"\n[[pipes]]\nname = \"p\"\nwindow = 20\nfrom = {{ connection = \"plant\", filter = \"a/#\", share = \"hubs\" \
         }}\n[[pipes.destinations]]\ntarget_name = \"cloud\"\nmqtt_message_options = {{ topic = \"b/#\" }}\n",
        plant.port, cloud.port
    );
    let path = file(&folder, &config);
    let ports = [free_port(), free_port(), free_port()];
    let start = |number: usize| {
        let mut command = hub(&[], &path);
        command.env("INSTANCE", format!("hub-{number}")).env("PORT", ports[number].to_string());
        let hub = Running::start(command).until("the hub runs");
        while !ready(ports[number]) {
            std::thread::yield_now();
        }
        hub
    };
    let mut reader = Running::start_unread(&mut cloud.theirs("mosquitto_sub", "-i reader -q 1 -t b/# -V 5"));
    cloud.until("Sending SUBACK to reader");
    let mut hubs: Vec<Running> = (0..3).map(start).collect();
    let line = format!("pub -h 127.0.0.1 -p {} -q 1 -t a/x -l", plant.port);
    let publish = |from: usize| {
        let lines: Vec<String> = (from..from + MESSAGES).map(|number| number.to_string()).collect();
        let text = lines.join("\n") + "\n";
        run_with(packetboat(line.split(' ')), text.as_bytes()).expect(0);
    };
    // One is killed, one stopped as by a debugger, one ended properly and started again, while messages flow.
    std::thread::scope(|scope| {
        let publishing = scope.spawn(|| {
            for round in 0..3 {
                publish(round * MESSAGES);
            }
        });
        hubs[1].signal("-STOP");
        hubs.swap_remove(0).kill();
        // The third is now the first.
        hubs[0].signal("-TERM");
        hubs.swap_remove(0).end();
        let third = start(2);
        hubs[0].signal("-CONT");
        hubs.push(third);
        publishing.join().unwrap();
        hubs.push(start(0));
    });
    let wanted = 3 * MESSAGES;
    assert_eq!(reader.lines_until(|seen| seen.len() >= wanted).len(), wanted);
    // What they count since they were started: each has its share.
    let shares = ports.map(|port| metric(port, "packetboat_hub_pipe_received_total{pipe=\"p\"}"));
    assert!(shares.iter().all(|share| *share > 0.0), "{shares:?}");
    for hub in hubs {
        hub.signal("-TERM");
        hub.end().expect(0);
    }
}

fn metric(port: u16, name: &str) -> f64 {
    let answer = ask(port, "/metrics");
    let line =
        answer.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}: {answer}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}
