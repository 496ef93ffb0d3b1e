//! Messages on their way to the broker: accepted, admitted to the window, encoded, acknowledged.
//!
//! Accepting makes a record. Only [`Session::pump`] encodes, so that offline, before CONNACK, with the window shut
//! and waiting for the store are one case. A QoS 0 message that can be encoded at once makes no record.

use super::event::{Accepted, Outcome, Outgoing, Payload, PublishError, Stage, Tag, Ticket};
use super::ids::{IdSource, IdTable, RESERVED};
use super::limits::PUBLISH_OVERHEAD;
use super::options::{Config, Overflow};
use super::records::{List, Parts, Record, Records, State};
use super::store::Entry;
use super::{OUTPUT_HIGH_WATER, Phase, Queue, Session};
use crate::time::Instant;
use crate::wire::{Packet, Properties, Publish, QoS, encoded_len};
use core::time::Duration;

/// What a packet identifier of ours stands for: the record in this slot, or a SUBSCRIBE or UNSUBSCRIBE.
pub(super) type Use = u32;

/// The identifier belongs to a SUBSCRIBE or UNSUBSCRIBE.
pub(super) const REQUEST: Use = u32::MAX;

/// Shared payloads above this size are kept; smaller ones are copied next to their topic.
const KEEP_SHARED: usize = 1024;

/// All messages the session has accepted and not finished. It lives as long as the session.
#[derive(Debug)]
pub(super) struct Outbound<P> {
    pub(super) records: Records<P>,
    /// Messages with an identifier, in the order of their first transmission.
    flight: List,
    /// QoS 1 and 2 without an identifier, in order of acceptance.
    queue: List,
    /// QoS 0, in order of acceptance.
    queue0: List,
    pub(super) ids: IdTable<Use>,
    pub(super) source: IdSource,
    bytes: usize,
    sequence: u64,
    // ---- one connection
    /// The first of `flight` whose PUBLISH must go out.
    unsent: Option<u32>,
    /// Messages of `flight` that occupy the broker's receive maximum.
    occupied: usize,
    /// No acknowledgement has been awaited for longer than since then.
    oldest: Option<Instant>,
}

impl<P> Default for Outbound<P> {
    fn default() -> Self {
        Self {
            records: Records::default(),
            flight: List::default(),
            queue: List::default(),
            queue0: List::default(),
            ids: IdTable::default(),
            source: IdSource::default(),
            bytes: 0,
            sequence: 0,
            unsent: None,
            occupied: 0,
            oldest: None,
        }
    }
}

impl<P: AsRef<[u8]> + Clone> Session<P> {
    /// Accept a message for delivery.
    ///
    /// QoS 0 on a live connection with room in the output is encoded at once and thereby finished. Everything else
    /// becomes a record that ends in one [`Event::Published`](super::Event::Published).
    pub fn publish(&mut self, message: &Outgoing<'_, P>, now: Instant) -> Result<Accepted, PublishError> {
        if self.ended {
            return Err(PublishError::Closed);
        }
        let has_properties = !message.properties.is_empty();
        if has_properties && !message.drop_properties && self.is_fixed_without_properties() {
            return Err(PublishError::NeedsVersion5);
        }
        let qos = message.qos.min(self.config.maximum_qos);
        self.link.limits.check(qos, message.retain, message.bound(), || self.exact_size(message, qos))?;
        if qos == QoS::AtMostOnce {
            let writable = self.link.phase == Phase::Online && self.unwritten() < OUTPUT_HIGH_WATER;
            if writable && self.outbound.queue0.len() == 0 && (!has_properties || self.link.limits.properties)
            {
                self.encode_at_once(message);
                return Ok(Accepted::Encoded);
            }
            if self.link.phase != Phase::Online && !self.config.queue_qos0_offline {
                return Ok(self.drop_at_once(message.tag));
            }
        }
        if !self.make_room(message.bound()) {
            return match self.config.overflow {
                Overflow::DropNewest => Ok(self.drop_at_once(message.tag)),
                Overflow::Refuse | Overflow::DropOldest => Err(PublishError::Full),
            };
        }
        let ticket = self.accept(message, qos, now);
        self.pump(now);
        Ok(Accepted::Recorded(ticket))
    }

    /// Withdraw a message that was never encoded. Its event says [`Outcome::Cancelled`]. False: too late.
    pub fn cancel(&mut self, ticket: Ticket) -> bool {
        let Some(slot) = self.outbound.records.resolve(ticket) else { return false };
        let record = self.outbound.records.at(slot);
        let fresh = match record.state {
            State::Queued => true,
            State::ToSend => !record.transmitted,
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
        loop {
            self.admit(now);
            if self.unwritten() >= OUTPUT_HIGH_WATER {
                return;
            }
            let Some(slot) = self.next_to_send() else { return };
            self.transmit(slot, now);
        }
    }

    /// End a record: free what it holds and tell its owner.
    pub(super) fn finish_record(&mut self, slot: u32, outcome: Outcome) {
        let (tag, sequence, qos) = self.outbound.remove(slot);
        if qos != QoS::AtMostOnce {
            self.journal.note(Entry::Done { sequence });
        }
        self.finish(tag, outcome);
    }

    /// The broker kept the session: what was not finished goes out again, in its original order [MQTT-4.4.0-1].
    pub(super) fn resume_outbound(&mut self, now: Instant) {
        let mut at = self.outbound.flight.first();
        while let Some(slot) = at {
            at = self.outbound.records.following(slot);
            let record = self.outbound.records.at_mut(slot);
            if record.state == State::AwaitPubcomp {
                record.occupies = true;
                record.since = now;
                let (id, stored) = (record.id, record.stored);
                self.outbound.occupied += 1;
                self.outbound.awaited(now);
                self.reply_pubrel(id, stored);
            } else if self.outbound.unsent.is_none() {
                self.outbound.unsent = Some(slot);
            }
        }
    }

    /// The broker lost the session: everything is new to it [engine rule 17].
    pub(super) fn restart_outbound(&mut self) {
        while let Some(slot) = self.outbound.flight.last() {
            let record = self.outbound.records.at_mut(slot);
            let unresolved = record.transmitted && record.qos == QoS::ExactlyOnce;
            if record.state == State::AwaitPubcomp {
                let possible_duplicate = record.possible_duplicate;
                self.finish_record(slot, Outcome::delivered(possible_duplicate));
            } else if unresolved && !self.config.resend_unresolved {
                self.finish_record(slot, Outcome::Unresolved);
            } else {
                record.possible_duplicate |= unresolved;
                record.transmitted = false;
                self.outbound.requeue(slot);
            }
        }
    }

    fn exact_size(&self, message: &Outgoing<'_, P>, qos: QoS) -> usize {
        let id = (qos != QoS::AtMostOnce).then_some(1);
        encoded_len(self.link.version, &Packet::Publish(message.publish(id, qos)))
    }

    #[inline]
    fn encode_at_once(&mut self, message: &Outgoing<'_, P>) {
        let shared = match message.payload {
            Payload::Shared(handle) => Some(handle),
            Payload::Borrowed(_) => None,
        };
        self.link.encode_publish(message.publish(None, QoS::AtMostOnce), shared);
    }

    fn drop_at_once(&mut self, tag: Tag) -> Accepted {
        self.finish(tag, Outcome::Dropped);
        Accepted::Recorded(Ticket::GONE)
    }

    fn make_room(&mut self, size: usize) -> bool {
        while !self.outbound.has_room(&self.config, size) {
            let oldest = match self.config.overflow {
                Overflow::DropOldest => self.outbound.oldest_queued(),
                Overflow::Refuse | Overflow::DropNewest => None,
            };
            let Some(slot) = oldest else { return false };
            self.finish_record(slot, Outcome::Dropped);
        }
        true
    }

    fn accept(&mut self, message: &Outgoing<'_, P>, qos: QoS, now: Instant) -> Ticket {
        let payload = message.payload.as_bytes();
        let shared = match message.payload {
            Payload::Shared(handle) if payload.len() > KEEP_SHARED => Some(handle.clone()),
            _ => None,
        };
        let slot = self.outbound.accept(
            Parts {
                topic: message.topic.as_str(),
                properties: message.properties.as_bytes(),
                payload,
                shared,
                qos,
                retain: message.retain,
                drop_properties: message.drop_properties,
                tag: message.tag,
            },
            now,
        );
        let record = self.outbound.records.at_mut(slot);
        if qos != QoS::AtMostOnce {
            record.stored = self.journal.note(Entry::Message { slot, sequence: record.sequence });
        }
        self.outbound.records.ticket(slot)
    }

    /// Give identifiers to queued messages while the window has room.
    fn admit(&mut self, now: Instant) {
        let window = usize::from(self.config.window.min(self.link.limits.receive_maximum)).max(1);
        while let Some(slot) = self.outbound.admissible(window) {
            let record = self.outbound.records.at(slot);
            if record.deadline.is_some_and(|at| at <= now) {
                self.finish_record(slot, Outcome::Expired);
                continue;
            }
            let Some(id) = self.outbound.source.next(&self.outbound.ids) else { return };
            let record = self.outbound.admit(slot, id);
            if record.qos == QoS::ExactlyOnce {
                record.stored = self.journal.note(Entry::Identifier { sequence: record.sequence, id });
            }
        }
    }

    /// QoS 1 and 2 keep one order. QoS 0 keeps its own; it may overtake what waits for the window or the store.
    fn next_to_send(&mut self) -> Option<u32> {
        let window = usize::from(self.config.window.min(self.link.limits.receive_maximum)).max(1);
        let reliable = self.outbound.sendable(window, self.journal.committed);
        let Some(plain) = self.outbound.queue0.first() else { return reliable };
        match reliable {
            Some(slot) if self.outbound.earlier(slot, plain) => Some(slot),
            _ => Some(plain),
        }
    }

    fn transmit(&mut self, slot: u32, now: Instant) {
        if let Err(outcome) = self.may_transmit(slot, now) {
            return self.finish_record(slot, outcome);
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
        self.link.encode_publish(publish, record.shared());
        if record.qos == QoS::AtMostOnce {
            return self.finish_record(slot, Outcome::Sent);
        }
        self.outbound.sent(slot, now);
    }

    /// What was decided when the message was accepted may have changed with the connection since.
    fn may_transmit(&self, slot: u32, now: Instant) -> Result<(), Outcome> {
        let record = self.outbound.records.at(slot);
        if !record.transmitted && record.deadline.is_some_and(|at| at <= now) {
            return Err(Outcome::Expired);
        }
        if !record.properties().is_empty() && !record.drop_properties && !self.link.limits.properties {
            return Err(Outcome::NotAllowed(PublishError::NeedsVersion5));
        }
        let bound = PUBLISH_OVERHEAD + record.size();
        let check = self.link.limits.check(record.qos, record.retain, bound, || {
            let id = (record.id != 0).then_some(record.id);
            encoded_len(self.link.version, &Packet::Publish(record.publish(id)))
        });
        check.map_err(Outcome::NotAllowed)
    }
}

impl Outcome {
    /// Acknowledged without anything further said.
    pub(super) const fn delivered(possible_duplicate: bool) -> Self {
        Self::Acknowledged { reason: crate::wire::Reason::SUCCESS, properties: None, possible_duplicate }
    }
}

impl Ticket {
    /// Of a message that ended in the call that accepted it.
    const GONE: Self = Self { slot: u32::MAX, generation: 0 };
}

impl<P: AsRef<[u8]>> Outgoing<'_, P> {
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

impl<P: AsRef<[u8]> + Clone> Record<P> {
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

impl<P: AsRef<[u8]> + Clone> Outbound<P> {
    pub(super) fn queue(&self) -> Queue {
        Queue {
            messages: self.queue.len() + self.queue0.len(),
            in_flight: self.flight.len(),
            bytes: self.bytes,
        }
    }

    /// One message larger than the whole quota is taken when there is nothing else.
    pub(super) fn has_room(&self, config: &Config, size: usize) -> bool {
        self.queue.len() + self.queue0.len() < config.queue_messages
            && (self.bytes == 0 || self.bytes + size <= config.queue_bytes)
    }

    pub(super) fn stage(&self, ticket: Ticket) -> Option<Stage> {
        let record = self.records.at(self.records.resolve(ticket)?);
        Some(match record.state {
            State::Queued | State::ToSend | State::Free => Stage::Accepted,
            State::AwaitPuback | State::AwaitPubrec => Stage::Written(record.id),
            State::AwaitPubcomp => Stage::Received(record.id),
        })
    }

    /// The record with this identifier; `None` also for the identifier of a request.
    pub(super) fn by_id(&self, id: u16) -> Option<u32> {
        self.ids.value(id).filter(|slot| *slot != REQUEST)
    }

    /// The connection is gone and the socket took `written` bytes of it.
    pub(super) fn link_lost(&mut self, written: u64) {
        let mut at = self.flight.first();
        while let Some(slot) = at {
            at = self.records.following(slot);
            let record = self.records.at_mut(slot);
            record.occupies = false;
            if matches!(record.state, State::AwaitPuback | State::AwaitPubrec) {
                record.transmitted |= record.start < written;
                record.state = State::ToSend;
            }
        }
        // What was never transmitted stands at the end: later messages were encoded behind it.
        while let Some(slot) = self.flight.last() {
            let record = self.records.at(slot);
            if record.state != State::ToSend || record.transmitted {
                break;
            }
            self.requeue(slot);
        }
        (self.unsent, self.occupied, self.oldest) = (None, 0, None);
    }

    /// The earliest time at which an acknowledgement may be overdue.
    pub(super) fn deadline(&self, limit: Duration) -> Option<Instant> {
        self.oldest.map(|since| since + limit)
    }

    pub(super) fn is_overdue(&mut self, now: Instant, limit: Duration) -> bool {
        if self.deadline(limit).is_none_or(|at| now < at) {
            return false;
        }
        let waiting = self.records.iter(self.flight).map(|slot| self.records.at(slot));
        self.oldest = waiting.filter(|record| record.state != State::ToSend).map(|record| record.since).min();
        self.deadline(limit).is_some_and(|at| at <= now)
    }

    /// A message for which the store has committed nothing yet.
    pub(super) fn uncommitted(&self, committed: u64) -> Option<u32> {
        let unstored = |slot: &u32| self.records.at(*slot).stored > committed;
        self.records.iter(self.queue).find(unstored).or_else(|| {
            let fresh = |slot: &u32| !self.records.at(*slot).transmitted && unstored(slot);
            self.records.iter(self.flight).find(fresh)
        })
    }

    pub(super) fn load(&mut self, parts: Parts<'_, P>, sequence: u64, now: Instant) {
        self.sequence = sequence.saturating_sub(1).max(self.sequence);
        self.accept(parts, now);
    }

    pub(super) fn load_identifier(&mut self, sequence: u64, id: u16) {
        let Some(slot) = self.by_sequence(sequence) else { return };
        if self.records.at(slot).state == State::Queued {
            self.admit(slot, id);
        } else {
            self.ids.remove(self.records.at(slot).id);
            self.ids.insert(id, slot);
            self.records.at_mut(slot).id = id;
        }
        let record = self.records.at_mut(slot);
        // It may have been transmitted before the crash: nobody knows.
        record.transmitted = true;
        record.occupies = false;
        (self.unsent, self.occupied) = (None, 0);
    }

    pub(super) fn load_state(&mut self, sequence: u64, state: State) {
        let Some(slot) = self.by_sequence(sequence) else { return };
        if state == State::Free {
            self.remove(slot);
        } else {
            self.records.at_mut(slot).state = state;
        }
    }

    fn by_sequence(&self, sequence: u64) -> Option<u32> {
        let is_it = |slot: &u32| self.records.at(*slot).sequence == sequence;
        self.records.iter(self.queue).find(is_it).or_else(|| self.records.iter(self.flight).find(is_it))
    }

    fn accept(&mut self, parts: Parts<'_, P>, now: Instant) -> u32 {
        self.sequence += 1;
        let expiry = Properties::trusted(parts.properties).message_expiry_interval();
        let qos = parts.qos;
        let slot = self.records.insert(parts, self.sequence);
        let record = self.records.at_mut(slot);
        if let Some(seconds) = expiry {
            record.expire(now + Duration::from_secs(seconds.into()));
        }
        self.bytes += record.size();
        let list = if qos == QoS::AtMostOnce { &mut self.queue0 } else { &mut self.queue };
        self.records.push_back(list, slot);
        slot
    }

    /// The first queued message, if the window has room for it. Resends that still wait for the window come first.
    fn admissible(&self, window: usize) -> Option<u32> {
        let resends = self.unsent.is_some_and(|slot| !self.records.at(slot).occupies);
        if resends || self.occupied >= window || self.ids.len() + RESERVED >= usize::from(u16::MAX) {
            return None;
        }
        self.queue.first()
    }

    fn admit(&mut self, slot: u32, id: u16) -> &mut Record<P> {
        self.records.unlink(&mut self.queue, slot);
        self.records.push_back(&mut self.flight, slot);
        self.ids.insert(id, slot);
        self.occupied += 1;
        self.unsent.get_or_insert(slot);
        let record = self.records.at_mut(slot);
        record.state = State::ToSend;
        record.id = id;
        record.occupies = true;
        record
    }

    /// The next of `flight` to send, if neither window nor store holds it back.
    fn sendable(&self, window: usize, committed: u64) -> Option<u32> {
        let slot = self.unsent?;
        let record = self.records.at(slot);
        let fits = record.occupies || self.occupied < window;
        (fits && record.stored <= committed).then_some(slot)
    }

    fn earlier(&self, one: u32, other: u32) -> bool {
        self.records.at(one).sequence < self.records.at(other).sequence
    }

    /// Its PUBLISH is in the output.
    fn sent(&mut self, slot: u32, now: Instant) {
        let record = self.records.at_mut(slot);
        record.state = match record.qos {
            QoS::ExactlyOnce => State::AwaitPubrec,
            QoS::AtMostOnce | QoS::AtLeastOnce => State::AwaitPuback,
        };
        if !core::mem::replace(&mut record.occupies, true) {
            self.occupied += 1;
        }
        self.awaited(now);
        self.pass(slot);
    }

    fn awaited(&mut self, now: Instant) {
        self.oldest.get_or_insert(now);
    }

    /// Move the cursor from this record, if it stands there, to the next whose PUBLISH must go out.
    pub(super) fn pass(&mut self, slot: u32) {
        if self.unsent != Some(slot) {
            return;
        }
        let mut at = self.records.following(slot);
        while let Some(next) = at.filter(|next| self.records.at(*next).state != State::ToSend) {
            at = self.records.following(next);
        }
        self.unsent = at;
    }

    /// PUBREC came.
    pub(super) fn received(&mut self, slot: u32, now: Instant, stored: u64) {
        self.pass(slot);
        let record = self.records.at_mut(slot);
        record.state = State::AwaitPubcomp;
        record.since = now;
        record.stored = stored;
        if !core::mem::replace(&mut record.occupies, true) {
            self.occupied += 1;
        }
    }

    /// From the end of `flight` back to the front of the queue, without an identifier.
    fn requeue(&mut self, slot: u32) {
        self.records.unlink(&mut self.flight, slot);
        self.records.push_front(&mut self.queue, slot);
        let record = self.records.at_mut(slot);
        record.state = State::Queued;
        let id = core::mem::take(&mut record.id);
        if core::mem::take(&mut record.occupies) {
            self.occupied -= 1;
        }
        self.ids.remove(id);
    }

    fn oldest_queued(&self) -> Option<u32> {
        match (self.queue.first(), self.queue0.first()) {
            (Some(one), Some(other)) => Some(if self.earlier(one, other) { one } else { other }),
            (one, other) => one.or(other),
        }
    }

    fn remove(&mut self, slot: u32) -> (Tag, u64, QoS) {
        self.pass(slot);
        let record = self.records.at(slot);
        let (id, size) = (record.id, record.size());
        let ended = (record.tag, record.sequence, record.qos);
        if record.occupies {
            self.occupied -= 1;
        }
        let list = match (record.state, record.qos) {
            (State::Queued, QoS::AtMostOnce) => &mut self.queue0,
            (State::Queued, _) => &mut self.queue,
            _ => &mut self.flight,
        };
        self.records.unlink(list, slot);
        self.records.remove(slot);
        if id != 0 {
            self.ids.remove(id);
        }
        self.bytes -= size;
        ended
    }
}
