//! What its owner may ask of the broker and tell it to do.

use std::sync::Arc;

use packetboat_core::time::Instant;
use packetboat_core::wire::{QoS, Reason};

use super::session::InboundState;
use super::{Accepted, Broker, Config, ConnectionId, Faults, Message, Stats, Violation};

impl Broker {
    /// Every breach of the rules so far, oldest first.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        &self.desk.books.violations
    }

    /// Counts so far.
    #[must_use]
    pub fn stats(&self) -> &Stats {
        &self.desk.books.stats
    }

    /// The messages taken from a client, in order; only with [`Config::keep_log`].
    #[must_use]
    pub fn accepted(&self, client: &str) -> &[Accepted] {
        self.desk.books.accepted.get(client).map_or(&[], Vec::as_slice)
    }

    /// The reason of the last DISCONNECT of a client.
    #[must_use]
    pub fn farewell(&self, client: &str) -> Option<Reason> {
        self.desk.books.farewells.get(client).copied()
    }

    /// The retained message of a topic.
    #[must_use]
    pub fn retained(&self, topic: &str) -> Option<&Message> {
        self.retained.get(topic).map(|message| &**message)
    }

    /// Whether there is a session of this client, connected or not.
    #[must_use]
    pub fn has_session(&self, client: &str) -> bool {
        self.sessions.contains_key(client)
    }

    /// The session that an accepted connection found or began: another number is another session, whatever its client
    /// was told. Only with [`Config::keep_log`].
    #[must_use]
    pub fn session_number(&self, connection: ConnectionId) -> Option<u64> {
        self.desk.books.greetings.get(&connection).copied()
    }

    /// The connection of a client, if it is connected.
    #[must_use]
    pub fn connection(&self, client: &str) -> Option<ConnectionId> {
        self.sessions.get(client)?.connection
    }

    /// How many clients are connected.
    #[must_use]
    pub fn connected(&self) -> usize {
        self.sessions.values().filter(|session| session.connection.is_some()).count()
    }

    /// The filters a client is subscribed to.
    #[must_use]
    pub fn subscriptions(&self, client: &str) -> Vec<&str> {
        let session = self.sessions.get(client);
        session.map_or(Vec::new(), |session| session.subscriptions.keys().map(AsRef::as_ref).collect())
    }

    /// The QoS at which a client would get a message on this topic: the highest granted among the subscriptions that
    /// match, shared ones apart. `None`: it would get none.
    #[must_use]
    pub fn granted(&self, client: &str, topic: &str) -> Option<QoS> {
        let subscriptions = &self.sessions.get(client)?.subscriptions;
        let matching = subscriptions.iter().filter(|(filter, _)| {
            filter.share_name().is_none() && packetboat_core::topic::matches(filter.filter(), topic)
        });
        matching.map(|(_, subscription)| subscription.options.qos).max()
    }

    /// Messages for a client that it has not acknowledged to the end, queued ones included.
    #[must_use]
    pub fn pending(&self, client: &str) -> usize {
        self.sessions.get(client).map_or(0, |session| session.queue.len() + session.inflight.len())
    }

    /// Messages of a client whose exchange has not come to its end.
    #[must_use]
    pub fn unfinished(&self, client: &str) -> usize {
        let open = |session: &super::session::Session| {
            session.inbound.values().filter(|entry| entry.state != InboundState::Finished).count()
        };
        self.sessions.get(client).map_or(0, open)
    }

    /// This client will not send the message under this identifier again: it gave it up, and knows that it does so
    /// against [MQTT-4.4.0-1].
    pub fn gave_up(&mut self, client: &str, id: u16) {
        if let Some(session) = self.sessions.get_mut(client) {
            session.given_up.insert(id);
        }
    }

    /// The settings. Limits that were announced to connected clients hold for them until they connect again.
    pub fn config_mut(&mut self) -> &mut Config {
        &mut self.desk.config
    }

    /// Faults on order.
    pub fn faults(&mut self) -> &mut Faults {
        &mut self.desk.faults
    }

    /// Publish a message of the broker's own.
    pub fn publish(&mut self, message: Message, now: Instant) {
        self.route(&Arc::new(message), now);
    }

    /// Say DISCONNECT with this reason, where the version allows, and close. False: the client is not connected.
    pub fn disconnect(&mut self, client: &str, reason: Reason, now: Instant) -> bool {
        let Some(id) = self.connection(client) else { return false };
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.dismiss(reason, "on request", &mut self.desk);
        }
        self.leave(id, now);
        true
    }

    /// Break a client's connection without a word. False: the client is not connected.
    pub fn cut_off(&mut self, client: &str, now: Instant) -> bool {
        let Some(id) = self.connection(client) else { return false };
        self.cut(id, now);
        true
    }

    /// Break all connections without a word.
    pub fn cut_all(&mut self, now: Instant) {
        let ids: Vec<ConnectionId> = self.connections.keys().copied().collect();
        for id in ids {
            self.cut(id, now);
        }
    }

    /// Send bytes that no honest broker would send, behind whatever is to be sent. False: the client is not connected.
    pub fn send_raw(&mut self, client: &str, bytes: &[u8]) -> bool {
        let connection = self.connection(client).and_then(|id| self.connections.get_mut(&id));
        connection.map(|connection| connection.send_raw(bytes)).is_some()
    }

    /// Lose the session of a client, as a broker that crashes does. Its connection is cut.
    pub fn forget(&mut self, client: &str, now: Instant) {
        self.cut_off(client, now);
        self.sessions.remove(client);
    }

    /// The process of a client died and will come back with what its store held: which messages of QoS 1 it had sent
    /// it cannot know, nor under which identifiers, and they are not expected to be sent again as such.
    pub fn excuse_crash(&mut self, client: &str) {
        if let Some(session) = self.sessions.get_mut(client) {
            session.crashed = true;
        }
    }

    /// Crash and start again: all connections are cut; sessions and retained messages are kept, or lost as well.
    pub fn restart(&mut self, keep: bool, now: Instant) {
        self.cut_all(now);
        if !keep {
            self.sessions.clear();
            self.retained.clear();
        }
    }

    /// Demand that nothing is left to do for a connected client, once nothing moves any more: that its messages came
    /// to their end and that it acknowledged everything it got. What is missing is recorded as a violation.
    pub fn check_idle(&mut self, client: &str, now: Instant) {
        let Some(id) = self.connection(client) else { return };
        if let Some(mut client) = self.client(id, now) {
            client.check_nothing_unfinished();
            client.check_all_acknowledged();
        }
        let closing =
            self.connections.get(&id).is_some_and(|connection| connection.phase == super::Phase::Closing);
        if closing {
            self.leave(id, now);
        }
    }
}
