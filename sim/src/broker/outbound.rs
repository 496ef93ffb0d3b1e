//! Messages to the client: sending, sending again, and whether they are acknowledged as they must be.

use packetboat_core::wire::{AckKind, Packet, Properties, PropertiesBuf, Publish, QoS, Reason, encoded_len};

use super::Client;
use super::connection::Phase;
use super::rules::{self, Rule};
use super::session::Delivery;

impl Client<'_> {
    /// Take a message for this client.
    pub(super) fn enqueue(&mut self, delivery: Delivery) {
        let stats = &mut self.desk.books.stats;
        let online = self.connection.phase == Phase::Online;
        let clogged =
            delivery.qos == QoS::AtMostOnce && self.connection.unread() > self.desk.config.output_bytes;
        if clogged || self.session.queue.len() >= self.desk.config.queue_messages {
            stats.dropped += 1;
        } else if online && delivery.qos == QoS::AtMostOnce {
            // QoS 0 need not wait for the window.
            self.send_publish(&delivery, false);
        } else {
            self.session.queue.push_back(delivery);
        }
    }

    /// Send what may be sent: first what an earlier connection left unacknowledged, in its order [MQTT-4.4.0-1].
    pub(super) fn pump(&mut self) {
        if self.connection.phase != Phase::Online {
            return;
        }
        if self.connection.watch.resending {
            self.resend();
        }
        while !self.connection.watch.resending && self.connection.phase == Phase::Online {
            let Some(next) = self.session.queue.front() else { return };
            if next.qos > QoS::AtMostOnce && !self.has_quota() {
                return;
            }
            let Some(mut delivery) = self.session.queue.pop_front() else { return };
            if delivery.message.is_expired(self.now) {
                self.desk.books.stats.expired += 1; // [MQTT-3.3.2-5]
                continue;
            }
            if delivery.qos > QoS::AtMostOnce {
                delivery.id = self.session.next_id();
            }
            if self.send_publish(&delivery, false) && delivery.qos > QoS::AtMostOnce {
                self.stamp(&mut delivery);
                self.session.inflight.push_back(delivery);
            }
        }
    }

    fn resend(&mut self) {
        let serial = self.connection.serial;
        let mut inflight = std::mem::take(&mut self.session.inflight);
        let mut waiting = false;
        for delivery in inflight.iter_mut().filter(|delivery| delivery.sent_on != serial) {
            if delivery.released {
                self.connection.ack(AckKind::Pubrel, delivery.id, Reason::SUCCESS, self.desk);
                self.number(delivery);
            } else if waiting || !self.has_quota() {
                waiting = true;
            } else if self.send_publish(delivery, true) {
                self.stamp(delivery);
            } else {
                delivery.id = 0;
            }
        }
        inflight.retain(|delivery| delivery.id != 0);
        self.session.inflight = inflight;
        self.connection.watch.resending = waiting;
    }

    fn has_quota(&self) -> bool {
        self.connection.watch.outstanding < self.connection.receive_maximum
    }

    /// Its PUBLISH went out on this connection.
    fn stamp(&mut self, delivery: &mut Delivery) {
        self.number(delivery);
        delivery.counted_on = self.connection.serial;
        self.connection.watch.outstanding += 1;
    }

    fn number(&mut self, delivery: &mut Delivery) {
        self.connection.watch.sent += 1;
        delivery.number = self.connection.watch.sent;
        delivery.sent_on = self.connection.serial;
    }

    /// False: the client takes no packets of this size, and the message is done with [MQTT-3.1.2-25].
    fn send_publish(&mut self, delivery: &Delivery, dup: bool) -> bool {
        let message = &delivery.message;
        let v5 = self.connection.version.has_properties();
        let alias = if v5 { self.alias(&message.topic) } else { None };
        let properties = if v5 { self.properties(delivery, alias) } else { PropertiesBuf::new() };
        let known =
            alias.is_some_and(|alias| self.connection.own_aliases.get(&message.topic) == Some(&alias));
        let publish = Publish {
            dup,
            retain: delivery.retain,
            qos: delivery.qos,
            topic: if known { "" } else { &message.topic },
            id: (delivery.qos > QoS::AtMostOnce).then_some(delivery.id),
            properties: if v5 { properties.as_properties() } else { Properties::EMPTY },
            payload: &message.payload,
        };
        let packet = Packet::Publish(publish);
        if encoded_len(self.connection.version, &packet) > self.connection.maximum_packet_size {
            self.desk.books.stats.too_large += 1;
            return false;
        }
        if self.connection.send(&packet, self.desk)
            && let Some(alias) = alias
        {
            self.connection.own_aliases.retain(|_, other| *other != alias);
            self.connection.own_aliases.insert(message.topic.clone(), alias);
        }
        if dup {
            self.desk.books.stats.resent += 1;
        } else {
            self.desk.books.gave(delivery.qos);
        }
        true
    }

    /// The alias of a topic: its own, or a free one, or another topic's by lot.
    fn alias(&mut self, topic: &str) -> Option<u16> {
        let most = self.desk.config.own_aliases.min(self.connection.topic_alias_maximum);
        if most == 0 {
            return None;
        }
        if let Some(alias) = self.connection.own_aliases.get(topic) {
            return Some(*alias);
        }
        let used = u16::try_from(self.connection.own_aliases.len()).unwrap_or(most);
        let lot = u16::try_from(self.desk.rng.below(u64::from(most))).unwrap_or(0);
        Some(if used < most { used + 1 } else { lot + 1 })
    }

    fn properties(&self, delivery: &Delivery, alias: Option<u16>) -> PropertiesBuf {
        let mut properties = delivery.message.properties.clone();
        if let Some(seconds) = delivery.message.remaining(self.now) {
            properties.message_expiry_interval(seconds);
        }
        for identifier in &delivery.identifiers {
            let _ = properties.subscription_identifier(*identifier);
        }
        if let Some(alias) = alias {
            let _ = properties.topic_alias(alias);
        }
        properties
    }

    // ---- Acknowledgements

    pub(super) fn handle_puback(&mut self, id: u16) {
        let Some(at) = self.find(id, |delivery| !delivery.released) else {
            return self.unknown("PUBACK", id);
        };
        let delivery = &self.session.inflight[at];
        if delivery.qos != QoS::AtLeastOnce {
            return self.breach(&rules::ACK_KIND, format!("PUBACK {id} for {:?}", delivery.qos));
        }
        let number = delivery.number;
        let last = std::mem::replace(&mut self.connection.watch.last_puback, number);
        self.check_order(&rules::PUBACK_ORDER, "PUBACK", id, number, last);
        self.finish(at);
    }

    pub(super) fn handle_pubrec(&mut self, id: u16, reason: Reason) {
        let Some(at) = self.find(id, |delivery| !delivery.released) else {
            return self.unknown("PUBREC", id);
        };
        let delivery = &self.session.inflight[at];
        if delivery.qos != QoS::ExactlyOnce {
            return self.breach(&rules::ACK_KIND, format!("PUBREC {id} for {:?}", delivery.qos));
        }
        let number = delivery.number;
        let last = std::mem::replace(&mut self.connection.watch.last_pubrec, number);
        self.check_order(&rules::PUBREC_ORDER, "PUBREC", id, number, last);
        if reason.is_error() {
            return self.finish(at);
        }
        let Some(mut delivery) = self.session.inflight.remove(at) else { return };
        delivery.released = true;
        delivery.received_on = self.connection.serial;
        self.connection.ack(AckKind::Pubrel, id, Reason::SUCCESS, self.desk);
        self.number(&mut delivery);
        self.session.inflight.insert(at, delivery);
    }

    pub(super) fn handle_pubcomp(&mut self, id: u16, reason: Reason) {
        let Some(at) = self.find(id, |delivery| delivery.released) else {
            return self.unknown("PUBCOMP", id);
        };
        let delivery = &self.session.inflight[at];
        let (number, same_connection) = (delivery.number, delivery.received_on == self.connection.serial);
        let last = std::mem::replace(&mut self.connection.watch.last_pubcomp, number);
        self.check_order(&rules::PUBCOMP_ORDER, "PUBCOMP", id, number, last);
        if reason.is_error() && same_connection {
            self.breach(&rules::NOT_FOUND, format!("PUBCOMP {id} says {reason}"));
        }
        self.finish(at);
    }

    /// What was sent on this connection under this identifier and waits for its acknowledgement.
    fn find(&self, id: u16, wanted: impl Fn(&Delivery) -> bool) -> Option<usize> {
        let here = |delivery: &Delivery| delivery.id == id && delivery.sent_on == self.connection.serial;
        self.session.inflight.iter().position(|delivery| here(delivery) && wanted(delivery))
    }

    fn unknown(&mut self, packet: &str, id: u16) {
        // An answer to a packet that was to vanish, or that the client answers again because ours vanished.
        if !self.connection.watch.lossy {
            self.breach(&rules::ACK_UNKNOWN, format!("{packet} {id}"));
        }
    }

    fn check_order(&mut self, rule: &Rule, packet: &str, id: u16, number: u64, last: u64) {
        if number < last && !self.connection.watch.lossy {
            self.breach(rule, format!("{packet} {id} comes too late"));
        }
    }

    fn finish(&mut self, at: usize) {
        if let Some(delivery) = self.session.inflight.remove(at)
            && delivery.counted_on == self.connection.serial
        {
            self.connection.watch.outstanding -= 1;
        }
        self.pump();
    }

    /// What this client still owes for our messages, once nothing moves any more.
    pub(super) fn check_all_acknowledged(&mut self) {
        let open: Vec<String> = self
            .session
            .inflight
            .iter()
            .map(|delivery| {
                format!("{} {}", if delivery.released { "PUBREL" } else { "PUBLISH" }, delivery.id)
            })
            .collect();
        if !open.is_empty() && !self.connection.watch.lossy {
            self.breach(&rules::ACKNOWLEDGED, format!("unacknowledged: {}", open.join(", ")));
        }
    }
}
