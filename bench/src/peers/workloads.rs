//! What every contender is asked to do.

use std::time::Instant;

use super::Peer;
use crate::job::{Error, Job, Workload};
use crate::measure::{Measured, Meter};

pub(super) async fn run<P: Peer>(job: Job) -> Result<Measured, Error> {
    match job.workload {
        Workload::Publish(qos) => publish::<P>(&job, qos).await,
        Workload::Receive(qos) | Workload::Mixed(qos) => receive::<P>(&job, qos).await,
        Workload::RoundTrip(qos) => round_trip::<P>(&job, qos).await,
        Workload::Idle(subscriptions) => idle::<P>(&job, subscriptions).await,
        other => Err(format!("not asked of every peer: {other}").into()),
    }
}

async fn publish<P: Peer>(job: &Job, qos: u8) -> Result<Measured, Error> {
    let mut peer = P::connect(job, job.client_id()).await?;
    let meter = Meter::start();
    peer.publish(qos, job.count).await?;
    tokio::select! {
        measured = meter.published_later(job) => measured,
        () = peer.drive() => Err("the connection ended".into()),
    }
}

async fn receive<P: Peer>(job: &Job, qos: u8) -> Result<Measured, Error> {
    let mut peer = P::connect(job, job.client_id()).await?;
    let meter = Meter::start();
    peer.subscribe(qos).await?;
    peer.receive(job.count).await?;
    Ok(meter.finish(job.count))
}

/// One in flight: published and echoed (QoS 0), published and acknowledged (QoS 1).
async fn round_trip<P: Peer>(job: &Job, qos: u8) -> Result<Measured, Error> {
    let mut peer = P::connect(job, job.client_id()).await?;
    if qos == 0 {
        peer.subscribe(0).await?;
    }
    let mut meter = Meter::start();
    for _ in 0..job.count {
        let before = Instant::now();
        peer.publish(qos, 1).await?;
        if qos == 0 {
            peer.receive(1).await?;
        }
        meter.lap(before);
    }
    Ok(meter.finish(job.count))
}

async fn idle<P: Peer>(job: &Job, subscriptions: u8) -> Result<Measured, Error> {
    let meter = Meter::start();
    let mut peers = Vec::with_capacity(job.count as usize);
    for index in 0..job.count as u32 {
        let mut peer = P::connect(job, job.client_id_of(index)).await?;
        for _ in 0..subscriptions {
            peer.subscribe(0).await?;
        }
        if P::DRIVEN {
            tokio::spawn(async move { peer.drive().await });
        } else {
            peers.push(peer);
        }
    }
    // The last tasks have to have been polled once.
    tokio::task::yield_now().await;
    Ok(meter.finish(job.count))
}
