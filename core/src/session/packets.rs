//! What each packet from the broker does, but for PUBLISH (inbound.rs).

use alloc::boxed::Box;

use super::event::{AckRun, Breach, Cause, Outcome, kept};
use super::handle::Handle;
use super::record::State;
use super::store::Entry;
use super::{Event, Phase, Session};
use crate::time::Instant;
use crate::wire::{Ack, AckKind, Disconnect, Packet, PropertiesBuf, Reason};

/// Acknowledgements waiting for the store, at most: beyond it the broker sends faster than the disk can follow.
const DUE_MAXIMUM: usize = 128 * 1024;

impl<P: Handle> Session<P> {
    /// A packet came, in order. PUBLISH goes to [`handle_publish`](Self::handle_publish) instead.
    pub fn handle_packet(&mut self, packet: &Packet<'_>, now: Instant) {
        if !matches!(self.link.phase, Phase::Connecting | Phase::Online) {
            return;
        }
        if let Err(breach) = self.on_packet(packet, now) {
            self.handle_breach(breach);
        }
    }

    /// [`handle_packet`](Self::handle_packet) for who knows that the packet is an acknowledgement.
    #[inline]
    pub fn handle_ack(&mut self, ack: &Ack<'_>, now: Instant) {
        if self.link.phase != Phase::Online {
            return self.handle_packet(&Packet::Ack(*ack), now);
        }
        if let Err(breach) = self.on_ack(ack, now) {
            self.handle_breach(breach);
        }
    }

    /// The same for many that say nothing more.
    pub fn handle_acks(&mut self, run: AckRun, now: Instant) {
        for step in 0..run.count {
            self.handle_ack(&Ack::new(run.kind, run.first.wrapping_add(step)), now);
        }
    }

    /// The receiver found the broker in breach of the protocol. It is told why, where that is possible, and the
    /// connection ends [MQTT-4.13.1-1].
    pub fn handle_breach(&mut self, breach: Breach) {
        match self.link.phase {
            Phase::Online if self.link.limits.properties => {
                let properties = crate::wire::Properties::EMPTY;
                self.link.reply(&Packet::Disconnect(Disconnect { reason: breach.reason, properties }));
            }
            Phase::Connecting if breach == Breach::OLD_CONNACK => {
                let (reason, properties) = (breach.reason, PropertiesBuf::default());
                return self.close(Cause::Refused { reason, properties, old_shape: true });
            }
            _ => {}
        }
        self.close(Cause::Breach(breach));
    }

    fn on_packet(&mut self, packet: &Packet<'_>, now: Instant) -> Result<(), Breach> {
        match (self.link.phase, packet) {
            (Phase::Connecting, Packet::Connack(connack)) => self.on_connack(connack, now),
            (Phase::Online, Packet::Ack(ack)) => self.on_ack(ack, now),
            (Phase::Online, Packet::Suback(suback)) => self.on_suback(suback),
            // Any packet is a sign of life: `handle_read` has noted it.
            (Phase::Online, Packet::PingResp) => {
                self.link.probes_answered += 1;
                self.events.push_back(Event::ProbeAnswered { probe: self.link.probes_answered });
                Ok(())
            }
            (Phase::Online, Packet::Disconnect(said)) if self.link.limits.properties => {
                let properties = kept(said.properties);
                self.close(Cause::ByBroker { reason: said.reason, properties });
                Ok(())
            }
            (_, Packet::Auth(auth)) if self.link.method.is_some() => self.on_auth(auth),
            (Phase::Connecting, _) => Err(Breach::protocol("the first packet is not CONNACK")),
            (_, Packet::Connack(_)) => Err(Breach::protocol("a second CONNACK")),
            (_, Packet::Auth(_)) => Err(Breach::protocol("AUTH without an authentication method")),
            _ => Err(Breach::protocol("a packet only clients send")),
        }
    }

    #[inline]
    fn on_ack(&mut self, ack: &Ack<'_>, now: Instant) -> Result<(), Breach> {
        let finished = match ack.kind {
            AckKind::Puback => Some(self.on_puback(ack.id)?),
            AckKind::Pubrec => self.on_pubrec(ack, now)?,
            AckKind::Pubrel => return self.on_pubrel(ack.id),
            AckKind::Pubcomp => self.on_pubcomp(ack.id)?,
        };
        if let Some(slot) = finished {
            self.finish_acknowledged(slot, ack);
        }
        Ok(())
    }

    #[inline]
    fn on_puback(&mut self, id: u16) -> Result<u32, Breach> {
        let slot = self.outbound.by_id(id).ok_or(Breach::protocol("PUBACK for an unknown identifier"))?;
        if self.outbound.records.at(slot).state != State::AwaitPuback {
            return Err(Breach::protocol("PUBACK for a message that does not await it"));
        }
        Ok(slot)
    }

    /// From here on the broker owns the message: only PUBREL may follow [MQTT-4.3.3-4].
    fn on_pubrec(&mut self, ack: &Ack<'_>, now: Instant) -> Result<Option<u32>, Breach> {
        let Some(slot) = self.outbound.by_id(ack.id) else {
            // After a refusal nothing follows; everything else is ended by PUBREL [MQTT-4.3.3-4].
            if !ack.reason.is_error() {
                let reason = self.unknown_identifier();
                self.link.acknowledge(AckKind::Pubrel, ack.id, reason);
            }
            return Ok(None);
        };
        let (state, stored) = {
            let record = self.outbound.records.at(slot);
            (record.state, record.stored)
        };
        match state {
            State::AwaitPubrec if ack.reason.is_error() => return Ok(Some(slot)),
            State::AwaitPubrec => {
                let sequence = self.outbound.records.at(slot).sequence;
                self.keep_word(slot, ack);
                let stored = self.journal.note(Entry::Received { sequence });
                self.outbound.received(slot, now, stored);
                self.reply_pubrel(ack.id, stored);
            }
            State::AwaitPubcomp => self.reply_pubrel(ack.id, stored),
            _ => return Err(Breach::protocol("PUBREC for a message that does not await it")),
        }
        Ok(None)
    }

    #[inline]
    fn on_pubcomp(&mut self, id: u16) -> Result<Option<u32>, Breach> {
        // An answer to the PUBREL that an unknown PUBREC got: nothing of ours ends with it.
        let Some(slot) = self.outbound.by_id(id) else { return Ok(None) };
        if self.outbound.records.at(slot).state != State::AwaitPubcomp {
            return Err(Breach::protocol("PUBCOMP before PUBREC"));
        }
        Ok(Some(slot))
    }

    #[inline]
    fn finish_acknowledged(&mut self, slot: u32, ack: &Ack<'_>) {
        let possible_duplicate = self.outbound.records.at(slot).possible_duplicate;
        // After PUBREC the message is delivered; that the broker forgot the identifier changes nothing.
        let forgotten = ack.kind == AckKind::Pubcomp && ack.reason == Reason::PACKET_IDENTIFIER_NOT_FOUND;
        let reason = if forgotten { Reason::SUCCESS } else { ack.reason };
        let (reason, properties) = match (ack.kind, reason, ack.properties.is_empty()) {
            (AckKind::Pubcomp, Reason::SUCCESS, true) if self.words.is_some() => {
                self.take_word(slot).map_or((reason, None), |(reason, said)| (reason, Some(said)))
            }
            (_, _, true) => (reason, None),
            _ => (reason, Some(Box::new(kept(ack.properties)))),
        };
        self.end_record(slot, Outcome::Acknowledged { reason, properties, possible_duplicate });
    }

    /// What PUBREC says of a message, that nobody subscribes to it for example, is told at its end: PUBCOMP says only
    /// that there is one.
    fn keep_word(&mut self, slot: u32, ack: &Ack<'_>) {
        if ack.reason != Reason::SUCCESS || !ack.properties.is_empty() {
            let word = (ack.reason, Box::new(kept(ack.properties)));
            self.words.get_or_insert_default().insert(slot, word);
        } else {
            self.take_word(slot);
        }
    }

    fn take_word(&mut self, slot: u32) -> Option<(Reason, Box<PropertiesBuf>)> {
        let words = self.words.as_mut()?;
        let word = words.remove(&slot);
        if words.is_empty() {
            self.words = None;
        }
        word
    }

    pub(super) fn reply_pubrel(&mut self, id: u16, stored: u64) {
        self.reply_when_stored(stored, AckKind::Pubrel, id, Reason::SUCCESS);
    }

    /// Answer now, or once the store has committed the record the answer rests on. Answers that wait keep their
    /// order [MQTT-4.6.0-3, MQTT-4.6.0-4].
    #[inline]
    pub(super) fn reply_when_stored(&mut self, stored: u64, kind: AckKind, id: u16, reason: Reason) {
        let Some(pages) = self.journal.withholding(stored) else {
            return self.link.acknowledge(kind, id, reason);
        };
        if pages.due.len() >= DUE_MAXIMUM {
            return self.close(Cause::StoreFailed);
        }
        pages.due.push_back((stored, kind, id, reason));
    }

    pub(super) fn send_due_replies(&mut self) {
        while let Some((kind, id, reason)) = self.journal.due() {
            self.link.acknowledge(kind, id, reason);
        }
    }
}
