//! CONNECT: who is let in, with which session, under which limits; and what is left when a connection ends.

use std::time::Duration;

use packetboat_core::time::Instant;
use packetboat_core::wire::{
    Connack, Connect, Packet, Properties, PropertiesBuf, QoS, Reason, Version, encoded_len,
};

use super::connection::{Answer, Connection, Phase, Will};
use super::session::{InboundState, Session};
use super::{Broker, Config, ConnectionId, Message, Refusal, message, rules};

impl Broker {
    pub(super) fn handle_connect(&mut self, id: ConnectionId, connect: &Connect<'_>, now: Instant) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        connection.version = connect.version;
        connect.client_id.clone_into(&mut connection.client);
        if let Some(refusal) = self.desk.faults.refusal(connect.client_id) {
            return self.refuse(id, refusal, now);
        }
        if connect.client_id.is_empty() && !connect.clean_start && !connect.version.has_properties() {
            connection.breach(&rules::EMPTY_IDENTIFIER, "not clean".to_owned(), &mut self.desk);
            return self.refuse(id, Refusal::Code(Reason::CLIENT_IDENTIFIER_NOT_VALID), now);
        }
        if let Some(refusal) = objection(connect, &self.desk.config) {
            return self.refuse(id, refusal, now);
        }
        if !self.begin_authentication(id, connect, now) {
            self.admit(id, connect, now);
        }
    }

    /// Say no and close. A connection that was already told why is only closed.
    pub(super) fn refuse(&mut self, id: ConnectionId, refusal: Refusal, now: Instant) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        self.desk.books.stats.refused += 1;
        let phase = std::mem::replace(&mut connection.phase, Phase::Connecting);
        match refusal {
            Refusal::Code(reason) => {
                let connack = Connack { session_present: false, reason, properties: Properties::EMPTY };
                connection.send(&Packet::Connack(connack), &mut self.desk);
            }
            Refusal::OldShape(code) => connection.send_raw(&[0x20, 2, 0, code]),
            Refusal::Close => {}
        }
        debug_assert!(phase != Phase::Online, "only a CONNECT is refused");
        connection.end();
        self.leave(id, now);
    }

    pub(super) fn admit(&mut self, id: ConnectionId, connect: &Connect<'_>, now: Instant) {
        let client = self.identify(id, connect.client_id);
        self.take_over(&client, now);
        if connect.clean_start {
            self.end_session(&client, now);
        }
        let present = self.sessions.contains_key(&client);
        let session = self.sessions.entry(client.clone()).or_insert_with(|| Session::new(&client, id.0));
        session.connection = Some(id);
        session.expires = None;
        // A will that waits is not sent if the client is back in time [MQTT-3.1.3-9].
        session.will = None;
        session.expiry = requested_expiry(connect, &self.desk.config);
        if self.desk.config.keep_log {
            self.desk.books.greetings.insert(id, session.number);
        }
        let stats = &mut self.desk.books.stats;
        stats.accepted += 1;
        stats.resumed += u64::from(present);
        let Some(connection) = self.connections.get_mut(&id) else { return };
        connection.client.clone_from(&client);
        connection.adopt(connect, &self.desk.config);
        connection.phase = Phase::Connecting;
        connection.watch.resumed = present;
        connection.watch.resending = present;
        connection.watch.lossy |= session.lossy;
        if std::mem::take(&mut session.crashed) {
            session.excused = true;
            session.inbound.retain(|_, entry| entry.qos == QoS::ExactlyOnce);
        }
        connection.watch.excused = session.excused;
        for id in std::mem::take(&mut session.given_up) {
            session.inbound.remove(&id);
        }
        let unanswered = session.inbound.iter().filter(|(_, entry)| entry.state == InboundState::Taken);
        connection.watch.to_resend = unanswered.map(|(id, _)| *id).collect();
        self.greet(id, connect, present, now);
    }

    /// CONNACK, now or after the delay.
    fn greet(&mut self, id: ConnectionId, connect: &Connect<'_>, session_present: bool, now: Instant) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let mut properties = announcement(connect, &connection.client, &self.desk.config);
        let last_word = connection.last_word.take();
        connection.put_authentication(&mut properties, last_word.as_deref());
        let connack =
            Connack { session_present, reason: Reason::SUCCESS, properties: properties.as_properties() };
        if encoded_len(connect.version, &Packet::Connack(connack)) > connection.maximum_packet_size {
            return self.refuse(id, Refusal::Code(Reason::PACKET_TOO_LARGE), now);
        }
        if self.desk.answers_at_once() {
            self.send_connack(id, session_present, properties.as_properties(), now);
        } else {
            connection.answer(Answer::Connack { session_present, properties }, now, &mut self.desk);
        }
    }

    /// The client's identifier, or one of ours [MQTT-3.1.3-6].
    fn identify(&mut self, id: ConnectionId, given: &str) -> String {
        if !given.is_empty() {
            return given.to_owned();
        }
        loop {
            self.assigned += 1;
            let assigned = format!("assigned-{}-{}", id.0, self.assigned);
            if !self.sessions.contains_key(&assigned) {
                return assigned;
            }
        }
    }

    /// The client is connected already: its older connection ends [MQTT-3.1.4-3].
    fn take_over(&mut self, client: &str, now: Instant) {
        let Some(older) = self.sessions.get(client).and_then(|session| session.connection) else { return };
        self.desk.books.stats.taken_over += 1;
        if let Some(connection) = self.connections.get_mut(&older) {
            connection.dismiss(Reason::SESSION_TAKEN_OVER, "the client connected again", &mut self.desk);
        }
        self.leave(older, now);
    }

    /// Break a connection without a word.
    pub(super) fn cut(&mut self, id: ConnectionId, now: Instant) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.cut();
        }
        self.leave(id, now);
    }

    /// A connection has ended as far as its session is concerned: will and session expiry take their course.
    pub(super) fn leave(&mut self, id: ConnectionId, now: Instant) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let will = connection.will.take();
        let client = connection.client.clone();
        let lossy = connection.watch.lossy;
        let Some(session) = self.sessions.get_mut(&client) else { return };
        if session.connection != Some(id) {
            return;
        }
        session.connection = None;
        session.lossy |= lossy;
        session.queue.retain(|delivery| delivery.qos > QoS::AtMostOnce || self.desk.config.queue_qos0);
        let ends_at_once = session.expiry.is_some_and(|expiry| expiry.is_zero());
        session.expires = session.expiry.map(|expiry| now + expiry);
        if let Some(will) = will {
            if will.delay.is_zero() || ends_at_once {
                self.publish_will(will, now);
            } else {
                session.will = Some((now + will.delay, will));
            }
        }
        if ends_at_once {
            self.end_session(&client, now);
        }
    }

    /// Forget a session. Its will, if one waits, is published [MQTT-3.1.2-8].
    pub(super) fn end_session(&mut self, client: &str, now: Instant) {
        if let Some(session) = self.sessions.remove(client)
            && let Some((_, will)) = session.will
        {
            self.publish_will(will, now);
        }
    }

    pub(super) fn end_expired_sessions(&mut self, now: Instant) {
        let expired =
            |session: &&Session| session.connection.is_none() && super::books::is_past(session.expires, now);
        let ended: Vec<String> =
            self.sessions.values().filter(expired).map(|session| session.client.clone()).collect();
        for client in ended {
            self.end_session(&client, now);
        }
    }

    pub(super) fn publish_due_wills(&mut self, now: Instant) {
        let due = |session: &mut Session| session.will.take_if(|(due, _)| *due <= now);
        let wills: Vec<_> = self.sessions.values_mut().filter_map(due).collect();
        for (_, will) in wills {
            self.publish_will(will, now);
        }
    }

    fn publish_will(&mut self, will: Will, now: Instant) {
        self.desk.books.stats.wills += 1;
        let mut message = will.message;
        message.expires = will.expiry.map(|expiry| now + expiry);
        self.publish(message, now);
    }
}

impl Connection {
    /// What CONNECT says of this connection.
    fn adopt(&mut self, connect: &Connect<'_>, config: &Config) {
        let properties = connect.properties;
        self.limits = config.announced();
        let server_keep_alive = config.server_keep_alive.filter(|_| connect.version.has_properties());
        self.keep_alive = Duration::from_secs(server_keep_alive.unwrap_or(connect.keep_alive).into());
        self.expires_at_once = properties.session_expiry_interval().unwrap_or(0) == 0;
        self.method = properties.authentication_method().map(str::to_owned);
        self.receive_maximum =
            usize::from(properties.receive_maximum().unwrap_or(u16::MAX).min(config.window));
        self.maximum_packet_size = properties
            .maximum_packet_size()
            .map_or(usize::MAX, |size| usize::try_from(size).unwrap_or(usize::MAX));
        self.topic_alias_maximum = properties.topic_alias_maximum().unwrap_or(0);
        self.will = connect.will.as_ref().map(|will| Will {
            message: Message::of_will(will, &self.client),
            expiry: message::expiry_interval(will.properties),
            delay: Duration::from_secs(will.properties.will_delay_interval().unwrap_or(0).into()),
        });
    }
}

/// Why a CONNECT that breaks no rule is refused all the same.
fn objection(connect: &Connect<'_>, config: &Config) -> Option<Refusal> {
    if !config.versions.contains(&connect.version) {
        return Some(config.wrong_version);
    }
    if !config.credentials.is_empty() {
        let expected = connect.username.and_then(|name| config.credentials.get(name));
        if expected.is_none() || expected.map(Vec::as_slice) != connect.password {
            return Some(Refusal::Code(Reason::BAD_USER_NAME_OR_PASSWORD));
        }
    }
    let will = connect.will?;
    if will.qos > config.maximum_qos {
        return Some(Refusal::Code(Reason::QOS_NOT_SUPPORTED)); // [MQTT-3.2.2-12]
    }
    if will.retain && !config.retain_available {
        return Some(Refusal::Code(Reason::RETAIN_NOT_SUPPORTED)); // [MQTT-3.2.2-13]
    }
    config.is_denied(will.topic).then_some(Refusal::Code(Reason::NOT_AUTHORIZED))
}

/// How long the session is to outlive its connection; `None`: for ever.
fn requested_expiry(connect: &Connect<'_>, config: &Config) -> Option<Duration> {
    match (connect.version, connect.clean_start) {
        (Version::V5, _) => session_expiry(connect.properties.session_expiry_interval().unwrap_or(0), config),
        (_, true) => Some(Duration::ZERO),
        (_, false) => config.session_expiry_of_3_1_1,
    }
}

pub(super) fn session_expiry(seconds: u32, config: &Config) -> Option<Duration> {
    let expiry = Duration::from_secs(seconds.into()).min(config.maximum_session_expiry);
    (expiry.as_secs() < u64::from(u32::MAX)).then_some(expiry)
}

/// The properties of CONNACK: whatever differs from what its absence would say.
fn announcement(connect: &Connect<'_>, client: &str, config: &Config) -> PropertiesBuf {
    let mut properties = PropertiesBuf::new();
    if !connect.version.has_properties() {
        return properties;
    }
    if config.receive_maximum != u16::MAX {
        let _ = properties.receive_maximum(config.receive_maximum);
    }
    let _ = properties.maximum_packet_size(config.maximum_packet_size);
    properties.maximum_qos(config.maximum_qos);
    if config.topic_alias_maximum > 0 {
        properties.topic_alias_maximum(config.topic_alias_maximum);
    }
    if !config.retain_available {
        properties.retain_available(false);
    }
    if !config.wildcards_available {
        properties.wildcard_subscription_available(false);
    }
    if !config.subscription_identifiers_available {
        properties.subscription_identifier_available(false);
    }
    if !config.shared_available {
        properties.shared_subscription_available(false);
    }
    if let Some(seconds) = config.server_keep_alive {
        properties.server_keep_alive(seconds);
    }
    if connect.client_id.is_empty() {
        let _ = properties.assigned_client_identifier(client); // [MQTT-3.1.3-7]
    }
    if connect.properties.request_response_information() == Some(true)
        && let Some(text) = &config.response_information
    {
        let _ = properties.response_information(text); // [MQTT-3.1.2-28]
    }
    let asked = connect.properties.session_expiry_interval().unwrap_or(0);
    let longest = u32::try_from(config.maximum_session_expiry.as_secs()).unwrap_or(u32::MAX);
    if asked > longest {
        properties.session_expiry_interval(longest);
    }
    properties
}
