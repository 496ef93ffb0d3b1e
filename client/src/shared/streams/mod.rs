//! The queues of the streams: what has arrived and was not taken, its bounds, and what happens when they are full.

mod stream;

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::task::Waker;
use std::time::Duration;

use packetboat_core::time::Instant;
use packetboat_core::topic::TopicFilter;
use packetboat_core::wire::QoS;

use crate::{End, Message, StreamPolicy};

pub(crate) use stream::{Consumed, Stream, Wanted};

/// A full stream that was not taken from for so long no longer holds up reading, if anything of ours awaits the broker.
const STALLED_AFTER: Duration = Duration::from_secs(1);

/// What one turn of the task may still read when the quota is full is no flood.
const ONE_TURN: usize = 512 * 1024;

/// All streams of a client.
#[derive(Debug)]
pub(crate) struct Streams {
    slots: Vec<Option<Stream>>,
    free: Vec<u32>,
    /// Bytes of all that was queued and not yet reported as consumed.
    bytes: usize,
    quota: usize,
    /// Streams that hold up reading.
    blocking: usize,
}

impl Streams {
    pub(crate) fn new(quota: usize) -> Self {
        Self { slots: Vec::new(), free: Vec::new(), bytes: 0, quota, blocking: 0 }
    }

    pub(crate) fn set_quota(&mut self, bytes: usize) {
        self.quota = bytes;
    }

    pub(crate) fn insert(&mut self, stream: Stream) -> u32 {
        if let Some(key) = self.free.pop() {
            self.slots[key as usize] = Some(stream);
            return key;
        }
        if self.slots.is_empty() {
            // Mostly there is one; a vector would begin with four.
            self.slots.reserve_exact(1);
        }
        self.slots.push(Some(stream));
        u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
    }

    /// One more filter for a stream, with a route of its own or one that stands.
    pub(crate) fn add(&mut self, key: u32, filter: &TopicFilter, routed: bool) {
        if let Some(stream) = self.get_mut(key) {
            stream.filters.push(Wanted { filter: filter.clone(), subscribed: true });
            stream.routes += usize::from(routed);
        }
    }

    /// A route to a stream is gone.
    pub(crate) fn unroute(&mut self, key: u32, drops: &mut Vec<Message>) {
        if let Some(stream) = self.get_mut(key) {
            stream.routes -= 1;
            self.free(key, drops);
        }
    }

    /// The slot of a stream that nothing is routed to any more is free.
    pub(crate) fn free(&mut self, key: u32, drops: &mut Vec<Message>) {
        if self.get(key).is_none_or(|stream| stream.routes > 0 || !stream.closing) {
            return;
        }
        if let Some(mut stream) = self.slots.get_mut(key as usize).and_then(Option::take) {
            self.bytes -= stream.queue.iter().map(Message::size).sum::<usize>();
            self.blocking -= usize::from(stream.blocking);
            drops.extend(stream.queue.drain(..));
            self.free.push(key);
        }
    }

    pub(crate) fn get(&self, key: u32) -> Option<&Stream> {
        self.slots.get(key as usize)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, key: u32) -> Option<&mut Stream> {
        self.slots.get_mut(key as usize)?.as_mut()
    }

    /// The streams whose owners are there.
    pub(crate) fn open(&self) -> impl Iterator<Item = (u32, &Stream)> {
        let keyed = (0_u32..).zip(&self.slots);
        keyed.filter_map(|(key, slot)| Some((key, slot.as_ref()?))).filter(|(_, stream)| !stream.closing)
    }

    /// Will this stream hold the message? If not, the message is counted as dropped where it has an owner.
    #[inline]
    pub(crate) fn takes(&mut self, key: u32, qos: QoS) -> bool {
        let Some(stream) = self.get_mut(key).filter(|stream| stream.is_open()) else { return false };
        let discards = stream.discards(qos);
        if discards {
            stream.drop_one();
        }
        !discards
    }

    /// Queue a message; give back the one its policy drops for it.
    #[inline]
    pub(crate) fn push(
        &mut self,
        key: u32,
        message: Message,
        now: Instant,
        wake: &mut Vec<Waker>,
    ) -> Option<Message> {
        let Some(stream) = self.slots.get_mut(key as usize).and_then(Option::as_mut) else {
            return Some(message);
        };
        let mut dropped = None;
        if stream.policy == StreamPolicy::DropOldest && stream.messages >= stream.capacity {
            dropped = stream.drop_oldest();
            self.bytes -= dropped.as_ref().map_or(0, Message::size);
        }
        if stream.messages == 0 {
            stream.since = now;
        }
        stream.messages += 1;
        stream.plain += usize::from(message.qos() == QoS::AtMostOnce);
        self.bytes += message.size();
        stream.queue.push_back(message);
        if let Some(waker) = stream.waker.take() {
            wake.push(waker);
        }
        if !stream.blocking && stream.should_block() {
            (stream.blocking, stream.since) = (true, now);
            self.blocking += 1;
        }
        dropped
    }

    /// The owner says what it consumed, and gets what is queued. True: reading may go on.
    pub(crate) fn take(
        &mut self,
        key: u32,
        consumed: Consumed,
        into: Option<&mut VecDeque<Message>>,
    ) -> bool {
        let was_paused = self.is_paused();
        self.bytes = self.bytes.saturating_sub(consumed.bytes);
        if let Some(stream) = self.slots.get_mut(key as usize).and_then(Option::as_mut) {
            stream.messages = stream.messages.saturating_sub(consumed.messages);
            stream.plain = stream.plain.saturating_sub(consumed.plain);
            if consumed.messages > 0 || into.is_some() {
                stream.shedding = false;
            }
            if let Some(into) = into {
                debug_assert!(into.is_empty(), "the last ones were taken");
                std::mem::swap(&mut stream.queue, into);
            }
        }
        self.settle(key);
        was_paused && !self.is_paused()
    }

    /// Nothing more comes. True: reading may go on.
    pub(crate) fn end(&mut self, key: u32, end: End, wake: &mut Vec<Waker>) -> bool {
        let was_paused = self.is_paused();
        if let Some(stream) = self.get_mut(key) {
            stream.end.get_or_insert(end);
            wake.extend(stream.waker.take());
        }
        self.settle(key);
        was_paused && !self.is_paused()
    }

    /// One of its filters is subscribed no more, and with it the stream ends, unless it is a standing one. True: nothing is
    /// to be routed there for this filter.
    pub(crate) fn lose(&mut self, key: u32, filter: &TopicFilter, end: End, wake: &mut Vec<Waker>) -> bool {
        let Some(stream) = self.get_mut(key) else { return false };
        let Some(place) = stream.place_of(filter) else { return false };
        if let Some(lost) = &mut stream.lost {
            let wanted = stream.filters.remove(place);
            lost.push((wanted.filter, end));
            wake.extend(stream.waker.take());
            return true;
        }
        stream.filters[place].subscribed = false;
        self.end(key, end, wake);
        false
    }

    /// Its owner is gone. What was queued comes back.
    pub(crate) fn close(&mut self, key: u32, consumed: Consumed) -> (VecDeque<Message>, bool) {
        let mut queue = VecDeque::new();
        let was_paused = self.is_paused();
        self.take(key, consumed, Some(&mut queue));
        self.bytes = self.bytes.saturating_sub(queue.iter().map(Message::size).sum());
        if let Some(stream) = self.get_mut(key) {
            stream.closing = true;
            (stream.messages, stream.plain) = (0, 0);
        }
        self.settle(key);
        (queue, was_paused && !self.is_paused())
    }

    /// Forget queued messages that the broker delivers again: they are not acknowledged, and of a connection that is gone.
    pub(crate) fn forget(&mut self, is_repeated: impl Fn(&Message) -> bool, drops: &mut Vec<Message>) {
        for key in (0_u32..).take(self.slots.len()) {
            let Some(stream) = self.slots.get_mut(key as usize).and_then(Option::as_mut) else { continue };
            let (gone, kept): (VecDeque<_>, _) =
                stream.queue.drain(..).partition(|message| is_repeated(message));
            stream.queue = kept;
            stream.messages = stream.messages.saturating_sub(gone.len());
            self.bytes = self.bytes.saturating_sub(gone.iter().map(Message::size).sum());
            drops.extend(gone);
            self.settle(key);
        }
    }

    /// Is reading to stop? [engine rule 11]
    #[inline]
    pub(crate) fn is_paused(&self) -> bool {
        self.blocking > 0 || self.bytes >= self.quota && self.heavy().next().is_some()
    }

    /// Bytes that were queued and not yet reported as consumed.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// More has come than even withheld acknowledgements can excuse, and what was queued `before` was too much already: the
    /// broker knows no limit (3.1.1). One message may be larger than any limit.
    pub(crate) fn is_flooded(&self, before: usize) -> bool {
        let limit = self.quota.saturating_mul(2).max(self.quota.saturating_add(ONE_TURN));
        before >= limit && self.bytes > before
    }

    /// Reading has stopped and something of ours awaits the broker, perhaps from behind what we do not read. Give up on
    /// streams nobody takes from; the rest is to be looked at again at the time returned.
    pub(crate) fn shed(
        &mut self,
        now: Instant,
        awaits: bool,
        mut stalled: impl FnMut(Option<&TopicFilter>),
    ) -> Option<Instant> {
        let by_bytes = self.bytes >= self.quota;
        let mut next = None;
        for key in (0_u32..).take(self.slots.len()) {
            let Some(stream) = self.get_mut(key) else { continue };
            let heavy = by_bytes && stream.messages > 0 && !stream.shedding;
            if !stream.blocking && !heavy {
                continue;
            }
            let progress = stream.progress.load(Ordering::Relaxed);
            if progress != stream.seen {
                (stream.seen, stream.since) = (progress, now);
            }
            let due = stream.since + STALLED_AFTER;
            if !awaits {
                // Whatever we ask for later wakes the task.
            } else if due <= now {
                stream.shedding = true;
                stalled(stream.filter());
                self.settle(key);
            } else {
                next = Some(next.map_or(due, |at: Instant| at.min(due)));
            }
        }
        next
    }

    fn heavy(&self) -> impl Iterator<Item = &Stream> {
        self.slots
            .iter()
            .flatten()
            .filter(|stream| stream.is_open() && stream.messages > 0 && !stream.shedding)
    }

    fn settle(&mut self, key: u32) {
        let Some(stream) = self.slots.get_mut(key as usize).and_then(Option::as_mut) else { return };
        let blocks = stream.should_block();
        match (stream.blocking, blocks) {
            (false, true) => self.blocking += 1,
            (true, false) => self.blocking -= 1,
            _ => {}
        }
        stream.blocking = blocks;
    }
}
