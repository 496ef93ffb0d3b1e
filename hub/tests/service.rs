//! A hub that is what a file says, with strict brokers in this process.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]

mod common;

use std::time::Duration;

use common::within;
use packetboat::{Client, Options, QoS};
use packetboat_config::Format;
use packetboat_hub::{HubConfig, Service};
use packetboat_sim::broker::Config;
use packetboat_sim::net::{self, Broker};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Both brokers as connections, with further lines.
fn file(plant: &Broker, cloud: &Broker, further: &str) -> HubConfig {
    let text = format!(
        "name = \"hub\"\n[connections.plant]\nserver = \"{}\"\nreconnect = {{ minimum = 0.01, maximum = 0.1 }}\n\
         [connections.cloud]\nserver = \"{}\"\nclient_id = \"cloud\"\nreconnect = {{ minimum = 0.01, maximum = 0.1 }}\n{further}",
        plant.url(),
        cloud.url()
    );
    HubConfig::parse(&text, Format::Toml, |_| None).unwrap_or_else(|error| panic!("{error}"))
}

fn pipe(name: &str, filter: &str, topic: &str, further: &str) -> String {
    format!(
        "[[pipes]]\nname = \"{name}\"\nfrom = {{ connection = \"plant\", filter = \"{filter}\" }}\n{further}\n\
         [[pipes.destinations]]\ntarget_name = \"cloud\"\nmqtt_message_options = {{ topic = \"{topic}\" }}\n"
    )
}

async fn ready(service: &Service) {
    let ready = async {
        while !service.missing().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    within(ready).await;
}

async fn brokers() -> (Broker, Broker) {
    let log = Config { keep_log: true, ..Config::default() };
    (Broker::start().await.unwrap(), net::Options::new().config(log).start().await.unwrap())
}

#[tokio::test]
async fn only_what_differs_is_touched_and_nothing_is_lost() {
    let (plant, cloud) = brokers().await;
    let stays = pipe("stays", "stays/{x}", "s/{x}", "");
    let mut service = Service::start(file(&plant, &cloud, &(stays.clone() + &pipe("other", "a/+", "b", ""))))
        .await
        .unwrap();
    ready(&service).await;
    let sender = Client::connect(Options::new(&plant.url()).client_id("sender")).await.unwrap();
    let connection = plant.with(|core, _| core.connection("hub-stays")).unwrap();
    let mut sent = 0_u32;
    for round in 0..20 {
        for _ in 0..25 {
            for topic in ["stays/1", "a/1"] {
                let publish = sender.publish(topic, sent.to_be_bytes().to_vec()).qos(QoS::AtLeastOnce);
                drop(publish.enqueue().await.unwrap());
            }
            sent += 1;
        }
        // The filter, or the rate; never the other pipe.
        let other = pipe("other", ["a/+", "a/#"][round % 2], "b", &format!("rate = {}", 10_000 + round));
        let changes = service.apply(file(&plant, &cloud, &(stays.clone() + &other))).await.unwrap();
        assert_eq!(changes.to_string(), "pipes changed: other");
    }
    within(plant.until(|core| core.pending("hub-other") + core.pending("hub-stays") == 0)).await;
    for topic in ["s/1", "b"] {
        let mut came: Vec<u32> = cloud
            .accepted("cloud")
            .iter()
            .filter(|accepted| accepted.message.topic == topic)
            .map(|accepted| u32::from_be_bytes(accepted.message.payload[..].try_into().unwrap()))
            .collect();
        came.sort_unstable();
        came.dedup();
        assert_eq!(came, (0..sent).collect::<Vec<_>>(), "{topic}");
    }
    assert_eq!(plant.with(|core, _| core.connection("hub-stays")), Some(connection), "it was reconnected");
    assert_eq!(cloud.stats().connections, 1);
    // The same again changes nothing; without the pipe its session is gone.
    let same = file(&plant, &cloud, &(stays.clone() + &pipe("other", "a/#", "b", "rate = 10019")));
    assert!(service.apply(same).await.unwrap().is_empty());
    let changes = service.apply(file(&plant, &cloud, &stays)).await.unwrap();
    assert_eq!(changes.to_string(), "pipes gone: other");
    within(plant.until(|core| !core.has_session("hub-other"))).await;
    assert!(within(service.stop()).await);
    within(plant.until(|core| core.connected() == 1)).await;
    assert!(plant.with(|core, _| core.has_session("hub-stays")), "messages wait in it for the next start");
    assert_eq!((plant.violations(), cloud.violations()), (vec![], vec![]));
}

#[tokio::test]
async fn a_pipe_follows_a_changed_filter_and_takes_the_old_one_back() {
    let (plant, cloud) = brokers().await;
    let mut service = Service::start(file(&plant, &cloud, &pipe("p", "a/+", "b", ""))).await.unwrap();
    ready(&service).await;
    service.apply(file(&plant, &cloud, &pipe("p", "c/#", "b", ""))).await.unwrap();
    within(plant.until(|core| core.subscriptions("hub-p") == ["c/#"])).await;
    service.stop().await;
}

async fn get(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    within(stream.read_to_string(&mut answer)).await.unwrap();
    answer
}

#[tokio::test]
async fn listeners_and_what_they_have_to_do_are_among_the_metrics() {
    let (plant, cloud) = brokers().await;
    let port = common::port::free_port();
    let address = format!("127.0.0.1:{port}");
    let listen = format!("[http]\nlisten = \"{address}\"\n");
    let mut service = Service::start(file(&plant, &cloud, &listen)).await.unwrap();
    ready(&service).await;
    // Two of one name: the one panics, the other has room for one message and is stuck in its first call.
    let (stuck, mut called) = tokio::sync::mpsc::unbounded_channel();
    let on_plant = || "(id=plant)".parse().unwrap();
    let panics = service.hub().listener("a/1").on(on_plant()).name("both");
    let panics = panics.call(|_| async { panic!("as it should") }).unwrap();
    let waits = service.hub().listener("a/+").on(on_plant()).name("both").room(1, 1000);
    let waits = waits.call(move |_| {
        let _ = stuck.send(());
        std::future::pending::<()>()
    });
    let waits = waits.unwrap();
    let identifier = service.hub().connection("plant").unwrap().client().client_id().to_string();
    within(plant.until(|core| core.subscriptions(&identifier).len() == 2)).await;
    let sender = Client::connect(Options::new(&plant.url()).client_id("sender")).await.unwrap();
    sender.publish("a/1", "x").qos(QoS::AtLeastOnce).await.unwrap();
    within(called.recv()).await.unwrap();
    for _ in 0..3 {
        sender.publish("a/2", "x").qos(QoS::AtLeastOnce).await.unwrap();
    }
    // Three more came: one waits, two were dropped.
    let told = async || {
        let metrics = get(&address, "GET /metrics HTTP/1.1\r\n\r\n").await;
        let value = |name: &str| -> f64 {
            let start = format!("packetboat_hub_{name} ");
            let line = metrics.lines().find_map(|line| line.strip_prefix(&start));
            line.unwrap_or_else(|| panic!("no {name} in\n{metrics}")).parse().unwrap()
        };
        let of_both = ["calls_total", "panics_total", "dropped_total", "waiting", "lag_seconds"]
            .map(|name| value(&format!("listener_{name}{{listener=\"both\"}}")));
        (of_both, value("connection_received_total{connection=\"plant\"}"))
    };
    let told = within(async {
        loop {
            let told = told().await;
            if told.0[2] >= 2.0 && told.0[1] >= 1.0 {
                return told;
            }
        }
    })
    .await;
    let ([calls, panics_, dropped, waiting, lag], received) = told;
    assert_eq!((calls, panics_, dropped, waiting), (2.0, 1.0, 2.0, 2.0), "{told:?}");
    assert!(lag > 0.0 && lag < 60.0, "{told:?}");
    assert!((4.0..=5.0).contains(&received), "one or two copies of the first: {told:?}");
    // A listener that is gone has no lines, and a connection that is updated forgets nothing.
    drop((panics, waits));
    let connection = service.hub().connection("cloud").unwrap();
    connection.publish("b", "x").qos(QoS::AtLeastOnce).await.unwrap();
    let further = format!("keep_alive = 7\n{listen}");
    service.apply(file(&plant, &cloud, &further)).await.unwrap();
    within(async {
        while cloud.stats().connections < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    connection.publish("b", "x").qos(QoS::AtLeastOnce).await.unwrap();
    let metrics = get(&address, "GET /metrics HTTP/1.1\r\n\r\n").await;
    assert!(!metrics.contains("both"), "{metrics}");
    let line = "packetboat_hub_connection_sent_total{connection=\"cloud\"} 2";
    assert!(metrics.lines().any(|other| other == line), "{metrics}");
}

#[tokio::test]
async fn health_readiness_and_metrics_are_told_over_http() {
    let (plant, cloud) = brokers().await;
    let port = common::port::free_port();
    let address = format!("127.0.0.1:{port}");
    let further = format!("{}[http]\nlisten = \"{address}\"\n", pipe("p", "a/+", "b", ""));
    let service = Service::start(file(&plant, &cloud, &further)).await.unwrap();
    ready(&service).await;
    let sender = Client::connect(Options::new(&plant.url()).client_id("sender")).await.unwrap();
    for _ in 0..3 {
        sender.publish("a/1", "x").qos(QoS::AtLeastOnce).await.unwrap();
    }
    within(plant.until(|core| core.pending("hub-p") == 0)).await;
    let connection = service.hub().connection("plant").unwrap();
    for _ in 0..2 {
        connection.publish("own", "x").qos(QoS::AtLeastOnce).await.unwrap();
    }
    let answer = get(&address, "GET /ready HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nready\n"), "{answer}");
    let metrics = get(&address, "GET /metrics HTTP/1.1\r\n\r\n").await;
    for line in [
        "packetboat_hub_connection_up{connection=\"cloud\"} 1",
        "packetboat_hub_connection_connects_total{connection=\"plant\"} 1",
        "packetboat_hub_connection_sent_total{connection=\"plant\"} 2",
        "packetboat_hub_connection_received_total{connection=\"plant\"} 0",
        "packetboat_hub_connection_sent_total{connection=\"cloud\"} 3",
        "packetboat_hub_pipe_received_total{pipe=\"p\"} 3",
        "packetboat_hub_pipe_acknowledged_total{pipe=\"p\"} 3",
        "packetboat_hub_pipe_bytes{pipe=\"p\"} 0",
        "packetboat_hub_destination_delivered_total{pipe=\"p\",destination=\"cloud\"} 3",
        "packetboat_hub_destination_waiting{pipe=\"p\",destination=\"cloud\"} 0",
        "packetboat_hub_reloads_total{result=\"applied\"} 0",
    ] {
        assert!(metrics.lines().any(|other| other == line), "{line} is not in\n{metrics}");
    }
    for (request, status) in [
        ("GET /health HTTP/1.0\r\n\r\n", "200 OK"),
        ("HEAD /health HTTP/1.1\r\n\r\n", "200 OK"),
        ("POST /health HTTP/1.1\r\n\r\n", "405 Method Not Allowed"),
        ("GET /etc/passwd HTTP/1.1\r\n\r\n", "404 Not Found"),
        ("hello\r\n\r\n", "400 Bad Request"),
    ] {
        let answer = get(&address, request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{request}: {answer}");
    }
    let long = format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(8192));
    assert!(get(&address, &long).await.starts_with("HTTP/1.1 431"));
    // A broker that is away is told.
    drop(cloud.stop().await);
    within(async {
        while service.missing().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let answer = get(&address, "GET /ready HTTP/1.1\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("connection cloud: "), "{answer}");
    let metrics = get(&address, "GET /metrics HTTP/1.1\r\n\r\n").await;
    assert!(metrics.contains("packetboat_hub_connection_up{connection=\"cloud\"} 0"), "{metrics}");
}

#[tokio::test]
async fn a_refused_filter_of_a_listener_is_told_and_asked_for_again_after_a_reload() {
    let denied = vec![packetboat::TopicFilter::new("secret").unwrap()];
    let plant = net::Options::new().config(Config { denied, ..Config::default() }).start().await.unwrap();
    let cloud = Broker::start().await.unwrap();
    let mut service = Service::start(file(&plant, &cloud, "")).await.unwrap();
    let on_plant = "(id=plant)".parse().unwrap();
    let listener =
        service.hub().listener(["open", "secret"]).name("spy").on(on_plant).call(async |_| {}).unwrap();
    let line = |refused: u8| format!("packetboat_hub_listener_refused_filters{{listener=\"spy\"}} {refused}");
    let told = async |service: &Service, refused: u8| {
        within(async {
            while !service.metrics().lines().any(|other| other == line(refused)) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    };
    told(&service, 1).await;
    let missing = service.missing();
    assert!(missing.iter().any(|why| why.starts_with("listener spy: plant refuses secret: ")), "{missing:?}");
    // Another filter, which changes nothing for this one.
    listener.set_filters(["open", "other", "secret"]).unwrap();
    let client = service.hub().connection("plant").unwrap().client().client_id().to_string();
    within(plant.until(|core| core.subscriptions(&client) == ["open", "other"])).await;
    told(&service, 1).await;
    // The file has other options, with which the connection is made again.
    plant.with(|core, _| core.config_mut().denied.clear());
    let text = format!("[connections.plant]\nserver = \"{}\"\nkeep_alive = 7\n", plant.url());
    service.apply(HubConfig::parse(&text, Format::Toml, |_| None).unwrap()).await.unwrap();
    within(plant.until(|core| core.subscriptions(&client) == ["open", "other", "secret"])).await;
    told(&service, 0).await;
    ready(&service).await;
}

#[tokio::test]
async fn a_connection_on_demand_is_ready_before_anything_needs_it() {
    let (plant, cloud) = brokers().await;
    let text = format!(
        "name = \"hub\"\n[connections.plant]\nserver = \"{}\"\n[connections.cloud]\nserver = \"{}\"\n\
         client_id = \"cloud\"\nreconnect = {{ on_demand = true }}\n{}",
        plant.url(),
        cloud.url(),
        pipe("p", "a/+", "b", "")
    );
    let service = Service::start(HubConfig::parse(&text, Format::Toml, |_| None).unwrap()).await.unwrap();
    ready(&service).await;
    assert_eq!(cloud.stats().connections, 0);
    let up = |number: u8| format!("packetboat_hub_connection_up{{connection=\"cloud\"}} {number}\n");
    assert!(service.metrics().contains(&up(0)));
    // A message for it is enough.
    let sender = Client::connect(Options::new(&plant.url()).client_id("sender")).await.unwrap();
    sender.publish("a/1", "x").qos(QoS::AtLeastOnce).await.unwrap();
    within(plant.until(|core| core.pending("hub-p") == 0)).await;
    assert_eq!(cloud.accepted("cloud").len(), 1);
    assert!(service.metrics().contains(&up(1)));
    // Lost, it is not missed; with a broker that is away and something to send it is.
    let stopped = cloud.stop().await;
    ready(&service).await;
    sender.publish("a/1", "x").qos(QoS::AtLeastOnce).await.unwrap();
    within(async {
        while service.missing().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert!(service.missing()[0].starts_with("connection cloud: "), "{:?}", service.missing());
    drop(stopped);
}

#[tokio::test]
async fn a_target_that_cannot_begin_leaves_what_runs_as_it_was() {
    let (plant, cloud) = brokers().await;
    let stays = pipe("stays", "a/+", "b", "");
    let mut service = Service::start(file(&plant, &cloud, &stays)).await.unwrap();
    ready(&service).await;
    let connection = plant.with(|core, _| core.connection("hub-stays")).unwrap();
    let target = "[[targets]]\nname = \"post\"\nprotocol = \"http\"\nhttp_options = { url = \"https://localhost:1\", \
                  authority = \"/nowhere/at/all.pem\" }\n";
    // All else of the file differs, too.
    let text = format!(
        "name = \"other\"\n[connections.new]\nserver = \"{}\"\n[[pipes]]\nname = \"new\"\nfrom = {{ connection = \"new\", \
         filter = \"c\" }}\n[[pipes.destinations]]\ntarget_name = \"post\"\n{target}",
        plant.url()
    );
    let error = service.apply(HubConfig::parse(&text, Format::Toml, |_| None).unwrap()).await.unwrap_err();
    let error = error.to_string();
    assert!(error.contains("the target `post` could not begin") && error.contains("all.pem"), "{error}");
    let ids: Vec<String> = service.hub().connections().iter().map(|one| one.id().to_owned()).collect();
    assert_eq!(ids, ["cloud", "plant"]);
    assert_eq!(service.pipes().map(|pipe| pipe.name().to_owned()).collect::<Vec<_>>(), ["stays"]);
    assert_eq!(plant.with(|core, _| core.connection("hub-stays")), Some(connection), "it was reconnected");
    assert!(service.broker().is_none());
    // It goes on, and the same file as before still changes nothing.
    let sender = Client::connect(Options::new(&plant.url()).client_id("sender")).await.unwrap();
    sender.publish("a/1", "x").qos(QoS::AtLeastOnce).await.unwrap();
    within(plant.until(|core| core.pending("hub-stays") == 0)).await;
    assert_eq!(cloud.accepted("cloud").len(), 1);
    assert!(service.apply(file(&plant, &cloud, &stays)).await.unwrap().is_empty());
    assert!(within(service.stop()).await);
}
