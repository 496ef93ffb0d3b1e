//! The crates outside the workspace: benchmark and fuzz targets.

use crate::context::Context;
use crate::prepare;
use crate::process;
use crate::step::{Outcome, Step};

/// A fixed version: a new one may want a newer compiler.
const FUZZ: &str = "0.13.2";

const SECONDS_OF_A_SMOKE_RUN: &str = "20";

const MANIFESTS: [&str; 2] = ["bench/Cargo.toml", "fuzz/Cargo.toml"];

pub(crate) fn manifests(context: &Context) -> impl Iterator<Item = &'static str> {
    MANIFESTS.into_iter().filter(|manifest| context.root.join(manifest).exists())
}

/// What `check` does for the workspace; these two take long to build.
pub(crate) fn clippy(context: &mut Context) -> Outcome {
    let run = |manifest| {
        let arguments =
            ["clippy", "--quiet", "--no-deps", "--manifest-path", manifest, "--", "-D", "warnings"];
        process::cargo(context, &arguments)
    };
    manifests(context).try_for_each(run).into()
}

pub(crate) fn bench_steps(arguments: &[&str]) -> Vec<Step> {
    let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
    vec![Step::new("bench", move |context| {
        bench(context, &arguments.iter().map(String::as_str).collect::<Vec<_>>())
    })]
}

pub(crate) fn bench(context: &Context, arguments: &[&str]) -> Outcome {
    if !context.root.join("bench/Cargo.toml").exists() {
        return Outcome::Skipped("there is no bench/ yet".into());
    }
    let run = ["run", "--release", "--quiet", "--manifest-path", "bench/Cargo.toml", "--"];
    process::cargo(context, &[&run, arguments].concat()).into()
}

const BUDGETS: &str = "ci/instruction-budgets.txt";

/// What a message costs, against committed budgets. Built without peers, since only Packetboat is counted.
pub(crate) fn budgets(context: &mut Context) -> Outcome {
    if let Err(why) = prepare::valgrind(context) {
        return Outcome::Skipped(format!("no valgrind, so nobody counts what a message costs: {why}"));
    }
    let manifest = ["--manifest-path", "bench/Cargo.toml", "--no-default-features"];
    let run = [&["run", "--release", "--quiet"], &manifest[..], &["--", "guard", BUDGETS]].concat();
    process::cargo(context, &run).into()
}

pub(crate) fn fuzz_steps(target: &str, seconds: &str) -> Vec<Step> {
    let (target, seconds) = (target.to_owned(), seconds.to_owned());
    vec![Step::new(format!("fuzz {target}"), move |context| match prepare_fuzzing(context) {
        Ok(()) => fuzz(context, &target, &seconds).into(),
        Err(outcome) => outcome,
    })]
}

/// Each target for a moment: that it builds, runs, and finds nothing easy.
pub(crate) fn fuzz_smoke(context: &mut Context) -> Outcome {
    if let Err(outcome) = prepare_fuzzing(context) {
        return outcome;
    }
    let targets = match process::output(context, "cargo", &["+nightly", "fuzz", "list"]) {
        Ok(targets) => targets,
        Err(why) => return Outcome::Failed(why),
    };
    for target in targets.split_whitespace() {
        if let Err(why) = fuzz(context, target, SECONDS_OF_A_SMOKE_RUN) {
            return Outcome::Failed(why);
        }
    }
    Outcome::Done(format!("{} targets", targets.split_whitespace().count()))
}

/// The toolchain and the tool, or why there is none.
fn prepare_fuzzing(context: &mut Context) -> Result<(), Outcome> {
    if !context.root.join("fuzz/Cargo.toml").exists() {
        return Err(Outcome::Skipped("there is no fuzz/ yet".into()));
    }
    if !process::succeeds(context, "cargo", &["+nightly", "--version"]) {
        return Err(Outcome::Skipped("no nightly toolchain (rustup toolchain install nightly)".into()));
    }
    if process::find(context, "c++").is_none() {
        // libFuzzer is C++.
        prepare::debian_packages(context, &["g++"]).map_err(Outcome::Skipped)?;
    }
    prepare::tool(context, "cargo-fuzz", FUZZ).map_err(Outcome::Skipped)
}

fn fuzz(context: &Context, target: &str, seconds: &str) -> Result<(), String> {
    let limit = format!("-max_total_time={seconds}");
    process::cargo(context, &["+nightly", "fuzz", "run", target, "--", &limit])
}
