//! What becomes of messages on their way out.

use packetboat_core::wire::QoS;

use super::{Options, QueuePolicy};
use crate::TopicDefaults;

impl Options {
    /// Messages above this QoS are sent at this QoS. Default: 2.
    #[must_use]
    pub fn maximum_qos(mut self, qos: QoS) -> Self {
        self.choose().maximum_qos = qos;
        self
    }

    /// Bounds of what is accepted and waits for connection, window or socket. Default: 1,000 messages, 16 MiB. One
    /// message larger than the bound in bytes is taken when nothing else waits.
    #[must_use]
    pub fn queue(mut self, messages: usize, bytes: usize) -> Self {
        let choices = self.choose();
        (choices.queue_messages, choices.queue_bytes) = (messages.max(1), bytes);
        self
    }

    /// What a publish does when the queue is full. Default: [`QueuePolicy::Wait`].
    #[must_use]
    pub fn queue_policy(mut self, policy: QueuePolicy) -> Self {
        self.choose().queue_policy = policy;
        self
    }

    /// Keep QoS 0 messages while offline (true), or drop them at once. Default: true.
    #[must_use]
    pub fn queue_qos0_offline(mut self, keep: bool) -> Self {
        self.choose().queue_qos0_offline = keep;
        self
    }

    /// When the broker lost the session, exactly-once messages without a confirmation are sent again and flagged
    /// [`possible_duplicate`](crate::Published::possible_duplicate) (true), or end as
    /// [`PublishError::Uncertain`](crate::PublishError::Uncertain) (false). Default: true.
    #[must_use]
    pub fn resend_unresolved(mut self, resend: bool) -> Self {
        self.choose().resend_unresolved = resend;
        self
    }

    /// The servers share their sessions (true). Otherwise the session begins anew at each change of server: what was
    /// accepted is sent there, what was kept there for this client is forgotten. Default: false.
    #[must_use]
    pub fn shared_sessions(mut self, shared: bool) -> Self {
        self.choose().shared_sessions = shared;
        self
    }

    /// A message is given up when so many connections ended while it was on the way, all but the first two with nothing
    /// beside it. Silence, a missing acknowledgement and goodbyes that name another reason do not count. Three at
    /// least; zero: never. Default: 5.
    #[must_use]
    pub fn poison_limit(mut self, connections: u8) -> Self {
        self.choose().poison_limit = connections;
        self
    }

    /// The delivery guarantee of messages that do not say theirs. Default: QoS 0.
    #[must_use]
    pub fn default_qos(mut self, qos: QoS) -> Self {
        self.choose().defaults.qos = qos;
        self
    }

    /// The retain flag of messages that do not say theirs. Default: false.
    #[must_use]
    pub fn default_retain(mut self, retain: bool) -> Self {
        self.choose().defaults.retain = retain;
        self
    }

    /// QoS and retain flag of messages to matching topics that do not say theirs. The filter that is the topic itself
    /// counts first, then the most specific one. Default: none. A wrong filter is reported by
    /// [`Client::connect`](crate::Client::connect) and [`Client::start`](crate::Client::start).
    ///
    /// ```
    /// use packetboat::{Options, QoS, TopicDefaults};
    ///
    /// let options = Options::new("mqtt://localhost")
    ///     .topic_defaults("alarm/#", TopicDefaults::new().qos(QoS::ExactlyOnce))
    ///     .topic_defaults("status", TopicDefaults::new().qos(QoS::AtLeastOnce).retain(true));
    /// ```
    #[must_use]
    pub fn topic_defaults(mut self, filter: &str, defaults: TopicDefaults) -> Self {
        match filter.parse() {
            Ok(filter) => self.choose().defaults.add(filter, defaults),
            Err(error) => self.choose().wrong_default = Some(error),
        }
        self
    }
}
