//! ntex-mqtt 9: everything on one thread, in ntex's runtime on tokio. QoS 1 goes through the call that does not wait,
//! with a callback for acknowledgements.

use std::future::Future;
use std::num::NonZeroU16;
use std::sync::Arc;

use ntex_bytes::{ByteString, Bytes};
use ntex_mqtt::MqttServiceConfig;
use ntex_mqtt::v3::MqttSink;
use ntex_mqtt::v3::client::{Connect, MqttConnector, ProtocolMessage};
use ntex_mqtt::v3::codec::QoS;
use ntex_service::Pipeline;
use ntex_service::cfg::SharedCfg;
use send_wrapper::SendWrapper;

use super::Peer;
use super::tally::Tally;
use crate::frames::{FILTER, TOPIC};
use crate::job::{Error, Job};

pub(super) struct Ntex {
    sink: SendWrapper<MqttSink>,
    payload: Bytes,
    window: u16,
    received: Arc<Tally>,
    acknowledged: Arc<Tally>,
    taken: u64,
    sent: u64,
}

/// Runs in ntex's own runtime, which there is one of.
pub(super) fn block_on<R: 'static>(work: impl Future<Output = R> + 'static) -> R {
    ntex_rt::System::build().name("bench").build(ntex_net::DefaultRuntime).block_on(work)
}

fn text(error: impl std::fmt::Debug) -> Error {
    format!("{error:?}").into()
}

fn quality(qos: u8) -> QoS {
    [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][usize::from(qos)]
}

async fn connect(job: &Job, client_id: String) -> Result<Ntex, Error> {
    // The defaults are windows of 16.
    let settings = MqttServiceConfig::new()
        .set_max_send(job.window)
        .set_max_receive(job.window)
        .set_max_receive_size(16 << 20);
    let settings: SharedCfg = SharedCfg::new("bench").add(settings).build();
    let connect = Connect::new(format!("127.0.0.1:{}", job.port)).client_id(client_id).clean_session();
    let client = Pipeline::new(settings, MqttConnector::new()).call(connect).await.map_err(text)?;
    let sink = client.sink();
    let (received, acknowledged) = (Arc::<Tally>::default(), Arc::<Tally>::default());
    let (arrivals, answers) = (received.clone(), acknowledged.clone());
    sink.publish_ack_cb(move |_: NonZeroU16, _| answers.add());
    ntex_rt::spawn(client.start(async move |message: ProtocolMessage| {
        if let ProtocolMessage::Publish(publish) = &message {
            std::hint::black_box(publish);
            arrivals.add();
        }
        Ok::<_, ()>(message.ack())
    }));
    Ok(Ntex {
        sink: SendWrapper::new(sink),
        payload: Bytes::from(job.payload()),
        window: job.window,
        received,
        acknowledged,
        taken: 0,
        sent: 0,
    })
}

impl Ntex {
    async fn send(&mut self, qos: u8, count: u64) -> Result<(), Error> {
        match qos {
            0 => {
                for _ in 0..count {
                    if !self.sink.ready().await {
                        return Err("disconnected".into());
                    }
                    self.sink.publish(topic()).send_at_most_once(self.payload.clone()).map_err(text)?;
                }
                Ok(())
            }
            1 => {
                for _ in 0..count {
                    if !self.sink.ready().await {
                        return Err("disconnected".into());
                    }
                    let publish = self.sink.publish(topic());
                    publish.send_at_least_once_no_block(self.payload.clone()).map_err(text)?;
                }
                self.sent += count;
                self.acknowledged.reach(self.sent).await;
                Ok(())
            }
            _ => self.send_exactly_once(count).await,
        }
    }

    /// A window of them by as many tasks.
    async fn send_exactly_once(&self, count: u64) -> Result<(), Error> {
        let tasks = u64::from(self.window).min(count);
        let tasks: Vec<_> = (0..tasks)
            .map(|index| {
                let (sink, payload) = (self.sink.clone(), self.payload.clone());
                let share = count / tasks + u64::from(index < count % tasks);
                ntex_rt::spawn(async move {
                    for _ in 0..share {
                        let received = sink.publish(topic()).send_exactly_once(payload.clone()).await;
                        received.map_err(text)?.release().await.map_err(text)?;
                    }
                    Ok::<_, Error>(())
                })
            })
            .collect();
        for task in tasks {
            task.await.map_err(text)??;
        }
        Ok(())
    }
}

fn topic() -> ByteString {
    ByteString::from_static(TOPIC)
}

impl Peer for Ntex {
    fn connect(job: &Job, client_id: String) -> impl Future<Output = Result<Self, Error>> + Send {
        SendWrapper::new(connect(job, client_id))
    }

    fn subscribe(&mut self, qos: u8) -> impl Future<Output = Result<(), Error>> + Send {
        SendWrapper::new(async move {
            let filter = ByteString::from_static(FILTER);
            self.sink.subscribe().topic_filter(filter, quality(qos)).send().await.map_err(text)?;
            Ok(())
        })
    }

    fn publish(&mut self, qos: u8, count: u64) -> impl Future<Output = Result<(), Error>> + Send {
        SendWrapper::new(self.send(qos, count))
    }

    async fn receive(&mut self, count: u64) -> Result<(), Error> {
        self.taken += count;
        self.received.reach(self.taken).await;
        Ok(())
    }
}
