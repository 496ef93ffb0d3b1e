//! Attempts: resumed, interrupted, with files that change, and at the wrong port.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use packetboat::{
    Client, ConnectError, ConnectStage, Credentials, DialError, Options, Pem, QoS, Tls, TlsError, TlsVersion,
};
use packetboat_sim::net::{self, Broker};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_rustls::rustls::HandshakeKind;

use crate::common::certificates::{Authority, params};
use crate::common::{LONG, connected, disconnected, within};
use crate::relay::relay;
use crate::{Folder, broker, connect_error, options, talks, tls_error, trusting};

fn at(port: u16, tls: Tls) -> Options {
    crate::common::options(&format!("mqtts://localhost:{port}")).tls(tls)
}

#[tokio::test]
async fn a_reconnect_resumes_the_session_until_a_file_changes() {
    let (authority, folder) = (Authority::new(), Folder::new());
    let file = folder.write("ca.pem", &authority.pem);
    for version in [TlsVersion::Tls12, TlsVersion::Tls13] {
        folder.write("ca.pem", &authority.pem);
        let plain = Broker::start().await.unwrap();
        let relay = relay(&authority.server(), plain.port(), &[], false).await;
        let tls = Tls::new().authority(Pem::file(&file)).versions(version, version);
        let client = Client::connect(at(relay.port, tls)).await.unwrap();
        let mut events = client.events();
        let mut again = async || {
            // What was delivered over the connection came behind the ticket.
            client.publish("a", "b").qos(QoS::AtLeastOnce).await.unwrap();
            plain.faults().cut();
            disconnected(&mut events).await;
            connected(&mut events).await;
        };
        again().await;
        again().await;
        folder.write("ca.pem", &format!("{}{}", authority.pem, Authority::new().pem));
        again().await;
        let kinds = relay.seen.handshakes.lock().unwrap().clone();
        let (full, resumed) = (HandshakeKind::Full, HandshakeKind::Resumed);
        assert_eq!(kinds, [full, resumed, resumed, full], "{version:?}");
    }
}

#[tokio::test]
async fn resumption_can_be_switched_off() {
    let (authority, plain) = (Authority::new(), Broker::start().await.unwrap());
    let relay = relay(&authority.server(), plain.port(), &[], false).await;
    let tls = trusting(&authority.pem).resumption(false);
    talks(at(relay.port, tls.clone())).await;
    talks(at(relay.port, tls)).await;
    assert_eq!(*relay.seen.handshakes.lock().unwrap(), [HandshakeKind::Full, HandshakeKind::Full]);
}

#[tokio::test]
async fn protocols_are_offered_and_a_server_that_has_none_of_them_says_so() {
    let (authority, plain) = (Authority::new(), Broker::start().await.unwrap());
    let relay = relay(&authority.server(), plain.port(), &["x-amzn-mqtt-ca"], false).await;
    talks(at(relay.port, trusting(&authority.pem).alpn("mqtt").alpn("x-amzn-mqtt-ca"))).await;
    assert_eq!(*relay.seen.protocols.lock().unwrap(), [Some(b"x-amzn-mqtt-ca".to_vec())]);
    let none = tls_error(at(relay.port, trusting(&authority.pem).alpn("mqtt"))).await;
    assert!(matches!(none, TlsError::Incompatible(_)), "{none:?}");
}

#[tokio::test]
async fn records_of_one_byte_and_a_chain_of_many_certificates_are_no_matter() {
    let (authority, plain) = (Authority::new(), Broker::start().await.unwrap());
    let (mut below, mut chain) = (authority.intermediate("0"), Vec::new());
    for number in 1..=4 {
        chain.insert(0, below.pem.clone());
        below = below.intermediate(&number.to_string());
    }
    chain.insert(0, below.pem.clone());
    // Many names make a large certificate: the chain is beyond one record of 16 KiB.
    let names: Vec<String> =
        (0..600).map(|number| format!("host-{number}.of-a-large-company.example")).collect();
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    names.push("localhost");
    let mut pair = below.sign(&params(&names));
    assert!(pair.der.len() > 16 * 1024);
    pair.certificate += &chain.concat();
    let relay = relay(&pair, plain.port(), &[], true).await;
    let client = Client::connect(at(relay.port, trusting(&authority.pem))).await.unwrap();
    let mut stream = client.subscribe("crumbs").await.unwrap();
    for size in [0, 1, 5_000] {
        client.publish("crumbs", vec![7; size]).qos(QoS::ExactlyOnce).await.unwrap();
        assert_eq!(crate::common::next(&mut stream).await.payload().len(), size);
    }
    client.disconnect().await.unwrap();
    assert!(plain.violations().is_empty(), "{:?}", plain.violations());
}

/// `%1` is the loopback interface by its number.
#[tokio::test]
async fn the_interface_of_an_address_is_no_part_of_what_a_certificate_names() {
    let authority = Authority::new();
    let broker = broker(&authority.server()).await;
    let Ok(listener) = TcpListener::bind("[::1]:0").await else {
        eprintln!("SKIPPED: this machine has no IPv6");
        return;
    };
    let (port, to) = (listener.local_addr().unwrap().port(), broker.port());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut broker = tokio::net::TcpStream::connect(("127.0.0.1", to)).await.unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut stream, &mut broker).await });
        }
    });
    let url = format!("mqtts://[::1%251]:{port}");
    talks(crate::common::options(&url).tls(trusting(&authority.pem))).await;
}

#[tokio::test]
async fn large_and_small_messages_pass_both_ways_at_once() {
    let authority = Authority::new();
    let broker = broker(&authority.server()).await;
    let client = Client::connect(options(&broker, trusting(&authority.pem))).await.unwrap();
    let mut stream = client.subscription("load").qos(QoS::AtLeastOnce).await.unwrap();
    let sizes = [10_usize, 3_000_000, 100, 20_000, 0, 1_000_000];
    let sender = client.clone();
    let sending = tokio::spawn(async move {
        let mut receipts = Vec::new();
        for size in sizes.repeat(5) {
            let message = sender.publish("load", vec![size.to_le_bytes()[0]; size]);
            receipts.push(message.qos(QoS::AtLeastOnce).enqueue().await.unwrap());
        }
        sender.flush().await.unwrap();
        for receipt in receipts {
            receipt.await.unwrap();
        }
    });
    for size in sizes.repeat(5) {
        let message = crate::common::next(&mut stream).await;
        assert_eq!(message.payload().len(), size);
        assert!(message.payload().iter().all(|byte| *byte == size.to_le_bytes()[0]));
    }
    within(LONG, sending).await.unwrap();
    client.disconnect().await.unwrap();
    assert!(broker.violations().is_empty(), "{:?}", broker.violations());
}

#[tokio::test]
async fn files_and_credentials_are_fetched_anew_on_every_attempt() {
    let (authority, folder) = (Authority::new(), Folder::new());
    let server = authority.server();
    let broker = net::Options::new()
        .tls(&server.certificate, &server.key)
        .client_authority(&authority.pem)
        .credentials("token", "fresh")
        .start()
        .await
        .unwrap();
    let file = folder.write("ca.pem", &Authority::new().pem);
    let (asked, client_pair) = (Arc::new(AtomicU32::new(0)), authority.client("boat"));
    let count = asked.clone();
    let options = options(&broker, Tls::new().authority(Pem::file(&file))).credentials_from(move |_| {
        let (number, pair) = (count.fetch_add(1, Ordering::SeqCst) + 1, client_pair.clone());
        async move {
            if number == 1 {
                return Err(std::io::Error::other("the token service sleeps"));
            }
            let credentials = Credentials::new().username("token").password("fresh");
            Ok(credentials.certificate(Pem::memory(pair.certificate), Pem::memory(pair.key)))
        }
    });
    let client = Client::start(options).unwrap();
    let mut events = client.events();
    let cause = disconnected(&mut events).await.to_string();
    assert!(cause.contains("the token service sleeps"), "{cause}");
    let cause = disconnected(&mut events).await.to_string();
    assert!(cause.contains("nobody we trust has signed it"), "{cause}");
    folder.write("ca.pem", &authority.pem);
    connected(&mut events).await;
    assert!(asked.load(Ordering::SeqCst) >= 3);
    client.disconnect().await.unwrap();
}

#[tokio::test]
async fn what_is_not_tls_is_recognized() {
    let answers: [(&'static [u8], &str); 4] = [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "a web server"),
        (b"SSH-2.0-OpenSSH_9.2p1\r\n", "an SSH server"),
        (b"220 mail ESMTP\r\n", "a mail or file server"),
        (b"\x20\x02\x00\x01", "something else"),
    ];
    for (answer, guess) in answers {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.write_all(answer).await;
            let _ = stream.read_to_end(&mut Vec::new()).await;
        });
        let error = tls_error(at(port, Tls::new().danger_accept_any_certificate())).await;
        assert!(matches!(error, TlsError::NotTls { guess: found } if found == guess), "{error:?}");
    }
    // A strict MQTT broker closes at the first byte that is no CONNECT.
    let plain = Broker::start().await.unwrap();
    let error = tls_error(at(plain.port(), Tls::new().danger_accept_any_certificate())).await;
    assert!(matches!(error, TlsError::Closed | TlsError::NotTls { .. }), "{error:?}");
    assert!(error.to_string().contains("TLS"), "{error}");
    // And the reverse: MQTT to a port that expects TLS.
    let broker = broker(&Authority::new().server()).await;
    let error = connect_error(Options::new(&format!("mqtt://127.0.0.1:{}", broker.port()))).await;
    assert!(error.to_string().contains("expects TLS") || error.to_string().contains("expect TLS"), "{error}");
}

/// A server that takes connections, reads, says these bytes and then nothing.
async fn mute(first: &'static [u8]) -> (u16, Arc<Mutex<usize>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let open = Arc::new(Mutex::new(0));
    let count = open.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            *count.lock().unwrap() += 1;
            let count = count.clone();
            tokio::spawn(async move {
                let _ = stream.write_all(first).await;
                let _ = stream.read_to_end(&mut Vec::new()).await;
                *count.lock().unwrap() -= 1;
            });
        }
    });
    (port, open)
}

#[tokio::test]
async fn a_handshake_that_is_not_finished_costs_the_limit_and_says_where_it_stopped() {
    for first in [&b""[..], b"\x16\x03\x03", b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc"] {
        let (port, _) = mute(first).await;
        let options = at(port, Tls::new().danger_accept_any_certificate());
        let error = connect_error(options.connect_timeout(Duration::from_secs(1))).await;
        assert!(matches!(error, ConnectError::TimedOut { stage: ConnectStage::Tls, .. }), "{error:?}");
    }
    let unanswered = Options::new("mqtt://localhost:1").connect_timeout(Duration::from_millis(200));
    let unanswered =
        unanswered.credentials_from(|_| std::future::pending::<Result<Credentials, std::io::Error>>());
    let error = connect_error(unanswered).await;
    assert!(matches!(error, ConnectError::TimedOut { stage: ConnectStage::Credentials, .. }), "{error:?}");
}

/// Lets only so many bytes of the server's through, says so, then cuts, or goes quiet.
async fn cutting_relay(to: u16, limit: u64, quiet: bool) -> (u16, Arc<Notify>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let notify = Arc::new(Notify::new());
    let passed = notify.clone();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut server = tokio::net::TcpStream::connect(("127.0.0.1", to)).await.unwrap();
        let (mut reader, mut writer) = stream.split();
        let (from, mut into) = server.split();
        let back = async {
            let _ = tokio::io::copy(&mut from.take(limit), &mut writer).await;
            passed.notify_one();
            if quiet {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! { () = back => {}, _ = tokio::io::copy(&mut reader, &mut into) => {} }
    });
    (port, notify)
}

#[test]
fn interruptions_at_every_point_of_the_handshake_leave_nothing_behind() {
    // The broker's files are open in a runtime of its own.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let authority = Authority::new();
    let broker = runtime.block_on(broker(&authority.server()));
    let round = |limit: u64| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            for quiet in [false, true] {
                let (port, passed) = cutting_relay(broker.port(), limit, quiet).await;
                let options = at(port, trusting(&authority.pem)).version(packetboat::VersionChoice::V5);
                let attempt = Client::connect(options.connect_timeout(Duration::from_secs(10)));
                if quiet {
                    // The caller goes in the middle.
                    tokio::select! { _ = attempt => {}, () = passed.notified() => {} }
                } else if let Err(error) = within(LONG, attempt).await {
                    let cut_off = matches!(
                        error,
                        ConnectError::Unreachable {
                            error: DialError::Tls(TlsError::Closed | TlsError::Io(_)),
                            ..
                        } | ConnectError::Lost { .. }
                    );
                    assert!(cut_off, "{limit}: {error:?}");
                }
            }
            // The client's task ends by itself; the relay's does when the client's socket is closed.
            let metrics = tokio::runtime::Handle::current().metrics();
            let gone = async {
                while metrics.num_alive_tasks() > 0 {
                    tokio::task::yield_now().await;
                }
            };
            within(LONG, gone).await;
        });
    };
    for limit in (0..1_600).step_by(80) {
        round(limit);
    }
}
