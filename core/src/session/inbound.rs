//! Acknowledging what arrives: in the order it arrived, when its holders are done with it.

use alloc::boxed::Box;
use alloc::collections::VecDeque;

use super::event::{AckToken, Arrival, Breach, Release, Verdict};
use super::handle::Handle;
use super::hold::{Hold, Progress};
use super::ids::IdTable;
use super::store::Entry;
use super::{Phase, Session};
use crate::wire::{AckKind, PacketType, Place, Properties, PropertiesBuf, QoS, Reason};

/// A QoS 2 arrival; session state from its PUBLISH to its PUBREL.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Delivery {
    pub(super) hold: Hold,
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
    /// Made with the first of them.
    pub(super) second: Option<Box<Second>>,
    session: u32,
    /// The store record of the last removal of an identifier.
    removed: u64,
    // ---- one connection
    connection: u32,
    /// QoS 1, in receive order, from ring position `base` on.
    pub(super) ring1: VecDeque<(u16, Hold)>,
    pub(super) base: u32,
    unacknowledged: usize,
    abandoned: usize,
}

/// Those of QoS 2.
#[derive(Debug, Default)]
pub(super) struct Second {
    pub(super) deliveries: IdTable<Delivery>,
    /// Of one connection, in receive order; `passed` have left it.
    pub(super) ring: VecDeque<u16>,
    pub(super) passed: u32,
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
            let waiting = self.inbound.delivery_mut(id).filter(|one| known && one.hold.holders > 0);
            let Some(delivery) = waiting else { return false };
            delivery.hold.release(release);
            match delivery.hold.progress {
                Progress::Abandoned if delivery.counted => self.inbound.abandoned += 1,
                // Not yet repeated on this connection: when it is, it will be a new delivery.
                Progress::Abandoned => {
                    self.inbound.remove(id);
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
            self.link.explanations.get_or_insert_default().insert((kind as u8, id), words);
        }
        self.release(token, Release::Reject(reason))
    }

    /// PUBREL came.
    pub(super) fn on_pubrel(&mut self, id: u16) -> Result<(), Breach> {
        let Some(delivery) = self.inbound.delivery(id) else {
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
        for (id, _) in self.inbound.second.take().iter().flat_map(|second| second.deliveries.iter()) {
            self.inbound.removed = self.journal.note(Entry::InboundDone { id });
        }
        self.link.explanations = None;
        self.inbound.session = self.inbound.session.wrapping_add(1);
    }

    /// What is to be said with an acknowledgement goes with its connection, but for deliveries that outlive it.
    pub(super) fn keep_lasting_words(&mut self) {
        let inbound = &self.inbound;
        let lasts = |kind, id| kind == AckKind::Pubrec as u8 && inbound.delivery(id).is_some();
        if let Some(words) = &mut self.link.explanations {
            words.retain(|&(kind, id), _| lasts(kind, id));
            if words.is_empty() {
                self.link.explanations = None;
            }
        }
    }

    /// The reason for an identifier nothing is known of; older versions have none.
    pub(super) fn unknown_identifier(&self) -> Reason {
        if self.link.limits.properties { Reason::PACKET_IDENTIFIER_NOT_FOUND } else { Reason::SUCCESS }
    }

    #[inline]
    fn on_at_least_once(&mut self, id: u16, holders: u16) -> Result<Verdict, Breach> {
        if self.inbound.second.is_some() {
            self.free_for_at_least_once(id)?;
        }
        let inbound = &mut self.inbound;
        count_arrival(&mut inbound.unacknowledged, self.link.receive_maximum)?;
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
        match self.inbound.delivery(id) {
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
        self.inbound.remove(id);
        self.inbound.removed = self.journal.note(Entry::InboundDone { id });
    }

    fn on_exactly_once(&mut self, id: u16, holders: u16) -> Result<Verdict, Breach> {
        let token = AckToken { qos2: true, epoch: self.inbound.session, key: id.into() };
        let Inbound { second, unacknowledged, .. } = &mut self.inbound;
        let second = second.get_or_insert_default();
        let Some(delivery) = second.deliveries.value_mut(id) else {
            count_arrival(unacknowledged, self.link.receive_maximum)?;
            let hold = Hold::new(holders);
            second.deliveries.insert(id, Delivery { hold, in_ring: true, counted: true, stored: 0 });
            second.ring.push_back(id);
            self.acknowledge_exactly_once();
            return Ok(Verdict::Deliver(Some(token)));
        };
        // The same delivery again [MQTT-4.3.3-10]: it takes its place in this connection's order.
        if !delivery.counted {
            count_arrival(unacknowledged, self.link.receive_maximum)?;
            delivery.counted = true;
        }
        if !delivery.in_ring {
            delivery.in_ring = true;
            second.ring.push_back(id);
        }
        self.acknowledge_exactly_once();
        Ok(Verdict::Ignore)
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
        while let Some(second) = &mut self.inbound.second
            && let Some(&id) = second.ring.front()
        {
            let delivery = second.deliveries.value_mut(id);
            if delivery.as_ref().is_some_and(|delivery| delivery.hold.progress == Progress::Held) {
                return;
            }
            second.ring.pop_front();
            second.passed = second.passed.wrapping_add(1);
            let Some(delivery) = delivery else { continue };
            delivery.in_ring = false;
            let reason = Reason(delivery.hold.reason);
            match delivery.hold.progress {
                Progress::Held | Progress::Abandoned => {}
                Progress::Done if reason.is_error() => {
                    // Refused: the exchange ends here and the identifier is free [MQTT-4.3.3-9].
                    second.deliveries.remove(id);
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
        }
    }
}

/// The broker must not have more on the way than we announced [MQTT-3.3.4-9].
#[inline]
fn count_arrival(unacknowledged: &mut usize, maximum: u16) -> Result<(), Breach> {
    if *unacknowledged >= usize::from(maximum) {
        let reason = Reason::RECEIVE_MAXIMUM_EXCEEDED;
        return Err(Breach { reason, what: "more unacknowledged messages than our receive maximum" });
    }
    *unacknowledged += 1;
    Ok(())
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

    #[inline]
    fn delivery(&self, id: u16) -> Option<Delivery> {
        self.second.as_ref()?.deliveries.value(id)
    }

    #[inline]
    fn delivery_mut(&mut self, id: u16) -> Option<&mut Delivery> {
        self.second.as_mut()?.deliveries.value_mut(id)
    }

    #[inline]
    fn remove(&mut self, id: u16) {
        if let Some(second) = &mut self.second {
            second.deliveries.remove(id);
        }
    }

    /// What a token stands for, if it is not spent.
    fn held(&self, token: AckToken) -> Option<(AckKind, u16, Hold)> {
        let (kind, id, hold, epoch) = if token.qos2 {
            let id = u16::try_from(token.key).ok()?;
            (AckKind::Pubrec, id, self.delivery(id)?.hold, self.session)
        } else {
            let (id, hold) = *self.ring1.get(token.key.wrapping_sub(self.base) as usize)?;
            (AckKind::Puback, id, hold, self.connection)
        };
        (token.epoch == epoch && hold.holders > 0).then_some((kind, id, hold))
    }

    /// No acknowledgement of this connection is outstanding.
    #[inline]
    pub(super) fn is_acknowledged(&self) -> bool {
        self.ring1.is_empty()
            && self.abandoned == 0
            && self.second.as_ref().is_none_or(|second| second.ring.is_empty())
    }

    /// Those given up that take a place of the broker's window.
    pub(super) fn abandoned(&self) -> usize {
        self.abandoned
    }

    pub(super) fn unacknowledged(&self) -> usize {
        self.unacknowledged
    }

    /// Tokens of QoS 1 are void: the broker delivers again. QoS 2 deliveries outlive the connection, but for those
    /// that were given up: their repetition is a new delivery.
    pub(super) fn link_lost(&mut self) {
        self.connection = self.connection.wrapping_add(1);
        self.ring1.clear();
        self.base = 0;
        (self.unacknowledged, self.abandoned) = (0, 0);
        let Some(second) = &mut self.second else { return };
        second.ring.clear();
        second.passed = 0;
        second.deliveries.retain(|_, delivery| {
            delivery.in_ring = false;
            delivery.counted = false;
            delivery.hold.progress != Progress::Abandoned
        });
        if second.deliveries.len() == 0 {
            self.second = None;
        }
    }

    pub(super) fn load(&mut self, id: u16) {
        let hold = Hold { progress: Progress::Received, ..Hold::default() };
        let deliveries = &mut self.second.get_or_insert_default().deliveries;
        if id != 0 && !deliveries.contains(id) {
            deliveries.insert(id, Delivery { hold, ..Delivery::default() });
        }
    }

    pub(super) fn unload(&mut self, id: u16) {
        self.remove(id);
    }
}
