//! What Mongoose's keys of TLS and of logs do at mosquitto.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]

mod common;

use std::io::Write;
use std::time::Duration;

use common::mosquitto::{Mosquitto, mosquitto, mosquitto_with_files};
use common::port::free_port;
use common::within;
use packetboat::{Client, ConnectError, QoS};
use packetboat_config::{Config, Format};

const LONG: Duration = Duration::from_mins(1);

/// A device's file of these sections.
fn device(sections: &str) -> Config {
    Config::parse(&format!("{{{sections}}}"), Format::Json).unwrap_or_else(|error| panic!("{error}"))
}

async fn connect(config: &Config) -> Result<Client, ConnectError> {
    within(LONG, Client::connect(config.options().unwrap())).await
}

async fn works(config: &Config) {
    let client = connect(config).await.unwrap_or_else(|error| panic!("{error}"));
    within(LONG, client.publish("a", "x").qos(QoS::AtLeastOnce)).await.unwrap();
    client.disconnect().await.unwrap();
}

/// A mosquitto that speaks TLS, the files it has, and its port.
struct Secured {
    broker: Mosquitto,
    port: u16,
}

impl Secured {
    /// A second listener with these lines; a certificate for `localhost` if they name none.
    fn start(lines: &str, more: &[(&str, &str)]) -> Option<Self> {
        let port = free_port();
        let authority = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        // OpenSSL takes what has the name of its issuer for self-signed.
        params.distinguished_name.push(rcgen::DnType::CommonName, "authority");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let ca = params.self_signed(&authority).unwrap().pem();
        let issuer = rcgen::Issuer::new(params, authority);
        let key = rcgen::KeyPair::generate().unwrap();
        let signed = |name: &str| {
            rcgen::CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap().pem()
        };
        let other = rcgen::generate_simple_self_signed(["other".to_owned()]).unwrap();
        let (server, boat, key) = (signed("localhost"), signed("boat"), key.serialize_pem());
        let (other_cert, other_key) = (other.cert.pem(), other.signing_key.serialize_pem());
        let mut files = vec![
            ("ca.pem", ca.as_str()),
            ("server.pem", &server),
            ("boat.pem", &boat),
            ("key.pem", &key),
            ("other.pem", &other_cert),
            ("other-key.pem", &other_key),
        ];
        files.extend(more);
        let listener = format!("listener {port} 127.0.0.1\n{lines}");
        Some(Self { broker: mosquitto_with_files(&listener, &files)?, port })
    }

    /// The keys of a section for it, with names of files in place of `@name`.
    fn keys(&self, keys: &str) -> String {
        let folder = self.broker.directory().display();
        format!(
            r#""enable": true, "server": "localhost:{}", {}"#,
            self.port,
            keys.replace('@', &format!("{folder}/"))
        )
    }
}

const CERTIFICATES: &str =
    "cafile {directory}/ca.pem\ncertfile {directory}/server.pem\nkeyfile {directory}/key.pem\n";

#[tokio::test]
async fn certificates_of_mongoose_open_a_mosquitto_that_demands_them() {
    let Some(secured) = Secured::start(&format!("{CERTIFICATES}require_certificate true\n"), &[]) else {
        return;
    };
    let section = |keys: &str| device(&format!(r#""mqtt": {{{}}}"#, secured.keys(keys)));
    works(&section(r#""ssl_ca_cert": "@ca.pem", "ssl_cert": "@boat.pem", "ssl_key": "@key.pem""#)).await;
    // Each of them counts: without a certificate, with one of another authority, and where the server's is another's.
    for wrong in [
        r#""ssl_ca_cert": "@ca.pem""#,
        r#""ssl_ca_cert": "@ca.pem", "ssl_cert": "@other.pem", "ssl_key": "@other-key.pem""#,
        r#""ssl_ca_cert": "@ca.pem", "ssl_cert": "@boat.pem", "ssl_key": "@other-key.pem""#,
        r#""ssl_ca_cert": "@other.pem", "ssl_cert": "@boat.pem", "ssl_key": "@key.pem""#,
        r#""ssl_ca_cert": "@gone.pem", "ssl_cert": "@boat.pem", "ssl_key": "@key.pem""#,
    ] {
        assert!(connect(&section(wrong)).await.is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn the_backup_of_mongoose_is_reached_over_tls_as_the_first_server_would_be() {
    let Some(secured) = Secured::start(&format!("{CERTIFICATES}require_certificate true\n"), &[]) else {
        return;
    };
    let tls = r#""ssl_ca_cert": "@ca.pem", "ssl_cert": "@boat.pem", "ssl_key": "@key.pem""#;
    let backup = secured.keys(tls);
    let first = backup.replace(&format!("localhost:{}", secured.port), "localhost:1");
    let short = r#""reconnect_timeout_min": 0.01, "reconnect_timeout_max": 0.01"#;
    let config = device(&format!(r#""mqtt": {{{first}, {short}}}, "mqtt1": {{{backup}, {short}}}"#));
    let client = Client::start(config.options().unwrap()).unwrap();
    within(LONG, client.publish("a", "x").qos(QoS::AtLeastOnce)).await.unwrap();
    client.disconnect().await.unwrap();
}

#[cfg(feature = "openssl")]
#[tokio::test]
async fn pre_shared_keys_of_mongoose_open_mosquitto() {
    let Some(secured) =
        Secured::start("psk_file {directory}/keys\npsk_hint x\n", &[("keys", "boat:00ff17\nother:00ff18\n")])
    else {
        return;
    };
    let with = |identity: &str, key: &str| {
        device(&format!(
            r#""mqtt": {{{}}}"#,
            secured.keys(&format!(
                r#""ssl_psk_identity": "{identity}", "ssl_psk_key": "{key}",
                   "ssl_cipher_suites": "TLS-PSK-WITH-AES-128-GCM-SHA256:TLS-PSK-WITH-AES-256-CBC-SHA384""#
            ))
        ))
    };
    works(&with("boat", "00ff17")).await;
    works(&with("other", "00ff18")).await;
    for (identity, key) in [("boat", "00ff18"), ("other", "00ff17"), ("nobody", "00ff17")] {
        assert!(connect(&with(identity, key)).await.is_err(), "{identity} {key}");
    }
}

#[cfg(feature = "openssl")]
#[tokio::test]
async fn cipher_suites_of_mongoose_decide_what_mosquitto_is_offered() {
    let lines = format!("{CERTIFICATES}tls_version tlsv1.2\nciphers ECDHE-ECDSA-AES256-GCM-SHA384\n");
    let Some(secured) = Secured::start(&lines, &[]) else { return };
    let with = |suites: &str| {
        let keys = format!(r#""ssl_ca_cert": "@ca.pem", "ssl_cipher_suites": "{suites}""#);
        device(&format!(r#""mqtt": {{{}}}"#, secured.keys(&keys)))
    };
    let (right, wrong) =
        ("TLS-ECDHE-ECDSA-WITH-AES-256-GCM-SHA384", "TLS-ECDHE-ECDSA-WITH-AES-128-GCM-SHA256");
    works(&with(right)).await;
    works(&with(&format!("{wrong}:{right}"))).await;
    assert!(connect(&with(wrong)).await.is_err());
}

#[tokio::test]
async fn lines_of_output_and_errors_come_to_the_topics_of_mongoose() {
    let Some(broker) = mosquitto() else { return };
    let config = device(&format!(
        r#""mqtt": {{ "enable": true, "server": "127.0.0.1:{}", "client_id": "dev" }},
           "debug": {{ "stdout_topic": "log/out", "stderr_topic": "log/err" }}"#,
        broker.port()
    ));
    let watcher = Client::connect(broker.url().as_str()).await.unwrap();
    let mut stream = watcher.subscribe("log/#").await.unwrap();
    let client = connect(&config).await.unwrap();
    let (mut output, mut errors) = (config.output_log(&client).unwrap(), config.error_log(&client).unwrap());
    writeln!(output, "started").unwrap();
    writeln!(errors, "it burns").unwrap();
    // What speaks of the topic itself would breed.
    writeln!(errors, "sent to log/err").unwrap();
    writeln!(errors, "it is out").unwrap();
    client.flush().await.unwrap();
    let mut heard = Vec::new();
    for _ in 0..3 {
        let message = within(LONG, stream.next()).await.unwrap();
        let line = String::from_utf8(message.payload().to_vec()).unwrap();
        // Client identifier, number, time, stream and text.
        let (front, text) = line.split_once('|').unwrap();
        let words: Vec<&str> = front.split(' ').collect();
        assert!(words[0] == "dev" && words[2].parse::<f64>().unwrap() > 1e9, "{line}");
        heard.push(format!("{} {} {} {text}", message.topic(), words[1], words[3]));
    }
    assert_eq!(heard, ["log/out 0 1 started", "log/err 0 2 it burns", "log/err 1 2 it is out"]);
    client.disconnect().await.unwrap();
}
