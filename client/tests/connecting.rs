//! How connections come about, and how they do not: each mistake has its own error, and nothing hangs.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use common::{LONG, connected, disconnected, options, within};
use packetboat::{
    Attempt, Cause, Client, ConnectError, ConnectStage, DialError, Dialing, Disconnection, Event, Io,
    Options, OptionsError, QoS, Reason, SessionMode, State, Transport, UrlError, Version, VersionChoice,
};
use packetboat_sim::broker::Refusal;
use packetboat_sim::net::{self, Broker};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

async fn error(options: impl Into<Options>) -> ConnectError {
    let error = within(LONG, Client::connect(options)).await.expect_err("it must not connect");
    // Every error reads as a sentence.
    assert!(error.to_string().len() > 20, "{error}");
    error
}

/// A server that says this to whoever connects, once it has heard something, and closes.
async fn server_that_says(answer: &'static [u8], listens_first: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut bytes = [0; 1024];
                if listens_first {
                    let _ = stream.read(&mut bytes).await;
                }
                let _ = stream.write_all(answer).await;
                let _ = stream.shutdown().await;
                while stream.read(&mut bytes).await.is_ok_and(|count| count > 0) {}
            });
        }
    });
    format!("mqtt://{address}")
}

#[tokio::test]
async fn wrong_options_are_refused_at_once() {
    assert!(matches!(
        error("localhost:1883").await,
        ConnectError::Options(OptionsError::Url(UrlError::NotAUrl(_)))
    ));
    assert!(matches!(
        error("http://localhost").await,
        ConnectError::Options(OptionsError::Url(UrlError::Scheme(_)))
    ));
    assert!(matches!(
        error("mqtt://host:99999").await,
        ConnectError::Options(OptionsError::Url(UrlError::Port(_)))
    ));
    let persistent =
        Options::new("mqtt://localhost").session(SessionMode::Persistent { expiry: Duration::MAX });
    assert!(matches!(
        error(persistent).await,
        ConnectError::Options(OptionsError::PersistentWithoutClientId)
    ));
    assert!(Client::start("nonsense").is_err());
}

#[tokio::test]
async fn an_unknown_host_is_named() {
    let error = error("mqtt://no-such-host.invalid").await;
    assert!(matches!(error, ConnectError::Unreachable { error: DialError::Resolve(_), .. }), "{error:?}");
    assert!(error.to_string().contains("no-such-host.invalid"));
}

#[tokio::test]
async fn a_closed_port_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = error(&format!("mqtt://{address}")).await;
    assert!(matches!(error, ConnectError::Unreachable { error: DialError::Connect(_), .. }), "{error:?}");
}

#[tokio::test]
async fn other_servers_are_recognized() {
    for (banner, listens_first, guess) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], true, "a web server"),
        (b"SSH-2.0-OpenSSH_9.2p1 Debian\r\n", false, "an SSH server"),
        (b"\x15\x03\x01\x00\x02\x02\x0a", true, "a server that expects TLS"),
        (b"220 mail ESMTP\r\n", false, "a mail or file server"),
        (b"\x00\x00\x00\x00", true, "something else"),
    ] {
        let error = error(server_that_says(banner, listens_first).await).await;
        assert!(matches!(error, ConnectError::NotMqtt { guess: found, .. } if found == guess), "{error:?}");
    }
}

#[tokio::test]
async fn a_server_that_closes_without_a_word_is_told_apart() {
    let error = error(server_that_says(b"", true).await).await;
    assert!(matches!(error, ConnectError::Lost { .. }), "{error:?}");
}

#[tokio::test]
async fn a_server_that_never_answers_costs_the_connect_limit_and_no_more() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("mqtt://{}", listener.local_addr().unwrap());
    let started = Instant::now();
    let error = error(Options::new(&url).connect_timeout(Duration::from_secs(1))).await;
    assert!(matches!(error, ConnectError::TimedOut { stage: ConnectStage::Answer, .. }), "{error:?}");
    // Without it, the default is 10 s.
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
}

#[tokio::test]
async fn malformed_packets_in_every_place_end_the_attempt_or_the_connection() {
    for wrong in [
        &[0x20, 0x03, 0x02, 0x00, 0x00][..],
        &[0x20, 0xff, 0xff, 0xff, 0xff],
        &[0x30, 0x05, 0, 1, b'a', 0, b'b'],
        &[0x20, 0x03, 0x00, 0x00, 0x05],
        &[0x90, 0x04, 0, 1, 0, 0],
    ] {
        let bytes: &'static [u8] = Vec::leak(wrong.to_vec());
        let error = error(server_that_says(bytes, true).await).await;
        assert!(
            matches!(error, ConnectError::NotMqtt { .. } | ConnectError::Lost { .. }),
            "{wrong:?}: {error:?}"
        );
    }
    let broker = Broker::start().await.unwrap();
    for wrong in
        [&[0x40, 0x02, 0, 9][..], &[0x30, 0x02, 0, 1], &[0xf0, 0], &[0x36, 0x02, 0, 1], &[0xd0, 1, 0]]
    {
        let client = Client::connect(options(&broker.url()).client_id("victim").version(VersionChoice::V311))
            .await
            .unwrap();
        let mut events = client.events();
        assert!(broker.send_raw("victim", wrong));
        let cause = disconnected(&mut events).await;
        assert!(matches!(cause, Disconnection::Ended(Cause::Breach(_))), "{wrong:?}: {cause:?}");
        connected(&mut events).await;
        client.disconnect().await.unwrap();
    }
}

#[tokio::test]
async fn oversize_packets_end_a_connection_of_5_0_and_are_skipped_on_3_1_1() {
    let broker = Broker::start().await.unwrap();
    let oversize = |id: u8| {
        let mut packet = vec![0x32, 0xff, 0x01, 0, 3, b'b', b'i', b'g', 0, id];
        packet.resize(2 + 1 + 255, b'x');
        packet
    };
    let limited =
        |version| options(&broker.url()).client_id("small").version(version).maximum_packet_size(100);
    let client = Client::connect(limited(VersionChoice::V5)).await.unwrap();
    let mut events = client.events();
    broker.send_raw("small", &oversize(1));
    let cause = disconnected(&mut events).await;
    assert!(
        matches!(&cause, Disconnection::Ended(Cause::Breach(breach)) if breach.reason == Reason::PACKET_TOO_LARGE),
        "{cause:?}"
    );
    client.disconnect().await.unwrap();

    let client = Client::connect(limited(VersionChoice::V311)).await.unwrap();
    let mut events = client.events();
    broker.send_raw("small", &oversize(1));
    let found = common::event(&mut events, |event| match event {
        Event::Oversize { topic, size } => Some((topic.clone(), *size)),
        _ => None,
    });
    assert_eq!(found.await, ("big".to_owned(), 258));
    client.publish("still", "alive").qos(QoS::AtLeastOnce).await.unwrap();
    client.disconnect().await.unwrap();
}

#[tokio::test]
async fn refusals_carry_their_reason() {
    let broker = net::Options::new().credentials("user", "secret").start().await.unwrap();
    for version in common::VERSIONS {
        let options = options(&broker.url()).version(version);
        let error = error(options.clone().username("user").password("wrong")).await;
        assert!(matches!(error, ConnectError::Refused { .. }), "{error:?}");
        Client::connect(options.username("user").password("secret"))
            .await
            .unwrap()
            .disconnect()
            .await
            .unwrap();
    }
    broker.faults().refuse(1, Refusal::Code(Reason::SERVER_BUSY));
    let error = error(options(&broker.url()).username("user").password("secret")).await;
    assert!(matches!(error, ConnectError::Refused { reason: Reason::SERVER_BUSY, .. }), "{error:?}");
}

#[tokio::test]
async fn automatic_choice_falls_back_to_3_1_1_in_each_of_the_ways_brokers_refuse() {
    for refusal in [Refusal::OldShape(1), Refusal::Code(Reason::UNSUPPORTED_PROTOCOL_VERSION), Refusal::Close]
    {
        let config = packetboat_sim::broker::Config {
            versions: vec![Version::V311],
            wrong_version: refusal,
            ..packetboat_sim::broker::Config::default()
        };
        let broker = net::Options::new().config(config).start().await.unwrap();
        let client = Client::connect(options(&broker.url())).await.unwrap();
        assert_eq!(client.version(), Version::V311);
        client.publish("a", "b").qos(QoS::ExactlyOnce).await.unwrap();
        let mut events = client.events();
        broker.faults().cut();
        disconnected(&mut events).await;
        connected(&mut events).await;
        assert_eq!(client.version(), Version::V311, "{refusal:?}: pinned");
        client.disconnect().await.unwrap();

        let fixed = options(&broker.url()).version(VersionChoice::V5);
        error(fixed).await;
        let started = Client::start(options(&broker.url())).unwrap();
        started.publish("a", "b").qos(QoS::AtLeastOnce).await.unwrap();
        started.disconnect().await.unwrap();
    }
}

#[tokio::test]
async fn a_client_that_was_accepted_with_5_0_never_falls_back() {
    let broker = Broker::start().await.unwrap();
    let client = Client::connect(options(&broker.url())).await.unwrap();
    let mut events = client.events();
    broker.faults().refuse(2, Refusal::OldShape(1)).cut();
    disconnected(&mut events).await;
    disconnected(&mut events).await;
    connected(&mut events).await;
    assert_eq!(client.version(), Version::V5);
}

#[tokio::test]
async fn a_started_client_keeps_trying_and_delivers_what_was_queued() {
    let port = common::port::free_port();
    let client = Client::start(options(&format!("mqtt://127.0.0.1:{port}"))).unwrap();
    let mut events = client.events();
    let mut stream = client.subscription("later").stream().unwrap();
    let receipt = client.publish("later", "queued").qos(QoS::AtLeastOnce).enqueue().await.unwrap();
    disconnected(&mut events).await;
    disconnected(&mut events).await;
    assert!(matches!(client.state(), State::Connecting | State::Waiting { .. }));
    let broker = net::Options::new().port(port).start().await.unwrap();
    connected(&mut events).await;
    within(LONG, receipt).await.unwrap();
    client.publish("later", "now").qos(QoS::AtLeastOnce).await.unwrap();
    while common::next(&mut stream).await.payload() != b"now" {}
    client.disconnect().await.unwrap();
    assert!(broker.violations().is_empty(), "{:?}", broker.violations());
}

#[tokio::test]
async fn the_retry_limit_ends_the_client_and_all_who_wait() {
    let broker = Broker::start().await.unwrap();
    let client = Client::connect(options(&broker.url()).retry_limit(2)).await.unwrap();
    let mut stream = client.subscribe("a").await.unwrap();
    let mut events = client.events();
    let mut watch = client.watch();
    let _stopped = broker.stop().await;
    disconnected(&mut events).await;
    let waiting = client.publish("a", "b").qos(QoS::AtLeastOnce).enqueue().await.unwrap();
    common::event(&mut events, |event| matches!(event, Event::GaveUp).then_some(())).await;
    assert!(within(LONG, waiting).await.is_err());
    assert!(within(LONG, stream.next()).await.is_none());
    assert_eq!(stream.end(), Some(packetboat::End::GaveUp));
    watch.wait_for(|state| matches!(state, State::Closed)).await.unwrap();
    assert!(client.publish("a", "b").await.is_err());
    assert!(events.next().await.is_none());
}

// Spec 3.1.1: MQTT-3.1.3-2
// Spec 5.0: MQTT-3.1.3-2
#[tokio::test]
async fn every_connection_has_the_identifier_of_the_first_be_it_chosen_generated_or_assigned() {
    let broker = Broker::start().await.unwrap();
    for version in common::VERSIONS {
        let options = || options(&broker.url()).version(version).session(SessionMode::Clean);
        for options in [options(), options().client_id("chosen"), options().client_id("")] {
            let client = Client::connect(options).await.unwrap();
            let mut names = Vec::new();
            let mut events = client.events();
            for _ in 0..3 {
                let State::Connected(now) = client.state() else { panic!("{:?}", client.state()) };
                names.push(now.client_id.to_string());
                broker.faults().cut();
                disconnected(&mut events).await;
                connected(&mut events).await;
            }
            // 3.1.1 has no way to tell what was assigned.
            assert!(!names[0].is_empty() || version == VersionChoice::V311);
            assert!(names.iter().all(|name| *name == names[0]), "{names:?}");
            client.disconnect().await.unwrap();
        }
    }
}

#[tokio::test]
async fn how_long_the_session_is_kept_may_change_at_disconnect() {
    let broker = Broker::start().await.unwrap();
    let minute = SessionMode::Persistent { expiry: Duration::from_mins(1) };
    for (mode, seconds, kept) in [
        (minute, 5, true),
        (minute, 0, false),
        (SessionMode::UntilDisconnect, 5, true),
        (SessionMode::Clean, 5, false),
    ] {
        let options = options(&broker.url()).client_id("keeper").session(mode);
        let client = Client::connect(options).await.unwrap();
        client.disconnect_keeping_session(Duration::from_secs(seconds)).await.unwrap();
        within(LONG, broker.until(|core| core.connection("keeper").is_none())).await;
        assert_eq!(broker.with(|core, _| core.has_session("keeper")), kept, "{mode:?} {seconds}");
    }
    assert!(broker.violations().is_empty(), "{:?}", broker.violations());
}

#[tokio::test]
async fn a_second_server_is_used_when_the_first_fails() {
    let broker = Broker::start().await.unwrap();
    let options = options("mqtt://127.0.0.1:1").or_server(&broker.url());
    let client = Client::start(options).unwrap();
    connected(&mut client.events()).await;
    assert!(
        matches!(client.state(), State::Connected(connected) if connected.server.port() == broker.port())
    );
}

/// A pipe inside the process, to a task that copies to the broker.
struct Pipe(u16);

impl Transport for Pipe {
    fn dial(&self, _: &Attempt) -> Dialing {
        let port = self.0;
        Box::pin(async move {
            let (ours, mut theirs) = tokio::io::duplex(1000);
            let mut socket = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut theirs, &mut socket).await });
            Ok(Box::new(ours) as Box<dyn Io>)
        })
    }
}

// Spec 3.1.1: MQTT-7.1.2-1
// Spec 5.0: MQTT-4.2-1
#[tokio::test]
async fn a_transport_of_ones_own_carries_everything() {
    let broker = Broker::start().await.unwrap();
    let client =
        Client::connect(Options::new("mqtt://anywhere").transport(Pipe(broker.port()))).await.unwrap();
    let mut stream = client.subscribe("pipe").await.unwrap();
    for size in [0, 1, 999, 1000, 1001, 70_000, 300_000] {
        client.publish("pipe", vec![7; size]).qos(QoS::ExactlyOnce).await.unwrap();
        assert_eq!(common::next(&mut stream).await.payload().len(), size);
    }
    client.disconnect().await.unwrap();
    assert!(broker.violations().is_empty(), "{:?}", broker.violations());
}

#[test]
fn a_runtime_that_goes_away_resolves_everybody() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let broker = runtime.block_on(Broker::start()).unwrap();
    let client = runtime.block_on(Client::connect(options(&broker.url()))).unwrap();
    broker.faults().swallow(packetboat_core::wire::PacketType::Puback);
    #[allow(clippy::async_yields_async, reason = "the receipt is what is wanted")]
    let receipt =
        runtime.block_on(async { client.publish("a", "b").qos(QoS::AtLeastOnce).enqueue().await.unwrap() });
    runtime.shutdown_timeout(Duration::from_secs(5));
    let other = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ended = other.block_on(within(LONG, receipt));
    assert!(matches!(ended, Err(packetboat::PublishError::Closed)), "{ended:?}");
    other.block_on(within(LONG, client.disconnect())).unwrap_err();
}

/// `None`, and said so, where this machine has no IPv6.
fn ipv6_listener(port: u16) -> Option<std::net::TcpListener> {
    match std::net::TcpListener::bind((std::net::Ipv6Addr::LOCALHOST, port)) {
        Ok(listener) => Some(listener),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => panic!("{error}"),
        Err(error) => {
            eprintln!("SKIPPED: this machine has no IPv6: {error}");
            None
        }
    }
}

/// Carries bytes from here to there, and counts the connections.
async fn count_and_carry(listener: std::net::TcpListener, to: u16, count: Arc<AtomicU32>) {
    listener.set_nonblocking(true).unwrap();
    let listener = TcpListener::from_std(listener).unwrap();
    while let Ok((mut stream, _)) = listener.accept().await {
        count.fetch_add(1, Ordering::SeqCst);
        tokio::spawn(async move {
            let mut broker = tokio::net::TcpStream::connect(("127.0.0.1", to)).await.unwrap();
            let _ = tokio::io::copy_bidirectional(&mut stream, &mut broker).await;
        });
    }
}

#[tokio::test]
async fn an_ipv6_literal_and_a_name_with_several_addresses_lead_there() {
    let broker = Broker::start().await.unwrap();
    let Some(listener) = ipv6_listener(0) else { return };
    let port = listener.local_addr().unwrap().port();
    let count = Arc::new(AtomicU32::new(0));
    tokio::spawn(count_and_carry(listener, broker.port(), count.clone()));
    for server in [
        Options::new(&format!("mqtt://[::1]:{port}")),
        Options::new(&format!("mqtt://user:pass%3Aword@[::1]:{port}")),
        Options::for_server(packetboat::Server::new("::1", port)),
    ] {
        let client = Client::connect(server).await.unwrap();
        client.publish("six", "x").qos(QoS::ExactlyOnce).await.unwrap();
        client.disconnect().await.unwrap();
    }
    assert_eq!(count.load(Ordering::SeqCst), 3);
    // Whichever of its addresses the name has, the port is open on one of them alone.
    let names = std::net::ToSocketAddrs::to_socket_addrs(&("localhost", port)).unwrap();
    let families: Vec<bool> = names.map(|address| address.is_ipv6()).collect();
    if families.contains(&true) {
        let client = Client::connect(Options::new(&format!("mqtt://localhost:{port}"))).await.unwrap();
        client.disconnect().await.unwrap();
        assert_eq!(count.load(Ordering::SeqCst), 4);
    } else {
        eprintln!("SKIPPED: localhost has no address of IPv6 here");
    }
    let client = Client::connect(Options::new(&format!("mqtt://localhost:{}", broker.port()))).await.unwrap();
    client.disconnect().await.unwrap();
    assert!(broker.violations().is_empty(), "{:?}", broker.violations());
}

#[tokio::test]
async fn credentials_of_the_url_are_decoded_and_kept_over_reconnects() {
    let broker = net::Options::new().credentials("bo@t", "p:w/%").start().await.unwrap();
    let url = format!("mqtt://bo%40t:p%3Aw%2F%25@127.0.0.1:{}", broker.port());
    let client = Client::connect(options(&url)).await.unwrap();
    let mut events = client.events();
    for _ in 0..2 {
        broker.faults().cut();
        disconnected(&mut events).await;
        connected(&mut events).await;
        client.publish("a", "b").qos(QoS::AtLeastOnce).await.unwrap();
    }
    client.disconnect().await.unwrap();
}
