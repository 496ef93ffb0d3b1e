//! `cargo xtask spec`: the numbered statements of both specifications, and the tests that show each.

mod report;
mod statements;
mod tags;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::check::source;
use crate::context::Context;
use crate::step::{Outcome, Step};
use statements::{Statement, Version};
use tags::Tag;

const REPORT: &str = "CONFORMANCE.md";

/// The tests of a statement, as `file::name`.
type Coverage = BTreeMap<(Version, String), BTreeSet<String>>;

/// Prints the coverage and writes the report.
pub(crate) fn steps() -> Vec<Step> {
    vec![Step::new("statements", |context| match study(context) {
        Ok(study) => {
            print!("{}", study.summary);
            let written = fs::write(context.root.join(REPORT), &study.report);
            let findings =
                study.findings.into_iter().chain(written.err().map(|error| format!("{REPORT}: {error}")));
            findings.collect::<Vec<_>>().into()
        }
        Err(why) => Outcome::Failed(why),
    })]
}

/// The same as part of `check`: the report on disk must be the one of today.
pub(crate) fn check(context: &mut Context) -> Outcome {
    match study(context) {
        Ok(mut study) => {
            if fs::read_to_string(context.root.join(REPORT)).ok().as_ref() != Some(&study.report) {
                study.findings.push(format!("{REPORT} is not up to date: run cargo xtask spec"));
            }
            study.findings.into()
        }
        Err(why) => Outcome::Failed(why),
    }
}

struct Study {
    findings: Vec<String>,
    report: String,
    summary: String,
}

fn study(context: &Context) -> Result<Study, String> {
    let statements = statements::read(&context.root)?;
    let mut findings = Vec::new();
    let mut coverage = Coverage::new();
    for source in source::read_all(&context.root)? {
        // Its own tests speak of tags that are none.
        if !source.path.starts_with("xtask/") {
            let (found, wrong) = tags::find(&source.path, &source.text);
            findings.extend(wrong);
            cover(&mut coverage, &statements, &found, &mut findings);
        }
    }
    findings.extend(statements.iter().filter_map(|statement| gap(statement, &coverage)));
    let report = report::write(&statements, &coverage);
    let summary = report::summary(&statements, &coverage);
    Ok(Study { findings, report, summary })
}

fn cover(coverage: &mut Coverage, statements: &[Statement], tags: &[Tag], findings: &mut Vec<String>) {
    for tag in tags {
        let known = statements.iter().any(|one| one.version == tag.version && one.id == tag.id);
        if !known {
            findings.push(format!("{}: {} has no statement {}", tag.place, tag.version.name(), tag.id));
        }
        coverage.entry((tag.version, tag.id.clone())).or_default().insert(tag.test.clone());
    }
}

/// The tests of the strict broker show what it catches. That the client gives it nothing to catch, others show.
const TESTS_OF_THE_BROKER: [&str; 2] = ["sim/tests/strict/", "sim/tests/broker/"];

/// What binds a client has a test of the client, or a reason for having none, and not both.
fn gap(statement: &Statement, coverage: &Coverage) -> Option<String> {
    let name = format!("{} of {}", statement.id, statement.version.name());
    let tests = coverage.get(&(statement.version, statement.id.clone()));
    let of_a_client = |test: &String| !TESTS_OF_THE_BROKER.iter().any(|folder| test.starts_with(folder));
    let is_covered = tests.into_iter().flatten().any(of_a_client);
    match (is_covered, statement.untested.is_empty()) {
        (true, false) => Some(format!("{name} has a test and a reason for having none: remove the reason")),
        (false, true) if statement.side.binds_a_client() => {
            Some(format!("{name} has no test: {}", statement.text))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use statements::Side;

    fn statement(id: &str, side: Side, untested: &str) -> Statement {
        let (text, note) = ("Something must be.".to_owned(), String::new());
        Statement { version: Version::V5, id: id.to_owned(), side, text, note, untested: untested.to_owned() }
    }

    fn tag(id: &str) -> Tag {
        Tag {
            version: Version::V5,
            id: id.to_owned(),
            test: "a.rs::b".to_owned(),
            place: "a.rs:1".to_owned(),
        }
    }

    #[test]
    fn each_kind_of_gap_is_found() {
        let statements = [
            statement("MQTT-1", Side::Client, ""),
            statement("MQTT-2", Side::Both, "It cannot be seen."),
            statement("MQTT-3", Side::Server, ""),
            statement("MQTT-4", Side::Both, ""),
            statement("MQTT-5", Side::Client, ""),
        ];
        let (mut coverage, mut findings) = (Coverage::new(), Vec::new());
        let of_the_broker = Tag { test: "sim/tests/strict/a.rs::b".to_owned(), ..tag("MQTT-5") };
        let tags = [tag("MQTT-1"), tag("MQTT-2"), tag("MQTT-9"), of_the_broker];
        cover(&mut coverage, &statements, &tags, &mut findings);
        assert_eq!(findings, ["a.rs:1: 5.0 has no statement MQTT-9"]);
        let gaps: Vec<_> = statements.iter().filter_map(|one| gap(one, &coverage)).collect();
        assert_eq!(
            gaps,
            [
                "MQTT-2 of 5.0 has a test and a reason for having none: remove the reason",
                "MQTT-4 of 5.0 has no test: Something must be.",
                "MQTT-5 of 5.0 has no test: Something must be.",
            ]
        );
    }
}
