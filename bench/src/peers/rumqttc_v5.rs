//! rumqttc-v5-next 0.34, with requests batched as its documentation advises.

use bytes::Bytes;
use rumqttc_v5::{AsyncClient, EventLoop, MqttOptions, NetworkOptions, PublishOptions, QoS};

use super::polled::{BATCH, CHANNEL, LARGEST_PACKET, event_loop};
use crate::frames::TOPIC;
use crate::job::{Error, Job};

event_loop!(rumqttc_v5);

fn open(job: &Job, client_id: String) -> (AsyncClient, EventLoop) {
    let mut options = MqttOptions::new(client_id, ("127.0.0.1", job.port));
    options.set_outgoing_inflight_upper_limit(job.window).set_max_packet_size(Some(LARGEST_PACKET));
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    options.set_network_options(network).set_max_request_batch(BATCH);
    AsyncClient::builder(options).capacity(CHANNEL).build()
}

async fn publish(client: &AsyncClient, qos: QoS, payload: Bytes) -> Result<(), Error> {
    Ok(client.publish(TOPIC, payload, PublishOptions::new(qos)).await?)
}
