//! A message that arrived.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use packetboat_core::session::{AckToken, Release};
use packetboat_core::wire::{Place, Properties, QoS, Reason};

use crate::Stale;
use crate::shared::Shared;

/// A message from the broker.
///
/// It shares the block of memory it was received in with its neighbours (at most 16 KiB, or its own buffer if it is
/// larger): cloning it, keeping it or taking its payload copies nothing.
pub struct Message {
    bytes: Bytes,
    aliased: Option<Arc<str>>,
    topic: Span,
    properties: Span,
    payload: Span,
    qos: QoS,
    retain: bool,
    dup: bool,
    pub(crate) token: Option<AckToken>,
    /// Set in manual mode: this message must be acknowledged by its owner.
    pub(crate) shared: Option<Arc<Shared>>,
}

/// A part of the block. Packets are shorter than 4 GiB.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Span {
    /// Where `part` is in `whole`, of which it must be a slice, or empty.
    #[inline]
    pub(crate) fn between(whole: &[u8], part: &[u8]) -> Self {
        if part.is_empty() {
            return Self::default();
        }
        let start = part.as_ptr().addr() - whole.as_ptr().addr();
        let narrow = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Self { start: narrow(start), end: narrow(start + part.len()) }
    }

    pub(crate) fn of(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    fn len(self) -> usize {
        (self.end - self.start) as usize
    }
}

/// Where in its block a message is, and the rest of what its packet said.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    pub(crate) aliased: Option<Arc<str>>,
    pub(crate) topic: Span,
    pub(crate) properties: Span,
    pub(crate) payload: Span,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    pub(crate) dup: bool,
}

impl Message {
    #[inline]
    pub(crate) fn new(bytes: Bytes, parts: &Parts) -> Self {
        Self {
            bytes,
            aliased: parts.aliased.clone(),
            topic: parts.topic,
            properties: parts.properties,
            payload: parts.payload,
            qos: parts.qos,
            retain: parts.retain,
            dup: parts.dup,
            token: None,
            shared: None,
        }
    }

    /// The topic it was published on.
    #[must_use]
    pub fn topic(&self) -> &str {
        match &self.aliased {
            Some(topic) => topic,
            None => std::str::from_utf8(self.topic.of(&self.bytes)).unwrap_or_default(),
        }
    }

    /// The application bytes.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.payload.of(&self.bytes)
    }

    /// The application bytes as a handle of their own, without copying. It keeps the block alive.
    #[must_use]
    pub fn payload_bytes(&self) -> Bytes {
        self.bytes.slice(self.payload.start as usize..self.payload.end as usize)
    }

    /// The PUBLISH properties; empty on 3.1.1.
    #[must_use]
    pub fn properties(&self) -> Properties<'_> {
        // They were valid when the packet was decoded.
        Properties::parse(self.properties.of(&self.bytes), Place::Publish).unwrap_or(Properties::EMPTY)
    }

    /// The delivery guarantee of this delivery.
    #[must_use]
    pub fn qos(&self) -> QoS {
        self.qos
    }

    /// It was the topic's retained message, or carries the flag as published if that was asked for.
    #[must_use]
    pub fn retain(&self) -> bool {
        self.retain
    }

    /// The broker delivers it again, or says it may.
    #[must_use]
    pub fn dup(&self) -> bool {
        self.dup
    }

    /// Confirms it to the broker (manual mode). In automatic mode, and for QoS 0, there is nothing to do.
    pub fn ack(mut self) -> Result<(), Stale> {
        self.release(Release::Acknowledge)
    }

    /// Refuses it for good, with a reason (manual mode). The broker does not deliver it again; on 3.1.1, which knows
    /// no reasons, this is the same as [`ack`](Self::ack).
    pub fn reject(mut self, reason: Reason) -> Result<(), Stale> {
        self.release(Release::Reject(reason))
    }

    /// Bytes this message holds of its block.
    pub(crate) fn size(&self) -> usize {
        OVERHEAD + self.topic.len() + self.properties.len() + self.payload.len()
    }

    fn release(&mut self, release: Release) -> Result<(), Stale> {
        let (Some(shared), Some(token)) = (self.shared.take(), self.token.take()) else { return Ok(()) };
        if shared.lock().release(token, release) { Ok(()) } else { Err(Stale) }
    }
}

/// What a queued message takes beside its bytes.
const OVERHEAD: usize = size_of::<Message>();

/// A copy to keep: the duty to acknowledge stays with the original.
impl Clone for Message {
    fn clone(&self) -> Self {
        Self { bytes: self.bytes.clone(), aliased: self.aliased.clone(), token: None, shared: None, ..*self }
    }
}

/// Dropped in manual mode without a word: given up on this connection, delivered again on the next.
impl Drop for Message {
    fn drop(&mut self) {
        if self.shared.is_some() {
            let _ = self.release(Release::Abandon);
        }
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("topic", &self.topic())
            .field("payload", &self.payload_bytes())
            .field("qos", &self.qos)
            .field("retain", &self.retain)
            .field("dup", &self.dup)
            .field("properties", &self.properties())
            .finish_non_exhaustive()
    }
}
