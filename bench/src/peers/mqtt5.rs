//! mqtt5: a publish returns when it is acknowledged, so that a window of them are published by as many tasks.

use std::sync::Arc;

use mqtt5::{ConnectOptions, MqttClient, PublishOptions, QoS, SubscribeOptions};

use super::Peer;
use super::tally::Tally;
use crate::frames::{FILTER, TOPIC};
use crate::job::{Error, Job};

pub(super) struct ByTask {
    client: MqttClient,
    payload: Vec<u8>,
    window: u16,
    tally: Arc<Tally>,
    taken: u64,
}

fn quality(qos: u8) -> QoS {
    [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][usize::from(qos)]
}

async fn publish(client: &MqttClient, qos: u8, payload: &[u8], count: u64) -> Result<(), Error> {
    for _ in 0..count {
        let options = PublishOptions { qos: quality(qos), ..PublishOptions::default() };
        client.publish_with_options(TOPIC, payload, options).await?;
    }
    Ok(())
}

impl Peer for ByTask {
    async fn connect(job: &Job, client_id: String) -> Result<Self, Error> {
        let client = MqttClient::with_options(ConnectOptions::new(client_id).with_clean_start(true));
        client.connect(&format!("mqtt://127.0.0.1:{}", job.port)).await?;
        let (payload, window) = (job.payload(), job.window);
        Ok(Self { client, payload, window, tally: Arc::default(), taken: 0 })
    }

    async fn subscribe(&mut self, qos: u8) -> Result<(), Error> {
        let tally = self.tally.clone();
        let options = SubscribeOptions { qos: quality(qos), ..SubscribeOptions::default() };
        let callback = move |message| {
            std::hint::black_box(&message);
            tally.add();
        };
        self.client.subscribe_with_options(FILTER, options, callback).await?;
        Ok(())
    }

    async fn publish(&mut self, qos: u8, count: u64) -> Result<(), Error> {
        if qos == 0 || count == 1 {
            return publish(&self.client, qos, &self.payload, count).await;
        }
        let tasks = u64::from(self.window).min(count);
        let mut set = tokio::task::JoinSet::new();
        for index in 0..tasks {
            let (client, payload) = (self.client.clone(), self.payload.clone());
            let share = count / tasks + u64::from(index < count % tasks);
            set.spawn(async move { publish(&client, qos, &payload, share).await });
        }
        while let Some(ended) = set.join_next().await {
            ended??;
        }
        Ok(())
    }

    async fn receive(&mut self, count: u64) -> Result<(), Error> {
        self.taken += count;
        self.tally.reach(self.taken).await;
        Ok(())
    }
}
