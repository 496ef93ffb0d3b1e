//! Messages on their way to the broker: accepted, admitted to the window, encoded, acknowledged.
//!
//! Accepting makes a record. [`Session::pump`] encodes, so that offline, before CONNACK, with the window shut and
//! waiting for the store are one case. Before a message that nothing holds back and that overtakes nothing the pump
//! would do nothing else: it is encoded at once. With QoS 0 it makes no record.

use super::event::{Accepted, Event, Outcome, Ticket};
use super::handle::Handle;
use super::limits::PUBLISH_OVERHEAD;
use super::options::Overflow;
use super::outgoing::{Outgoing, Payload};
use super::record::{Parts, Record, State};
use super::refusal::PublishError;
use super::store::Entry;
use super::window::Window;
use super::{Phase, Session};
use crate::time::Instant;
use crate::wire::{Properties, Publish, QoS, encoded_publish_len};

/// Shared payloads above this size are kept; smaller ones are copied next to their topic.
const KEEP_SHARED: usize = 1024;

impl<P: Handle> Session<P> {
    /// Accept a message for delivery.
    ///
    /// QoS 0 on a live connection with room in the output is encoded at once and thereby finished. Everything else
    /// becomes a record, whose end is told as its [`Tag`](super::Tag) says.
    pub fn publish(&mut self, message: &Outgoing<'_, P>, now: Instant) -> Result<Accepted, PublishError> {
        if self.ended {
            return Err(PublishError::Closed);
        }
        let has_properties = !message.properties.is_empty();
        if has_properties && !message.drop_properties && self.is_fixed_without_properties() {
            return Err(PublishError::NeedsVersion5);
        }
        if has_properties && message.is_falsely_text() {
            return Err(PublishError::NotText);
        }
        let qos = message.qos.min(self.config.maximum_qos);
        self.link.limits.check(qos, message.retain, message.bound(), || self.exact_size(*message, qos))?;
        let Some(id) = self.clear_way(message, qos) else { return self.publish_later(*message, qos, now) };
        let start = self.link.position;
        let packet_id = (qos != QoS::AtMostOnce).then_some(id);
        self.link.encode_publish(|| message.publish(packet_id, qos), message.payload.shared());
        if qos == QoS::AtMostOnce {
            return Ok(Accepted::Encoded);
        }
        let slot = self.outbound.dispatch(&message.parts(qos), id, start, now);
        Ok(Accepted::Recorded(self.outbound.records.ticket(slot)))
    }

    /// Withdraw a message that was never encoded: it ends in [`Outcome::Cancelled`]. False: too late.
    pub fn cancel(&mut self, ticket: Ticket) -> bool {
        let Some(slot) = self.outbound.records.resolve(ticket) else { return false };
        let record = self.outbound.records.at(slot);
        let fresh = match record.state {
            State::Queued | State::ToSend => !record.may_have_arrived(),
            _ => false,
        };
        if fresh {
            self.finish_record(slot, Outcome::Cancelled);
        }
        fresh
    }

    /// Encode what the connection, the window, the store and the output allow.
    pub(super) fn pump(&mut self, now: Instant) {
        if self.link.phase != Phase::Online {
            return;
        }
        self.send_due_replies();
        self.send_requests(now);
        if self.link.careful && self.send_alone(now) {
            return;
        }
        while self.unwritten() < self.link.high_water {
            self.admit(now);
            let Some(slot) = self.next_to_send() else { return };
            self.transmit(slot, now);
        }
    }

    /// End a record: free what it holds and tell its owner.
    pub(super) fn finish_record(&mut self, slot: u32, outcome: Outcome) {
        // What may have arrived is not said to have been withdrawn.
        let outcome = match outcome {
            Outcome::Sent | Outcome::Acknowledged { .. } | Outcome::PayloadLost { .. } => outcome,
            _ if self.outbound.records.at(slot).may_have_arrived() => Outcome::Unresolved,
            _ => outcome,
        };
        self.end_record(slot, outcome);
    }

    #[allow(
        clippy::inline_always,
        reason = "every acknowledged message: the calls would be a tenth of the whole"
    )]
    #[inline(always)]
    pub(super) fn end_record(&mut self, slot: u32, outcome: Outcome) {
        let (sequence, qos) = self.outbound.end(slot);
        if qos != QoS::AtMostOnce {
            self.journal.note(Entry::Done { sequence });
        }
        self.report(slot, outcome);
    }

    /// The broker kept the session: what was not finished goes out again, in its original order [MQTT-4.4.0-1].
    pub(super) fn resume_outbound(&mut self, now: Instant) {
        for (id, stored) in self.outbound.resume(now) {
            self.reply_pubrel(id, stored);
        }
    }

    /// The broker lost the session: everything is new to it [engine rule 17]. It may have lost, with the session, what it
    /// had received and not been told to release: a receiver is free to pass a message on only at PUBREL (4.3.3).
    pub(super) fn restart_outbound(&mut self) {
        while let Some(slot) = self.outbound.last_in_flight() {
            let record = self.outbound.records.at_mut(slot);
            let received = record.state == State::AwaitPubcomp;
            let unresolved = received || record.transmitted && record.qos == QoS::ExactlyOnce;
            if received {
                // For the store its PUBREC is void.
                let Record { sequence, id, .. } = *record;
                self.journal.note(Entry::Identifier { slot, sequence, id });
            }
            record.attempted |= received || core::mem::take(&mut record.transmitted);
            if unresolved && !self.config.resend_unresolved {
                self.finish_record(slot, Outcome::Unresolved);
            } else {
                record.possible_duplicate |= unresolved;
                record.transmitted = false;
                self.outbound.requeue(slot);
            }
        }
    }

    #[cold]
    fn exact_size(&self, message: Outgoing<'_, P>, qos: QoS) -> usize {
        let id = (qos != QoS::AtMostOnce).then_some(1);
        let payload = message.payload.as_bytes().len() + message.payload.absent();
        encoded_publish_len(self.link.version, &message.publish(id, qos), payload)
    }

    #[cold]
    fn drop_at_once(&mut self, message: &Outgoing<'_, P>) -> Accepted {
        let slot = self.outbound.pass_by(&message.parts(message.qos));
        let ticket = self.outbound.records.ticket(slot);
        self.report(slot, Outcome::Dropped);
        self.count_dropped();
        Accepted::Recorded(ticket)
    }

    /// A flood of messages makes few events.
    #[cold]
    fn count_dropped(&mut self) {
        match self.events.back_mut() {
            Some(Event::Dropped { messages }) => *messages += 1,
            _ => self.events.push_back(Event::Dropped { messages: 1 }),
        }
    }

    fn make_room(&mut self, size: usize, now: Instant) -> bool {
        if self.outbound.has_room(&self.config, size) {
            return true;
        }
        self.expire(now);
        while !self.outbound.has_room(&self.config, size) {
            let oldest = match self.config.overflow {
                Overflow::DropOldest if self.outbound.could_have_room(&self.config, size) => {
                    self.outbound.oldest_queued()
                }
                _ => None,
            };
            let Some(slot) = oldest else { return false };
            self.finish_record(slot, Outcome::Dropped);
            self.count_dropped();
        }
        true
    }

    /// May this message go out at once? If so its identifier, zero for QoS 0. One of QoS 1 or 2 with properties takes
    /// the long way: it may have expired, or the connection may know none.
    #[inline]
    fn clear_way(&mut self, message: &Outgoing<'_, P>, qos: QoS) -> Option<u16> {
        if self.link.phase != Phase::Online || self.unwritten() >= self.link.high_water {
            return None;
        }
        let is_bare = message.properties.is_empty();
        if qos == QoS::AtMostOnce {
            let is_clear = self.outbound.first_plain().is_none() && (is_bare || self.link.limits.properties);
            return is_clear.then_some(0);
        }
        let is_clear = is_bare
            && !self.journal.is_durable()
            && !self.subscriptions.is_any_waiting()
            && self.outbound.is_clear(self.window())
            && self.outbound.has_room(&self.config, message.held());
        if is_clear { self.outbound.source.next(&self.outbound.ids) } else { None }
    }

    /// Something holds the message back, or it would overtake another: it makes a record, which waits its turn.
    ///
    /// It is given by value: what is only lent would have to be put together in memory before it is known to be needed.
    #[inline(never)]
    fn publish_later(
        &mut self,
        message: Outgoing<'_, P>,
        qos: QoS,
        now: Instant,
    ) -> Result<Accepted, PublishError> {
        if message.payload.absent() > 0 && qos > QoS::AtMostOnce && self.journal.is_durable() {
            return Err(PublishError::NotResident);
        }
        let offline = self.link.phase != Phase::Online;
        if qos == QoS::AtMostOnce && offline && !self.config.queue_qos0_offline {
            return Ok(self.drop_at_once(&message));
        }
        if !self.make_room(message.held(), now) {
            return match self.config.overflow {
                Overflow::DropNewest => Ok(self.drop_at_once(&message)),
                Overflow::Refuse | Overflow::DropOldest => Err(PublishError::Full),
            };
        }
        let ticket = self.accept(&message, qos, now);
        self.pump(now);
        Ok(Accepted::Recorded(ticket))
    }

    fn accept(&mut self, message: &Outgoing<'_, P>, qos: QoS, now: Instant) -> Ticket {
        let slot = self.outbound.accept(&message.parts(qos), now);
        let record = self.outbound.records.at_mut(slot);
        if qos != QoS::AtMostOnce {
            record.stored = self.journal.note(Entry::Message { slot, sequence: record.sequence });
        }
        self.outbound.records.ticket(slot)
    }

    /// How many messages may be on the way. Before 5.0 a broker announces no receive maximum, and some confirm QoS 2
    /// messages beyond theirs without keeping them.
    pub(super) fn window(&self) -> Window {
        let all = usize::from(self.config.window.min(self.link.limits.receive_maximum)).max(1);
        let unannounced = usize::from(self.config.unannounced_window).max(1);
        let exactly_once = if self.link.limits.properties { all } else { all.min(unannounced) };
        Window { all, exactly_once }
    }

    /// Give identifiers to queued messages while the window has room.
    pub(super) fn admit(&mut self, now: Instant) {
        let window = self.window();
        while let Some(slot) = self.outbound.admissible(window) {
            let record = self.outbound.records.at(slot);
            if record.has_expired(now) {
                self.finish_record(slot, Outcome::Expired);
                continue;
            }
            let Some(id) = self.outbound.source.next(&self.outbound.ids) else { return };
            let record = self.outbound.admit(slot, id);
            if record.qos == QoS::ExactlyOnce {
                let sequence = record.sequence;
                record.stored = self.journal.note(Entry::Identifier { slot, sequence, id });
            }
        }
    }

    /// QoS 1 and 2 keep one order. QoS 0 keeps its own; it may overtake what waits for the window or the store.
    fn next_to_send(&mut self) -> Option<u32> {
        let window = self.window();
        let reliable = self.outbound.sendable(window, self.journal.committed());
        let Some(plain) = self.outbound.first_plain() else { return reliable };
        match reliable {
            Some(slot) if self.outbound.earlier(slot, plain) => Some(slot),
            _ => Some(plain),
        }
    }

    pub(super) fn transmit(&mut self, slot: u32, now: Instant) {
        if let Err(outcome) = self.may_transmit(slot, now) {
            let record = self.outbound.records.at(slot);
            let unknown = record.is_lost() && record.transmitted && record.qos == QoS::ExactlyOnce;
            let id = record.id;
            self.finish_record(slot, outcome);
            if unknown {
                self.outbound.retire_id(id);
            }
            return;
        }
        let record = self.outbound.records.at_mut(slot);
        record.reduce_expiry(now);
        record.start = self.link.position;
        record.since = now;
        let properties = if self.link.limits.properties { record.properties() } else { &[] };
        let publish = Publish {
            dup: record.transmitted,
            retain: record.retain,
            qos: record.qos,
            topic: record.topic(),
            id: (record.id != 0).then_some(record.id),
            properties: Properties::trusted(properties),
            payload: record.payload(),
        };
        self.link.encode_publish_again(&publish, record.shared());
        if record.qos == QoS::AtMostOnce {
            return self.finish_record(slot, Outcome::Sent);
        }
        self.outbound.sent(slot, now);
    }

    /// What was decided when the message was accepted may have changed with the connection since.
    fn may_transmit(&self, slot: u32, now: Instant) -> Result<(), Outcome> {
        let record = self.outbound.records.at(slot);
        if !record.transmitted && record.has_expired(now) {
            return Err(Outcome::Expired);
        }
        if !record.properties().is_empty() && !record.drop_properties && !self.link.limits.properties {
            return Err(Outcome::NotAllowed(PublishError::NeedsVersion5));
        }
        if record.is_lost() {
            return Err(Outcome::PayloadLost { may_have_arrived: record.may_have_arrived() });
        }
        let bound = PUBLISH_OVERHEAD + record.size() + record.absent();
        let check = self.link.limits.check(record.qos, record.retain, bound, || {
            let id = (record.id != 0).then_some(record.id);
            let payload = record.payload().len() + record.absent();
            encoded_publish_len(self.link.version, &record.publish(id), payload)
        });
        check.map_err(Outcome::NotAllowed)
    }
}

impl<'a, P> Payload<'a, P> {
    #[inline]
    fn shared(&self) -> Option<&'a P> {
        match *self {
            Self::Shared(handle) => Some(handle),
            Self::Borrowed(_) => None,
        }
    }
}

impl<P: Handle> Outgoing<'_, P> {
    /// What its record is made of.
    #[inline]
    fn parts(&self, qos: QoS) -> Parts<'_, P> {
        let payload = self.payload.as_bytes();
        Parts {
            topic: self.topic.as_str(),
            properties: self.properties.as_bytes(),
            payload,
            shared: self.payload.shared().filter(|handle| payload.len() > KEEP_SHARED || handle.absent() > 0),
            qos,
            retain: self.retain,
            drop_properties: self.drop_properties,
            tag: self.tag,
        }
    }

    #[inline]
    fn publish(&self, id: Option<u16>, qos: QoS) -> Publish<'_> {
        Publish {
            dup: false,
            retain: self.retain,
            qos,
            topic: self.topic.as_str(),
            id,
            properties: self.properties,
            payload: self.payload.as_bytes(),
        }
    }
}

impl<P: Handle> Record<P> {
    fn publish(&self, id: Option<u16>) -> Publish<'_> {
        Publish {
            dup: self.transmitted,
            retain: self.retain,
            qos: self.qos,
            topic: self.topic(),
            id,
            properties: Properties::trusted(self.properties()),
            payload: self.payload(),
        }
    }
}
