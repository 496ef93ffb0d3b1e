//! Pipes that start at a subscription and end in files and at servers of HTTP.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]

mod common;

use std::fs;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::folder::{Folder, files};
use common::mosquitto::mosquitto;
use common::server::{FINE, HALF, Server, server_behind};
use common::within;
use packetboat::{Client, Options, PropertiesBuf, QoS, SessionMode};
use packetboat_config::{Format, Node, Value};
use packetboat_hub::bridge::{Pipe, PipeCounts, PipeEnd, PipeOptions, PipeState, Retry, Route};
use packetboat_hub::broker::{Delivered, DeliveryError, Destination, Later, Outgoing};
use packetboat_hub::{HubConfig, Service};
use packetboat_sim::net::Broker;

const BUSY: &str = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n";
const NEVER: &str = "HTTP/1.1 422 Unprocessable Content\r\ncontent-length: 10\r\n\r\nnot \"this\"";

/// A hub with a pipe `up` from `plant/{line}/temp` of a broker, to these targets.
fn config(broker: &str, targets: &str, pipe: &str) -> HubConfig {
    let text = format!(
        "name = \"hub\"\ndrain_timeout = 0.05\n[connections.plant]\nserver = \"{broker}\"\n\
         reconnect = {{ minimum = 0.01, maximum = 0.1 }}\n{targets}\n\
         [[pipes]]\nname = \"up\"\nfrom = {{ connection = \"plant\", filter = \"plant/{{line}}/temp\" }}\n{pipe}"
    );
    HubConfig::parse(&text, Format::Toml, |_| None).unwrap_or_else(|error| panic!("{error}"))
}

fn folder_target(folder: &Folder) -> String {
    let directory = folder.0.display();
    format!(
        "[[targets]]\nname = \"files\"\nprotocol = \"file\"\nfile_options = {{ directory = '{directory}' }}\n"
    )
}

fn http_target(server: &Server, further: &str) -> String {
    let url = &server.url;
    format!(
        "[[targets]]\nname = \"http\"\nprotocol = \"http\"\nhttp_options = {{ url = '{url}'{further} }}\n"
    )
}

const SOON: &str = "retry = { minimum = 0.001, maximum = 0.002 }\n";
const TO_FILES: &str = "[[pipes.destinations]]\ntarget_name = \"files\"\nfile_message_options = { filename = \"${line}.bin\" }\n";
const TO_HTTP: &str = "[[pipes.destinations]]\ntarget_name = \"http\"\nhttp_message_options = { path = \"/in/${line}?t=${topic}\" }\n";

async fn server(answers: &[&str]) -> Server {
    server_behind(answers, "http", |io| async { Some(io) }).await
}

async fn started(config: HubConfig) -> Service {
    let service = Service::start(config).await.unwrap();
    let mut state = service.pipes().next().unwrap().watch();
    within(state.wait_for(|state| *state == PipeState::Running)).await.unwrap();
    service
}

fn counts(service: &Service) -> PipeCounts {
    service.pipes().next().unwrap().counts()
}

/// Waits until the pipe has counted so.
async fn until(service: &Service, counted: impl Fn(&PipeCounts) -> bool) {
    within(async {
        while !counted(&counts(service)) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

async fn sender(url: &str) -> Client {
    Client::connect(Options::new(url).client_id("sender")).await.unwrap()
}

async fn send(sender: &Client, line: &str, payload: impl AsRef<[u8]>) {
    let topic = format!("plant/{line}/temp");
    sender.publish(&topic, payload.as_ref()).qos(QoS::AtLeastOnce).await.unwrap();
}

/// The next request: its first line and its body.
async fn asked(server: &mut Server) -> (String, Vec<u8>) {
    let (head, body) = within(server.asked.recv()).await.unwrap();
    (head.lines().next().unwrap().to_owned(), body)
}

#[tokio::test]
async fn messages_become_files_and_posts_byte_for_byte() {
    let plant = Broker::start().await.unwrap();
    let folder = Folder::new("bridge-files");
    let mut http = server(&[FINE, FINE]).await;
    let targets = folder_target(&folder) + &http_target(&http, "");
    let service = started(config(&plant.url(), &targets, &format!("{TO_FILES}{TO_HTTP}"))).await;
    let all: Vec<u8> = (0..=255).collect();
    let sender = sender(&plant.url()).await;
    for (line, payload) in [("7", &all[..]), ("a b", &[])] {
        send(&sender, line, payload).await;
    }
    assert_eq!(asked(&mut http).await, ("POST /in/7?t=plant%2F7%2Ftemp HTTP/1.1".to_owned(), all.clone()));
    let wanted = "POST /in/a%20b?t=plant%2Fa%20b%2Ftemp HTTP/1.1".to_owned();
    assert_eq!(asked(&mut http).await, (wanted, vec![]));
    within(plant.until(|core| core.pending("hub-up") == 0)).await;
    assert_eq!(fs::read(folder.0.join("7.bin")).unwrap(), all);
    assert_eq!(fs::read(folder.0.join("a b.bin")).unwrap(), b"");
    assert_eq!(files(&folder.0).len(), 2);
    assert_eq!((counts(&service).received, counts(&service).acknowledged), (2, 2));
    assert!(within(service.stop()).await);
}

/// A server that is slow, fails, closes half-way and says nothing: each message is posted until it is taken, none overtakes.
async fn a_server_is_asked_until_it_takes_it(url: &str) {
    let folder = Folder::new(&format!("bridge-order-{}", url.rsplit(':').next().unwrap()));
    let mut http = server(&[]).await;
    let targets = folder_target(&folder) + &http_target(&http, "");
    let service = started(config(url, &targets, &format!("{SOON}{TO_FILES}{TO_HTTP}"))).await;
    let sender = sender(url).await;
    for number in 0..5 {
        send(&sender, &number.to_string(), [number]).await;
    }
    assert_eq!(asked(&mut http).await.1, [0]);
    // The files have them all, and nothing is acknowledged.
    until(&service, |counts| counts.destinations[0].delivered == 5).await;
    assert_eq!(counts(&service).acknowledged, 0);
    assert_eq!(counts(&service).destinations[1].waiting, 5);
    for answer in [BUSY, "", HALF] {
        http.answers.send(answer.to_owned()).unwrap();
        assert_eq!(asked(&mut http).await.1, [0], "{answer}");
        assert_eq!(counts(&service).acknowledged, 0);
    }
    assert!(counts(&service).destinations[1].error.is_some());
    let fine = |number| {
        http.answers.send(FINE.to_owned()).unwrap();
        number
    };
    let first = fine(1);
    until(&service, |counts| counts.acknowledged == first).await;
    fine(2);
    fine(3);
    http.answers.send(BUSY.to_owned()).unwrap();
    fine(4);
    fine(5);
    until(&service, |counts| counts.acknowledged == 5).await;
    let mut bodies = Vec::new();
    while let Ok((_, body)) = http.asked.try_recv() {
        bodies.extend(body);
    }
    assert_eq!(bodies, [1, 2, 3, 3, 4], "one at a time, each until it was taken");
    assert_eq!((counts(&service).destinations[1].failures, counts(&service).received), (4, 5));
    assert_eq!(counts(&service).destinations[1].error, None);
    assert!(within(service.stop()).await);
}

#[tokio::test]
async fn what_a_server_does_not_take_is_posted_again_and_nothing_overtakes_it() {
    let plant = Broker::start().await.unwrap();
    a_server_is_asked_until_it_takes_it(&plant.url()).await;
    assert!(plant.violations().is_empty());
}

#[tokio::test]
async fn what_a_server_does_not_take_is_posted_again_with_mosquitto() {
    if let Some(broker) = mosquitto() {
        a_server_is_asked_until_it_takes_it(&broker.url()).await;
    }
}

#[tokio::test]
async fn a_server_gets_as_many_at_once_as_its_target_says() {
    let plant = Broker::start().await.unwrap();
    let mut http = server(&[]).await;
    let target = http_target(&http, ", concurrency = 3");
    let service = started(config(&plant.url(), &target, &format!("{SOON}{TO_HTTP}"))).await;
    let sender = sender(&plant.url()).await;
    for number in 0..9 {
        send(&sender, "x", [number]).await;
    }
    for _ in 0..3 {
        asked(&mut http).await;
    }
    assert!(http.asked.try_recv().is_err(), "a fourth");
    for _ in 0..9 {
        http.answers.send(FINE.to_owned()).unwrap();
    }
    within(plant.until(|core| core.pending("hub-up") == 0)).await;
    assert_eq!(counts(&service).destinations[0].failures, 0);
    assert!(within(service.stop()).await);
}

/// A hub that is gone from one moment to the next, with all it had in memory.
#[test]
fn what_a_killed_hub_had_not_delivered_everywhere_comes_again() {
    let world = tokio::runtime::Runtime::new().unwrap();
    let folder = Folder::new("bridge-killed");
    let (plant, mut http) = world.block_on(async { (Broker::start().await.unwrap(), server(&[FINE]).await) });
    let config = |http: &Server| {
        let targets = folder_target(&folder) + &http_target(http, "");
        config(&plant.url(), &targets, &format!("{SOON}{TO_FILES}{TO_HTTP}"))
    };
    let doomed = tokio::runtime::Runtime::new().unwrap();
    let service = doomed.block_on(started(config(&http)));
    world.block_on(async {
        let sender = sender(&plant.url()).await;
        for number in 0..10 {
            send(&sender, &number.to_string(), [number]).await;
        }
        // The first is everywhere, the others are in their files.
        for number in 0..2 {
            assert_eq!(asked(&mut http).await.1, [number]);
        }
        until(&service, |counts| counts.destinations[0].delivered == 10 && counts.acknowledged == 1).await;
        within(plant.until(|core| core.pending("hub-up") == 9)).await;
    });
    doomed.shutdown_timeout(Duration::from_mins(1));
    std::mem::forget(service);
    fs::remove_file(folder.0.join("5.bin")).unwrap();
    world.block_on(async {
        // Another one: that one still answers the dead.
        let mut http = server(&[FINE; 9]).await;
        let service = started(config(&http)).await;
        for number in 1..10 {
            assert_eq!(asked(&mut http).await.1, [number], "in order, and without the first");
        }
        within(plant.until(|core| core.pending("hub-up") == 0)).await;
        assert_eq!(fs::read(folder.0.join("5.bin")).unwrap(), [5], "to each destination");
        // Twice the connection `plant`, the pipe's, and one that asks for the version; and the sender.
        assert_eq!(plant.stats().connections, 7, "a connection that was not needed");
        assert!(within(service.stop()).await);
    });
}

/// What a dead letter in a file says, by its keys.
fn letter(folder: &Folder, name: &str) -> Node {
    let text = fs::read_to_string(folder.0.join(name)).unwrap();
    Format::Json.parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn said<'a>(letter: &'a Node, key: &str) -> &'a str {
    match letter.key(key).map(|node| &node.value) {
        Some(Value::Text(text)) => text,
        other => panic!("{key} is {other:?}"),
    }
}

#[tokio::test]
async fn a_dead_letter_in_a_file_says_why_and_has_the_payload() {
    let plant = Broker::start().await.unwrap();
    let folder = Folder::new("bridge-letters");
    let mut http = server(&[NEVER, NEVER, NEVER, BUSY, FINE]).await;
    let targets = folder_target(&folder) + &http_target(&http, "");
    let dead = "retry = { minimum = 0.001, maximum = 0.002, attempts = 2 }\n\
                dead_letter = { target_name = \"files\", file_message_options = { filename = \"dead-${line}.json\" } }\n";
    let service = started(config(&plant.url(), &targets, &format!("{dead}{TO_HTTP}"))).await;
    let sender = sender(&plant.url()).await;
    let mut properties = PropertiesBuf::new();
    properties.user_property("mine", "\u{1F600}\"").unwrap();
    let publish = sender.publish("plant/text/temp", "a \"text\"\n").qos(QoS::AtLeastOnce).retain(true);
    publish.properties(properties).await.unwrap();
    send(&sender, "binary", [0xFF, 0xFE, 0]).await;
    send(&sender, "fine", "x").await;
    within(plant.until(|core| core.pending("hub-up") == 0)).await;
    let text = letter(&folder, "dead-text.json");
    let error = said(&text, "error");
    assert!(error.contains("422 Unprocessable Entity") && error.contains("not \\\"this\\\""), "{error}");
    for (key, wanted) in [
        ("pipe", "up"),
        ("destination", "http"),
        ("topic", "plant/text/temp"),
        ("attempts", "2"),
        ("payload", "a \"text\"\n"),
    ] {
        assert_eq!(said(&text, key), wanted, "{key}");
    }
    let whole = fs::read_to_string(folder.0.join("dead-text.json")).unwrap();
    assert!(
        whole.contains("\"qos\":1,\"retain\":true,\"user_properties\":[[\"mine\",\"\u{1F600}\\\"\"]]"),
        "{whole}"
    );
    let binary = letter(&folder, "dead-binary.json");
    // The last answer counts.
    assert!(said(&binary, "error").contains("500 Internal Server Error"));
    assert_eq!(said(&binary, "payload_base64"), "//4A");
    assert!(binary.key("payload").is_none());
    assert_eq!(files(&folder.0), ["dead-binary.json", "dead-text.json"]);
    let bodies: Vec<Vec<u8>> =
        std::iter::from_fn(|| http.asked.try_recv().ok()).map(|(_, body)| body).collect();
    let text = b"a \"text\"\n".to_vec();
    assert_eq!(bodies, [text.clone(), text, vec![0xFF, 0xFE, 0], vec![0xFF, 0xFE, 0], b"x".to_vec()]);
    let destination = &counts(&service).destinations[0];
    assert_eq!((destination.delivered, destination.dead, destination.failures), (1, 2, 4));
}

#[tokio::test]
async fn dead_letters_may_go_where_the_messages_should_have_gone() {
    let plant = Broker::start().await.unwrap();
    let folder = Folder::new("bridge-same");
    let dead = "retry = { minimum = 0.001, maximum = 0.002, attempts = 3 }\n\
                dead_letter = { target_name = \"files\", file_message_options = { filename = \"dead/${count}.json\" } }\n";
    let service = started(config(&plant.url(), &folder_target(&folder), &format!("{dead}{TO_FILES}"))).await;
    let sender = sender(&plant.url()).await;
    // No name of a file: it would lead to another folder.
    for line in ["a\\b", "fine", "c\\d", "good"] {
        send(&sender, line, line).await;
    }
    within(plant.until(|core| core.pending("hub-up") == 0)).await;
    assert_eq!(files(&folder.0), ["dead/0.json", "dead/1.json", "fine.bin", "good.bin"]);
    assert!(said(&letter(&folder, "dead/0.json"), "error").contains("cannot be in the name of a file"));
    assert_eq!(counts(&service).destinations[0].dead, 2);
}

/// A destination that notes when it was asked, and fails for so many times.
#[derive(Default)]
struct Times {
    asked: Mutex<Vec<Instant>>,
    failures: usize,
    panics: bool,
}

struct Timed(Arc<Times>);

impl Destination for Timed {
    fn publish(&self, _: Outgoing) -> Later<'static, Result<Delivered, DeliveryError>> {
        let times = self.0.clone();
        Box::pin(async move {
            let number = {
                let mut asked = times.asked.lock().unwrap();
                asked.push(Instant::now());
                asked.len()
            };
            assert!(!times.panics || number > times.failures, "a mistake in a destination");
            if number > times.failures { Ok(Delivered::new()) } else { Err(DeliveryError::not_sent("busy")) }
        })
    }
}

/// A pipe to it, and what was noted when so many messages were through.
async fn timed(times: Times, retry: Retry, rate: Option<f64>, messages: usize) -> Vec<Instant> {
    let plant = Broker::start().await.unwrap();
    let source = Options::new(&plant.url()).client_id("hub-up");
    let source = source.session(SessionMode::Persistent { expiry: Duration::from_hours(1) });
    let times = Arc::new(times);
    let options = PipeOptions::new("up", "plant", source, Route::new("a/#").unwrap()).retry(retry);
    let mut options = options.destination(PipeEnd::target("timed", Arc::new(Timed(times.clone()))));
    if let Some(rate) = rate {
        options = options.rate(rate);
    }
    let pipe = Pipe::start(options).unwrap();
    within(pipe.watch().wait_for(|state| *state == PipeState::Running)).await.unwrap();
    let sender = sender(&plant.url()).await;
    for _ in 0..messages {
        drop(sender.publish("a/b", "x").qos(QoS::AtLeastOnce).enqueue().await.unwrap());
    }
    within(async {
        while pipe.counts().acknowledged < messages as u64 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    assert!(within(pipe.stop()).await);
    let asked = times.asked.lock().unwrap();
    asked.clone()
}

#[tokio::test]
async fn waits_between_attempts_double_up_to_the_longest() {
    let millis = Duration::from_millis;
    let retry = Retry { minimum: millis(20), maximum: millis(70), attempts: 1 };
    let asked = timed(Times { failures: 4, ..Times::default() }, retry, None, 1).await;
    let waits: Vec<Duration> = asked.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(waits.len(), 4);
    for (wait, least) in waits.iter().zip([20, 40, 70, 70]) {
        assert!(*wait >= millis(least), "{waits:?}");
    }
}

#[tokio::test]
async fn a_destination_that_panics_is_asked_again() {
    let retry = Retry { minimum: Duration::from_millis(1), maximum: Duration::from_millis(2), attempts: 1 };
    let times = Times { failures: 2, panics: true, ..Times::default() };
    assert_eq!(timed(times, retry, None, 3).await.len(), 5);
}

#[tokio::test]
async fn a_pipe_is_no_faster_than_its_rate() {
    let asked = timed(Times::default(), Retry::default(), Some(100.0), 200).await;
    assert_eq!(asked.len(), 200);
    // A second's worth goes at once, the other half takes its second.
    let took = asked[199] - asked[0];
    assert!(took >= Duration::from_millis(900), "{took:?}");
    assert!(asked[90] - asked[0] < took / 2 + Duration::from_millis(400), "the first did not go at once");
}
