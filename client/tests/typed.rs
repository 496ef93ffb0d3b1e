//! Typed topics: levels and payloads there and back, and what is wrong as an item of the stream.
#![cfg(feature = "serde")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]

mod common;
#[path = "../examples/typed_topics.rs"]
#[allow(dead_code, reason = "its main is not called here")]
mod typed_topics;

use std::time::Duration;

use common::mosquitto::mosquitto;
use common::{LONG, VERSIONS, options, within};
use packetboat::typed::{
    DecodeError, EncodeError, Format, Problem, TemplateError, Typed, TypedSubscriber, TypedTopic,
};
use packetboat::{Client, PropertiesBuf, QoS, TopicError, VersionChoice};
use packetboat_sim::net;
use serde::{Deserialize, Serialize};

const FORMATS: [Format; 2] = [Format::Json, Format::MessagePack];

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Wing {
    East,
    West,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
struct Place {
    wing: Wing,
    room: String,
    floor: i8,
    id: u64,
    ratio: f32,
    door: char,
    open: bool,
}

#[derive(Debug, Deserialize, PartialEq, Serialize)]
struct Wide {
    up: u128,
    down: i128,
}

const TEMPLATE: &str = "b/{wing}/{room}/{floor}/x/{id}/{ratio}/{door}/{open}";

fn place() -> Place {
    let room = "Küche 1".to_owned();
    Place { wing: Wing::West, room, floor: -3, id: u64::MAX, ratio: 0.25, door: 'ß', open: true }
}

#[derive(Debug, Deserialize, PartialEq, Serialize)]
struct Number {
    n: u8,
}

type Item<L, P> = Result<Typed<L, P>, DecodeError>;

async fn next<L, P>(stream: &mut TypedSubscriber<L, P>) -> Item<L, P>
where
    L: Serialize + serde::de::DeserializeOwned,
    P: serde::de::DeserializeOwned,
{
    within(LONG, stream.next()).await.expect("the stream ended")
}

fn problem<L, P>(item: Item<L, P>) -> Problem {
    item.err().expect("it was read").problem
}

#[test]
fn a_topic_is_made_of_a_struct_and_read_back() {
    let topic = TypedTopic::<Place, ()>::new(TEMPLATE).unwrap();
    assert_eq!(topic.filter(), "b/+/+/+/x/+/+/+/+");
    let text = topic.topic(&place()).unwrap();
    assert_eq!(text, format!("b/west/Küche 1/-3/x/{}/0.25/ß/true", u64::MAX));
    assert_eq!(topic.levels(&text).unwrap(), place());
    let wide = TypedTopic::<Wide, ()>::new("{up}/{down}").unwrap();
    assert_eq!(wide.topic(&Wide { up: 7, down: -7 }).unwrap(), "7/-7");
    assert_eq!(wide.levels("7/-7").unwrap(), Wide { up: 7, down: -7 });
    let nothing = TypedTopic::<(), u8>::new("a//b").unwrap();
    assert_eq!((nothing.topic(&()).unwrap().as_str(), nothing.levels("a//b")), ("a//b", Ok(())));
}

#[test]
fn a_level_that_would_be_another_topic_is_refused() {
    let topic = TypedTopic::<Place, ()>::new(TEMPLATE).unwrap();
    let with = |room: &str| topic.topic(&Place { room: room.into(), ..place() });
    for wrong in ["", "a/b", "/"] {
        assert_eq!(with(wrong), Err(EncodeError::Level("room".into())), "{wrong:?}");
    }
    assert_eq!(with("+"), Err(EncodeError::Topic(TopicError::WildcardInName)));
    assert_eq!(with("a#"), Err(EncodeError::Topic(TopicError::WildcardInName)));
    let other = TypedTopic::<Place, ()>::new("{nobody}").unwrap();
    assert_eq!(other.topic(&place()), Err(EncodeError::Missing("nobody".into())));
    // Wildcards at the front do not match what is the server's.
    let first = TypedTopic::<std::collections::BTreeMap<&str, &str>, ()>::new("{a}/{b}").unwrap();
    let dollar = |a, b| first.topic(&[("a", a), ("b", b)].into());
    assert_eq!(dollar("$SYS", "b"), Err(EncodeError::Level("a".into())));
    assert_eq!(dollar("a", "$b"), Ok("a/$b".into()));
    assert!(matches!(TypedTopic::<u8, ()>::new("{a}").unwrap().topic(&1), Err(EncodeError::Levels(_))));
}

#[test]
fn what_is_no_template_is_refused() {
    let new = |template| TypedTopic::<(), ()>::new(template).map(|topic| topic.filter().to_owned());
    for wrong in ["{}", "a/{b", "b}", "x{y}", "{a}{b}", "+", "a/#", "{+}", "{{a}}"] {
        let level = wrong.split('/').next_back().unwrap();
        assert_eq!(new(wrong), Err(TemplateError::Level(level.into())), "{wrong}");
    }
    assert_eq!(new("{a}/b/{a}"), Err(TemplateError::Twice("a".into())));
    assert_eq!(new(""), Err(TemplateError::Topic(TopicError::Empty)));
    assert_eq!(new("$share/crew/{a}"), Err(TemplateError::Shared));
    assert_eq!(new("a/{b}/c/{d}"), Ok("a/+/c/+".into()));
}

#[test]
fn topics_of_another_form_are_told_from_wrong_levels() {
    let topic = TypedTopic::<Place, ()>::new(TEMPLATE).unwrap();
    let text = topic.topic(&place()).unwrap();
    for other in
        [format!("{text}/more"), "b/west".into(), text.replace("b/", "c/"), text.replace("/x/", "/y/")]
    {
        assert_eq!(topic.levels(&other), Err(Problem::Topic), "{other}");
    }
    for (from, to) in
        [("west", "north"), ("-3", "-129"), ("-3", "high"), ("true", "yes"), ("0.25", "half"), ("ß", "ss")]
    {
        let wrong = text.replace(from, to);
        assert!(matches!(topic.levels(&wrong), Err(Problem::Levels(_))), "{wrong}");
    }
}

#[tokio::test]
async fn a_wrong_message_is_an_item_and_the_stream_goes_on() {
    let broker = net::Options::new().start().await.unwrap();
    for (version, format) in VERSIONS.into_iter().flat_map(|version| FORMATS.map(|format| (version, format)))
    {
        let client = Client::connect(options(&broker.url()).version(version)).await.unwrap();
        let topic = TypedTopic::<(u8,), u8>::new("n/{0}").unwrap();
        assert!(topic.message(&(1,), &1).is_err(), "a tuple has no names");
        let topic = TypedTopic::<Number, Vec<u16>>::new("n/{n}").unwrap().format(format);
        let mut stream = client.subscribe(topic.filter()).await.unwrap().typed(&topic);
        let payload = vec![1, 300];
        let message = topic.message(&Number { n: 5 }, &payload).unwrap();
        client.publish("n/5", &b"\xff{"[..]).qos(QoS::AtLeastOnce).await.unwrap();
        client.publish("n/256", message.payload()).qos(QoS::AtLeastOnce).await.unwrap();
        client.publish("n/5", [&message.payload()[..], b" 1"].concat()).qos(QoS::AtLeastOnce).await.unwrap();
        client.publish_typed(&message).qos(QoS::ExactlyOnce).await.unwrap();
        client.publish("n/5", message.payload()).qos(QoS::AtLeastOnce).await.unwrap();
        assert!(matches!(problem(next(&mut stream).await), Problem::Payload(_)));
        assert!(matches!(problem(next(&mut stream).await), Problem::Levels(_)));
        assert!(matches!(problem(next(&mut stream).await), Problem::Payload(_)), "something follows it");
        for says in [version == VersionChoice::V5, false] {
            let item = next(&mut stream).await.unwrap();
            assert_eq!((item.levels, item.payload), (Number { n: 5 }, payload.clone()));
            let properties = item.message.properties();
            assert_eq!(properties.content_type(), says.then_some(format.content_type()));
            let text = says && format == Format::Json;
            assert_eq!(properties.payload_format_indicator(), text.then_some(true));
        }
        client.disconnect().await.unwrap();
        assert!(stream.next().await.is_none());
    }
    assert!(broker.violations().is_empty(), "{:?}", broker.violations());
}

#[tokio::test]
async fn callbacks_batches_and_the_stream_of_everything_are_typed_too() {
    let broker = net::Options::new().start().await.unwrap();
    let client = Client::connect(options(&broker.url())).await.unwrap();
    let topic = TypedTopic::<Number, u8>::new("n/{n}").unwrap();
    let mut all = client.messages().typed(&topic);
    let none = all.next_within(Duration::from_millis(1)).await.unwrap_err();
    assert_eq!(none.limit, Duration::from_millis(1));
    let (said, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let answer = TypedTopic::<(), u8>::new("answer").unwrap();
    let mut answers = client.subscribe(answer.filter()).await.unwrap().typed(&answer);
    let callback = client
        .subscription(topic.filter())
        .also("other")
        .qos(QoS::AtLeastOnce)
        .call_typed(&topic, move |client, item| {
            let (said, answer) = (said.clone(), answer.clone());
            async move {
                said.send(
                    item.as_ref()
                        .map(|item| (item.levels.n, item.payload))
                        .map_err(|error| error.problem.clone()),
                )
                .unwrap();
                if let Ok(item) = item {
                    let message = answer.message(&(), &item.payload).unwrap();
                    client.publish_typed(&message).await.unwrap();
                }
            }
        })
        .await
        .unwrap();
    client.publish("other", "1").qos(QoS::AtLeastOnce).await.unwrap();
    for n in 1..=3 {
        let message = topic.message(&Number { n }, &(n * 10)).unwrap();
        client.publish_typed(&message).qos(QoS::AtLeastOnce).await.unwrap();
    }
    let expected = [Err(Problem::Topic), Ok((1, 10)), Ok((2, 20)), Ok((3, 30))];
    for expected in &expected {
        assert_eq!(within(LONG, heard.recv()).await.as_ref(), Some(expected));
    }
    assert_eq!(callback.panicked(), 0);
    let mut batch = Vec::new();
    while batch.len() < 3 {
        batch.extend(within(LONG, answers.next_batch(10)).await);
    }
    let batch: Vec<u8> = batch.into_iter().map(|item| item.unwrap().payload).collect();
    assert_eq!(batch, [10, 20, 30]);
    let first = all.next_within(Duration::from_secs(20)).await.unwrap().unwrap();
    assert_eq!(first.err().unwrap().problem, Problem::Topic);
    client.disconnect().await.unwrap();
    assert!(broker.violations().is_empty(), "{:?}", broker.violations());
}

#[tokio::test]
async fn another_content_type_is_not_read() {
    let broker = net::Options::new().start().await.unwrap();
    let client = Client::connect(options(&broker.url()).version(VersionChoice::V5)).await.unwrap();
    let topic = TypedTopic::<(), u8>::new("t").unwrap();
    let mut stream = client.subscribe(topic.filter()).await.unwrap().typed(&topic);
    for (said, is_read) in [
        ("application/json", true),
        ("Application/JSON; charset=utf-8", true),
        ("text/json", true),
        ("application/msgpack", false),
        ("application/jsonl", false),
        ("", false),
    ] {
        let mut properties = PropertiesBuf::new();
        properties.content_type(said).unwrap();
        client.publish("t", "7").properties(properties).qos(QoS::AtLeastOnce).await.unwrap();
        match next(&mut stream).await {
            Ok(item) => assert!(is_read && item.payload == 7, "{said}"),
            Err(error) => {
                assert!(!is_read, "{error}");
                assert_eq!(error.problem, Problem::ContentType(said.into()));
                assert_eq!(error.message.payload(), b"7");
            }
        }
    }
    client.disconnect().await.unwrap();
}

#[tokio::test]
async fn the_example_runs() {
    let broker = net::Options::new().start().await.unwrap();
    let mosquitto = mosquitto();
    let urls = [Some(broker.url()), mosquitto.as_ref().map(common::mosquitto::Mosquitto::url)];
    for (url, version) in urls.iter().flatten().flat_map(|url| VERSIONS.map(|version| (url, version))) {
        let client = Client::connect(options(url).version(version)).await.unwrap();
        for format in FORMATS {
            let lines = typed_topics::readings(&client, format).await.unwrap();
            assert_eq!(
                lines,
                ["kitchen/7: 21.5", "example/kitchen/8/temperature: no reading", "cellar/9: 21.5"]
            );
        }
        client.disconnect().await.unwrap();
    }
}
