//! Cutting what was read into packets, and gathering them in a batch.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use packetboat_core::session::{AckRun, Received, Receiver};
use packetboat_core::wire::{AckKind, Packet, Publish, QoS};

use super::{Batch, Effect, Oversize, Routes, narrow};
use crate::message::{Block, Parts, Span};

/// Messages of one read share blocks of at most this size; a larger packet has its own.
const BLOCK: usize = 16 * 1024;

/// What lies between two messages of a block is wasted: acknowledgements mostly.
const GAP: usize = 64;

/// The size of a plain acknowledgement.
const PLAIN_ACK: usize = 4;

/// Bytes decoded, and how many the next packet lacks.
pub(super) struct Used {
    pub(super) at: usize,
    pub(super) missing: Option<usize>,
}

/// All packets of `input`.
pub(super) fn decode<'a>(
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
        if let Some(run) = &decoding.run
            && let Some((publish, size)) = receiver.repeated(&input[at..], &run.publish)
        {
            decoding.repeat(&publish, at..at + size);
            at += size;
            continue;
        }
        if let Some(ack) = receiver.plain_ack(&input[at..]) {
            decoding.plain_ack(ack.kind, ack.id);
            at += PLAIN_ACK;
            continue;
        }
        match receiver.next(&input[at..]) {
            Ok(Received::Publish { publish, aliased, size }) => {
                let topic = aliased.as_deref().unwrap_or(publish.topic);
                decoding.publish(&publish, topic, at..at + size);
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

/// Of a message that is not kept.
const NO_BLOCK: u32 = u32::MAX;

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

impl<'a> Decoding<'a, '_> {
    /// Acknowledgements come in runs: a broker answers in order what we numbered in order.
    #[inline]
    fn plain_ack(&mut self, kind: AckKind, id: u16) {
        match self.batch.effects.last_mut() {
            Some(Effect::Acks(run)) if run.kind == kind && run.first.wrapping_add(run.count) == id => {
                run.count += 1;
            }
            _ => self.batch.effects.push(Effect::Acks(AckRun { kind, first: id, count: 1 })),
        }
    }

    /// A message on a topic, or with properties, of its own.
    fn publish(&mut self, publish: &Publish<'a>, topic: &str, packet: Range<usize>) {
        let keys = self.routes.route(publish, topic, &mut self.batch.keys);
        let run = self.run.insert(Run { publish: *publish, keys, topic: Span::default(), block: NO_BLOCK });
        if keys.len() == 0 && publish.qos == QoS::AtMostOnce {
            return self.batch.effects.push(Effect::Unrouted);
        }
        let end = packet.end;
        run.block = self.group.add(packet, self.input, self.whole, self.batch);
        run.topic = self.batch.topic(topic);
        self.batch.effects.push(effect(publish, run, end - self.group.start));
    }

    /// A message that repeats the topic and the properties of the run.
    #[inline]
    fn repeat(&mut self, publish: &Publish<'a>, packet: Range<usize>) {
        let Some(run) = &mut self.run else { return };
        if run.keys.len() == 0 && publish.qos == QoS::AtMostOnce {
            return self.batch.effects.push(Effect::Unrouted);
        }
        let end = packet.end;
        let block = self.group.add(packet, self.input, self.whole, self.batch);
        if block != run.block {
            (run.block, run.topic) = (block, self.batch.topic(publish.topic));
        }
        self.batch.effects.push(effect(publish, run, end - self.group.start));
    }
}

/// A message of this run whose packet ends there in its block.
#[inline]
fn effect(publish: &Publish<'_>, run: &Run<'_>, end: usize) -> Effect {
    let Publish { qos, id, retain, dup, .. } = *publish;
    // The payload ends the packet, and the properties stand before it: not where `publish` borrows them from if it
    // repeats an earlier one.
    let payload = Span::before(end, publish.payload.len());
    let properties = Span::before(payload.start as usize, publish.properties.as_bytes().len());
    let parts = Parts { topic: run.topic, properties, payload, qos, retain, dup };
    Effect::Message { id, keys: run.keys, block: run.block, parts }
}
