//! CONFORMANCE.md.

use super::Coverage;
use super::statements::{Statement, Version};

const HEAD: &str = "\
# Conformance

Every numbered statement of MQTT 3.1.1 and 5.0, in our own words, with the side it binds and the tests that fail when it is broken.
Written by `cargo xtask spec` from the tables in `conformance/` and the tags above the tests; do not edit.
A statement that binds the server alone needs no test here; where there is one, it shows what the strict broker of `sim` does, or
what the client makes of a server that does otherwise.
";

pub(super) fn write(statements: &[Statement], coverage: &Coverage) -> String {
    let mut lines = vec![HEAD.to_owned(), summary(statements, coverage)];
    for version in Version::ALL {
        let head = "| Statement | Side | Tests | Note |\n| --- | --- | --- | --- |";
        lines.push(format!("## MQTT {}\n\n{head}", version.name()));
        let rows = statements.iter().filter(|one| one.version == version);
        lines.extend(rows.map(|statement| row(statement, coverage)));
        lines.push(String::new());
    }
    lines.join("\n")
}

fn row(statement: &Statement, coverage: &Coverage) -> String {
    let Statement { version, id, side, text, note, untested } = statement;
    let tests = coverage.get(&(*version, id.clone())).into_iter().flatten();
    let tests: Vec<_> = tests.map(|test| format!("`{test}`")).collect();
    let note = [note.as_str(), untested.as_str()].join(" ");
    format!("| **{id}** {text} | {} | {} | {} |", side.name(), tests.join("<br>"), note.trim())
}

/// How many there are, and how many have tests.
pub(super) fn summary(statements: &[Statement], coverage: &Coverage) -> String {
    let mut text = String::from(
        "| | Bind a client | with tests | with a reason for none | Bind the server alone | with tests |\n\
         | --- | --- | --- | --- | --- | --- |\n",
    );
    for version in Version::ALL {
        let of_version = statements.iter().filter(|one| one.version == version);
        let (ours, theirs): (Vec<_>, Vec<_>) = of_version.partition(|one| one.side.binds_a_client());
        let tested = |list: &[&Statement]| {
            list.iter().filter(|one| coverage.contains_key(&(version, one.id.clone()))).count()
        };
        let excused = ours.iter().filter(|one| !one.untested.is_empty()).count();
        let counts = [ours.len(), tested(&ours), excused, theirs.len(), tested(&theirs)];
        let counts: Vec<_> = counts.iter().map(usize::to_string).collect();
        text.extend(["| ", version.name(), " | ", &counts.join(" | "), " |\n"]);
    }
    text
}
