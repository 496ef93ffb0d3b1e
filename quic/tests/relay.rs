//! Over QUIC, through a relay of the test's own, to a real mosquitto.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]

#[allow(dead_code, reason = "each test program uses a part")]
#[path = "../../client/tests/common/certificates.rs"]
mod certificates;
#[allow(dead_code, reason = "each test program uses a part")]
#[path = "../../client/tests/common/mosquitto.rs"]
mod mosquitto;
#[path = "../../client/tests/common/port.rs"]
mod port;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use certificates::{Authority, Pair};
use mosquitto::mosquitto_with;
use packetboat::{Client, ConnectError, ConnectStage, DialError, Event, Options, QoS, VersionChoice};
use packetboat_quic::{Quic, QuicError};
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Connection, Endpoint, ServerConfig};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::{mpsc, watch};

/// QUIC on one side, TCP on the other.
struct Relay {
    endpoint: Endpoint,
    ca_file: PathBuf,
    /// The connections that came.
    connections: mpsc::UnboundedReceiver<Connection>,
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.ca_file);
    }
}

impl Relay {
    /// To this broker, under this name.
    fn start(broker: SocketAddr, name: &str) -> Self {
        Self::asking(broker, name, None)
    }

    /// One that asks for a certificate of these authorities.
    fn asking(broker: SocketAddr, name: &str, clients: Option<RootCertStore>) -> Self {
        let certified = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        let certificate = certified.cert.pem();
        let key = PrivateKeyDer::from_pem_slice(certified.signing_key.serialize_pem().as_bytes()).unwrap();
        let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(roots) => builder.with_client_cert_verifier(
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap(),
            ),
        };
        let mut tls = builder.with_single_cert(chain, key).unwrap();
        tls.alpn_protocols = vec![b"mqtt".to_vec()];
        let configuration = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls).unwrap()));
        let endpoint = Endpoint::server(configuration, "127.0.0.1:0".parse().unwrap()).unwrap();
        let port = endpoint.local_addr().unwrap().port();
        let ca_file = std::env::temp_dir().join(format!("packetboat-quic-{}-{port}.pem", std::process::id()));
        std::fs::write(&ca_file, certificate).unwrap();
        let (came, connections) = mpsc::unbounded_channel();
        tokio::spawn(serve(endpoint.clone(), broker, came));
        Self { endpoint, ca_file, connections }
    }

    fn options(&self, quic: Quic) -> Options {
        let address = self.endpoint.local_addr().unwrap();
        Options::new(&format!("mqtts://{address}")).transport(quic)
    }

    /// Trusts it.
    fn quic(&self) -> Quic {
        Quic::new().ca_file(&self.ca_file).server_name("localhost")
    }
}

async fn serve(endpoint: Endpoint, broker: SocketAddr, came: mpsc::UnboundedSender<Connection>) {
    while let Some(incoming) = endpoint.accept().await {
        let came = came.clone();
        tokio::spawn(async move {
            let Ok(connection) = incoming.await else { return };
            let _ = came.send(connection.clone());
            let Ok((mut send, mut receive)) = connection.accept_bi().await else { return };
            let mut tcp = TcpStream::connect(broker).await.unwrap();
            let (mut reader, mut writer) = tcp.split();
            let up = async {
                let _ = tokio::io::copy(&mut receive, &mut writer).await;
                let _ = tokio::io::AsyncWriteExt::shutdown(&mut writer).await;
            };
            let down = async {
                let _ = tokio::io::copy(&mut reader, &mut send).await;
                let _ = send.finish();
            };
            tokio::join!(up, down);
            let _ = send.stopped().await;
        });
    }
}

async fn connect(options: Options) -> Result<Client, ConnectError> {
    tokio::time::timeout(Duration::from_secs(40), Client::connect(options)).await.expect("the test hangs")
}

async fn error(options: Options) -> QuicError {
    let error = connect(options).await.expect_err("it must not connect");
    assert!(error.to_string().len() > 30, "{error}");
    match &error {
        ConnectError::Unreachable { error: DialError::Transport(error), .. } => {
            error.downcast_ref::<QuicError>().unwrap().clone()
        }
        other => panic!("{other:?}"),
    }
}

fn broker_address(broker: &mosquitto::Mosquitto) -> SocketAddr {
    broker.url().trim_start_matches("mqtt://").parse().unwrap()
}

#[tokio::test]
async fn every_message_goes_there_and_back() {
    let Some(broker) = mosquitto_with("") else { return };
    let relay = Relay::start(broker_address(&broker), "localhost");
    for version in [VersionChoice::V5, VersionChoice::V311] {
        let client = connect(relay.options(relay.quic()).version(version)).await.unwrap();
        let mut stream = client.subscribe("quic/#").await.unwrap();
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            for size in [0, 1, 2000, 1_000_000] {
                client.publish("quic/it", "x".repeat(size)).qos(qos).await.unwrap();
                assert_eq!(stream.next().await.unwrap().payload().len(), size);
            }
        }
        client.disconnect().await.unwrap();
    }
}

#[tokio::test]
async fn the_goodbye_arrives_and_so_does_what_was_said_before() {
    let Some(broker) = mosquitto_with("") else { return };
    let relay = Relay::start(broker_address(&broker), "localhost");
    let witness = connect(Options::new(&broker.url())).await.unwrap();
    let mut stream = witness.subscribe("quic/last/#").await.unwrap();
    let will = packetboat::Will {
        topic: "quic/last/will".into(),
        payload: Vec::new(),
        qos: QoS::AtLeastOnce,
        retain: false,
        properties: packetboat::PropertiesBuf::new(),
    };
    let client = connect(relay.options(relay.quic()).will(will)).await.unwrap();
    client.publish("quic/last/word", "x".repeat(200_000)).await.unwrap();
    client.disconnect().await.unwrap();
    assert_eq!(stream.next().await.unwrap().payload().len(), 200_000);
    // Without DISCONNECT the broker would publish the will before this.
    witness.publish("quic/last/end", "").qos(QoS::AtLeastOnce).await.unwrap();
    assert_eq!(stream.next().await.unwrap().topic(), "quic/last/end");
}

#[tokio::test]
async fn a_cut_is_mended() {
    let Some(broker) = mosquitto_with("") else { return };
    let mut relay = Relay::start(broker_address(&broker), "localhost");
    let options = relay.options(relay.quic()).backoff(Duration::from_millis(1), Duration::from_millis(50));
    let client = connect(options).await.unwrap();
    let mut events = client.events();
    relay.connections.recv().await.unwrap().close(7u32.into(), b"cut by the test");
    client.publish("quic/after", "x").qos(QoS::AtLeastOnce).await.unwrap();
    let mut seen = Vec::new();
    while !matches!(seen.last(), Some(Event::Connected(_))) {
        seen.push(events.next().await.unwrap());
    }
    assert!(seen.iter().any(|event| matches!(event, Event::Disconnected { .. })), "{seen:?}");
    client.disconnect().await.unwrap();
}

/// Datagrams both ways between one client and this server, as long as it is told to pass them.
async fn datagrams(server: SocketAddr) -> (SocketAddr, watch::Sender<bool>) {
    let front = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = front.local_addr().unwrap();
    let (passes, told) = watch::channel(true);
    tokio::spawn(async move {
        let (mut client, mut back) = (None, None::<UdpSocket>);
        let (mut up, mut down) = ([0; 2000], [0; 2000]);
        loop {
            let from_server = async {
                match &back {
                    Some(back) => back.recv(&mut down).await,
                    None => std::future::pending().await,
                }
            };
            let (to_server, count) = tokio::select! {
                Ok((count, from)) = front.recv_from(&mut up) => {
                    // Each attempt has a port of its own.
                    if client.replace(from) != Some(from) {
                        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
                        socket.connect(server).await.unwrap();
                        back = Some(socket);
                    }
                    (true, count)
                }
                Ok(count) = from_server => (false, count),
            };
            let _ = match (&back, client) {
                (Some(back), Some(_)) if *told.borrow() && to_server => back.send(&up[..count]).await,
                (Some(_), Some(client)) if *told.borrow() => front.send_to(&down[..count], client).await,
                _ => continue,
            };
        }
    });
    (address, passes)
}

#[tokio::test]
async fn a_path_that_falls_silent_is_noticed_and_left() {
    let Some(broker) = mosquitto_with("") else { return };
    let relay = Relay::start(broker_address(&broker), "localhost");
    let (address, passes) = datagrams(relay.endpoint.local_addr().unwrap()).await;
    let options = Options::new(&format!("mqtts://{address}")).transport(relay.quic());
    let options = options.backoff(Duration::from_millis(1), Duration::from_millis(50));
    let options = options.keep_alive(Duration::from_secs(1)).connect_timeout(Duration::from_secs(5));
    let client = connect(options).await.unwrap();
    let mut events = client.events();
    passes.send(false).unwrap();
    let receipt = client.publish("quic/silent", "x").qos(QoS::AtLeastOnce).enqueue().await.unwrap();
    let noticed = async { while !matches!(events.next().await.unwrap(), Event::Disconnected { .. }) {} };
    tokio::time::timeout(Duration::from_secs(40), noticed).await.expect("nobody notices");
    passes.send(true).unwrap();
    tokio::time::timeout(Duration::from_secs(40), receipt).await.expect("it is not sent again").unwrap();
    client.disconnect().await.unwrap();
}

#[tokio::test]
async fn a_client_certificate_opens_the_door_and_none_or_a_strangers_does_not() {
    let Some(broker) = mosquitto_with("") else { return };
    let (authority, stranger) = (Authority::new(), Authority::new());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap()).unwrap();
    let relay = Relay::asking(broker_address(&broker), "localhost", Some(roots));
    let folder = broker.directory();
    let with = |name: &str, pair: Pair| {
        let (certificate, key) = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
        std::fs::write(&certificate, pair.certificate).unwrap();
        std::fs::write(&key, pair.key).unwrap();
        relay.quic().certificate(certificate, key)
    };
    let client = connect(relay.options(with("good", authority.client("boat")))).await.unwrap();
    client.publish("quic/mutual", "x").qos(QoS::AtLeastOnce).await.unwrap();
    client.disconnect().await.unwrap();
    for refused in [relay.quic(), with("bad", stranger.client("boat"))] {
        let error = connect(relay.options(refused)).await.expect_err("it must not connect");
        assert!(error.to_string().to_lowercase().contains("certificate"), "{error:?}");
    }
    let missing = error(relay.options(relay.quic().certificate(&relay.ca_file, "/no/such/key"))).await;
    assert!(matches!(missing, QuicError::File { .. }), "{missing:?}");
}

#[tokio::test]
async fn the_example_runs() {
    let Some(broker) = mosquitto_with("") else { return };
    let relay = Relay::start(broker_address(&broker), "localhost");
    let tests = std::env::current_exe().unwrap();
    let example = tests.ancestors().nth(2).unwrap().join("examples").join("quic");
    if !example.exists() {
        eprintln!("SKIPPED: cargo builds no examples when it is told which tests to build");
        return;
    }
    let url = format!("mqtts://localhost:{}", relay.endpoint.local_addr().unwrap().port());
    let ended = tokio::process::Command::new(example).arg(&url).arg(&relay.ca_file).output().await.unwrap();
    assert_eq!(String::from_utf8_lossy(&ended.stdout), "published over QUIC\n", "{ended:?}");
}

#[tokio::test]
async fn strangers_are_not_trusted() {
    let Some(broker) = mosquitto_with("") else { return };
    let relay = Relay::start(broker_address(&broker), "localhost");
    let other_name = error(relay.options(relay.quic().server_name("other.example"))).await;
    assert!(matches!(other_name, QuicError::Connection(_)), "{other_name:?}");
    let other = Relay::start(broker_address(&broker), "localhost");
    let unknown = error(relay.options(other.quic())).await;
    assert!(matches!(unknown, QuicError::Connection(_)), "{unknown:?}");
    let protocol = error(relay.options(relay.quic().alpn("h3"))).await;
    assert!(matches!(protocol, QuicError::Connection(_)), "{protocol:?}");
    let missing = error(relay.options(Quic::new().ca_file("/no/such/file"))).await;
    assert!(matches!(missing, QuicError::File { .. }), "{missing:?}");
}

#[tokio::test]
async fn a_silent_server_costs_the_limit_has_its_own_answer_and_leaves_nothing_behind() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let certified = Relay::start("127.0.0.1:1".parse().unwrap(), "localhost");
    let url = format!("mqtts://{}", socket.local_addr().unwrap());
    let options = Options::new(&url).transport(certified.quic()).connect_timeout(Duration::from_secs(1));
    let error = connect(options).await.unwrap_err();
    assert!(matches!(error, ConnectError::TimedOut { stage: ConnectStage::Tls, .. }), "{error:?}");
    // The handshake began, and its end was said: after that nothing more comes, no repetition.
    let mut datagram = [0; 2000];
    let mut from = None;
    while let Ok(Ok((_, sender))) =
        tokio::time::timeout(Duration::from_secs(4), socket.recv_from(&mut datagram)).await
    {
        from = Some(sender);
    }
    let from = from.expect("a handshake began");
    // Its port is free again.
    UdpSocket::bind(SocketAddr::from(([0, 0, 0, 0], from.port()))).await.unwrap();
}
