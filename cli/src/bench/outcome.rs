//! What came of it, in words and as JSON.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::time::Duration;

use packetboat::State;
use serde_json::{Value, json};

use super::Board;
use super::histogram::Histogram;
use super::listen::Heard;
use super::load::Sent;
use super::machine::{Load, SHORTEST};
use crate::arguments::Bench;
use crate::failure::Failure;
use crate::report::version_name;

/// From here on the machine is said to have been at its limit.
const BUSY: f64 = 0.9;

#[derive(Debug)]
pub(super) struct Outcome {
    server: String,
    version: &'static str,
    publishers: u32,
    subscribers: u64,
    rate: Option<f64>,
    sizes: Vec<usize>,
    qos: u8,
    stopped: bool,
    /// Of publishing.
    took: Duration,
    begun: u64,
    sent: Sent,
    heard: Heard,
    /// Of all subscribers together, those that should have come.
    expected: u64,
    pub(super) cuts: usize,
    pub(super) load: Option<Load>,
}

impl Outcome {
    pub(super) fn new(arguments: &Bench, board: &Board, stopped: bool, state: &State, level: u8) -> Self {
        let server = match state {
            State::Connected(connected) => connected.server.to_string(),
            _ => "a broker that is gone".into(),
        };
        let limit = if stopped { board.elapsed() } else { board.time };
        Self {
            server,
            version: version_name(level),
            publishers: arguments.publishers,
            subscribers: 0,
            rate: arguments.rate,
            sizes: arguments.size.clone(),
            qos: arguments.qos as u8,
            stopped,
            took: board.elapsed().min(limit),
            begun: board.begun().min(board.count),
            sent: Sent::default(),
            heard: Heard::default(),
            expected: 0,
            cuts: 0,
            load: None,
        }
    }

    pub(super) fn take_sent(&mut self, sent: &Sent) {
        self.sent = sent.clone();
    }

    pub(super) fn take_heard(&mut self, heard: &Heard) {
        self.subscribers += 1;
        self.expected += self.sent.confirmed;
        self.heard.messages += heard.messages;
        self.heard.twice += heard.twice;
        self.heard.foreign += heard.foreign;
        self.heard.latency.merge(&heard.latency);
    }

    /// Confirmed to us, and not arrived. What is not confirmed may have arrived all the same.
    fn lost(&self) -> u64 {
        self.expected.saturating_sub(self.heard.messages)
    }

    fn unconfirmed(&self) -> u64 {
        self.sent.accepted.saturating_sub(self.sent.settled)
    }

    pub(super) fn is_complete(&self) -> bool {
        self.lost() == 0 && self.sent.failed == 0 && self.unconfirmed() == 0 && self.sent.accepted > 0
    }

    /// Of a rate that was asked for, how much of it there was.
    fn kept(&self) -> Option<f64> {
        let due = self.rate? * self.took.as_secs_f64();
        Some(count(self.sent.accepted) / due.max(1.0).ceil())
    }

    fn per_second(&self, messages: u64) -> f64 {
        count(messages) / self.took.as_secs_f64().max(1e-3)
    }

    /// What limits what these figures say, the heaviest first.
    fn caveats(&self) -> Vec<String> {
        let mut caveats = Vec::new();
        if self.stopped {
            caveats.push("it was stopped before its end".into());
        }
        if self.took < SHORTEST {
            caveats
                .push("it was too short to know how busy the machine was, and for figures to rest on".into());
        } else {
            match self.load {
                None => caveats.push("how busy this machine was is not known here".into()),
                Some(load) if load.busy >= BUSY => caveats.push(format!(
                    "this machine was at its limit ({} busy, {} with this program): it measured itself as much as \
                     the broker",
                    percent(load.busy),
                    percent(load.own)
                )),
                Some(_) => {}
            }
        }
        if let Some(kept) = self.kept().filter(|kept| *kept < 0.99) {
            caveats.push(format!("the rate was not reached: only {} of it", percent(kept)));
        }
        let late = self.sent.late.per_mille(990).unwrap_or_default();
        let middle = self.heard.latency.per_mille(500).or(self.sent.acknowledged.per_mille(500));
        if self.rate.is_some() && middle.is_some_and(|middle| late * 2 > middle) {
            caveats.push(format!(
                "times are as long as they are in part because sending was late (p99 {}): this program got no \
                 processor in time, or there was no room for the message",
                time(late)
            ));
        }
        if self.rate.is_none() {
            caveats.push("without --rate, times are those of a queue that is always full".into());
        }
        if is_near(&self.server) {
            caveats.push("the broker shares this machine's processors".into());
        }
        if self.cuts > 0 {
            caveats.push(format!("{} times a connection was lost and made anew", self.cuts));
        }
        caveats
    }

    pub(super) fn write(&self, as_json: bool) -> Result<(), Failure> {
        let text = if as_json { format!("{:#}\n", self.json()) } else { self.text() };
        let mut stdout = io::stdout().lock();
        stdout
            .write_all(text.as_bytes())
            .and_then(|()| stdout.flush())
            .map_err(|error| Failure::output(&error))
    }

    fn text(&self) -> String {
        let mut out = String::new();
        let sizes: Vec<String> = self.sizes.iter().map(usize::to_string).collect();
        let rate =
            self.rate.map_or("as many messages as get through".into(), |rate| format!("{rate} messages/s"));
        let mut line = |name: &str, text: String| {
            let _ = writeln!(out, "{name:11}{text}");
        };
        line("broker", format!("{}, MQTT {}", self.server, self.version));
        let (publishers, subscribers) = (self.publishers, self.subscribers);
        line(
            "load",
            format!(
                "{publishers} publishers, {subscribers} subscribers, QoS {}, {} bytes, {rate}, for {:.1} s",
                self.qos,
                sizes.join(" and "),
                self.took.as_secs_f64()
            ),
        );
        let sent = &self.sent;
        let megabytes = count(sent.bytes) / 1e6 / self.took.as_secs_f64().max(1e-3);
        let per_second = self.per_second(sent.accepted);
        line(
            "sent",
            format!("{} messages, {per_second:.0}/s, {megabytes:.2} MB/s of payload", sent.accepted),
        );
        let confirmed = if self.qos == 0 { "written" } else { "confirmed" };
        line(confirmed, format!("{} messages; {}", sent.confirmed, times(&sent.acknowledged)));
        if subscribers > 0 {
            let heard = &self.heard;
            let per_second = self.per_second(heard.messages);
            line(
                "received",
                format!(
                    "{} of {} messages, {per_second:.0}/s; {}",
                    heard.messages,
                    self.expected,
                    times(&heard.latency)
                ),
            );
        }
        line(
            "lost",
            format!(
                "{} messages; {} twice, {} failed, {} unconfirmed",
                self.lost(),
                self.heard.twice,
                sent.failed,
                self.unconfirmed()
            ),
        );
        self.explain(&mut line);
        out
    }

    /// What the figures mean, and what to mind.
    fn explain(&self, line: &mut impl FnMut(&str, String)) {
        let sent = &self.sent;
        if let Some(why) = &sent.first_failure {
            line("", format!("the first failure: {why}"));
        }
        if self.rate.is_some() {
            line("times", "from when a message was due, so that a wait of the sender counts".into());
            line("plan", format!("messages were begun with late by {}", times(&sent.late)));
        } else {
            line("times", "from when a message was handed over".into());
        }
        if let Some(load) = self.load.filter(|_| self.took >= SHORTEST) {
            line("machine", format!("{} busy, {} with this program", percent(load.busy), percent(load.own)));
        }
        for caveat in self.caveats() {
            line("beware", caveat);
        }
    }

    fn json(&self) -> Value {
        let sent = &self.sent;
        json!({
            "broker": self.server,
            "version": self.version,
            "publishers": self.publishers,
            "subscribers": self.subscribers,
            "qos": self.qos,
            "sizes": self.sizes,
            "rate": self.rate,
            "seconds": self.took.as_secs_f64(),
            "stopped": self.stopped,
            "begun": self.begun,
            "sent": sent.accepted,
            "sent_per_second": self.per_second(sent.accepted),
            "payload_bytes": sent.bytes,
            "confirmed": sent.confirmed,
            "failed": sent.failed,
            "first_failure": sent.first_failure,
            "unconfirmed": self.unconfirmed(),
            "expected": self.expected,
            "received": self.heard.messages,
            "received_per_second": self.per_second(self.heard.messages),
            "lost": self.lost(),
            "twice": self.heard.twice,
            "foreign": self.heard.foreign,
            "connections_lost": self.cuts,
            "acknowledgement_seconds": seconds(&sent.acknowledged),
            "latency_seconds": seconds(&self.heard.latency),
            "late_seconds": self.rate.map(|_| seconds(&sent.late)),
            "times_from": if self.rate.is_some() { "due" } else { "handed over" },
            "machine_busy": self.load.map(|load| load.busy),
            "machine_busy_with_this_program": self.load.map(|load| load.own),
            "caveats": self.caveats(),
        })
    }
}

/// Is it this machine, as far as its address tells?
fn is_near(server: &str) -> bool {
    let place = server.split_once("://").map_or(server, |(_, place)| place);
    server.starts_with("unix://") || ["localhost", "127.", "[::1]"].iter().any(|near| place.starts_with(near))
}

#[allow(clippy::cast_precision_loss, reason = "figures for people")]
fn count(number: u64) -> f64 {
    number as f64
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

fn times(histogram: &Histogram) -> String {
    match (histogram.per_mille(500), histogram.per_mille(990)) {
        (Some(half), Some(most)) => {
            format!("p50 {}, p99 {}, max {}", time(half), time(most), time(histogram.longest()))
        }
        _ => "no times".into(),
    }
}

fn time(time: Duration) -> String {
    let milliseconds = time.as_secs_f64() * 1e3;
    if milliseconds < 10.0 { format!("{milliseconds:.3} ms") } else { format!("{milliseconds:.1} ms") }
}

fn seconds(histogram: &Histogram) -> Value {
    let share = |share| histogram.per_mille(share).map(|time| time.as_secs_f64());
    json!({
        "count": histogram.total(),
        "p50": share(500),
        "p90": share(900),
        "p99": share(990),
        "p99.9": share(999),
        "max": (histogram.total() > 0).then(|| histogram.longest().as_secs_f64()),
    })
}
