//! The clients under test, each used as its own documentation recommends for throughput.

mod core;
mod packetboat;
mod rumqttc;
mod rumqttc_next;

use crate::job::{Error, Job, Runtime};
use crate::measure::Measured;
use crate::raw;

/// A client that can be measured.
pub struct Peer {
    pub name: &'static str,
    pub version: &'static str,
    /// Runs without being asked for by name.
    pub default: bool,
}

pub const RAW: &str = "raw";
pub const OURS: &str = "packetboat";
/// Our protocol engine without client and socket: for counts only.
pub const CORE: &str = "core";

pub const PEERS: &[Peer] = &[
    Peer { name: RAW, version: "sockets", default: true },
    Peer { name: OURS, version: env!("CARGO_PKG_VERSION"), default: true },
    Peer { name: CORE, version: env!("CARGO_PKG_VERSION"), default: false },
    Peer { name: "rumqttc", version: "0.25.1", default: true },
    Peer { name: "rumqttc-v4-next", version: "0.34.0", default: true },
];

pub fn named(name: &str) -> Option<&'static Peer> {
    PEERS.iter().find(|peer| peer.name == name)
}

/// Runs one job in this process.
pub fn run(job: Job) -> Result<Measured, Error> {
    match job.peer.as_str() {
        RAW => raw::run(&job),
        CORE => core::run(&job),
        OURS => block_on(job.runtime, async move { packetboat::run(&job).await }),
        "rumqttc" => block_on(job.runtime, async move { rumqttc::run(&job).await }),
        "rumqttc-v4-next" => block_on(job.runtime, async move { rumqttc_next::run(&job).await }),
        other => Err(format!("no such peer: {other}").into()),
    }
}

/// The runtime a user would have; the work is a spawned task, as it would be in a program of theirs.
fn block_on<F>(runtime: Runtime, work: F) -> Result<Measured, Error>
where
    F: Future<Output = Result<Measured, Error>> + Send + 'static,
{
    let mut builder = match runtime {
        Runtime::Multi => tokio::runtime::Builder::new_multi_thread(),
        Runtime::Current | Runtime::Blocking => tokio::runtime::Builder::new_current_thread(),
    };
    let runtime = builder.worker_threads(2).enable_all().build()?;
    runtime.block_on(async move { tokio::spawn(work).await? })
}
