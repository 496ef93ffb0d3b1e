//! Pipes that start at a subscription, between strict brokers in this process.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::within;
use packetboat::{
    Client, Message, Options, PropertiesBuf, QoS, SessionMode, Subscriber, TopicFilter, VersionChoice,
};
use packetboat_hub::bridge::{Pipe, PipeEnd, PipeOptions, PipeState, Retry, Route};
use packetboat_hub::broker::{Delivered, DeliveryError, Destination, Later, Outgoing};
use packetboat_sim::broker::Config;
use packetboat_sim::net::{self, Broker};

const HOUR: Duration = Duration::from_hours(1);

fn options(broker: &Broker, id: &str) -> Options {
    Options::new(&broker.url()).client_id(id).backoff(Duration::from_millis(1), Duration::from_millis(50))
}

fn source(broker: &Broker, id: &str) -> Options {
    options(broker, id).session(SessionMode::Persistent { expiry: HOUR })
}

/// A pipe from `filter` on one broker, with the destination that is given.
fn pipe(broker: &Broker, filter: &str) -> (PipeOptions, Route) {
    let route = Route::new(filter).unwrap();
    let retry = Retry { minimum: Duration::from_millis(1), maximum: Duration::from_millis(20), attempts: 3 };
    (PipeOptions::new("up", "plant", source(broker, "hub-up"), route.clone()).retry(retry), route)
}

async fn running(pipe: &Pipe) {
    within(pipe.watch().wait_for(|state| *state == PipeState::Running)).await.unwrap();
}

async fn next(stream: &mut Subscriber) -> Message {
    within(stream.next()).await.expect("the stream ended")
}

async fn client(broker: &Broker, id: &str) -> Client {
    Client::connect(options(broker, id)).await.unwrap()
}

fn users(message: &Message) -> Vec<(String, String)> {
    message.properties().user_properties().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[tokio::test]
async fn topics_are_rewritten_and_payload_and_properties_stay() {
    let (plant, cloud) = (Broker::start().await.unwrap(), Broker::start().await.unwrap());
    let (options, route) = pipe(&plant, "plant/{line}/temp/#");
    let there = client(&cloud, "cloud").await;
    let destination = PipeEnd::broker("cloud", there.clone()).topic(route.template("all/{line}/#").unwrap());
    let mut stream = client(&cloud, "reader").await.subscribe("all/#").await.unwrap();
    let pipe = Pipe::start(options.qos(QoS::ExactlyOnce).destination(destination)).unwrap();
    running(&pipe).await;
    let sender = client(&plant, "sender").await;
    let mut properties = PropertiesBuf::new();
    properties.content_type("x/y").unwrap().correlation_data(&[0, 255]).unwrap();
    properties.user_property("a", "1").unwrap().user_property("a", "2").unwrap();
    properties.message_expiry_interval(1000);
    let payload: Vec<u8> = (0..=255).collect();
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let publish = sender.publish("plant/7/temp/x/y", &payload).qos(qos).retain(true);
        publish.properties(properties.clone()).await.unwrap();
        let message = next(&mut stream).await;
        assert_eq!((message.topic(), message.payload(), message.qos()), ("all/7/x/y", &*payload, qos));
        let said = message.properties();
        assert_eq!((said.content_type(), said.correlation_data()), (Some("x/y"), Some(&[0, 255][..])));
        assert!((900..=1000).contains(&said.message_expiry_interval().unwrap()));
        let users = users(&message);
        assert_eq!(users[..2], [("a".into(), "1".into()), ("a".into(), "2".into())]);
        assert_eq!(users[2..], [("packetboat-hop".into(), "hub/plant/up".into())]);
    }
    assert!(cloud.with(|core, _| core.retained("all/7/x/y").is_some()), "the retain flag is kept");
    assert!(within(pipe.stop()).await);
    assert_eq!((plant.violations(), cloud.violations()), (vec![], vec![]));
}

/// A destination that takes nothing before it is told to.
#[derive(Default)]
struct Gate {
    open: tokio::sync::watch::Sender<bool>,
    taken: Mutex<Vec<Outgoing>>,
}

struct Held(Arc<Gate>);

impl Gate {
    fn end(self: &Arc<Self>) -> PipeEnd {
        PipeEnd::target("gate", Arc::new(Held(self.clone())))
    }
}

impl Destination for Held {
    fn publish(&self, message: Outgoing) -> Later<'static, Result<Delivered, DeliveryError>> {
        let gate = self.0.clone();
        Box::pin(async move {
            let mut open = gate.open.subscribe();
            open.wait_for(|open| *open).await.unwrap();
            gate.taken.lock().unwrap().push(message);
            Ok(Delivered::new())
        })
    }
}

#[tokio::test]
async fn a_message_is_acknowledged_when_every_destination_has_it() {
    let (plant, cloud) = (Broker::start().await.unwrap(), Broker::start().await.unwrap());
    let (options, _) = pipe(&plant, "a/#");
    let gate = Arc::new(Gate::default());
    let pipe = Pipe::start(
        options.destination(PipeEnd::broker("cloud", client(&cloud, "cloud").await)).destination(gate.end()),
    )
    .unwrap();
    let mut stream = client(&cloud, "reader").await.subscribe("a/#").await.unwrap();
    running(&pipe).await;
    let sender = client(&plant, "sender").await;
    for number in 0..3_u8 {
        sender.publish("a/b", vec![number]).qos(QoS::AtLeastOnce).await.unwrap();
        assert_eq!(next(&mut stream).await.payload(), [number]);
    }
    // One destination has all of them, and none is acknowledged.
    let counts = pipe.counts();
    assert_eq!((counts.received, counts.acknowledged), (3, 0));
    assert_eq!(plant.with(|core, _| core.pending("hub-up")), 3);
    assert_eq!(counts.destinations[1].waiting, 3);
    gate.open.send_replace(true);
    within(plant.until(|core| core.pending("hub-up") == 0)).await;
    assert_eq!(gate.taken.lock().unwrap().len(), 3);
    assert!(within(pipe.stop()).await);
}

/// A destination that takes one message for each permit.
struct Turnstile {
    permits: tokio::sync::Semaphore,
    taken: Mutex<Vec<usize>>,
}

struct Passing(Arc<Turnstile>);

impl Destination for Passing {
    fn publish(&self, message: Outgoing) -> Later<'static, Result<Delivered, DeliveryError>> {
        let turnstile = self.0.clone();
        Box::pin(async move {
            turnstile.permits.acquire().await.unwrap().forget();
            turnstile.taken.lock().unwrap().push(message.payload.bytes().len());
            Ok(Delivered::new())
        })
    }
}

#[tokio::test]
async fn large_messages_wait_at_the_broker_and_not_in_memory() {
    const MESSAGES: usize = 40;
    const SIZE: usize = 256 * 1024;
    let plant = Broker::start().await.unwrap();
    let (options, _) = pipe(&plant, "a");
    let permits = tokio::sync::Semaphore::new(0);
    let turnstile = Arc::new(Turnstile { permits, taken: Mutex::default() });
    let end = PipeEnd::target("turnstile", Arc::new(Passing(turnstile.clone())));
    // Room for four; the first is larger than all of it.
    let limit = u32::try_from(4 * SIZE + 4).unwrap();
    let pipe = Pipe::start(options.destination(end).bytes(limit)).unwrap();
    running(&pipe).await;
    let sizes: Vec<usize> = std::iter::once(8 * SIZE).chain(std::iter::repeat_n(SIZE, MESSAGES)).collect();
    let sender = client(&plant, "sender").await;
    for size in &sizes {
        sender.publish("a", vec![7; *size]).qos(QoS::AtLeastOnce).await.unwrap();
    }
    let connection = plant.with(|core, _| core.connection("hub-up"));
    for delivered in 0..sizes.len() {
        // Of what the pipe took from its source one waits for room.
        let wanted = match delivered {
            0 => 2,
            _ => (delivered + 5).min(sizes.len()),
        };
        within(async {
            while pipe.counts().received < wanted as u64 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
        let counts = pipe.counts();
        assert_eq!(counts.received, wanted as u64, "after {delivered}");
        assert!(counts.bytes <= u64::from(limit), "{counts:?}");
        turnstile.permits.add_permits(1);
        within(async {
            while pipe.counts().acknowledged <= delivered as u64 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
    }
    assert_eq!(*turnstile.taken.lock().unwrap(), sizes);
    assert_eq!(pipe.counts().bytes, 0);
    assert_eq!(plant.with(|core, _| core.connection("hub-up")), connection, "it was reconnected");
    assert!(within(pipe.stop()).await);
    assert_eq!(plant.violations(), []);
}

#[tokio::test]
async fn what_a_stopped_pipe_did_not_deliver_comes_again() {
    let plant = Broker::start().await.unwrap();
    let (options, _) = pipe(&plant, "a/#");
    let gate = Arc::new(Gate::default());
    let options = options.drain(Duration::from_millis(50)).window(8);
    let first = Pipe::start(options.clone().destination(gate.end())).unwrap();
    running(&first).await;
    let sender = client(&plant, "sender").await;
    for number in 0..20_u8 {
        sender.publish("a/b", vec![number]).qos(QoS::AtLeastOnce).await.unwrap();
    }
    assert!(!within(first.stop()).await, "something was in it");
    for number in 20..100_u8 {
        sender.publish("a/b", vec![number]).qos(QoS::AtLeastOnce).await.unwrap();
    }
    gate.open.send_replace(true);
    let second = Pipe::start(options.destination(gate.end())).unwrap();
    within(plant.until(|core| core.pending("hub-up") == 0)).await;
    let payloads: Vec<u8> =
        gate.taken.lock().unwrap().iter().map(|parcel| parcel.payload.bytes()[0]).collect();
    assert_eq!(payloads, (0..100).collect::<Vec<_>>());
    // Removed, it leaves nothing behind.
    within(second.remove()).await;
    within(plant.until(|core| !core.has_session("hub-up"))).await;
}

#[tokio::test]
async fn order_is_kept_over_refusals_and_cuts() {
    let plant = Broker::start().await.unwrap();
    let config = Config { refused_per_mille: 30, keep_log: true, ..Config::default() };
    let cloud = net::Options::new().config(config).start().await.unwrap();
    let (options, _) = pipe(&plant, "a/#");
    let there = client(&cloud, "cloud").await;
    let retry =
        Retry { attempts: 1000, minimum: Duration::from_millis(1), maximum: Duration::from_millis(2) };
    let pipe = Pipe::start(options.retry(retry).destination(PipeEnd::broker("cloud", there))).unwrap();
    running(&pipe).await;
    let sender = client(&plant, "sender").await;
    let mut receipts = Vec::new();
    for number in 0..2000_u32 {
        let publish = sender.publish("a/b", number.to_be_bytes().to_vec()).qos(QoS::AtLeastOnce);
        receipts.push(publish.enqueue().await.unwrap());
        if number % 500 == 250 {
            let _ = if number % 1000 == 250 { &plant } else { &cloud }.faults().cut();
        }
    }
    for receipt in receipts {
        within(receipt).await.unwrap();
    }
    within(plant.until(|core| core.pending("hub-up") == 0)).await;
    let sent: Vec<u32> = cloud
        .accepted("cloud")
        .iter()
        .map(|accepted| u32::from_be_bytes(accepted.message.payload[..].try_into().unwrap()))
        .collect();
    // Some came twice; but whatever followed a message the last time it came, followed it.
    let last: Vec<usize> =
        (0..2000).map(|number| sent.iter().rposition(|other| *other == number).unwrap()).collect();
    assert!(last.is_sorted(), "{sent:?}");
    assert!(pipe.counts().destinations[0].failures > 0, "nothing was refused");
    assert!(within(pipe.stop()).await);
}

#[tokio::test]
async fn what_no_destination_takes_goes_to_the_dead_letters() {
    let plant = Broker::start().await.unwrap();
    let config = Config { denied: vec![TopicFilter::new("a/no").unwrap()], ..Config::default() };
    let cloud = net::Options::new().config(config).start().await.unwrap();
    let (options, _) = pipe(&plant, "a/#");
    let there = client(&cloud, "cloud").await;
    let letters = PipeEnd::broker("plant", client(&plant, "letters").await)
        .topic(Route::new("a/#").unwrap().template("dead/up").unwrap());
    let mut dead = client(&plant, "reader").await.subscribe("dead/#").await.unwrap();
    let mut fine = client(&cloud, "reader").await.subscribe("a/#").await.unwrap();
    let pipe =
        Pipe::start(options.destination(PipeEnd::broker("cloud", there)).dead_letters(letters)).unwrap();
    running(&pipe).await;
    let sender = client(&plant, "sender").await;
    let mut properties = PropertiesBuf::new();
    properties.user_property("mine", "stays").unwrap();
    sender.publish("a/no", "x").qos(QoS::AtLeastOnce).properties(properties).await.unwrap();
    sender.publish("a/yes", "y").qos(QoS::AtLeastOnce).await.unwrap();
    let message = next(&mut dead).await;
    assert_eq!((message.topic(), message.payload()), ("dead/up", &b"x"[..]));
    let users = users(&message);
    let said = |name: &str| users.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    assert_eq!(said("mine"), Some("stays"));
    assert!(said("packetboat-error").unwrap().contains("refused"), "{users:?}");
    assert_eq!(said("packetboat-topic"), Some("a/no"));
    assert_eq!(said("packetboat-destination"), Some("cloud"));
    assert_eq!(said("packetboat-attempts"), Some("3"));
    assert_eq!(next(&mut fine).await.topic(), "a/yes");
    within(plant.until(|core| core.pending("hub-up") == 0)).await;
    let counts = pipe.counts();
    assert_eq!((counts.destinations[0].dead, counts.destinations[0].failures), (1, 3));
}

#[tokio::test]
async fn without_a_place_for_dead_letters_the_pipe_stands_still_and_loses_nothing() {
    let plant = Broker::start().await.unwrap();
    let config = Config { denied: vec![TopicFilter::new("a/no").unwrap()], ..Config::default() };
    let cloud = net::Options::new().config(config).start().await.unwrap();
    let (options, _) = pipe(&plant, "a/#");
    let pipe =
        Pipe::start(options.destination(PipeEnd::broker("cloud", client(&cloud, "cloud").await))).unwrap();
    let mut fine = client(&cloud, "reader").await.subscribe("a/yes").await.unwrap();
    running(&pipe).await;
    let sender = client(&plant, "sender").await;
    sender.publish("a/no", "x").qos(QoS::AtLeastOnce).await.unwrap();
    sender.publish("a/yes", "y").qos(QoS::AtLeastOnce).await.unwrap();
    // Far more often than the attempts.
    within(cloud.until(|core| core.stats().received(packetboat::PacketType::Publish) > 10)).await;
    assert!(pipe.counts().destinations[0].error.as_deref().unwrap().contains("refused"));
    assert_eq!(pipe.counts().acknowledged, 0);
    // Somebody gives the permission.
    cloud.with(|core, _| core.config_mut().denied.clear());
    assert_eq!(next(&mut fine).await.payload(), b"y");
    within(plant.until(|core| core.pending("hub-up") == 0)).await;
    assert_eq!(pipe.counts().destinations[0].error, None);
}

#[tokio::test]
async fn two_ways_between_two_brokers_are_no_loop() {
    let config = || Config { keep_log: true, ..Config::default() };
    let plant = net::Options::new().config(config()).start().await.unwrap();
    let cloud = net::Options::new().config(config()).start().await.unwrap();
    let (to_plant, to_cloud) = (client(&plant, "from-cloud").await, client(&cloud, "from-plant").await);
    let route = Route::new("#").unwrap();
    let up = PipeOptions::new("up", "plant", source(&plant, "hub-up"), route.clone())
        .needs_hops(true)
        .destination(PipeEnd::broker("cloud", to_cloud));
    let down = PipeOptions::new("down", "cloud", source(&cloud, "hub-down"), route)
        .needs_hops(true)
        .destination(PipeEnd::broker("plant", to_plant));
    let (up, down) = (Pipe::start(up).unwrap(), Pipe::start(down).unwrap());
    running(&up).await;
    running(&down).await;
    let sender = client(&plant, "sender").await;
    for _ in 0..10 {
        sender.publish("a", "x").qos(QoS::AtLeastOnce).await.unwrap();
    }
    within(cloud.until(|core| core.accepted("from-plant").len() == 10 && core.pending("hub-down") == 0))
        .await;
    assert_eq!(down.counts().destinations[0].echoes, 10);
    assert_eq!(plant.accepted("from-cloud").len(), 0, "an echo");
    assert_eq!((up.counts().received, down.counts().received), (10, 10));
}

#[tokio::test]
async fn topics_renamed_there_and_back_on_one_broker_are_no_loop() {
    let plant = net::Options::new().keep_log().start().await.unwrap();
    let one_way = async |name: &str, from: &str, to: &str| {
        let route = Route::new(from).unwrap();
        let end = client(&plant, &format!("to-{name}")).await;
        let end = PipeEnd::broker("plant", end).topic(route.template(to).unwrap());
        let options = PipeOptions::new(name, "plant", source(&plant, &format!("hub-{name}")), route);
        let pipe = Pipe::start(options.needs_hops(true).destination(end)).unwrap();
        running(&pipe).await;
        pipe
    };
    let there = one_way("there", "a/{x}", "b/{x}").await;
    let back = one_way("back", "b/{x}", "a/{x}").await;
    let sender = client(&plant, "sender").await;
    for _ in 0..10 {
        sender.publish("a/1", "x").qos(QoS::AtLeastOnce).await.unwrap();
    }
    let ended = |core: &packetboat_sim::broker::Broker| {
        core.accepted("to-back").len() >= 10
            && core.pending("hub-there") == 0
            && core.pending("hub-back") == 0
    };
    within(plant.until(ended)).await;
    assert_eq!((there.counts().received, there.counts().loops, back.counts().received), (20, 10, 10));
    assert_eq!((plant.accepted("to-there").len(), plant.accepted("to-back").len()), (10, 10));
}

#[tokio::test]
async fn a_circle_needs_5_0() {
    let old = [packetboat::Version::V311];
    let plant = net::Options::new().versions(&old).start().await.unwrap();
    let (options, _) = pipe(&plant, "a/#");
    let gate = Arc::new(Gate::default());
    let pipe = Pipe::start(options.needs_hops(true).destination(gate.end())).unwrap();
    let mut events = pipe.client().events();
    within(async {
        loop {
            if let packetboat::Event::Disconnected { cause, .. } = events.next().await.unwrap() {
                break assert!(cause.to_string().contains("version"), "{cause}");
            }
        }
    })
    .await;
    assert_eq!(pipe.state(), PipeState::Connecting);
}

#[tokio::test]
async fn a_3_1_1_source_and_destination_are_served() {
    let (plant, cloud) = (Broker::start().await.unwrap(), Broker::start().await.unwrap());
    let old = |options: Options| options.version(VersionChoice::V311);
    let route = Route::new("a/{b}").unwrap();
    let there = Client::connect(old(options(&cloud, "cloud"))).await.unwrap();
    let destination = PipeEnd::broker("cloud", there).topic(route.template("{b}/a").unwrap()).retain(true);
    let pipe = PipeOptions::new("up", "plant", source(&plant, "hub-up"), route)
        .version(VersionChoice::V311)
        .destination(destination);
    let pipe = Pipe::start(pipe.qos(QoS::ExactlyOnce)).unwrap();
    let mut stream = client(&cloud, "reader").await.subscribe("#").await.unwrap();
    running(&pipe).await;
    client(&plant, "sender").await.publish("a/7", "x").qos(QoS::ExactlyOnce).await.unwrap();
    assert_eq!(next(&mut stream).await.topic(), "7/a");
    assert!(within(pipe.stop()).await);
}
