//! AWS's device qualification list, its cases of TLS that no other test shows: see `defects.md`.

use packetboat::{ConnectError, Options, Tls, TlsError, TlsVersion};
use packetboat_sim::net::Broker;
use rcgen::KeyPair;
use tokio_rustls::rustls::SupportedCipherSuite;
use tokio_rustls::rustls::crypto::ring::{self, cipher_suite};

use crate::common::certificates::{Authority, Pair, params};
use crate::relay::{Relay, config, relay_with};
use crate::{connect_error, talks, tls_error, trusting};

const RSA: &str = include_str!("../common/keys/rsa.pem");

fn at(relay: &Relay, tls: Tls) -> Options {
    crate::common::options(&format!("mqtts://localhost:{}", relay.port)).tls(tls)
}

fn with_rsa(authority: &Authority) -> Pair {
    authority.sign_key(&params(&["localhost"]), &KeyPair::from_pem(RSA).unwrap())
}

#[tokio::test]
async fn each_recommended_cipher_suite_alone_is_enough() {
    let (authority, plain) = (Authority::new(), Broker::start().await.unwrap());
    let mut seen = 0;
    for &suite in ring::DEFAULT_CIPHER_SUITES {
        let of_rsa = format!("{:?}", suite.suite()).contains("_RSA_");
        let pair = if of_rsa { with_rsa(&authority) } else { authority.server() };
        let relay = relay_with(config(&pair, &[suite]), plain.port(), false).await;
        talks(at(&relay, trusting(&authority.pem))).await;
        assert_eq!(*relay.seen.suites.lock().unwrap(), [suite]);
        seen += 1;
    }
    assert_eq!(seen, 9, "three of 1.3, and three for each kind of key of 1.2");
    assert!(plain.violations().is_empty(), "{:?}", plain.violations());
}

#[tokio::test]
async fn nothing_in_common_is_said_and_nothing_is_sent() {
    let (authority, plain) = (Authority::new(), Broker::start().await.unwrap());
    let only = |version| trusting(&authority.pem).versions(version, version);
    let old: SupportedCipherSuite = cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256;
    let new: SupportedCipherSuite = cipher_suite::TLS13_AES_128_GCM_SHA256;
    for (pair, suite, tls) in [
        // A version.
        (authority.server(), new, only(TlsVersion::Tls12)),
        (authority.server(), old, only(TlsVersion::Tls13)),
        // A cipher suite: the server knows none for its own key.
        (with_rsa(&authority), old, trusting(&authority.pem)),
    ] {
        let relay = relay_with(config(&pair, &[suite]), plain.port(), false).await;
        let error = tls_error(at(&relay, tls.clone()).username("boat").password("secret")).await;
        assert!(
            matches!(error, TlsError::Incompatible(_) | TlsError::Rejected { alert: 40 | 70 }),
            "{error:?}"
        );
        let error: ConnectError = connect_error(at(&relay, tls)).await;
        assert!(error.to_string().contains("TLS"), "{error}");
        assert!(relay.seen.handshakes.lock().unwrap().is_empty());
    }
    assert_eq!(plain.stats().connections, 0);
}
