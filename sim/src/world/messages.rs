//! What the application published and what became of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use packetboat_core::session::{Accepted, Outcome, Outgoing, Payload, Tag, Ticket};
use packetboat_core::topic::TopicName;
use packetboat_core::wire::{PropertiesBuf, QoS};

use super::plan::POISON;
use super::{Promise, World};
use crate::broker;
use crate::pair::CLIENT;
use crate::pair::store::Kept;

const TOPICS: [&str; 4] = ["out/first", "out/second", "o", "out/third/level"];

/// All messages of the application, by tag, in order of acceptance.
#[derive(Debug, Default)]
pub(super) struct Messages {
    sent: BTreeMap<u64, Sent>,
    /// Tags of messages that were refused at the call.
    refused: Vec<u64>,
    /// QoS 0 messages that were reported as lost with a connection.
    pub(super) lost_qos0: usize,
}

#[derive(Debug)]
struct Sent {
    topic: &'static str,
    qos: QoS,
    retain: bool,
    /// What must arrive of its properties.
    properties: PropertiesBuf,
    ticket: Option<Ticket>,
    /// Finished at the call: QoS 0 in the output.
    encoded: bool,
    outcome: Option<Outcome>,
    /// Its process died before it ended; was it in the store?
    orphan: Option<bool>,
}

impl Sent {
    fn is(&self, message: &broker::Message) -> bool {
        (self.topic, self.qos, self.retain) == (&*message.topic, message.qos, message.retain)
            && self.properties == message.properties
    }
}

impl Messages {
    pub(super) fn accepted(&self) -> usize {
        self.sent.len()
    }

    /// A message ended.
    pub(super) fn ended(&mut self, tag: u64, outcome: Outcome) -> Promise {
        let Some(sent) = self.sent.get_mut(&tag) else {
            return Err(format!("message {tag} ended and was never accepted"));
        };
        if sent.encoded || sent.outcome.is_some() || sent.orphan.is_some() {
            return Err(format!("message {tag} is reported again: {outcome:?}, {sent:?}"));
        }
        sent.outcome = Some(outcome);
        Ok(())
    }

    pub(super) fn crashed(&mut self, committed: &[Kept]) {
        let stored: Vec<u64> = committed
            .iter()
            .filter_map(|kept| match kept {
                Kept::Message { payload, .. } => tag_of(payload),
                _ => None,
            })
            .collect();
        for (tag, sent) in &mut self.sent {
            sent.ticket = None;
            if sent.outcome.is_none() && !sent.encoded && sent.orphan.is_none() {
                sent.orphan = Some(stored.contains(tag));
            }
        }
    }

    /// Tags of messages that have not ended.
    pub(super) fn open(&self) -> Vec<u64> {
        let open = |sent: &&Sent| sent.outcome.is_none() && !sent.encoded && sent.orphan.is_none();
        self.sent.iter().filter(|(_, sent)| open(sent)).map(|(tag, _)| *tag).collect()
    }
}

/// The number at the front of a payload.
pub(super) fn tag_of(payload: &[u8]) -> Option<u64> {
    let digits = payload.split(|byte| *byte == b':').next()?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

impl World {
    pub(super) fn publish(&mut self) {
        for _ in 0..self.dice.between(1, 3) {
            self.publish_one();
        }
    }

    fn publish_one(&mut self) {
        let tag = self.next_tag();
        let poison = self.plan.config.poison_limit > 0 && self.dice.percent(3);
        let topic = if poison { POISON } else { self.dice.pick(&TOPICS) };
        let qos = self.dice.pick(&[QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce, QoS::ExactlyOnce]);
        let padding = match self.dice.index(40) {
            0 => 18_000,
            1..=4 => 120,
            _ => self.dice.index(8),
        };
        let payload: Arc<[u8]> = format!("{tag}:{}", "x".repeat(padding)).into_bytes().into();
        let mut properties = PropertiesBuf::new();
        if self.dice.percent(8) {
            // Without wildcards and U+0000 it is a response topic.
            let _ = properties.response_topic("answer/here");
        }
        let kept = if self.plan.options.version.has_properties() {
            properties.clone()
        } else {
            PropertiesBuf::new()
        };
        if self.dice.percent(12) {
            properties.message_expiry_interval(u32::try_from(self.dice.index(4)).unwrap_or(0));
        }
        let (shared, retain) = (self.dice.percent(50), self.dice.percent(5));
        let message = Outgoing {
            topic: TopicName::new(topic).unwrap_or_else(|error| panic!("{error}")),
            payload: if shared { Payload::Shared(&payload) } else { Payload::Borrowed(&payload) },
            qos,
            retain,
            properties: properties.as_properties(),
            drop_properties: self.dice.percent(50),
            tag: Tag(tag),
        };
        let accepted = self.pair.client.session.publish(&message, self.pair.now);
        self.tell(|| {
            format!("publish {tag} to {topic} {qos:?}, {padding} more bytes, {properties:?}: {accepted:?}")
        });
        let (ticket, encoded) = match accepted {
            Ok(Accepted::Encoded) => (None, true),
            Ok(Accepted::Recorded(ticket)) => (Some(ticket), false),
            Err(_) => return self.messages.refused.push(tag),
        };
        let qos = qos.min(self.plan.config.maximum_qos);
        let properties = kept;
        let sent = Sent { topic, qos, retain, properties, ticket, encoded, outcome: None, orphan: None };
        self.messages.sent.insert(tag, sent);
    }

    pub(super) fn cancel_one(&mut self) {
        let open = self.messages.open();
        if open.is_empty() {
            return;
        }
        let tag = self.dice.pick(&open);
        if let Some(ticket) = self.messages.sent.get(&tag).and_then(|sent| sent.ticket) {
            let done = self.pair.client.session.cancel(ticket);
            self.tell(|| format!("cancel {tag}: {done}"));
        }
    }

    /// Hold the messages to what was promised of each.
    pub(super) fn check_messages(&self) -> Promise {
        let mut counts: BTreeMap<u64, usize> = BTreeMap::new();
        for entry in self.pair.broker.accepted(CLIENT) {
            let tag = tag_of(&entry.message.payload).ok_or("a payload nobody published")?;
            let known = self.messages.sent.get(&tag);
            if known.is_none_or(|sent| !sent.is(&entry.message)) {
                return Err(format!(
                    "message {tag} reached the broker changed: {:?}, {known:?}",
                    entry.message
                ));
            }
            *counts.entry(tag).or_default() += 1;
        }
        if let Some(tag) = self.messages.refused.iter().find(|tag| counts.contains_key(tag)) {
            return Err(format!("message {tag} was refused and sent"));
        }
        for (tag, sent) in &self.messages.sent {
            self.check_count(sent, counts.get(tag).copied().unwrap_or(0))
                .map_err(|what| format!("message {tag} arrived {what}: {sent:?}"))?;
        }
        self.check_order()
    }

    /// How often a message may have reached the broker, given how it ended.
    fn check_count(&self, sent: &Sent, count: usize) -> Promise {
        let demand = |allowed: bool| if allowed { Ok(()) } else { Err(format!("{count} times")) };
        if sent.qos == QoS::AtMostOnce {
            let gone = matches!(&sent.outcome, Some(outcome) if !matches!(outcome, Outcome::Sent));
            return demand(count <= usize::from(!gone));
        }
        let again = if sent.qos == QoS::ExactlyOnce { self.losses } else { usize::MAX };
        match &sent.outcome {
            Some(Outcome::Acknowledged { reason, .. }) if reason.is_error() => Ok(()),
            Some(Outcome::Acknowledged { possible_duplicate: true, .. }) => {
                demand(count >= 1 && count <= 1 + again)
            }
            // The process died before the store knew of the PUBREC, and the broker's new session knows nothing of it.
            Some(Outcome::Acknowledged { .. }) if self.crashes > 0 && self.losses > 0 => {
                demand(count >= 1 && count <= 1_usize.saturating_add(again))
            }
            Some(Outcome::Acknowledged { .. }) if sent.qos == QoS::ExactlyOnce => demand(count == 1),
            Some(Outcome::Acknowledged { .. }) => demand(count >= 1),
            // The process died before the store forgot it.
            Some(Outcome::Expired | Outcome::Cancelled | Outcome::Dropped) if self.crashes > 0 => {
                demand(count <= 1_usize.saturating_add(again))
            }
            // The broker has hung up on it, or connections ended when it was on the way and for other reasons.
            Some(Outcome::Poison { connections }) => {
                let limit = self.plan.config.poison_limit;
                let excused = limit > 0 && *connections >= limit && self.connections > limit.into();
                demand(
                    excused && (count == 0 || sent.topic != POISON && count <= 1_usize.saturating_add(again)),
                )
            }
            Some(Outcome::Unresolved) => {
                demand(self.losses + self.crashes > 0 && count <= 1_usize.saturating_add(again))
            }
            Some(_) => demand(count == 0),
            // It was not in the store, so it must not have been sent.
            None if sent.orphan == Some(false) => demand(count == 0),
            // The next process saw to it, and could still find it expired, too large, refused by the broker...
            None => demand(count <= 1_usize.saturating_add(again)),
        }
    }

    /// QoS 0 messages reported as sent and not reported as lost are those that sockets took, to the message.
    pub(super) fn check_losses(&self) -> Promise {
        let sent = |sent: &&Sent| sent.encoded || matches!(sent.outcome, Some(Outcome::Sent));
        let sent = self.messages.sent.values().filter(sent).count();
        let (lost, taken) = (self.messages.lost_qos0, self.pair.client.witness.plain_taken);
        if self.crashes == 0 && sent != lost + taken {
            return Err(format!(
                "{sent} QoS 0 messages were sent, {lost} reported as lost, {taken} taken by sockets"
            ));
        }
        Ok(())
    }

    /// First arrivals are in order of acceptance: for each topic and QoS as the specification demands, and for all of
    /// QoS 1 and 2 together as this client promises while its process lives.
    fn check_order(&self) -> Promise {
        if self.plan.broker.refused_per_mille > 0 {
            return Ok(()); // What is refused once may be accepted when it is sent again.
        }
        let mut last: BTreeMap<(&str, u8), u64> = BTreeMap::new();
        let mut seen: Vec<u64> = Vec::new();
        for entry in self.pair.broker.accepted(CLIENT) {
            let message: &broker::Message = &entry.message;
            let Some(tag) = tag_of(&message.payload).filter(|tag| !seen.contains(tag)) else { continue };
            seen.push(tag);
            // Withdrawn, and withdrawn for nothing: the process died before the store forgot it.
            let outcome = self.messages.sent.get(&tag).and_then(|sent| sent.outcome.as_ref());
            if self.crashes > 0
                && outcome.is_some_and(|outcome| !matches!(outcome, Outcome::Acknowledged { .. }))
            {
                continue;
            }
            let reliable = message.qos > QoS::AtMostOnce;
            let lane = match (reliable, self.crashes) {
                (true, 0) => ("", 1),
                (true, _) => (&*message.topic, message.qos as u8),
                (false, _) => ("", 0),
            };
            let before = last.insert(lane, tag).unwrap_or(0);
            if before > tag {
                return Err(format!("message {tag} arrived after {before}, which was accepted later"));
            }
        }
        Ok(())
    }
}
