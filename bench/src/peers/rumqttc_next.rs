//! rumqttc-v4-next 0.34: as rumqttc, and with requests batched as its documentation advises.

use std::time::Instant;

use rumqttc_next::{AsyncClient, Event, EventLoop, MqttOptions, NetworkOptions, Packet, PublishOptions, QoS};
use tokio::sync::{mpsc, oneshot};

use crate::frames::{FILTER, TOPIC};
use crate::job::{Error, Job, Workload};
use crate::measure::{Measured, Meter};

/// Requests that wait for the event loop.
const CHANNEL: usize = 1000;

/// Requests taken in one iteration of the event loop.
const BATCH: usize = 256;

pub async fn run(job: &Job) -> Result<Measured, Error> {
    match job.workload {
        Workload::Publish(qos) => publish(job, quality(qos)).await,
        Workload::Receive(qos) => receive(job, quality(qos)).await,
        Workload::RoundTrip(qos) => round_trip(job, quality(qos)).await,
        Workload::Idle => idle(job).await,
    }
}

fn quality(qos: u8) -> QoS {
    [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][usize::from(qos)]
}

async fn connect(job: &Job, client_id: String) -> Result<(AsyncClient, EventLoop), Error> {
    let mut options = MqttOptions::new(client_id, ("127.0.0.1", job.port));
    options.set_inflight(job.window).set_max_request_batch(BATCH).set_max_packet_size(16 << 20, 16 << 20);
    let (client, mut events) = AsyncClient::builder(options).capacity(CHANNEL).build();
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    events.set_network_options(network);
    while !matches!(events.poll().await?, Event::Incoming(Packet::ConnAck(_))) {}
    Ok((client, events))
}

async fn publish(job: &Job, qos: QoS) -> Result<Measured, Error> {
    let (client, mut events) = connect(job, job.client_id()).await?;
    let (tell, told) = oneshot::channel();
    let count = job.count;
    tokio::spawn(async move {
        let (mut done, mut tell) = (0, Some(tell));
        while let Ok(event) = events.poll().await {
            if matches!(event, Event::Incoming(Packet::PubAck(_) | Packet::PubComp(_))) {
                done += 1;
            }
            if done == count
                && let Some(tell) = tell.take()
            {
                let _ = tell.send(());
            }
        }
    });
    let payload = job.payload();
    let meter = Meter::start();
    for _ in 0..job.count {
        client.publish(TOPIC, payload.clone(), PublishOptions::new(qos)).await?;
    }
    if qos != QoS::AtMostOnce {
        told.await?;
    }
    meter.published_later(job).await
}

async fn receive(job: &Job, qos: QoS) -> Result<Measured, Error> {
    let (client, mut events) = connect(job, job.client_id()).await?;
    let meter = Meter::start();
    client.subscribe(FILTER, qos).await?;
    let mut received = 0;
    while received < job.count {
        if let Event::Incoming(Packet::Publish(publish)) = events.poll().await? {
            received += 1;
            std::hint::black_box(&publish.payload);
        }
    }
    Ok(meter.finish(received))
}

async fn round_trip(job: &Job, qos: QoS) -> Result<Measured, Error> {
    let (client, mut events) = connect(job, job.client_id()).await?;
    client.subscribe(FILTER, QoS::AtMostOnce).await?;
    while !matches!(events.poll().await?, Event::Incoming(Packet::SubAck(_))) {}
    let (tell, mut told) = mpsc::channel(16);
    tokio::spawn(async move {
        while let Ok(event) = events.poll().await {
            if matches!(event, Event::Incoming(Packet::Publish(_) | Packet::PubAck(_)))
                && tell.send(()).await.is_err()
            {
                return;
            }
        }
    });
    let payload = job.payload();
    let mut meter = Meter::start();
    for _ in 0..job.count {
        let before = Instant::now();
        client.publish(TOPIC, payload.clone(), PublishOptions::new(qos)).await?;
        told.recv().await.ok_or("the event loop ended")?;
        meter.lap(before);
    }
    Ok(meter.finish(job.count))
}

async fn idle(job: &Job) -> Result<Measured, Error> {
    let meter = Meter::start();
    for index in 0..job.count as u32 {
        let (client, mut events) = connect(job, job.client_id_of(index)).await?;
        tokio::spawn(async move {
            let _client = client;
            while events.poll().await.is_ok() {}
        });
    }
    // The last tasks have to have been polled once.
    tokio::task::yield_now().await;
    Ok(meter.finish(job.count))
}
