//! A broker and its clients on a clock of the test's own.
#![allow(clippy::unwrap_used, reason = "a test fails so")]

use std::time::Duration;

use packetboat_core::time::Instant;
use packetboat_core::wire::{
    Connect, Packet, Properties, PropertiesBuf, QoS, Reason, Subscribe, SubscribeOptions, Version,
};
use packetboat_sim::broker::{Broker, Config, ConnectionId};

use crate::common::{Heard, bytes_of, connect, filter, take_packets};

/// A connection of a client in a version.
#[derive(Clone, Copy)]
pub(crate) struct Line {
    pub(crate) id: ConnectionId,
    pub(crate) version: Version,
}

pub(crate) struct Desk {
    pub(crate) broker: Broker,
    pub(crate) now: Instant,
    last: u64,
}

/// A session that outlives its connection, in both versions: with `clean_start` false.
pub(crate) fn lasting() -> PropertiesBuf {
    let mut properties = PropertiesBuf::new();
    properties.session_expiry_interval(60);
    properties
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self::with(Config::default())
    }

    pub(crate) fn with(config: Config) -> Self {
        Self { broker: Broker::new(config, 1), now: Instant(1_000), last: 0 }
    }

    /// Answers take so many milliseconds.
    pub(crate) fn slow(milliseconds: u64) -> Self {
        Self::with(Config { answer_delay: milliseconds..=milliseconds, ..Config::default() })
    }

    pub(crate) fn open(&mut self, version: Version) -> Line {
        self.last += 1;
        let line = Line { id: ConnectionId(self.last), version };
        self.broker.handle_open(line.id, self.now);
        line
    }

    /// Connect and tell what came back.
    pub(crate) fn connect(&mut self, connect: Connect<'_>) -> (Line, Vec<Heard>) {
        let line = self.open(connect.version);
        let heard = self.say(line, &Packet::Connect(connect));
        (line, heard)
    }

    /// A clean client, let in.
    pub(crate) fn client(&mut self, version: Version, client: &str) -> Line {
        self.admitted(connect(version, client))
    }

    /// A client whose session lasts a minute in 5.0 and for ever in 3.1.1.
    pub(crate) fn lasting(&mut self, version: Version, client: &str) -> Line {
        let (line, _) = self.resumed(version, client);
        line
    }

    /// The same, with what came back.
    pub(crate) fn resumed(&mut self, version: Version, client: &str) -> (Line, Vec<Heard>) {
        let lasting = lasting();
        let properties = if version == Version::V5 { lasting.as_properties() } else { Properties::EMPTY };
        let (line, mut heard) =
            self.connect(Connect { clean_start: false, properties, ..connect(version, client) });
        if heard.is_empty() {
            heard = self.wait_for_connack(line);
        }
        (line, heard)
    }

    fn wait_for_connack(&mut self, line: Line) -> Vec<Heard> {
        let delay = *self.broker.config_mut().answer_delay.end();
        self.pass(Duration::from_millis(delay), line)
    }

    pub(crate) fn admitted(&mut self, connect: Connect<'_>) -> Line {
        let (line, mut heard) = self.connect(connect);
        if heard.is_empty() {
            heard = self.wait_for_connack(line);
        }
        assert!(matches!(heard[0], Heard::Connack { reason: Reason::SUCCESS, .. }), "{heard:?}");
        line
    }

    pub(crate) fn say(&mut self, line: Line, packet: &Packet<'_>) -> Vec<Heard> {
        self.say_all(line, std::slice::from_ref(packet))
    }

    pub(crate) fn say_all(&mut self, line: Line, packets: &[Packet<'_>]) -> Vec<Heard> {
        self.say_bytes(line, &bytes_of(line.version, packets))
    }

    pub(crate) fn say_bytes(&mut self, line: Line, bytes: &[u8]) -> Vec<Heard> {
        self.broker.handle_bytes(line.id, bytes, self.now);
        self.hear(line)
    }

    /// What the broker has for this connection; if it wants to close, let it.
    pub(crate) fn hear(&mut self, line: Line) -> Vec<Heard> {
        let mut bytes = Vec::new();
        self.broker.poll_transmit(line.id, &mut bytes);
        let mut heard = take_packets(line.version, &mut bytes);
        assert!(bytes.is_empty(), "half a packet: {bytes:?}");
        if self.broker.should_close(line.id) {
            self.broker.handle_close(line.id, self.now);
            heard.push(Heard::Closed);
        }
        heard
    }

    /// The network is gone.
    pub(crate) fn lose(&mut self, line: Line) {
        self.broker.handle_close(line.id, self.now);
    }

    pub(crate) fn wait(&mut self, time: Duration) {
        self.now = self.now + time;
        self.broker.handle_timeout(self.now);
    }

    pub(crate) fn pass(&mut self, time: Duration, line: Line) -> Vec<Heard> {
        self.wait(time);
        self.hear(line)
    }

    /// Subscribe to `text`, with the SUBACK not shown.
    pub(crate) fn subscribe(&mut self, line: Line, text: &str, qos: QoS) -> Vec<Heard> {
        self.subscribe_with(line, text, qos.into(), Properties::EMPTY)
    }

    pub(crate) fn subscribe_with(
        &mut self,
        line: Line,
        text: &str,
        options: SubscribeOptions,
        properties: Properties<'_>,
    ) -> Vec<Heard> {
        let filters = filter(text, options);
        let subscribe = Subscribe { id: 999, properties, filters: filters.as_filters() };
        let mut heard = self.say(line, &Packet::Subscribe(subscribe));
        assert_eq!(heard.remove(0), Heard::Granted(999, vec![options.qos as u8]));
        heard
    }

    /// Publish as the broker itself.
    pub(crate) fn publish(&mut self, topic: &str, payload: &str, qos: QoS) {
        let message = packetboat_sim::broker::Message::new(topic, payload, qos);
        self.broker.publish(message, self.now);
    }

    pub(crate) fn statements(&self) -> Vec<&'static str> {
        self.broker.violations().iter().map(|violation| violation.statement).collect()
    }

    /// Nobody broke a rule.
    #[track_caller]
    pub(crate) fn is_content(&self) {
        assert_eq!(self.statements(), [""; 0], "{:?}", self.broker.violations());
    }

    /// Exactly one rule was broken, the connection ended, and a 5.0 client was told why.
    #[track_caller]
    pub(crate) fn caught(&self, line: Line, heard: &[Heard], rule: (&str, &str), reason: Reason) {
        let v5 = line.version == Version::V5;
        let statement = if v5 { rule.0 } else { rule.1 };
        assert_eq!(self.statements(), [statement], "{:?}", self.broker.violations());
        assert_eq!(self.broker.violations()[0].connection, line.id);
        let told: Vec<&Heard> = heard.iter().filter(|heard| matches!(heard, Heard::Goodbye(_))).collect();
        if v5 {
            assert_eq!(told, [&Heard::Goodbye(reason)]);
        } else {
            assert_eq!(told, [&Heard::Closed; 0]);
        }
        assert_eq!(heard.last(), Some(&Heard::Closed));
    }
}
