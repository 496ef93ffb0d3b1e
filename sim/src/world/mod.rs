//! Random worlds: a client, the strict broker and a bad link, living through some dozens of random events.
//!
//! Every world follows from its seed. It ends by healing the link and running until nothing moves; then it is held
//! to what the client promises: everything accepted arrived, exactly once where that was promised, in order, was
//! reported once, and left nothing behind. [`run`] plays one.

mod arrivals;
mod events;
mod filters;
mod messages;
mod plan;
mod settle;
mod trouble;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use packetboat_core::session::{Phase, SessionMode};
use packetboat_core::time::Instant;
use packetboat_core::wire::Version;

use crate::broker::{self, ConnectionId};
use crate::pair::Pair;

use arrivals::Arrivals;
use filters::Filters;
use messages::Messages;
use plan::{Dice, Plan};

/// What a world was like that kept all promises.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Summary {
    /// Messages accepted from the application.
    pub accepted: usize,
    /// Messages published by the broker for the client.
    pub published: usize,
    /// Connections.
    pub connections: usize,
    /// Times the client's process died.
    pub crashes: usize,
    /// Times the broker lost the session.
    pub losses: usize,
    /// Times a connection was authenticated again.
    pub authentications: usize,
}

impl std::ops::AddAssign for Summary {
    fn add_assign(&mut self, other: Self) {
        self.accepted += other.accepted;
        self.published += other.published;
        self.connections += other.connections;
        self.crashes += other.crashes;
        self.losses += other.losses;
        self.authentications += other.authentications;
    }
}

/// A promise that was not kept.
#[derive(Clone)]
pub struct Failure {
    /// The world.
    pub seed: u64,
    /// Its version.
    pub version: Version,
    /// What went wrong.
    pub what: String,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { seed, version, what } = self;
        writeln!(f, "world {seed} of {version:?}: {what}")?;
        let test = if version.has_properties() { "worlds_of_5_0" } else { "worlds_of_3_1_1" };
        let command = format!("cargo test -p packetboat-sim --test worlds {test} -- --nocapture");
        write!(f, "replay: PACKETBOAT_SEED={seed} {command}")
    }
}

impl std::fmt::Debug for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Failure {}

/// Live through the world of this seed.
pub fn run(version: Version, seed: u64) -> Result<Summary, Failure> {
    run_telling(version, seed, false)
}

/// The same, telling every step on standard error.
pub fn run_telling(version: Version, seed: u64, tell: bool) -> Result<Summary, Failure> {
    let life = || {
        let mut world = World::new(version, seed, tell);
        world.live()?;
        world.settle()?;
        Ok(world.summary())
    };
    let result = catch_unwind(AssertUnwindSafe(life)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        Err(format!("panicked: {}", text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("?")))
    });
    result.map_err(|what| Failure { seed, version, what })
}

/// A world while it lives.
struct World {
    pair: Pair,
    plan: Plan,
    dice: Dice,
    messages: Messages,
    arrivals: Arrivals,
    filters: Filters,
    tags: u64,
    crashes: usize,
    losses: usize,
    authentications: usize,
    connections: usize,
    /// The broker's session as of the last CONNACK.
    session: Option<u64>,
    /// The broker began a new session and its CONNACK was lost: the next one says "session present", and means a
    /// session that the client has never heard of. No client can know, so nothing can be promised any more.
    betrayed: bool,
    /// The broker lost the session, and the process died before its store knew. The next process takes identifiers of
    /// the lost session for its own.
    doubtful: bool,
    /// Nothing gets through in either direction since then.
    deaf: Option<(u64, Instant)>,
    tell: bool,
}

type Promise = Result<(), String>;

impl World {
    fn new(version: Version, seed: u64, tell: bool) -> Self {
        let mut dice = Dice::new(seed);
        let plan = Plan::draw(version, seed, &mut dice);
        let broker = broker::Config { trace: tell, ..plan.broker.clone() };
        let mut pair = Pair::with_options(plan.options.clone(), plan.config.clone(), broker, dice.seed());
        pair.client.commit_eagerly = !plan.late_store;
        if tell {
            eprintln!("{plan:#?}");
        }
        Self {
            pair,
            plan,
            dice,
            messages: Messages::default(),
            arrivals: Arrivals::default(),
            filters: Filters::default(),
            tags: 0,
            crashes: 0,
            losses: 0,
            authentications: 0,
            connections: 0,
            session: None,
            betrayed: false,
            doubtful: false,
            deaf: None,
            tell,
        }
    }

    fn summary(&self) -> Summary {
        Summary {
            accepted: self.messages.accepted(),
            published: self.arrivals.published(),
            connections: self.connections,
            crashes: self.crashes,
            losses: self.losses,
            authentications: self.authentications,
        }
    }

    fn tell(&self, what: impl FnOnce() -> String) {
        if self.tell {
            eprintln!("{:>8} {}", self.pair.now.0, what());
        }
    }

    fn next_tag(&mut self) -> u64 {
        self.tags += 1;
        self.tags
    }

    /// The random part.
    fn live(&mut self) -> Promise {
        if self.dice.percent(70) {
            // Most worlds begin with somebody who listens: half of what can go wrong is about arrivals.
            self.subscribe("a/#");
            self.dial();
            self.pair.drive();
            self.notice()?;
        }
        for _ in 0..self.plan.steps {
            self.step()?;
            self.proceed();
            self.notice()?;
            self.check_silence()?;
            if self.betrayed {
                break;
            }
        }
        Ok(())
    }

    /// One random event.
    fn step(&mut self) -> Promise {
        match self.dice.index(100) {
            28..=36 if self.may_authenticate() => self.authenticate_again(),
            0..=31 => self.publish(),
            32..=45 => self.publish_from_broker(),
            46..=62 => self.release_one()?,
            63..=66 => self.subscribe_or_unsubscribe(),
            67..=69 => self.cancel_one(),
            70..=78 => self.pass_some_time(),
            79..=86 => self.disturb_link(),
            87..=91 => self.disturb_broker(),
            92..=94 if self.plan.config.durable => self.crash(),
            92..=94 => self.cut(),
            95..=96 => self.leave(),
            97 => {
                self.pair.client.session.ping(self.pair.now);
            }
            _ => self.commit_some(),
        }
        if !self.pair.is_connected() && self.dice.percent(50) {
            self.dial();
        }
        Ok(())
    }

    fn may_authenticate(&mut self) -> bool {
        let online = self.pair.client.session.phase() == Phase::Online;
        self.plan.authenticated && online && self.dice.percent(60)
    }

    /// Let everything happen that can, or only some of it, or nothing yet.
    fn proceed(&mut self) {
        match self.dice.index(10) {
            0..=6 => self.pair.drive(),
            7..=8 => {
                for _ in 0..self.dice.between(1, 4) {
                    self.pair.turn();
                }
            }
            _ => {}
        }
    }

    fn dial(&mut self) {
        if self.plan.fickle && self.dice.percent(50) {
            let receive_maximum = self.dice.between(1, 4);
            self.pair.broker.config_mut().receive_maximum = u16::try_from(receive_maximum).unwrap_or(1);
        }
        self.pair.conditions = plan::conditions(self.plan.calm, &mut self.dice);
        self.connections += 1;
        self.tell(|| "dial".to_owned());
        self.pair.dial();
    }

    fn pass_some_time(&mut self) {
        let milliseconds = match self.dice.index(10) {
            0..=6 => self.dice.between(1, 300),
            7..=8 => self.dice.between(300, 6_000),
            _ => self.dice.between(6_000, 70_000),
        };
        self.tell(|| format!("{milliseconds} ms pass"));
        self.pair.pass(Duration::from_millis(milliseconds as u64));
    }

    /// CONNACK arrived.
    fn connected(&mut self, session_present: bool) {
        let connection = self.pair.client.connected.pop_front().map(ConnectionId);
        let session = connection.and_then(|id| self.pair.broker.session_number(id));
        let before = std::mem::replace(&mut self.session, session);
        if session_present {
            self.betrayed |= before.is_some() && before != session;
        } else if before.is_some() {
            self.session_lost();
        }
    }

    /// The broker has no session any more, or has a new one.
    fn session_lost(&mut self) {
        self.losses += 1;
        self.arrivals.session_lost();
    }

    fn commit_some(&mut self) {
        let count = self.dice.between(1, 5);
        self.pair.client.keep();
        let committed = self.pair.client.commit(count);
        self.tell(|| format!("the store commits {count}: {committed}"));
    }

    /// A clean session ends with its connection.
    fn is_clean(&self) -> bool {
        let v5 = self.plan.options.version.has_properties();
        match self.plan.options.session {
            SessionMode::Clean => true,
            SessionMode::UntilDisconnect => !v5,
            SessionMode::Persistent { .. } => false,
        }
    }
}
