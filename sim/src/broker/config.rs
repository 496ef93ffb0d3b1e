//! What the broker allows and how it behaves.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use packetboat_core::topic::TopicFilter;
use packetboat_core::wire::{QoS, Reason, Version};

use super::{Method, OnViolation};

/// How a CONNECT is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// A CONNACK with this reason; on 3.1.1 with the return code nearest to it.
    Code(Reason),
    /// A CONNACK of 3.1.1 shape with this return code, whatever version was asked for: what a broker says that has
    /// never heard of 5.0.
    OldShape(u8),
    /// The connection is closed without a byte.
    Close,
}

/// What a client with several subscriptions that match one message gets.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Overlap {
    /// One copy, at the highest QoS, with all subscription identifiers [MQTT-3.3.4-2, -4].
    OneCopy,
    /// A copy for each [MQTT-3.3.4-5].
    CopyEach,
    /// One copy on 3.1.1, a copy for each on 5.0: what mosquitto 2.0 does.
    #[default]
    LikeMosquitto,
}

/// The broker's settings. All fields are public: `Config { receive_maximum: 3, ..Config::default() }`.
#[derive(Clone, Debug)]
pub struct Config {
    /// The versions it speaks.
    pub versions: Vec<Version>,
    /// What it says to the others.
    pub wrong_version: Refusal,
    /// User names and passwords. Empty: everybody is let in.
    pub credentials: BTreeMap<String, Vec<u8>>,
    /// Methods of enhanced authentication it supports (5.0).
    pub methods: Vec<Arc<dyn Method>>,
    /// Topics nobody may publish or subscribe to.
    pub denied: Vec<TopicFilter>,
    /// Where a message to such a topic comes, it hangs up without a word, as brokers do that stumble over one.
    pub poisonous: Vec<TopicFilter>,
    /// Unacknowledged PUBLISH packets it takes from a 5.0 client. Not zero.
    pub receive_maximum: u16,
    /// Largest packet it takes, in bytes; announced to 5.0 clients. Not zero.
    pub maximum_packet_size: u32,
    /// Highest QoS of PUBLISH, announced to 5.0 clients, and highest QoS granted.
    pub maximum_qos: QoS,
    /// It keeps retained messages.
    pub retain_available: bool,
    /// It takes filters with wildcards.
    pub wildcards_available: bool,
    /// It takes subscription identifiers.
    pub subscription_identifiers_available: bool,
    /// It takes shared subscriptions.
    pub shared_available: bool,
    /// Topic aliases a client may use.
    pub topic_alias_maximum: u16,
    /// Topic aliases it uses itself, if the client allows as many.
    pub own_aliases: u16,
    /// What it answers a 5.0 client that asks for response information.
    pub response_information: Option<String>,
    /// The keep-alive interval it imposes on 5.0 clients, in seconds.
    pub server_keep_alive: Option<u16>,
    /// The longest it keeps a session of a 5.0 client.
    pub maximum_session_expiry: Duration,
    /// How long it keeps the session of a 3.1.1 client that did not ask for a clean one. `None`: for ever.
    pub session_expiry_of_3_1_1: Option<Duration>,
    /// Unacknowledged PUBLISH packets towards a client; a 5.0 client may allow less.
    pub window: u16,
    /// Messages queued for a client; more are dropped.
    pub queue_messages: usize,
    /// Queue QoS 0 messages for clients that are offline.
    pub queue_qos0: bool,
    /// Bytes a client may leave unread before QoS 0 messages for it are dropped.
    pub output_bytes: usize,
    /// Overlapping subscriptions.
    pub overlap: Overlap,
    /// How long answers to PUBLISH, PUBREL, SUBSCRIBE and UNSUBSCRIBE take, in milliseconds.
    pub answer_delay: RangeInclusive<u64>,
    /// Answers to different packets may change places. A client must not mind: no rule orders a server's answers.
    pub shuffle_answers: bool,
    /// Of a thousand QoS 1 and 2 messages of 5.0 clients, so many are refused with "Quota exceeded".
    pub refused_per_mille: u16,
    /// Tell 5.0 publishers when nobody listens: reason 0x10.
    pub report_no_subscribers: bool,
    /// How long a client may take to send CONNECT, and to close the connection after DISCONNECT.
    pub connect_timeout: Duration,
    /// What becomes of a client that breaks a rule.
    pub on_violation: OnViolation,
    /// Silence is a breach of the keep-alive rule. Only where the link is known to be sound and without delay.
    pub blame_silence: bool,
    /// Keep every message taken, for [`Broker::accepted`](super::Broker::accepted). It is never thrown away.
    pub keep_log: bool,
    /// Show every packet on standard error.
    pub trace: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            versions: vec![Version::V31, Version::V311, Version::V5],
            wrong_version: Refusal::Code(Reason::UNSUPPORTED_PROTOCOL_VERSION),
            credentials: BTreeMap::new(),
            methods: Vec::new(),
            denied: Vec::new(),
            poisonous: Vec::new(),
            receive_maximum: 1024,
            maximum_packet_size: 16 * 1024 * 1024,
            maximum_qos: QoS::ExactlyOnce,
            retain_available: true,
            wildcards_available: true,
            subscription_identifiers_available: true,
            shared_available: true,
            topic_alias_maximum: 16,
            own_aliases: 0,
            response_information: None,
            server_keep_alive: None,
            maximum_session_expiry: Duration::from_secs(u64::from(u32::MAX)),
            session_expiry_of_3_1_1: None,
            window: 1024,
            queue_messages: 1_000_000,
            queue_qos0: false,
            output_bytes: 16 * 1024 * 1024,
            overlap: Overlap::default(),
            answer_delay: 0..=0,
            shuffle_answers: false,
            refused_per_mille: 0,
            report_no_subscribers: true,
            connect_timeout: Duration::from_secs(10),
            on_violation: OnViolation::default(),
            blame_silence: false,
            keep_log: false,
            trace: false,
        }
    }
}

/// What a client was told at CONNACK and is judged by until its connection ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Announced {
    pub(super) receive_maximum: u16,
    pub(super) maximum_packet_size: u32,
    pub(super) maximum_qos: QoS,
    pub(super) retain_available: bool,
    pub(super) wildcards_available: bool,
    pub(super) subscription_identifiers_available: bool,
    pub(super) shared_available: bool,
    pub(super) topic_alias_maximum: u16,
}

impl Config {
    pub(super) fn announced(&self) -> Announced {
        Announced {
            receive_maximum: self.receive_maximum,
            maximum_packet_size: self.maximum_packet_size,
            maximum_qos: self.maximum_qos,
            retain_available: self.retain_available,
            wildcards_available: self.wildcards_available,
            subscription_identifiers_available: self.subscription_identifiers_available,
            shared_available: self.shared_available,
            topic_alias_maximum: self.topic_alias_maximum,
        }
    }

    pub(super) fn is_poisonous(&self, topic: &str) -> bool {
        self.poisonous.iter().any(|filter| packetboat_core::topic::matches(filter.as_str(), topic))
    }

    pub(super) fn is_denied(&self, topic: &str) -> bool {
        self.denied.iter().any(|filter| packetboat_core::topic::matches(filter.as_str(), topic))
    }
}
