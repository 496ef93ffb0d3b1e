//! What waits to be sent: looking at it, and taking it back.

use std::time::Duration;

use packetboat_core::session::{Queue, Stage as Progress, Ticket};
use packetboat_core::wire::QoS;

use crate::{Client, Stage};

/// An accepted message that is not finished, as it was when it was asked for; in the list that
/// [`Client::queued`](crate::Client::queued) makes. Its payload stays where it is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct QueuedMessage {
    /// Where it goes.
    pub topic: Box<str>,
    /// Delivery guarantee.
    pub qos: QoS,
    /// Whether it is to be retained.
    pub retain: bool,
    /// Bytes of its topic, properties and payload.
    pub size: usize,
    /// How long ago it was accepted.
    pub age: Duration,
    /// How long it may wait still, if it has an expiry interval and was not sent.
    pub expires_in: Option<Duration>,
    /// How far it is: accepted, or on its way.
    pub stage: Stage,
    /// The packet identifier, while it has one.
    pub packet_id: Option<u16>,
    ticket: Ticket,
}

/// What is accepted and not finished.
impl Client {
    /// How much is accepted and not finished.
    #[must_use]
    pub fn queue(&self) -> Queue {
        self.shared().lock().session.queue()
    }

    /// How long the message has waited that has waited longest; `None` when none waits. Those on their way do not count.
    #[must_use]
    pub fn queue_age(&self) -> Option<Duration> {
        let shared = self.shared();
        let oldest = shared.lock().session.oldest_queued()?;
        Some(shared.now().since(oldest))
    }

    /// All accepted messages that are not finished: QoS 1 and 2 in their order, then QoS 0. The list is a copy made under
    /// the client's lock, which takes about a microsecond for ten messages.
    #[must_use]
    pub fn queued(&self) -> Vec<QueuedMessage> {
        let shared = self.shared();
        let now = shared.now();
        let inner = shared.lock();
        let message = |queued: packetboat_core::session::Queued<'_>| QueuedMessage {
            topic: queued.topic.into(),
            qos: queued.qos,
            retain: queued.retain,
            size: queued.size,
            age: now.since(queued.accepted),
            expires_in: queued.expires.map(|at| at.since(now)),
            stage: match queued.stage {
                Progress::Accepted => Stage::Accepted,
                Progress::Written(_) | Progress::Received(_) => Stage::Written,
            },
            packet_id: match queued.stage {
                Progress::Accepted => None,
                Progress::Written(id) | Progress::Received(id) => Some(id),
            },
            ticket: queued.ticket,
        };
        inner.session.queued().map(message).collect()
    }

    /// Withdraws the messages that `wanted` says, and gives their number. Only those can be withdrawn that were never
    /// encoded; the others go on. Their receipts end with [`Withdrawal::Cancelled`](crate::Withdrawal::Cancelled).
    ///
    /// ```no_run
    /// # fn example(client: &packetboat::Client) {
    /// // Old positions are worth nothing.
    /// client.withdraw(|message| message.topic.starts_with("position/") && message.age.as_secs() > 10);
    /// // All of them.
    /// client.withdraw(|_| true);
    /// # }
    /// ```
    #[allow(clippy::must_use_candidate, reason = "it is done, whether the number matters or not")]
    pub fn withdraw(&self, mut wanted: impl FnMut(&QueuedMessage) -> bool) -> usize {
        // What the caller says is asked without the lock: a message may be gone when it comes to that.
        let queued = self.queued().into_iter().filter(|message| message.stage == Stage::Accepted);
        let chosen: Vec<Ticket> =
            queued.filter(|message| wanted(message)).map(|message| message.ticket).collect();
        let mut inner = self.shared().lock();
        chosen.into_iter().filter(|&ticket| inner.cancel(ticket)).count()
    }

    /// Bytes that the socket has not taken: encoded ones, and those of messages that wait to be encoded, for the first
    /// time or again.
    #[must_use]
    pub fn unsent_bytes(&self) -> u64 {
        self.shared().lock().session.unsent()
    }

    /// The packet identifier that the next message of QoS 1 or 2 would get, if nothing else needs one before; never
    /// zero. `None`: all 65,535 are in use.
    #[must_use]
    pub fn next_packet_id(&self) -> Option<u16> {
        self.shared().lock().session.next_packet_id()
    }

    /// Messages accepted from now on are sent at this QoS at most. Others stay as they are.
    pub fn set_maximum_qos(&self, qos: QoS) {
        self.shared().lock().session.set_maximum_qos(qos);
    }
}
