//! `--remove-retained`: removing retained messages, beside the reading. Who reads must not wait for acknowledgements
//! that stand behind what is not read.

use packetboat::{Client, QoS, Receipt};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::REMOVALS;
use crate::failure::{Exit, Failure};

/// Removes what it is told to.
#[derive(Debug)]
pub(super) struct Remover {
    topics: mpsc::UnboundedSender<String>,
    work: JoinHandle<Result<(), Failure>>,
}

impl Remover {
    pub(super) fn new(client: &Client) -> Self {
        let (topics, receiver) = mpsc::unbounded_channel();
        Self { topics, work: tokio::spawn(work(client.clone(), receiver)) }
    }

    pub(super) fn remove(&self, topic: &str) {
        // It takes topics for as long as this handle lives.
        let _ = self.topics.send(topic.to_owned());
    }

    /// Wait until the broker has confirmed all removals.
    pub(super) async fn finish(self) -> Result<(), Failure> {
        drop(self.topics);
        let late =
            || Failure::new(Exit::NotDelivered, "the broker did not confirm that retained messages are gone");
        match timeout(REMOVALS, self.work).await {
            Ok(Ok(result)) => result,
            _ => Err(late()),
        }
    }
}

async fn work(client: Client, mut topics: mpsc::UnboundedReceiver<String>) -> Result<(), Failure> {
    let mut receipts: Vec<(String, Receipt)> = Vec::new();
    let of_topic = |topic: &str, failure: Failure| {
        let message = format!("the retained message of {topic} stays: {}", failure.message);
        Failure { message, ..failure }
    };
    while let Some(topic) = topics.recv().await {
        let publish = client.publish(&topic, &[][..]).qos(QoS::AtLeastOnce).retain(true).enqueue();
        let receipt = publish.await.map_err(|error| of_topic(&topic, error.into()))?;
        receipts.push((topic, receipt));
    }
    for (topic, receipt) in receipts {
        receipt.await.map_err(|error| of_topic(&topic, error.into()))?;
    }
    Ok(())
}
