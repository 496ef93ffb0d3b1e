//! Messages from the client: PUBLISH and PUBREL, and whether they come as they must.

use std::sync::Arc;

use packetboat_core::time::Instant;
use packetboat_core::wire::{AckKind, Publish, QoS, Reason};

use super::connection::{Answer, Phase};
use super::rules::{self, Rule};
use super::session::{Inbound, InboundState, digest};
use super::{Accepted, Broker, Client, ConnectionId, Message, message};

/// What a PUBLISH turned out to be.
enum Taken {
    /// A message that is now the broker's.
    Message(Arc<Message>),
    /// A message the broker has already, or does not want: only the answer is left.
    Answered(Reason),
    /// The connection ends.
    Nothing,
}

impl Broker {
    pub(super) fn handle_publish(&mut self, id: ConnectionId, publish: &Publish<'_>, now: Instant) {
        if self.desk.config.is_poisonous(publish.topic) {
            return self.cut(id, now);
        }
        let Some(mut client) = self.client(id, now) else { return };
        let taken = client.take(publish);
        let reason = match taken {
            Taken::Message(message) => {
                let matched = self.route(&message, now);
                let silent = matched || !self.desk.config.report_no_subscribers;
                if silent { Reason::SUCCESS } else { Reason::NO_MATCHING_SUBSCRIBERS }
            }
            Taken::Answered(reason) => reason,
            Taken::Nothing => return,
        };
        let Some(mut client) = self.client(id, now) else { return };
        // 3.1.1 has no way to refuse a message [MQTT-3.3.5-2].
        let reason = if client.connection.version.has_properties() { reason } else { Reason::SUCCESS };
        match (publish.qos, publish.id) {
            (QoS::AtLeastOnce, Some(id)) => client.answer(Answer::Ack { kind: AckKind::Puback, id, reason }),
            (QoS::ExactlyOnce, Some(id)) => client.answer(Answer::Ack { kind: AckKind::Pubrec, id, reason }),
            _ => {}
        }
    }
}

impl Client<'_> {
    /// Judge a PUBLISH and take its message.
    fn take(&mut self, publish: &Publish<'_>) -> Taken {
        self.check_limits(publish);
        let Some(topic) = self.topic(publish) else { return Taken::Nothing };
        let known = publish.id.is_some_and(|id| self.note(id, &topic, publish));
        if self.connection.phase != Phase::Online {
            return Taken::Nothing;
        }
        if known {
            return Taken::Answered(Reason::SUCCESS);
        }
        if self.desk.config.is_denied(&topic) {
            return Taken::Answered(Reason::NOT_AUTHORIZED);
        }
        if publish.qos > QoS::AtMostOnce && self.is_refused_by_lot() {
            return Taken::Answered(Reason::QUOTA_EXCEEDED);
        }
        if let Some(entry) = publish.id.and_then(|id| self.session.inbound.get_mut(&id)) {
            entry.owned = true;
        }
        let mut message = Message::new(topic, publish.payload, publish.qos).by(&self.connection.client);
        message.retain = publish.retain;
        message.properties = message::carried(publish.properties);
        message.expires = message::expiry_interval(publish.properties).map(|interval| self.now + interval);
        let message = Arc::new(message);
        let entry = Accepted {
            message: Arc::clone(&message),
            dup: publish.dup,
            id: publish.id,
            connection: self.connection.id,
        };
        self.desk.books.took(&self.connection.client, entry, self.desk.config.keep_log);
        Taken::Message(message)
    }

    fn is_refused_by_lot(&mut self) -> bool {
        let refused = u64::from(self.desk.config.refused_per_mille);
        refused > 0 && self.connection.version.has_properties() && self.desk.rng.below(1000) < refused
    }

    fn check_limits(&mut self, publish: &Publish<'_>) {
        let limits = self.connection.limits;
        let v5 = self.connection.version.has_properties();
        let (maximum_qos, retain) = (limits.maximum_qos, limits.retain_available);
        if publish.qos > maximum_qos && v5 {
            self.breach(&rules::MAXIMUM_QOS, format!("{:?}, allowed is {maximum_qos:?}", publish.qos));
        }
        if publish.retain && !retain && v5 {
            self.breach(&rules::RETAIN_AVAILABLE, format!("topic {:?}", publish.topic));
        }
        if publish.properties.subscription_identifiers().next().is_some() {
            self.breach(&rules::IDENTIFIER_IN_PUBLISH, format!("topic {:?}", publish.topic));
        }
    }

    /// The topic, through its alias if it has one.
    fn topic(&mut self, publish: &Publish<'_>) -> Option<String> {
        let Some(alias) = publish.properties.topic_alias() else { return Some(publish.topic.to_owned()) };
        let maximum = self.connection.limits.topic_alias_maximum;
        if alias > maximum {
            self.breach(&rules::ALIAS_MAXIMUM, format!("alias {alias}, allowed are {maximum}"));
            return None;
        }
        if !publish.topic.is_empty() {
            self.connection.aliases.insert(alias, publish.topic.to_owned());
            return Some(publish.topic.to_owned());
        }
        let topic = self.connection.aliases.get(&alias).cloned();
        if topic.is_none() && !self.connection.watch.lossy {
            self.breach(&rules::ALIAS_UNKNOWN, format!("alias {alias}"));
        }
        topic
    }

    /// Judge identifier and DUP flag of a PUBLISH above QoS 0 and remember it. True: the message is ours already.
    fn note(&mut self, id: u16, topic: &str, publish: &Publish<'_>) -> bool {
        let digest = digest(topic, publish);
        let known =
            self.session.inbound.get(&id).copied().filter(|entry| entry.state != InboundState::Finished);
        match known {
            Some(entry) => self.check_repeated(id, &entry, digest, publish),
            None => self.check_first(id, publish),
        }
        let serial = self.connection.serial;
        let entry = match known {
            Some(entry) => Inbound { touched: serial, state: InboundState::Taken, ..entry },
            None => Inbound {
                qos: publish.qos,
                digest,
                // One that was sent before, unseen by us or finished by us, has a place we do not know.
                order: if publish.dup { 0 } else { self.session.next_order() },
                state: InboundState::Taken,
                owned: false,
                touched: serial,
                received: (0, 0),
            },
        };
        self.session.inbound.insert(id, entry);
        self.connection.watch.unanswered.insert(id);
        self.connection.watch.to_resend.remove(&id);
        let (count, maximum) =
            (self.connection.watch.unanswered.len(), self.connection.limits.receive_maximum);
        if self.connection.version.has_properties() && count > usize::from(maximum) {
            self.breach(&rules::RECEIVE_MAXIMUM, format!("{count} unacknowledged, allowed are {maximum}"));
        }
        // QoS 1 may be delivered again; the same identifier of QoS 2 may not [MQTT-4.3.3-10].
        known.is_some_and(|entry| entry.qos == QoS::ExactlyOnce && entry.owned)
    }

    /// The identifier stands for nothing the client can know to be unfinished.
    fn check_first(&mut self, id: u16, publish: &Publish<'_>) {
        if self.connection.watch.requests.contains(&id) {
            self.breach(
                &rules::UNUSED_ID,
                format!("PUBLISH {id} while SUBSCRIBE or UNSUBSCRIBE {id} is unanswered"),
            );
        }
        let finished_here =
            self.session.inbound.get(&id).is_some_and(|entry| entry.touched == self.connection.serial);
        if publish.dup && !self.connection.watch.lossy {
            // On a resumed session the first transmission may have been lost with the last connection.
            if !self.connection.watch.resumed {
                self.breach(&rules::DUP_ON_FIRST, format!("PUBLISH {id} on a new session"));
            } else if finished_here {
                self.breach(&rules::LIVE_RESEND, format!("PUBLISH {id} again after its acknowledgement"));
            }
        }
        if !publish.dup {
            self.check_nothing_left(id);
            self.connection.watch.new_seen = true;
        }
    }

    /// A new message: everything of an earlier connection must have been sent again before it.
    fn check_nothing_left(&mut self, id: u16) {
        let missing = self.connection.watch.to_resend.first().copied();
        if let (Some(missing), false) = (missing, self.connection.watch.lossy) {
            self.breach(
                &rules::NEW_BEFORE_RESEND,
                format!("PUBLISH {id} is new and {missing} is not sent again yet"),
            );
        }
    }

    /// The identifier stands for a message whose acknowledgement the client cannot have seen to the end.
    fn check_repeated(&mut self, id: u16, entry: &Inbound, digest: u64, publish: &Publish<'_>) {
        let same = entry.digest == digest && entry.qos == publish.qos;
        let here = entry.touched == self.connection.serial;
        let rule: Option<&Rule> = if entry.state == InboundState::Released && same {
            Some(&rules::RESENT_AFTER_RELEASE)
        } else if (!same && !publish.dup) || entry.state == InboundState::Released {
            Some(&rules::UNUSED_ID)
        } else if here {
            Some(&rules::LIVE_RESEND)
        } else if !publish.dup {
            Some(&rules::DUP_ON_RESEND)
        } else if !same {
            Some(&rules::SAME_MESSAGE)
        } else {
            None
        };
        if let Some(rule) = rule {
            let state = entry.state;
            self.breach(
                rule,
                format!("PUBLISH {id}, DUP {}, the last one is {state:?}", u8::from(publish.dup)),
            );
            return;
        }
        let watch = &mut self.connection.watch;
        let in_order = (entry.order == 0 || entry.order > watch.last_resent) && !watch.new_seen;
        watch.last_resent = watch.last_resent.max(entry.order);
        if !in_order && !watch.lossy {
            self.breach(&rules::RESEND_ORDER, format!("PUBLISH {id} comes too late"));
        }
    }

    /// Our answer is out: what the client may do with the identifier now.
    pub(super) fn answered(&mut self, kind: AckKind, id: u16, reason: Reason) {
        let serial = self.connection.serial;
        let finished = kind != AckKind::Pubrec || reason.is_error();
        let order = if finished { 0 } else { self.session.next_order() };
        if finished {
            self.connection.watch.unanswered.remove(&id);
        }
        let Some(entry) = self.session.inbound.get_mut(&id) else { return };
        if finished {
            entry.state = InboundState::Finished;
            entry.touched = serial;
        } else {
            entry.state = InboundState::Received;
            entry.received = (order, serial);
            self.connection.watch.received.push_back(id);
        }
    }

    pub(super) fn handle_pubrel(&mut self, id: u16, reason: Reason) {
        let serial = self.connection.serial;
        let entry = self.session.inbound.get(&id).copied().filter(|entry| entry.qos == QoS::ExactlyOnce);
        // Its PUBCOMP may have been lost with an earlier connection.
        let again = |entry: &Inbound| {
            matches!(entry.state, InboundState::Finished | InboundState::Released) && entry.touched != serial
        };
        let resumed = self.connection.watch.resumed;
        let mut found = Reason::SUCCESS;
        match entry {
            Some(entry) if entry.state == InboundState::Received => self.check_release_order(id, &entry),
            Some(entry) if resumed && again(&entry) => {
                if entry.state == InboundState::Finished {
                    found = Reason::PACKET_IDENTIFIER_NOT_FOUND;
                }
            }
            // What the store had not forgotten yet when the process died is released once more.
            _ if self.connection.watch.lossy || self.connection.watch.excused => {
                found = Reason::PACKET_IDENTIFIER_NOT_FOUND;
            }
            _ => {
                found = Reason::PACKET_IDENTIFIER_NOT_FOUND;
                let state = entry.map(|entry| entry.state);
                self.breach(&rules::RELEASE_UNKNOWN, format!("PUBREL {id}, which is {state:?}"));
            }
        }
        if reason.is_error() && found == Reason::SUCCESS {
            self.breach(
                &rules::RELEASE_UNKNOWN,
                format!("PUBREL {id} says {reason}, but its PUBREC was sent"),
            );
        }
        if self.connection.phase != Phase::Online {
            return;
        }
        if let Some(entry) = self.session.inbound.get_mut(&id) {
            entry.state = InboundState::Released;
            entry.touched = serial;
        }
        self.answer(Answer::Ack { kind: AckKind::Pubcomp, id, reason: found });
    }

    /// [MQTT-4.6.0-4]: PUBRECs of this connection have all arrived in order; of an earlier one, some may be lost.
    fn check_release_order(&mut self, id: u16, entry: &Inbound) {
        let (order, connection) = entry.received;
        let serial = self.connection.serial;
        if connection != serial {
            let watch = &mut self.connection.watch;
            let late = order < watch.last_old_release;
            watch.last_old_release = order;
            if late && !watch.lossy && !watch.excused {
                self.breach(&rules::RELEASE_ORDER, format!("PUBREL {id} comes too late"));
            }
            return;
        }
        let received = &mut self.connection.watch.received;
        let first = received.front().copied();
        received.retain(|other| *other != id);
        if let (true, Some(first), false) = (first != Some(id), first, self.connection.watch.lossy) {
            self.breach(&rules::RELEASE_ORDER, format!("PUBREL {id} comes before PUBREL {first}"));
        }
    }

    /// What this client still owes for its own messages, once nothing moves any more.
    pub(super) fn check_nothing_unfinished(&mut self) {
        let open: Vec<String> = self
            .session
            .inbound
            .iter()
            .filter(|(_, entry)| entry.state != InboundState::Finished)
            .map(|(id, entry)| format!("{id} is {:?}", entry.state))
            .collect();
        if !open.is_empty() && !self.connection.watch.lossy {
            self.breach(&rules::UNFINISHED, open.join(", "));
        }
    }
}
