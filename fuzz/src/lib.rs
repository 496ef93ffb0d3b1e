//! What must hold of any input. The fuzz targets call it with made-up bytes; a test of `core` with the
//! committed ones.

mod session;

pub use session::session;

use packetboat_core::topic::{self, TopicFilter, TopicName};
use packetboat_core::wire::Version::{V5, V31, V311};
use packetboat_core::wire::{
    Connack, Decoded, Full, Packet, Place, Properties, PropertiesBuf, Property, Reason, decode as read,
    encode, encode_into, encoded_len,
};

const MAXIMUM: usize = 1 << 20;

/// Decoding a stream ends in a value at each packet, takes what it says it takes and misses what it says it
/// misses.
pub fn decode(data: &[u8]) {
    for version in [V31, V311, V5] {
        let mut rest = data;
        while let Ok(Decoded::Packet { packet, size }) = read(version, rest, MAXIMUM) {
            assert!((2..=rest.len()).contains(&size));
            assert!(!format!("{packet:?}").is_empty());
            let cut = read(version, &rest[..size - 1], MAXIMUM);
            assert!(matches!(cut, Ok(Decoded::Incomplete { missing: None | Some(1) })), "{cut:?}");
            rest = &rest[size..];
        }
        if let Ok(Decoded::Incomplete { missing: Some(missing) }) = read(version, rest, MAXIMUM) {
            let mut whole = rest.to_vec();
            whole.resize(rest.len() + missing, 0);
            assert!(!matches!(read(version, &whole, MAXIMUM), Ok(Decoded::Incomplete { .. })));
        }
    }
}

/// What was understood can be said again, through every door alike, and means the same.
pub fn round_trip(data: &[u8]) {
    for version in [V31, V311, V5] {
        let Ok(Decoded::Packet { packet, .. }) = read(version, data, MAXIMUM) else { continue };
        let mut out = Vec::new();
        encode(version, &packet, &mut out);
        let needed = out.len();
        assert_eq!(encoded_len(version, &packet), needed);

        let mut room = vec![0xee; needed];
        assert_eq!(encode_into(version, &packet, &mut room[1..]), Err(Full { needed }));
        assert!(room.iter().all(|&byte| byte == 0xee));
        assert_eq!(encode_into(version, &packet, &mut room), Ok(needed));
        assert_eq!(room, out);

        // Return codes that 3.1.1 does not have are read as an error without a code to write.
        let unknown = matches!(packet, Packet::Connack(Connack { reason: Reason::UNSPECIFIED_ERROR, .. }));
        if version == V5 || !unknown {
            assert_eq!(read(version, &out, MAXIMUM), Ok(Decoded::Packet { packet, size: needed }));
        }
    }
}

/// A block that was accepted can be looked at from every side and taken apart.
pub fn properties(data: &[u8]) {
    use Place::{Ack, Auth, Connack, Connect, Disconnect, Publish, Subscribe, Unsubscribe, Will};
    for place in [Connect, Connack, Publish, Will, Ack, Subscribe, Unsubscribe, Disconnect, Auth] {
        let Ok(block) = Properties::parse(data, place) else { continue };
        assert!(!format!("{block:?}").is_empty());
        let mut buffer = PropertiesBuf::from(block);
        for property in Property::all() {
            assert!(property.is_allowed_in(place) || !block.contains(property));
            buffer.remove(property);
            let rest = Properties::parse(buffer.as_bytes(), place).map(|rest| rest.contains(property));
            assert_eq!(rest, Ok(false), "{property}");
        }
        assert!(buffer.is_empty());

        buffer.clear();
        for (name, value) in block.user_properties() {
            assert!(buffer.user_property(name, value).is_ok());
        }
        assert!(buffer.as_properties().user_properties().eq(block.user_properties()));
    }
}

/// Two filters and a topic, one to a line: matching agrees with the shortest program that matches, and
/// filters that match the same topic overlap.
pub fn topic_match(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut lines = text.splitn(3, '\n');
    let (Some(first), Some(second), Some(topic)) = (lines.next(), lines.next(), lines.next()) else { return };
    let _ = topic::matches(first, topic);

    let (Ok(first), Ok(second), Ok(topic)) =
        (TopicFilter::new(first), TopicFilter::new(second), TopicName::new(topic))
    else {
        return;
    };
    for filter in [&first, &second] {
        assert_eq!(
            filter.matches(topic),
            simple_match(filter.filter(), topic.as_str()),
            "{filter:?} {topic:?}"
        );
        assert!((1..=268_435_455).contains(&filter.subscription_identifier()));
    }
    assert_eq!(first.overlaps(&second), second.overlaps(&first), "{first:?} {second:?}");
    assert!(first.overlaps(&first));
    if first.matches(topic) && second.matches(topic) {
        assert!(first.overlaps(&second), "{first:?} {second:?} {topic:?}");
    }
}

/// Section 4.7 as written.
fn simple_match(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false; // [MQTT-4.7.2-1]
    }
    let mut levels = topic.split('/');
    for wanted in filter.split('/') {
        match (wanted, levels.next()) {
            ("#", _) => return true, // The parent level, too (4.7.1.2).
            ("+", Some(_)) => {}
            (wanted, Some(level)) if wanted == level => {}
            _ => return false,
        }
    }
    levels.next().is_none()
}
