//! Pre-shared keys and ciphers, against a real mosquitto.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]

#[allow(dead_code, reason = "each test program uses a part")]
#[path = "../../client/tests/common/certificates.rs"]
mod certificates;
#[allow(dead_code, reason = "each test program uses a part")]
#[path = "../../client/tests/common/mosquitto.rs"]
mod mosquitto;
#[path = "../../client/tests/common/port.rs"]
mod port;

use std::time::Duration;

use certificates::{Authority, params};
use mosquitto::{Mosquitto, mosquitto_with, mosquitto_with_files};
use packetboat::{Client, ConnectError, ConnectStage, DialError, Options, QoS};
use packetboat_openssl::{OpenSsl, OpenSslError};
use port::free_port;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

const KEY: [u8; 8] = [0x00, 0x01, 0x02, 0x03, 0xfd, 0xfe, 0xff, 0x80];

/// A broker with a second listener for pre-shared keys, and that listener's port.
fn broker(more: &str) -> Option<(Mosquitto, u16)> {
    let port = free_port();
    let file = std::env::temp_dir().join(format!("packetboat-psk-{}-{port}", std::process::id()));
    std::fs::write(&file, "boat:00010203fdfeff80\nreader:6b6579\n").unwrap();
    let configuration =
        format!("psk_file {}\nlistener {port} 127.0.0.1\npsk_hint packetboat\n{more}\n", file.display());
    let broker = mosquitto_with(&configuration);
    // It is read by now.
    let _ = std::fs::remove_file(&file);
    Some((broker?, port))
}

fn options(port: u16, tls: OpenSsl) -> Options {
    Options::new(&format!("mqtts://127.0.0.1:{port}")).transport(tls)
}

async fn connect(options: Options) -> Result<Client, ConnectError> {
    tokio::time::timeout(Duration::from_secs(40), Client::connect(options)).await.expect("the test hangs")
}

async fn works(options: Options) {
    let client = connect(options).await.unwrap();
    let mut stream = client.subscribe("psk/#").await.unwrap();
    for size in [0, 1, 20_000, 1_000_000] {
        client.publish("psk/it", "x".repeat(size)).qos(QoS::ExactlyOnce).await.unwrap();
        assert_eq!(stream.next().await.unwrap().payload().len(), size);
    }
    client.disconnect().await.unwrap();
}

async fn error(options: Options) -> OpenSslError {
    let error = connect(options).await.expect_err("it must not connect");
    match &error {
        ConnectError::Unreachable { error: DialError::Transport(error), .. } => {
            error.downcast_ref::<OpenSslError>().unwrap().clone()
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn identity_and_key_open_the_door_on_every_version_of_tls() {
    for version in ["", "tls_version tlsv1.3"] {
        let Some((_broker, port)) = broker(version) else { return };
        works(options(port, OpenSsl::new().psk("boat", KEY))).await;
    }
    // A cipher string without suites for 1.3 means 1.2.
    let Some((_broker, port)) = broker("") else { return };
    works(options(port, OpenSsl::new().psk("boat", KEY).ciphers("PSK"))).await;
}

#[tokio::test]
async fn the_example_runs() {
    let Some((_broker, port)) = broker("") else { return };
    let tests = std::env::current_exe().unwrap();
    let example = tests.ancestors().nth(2).unwrap().join("examples").join("psk");
    if !example.exists() {
        eprintln!("SKIPPED: cargo builds no examples when it is told which tests to build");
        return;
    }
    let url = format!("mqtts://127.0.0.1:{port}");
    let ended = tokio::process::Command::new(example).args([&url, "reader", "key"]).output().await.unwrap();
    let said = String::from_utf8_lossy(&ended.stdout);
    assert_eq!(said, "published over TLS with a pre-shared key\n", "{ended:?}");
}

#[tokio::test]
async fn certificates_are_verified_and_shown_and_their_name_may_be_another() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let (server, client) = (authority.sign(&params(&["broker.example"])), authority.client("boat"));
    let files = "cafile {directory}/ca.pem\ncertfile {directory}/server.pem\nkeyfile {directory}/server.key\n\
                 require_certificate true\nuse_identity_as_username true\n";
    let other = stranger.client("boat");
    let contents = [
        ("ca.pem", &*authority.pem),
        ("server.pem", &server.certificate),
        ("server.key", &server.key),
        ("client.pem", &client.certificate),
        ("client.key", &client.key),
        ("stranger.pem", &stranger.pem),
        ("other.pem", &other.certificate),
        ("other.key", &other.key),
    ];
    let Some(broker) = mosquitto_with_files(files, &contents) else { return };
    let path = |name: &str| broker.directory().join(name);
    let trusting = || OpenSsl::new().ca_file(path("ca.pem"));
    let good =
        || trusting().server_name("broker.example").certificate(path("client.pem"), path("client.key"));
    works(options(broker.port(), good())).await;
    let refused = async |tls| error(options(broker.port(), tls)).await;
    // The address is not the certificate's name.
    let nameless = trusting().certificate(path("client.pem"), path("client.key"));
    for untrusted in [nameless, good().server_name("other.example"), good().ca_file(path("stranger.pem"))] {
        let error = refused(untrusted).await;
        assert!(matches!(error, OpenSslError::Certificate(_)), "{error:?}");
    }
    // Nor do the system's authorities know it.
    let error = refused(OpenSsl::new().server_name("broker.example")).await;
    assert!(matches!(error, OpenSslError::Certificate(_)), "{error:?}");
    let mismatched = refused(good().certificate(path("client.pem"), path("other.key"))).await;
    assert!(matches!(mismatched, OpenSslError::Setting { .. }), "{mismatched:?}");
    let missing = refused(good().certificate("/no/such/file", path("client.key"))).await;
    assert!(matches!(missing, OpenSslError::File { .. }), "{missing:?}");
    let empty = refused(good().certificate(path("client.key"), path("client.key"))).await;
    assert!(matches!(empty, OpenSslError::Setting { what: "the client certificate", .. }), "{empty:?}");
    let empty = refused(good().ca_file(path("client.key"))).await;
    assert!(empty.to_string().contains("the file of certificate authorities"), "{empty:?}");
    // TLS 1.3 refuses when the client is done already: it comes as the end of the connection.
    for tls in
        [trusting().server_name("broker.example"), good().certificate(path("other.pem"), path("other.key"))]
    {
        let error = connect(options(broker.port(), tls)).await.expect_err("it must not connect");
        assert!(error.to_string().contains("alert"), "{error}");
    }
}

#[tokio::test]
async fn a_wrong_key_or_identity_does_not() {
    let Some((_broker, port)) = broker("") else { return };
    for wrong in [OpenSsl::new().psk("boat", *b"other"), OpenSsl::new().psk("nobody", KEY)] {
        for tls in [wrong.clone(), wrong.ciphers("PSK")] {
            assert!(!format!("{tls:?}").contains("key"), "{tls:?}");
            let error = error(options(port, tls)).await;
            assert!(matches!(error, OpenSslError::Psk(_)), "{error:?}");
            assert!(error.to_string().contains("check identity"), "{error}");
        }
    }
}

#[tokio::test]
async fn the_cipher_string_decides() {
    let server = "ciphers PSK-AES256-CBC-SHA384";
    let Some((_broker, port)) = broker(server) else { return };
    let psk = || OpenSsl::new().psk("boat", KEY);
    works(options(port, psk().ciphers("PSK-AES256-CBC-SHA384"))).await;
    let error_with = async |ciphers| error(options(port, psk().ciphers(ciphers))).await;
    assert!(matches!(error_with("PSK-AES128-CBC-SHA256").await, OpenSslError::Psk(_)));
    assert!(matches!(
        error_with("NO-SUCH-CIPHER").await,
        OpenSslError::Setting { what: "the cipher string", .. }
    ));
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused_before_anything_is_sent() {
    let wrong = async |tls| error(options(1, tls)).await;
    assert!(matches!(wrong(OpenSsl::new().psk("a".repeat(128), KEY)).await, OpenSslError::PskIdentity));
    assert!(matches!(wrong(OpenSsl::new().psk("a", [])).await, OpenSslError::PskKey));
    assert!(matches!(wrong(OpenSsl::new().psk("a", [0; 257])).await, OpenSslError::PskKey));
    assert!(matches!(wrong(OpenSsl::new().ca_file("/no/such/file")).await, OpenSslError::File { .. }));
    let suites = OpenSsl::new().cipher_suites("NONE_SUCH");
    assert!(matches!(wrong(suites).await, OpenSslError::Setting { .. }));
}

#[tokio::test]
async fn a_plain_port_is_told_apart() {
    let Some(broker) = mosquitto_with("") else { return };
    let url = broker.url().replace("mqtt://", "mqtts://");
    let error = error(Options::new(&url).transport(OpenSsl::new().psk("boat", KEY))).await;
    assert!(error.to_string().contains("TLS") || matches!(error, OpenSslError::Psk(_)), "{error}");
}

#[tokio::test]
async fn a_silent_server_costs_the_limit_has_its_own_answer_and_leaves_nothing_behind() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let tls = OpenSsl::new().psk("boat", KEY);
    let (error, ()) =
        tokio::join!(connect(options(port, tls).connect_timeout(Duration::from_secs(3))), async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut hello = Vec::new();
            stream.read_to_end(&mut hello).await.unwrap();
            assert!(!hello.is_empty());
        });
    let error = error.unwrap_err();
    assert!(matches!(error, ConnectError::TimedOut { stage: ConnectStage::Tls, .. }), "{error:?}");
}
