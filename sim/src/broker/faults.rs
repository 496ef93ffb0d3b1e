//! Faults on order: refused connections, packets that vanish, connections that break.

use std::collections::VecDeque;
use std::time::Duration;

use packetboat_core::wire::PacketType;

use super::Refusal;

/// Which way a packet travels.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Direction {
    /// From the client to the broker.
    ToBroker,
    /// From the broker to the client.
    ToClient,
}

/// What the broker does wrong, until it is told to stop.
///
/// Faults apply to all connections together, or to those of one client ([`only`](Self::only)). A packet that is
/// dropped is gone as if the network had eaten it, which TCP never does: what the client does next is judged with
/// that in mind.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    client: Option<String>,
    refusals: VecDeque<Refusal>,
    drops: Vec<Drop>,
    cuts: Vec<Cut>,
    delay: Duration,
}

#[derive(Clone, Debug)]
struct Drop {
    direction: Direction,
    packet: Option<PacketType>,
    skip: u64,
    count: u64,
}

#[derive(Clone, Debug)]
struct Cut {
    direction: Direction,
    after: After,
}

#[derive(Clone, Copy, Debug)]
enum After {
    Packets(u64),
    Bytes(u64),
}

impl Faults {
    /// From now on only connections of this client are disturbed; `None`: all of them. CONNECT and CONNACK count as
    /// the client's.
    pub fn only(&mut self, client: Option<&str>) -> &mut Self {
        self.client = client.map(str::to_owned);
        self
    }

    /// Refuse the next `count` CONNECTs.
    pub fn refuse(&mut self, count: usize, refusal: Refusal) -> &mut Self {
        self.refusals.extend(std::iter::repeat_n(refusal, count));
        self
    }

    /// Drop one packet: the `nth` from now on in this direction, counted from 1.
    pub fn drop_nth(&mut self, direction: Direction, nth: u64) -> &mut Self {
        self.drops.push(Drop { direction, packet: None, skip: nth.saturating_sub(1), count: 1 });
        self
    }

    /// Drop the next `count` packets of this type in this direction.
    pub fn drop_next(&mut self, direction: Direction, packet: PacketType, count: u64) -> &mut Self {
        self.drops.push(Drop { direction, packet: Some(packet), skip: 0, count });
        self
    }

    /// Never send packets of this type: CONNACK, PUBACK, SUBACK, PINGRESP and the like.
    pub fn swallow(&mut self, packet: PacketType) -> &mut Self {
        self.drop_next(Direction::ToClient, packet, u64::MAX)
    }

    /// Break the connection behind the `count`th packet from now on in this direction.
    pub fn cut_after_packets(&mut self, direction: Direction, count: u64) -> &mut Self {
        self.cuts.push(Cut { direction, after: After::Packets(count) });
        self
    }

    /// Break the connection after `count` more bytes in this direction, in the middle of a packet or not.
    pub fn cut_after_bytes(&mut self, direction: Direction, count: u64) -> &mut Self {
        self.cuts.push(Cut { direction, after: After::Bytes(count) });
        self
    }

    /// Answer CONNECT, PUBLISH, PUBREL, SUBSCRIBE and UNSUBSCRIBE so much later.
    pub fn delay_answers(&mut self, delay: Duration) -> &mut Self {
        self.delay = delay;
        self
    }

    /// Behave again: whatever was ordered and has not happened is off.
    pub fn clear(&mut self) -> &mut Self {
        *self = Self::default();
        self
    }

    /// Whether something ordered has yet to happen.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        !self.refusals.is_empty() || !self.drops.is_empty() || !self.cuts.is_empty()
    }

    pub(super) fn delay(&self) -> Duration {
        self.delay
    }

    pub(super) fn refusal(&mut self, client: &str) -> Option<Refusal> {
        if self.concerns(client) { self.refusals.pop_front() } else { None }
    }

    /// Is this packet to vanish?
    pub(super) fn drops(&mut self, direction: Direction, packet: PacketType, client: &str) -> bool {
        if self.drops.is_empty() || !self.concerns(client) {
            return false;
        }
        let mut dropped = false;
        for order in &mut self.drops {
            if order.direction != direction || order.packet.is_some_and(|wanted| wanted != packet) {
                continue;
            }
            if order.skip > 0 {
                order.skip -= 1;
            } else if !dropped {
                dropped = true;
                order.count -= 1;
            }
        }
        self.drops.retain(|order| order.count > 0);
        dropped
    }

    /// A packet passed. True: the connection breaks behind it.
    pub(super) fn cuts_behind_packet(&mut self, direction: Direction, client: &str) -> bool {
        if self.cuts.is_empty() || !self.concerns(client) {
            return false;
        }
        let mut cut = false;
        for order in &mut self.cuts {
            if let (true, After::Packets(left)) = (order.direction == direction, &mut order.after) {
                *left = left.saturating_sub(1);
                cut |= *left == 0;
            }
        }
        self.cuts.retain(|order| !matches!(order.after, After::Packets(0)));
        cut
    }

    /// So many of `count` bytes pass and then the connection breaks; `None`: all pass and it holds.
    pub(super) fn cuts_behind_bytes(
        &mut self,
        direction: Direction,
        count: usize,
        client: &str,
    ) -> Option<usize> {
        if self.cuts.is_empty() || count == 0 || !self.concerns(client) {
            return None;
        }
        let mut passing = None;
        for order in &mut self.cuts {
            if let (true, After::Bytes(left)) = (order.direction == direction, &mut order.after) {
                if *left <= count as u64 {
                    let at = usize::try_from(*left).unwrap_or(count);
                    passing = Some(passing.map_or(at, |earlier: usize| earlier.min(at)));
                }
                *left = left.saturating_sub(count as u64);
            }
        }
        self.cuts.retain(|order| !matches!(order.after, After::Bytes(0)));
        passing
    }

    fn concerns(&self, client: &str) -> bool {
        self.client.as_deref().is_none_or(|wanted| wanted == client)
    }
}
