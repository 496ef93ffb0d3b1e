//! One message to all brokers.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use packetboat::{PropertiesBuf, PublishError, Published, QoS};

use crate::Connection;

/// A message to all connected brokers of a hub; made by [`Hub::publish`](crate::Hub::publish). Awaiting it sends it to all of
/// them at once and waits for each as [`packetboat::Publish`] does, so that one that is slow keeps no other waiting.
#[must_use = "a message is sent when it is awaited"]
#[derive(Clone, Debug)]
pub struct PublishToAll<'a> {
    connections: Vec<Connection>,
    topic: &'a str,
    payload: Bytes,
    qos: Option<QoS>,
    retain: Option<bool>,
    properties: PropertiesBuf,
    drop_properties: bool,
    timeout: Option<Duration>,
    also_away: bool,
}

/// What became of it on one connection.
#[derive(Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// Which.
    pub connection: Connection,
    /// What.
    pub result: Result<Published, ToAllError>,
}

/// Why a broker did not confirm it.
#[non_exhaustive]
pub enum ToAllError {
    /// **Not sent.** The broker was away.
    Away,
    /// What its client says.
    Publish(PublishError),
}

impl fmt::Display for ToAllError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Away => f.write_str("not sent: the broker is away"),
            Self::Publish(error) => error.fmt(f),
        }
    }
}

packetboat::readable_debug!(ToAllError);

impl std::error::Error for ToAllError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Away => None,
            Self::Publish(error) => error.source(),
        }
    }
}

impl<'a> PublishToAll<'a> {
    pub(crate) fn new(connections: Vec<Connection>, topic: &'a str, payload: Bytes) -> Self {
        Self {
            connections,
            topic,
            payload,
            qos: None,
            retain: None,
            properties: PropertiesBuf::new(),
            drop_properties: false,
            timeout: None,
            also_away: false,
        }
    }

    /// The delivery guarantee. Default: QoS 0, unless a connection's options say otherwise.
    pub fn qos(mut self, qos: QoS) -> Self {
        self.qos = Some(qos);
        self
    }

    /// Keep it as the topic's retained message. Default: false, unless a connection's options say otherwise.
    pub fn retain(mut self, retain: bool) -> Self {
        self.retain = Some(retain);
        self
    }

    /// Properties (5.0), as [`packetboat::Publish::properties`].
    pub fn properties(mut self, properties: PropertiesBuf) -> Self {
        self.properties = properties;
        self
    }

    /// Send it without its properties to brokers of 3.1.1, instead of failing there. Default: false.
    pub fn drop_properties(mut self, allowed: bool) -> Self {
        self.drop_properties = allowed;
        self
    }

    /// Wait for each no longer than this.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// Let it wait in the queues of connections whose brokers are away. Without a [`timeout`](Self::timeout) the call ends
    /// only when all of them have come. Default: false.
    pub fn also_away(mut self) -> Self {
        self.also_away = true;
        self
    }

    async fn to_one(&self, connection: &Connection) -> Result<Published, ToAllError> {
        if !self.also_away && !connection.is_connected() {
            return Err(ToAllError::Away);
        }
        let mut publish = connection.publish(self.topic, self.payload.clone());
        if let Some(qos) = self.qos {
            publish = publish.qos(qos);
        }
        if let Some(retain) = self.retain {
            publish = publish.retain(retain);
        }
        if let Some(limit) = self.timeout {
            publish = publish.timeout(limit);
        }
        publish = publish.properties(self.properties.clone()).drop_properties(self.drop_properties);
        publish.await.map_err(ToAllError::Publish)
    }

    async fn send(self) -> Vec<Outcome> {
        let results = join_all(self.connections.iter().map(|connection| self.to_one(connection))).await;
        let outcomes = self.connections.into_iter().zip(results);
        outcomes.map(|(connection, result)| Outcome { connection, result }).collect()
    }
}

impl<'a> IntoFuture for PublishToAll<'a> {
    type Output = Vec<Outcome>;
    type IntoFuture = Pin<Box<dyn Future<Output = Vec<Outcome>> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}
