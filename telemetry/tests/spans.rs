//! Spans: the two sides of a broker are of one trace.
#![cfg(feature = "tracing")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use packetboat::{Client, Options, PropertiesBuf, QoS, VersionChoice};
use packetboat_sim::net;
use packetboat_telemetry::spans;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Writes spans down: name and fields.
#[derive(Clone, Default)]
struct Book(Arc<Mutex<Vec<BTreeMap<String, String>>>>);

struct Fields(BTreeMap<String, String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}").trim_matches('"').to_owned());
    }
}

impl Subscriber for Book {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut fields = Fields(BTreeMap::from([("name".into(), span.metadata().name().into())]));
        span.record(&mut fields);
        let mut book = self.0.lock().unwrap();
        book.push(fields.0);
        Id::from_u64(book.len() as u64)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[tokio::test]
async fn the_span_of_receiving_is_a_child_of_that_of_sending() {
    let book = Book::default();
    let _guard = tracing::subscriber::set_default(book.clone());
    let broker = net::Options::new().start().await.unwrap();
    for version in [VersionChoice::V5, VersionChoice::V311] {
        let client = Client::connect(Options::new(&broker.url()).version(version)).await.unwrap();
        let mut stream = client.subscribe("a/b").await.unwrap();
        let (_sending, context) = spans::sending("a/b", None);
        let mut properties = PropertiesBuf::new();
        context.put(&mut properties).unwrap();
        let publish = client.publish("a/b", "four").qos(QoS::AtLeastOnce).properties(properties);
        publish.drop_properties(true).await.unwrap();
        let message = tokio::time::timeout(Duration::from_secs(40), stream.next()).await.unwrap().unwrap();
        let (_receiving, received) = spans::receiving(&message);
        client.disconnect().await.unwrap();
        let ours = |span: &BTreeMap<String, String>| span["name"].starts_with("mqtt.");
        let spans: Vec<_> = book.0.lock().unwrap().drain(..).filter(ours).collect();
        let [sent, came] = &spans[..] else { panic!("{spans:?}") };
        assert_eq!((sent["name"].as_str(), came["name"].as_str()), ("mqtt.send", "mqtt.receive"));
        assert_eq!(
            (sent["messaging.destination.name"].as_str(), sent["span_id"].clone()),
            ("a/b", context.span_id())
        );
        assert_eq!(
            (came["messaging.message.body.size"].as_str(), came["span_id"].clone()),
            ("4", received.span_id())
        );
        assert!(!sent.contains_key("parent_span_id"));
        // 3.1.1 carries nothing: a trace of its own.
        let joined = version == VersionChoice::V5;
        assert_eq!(came["trace_id"] == sent["trace_id"], joined, "{spans:?}");
        assert_eq!(came.get("parent_span_id"), joined.then(|| &sent["span_id"]), "{spans:?}");
    }
}
