//! Every mistake has its own words, and its exit code.

use std::io::{Read, Write};
use std::net::TcpListener;

use crate::port::free_port;
use crate::support::{Folder, packetboat, packetboat_line, run};

#[test]
fn a_wrong_command_line_ends_with_1_and_says_why() {
    for (line, words) in [
        ("pub -t a", "--message"),
        ("pub -m x", "--topic"),
        ("pub -t a -m x -n", "cannot be used with"),
        ("pub -t a -m x -l", "cannot be used with"),
        ("pub -t a -l --repeat 2", "cannot be used with"),
        ("pub -t a -m x --repeat 0", "0"),
        ("pub -t a -m x --repeat 2 --repeat-delay -1", "10 or 0.5"),
        ("pub -t a/# -m x", "wildcards are for subscriptions"),
        ("pub -t a -m x -q 3", "exactly once"),
        ("pub -t a -m x -V 4", "mqttv311"),
        ("pub -t a -m x -p 0", "1 to 65535"),
        ("pub -t a -m x -p 65536", "1 to 65535"),
        ("pub -t a -m x -k 65536", "65535"),
        ("pub -t a -m x -x -2", "4294967294"),
        ("pub -t a -m x -W 0", "more than 0"),
        ("pub -t a -m x -h mqtt://a", "-L"),
        ("pub -t a -m x -D publish content-type", "3 values required"),
        ("pub -t a -m x -D publish color red", "content-type"),
        ("pub -t a -m x -D publish user-property a", "a name and a value"),
        ("pub -t a -m x -D subscribe user-property a b", "connect, publish, will"),
        ("pub -t a -m x -V 311 -P p", "user name"),
        ("pub -t a -f no-such-file", "no-such-file"),
        ("pub -L mqtt://h -m x", "no topic"),
        ("pub -L mqtt://h/a -p 1 -m x", "cannot be used with"),
        ("pub -t a -m x --proxy ftp://p", "socks5h://"),
        ("pub -t a -m x --unix /s -h h", "cannot be used with"),
        ("pub -t a -m x --color", "--color"),
        ("pub -t a -m x --quiet -d", "cannot be used with"),
        ("sub", "--topic"),
        ("sub -t a#", "\"a#\""),
        ("sub -t a -T +a", "\"+a\""),
        ("sub -U a+", "\"a+\""),
        ("sub -t a -F %k", "%k"),
        ("sub -t a -F @q@", "@"),
        ("sub -t a -C 0", "0"),
        ("sub -t a -D publish content-type a", "connect, will"),
        ("sub -L mqtt://h", "no topic"),
        ("subscribe", "sub"),
    ] {
        let ended = run(packetboat_line(line)).expect(1);
        assert!(ended.stderr.contains(words), "{line}: {words:?} is not in: {}", ended.stderr);
        assert_eq!(ended.text(), "", "{line}");
    }
}

/// `cargo xtask test --full` runs it without features, too.
#[test]
fn what_this_build_leaves_out_is_told_with_the_feature_that_has_it() {
    for (line, is_here, feature) in [
        ("top --help", cfg!(feature = "top"), "top"),
        ("pub -t a -n --psk 00 --psk-identity a --help", cfg!(feature = "openssl"), "openssl"),
        ("sub -t a --psk-identity=a --help", cfg!(feature = "openssl"), "openssl"),
        ("sub -t a --ciphers AES256 --help", cfg!(feature = "openssl"), "openssl"),
    ] {
        if is_here {
            run(packetboat_line(line)).expect(0);
        } else {
            run(packetboat_line(line)).expect(1).says(&format!("the feature `{feature}`"));
        }
    }
    if !cfg!(feature = "openssl") {
        let folder = Folder::new();
        let file = folder.file("boat.toml");
        let keys = "server = 'mqtts://localhost'\ntls = { psk_identity = 'a', psk_key = '00' }\n";
        std::fs::write(&file, keys).unwrap();
        run(packetboat(["pub", "-t", "a", "-n", "--config", file.to_str().unwrap()]))
            .expect(1)
            .says("the feature `openssl`");
    }
}

#[test]
fn a_wrong_url_ends_with_1() {
    for (url, words) in [
        ("localhost", "mqtt://host/topic"),
        ("mqttz://localhost/a", "mqttz://"),
        ("http://localhost/a", "http://"),
        ("mqtt:///a", "no host"),
        ("mqtt://localhost:port/a", "port"),
        ("mqtt://localhost:0/a", "port"),
        ("mqtt://local host/a", "no URL"),
    ] {
        run(packetboat(["pub", "-m", "x", "-L", url])).expect(1).says(words);
        run(packetboat(["sub", "-L", url])).expect(1).says(words);
    }
}

#[test]
fn no_connection_ends_with_2() {
    run(packetboat_line("pub -h no-such-host.invalid -t a -m x")).expect(2).says("no-such-host.invalid");
    let port = free_port();
    run(packetboat_line(&format!("sub -h 127.0.0.1 -p {port} -t a")))
        .expect(2)
        .says("does not take connections");
}

/// A server that says this once it was spoken to, and then hangs up.
fn server(answer: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 1024]).and_then(|_| stream.write_all(answer));
        }
    });
    port
}

#[test]
fn a_server_that_is_no_broker_ends_with_2() {
    for (answer, words) in [
        (&b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"[..], "not an MQTT broker"),
        (b"SSH-2.0-OpenSSH_9.2p1\r\n", "not an MQTT broker"),
        (b"", "closed the connection"),
        (&[0x20, 0xff, 0xff, 0xff, 0xff, 0xff], "not an MQTT broker"),
        (&[0x40, 2, 0, 1], "not an MQTT broker"),
    ] {
        let port = server(answer);
        run(packetboat_line(&format!("pub -h 127.0.0.1 -p {port} -t a -m x"))).expect(2).says(words);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_ends_with_1() {
    use std::process::{Command, Stdio};
    let embedded = crate::support::Embedded::start();
    embedded.publish(packetboat_sim::broker::Message::new("a", "x", packetboat::QoS::AtMostOnce).retain());
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command: Command = embedded.command("sub", "-t a -C 1");
    let output = command.stdout(Stdio::from(full)).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("standard output"));
}

#[test]
fn a_folder_is_no_file() {
    let folder = Folder::new();
    let path = folder.file("");
    run(packetboat(["pub", "-t", "a", "-f", path.to_str().unwrap()])).expect(1).says("cannot be read");
}
