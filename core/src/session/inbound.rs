//! Acknowledging what arrives: in the order it arrived, when its holders are done with it.

use alloc::boxed::Box;
use alloc::collections::VecDeque;

use super::event::{AckToken, Arrival, Breach, Release, Verdict};
use super::handle::Handle;
use super::hold::{Hold, Progress};
use super::ids::IdTable;
use super::store::Entry;
use super::withheld::Head;
use super::{Phase, Session};
use crate::wire::{AckKind, PacketType, Place, Properties, PropertiesBuf, QoS, Reason};

/// A QoS 2 arrival; session state from its PUBLISH to its PUBREL.
#[derive(Clone, Copy, Debug, Default)]
struct Delivery {
    hold: Hold,
    /// It stands in this connection's ring.
    in_ring: bool,
    /// It occupies our receive maximum: the broker sent it on this connection.
    counted: bool,
    /// The store record that must be committed before PUBREC.
    stored: u64,
}

/// All arrivals not finished.
#[derive(Debug, Default)]
pub(super) struct Inbound {
    deliveries: IdTable<Delivery>,
    session: u32,
    /// The store record of the last removal of an identifier.
    removed: u64,
    // ---- one connection
    connection: u32,
    /// QoS 1, in receive order, from ring position `base` on.
    ring1: VecDeque<(u16, Hold)>,
    base: u32,
    /// QoS 2, in receive order; `passed` have left it.
    ring2: VecDeque<u16>,
    passed: u32,
    unacknowledged: usize,
    abandoned: usize,
}

impl<P: Handle> Session<P> {
    /// A PUBLISH arrived, in order with the other packets. The message itself stays with the caller.
    #[inline]
    pub fn handle_publish(&mut self, arrival: Arrival) -> Verdict {
        if self.link.phase != Phase::Online {
            if self.link.phase == Phase::Connecting {
                self.handle_breach(Breach::protocol("PUBLISH before CONNACK"));
            }
            return Verdict::Ignore;
        }
        let verdict = match (arrival.qos, arrival.id) {
            (QoS::AtLeastOnce, Some(id)) => self.on_at_least_once(id, arrival.holders),
            (QoS::ExactlyOnce, Some(id)) => self.on_exactly_once(id, arrival.holders),
            _ => return Verdict::Deliver(None),
        };
        verdict.unwrap_or_else(|breach| {
            self.handle_breach(breach);
            Verdict::Ignore
        })
    }

    /// One holder is done with an arrival. Acknowledgements leave in receive order [MQTT-4.6.0-2, MQTT-4.6.0-3].
    /// False: the token is spent, or of an older connection or session whose broker will deliver the message again.
    pub fn release(&mut self, token: AckToken, release: Release) -> bool {
        let release = match release {
            // Older versions cannot refuse: the message is acknowledged and not sent again.
            Release::Reject(_) if !self.link.limits.properties => Release::Acknowledge,
            // Only the reasons of PUBACK and PUBREC, which are the same, may be told [MQTT-3.4.2-1, MQTT-3.5.2-1].
            Release::Reject(reason) if !reason.is_valid_in(PacketType::Puback) => {
                Release::Reject(Reason::UNSPECIFIED_ERROR)
            }
            other => other,
        };
        if token.qos2 {
            let id = u16::try_from(token.key).unwrap_or_default();
            let known = token.epoch == self.inbound.session;
            let waiting = self.inbound.deliveries.value_mut(id).filter(|one| known && one.hold.holders > 0);
            let Some(delivery) = waiting else { return false };
            delivery.hold.release(release);
            match delivery.hold.progress {
                Progress::Abandoned if delivery.counted => self.inbound.abandoned += 1,
                // Not yet repeated on this connection: when it is, it will be a new delivery.
                Progress::Abandoned => {
                    self.inbound.deliveries.remove(id);
                }
                _ => {}
            }
            self.acknowledge_exactly_once();
            return true;
        }
        let known = self.inbound.release_at_least_once(token, release);
        if known {
            self.acknowledge_at_least_once();
        }
        known
    }

    /// The same for the holders of many arrivals, who have nothing to object.
    pub fn release_all(&mut self, tokens: impl IntoIterator<Item = AckToken>) {
        for token in tokens {
            if token.qos2 {
                self.release(token, Release::Acknowledge);
            } else {
                self.inbound.release_at_least_once(token, Release::Acknowledge);
            }
        }
        self.acknowledge_at_least_once();
    }

    /// [`release`](Self::release) with a reason of PUBACK and PUBREC, which may be a good one, and with reason string and
    /// user properties (5.0). Of several holders the first to refuse is passed on, or else the last.
    pub fn release_with(&mut self, token: AckToken, reason: Reason, properties: Properties<'_>) -> bool {
        if let Some((kind, id, hold)) = self.inbound.held(token)
            && !Reason(hold.reason).is_error()
        {
            let mut words = Box::new(PropertiesBuf::from(properties));
            words.keep_only(Place::Ack);
            self.link.explanations.insert((kind as u8, id), words);
        }
        self.release(token, Release::Reject(reason))
    }

    /// PUBREL came.
    pub(super) fn on_pubrel(&mut self, id: u16) -> Result<(), Breach> {
        let Some(delivery) = self.inbound.deliveries.value(id) else {
            // It may be one whose PUBCOMP was lost: its removal must be durable all the same.
            let reason = self.unknown_identifier();
            self.reply_when_stored(self.inbound.removed, AckKind::Pubcomp, id, reason);
            return Ok(());
        };
        if delivery.hold.progress != Progress::Received {
            return Err(Breach::protocol("PUBREL before PUBREC"));
        }
        self.forget_delivery(id);
        if delivery.counted {
            self.inbound.unacknowledged -= 1;
        }
        self.reply_when_stored(self.inbound.removed, AckKind::Pubcomp, id, Reason::SUCCESS);
        Ok(())
    }

    /// The broker forgot the session, and so do we.
    pub(super) fn forget_inbound(&mut self) {
        for (id, _) in self.inbound.deliveries.iter() {
            self.inbound.removed = self.journal.note(Entry::InboundDone { id });
        }
        self.inbound.deliveries.clear();
        self.inbound.session = self.inbound.session.wrapping_add(1);
    }

    /// The reason for an identifier nothing is known of; older versions have none.
    pub(super) fn unknown_identifier(&self) -> Reason {
        if self.link.limits.properties { Reason::PACKET_IDENTIFIER_NOT_FOUND } else { Reason::SUCCESS }
    }

    #[inline]
    fn on_at_least_once(&mut self, id: u16, holders: u16) -> Result<Verdict, Breach> {
        if self.inbound.deliveries.len() > 0 {
            self.free_for_at_least_once(id)?;
        }
        self.count_arrival()?;
        let inbound = &mut self.inbound;
        let key = inbound.base.wrapping_add(u32::try_from(inbound.ring1.len()).unwrap_or(u32::MAX));
        inbound.ring1.push_back((id, Hold::new(holders)));
        let token = AckToken { qos2: false, epoch: inbound.connection, key };
        if holders == 0 {
            self.acknowledge_at_least_once();
        }
        Ok(Verdict::Deliver(Some(token)))
    }

    /// An identifier of QoS 2 is used for QoS 1. Of two on one connection the broker may not do it [MQTT-2.2.1-4]. Later it
    /// can only mean that it was restored from an older state: it will never release the delivery, and to insist on that
    /// would end every connection to come.
    fn free_for_at_least_once(&mut self, id: u16) -> Result<(), Breach> {
        match self.inbound.deliveries.value(id) {
            Some(delivery) if delivery.counted => {
                Err(Breach::protocol("QoS 1 PUBLISH under the identifier of a QoS 2 one"))
            }
            Some(delivery) if delivery.hold.holders == 0 => {
                self.forget_delivery(id);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn forget_delivery(&mut self, id: u16) {
        self.inbound.deliveries.remove(id);
        self.inbound.removed = self.journal.note(Entry::InboundDone { id });
    }

    fn on_exactly_once(&mut self, id: u16, holders: u16) -> Result<Verdict, Breach> {
        let token = AckToken { qos2: true, epoch: self.inbound.session, key: id.into() };
        let Some(mut delivery) = self.inbound.deliveries.value(id) else {
            self.count_arrival()?;
            let hold = Hold::new(holders);
            self.inbound.deliveries.insert(id, Delivery { hold, in_ring: true, counted: true, stored: 0 });
            self.inbound.ring2.push_back(id);
            self.acknowledge_exactly_once();
            return Ok(Verdict::Deliver(Some(token)));
        };
        // The same delivery again [MQTT-4.3.3-10]: it takes its place in this connection's order.
        if !delivery.counted {
            self.count_arrival()?;
            delivery.counted = true;
        }
        if !delivery.in_ring {
            delivery.in_ring = true;
            self.inbound.ring2.push_back(id);
        }
        if let Some(entry) = self.inbound.deliveries.value_mut(id) {
            *entry = delivery;
        }
        self.acknowledge_exactly_once();
        Ok(Verdict::Ignore)
    }

    /// The broker must not have more on the way than we announced [MQTT-3.3.4-9].
    fn count_arrival(&mut self) -> Result<(), Breach> {
        if self.inbound.unacknowledged >= usize::from(self.link.receive_maximum) {
            let reason = Reason::RECEIVE_MAXIMUM_EXCEEDED;
            return Err(Breach { reason, what: "more unacknowledged messages than our receive maximum" });
        }
        self.inbound.unacknowledged += 1;
        Ok(())
    }

    #[inline]
    fn acknowledge_at_least_once(&mut self) {
        if self.link.phase != Phase::Online {
            return;
        }
        while let Some(&(id, hold)) = self.inbound.ring1.front() {
            match hold.progress {
                Progress::Held => return,
                Progress::Abandoned => {}
                Progress::Done | Progress::Received => {
                    self.link.acknowledge(AckKind::Puback, id, Reason(hold.reason));
                    self.inbound.unacknowledged -= 1;
                }
            }
            self.inbound.ring1.pop_front();
            self.inbound.base = self.inbound.base.wrapping_add(1);
        }
    }

    fn acknowledge_exactly_once(&mut self) {
        if self.link.phase != Phase::Online {
            return;
        }
        while let Some(&id) = self.inbound.ring2.front() {
            let Some(delivery) = self.inbound.deliveries.value_mut(id) else {
                self.inbound.pass();
                continue;
            };
            if delivery.hold.progress == Progress::Held {
                return;
            }
            delivery.in_ring = false;
            let reason = Reason(delivery.hold.reason);
            match delivery.hold.progress {
                Progress::Held | Progress::Abandoned => {}
                Progress::Done if reason.is_error() => {
                    // Refused: the exchange ends here and the identifier is free [MQTT-4.3.3-9].
                    self.inbound.deliveries.remove(id);
                    self.inbound.unacknowledged -= 1;
                    self.reply_when_stored(0, AckKind::Pubrec, id, reason);
                }
                Progress::Done | Progress::Received => {
                    if delivery.hold.progress == Progress::Done {
                        delivery.hold.progress = Progress::Received;
                        delivery.stored = self.journal.note(Entry::Inbound { id });
                    }
                    let stored = delivery.stored;
                    self.reply_when_stored(stored, AckKind::Pubrec, id, reason);
                }
            }
            self.inbound.pass();
        }
    }
}

impl Inbound {
    /// A holder of a QoS 1 arrival is done with it. False: the token is spent or of an older connection.
    #[inline]
    fn release_at_least_once(&mut self, token: AckToken, release: Release) -> bool {
        let index = token.key.wrapping_sub(self.base) as usize;
        let known = token.epoch == self.connection;
        let waiting = self.ring1.get_mut(index).filter(|(_, hold)| known && hold.holders > 0);
        let Some((_, hold)) = waiting else { return false };
        hold.release(release);
        self.abandoned += usize::from(hold.progress == Progress::Abandoned);
        true
    }

    /// The oldest leaves the ring of QoS 2.
    fn pass(&mut self) {
        self.ring2.pop_front();
        self.passed = self.passed.wrapping_add(1);
    }

    /// What a token stands for, if it is not spent.
    fn held(&self, token: AckToken) -> Option<(AckKind, u16, Hold)> {
        let (kind, id, hold, epoch) = if token.qos2 {
            let id = u16::try_from(token.key).ok()?;
            (AckKind::Pubrec, id, self.deliveries.value(id)?.hold, self.session)
        } else {
            let (id, hold) = *self.ring1.get(token.key.wrapping_sub(self.base) as usize)?;
            (AckKind::Puback, id, hold, self.connection)
        };
        (token.epoch == epoch && hold.holders > 0).then_some((kind, id, hold))
    }

    /// No acknowledgement of this connection is outstanding.
    #[inline]
    pub(super) fn is_acknowledged(&self) -> bool {
        self.ring1.is_empty() && self.ring2.is_empty() && self.abandoned == 0
    }

    /// Those given up that take a place of the broker's window.
    pub(super) fn abandoned(&self) -> usize {
        self.abandoned
    }

    /// The oldest of each ring, where somebody holds it.
    pub(super) fn heads(&self) -> [Option<Head>; 2] {
        let is_held = |hold: &Hold| hold.progress == Progress::Held;
        let first = self.ring1.front().filter(|(_, hold)| is_held(hold)).map(|&(id, _)| {
            let (position, waiting) = (self.base, self.ring1.len() - 1);
            Head { position, id, qos: QoS::AtLeastOnce, waiting }
        });
        let second = self
            .ring2
            .front()
            .filter(|id| self.deliveries.value(**id).is_some_and(|delivery| is_held(&delivery.hold)));
        let second = second.map(|&id| {
            let (position, waiting) = (self.passed, self.ring2.len() - 1);
            Head { position, id, qos: QoS::ExactlyOnce, waiting }
        });
        [first, second]
    }

    pub(super) fn unacknowledged(&self) -> usize {
        self.unacknowledged
    }

    /// Tokens of QoS 1 are void: the broker delivers again. QoS 2 deliveries outlive the connection, but for those
    /// that were given up: their repetition is a new delivery.
    pub(super) fn link_lost(&mut self) {
        self.connection = self.connection.wrapping_add(1);
        self.ring1.clear();
        self.ring2.clear();
        (self.base, self.passed) = (0, 0);
        (self.unacknowledged, self.abandoned) = (0, 0);
        self.deliveries.retain(|_, delivery| {
            delivery.in_ring = false;
            delivery.counted = false;
            delivery.hold.progress != Progress::Abandoned
        });
    }

    pub(super) fn load(&mut self, id: u16) {
        let hold = Hold { progress: Progress::Received, ..Hold::default() };
        if id != 0 && !self.deliveries.contains(id) {
            self.deliveries.insert(id, Delivery { hold, ..Delivery::default() });
        }
    }

    pub(super) fn unload(&mut self, id: u16) {
        self.deliveries.remove(id);
    }
}
