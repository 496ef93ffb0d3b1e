//! One stream: its queue, its filters, and what it does when it is full.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::task::Waker;

use packetboat_core::time::Instant;
use packetboat_core::topic::TopicFilter;
use packetboat_core::wire::QoS;

use crate::shared::remember;
use crate::{End, Message, StreamPolicy};

/// One stream.
#[derive(Debug)]
pub(crate) struct Stream {
    /// None at all: everything, unless it is a standing one.
    pub(crate) filters: Vec<Wanted>,
    /// It outlives its filters. Those that were lost without its owner's doing.
    pub(crate) lost: Option<Vec<(TopicFilter, End)>>,
    /// How often the router still knows it.
    pub(super) routes: usize,
    pub(crate) policy: StreamPolicy,
    pub(crate) capacity: usize,
    /// Its owner is gone: nothing is queued any more.
    pub(crate) closing: bool,
    pub(crate) end: Option<End>,
    pub(super) queue: VecDeque<Message>,
    /// Queued or taken, and not yet reported as consumed.
    pub(super) plain: usize,
    pub(super) messages: usize,
    pub(super) waker: Option<Waker>,
    /// Messages dropped in its whole life, and those not told of yet.
    pub(crate) dropped: u64,
    pub(crate) untold: u64,
    pub(super) shedding: bool,
    pub(super) blocking: bool,
    pub(super) progress: Arc<AtomicU32>,
    pub(super) seen: u32,
    pub(super) since: Instant,
}

/// A filter of a stream.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) filter: TopicFilter,
    /// The session counts the stream among the filter's references.
    pub(crate) subscribed: bool,
}

/// What the owner has consumed since it last said so.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Consumed {
    pub(crate) messages: usize,
    pub(crate) plain: usize,
    pub(crate) bytes: usize,
}

impl Consumed {
    pub(crate) fn add(&mut self, message: &Message) {
        self.messages += 1;
        self.plain += usize::from(message.qos() == QoS::AtMostOnce);
        self.bytes += message.size();
    }
}

impl Stream {
    pub(crate) fn new(filters: &[TopicFilter], policy: StreamPolicy, capacity: usize) -> Self {
        let wanted = |filter: &TopicFilter| Wanted { filter: filter.clone(), subscribed: true };
        Self {
            filters: filters.iter().map(wanted).collect(),
            lost: None,
            routes: filters.len().max(1),
            policy,
            capacity: capacity.max(1),
            closing: false,
            end: None,
            queue: VecDeque::new(),
            plain: 0,
            messages: 0,
            waker: None,
            dropped: 0,
            untold: 0,
            shedding: false,
            blocking: false,
            progress: Arc::default(),
            seen: 0,
            since: Instant::default(),
        }
    }

    /// Its name in what is told of it.
    pub(crate) fn filter(&self) -> Option<&TopicFilter> {
        self.filters.first().map(|wanted| &wanted.filter)
    }

    /// Where this filter is among those it is subscribed to.
    pub(crate) fn place_of(&self, filter: &TopicFilter) -> Option<usize> {
        self.filters.iter().position(|wanted| wanted.subscribed && wanted.filter == *filter)
    }

    /// Counts what its owner took, without the lock.
    pub(crate) fn progress(&self) -> Arc<AtomicU32> {
        self.progress.clone()
    }

    pub(crate) fn poll(&mut self, waker: &Waker, retired: &mut Vec<Waker>) {
        remember(&mut self.waker, waker, retired);
    }

    pub(super) fn is_open(&self) -> bool {
        !self.closing && self.end.is_none()
    }

    pub(super) fn discards(&self, qos: QoS) -> bool {
        self.policy == StreamPolicy::DropNewest && self.messages >= self.capacity
            || self.shedding && qos == QoS::AtMostOnce
    }

    pub(super) fn drop_one(&mut self) {
        self.dropped += 1;
        self.untold += 1;
    }

    #[cold]
    pub(super) fn drop_oldest(&mut self) -> Option<Message> {
        let message = self.queue.pop_front()?;
        self.drop_one();
        self.messages -= 1;
        self.plain -= usize::from(message.qos() == QoS::AtMostOnce);
        Some(message)
    }

    #[inline]
    pub(super) fn should_block(&self) -> bool {
        // Once it is full, a quarter must be free before reading goes on: not a wake-up for every message.
        let limit = if self.blocking { self.capacity - self.capacity / 4 } else { self.capacity };
        self.plain >= limit && self.policy == StreamPolicy::Wait && self.is_open() && !self.shedding
    }
}
