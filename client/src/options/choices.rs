//! What most clients of a program have in common, and its defaults.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

use packetboat_core::session::{SessionMode, Will};
use packetboat_core::topic::TopicError;
use packetboat_core::wire::{PropertiesBuf, QoS};

use super::{Exchange, Jitter, QueuePolicy, VersionChoice};
use crate::ServerOptions;
use crate::defaults::Defaults;
use crate::hooks::{Hooks, Refusals};
use crate::tap::Taps;

/// Options that are shared by all clients for which the same was chosen: ten thousand keep them once.
#[derive(Clone)]
pub(crate) struct Choices {
    pub(crate) more_servers: Vec<ServerOptions>,
    pub(crate) version: VersionChoice,
    pub(crate) will: Option<Box<Will>>,
    pub(crate) keep_alive: Duration,
    pub(crate) probe_ahead: Duration,
    pub(crate) session: SessionMode,
    pub(crate) properties: PropertiesBuf,
    pub(crate) connect_timeout: Duration,
    pub(crate) acknowledgement_timeout: Duration,
    pub(crate) drain_timeout: Duration,
    pub(crate) window: u16,
    pub(crate) unannounced_window: u16,
    pub(crate) maximum_qos: QoS,
    pub(crate) queue_messages: usize,
    pub(crate) queue_bytes: usize,
    pub(crate) queue_policy: QueuePolicy,
    pub(crate) queue_qos0_offline: bool,
    pub(crate) resend_unresolved: bool,
    pub(crate) poison_limit: u8,
    pub(crate) defaults: Defaults,
    pub(crate) wrong_default: Option<TopicError>,
    pub(crate) outgoing_aliases: u16,
    pub(crate) inbound_messages: u16,
    pub(crate) strict_receive_maximum: bool,
    pub(crate) inbound_bytes: usize,
    pub(crate) maximum_packet_size: u32,
    pub(crate) topic_alias_maximum: u16,
    pub(crate) backoff: (Duration, Duration),
    pub(crate) jitter: Jitter,
    pub(crate) stable_after: Duration,
    pub(crate) retry_limit: Option<u32>,
    pub(crate) shared_sessions: bool,
    pub(crate) return_after: Option<Duration>,
    pub(crate) renew_after: Option<Duration>,
    pub(crate) refusals: Refusals,
    pub(crate) redirect_limit: u8,
    pub(crate) on_demand: bool,
    pub(crate) require_clock: Option<SystemTime>,
    pub(crate) hooks: Option<Box<Hooks>>,
    pub(crate) taps: Taps,
    pub(crate) exchange: Exchange,
}

/// What those have who chose nothing.
pub(super) static USUAL: LazyLock<Arc<Choices>> = LazyLock::new(Arc::default);

impl Default for Choices {
    fn default() -> Self {
        Self {
            more_servers: Vec::new(),
            version: VersionChoice::Auto,
            will: None,
            keep_alive: Duration::from_mins(1),
            probe_ahead: Duration::ZERO,
            session: SessionMode::UntilDisconnect,
            properties: PropertiesBuf::new(),
            connect_timeout: Duration::from_secs(10),
            acknowledgement_timeout: Duration::from_mins(1),
            drain_timeout: Duration::from_secs(5),
            window: 1024,
            unannounced_window: 20,
            maximum_qos: QoS::ExactlyOnce,
            queue_messages: 1000,
            queue_bytes: 16 * 1024 * 1024,
            queue_policy: QueuePolicy::Wait,
            queue_qos0_offline: true,
            resend_unresolved: true,
            poison_limit: 5,
            defaults: Defaults::default(),
            wrong_default: None,
            outgoing_aliases: 0,
            inbound_messages: 1024,
            strict_receive_maximum: false,
            inbound_bytes: 16 * 1024 * 1024,
            maximum_packet_size: 256 * 1024 * 1024,
            topic_alias_maximum: 16,
            backoff: (Duration::from_secs(1), Duration::from_mins(2)),
            jitter: Jitter::Full,
            stable_after: Duration::from_secs(30),
            retry_limit: None,
            shared_sessions: false,
            return_after: None,
            renew_after: None,
            refusals: Refusals::RetrySlowly,
            redirect_limit: 3,
            on_demand: false,
            require_clock: None,
            hooks: None,
            taps: Taps::default(),
            exchange: Exchange::default(),
        }
    }
}
