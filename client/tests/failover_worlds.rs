//! Random worlds with several servers, on virtual time: servers come, go, refuse, forget the session, send the client
//! elsewhere, by name or not, and cut it off; the client is sent offline, renewed and reconfigured. In the end everything accepted has
//! arrived somewhere, exactly once where that was promised. `PACKETBOAT_WORLDS` says how many (default 300 for each
//! version, at most 1,000), `PACKETBOAT_SEED` replays one.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use common::inside::{Host, Inside, Network, patient};
use packetboat::{
    Client, Event, Options, PublishError, QoS, Reason, Receipt, SessionMode, State, Switch, Version,
    VersionChoice,
};
use packetboat_core::rng::Rng;
use packetboat_sim::broker::{Broker, Config, Refusal};

const HOSTS: [&str; 3] = ["one", "two", "three"];
const SECOND: Duration = Duration::from_secs(1);

/// Server references that were followed, in all worlds.
static REDIRECTS: AtomicU32 = AtomicU32::new(0);

struct World {
    rng: Rng,
    network: Network,
    brokers: Vec<Inside>,
    client: Client,
    sent: Vec<(String, QoS, Receipt)>,
    /// A broker began a new session and its CONNACK was lost: the next one says "session present" and means a session
    /// that the client has never heard of. No client can know, so nothing can be promised any more.
    betrayed: Arc<AtomicBool>,
}

impl World {
    fn new(seed: u64, version: VersionChoice) -> Self {
        let mut rng = Rng::new(seed);
        let delay = rng.below(3) * 300;
        let config = Config { answer_delay: 0..=delay, ..Config::default() };
        let brokers: Vec<Inside> = HOSTS.iter().map(|_| Inside::with_config(config.clone())).collect();
        let network = Network::new([]);
        for (name, broker) in HOSTS.iter().zip(&brokers) {
            network.set(name, Host::Broker(broker.clone()));
        }
        let session = match rng.below(3) {
            0 => SessionMode::UntilDisconnect,
            _ => SessionMode::Persistent { expiry: Duration::from_hours(1) },
        };
        let mut options = Options::new("mqtt://one")
            .or_server("mqtt://two")
            .or_server("mqtt://three")
            .client_id("boat")
            .version(version)
            .session(session)
            .transport(network.clone())
            // The client's own chance would not come again with the seed.
            .jitter(packetboat::Jitter::None)
            .backoff(SECOND, SECOND * u32::try_from(rng.below(4) + 1).unwrap());
        if rng.below(2) == 0 {
            options = options.return_after(20 * SECOND);
        }
        if rng.below(2) == 0 {
            options = options.renew_after(15 * SECOND);
        }
        if rng.below(4) == 0 {
            options = options.connect_on_demand(true);
        }
        let client = Client::start(options).unwrap();
        let betrayed = Arc::new(AtomicBool::new(false));
        client.on_event(watch_sessions(&brokers, &betrayed)).keep();
        Self { rng, network, brokers, client, sent: Vec::new(), betrayed }
    }

    fn pick(&mut self) -> usize {
        usize::try_from(self.rng.below(3)).unwrap()
    }

    async fn step(&mut self) {
        let at = self.pick();
        let broker = self.brokers[at].clone();
        match self.rng.below(20) {
            0 => self.network.set(HOSTS[at], Host::Down),
            1 => self.network.set(HOSTS[at], Host::Silent),
            2..=4 => self.network.set(HOSTS[at], Host::Broker(broker)),
            5 => {
                let reason = [Reason::SERVER_BUSY, Reason::NOT_AUTHORIZED, Reason::BANNED][self.pick()];
                broker.with(|core, _| {
                    core.faults().refuse(1, Refusal::Code(reason));
                });
            }
            6 | 7 => broker.with(Broker::cut_all),
            8 => broker.with(|core, now| core.forget("boat", now)),
            9 => {
                let reasons =
                    [Reason::SESSION_TAKEN_OVER, Reason::SERVER_SHUTTING_DOWN, Reason::SERVER_MOVED];
                let (reason, to) = (reasons[self.pick()], HOSTS[self.pick()]);
                if self.rng.below(2) == 0 || self.client.version() != Version::V5 {
                    broker.with(|core, now| core.disconnect("boat", reason, now));
                } else {
                    let lasting = reason == Reason::SERVER_MOVED;
                    broker.with(|core, _| core.send_raw("boat", &sends_to(to, lasting)));
                }
            }
            10 => self.client.reconnect(),
            11 => self.client.network_up(),
            12 => {
                let keep_alive = SECOND * u32::try_from(self.rng.below(30) + 5).unwrap();
                self.client.reconfigure(self.client.options().keep_alive(keep_alive)).unwrap();
            }
            13 => {
                patient(self.client.go_offline()).await;
                self.client.connect_now();
            }
            _ => self.publish(),
        }
        tokio::time::sleep(Duration::from_millis(self.rng.below(4) * self.rng.below(1500))).await;
    }

    fn publish(&mut self) {
        for _ in 0..self.rng.below(6) {
            let qos = if self.rng.below(2) == 0 { QoS::AtLeastOnce } else { QoS::ExactlyOnce };
            let payload = self.sent.len().to_string();
            let receipt = self.client.publish("a", payload.clone()).qos(qos).try_publish().unwrap();
            self.sent.push((payload, qos, receipt));
        }
    }

    /// Everything works again, and all that was accepted ends.
    async fn settle(mut self) {
        for (name, broker) in HOSTS.iter().zip(&self.brokers) {
            broker.with(|core, _| {
                core.faults().clear();
            });
            self.network.set(name, Host::Broker(broker.clone()));
        }
        let mut arrived: BTreeMap<String, usize> = BTreeMap::new();
        let mut ended = Vec::new();
        for (payload, qos, receipt) in std::mem::take(&mut self.sent) {
            let ended_in_time = tokio::time::timeout(Duration::from_secs(50_000), receipt).await;
            if self.betrayed.load(Ordering::Relaxed) {
                return;
            }
            let state = (self.client.state(), self.client.queue());
            let result =
                ended_in_time.unwrap_or_else(|_| panic!("{payload} of {qos:?} never ends: {state:?}"));
            ended.push((payload, qos, result));
        }
        for broker in &self.brokers {
            broker.check();
        }
        // What is sent again at QoS 2 without having arrived twice is no second arrival: the broker logs it once.
        for payload in self.brokers.iter().flat_map(|broker| broker.payloads("boat")) {
            *arrived.entry(payload).or_default() += 1;
        }
        for (payload, qos, result) in ended {
            let times = arrived.get(&payload).copied().unwrap_or_default();
            let published = match result {
                Ok(published) => published,
                Err(error) => {
                    assert!(matches!(error, PublishError::Refused { .. }), "{payload}: {error:?}");
                    continue;
                }
            };
            assert!(times > 0, "{payload} of {qos:?} is confirmed and never arrived");
            let once = qos == QoS::ExactlyOnce && !published.possible_duplicate;
            assert!(!once || times == 1, "{payload} arrived {times} times");
        }
        patient(self.client.disconnect()).await.unwrap();
        assert!(matches!(self.client.state(), State::Closed));
    }
}

/// DISCONNECT with a server reference, for good or for one connection.
fn sends_to(host: &str, lasting: bool) -> Vec<u8> {
    let length = u8::try_from(host.len()).unwrap();
    let reason = if lasting { Reason::SERVER_MOVED } else { Reason::USE_ANOTHER_SERVER };
    let head = [0xe0, length + 5, reason.0, length + 3, 0x1c, 0, length];
    [&head[..], host.as_bytes()].concat()
}

fn watch_sessions(brokers: &[Inside], betrayed: &Arc<AtomicBool>) -> impl FnMut(&Event) + Send + 'static {
    let (brokers, betrayed) = (brokers.to_vec(), betrayed.clone());
    let mut last = None;
    move |event| {
        if let Event::ServerSwitched { why: Switch::Redirected, .. } = event {
            REDIRECTS.fetch_add(1, Ordering::Relaxed);
        }
        let Event::Connected(connected) = event else { return };
        let at = HOSTS.iter().position(|name| *name == connected.server.host()).unwrap();
        let session = brokers[at]
            .with(|core, _| core.connection("boat").and_then(|connection| core.session_number(connection)));
        let before = last.replace((at, session));
        match before {
            Some((there, known)) if connected.session_present => {
                // What another server kept from an earlier visit is not the session that the client has.
                assert_eq!(there, at, "resumed at another server");
                betrayed.fetch_or(known != session, Ordering::Relaxed);
            }
            _ => {}
        }
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

fn worlds(version: VersionChoice) {
    let seeds = match number("PACKETBOAT_SEED") {
        Some(seed) => seed..=seed,
        None => 1..=number("PACKETBOAT_WORLDS").unwrap_or(300).min(1000),
    };
    for seed in seeds {
        eprintln!("PACKETBOAT_SEED={seed}");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        runtime.unwrap().block_on(async {
            let mut world = World::new(seed, version);
            for _ in 0..40 {
                world.step().await;
            }
            world.settle().await;
        });
    }
}

#[test]
fn worlds_of_3_1_1() {
    worlds(VersionChoice::V311);
}

#[test]
fn worlds_of_5_0() {
    worlds(VersionChoice::V5);
    let few =
        number("PACKETBOAT_SEED").is_some() || number("PACKETBOAT_WORLDS").is_some_and(|worlds| worlds < 50);
    assert!(few || REDIRECTS.load(Ordering::Relaxed) > 10, "references are followed");
}
