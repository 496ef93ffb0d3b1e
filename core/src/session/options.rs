//! What the application decides before it connects.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use crate::wire::{PropertiesBuf, QoS, Version};

/// How long the broker is to keep the session's state.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum SessionMode {
    /// On 5.0: a clean start on the first connection only, kept for one hour after a cut, ended at disconnect.
    /// On 3.1.1: a clean session on every connection; a cut can then cost messages and doubles exactly-once ones.
    #[default]
    UntilDisconnect,
    /// A clean start on every connection; nothing is kept.
    Clean,
    /// Kept over cuts and restarts of the process. Demands a client identifier of the caller's choice.
    Persistent {
        /// How long the broker keeps it after the connection ends (5.0). 3.1.1 brokers decide themselves.
        expiry: Duration,
    },
}

/// The message the broker publishes when the client is lost.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Will {
    /// Where it goes; a valid topic name.
    pub topic: String,
    /// Application bytes; may be empty.
    pub payload: Vec<u8>,
    /// Delivery guarantee.
    pub qos: QoS,
    /// Keep it as the topic's retained message.
    pub retain: bool,
    /// Will properties (5.0), the will delay interval among them.
    pub properties: PropertiesBuf,
}

impl Will {
    /// A will of QoS 0 that is not retained; the other fields can be set.
    ///
    /// ```
    /// use packetboat_core::session::Will;
    ///
    /// let will = Will { retain: true, ..Will::new("boat/state", "gone") };
    /// ```
    #[must_use]
    pub fn new(topic: impl Into<String>, payload: impl Into<Vec<u8>>) -> Self {
        Self {
            topic: topic.into(),
            payload: payload.into(),
            qos: QoS::AtMostOnce,
            retain: false,
            properties: PropertiesBuf::new(),
        }
    }
}

/// Everything a CONNECT says. Made anew for each attempt.
#[derive(Clone, Eq, PartialEq)]
pub struct ConnectOptions {
    /// The version to speak.
    pub version: Version,
    /// Empty lets the broker choose, on a clean session only [MQTT-3.1.3-7].
    pub client_id: String,
    /// Seconds of silence after which the link is probed; zero turns it off.
    pub keep_alive: u16,
    /// Probe so many seconds before the keep-alive interval is over, though at the earliest after one second.
    pub probe_ahead: u16,
    /// How long the broker keeps the session.
    pub session: SessionMode,
    /// User name.
    pub username: Option<String>,
    /// Password; binary.
    pub password: Option<Vec<u8>>,
    /// Published by the broker when the client is lost.
    pub will: Option<Will>,
    /// Unacknowledged QoS 1 and 2 messages the broker may have on the way to us (5.0).
    pub receive_maximum: u16,
    /// Largest packet we accept, in bytes.
    pub maximum_packet_size: u32,
    /// Topic aliases the broker may use towards us (5.0).
    pub topic_alias_maximum: u16,
    /// Further CONNECT properties (5.0): user properties, request problem information and the like.
    /// Those that have a field above are set from the field and must not be repeated here.
    pub properties: PropertiesBuf,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            version: Version::V5,
            client_id: String::new(),
            keep_alive: 60,
            probe_ahead: 0,
            session: SessionMode::default(),
            username: None,
            password: None,
            will: None,
            receive_maximum: 1024,
            maximum_packet_size: 256 * 1024 * 1024,
            topic_alias_maximum: 16,
            properties: PropertiesBuf::default(),
        }
    }
}

/// Secrets stay out: the password is not printed.
impl core::fmt::Debug for ConnectOptions {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ConnectOptions")
            .field("version", &self.version)
            .field("client_id", &self.client_id)
            .field("keep_alive", &self.keep_alive)
            .field("probe_ahead", &self.probe_ahead)
            .field("session", &self.session)
            .field("username", &self.username)
            .field("password", &self.password.as_ref().map(|_| "***"))
            .field("will", &self.will)
            .field("receive_maximum", &self.receive_maximum)
            .field("maximum_packet_size", &self.maximum_packet_size)
            .field("topic_alias_maximum", &self.topic_alias_maximum)
            .field("properties", &self.properties)
            .finish()
    }
}

/// What happens to a message when the queue has no room.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Overflow {
    /// The new message is not accepted: `PublishError::Full`. A caller that waits tries again.
    #[default]
    Refuse,
    /// The oldest queued message makes room; its receipt fails with `Outcome::Dropped`.
    DropOldest,
    /// The new message is accepted and dropped at once; its receipt fails with `Outcome::Dropped`.
    DropNewest,
}

/// The parts of a session that are ours alone: bounds and policies.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Config {
    /// QoS 1 and 2 messages on the way at once, whatever the broker allows above that.
    pub window: u16,
    /// QoS 2 messages on the way at once to a broker that cannot announce its receive maximum, before 5.0. The
    /// default of 20 is mosquitto's own limit, beyond which it confirms messages and drops them.
    pub unannounced_window: u16,
    /// A broker that sends more than the receive maximum we announced is in breach [5.0, 3.3.4]. False: only one that
    /// sends more than there are packet identifiers. Some brokers in wide use do not keep to it (mosquitto 2.0.11).
    pub strict_receive_maximum: bool,
    /// Messages accepted and not yet encoded.
    pub queue_messages: usize,
    /// Bytes of topics, properties and payloads accepted and not yet acknowledged.
    pub queue_bytes: usize,
    /// What happens when one of the two is full.
    pub overflow: Overflow,
    /// Keep QoS 0 messages while offline. Otherwise they are dropped at once and reported so.
    pub queue_qos0_offline: bool,
    /// A PUBACK, PUBREC, PUBCOMP, SUBACK or UNSUBACK missing for so long declares the link dead.
    pub acknowledgement_timeout: Duration,
    /// A message is given up when so many connections have ended while it was unanswered, the first two perhaps for
    /// something else and the others with nothing else on the way. Ends that have another reason do not count. Zero:
    /// never; below three: three.
    pub poison_limit: u8,
    /// Topic aliases we use towards the broker, at most; zero: none.
    pub outgoing_aliases: u16,
    /// Messages above this QoS are accepted at this QoS.
    pub maximum_qos: QoS,
    /// A store records what must survive a crash: records wait for it (`poll_store`, `handle_stored`).
    pub durable: bool,
    /// The version is fixed: publishing with properties on 3.1.1 is refused at the call.
    pub fixed_version: Option<Version>,
    /// A QoS 2 message transmitted without PUBREC when the broker lost the session: send it again and flag the
    /// receipt `possible_duplicate` (true), or report it as `Outcome::Unresolved` (false).
    pub resend_unresolved: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            window: 1024,
            unannounced_window: 20,
            strict_receive_maximum: true,
            queue_messages: 1000,
            queue_bytes: 16 * 1024 * 1024,
            overflow: Overflow::Refuse,
            queue_qos0_offline: true,
            acknowledgement_timeout: Duration::from_mins(1),
            poison_limit: 5,
            outgoing_aliases: 0,
            maximum_qos: QoS::ExactlyOnce,
            durable: false,
            fixed_version: None,
            resend_unresolved: true,
        }
    }
}
