//! TLS on the command line, under mosquitto's names.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use packetboat_sim::net::Options;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use crate::support::{Embedded, Ended, packetboat, run};

/// Files of an authority, a server and a client; gone with it.
struct Files(PathBuf);

impl Files {
    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.join(name)).unwrap()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn files(server: &str) -> Files {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("packetboat-cli-tls-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let files = Files(folder);
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let authority = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    std::fs::write(files.0.join("ca.pem"), authority).unwrap();
    for (file, name) in [("server", server), ("client", "boat")] {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        std::fs::write(files.0.join(format!("{file}.pem")), params.signed_by(&key, &issuer).unwrap().pem())
            .unwrap();
        std::fs::write(files.0.join(format!("{file}.key")), key.serialize_pem()).unwrap();
    }
    files
}

/// Of a broker that shows the server's certificate.
fn options(files: &Files) -> Options {
    Options::new().tls(&files.read("server.pem"), &files.read("server.key"))
}

/// `pub` to `localhost`, as the certificates name it.
fn publish(broker: &Embedded, more: &[&str]) -> Ended {
    let port = broker.broker.port().to_string();
    let fixed = ["pub", "-h", "localhost", "-p", &port, "-t", "a", "-m", "x", "-q", "1"];
    run(packetboat(fixed.iter().chain(more)))
}

#[test]
fn a_certificate_is_checked_against_file_and_folder() {
    let files = files("localhost");
    let broker = Embedded::with(options(&files));
    publish(&broker, &["--cafile", &files.path("ca.pem")]).expect(0);
    for version in ["tlsv1.2", "tlsv1.3"] {
        publish(&broker, &["--cafile", &files.path("ca.pem"), "--tls-version", version]).expect(0);
    }
    let folder = files.0.join("authorities");
    std::fs::create_dir(&folder).unwrap();
    std::fs::copy(files.0.join("ca.pem"), folder.join("any.crt")).unwrap();
    publish(&broker, &["--capath", folder.to_str().unwrap()]).expect(0);
    publish(&broker, &["--tls-use-os-certs"]).expect(2).says("authority");
    publish(&broker, &[]).expect(2).says("TLS");
    publish(&broker, &["--cafile", &files.path("none.pem")]).expect(2).says("none.pem");
    let url = format!("mqtts://localhost:{}/a", broker.broker.port());
    run(packetboat(["pub", "-L", &url, "-m", "x", "--cafile", &files.path("ca.pem")])).expect(0);
}

#[test]
fn another_name_is_taken_only_when_insecure() {
    let files = files("elsewhere.example");
    let broker = Embedded::with(options(&files));
    publish(&broker, &["--cafile", &files.path("ca.pem")]).expect(2).says("localhost");
    publish(&broker, &["--cafile", &files.path("ca.pem"), "--insecure"]).expect(0);
}

#[test]
fn a_client_certificate_is_shown() {
    let files = files("localhost");
    let broker = Embedded::with(options(&files).client_authority(&files.read("ca.pem")));
    let (ca, cert, key) = (files.path("ca.pem"), files.path("client.pem"), files.path("client.key"));
    publish(&broker, &["--cafile", &ca, "--cert", &cert, "--key", &key, "--keyform", "pem"]).expect(0);
    publish(&broker, &["--cafile", &ca]).expect(2).says("certificate");
    publish(&broker, &["--cafile", &ca, "--cert", &cert]).expect(1).says("--key");
    publish(&broker, &["--cafile", &ca, "--tls-version", "tlsv1"]).expect(1).says("tlsv1.2");
}

#[test]
fn websocket_goes_over_tls() {
    let files = files("localhost");
    let broker = Embedded::with(options(&files).websocket());
    publish(&broker, &["--ws", "--cafile", &files.path("ca.pem")]).expect(0);
    let url = format!("wss://localhost:{}/mqtt", broker.broker.port());
    let line = ["pub", "-L", &url, "-t", "a", "-m", "x", "--cafile", &files.path("ca.pem")];
    run(packetboat(line)).expect(0);
}
