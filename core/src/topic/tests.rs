//! The rules of section 4.7 as tables, and matching against models that are written differently.

use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use std::collections::HashSet;

use proptest::prelude::*;

use super::{TopicError, TopicFilter, TopicName, matches};

fn filter(text: &str) -> TopicFilter {
    TopicFilter::new(text).unwrap()
}

/// Through both doors, which must agree.
fn filter_matches(text: &str, topic: &str) -> bool {
    let by_type = filter(text).matches(TopicName::new(topic).unwrap());
    assert_eq!(matches(text, topic), by_type, "{text} ~ {topic}");
    by_type
}

// Spec 3.1.1: MQTT-3.3.2-2 MQTT-4.7.1-1 MQTT-4.7.3-1 MQTT-4.7.3-2 MQTT-4.7.3-3
// Spec 5.0: MQTT-3.3.2-2 MQTT-4.7.0-1 MQTT-4.7.3-1 MQTT-4.7.3-2 MQTT-4.7.3-3
#[test]
fn names_are_checked() {
    let long = "x".repeat(65_535);
    for text in ["a", "/", "//", " ", "$SYS/x", "sport/tennis", "Ärger/🦀", "ACCOUNTS", &long] {
        assert_eq!(TopicName::new(text).map(TopicName::as_str), Ok(text));
    }
    let too_long = "x".repeat(65_536);
    assert_eq!(TopicName::new(""), Err(TopicError::Empty));
    assert_eq!(TopicName::new(&too_long), Err(TopicError::TooLong { length: 65_536 }));
    assert_eq!(TopicName::new("a\0"), Err(TopicError::NullCharacter));
    for text in ["+", "#", "a/+", "a/#", "ab+", "a#b", "sport/tennis/player1/+/ranking"] {
        assert_eq!(TopicName::new(text), Err(TopicError::WildcardInName), "{text}");
    }
}

/// The check reads eight bytes at a time: every byte value at every place of texts of every length up to 40.
// Spec 3.1.1: MQTT-1.5.3-2
// Spec 5.0: MQTT-1.5.4-2
#[test]
fn a_forbidden_character_is_found_at_every_place() {
    for length in 1..40 {
        for place in 0..length {
            for byte in 0..128_u8 {
                let mut bytes = vec![b'x'; length];
                bytes[place] = byte;
                let text = String::from_utf8(bytes).unwrap();
                let expected = match byte {
                    0 => Err(TopicError::NullCharacter),
                    b'+' | b'#' => Err(TopicError::WildcardInName),
                    _ => Ok(&*text),
                };
                assert_eq!(
                    TopicName::new(&text).map(TopicName::as_str),
                    expected,
                    "{byte} at {place} of {length}"
                );
            }
        }
    }
}

// Spec 3.1.1: MQTT-4.7.1-2 MQTT-4.7.1-3 MQTT-4.7.3-1 MQTT-4.7.3-2 MQTT-4.7.3-3
// Spec 5.0: MQTT-4.7.1-1 MQTT-4.7.1-2 MQTT-4.7.3-1 MQTT-4.7.3-2 MQTT-4.7.3-3 MQTT-4.8.2-1 MQTT-4.8.2-2
#[test]
fn filters_are_checked() {
    use TopicError::{
        Empty, MultiLevelWildcard, NullCharacter, ShareName, ShareWithoutFilter, SingleLevelWildcard, TooLong,
    };
    let valid = [
        "#",
        "+",
        "/",
        "//",
        "/+",
        "+/",
        "+/+",
        "a/#",
        "/#",
        "+/#",
        "a/+/b",
        "+/tennis/#",
        "sport/+/player1",
        "$SYS/#",
        "$shared/x",
        "$sharex",
        "$share/g/a",
        "$share/g//finance",
        "$share/g/#",
        "$share/$g/+/b",
        "$share/ü/+",
        "$share/g/$share/h/x",
        "$share/g//",
    ];
    for text in valid {
        assert_eq!(TopicFilter::new(text).map(|filter| filter.to_string()), Ok(text.to_string()));
    }
    let invalid = [
        ("", Empty),
        ("a\0b", NullCharacter),
        ("$share/g\0/a", NullCharacter),
        ("sport/tennis#", MultiLevelWildcard),
        ("sport/tennis/#/ranking", MultiLevelWildcard),
        ("#/", MultiLevelWildcard),
        ("#a", MultiLevelWildcard),
        ("##", MultiLevelWildcard),
        ("#/#", MultiLevelWildcard),
        ("+#", MultiLevelWildcard),
        ("sport+", SingleLevelWildcard),
        ("++", SingleLevelWildcard),
        ("+b", SingleLevelWildcard),
        ("a/+b/c", SingleLevelWildcard),
        ("$share", ShareWithoutFilter),
        ("$share/g", ShareWithoutFilter),
        ("$share/g/", ShareWithoutFilter),
        ("$share/", ShareName),
        ("$share//a", ShareName),
        ("$share/+/a", ShareName),
        ("$share/g#/a", ShareName),
        ("$share/#", ShareName),
        ("$share/g/a#", MultiLevelWildcard),
        ("$share/g/a+", SingleLevelWildcard),
    ];
    for (text, error) in invalid {
        assert_eq!(TopicFilter::new(text), Err(error), "{text:?}");
    }
    assert_eq!(TopicFilter::new("x".repeat(65_535)).map(|filter| filter.as_str().len()), Ok(65_535));
    assert_eq!(TopicFilter::new("x".repeat(65_536)), Err(TooLong { length: 65_536 }));
    let shared = alloc::format!("$share/{}/+", "x".repeat(65_526));
    assert_eq!(TopicFilter::new(&*shared).map(|filter| filter.filter().to_string()), Ok("+".to_string()));
}

#[test]
fn the_parts_of_a_shared_filter() {
    let plain = filter("a/+");
    assert_eq!((plain.share_name(), plain.filter(), plain.as_str()), (None, "a/+", "a/+"));
    let shared = filter("$share/workers//finance");
    assert_eq!((shared.share_name(), shared.filter()), (Some("workers"), "/finance"));
    assert_eq!(shared.as_str(), "$share/workers//finance");
}

/// five-systems.md, section 4b: what the two matchers of Zerynth lwmqtt answer, of which 11 of 17 and 12 of 27 are wrong.
#[test]
fn the_cases_that_two_other_matchers_get_wrong() {
    let matching = [
        ("a/#", "a/b/c"),
        ("+", "a"),
        ("#", "a/b"),
        ("sport/+/x", "sport/abc/x"),
        ("a/#", "a"),
        ("a/#", "a/"),
        ("a/+", "a/"),
        ("/+", "/"),
        ("+/+", "/"),
        ("+/b", "/b"),
        ("a/+/c", "a//c"),
    ];
    for (text, topic) in matching {
        assert!(filter_matches(text, topic), "{text} ~ {topic}");
    }
    let different = [
        ("#", "$SYS/x"),
        ("+/x", "$SYS/x"),
        ("s1", "s2"),
        ("a/b", "a/c"),
        ("abc", "abd"),
        ("room1/temp", "room2/temp"),
    ];
    for (text, topic) in different {
        assert!(!filter_matches(text, topic), "{text} ~ {topic}");
    }
    for (text, topic) in [("a+", "ab"), ("a#", "ab"), ("+b", "ab")] {
        assert!(TopicFilter::new(text).is_err(), "{text}");
        assert!(!matches(text, topic), "{text} ~ {topic}");
    }
}

/// The examples of section 4.7, both versions.
// Spec 3.1.1: MQTT-4.7.2-1
// Spec 5.0: MQTT-4.7.2-1
#[test]
fn the_examples_of_the_specification() {
    let matching = [
        ("sport/tennis/player1/#", "sport/tennis/player1"),
        ("sport/tennis/player1/#", "sport/tennis/player1/ranking"),
        ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon"),
        ("sport/#", "sport"),
        ("sport/tennis/+", "sport/tennis/player1"),
        ("sport/tennis/+", "sport/tennis/player2"),
        ("sport/+", "sport/"),
        ("+/+", "/finance"),
        ("/+", "/finance"),
        ("+/tennis/#", "sport/tennis"),
        ("+/tennis/#", "sport/tennis/player1"),
        ("$SYS/#", "$SYS/monitor"),
        ("$SYS/#", "$SYS"),
        ("$SYS/monitor/+", "$SYS/monitor/Clients"),
        ("$share/consumer1/sport/tennis/+", "sport/tennis/player1"),
        ("$share/consumer1//finance", "/finance"),
    ];
    for (text, topic) in matching {
        assert!(filter_matches(text, topic), "{text} ~ {topic}");
    }
    let different = [
        ("sport/tennis/+", "sport/tennis/player1/ranking"),
        ("sport/+", "sport"),
        ("+", "/finance"),
        ("#", "$SYS/monitor"),
        ("+/monitor/Clients", "$SYS/monitor/Clients"),
        ("ACCOUNTS", "Accounts"),
        ("$share/consumer1/#", "$SYS/monitor"),
        ("$share/consumer1/+/x", "$share/x"),
    ];
    for (text, topic) in different {
        assert!(!filter_matches(text, topic), "{text} ~ {topic}");
    }
}

/// What iPOPO's own tests and those of paho compare, and neighbours of each rule.
#[test]
fn more_cases() {
    let matching = [
        ("test", "test"),
        ("test/a", "test/a"),
        ("test/+/a", "test/b/a"),
        ("test/+/+", "test/a/b"),
        ("+/+/+", "a/b/c"),
        ("+/#", "a"),
        ("+/#", "a/b/c"),
        ("/#", "/"),
        ("/#", "/a/b"),
        ("#", "/"),
        ("//", "//"),
        ("+//+", "a//b"),
        ("a/$b/+", "a/$b/c"),
        ("a/+", "a/$b"),
        ("+/$SYS", "a/$SYS"),
        ("a b/c", "a b/c"),
        ("ü/+", "ü/🦀"),
    ];
    for (text, topic) in matching {
        assert!(matches(text, topic), "{text} ~ {topic}");
    }
    let different = [
        ("test", "test/a"),
        ("test/a", "test"),
        ("test/+", "test"),
        ("test/+/a", "test/b/b"),
        ("test/+/a", "test/a"),
        ("+/+", "a"),
        ("+/+", "a/b/c"),
        ("a/#", "ab"),
        ("a/#", "b/a"),
        ("/a", "a"),
        ("a", "a/"),
        ("a/", "a"),
        ("//", "/"),
        ("+/#", "$SYS"),
        ("+", "$SYS"),
        ("ü", "u\u{308}"),
        ("a/b/#", "a"),
    ];
    for (text, topic) in different {
        assert!(!matches(text, topic), "{text} ~ {topic}");
    }
}

#[test]
fn overlapping_filters() {
    let overlapping = [
        ("a", "a"),
        ("a/#", "a"),
        ("a/#", "+"),
        ("a/#", "a/b/#"),
        ("a/+/c", "+/b/+"),
        ("#", "+/+"),
        ("#", "#"),
        ("$SYS/#", "$SYS/+"),
        ("$share/g/a/+", "a/b"),
        ("$share/g/a", "$share/h/a"),
        ("+/+", "/#"),
    ];
    let disjoint = [
        ("a", "b"),
        ("a/+", "a"),
        ("+/+", "+"),
        ("a/b/#", "a"),
        ("a/#", "b/#"),
        ("#", "$SYS/#"),
        ("+/x", "$SYS/x"),
        ("a/+/c", "a/b"),
        ("A", "a"),
        ("+", "/#"),
    ];
    for (left, right) in overlapping {
        assert!(filter(left).overlaps(&filter(right)), "{left} and {right}");
        assert!(filter(right).overlaps(&filter(left)), "{right} and {left}");
    }
    for (left, right) in disjoint {
        assert!(!filter(left).overlaps(&filter(right)), "{left} and {right}");
        assert!(!filter(right).overlaps(&filter(left)), "{right} and {left}");
    }
}

/// Each is a filter, but what both match would be longer than a name can be.
#[test]
fn filters_whose_common_name_would_be_too_long_do_not_overlap() {
    let first_level = |length: usize| filter(&alloc::format!("{}/+", "x".repeat(length)));
    let second_level = |length: usize| filter(&alloc::format!("+/{}", "y".repeat(length)));
    let rest = |length: usize| filter(&alloc::format!("+/{}/+/#", "y".repeat(length)));
    assert!(first_level(40_000).overlaps(&second_level(25_534)));
    assert!(!first_level(40_000).overlaps(&second_level(25_535)));
    let all_below = filter(&alloc::format!("{}/#", "x".repeat(40_000)));
    assert!(all_below.overlaps(&rest(25_533)));
    assert!(!all_below.overlaps(&rest(25_534)));
    assert!(!rest(25_534).overlaps(&all_below));
}

#[test]
fn identifiers_never_change() {
    // FNV-1a of "a" is 0xAF63DC4C8601EC8C, computed apart from this code.
    let expected = u32::try_from(0xAF63_DC4C_8601_EC8C_u64 % 268_435_455 + 1).unwrap();
    assert_eq!(filter("a").subscription_identifier(), expected);
    assert_ne!(filter("$share/g/a").subscription_identifier(), expected);
    let identifiers: HashSet<u32> = (0..10_000)
        .map(|number| filter(&alloc::format!("device/{number}/+")).subscription_identifier())
        .collect();
    assert!(identifiers.len() > 9_990, "{}", identifiers.len());
    assert!(identifiers.iter().all(|identifier| (1..=268_435_455).contains(identifier)));
}

#[test]
fn a_map_of_filters_answers_to_text() {
    let filters: HashSet<TopicFilter> = ["a/+", "$share/g/a"].into_iter().map(filter).collect();
    assert!(filters.contains("$share/g/a"));
    assert!(!filters.contains("a"));
    assert!("a/#".parse::<TopicFilter>().unwrap() > filter("a"));
}

#[test]
fn matching_takes_linear_time() {
    let deep = "a/".repeat(32_767);
    let open = "+/".repeat(32_767);
    assert!(matches(&open, &deep));
    assert!(filter(&open).overlaps(&filter(&deep)));
    assert!(!matches(&open[2..], &deep));
    assert!(matches(&alloc::format!("{}#", &open[..65_532]), &deep));
}

/// Every filter that matches `topic`: the model turns the question round.
fn filters_matching(topic: &str) -> HashSet<String> {
    let mut exact = vec![String::new()];
    let mut found = HashSet::new();
    for (index, level) in topic.split('/').enumerate() {
        let hidden = index == 0 && level.starts_with('$');
        let separator = if index == 0 { "" } else { "/" };
        if !hidden {
            found.extend(exact.iter().map(|prefix| alloc::format!("{prefix}{separator}#")));
        }
        let options: &[&str] = if hidden { &[level] } else { &[level, "+"] };
        exact = exact
            .iter()
            .flat_map(|prefix| {
                options.iter().map(move |option| alloc::format!("{prefix}{separator}{option}"))
            })
            .collect();
    }
    found.extend(exact.iter().map(|prefix| alloc::format!("{prefix}/#")));
    found.extend(exact);
    found
}

/// Every name with up to four levels out of `""`, `"a"`, `"b"`, `"$"`.
fn all_small_names() -> Vec<String> {
    let mut names: Vec<String> = vec![];
    let mut longest: Vec<String> = ["", "a", "b", "$"].map(String::from).to_vec();
    for _ in 0..4 {
        names.extend(longest.iter().filter(|name| !name.is_empty()).cloned());
        longest = longest
            .iter()
            .flat_map(|name| ["", "a", "b", "$"].map(|level| alloc::format!("{name}/{level}")))
            .collect();
    }
    names
}

fn small_filter() -> impl Strategy<Value = String> {
    let level = prop_oneof![Just(""), Just("a"), Just("b"), Just("$"), Just("+"), Just("+")];
    (prop::collection::vec(level, 0..=3), any::<bool>())
        .prop_map(|(mut levels, all_below)| {
            if all_below {
                levels.push("#");
            }
            levels.join("/")
        })
        .prop_filter("a filter is not empty", |text| !text.is_empty())
}

fn small_name() -> impl Strategy<Value = String> {
    let level = prop_oneof![Just(""), Just("a"), Just("b"), Just("$"), Just("ab"), Just("a$")];
    prop::collection::vec(level, 1..=4)
        .prop_map(|levels| levels.join("/"))
        .prop_filter("a name is not empty", |text| !text.is_empty())
}

proptest! {
    #[test]
    fn matching_agrees_with_the_model(text in small_filter(), topic in small_name()) {
        prop_assert_eq!(filter_matches(&text, &topic), filters_matching(&topic).contains(&text));
        let shared = alloc::format!("$share/g/{text}");
        prop_assert_eq!(filter_matches(&shared, &topic), filter_matches(&text, &topic));
    }

    #[test]
    fn what_the_model_finds_matches(topic in small_name()) {
        for text in filters_matching(&topic) {
            prop_assert!(filter_matches(&text, &topic), "{} ~ {}", text, topic);
        }
    }

    #[test]
    fn overlap_agrees_with_trying_every_name(left in small_filter(), right in small_filter()) {
        let common = all_small_names().into_iter().find(|name| matches(&left, name) && matches(&right, name));
        prop_assert_eq!(filter(&left).overlaps(&filter(&right)), common.is_some(), "{} and {}: {:?}", left, right, common);
    }

    #[test]
    fn any_text_is_answered(text in "[a-c$/+#\0]{0,12}|\\PC{0,20}", topic in "\\PC{0,20}") {
        let _ = matches(&text, &topic);
        let name = TopicName::new(&text);
        if let Ok(filter) = TopicFilter::new(&*text) {
            // A name is a filter that matches itself alone, but `$share/..`.
            if let Ok(name) = name {
                prop_assert!(filter.share_name().is_some() || filter.matches(name));
            }
            prop_assert!(filter.overlaps(&filter));
        } else if !text.starts_with("$share") {
            prop_assert!(name.is_err());
        }
    }
}
