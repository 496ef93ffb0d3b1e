//! What is gone with a connection: buffers, limits, aliases, and where its packets stand in their orders.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use packetboat_core::time::Instant;
use packetboat_core::wire::{
    Ack, AckKind, Disconnect, Packet, PropertiesBuf, Reason, SubAckKind, Version, encode, encoded_len,
};

use super::books::Party;
use super::config::Announced;
use super::rules::Rule;
use super::{ConnectionId, Desk, Direction, Message};

/// Where a connection stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Phase {
    /// CONNECT is awaited.
    Fresh,
    /// CONNECT came and named a method: AUTH goes to and fro.
    Authenticating,
    /// CONNECT came, CONNACK is held back.
    Connecting,
    /// CONNACK is out.
    Online,
    /// The client said DISCONNECT: it must close.
    Left,
    /// To be closed once the output is written.
    Closing,
}

/// An answer that waits for its time.
#[derive(Debug)]
pub(super) enum Answer {
    Connack { session_present: bool, properties: PropertiesBuf },
    Ack { kind: AckKind, id: u16, reason: Reason },
    Suback { kind: SubAckKind, id: u16, reasons: Vec<u8> },
}

/// The will of this connection.
#[derive(Debug)]
pub(super) struct Will {
    pub(super) message: Message,
    pub(super) expiry: Option<Duration>,
    pub(super) delay: Duration,
}

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) id: ConnectionId,
    /// Counts connections from 1, so that "another connection" can be told from "this one".
    pub(super) serial: u64,
    pub(super) phase: Phase,
    pub(super) version: Version,
    pub(super) client: String,
    pub(super) input: Vec<u8>,
    output: Vec<u8>,
    /// Whether the transport is to be closed without writing the output.
    pub(super) broken: bool,
    pub(super) answers: VecDeque<(Instant, Answer)>,
    pub(super) will: Option<Will>,
    pub(super) opened: Instant,
    pub(super) heard: Instant,
    pub(super) keep_alive: Duration,
    /// CONNECT had a session expiry interval of zero, or none.
    pub(super) expires_at_once: bool,
    pub(super) method: Option<String>,
    pub(super) authentication: Option<super::authentication::Running>,
    /// Of the exchange, for CONNACK.
    pub(super) last_word: Option<Vec<u8>>,
    /// What the client was told it may do.
    pub(super) limits: Announced,
    pub(super) receive_maximum: usize,
    pub(super) maximum_packet_size: usize,
    pub(super) topic_alias_maximum: u16,
    /// Topics by the client's aliases.
    pub(super) aliases: BTreeMap<u16, String>,
    /// Our aliases by topic.
    pub(super) own_aliases: BTreeMap<String, u16>,
    pub(super) watch: Watch,
}

/// What has to be remembered of a connection to judge the client's next packet.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// The session was there: messages may be sent again.
    pub(super) resumed: bool,
    /// The process before this one died: the order of what it had under way may be lost.
    pub(super) excused: bool,
    /// Packets were dropped on order: their order proves nothing any more.
    pub(super) lossy: bool,
    /// PUBLISH packets of the client not yet answered to the end on this connection.
    pub(super) unanswered: BTreeSet<u16>,
    /// SUBSCRIBEs and UNSUBSCRIBEs not yet answered.
    pub(super) requests: BTreeSet<u16>,
    /// PUBLISH packets whose answer never went out: the client must send them again.
    pub(super) to_resend: BTreeSet<u16>,
    /// PUBREC packets sent on this connection whose PUBREL is awaited, in order.
    pub(super) received: VecDeque<u16>,
    /// Original place of the last PUBLISH the client sent again.
    pub(super) last_resent: u64,
    /// A PUBLISH above QoS 0 came without DUP.
    pub(super) new_seen: bool,
    /// Place of the last PUBREL whose PUBREC belonged to an earlier connection.
    pub(super) last_old_release: u64,
    /// Packets sent on this connection that want an acknowledgement; numbers them.
    pub(super) sent: u64,
    pub(super) last_puback: u64,
    pub(super) last_pubrec: u64,
    pub(super) last_pubcomp: u64,
    /// Our PUBLISH packets not yet acknowledged to the end on this connection.
    pub(super) outstanding: usize,
    /// Our PUBLISH and PUBREL packets of an earlier connection have yet to be sent again.
    pub(super) resending: bool,
}

impl Connection {
    pub(super) fn new(id: ConnectionId, serial: u64, limits: Announced, now: Instant) -> Self {
        Self {
            id,
            serial,
            phase: Phase::Fresh,
            version: Version::V5,
            client: String::new(),
            input: Vec::new(),
            output: Vec::new(),
            broken: false,
            answers: VecDeque::new(),
            will: None,
            opened: now,
            heard: now,
            keep_alive: Duration::ZERO,
            expires_at_once: true,
            method: None,
            authentication: None,
            last_word: None,
            limits,
            receive_maximum: usize::from(u16::MAX),
            maximum_packet_size: usize::MAX,
            topic_alias_maximum: 0,
            aliases: BTreeMap::new(),
            own_aliases: BTreeMap::new(),
            watch: Watch::default(),
        }
    }

    /// Encode a packet. False: it was not sent, because the connection ends or because it was dropped on order.
    pub(super) fn send(&mut self, packet: &Packet<'_>, desk: &mut Desk) -> bool {
        if self.phase == Phase::Closing {
            return false;
        }
        let kind = packet.packet_type();
        if desk.config.trace {
            eprintln!("         {:?} -> {packet:?}", self.id);
        }
        if desk.faults.drops(Direction::ToClient, kind, &self.client) {
            self.watch.lossy = true;
            return false;
        }
        desk.books.stats.count_out(kind);
        encode(self.version, packet, &mut self.output);
        if desk.faults.cuts_behind_packet(Direction::ToClient, &self.client) {
            self.end();
        }
        true
    }

    /// Bytes that no encoder would write.
    pub(super) fn send_raw(&mut self, bytes: &[u8]) {
        self.output.extend_from_slice(bytes);
    }

    /// A rule was broken.
    pub(super) fn breach(&mut self, rule: &Rule, detail: String, desk: &mut Desk) {
        self.breach_with(rule, rule.reason, detail, desk);
    }

    pub(super) fn breach_with(&mut self, rule: &Rule, reason: Reason, detail: String, desk: &mut Desk) {
        let party = Party { connection: self.id, version: self.version, client: &self.client };
        let text = detail.clone();
        if desk.books.breach(party, rule, detail) {
            self.dismiss(reason, &text, desk);
        }
    }

    /// Say goodbye with a reason, where the version allows, and close.
    pub(super) fn dismiss(&mut self, reason: Reason, text: &str, desk: &mut Desk) {
        // No DISCONNECT before CONNACK [MQTT-3.14.0-1], and no use for one behind the client's own.
        if self.phase == Phase::Online && self.version.has_properties() {
            let mut properties = PropertiesBuf::new();
            let _ = properties.reason_string(text);
            let mut packet = Disconnect { reason, properties: properties.as_properties() };
            if encoded_len(self.version, &Packet::Disconnect(packet)) > self.maximum_packet_size {
                packet = Disconnect::new(reason);
            }
            self.send(&Packet::Disconnect(packet), desk);
        }
        self.end();
    }

    /// Close once the output is written.
    pub(super) fn end(&mut self) {
        self.phase = Phase::Closing;
        self.answers.clear();
    }

    /// Close now, whatever is in the output.
    pub(super) fn cut(&mut self) {
        self.end();
        self.broken = true;
        self.output.clear();
    }

    pub(super) fn ack(&mut self, kind: AckKind, id: u16, reason: Reason, desk: &mut Desk) -> bool {
        self.send(&Packet::Ack(Ack { reason, ..Ack::new(kind, id) }), desk)
    }

    /// Queue an answer for its time.
    pub(super) fn answer(&mut self, answer: Answer, now: Instant, desk: &mut Desk) {
        let due = now + desk.answer_delay();
        let due = self.answers.back().map_or(due, |(earlier, _)| due.max(*earlier));
        self.answers.push_back((due, answer));
    }

    /// The next answer whose time has come.
    pub(super) fn due_answer(&mut self, now: Instant, desk: &mut Desk) -> Option<Answer> {
        let due = self.answers.iter().take_while(|(due, _)| *due <= now).count();
        let shuffled = desk.config.shuffle_answers && self.phase == Phase::Online;
        let at = if shuffled { usize::try_from(desk.rng.below(due as u64)).unwrap_or(0) } else { 0 };
        if due == 0 { None } else { self.answers.remove(at).map(|(_, answer)| answer) }
    }

    /// Hand the output over, up to where the connection is ordered to break.
    pub(super) fn take_output(&mut self, out: &mut Vec<u8>, desk: &mut Desk) -> usize {
        let mut count = self.output.len();
        if let Some(passing) = desk.faults.cuts_behind_bytes(Direction::ToClient, count, &self.client) {
            count = passing;
            self.end();
            self.broken = true;
        }
        out.extend_from_slice(&self.output[..count]);
        self.output.clear();
        desk.books.stats.bytes_out += count as u64;
        count
    }

    pub(super) fn unread(&self) -> usize {
        self.output.len()
    }

    pub(super) fn should_close(&self) -> bool {
        self.broken || (self.phase == Phase::Closing && self.output.is_empty())
    }

    /// When something has to happen here, if nothing else does.
    pub(super) fn deadline(&self, connect_timeout: Duration) -> Option<Instant> {
        // Nobody is silent who waits for an answer.
        if let Some((due, _)) = self.answers.front() {
            return Some(*due);
        }
        match self.phase {
            Phase::Fresh | Phase::Authenticating => Some(self.opened + connect_timeout),
            // It says goodbye and stays.
            Phase::Left => Some(self.heard + connect_timeout),
            Phase::Online if !self.keep_alive.is_zero() => Some(self.heard + self.keep_alive * 3 / 2),
            _ => None,
        }
    }
}
