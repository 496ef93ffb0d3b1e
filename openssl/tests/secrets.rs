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

use std::io::Write;
use std::net::TcpListener;

use certificates::Authority;
use key_files::{KEY, KEY_DER, KeyFiles};
use memory::pieces_of;
use openssl::pkey::PKey;
use openssl::ssl::{SslAcceptor, SslMethod, SslVerifyMode};
use openssl::x509::X509;
use packetboat::{Client, Options};
use packetboat_openssl::OpenSsl;

/// As a large number of OpenSSL lies in memory.
static NUMBER: [u8; 32] = reversed();

const fn reversed() -> [u8; 32] {
    let (mut number, mut at) = ([0; 32], 0);
    while at < 32 {
        number[at] = KEY_DER[67 - at];
        at += 1;
    }
    number
}

/// Of the file, and of the number that signs. OpenSSL 3.0 itself leaves a part of what it decodes, which is not looked for.
fn left() -> [usize; 2] {
    [pieces_of(&KEY.as_bytes()[76..118]), pieces_of(&NUMBER)]
}

/// A server that lets nobody in without a certificate of the authority, and takes so many, one after the other.
fn server(authority: &Authority, clients: usize) -> u16 {
    let pair = authority.server();
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
    acceptor.set_certificate(&X509::from_pem(pair.certificate.as_bytes()).unwrap()).unwrap();
    acceptor.set_private_key(&PKey::private_key_from_pem(pair.key.as_bytes()).unwrap()).unwrap();
    acceptor.cert_store_mut().add_cert(X509::from_pem(authority.pem.as_bytes()).unwrap()).unwrap();
    acceptor.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
    let (acceptor, listener) = (acceptor.build(), TcpListener::bind("127.0.0.1:0").unwrap());
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for _ in 0..clients {
            let mut stream = acceptor.accept(listener.accept().unwrap().0).unwrap();
            stream.ssl_read(&mut [0; 100]).unwrap();
            stream.write_all(&[0x20, 3, 0, 0, 0]).unwrap();
            while stream.ssl_read(&mut [0; 100]).is_ok_and(|count| count > 0) {}
        }
    });
    port
}

#[tokio::test]
async fn of_a_private_key_nothing_is_left_but_what_signs() {
    let authority = Authority::new();
    let files = KeyFiles::new("openssl-secrets", &authority);
    let port = server(&authority, files.ways().len());
    let kept = KEY.to_owned();
    assert_eq!(left()[0], 2, "the search finds what is there");
    drop(zeroize::Zeroizing::new(kept));
    assert_eq!(left(), [0; 2], "before");
    // Before anything else takes the place of what was read.
    let tls = OpenSsl::new().ca_file(&files.authority).certificate(&files.both, "/no/such/key");
    let options = Options::new(&format!("mqtts://localhost:{port}")).transport(tls);
    assert!(Client::connect(options).await.is_err());
    assert_eq!(left(), [0; 2], "the certificate's file alone");
    for (certificate, key) in files.ways() {
        let tls = OpenSsl::new().ca_file(&files.authority).certificate(certificate, key);
        let options = Options::new(&format!("mqtts://localhost:{port}")).transport(tls);
        let client = Client::connect(options).await.unwrap();
        let [text, number] = left();
        assert_eq!((text, number > 0), (0, true), "{}, while connected", certificate.display());
        client.disconnect().await.unwrap();
        assert_eq!(left(), [0; 2], "{}", certificate.display());
    }
}
