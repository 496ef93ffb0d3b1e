//! A session against whatever a broker, a socket and an application may do, one byte of the input an operation.
//! What it writes is judged as a broker would judge it, with the rules the session can never have an excuse for.

use std::collections::{HashMap, HashSet};

use packetboat_core::session::{
    Accepted, AckToken, Arrival, Config, ConnectOptions, Event, Limits, Outgoing, Output, Payload, Phase,
    Received, Receiver, Release, Session, SessionMode, Tag, Ticket, Verdict,
};
use packetboat_core::time::Instant;
use packetboat_core::topic::{TopicFilter, TopicName};
use packetboat_core::wire::{
    Ack, AckKind, Auth, Connack, Decoded, Packet, Properties, PropertiesBuf, Publish, QoS, Reason,
    SubAckKind, Suback, Version, decode, encode,
};

const ALL_QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];
const FILTERS: [&str; 4] = ["a/+", "a/b", "$share/g/a", "#"];

/// Operations by their first byte, until the input is used up.
pub fn session(data: &[u8]) {
    let mut bytes = data.iter().copied();
    let version = if bytes.next().is_some_and(|byte| byte & 1 == 0) { Version::V5 } else { Version::V311 };
    let mut world = World::new(version, bytes.next().unwrap_or(0));
    while let Some(operation) = bytes.next() {
        world.step(operation, &mut bytes);
        world.drain();
    }
    world.finish();
}

struct World {
    session: Session<Vec<u8>>,
    connect: ConnectOptions,
    receiver: Receiver,
    now: Instant,
    /// Written and not yet taken by the socket.
    pending: Vec<u8>,
    judge: Judge,
    tokens: Vec<AckToken>,
    tickets: Vec<Ticket>,
    /// Tags of records that have not ended.
    open: HashSet<u64>,
    last_tag: u64,
}

impl World {
    fn new(version: Version, flags: u8) -> Self {
        let session = match flags & 3 {
            0 => SessionMode::Clean,
            1 => SessionMode::UntilDisconnect,
            _ => SessionMode::Persistent { expiry: core::time::Duration::from_mins(1) },
        };
        let mut properties = PropertiesBuf::new();
        if flags & 64 != 0 && version == Version::V5 {
            properties.authentication_method("m").expect("a method");
        }
        let connect = ConnectOptions {
            version,
            properties,
            client_id: "c".into(),
            session,
            receive_maximum: 4,
            maximum_packet_size: 512,
            topic_alias_maximum: 3,
            ..ConnectOptions::default()
        };
        let config = Config {
            window: 3,
            queue_messages: 8,
            outgoing_aliases: u16::from(flags >> 2 & 3),
            durable: flags & 16 != 0,
            resend_unresolved: flags & 32 == 0,
            ..Config::default()
        };
        Self {
            session: Session::new(config),
            receiver: Receiver::new(&connect),
            connect,
            now: Instant(1_000),
            pending: Vec::new(),
            judge: Judge::default(),
            tokens: Vec::new(),
            tickets: Vec::new(),
            open: HashSet::new(),
            last_tag: 0,
        }
    }

    fn step(&mut self, operation: u8, bytes: &mut impl Iterator<Item = u8>) {
        let mut byte = || bytes.next().unwrap_or(0);
        match operation % 16 {
            0 => self.open(),
            1 => self.connack(byte(), byte()),
            2 | 3 => self.publish(byte()),
            4 => self.acknowledge(byte(), byte()),
            5 => self.message(byte(), byte()),
            6 => {
                let filter = TopicFilter::new(FILTERS[usize::from(byte() & 3)]).expect("a filter");
                self.last_tag += 1;
                let how = byte();
                let (options, words) = (ALL_QOS[usize::from(how % 3)].into(), words(how));
                let tag = Tag(self.last_tag);
                let _ = self.session.subscribe_with(&filter, options, words.as_properties(), tag);
            }
            7 => {
                let which = byte();
                let filter = TopicFilter::new(FILTERS[usize::from(which & 3)]).expect("a filter");
                self.last_tag += 1;
                let (words, tag) = (words(which), Tag(self.last_tag));
                let asked = self.session.unsubscribe_with(&filter, words.as_properties(), tag);
                asked.expect("the version is not fixed");
            }
            8 => self.answer(byte(), byte(), byte()),
            9 => self.release(byte(), byte()),
            10 => {
                if !self.tickets.is_empty() {
                    let at = usize::from(byte()) % self.tickets.len();
                    self.session.cancel(self.tickets[at]);
                }
            }
            11 => {
                self.now = self.now + core::time::Duration::from_millis(u64::from(byte()) * 400);
                self.session.handle_timeout(self.now);
            }
            12 => self.close(byte()),
            13 => {
                let raw: Vec<u8> = (0..byte() % 24).map(|_| byte()).collect();
                self.hear(&raw);
            }
            14 => self.says(&Packet::PingResp),
            _ => match byte() {
                how @ 0..=7 => {
                    self.session.prepare_farewell(words(how << 6));
                    self.session.disconnect(Reason::SUCCESS);
                }
                8..=99 => {
                    self.session.ping(self.now);
                }
                100..=199 => self.session.leave(Reason::SUCCESS),
                how @ 200..=219 => self.authenticate(how, byte()),
                how @ 220..=239 => self.authentication(how),
                _ => self.session.handle_store_failed(),
            },
        }
    }

    fn open(&mut self) {
        if self.session.phase() == Phase::Offline {
            self.judge.connect();
            self.receiver = Receiver::new(&self.connect);
            self.session.handle_open(&self.connect);
        }
    }

    fn connack(&mut self, flags: u8, limit: u8) {
        let mut properties = PropertiesBuf::new();
        if self.connect.version == Version::V5 && flags & 2 != 0 {
            properties.maximum_qos(ALL_QOS[usize::from(limit % 3)]);
            let _ = properties.receive_maximum(u16::from(limit >> 6) + 1);
            properties.topic_alias_maximum(u16::from(limit >> 2 & 3));
            let _ = properties.maximum_packet_size(20 + u32::from(limit));
        }
        // Now and then another method, or none.
        if !self.connect.properties.is_empty() && flags & 0x0c != 0x0c {
            properties.authentication_method("m").expect("a method");
        }
        let session_present = flags & 1 != 0;
        let reason = if flags & 0xf0 == 0xf0 { Reason::NOT_AUTHORIZED } else { Reason::SUCCESS };
        let session_present = session_present && reason == Reason::SUCCESS;
        let properties = properties.as_properties();
        self.says(&Packet::Connack(Connack { session_present, reason, properties }));
    }

    fn publish(&mut self, what: u8) {
        let mut properties = PropertiesBuf::new();
        if what & 0x40 != 0 {
            properties.message_expiry_interval(2);
        }
        self.last_tag += 1;
        let payload = vec![b'p'; usize::from(what >> 2 & 15) * 8];
        let message = Outgoing {
            topic: TopicName::new(["a", "a/b"][usize::from(what >> 7)]).expect("a name"),
            payload: Payload::Borrowed(&payload),
            qos: ALL_QOS[usize::from(what & 3) % 3],
            retain: false,
            properties: properties.as_properties(),
            drop_properties: what & 2 != 0,
            tag: Tag(self.last_tag),
        };
        if let Ok(Accepted::Recorded(ticket)) = self.session.publish(&message, self.now) {
            self.tickets.push(ticket);
            self.open.insert(self.last_tag);
        }
    }

    fn acknowledge(&mut self, what: u8, id: u8) {
        let kind =
            [AckKind::Puback, AckKind::Pubrec, AckKind::Pubrel, AckKind::Pubcomp][usize::from(what & 3)];
        let refused = what & 0x0c == 0x0c && self.connect.version == Version::V5;
        let reason = if refused { Reason::QUOTA_EXCEEDED } else { Reason::SUCCESS };
        let id = u16::from(id % 8) + 1;
        self.says(&Packet::Ack(Ack { reason, ..Ack::new(kind, id) }));
    }

    fn message(&mut self, what: u8, id: u8) {
        let qos = ALL_QOS[usize::from(what % 3)];
        let id = (qos != QoS::AtMostOnce).then_some(u16::from(id % 8) + 1);
        let (dup, properties) = (what & 0x80 != 0 && id.is_some(), Properties::EMPTY);
        self.says(&Packet::Publish(Publish {
            dup,
            retain: false,
            qos,
            topic: "a",
            id,
            properties,
            payload: b"x",
        }));
    }

    fn answer(&mut self, what: u8, id: u8, count: u8) {
        let kind = if what & 1 == 0 { SubAckKind::Suback } else { SubAckKind::Unsuback };
        let codes = [if what & 2 == 0 { 0 } else { 0x80 }; 3];
        let none = kind == SubAckKind::Unsuback && self.connect.version != Version::V5;
        let reasons = if none { &[] } else { &codes[..=usize::from(count % 3)] };
        let id = u16::from(id % 8) + 1;
        self.says(&Packet::Suback(Suback { kind, id, properties: Properties::EMPTY, reasons }));
    }

    fn release(&mut self, which: u8, how: u8) {
        if self.tokens.is_empty() {
            return;
        }
        let token = self.tokens.swap_remove(usize::from(which) % self.tokens.len());
        if how & 0x80 != 0 {
            let reason = [Reason::SUCCESS, Reason::NO_MATCHING_SUBSCRIBERS, Reason::QUOTA_EXCEEDED];
            let (reason, words) = (reason[usize::from(how % 3)], words(how));
            self.session.release_with(token, reason, words.as_properties());
            return;
        }
        let release = match how % 3 {
            0 => Release::Acknowledge,
            1 => Release::Reject(Reason::NOT_AUTHORIZED),
            _ => Release::Abandon,
        };
        self.session.release(token, release);
    }

    fn authenticate(&mut self, how: u8, size: u8) {
        let reason = if how & 1 == 0 { Reason::CONTINUE_AUTHENTICATION } else { Reason::RE_AUTHENTICATE };
        let (data, words) = (vec![b'd'; usize::from(size)], words(how << 3));
        self.session.authenticate_with(reason, Some(&data), words.as_properties(), self.now);
    }

    fn authentication(&mut self, how: u8) {
        let mut properties = PropertiesBuf::new();
        properties.authentication_method(if how == 220 { "other" } else { "m" }).expect("a method");
        let reason = if how & 1 == 0 { Reason::CONTINUE_AUTHENTICATION } else { Reason::SUCCESS };
        if self.connect.version == Version::V5 {
            self.says(&Packet::Auth(Auth { reason, properties: properties.as_properties() }));
        }
    }

    fn says(&mut self, packet: &Packet<'_>) {
        let mut bytes = Vec::new();
        encode(self.connect.version, packet, &mut bytes);
        self.hear(&bytes);
    }

    fn hear(&mut self, bytes: &[u8]) {
        if self.session.phase() == Phase::Offline {
            return;
        }
        self.session.handle_read(self.now);
        let mut rest = bytes;
        loop {
            match self.receiver.next(rest) {
                Ok(Received::Packet { packet, size }) => {
                    if let Packet::Ack(ack) = &packet
                        && self.session.phase() == Phase::Online
                    {
                        self.judge.heard(ack);
                    }
                    let was = self.session.phase();
                    self.session.handle_packet(&packet, self.now);
                    if was == Phase::Connecting && self.session.phase() == Phase::Online {
                        self.judge.connected(self.session.limits());
                    }
                    rest = &rest[size..];
                }
                Ok(Received::Publish { publish, size, .. }) => {
                    let arrival = Arrival { qos: publish.qos, id: publish.id, holders: 1 };
                    if let Verdict::Deliver(Some(token)) = self.session.handle_publish(arrival) {
                        self.tokens.push(token);
                    }
                    if let Some(id) = publish.id {
                        self.judge.arrived(publish.qos, id);
                    }
                    rest = &rest[size..];
                }
                Ok(Received::Oversize { used, .. } | Received::Skipped { used }) => {
                    assert!(used <= rest.len() && used > 0);
                    rest = &rest[used..];
                }
                Ok(Received::Incomplete { .. }) => return,
                Err(breach) => {
                    assert!(breach.reason.is_error() && !breach.what.is_empty());
                    self.session.handle_breach(breach);
                    assert!(self.session.is_closing());
                    return;
                }
            }
        }
    }

    fn close(&mut self, taken: u8) {
        if self.session.phase() == Phase::Offline {
            return;
        }
        let mut out = Output::default();
        self.session.poll_transmit(&mut out, self.now);
        let taken = usize::from(taken).min(out.len());
        self.session.handle_written(taken, self.now);
        let mut bytes = flat(&out);
        bytes.truncate(taken);
        self.pending.extend(bytes);
        self.read();
        self.session.handle_close(&out, taken);
        assert_eq!(self.session.phase(), Phase::Offline);
        self.pending.clear();
        self.events();
    }

    /// Everything the session has to say is said, and judged.
    fn drain(&mut self) {
        let mut stored = None;
        while let Some((sequence, _)) = self.session.poll_store() {
            stored = Some(sequence);
        }
        if let Some(sequence) = stored {
            self.session.handle_stored(sequence);
        }
        let mut out = Output::default();
        while self.session.phase() != Phase::Offline && self.session.poll_transmit(&mut out, self.now) {
            self.pending.extend(flat(&out));
            self.session.handle_written(out.len(), self.now);
            out.clear();
        }
        self.read();
        self.events();
        if self.session.is_closing() {
            self.session.handle_close(&Output::default(), 0);
            self.pending.clear();
            self.events();
        }
        if self.connect.version == Version::V5 {
            assert!(self.session.unacknowledged() <= 4, "more in hand than was announced");
        }
        let queue = self.session.queue();
        assert!(
            queue.messages + queue.in_flight <= self.open.len(),
            "{queue:?} and {} open",
            self.open.len()
        );
        if self.session.phase() == Phase::Online {
            assert!(self.session.poll_timeout().is_some());
        }
    }

    fn read(&mut self) {
        let mut at = 0;
        while let Ok(Decoded::Packet { packet, size }) =
            decode(self.connect.version, &self.pending[at..], 1 << 20)
        {
            self.judge.judge(&packet, size);
            at += size;
        }
        self.pending.drain(..at);
    }

    fn events(&mut self) {
        while let Some(event) = self.session.poll_event() {
            if let Event::Published { tag, .. } = event {
                assert!(self.open.remove(&tag.0), "{tag:?} ended twice, or never began");
            }
        }
    }

    /// Whatever happened, an honest broker gets everything that is left.
    fn finish(&mut self) {
        self.close(0);
        self.open();
        self.drain();
        self.connack(0, 0);
        for _ in 0..200 {
            // Sending may first be a matter for the store, as with an identifier for QoS 2.
            self.drain();
            self.drain();
            if let Some((kind, id, filters)) = self.judge.requests.pop() {
                let granted = [0; 16];
                let none = kind == SubAckKind::Unsuback && self.connect.version != Version::V5;
                let reasons = if none { &[] } else { &granted[..filters] };
                self.says(&Packet::Suback(Suback { kind, id, properties: Properties::EMPTY, reasons }));
                continue;
            }
            let Some((kind, id)) = self.judge.awaited() else { break };
            self.says(&Packet::Ack(Ack::new(kind, id)));
        }
        self.drain();
        if self.session.phase() == Phase::Online {
            assert!(self.open.is_empty(), "never ended: {:?}", self.open);
            let queue = self.session.queue();
            assert_eq!((queue.messages, queue.in_flight, queue.bytes), (0, 0, 0));
        }
    }
}

/// Reason string and user property, of a size that some brokers do not take.
fn words(what: u8) -> PropertiesBuf {
    let mut words = PropertiesBuf::new();
    if what & 0x40 != 0 {
        let text = "w".repeat(usize::from(what >> 3 & 7) * 20);
        words.reason_string(&text).expect("short").user_property("k", &text).expect("short");
    }
    words
}

fn flat(out: &Output<Vec<u8>>) -> Vec<u8> {
    let (mut bytes, mut at) = (Vec::new(), 0);
    for (offset, payload) in &out.splices {
        bytes.extend_from_slice(&out.bytes[at..*offset]);
        bytes.extend_from_slice(payload);
        at = *offset;
    }
    bytes.extend_from_slice(&out.bytes[at..]);
    bytes
}

/// What a broker can tell of its client's obedience, in a page.
#[derive(Default)]
struct Judge {
    said_hello: bool,
    said_goodbye: bool,
    online: bool,
    /// CONNECT named a method of authentication.
    method: bool,
    receive_maximum: usize,
    alias_maximum: u16,
    largest: usize,
    maximum_qos: Option<QoS>,
    aliases: HashSet<u16>,
    /// Messages of the client under way on this connection: what each awaits.
    under_way: Vec<(u16, AckKind)>,
    /// Arrivals the client has to answer, in order, per connection.
    pubacks: Vec<u16>,
    pubrecs: Vec<u16>,
    released: HashMap<u16, usize>,
    /// Each PUBREC for nothing that is under way: it gets a PUBREL, and nothing more is awaited.
    strays: HashMap<u16, usize>,
    /// SUBSCRIBE and UNSUBSCRIBE, with their number of filters.
    requests: Vec<(SubAckKind, u16, usize)>,
}

impl Judge {
    fn connect(&mut self) {
        *self = Self::default();
    }

    fn connected(&mut self, limits: &Limits) {
        self.online = true;
        self.receive_maximum = usize::from(limits.receive_maximum);
        self.alias_maximum = limits.topic_alias_maximum;
        self.largest = limits.maximum_packet_size as usize;
        self.maximum_qos = Some(limits.maximum_qos);
    }

    fn heard(&mut self, ack: &Ack<'_>) {
        match ack.kind {
            AckKind::Pubrel => *self.released.entry(ack.id).or_default() += 1,
            AckKind::Pubrec if ack.reason.is_error() => {
                self.under_way.retain(|entry| *entry != (ack.id, AckKind::Pubrec));
            }
            AckKind::Pubrec if self.is_unused(ack.id) => *self.strays.entry(ack.id).or_default() += 1,
            AckKind::Pubrec => {
                let awaits = |entry: &&mut (u16, AckKind)| **entry == (ack.id, AckKind::Pubrec);
                if let Some(entry) = self.under_way.iter_mut().find(awaits) {
                    entry.1 = AckKind::Pubcomp;
                }
            }
            AckKind::Puback | AckKind::Pubcomp => self.under_way.retain(|entry| *entry != (ack.id, ack.kind)),
        }
    }

    fn arrived(&mut self, qos: QoS, id: u16) {
        match qos {
            QoS::AtMostOnce => {}
            QoS::AtLeastOnce => self.pubacks.push(id),
            QoS::ExactlyOnce => self.pubrecs.push(id),
        }
    }

    fn awaited(&self) -> Option<(AckKind, u16)> {
        self.under_way.first().map(|(id, kind)| (*kind, *id))
    }

    fn judge(&mut self, packet: &Packet<'_>, size: usize) {
        assert!(!self.said_goodbye, "nothing follows DISCONNECT: {packet:?}");
        let hello = matches!(packet, Packet::Connect(_));
        assert_ne!(hello, self.said_hello, "CONNECT comes first and once");
        self.said_hello = true;
        if let Packet::Connect(connect) = packet {
            self.method = connect.properties.authentication_method().is_some();
        }
        let step = matches!(packet, Packet::Auth(_)) && self.method;
        assert!(hello || self.online || step, "before CONNACK: {packet:?}");
        assert!(hello || size <= self.largest || !self.online, "larger than allowed: {packet:?}");
        match packet {
            Packet::Publish(publish) => self.publish(publish),
            Packet::Ack(ack) => self.ack(ack),
            Packet::Subscribe(subscribe) => {
                assert!(subscribe.id > 0 && self.is_unused(subscribe.id));
                self.requests.push((SubAckKind::Suback, subscribe.id, subscribe.filters.iter().count()));
            }
            Packet::Unsubscribe(unsubscribe) => {
                assert!(unsubscribe.id > 0 && self.is_unused(unsubscribe.id));
                self.requests.push((
                    SubAckKind::Unsuback,
                    unsubscribe.id,
                    unsubscribe.filters.iter().count(),
                ));
            }
            Packet::Disconnect(_) => self.said_goodbye = true,
            Packet::Auth(auth) => {
                assert!(self.method && auth.properties.authentication_method() == Some("m"));
            }
            Packet::Connect(_) | Packet::PingReq => {}
            other => panic!("no client's packet: {other:?}"),
        }
    }

    fn is_unused(&self, id: u16) -> bool {
        self.under_way.iter().all(|(used, _)| *used != id)
    }

    fn publish(&mut self, publish: &Publish<'_>) {
        assert!(Some(publish.qos) <= self.maximum_qos);
        match publish.properties.topic_alias() {
            Some(alias) => {
                assert!(alias <= self.alias_maximum);
                assert!(!publish.topic.is_empty() || self.aliases.contains(&alias));
                self.aliases.insert(alias);
            }
            None => assert!(!publish.topic.is_empty()),
        }
        let Some(id) = publish.id else { return };
        assert!(id > 0 && self.is_unused(id), "identifier {id} is in use");
        let kind = if publish.qos == QoS::AtLeastOnce { AckKind::Puback } else { AckKind::Pubrec };
        self.under_way.push((id, kind));
        assert!(self.under_way.len() <= self.receive_maximum, "more under way than the broker takes");
    }

    fn ack(&mut self, ack: &Ack<'_>) {
        match ack.kind {
            AckKind::Puback => {
                let at = self.pubacks.iter().position(|id| *id == ack.id);
                // Those before it were given up, and are not acknowledged any more.
                self.pubacks.drain(..=at.expect("PUBACK for what arrived, in order"));
            }
            AckKind::Pubrec => {
                let at = self.pubrecs.iter().position(|id| *id == ack.id);
                self.pubrecs.drain(..=at.expect("PUBREC for what arrived, in order"));
            }
            AckKind::Pubcomp => {
                let count = self.released.get_mut(&ack.id).expect("PUBCOMP answers PUBREL");
                assert!(*count > 0);
                *count -= 1;
            }
            AckKind::Pubrel => {
                if let Some(count) = self.strays.get_mut(&ack.id).filter(|count| **count > 0) {
                    *count -= 1;
                } else if self.is_unused(ack.id) {
                    // Of an earlier connection.
                    self.under_way.insert(0, (ack.id, AckKind::Pubcomp));
                }
            }
        }
    }
}
