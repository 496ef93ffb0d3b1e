//! TLS: whom it trusts, what it shows, and an answer of its own for everything that goes wrong.
#![cfg(feature = "tls")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]

mod attempts;
mod brokers;
#[path = "../common/mod.rs"]
mod common;
mod keys;
mod qualification;
mod relay;
mod trust;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use common::certificates::Pair;
use common::{LONG, within};
use packetboat::{Client, ConnectError, DialError, Options, Pem, QoS, Tls, TlsError};
use packetboat_sim::net::{self, Broker};

/// A strict broker that shows this certificate.
async fn broker(pair: &Pair) -> Broker {
    net::Options::new().tls(&pair.certificate, &pair.key).start().await.unwrap()
}

fn trusting(pem: &str) -> Tls {
    Tls::new().authority(Pem::memory(pem))
}

/// By name: that is what certificates are made out to.
fn options(broker: &Broker, tls: Tls) -> Options {
    common::options(&format!("mqtts://localhost:{}", broker.port())).tls(tls)
}

async fn connect_error(options: Options) -> ConnectError {
    let attempt = within(LONG, Client::connect(options));
    attempt.await.expect_err("it must not connect")
}

async fn tls_error(options: Options) -> TlsError {
    let error = connect_error(options).await;
    assert!(error.to_string().len() > 40, "it says what to do: {error}");
    match error {
        ConnectError::Unreachable { error: DialError::Tls(error), .. } => error,
        other => panic!("{other:?}"),
    }
}

/// A message there and back, exactly once.
async fn talks(options: Options) {
    let client = within(LONG, Client::connect(options)).await.unwrap();
    let mut stream = client.subscription("there/and/back").qos(QoS::ExactlyOnce).await.unwrap();
    client.publish("there/and/back", "again").qos(QoS::ExactlyOnce).await.unwrap();
    assert_eq!(common::next(&mut stream).await.payload(), b"again");
    client.disconnect().await.unwrap();
}

/// A folder that goes when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("packetboat-tls-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, contents: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, contents).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
