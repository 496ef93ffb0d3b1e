//! A network connection on a virtual clock: it delays, splits, stalls, fills up and breaks, all from a seed.
//!
//! ```
//! use packetboat_core::time::Instant;
//! use packetboat_sim::broker::Direction::{ToBroker, ToClient};
//! use packetboat_sim::link::{Arrival, Conditions, Link, Loss};
//!
//! let conditions = Conditions { delay: 20..=20, capacity: 8, ..Conditions::default() };
//! let mut link = Link::new(conditions, 1);
//! let mut received = Vec::new();
//! assert_eq!(link.handle_send(ToBroker, b"hello, world", Instant(0)), Some(8));
//! assert_eq!(link.poll_receive(ToBroker, Instant(19), &mut received), Arrival::Nothing);
//! assert_eq!(link.poll_timeout(), Some(Instant(20)));
//! assert_eq!(link.poll_receive(ToBroker, Instant(20), &mut received), Arrival::Bytes);
//! assert_eq!(received, b"hello, w");
//!
//! link.cut(Loss { to_broker: true, to_client: true });
//! assert_eq!(link.handle_send(ToBroker, b"orld", Instant(20)), None);
//! assert_eq!(link.poll_receive(ToClient, Instant(20), &mut received), Arrival::End);
//! ```

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::time::Duration;

use packetboat_core::rng::Rng;
use packetboat_core::time::Instant;

use crate::broker::Direction;

/// How a link behaves as long as nothing breaks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Conditions {
    /// How long bytes travel, in milliseconds. Bytes never overtake each other.
    pub delay: RangeInclusive<u64>,
    /// How many bytes arrive at once, at most.
    pub chunk: RangeInclusive<usize>,
    /// Bytes under way in one direction, at most: what the buffers of the sockets hold.
    pub capacity: usize,
}

impl Default for Conditions {
    /// Everything arrives at once and in one piece.
    fn default() -> Self {
        Self { delay: 0..=0, chunk: usize::MAX..=usize::MAX, capacity: usize::MAX }
    }
}

/// What arrived.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Arrival {
    /// Nothing yet.
    Nothing,
    /// Bytes; perhaps more wait.
    Bytes,
    /// Nothing any more: the connection is closed or broken.
    End,
}

/// What a cut does to the bytes that are under way: lost, or they arrive before the end is noticed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Loss {
    /// Those towards the broker are lost.
    pub to_broker: bool,
    /// Those towards the client are lost.
    pub to_client: bool,
}

/// A connection between a client and a broker.
#[derive(Debug)]
pub struct Link {
    conditions: Conditions,
    rng: Rng,
    to_broker: Pipe,
    to_client: Pipe,
    broken: bool,
}

/// One direction.
#[derive(Debug, Default)]
struct Pipe {
    segments: VecDeque<(Instant, VecDeque<u8>)>,
    waiting: usize,
    stalled: bool,
    /// Nothing follows what is under way.
    ended: bool,
    /// The link breaks when so many more bytes were taken.
    breaks_after: Option<usize>,
}

impl Link {
    /// A connection under these conditions.
    #[must_use]
    pub fn new(conditions: Conditions, seed: u64) -> Self {
        let (to_broker, to_client) = (Pipe::default(), Pipe::default());
        Self { conditions, rng: Rng::new(seed), to_broker, to_client, broken: false }
    }

    /// Offer bytes. How many the socket took, from the front: none if it is full; `None`: the link is broken.
    pub fn handle_send(&mut self, direction: Direction, bytes: &[u8], now: Instant) -> Option<usize> {
        let delay = self.delay();
        let capacity = self.conditions.capacity;
        let pipe = self.pipe(direction);
        if pipe.ended {
            return None;
        }
        let mut count = bytes.len().min(capacity.saturating_sub(pipe.waiting));
        let breaks = pipe.breaks_after.is_some_and(|left| left <= count);
        if let Some(left) = &mut pipe.breaks_after {
            count = count.min(*left);
            *left -= count;
        }
        if count > 0 {
            let due = pipe.segments.back().map_or(now + delay, |(earlier, _)| (now + delay).max(*earlier));
            pipe.segments.push_back((due, bytes[..count].iter().copied().collect()));
            pipe.waiting += count;
        }
        if breaks {
            self.cut(Loss { to_broker: false, to_client: true });
        }
        Some(count)
    }

    /// Take what has arrived at the end of this direction: at most one chunk, appended to `out`.
    pub fn poll_receive(&mut self, direction: Direction, now: Instant, out: &mut Vec<u8>) -> Arrival {
        let mut room = self.chunk();
        let pipe = self.pipe(direction);
        if pipe.stalled && !pipe.ended {
            return Arrival::Nothing;
        }
        let before = room;
        while let Some((due, bytes)) = pipe.segments.front_mut()
            && *due <= now
            && room > 0
        {
            let count = bytes.len().min(room);
            out.extend(bytes.drain(..count));
            room -= count;
            pipe.waiting -= count;
            if bytes.is_empty() {
                pipe.segments.pop_front();
            }
        }
        match (before > room, pipe.ended && pipe.segments.is_empty()) {
            (true, _) => Arrival::Bytes,
            (false, true) => Arrival::End,
            (false, false) => Arrival::Nothing,
        }
    }

    /// When bytes that are under way arrive.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let due =
            |pipe: &Pipe| pipe.segments.front().filter(|_| !pipe.stalled || pipe.ended).map(|(due, _)| *due);
        due(&self.to_broker).into_iter().chain(due(&self.to_client)).min()
    }

    /// The sender of this direction closes: what it sent arrives, then the end. The other direction goes on.
    pub fn handle_close(&mut self, direction: Direction) {
        self.pipe(direction).ended = true;
    }

    /// The receiver of this direction closes: what is under way, and all that follows, is for nobody.
    pub fn handle_drop(&mut self, direction: Direction) {
        self.pipe(direction).end(true);
    }

    /// Break.
    pub fn cut(&mut self, loss: Loss) {
        self.broken = true;
        self.to_broker.end(loss.to_broker);
        self.to_client.end(loss.to_client);
    }

    /// Break when `bytes` more were taken in this direction. They arrive; what is under way the other way is lost.
    pub fn cut_after(&mut self, direction: Direction, bytes: usize) {
        self.pipe(direction).breaks_after = Some(bytes);
    }

    /// Let nothing arrive in this direction, or let it go on. What is sent meanwhile fills the buffers.
    pub fn stall(&mut self, direction: Direction, stalled: bool) {
        self.pipe(direction).stalled = stalled;
    }

    /// Change the conditions for what is sent from now on.
    pub fn set_conditions(&mut self, conditions: Conditions) {
        self.conditions = conditions;
    }

    /// It broke; the ends may not have noticed yet.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// Everything sent in this direction was received and nothing follows.
    #[must_use]
    pub fn is_ended(&self, direction: Direction) -> bool {
        let pipe = match direction {
            Direction::ToBroker => &self.to_broker,
            Direction::ToClient => &self.to_client,
        };
        pipe.ended && pipe.segments.is_empty()
    }

    /// Bytes under way in this direction.
    #[must_use]
    pub fn under_way(&self, direction: Direction) -> usize {
        match direction {
            Direction::ToBroker => self.to_broker.waiting,
            Direction::ToClient => self.to_client.waiting,
        }
    }

    fn pipe(&mut self, direction: Direction) -> &mut Pipe {
        match direction {
            Direction::ToBroker => &mut self.to_broker,
            Direction::ToClient => &mut self.to_client,
        }
    }

    fn delay(&mut self) -> Duration {
        let (least, most) = (*self.conditions.delay.start(), *self.conditions.delay.end());
        Duration::from_millis(least + self.rng.below(most.saturating_sub(least).saturating_add(1)))
    }

    fn chunk(&mut self) -> usize {
        let (least, most) = (*self.conditions.chunk.start(), *self.conditions.chunk.end());
        let spread = (most.saturating_sub(least) as u64).saturating_add(1);
        least.saturating_add(usize::try_from(self.rng.below(spread)).unwrap_or(0)).max(1)
    }
}

impl Pipe {
    fn end(&mut self, lost: bool) {
        self.ended = true;
        if lost {
            self.segments.clear();
            self.waiting = 0;
        }
    }
}
