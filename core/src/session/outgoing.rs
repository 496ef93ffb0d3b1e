//! A message as it is lent to the session.

use super::event::Tag;
use super::handle::Handle;
use crate::topic::TopicName;
use crate::wire::{Properties, QoS};

/// A message on its way out. Everything is lent: a refused message is still the caller's.
#[derive(Debug)]
pub struct Outgoing<'a, P> {
    /// Where it goes.
    pub topic: TopicName<'a>,
    /// Application bytes.
    pub payload: Payload<'a, P>,
    /// Delivery guarantee.
    pub qos: QoS,
    /// Keep it as the topic's retained message.
    pub retain: bool,
    /// PUBLISH properties (5.0). No topic alias and no subscription identifier: the session assigns those.
    pub properties: Properties<'a>,
    /// Send it without its properties where the connection turns out to be 3.1.1.
    pub drop_properties: bool,
    /// Comes back in [`Event::Published`](super::Event::Published).
    pub tag: Tag,
}

impl<P> Clone for Outgoing<'_, P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P> Copy for Outgoing<'_, P> {}

/// Application bytes, lent to the session. It copies small ones and shares large ones, if it must keep them.
#[derive(Debug)]
pub enum Payload<'a, P> {
    /// Plain bytes, copied.
    Borrowed(&'a [u8]),
    /// A cheaply cloned handle: large payloads are kept and transmitted without a copy.
    Shared(&'a P),
}

impl<P> Clone for Payload<'_, P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P> Copy for Payload<'_, P> {}

impl<'a, P: Handle> Payload<'a, P> {
    /// The bytes in memory.
    #[must_use]
    pub fn as_bytes(&self) -> &'a [u8] {
        match *self {
            Self::Borrowed(bytes) => bytes,
            Self::Shared(handle) => handle.resident(),
        }
    }

    /// How many bytes follow those.
    #[inline]
    pub(super) fn absent(&self) -> usize {
        match *self {
            Self::Borrowed(_) => 0,
            Self::Shared(handle) => handle.absent(),
        }
    }
}
