//! From a message to its subscribers.

use std::collections::BTreeMap;
use std::sync::Arc;

use packetboat_core::time::Instant;
use packetboat_core::topic::matches;
use packetboat_core::wire::QoS;

use super::session::{Delivery, Share};
use super::{Broker, Client, Message, Overlap};

impl Broker {
    /// Give a message to everybody who wants it. False: nobody does.
    pub(super) fn route(&mut self, message: &Arc<Message>, now: Instant) -> bool {
        self.retain(message);
        let mut targets = self.own_shares(message);
        targets.extend(self.shared_shares(message));
        let matched = !targets.is_empty();
        for (client, share) in targets {
            self.deliver(&client, Delivery::new(message, share), now);
        }
        matched
    }

    fn retain(&mut self, message: &Arc<Message>) {
        if !message.retain || !self.desk.config.retain_available {
            return;
        }
        if message.payload.is_empty() {
            self.retained.remove(&message.topic); // [MQTT-3.3.1-6], [MQTT-3.3.1-7]
        } else {
            self.retained.insert(message.topic.clone(), Arc::clone(message));
        }
    }

    /// Copies over subscriptions that are not shared.
    fn own_shares(&self, message: &Message) -> Vec<(String, Share)> {
        let overlap = self.desk.config.overlap;
        let mut targets = Vec::new();
        for session in self.sessions.values() {
            let version =
                session.connection.and_then(|id| self.connections.get(&id)).map(|found| found.version);
            let one_copy = match overlap {
                Overlap::OneCopy => true,
                Overlap::CopyEach => false,
                Overlap::LikeMosquitto => version.is_none_or(|version| !version.has_properties()),
            };
            let shares = session.shares(message, one_copy);
            targets.extend(shares.into_iter().map(|share| (session.client.clone(), share)));
        }
        targets
    }

    /// One member of each shared subscription gets a copy: whoever is online, in turn (4.8.2).
    fn shared_shares(&mut self, message: &Message) -> Vec<(String, Share)> {
        let mut members: BTreeMap<&str, Vec<(&str, bool, Share)>> = BTreeMap::new();
        for session in self.sessions.values() {
            for (filter, subscription) in &session.subscriptions {
                if filter.share_name().is_some() && matches(filter.filter(), &message.topic) {
                    let member =
                        (&*session.client, session.connection.is_some(), subscription.share(message));
                    members.entry(filter.as_str()).or_default().push(member);
                }
            }
        }
        let mut targets = Vec::new();
        for (filter, mut group) in members {
            if group.iter().any(|(_, online, _)| *online) {
                group.retain(|(_, online, _)| *online);
            }
            let turn = self.turns.entry(filter.to_owned()).or_default();
            *turn = (*turn + 1) % group.len();
            let (client, _, share) = group.swap_remove(*turn);
            targets.push((client.to_owned(), share));
        }
        targets
    }

    fn deliver(&mut self, client: &str, delivery: Delivery, now: Instant) {
        let Some(session) = self.sessions.get_mut(client) else { return };
        let connection = session.connection.and_then(|id| self.connections.get_mut(&id));
        if let Some(connection) = connection {
            let mut client = Client { connection, session, desk: &mut self.desk, now };
            client.enqueue(delivery);
            return client.pump();
        }
        let wanted = delivery.qos > QoS::AtMostOnce || self.desk.config.queue_qos0;
        if !wanted || session.queue.len() >= self.desk.config.queue_messages {
            self.desk.books.stats.dropped += 1;
        } else {
            session.queue.push_back(delivery);
        }
    }
}
