//! `cargo xtask test`: everything a change has to pass, and with `--full` what takes longer.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::check;
use crate::command;
use crate::context::Context;
use crate::examples;
use crate::extra;
use crate::interop;
use crate::newcomer;
use crate::prepare::{self, BARE_TARGETS};
use crate::process;
use crate::step::{Outcome, Step};
use crate::workspace;

/// Random worlds of the simulator per test and version; the tests have their own number for a normal run.
const WORLDS_OF_A_FULL_RUN: &str = "20000";

/// How often a full run reads a hub's configuration again under load.
const RELOADS_OF_A_FULL_RUN: &str = "1000";

/// In bytes: the largest packet a client takes by default, less header, topic, identifier and properties (on the way back also a
/// subscription identifier) of the example for large files.
const LARGEST_PAYLOAD: &str = "268435422";

/// It promises ten seconds; a slow or busy machine may take longer.
const LONGEST_DEMO: Duration = Duration::from_secs(40);

/// A fixed version: a new one may want a newer compiler.
const DENY: &str = "0.20.2";

pub(crate) fn steps() -> Vec<Step> {
    let mut steps = prepare::steps();
    steps.extend(check::steps());
    steps.push(Step::new("tests", |context| tests(context, &["--workspace", "--exclude", "xtask"])));
    steps.push(Step::new("examples", examples::run));
    steps.push(Step::new("tests of xtask", |context| tests(context, &["--package", "xtask"])));
    steps.extend(
        BARE_TARGETS.map(|target| Step::new(format!("core for {target}"), |context| bare(context, target))),
    );
    steps.push(Step::new("demo", demo));
    steps.push(Step::new("soak", |context| soak(context, &["1.5"])));
    steps.push(Step::new("broken links", links));
    steps.push(Step::new("licences", licences));
    steps.push(Step::new("instruction budgets", extra::budgets));
    steps
}

pub(crate) fn full_steps() -> Vec<Step> {
    let mut steps = vec![Step::new("settings of a full run", |context| {
        context.set("PACKETBOAT_WORLDS", WORLDS_OF_A_FULL_RUN);
        context.set("PACKETBOAT_LARGE", LARGEST_PAYLOAD);
        context.set("PACKETBOAT_RELOADS", RELOADS_OF_A_FULL_RUN);
        Outcome::Done(format!(
            "PACKETBOAT_WORLDS={WORLDS_OF_A_FULL_RUN} PACKETBOAT_LARGE={LARGEST_PAYLOAD} \
             PACKETBOAT_RELOADS={RELOADS_OF_A_FULL_RUN}"
        ))
    })];
    steps.extend(self::steps());
    steps.extend(interop::steps(None));
    steps.push(Step::new("known vulnerabilities", vulnerabilities));
    steps.push(Step::new("minimum Rust", minimum_rust));
    steps.extend(command::steps());
    steps.push(newcomer::step());
    steps.push(Step::new("clippy for bench and fuzz", extra::clippy));
    steps.push(Step::new("fuzz smoke", extra::fuzz_smoke));
    steps.push(Step::new("bench smoke", |context| extra::bench(context, &["--quick"])));
    steps
}

/// By hand, for as long as one likes.
pub(crate) fn soak_steps(arguments: &[&str]) -> Vec<Step> {
    let soak = match arguments {
        ["links"] => Step::new("broken links", links),
        [] => Step::new("soak", |context| soak(context, &["30"])),
        _ => {
            let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
            Step::new("soak", move |context| {
                soak(context, &arguments.iter().map(String::as_str).collect::<Vec<_>>())
            })
        }
    };
    vec![prepare::broker(), soak]
}

/// Real clients, real brokers and real faults. Time is all it needs.
fn soak(context: &Context, arguments: &[&str]) -> Outcome {
    if process::find(context, "mosquitto").is_none() {
        return Outcome::Skipped("no mosquitto".into());
    }
    let run = ["run", "--quiet", "--package", "packetboat-soak", "--"];
    process::cargo(context, &[&run, arguments].concat()).into()
}

/// Links that are cut, deaf on one side, slow and lossy, in network namespaces.
fn links(context: &mut Context) -> Outcome {
    match prepare::namespaces(context) {
        Err(why) => Outcome::Skipped(format!("no network namespaces: {why}")),
        Ok(()) => soak(context, &["links"]),
    }
}

/// What fails among all others gets a second try by itself: one that passes then is unsteady, and the summary says so.
fn tests(context: &Context, packages: &[&str]) -> Outcome {
    let arguments = [&["test", "--all-features", "--no-fail-fast"], packages].concat();
    let mut results = Results::default();
    let Err(why) = process::run_watched(context, "cargo", &arguments, |line| results.add(line)) else {
        return Outcome::Done(results.to_string());
    };
    let names: Vec<&str> = results.failures.iter().map(String::as_str).collect();
    if names.is_empty() || !results.are_whole() {
        return Outcome::Failed(format!("{results}; {why}"));
    }
    println!("*** once more, one at a time: {}", names.join(", "));
    let arguments = [&arguments[..], &["--", "--exact", "--test-threads=1"], &names].concat();
    let mut again = Results::default();
    match process::run_watched(context, "cargo", &arguments, |line| again.add(line)) {
        Ok(()) if again.passed >= names.len() as u64 => Outcome::Done(format!(
            "{results}; {} UNSTEADY, passed when run again: {}",
            names.len(),
            names.join(", ")
        )),
        _ => Outcome::Failed(format!("{results}, {}; again: {again}; {why}", names.join(", "))),
    }
}

/// `core` where there is no operating system: proof that it needs none.
fn bare(context: &Context, target: &str) -> Outcome {
    if let Err(why) = prepare::target(context, target) {
        return Outcome::Skipped(why);
    }
    process::cargo(context, &["build", "--quiet", "--package", "packetboat-core", "--target", target]).into()
}

/// The README's first command, in a debug build. It promises to end by itself.
fn demo(context: &mut Context) -> Outcome {
    if let Err(why) = process::cargo(context, &["build", "--quiet"]) {
        return Outcome::Failed(why);
    }
    let begin = Instant::now();
    match process::cargo(context, &["run", "--quiet", "--", "demo"]) {
        Ok(()) if begin.elapsed() > LONGEST_DEMO => {
            Outcome::Failed(format!("took {:.1} s of {LONGEST_DEMO:?}", begin.elapsed().as_secs_f64()))
        }
        result => result.into(),
    }
}

fn licences(context: &mut Context) -> Outcome {
    if let Err(why) = prepare::tool(context, "cargo-deny", DENY) {
        return Outcome::Skipped(why);
    }
    process::cargo(context, &["deny", "--all-features", "check", "bans", "licenses", "sources"]).into()
}

fn vulnerabilities(context: &mut Context) -> Outcome {
    if let Err(why) = prepare::tool(context, "cargo-deny", DENY) {
        return Outcome::Skipped(why);
    }
    if let Err(why) = process::cargo(context, &["deny", "fetch", "db"]) {
        return Outcome::Skipped(format!("the advisory database cannot be fetched: {why}"));
    }
    process::cargo(context, &["deny", "--all-features", "check", "--disable-fetch", "advisories"]).into()
}

/// What `rust-version` promises.
fn minimum_rust(context: &mut Context) -> Outcome {
    let packages = match workspace::packages(context) {
        Ok(packages) => packages,
        Err(why) => return Outcome::Failed(why),
    };
    let Some(version) = packages.into_iter().find_map(|package| package.rust_version) else {
        return Outcome::Failed("no package states a rust-version".into());
    };
    if is_running(context, &version) {
        return Outcome::Done(format!("all of this ran with {version}"));
    }
    let toolchain = format!("+{version}");
    if !process::succeeds(context, "cargo", &[&toolchain, "--version"]) {
        let install = ["toolchain", "install", &version, "--profile", "minimal"];
        if let Err(why) = process::run_patiently(context, "rustup", &install) {
            return Outcome::Skipped(why);
        }
    }
    process::cargo(context, &[&toolchain, "check", "--quiet", "--workspace", "--all-features"]).into()
}

fn is_running(context: &Context, version: &str) -> bool {
    let running = process::output(context, "rustc", &["--version"]).unwrap_or_default();
    running.starts_with(&format!("rustc {version}."))
}

/// What the test harness says of each binary: counts, added up, and the names of tests that failed.
#[derive(Debug, Default, PartialEq, Eq)]
struct Results {
    passed: u64,
    failed: u64,
    ignored: u64,
    failures: BTreeSet<String>,
    /// Binaries that began and did not end: one that crashes names nobody.
    open: i64,
    in_list: bool,
}

impl Results {
    fn are_whole(&self) -> bool {
        self.open == 0
    }

    /// Takes `running 3 tests`, the indented list below `failures:`, and `test result: ok. 3 passed; 0 failed; 1 ignored; ...`.
    fn add(&mut self, line: &str) {
        match line.strip_prefix("    ") {
            Some(name) if self.in_list => _ = self.failures.insert(name.to_owned()),
            _ => self.in_list = line == "failures:",
        }
        self.count(line);
    }

    fn count(&mut self, line: &str) {
        if line.starts_with("running ") && (line.ends_with(" tests") || line.ends_with(" test")) {
            self.open += 1;
        }
        let Some((_, result)) = line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
        self.open -= 1;
        for part in result.split("; ") {
            let Some((number, what)) = part.split_once(' ') else { continue };
            let number = number.parse::<u64>().unwrap_or(0);
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }
}

impl std::fmt::Display for Results {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} passed, {} failed, {} ignored", self.passed, self.failed, self.ignored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_added_up() {
        let mut counts = Results::default();
        counts.add(
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s",
        );
        counts.add("test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s");
        assert_eq!((7, 2, 1), (counts.passed, counts.failed, counts.ignored));
    }

    #[test]
    fn failures_are_known_by_name_and_a_crash_by_what_is_missing() {
        let mut results = Results::default();
        for line in "running 2 tests\ntest a::b ... FAILED\n\nfailures:\n\n---- a::b stdout ----\n    not a name\n\n\n\
            failures:\n    a::b\n    src/lib.rs - c (line 3)\n\n    nor this\n\
            test result: FAILED. 0 passed; 2 failed; 0 ignored; 0 measured\nrunning 1 test"
            .lines()
        {
            results.add(line);
        }
        assert!(results.failures.iter().eq(["a::b", "src/lib.rs - c (line 3)"]), "{results:?}");
        assert!(!results.are_whole());
        results.add("test result: ok. 1 passed; 0 failed; 0 ignored");
        assert!(results.are_whole());
    }
}
