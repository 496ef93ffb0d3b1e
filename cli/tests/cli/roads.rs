//! Ways to the broker that the command line names.

use std::net::TcpListener;

use crate::support::{Mosquitto, packetboat, run};

#[test]
fn the_proxy_of_the_environment_counts_when_asked_for_and_not_for_exceptions() {
    let Some(broker) = Mosquitto::start() else { return };
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let publish = |more: &str, exceptions: &str| {
        let mut command = broker.command("pub", &format!("-t a -m x -q 1 {more}"));
        command.env("ALL_PROXY", format!("http://user:secret@{closed}")).env("NO_PROXY", exceptions);
        for other in ["all_proxy", "https_proxy", "HTTPS_PROXY", "no_proxy"] {
            command.env_remove(other);
        }
        run(command)
    };
    publish("", "").expect(0);
    publish("--proxy environment", "127.0.0.0/8").expect(0);
    let ended = publish("--proxy environment", "example.org").expect(2);
    assert!(
        ended.stderr.contains(&format!("the proxy http://{closed} cannot be reached")),
        "{}",
        ended.stderr
    );
    assert!(!ended.stderr.contains("secret"), "{}", ended.stderr);
}

#[test]
fn a_socket_that_is_not_there_is_named() {
    for arguments in [["--unix", "/no/such/socket"], ["-L", "unix:///no/such/socket"]] {
        let ended = run(packetboat(["pub", "-t", "a", "-m", "x", arguments[0], arguments[1]])).expect(2);
        assert!(ended.stderr.contains("/no/such/socket"), "{}", ended.stderr);
    }
}

#[test]
fn a_port_that_speaks_no_websocket_is_told_apart() {
    let Some(broker) = Mosquitto::start() else { return };
    let ended = run(broker.command("pub", "-t a -m x --ws")).expect(2);
    assert!(ended.stderr.contains("WebSocket"), "{}", ended.stderr);
}
