//! Steps, what can become of them, and the closing summary.

use std::time::{Duration, Instant};

use crate::context::Context;
use crate::skips;

/// One thing a command does. The name is what the summary prints and what `ci/allowed-skips.txt` refers to.
pub(crate) struct Step {
    name: String,
    run: Box<dyn FnOnce(&mut Context) -> Outcome>,
}

pub(crate) enum Outcome {
    /// Done, with a remark for the summary (often empty).
    Done(String),
    /// Not done, for a reason that is not this project's fault.
    Skipped(String),
    Failed(String),
}

impl Step {
    pub(crate) fn new(name: impl Into<String>, run: impl FnOnce(&mut Context) -> Outcome + 'static) -> Self {
        Self { name: name.into(), run: Box::new(run) }
    }
}

impl From<Result<(), String>> for Outcome {
    fn from(result: Result<(), String>) -> Self {
        match result {
            Ok(()) => Self::Done(String::new()),
            Err(why) => Self::Failed(why),
        }
    }
}

/// What a static check found; none is success.
impl From<Vec<String>> for Outcome {
    fn from(findings: Vec<String>) -> Self {
        if findings.is_empty() {
            return Self::Done(String::new());
        }
        for finding in &findings {
            println!("error: {finding}");
        }
        Self::Failed(format!("{} found, listed above", findings.len()))
    }
}

/// Runs every step, also after a failure, and prints the summary. True if nothing failed.
pub(crate) fn run_all(steps: Vec<Step>, context: &mut Context) -> bool {
    let allowed = match skips::read(context) {
        Ok(allowed) => allowed,
        Err(why) => {
            eprintln!("error: {why}");
            return false;
        }
    };
    let begin = Instant::now();
    let mut rows = Vec::new();
    for step in steps {
        println!("\n==> {}", step.name);
        let started = Instant::now();
        let outcome = judge((step.run)(context), &step.name, context.ci, &allowed);
        match &outcome {
            Outcome::Done(_) => {}
            Outcome::Skipped(why) => println!("*** SKIPPED {}: {why}", step.name),
            Outcome::Failed(why) => println!("*** FAILED {}: {why}", step.name),
        }
        rows.push((step.name, outcome, started.elapsed()));
    }
    summarize(&rows, begin.elapsed())
}

/// With CI=true a skip has to be allowed in writing.
fn judge(outcome: Outcome, name: &str, ci: bool, allowed: &[skips::Skip]) -> Outcome {
    match outcome {
        Outcome::Skipped(why) if ci => match allowed.iter().find(|skip| skip.step == name) {
            Some(skip) => Outcome::Skipped(format!("{why} (allowed: {})", skip.reason)),
            None => Outcome::Failed(format!("{why}; a skip with CI=true, and not in {}", skips::FILE)),
        },
        other => other,
    }
}

fn summarize(rows: &[(String, Outcome, Duration)], total: Duration) -> bool {
    let width = rows.iter().map(|(name, ..)| name.len()).max().unwrap_or(0);
    let (mut failed, mut skipped) = (0, 0);
    println!("\nSummary");
    for (name, outcome, time) in rows {
        let text = match outcome {
            Outcome::Done(remark) if remark.is_empty() => "ok".to_owned(),
            Outcome::Done(remark) => format!("ok, {remark}"),
            Outcome::Skipped(why) => {
                skipped += 1;
                format!("SKIPPED {why}")
            }
            Outcome::Failed(why) => {
                failed += 1;
                format!("FAILED {why}")
            }
        };
        println!("  {name:width$}  {:>6.1} s  {text}", time.as_secs_f64());
    }
    let done = rows.len() - failed - skipped;
    println!("{done} ok, {skipped} skipped, {failed} failed, in {:.0} s", total.as_secs_f64());
    failed == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skip_fails_in_ci_unless_it_is_allowed() {
        let allowed = [skips::Skip { step: "deny".into(), reason: "slow".into() }];
        let skip = || Outcome::Skipped("not there".into());
        assert!(matches!(judge(skip(), "broker", true, &allowed), Outcome::Failed(_)));
        assert!(matches!(judge(skip(), "deny", true, &allowed), Outcome::Skipped(_)));
        assert!(matches!(judge(skip(), "broker", false, &allowed), Outcome::Skipped(_)));
    }

    #[test]
    fn one_failure_fails_the_run_and_a_skip_does_not() {
        let row = |outcome| ("step".to_owned(), outcome, Duration::ZERO);
        assert!(summarize(
            &[row(Outcome::Done(String::new())), row(Outcome::Skipped("why".into()))],
            Duration::ZERO
        ));
        assert!(!summarize(
            &[row(Outcome::Failed("why".into())), row(Outcome::Done(String::new()))],
            Duration::ZERO
        ));
    }
}
