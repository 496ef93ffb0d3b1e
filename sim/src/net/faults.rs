//! Faults on order, for a broker that runs.
#![allow(
    clippy::must_use_candidate,
    clippy::return_self_not_must_use,
    reason = "orders are chained, or are not"
)]

use std::time::Duration;

use packetboat_core::wire::PacketType;

use super::server::Shared;
use crate::broker::{self, Direction, Refusal};

/// What the broker does wrong, until told otherwise: see [`broker::Faults`] for what each order means.
///
/// ```no_run
/// # fn example(broker: &packetboat_sim::net::Broker) {
/// use packetboat_core::wire::{PacketType, Reason};
/// use packetboat_sim::broker::{Direction, Refusal};
///
/// broker.faults().refuse(2, Refusal::Code(Reason::SERVER_BUSY)).drop_nth(Direction::ToBroker, 10);
/// broker.faults().swallow(PacketType::Puback).cut();
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Faults<'a> {
    shared: &'a Shared,
}

impl<'a> Faults<'a> {
    pub(super) fn new(shared: &'a Shared) -> Self {
        Self { shared }
    }

    /// From now on, disturb only this client; `None`: all of them.
    pub fn only(self, client: Option<&str>) -> Self {
        self.order(|faults| faults.only(client))
    }

    /// Refuse the next `count` CONNECTs.
    pub fn refuse(self, count: usize, refusal: Refusal) -> Self {
        self.order(|faults| faults.refuse(count, refusal))
    }

    /// Drop one packet: the `nth` from now on in this direction, counted from 1.
    pub fn drop_nth(self, direction: Direction, nth: u64) -> Self {
        self.order(|faults| faults.drop_nth(direction, nth))
    }

    /// Drop the next `count` packets of this type in this direction.
    pub fn drop_next(self, direction: Direction, packet: PacketType, count: u64) -> Self {
        self.order(|faults| faults.drop_next(direction, packet, count))
    }

    /// Never send packets of this type: CONNACK, PUBACK, SUBACK, PINGRESP and the like.
    pub fn swallow(self, packet: PacketType) -> Self {
        self.order(|faults| faults.swallow(packet))
    }

    /// Break the connection behind the `count`th packet from now on in this direction.
    pub fn cut_after_packets(self, direction: Direction, count: u64) -> Self {
        self.order(|faults| faults.cut_after_packets(direction, count))
    }

    /// Break the connection after `count` more bytes in this direction.
    pub fn cut_after_bytes(self, direction: Direction, count: u64) -> Self {
        self.order(|faults| faults.cut_after_bytes(direction, count))
    }

    /// Answer CONNECT, PUBLISH, PUBREL, SUBSCRIBE and UNSUBSCRIBE so much later.
    pub fn delay_answers(self, delay: Duration) -> Self {
        self.order(|faults| faults.delay_answers(delay))
    }

    /// Break all connections now.
    pub fn cut(self) -> Self {
        self.shared.with(broker::Broker::cut_all);
        self
    }

    /// Stop reading, so that clients find their sockets full.
    pub fn stop_reading(self) -> Self {
        self.shared.set_reading(false);
        self
    }

    /// Read again.
    pub fn resume_reading(self) -> Self {
        self.shared.set_reading(true);
        self
    }

    /// Stop writing: answers and messages wait.
    pub fn stop_writing(self) -> Self {
        self.shared.set_writing(false);
        self
    }

    /// Write again.
    pub fn resume_writing(self) -> Self {
        self.shared.set_writing(true);
        self
    }

    /// Behave: whatever was ordered and has not happened is off; reading and writing go on.
    pub fn clear(self) -> Self {
        self.shared.set_reading(true);
        self.shared.set_writing(true);
        self.order(broker::Faults::clear)
    }

    /// Whether something ordered has yet to happen.
    #[must_use]
    pub fn is_pending(self) -> bool {
        self.shared.with(|core, _| core.faults().is_pending())
    }

    fn order(self, order: impl FnOnce(&mut broker::Faults) -> &mut broker::Faults) -> Self {
        self.shared.with(|core, _| {
            order(core.faults());
        });
        self
    }
}
