//! `cargo xtask mutants`: break the session and the wire in small ways, and see the tests go red.
//!
//! A run takes hours, so that it goes by shards; what each of them found accumulates in a committed list.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::context::Context;
use crate::prepare;
use crate::process;
use crate::step::{Outcome, Step};

/// A fixed version: another one makes other mutants.
const VERSION: &str = "27.1.0";

const LIST: &str = "core/mutants.txt";

const HEAD: &str = "\
# What `cargo xtask mutants --shard k/n` found so far: a line for each shard that ran, with what became of its mutants, and one for each
# mutant that the tests of core let live, with the reason behind the second colon. A survivor without a reason is work to be done; once a test
# catches it, its line goes and the count is put right.
";

/// What became of the mutants of a shard, in the order of the list.
const FATES: [&str; 4] = ["caught", "missed", "timeout", "unviable"];

pub(crate) fn steps(shard: &str) -> Vec<Step> {
    let shard = shard.to_owned();
    vec![Step::new(format!("mutants {shard}"), move |context| run(context, &shard))]
}

fn run(context: &mut Context, shard: &str) -> Outcome {
    if let Err(why) = prepare::tool(context, "cargo-mutants", VERSION) {
        return Outcome::Skipped(why);
    }
    // Fewer random cases: a mutant that only the thousandth finds is one that a plain test should find.
    context.set("PACKETBOAT_WORLDS", "20");
    context.set("PROPTEST_CASES", "16");
    let output = context.target_folder().join("mutants");
    let folder = output.to_string_lossy().into_owned();
    let arguments = [
        "mutants",
        "--package",
        "packetboat-core",
        "--file",
        "core/src/session/*.rs",
        "--file",
        "core/src/wire/**/*.rs",
        "--shard",
        shard,
        "--jobs",
        "1",
        "--timeout",
        "120",
        "--no-times",
        "--output",
        &folder,
        "--",
        "--lib",
        "--test",
        "wire",
    ];
    // It fails when a mutant lives, which is a result.
    let result = process::cargo(context, &arguments);
    let found = output.join("mutants.out");
    if !found.join("outcomes.json").is_file() {
        return result.into();
    }
    match record(&context.root.join(LIST), shard, &found) {
        Ok(survivors) if survivors.is_empty() => Outcome::Done(String::new()),
        Ok(survivors) => {
            Outcome::Done(format!("{} live: give each a test, or a reason in {LIST}", survivors.len()))
        }
        Err(why) => Outcome::Failed(why),
    }
}

/// Adds a shard's results to the list. What it said of the same shard and the same mutants before is kept or replaced.
fn record(list: &Path, shard: &str, found: &Path) -> Result<Vec<String>, String> {
    let of = |fate: &str| -> Vec<String> {
        let text = fs::read_to_string(found.join(format!("{fate}.txt"))).unwrap_or_default();
        text.lines().map(without_place).collect()
    };
    let counts: Vec<_> = FATES.iter().map(|fate| format!("{} {fate}", of(fate).len())).collect();
    let survivors: Vec<String> = ["missed", "timeout"].into_iter().flat_map(of).collect();
    let old = fs::read_to_string(list).unwrap_or_default();
    let text = merged(&old, shard, &counts.join(", "), &survivors);
    fs::write(list, text).map_err(|error| format!("{}: {error}", list.display()))?;
    Ok(survivors)
}

fn merged(old: &str, shard: &str, counts: &str, survivors: &[String]) -> String {
    let lines = old.lines().filter(|line| !line.starts_with('#'));
    let mut entries: BTreeMap<String, String> = lines
        // A survivor without a reason ends with its colon.
        .filter_map(|line| line.split_once(": ").or(line.strip_suffix(':').map(|name| (name, ""))))
        .map(|(name, rest)| (name.to_owned(), rest.to_owned()))
        .collect();
    entries.insert(format!("shard {shard}"), counts.to_owned());
    for survivor in survivors {
        entries.entry(format!("lives {survivor}")).or_default();
    }
    let lines = entries.iter().map(|(name, rest)| format!("{name}: {rest}").trim_end().to_owned());
    HEAD.lines().map(str::to_owned).chain(lines).map(|line| line + "\n").collect()
}

/// `a.rs:10:5: replace x` without the line and column, which every edit changes, and without colons that end names.
fn without_place(line: &str) -> String {
    let mut parts = line.splitn(4, ':');
    let file = parts.next().unwrap_or_default();
    let what = parts.nth(2).unwrap_or_default().trim();
    format!("{file} {}", what.replace(": ", " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mutant_is_named_without_its_place() {
        let line = "core/src/wire/ack.rs:10:5: replace Ack::new -> Self with Default::default()";
        assert_eq!(
            without_place(line),
            "core/src/wire/ack.rs replace Ack::new -> Self with Default::default()"
        );
    }

    #[test]
    fn results_accumulate_and_reasons_stay() {
        let first = merged("", "0/9", "3 caught, 1 missed", &["a.rs replace b".to_owned()]);
        let reasoned = first.replace("lives a.rs replace b:", "lives a.rs replace b: it is a hint.");
        let second = merged(&reasoned, "1/9", "4 caught, 0 missed", &["a.rs replace b".to_owned()]);
        let lines: Vec<_> = second.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            lines,
            [
                "lives a.rs replace b: it is a hint.",
                "shard 0/9: 3 caught, 1 missed",
                "shard 1/9: 4 caught, 0 missed"
            ]
        );
        let third =
            merged(&merged("", "0/9", "1 missed", &["a.rs replace b".to_owned()]), "1/9", "0 missed", &[]);
        assert!(
            third.contains("\nlives a.rs replace b:\n"),
            "a survivor stays without a reason, too: {third}"
        );
    }
}
