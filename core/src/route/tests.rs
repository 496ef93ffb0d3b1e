//! Routing against `matches()` on a plain list, and the bounds of what is kept.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use std::collections::BTreeSet;

use proptest::prelude::*;

use super::Router;
use crate::topic::{TopicFilter, matches};

fn filter(text: &str) -> TopicFilter {
    TopicFilter::new(text).unwrap()
}

fn router(filters: &[(&str, u32)]) -> Router<u32> {
    let mut router = Router::new();
    for &(text, key) in filters {
        assert!(router.insert(&filter(text), key), "{text}");
    }
    router
}

fn identifier(text: &str) -> u32 {
    filter(text).subscription_identifier()
}

/// Twice: by the tree, then by the cache.
fn route(router: &mut Router<u32>, topic: &str, identifiers: &[u32]) -> Vec<u32> {
    let by_tree = router.route(topic, identifiers.iter().copied()).to_vec();
    assert_eq!(router.route(topic, identifiers.iter().copied()), by_tree);
    by_tree
}

#[test]
fn every_key_that_matches_once_and_ascending() {
    let mut router = router(&[
        ("a/+", 9),
        ("a/b", 3),
        ("a/b", 7),
        ("#", 5),
        ("a/#", 3),
        ("a/b/#", 1),
        ("b", 2),
        ("+/+", 9),
    ]);
    assert_eq!(router.len(), 8);
    assert_eq!(route(&mut router, "a/b", &[]), [1, 3, 5, 7, 9]);
    assert_eq!(route(&mut router, "b", &[]), [2, 5]);
    assert_eq!(route(&mut router, "a", &[]), [3, 5]);
    assert_eq!(route(&mut router, "$SYS/b", &[]), [] as [u32; 0]);
    assert!(Router::<u32>::default().route("a", []).is_empty());
}

#[test]
fn inserting_and_removing_are_told_from_doing_nothing() {
    let mut router = router(&[("a/+/#", 1)]);
    assert!(!router.insert(&filter("a/+/#"), 1));
    assert!(!router.remove(&filter("a/+/#"), 2));
    assert!(!router.remove(&filter("a/+"), 1));
    assert!(!router.remove(&filter("a/b/#"), 1));
    assert!(!router.remove(&filter("$share/g/a/+/#"), 1));
    assert_eq!(router.len(), 1);
    assert!(router.remove(&filter("a/+/#"), 1));
    assert!(!router.remove(&filter("a/+/#"), 1));
    assert!(router.is_empty());
}

/// A router that kept an answer over a change would give it here.
#[test]
fn every_change_voids_the_cache() {
    let mut router = router(&[("a", 1)]);
    assert_eq!(route(&mut router, "a", &[]), [1]);
    router.insert(&filter("+"), 2);
    assert_eq!(route(&mut router, "a", &[]), [1, 2]);
    router.remove(&filter("a"), 1);
    assert_eq!(route(&mut router, "a", &[]), [2]);
    router.remove(&filter("+"), 2);
    assert_eq!(route(&mut router, "a", &[]), [] as [u32; 0]);
}

#[test]
fn shared_filters_route_by_their_inner_filter() {
    let mut router = router(&[("$share/g/a/+", 1), ("$share/h/a/+", 1), ("a/+", 1), ("$share/g//a", 2)]);
    assert_eq!(route(&mut router, "a/b", &[]), [1]);
    assert_eq!(route(&mut router, "/a", &[]), [2]);
    // One key under three filters: it stays until the last is gone.
    for text in ["a/+", "$share/g/a/+"] {
        assert!(router.remove(&filter(text), 1));
        assert_eq!(route(&mut router, "a/b", &[]), [1]);
    }
    assert!(router.remove(&filter("$share/h/a/+"), 1));
    assert_eq!(route(&mut router, "a/b", &[]), [] as [u32; 0]);
}

/// semantics.md, "Overlapping filters"; engine.md 12.
#[test]
fn identifiers_choose_among_the_filters_that_match() {
    let mut router = router(&[("a/+", 1), ("a/#", 2), ("a/b", 3), ("$share/g/a/b", 4), ("c", 5)]);
    let unknown = 1 + identifier("a/+") % 1000;
    let cases: [(&[u32], &[u32]); 9] = [
        (&[], &[1, 2, 3, 4]),
        (&[identifier("a/+")], &[1]),
        (&[identifier("$share/g/a/b")], &[4]),
        (&[identifier("a/b"), identifier("a/+")], &[1, 3]),
        (&[identifier("a/+"), identifier("a/+")], &[1]),
        // It names a filter that does not match: it decides nothing.
        (&[identifier("c")], &[1, 2, 3, 4]),
        (&[identifier("c"), identifier("a/#")], &[2]),
        (&[unknown], &[1, 2, 3, 4]),
        (&[unknown, identifier("a/b")], &[3]),
    ];
    for (identifiers, keys) in cases {
        assert_eq!(route(&mut router, "a/b", identifiers), keys, "{identifiers:?}");
    }
    assert_eq!(route(&mut router, "c", &[identifier("a/b")]), [5]);
    assert_eq!(route(&mut router, "d", &[identifier("c")]), [] as [u32; 0]);
}

#[test]
fn a_message_may_carry_any_number_of_identifiers() {
    let mut router = router(&[("a", 1), ("+", 2)]);
    let mut identifiers: Vec<u32> = (1..200_000).rev().collect();
    assert_eq!(route(&mut router, "a", &identifiers), [1, 2]);
    identifiers.push(identifier("+"));
    assert_eq!(route(&mut router, "a", &identifiers), [2]);
}

#[test]
fn topics_of_every_level_count_are_routed_without_recursion() {
    let deep = format!("{}a", "a/".repeat(32_767));
    let empty = "/".repeat(65_535);
    let open = format!("{}+", "+/".repeat(32_767));
    let shallow = format!("{}#", "+/".repeat(32_767));
    let mut router =
        router(&[(&deep, 1), (&open, 2), ("#", 3), (&shallow, 4), ("+/+/#", 5), (&empty, 6), ("/#", 7)]);
    assert_eq!(route(&mut router, &deep, &[]), [1, 2, 3, 4, 5]);
    assert_eq!(route(&mut router, &empty, &[]), [3, 4, 5, 6, 7]);
    for (text, key) in [(&*deep, 1), (&*open, 2), (&*empty, 6)] {
        assert!(router.remove(&filter(text), key));
    }
    assert_eq!(route(&mut router, &deep, &[]), [3, 4, 5]);
}

#[test]
fn nothing_is_left_of_removed_filters() {
    let mut router = Router::new();
    let filters: Vec<TopicFilter> = (0..2_000)
        .flat_map(|number| {
            [format!("device/{number}/+/state"), format!("+/{number}/#"), format!("{number}/a/b/c/d")]
        })
        .map(|text| filter(&text))
        .collect();
    for (key, filter) in filters.iter().enumerate() {
        router.insert(filter, key);
    }
    let full = router.filters.used_nodes();
    for (key, filter) in filters.iter().enumerate().skip(1) {
        assert!(router.remove(filter, key));
    }
    // The root, `device`, `0`, `+`, `state`.
    assert_eq!((router.len(), router.filters.used_nodes()), (1, 5));
    assert_eq!(router.route("device/0/x/state", []), [0]);
    for (key, filter) in filters.iter().enumerate() {
        router.insert(filter, key);
    }
    assert_eq!(router.filters.used_nodes(), full);
    for (key, filter) in filters.iter().enumerate() {
        assert!(router.remove(filter, key));
    }
    assert_eq!((router.len(), router.filters.used_nodes()), (0, 0));
}

#[test]
fn the_cache_is_bounded_in_topics_and_bytes() {
    let mut router = router(&[("#", 1)]);
    for number in 0..20_000 {
        let short = format!("topic/{number}");
        assert_eq!(router.route(&short, []), [1]);
        assert_eq!(router.route(&short, []), [1]);
        let long = format!("{number}/{}", "x".repeat(number % 9_000));
        assert_eq!(router.route(&long, []), [1]);
        let (places, size) = router.cache.bounds();
        assert!(places <= 1024 && size <= 256 * 1024, "{places} places, {size} bytes");
    }
    // What went to 10,000 streams is not kept; a name seen again is answered all the same.
    for key in 0..10_000 {
        router.insert(&filter("all"), key);
    }
    let before = router.cache.bounds();
    assert_eq!(router.route("all", []).len(), 10_000);
    assert_eq!(router.route("all", []).len(), 10_000);
    assert_eq!(router.cache.bounds(), before);
}

/// The cache grows with use: one topic does not cost the room of a thousand.
#[test]
fn the_cache_holds_what_is_in_use() {
    let mut router = router(&[("#", 1)]);
    for _ in 0..100 {
        router.route("a", []);
    }
    assert_eq!(router.cache.bounds().0, 4);
    let topics: Vec<String> = (0..500).map(|number| format!("sensor/{number:04}/temperature")).collect();
    for topic in &topics {
        router.route(topic, []);
    }
    let hash = |topic: &String| super::hash::of_message(topic.as_bytes(), &[]);
    let kept = topics
        .iter()
        .filter(|topic| router.cache.find(hash(topic), topic, &[], router.generation).is_some())
        .count();
    assert!(kept > 450, "{kept} of 500");
}

/// Whoever chooses topics can make hashes collide: what was asked is compared too.
#[test]
fn the_cache_does_not_trust_the_hash() {
    let mut cache = super::cache::Cache::new();
    cache.put(7, "sensor/1/temperature", &[3], 0, &[1_u32]);
    let found = |cache: &super::cache::Cache<u32>, topic: &str, identifiers: &[u32], generation| {
        cache.find(7, topic, identifiers, generation).map(|place| cache.keys(place).to_vec())
    };
    assert_eq!(found(&cache, "sensor/1/temperature", &[3], 0), Some([1].to_vec()));
    for topic in ["", "sensor", "sensor/1/temperaturE", "sensor/2/temperature", "sensor/1/temperature/", "s"]
    {
        assert_eq!(found(&cache, topic, &[3], 0), None, "{topic}");
    }
    for identifiers in [&[][..], &[4], &[3, 4]] {
        assert_eq!(found(&cache, "sensor/1/temperature", identifiers, 0), None, "{identifiers:?}");
    }
    assert_eq!(found(&cache, "sensor/1/temperature", &[3], 1), None);
    // Any number of topics under one hash: they displace each other, and the search stays short.
    for number in 0..5_000_u32 {
        cache.put(7, &format!("{number}"), &[], 0, &[number]);
        assert_eq!(found(&cache, &format!("{number}"), &[], 0), Some([number].to_vec()));
    }
    assert!(cache.bounds().1 < 200, "{:?}", cache.bounds());
}

#[derive(Clone, Debug)]
enum Action {
    Insert(String, u32),
    Remove(String, u32),
    Route(String, Vec<String>),
}

fn small_filter() -> impl Strategy<Value = String> {
    let level = prop_oneof![Just(""), Just("a"), Just("b"), Just("$"), Just("+"), Just("+")];
    let start = prop_oneof![4 => Just(""), 1 => Just("$share/g/"), 1 => Just("$share/h/")];
    (start, prop::collection::vec(level, 0..=3), any::<bool>())
        .prop_map(|(start, mut levels, all_below)| {
            if all_below {
                levels.push("#");
            }
            format!("{start}{}", levels.join("/"))
        })
        .prop_filter("valid", |text| TopicFilter::new(&**text).is_ok())
}

fn small_name() -> impl Strategy<Value = String> {
    let level = prop_oneof![Just(""), Just("a"), Just("b"), Just("$"), Just("ab")];
    prop::collection::vec(level, 1..=4)
        .prop_map(|levels| levels.join("/"))
        .prop_filter("a name is not empty", |text| !text.is_empty())
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        2 => (small_filter(), 0..4_u32).prop_map(|(text, key)| Action::Insert(text, key)),
        1 => (small_filter(), 0..4_u32).prop_map(|(text, key)| Action::Remove(text, key)),
        3 => (small_name(), prop::collection::vec(small_filter(), 0..3)).prop_map(|(topic, named)| Action::Route(topic, named)),
    ]
}

/// What semantics.md says, on a plain list.
fn expected(pairs: &BTreeSet<(String, u32)>, topic: &str, named: &[String]) -> Vec<u32> {
    let matching: Vec<_> = pairs.iter().filter(|(text, _)| matches(text, topic)).collect();
    let chosen: BTreeSet<u32> =
        matching.iter().filter(|(text, _)| named.contains(text)).map(|pair| pair.1).collect();
    let all = matching.iter().map(|pair| pair.1).collect::<BTreeSet<_>>();
    if chosen.is_empty() { all } else { chosen }.into_iter().collect()
}

proptest! {
    #[test]
    fn routing_agrees_with_a_plain_list(actions in prop::collection::vec(action(), 1..120)) {
        let mut pairs = BTreeSet::new();
        let mut router = Router::new();
        for action in actions {
            match action {
                Action::Insert(text, key) => {
                    prop_assert_eq!(router.insert(&filter(&text), key), pairs.insert((text, key)));
                }
                Action::Remove(text, key) => {
                    prop_assert_eq!(router.remove(&filter(&text), key), pairs.remove(&(text, key)));
                }
                Action::Route(topic, named) => {
                    let identifiers: Vec<u32> = named.iter().map(|text| identifier(text)).collect();
                    let found = route(&mut router, &topic, &identifiers);
                    prop_assert_eq!(found, expected(&pairs, &topic, &named), "{} {:?}", topic, named);
                }
            }
            prop_assert_eq!(router.len(), pairs.len());
            router.cache.bounds();
        }
        for (text, key) in core::mem::take(&mut pairs) {
            prop_assert!(router.remove(&filter(&text), key));
        }
        prop_assert_eq!((router.is_empty(), router.filters.used_nodes()), (true, 0));
    }
}
