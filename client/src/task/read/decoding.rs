//! Cutting what was read into packets, and gathering them in a batch.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use packetboat_core::session::{Received, Receiver};
use packetboat_core::wire::{Packet, Publish, QoS};

use super::{Batch, Effect, Oversize, Routes, narrow};
use crate::message::{Block, Parts, Span};

/// Messages of one read share blocks of at most this size; a larger packet has its own.
const BLOCK: usize = 16 * 1024;

/// What lies between two messages of a block is wasted: acknowledgements mostly.
const GAP: usize = 64;

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
            let (keys, topic) = (run.keys, Some((run.block, run.topic)));
            decoding.publish(&publish, publish.topic, keys, topic, at..at + size);
            at += size;
            continue;
        }
        match receiver.next(&input[at..]) {
            Ok(Received::Publish { publish, aliased, size }) => {
                let topic = aliased.as_deref().unwrap_or(publish.topic);
                let keys = decoding.routes.route(&publish, topic, &mut decoding.batch.keys);
                decoding.publish(&publish, topic, keys, None, at..at + size);
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
    /// `known`: where the topic lies already, block and place in it.
    #[inline]
    fn publish(
        &mut self,
        publish: &Publish<'a>,
        topic: &str,
        keys: Span,
        known: Option<(u32, Span)>,
        packet: Range<usize>,
    ) {
        let Self { input, whole, batch, group, run, .. } = self;
        let Publish { qos, id, retain, dup, .. } = *publish;
        if keys.len() == 0 && qos == QoS::AtMostOnce {
            batch.effects.push(Effect::Unrouted);
            if known.is_none() {
                *run = Some(Run { publish: *publish, keys, topic: Span::default(), block: u32::MAX });
            }
            return;
        }
        let end = packet.end;
        let block = group.add(packet, input, *whole, batch);
        let topic = match known {
            Some((known, topic)) if known == block => topic,
            _ => {
                let topic = batch.topic(topic);
                *run = Some(Run { publish: *publish, keys, topic, block });
                topic
            }
        };
        // The payload ends the packet, and the properties stand before it: not where `publish` borrows them from if it
        // repeats an earlier one.
        let payload = Span::before(end - group.start, publish.payload.len());
        let properties = Span::before(payload.start as usize, publish.properties.as_bytes().len());
        let parts = Parts { topic, properties, payload, qos, retain, dup };
        batch.effects.push(Effect::Message { id, keys, block, parts });
    }
}
