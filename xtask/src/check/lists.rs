//! Lists of what others demand or get wrong: each entry names tests, which exist, or says why there is none.

use std::fs;
use std::path::Path;

use super::source::{self, Source};

/// The lists, and how many entries each has: none gets lost.
const LISTS: [(&str, usize); 6] = [
    ("client/tests/azure.md", 51),
    ("client/tests/defects.md", 98),
    ("client/tests/roads.md", 29),
    ("hub/tests/panorama.md", 30),
    ("hub/tests/defects.md", 17),
    ("hub/tests/promises.md", 39),
];

/// A test named without a folder is in this one.
const FOLDER: &str = "client/tests";

/// The reason stands behind it.
const NO_TEST: &str = "no test: ";

pub(super) fn violations(root: &Path) -> Result<Vec<String>, String> {
    let sources = source::read_all(root)?;
    let mut findings = Vec::new();
    for (path, count) in LISTS {
        let text = fs::read_to_string(root.join(path)).map_err(|error| format!("{path}: {error}"))?;
        findings.extend(wrong_entries(path, &text, count, &sources));
    }
    Ok(findings)
}

fn wrong_entries(path: &str, text: &str, count: usize, sources: &[Source]) -> Vec<String> {
    let entries = entries(text);
    let mut findings = Vec::new();
    if entries.len() != count {
        findings.push(format!("{path} has {} entries, not {count}: xtask/src/check/lists.rs", entries.len()));
    }
    for entry in &entries {
        let tests: Vec<(&str, &str)> =
            entry.split('`').skip(1).step_by(2).filter_map(|quoted| quoted.split_once(".rs::")).collect();
        if tests.is_empty() && !entry.contains(NO_TEST) {
            findings.push(format!("{path}: neither a test nor \"{NO_TEST}\" and a reason: {entry}"));
        }
        let missing = tests.iter().filter(|(file, name)| !exists(sources, file, name));
        findings.extend(missing.map(|(file, name)| format!("{path}: there is no test {file}.rs::{name}")));
    }
    findings
}

/// Each begins with `* `; lines that are indented go on.
fn entries(text: &str) -> Vec<String> {
    let mut entries: Vec<String> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        if let Some(first) = line.strip_prefix("* ") {
            entries.push(first.to_owned());
            open = true;
        } else if let (true, Some(more)) = (open, line.strip_prefix("  ")) {
            if let Some(entry) = entries.last_mut() {
                entry.push(' ');
                entry.push_str(more.trim());
            }
        } else {
            open = false;
        }
    }
    entries
}

fn exists(sources: &[Source], file: &str, name: &str) -> bool {
    let path = if file.contains('/') { format!("{file}.rs") } else { format!("{FOLDER}/{file}.rs") };
    let Some(source) = sources.iter().find(|source| source.path == path) else { return false };
    let mut is_test = false;
    for line in source.text.lines().map(str::trim) {
        let head = line.strip_prefix("async ").unwrap_or(line);
        if head.strip_prefix("fn ").is_some_and(|rest| rest.split(['(', '<']).next() == Some(name)) {
            return is_test;
        }
        is_test = line.starts_with("#[test]")
            || line.starts_with("#[tokio::test")
            || is_test && (line.starts_with("#[") || line.starts_with("//"));
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_names_tests_that_exist_or_has_a_reason() {
        let sources = [
            Source::new("client/tests/a.rs", "#[test]\n// Why.\n#[ignore]\nfn one() {}\nfn helper() {}\n"),
            Source::new("core/src/b.rs", "    #[tokio::test(start_paused = true)]\n    async fn two() {}\n"),
        ];
        let wrong = |text: &str, count| wrong_entries("l.md", text, count, &sources);
        let good = "# A\n\n* one: `a.rs::one`,\n  and `core/src/b.rs::two`\n\n* two: no test: because\n";
        assert_eq!(wrong(good, 2), Vec::<String>::new());
        assert_eq!(wrong(good, 3).len(), 1);
        for (bad, part) in [
            ("* nothing\n", "neither a test"),
            ("* `a.rs::helper`\n", "a.rs::helper"),
            ("* `a.rs::one`\n  `a.rs::gone`\n", "a.rs::gone"),
            ("* `b.rs::two`\n", "b.rs::two"),
        ] {
            let found = wrong(bad, 1);
            assert!(found.len() == 1 && found[0].contains(part), "{bad}: {found:?}");
        }
    }
}
