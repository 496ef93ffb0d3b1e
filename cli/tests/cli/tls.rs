//! TLS on the command line, under mosquitto's names.

use std::io::{Read, Write};
use std::net::TcpListener;

use packetboat_sim::net::Options;

use crate::certificates::{Authority, Pair, params, valid};
use crate::support::{Embedded, Ended, Folder, Mosquitto, Running, packetboat, run};

/// Files of an authority, a server and a client; gone with it.
struct Files {
    folder: Folder,
    authority: Authority,
}

impl Files {
    fn path(&self, name: &str) -> String {
        self.folder.file(name).to_str().unwrap().to_owned()
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.file(name)).unwrap()
    }

    fn write(&self, name: &str, text: &str) -> String {
        std::fs::write(self.folder.file(name), text).unwrap();
        self.path(name)
    }

    fn write_pair(&self, name: &str, pair: &Pair) {
        self.write(&format!("{name}.pem"), &pair.certificate);
        self.write(&format!("{name}.key"), &pair.key);
    }
}

fn files(server: &str) -> Files {
    let files = Files { folder: Folder::new(), authority: Authority::new() };
    files.write("ca.pem", &files.authority.pem);
    files.write_pair("server", &files.authority.sign(&params(&[server])));
    files.write_pair("client", &files.authority.client("boat"));
    files
}

/// Of a broker that shows the server's certificate.
fn options(files: &Files) -> Options {
    Options::new().tls(&files.read("server.pem"), &files.read("server.key"))
}

/// The arguments of `pub` to `localhost`, as the certificates name it.
fn arguments<'a>(port: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["pub", "-h", "localhost", "-p", port, "-t", "a", "-m", "x", "-q", "1"], more].concat()
}

/// `pub` to this port of `localhost`.
fn publish_to(port: u16, more: &[&str]) -> Ended {
    run(packetboat(arguments(&port.to_string(), more)))
}

fn publish(broker: &Embedded, more: &[&str]) -> Ended {
    publish_to(broker.broker.port(), more)
}

#[test]
fn a_certificate_is_checked_against_file_and_folder() {
    let files = files("localhost");
    let broker = Embedded::with(options(&files));
    publish(&broker, &["--cafile", &files.path("ca.pem")]).expect(0);
    for version in ["tlsv1.2", "tlsv1.3"] {
        publish(&broker, &["--cafile", &files.path("ca.pem"), "--tls-version", version]).expect(0);
    }
    let folder = files.folder.file("authorities");
    std::fs::create_dir(&folder).unwrap();
    std::fs::copy(files.path("ca.pem"), folder.join("any.crt")).unwrap();
    publish(&broker, &["--capath", folder.to_str().unwrap()]).expect(0);
    publish(&broker, &["--tls-use-os-certs"]).expect(2).says("authority");
    publish(&broker, &[]).expect(2).says("TLS");
    publish(&broker, &["--cafile", &files.path("none.pem")]).expect(2).says("none.pem");
    let url = format!("mqtts://localhost:{}/a", broker.broker.port());
    run(packetboat(["pub", "-L", &url, "-m", "x", "--cafile", &files.path("ca.pem")])).expect(0);
    // What takes the place of the system's.
    let mut command = packetboat(["pub", "-L", &url, "-m", "x"]);
    command.env("SSL_CERT_FILE", files.path("ca.pem"));
    run(command).expect(0);
}

#[test]
fn another_name_is_taken_only_when_insecure() {
    let files = files("elsewhere.example");
    let broker = Embedded::with(options(&files));
    publish(&broker, &["--cafile", &files.path("ca.pem")]).expect(2).says("localhost");
    publish(&broker, &["--cafile", &files.path("ca.pem"), "--insecure"]).expect(0);
}

#[test]
fn a_client_certificate_is_shown() {
    let files = files("localhost");
    let broker = Embedded::with(options(&files).client_authority(&files.read("ca.pem")));
    let (ca, cert, key) = (files.path("ca.pem"), files.path("client.pem"), files.path("client.key"));
    publish(&broker, &["--cafile", &ca, "--cert", &cert, "--key", &key, "--keyform", "pem"]).expect(0);
    let der = files.folder.file("client.der");
    std::fs::write(&der, rcgen::KeyPair::from_pem(&files.read("client.key")).unwrap().serialized_der())
        .unwrap();
    let der = der.to_str().unwrap();
    publish(&broker, &["--cafile", &ca, "--cert", &cert, "--key", der, "--keyform", "der"]).expect(0);
    publish(&broker, &["--cafile", &ca, "--cert", &cert, "--key", &key, "--keyform", "engine"])
        .expect(1)
        .says("--keyform");
    publish(&broker, &["--cafile", &ca]).expect(2).says("certificate");
    publish(&broker, &["--cafile", &ca, "--cert", &cert]).expect(1).says("--key");
    publish(&broker, &["--cafile", &ca, "--tls-version", "tlsv1"]).expect(1).says("tlsv1.2");
}

#[test]
fn websocket_goes_over_tls() {
    let files = files("localhost");
    let broker = Embedded::with(options(&files).websocket());
    publish(&broker, &["--ws", "--cafile", &files.path("ca.pem")]).expect(0);
    let url = format!("wss://localhost:{}/mqtt", broker.broker.port());
    let line = ["pub", "-L", &url, "-t", "a", "-m", "x", "--cafile", &files.path("ca.pem")];
    run(packetboat(line)).expect(0);
}

#[test]
fn each_fault_of_a_certificate_has_its_own_words() {
    let files = files("localhost");
    let ca = files.path("ca.pem");
    let mut faults = vec![
        (valid(params(&["localhost"]), -200_000, -100_000), "it has expired"),
        (valid(params(&["localhost"]), 100_000, 200_000), "it is not valid yet"),
        (params(&["elsewhere.example"]), "it is made out to elsewhere.example, not to localhost"),
    ];
    let mut revoked = params(&["localhost"]);
    revoked.serial_number = Some(7u64.into());
    faults.push((revoked, "it is revoked"));
    let list = files.write("list.pem", &files.authority.revocation_list(&[7], 3600));
    for (params, words) in faults {
        files.write_pair("server", &files.authority.sign(&params));
        let broker = Embedded::with(options(&files));
        publish(&broker, &["--cafile", &ca, "--crlfile", &list]).expect(2).says(words);
    }
    // The same authority's good certificate.
    files.write_pair("server", &files.authority.server());
    let broker = Embedded::with(options(&files));
    publish(&broker, &["--cafile", &ca, "--crlfile", &list]).expect(0);
    let stranger = files.write("stranger.pem", &Authority::new().pem);
    publish(&broker, &["--cafile", &stranger]).expect(2).says("nobody we trust has signed it");
}

#[test]
fn mosquitto_refuses_a_certificate_that_is_missing_revoked_expired_or_a_strangers() {
    let files = files("localhost");
    let mut revoked = params(&["revoked"]);
    revoked.serial_number = Some(7u64.into());
    files.write_pair("revoked", &files.authority.sign(&revoked));
    files.write_pair("expired", &files.authority.sign(&valid(params(&["late"]), -200, -100)));
    files.write_pair("stranger", &Authority::new().client("stranger"));
    files.write("list.pem", &files.authority.revocation_list(&[7], 3600));
    let port = crate::port::free_port();
    let path = |name: &str| files.path(name);
    let listener = format!(
        "listener {port} 127.0.0.1\nrequire_certificate true\ncafile {}\ncertfile {}\nkeyfile {}\ncrlfile {}",
        path("ca.pem"),
        path("server.pem"),
        path("server.key"),
        path("list.pem")
    );
    let Some(broker) = Mosquitto::start_with(&listener) else { return };
    let ca = path("ca.pem");
    let with = |name: &str| {
        let (certificate, key) = (path(&format!("{name}.pem")), path(&format!("{name}.key")));
        publish_to(port, &["--cafile", &ca, "--cert", &certificate, "--key", &key])
    };
    with("client").expect(0);
    publish_to(port, &["--cafile", &ca])
        .expect(2)
        .says("wants a client certificate; give certificate and key");
    with("revoked").expect(2).says("the client's certificate is revoked");
    with("expired").expect(2).says("the client's certificate has expired");
    with("stranger").expect(2).says("does not know who signed the client's certificate");
    // The plain port, and the reverse.
    publish_to(broker.port, &["--cafile", &ca]).expect(2).says("TLS");
    publish_to(port, &[]).expect(2).says("expect TLS");
}

/// A server that says this to whoever comes, takes what he says, and goes on to say nothing.
fn server(answer: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("localhost:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let _ = stream.write_all(answer);
                let _ = stream.read_to_end(&mut Vec::new());
            });
        }
    });
    port
}

#[test]
fn what_speaks_no_tls_is_named() {
    let files = files("localhost");
    let ca = files.path("ca.pem");
    for (answer, words) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "it seems to be a web server"),
        (b"SSH-2.0-OpenSSH_9.2p1\r\n", "it seems to be an SSH server"),
    ] {
        publish_to(server(answer), &["--cafile", &ca]).expect(2).says(words);
    }
}

/// A listener whose queue has no place left: nobody is answered.
#[cfg(target_os = "linux")]
struct Full {
    port: u16,
    _held: (tokio::runtime::Runtime, tokio::net::TcpListener, std::net::TcpStream),
}

#[cfg(target_os = "linux")]
fn full() -> Full {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let listener = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        socket.listen(0).unwrap()
    });
    let address = listener.local_addr().unwrap();
    let first = std::net::TcpStream::connect(address).unwrap();
    Full { port: address.port(), _held: (runtime, listener, first) }
}

/// All at the same time: each costs the limit of 10 seconds.
#[test]
fn where_it_stands_still_is_said_when_the_time_is_up() {
    let files = files("localhost");
    let (ca, port) = (files.path("ca.pem"), server(b"").to_string());
    let proxy = format!("http://localhost:{port}");
    let ways: [(&[&str], &str); 4] = [
        (&["--cafile", &ca], "the TLS handshake was not finished"),
        (&["--ws"], "the WebSocket request was not answered"),
        (&["--proxy", &proxy], "the proxy did not answer"),
        (&[], "CONNECT was not answered"),
    ];
    let attempts = ways.map(|(way, words)| (Running::start(packetboat(arguments(&port, way))), words));
    #[cfg(target_os = "linux")]
    let full = full();
    #[cfg(target_os = "linux")]
    let attempts = {
        let connecting = Running::start(packetboat(arguments(&full.port.to_string(), &[])));
        attempts.into_iter().chain([(connecting, "it does not answer, check address and firewall")])
    };
    for (attempt, words) in attempts {
        let ended = attempt.end().expect(2).says(words);
        assert!(ended.stderr.contains("within 10s"), "{}", ended.stderr);
    }
}

#[test]
fn a_key_may_have_a_password_in_a_file() {
    const KEY: &str = include_str!("../../../client/tests/common/keys/ec.pem");
    const ENCRYPTED: &str = include_str!("../../../client/tests/common/keys/ec-encrypted.pem");
    let files = files("localhost");
    let broker = Embedded::with(options(&files).client_authority(&files.read("ca.pem")));
    let key = rcgen::KeyPair::from_pem(KEY).unwrap();
    let pair = files.authority.sign_key(&params(&["boat"]), &key);
    let (ca, certificate) = (files.path("ca.pem"), files.write("locked.pem", &pair.certificate));
    let key = files.write("locked.key", ENCRYPTED);
    let with = |more: &[&str]| {
        publish(&broker, &[&["--cafile", &ca, "--cert", &certificate, "--key", &key], more].concat())
    };
    with(&["--key-password-file", &files.write("good", "boat\nmore")]).expect(0);
    with(&["--key-password-file", &files.write("bad", "raft")]).expect(2).says("is the password right");
    with(&[]).expect(2).says("give its password");
    with(&["--key-password-file", "/no/such/file"]).expect(1).says("--key-password-file");
}

/// What the command begins a handshake with.
fn hello(more: &[&str]) -> Vec<u8> {
    let listener = TcpListener::bind("localhost:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut hello = vec![0; 4096];
        let read = stream.read(&mut hello).unwrap();
        hello.truncate(read);
        hello
    });
    publish_to(port, more).expect(2);
    heard.join().unwrap()
}

#[test]
fn protocols_are_offered() {
    // The lengths stand in front of the names; so does that of the server's.
    let hello = hello(&["--tls-alpn", "mqtt", "--tls-alpn", "x-amzn-mqtt-ca"]);
    let hello = String::from_utf8_lossy(&hello);
    assert!(hello.contains("\u{4}mqtt\u{e}x-amzn-mqtt-ca") && hello.contains("localhost"), "{hello:?}");
}

#[test]
fn the_version_that_is_named_is_the_only_one_that_is_offered() {
    // The extension of supported versions: number, length, length of the list, the versions.
    let of = |name: &str, list: &[u8]| {
        let hello = hello(&["--tls-version", name]);
        let length = u8::try_from(list.len()).unwrap();
        let wanted = [&[0, 43, 0, length + 1, length], list].concat();
        assert!(hello.windows(wanted.len()).any(|bytes| bytes == wanted), "{name}: {hello:02x?}");
    };
    of("tlsv1.2", &[3, 3]);
    of("tlsv1.3", &[3, 4]);
}
