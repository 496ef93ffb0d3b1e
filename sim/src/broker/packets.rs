//! One packet of a client: who deals with it.

use packetboat_core::time::Instant;
use packetboat_core::wire::{
    AckKind, Connack, DecodeError, Disconnect, Packet, PacketType, Properties, Reason, Suback,
};

use super::connection::{Answer, Connection, Phase};
use super::rules::{self, Rule};
use super::{Broker, Client, ConnectionId, Desk, Direction};

impl Connection {
    /// Bytes came: judge the silence before them.
    pub(super) fn hear(&mut self, now: Instant, desk: &mut Desk) {
        let silence = now.since(self.heard);
        let online = self.phase == Phase::Online && !self.keep_alive.is_zero();
        if desk.config.blame_silence && online && silence > self.keep_alive {
            self.breach(&rules::KEEP_ALIVE, format!("silent for {silence:?}"), desk);
        }
        self.heard = now;
    }
}

impl Broker {
    pub(super) fn handle_packet(&mut self, id: ConnectionId, packet: &Packet<'_>, size: usize, now: Instant) {
        let kind = packet.packet_type();
        self.desk.books.stats.count_in(kind, size);
        let dropped = self.is_dropped(id, packet);
        if self.desk.config.trace {
            eprintln!("{:>8} {id:?} <- {packet:?}{}", now.0, if dropped { " dropped" } else { "" });
        }
        if !dropped {
            self.handle_in_phase(id, packet, now);
        }
        let Some(connection) = self.connections.get_mut(&id) else { return };
        if self.desk.faults.cuts_behind_packet(Direction::ToBroker, &connection.client) {
            return self.cut(id, now);
        }
        if connection.phase == Phase::Closing {
            self.leave(id, now);
        }
    }

    /// The bytes, of which this is the first, are no packet.
    pub(super) fn handle_nonsense(&mut self, id: ConnectionId, first: u8, error: DecodeError, now: Instant) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let fresh = connection.phase == Phase::Fresh;
        // Only a CONNACK of 5.0 says how large a packet may be.
        let told = connection.phase == Phase::Online && connection.version.has_properties();
        let rule = match error {
            DecodeError::TooLarge { .. } => told.then_some(&rules::PACKET_SIZE),
            // A client of the future has broken no rule.
            DecodeError::UnsupportedVersion { .. } if fresh => None,
            _ if fresh && first >> 4 == PacketType::Connect as u8 => Some(&rules::CONNECT_WELL_FORMED),
            _ if fresh => Some(&rules::FIRST_PACKET),
            _ => Some(&rules::WELL_FORMED),
        };
        if let Some(rule) = rule {
            connection.breach_with(rule, error.reason(), error.to_string(), &mut self.desk);
        } else if let DecodeError::UnsupportedVersion { .. } = error {
            self.refuse(id, self.desk.config.wrong_version, now);
        }
        if let Some(connection) = self.connections.get_mut(&id) {
            // Where one packet ends and the next begins is not known any more.
            connection.end();
        }
        self.leave(id, now);
    }

    /// Bytes came together with CONNECT: they cannot have waited for CONNACK.
    pub(super) fn blame_haste(&mut self, id: ConnectionId, now: Instant) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        if connection.phase == Phase::Online {
            connection.breach(
                &rules::BEFORE_CONNACK,
                "bytes right behind CONNECT".to_owned(),
                &mut self.desk,
            );
        }
        if connection.phase == Phase::Closing {
            self.leave(id, now);
        }
    }

    fn handle_in_phase(&mut self, id: ConnectionId, packet: &Packet<'_>, now: Instant) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let kind = packet.packet_type();
        match (connection.phase, packet) {
            (Phase::Fresh, Packet::Connect(connect)) => self.handle_connect(id, connect, now),
            (Phase::Fresh, _) => {
                connection.breach(&rules::FIRST_PACKET, format!("{kind:?} came first"), &mut self.desk);
                connection.end();
            }
            (Phase::Authenticating | Phase::Connecting | Phase::Online, Packet::Connect(_)) => {
                connection.breach(&rules::ONE_CONNECT, "CONNECT again".to_owned(), &mut self.desk);
            }
            (Phase::Online, _) | (Phase::Connecting, Packet::Disconnect(_)) => {
                self.handle_online(id, packet, now);
            }
            (Phase::Authenticating, Packet::Auth(auth)) => self.handle_auth(id, auth, now),
            (Phase::Authenticating, Packet::Disconnect(disconnect)) => {
                self.handle_disconnect(id, disconnect, now);
            }
            (Phase::Authenticating, _) => {
                connection.breach(&rules::WHILE_AUTHENTICATING, format!("{kind:?}"), &mut self.desk);
            }
            (Phase::Connecting, _) => {
                connection.breach(&rules::BEFORE_CONNACK, format!("{kind:?} before CONNACK"), &mut self.desk);
            }
            (Phase::Left | Phase::Closing, _) => {}
        }
    }

    fn handle_online(&mut self, id: ConnectionId, packet: &Packet<'_>, now: Instant) {
        if let Packet::Publish(publish) = packet {
            return self.handle_publish(id, publish, now);
        }
        if let Packet::Disconnect(disconnect) = packet {
            return self.handle_disconnect(id, disconnect, now);
        }
        if let Packet::Subscribe(subscribe) = packet {
            return self.handle_subscribe(id, subscribe, now);
        }
        if let Packet::Auth(auth) = packet
            && self.connections.get(&id).is_some_and(|connection| connection.method.is_some())
        {
            return self.handle_auth(id, auth, now);
        }
        let Some(mut client) = self.client(id, now) else { return };
        match packet {
            Packet::Ack(ack) => client.handle_ack(ack),
            Packet::Unsubscribe(unsubscribe) => client.handle_unsubscribe(unsubscribe),
            Packet::PingReq => {
                client.connection.send(&Packet::PingResp, client.desk);
            }
            Packet::Auth(_) => {
                let detail = format!("the method of CONNECT was {:?}", client.connection.method);
                client.breach(&rules::AUTH_WITHOUT_METHOD, detail);
            }
            _ => client.breach(&rules::DIRECTION, format!("{:?}", packet.packet_type())),
        }
    }

    fn handle_disconnect(&mut self, id: ConnectionId, disconnect: &Disconnect<'_>, now: Instant) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let reason = disconnect.reason;
        self.desk.books.farewells.insert(connection.client.clone(), reason);
        if !reason.is_valid_in(PacketType::Disconnect) || is_servers_own(reason, PacketType::Disconnect) {
            connection.breach(&rules::REASON_CODE, format!("DISCONNECT with {reason}"), &mut self.desk);
        }
        let properties = disconnect.properties;
        if properties.server_reference().is_some() {
            connection.breach(
                &rules::DIRECTION,
                "a server reference in DISCONNECT".to_owned(),
                &mut self.desk,
            );
        }
        if let Some(seconds) = properties.session_expiry_interval() {
            if connection.expires_at_once && seconds > 0 {
                connection.breach(&rules::EXPIRY_RAISED, format!("to {seconds} s"), &mut self.desk);
            } else if let Some(session) = self.sessions.get_mut(&connection.client) {
                session.expiry = super::connect::session_expiry(seconds, &self.desk.config);
            }
        }
        if reason == Reason::NORMAL_DISCONNECTION {
            // [MQTT-3.14.4-3]
            connection.will = None;
        }
        self.leave(id, now);
        if let Some(connection) = self.connections.get_mut(&id)
            && connection.phase != Phase::Closing
        {
            connection.phase = Phase::Left;
            connection.answers.clear();
        }
    }

    /// Send what was held back and is due now.
    pub(super) fn send_due_answers(&mut self, id: ConnectionId, now: Instant) {
        loop {
            let Some(connection) = self.connections.get_mut(&id) else { return };
            let Some(answer) = connection.due_answer(now, &mut self.desk) else { return };
            if let Answer::Connack { session_present, properties } = answer {
                self.send_connack(id, session_present, properties.as_properties(), now);
            } else if let Some(mut client) = self.client(id, now) {
                client.send_answer(&answer);
            }
        }
    }

    pub(super) fn send_connack(
        &mut self,
        id: ConnectionId,
        session_present: bool,
        properties: Properties<'_>,
        now: Instant,
    ) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let connack = Connack { session_present, reason: Reason::SUCCESS, properties };
        if connection.send(&Packet::Connack(connack), &mut self.desk) && connection.phase == Phase::Connecting
        {
            connection.phase = Phase::Online;
            // Before CONNACK the client has nothing it may send.
            connection.heard = now;
        }
        if let Some(mut client) = self.client(id, now) {
            client.pump();
        }
    }
}

impl Client<'_> {
    pub(super) fn breach(&mut self, rule: &Rule, detail: String) {
        self.connection.breach(rule, detail, self.desk);
    }

    /// Answer now or later, as configured.
    pub(super) fn answer(&mut self, answer: Answer) {
        if self.desk.answers_at_once() {
            self.send_answer(&answer);
        } else {
            self.connection.answer(answer, self.now, self.desk);
        }
    }

    fn send_answer(&mut self, answer: &Answer) {
        match answer {
            Answer::Connack { .. } => {}
            Answer::Ack { kind, id, reason } => {
                if self.connection.ack(*kind, *id, *reason, self.desk) {
                    self.answered(*kind, *id, *reason);
                }
            }
            Answer::Suback { kind, id, reasons } => {
                let packet = Suback { kind: *kind, id: *id, properties: Properties::EMPTY, reasons };
                if self.connection.send(&Packet::Suback(packet), self.desk) {
                    self.connection.watch.requests.remove(id);
                }
            }
        }
    }

    /// PUBACK, PUBREC, PUBREL or PUBCOMP of the client.
    fn handle_ack(&mut self, ack: &packetboat_core::wire::Ack<'_>) {
        let kind = Packet::Ack(*ack).packet_type();
        if !ack.reason.is_valid_in(kind) || is_servers_own(ack.reason, kind) {
            self.breach(&rules::REASON_CODE, format!("{:?} with {}", ack.kind, ack.reason));
        }
        match ack.kind {
            AckKind::Pubrel => self.handle_pubrel(ack.id, ack.reason),
            AckKind::Puback => self.handle_puback(ack.id),
            AckKind::Pubrec => self.handle_pubrec(ack.id, ack.reason),
            AckKind::Pubcomp => self.handle_pubcomp(ack.id, ack.reason),
        }
    }
}

/// Reason codes that a packet may carry, but only from a server (Tables 3-4, 3-5 and 3-10).
fn is_servers_own(reason: Reason, packet: PacketType) -> bool {
    match packet {
        PacketType::Puback | PacketType::Pubrec => reason == Reason::NO_MATCHING_SUBSCRIBERS,
        PacketType::Disconnect => matches!(reason.0, 0x87 | 0x89 | 0x8b | 0x8d..=0x8f | 0x9a..=0xa2),
        _ => false,
    }
}
