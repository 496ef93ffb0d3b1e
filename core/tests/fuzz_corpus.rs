//! The fuzz corpus on a stable toolchain: every committed input still keeps what the fuzz targets check.

#![allow(clippy::expect_used)] // All of it is test, though not inside test functions.

#[path = "../../fuzz/src/lib.rs"]
#[allow(unreachable_pub)] // Public for the fuzz targets.
mod checks;
#[path = "wire/golden.rs"]
#[allow(dead_code)] // Only the bytes are needed.
mod golden;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use packetboat_core::wire::{Packet, Properties};

fn folder(target: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target)
}

fn replay(target: &str, check: fn(&[u8])) {
    let mut count = 0;
    for entry in fs::read_dir(folder(target)).expect("the corpus is committed") {
        let path = entry.expect("a readable folder").path();
        println!("{}", path.display());
        check(&fs::read(path).expect("a readable input"));
        count += 1;
    }
    assert!(count > 0, "no inputs for {target}");
}

#[test]
fn decode() {
    replay("decode", checks::decode);
}

#[test]
fn round_trip() {
    replay("round_trip", checks::round_trip);
}

#[test]
fn properties() {
    replay("properties", checks::properties);
}

#[test]
fn topic_match() {
    replay("topic_match", checks::topic_match);
}

#[test]
fn session() {
    replay("session", checks::session);
}

/// With `PACKETBOAT_WRITE_SEEDS` set, the seeds are written anew: to be done after the golden vectors have changed.
#[test]
fn the_golden_vectors_are_in_the_corpus() {
    let write = std::env::var_os("PACKETBOAT_WRITE_SEEDS").is_some();
    for ((target, name), bytes) in seeds() {
        let path = folder(target).join(name);
        if write {
            fs::create_dir_all(folder(target)).expect("a writable folder");
            fs::write(&path, &bytes).expect("a writable folder");
        }
        let found = fs::read(&path).ok();
        assert_eq!(found, Some(bytes), "{}: run with PACKETBOAT_WRITE_SEEDS=1", path.display());
    }
}

/// Inputs by target and file name.
fn seeds() -> BTreeMap<(&'static str, String), Vec<u8>> {
    let mut seeds = BTreeMap::new();
    let mut streams: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for vector in golden::all() {
        let name: String =
            vector.name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let name = format!("seed-{}", name.to_lowercase());
        streams.entry(format!("seed-{:?}", vector.version)).or_default().extend_from_slice(vector.bytes);
        seeds.insert(("round_trip", name.clone()), vector.bytes.to_vec());
        for (part, block) in blocks(&vector.packet).into_iter().enumerate() {
            if !block.is_empty() {
                seeds.insert(("properties", format!("{name}-{part}")), block.as_bytes().to_vec());
            }
        }
    }
    seeds.extend(streams.into_iter().map(|(name, bytes)| (("decode", name.to_lowercase()), bytes)));
    for (index, text) in TOPICS.iter().enumerate() {
        seeds.insert(("topic_match", format!("seed-{index:02}")), text.as_bytes().to_vec());
    }
    seeds
}

fn blocks<'a>(packet: &Packet<'a>) -> Vec<Properties<'a>> {
    match packet {
        Packet::Connect(connect) => {
            vec![connect.properties, connect.will.map_or(Properties::EMPTY, |will| will.properties)]
        }
        Packet::Connack(connack) => vec![connack.properties],
        Packet::Publish(publish) => vec![publish.properties],
        Packet::Ack(ack) => vec![ack.properties],
        Packet::Subscribe(subscribe) => vec![subscribe.properties],
        Packet::Unsubscribe(unsubscribe) => vec![unsubscribe.properties],
        Packet::Suback(suback) => vec![suback.properties],
        Packet::Disconnect(disconnect) => vec![disconnect.properties],
        Packet::Auth(auth) => vec![auth.properties],
        Packet::PingReq | Packet::PingResp => vec![],
    }
}

const TOPICS: [&str; 16] = [
    "a/b\na/+\na/b",
    "#\n+\na",
    "a/#\na\na",
    "+/+\n/+\n/finance",
    "+\n/+\n/finance",
    "sport/tennis/player1/#\nsport/+/player1/+\nsport/tennis/player1/ranking",
    "#\n$SYS/#\n$SYS/uptime",
    "+/uptime\n$SYS/+\n$SYS/uptime",
    "$share/group/a/+\na/b\na/b",
    "$share/group/#\n$share/other/+\na",
    "a//b\na/+/b\na//b",
    "a/\na/+\na/",
    "/\n+/+\n/",
    "a/+/c/#\na/b/+/d\na/b/c/d",
    "\u{e4}/\u{2a6d4}\n+/#\n\u{e4}/\u{2a6d4}",
    "a/b/#\na/+\na/b",
];
