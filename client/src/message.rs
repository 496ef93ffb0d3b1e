//! A message that arrived.

use std::fmt;
use std::str::Utf8Error;
use std::sync::Arc;

use bytes::Bytes;
use packetboat_core::session::{AckToken, Release};
use packetboat_core::wire::{Place, Properties, PropertiesBuf, QoS, Reason};

use crate::Stale;
use crate::shared::Shared;

/// A message from the broker.
///
/// It shares the block of memory it was received in with its neighbours (at most 16 KiB, or its own buffer if it is
/// larger): cloning it, keeping it or taking its payload copies nothing.
///
/// ```
/// use packetboat::Message;
///
/// fn show(message: &Message) {
///     let retained = if message.retain() { " (retained)" } else { "" };
///     println!("{}{retained}: {}", message.topic(), String::from_utf8_lossy(message.payload()));
///     for (name, value) in message.properties().user_properties() {
///         println!("  {name}: {value}");
///     }
/// }
/// ```
pub struct Message {
    block: Arc<Block>,
    parts: Parts,
    pub(crate) token: Option<AckToken>,
    /// Set in manual mode: this message must be acknowledged by its owner.
    pub(crate) shared: Option<Arc<Shared>>,
}

/// Memory that messages share.
#[derive(Debug)]
pub(crate) struct Block {
    /// Their packets as they came.
    pub(crate) bytes: Bytes,
    /// Their topics, beside the bytes: known to be text, and there also where a packet carried an alias.
    pub(crate) topics: Box<str>,
}

/// A part of the block. Packets are shorter than 4 GiB.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Span {
    /// The last `len` before `end`.
    #[inline]
    pub(crate) fn before(end: usize, len: usize) -> Self {
        let narrow = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Self { start: narrow(end - len), end: narrow(end) }
    }

    pub(crate) fn of(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    pub(crate) fn len(self) -> usize {
        (self.end - self.start) as usize
    }
}

/// Where in its block a message is, and the rest of what its packet said.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts {
    /// Among the block's topics.
    pub(crate) topic: Span,
    pub(crate) properties: Span,
    pub(crate) payload: Span,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    pub(crate) dup: bool,
}

impl Message {
    #[inline]
    pub(crate) fn new(block: Arc<Block>, parts: Parts) -> Self {
        Self { block, parts, token: None, shared: None }
    }

    /// The topic it was published on.
    #[must_use]
    pub fn topic(&self) -> &str {
        let Span { start, end } = self.parts.topic;
        self.block.topics.get(start as usize..end as usize).unwrap_or_default()
    }

    /// The application bytes.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.parts.payload.of(&self.block.bytes)
    }

    /// The payload as text, if its sender declared it to be (payload format indicator 1, 5.0): an error where it is not
    /// what it says. `None`: it was not declared.
    ///
    /// What is refused for it is [`ack_with`](Self::ack_with) `Reason::PAYLOAD_FORMAT_INVALID`.
    #[must_use]
    pub fn text(&self) -> Option<Result<&str, Utf8Error>> {
        let declared = self.properties().payload_format_indicator() == Some(true);
        declared.then(|| std::str::from_utf8(self.payload()))
    }

    /// The application bytes as a handle of their own, without copying. It keeps the block alive.
    #[must_use]
    pub fn payload_bytes(&self) -> Bytes {
        let Span { start, end } = self.parts.payload;
        self.block.bytes.slice(start as usize..end as usize)
    }

    /// The PUBLISH properties; empty on 3.1.1.
    #[must_use]
    pub fn properties(&self) -> Properties<'_> {
        // They were valid when the packet was decoded.
        Properties::parse(self.parts.properties.of(&self.block.bytes), Place::Publish)
            .unwrap_or(Properties::EMPTY)
    }

    /// The delivery guarantee of this delivery.
    #[must_use]
    pub fn qos(&self) -> QoS {
        self.parts.qos
    }

    /// It was the topic's retained message, or carries the flag as published if that was asked for.
    #[must_use]
    pub fn retain(&self) -> bool {
        self.parts.retain
    }

    /// The broker delivers it again, or says it may.
    #[must_use]
    pub fn dup(&self) -> bool {
        self.parts.dup
    }

    /// Confirms it to the broker (manual mode). In automatic mode, for QoS 0 and of a clone, there is nothing to do.
    ///
    /// ```no_run
    /// # async fn example(client: packetboat::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut orders = client.subscription("orders/#").manual_ack().await?;
    /// while let Some(order) = orders.next().await {
    ///     // ... what must not get lost ...
    ///     if order.ack().is_err() {
    ///         println!("it comes again");
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn ack(mut self) -> Result<(), Stale> {
        self.release(Release::Acknowledge)
    }

    /// Refuses it for good, with a reason (manual mode). The broker does not deliver it again; on 3.1.1, which knows
    /// no reasons, this is the same as [`ack`](Self::ack).
    pub fn reject(mut self, reason: Reason) -> Result<(), Stale> {
        self.release(Release::Reject(reason))
    }

    /// Confirms or refuses it (manual mode) with a reason of PUBACK and PUBREC, and with reason string and user properties
    /// for the broker's log, which are left out where they would make the packet too large for the broker. On 3.1.1 this
    /// is the same as [`ack`](Self::ack).
    ///
    /// ```no_run
    /// # use packetboat::{Message, PropertiesBuf, Reason};
    /// # fn refuse(message: Message) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut why = PropertiesBuf::new();
    /// why.reason_string("no such valve")?.user_property("valve", "7")?;
    /// message.ack_with(Reason::IMPLEMENTATION_SPECIFIC_ERROR, &why)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn ack_with(mut self, reason: Reason, properties: &PropertiesBuf) -> Result<(), Stale> {
        let (Some(shared), Some(token)) = (self.shared.take(), self.token.take()) else { return Ok(()) };
        let released = shared.lock().release_with(token, reason, properties.as_properties());
        if released { Ok(()) } else { Err(Stale) }
    }

    /// Bytes this message holds of its block.
    pub(crate) fn size(&self) -> usize {
        let Parts { topic, properties, payload, .. } = &self.parts;
        OVERHEAD + topic.len() + properties.len() + payload.len()
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
        Self { block: self.block.clone(), parts: self.parts, token: None, shared: None }
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
            .field("qos", &self.qos())
            .field("retain", &self.retain())
            .field("dup", &self.dup())
            .field("properties", &self.properties())
            .finish_non_exhaustive()
    }
}
