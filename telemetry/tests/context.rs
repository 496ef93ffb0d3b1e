//! Trace contexts: what is one, and how they travel.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]

use std::time::Duration;

use packetboat::{Client, Message, Options, PropertiesBuf, QoS, VersionChoice};
use packetboat_sim::net;
use packetboat_telemetry::TraceContext;

const SAID: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[test]
fn what_is_no_traceparent_is_refused() {
    let context = TraceContext::parse(SAID).unwrap();
    assert_eq!((context.trace_id(), context.span_id()), (SAID[3..35].into(), SAID[36..52].into()));
    assert!(context.is_sampled());
    assert_eq!(context.to_string(), SAID);
    for wrong in [
        "",
        "00",
        &SAID[..54],
        &SAID.to_uppercase(),
        &SAID.replacen("00", "ff", 1),
        &SAID.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
        &SAID.replace("b7ad6b7169203331", &"0".repeat(16)),
        &SAID.replace("b7ad", "+7ad"),
        &SAID.replace("-01", "-1"),
        &SAID.replace("-01", "-001"),
        &format!("{SAID}-more"),
    ] {
        assert_eq!(TraceContext::parse(wrong), None, "{wrong}");
    }
    // A later version may say more, and is passed on as the one we know.
    let later = format!("{}-more", SAID.replacen("00", "01", 1));
    assert_eq!(TraceContext::parse(&later).unwrap().to_string(), SAID);
}

#[test]
fn steps_keep_the_trace_and_have_names_of_their_own() {
    let root = TraceContext::new(false).with_state("a=1,b=2");
    let child = root.child();
    assert_eq!((child.trace_id(), child.state(), child.is_sampled()), (root.trace_id(), "a=1,b=2", false));
    assert_ne!(child.span_id(), root.span_id());
    assert_ne!(TraceContext::new(true).trace_id(), TraceContext::new(true).trace_id());
    assert_eq!(TraceContext::parse(&root.to_string()).unwrap().with_state("a=1,b=2"), root);
    assert_eq!(root.clone().with_state(&"x".repeat(513)).state(), "");
    assert_eq!(root.with_state("a=\n").state(), "");
}

async fn through_a_broker(version: VersionChoice, send: impl Fn(&mut PropertiesBuf)) -> Message {
    let broker = net::Options::new().start().await.unwrap();
    let client = Client::connect(Options::new(&broker.url()).version(version)).await.unwrap();
    let mut stream = client.subscribe("a").await.unwrap();
    let mut properties = PropertiesBuf::new();
    send(&mut properties);
    let publish = client.publish("a", "x").qos(QoS::AtLeastOnce).properties(properties);
    publish.drop_properties(true).await.unwrap();
    let message = tokio::time::timeout(Duration::from_secs(40), stream.next()).await.unwrap().unwrap();
    client.disconnect().await.unwrap();
    message
}

#[tokio::test]
async fn a_context_goes_along_on_5_and_is_left_out_on_3_1_1() {
    let sent = TraceContext::parse(SAID).unwrap().with_state("a=1");
    let message = through_a_broker(VersionChoice::V5, |properties| sent.put(properties).unwrap()).await;
    assert_eq!(TraceContext::of(&message), Some(sent.clone()));
    let message = through_a_broker(VersionChoice::V311, |properties| sent.put(properties).unwrap()).await;
    assert_eq!(TraceContext::of(&message), None);
}

/// As a bridge does it: the properties of one message go along with the next.
#[test]
fn a_context_takes_the_place_of_the_one_before() {
    let mut properties = PropertiesBuf::new();
    properties.content_type("text/plain").unwrap();
    let first = TraceContext::parse(SAID).unwrap().with_state("a=1");
    for (name, value) in [("b", "1"), ("a", "2"), ("b", "3")] {
        properties.user_property(name, value).unwrap();
    }
    first.put(&mut properties).unwrap();
    let second = TraceContext::new(true);
    second.put(&mut properties).unwrap();
    let said: Vec<_> = properties.as_properties().user_properties().collect();
    assert_eq!(said, [("b", "1"), ("a", "2"), ("b", "3"), ("traceparent", &*second.to_string())]);
    assert_eq!(properties.as_properties().content_type(), Some("text/plain"));
}

#[tokio::test]
async fn two_contexts_are_none_and_two_states_are_one() {
    let put = |names: &[(&str, &str)], properties: &mut PropertiesBuf| {
        for (name, value) in names {
            properties.user_property(name, value).unwrap();
        }
    };
    let twice = [("traceparent", SAID), ("traceparent", SAID)];
    let message = through_a_broker(VersionChoice::V5, |properties| put(&twice, properties)).await;
    assert_eq!(TraceContext::of(&message), None);
    let states = [("tracestate", "a=1"), ("other", "x"), ("traceparent", SAID), ("tracestate", "b=2")];
    let message = through_a_broker(VersionChoice::V5, |properties| put(&states, properties)).await;
    assert_eq!(TraceContext::of(&message).unwrap().state(), "a=1,b=2");
}
