//! `--config`: what the file says, and what wins over it.

use packetboat::QoS;
use packetboat_sim::net::Options;

use crate::support::{Embedded, Folder, Mosquitto, Running, packetboat, run};

/// A command with a file of these settings, and more on its line.
fn with(folder: &Folder, command: &str, settings: &str, line: &str) -> std::process::Command {
    let file = folder.file("settings.toml");
    std::fs::write(&file, settings).unwrap();
    let mut command = packetboat([command, "--config"]);
    command.arg(file).args(line.split_whitespace());
    command
}

#[test]
fn a_file_says_where_and_as_whom_and_how() {
    let embedded = Embedded::with(Options::new().credentials("me", "hush").keep_log());
    let folder = Folder::new();
    let settings = format!(
        "server = '{}'\nclient_id = 'filed'\nusername = 'me'\npassword = 'hush'\n[publish]\nqos = 1\nretain = true\n",
        embedded.broker.url()
    );
    let debugged = run(with(&folder, "pub", &settings, "-t a -m from-file -d")).expect(0);
    debugged.says("client identifier filed,");
    let taken = embedded.broker.accepted("filed");
    assert_eq!(taken[0].message.qos, QoS::AtLeastOnce);
    assert!(taken[0].message.retain);
    let ended = run(with(&folder, "sub", &settings, "-t a -C 1 -F %r%p")).expect(0);
    assert_eq!(ended.text(), "1from-file\n");
    embedded.assert_no_violations();
}

#[test]
fn options_of_the_line_win_over_the_file() {
    let embedded = Embedded::with(Options::new().credentials("me", "hush").keep_log());
    let folder = Folder::new();
    let port = embedded.broker.port();
    // Nobody listens there, and nobody has that name: each is taken from the line alone.
    let settings = "server = 'mqtt://not-me:x@127.0.0.1:1'\nclient_id = 'filed'\nversion = '5.0'\nkeep_alive = 7\n\
                    username = 'somebody'\npassword = 'wrong'\n[publish]\nqos = 2\n";
    let line = format!("-t a -m x -d -p {port} -u me -P hush -i lined -V 311 -q 1 -k 9");
    let ended = run(with(&folder, "pub", settings, &line)).expect(0);
    ended.says("MQTT 3.1.1, client identifier lined");
    assert_eq!(embedded.broker.accepted("lined")[0].message.qos, QoS::AtLeastOnce);
    // The address of -L brings its own user.
    let line = format!("-t a -m x -d -L mqtt://me:hush@127.0.0.1:{port}");
    run(with(&folder, "pub", settings, &line)).expect(0).says("client identifier filed");
    assert_eq!(embedded.broker.accepted("filed")[0].message.qos, QoS::ExactlyOnce);
    // Without either the file's own server is tried.
    run(with(&folder, "pub", settings, "-t a -m x")).expect(2).says("127.0.0.1:1");
    let mut command = with(&folder, "pub", settings, &format!("-t a -m x -d -u me -P hush -p {port}"));
    command.env("PACKETBOAT_OPTION_CLIENT_ID", "environed");
    run(command).expect(0).says("client identifier environed");
    embedded.assert_no_violations();
}

#[test]
fn a_file_may_leave_the_server_to_the_line_and_sessions_to_itself() {
    let embedded = Embedded::start();
    let folder = Folder::new();
    let port = embedded.broker.port();
    let settings = "client_id = 'kept'\nsession = 'persistent'\n";
    let line = format!("-h 127.0.0.1 -p {port} -t a -q 1 -E");
    run(with(&folder, "sub", settings, &line)).expect(0);
    run(embedded.command("pub", "-t a -q 1 -m kept")).expect(0);
    let line = format!("-h 127.0.0.1 -p {port} -t a -q 1 -C 1");
    assert_eq!(run(with(&folder, "sub", settings, &line)).expect(0).text(), "kept\n");
    // -c is content with the name in the file, and -x 0 ends what the file would keep.
    run(with(&folder, "sub", "client_id = 'kept'\n", &format!("-h 127.0.0.1 -p {port} -c -t a -E")))
        .expect(0);
    run(with(&folder, "sub", settings, &format!("-h 127.0.0.1 -p {port} -x 0 -t a -E"))).expect(0);
    let line = format!("-h 127.0.0.1 -p {port} -t a -E -d");
    run(with(&folder, "sub", settings, &line)).expect(0).says("session new");
    embedded.assert_no_violations();
}

#[test]
fn mistakes_in_a_file_are_told_with_line_and_column() {
    let folder = Folder::new();
    let ended = run(with(&folder, "rr", "server = 'mqtt://h'\nkeep_alvie = 3\n", "-t a -n")).expect(1);
    ended.says("settings.toml:2:1: `keep_alvie` is no key: did you mean `keep_alive`?");
    run(packetboat(["pub", "--config", "/nowhere/at.toml", "-t", "a", "-n"]))
        .expect(1)
        .says("/nowhere/at.toml");
}

/// Mongoose's own file, with its own meaning.
#[test]
fn files_of_other_systems_work_with_mosquitto() {
    let Some(broker) = Mosquitto::start() else { return };
    let folder = Folder::new();
    let file = folder.file("mos.json");
    let settings = format!("{{\"mqtt\": {{\"enable\": true, \"server\": \"127.0.0.1:{}\"}}}}", broker.port);
    std::fs::write(&file, settings).unwrap();
    let mut sub = packetboat(["sub", "-d", "-t", "m", "-C", "1", "--config"]);
    sub.arg(&file);
    let subscriber = Running::start(sub).until("ready");
    let mut publish = packetboat(["pub", "-t", "m", "-m", "x", "-q", "1", "--config"]);
    publish.arg(&file);
    run(publish).expect(0);
    assert_eq!(subscriber.end().expect(0).text(), "x\n");
}
