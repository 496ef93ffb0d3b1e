//! What a world is like: settings of client, broker and link, drawn from its seed.

use std::sync::Arc;
use std::time::Duration;

use packetboat_core::rng::Rng;
use packetboat_core::session::{Config, ConnectOptions, Overflow, SessionMode};
use packetboat_core::wire::{QoS, Version};

use crate::broker::{self, Echo, Overlap};
use crate::link::Conditions;
use crate::pair::CLIENT;

/// The broker hangs up when a message comes to this topic.
pub(super) const POISON: &str = "poison";

/// Dice.
#[derive(Clone, Debug)]
pub(super) struct Dice(Rng);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(Rng::new(seed))
    }

    pub(super) fn seed(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// True in so many of a hundred throws.
    pub(super) fn percent(&mut self, percent: u64) -> bool {
        self.0.below(100) < percent
    }

    /// From `least` to `most`, both included.
    pub(super) fn between(&mut self, least: usize, most: usize) -> usize {
        least + self.index(most - least + 1)
    }

    /// From 0 up to but without `limit`.
    pub(super) fn index(&mut self, limit: usize) -> usize {
        usize::try_from(self.0.below(limit as u64)).unwrap_or(0)
    }

    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.index(from.len())]
    }

    fn small(&mut self, most: u16) -> u16 {
        u16::try_from(self.between(1, usize::from(most))).unwrap_or(1)
    }
}

/// All that is decided before a world begins.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) options: ConnectOptions,
    pub(super) config: Config,
    pub(super) broker: broker::Config,
    /// No stalls, no narrow buffers, no delay: silence is the client's fault.
    pub(super) calm: bool,
    /// The broker may change its receive maximum from connection to connection.
    pub(super) fickle: bool,
    /// Store operations are made safe late.
    pub(super) late_store: bool,
    /// Connections are authenticated by a method, and again now and then.
    pub(super) authenticated: bool,
    pub(super) steps: usize,
}

impl Plan {
    pub(super) fn draw(version: Version, seed: u64, dice: &mut Dice) -> Self {
        let calm = dice.percent(25);
        let config = client(version, dice);
        let mut options = options(version, config.durable, dice);
        let mut broker = broker(version, calm, dice);
        // By the seed itself: other worlds stay what they were.
        let authenticated = version.has_properties() && seed % 4 == 1;
        if authenticated {
            let named = options.properties.authentication_method(Echo::NAME);
            named.unwrap_or_else(|error| panic!("{error}"));
            broker.methods = vec![Arc::new(Echo(u8::try_from(seed % 3).unwrap_or(0)))];
        }
        Self {
            options,
            broker,
            authenticated,
            calm,
            fickle: version.has_properties() && dice.percent(20),
            late_store: dice.percent(70),
            steps: dice.between(10, 60),
            config,
        }
    }
}

fn client(version: Version, dice: &mut Dice) -> Config {
    Config {
        window: dice.pick(&[1, 2, 3, 8, 100]),
        unannounced_window: dice.pick(&[1, 2, 20, 100]),
        strict_receive_maximum: true,
        queue_messages: dice.pick(&[2, 5, 100]),
        queue_bytes: dice.pick(&[300, 100_000, 1_000_000]),
        overflow: if dice.percent(80) {
            Overflow::Refuse
        } else {
            dice.pick(&[Overflow::DropOldest, Overflow::DropNewest])
        },
        queue_qos0_offline: dice.percent(80),
        acknowledgement_timeout: Duration::from_secs(dice.pick(&[5, 20, 60])),
        poison_limit: dice.pick(&[0, 3, 4, 6]),
        outgoing_aliases: dice.pick(&[0, 0, 1, 2, 10]),
        maximum_qos: if dice.percent(5) { QoS::AtLeastOnce } else { QoS::ExactlyOnce },
        durable: dice.percent(35),
        fixed_version: dice.percent(50).then_some(version),
        resend_unresolved: dice.percent(75),
    }
}

fn options(version: Version, durable: bool, dice: &mut Dice) -> ConnectOptions {
    let persistent = SessionMode::Persistent { expiry: Duration::from_secs(100_000) };
    let session = if durable || dice.percent(75) {
        persistent
    } else {
        dice.pick(&[SessionMode::UntilDisconnect, SessionMode::Clean])
    };
    ConnectOptions {
        version,
        client_id: CLIENT.to_owned(),
        session,
        keep_alive: dice.pick(&[0, 1, 5, 10]),
        receive_maximum: if dice.percent(70) { dice.small(4) } else { 1024 },
        maximum_packet_size: dice.pick(&[200, 300, 1 << 20]),
        topic_alias_maximum: dice.pick(&[0, 1, 3]),
        ..ConnectOptions::default()
    }
}

fn broker(version: Version, calm: bool, dice: &mut Dice) -> broker::Config {
    let slow = dice.percent(50);
    broker::Config {
        receive_maximum: if dice.percent(70) { dice.small(4) } else { 100 },
        // Older versions cannot be told.
        maximum_packet_size: if version.has_properties() && dice.percent(20) { 80 } else { 1 << 20 },
        maximum_qos: if dice.percent(5) { QoS::AtLeastOnce } else { QoS::ExactlyOnce },
        retain_available: dice.percent(90),
        wildcards_available: dice.percent(95),
        subscription_identifiers_available: dice.percent(70),
        topic_alias_maximum: dice.pick(&[0, 1, 3]),
        own_aliases: dice.pick(&[0, 1, 3]),
        server_keep_alive: dice.percent(10).then_some(3),
        window: dice.pick(&[2, 100]),
        overlap: Overlap::OneCopy,
        answer_delay: if slow { 0..=dice.pick(&[10, 200, 2000]) } else { 0..=0 },
        shuffle_answers: slow && dice.percent(50),
        refused_per_mille: if dice.percent(10) { 200 } else { 0 },
        poisonous: vec![POISON.parse().unwrap_or_else(|error| panic!("{error}"))],
        report_no_subscribers: dice.percent(50),
        blame_silence: calm,
        ..broker::Config::default()
    }
}

pub(super) fn conditions(calm: bool, dice: &mut Dice) -> Conditions {
    let chunk = dice.pick(&[1, 3, 20, 4096]);
    Conditions {
        delay: if calm { 0..=0 } else { 0..=dice.pick(&[0, 5, 300]) },
        chunk: 1..=chunk,
        capacity: if calm { usize::MAX } else { dice.pick(&[7, 50, 300, usize::MAX]) },
    }
}
