//! What is gone with the connection.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;

use super::Phase;
use super::alias::{self, Alias};
use super::event::Cause;
use super::handle::Handle;
use super::keepalive::KeepAlive;
use super::limits::{Limits, PUBLISH_OVERHEAD};
use super::output::Output;
use crate::time::Instant;
use crate::wire::{
    Ack, AckKind, Packet, PropertiesBuf, Publish, Reason, Version, encode, encode_publish,
    encode_publish_head, encoded_len,
};

/// By the acknowledgement's kind and identifier; absent if there are none.
pub(super) type Explanations = Option<Box<BTreeMap<(u8, u16), Box<PropertiesBuf>>>>;

/// Shared payloads above this size are spliced into the output instead of being copied.
const SPLICE: usize = 8 * 1024;

/// Encoded bytes that wait for the socket before messages have to wait instead.
pub(super) const OUTPUT_HIGH_WATER: u64 = 256 * 1024;

/// Bytes of a topic alias property.
const ALIAS: usize = 3;

/// One connection, from `handle_open` to `handle_close`.
#[derive(Debug)]
pub(super) struct Link<P> {
    pub(super) phase: Phase,
    pub(super) version: Version,
    /// Why it ends, once that is known.
    pub(super) cause: Option<Box<Cause>>,
    /// While offline: those of the last connection.
    pub(super) limits: Limits,
    pub(super) keep_alive: KeepAlive,
    /// PINGREQs encoded and PINGRESPs that came, on this connection.
    probes: u64,
    pub(super) probes_answered: u64,
    pub(super) output: Output<P>,
    /// Stream position of the end of `output`: bytes encoded on this connection.
    pub(super) position: u64,
    /// Bytes the socket took.
    pub(super) written: u64,
    /// So many may wait for the socket before messages have to wait; zero holds all messages back.
    pub(super) high_water: u64,
    /// No message is to be sent before the next connection.
    pub(super) on_hold: bool,
    /// Messages are sent one at a time, with nothing beside them.
    pub(super) careful: bool,
    pub(super) aliases: alias::Outgoing,
    /// Unacknowledged arrivals the broker may have, as our CONNECT said.
    pub(super) receive_maximum: u16,
    /// The same number, whether or not the broker knows of it and is held to it.
    pub(super) window: u16,
    /// What goes with acknowledgements that are not out yet, by identifier.
    pub(super) explanations: Explanations,
    /// Seconds, as our CONNECT said.
    pub(super) requested_keep_alive: u16,
    /// Seconds by which a probe is ahead of that.
    pub(super) probe_ahead: u16,
    /// Our CONNECT asked for a clean start.
    pub(super) clean_start: bool,
    /// Our CONNECT asked the broker to keep the session.
    pub(super) keeps_session: bool,
    /// The session is to end at disconnect though it survives a cut.
    pub(super) ends_at_disconnect: bool,
    /// The authentication method our CONNECT named.
    pub(super) method: Option<Box<Method>>,
}

#[derive(Debug)]
pub(super) struct Method {
    pub(super) name: Box<str>,
    /// A re-authentication is under way; when our last AUTH was encoded.
    pub(super) exchange: Option<Instant>,
}

impl<P> Link<P> {
    pub(super) fn new(version: Version) -> Self {
        Self {
            phase: Phase::Offline,
            version,
            cause: None,
            limits: Limits::default(),
            keep_alive: KeepAlive::default(),
            probes: 0,
            probes_answered: 0,
            output: Output::default(),
            position: 0,
            written: 0,
            high_water: OUTPUT_HIGH_WATER,
            on_hold: false,
            careful: false,
            aliases: alias::Outgoing::default(),
            receive_maximum: u16::MAX,
            window: u16::MAX,
            explanations: None,
            requested_keep_alive: 0,
            probe_ahead: 0,
            clean_start: false,
            keeps_session: false,
            ends_at_disconnect: false,
            method: None,
        }
    }

    /// Back to offline; what the next connection negotiates anew is forgotten.
    pub(super) fn end(&mut self) {
        let limits = self.limits;
        let explanations = core::mem::take(&mut self.explanations);
        *self = Self { limits, explanations, ..Self::new(self.version) };
    }
}

impl<P: Handle> Link<P> {
    /// Encode a packet that is not a PUBLISH.
    pub(super) fn reply(&mut self, packet: &Packet<'_>) {
        let before = self.output.bytes.len();
        encode(self.version, packet, &mut self.output.bytes);
        let added = self.output.bytes.len() - before;
        self.output.replies += added;
        self.position += added as u64;
    }

    /// Encode a PINGREQ. Its number on this connection.
    pub(super) fn probe(&mut self) -> u64 {
        self.reply(&Packet::PingReq);
        self.probes += 1;
        self.probes
    }

    /// Encode an acknowledgement.
    #[inline]
    pub(super) fn acknowledge(&mut self, kind: AckKind, id: u16, reason: Reason) {
        let ack = Ack { reason, ..Ack::new(kind, id) };
        if reason != Reason::SUCCESS || self.explanations.is_some() {
            return self.acknowledge_with_words(ack);
        }
        let bytes = ack.plain_bytes();
        self.output.bytes.extend_from_slice(&bytes);
        self.output.replies += bytes.len();
        self.position += bytes.len() as u64;
    }

    /// Reason string and user properties are left out where the packet would be too large
    /// [MQTT-3.4.2-2, MQTT-3.4.2-3, MQTT-3.5.2-2, MQTT-3.5.2-3].
    #[cold]
    fn acknowledge_with_words(&mut self, ack: Ack<'_>) {
        let words = self.explanations.as_mut().and_then(|words| words.remove(&(ack.kind as u8, ack.id)));
        self.explanations = self.explanations.take().filter(|others| !others.is_empty());
        let words = words.filter(|_| self.limits.properties);
        let packet =
            words.as_ref().map(|words| Packet::Ack(Ack { properties: words.as_properties(), ..ack }));
        let packet = packet.filter(|packet| self.takes(packet)).unwrap_or(Packet::Ack(ack));
        self.reply(&packet);
    }

    /// Is it within the broker's maximum packet size?
    pub(super) fn takes(&self, packet: &Packet<'_>) -> bool {
        encoded_len(self.version, packet) <= self.limits.maximum_packet_size as usize
    }

    /// Encode a PUBLISH, under an alias if there are any; splice in `shared`, its payload, if that is large.
    ///
    /// `publish` is asked for it in each branch, so that the usual one need not put it together in memory for the others.
    #[inline]
    pub(super) fn encode_publish<'a>(&mut self, publish: impl Fn() -> Publish<'a>, shared: Option<&P>) {
        match shared {
            _ if self.aliases.is_enabled() => self.encode_aliased(publish(), shared),
            Some(handle) if is_spliced(handle) => self.splice_publish(&publish(), handle),
            _ => self.put_publish(&publish()),
        }
    }

    /// The same for a message that has waited. Apart, so that the other is one with its only caller.
    #[inline(never)]
    pub(super) fn encode_publish_again(&mut self, publish: &Publish<'_>, shared: Option<&P>) {
        self.encode_publish(|| *publish, shared);
    }

    #[cold]
    fn encode_aliased(&mut self, mut publish: Publish<'_>, shared: Option<&P>) {
        let bound = PUBLISH_OVERHEAD
            + ALIAS
            + publish.topic.len()
            + publish.properties.as_bytes().len()
            + publish.payload.len()
            + shared.map_or(0, Handle::absent);
        // An alias in place of its topic is always shorter; one beside its topic must not make it too large.
        let may_add = bound <= self.limits.maximum_packet_size as usize;
        let mut properties = PropertiesBuf::from(publish.properties);
        match self.aliases.assign(publish.topic, may_add) {
            Alias::None => {}
            Alias::New(alias) => {
                let _ = properties.topic_alias(alias);
            }
            Alias::Known(alias) => {
                publish.topic = "";
                let _ = properties.topic_alias(alias);
            }
        }
        let publish = Publish { properties: properties.as_properties(), ..publish };
        match shared {
            Some(handle) if is_spliced(handle) => self.splice_publish(&publish, handle),
            _ => self.put_publish(&publish),
        }
    }

    #[inline]
    fn put_publish(&mut self, publish: &Publish<'_>) {
        let before = self.output.bytes.len();
        encode_publish(self.version, publish, &mut self.output.bytes);
        self.position += (self.output.bytes.len() - before) as u64;
    }

    #[cold]
    fn splice_publish(&mut self, publish: &Publish<'_>, handle: &P) {
        let (before, payload) = (self.output.bytes.len(), publish.payload.len() + handle.absent());
        encode_publish_head(self.version, publish, payload, &mut self.output.bytes);
        let offset = self.output.bytes.len();
        self.output.splices.push((offset, handle.clone()));
        self.position += (offset - before + payload) as u64;
    }
}

/// Is this payload spliced into the output?
#[inline]
fn is_spliced<P: Handle>(handle: &P) -> bool {
    handle.resident().len() > SPLICE || handle.absent() > 0
}
