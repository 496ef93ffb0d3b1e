//! Packetboat in its default configuration, as a program would use it.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Instant;

use packetboat::{Attempt, Client, Dialing, Io, Options, QoS, Receipt, Transport};

use crate::frames::{FILTER, TOPIC};
use crate::job::{Error, Job, Workload};
use crate::measure::{Measured, Meter};
use crate::memory::Pipe;

pub async fn run(job: &Job) -> Result<Measured, Error> {
    match job.workload {
        Workload::Publish(qos) => publish(job, quality(qos)).await,
        Workload::Receive(qos) => receive(job, quality(qos)).await,
        Workload::RoundTrip(0) => echo(job).await,
        Workload::RoundTrip(qos) => acknowledged(job, quality(qos)).await,
        Workload::Idle => idle(job).await,
    }
}

fn quality(qos: u8) -> QoS {
    [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][usize::from(qos)]
}

async fn connect(job: &Job, client_id: String) -> Result<Client, Error> {
    let options = Options::new(&format!("mqtt://127.0.0.1:{}", job.port.max(1))).client_id(client_id);
    let options = if job.window > 1 { options.window(job.window) } else { options };
    let options = if job.port == 0 { options.transport(InMemory(Some(Pipe::new()).into())) } else { options };
    Ok(Client::connect(options).await?)
}

/// The transport of counts: no socket, no system call.
struct InMemory(Mutex<Option<Pipe>>);

impl Transport for InMemory {
    fn dial(&self, _: &Attempt) -> Dialing {
        let pipe = self.0.lock().ok().and_then(|mut pipe| pipe.take());
        Box::pin(async move {
            let pipe = pipe.ok_or_else(|| std::io::Error::other("the pipe is used up"))?;
            Ok(Box::new(pipe) as Box<dyn Io>)
        })
    }
}

async fn publish(job: &Job, qos: QoS) -> Result<Measured, Error> {
    let client = connect(job, job.client_id()).await?;
    let payload = job.payload();
    let meter = Meter::start();
    if qos == QoS::AtMostOnce {
        for _ in 0..job.count {
            client.publish(TOPIC, payload.as_slice()).qos(qos).await?;
        }
        client.flush().await?;
    } else {
        // As many unanswered as the window has, each answer looked at.
        let mut receipts: VecDeque<Receipt> = VecDeque::new();
        for _ in 0..job.count {
            if receipts.len() >= job.window.into()
                && let Some(oldest) = receipts.pop_front()
            {
                oldest.await?;
            }
            receipts.push_back(client.publish(TOPIC, payload.as_slice()).qos(qos).enqueue().await?);
        }
        for receipt in receipts {
            receipt.await?;
        }
    }
    meter.published_later(job).await
}

async fn receive(job: &Job, qos: QoS) -> Result<Measured, Error> {
    let client = connect(job, job.client_id()).await?;
    let meter = Meter::start();
    let mut messages = client.subscription(FILTER).qos(qos).await?;
    let mut received = 0;
    while received < job.count {
        let message = messages.next().await.ok_or("the stream ended")?;
        std::hint::black_box((message.topic(), message.payload()));
        received += 1;
    }
    Ok(meter.finish(received))
}

async fn echo(job: &Job) -> Result<Measured, Error> {
    let client = connect(job, job.client_id()).await?;
    let mut messages = client.subscription(FILTER).qos(QoS::AtMostOnce).await?;
    let payload = job.payload();
    let mut meter = Meter::start();
    for _ in 0..job.count {
        let before = Instant::now();
        client.publish(TOPIC, payload.as_slice()).qos(QoS::AtMostOnce).await?;
        messages.next().await.ok_or("the stream ended")?;
        meter.lap(before);
    }
    Ok(meter.finish(job.count))
}

async fn acknowledged(job: &Job, qos: QoS) -> Result<Measured, Error> {
    let client = connect(job, job.client_id()).await?;
    let payload = job.payload();
    let mut meter = Meter::start();
    for _ in 0..job.count {
        let before = Instant::now();
        client.publish(TOPIC, payload.as_slice()).qos(qos).await?;
        meter.lap(before);
    }
    Ok(meter.finish(job.count))
}

async fn idle(job: &Job) -> Result<Measured, Error> {
    let meter = Meter::start();
    let mut clients = Vec::with_capacity(job.count as usize);
    for index in 0..job.count as u32 {
        clients.push(connect(job, job.client_id_of(index)).await?);
    }
    let measured = meter.finish(job.count);
    drop(clients);
    Ok(measured)
}
