//! What was found, beside what the broker says of itself.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// How a claim and what was found go together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    /// It works, and nothing else was claimed.
    Works,
    /// It does not, and nothing else was claimed.
    Missing,
    /// The broker claims one thing and does another.
    Differs,
    /// It could not be tried.
    Unknown,
}

impl Verdict {
    fn name(self) -> &'static str {
        match self {
            Self::Works => "works",
            Self::Missing => "missing",
            Self::Differs => "differs",
            Self::Unknown => "unknown",
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub(super) version: &'static str,
    pub(super) name: &'static str,
    /// What the broker says; nothing where it has no way to say it.
    pub(super) claim: Option<String>,
    pub(super) found: String,
    pub(super) verdict: Verdict,
}

impl Finding {
    /// Something that is there or not.
    pub(super) fn of(
        name: &'static str,
        claim: Option<bool>,
        works: bool,
        detail: impl Into<String>,
    ) -> Self {
        let yes_or_no = |yes: bool| if yes { "yes" } else { "no" };
        let detail = detail.into();
        let verdict = match (claim, works) {
            (Some(claim), works) if claim != works => Verdict::Differs,
            (_, true) => Verdict::Works,
            (_, false) => Verdict::Missing,
        };
        let found = if detail.is_empty() {
            yes_or_no(works).to_owned()
        } else {
            format!("{}: {detail}", yes_or_no(works))
        };
        Self { version: "", name, claim: claim.map(|claim| yes_or_no(claim).to_owned()), found, verdict }
    }

    /// Something with a number to it.
    pub(super) fn measured(
        name: &'static str,
        claim: Option<String>,
        found: impl Into<String>,
        verdict: Verdict,
    ) -> Self {
        Self { version: "", name, claim, found: found.into(), verdict }
    }

    pub(super) fn unknown(name: &'static str, claim: Option<String>, why: impl Into<String>) -> Self {
        Self::measured(name, claim, format!("not tried: {}", why.into()), Verdict::Unknown)
    }

    fn json(&self) -> Value {
        json!({
            "version": self.version,
            "name": self.name,
            "claim": self.claim,
            "found": self.found,
            "verdict": self.verdict.name(),
        })
    }
}

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Chart {
    pub(super) broker: String,
    /// What was measured, in words and seconds.
    pub(super) times: Vec<(&'static str, f64)>,
    pub(super) tls: Option<Value>,
    pub(super) tls_lines: Vec<String>,
    pub(super) findings: Vec<Finding>,
    /// What could not be taken away again.
    pub(super) left_behind: Vec<String>,
}

impl Chart {
    pub(super) fn add(&mut self, version: &'static str, findings: impl IntoIterator<Item = Finding>) {
        self.findings.extend(findings.into_iter().map(|finding| Finding { version, ..finding }));
    }

    pub(super) fn differences(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.verdict == Verdict::Differs)
    }

    pub(super) fn text(&self) -> String {
        let mut out = format!("broker  {}\n", self.broker);
        for line in &self.tls_lines {
            let _ = writeln!(out, "TLS     {line}");
        }
        for (name, seconds) in &self.times {
            let _ = writeln!(out, "time    {:.3} ms {name}", seconds * 1e3);
        }
        let _ = writeln!(out, "\n{:6} {:26} {:12} found", "MQTT", "what", "claim");
        for finding in &self.findings {
            let mark = if finding.verdict == Verdict::Differs { "DIFFERS: " } else { "" };
            let claim = finding.claim.as_deref().unwrap_or("-");
            let _ =
                writeln!(out, "{:6} {:26} {claim:12} {mark}{}", finding.version, finding.name, finding.found);
        }
        let differ = self.differences().count();
        let _ = match differ {
            0 => writeln!(out, "\nThe broker does what it says, as far as it was tried."),
            1 => writeln!(out, "\nIn one thing the broker does something else than it says."),
            _ => writeln!(out, "\nIn {differ} things the broker does something else than it says."),
        };
        for what in &self.left_behind {
            let _ = writeln!(out, "Left behind: {what}");
        }
        out
    }

    pub(super) fn json(&self) -> Value {
        let times: serde_json::Map<String, Value> =
            self.times.iter().map(|(name, seconds)| ((*name).to_owned(), json!(seconds))).collect();
        json!({
            "broker": self.broker,
            "tls": self.tls,
            "seconds": times,
            "findings": self.findings.iter().map(Finding::json).collect::<Vec<_>>(),
            "differences": self.differences().count(),
            "left_behind": self.left_behind,
        })
    }
}
