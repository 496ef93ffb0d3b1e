//! The client's side: a session, and the driver that a real client would have.

use std::collections::VecDeque;
use std::sync::Arc;

use packetboat_core::session::{
    AckToken, Arrival as Arrived, Config, ConnectOptions, Event, Output, Received, Receiver, Session, Verdict,
};
use packetboat_core::time::Instant;
use packetboat_core::wire::{Packet, QoS, Reason};

use super::store::Store;
use super::witness::Witness;
use crate::broker::Direction;
use crate::link::{Arrival, Link};

/// Large payloads are shared, not copied.
pub type Payload = Arc<[u8]>;

/// A message that arrived.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Incoming {
    /// Its topic, whatever alias it travelled under.
    pub topic: String,
    /// The bytes of the application.
    pub payload: Vec<u8>,
    /// Its delivery guarantee.
    pub qos: QoS,
    /// Retain flag.
    pub retain: bool,
    /// DUP flag.
    pub dup: bool,
    /// Packet identifier.
    pub id: Option<u16>,
    /// Subscription identifiers.
    pub identifiers: Vec<u32>,
    /// What its holders have to release, as many times as there are holders.
    pub token: Option<AckToken>,
    /// How many hold it.
    pub holders: u16,
}

/// A client session with its driver: it writes what the socket takes, reads what comes, keeps what is to be stored.
#[derive(Debug)]
pub struct Endpoint {
    /// The session itself: publish, subscribe, release and the like.
    pub session: Session<Payload>,
    /// What the next CONNECT says.
    pub options: ConnectOptions,
    /// Holders of each message that arrives from now on. None: acknowledged at once.
    pub holders: u16,
    /// What happened, oldest first, until it is taken.
    pub events: Vec<Event>,
    /// What arrived, oldest first, until it is taken.
    pub incoming: Vec<Incoming>,
    pub(crate) store: Option<Store>,
    /// Operations the store makes safe by itself; beyond them somebody has to.
    pub(crate) commit_eagerly: bool,
    pub(crate) witness: Witness,
    /// Identifiers of messages it gave up.
    pub(crate) given_up: Vec<u16>,
    /// Connections opened so far, and those among them whose `Connected` is in `events`.
    opened: u64,
    pub(crate) connected: VecDeque<u64>,
    config: Config,
    receiver: Receiver,
    out: Output<Payload>,
    /// `out` in one piece.
    flat: Vec<u8>,
    taken: usize,
    total: u64,
    input: Vec<u8>,
}

impl Endpoint {
    pub(crate) fn new(config: Config, options: ConnectOptions) -> Self {
        Self {
            session: Session::new(config.clone()),
            receiver: Receiver::new(&options),
            holders: 0,
            events: Vec::new(),
            incoming: Vec::new(),
            store: config.durable.then(Store::default),
            commit_eagerly: true,
            witness: Witness::new(options.version, &config),
            given_up: Vec::new(),
            opened: 0,
            connected: VecDeque::new(),
            out: Output::default(),
            flat: Vec::new(),
            taken: 0,
            total: 0,
            input: Vec::new(),
            config,
            options,
        }
    }

    pub(crate) fn open(&mut self) {
        self.session.handle_open(&self.options);
        self.receiver = Receiver::new(&self.options);
        self.witness.opened();
        self.opened += 1;
        self.total = 0;
    }

    /// The transport is gone.
    pub(crate) fn close(&mut self) {
        self.witness.closed(self.total);
        self.session.handle_close(&self.out, self.taken);
        self.out.clear();
        self.flat.clear();
        self.input.clear();
        self.taken = 0;
        self.collect();
    }

    /// The process dies and another one begins with what the store holds.
    pub(crate) fn crash(&mut self, now: Instant) {
        self.witness.closed(self.total);
        self.session = Session::new(self.config.clone());
        self.out.clear();
        self.flat.clear();
        self.input.clear();
        self.taken = 0;
        self.events.clear();
        self.connected.clear();
        self.incoming.clear();
        let store = self.store.get_or_insert_default();
        let committed = store.crash();
        self.witness.crashed(committed);
        for operation in committed {
            self.session.handle_loaded(&operation.operation(), now);
        }
    }

    /// Do everything that can be done now. True: something was done.
    pub(crate) fn turn(&mut self, link: &mut Link, now: Instant) -> bool {
        let mut moved = self.keep();
        moved |= self.read(link, now);
        moved |= self.keep();
        moved |= self.write(link, now);
        self.collect();
        moved
    }

    /// It may close: the session wants it, and everything is written.
    pub(crate) fn may_close(&self) -> bool {
        self.session.is_closing() && self.flat.len() == self.taken
    }

    pub(crate) fn commit(&mut self, count: usize) -> bool {
        let Some(up_to) = self.store.as_mut().and_then(|store| store.commit(count)) else { return false };
        self.session.handle_stored(up_to);
        true
    }

    /// Hand over what is to be stored.
    pub(crate) fn keep(&mut self) -> bool {
        let Some(store) = &mut self.store else { return false };
        let before = store.staged();
        while let Some((sequence, operation)) = self.session.poll_store() {
            store.put(sequence, &operation);
        }
        let new = store.staged() > before;
        if self.commit_eagerly { self.commit(usize::MAX) } else { new }
    }

    fn write(&mut self, link: &mut Link, now: Instant) -> bool {
        let mut moved = false;
        loop {
            if self.taken == self.flat.len() {
                self.out.clear();
                self.flat.clear();
                self.taken = 0;
                if !self.session.poll_transmit(&mut self.out, now) {
                    return moved;
                }
                flatten(&self.out, &mut self.flat);
                self.witness.encoded(&self.flat);
            }
            let Some(count @ 1..) = link.handle_send(Direction::ToBroker, &self.flat[self.taken..], now)
            else {
                return moved;
            };
            moved = true;
            self.taken += count;
            self.total += count as u64;
            self.session.handle_written(count, now);
        }
    }

    fn read(&mut self, link: &mut Link, now: Instant) -> bool {
        if link.poll_receive(Direction::ToClient, now, &mut self.input) != Arrival::Bytes {
            return false;
        }
        self.session.handle_read(now);
        let input = std::mem::take(&mut self.input);
        let used = self.process(&input, now);
        self.input = input[used..].to_vec();
        true
    }

    fn process(&mut self, input: &[u8], now: Instant) -> usize {
        let mut used = 0;
        while !self.session.is_closing() {
            match self.receiver.next(&input[used..]) {
                Ok(Received::Packet { packet, size }) => {
                    self.witness.received(&packet);
                    self.session.handle_packet(&packet, now);
                    self.answer_authentication(&packet, now);
                    used += size;
                }
                Ok(Received::Publish { publish, aliased, size }) => {
                    let topic = aliased.as_deref().unwrap_or(publish.topic).to_owned();
                    let holders = self.holders;
                    let arrival = Arrived { qos: publish.qos, id: publish.id, holders };
                    if let Verdict::Deliver(token) = self.session.handle_publish(arrival) {
                        self.incoming.push(Incoming {
                            topic,
                            payload: publish.payload.to_vec(),
                            qos: publish.qos,
                            retain: publish.retain,
                            dup: publish.dup,
                            id: publish.id,
                            identifiers: publish.properties.subscription_identifiers().collect(),
                            token,
                            holders,
                        });
                    }
                    used += size;
                }
                Ok(Received::Oversize { qos, id, used: dropped, .. }) => {
                    self.session.handle_publish(Arrived { qos, id, holders: 0 });
                    used += dropped;
                }
                Ok(Received::Skipped { used: dropped }) => used += dropped,
                Ok(Received::Incomplete { .. }) => return used,
                Err(breach) => self.session.handle_breach(breach),
            }
        }
        input.len()
    }

    /// The client's part of [`Echo`](crate::broker::Echo): it says what it hears.
    fn answer_authentication(&mut self, packet: &Packet<'_>, now: Instant) {
        if let Packet::Auth(auth) = packet
            && auth.reason == Reason::CONTINUE_AUTHENTICATION
        {
            self.session.authenticate(auth.reason, auth.properties.authentication_data(), now);
        }
    }

    pub(crate) fn collect(&mut self) {
        while let Some(event) = self.session.poll_event() {
            if matches!(event, Event::Connected { .. }) {
                self.connected.push_back(self.opened);
            }
            if let Event::Poison { id: Some(id), .. } = event {
                self.witness.gave_up(id);
                self.given_up.push(id);
            }
            self.events.push(event);
        }
    }
}

/// The output as the socket gets it.
fn flatten(out: &Output<Payload>, flat: &mut Vec<u8>) {
    let mut at = 0;
    for (offset, payload) in &out.splices {
        flat.extend_from_slice(&out.bytes[at..*offset]);
        flat.extend_from_slice(payload);
        at = *offset;
    }
    flat.extend_from_slice(&out.bytes[at..]);
}
