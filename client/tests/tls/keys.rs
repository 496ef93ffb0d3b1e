//! What the client shows of itself: every form of key, and what is said of those that cannot be used.

use packetboat::{Pem, Tls, TlsError};
use packetboat_sim::net::{self, Broker};
use rcgen::KeyPair;

use crate::common::certificates::{Authority, params};
use crate::{Folder, options, talks, tls_error, trusting};

const EC: &str = include_str!("../common/keys/ec.pem");
const EC_SEC1: &str = include_str!("../common/keys/ec-sec1.pem");
const EC_ENCRYPTED: &str = include_str!("../common/keys/ec-encrypted.pem");
const EC_SCRYPT: &str = include_str!("../common/keys/ec-scrypt.pem");
const EC_LEGACY: &str = include_str!("../common/keys/ec-legacy.pem");
const RSA: &str = include_str!("../common/keys/rsa.pem");
const RSA_PKCS1: &str = include_str!("../common/keys/rsa-pkcs1.pem");

/// The password of the encrypted ones.
const PASSWORD: &str = "boat";

async fn broker(authority: &Authority) -> Broker {
    let pair = authority.server();
    let options = net::Options::new().tls(&pair.certificate, &pair.key);
    options.client_authority(&authority.pem).start().await.unwrap()
}

/// A certificate for the key of these forms.
fn certificate(authority: &Authority, key: &str) -> String {
    authority.sign_key(&params(&["boat"]), &KeyPair::from_pem(key).unwrap()).certificate
}

#[tokio::test]
async fn every_form_of_key_opens_the_door() {
    let authority = Authority::new();
    let broker = broker(&authority).await;
    let (ec, rsa) = (certificate(&authority, EC), certificate(&authority, RSA));
    let der = KeyPair::from_pem(EC).unwrap().serialize_der();
    let forms: [(&str, &[u8], Option<&str>); 7] = [
        (&ec, EC.as_bytes(), None),
        (&ec, EC_SEC1.as_bytes(), None),
        (&ec, EC_ENCRYPTED.as_bytes(), Some(PASSWORD)),
        (&ec, EC_SCRYPT.as_bytes(), Some(PASSWORD)),
        (&ec, &der, None),
        (&rsa, RSA.as_bytes(), None),
        (&rsa, RSA_PKCS1.as_bytes(), None),
    ];
    let folder = Folder::new();
    for (certificate, key, password) in forms {
        let file = folder.0.join("key");
        std::fs::write(&file, key).unwrap();
        for key in [Pem::memory(key), Pem::file(&file)] {
            let mut tls = trusting(&authority.pem).client_certificate(Pem::memory(certificate), key);
            if let Some(password) = password {
                tls = tls.key_password(password);
            }
            talks(options(&broker, tls)).await;
        }
    }
}

#[tokio::test]
async fn a_client_without_the_right_certificate_is_told_so() {
    let authority = Authority::new();
    let broker = broker(&authority).await;
    let none = tls_error(options(&broker, trusting(&authority.pem))).await;
    assert!(matches!(none, TlsError::Rejected { alert: 116 }), "{none:?}");
    let stranger = Authority::new().client("boat");
    let tls = trusting(&authority.pem)
        .client_certificate(Pem::memory(stranger.certificate), Pem::memory(stranger.key));
    let stranger = tls_error(options(&broker, tls)).await;
    assert!(matches!(stranger, TlsError::Rejected { alert: 48 | 42 | 51 }), "{stranger:?}");
}

#[tokio::test]
async fn what_cannot_be_used_is_named_with_what_to_do() {
    let authority = Authority::new();
    let broker = broker(&authority).await;
    let certificate = certificate(&authority, EC);
    let with = |key: &str, password: Option<&str>| {
        let tls =
            trusting(&authority.pem).client_certificate(Pem::memory(certificate.as_str()), Pem::memory(key));
        password.map_or(tls.clone(), |password| tls.key_password(password))
    };
    let folder = Folder::new();
    let garbage = folder.write("garbage", "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n");
    let cases = [
        (with(EC_ENCRYPTED, None), "give its password"),
        (with(EC_ENCRYPTED, Some("wrong")), "is the password right"),
        (with(EC_LEGACY, Some(PASSWORD)), "openssl pkcs8"),
        (with(RSA, None), "do not go together"),
        (with("no key", None), "no private key"),
        (with(&authority.pem, None), "no usable private key"),
        (Tls::new().authority(Pem::file("/nowhere/ca.crt")), "/nowhere/ca.crt"),
        (Tls::new().authority(Pem::file(&garbage)), "damaged"),
        (Tls::new().authority(Pem::memory("nothing")), "no certificate in it"),
        (Tls::new().authority(Pem::file(&folder.0)), "it is no file"),
        (Tls::new().authority(Pem::file("/dev/zero")), "it is no file"),
        (Tls::new().authority_folder("/nowhere"), "/nowhere"),
        (Tls::new().revocation_list(Pem::memory(EC)), "no revocation list"),
    ];
    for (tls, wanted) in cases {
        let error = tls_error(options(&broker, tls)).await;
        assert!(matches!(error, TlsError::Material { .. }), "{error:?}");
        assert!(error.to_string().contains(wanted), "{wanted}: {error}");
    }
}

/// The system says of its own files that they are empty.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_file_that_grows_while_it_is_read_is_not_taken() {
    let authority = Authority::new();
    let broker = broker(&authority).await;
    let error = tls_error(options(&broker, Tls::new().authority(Pem::file("/proc/self/status")))).await;
    assert!(error.to_string().contains("/proc/self/status: it grew while it was read"), "{error}");
}

#[test]
fn secrets_are_not_printed() {
    let tls = Tls::new().client_certificate(Pem::memory("cert"), Pem::memory("hush")).key_password("hush");
    let credentials =
        packetboat::Credentials::new().password("hush").certificate(Pem::memory(""), Pem::memory("hush"));
    let proxy: packetboat::Proxy = "http://user:hush@proxy.example".parse().unwrap();
    let websocket = packetboat::WebSocket::new().header("Authorization", "hush");
    let options =
        packetboat::Options::new("mqtt://user:hush@broker.example").password("hush").tls(tls.clone());
    let options = options.proxy(proxy.clone()).websocket(websocket.clone());
    let printed = format!("{tls:?} {credentials:?} {proxy:?} {proxy} {websocket:?} {options:?}");
    // As text, and as the bytes it has.
    assert!(!printed.contains("hush") && !printed.contains("104, 117, 115, 104"), "{printed}");
}
