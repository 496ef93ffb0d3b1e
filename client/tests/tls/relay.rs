//! A TLS server in front of a plain broker, which shows what a broker would not.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{HandshakeKind, ServerConfig, SupportedCipherSuite};

use crate::common::certificates::Pair;

/// What it saw.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) handshakes: Mutex<Vec<HandshakeKind>>,
    pub(crate) suites: Mutex<Vec<SupportedCipherSuite>>,
    pub(crate) protocols: Mutex<Vec<Option<Vec<u8>>>>,
    pub(crate) open: AtomicUsize,
}

pub(crate) struct Relay {
    pub(crate) port: u16,
    pub(crate) seen: Arc<Seen>,
}

/// Relays to a plain broker. `crumbs`: every byte in a record and a write of its own.
pub(crate) async fn relay(pair: &Pair, to: u16, protocols: &[&str], crumbs: bool) -> Relay {
    let mut config = config(pair, ring::DEFAULT_CIPHER_SUITES);
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    relay_with(config, to, crumbs).await
}

/// A server that knows these cipher suites only, and the versions they belong to.
pub(crate) fn config(pair: &Pair, suites: &[SupportedCipherSuite]) -> ServerConfig {
    let certificates = CertificateDer::pem_slice_iter(pair.certificate.as_bytes()).map(Result::unwrap);
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
    let provider = CryptoProvider { cipher_suites: suites.to_vec(), ..ring::default_provider() };
    let mut versions: Vec<_> = suites.iter().map(SupportedCipherSuite::version).collect();
    versions.dedup();
    let builder = ServerConfig::builder_with_provider(Arc::new(provider));
    let builder = builder.with_protocol_versions(&versions).unwrap().with_no_client_auth();
    builder.with_single_cert(certificates.collect(), key).unwrap()
}

pub(crate) async fn relay_with(config: ServerConfig, to: u16, crumbs: bool) -> Relay {
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Arc::new(Seen::default());
    let relay = Relay { port, seen: seen.clone() };
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(acceptor.clone(), stream, to, crumbs, seen.clone()));
        }
    });
    relay
}

async fn serve(acceptor: TlsAcceptor, stream: TcpStream, to: u16, crumbs: bool, seen: Arc<Seen>) {
    seen.open.fetch_add(1, Ordering::SeqCst);
    if let Ok(mut stream) = acceptor.accept(stream).await {
        let (_, session) = stream.get_ref();
        seen.handshakes.lock().unwrap().push(session.handshake_kind().unwrap());
        seen.suites.lock().unwrap().push(session.negotiated_cipher_suite().unwrap());
        seen.protocols.lock().unwrap().push(session.alpn_protocol().map(<[u8]>::to_vec));
        let mut broker = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
        if crumbs {
            let (mut reader, mut writer) = tokio::io::split(stream);
            let (mut from, mut into) = broker.split();
            let back = async {
                let mut byte = [0];
                while from.read_exact(&mut byte).await.is_ok() {
                    if writer.write_all(&byte).await.is_err() || writer.flush().await.is_err() {
                        break;
                    }
                }
            };
            tokio::select! { () = back => {}, _ = tokio::io::copy(&mut reader, &mut into) => {} }
        } else {
            let _ = tokio::io::copy_bidirectional(&mut stream, &mut broker).await;
        }
    }
    seen.open.fetch_sub(1, Ordering::SeqCst);
}
