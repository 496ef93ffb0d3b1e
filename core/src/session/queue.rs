//! Looking into the queue: what is accepted and not finished, and what of it has expired.

use super::Session;
use super::event::{Outcome, Stage, Ticket};
use super::handle::Handle;
use super::record::State;
use crate::time::Instant;
use crate::wire::QoS;

/// An accepted message that is not finished, without its payload.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Queued<'a> {
    /// Its name, for [`Session::cancel`].
    pub ticket: Ticket,
    /// Where it goes.
    pub topic: &'a str,
    /// Delivery guarantee.
    pub qos: QoS,
    /// Retain flag.
    pub retain: bool,
    /// Bytes of topic, properties and payload.
    pub size: usize,
    /// When it was accepted.
    pub accepted: Instant,
    /// When it expires, if it was not transmitted by then.
    pub expires: Option<Instant>,
    /// How far it is.
    pub stage: Stage,
}

impl<P: Handle> Session<P> {
    /// What is accepted and not finished: QoS 1 and 2 in their order, those on the way first, then QoS 0 in its order.
    pub fn queued(&self) -> impl Iterator<Item = Queued<'_>> {
        let records = &self.outbound.records;
        let lists = [self.outbound.flight, self.outbound.queue, self.outbound.queue0];
        lists.into_iter().flat_map(|list| records.iter(list)).filter_map(|slot| {
            let (record, ticket) = (records.at(slot), records.ticket(slot));
            Some(Queued {
                ticket,
                topic: record.topic(),
                qos: record.qos,
                retain: record.retain,
                size: record.size(),
                accepted: record.accepted,
                expires: record.deadline.filter(|_| !record.may_have_arrived()),
                stage: self.outbound.stage(ticket)?,
            })
        })
    }

    /// When the message was accepted that has waited longest to be encoded.
    #[must_use]
    pub fn oldest_queued(&self) -> Option<Instant> {
        self.outbound.oldest_queued().map(|slot| self.outbound.records.at(slot).accepted)
    }

    /// Bytes that no socket has taken: encoded ones, and the topics, properties and payloads of messages that are still
    /// to be encoded, for the first time or again.
    #[must_use]
    pub fn unsent(&self) -> u64 {
        let to_send = |stage: Stage| stage == Stage::Accepted;
        let waiting = self.queued().filter(|queued| to_send(queued.stage)).map(|queued| queued.size as u64);
        self.unwritten() + waiting.sum::<u64>()
    }

    /// The packet identifier that the next message of QoS 1 or 2 gets, if none before it needs one. None: all are in
    /// use.
    #[must_use]
    pub fn next_packet_id(&self) -> Option<u16> {
        self.outbound.source.peek(&self.outbound.ids)
    }

    /// Messages above this QoS are accepted at this QoS from now on.
    pub fn set_maximum_qos(&mut self, qos: QoS) {
        self.config.maximum_qos = qos;
    }

    /// End what has expired in the queue. Without deadlines that passed it costs a look.
    pub(super) fn expire(&mut self, now: Instant) {
        if self.outbound.next_expiry.is_none_or(|at| now < at) {
            return;
        }
        let mut next: Option<Instant> = None;
        for list in [self.outbound.flight, self.outbound.queue, self.outbound.queue0] {
            let mut at = list.first();
            while let Some(slot) = at {
                at = self.outbound.records.following(slot);
                let record = self.outbound.records.at(slot);
                let waits =
                    matches!(record.state, State::Queued | State::ToSend) && !record.may_have_arrived();
                let Some(deadline) = record.deadline.filter(|_| waits) else { continue };
                if deadline <= now {
                    self.finish_record(slot, Outcome::Expired);
                } else {
                    next = Some(next.map_or(deadline, |next| next.min(deadline)));
                }
            }
        }
        self.outbound.next_expiry = next;
    }
}
