//! rumqttc 0.25.

use bytes::Bytes;
use rumqttc::{AsyncClient, EventLoop, MqttOptions, NetworkOptions, QoS};

use super::polled::{CHANNEL, LARGEST_PACKET, event_loop};
use crate::frames::TOPIC;
use crate::job::{Error, Job};

event_loop!(rumqttc);

fn open(job: &Job, client_id: String) -> (AsyncClient, EventLoop) {
    let mut options = MqttOptions::new(client_id, "127.0.0.1", job.port);
    options.set_inflight(job.window);
    options.set_max_packet_size(LARGEST_PACKET as usize, LARGEST_PACKET as usize);
    let (client, mut events) = AsyncClient::new(options, CHANNEL);
    // Without it Nagle's algorithm holds packets back: 155 k/s published at QoS 0, 20 k/s received at QoS 1.
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    events.set_network_options(network);
    (client, events)
}

async fn publish(client: &AsyncClient, qos: QoS, payload: Bytes) -> Result<(), Error> {
    Ok(client.publish_bytes(TOPIC, qos, false, payload).await?)
}
