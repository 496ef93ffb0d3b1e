//! One accepted message.

use alloc::vec::Vec;

use super::event::{Outcome, Tag};
use super::handle::Handle;
use crate::time::Instant;
use crate::wire::{Properties, QoS};

/// No slot: where a list ends.
pub(super) const NIL: u32 = u32::MAX;

/// Memory of this size stays with a free slot: allocating costs a small message a tenth of all it costs.
const KEPT: usize = 128;

/// Where a record is on its way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum State {
    /// In the slab's free list.
    Free,
    /// Finished; its owner has not yet taken the outcome.
    Ended,
    /// In the queue, without an identifier.
    Queued,
    /// Has an identifier; its PUBLISH must go out, for the first time or again.
    ToSend,
    /// PUBLISH encoded, QoS 1.
    AwaitPuback,
    /// PUBLISH encoded, QoS 2.
    AwaitPubrec,
    /// PUBREC received: the broker owns the message. Only PUBREL and PUBCOMP are left.
    AwaitPubcomp,
}

/// One accepted message.
#[derive(Debug)]
pub(super) struct Record<P> {
    /// Its neighbours in the list it is in.
    pub(super) next: u32,
    pub(super) previous: u32,
    pub(super) state: State,
    pub(super) qos: QoS,
    pub(super) retain: bool,
    pub(super) drop_properties: bool,
    /// Bytes of its PUBLISH reached a socket: the next one is a re-delivery [MQTT-3.3.1-1].
    pub(super) transmitted: bool,
    /// The same, for a session the broker has lost since.
    pub(super) attempted: bool,
    pub(super) possible_duplicate: bool,
    /// Takes one of the broker's receive maximum on this connection.
    pub(super) occupies: bool,
    /// Connections that ended while its PUBLISH was unanswered, and might have ended because of it.
    pub(super) interruptions: u8,
    /// Packet identifier, or zero.
    pub(super) id: u16,
    topic_len: u16,
    properties_len: u32,
    /// Where in `head` the value of the message expiry interval is; zero: there is none.
    expiry_at: u32,
    /// Topic, properties, and the payload unless it is shared: one allocation.
    head: Vec<u8>,
    shared: Option<P>,
    pub(super) deadline: Option<Instant>,
    /// When it was accepted.
    pub(super) accepted: Instant,
    /// Order of acceptance.
    pub(super) sequence: u64,
    /// Stream position of its PUBLISH on this connection; after PUBREC, its place among the PUBRECs.
    pub(super) start: u64,
    /// When its last packet was encoded.
    pub(super) since: Instant,
    /// The store record that must be committed before its next packet.
    pub(super) stored: u64,
    pub(super) tag: Tag,
    /// How it ended, until its owner takes that.
    pub(super) outcome: Option<Outcome>,
    /// Its owner waits for the end.
    pub(super) watched: bool,
}

/// What a record is made of.
#[derive(Debug)]
pub(super) struct Parts<'a, P> {
    pub(super) topic: &'a str,
    pub(super) properties: &'a [u8],
    pub(super) payload: &'a [u8],
    /// Keep this handle instead of copying the payload.
    pub(super) shared: Option<&'a P>,
    pub(super) qos: QoS,
    pub(super) retain: bool,
    pub(super) drop_properties: bool,
    pub(super) tag: Tag,
}

impl State {
    /// After the PUBLISH of a message that is to be acknowledged.
    #[inline]
    pub(super) fn awaiting_first_answer(qos: QoS) -> Self {
        if qos == QoS::ExactlyOnce { Self::AwaitPubrec } else { Self::AwaitPuback }
    }
}

impl<P> Parts<'_, P> {
    /// Bytes of it in memory.
    #[inline]
    pub(super) fn size(&self) -> usize {
        self.topic.len() + self.properties.len() + self.payload.len()
    }
}

impl<P: Handle> Record<P> {
    /// A slot that has never had a tenant.
    pub(super) fn vacant() -> Self {
        Self {
            next: NIL,
            previous: NIL,
            state: State::Free,
            qos: QoS::AtMostOnce,
            retain: false,
            drop_properties: false,
            transmitted: false,
            attempted: false,
            possible_duplicate: false,
            occupies: false,
            interruptions: 0,
            id: 0,
            topic_len: 0,
            properties_len: 0,
            expiry_at: 0,
            head: Vec::new(),
            shared: None,
            deadline: None,
            accepted: Instant::default(),
            sequence: 0,
            start: 0,
            since: Instant::default(),
            stored: 0,
            tag: Tag::NONE,
            outcome: None,
            watched: false,
        }
    }

    /// A new tenant. Every field of the last one is replaced, in place; its memory is used again.
    #[allow(clippy::inline_always, reason = "every message sent: the calls would be a tenth of the whole")]
    #[inline(always)]
    pub(super) fn fill(&mut self, parts: &Parts<'_, P>, sequence: u64, now: Instant) {
        let inline = if parts.shared.is_some() { &[][..] } else { parts.payload };
        self.head.reserve_exact(parts.topic.len() + parts.properties.len() + inline.len());
        self.head.extend_from_slice(parts.topic.as_bytes());
        if !parts.properties.is_empty() {
            self.head.extend_from_slice(parts.properties);
        }
        self.head.extend_from_slice(inline);
        self.state = State::Queued;
        self.qos = parts.qos;
        self.retain = parts.retain;
        self.drop_properties = parts.drop_properties;
        self.transmitted = false;
        self.attempted = false;
        self.possible_duplicate = false;
        self.occupies = false;
        self.interruptions = 0;
        self.id = 0;
        self.topic_len = u16::try_from(parts.topic.len()).unwrap_or(u16::MAX);
        self.properties_len = u32::try_from(parts.properties.len()).unwrap_or(u32::MAX);
        self.expiry_at = 0;
        self.shared = parts.shared.cloned();
        self.deadline = None;
        self.accepted = now;
        self.sequence = sequence;
        self.start = 0;
        self.since = Instant::default();
        self.stored = 0;
        self.tag = parts.tag;
        self.watched = false;
    }

    /// What it was made of is needed no more.
    #[inline]
    pub(super) fn empty(&mut self) {
        self.head.clear();
        if self.head.capacity() > KEPT {
            self.head = Vec::new();
        }
        self.shared = None;
    }

    pub(super) fn topic(&self) -> &str {
        core::str::from_utf8(&self.head[..usize::from(self.topic_len)]).unwrap_or_default()
    }

    pub(super) fn properties(&self) -> &[u8] {
        let start = usize::from(self.topic_len);
        &self.head[start..start + self.properties_len as usize]
    }

    /// The payload, unless it is shared.
    pub(super) fn inline(&self) -> &[u8] {
        &self.head[usize::from(self.topic_len) + self.properties_len as usize..]
    }

    pub(super) fn shared(&self) -> Option<&P> {
        self.shared.as_ref()
    }

    pub(super) fn payload(&self) -> &[u8] {
        self.shared.as_ref().map_or_else(|| self.inline(), Handle::resident)
    }

    pub(super) fn is_unfinished(&self) -> bool {
        !matches!(self.state, State::Free | State::Ended)
    }

    /// Bytes of it reached a socket, on this session of the broker's or on an earlier one.
    pub(super) fn may_have_arrived(&self) -> bool {
        self.transmitted || self.attempted
    }

    /// Bytes it holds.
    pub(super) fn size(&self) -> usize {
        self.head.len() + self.shared.as_ref().map_or(0, |payload| payload.resident().len())
    }

    /// Bytes of its payload that are not in memory.
    pub(super) fn absent(&self) -> usize {
        self.shared.as_ref().map_or(0, Handle::absent)
    }

    /// They are not to be had.
    pub(super) fn is_lost(&self) -> bool {
        self.shared.as_ref().is_some_and(Handle::is_lost)
    }

    /// Remember when it expires, and where in its properties the interval stands.
    pub(super) fn expire(&mut self, deadline: Instant) {
        self.deadline = Some(deadline);
        let block = self.properties();
        let value = Properties::trusted(block).offset_of_message_expiry_interval();
        self.expiry_at = value.map_or(0, |at| u32::from(self.topic_len) + u32::try_from(at).unwrap_or(0));
    }

    /// Is it too late to send it for the first time? An interval of zero lasts for the instant it was accepted in.
    pub(super) fn has_expired(&self, now: Instant) -> bool {
        self.deadline.is_some_and(|at| at <= now && self.accepted < now)
    }

    /// Write the interval that is left into the properties [MQTT-3.3.2-6].
    pub(super) fn reduce_expiry(&mut self, now: Instant) {
        if let (Some(deadline), at @ 1..) = (self.deadline, self.expiry_at as usize) {
            // Only whole seconds that passed are taken away: a message still valid never says zero, but one that always did.
            let left = deadline.since(now).as_millis().div_ceil(1000);
            let left = u32::try_from(left).unwrap_or(u32::MAX);
            self.head[at..at + 4].copy_from_slice(&left.to_be_bytes());
        }
    }
}
