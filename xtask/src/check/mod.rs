//! `cargo xtask check`: what a program can judge about the source.

mod arrows;
mod fence;
mod house;
mod items;
mod lengths;
mod links;
mod lints;
mod lists;
mod names;
pub(crate) mod source;
mod starts;

use std::path::Path;

use crate::context::Context;
use crate::extra;
use crate::process;
use crate::spec;
use crate::step::{Outcome, Step};
use crate::workspace;

/// Quick ones first.
pub(crate) fn steps() -> Vec<Step> {
    vec![
        Step::new("format", |context| format(context).into()),
        Step::new("arrows", |context| match workspace::packages(context) {
            Ok(packages) => arrows::violations(&packages).into(),
            Err(why) => Outcome::Failed(why),
        }),
        Step::new("version fence", |context| over_sources(context, fence::violations)),
        Step::new("house rules", |context| over_sources(context, house::violations)),
        Step::new("lengths", lengths),
        Step::new("statements", spec::check),
        Step::new("lists", |context| match lists::violations(&context.root) {
            Ok(findings) => findings.into(),
            Err(why) => Outcome::Failed(why),
        }),
        Step::new("links", |context| match links::violations(&context.root) {
            Ok(findings) => findings.into(),
            Err(why) => Outcome::Failed(why),
        }),
        Step::new("names in guides", |context| over_items(context, names::violations)),
        Step::new("examples of starts", |context| {
            over_items(context, |_, items| Ok(starts::violations(items)))
        }),
        Step::new("clippy", lints::clippy),
        Step::new("rustdoc", lints::rustdoc),
    ]
}

/// The workspace, and the crates outside it.
fn format(context: &Context) -> Result<(), String> {
    process::cargo(context, &["fmt", "--all", "--check"])?;
    for manifest in extra::manifests(context) {
        process::cargo(context, &["fmt", "--manifest-path", manifest, "--check"])?;
    }
    Ok(())
}

fn over_sources(context: &Context, violations: impl Fn(&[source::Source]) -> Vec<String>) -> Outcome {
    match source::read_all(&context.root) {
        Ok(sources) => violations(&sources).into(),
        Err(why) => Outcome::Failed(why),
    }
}

fn over_items(
    context: &Context,
    violations: impl Fn(&Path, &items::Items) -> Result<Vec<String>, String>,
) -> Outcome {
    let sources = source::read_all(&context.root);
    match sources.and_then(|sources| violations(&context.root, &items::Items::of(&sources))) {
        Ok(findings) => findings.into(),
        Err(why) => Outcome::Failed(why),
    }
}

fn lengths(context: &mut Context) -> Outcome {
    match lengths::read_exceptions(&context.root) {
        Ok(exceptions) => over_sources(context, |sources| lengths::violations(sources, &exceptions)),
        Err(why) => Outcome::Failed(why),
    }
}
