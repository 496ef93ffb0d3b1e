//! What is asked of Packetboat alone: many tasks on one client, both directions at once, many clients in one process.

use std::sync::Arc;
use std::time::{Duration, Instant};

use packetboat::{Client, QoS};
use tokio::task::JoinSet;

use super::packetboat::{connect, pipeline, quality};
use crate::floods::{self, Probes};
use crate::frames::{FILTER, PROBE, TOPIC};
use crate::job::{Error, Job, Workload};
use crate::measure::{self, Measured, Meter};
use crate::sink;

/// A flood looks at the clock after so many messages.
const STRETCH: u64 = 256;

/// Between the probes of an otherwise idle handle.
const BETWEEN_PROBES: Duration = Duration::from_millis(3);

/// Of a fleet that connects.
const CONNECTING_AT_ONCE: usize = 128;

pub(super) async fn run(job: Job) -> Result<Measured, Error> {
    match job.workload {
        Workload::Tasks(qos) => tasks(&job, quality(qos)).await,
        Workload::Floods => both_floods(&job).await,
        Workload::Fleet => fleet(&job).await,
        Workload::Queue(qos) => queue(&job, quality(qos)).await,
        other => Err(format!("not for one client alone: {other}").into()),
    }
}

/// Each task its share of messages and of the window.
async fn tasks(job: &Job, qos: QoS) -> Result<Measured, Error> {
    let client = Arc::new(connect(job, job.client_id()).await?);
    let many = u64::from(job.size);
    let mut tasks = JoinSet::new();
    let meter = Meter::start();
    for index in 0..many {
        let (client, payload) = (client.clone(), job.payload());
        let count = job.count / many + u64::from(index < job.count % many);
        let open = usize::from(job.window).div_ceil(many as usize);
        tasks.spawn(async move {
            if qos == QoS::AtMostOnce {
                return publish_each(&client, &payload, count).await;
            }
            pipeline(&client, || payload.as_slice().into(), qos, count, open).await
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    meter.published_later(job).await
}

async fn publish_each(client: &Client, payload: &[u8], count: u64) -> Result<(), Error> {
    for _ in 0..count {
        client.publish(TOPIC, payload).await?;
    }
    Ok(())
}

/// So many receipts open that all but a window of them wait their turn.
async fn queue(job: &Job, qos: QoS) -> Result<Measured, Error> {
    let client = connect(job, job.client_id()).await?;
    let payload = job.payload();
    let meter = Meter::start();
    let open = job.size as usize + usize::from(job.window);
    pipeline(&client, || payload.as_slice().into(), qos, job.count, open).await?;
    meter.published_later(job).await
}

/// Each direction alone, then both, each on a connection of its own for as many milliseconds as the job counts.
async fn both_floods(job: &Job) -> Result<Measured, Error> {
    let length = Duration::from_millis(job.count);
    let meter = Meter::start();
    let (out_alone, _, out_probes) = flood(job, 0, length, true, false).await?;
    let (_, in_alone, in_probes) = flood(job, 1, length, false, true).await?;
    let (out_both, in_both, probes) = flood(job, 2, length, true, true).await?;
    Ok(meter
        .finish(1)
        .with("out_alone", out_alone)
        .with("in_alone", in_alone)
        .with("out_both", out_both)
        .with("in_both", in_both)
        .with("pings_out", out_probes.pings as f64)
        .with("pings_in", in_probes.pings as f64)
        .with("probes", probes.count as f64)
        .with("probe_p50_us", probes.median as f64 / 1e3)
        .with("probe_p99_us", probes.high as f64 / 1e3))
}

/// Messages per second out and in, and what the sink saw of the probes.
async fn flood(
    job: &Job,
    index: u32,
    length: Duration,
    outward: bool,
    inward: bool,
) -> Result<(f64, f64, Probes), Error> {
    let client_id = job.client_id_of(index);
    let client = Arc::new(connect(job, client_id.clone()).await?);
    let end = Instant::now() + length;
    let publisher = tokio::spawn(publish_until(client.clone(), job.payload(), end, outward));
    let prober = tokio::spawn(probe_until(client.clone(), job.payload(), end, outward && inward));
    let receiver = tokio::spawn(receive_until(client.clone(), end, inward));
    let (out, into) = (publisher.await??, receiver.await??);
    prober.await??;
    let client = Arc::into_inner(client).ok_or("a task still holds the client")?;
    client.disconnect().await?;
    let port = job.port;
    let counted = tokio::task::spawn_blocking(move || sink::counted(port, &client_id)).await??;
    let rate = |count: u64| count as f64 / length.as_secs_f64();
    Ok((rate(out), rate(into), counted.into()))
}

async fn publish_until(client: Arc<Client>, payload: Vec<u8>, end: Instant, go: bool) -> Result<u64, Error> {
    let mut sent = 0;
    while go && Instant::now() < end {
        publish_each(&client, &payload, STRETCH).await?;
        sent += STRETCH;
    }
    Ok(sent)
}

async fn receive_until(client: Arc<Client>, end: Instant, go: bool) -> Result<u64, Error> {
    if !go {
        tokio::time::sleep_until(end.into()).await;
        return Ok(0);
    }
    let mut messages = client.subscription(FILTER).await?;
    let mut received = 0_u64;
    while !received.is_multiple_of(STRETCH) || Instant::now() < end {
        messages.next().await.ok_or("the stream ended")?;
        received += 1;
    }
    Ok(received)
}

async fn probe_until(client: Arc<Client>, mut payload: Vec<u8>, end: Instant, go: bool) -> Result<(), Error> {
    while go && Instant::now() < end {
        tokio::time::sleep(BETWEEN_PROBES).await;
        payload[..8].copy_from_slice(&floods::now().to_be_bytes());
        client.publish(PROBE, payload.as_slice()).await?;
    }
    Ok(())
}

/// Connects, does nothing, lets one in a hundred publish as fast as they can.
async fn fleet(job: &Job) -> Result<Measured, Error> {
    let resident = measure::resident_bytes();
    let many = job.size;
    let begin = Instant::now();
    let clients = connect_all(job).await?;
    let connected = f64::from(many) / begin.elapsed().as_secs_f64();
    let resident = (measure::resident_bytes() - resident) as f64 / f64::from(many);
    let (idle, cpu) = (Instant::now(), measure::processor_nanos());
    tokio::time::sleep(Duration::from_secs(2)).await;
    let idle_cpu = (measure::processor_nanos() - cpu) as f64 / idle.elapsed().as_nanos() as f64;
    let threads = std::fs::read_dir("/proc/self/task")?.count();

    let meter = Meter::start();
    let mut busy = JoinSet::new();
    let share = job.count / u64::from(many / 100).max(1);
    for client in clients.iter().step_by(100) {
        let (client, payload) = (client.clone(), job.payload());
        busy.spawn(async move {
            publish_each(&client, &payload, share).await?;
            Ok::<_, Error>(client.flush().await?)
        });
    }
    let publishers = busy.len() as u64;
    while let Some(ended) = busy.join_next().await {
        ended??;
    }
    Ok(meter
        .finish(publishers * share)
        .with("connects_per_second", connected)
        .with("resident", resident)
        .with("idle_cpu", idle_cpu)
        .with("threads", threads as f64)
        .with("publishers", publishers as f64))
}

async fn connect_all(job: &Job) -> Result<Vec<Arc<Client>>, Error> {
    let mut clients = Vec::with_capacity(job.size as usize);
    let mut connecting = JoinSet::new();
    for index in 0..job.size {
        if connecting.len() >= CONNECTING_AT_ONCE
            && let Some(client) = connecting.join_next().await
        {
            clients.push(Arc::new(client??));
        }
        let job = job.clone();
        connecting.spawn(async move { connect(&job, job.client_id_of(index)).await });
    }
    while let Some(client) = connecting.join_next().await {
        clients.push(Arc::new(client??));
    }
    Ok(clients)
}
