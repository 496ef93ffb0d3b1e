//! The real broker, mosquitto, with TLS and with mutual TLS.

use packetboat::{ConnectError, DialError, Pem, Tls, TlsError, TlsVersion};

use crate::common::certificates::Authority;
use crate::common::mosquitto::{Mosquitto, mosquitto_with_files};
use crate::{Folder, connect_error, talks, tls_error, trusting};

fn broker(authority: &Authority, more: &str) -> Option<Mosquitto> {
    let server = authority.server();
    let files =
        "cafile {directory}/ca.pem\ncertfile {directory}/server.pem\nkeyfile {directory}/server.key\n";
    let contents =
        [("ca.pem", &*authority.pem), ("server.pem", &server.certificate), ("server.key", &server.key)];
    mosquitto_with_files(&format!("{files}{more}"), &contents)
}

fn options(broker: &Mosquitto, tls: Tls) -> packetboat::Options {
    crate::common::options(&format!("mqtts://localhost:{}", broker.port())).tls(tls)
}

#[tokio::test]
async fn mosquitto_is_reached_with_authorities_from_file_folder_and_memory() {
    let (authority, folder) = (Authority::new(), Folder::new());
    let Some(broker) = broker(&authority, "") else { return };
    let file = folder.write("ca.pem", &authority.pem);
    talks(options(&broker, trusting(&authority.pem))).await;
    talks(options(&broker, Tls::new().authority(Pem::file(file)))).await;
    talks(options(&broker, Tls::new().authority_folder(&folder.0))).await;
    for version in [TlsVersion::Tls12, TlsVersion::Tls13] {
        talks(options(&broker, trusting(&authority.pem).versions(version, version))).await;
    }
    // A plain address with TLS configured means TLS.
    let plain = crate::common::options(&format!("mqtt://localhost:{}", broker.port()));
    talks(plain.clone().tls(trusting(&authority.pem))).await;
    let error = connect_error(plain).await;
    assert!(error.to_string().contains("TLS"), "{error}");
}

#[tokio::test]
async fn mosquitto_wants_a_certificate_and_says_so() {
    let authority = Authority::new();
    for version in [TlsVersion::Tls12, TlsVersion::Tls13] {
        let Some(broker) = broker(&authority, "require_certificate true\nuse_identity_as_username true\n")
        else {
            return;
        };
        let tls = || trusting(&authority.pem).versions(version, version);
        let with = |pair: crate::common::certificates::Pair| {
            tls().client_certificate(Pem::memory(pair.certificate), Pem::memory(pair.key))
        };
        talks(options(&broker, with(authority.client("boat")))).await;
        let none = tls_error(options(&broker, tls())).await;
        assert!(matches!(none, TlsError::Rejected { alert: 116 | 40 }), "{version:?}: {none:?}");
        let stranger = tls_error(options(&broker, with(Authority::new().client("boat")))).await;
        assert!(matches!(stranger, TlsError::Rejected { .. }), "{version:?}: {stranger:?}");
    }
}

#[tokio::test]
async fn mosquitto_without_tls_is_told_apart() {
    let Some(broker) = mosquitto_with_files("", &[]) else { return };
    let error = connect_error(options(&broker, Tls::new())).await;
    let told = matches!(
        error,
        ConnectError::Unreachable { error: DialError::Tls(TlsError::Closed | TlsError::NotTls { .. }), .. }
    );
    assert!(told && error.to_string().contains("TLS"), "{error:?}");
}

/// A broker whose second listener speaks WebSocket over TLS, and that listener's port.
#[cfg(feature = "websocket")]
fn websocket_broker(authority: &Authority, more: &str) -> Option<(Mosquitto, u16)> {
    let port = crate::common::port::free_port();
    let server = authority.server();
    let files =
        "cafile {directory}/ca.pem\ncertfile {directory}/server.pem\nkeyfile {directory}/server.key\n";
    let contents =
        [("ca.pem", &*authority.pem), ("server.pem", &server.certificate), ("server.key", &server.key)];
    let listener = format!("listener {port} 127.0.0.1\nprotocol websockets\n{files}{more}");
    Some((mosquitto_with_files(&listener, &contents)?, port))
}

#[cfg(feature = "websocket")]
#[tokio::test]
async fn a_websocket_over_tls_leads_to_mosquitto_with_a_client_certificate_too() {
    let authority = Authority::new();
    let with = |pair: crate::common::certificates::Pair| {
        trusting(&authority.pem).client_certificate(Pem::memory(pair.certificate), Pem::memory(pair.key))
    };
    let Some((_broker, port)) = websocket_broker(&authority, "") else { return };
    let url = format!("wss://localhost:{port}/mqtt");
    let at = |tls| crate::common::options(&url).tls(tls);
    for version in crate::common::VERSIONS {
        talks(at(trusting(&authority.pem)).version(version)).await;
    }
    talks(crate::common::options(&url.replace("wss", "ws")).tls(trusting(&authority.pem))).await;
    let stranger = tls_error(at(trusting(&Authority::new().pem))).await;
    assert!(matches!(stranger, TlsError::Certificate(_)), "{stranger:?}");
    let plain = connect_error(crate::common::options(&url.replace("wss", "ws"))).await;
    assert!(plain.to_string().contains("TLS"), "{plain}");

    let required = "require_certificate true\nuse_identity_as_username true\n";
    let Some((_broker, port)) = websocket_broker(&authority, required) else { return };
    let at = |tls| crate::common::options(&format!("wss://localhost:{port}/mqtt")).tls(tls);
    talks(at(with(authority.client("boat")))).await;
    for refused in [trusting(&authority.pem), with(Authority::new().client("boat"))] {
        let error = connect_error(at(refused)).await;
        assert!(error.to_string().contains("TLS"), "{error:?}");
    }
}
