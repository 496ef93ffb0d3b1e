//! What a listener is told.

use packetboat::{Message, Properties, QoS};

use crate::Connection;

/// A message that arrived, and from which broker.
#[derive(Clone, Debug)]
pub struct Arrival {
    connection: Connection,
    message: Message,
}

impl Arrival {
    pub(super) fn new(connection: Connection, message: Message) -> Self {
        Self { connection, message }
    }

    /// The name of the connection it came over.
    #[must_use]
    pub fn broker(&self) -> &str {
        self.connection.id()
    }

    /// The connection it came over, for an answer for example.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The topic it was published on.
    #[must_use]
    pub fn topic(&self) -> &str {
        self.message.topic()
    }

    /// The application bytes.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.message.payload()
    }

    /// The delivery guarantee of this delivery.
    #[must_use]
    pub fn qos(&self) -> QoS {
        self.message.qos()
    }

    /// It was the topic's retained message.
    #[must_use]
    pub fn retain(&self) -> bool {
        self.message.retain()
    }

    /// The properties of its PUBLISH; empty on 3.1.1.
    #[must_use]
    pub fn properties(&self) -> Properties<'_> {
        self.message.properties()
    }

    /// All of it.
    #[must_use]
    pub fn message(&self) -> &Message {
        &self.message
    }
}
