//! The version fence: where the type `Version` may be named, and how often code may decide by it.
//!
//! The session asks what is allowed, never which version: what differs between the versions is decided in
//! `core/src/wire` and in the few places below. Handing a version on is free behind a gate; a decision is a
//! mention of `V31`, `V311` or `V5`, and those are counted. Tests, examples and comments count for nothing.

use super::source::Source;

struct Gate {
    /// A file, or a folder with a slash behind it.
    path: &'static str,
    /// For all files behind the gate together.
    decisions: usize,
    why: &'static str,
}

const ANY: usize = usize::MAX;

/// The first gate that fits a file is its gate.
const GATES: &[Gate] = &[
    Gate { path: "core/src/wire/", decisions: ANY, why: "the bytes differ by version" },
    Gate { path: "core/src/session/options.rs", decisions: 1, why: "chosen here, 5.0 unless told" },
    Gate { path: "core/src/session/mod.rs", decisions: 1, why: "what was agreed on, 5.0 before that" },
    Gate { path: "core/src/session/event.rs", decisions: 0, why: "says what was agreed on" },
    Gate { path: "core/src/session/link.rs", decisions: 0, why: "hands it to the encoder" },
    Gate { path: "core/src/session/receiver.rs", decisions: 0, why: "hands it to the decoder" },
    Gate { path: "sim/src/", decisions: 16, why: "a broker is told by CONNECT; worlds run with each" },
    Gate {
        path: "client/src/",
        decisions: 25,
        why: "chosen here, the fallback to 3.1.1, and none where methods authenticate",
    },
    Gate { path: "cli/src/", decisions: 14, why: "-V chooses, and `doctor` tries each" },
    Gate { path: "bench/", decisions: ANY, why: "measures each" },
    Gate { path: "fuzz/", decisions: ANY, why: "tries each" },
];

pub(super) fn violations(sources: &[Source]) -> Vec<String> {
    judge(sources, GATES)
}

fn judge(sources: &[Source], gates: &[Gate]) -> Vec<String> {
    let mut violations = Vec::new();
    let mut passed = vec![0; gates.len()];
    let is_judged = |path: &str| !path.starts_with("xtask/") && !path.contains("/examples/");
    for source in sources.iter().filter(|source| is_judged(&source.path)) {
        let gate = gates.iter().position(|gate| is_behind(&source.path, gate.path));
        let Some(index) = gate else {
            violations.extend(mentions(source, &["Version"]).first().map(|&at| {
                format!(
                    "{}: `Version` is named outside the fence: ask `Limits` or the wire",
                    place(source, at)
                )
            }));
            continue;
        };
        for at in mentions(source, &["V31", "V311", "V5"]) {
            passed[index] += 1;
            let Gate { path, decisions, why } = gates[index];
            if passed[index] > decisions {
                let number = passed[index];
                let place = place(source, at);
                violations.push(format!(
                    "{place}: decision {number} by version in `{path}`, {decisions} allowed ({why})"
                ));
            }
        }
    }
    violations
}

fn is_behind(path: &str, gate: &str) -> bool {
    if gate.ends_with('/') { path.starts_with(gate) } else { path == gate }
}

/// Where one of the words stands in code that is no test.
fn mentions(source: &Source, words: &[&str]) -> Vec<usize> {
    let mut mentions: Vec<usize> = words.iter().flat_map(|word| source.words(word)).collect();
    mentions.retain(|&at| !source.is_test(at));
    mentions.sort_unstable();
    mentions
}

fn place(source: &Source, at: usize) -> String {
    format!("{}:{}", source.path, source.line(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[Gate] = &[
        Gate { path: "core/src/wire/", decisions: ANY, why: "wire" },
        Gate { path: "core/src/session/options.rs", decisions: 1, why: "chosen here" },
        Gate { path: "sim/src/", decisions: 2, why: "told by CONNECT" },
    ];

    fn count(sources: &[(&str, &str)]) -> usize {
        let sources: Vec<Source> = sources.iter().map(|(path, text)| Source::new(path, text)).collect();
        judge(&sources, TABLE).len()
    }

    #[test]
    fn inside_the_fence_the_version_is_free() {
        assert_eq!(0, count(&[("core/src/wire/connect.rs", "use Version; Version::V5; Version::V311;")]));
    }

    #[test]
    fn outside_it_may_not_even_be_named() {
        assert_eq!(1, count(&[("core/src/session/outbound.rs", "if version == Version::V5 {}")]));
        assert_eq!(1, count(&[("core/src/wired.rs", "use crate::wire::Version as V;")]));
    }

    #[test]
    fn behind_a_gate_decisions_are_counted() {
        let options = "core/src/session/options.rs";
        assert_eq!(0, count(&[(options, "use Version; version: Version, version: Version::V5")]));
        assert_eq!(1, count(&[(options, "use Version; match version { V5 => a, V311 => b }")]));
    }

    #[test]
    fn a_folder_counts_as_one() {
        let (two, one) = ("Version::V5; Version::V311;", "Version::V5;");
        assert_eq!(0, count(&[("sim/src/a.rs", two)]));
        assert_eq!(1, count(&[("sim/src/a.rs", two), ("sim/src/b.rs", one)]));
    }

    #[test]
    fn tests_examples_and_comments_do_not_count() {
        assert_eq!(0, count(&[("sim/examples/broker.rs", "use Version; Version::V5")]));
        assert_eq!(0, count(&[("core/src/session/tests.rs", "Version::V5")]));
        assert_eq!(
            0,
            count(&[("core/src/session/a.rs", "// Version\n#[cfg(test)]\nmod tests { use Version; }")])
        );
    }
}
