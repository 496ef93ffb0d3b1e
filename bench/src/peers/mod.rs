//! The contenders.

mod core;
mod crowds;
#[cfg(feature = "peers")]
mod endpoint;
#[cfg(feature = "peers")]
mod mqtt5;
#[cfg(feature = "peers")]
mod ntex;
mod packetboat;
#[cfg(feature = "peers")]
mod polled;
#[cfg(feature = "peers")]
mod rumqttc;
#[cfg(feature = "peers")]
mod rumqttc_v4;
#[cfg(feature = "peers")]
mod rumqttc_v5;
#[cfg(feature = "peers")]
mod tally;
mod workloads;

use std::future::Future;

use crate::job::{Error, Job, Runtime};
use crate::measure::Measured;
use crate::raw;

/// A client under test. Each method is what a user of it would write.
pub trait Peer: Sized + Send + 'static {
    /// Connections live only while [`drive`](Self::drive) or another method runs.
    const DRIVEN: bool = false;

    fn connect(job: &Job, client_id: String) -> impl Future<Output = Result<Self, Error>> + Send;

    /// Returns when the server has confirmed it.
    fn subscribe(&mut self, qos: u8) -> impl Future<Output = Result<(), Error>> + Send;

    /// Publishes so many of the job's messages, a window of them in flight, and waits for the last acknowledgement.
    fn publish(&mut self, qos: u8, count: u64) -> impl Future<Output = Result<(), Error>> + Send;

    /// Takes so many messages.
    fn receive(&mut self, count: u64) -> impl Future<Output = Result<(), Error>> + Send;

    /// Keeps the connection going for ever.
    fn drive(&mut self) -> impl Future<Output = ()> + Send {
        std::future::pending()
    }
}

/// What there is to choose from.
pub struct Contender {
    pub name: &'static str,
    pub version: &'static str,
    /// Runs without being asked for by name.
    pub default: bool,
    /// Where it can run.
    pub runtimes: &'static [Runtime],
}

pub const RAW: &str = "raw";
pub const OURS: &str = "packetboat";
/// Our protocol engine without client and socket: for counts only.
pub const CORE: &str = "core";

const TOKIO: &[Runtime] = &[Runtime::Current, Runtime::Multi];

const fn contender(name: &'static str, version: &'static str, runtimes: &'static [Runtime]) -> Contender {
    Contender { name, version, default: true, runtimes }
}

pub const CONTENDERS: &[Contender] = &[
    contender(RAW, "sockets", &[Runtime::Blocking]),
    contender(OURS, "0.1.0", TOKIO),
    Contender { default: false, ..contender(CORE, "0.1.0", &[Runtime::Blocking]) },
    #[cfg(feature = "peers")]
    contender("rumqttc", "0.25.1", TOKIO),
    #[cfg(feature = "peers")]
    contender("rumqttc-v4-next", "0.34.0", TOKIO),
    #[cfg(feature = "peers")]
    contender("rumqttc-v5-next", "0.34.0", TOKIO),
    #[cfg(feature = "peers")]
    contender("ntex-mqtt", "9.0.0", &[Runtime::Current]),
    #[cfg(feature = "peers")]
    contender("mqtt5", "0.49.0", TOKIO),
    #[cfg(feature = "peers")]
    contender("mqtt-endpoint-tokio", "0.6.6", TOKIO),
];

pub fn named(name: &str) -> Option<&'static Contender> {
    CONTENDERS.iter().find(|contender| contender.name == name)
}

/// Runs one job in this process.
pub fn run(job: Job) -> Result<Measured, Error> {
    match job.peer.as_str() {
        RAW => raw::run(&job),
        CORE => core::run(&job),
        OURS if job.workload.is_ours_alone() => block_on(job.runtime, crowds::run(job)),
        OURS => block_on(job.runtime, workloads::run::<packetboat::Packetboat>(job)),
        #[cfg(feature = "peers")]
        "rumqttc" => block_on(job.runtime, workloads::run::<polled::Polled<rumqttc::Loop>>(job)),
        #[cfg(feature = "peers")]
        "rumqttc-v4-next" => block_on(job.runtime, workloads::run::<polled::Polled<rumqttc_v4::Loop>>(job)),
        #[cfg(feature = "peers")]
        "rumqttc-v5-next" => block_on(job.runtime, workloads::run::<polled::Polled<rumqttc_v5::Loop>>(job)),
        #[cfg(feature = "peers")]
        "mqtt5" => block_on(job.runtime, workloads::run::<mqtt5::ByTask>(job)),
        #[cfg(feature = "peers")]
        "mqtt-endpoint-tokio" => block_on(job.runtime, workloads::run::<endpoint::ByPacket>(job)),
        #[cfg(feature = "peers")]
        "ntex-mqtt" => ntex::block_on(workloads::run::<ntex::Ntex>(job)),
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
