use bytes::Bytes;
use packetboat_core::session::ConnectOptions;
use packetboat_core::topic::TopicFilter;
use packetboat_core::wire::{PropertiesBuf, Version, encode};

use super::*;
use crate::Message;

/// Runs of one topic, with and without properties and payload, over several blocks.
fn written() -> Vec<(String, PropertiesBuf, Vec<u8>)> {
    (0..3000_u32)
        .map(|number| {
            let topic = ["a/b", "a/c", "a/longer topic \u{e9}"][number as usize / 700 % 3];
            let mut properties = PropertiesBuf::new();
            if number / 400 % 2 == 1 {
                properties.content_type("a type").unwrap();
            }
            if number / 200 % 3 == 1 {
                properties.topic_alias(if number / 700 % 2 == 0 { 1 } else { 2 }).unwrap();
            }
            (topic.to_owned(), properties, number.to_be_bytes()[..number as usize % 5].to_vec())
        })
        .collect()
}

#[test]
fn messages_that_repeat_others_are_whole_in_every_block() {
    let written = written();
    let mut input = Vec::new();
    for (topic, properties, payload) in &written {
        let (topic, properties) = (topic.as_str(), properties.as_properties());
        let (dup, retain, qos, id) = (false, false, QoS::AtMostOnce, None);
        let publish = Publish { dup, retain, qos, topic, id, properties, payload };
        encode(Version::V5, &Packet::Publish(publish), &mut input);
    }
    let connect =
        ConnectOptions { version: Version::V5, topic_alias_maximum: 2, ..ConnectOptions::default() };
    let whole = Bytes::from(input.clone());
    for whole in [None, Some(&whole)] {
        let mut routes = Routes::default();
        for (filter, key) in [("a/b", 1), ("a/#", 2)] {
            routes.apply(&RouteChange::Insert(TopicFilter::new(filter).unwrap(), key));
        }
        let (mut batch, mut rare) = (Batch::default(), Vec::new());
        let mut receiver = Receiver::new(&connect);
        let input = whole.map_or(input.as_slice(), |whole| whole);
        let used = decode(&mut receiver, &mut routes, input, whole, &mut batch, &mut rare);
        assert_eq!((used.at, batch.effects.len()), (input.len(), written.len()));
        assert!(batch.blocks.len() > 2, "{} blocks", batch.blocks.len());
        for (effect, (topic, properties, payload)) in batch.effects.iter().zip(&written) {
            let Effect::Message { keys, block, parts, .. } = effect else { panic!("{effect:?}") };
            let message = Message::new(batch.blocks[*block as usize].clone(), *parts);
            assert_eq!((message.topic(), message.payload()), (topic.as_str(), payload.as_slice()));
            assert_eq!(message.properties(), properties.as_properties());
            let keys = &batch.keys[keys.start as usize..keys.end as usize];
            assert_eq!(keys, if topic == "a/b" { [1, 2].as_slice() } else { &[2] });
        }
    }
}
