//! The demonstration as one reads it.

use std::fmt::{Arguments, Display};
use std::io::Write;

use anstyle::{AnsiColor, Style};
use packetboat::QoS;
use tokio::time::Instant;

use super::tally::{Check, QOS, Row};

const TITLE: Style = Style::new().bold();
const TIME: Style = Style::new().dimmed();
const PLAIN: Style = AnsiColor::Cyan.on_default();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();

/// Prints, with the time since it began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Story {
    began: Instant,
}

impl Story {
    pub(super) fn begin() -> Self {
        print(format_args!("\n  {TITLE}packetboat demo{TITLE:#}: two cut connections, and what they cost\n"));
        Self { began: Instant::now() }
    }

    /// Something happened.
    pub(super) fn line(&self, what: &str, text: impl Display) {
        let style = match what {
            "cut" | "lost" => BAD,
            "reconnected" => GOOD,
            _ => PLAIN,
        };
        let seconds = self.began.elapsed().as_secs_f64();
        print(format_args!("  {TIME}{seconds:5.2} s{TIME:#}  {style}{what:<12}{style:#}  {text}"));
    }

    /// The count.
    pub(super) fn result(&self, check: &Check) {
        print(format_args!(
            "\n  {TITLE}{:<20}{:>6}{:>10}{:>6}{:>9}{TITLE:#}",
            "", "sent", "received", "lost", "doubled"
        ));
        for qos in QOS {
            let row = check.tally.row(qos);
            let name = format!("QoS {} {}", qos as u8, promise(qos));
            let style = if check.keeps(qos) { GOOD } else { BAD };
            let verdict = verdict(qos, row, check.keeps(qos));
            print(format_args!(
                "  {name:<20}{:>6}{:>10}{:>6}{:>9}   {style}{verdict}{style:#}",
                check.sent, row.received, row.lost, row.doubled
            ));
        }
        for objection in check.objections() {
            print(format_args!("\n  {BAD}{objection}{BAD:#}"));
        }
        let seconds = self.began.elapsed().as_secs_f64();
        let (style, text) = if check.holds() {
            (GOOD, "Nothing was lost or doubled that must not be.")
        } else {
            (BAD, "A promise was broken: this is a bug, please report it.")
        };
        print(format_args!("\n  {style}{text}{style:#} ({seconds:.1} s)"));
        if check.holds() {
            print(format_args!(
                "  Now with a broker of yours: packetboat sub --help, packetboat pub --help\n"
            ));
        }
    }
}

fn promise(qos: QoS) -> &'static str {
    match qos {
        QoS::AtMostOnce => "at most once",
        QoS::AtLeastOnce => "at least once",
        QoS::ExactlyOnce => "exactly once",
    }
}

fn verdict(qos: QoS, row: Row, kept: bool) -> &'static str {
    match (qos, kept) {
        (_, false) if row.out_of_order > 0 => "BROKEN: out of order",
        (_, false) => "BROKEN",
        (QoS::AtMostOnce, true) if row.lost > 0 => "kept (lost on the wire)",
        (QoS::AtLeastOnce, true) if row.doubled > 0 => "kept (sent again)",
        (_, true) => "kept",
    }
}

fn print(text: Arguments<'_>) {
    // Who closed standard output does not want to know.
    let _ = writeln!(anstream::stdout().lock(), "{text}");
}
