//! Packetboat in its default configuration, as a program would use it.

use std::collections::VecDeque;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use packetboat::{
    Attempt, Body, Client, Dialing, Io, Options, Pem, QoS, Receipt, Subscriber, Tls, Transport,
};

use super::Peer;
use crate::frames::{FILTER, TOPIC};
use crate::job::{Error, Job, Workload};
use crate::memory::Pipe;
use crate::tls;

/// From here on payloads are handed over, not lent: who has large ones has them in a buffer of their own.
const OWNED: usize = 16 * 1024;

pub(super) struct Packetboat {
    client: Client,
    /// Boxed: a program whose clients only publish has no place for it in each of them.
    messages: Option<Box<Subscriber>>,
    payload: Bytes,
    window: usize,
}

pub(super) fn quality(qos: u8) -> QoS {
    [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][usize::from(qos)]
}

pub(super) async fn connect(job: &Job, client_id: String) -> Result<Client, Error> {
    let options = Options::new(&format!("mqtt://127.0.0.1:{}", job.port.max(1))).client_id(client_id);
    let options = if job.tls { options.tls(trust()?) } else { options };
    let options = if job.window > 1 { options.window(job.window) } else { options };
    let options = if job.port == 0 { options.transport(InMemory(Some(Pipe::new()).into())) } else { options };
    let options = match job.workload {
        // The queue has to have room for what is to wait in it.
        Workload::Queue(_) => options.queue(job.size as usize + 1000, 1 << 30),
        // Often enough to see it work.
        Workload::Floods => options.keep_alive(Duration::from_secs(1)),
        _ => options,
    };
    Ok(Client::connect(options).await?)
}

/// One for all connections, as a program has it.
fn trust() -> Result<Tls, Error> {
    static TLS: OnceLock<Tls> = OnceLock::new();
    if let Some(tls) = TLS.get() {
        return Ok(tls.clone());
    }
    let tls = Tls::new().authority(Pem::memory(tls::certificate()?)).server_name(tls::NAME);
    Ok(TLS.get_or_init(|| tls).clone())
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

/// Publishes with so many receipts open, each of them looked at.
pub(super) async fn pipeline<'a>(
    client: &'a Client,
    body: impl Fn() -> Body<'a>,
    qos: QoS,
    count: u64,
    open: usize,
) -> Result<(), Error> {
    let mut receipts: VecDeque<Receipt> = VecDeque::new();
    for _ in 0..count {
        if receipts.len() >= open
            && let Some(oldest) = receipts.pop_front()
        {
            oldest.await?;
        }
        receipts.push_back(client.publish(TOPIC, body()).qos(qos).enqueue().await?);
    }
    for receipt in receipts {
        receipt.await?;
    }
    Ok(())
}

impl Packetboat {
    fn body(&self) -> Body<'_> {
        if self.payload.len() < OWNED { self.payload.as_ref().into() } else { self.payload.clone().into() }
    }

    async fn one_by_one(&self, qos: QoS, count: u64) -> Result<(), Error> {
        let Self { client, payload, .. } = self;
        if payload.len() < OWNED {
            for _ in 0..count {
                client.publish(TOPIC, payload.as_ref()).qos(qos).await?;
            }
        } else {
            for _ in 0..count {
                client.publish(TOPIC, payload.clone()).qos(qos).await?;
            }
        }
        Ok(())
    }
}

impl Peer for Packetboat {
    async fn connect(job: &Job, client_id: String) -> Result<Self, Error> {
        let client = connect(job, client_id).await?;
        Ok(Self { client, messages: None, payload: job.payload().into(), window: job.window.into() })
    }

    async fn subscribe(&mut self, qos: u8) -> Result<(), Error> {
        self.messages = Some(Box::new(self.client.subscription(FILTER).qos(quality(qos)).await?));
        Ok(())
    }

    async fn publish(&mut self, qos: u8, count: u64) -> Result<(), Error> {
        let qos = quality(qos);
        if qos == QoS::AtMostOnce || count == 1 {
            return self.one_by_one(qos, count).await;
        }
        // As many unanswered as the window has.
        pipeline(&self.client, || self.body(), qos, count, self.window).await
    }

    async fn receive(&mut self, count: u64) -> Result<(), Error> {
        let messages = self.messages.as_mut().ok_or("not subscribed")?;
        for _ in 0..count {
            let message = messages.next().await.ok_or("the stream ended")?;
            std::hint::black_box((message.topic(), message.payload()));
        }
        Ok(())
    }
}
