//! Messages as JSON.

use serde::Serialize;

use crate::{Body, Client, Publish};

impl Client {
    /// A message whose payload is `value` as JSON, to be sent as any other ([`publish`](Self::publish)). An error says
    /// what of the value JSON has no words for, a map whose keys are no text for example.
    ///
    /// ```no_run
    /// # use packetboat::{Client, QoS};
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let reading = serde_json::json!({ "sensor": 7, "temperature": 21.5 });
    /// client.publish_json("sensors/7", &reading)?.qos(QoS::AtLeastOnce).retain(true).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn publish_json<'a, T>(&'a self, topic: &'a str, value: &T) -> Result<Publish<'a>, serde_json::Error>
    where
        T: Serialize + ?Sized,
    {
        Ok(self.publish(topic, Body::from(serde_json::to_vec(value)?)))
    }
}
