//! What is left of a private key in the memory of the process. It lies in the read-only part of the program, which is not
//! searched; nobody here but the client makes anything of it.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]

#[allow(dead_code, reason = "each test program uses a part")]
#[path = "../../client/tests/common/certificates.rs"]
mod certificates;
#[allow(dead_code, reason = "each test program uses a part")]
#[path = "../../client/tests/common/key_files.rs"]
mod key_files;
#[allow(dead_code, reason = "each test program uses a part")]
#[path = "../../client/tests/common/memory.rs"]
mod memory;

use std::sync::Arc;

use certificates::Authority;
use key_files::{KEY, KEY_DER, KeyFiles};
use memory::pieces_of;
use packetboat::{Client, Options};
use packetboat_quic::Quic;
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Endpoint, ServerConfig};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;

/// Of the file, and of the private number.
fn left() -> [usize; 2] {
    [pieces_of(&KEY.as_bytes()[76..118]), pieces_of(&KEY_DER[36..68])]
}

/// A server that lets nobody in without a certificate of this authority, takes whoever comes, and waits until he has gone.
fn server(authority: &Authority) -> Endpoint {
    let pair = authority.server();
    let authority = CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(authority).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_client_cert_verifier(clients.build().unwrap())
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap(),
        )
        .unwrap();
    tls.alpn_protocols = vec![b"mqtt".to_vec()];
    let configuration = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls).unwrap()));
    let endpoint = Endpoint::server(configuration, "127.0.0.1:0".parse().unwrap()).unwrap();
    let serving = endpoint.clone();
    tokio::spawn(async move {
        while let Some(incoming) = serving.accept().await {
            let connection = incoming.await.unwrap();
            let (mut send, mut receive) = connection.accept_bi().await.unwrap();
            receive.read(&mut [0; 100]).await.unwrap();
            send.write_all(&[0x20, 3, 0, 0, 0]).await.unwrap();
            connection.closed().await;
        }
    });
    endpoint
}

#[tokio::test]
async fn of_a_private_key_nothing_is_left_but_what_signs() {
    let authority = Authority::new();
    let files = KeyFiles::new("quic-secrets", &authority);
    let server = server(&authority);
    let url = format!("mqtts://{}", server.local_addr().unwrap());
    let kept = KEY.to_owned();
    assert_eq!(left()[0], 2, "the search finds what is there");
    drop(zeroize::Zeroizing::new(kept));
    assert_eq!(left(), [0; 2], "before");
    // Before anything else takes the place of what was read.
    let quic = Quic::new().ca_file(&files.authority).certificate(&files.both, "/no/such/key");
    assert!(Client::connect(Options::new(&url).transport(quic)).await.is_err());
    assert_eq!(left(), [0; 2], "the certificate's file alone");
    for (certificate, key) in files.ways() {
        let quic =
            Quic::new().ca_file(&files.authority).server_name("localhost").certificate(certificate, key);
        let client = Client::connect(Options::new(&url).transport(quic)).await.unwrap();
        assert_eq!(left(), [0; 2], "{}, while connected", certificate.display());
        client.disconnect().await.unwrap();
        assert_eq!(left(), [0; 2], "{}", certificate.display());
    }
}
