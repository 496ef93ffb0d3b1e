//! `cargo xtask test`: everything a change has to pass, and with `--full` what takes longer.

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

const LONGEST_DEMO: Duration = Duration::from_secs(10);

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

fn tests(context: &Context, packages: &[&str]) -> Outcome {
    let arguments = [&["test", "--all-features", "--no-fail-fast"], packages].concat();
    let mut counts = Counts::default();
    match process::run_watched(context, "cargo", &arguments, |line| counts.add(line)) {
        Ok(()) => Outcome::Done(counts.to_string()),
        Err(why) => Outcome::Failed(format!("{counts}; {why}")),
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
        Ok(()) if begin.elapsed() > LONGEST_DEMO => Outcome::Failed(format!(
            "took {:.1} s, promised are {LONGEST_DEMO:?}",
            begin.elapsed().as_secs_f64()
        )),
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
        if let Err(why) = process::run(context, "rustup", &install) {
            return Outcome::Skipped(why);
        }
    }
    process::cargo(context, &[&toolchain, "check", "--quiet", "--workspace", "--all-features"]).into()
}

fn is_running(context: &Context, version: &str) -> bool {
    let running = process::output(context, "rustc", &["--version"]).unwrap_or_default();
    running.starts_with(&format!("rustc {version}."))
}

/// What the test harness says at the end of each binary, added up.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Counts {
    /// Takes `test result: ok. 3 passed; 0 failed; 1 ignored; ...` and leaves every other line.
    fn add(&mut self, line: &str) {
        let Some((_, result)) = line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
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

impl std::fmt::Display for Counts {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} passed, {} failed, {} ignored", self.passed, self.failed, self.ignored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_added_up() {
        let mut counts = Counts::default();
        counts.add("running 3 tests");
        counts.add(
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s",
        );
        counts.add("test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s");
        assert_eq!(Counts { passed: 7, failed: 2, ignored: 1 }, counts);
    }
}
