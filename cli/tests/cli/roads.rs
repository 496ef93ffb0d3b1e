//! Ways to the broker that the command line names.

use crate::port::free_port;
use crate::proxy::{dante, dante_with_password, tinyproxy};
use crate::support::{Mosquitto, packetboat, run};

/// A message there and back again.
#[track_caller]
fn leads_there(way: &[&str]) {
    let fixed = ["pub", "-t", "way", "-m", "there", "-r", "-q", "1"];
    run(packetboat(fixed.iter().chain(way))).expect(0);
    let fixed = ["sub", "-t", "way", "-C", "1", "-q", "1"];
    assert_eq!(run(packetboat(fixed.iter().chain(way))).expect(0).text(), "there\n");
}

#[test]
fn proxies_open_the_way() {
    let Some(broker) = Mosquitto::start() else { return };
    let port = broker.port.to_string();
    let publish = |proxy: &str| {
        let way = ["pub", "-h", "localhost", "-p", &port, "-t", "a", "-m", "x", "-q", "1", "--proxy", proxy];
        let ended = run(packetboat(way));
        assert!(!ended.stderr.contains("secret"), "{}", ended.stderr);
        ended
    };
    if let Some(proxy) = tinyproxy("BasicAuth user secret") {
        let url = |userinfo| format!("http://{userinfo}127.0.0.1:{}", proxy.port);
        leads_there(&["-h", "localhost", "-p", &port, "--proxy", &url("user:secret@")]);
        publish(&url("")).expect(2).says("wants a user name and password");
        publish(&url("user:another-secret@")).expect(2).says("does not take this user name and password");
    }
    if let Some(proxy) = dante_with_password() {
        let url = |userinfo| format!("socks5h://{userinfo}127.0.0.1:{}", proxy.port);
        leads_there(&["-h", "localhost", "-p", &port, "--proxy", &url("packetboat:secret@")]);
        publish(&url("")).expect(2).says("wants a user name and password");
        publish(&url("packetboat:another-secret@"))
            .expect(2)
            .says("does not take this user name and password");
    }
    if let Some(proxy) = dante() {
        let url = format!("socks5h://127.0.0.1:{}", proxy.port);
        leads_there(&["-h", "localhost", "-p", &port, "--proxy", &url]);
        let closed = free_port().to_string();
        let way = ["pub", "-h", "127.0.0.1", "-p", &closed, "-t", "a", "-m", "x", "--proxy", &url];
        run(packetboat(way)).expect(2).says("did not open the way to the server: 5");
    }
}

#[test]
fn the_proxy_of_the_environment_counts_when_asked_for_and_not_for_exceptions() {
    let Some(broker) = Mosquitto::start() else { return };
    let closed = format!("127.0.0.1:{}", free_port());
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

/// The command, shown this file in the place of that one. Only root may do so.
#[cfg(target_os = "linux")]
fn with_file(file: &std::path::Path, place: &str) -> Option<std::process::Command> {
    use std::process::{Command, Stdio};
    let may = Command::new("unshare").args(["-m", "true"]).stderr(Stdio::null()).status();
    if !may.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: only root can give the command another {place}");
        return None;
    }
    let mut command = Command::new("unshare");
    let script = "mount --bind \"$1\" \"$2\" && shift 2 && exec \"$@\"";
    command.args(["-m", "sh", "-c", script, "sh"]).arg(file).arg(place);
    command.arg(env!("CARGO_BIN_EXE_packetboat"));
    Some(command)
}

#[cfg(target_os = "linux")]
#[test]
fn a_name_with_several_addresses_leads_to_the_one_that_answers() {
    use crate::support::{Embedded, Folder, Running};
    let (embedded, folder) = (Embedded::start(), Folder::new());
    let hosts = folder.file("hosts");
    // The broker is at the last one alone.
    std::fs::write(&hosts, "127.0.0.76 twofold.test\n127.0.0.77 twofold.test\n127.0.0.1 twofold.test\n")
        .unwrap();
    let Some(mut command) = with_file(&hosts, "/etc/hosts") else { return };
    command.args(["pub", "-h", "twofold.test", "-t", "a", "-m", "x", "-q", "1", "-p"]);
    command.arg(embedded.broker.port().to_string());
    Running::start(command).end().expect(0);
}

#[cfg(target_os = "linux")]
#[test]
fn a_name_server_that_does_not_answer_is_what_the_time_went_to() {
    use crate::support::{Folder, Running};
    // Port 53 is root's, too.
    let Ok(_mute) = std::net::UdpSocket::bind("127.0.0.78:53") else {
        eprintln!("SKIPPED: only root can be a name server");
        return;
    };
    let folder = Folder::new();
    let servers = folder.file("resolv.conf");
    std::fs::write(&servers, "nameserver 127.0.0.78\noptions timeout:30 attempts:1\n").unwrap();
    let Some(mut command) = with_file(&servers, "/etc/resolv.conf") else { return };
    command.args(["pub", "-h", "broker.example", "-t", "a", "-m", "x"]);
    let ended =
        Running::start(command).end().expect(2).says("the host name was not resolved, check the name server");
    assert!(ended.stderr.contains("within 10s"), "{}", ended.stderr);
}

#[test]
fn a_socket_in_the_file_system_leads_to_mosquitto() {
    // Paths of sockets have 108 bytes at most.
    let path = std::env::temp_dir().join(format!("packetboat-cli-{}.socket", std::process::id()));
    let path = path.to_str().unwrap();
    let Some(_broker) = Mosquitto::start_with(&format!("listener 0 {path}")) else { return };
    leads_there(&["--unix", path]);
    leads_there(&["-L", &format!("unix://{path}")]);
    let _ = std::fs::remove_file(path);
}

#[test]
fn a_socket_that_is_not_there_or_cannot_be_is_named() {
    let long = format!("/{}", "x".repeat(200));
    for (path, problem) in [("/no/such/socket", "No such file"), (&long, "must be shorter"), ("", "path")] {
        for arguments in [["--unix".to_owned(), path.to_owned()], ["-L".to_owned(), format!("unix://{path}")]]
        {
            let fixed = ["pub", "-t", "a", "-m", "x"].map(str::to_owned);
            let ended = run(packetboat(fixed.iter().chain(&arguments)));
            assert!(matches!(ended.code, Some(1 | 2)), "{}", ended.stderr);
            assert!(ended.stderr.contains(path) && ended.stderr.contains(problem), "{}", ended.stderr);
            assert!(!ended.stderr.contains("port"), "{}", ended.stderr);
        }
    }
}

#[test]
fn a_websocket_leads_to_mosquitto() {
    let port = free_port();
    let listener = format!("listener {port} 127.0.0.1\nprotocol websockets");
    let Some(broker) = Mosquitto::start_with(&listener) else { return };
    leads_there(&["-h", "127.0.0.1", "-p", &port.to_string(), "--ws"]);
    leads_there(&["-L", &format!("ws://127.0.0.1:{port}/mqtt")]);
    // And its other port speaks none.
    run(broker.command("pub", "-t a -m x --ws")).expect(2).says("WebSocket");
}

#[cfg(feature = "openssl")]
mod openssl {
    //! Pre-shared keys and ciphers.

    use super::leads_there;
    use crate::certificates::Authority;
    use crate::port::free_port;
    use crate::support::{Folder, Mosquitto, packetboat, packetboat_line, run};

    #[test]
    fn a_preshared_key_opens_mosquitto_and_a_wrong_one_does_not() {
        let (folder, port) = (Folder::new(), free_port());
        let file = folder.file("psk");
        std::fs::write(&file, "boat:00010203fdfeff80\n").unwrap();
        let listener = format!(
            "psk_file {}\nlistener {port} 127.0.0.1\npsk_hint boats\nciphers PSK-AES256-CBC-SHA384",
            file.display()
        );
        let Some(broker) = Mosquitto::start_with(&listener) else { return };
        let port = port.to_string();
        let key = "00010203fdfeff80";
        let way =
            |port, identity, key| ["-h", "127.0.0.1", "-p", port, "--psk-identity", identity, "--psk", key];
        leads_there(&way(&port, "boat", key));
        leads_there(&["-L", &format!("mqtt://127.0.0.1:{port}"), "--psk-identity", "boat", "--psk", key]);
        let with_ciphers = |ciphers| [&way(&port, "boat", key)[..], &["--ciphers", ciphers]].concat();
        leads_there(&with_ciphers("PSK-AES256-CBC-SHA384"));
        let fails = |way: &[&str]| {
            let ended = run(packetboat(["pub", "-t", "a", "-m", "x"].iter().chain(way))).expect(2);
            assert!(!ended.stderr.contains(key), "{}", ended.stderr);
            ended
        };
        fails(&with_ciphers("PSK-AES128-CBC-SHA256")).says("check identity, key and ciphers");
        fails(&with_ciphers("NO-SUCH-CIPHER")).says("the cipher string");
        fails(&way(&port, "boat", "0001")).says("check identity, key and ciphers");
        fails(&way(&port, "nobody", key)).says("check identity, key and ciphers");
        // Its plain port.
        fails(&way(&broker.port.to_string(), "boat", key));
    }

    #[test]
    fn ciphers_go_with_certificates_too() {
        let (folder, port, authority) = (Folder::new(), free_port(), Authority::new());
        let write = |name: &str, text: &str| {
            std::fs::write(folder.file(name), text).unwrap();
            folder.file(name).to_str().unwrap().to_owned()
        };
        let (server, client) = (authority.server(), authority.client("boat"));
        let ca = write("ca.pem", &authority.pem);
        let listener = format!(
            "listener {port} 127.0.0.1\ncafile {ca}\ncertfile {}\nkeyfile {}\nrequire_certificate true\n\
             tls_version tlsv1.2\nciphers ECDHE-ECDSA-AES256-GCM-SHA384",
            write("server.pem", &server.certificate),
            write("server.key", &server.key)
        );
        let (certificate, key) = (write("client.pem", &client.certificate), write("client.key", &client.key));
        let Some(_broker) = Mosquitto::start_with(&listener) else { return };
        let port = port.to_string();
        let way = |host, ciphers| {
            [
                "-h",
                host,
                "-p",
                &port,
                "--cafile",
                &ca,
                "--cert",
                &certificate,
                "--key",
                &key,
                "--ciphers",
                ciphers,
            ]
        };
        leads_there(&way("localhost", "ECDHE-ECDSA-AES256-GCM-SHA384"));
        let fails = |way: &[&str]| run(packetboat(["pub", "-t", "a", "-m", "x"].iter().chain(way))).expect(2);
        fails(&way("localhost", "ECDHE-ECDSA-AES128-GCM-SHA256")).says("these ciphers");
        fails(&["-h", "localhost", "-p", &port, "--ciphers", "HIGH"]).says("is not to be trusted");
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        for (line, words) in [
            ("--psk 00", "--psk-identity"),
            ("--psk-identity a", "--psk"),
            ("--psk 0x00 --psk-identity a", "pairs of hexadecimal digits"),
            ("--psk 000 --psk-identity a", "pairs of hexadecimal digits"),
            ("--psk 00 --psk-identity a --cafile f", "cannot be used with"),
            ("--psk 00 --psk-identity a --insecure", "cannot be used with"),
            ("--ciphers HIGH --insecure", "cannot be used with"),
        ] {
            run(packetboat_line(&format!("pub -t a -m x {line}"))).expect(1).says(words);
        }
    }
}
