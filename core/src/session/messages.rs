//! The table of accepted messages: in the queue, in flight, and under which identifier.

mod loading;

use alloc::vec::Vec;
use core::time::Duration;

use super::Queue;
use super::event::{Stage, Ticket};
use super::handle::Handle;
use super::ids::{IdSource, IdTable, RESERVED};
use super::options::Config;
use super::record::{Parts, Record, State};
use super::records::{List, Records};
use super::window::Window;
use crate::time::Instant;
use crate::wire::{Properties, QoS};

/// What a packet identifier of ours stands for: the record in this slot, or a SUBSCRIBE or UNSUBSCRIBE.
pub(super) type Use = u32;

/// The identifier belongs to a SUBSCRIBE or UNSUBSCRIBE.
pub(super) const REQUEST: Use = u32::MAX;

/// All messages the session has accepted and not finished. It lives as long as the session.
#[derive(Debug)]
pub(super) struct Messages<P> {
    pub(super) records: Records<P>,
    /// Messages with an identifier, in the order of their first transmission.
    pub(super) flight: List,
    /// QoS 1 and 2 without an identifier, in order of acceptance.
    pub(super) queue: List,
    /// QoS 0, in order of acceptance.
    pub(super) queue0: List,
    pub(super) ids: IdTable<Use>,
    pub(super) source: IdSource,
    bytes: usize,
    /// Those of `bytes` that are in `flight`.
    flight_bytes: usize,
    sequence: u64,
    /// Nothing in the queue expires before.
    pub(super) next_expiry: Option<Instant>,
    /// There may be messages that have to be sent with nothing beside them: see poison.rs.
    pub(super) suspected: bool,
    /// PUBRECs so far.
    receipts: u64,
    // ---- one connection
    /// The first of `flight` whose PUBLISH must go out.
    unsent: Option<u32>,
    /// Messages of `flight` that occupy the broker's receive maximum.
    occupied: Window,
    /// No acknowledgement has been awaited for longer than since then.
    oldest: Option<Instant>,
}

impl<P> Default for Messages<P> {
    fn default() -> Self {
        Self {
            records: Records::default(),
            flight: List::default(),
            queue: List::default(),
            queue0: List::default(),
            ids: IdTable::default(),
            source: IdSource::default(),
            bytes: 0,
            flight_bytes: 0,
            sequence: 0,
            next_expiry: None,
            suspected: false,
            receipts: 0,
            unsent: None,
            occupied: Window::default(),
            oldest: None,
        }
    }
}

impl<P: Handle> Messages<P> {
    pub(super) fn queue(&self) -> Queue {
        Queue {
            messages: self.queue.len() + self.queue0.len(),
            in_flight: self.flight.len(),
            bytes: self.bytes,
        }
    }

    /// One message larger than the whole quota is taken when there is nothing else.
    #[inline]
    pub(super) fn has_room(&self, config: &Config, size: usize) -> bool {
        self.queue.len() + self.queue0.len() < config.queue_messages
            && (self.bytes == 0 || self.bytes + size <= config.queue_bytes)
    }

    pub(super) fn stage(&self, ticket: Ticket) -> Option<Stage> {
        let record = self.records.at(self.records.resolve(ticket)?);
        Some(match record.state {
            State::Free | State::Ended => return None,
            State::Queued | State::ToSend => Stage::Accepted,
            State::AwaitPuback | State::AwaitPubrec => Stage::Written(record.id),
            State::AwaitPubcomp => Stage::Received(record.id),
        })
    }

    /// Would there be room if nothing were queued?
    pub(super) fn could_have_room(&self, config: &Config, size: usize) -> bool {
        self.flight_bytes == 0 || self.flight_bytes + size <= config.queue_bytes
    }

    /// The record with this identifier; `None` also for the identifier of a request.
    #[inline]
    pub(super) fn by_id(&self, id: u16) -> Option<u32> {
        self.ids.value(id).filter(|slot| *slot != REQUEST)
    }

    /// The connection is gone and the socket took `written` bytes of it. Is one of them to blame?
    pub(super) fn link_lost(&mut self, written: u64, suspicious: bool) {
        let mut at = self.flight.first();
        while let Some(slot) = at {
            at = self.records.following(slot);
            let record = self.records.at_mut(slot);
            record.occupies = false;
            if matches!(record.state, State::AwaitPuback | State::AwaitPubrec) {
                // Nobody got one whose rest could not be had: its connection was closed for that.
                let taken = record.start < written && !record.is_lost();
                record.transmitted |= taken;
                record.state = State::ToSend;
                if taken && suspicious {
                    self.suspected |= record.interrupted();
                }
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
        (self.unsent, self.occupied, self.oldest) = (None, Window::default(), None);
    }

    /// The broker kept the session: point at the first PUBLISH that must go out again, and say which PUBRELs must,
    /// by identifier and store record. PUBRELs do not wait for the window.
    pub(super) fn resume(&mut self, now: Instant) -> Vec<(u16, u64)> {
        let mut released = Vec::new();
        let mut at = self.flight.first();
        while let Some(slot) = at {
            at = self.records.following(slot);
            let record = self.records.at_mut(slot);
            if record.state == State::AwaitPubcomp {
                record.occupies = true;
                record.since = now;
                released.push((record.start, record.id, record.stored));
                self.occupied.add(QoS::ExactlyOnce);
                self.awaited(now);
            } else if self.unsent.is_none() {
                self.unsent = Some(slot);
            }
        }
        // In the order of their PUBRECs, which need not be that of their PUBLISHes [MQTT-4.6.0-4].
        released.sort_unstable_by_key(|(receipt, ..)| *receipt);
        released.into_iter().map(|(_, id, stored)| (id, stored)).collect()
    }

    /// The oldest QoS 0 message that waits.
    #[inline]
    pub(super) fn first_plain(&self) -> Option<u32> {
        self.queue0.first()
    }

    pub(super) fn last_in_flight(&self) -> Option<u32> {
        self.flight.last()
    }

    /// The earliest time at which an acknowledgement may be overdue. The socket was behind until `written`.
    pub(super) fn deadline(&self, limit: Duration, written: Instant) -> Option<Instant> {
        self.oldest.map(|since| since.max(written) + limit)
    }

    pub(super) fn is_overdue(&mut self, now: Instant, limit: Duration, written: Instant) -> bool {
        if self.deadline(limit, written).is_none_or(|at| now < at) {
            return false;
        }
        let waiting = self.records.iter(self.flight).map(|slot| self.records.at(slot));
        self.oldest = waiting.filter(|record| record.state != State::ToSend).map(|record| record.since).min();
        self.deadline(limit, written).is_some_and(|at| at <= now)
    }

    /// All messages accepted before this one have ended.
    pub(super) fn settled(&self) -> u64 {
        let lists = [self.flight, self.queue, self.queue0].into_iter();
        let oldest = lists.filter_map(List::first).map(|slot| self.records.at(slot).sequence).min();
        oldest.unwrap_or(self.sequence + 1)
    }

    /// A message that ends at once.
    pub(super) fn pass_by(&mut self, parts: &Parts<'_, P>) -> u32 {
        self.sequence += 1;
        self.records.insert(parts, self.sequence, Instant::default())
    }

    #[inline(never)]
    pub(super) fn accept(&mut self, parts: &Parts<'_, P>, now: Instant) -> u32 {
        let qos = parts.qos;
        let slot = self.insert(parts, now);
        let list = if qos == QoS::AtMostOnce { &mut self.queue0 } else { &mut self.queue };
        self.records.push_back(list, slot);
        slot
    }

    #[allow(clippy::inline_always, reason = "every message sent: the calls would be a tenth of the whole")]
    #[inline(always)]
    fn insert(&mut self, parts: &Parts<'_, P>, now: Instant) -> u32 {
        self.sequence += 1;
        self.bytes += parts.size();
        let properties = Properties::trusted(parts.properties);
        let expiry = if properties.is_empty() { None } else { properties.message_expiry_interval() };
        let slot = self.records.insert(parts, self.sequence, now);
        if let Some(seconds) = expiry {
            let deadline = now + Duration::from_secs(seconds.into());
            self.records.at_mut(slot).expire(deadline);
            self.next_expiry = Some(self.next_expiry.map_or(deadline, |next| next.min(deadline)));
        }
        slot
    }

    /// No identifier is in use: the next one makes the table anew.
    pub(super) fn rest(&mut self) {
        if self.ids.len() == 0 {
            self.ids.clear();
        }
    }

    /// Would a new message be the next to send, and has the window room for it?
    #[inline]
    pub(super) fn is_clear(&self, window: Window) -> bool {
        let nothing_waits = self.unsent.is_none() && self.queue.len() + self.queue0.len() == 0;
        nothing_waits && !self.are_ids_scarce() && self.occupied.has_room(window)
    }

    /// Accept a message whose PUBLISH goes into the output at once, at stream position `start`: what accepting,
    /// admitting and sending come to where nothing is in between.
    #[inline]
    pub(super) fn dispatch(&mut self, parts: &Parts<'_, P>, id: u16, start: u64, now: Instant) -> u32 {
        let (qos, size) = (parts.qos, parts.size());
        let slot = self.insert(parts, now);
        self.records.push_back(&mut self.flight, slot);
        self.ids.insert(id, slot);
        self.occupied.add(qos);
        self.flight_bytes += size;
        self.awaited(now);
        let record = self.records.at_mut(slot);
        record.state = State::awaiting_first_answer(qos);
        record.id = id;
        record.occupies = true;
        record.start = start;
        record.since = now;
        slot
    }

    fn are_ids_scarce(&self) -> bool {
        self.ids.len() + RESERVED >= usize::from(u16::MAX)
    }

    /// The first queued message, if the window has room for it. Resends that still wait for the window come first.
    pub(super) fn admissible(&self, window: Window) -> Option<u32> {
        let first = self.queue.first()?;
        let resends = self.unsent.is_some_and(|slot| !self.records.at(slot).occupies);
        if resends || self.are_ids_scarce() {
            return None;
        }
        self.occupied.has_room(window).then_some(first)
    }

    pub(super) fn admit(&mut self, slot: u32, id: u16) -> &mut Record<P> {
        self.records.unlink(&mut self.queue, slot);
        self.records.push_back(&mut self.flight, slot);
        self.ids.insert(id, slot);
        self.unsent.get_or_insert(slot);
        let record = self.records.at_mut(slot);
        self.occupied.add(record.qos);
        self.flight_bytes += record.size();
        record.state = State::ToSend;
        record.id = id;
        record.occupies = true;
        record
    }

    /// The next of `flight` to send, if neither window nor store holds it back.
    pub(super) fn sendable(&self, window: Window, committed: u64) -> Option<u32> {
        let slot = self.unsent?;
        let record = self.records.at(slot);
        let fits = record.occupies || self.occupied.has_room(window);
        (fits && record.stored <= committed).then_some(slot)
    }

    pub(super) fn earlier(&self, one: u32, other: u32) -> bool {
        self.records.at(one).sequence < self.records.at(other).sequence
    }

    /// Its PUBLISH is in the output.
    pub(super) fn sent(&mut self, slot: u32, now: Instant) {
        let record = self.records.at_mut(slot);
        record.state = State::awaiting_first_answer(record.qos);
        if !core::mem::replace(&mut record.occupies, true) {
            self.occupied.add(record.qos);
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
        self.receipts += 1;
        record.start = self.receipts;
        record.since = now;
        record.stored = stored;
        if !core::mem::replace(&mut record.occupies, true) {
            self.occupied.add(record.qos);
        }
    }

    /// From the end of `flight` back to the front of the queue, without an identifier.
    pub(super) fn requeue(&mut self, slot: u32) {
        self.records.unlink(&mut self.flight, slot);
        self.records.push_front(&mut self.queue, slot);
        let record = self.records.at_mut(slot);
        self.flight_bytes -= record.size();
        record.state = State::Queued;
        let id = core::mem::take(&mut record.id);
        if core::mem::take(&mut record.occupies) {
            self.occupied.remove(record.qos);
        }
        self.ids.remove(id);
    }

    pub(super) fn oldest_queued(&self) -> Option<u32> {
        match (self.queue.first(), self.queue0.first()) {
            (Some(one), Some(other)) => Some(if self.earlier(one, other) { one } else { other }),
            (one, other) => one.or(other),
        }
    }

    /// The broker may have received the message of this identifier, and would take its next one for the same.
    pub(super) fn retire_id(&mut self, id: u16) {
        self.ids.insert(id, REQUEST);
    }

    /// It is finished: in no list, under no identifier. Its slot stays, for the owner to be told.
    #[allow(
        clippy::inline_always,
        reason = "every acknowledged message: the calls would be a tenth of the whole"
    )]
    #[inline(always)]
    pub(super) fn end(&mut self, slot: u32) -> (u64, QoS) {
        self.pass(slot);
        let record = self.records.at(slot);
        let (id, size) = (record.id, record.size());
        let ended = (record.sequence, record.qos);
        if record.occupies {
            self.occupied.remove(record.qos);
        }
        let list = match (record.state, record.qos) {
            (State::Queued, QoS::AtMostOnce) => &mut self.queue0,
            (State::Queued, _) => &mut self.queue,
            _ => {
                self.flight_bytes -= size;
                &mut self.flight
            }
        };
        self.records.unlink(list, slot);
        if id != 0 {
            self.ids.remove(id);
        }
        self.bytes -= size;
        ended
    }
}
