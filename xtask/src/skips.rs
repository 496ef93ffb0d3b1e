//! `ci/allowed-skips.txt`: the steps that may be skipped with CI=true, each with its reason.

use std::fs;

use crate::context::Context;

pub(crate) const FILE: &str = "ci/allowed-skips.txt";

pub(crate) struct Skip {
    pub(crate) step: String,
    pub(crate) reason: String,
}

pub(crate) fn read(context: &Context) -> Result<Vec<Skip>, String> {
    let text = fs::read_to_string(context.root.join(FILE)).map_err(|error| format!("{FILE}: {error}"))?;
    parse(&text)
}

/// One `step: reason` per line; empty lines and lines with `#` in front say nothing.
fn parse(text: &str) -> Result<Vec<Skip>, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| match line.split_once(':') {
            Some((step, reason)) if !reason.trim().is_empty() => {
                Ok(Skip { step: step.trim().to_owned(), reason: reason.trim().to_owned() })
            }
            _ => Err(format!("{FILE}: `{line}` has no reason; write `step: reason`")),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_needs_a_reason() {
        let skips = parse("# comment\n\nlicences: takes long\n").unwrap();
        assert_eq!(("licences", "takes long"), (skips[0].step.as_str(), skips[0].reason.as_str()));
        assert!(parse("licences").is_err());
        assert!(parse("licences: ").is_err());
    }
}
