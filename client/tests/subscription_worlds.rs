//! Random worlds of subscriptions: streams come and go on few and on many filters, connections break, and after each step the
//! broker has what is wanted and each stream gets what it asked for, once.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]

mod common;

use std::collections::BTreeSet;

use common::{LONG, VERSIONS, connected, next, options, within};
use packetboat::{Client, Events, QoS, Subscriber, VersionChoice};
use packetboat_core::rng::Rng;
use packetboat_core::topic::{TopicFilter, matches};
use packetboat_sim::broker::{Config, Overlap};
use packetboat_sim::net::{self, Broker};

const FILTERS: [&str; 8] = ["a", "a/b", "a/#", "+/b", "#", "b", "+", "+/+"];
const TOPICS: [&str; 4] = ["a", "a/b", "b", "c/b"];

struct World {
    rng: Rng,
    broker: Broker,
    client: Client,
    events: Events,
    publisher: Client,
    streams: Vec<(BTreeSet<&'static str>, Subscriber)>,
    published: u32,
}

impl World {
    async fn begin(version: VersionChoice, seed: u64) -> Self {
        // Without identifiers nobody could tell copies apart.
        let overlap = if version == VersionChoice::V5 { Overlap::CopyEach } else { Overlap::OneCopy };
        let config = Config { overlap, ..Config::default() };
        let broker = net::Options::new().config(config).start().await.unwrap();
        let options = options(&broker.url()).version(version);
        let publisher = Client::connect(options.clone().client_id("publisher")).await.unwrap();
        let client = Client::connect(options.client_id("world")).await.unwrap();
        let events = client.events();
        Self { rng: Rng::new(seed), broker, client, events, publisher, streams: Vec::new(), published: 0 }
    }

    fn one_of(&mut self, number: usize) -> usize {
        usize::try_from(self.rng.below(number as u64)).unwrap()
    }

    async fn step(&mut self) {
        match self.rng.below(10) {
            0..=4 => {
                let number = 1 + usize::from(self.rng.below(4) == 0);
                let filters: Vec<&str> = (0..number).map(|_| FILTERS[self.one_of(FILTERS.len())]).collect();
                let subscription =
                    self.client.subscription(filters[0]).also(filters[number - 1]).qos(QoS::AtMostOnce);
                self.streams.push((filters.into_iter().collect(), within(LONG, subscription).await.unwrap()));
            }
            5..=7 if !self.streams.is_empty() => {
                let at = self.one_of(self.streams.len());
                drop(self.streams.remove(at));
            }
            8 => {
                let filter = FILTERS[self.one_of(FILTERS.len())];
                within(LONG, self.client.unsubscribe(filter)).await.unwrap();
                for (_, mut stream) in self.streams.extract_if(.., |(filters, _)| filters.contains(filter)) {
                    assert!(within(LONG, stream.next()).await.is_none(), "{filter}");
                }
            }
            _ => {
                self.broker.faults().only(Some("world")).cut();
                connected(&mut self.events).await;
            }
        }
    }

    /// The broker has the filters of the streams, and what is published reaches each that it matches, once.
    async fn check(&mut self) {
        let wanted: BTreeSet<&str> = self.streams.iter().flat_map(|(filters, _)| filters).copied().collect();
        let stands = |core: &packetboat_sim::broker::Broker| {
            core.subscriptions("world").into_iter().collect::<BTreeSet<_>>() == wanted
        };
        within(LONG, self.broker.until(stands)).await;
        let first = self.published;
        for topic in TOPICS {
            let payload = self.published.to_be_bytes();
            // When it has returned the broker has passed it on.
            self.publisher.publish(topic, &payload).qos(QoS::AtLeastOnce).await.unwrap();
            self.published += 1;
        }
        for (filters, stream) in &mut self.streams {
            let is_for = |topic: &str| {
                let mut filters = filters.iter().map(|filter| TopicFilter::new(*filter).unwrap());
                filters.any(|filter| matches(filter.filter(), topic))
            };
            for (number, _) in (first..).zip(TOPICS).filter(|(_, topic)| is_for(topic)) {
                assert_eq!(next(stream).await.payload(), number.to_be_bytes(), "{filters:?}");
            }
        }
    }
}

#[tokio::test]
async fn the_broker_has_what_streams_want_and_each_gets_what_it_wants_once() {
    for version in VERSIONS {
        for seed in 0..25 {
            let mut world = World::begin(version, seed).await;
            for _ in 0..30 {
                world.step().await;
                world.check().await;
            }
            within(LONG, world.client.disconnect()).await.unwrap();
            for (filters, stream) in &mut world.streams {
                assert!(stream.next().await.is_none(), "{version:?} {seed} {filters:?}: more than was sent");
            }
            assert!(world.broker.violations().is_empty(), "{seed} {:?}", world.broker.violations());
        }
    }
}
