//! Requests and answers, on both versions.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::mosquitto::mosquitto;
use common::{LONG, VERSIONS, connected, disconnected, options, within};
use packetboat::{
    Client, Incoming, Options, OptionsError, PropertiesBuf, QoS, Reply, RequestError, Responder, SessionMode,
    SubscribeError, VersionChoice,
};
use packetboat_core::wire::PacketType;
use packetboat_sim::broker::Config;
use packetboat_sim::net::{self, Broker};
use tokio::sync::Semaphore;

async fn client(broker: &Broker, version: VersionChoice) -> Client {
    Client::connect(options(&broker.url()).version(version)).await.unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Answers with topic and payload; fails if asked to.
async fn echo(client: &Client, filter: &str) -> Responder {
    let handler = async |request: Incoming| match request.payload() {
        b"fail" => Err("no such boat".to_owned()),
        b"panic" => panic!("asked to"),
        payload => Ok(format!("{} {}", request.topic(), text(payload))),
    };
    client.respond_to(filter, handler).await.unwrap()
}

#[tokio::test]
async fn an_answer_comes_on_both_versions_and_from_a_responder_of_the_other_kind() {
    let broker = Broker::start().await.unwrap();
    for asking in VERSIONS {
        for answering in [VersionChoice::V5, asking] {
            for filter in ["ask/+", "ask/#", "$share/many/ask/+", "ask/it"] {
                let server = client(&broker, answering).await;
                let responder = echo(&server, filter).await;
                let client = client(&broker, asking).await;
                for qos in common::ALL_QOS {
                    let answer = client.request("ask/it", "how?").qos(qos).timeout(LONG).await.unwrap();
                    assert_eq!(text(answer.payload()), "ask/it how?", "{asking:?} {answering:?} {filter}");
                    assert_eq!(answer.qos(), QoS::AtMostOnce);
                }
                within(LONG, responder.stop()).await;
                client.disconnect().await.unwrap();
                server.disconnect().await.unwrap();
            }
        }
    }
    assert!(broker.violations().is_empty(), "{:?}", broker.violations());
}

#[tokio::test]
async fn hundreds_of_requests_in_flight_share_one_subscription_and_may_be_answered_in_any_order() {
    for version in VERSIONS {
        let broker = Broker::start().await.unwrap();
        let server = client(&broker, version).await;
        let (all_here, seen) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let (gate, count) = (all_here.clone(), seen.clone());
        let handler = move |request: Incoming| {
            let (gate, count) = (gate.clone(), count.clone());
            async move {
                count.add_permits(1);
                let _ = gate.acquire().await.unwrap();
                Ok::<_, String>(request.payload().to_vec())
            }
        };
        let responder = server.respond_to("many", handler).concurrency(500).await.unwrap();
        let client = client(&broker, version).await;
        let before = broker.stats().received(PacketType::Subscribe);
        let requests: Vec<_> = (0..500_u32)
            .map(|number| {
                let client = client.clone();
                tokio::spawn(async move {
                    let answer = client.request("many", number.to_be_bytes().to_vec()).timeout(LONG).await;
                    assert_eq!(answer.unwrap().payload(), number.to_be_bytes());
                })
            })
            .collect();
        // All of them are in the responder's hands at once.
        let _ = within(LONG, seen.acquire_many(500)).await.unwrap();
        assert_eq!(client.requests().waiting, 500);
        all_here.add_permits(1);
        for request in requests {
            within(LONG, request).await.unwrap();
        }
        assert_eq!(broker.stats().received(PacketType::Subscribe) - before, 1);
        assert_eq!((client.requests().answered, client.requests().waiting), (500, 0));
        assert_eq!(responder.counts().answered, 500);
        assert!(broker.violations().is_empty(), "{:?}", broker.violations());
    }
}

#[tokio::test]
async fn late_and_foreign_answers_are_dropped_and_counted() {
    for version in VERSIONS {
        let broker = Broker::start().await.unwrap();
        let options = options(&broker.url()).version(version).client_id("asker");
        let client = Client::connect(options).await.unwrap();
        let server = client_of(&broker, version).await;
        let (gate, done) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let (wait, tell) = (gate.clone(), done.clone());
        let handler = move |_: Incoming| {
            let (wait, tell) = (wait.clone(), tell.clone());
            async move {
                tell.add_permits(1);
                wait.acquire().await.unwrap().forget();
                Ok::<_, String>("too late")
            }
        };
        let responder = server.respond_to("slow", handler).await.unwrap();
        let short = Duration::from_millis(300);
        let error = client.request("slow", "").timeout(short).await.unwrap_err();
        assert!(
            matches!(error, RequestError::TimedOut { limit, offline: None } if limit == short),
            "{error}"
        );
        assert_eq!(client.requests().waiting, 0);
        let _ = within(LONG, done.acquire()).await.unwrap();
        gate.add_permits(1);
        within(LONG, responder.stop()).await;
        // Foreign ones: no correlation, one of another length, a number nobody was given.
        let mut properties = PropertiesBuf::new();
        for correlation in [None, Some(&b"short"[..]), Some(&[7; 8])] {
            let mut foreign = server.publish("responses/asker", "boo");
            if version == VersionChoice::V5
                && let Some(correlation) = correlation
            {
                properties.correlation_data(correlation).unwrap();
                foreign = foreign.properties(properties.clone());
            }
            foreign.await.unwrap();
        }
        let responder = echo(&server, "quick").await;
        client.request("quick", "").timeout(LONG).await.unwrap();
        let counts = client.requests();
        assert_eq!((counts.answered, counts.late, counts.foreign), (1, 1, 3), "{version:?}");
        drop(responder);
    }
}

async fn client_of(broker: &Broker, version: VersionChoice) -> Client {
    client(broker, version).await
}

#[tokio::test]
async fn errors_panics_and_load_reach_whoever_asked() {
    for version in VERSIONS {
        let broker = Broker::start().await.unwrap();
        let server = client(&broker, version).await;
        let client = client(&broker, version).await;
        let responder = echo(&server, "boats").await;
        let error = client.request("boats", "fail").timeout(LONG).await.unwrap_err();
        assert!(matches!(&error, RequestError::Failed { message } if message == "no such boat"), "{error}");
        let error = client.request("boats", "panic").qos(QoS::AtLeastOnce).timeout(LONG).await.unwrap_err();
        assert!(matches!(error, RequestError::Failed { .. }), "{error}");
        client.request("boats", "goes on").timeout(LONG).await.unwrap();
        let counts = responder.counts();
        assert_eq!((counts.answered, counts.failed), (3, 2));
        // Not a request: nobody can be answered.
        client.publish("boats", "just so").qos(QoS::AtLeastOnce).await.unwrap();
        client.request("boats", "mark").timeout(LONG).await.unwrap();
        assert_eq!(responder.counts().unanswerable, 1);
        within(LONG, responder.stop()).await;

        let gate = Arc::new(Semaphore::new(0));
        let (wait, seen) = (gate.clone(), Arc::new(Semaphore::new(0)));
        let tell = seen.clone();
        let handler = move |_: Incoming| {
            let (wait, tell) = (wait.clone(), tell.clone());
            async move {
                tell.add_permits(1);
                wait.acquire().await.unwrap().forget();
                Ok::<_, String>("done")
            }
        };
        let responder = server.respond_to("load", handler).concurrency(1).backlog(1).await.unwrap();
        let ask = || {
            let client = client.clone();
            tokio::spawn(async move { client.request("load", "").timeout(LONG).await })
        };
        let first = ask();
        let _ = within(LONG, seen.acquire()).await.unwrap();
        // One at work, one waiting: of three more, two are sent away at once.
        let more = [ask(), ask(), ask()];
        while responder.counts().shed < 2 {
            tokio::task::yield_now().await;
        }
        gate.add_permits(2);
        within(LONG, first).await.unwrap().unwrap();
        let mut busy = 0;
        for request in more {
            match within(LONG, request).await.unwrap() {
                Ok(_) => {}
                Err(RequestError::Busy) => busy += 1,
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!((busy, responder.counts().shed, responder.counts().answered), (2, 2, 2));
        assert!(broker.violations().is_empty(), "{:?}", broker.violations());
    }
}

#[tokio::test]
async fn a_handler_that_panics_costs_no_room_for_requests_to_come() {
    let broker = Broker::start().await.unwrap();
    let narrow = options(&broker.url()).client_id("server").inbound(3, 1 << 20);
    let server = Client::connect(narrow).await.unwrap();
    let responder = echo(&server, "boats").await;
    let client = client(&broker, VersionChoice::V5).await;
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        for _ in 0..4 {
            let error = client.request("boats", "panic").qos(qos).timeout(LONG).await.unwrap_err();
            assert!(matches!(error, RequestError::Failed { .. }), "{error}");
        }
    }
    client.request("boats", "goes on").qos(QoS::AtLeastOnce).timeout(LONG).await.unwrap();
    within(LONG, broker.until(|core| core.unfinished("server") == 0)).await;
    assert_eq!((responder.counts().answered, responder.counts().failed), (9, 8));
    assert!(broker.violations().is_empty(), "{:?}", broker.violations());
}

#[tokio::test]
async fn an_answer_that_is_too_large_for_the_broker_becomes_an_error() {
    let broker = net::Options::new().maximum_packet_size(1000).start().await.unwrap();
    let client = client(&broker, VersionChoice::V5).await;
    let large = async |_: Incoming| Ok::<_, String>(vec![0; 1000]);
    let responder = client.respond_to("large", large).await.unwrap();
    let error = client.request("large", "").qos(QoS::AtLeastOnce).timeout(LONG).await.unwrap_err();
    let RequestError::Failed { message } = &error else { panic!("{error}") };
    assert!(message.contains("the broker takes at most 1000"), "{message}");
    assert_eq!((responder.counts().answered, responder.counts().undelivered), (0, 1));
}

#[tokio::test]
async fn an_answer_may_have_properties_which_are_left_out_for_who_knows_none() {
    let broker = Broker::start().await.unwrap();
    for (asking, answering) in [
        (VersionChoice::V5, VersionChoice::V5),
        (VersionChoice::V311, VersionChoice::V5),
        (VersionChoice::V311, VersionChoice::V311),
    ] {
        let server = client(&broker, answering).await;
        let handler = async |request: Incoming| {
            let mut properties = PropertiesBuf::new();
            properties.content_type("text/plain")?.correlation_data(b"another's")?;
            for (name, value) in request.message().properties().user_properties() {
                properties.user_property(name, value)?;
            }
            Ok::<_, packetboat::PropertyError>(Reply::new("yes").properties(properties))
        };
        let responder = server.respond_to("a", handler).await.unwrap();
        let client = client(&broker, asking).await;
        let mut request = client.request("a", "").timeout(LONG);
        if asking == VersionChoice::V5 {
            let mut properties = PropertiesBuf::new();
            properties.user_property("k", "v").unwrap().user_property("k", "w").unwrap();
            request = request.properties(properties);
        }
        let answer = request.await.unwrap();
        assert_eq!(answer.payload(), b"yes");
        if asking == VersionChoice::V5 {
            assert_eq!(answer.properties().content_type(), Some("text/plain"));
            assert_eq!(answer.properties().user_properties().collect::<Vec<_>>(), [("k", "v"), ("k", "w")]);
        } else {
            assert!(answer.properties().is_empty());
        }
        within(LONG, responder.stop()).await;
    }
    assert!(broker.violations().is_empty(), "{:?}", broker.violations());
}

/// Retained, a request would be made again at every subscription, and an answer be the one to all that is asked later.
#[tokio::test]
async fn defaults_of_messages_are_not_those_of_requests_and_answers() {
    for version in VERSIONS {
        let broker = net::Options::new().keep_log().start().await.unwrap();
        let options =
            options(&broker.url()).version(version).default_retain(true).default_qos(QoS::ExactlyOnce);
        let client = Client::connect(options.client_id("both")).await.unwrap();
        let responder = client
            .respond_to("boats", async |request: Incoming| match request.payload() {
                b"fail" => Err("no such boat"),
                b"panic" => panic!("asked to"),
                _ => Ok("yes"),
            })
            .await
            .unwrap();
        for payload in ["ask", "fail", "panic"] {
            let answer = client.request("boats", payload).timeout(LONG).await;
            assert_eq!(answer.is_ok(), payload == "ask");
        }
        let accepted = broker.accepted("both");
        assert_eq!(accepted.len(), 6);
        assert!(accepted.iter().all(|one| !one.message.retain && one.message.qos == QoS::AtMostOnce));
        drop(responder);
    }
}

#[tokio::test]
async fn the_longest_limit_is_one_and_a_wrong_topic_is_told_on_both_versions() {
    let broker = Broker::start().await.unwrap();
    let server = client(&broker, VersionChoice::V5).await;
    let responder = echo(&server, "boats").await;
    for version in VERSIONS {
        let client = client(&broker, version).await;
        let longest = client.request("boats", "").timeout(Duration::MAX);
        within(LONG, longest.into_future()).await.unwrap();
        for wrong in ["", "boats/#", "a\0"] {
            let error = within(LONG, client.request(wrong, "").into_future()).await.unwrap_err();
            assert!(matches!(error, RequestError::NotSent(packetboat::PublishError::Topic(_))), "{error}");
        }
    }
    drop(responder);
}

/// On 3.1.1 a broker keeps from the responder where a client of 5.0 wants its answer.
#[tokio::test]
async fn a_responder_on_3_1_1_cannot_answer_what_was_asked_by_properties() {
    let broker = Broker::start().await.unwrap();
    let server = client(&broker, VersionChoice::V311).await;
    let responder = echo(&server, "boats").await;
    let client = client(&broker, VersionChoice::V5).await;
    let short = Duration::from_millis(300);
    let error = client.request("boats", "").qos(QoS::AtLeastOnce).timeout(short).await.unwrap_err();
    assert!(matches!(error, RequestError::TimedOut { .. }), "{error}");
    while responder.counts().unanswerable == 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_response_topic_is_the_brokers_or_the_options() {
    let information = Some("reply/to/me".to_owned());
    let config = Config { response_information: information, ..Config::default() };
    let broker = net::Options::new().config(config).start().await.unwrap();
    let server = client(&broker, VersionChoice::V5).await;
    let responder = echo(&server, "a").await;
    for (options, topic) in [
        (options(&broker.url()).response_information(true), "reply/to/me/x%2fy"),
        (options(&broker.url()), "responses/x%2fy"),
        (options(&broker.url()).response_prefix("mine/"), "mine/x%2fy"),
        (options(&broker.url()).response_information(true).version(VersionChoice::V311), "responses/x%2fy/#"),
    ] {
        let client = Client::connect(options.client_id("x/y")).await.unwrap();
        let answer = client.request("a", "b").timeout(LONG).await.unwrap();
        let prefix = topic.trim_end_matches("/#");
        assert!(answer.topic().starts_with(prefix), "{} {topic}", answer.topic());
        let subscriptions = broker
            .with(|core, _| core.subscriptions("x/y").iter().map(|&one| one.to_owned()).collect::<Vec<_>>());
        assert_eq!(subscriptions, [topic]);
        client.disconnect().await.unwrap();
    }
    drop(responder);
    let wrong = Client::connect(options(&broker.url()).response_prefix("a/#")).await.unwrap_err();
    assert!(matches!(wrong, packetboat::ConnectError::Options(OptionsError::ResponsePrefix(_))), "{wrong}");
}

#[tokio::test]
async fn a_responder_only_answers_where_it_may() {
    let broker = Broker::start().await.unwrap();
    let server = client(&broker, VersionChoice::V5).await;
    let handler = async |_: Incoming| Ok::<_, String>("yes");
    let responder = server.respond_to("a", handler).only_to("responses/+/#").await.unwrap();
    let mut spied = server.subscribe("doors/#").await.unwrap();
    for version in VERSIONS {
        let client = client(&broker, version).await;
        client.request("a", "").timeout(LONG).await.unwrap();
    }
    let mut properties = PropertiesBuf::new();
    properties.response_topic("doors/open").unwrap();
    server.publish("a", "").properties(properties).qos(QoS::AtLeastOnce).await.unwrap();
    server.publish("doors/mark", "").qos(QoS::AtLeastOnce).await.unwrap();
    assert_eq!(common::next(&mut spied).await.topic(), "doors/mark");
    assert_eq!((responder.counts().answered, responder.counts().unanswerable), (2, 1));
}

#[tokio::test]
async fn a_responder_answers_for_topics_that_its_filter_matches_and_no_others() {
    let broker = Broker::start().await.unwrap();
    let server = client(&broker, VersionChoice::V5).await;
    let responder = echo(&server, "x/+/+/+/+").await;
    let mut spied = server.subscribe("r/#").await.unwrap();
    // Asks `x`, which is somebody else's; the message has as many levels as the filter.
    server.publish("x/$request/r/c/1", "").qos(QoS::AtLeastOnce).await.unwrap();
    // With properties, the topic is the topic.
    let mut properties = PropertiesBuf::new();
    properties.response_topic("r/2").unwrap();
    server.publish("x/$request/r/c/1", "?").properties(properties).qos(QoS::AtLeastOnce).await.unwrap();
    let answer = common::next(&mut spied).await;
    assert_eq!((answer.topic(), text(answer.payload())), ("r/2", "x/$request/r/c/1 ?".into()));
    assert_eq!((responder.counts().answered, responder.counts().unanswerable), (1, 1));
}

#[tokio::test]
async fn a_topic_may_have_a_level_called_as_what_marks_requests() {
    for version in VERSIONS {
        let broker = Broker::start().await.unwrap();
        let server = client(&broker, version).await;
        let topics = ["a/$request/b", "a/$request", "$request/b"];
        let mut responders = Vec::new();
        for topic in topics {
            responders.push(echo(&server, topic).await);
        }
        let asking = client(&broker, version).await;
        for topic in topics {
            let answer = asking.request(topic, "!").timeout(LONG).await.unwrap();
            assert!(text(answer.payload()).contains(topic), "{:?}", answer.payload());
        }
        drop(responders);
    }
    // What comes behind the mark may not hold it.
    let broker = Broker::start().await.unwrap();
    let options = options(&broker.url()).version(VersionChoice::V311).response_prefix("answers/$request");
    let client = Client::connect(options).await.unwrap();
    let error = client.request("a", "").timeout(LONG).await.unwrap_err();
    assert!(matches!(error, RequestError::ResponseTopic), "{error}");
}

#[tokio::test]
async fn a_full_window_does_not_hold_an_answer_up() {
    for version in VERSIONS {
        let broker = Broker::start().await.unwrap();
        let client = client(&broker, version).await;
        let options = options(&broker.url()).version(version).client_id("server").window(1).queue(4, 1 << 20);
        let server = Client::connect(options).await.unwrap();
        let responder = echo(&server, "a").await;
        broker.faults().only(Some("server")).swallow(PacketType::Puback);
        // One on the way that is never acknowledged, and a full queue behind it.
        let stuck: Vec<_> =
            std::iter::from_fn(|| server.publish("b", "").qos(QoS::AtLeastOnce).try_publish().ok()).collect();
        assert_eq!(stuck.len(), 5);
        let answer = client.request("a", "b").timeout(LONG).await.unwrap();
        assert_eq!(answer.payload(), b"a b");
        drop(responder);
    }
}

#[tokio::test]
async fn nobody_listening_is_known_at_once_where_the_broker_says_it() {
    let broker = Broker::start().await.unwrap();
    let client = client(&broker, VersionChoice::V5).await;
    let error = client.request("nobody", "").qos(QoS::AtLeastOnce).timeout(LONG).await.unwrap_err();
    assert!(matches!(error, RequestError::NobodyListens), "{error}");
}

#[tokio::test]
async fn requests_go_on_after_a_reconnect_and_begin_before_a_connection() {
    for version in VERSIONS {
        let broker = Broker::start().await.unwrap();
        let server = client(&broker, version).await;
        let responder = echo(&server, "a").await;
        let (mut server_events, client) =
            (server.events(), Client::start(options(&broker.url()).version(version)).unwrap());
        client.request("a", "1").timeout(LONG).await.unwrap();
        let mut events = client.events();
        broker.faults().cut();
        for events in [&mut events, &mut server_events] {
            disconnected(events).await;
            connected(events).await;
        }
        // Until the subscriptions stand again a question may go unheard: ask until it is answered.
        let answer = async {
            loop {
                match client.request("a", "2").timeout(Duration::from_secs(2)).await {
                    Ok(answer) => break answer,
                    Err(RequestError::TimedOut { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        };
        assert_eq!(within(LONG, answer).await.payload(), b"a 2");
        drop(responder);
    }
}

#[tokio::test]
async fn a_client_that_asked_ends_with_its_last_handle() {
    let broker = Broker::start().await.unwrap();
    let server = client(&broker, VersionChoice::V5).await;
    let responder = echo(&server, "a").await;
    let asker = Client::connect(options(&broker.url()).client_id("asker")).await.unwrap();
    asker.request("a", "").timeout(LONG).await.unwrap();
    drop(asker);
    within(LONG, broker.until(|core| core.connection("asker").is_none())).await;
    drop(server);
    // The responder keeps its client; without it, nobody is left.
    let asker = client(&broker, VersionChoice::V5).await;
    asker.request("a", "").timeout(LONG).await.unwrap();
    drop(responder);
    within(LONG, broker.until(|core| core.connected() == 1)).await;
    let closed = asker.clone();
    let waiting = tokio::spawn(async move { closed.request("a", "").timeout(LONG).await });
    while asker.requests().waiting == 0 {
        tokio::task::yield_now().await;
    }
    asker.disconnect().await.unwrap();
    let error = within(LONG, waiting).await.unwrap().unwrap_err();
    assert!(matches!(error, RequestError::Closed), "{error}");
}

#[tokio::test]
async fn a_refused_response_topic_is_an_error_that_says_so() {
    for version in VERSIONS {
        let denied = vec![packetboat::TopicFilter::new("responses/#").unwrap()];
        let config = Config { denied, ..Config::default() };
        let broker = net::Options::new().config(config).start().await.unwrap();
        let client = client(&broker, version).await;
        let error = client.request("a", "").timeout(LONG).await.unwrap_err();
        assert!(matches!(error, RequestError::NotSubscribed(_)), "{version:?} {error}");
        assert!(error.to_string().contains("response_prefix"), "{error}");
        // It goes on.
        client.publish("a", "").qos(QoS::AtLeastOnce).await.unwrap();
    }
}

#[tokio::test]
async fn who_waits_when_the_response_topic_is_unsubscribed_is_told_so_and_the_next_request_subscribes() {
    for version in VERSIONS {
        let broker = Broker::start().await.unwrap();
        let client =
            Client::connect(options(&broker.url()).version(version).client_id("asker")).await.unwrap();
        let asking = client.clone();
        let waiting = tokio::spawn(async move { asking.request("nobody", "").timeout(LONG).await });
        while client.requests().waiting == 0 {
            tokio::task::yield_now().await;
        }
        let deep = if client.limits().properties { "" } else { "/#" };
        client.unsubscribe(&format!("responses/asker{deep}")).await.unwrap();
        let error = within(LONG, waiting).await.unwrap().unwrap_err();
        assert_eq!(error.to_string(), "the response topic was unsubscribed before the answer came");
        assert!(matches!(error, RequestError::NotSubscribed(SubscribeError::Unsubscribed)));
        let server = self::client(&broker, version).await;
        let responder = echo(&server, "a").await;
        assert_eq!(client.request("a", "again").timeout(LONG).await.unwrap().payload(), b"a again");
        drop(responder);
    }
}

#[tokio::test]
async fn a_request_in_hand_when_the_process_died_is_answered_by_the_next() {
    let broker = Broker::start().await.unwrap();
    let session = SessionMode::Persistent { expiry: Duration::from_mins(1) };
    let serving = || options(&broker.url()).client_id("server").session(session);
    let server = Client::connect(serving()).await.unwrap();
    let (seen, tell) = tokio::sync::oneshot::channel();
    let seen = std::sync::Mutex::new(Some(seen));
    let handler = move |_: Incoming| {
        if let Some(seen) = seen.lock().unwrap().take() {
            seen.send(()).unwrap();
        }
        std::future::pending::<Result<&str, String>>()
    };
    let dying = server.respond_to("a", handler).await.unwrap();
    let client = client(&broker, VersionChoice::V5).await;
    let asking =
        tokio::spawn(async move { client.request("a", "x").qos(QoS::AtLeastOnce).timeout(LONG).await });
    within(LONG, tell).await.unwrap();
    server.disconnect().await.unwrap();
    drop(dying);
    let server = Client::connect(serving()).await.unwrap();
    let responder = echo(&server, "a").await;
    assert_eq!(within(LONG, asking).await.unwrap().unwrap().payload(), b"a x");
    drop(responder);
}

#[tokio::test]
async fn mosquitto_carries_requests_on_both_versions() {
    let Some(broker) = mosquitto() else { return };
    for version in VERSIONS {
        let connect = || Client::connect(Options::new(&broker.url()).version(version));
        let (server, client) = (connect().await.unwrap(), connect().await.unwrap());
        let responder = echo(&server, "ask/+").await;
        for number in 0..50 {
            let answer = client.request("ask/it", number.to_string()).timeout(LONG).await.unwrap();
            assert_eq!(text(answer.payload()), format!("ask/it {number}"));
        }
        let error = client.request("ask/it", "fail").timeout(LONG).await.unwrap_err();
        assert!(matches!(error, RequestError::Failed { .. }), "{error}");
        drop(responder);
    }
}
