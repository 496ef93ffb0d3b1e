//! Figures for people and for programs.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Value, json};

use crate::job::{Error, Runtime, Workload};
use crate::measure::Measured;
use crate::peers::{self, OURS, RAW};
use crate::run::{Contender, Results};
use crate::setting::Setting;

/// Says how far the run is, on standard error.
pub fn progress(
    round: usize,
    rounds: usize,
    setting: &Setting,
    contender: &Contender,
    measured: &Result<Measured, String>,
) {
    let outcome = match measured {
        Ok(measured) => format!("{}/s", short(measured.rate())),
        Err(error) => format!("failed: {error}"),
    };
    eprintln!("{}/{rounds} {} {}: {outcome}", round + 1, title(setting), name(contender));
}

pub fn print(results: &Results) {
    for (setting, contenders) in results {
        println!("\n{}", title(setting));
        let rows: BTreeMap<&Contender, Summary> = contenders
            .iter()
            .filter_map(|(contender, runs)| Some((contender, Summary::of(setting.workload, runs)?)))
            .collect();
        for (contender, runs) in contenders {
            match rows.get(contender) {
                Some(summary) => println!("{}", row(setting, contender, summary, &rows)),
                None => println!("  {:24} {}", name(contender), failure(runs)),
            }
        }
    }
}

pub fn json(results: &Results) -> Result<String, Error> {
    let settings: Vec<Value> = results
        .iter()
        .map(|(setting, contenders)| {
            let contenders: Vec<Value> = contenders
                .iter()
                .map(|((peer, runtime), runs)| {
                    json!({
                        "peer": peer,
                        "version": peers::named(peer).map(|peer| peer.version),
                        "runtime": runtime.to_string(),
                        "runs": runs.iter().map(run).collect::<Vec<_>>(),
                    })
                })
                .collect();
            json!({
                "workload": setting.workload.to_string(),
                "window": setting.window,
                "payload": setting.payload,
                "size": setting.size,
                "tls": setting.tls,
                "contenders": contenders,
            })
        })
        .collect();
    Ok(serde_json::to_string_pretty(&settings)?)
}

fn run(run: &Result<Measured, String>) -> Value {
    match run {
        Ok(measured) => json!({
            "messages": measured.messages,
            "nanos": measured.nanos,
            "rate": measured.rate(),
            "cpu_nanos": measured.cpu_nanos,
            "sink_read_size": measured.read_size,
            "resident": measured.resident,
            "latency_nanos": measured.latency,
            "more": measured.more.iter().cloned().collect::<BTreeMap<String, f64>>(),
        }),
        Err(error) => json!({ "error": error }),
    }
}

/// Medians over the rounds.
pub struct Summary {
    /// What is compared: messages per second, nanoseconds, or bytes.
    pub value: f64,
    pub lowest: f64,
    pub highest: f64,
    cpu_nanos: f64,
    read_size: f64,
    pub latency: [f64; 3],
    pub more: Vec<(String, f64)>,
}

impl Summary {
    pub fn of(workload: Workload, runs: &[Result<Measured, String>]) -> Option<Self> {
        let of = |value: &dyn Fn(&Measured) -> f64| {
            let mut values: Vec<f64> = runs.iter().flatten().map(value).collect();
            values.sort_by(f64::total_cmp);
            values
        };
        let values = of(&|measured| match workload {
            Workload::RoundTrip(_) => measured.latency[0] as f64,
            Workload::Idle(_) => measured.resident as f64 / measured.messages.max(1) as f64,
            _ => measured.rate(),
        });
        Some(Self {
            lowest: *values.first()?,
            highest: *values.last()?,
            value: median(&values)?,
            cpu_nanos: median(&of(&|measured| measured.cpu_nanos as f64 / measured.messages.max(1) as f64))?,
            read_size: median(&of(&|measured| measured.read_size as f64))?,
            latency: [0, 1, 2]
                .map(|part| median(&of(&|measured| measured.latency[part] as f64)).unwrap_or(0.0)),
            more: Self::more(runs),
        })
    }
}

impl Summary {
    fn more(runs: &[Result<Measured, String>]) -> Vec<(String, f64)> {
        let Some(first) = runs.iter().flatten().next() else { return Vec::new() };
        let middle = |index: usize| {
            let values = runs.iter().flatten().filter_map(|run| run.more.get(index));
            let mut values: Vec<f64> = values.map(|(_, value)| *value).collect();
            values.sort_by(f64::total_cmp);
            median(&values).unwrap_or(0.0)
        };
        first.more.iter().enumerate().map(|(index, (name, _))| (name.clone(), middle(index))).collect()
    }
}

fn median(sorted: &[f64]) -> Option<f64> {
    let middle = sorted.len() / 2;
    Some(if sorted.len() % 2 == 1 {
        sorted[middle]
    } else {
        f64::midpoint(*sorted.get(middle.checked_sub(1)?)?, sorted[middle])
    })
}

fn row(
    setting: &Setting,
    contender: &Contender,
    summary: &Summary,
    rows: &BTreeMap<&Contender, Summary>,
) -> String {
    let ratio = |other: &Contender| rows.get(other).map(|other| summary.value / other.value);
    let mut text = match setting.workload {
        Workload::RoundTrip(_) => {
            let [p50, p99, p999] = summary.latency.map(|nanos| nanos / 1e3);
            format!("  {:24} p50 {p50:>7.1} us  p99 {p99:>7.1} us  p99.9 {p999:>7.1} us", name(contender))
        }
        Workload::Idle(_) => format!(
            "  {:24} {:>9.0} B  ({:.0} to {:.0})",
            name(contender),
            summary.value,
            summary.lowest,
            summary.highest
        ),
        _ => format!(
            "  {:24} {:>9}/s  ({} to {})  {:>6.0} ns CPU",
            name(contender),
            short(summary.value),
            short(summary.lowest),
            short(summary.highest),
            summary.cpu_nanos,
        ),
    };
    for (name, value) in &summary.more {
        let _ = write!(text, "  {name} {}", short(*value));
    }
    if let Some(ratio) = ratio(&(RAW, Runtime::Blocking)).filter(|_| contender.0 != RAW) {
        let _ = write!(text, "  {ratio:>6.2} x raw");
    }
    if contender.0 == OURS {
        let others = rows.keys().filter(|other| other.0 != RAW && other.0 != OURS && other.1 == contender.1);
        for other in others {
            let _ = write!(text, "  {:.2} x {}", ratio(other).unwrap_or(0.0), other.0);
        }
    }
    if matches!(setting.workload, Workload::Publish(_)) {
        let _ = write!(text, "  {:>6.0} B/read", summary.read_size);
    }
    text
}

fn failure(runs: &[Result<Measured, String>]) -> String {
    let mut errors = runs.iter().filter_map(|run| run.as_ref().err());
    format!("failed: {}", errors.next().cloned().unwrap_or_default())
}

fn title(setting: &Setting) -> String {
    let mut title = setting.workload.to_string();
    if setting.window > 0 {
        let _ = write!(title, ", window {}", setting.window);
    }
    if setting.size > 0 {
        let _ = write!(title, ", {}", setting.size);
    }
    if !matches!(setting.workload, Workload::Idle(_)) {
        let _ = write!(title, ", {} B", setting.payload);
    }
    if setting.tls {
        title.push_str(", TLS");
    }
    title
}

fn name((peer, runtime): &Contender) -> String {
    if *runtime == Runtime::Blocking { (*peer).into() } else { format!("{peer} {runtime}") }
}

/// `1.23 M`, `45.6 k`.
pub fn short(value: f64) -> String {
    match value {
        _ if value >= 1e7 => format!("{:.1} M", value / 1e6),
        _ if value >= 1e6 => format!("{:.2} M", value / 1e6),
        _ if value >= 1e3 => format!("{:.0} k", value / 1e3),
        _ => format!("{value:.0}"),
    }
}
