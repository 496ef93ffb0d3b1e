//! Bytes from the socket to effects: decoding and routing, without the lock.

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::io;
use std::ops::Range;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{BufMut, Bytes, BytesMut};
use packetboat_core::route::Router;
use packetboat_core::session::{Breach, Received, Receiver};
use packetboat_core::wire::{AckKind, Packet, Publish, QoS, Reason};
use tokio::io::{AsyncReadExt, ReadBuf};

use crate::Io;
use crate::message::{Block, Parts, Span};
use crate::shared::RouteChange;

/// Read at once.
const READ: usize = 64 * 1024;

/// Messages of one read share blocks of at most this size; a larger packet has its own.
const BLOCK: usize = 16 * 1024;

/// What lies between two messages of a block is wasted: acknowledgements mostly.
const GAP: usize = 64;

/// An incomplete packet above this size is received in a buffer of its own, which becomes the message.
const LARGE: usize = 32 * 1024;

/// One for each thread: an idle connection keeps nothing.
#[derive(Default)]
pub(super) struct Scratch {
    buffer: Vec<u8>,
    pub(super) batch: Batch,
}

thread_local! {
    static SCRATCH: RefCell<Option<Box<Scratch>>> = const { RefCell::new(None) };
}

impl Scratch {
    #[allow(clippy::unnecessary_box_returns, reason = "it lives in the thread, boxed")]
    pub(super) fn borrow() -> Box<Self> {
        SCRATCH.with(RefCell::take).unwrap_or_default()
    }

    pub(super) fn give_back(self: Box<Self>) {
        SCRATCH.with(|scratch| scratch.replace(Some(self)));
    }
}

/// What a read brought, to be applied under the lock in this order.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) effects: Vec<Effect>,
    pub(super) keys: Vec<u32>,
    pub(super) blocks: Vec<Arc<Block>>,
    /// Those of the block being gathered.
    topics: String,
}

impl Batch {
    fn topic(&mut self, text: &str) -> Span {
        let start = narrow(self.topics.len());
        self.topics.push_str(text);
        Span { start, end: narrow(self.topics.len()) }
    }
}

#[derive(Debug)]
pub(super) enum Effect {
    Message {
        id: Option<u16>,
        keys: Span,
        block: u32,
        parts: Parts,
    },
    /// QoS 0, for nobody.
    Unrouted,
    /// An acknowledgement that says nothing more.
    Ack(AckKind, u16, Reason),
    /// Any other packet; they stand in a list of their own.
    Rare,
    Oversize(Box<Oversize>),
    Breach(Breach),
}

/// A message that was skipped.
#[derive(Debug)]
pub(super) struct Oversize {
    pub(super) qos: QoS,
    pub(super) id: Option<u16>,
    pub(super) topic: String,
    pub(super) size: usize,
}

/// Streams by filter. The task's own: the lock guards only the list of changes.
#[derive(Debug, Default)]
pub(super) struct Routes {
    router: Router<u32>,
    everything: Vec<u32>,
}

impl Routes {
    pub(super) fn apply(&mut self, change: &RouteChange) {
        match change {
            RouteChange::Insert(filter, key) => {
                self.router.insert(filter, *key);
            }
            RouteChange::InsertAll(key) => self.everything.push(*key),
            RouteChange::Remove(Some(filter), key) => {
                self.router.remove(filter, *key);
            }
            RouteChange::Remove(None, key) => self.everything.retain(|other| other != key),
        }
    }

    #[inline]
    fn route(&mut self, publish: &Publish<'_>, topic: &str, keys: &mut Vec<u32>) -> Span {
        let start = keys.len();
        if publish.properties.is_empty() {
            keys.extend_from_slice(self.router.route(topic, []));
        } else {
            keys.extend_from_slice(self.router.route(topic, publish.properties.subscription_identifiers()));
        }
        keys.extend_from_slice(&self.everything);
        Span { start: narrow(start), end: narrow(keys.len()) }
    }
}

/// The incoming half of a connection.
#[derive(Debug)]
pub(super) struct Reader {
    receiver: Receiver,
    /// The front of a packet.
    partial: Vec<u8>,
    large: Option<Large>,
    /// Bytes read in all.
    pub(super) heard: u64,
    /// The first bytes, to guess what answers there if it is not MQTT.
    pub(super) first: [u8; 8],
}

/// A large packet on its way in.
#[derive(Debug)]
struct Large {
    bytes: BytesMut,
    missing: usize,
}

impl Reader {
    pub(super) fn new(receiver: Receiver) -> Self {
        Self { receiver, partial: Vec::new(), large: None, heard: 0, first: [0; 8] }
    }

    /// Read once, and decode. `Ready(0)` is the end of the stream. What came is handed to `apply` with the packets that
    /// are not plain.
    pub(super) fn poll(
        &mut self,
        io: &mut dyn Io,
        cx: &mut Context<'_>,
        scratch: &mut Scratch,
        routes: &mut Routes,
        apply: impl FnOnce(&mut Batch, &[Packet<'_>], &mut Routes),
    ) -> Poll<io::Result<usize>> {
        if self.large.is_some() {
            return self.poll_large(io, cx, &mut scratch.batch, routes, apply);
        }
        let Scratch { buffer, batch } = scratch;
        buffer.resize(READ, 0);
        let kept = self.partial.len();
        buffer[..kept].copy_from_slice(&self.partial);
        let mut into = ReadBuf::new(&mut buffer[kept..]);
        match Pin::new(io).poll_read(cx, &mut into) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) => {}
        }
        let count = into.filled().len();
        if count == 0 {
            return Poll::Ready(Ok(0));
        }
        let input = &buffer[..kept + count];
        self.note(count, input);
        let mut rare = Vec::new();
        let used = decode(&mut self.receiver, routes, input, None, batch, &mut rare);
        self.keep(&input[used.at..], used.missing);
        apply(batch, &rare, routes);
        Poll::Ready(Ok(count))
    }

    fn poll_large(
        &mut self,
        io: &mut dyn Io,
        cx: &mut Context<'_>,
        batch: &mut Batch,
        routes: &mut Routes,
        apply: impl FnOnce(&mut Batch, &[Packet<'_>], &mut Routes),
    ) -> Poll<io::Result<usize>> {
        let Some(large) = &mut self.large else { return Poll::Pending };
        // Memory grows by what was received, not by what was announced.
        let room = large.missing.min(large.bytes.len().max(READ));
        large.bytes.reserve(room);
        let mut into = (&mut large.bytes).limit(room);
        let read = pin!(io.read_buf(&mut into));
        let count = match read.poll(cx) {
            Poll::Ready(Ok(count)) => count,
            other => return other,
        };
        large.missing -= count;
        self.heard += count as u64;
        if count > 0
            && large.missing == 0
            && let Some(large) = self.large.take()
        {
            let whole = large.bytes.freeze();
            let mut rare = Vec::new();
            decode(&mut self.receiver, routes, &whole, Some(&whole), batch, &mut rare);
            apply(batch, &rare, routes);
        } else if count > 0 {
            apply(batch, &[], routes);
        }
        Poll::Ready(Ok(count))
    }

    fn note(&mut self, count: usize, input: &[u8]) {
        self.heard += count as u64;
        if self.heard <= self.first.len() as u64 || self.heard == count as u64 {
            let len = input.len().min(self.first.len());
            self.first[..len].copy_from_slice(&input[..len]);
        }
    }

    /// The front of a packet stays for the next read.
    fn keep(&mut self, rest: &[u8], missing: Option<usize>) {
        self.partial = Vec::new();
        match missing {
            Some(missing) if rest.len() + missing > LARGE => {
                self.large = Some(Large { bytes: BytesMut::from(rest), missing });
            }
            _ => self.partial = rest.to_vec(),
        }
    }
}

struct Used {
    at: usize,
    missing: Option<usize>,
}

/// A stretch of input that becomes a block, with the topics of its messages.
#[derive(Default)]
struct Group {
    start: usize,
    end: usize,
}

impl Group {
    fn finish(&mut self, input: &[u8], whole: Option<&Bytes>, batch: &mut Batch) {
        if self.end > self.start {
            let bytes = match whole {
                Some(whole) => whole.slice(self.start..self.end),
                None => Bytes::copy_from_slice(&input[self.start..self.end]),
            };
            batch.blocks.push(Arc::new(Block { bytes, topics: batch.topics.as_str().into() }));
            batch.topics.clear();
        }
        *self = Self::default();
    }

    /// Take this packet in; the number of its block.
    #[inline]
    fn add(&mut self, packet: Range<usize>, input: &[u8], whole: Option<&Bytes>, batch: &mut Batch) -> u32 {
        if self.end > self.start && (packet.end - self.start > BLOCK || packet.start - self.end > GAP) {
            self.finish(input, whole, batch);
        }
        if self.end == self.start {
            self.start = packet.start;
        }
        self.end = packet.end;
        narrow(batch.blocks.len())
    }
}

/// A message whose topic and properties those after it may repeat.
struct Run<'a> {
    publish: Publish<'a>,
    keys: Span,
    /// Its topic, among those of this block.
    topic: Span,
    block: u32,
}

/// One input on its way into a batch.
struct Decoding<'a, 'b> {
    routes: &'b mut Routes,
    input: &'a [u8],
    /// The memory it lies in, if that may be kept.
    whole: Option<&'b Bytes>,
    batch: &'b mut Batch,
    group: Group,
    run: Option<Run<'a>>,
}

/// All packets of `input`.
fn decode<'a>(
    receiver: &mut Receiver,
    routes: &mut Routes,
    input: &'a [u8],
    whole: Option<&Bytes>,
    batch: &mut Batch,
    rare: &mut Vec<Packet<'a>>,
) -> Used {
    let mut decoding = Decoding { routes, input, whole, batch, group: Group::default(), run: None };
    let mut at = 0;
    let missing = loop {
        if at == input.len() {
            break None;
        }
        let previous = decoding.run.as_ref().map(|run| &run.publish);
        match receiver.next_after(&input[at..], previous) {
            Ok(Received::Publish { publish, aliased, size }) => {
                decoding.publish(publish, aliased.as_deref(), at..at + size);
                at += size;
            }
            Ok(Received::Packet { packet: Packet::Ack(ack), size }) if ack.properties.is_empty() => {
                decoding.batch.effects.push(Effect::Ack(ack.kind, ack.id, ack.reason));
                at += size;
            }
            Ok(Received::Packet { packet, size }) => {
                rare.push(packet);
                decoding.batch.effects.push(Effect::Rare);
                at += size;
            }
            Ok(Received::Incomplete { missing }) => break missing,
            Ok(Received::Oversize { qos, id, topic, size, used }) => {
                let topic = topic.to_owned();
                decoding.batch.effects.push(Effect::Oversize(Box::new(Oversize { qos, id, topic, size })));
                at += used;
            }
            Ok(Received::Skipped { used }) => at += used,
            Err(breach) => {
                decoding.batch.effects.push(Effect::Breach(breach));
                at = input.len();
                break None;
            }
        }
    };
    decoding.group.finish(input, whole, decoding.batch);
    Used { at, missing }
}

impl<'a> Decoding<'a, '_> {
    #[inline]
    fn publish(&mut self, publish: Publish<'a>, aliased: Option<&str>, packet: Range<usize>) {
        let Self { routes, input, whole, batch, group, run } = self;
        let text = aliased.unwrap_or(publish.topic);
        let known = run.as_ref().filter(|run| publish.repeats(&run.publish));
        let keys = match known {
            Some(run) => run.keys,
            None => routes.route(&publish, text, &mut batch.keys),
        };
        if keys.len() == 0 && publish.qos == QoS::AtMostOnce {
            batch.effects.push(Effect::Unrouted);
            if known.is_none() {
                *run = Some(Run { publish, keys, topic: Span::default(), block: u32::MAX });
            }
            return;
        }
        let end = packet.end;
        let block = group.add(packet, input, *whole, batch);
        let topic = match known {
            Some(run) if run.block == block => run.topic,
            _ => {
                let topic = batch.topic(text);
                *run = Some(Run { publish, keys, topic, block });
                topic
            }
        };
        let Publish { qos, retain, dup, .. } = publish;
        // The payload ends the packet, and the properties stand before it: not where `publish` borrows them from if it
        // repeats an earlier one.
        let payload = Span::before(end - group.start, publish.payload.len());
        let properties = Span::before(payload.start as usize, publish.properties.as_bytes().len());
        let parts = Parts { topic, properties, payload, qos, retain, dup };
        batch.effects.push(Effect::Message { id: publish.id, keys, block, parts });
    }
}

#[inline]
fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
