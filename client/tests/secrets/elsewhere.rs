//! A strict broker in a process of its own, which is this program once more: what it keeps in its memory is not ours.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use packetboat::{Options, Pem, Tls};
use packetboat_sim::net;
use rcgen::KeyPair;

use crate::certificates::{Authority, params};
use crate::keys::{EC, RSA};

/// Which door, and the folder for its certificates.
const DOOR: &str = "PACKETBOAT_BROKER_WITH_DOOR";
const FOLDER: &str = "PACKETBOAT_BROKER_FOLDER";
const PORT: &str = "listens at port ";

/// It goes when this is dropped.
pub(crate) struct Elsewhere {
    broker: Child,
    pub(crate) port: u16,
    pub(crate) folder: PathBuf,
}

impl Elsewhere {
    /// For `ws`, `mqtts` or `wss`; for `mutual`, only clients with a certificate of its authority.
    pub(crate) fn start(door: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("packetboat-secrets-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let mut broker = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "elsewhere::the_broker", "--nocapture"])
            .env(DOOR, door)
            .env(FOLDER, &folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(broker.stdout.as_mut().unwrap()).lines().map(Result::unwrap);
        let mut ports = said.filter_map(|line| Some(line.split_once(PORT)?.1.parse().unwrap()));
        let port = ports.next().expect("the broker starts");
        Self { broker, port, folder }
    }

    /// That lead there, and trust it.
    pub(crate) fn options(&self, scheme: &str) -> Options {
        let options = Options::new(&format!("{scheme}://localhost:{}", self.port));
        if scheme == "ws" {
            options
        } else {
            options.tls(Tls::new().authority(Pem::file(self.folder.join("ca.pem"))))
        }
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        drop(self.broker.stdin.take());
        let _ = self.broker.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// What is run in that process. In the others it is nothing.
#[test]
fn the_broker() {
    let (Some(door), Some(folder)) = (std::env::var(DOOR).ok(), std::env::var_os(FOLDER)) else { return };
    let folder = PathBuf::from(folder);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let authority = Authority::new();
    let mut options = net::Options::new();
    if door != "ws" {
        let server = authority.server();
        options = options.tls(&server.certificate, &server.key);
        std::fs::write(folder.join("ca.pem"), &authority.pem).unwrap();
    }
    if door == "mutual" {
        options = options.client_authority(&authority.pem);
        for (name, key) in [("ec", EC), ("rsa", RSA)] {
            let pair = authority.sign_key(&params(&["boat"]), &KeyPair::from_pem(key).unwrap());
            std::fs::write(folder.join(name), pair.certificate).unwrap();
        }
    }
    if door.starts_with("ws") {
        options = options.websocket();
    }
    let broker = runtime.block_on(options.start()).unwrap();
    println!("{PORT}{}", broker.port());
    // Until whoever started it goes.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    assert!(broker.violations().is_empty(), "{:?}", broker.violations());
}
