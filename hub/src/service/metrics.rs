//! Counters and gauges in the text format of Prometheus.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::Ordering::Relaxed;

use super::Board;
use super::watched::Watched;
use crate::ListenerCounts;
use crate::bridge::{DestinationCounts, PipeCounts, PipeMonitor, PipeState};

/// So many lines a metric has, and one for the others: they are added up, or of times the longest counts.
const LABELLED: usize = 1000;

/// How those are called that have no lines of their own.
const OTHERS: &str = "(others)";

/// A metric and its lines.
struct Family<'a> {
    out: &'a mut String,
    name: &'static str,
    lines: usize,
    others: Option<(String, f64)>,
}

impl<'a> Family<'a> {
    fn new(out: &'a mut String, name: &'static str, kind: &str, help: &str) -> Self {
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
        Self { out, name, lines: 0, others: None }
    }

    fn line(&mut self, labels: &[(&str, &str)], value: f64) {
        self.lines += 1;
        if self.lines > LABELLED {
            let others: Vec<(&str, &str)> = labels.iter().map(|(name, _)| (*name, OTHERS)).collect();
            let (_, whole) = self.others.get_or_insert_with(|| (written(&others), 0.0));
            *whole = if self.name.ends_with("_seconds") { whole.max(value) } else { *whole + value };
            return;
        }
        let _ = writeln!(self.out, "{}{} {value}", self.name, written(labels));
    }

    fn end(self) {
        if let Some((labels, whole)) = self.others {
            let _ = writeln!(self.out, "{}{labels} {whole}", self.name);
        }
    }
}

fn written(labels: &[(&str, &str)]) -> String {
    if labels.is_empty() {
        return String::new();
    }
    let escaped = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let labels: Vec<String> =
        labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
    format!("{{{}}}", labels.join(","))
}

/// Counters are exact up to 2^53, which is far.
#[allow(clippy::cast_precision_loss, reason = "see above")]
fn number(value: u64) -> f64 {
    value as f64
}

/// A metric that each of several things has: its name, its kind, what it is, and how it is read.
type Metric<T> = (&'static str, &'static str, &'static str, fn(&T) -> f64);

const CONNECTIONS: [Metric<Watched>; 10] = [
    ("packetboat_hub_connection_up", "gauge", "Whether the broker is connected.", |connection| {
        f64::from(u8::from(connection.client.is_connected()))
    }),
    (
        "packetboat_hub_connection_connects_total",
        "counter",
        "Connections the broker accepted.",
        |connection| number(connection.tally.connected.load(Relaxed)),
    ),
    ("packetboat_hub_connection_disconnects_total", "counter", "Connections that ended.", |connection| {
        number(connection.tally.disconnected.load(Relaxed))
    }),
    ("packetboat_hub_connection_failed_attempts_total", "counter", "Attempts that failed.", |connection| {
        number(connection.tally.failed.load(Relaxed))
    }),
    (
        "packetboat_hub_connection_sent_total",
        "counter",
        "Messages to the broker, again or not.",
        |connection| number(connection.tally.sent.load(Relaxed)),
    ),
    (
        "packetboat_hub_connection_received_total",
        "counter",
        "Messages from the broker, again or not.",
        |connection| number(connection.tally.received.load(Relaxed)),
    ),
    ("packetboat_hub_connection_lost_total", "counter", "Messages that were dropped.", |connection| {
        number(connection.tally.lost.load(Relaxed))
    }),
    ("packetboat_hub_connection_queued_messages", "gauge", "Messages that wait to be sent.", |connection| {
        number(connection.client.queue().messages as u64)
    }),
    (
        "packetboat_hub_connection_in_flight",
        "gauge",
        "Messages the broker has not confirmed.",
        |connection| number(connection.client.queue().in_flight as u64),
    ),
    (
        "packetboat_hub_connection_queue_age_seconds",
        "gauge",
        "How long the oldest has waited.",
        |connection| connection.client.queue_age().unwrap_or_default().as_secs_f64(),
    ),
];

const LISTENERS: [Metric<ListenerCounts>; 7] = [
    ("packetboat_hub_listener_calls_total", "counter", "Calls that began.", |counts| number(counts.called)),
    ("packetboat_hub_listener_panics_total", "counter", "Calls that panicked.", |counts| {
        number(counts.panicked)
    }),
    (
        "packetboat_hub_listener_dropped_total",
        "counter",
        "Messages dropped since too many waited.",
        |counts| number(counts.dropped),
    ),
    (
        "packetboat_hub_listener_acknowledged_early_total",
        "counter",
        "Messages acknowledged before their call.",
        |counts| number(counts.acknowledged_early),
    ),
    ("packetboat_hub_listener_refused_filters", "gauge", "Filters that brokers refuse it.", |counts| {
        number(counts.refused)
    }),
    ("packetboat_hub_listener_waiting", "gauge", "Messages in hand or waiting.", |counts| {
        number(counts.waiting)
    }),
    ("packetboat_hub_listener_lag_seconds", "gauge", "How long ago the first of them arrived.", |counts| {
        counts.lag.as_secs_f64()
    }),
];

const PIPES: [Metric<(PipeCounts, bool)>; 7] = [
    ("packetboat_hub_pipe_up", "gauge", "Whether the pipe's subscription stands.", |(_, is_up)| {
        f64::from(u8::from(*is_up))
    }),
    (
        "packetboat_hub_pipe_received_total",
        "counter",
        "Messages that came from the source.",
        |(counts, _)| number(counts.received),
    ),
    (
        "packetboat_hub_pipe_acknowledged_total",
        "counter",
        "Messages that all destinations have.",
        |(counts, _)| number(counts.acknowledged),
    ),
    ("packetboat_hub_pipe_bytes", "gauge", "Bytes of messages in it.", |(counts, _)| number(counts.bytes)),
    (
        "packetboat_hub_pipe_stale_total",
        "counter",
        "Those whose connection was gone: they come again.",
        |(counts, _)| number(counts.stale),
    ),
    (
        "packetboat_hub_pipe_loops_total",
        "counter",
        "Messages that had passed the pipe before.",
        |(counts, _)| number(counts.loops),
    ),
    (
        "packetboat_hub_pipe_other_total",
        "counter",
        "Messages whose topic is none of the filter's.",
        |(counts, _)| number(counts.other),
    ),
];

const DESTINATIONS: [Metric<DestinationCounts>; 6] = [
    ("packetboat_hub_destination_delivered_total", "counter", "Messages it confirmed.", |counts| {
        number(counts.delivered)
    }),
    ("packetboat_hub_destination_failures_total", "counter", "Attempts that failed.", |counts| {
        number(counts.failures)
    }),
    ("packetboat_hub_destination_dead_letters_total", "counter", "Messages that were given up.", |counts| {
        number(counts.dead)
    }),
    ("packetboat_hub_destination_echoes_total", "counter", "Messages that had come from there.", |counts| {
        number(counts.echoes)
    }),
    ("packetboat_hub_destination_waiting", "gauge", "Messages on the way to it.", |counts| {
        number(counts.waiting as u64)
    }),
    (
        "packetboat_hub_destination_lag_seconds",
        "gauge",
        "How long the first has been in the pipe.",
        |counts| counts.lag.as_secs_f64(),
    ),
];

pub(super) fn text(board: &Board) -> String {
    let mut out = String::new();
    let connections = board.connections();
    for (name, kind, help, read) in CONNECTIONS {
        let mut family = Family::new(&mut out, name, kind, help);
        for (id, connection) in &*connections {
            family.line(&[("connection", id)], read(connection));
        }
        family.end();
    }
    drop(connections);
    let listeners = board.hub.listener_counts();
    for (name, kind, help, read) in LISTENERS {
        let mut family = Family::new(&mut out, name, kind, help);
        for (listener, counts) in &listeners {
            family.line(&[("listener", listener)], read(counts));
        }
        family.end();
    }
    of_pipes(&mut out, board);
    let help = "Configurations that were read again.";
    let mut reloads = Family::new(&mut out, "packetboat_hub_reloads_total", "counter", help);
    reloads.line(&[("result", "applied")], number(board.reloads.load(Relaxed)));
    reloads.line(&[("result", "refused")], number(board.refused_reloads.load(Relaxed)));
    reloads.end();
    out
}

fn of_pipes(out: &mut String, board: &Board) {
    let pipes = board.pipes().clone();
    let look = |pipe: &PipeMonitor| {
        (pipe.counts(), pipe.state() == PipeState::Running && pipe.client().is_connected())
    };
    let pipes: Vec<(String, (PipeCounts, bool))> =
        pipes.into_iter().map(|(name, pipe)| (name, look(&pipe))).collect();
    for (name, kind, help, read) in PIPES {
        let mut family = Family::new(out, name, kind, help);
        for (pipe, counts) in &pipes {
            family.line(&[("pipe", pipe)], read(counts));
        }
        family.end();
    }
    for (name, kind, help, read) in DESTINATIONS {
        let mut family = Family::new(out, name, kind, help);
        for (pipe, (counts, _)) in &pipes {
            // One target may be there several times, and lines must not be the same.
            let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
            for destination in &counts.destinations {
                let times = seen.entry(&destination.name).or_default();
                *times += 1;
                let label = match *times {
                    1 => destination.name.clone(),
                    times => format!("{}#{times}", destination.name),
                };
                family.line(&[("pipe", pipe), ("destination", &label)], read(destination));
            }
        }
        family.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_times_the_longest_counts() {
        let mut out = String::new();
        let mut family = Family::new(&mut out, "lag_seconds", "gauge", "Help.");
        for lag in 0..LABELLED + 5 {
            family.line(&[("a", "y")], number(lag as u64));
        }
        family.end();
        assert!(out.ends_with("lag_seconds{a=\"(others)\"} 1004\n"), "{}", &out[out.len() - 40..]);
    }

    #[test]
    fn lines_are_escaped_and_bounded() {
        let mut out = String::new();
        let mut family = Family::new(&mut out, "m", "gauge", "Help.");
        family.line(&[("a", "x\"\\\n")], 1.5);
        for _ in 0..LABELLED + 5 {
            family.line(&[("a", "y")], 2.0);
        }
        family.end();
        assert!(out.starts_with("# HELP m Help.\n# TYPE m gauge\nm{a=\"x\\\"\\\\\\n\"} 1.5\n"), "{out}");
        assert_eq!(out.lines().count(), 2 + LABELLED + 1);
        assert!(out.ends_with("m{a=\"(others)\"} 12\n"), "{}", &out[out.len() - 40..]);
    }
}
