//! Handshakes of QUIC that are broken off, and what is left of them: counted. A program of its own, since descriptors and
//! memory are the process's.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]

#[path = "../../client/tests/common/leftovers.rs"]
mod leftovers;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use packetboat::{Client, ConnectError, ConnectStage, Options};
use packetboat_quic::Quic;
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Endpoint, ServerConfig};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::UdpSocket;
use tokio::sync::oneshot;

const ROUNDS: usize = 1;

/// So many datagrams from the client, and from the server.
type Datagrams = [usize; 2];

const ALL: usize = usize::MAX;

/// A server, and in front of it a relay that lets so many datagrams through and then tells that it stops; or that CONNECT
/// has come. With a runtime of its own, of which nothing is left.
struct Link {
    port: u16,
    told: oneshot::Receiver<()>,
    leave: oneshot::Sender<()>,
    passed: JoinHandle<Datagrams>,
}

impl Link {
    fn start(server: ServerConfig, limits: Datagrams) -> Self {
        let (say_port, port) = std::sync::mpsc::channel();
        let (tell, told) = oneshot::channel();
        let (leave, left) = oneshot::channel();
        let passed = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let here: SocketAddr = "127.0.0.1:0".parse().unwrap();
                let endpoint = Endpoint::server(server, here).unwrap();
                let (front, back) =
                    (UdpSocket::bind(here).await.unwrap(), UdpSocket::bind(here).await.unwrap());
                back.connect(endpoint.local_addr().unwrap()).await.unwrap();
                say_port.send(front.local_addr().unwrap().port()).unwrap();
                pass(&endpoint, [front, back], limits, tell, left).await
            })
        });
        Self { port: port.recv().unwrap(), told, leave, passed }
    }

    fn end(leave: oneshot::Sender<()>, passed: JoinHandle<Datagrams>) -> Datagrams {
        leave.send(()).unwrap();
        passed.join().unwrap()
    }
}

async fn pass(
    endpoint: &Endpoint,
    [front, back]: [UdpSocket; 2],
    limits: Datagrams,
    tell: oneshot::Sender<()>,
    mut left: oneshot::Receiver<()>,
) -> Datagrams {
    let (mut passed, mut tell, mut client) = ([0, 0], Some(tell), None);
    let (mut up, mut down) = ([0; 2000], [0; 2000]);
    let connect = async {
        let greeted = async {
            let connection = endpoint.accept().await?.await.ok()?;
            let (send, mut receive) = connection.accept_bi().await.ok()?;
            receive.read(&mut [0; 100]).await.ok()??;
            Some((connection, send, receive))
        };
        match greeted.await {
            // Neither answered nor closed.
            Some(stream) => stream,
            // The client has left.
            None => std::future::pending().await,
        }
    };
    tokio::pin!(connect);
    let mut held = None;
    loop {
        let (direction, count) = tokio::select! {
            _ = &mut left => return passed,
            stream = &mut connect, if held.is_none() => {
                held = Some(stream);
                tell.take().map(|tell| tell.send(()));
                continue;
            }
            Ok((count, from)) = front.recv_from(&mut up) => {
                client = Some(from);
                (0, count)
            }
            Ok(count) = back.recv(&mut down) => (1, count),
        };
        if passed[direction] == limits[direction] {
            // The client may be gone.
            tell.take().map(|tell| tell.send(()));
            continue;
        }
        passed[direction] += 1;
        let _ = match direction {
            0 => back.send(&up[..count]).await,
            _ => front.send_to(&down[..count], client.unwrap()).await,
        };
    }
}

fn options(port: u16, ca_file: &Path, limit: Duration) -> Options {
    let quic = Quic::new().ca_file(ca_file).server_name("localhost");
    Options::new(&format!("mqtts://127.0.0.1:{port}")).transport(quic).connect_timeout(limit)
}

/// One attempt that is dropped once the relay stops. How much the relay let through.
async fn broken_off(server: ServerConfig, ca_file: &Path, limits: Datagrams) -> Datagrams {
    let Link { port, told, leave, passed } = Link::start(server, limits);
    let options = options(port, ca_file, Duration::from_mins(1));
    leftovers::attempt_until(options, told, &format!("{limits:?}")).await;
    Link::end(leave, passed)
}

/// One that is not dropped. At which stage its time was up.
async fn timed_out(server: ServerConfig, ca_file: &Path, limits: Datagrams) -> ConnectStage {
    let Link { port, leave, passed, .. } = Link::start(server, limits);
    let error = Client::connect(options(port, ca_file, Duration::from_secs(2))).await.err().unwrap();
    Link::end(leave, passed);
    match error {
        ConnectError::TimedOut { stage, .. } => stage,
        other => panic!("{other:?}"),
    }
}

#[test]
fn handshakes_broken_off_between_datagrams_leave_no_task_no_descriptor_and_no_memory() {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = certified.cert.pem();
    let key = PrivateKeyDer::from_pem_slice(certified.signing_key.serialize_pem().as_bytes()).unwrap();
    let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
    let mut tls =
        rustls::ServerConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
    tls.alpn_protocols = vec![b"mqtt".to_vec()];
    let server = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls).unwrap()));
    let ca_file = std::env::temp_dir().join(format!("packetboat-quic-leftovers-{}.pem", std::process::id()));
    std::fs::write(&ca_file, certificate).unwrap();

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let whole = broken_off(server.clone(), &ca_file, [ALL, ALL]).await;
        assert!(whole[0] > 1 && whole[1] > 0, "{whole:?}");
        // What comes after these looks for the largest datagram.
        let few = |whole: usize| whole.min(4);
        let points: Vec<Datagrams> = (0..few(whole[0]))
            .map(|count| [count, ALL])
            .chain((1..=few(whole[1])).map(|count| [ALL, count]))
            .collect();
        // QUIC may take three seconds to forget a connection.
        leftovers::leave_nothing(ROUNDS, async || {
            for &limits in &points {
                broken_off(server.clone(), &ca_file, limits).await;
            }
        })
        .await;
        // After the first flight of each the client is done: what is missing is the answer to CONNECT.
        for (limits, wanted) in
            [([0, ALL], ConnectStage::Tls), ([ALL, 0], ConnectStage::Tls), ([ALL, ALL], ConnectStage::Answer)]
        {
            let stage = timed_out(server.clone(), &ca_file, limits).await;
            assert_eq!(stage, wanted, "{limits:?}");
        }
    });
    std::fs::remove_file(&ca_file).unwrap();
}
