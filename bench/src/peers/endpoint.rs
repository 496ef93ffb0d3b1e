//! mqtt-endpoint-tokio: packets are sent and received by hand; acknowledgements of what is received are automatic.

use std::sync::Arc;

use mqtt_endpoint_tokio::mqtt_ep::packet::v3_1_1::{Connect, Publish, Subscribe};
use mqtt_endpoint_tokio::mqtt_ep::packet::{Packet, Qos, SubEntry, SubOpts};
use mqtt_endpoint_tokio::mqtt_ep::role::Client;
use mqtt_endpoint_tokio::mqtt_ep::transport::TcpTransport;
use mqtt_endpoint_tokio::mqtt_ep::{Endpoint, Mode, Version};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use super::Peer;
use crate::frames::{FILTER, TOPIC};
use crate::job::{Error, Job};

pub(super) struct ByPacket {
    endpoint: Arc<Endpoint<Client>>,
    payload: Arc<[u8]>,
    window: u16,
}

fn quality(qos: u8) -> Qos {
    [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce][usize::from(qos)]
}

fn text(error: impl std::fmt::Debug) -> Error {
    format!("{error:?}").into()
}

async fn publish(endpoint: &Endpoint<Client>, qos: u8, payload: &Arc<[u8]>) -> Result<(), Error> {
    let publish =
        Publish::builder().topic_name(TOPIC).map_err(text)?.qos(quality(qos)).payload(payload.clone());
    let publish = if qos == 0 {
        publish
    } else {
        publish.packet_id(endpoint.acquire_packet_id_when_available().await.map_err(text)?)
    };
    endpoint.send(publish.build().map_err(text)?).await.map_err(text)
}

impl ByPacket {
    async fn until(&self, count: u64, wanted: impl Fn(&Packet) -> bool + Send) -> Result<(), Error> {
        let mut seen = 0;
        while seen < count {
            let packet = self.endpoint.recv().await.map_err(text)?;
            seen += u64::from(wanted(&packet));
        }
        Ok(())
    }
}

impl Peer for ByPacket {
    async fn connect(job: &Job, client_id: String) -> Result<Self, Error> {
        let endpoint = Arc::new(Endpoint::<Client>::new(Version::V3_1_1));
        let stream = TcpStream::connect(("127.0.0.1", job.port)).await?;
        stream.set_nodelay(true)?;
        endpoint.attach(TcpTransport::from_stream(stream), Mode::Client).await.map_err(text)?;
        let connect = Connect::builder().client_id(&client_id).map_err(text)?;
        let connect = connect.keep_alive(60_u16).clean_session(true).build().map_err(text)?;
        endpoint.send(connect).await.map_err(text)?;
        let peer = Self { endpoint, payload: job.payload().into(), window: job.window };
        peer.until(1, |packet| matches!(packet, Packet::V3_1_1Connack(_))).await?;
        Ok(peer)
    }

    async fn subscribe(&mut self, qos: u8) -> Result<(), Error> {
        let id = self.endpoint.acquire_packet_id().await.map_err(text)?;
        let entry = SubEntry::new(FILTER, SubOpts::new().set_qos(quality(qos))).map_err(text)?;
        let subscribe = Subscribe::builder().packet_id(id).entries(vec![entry]).build().map_err(text)?;
        self.endpoint.send(subscribe).await.map_err(text)?;
        self.until(1, |packet| matches!(packet, Packet::V3_1_1Suback(_))).await
    }

    async fn publish(&mut self, qos: u8, count: u64) -> Result<(), Error> {
        if qos == 0 {
            for _ in 0..count {
                publish(&self.endpoint, qos, &self.payload).await?;
            }
            return Ok(());
        }
        let window = Arc::new(Semaphore::new(self.window.into()));
        let (endpoint, payload, slots) = (self.endpoint.clone(), self.payload.clone(), window.clone());
        let publisher = tokio::spawn(async move {
            for _ in 0..count {
                slots.acquire().await?.forget();
                publish(&endpoint, qos, &payload).await?;
            }
            Ok::<_, Error>(())
        });
        let ends = |packet: &Packet| {
            let ends = matches!(packet, Packet::V3_1_1Puback(_) | Packet::V3_1_1Pubcomp(_));
            window.add_permits(usize::from(ends));
            ends
        };
        self.until(count, ends).await?;
        publisher.await?
    }

    async fn receive(&mut self, count: u64) -> Result<(), Error> {
        let is_message = |packet: &Packet| {
            std::hint::black_box(packet);
            matches!(packet, Packet::V3_1_1Publish(_))
        };
        self.until(count, is_message).await
    }
}
