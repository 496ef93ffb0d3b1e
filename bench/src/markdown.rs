//! The tables of BENCHMARKS.md, written between markers, and the plots.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::growth::Curve;
use crate::job::Workload::{self, Fleet, Floods, Idle, Publish, Receive, RoundTrip, Tasks};
use crate::job::{Error, Runtime};
use crate::peers::{self, OURS, RAW};
use crate::plot;
use crate::report::{Summary, short};
use crate::run::{Contender, Results};
use crate::setting::Setting;

const FILE: &str = "BENCHMARKS.md";
const PLOTS: &str = "bench/plots";
const BEGIN: &str = "<!-- figures: written by `cargo xtask bench --markdown` -->";
const END: &str = "<!-- end of figures -->";

type Row = BTreeMap<Contender, Summary>;

/// Writes tables and plots; the folder is the project's.
pub fn write(results: &Results, curves: &[Curve], rounds: usize) -> Result<(), Error> {
    let tables = tables(results);
    let mut text = machine(rounds);
    text.push_str(&rates(&tables));
    text.push_str(&everybody(&tables));
    text.push_str(&round_trips(&tables));
    text.push_str(&memory(&tables));
    text.push_str(&floods(&tables));
    text.push_str(&tasks(&tables));
    text.push_str(&fleet(&tables));
    text.push_str(&growth(curves));
    fs::create_dir_all(PLOTS)?;
    fs::write(Path::new(PLOTS).join("rates.svg"), plot::bars(&bars(&tables)))?;
    for curve in curves {
        fs::write(Path::new(PLOTS).join(format!("{}.svg", curve.name)), plot::curve(curve))?;
    }
    let old = fs::read_to_string(FILE)?;
    let (before, rest) = old.split_once(BEGIN).ok_or(format!("{FILE} has no line {BEGIN}"))?;
    let (_, after) = rest.split_once(END).ok_or(format!("{FILE} has no line {END}"))?;
    Ok(fs::write(FILE, format!("{before}{BEGIN}\n{text}\n{END}{after}"))?)
}

fn tables(results: &Results) -> BTreeMap<Setting, Row> {
    let row = |setting: &Setting, runs: &BTreeMap<Contender, Vec<_>>| {
        let summaries = runs.iter().filter(|(_, runs)| runs.iter().all(Result::is_ok));
        summaries.filter_map(|(who, runs)| Some((*who, Summary::of(setting.workload, runs)?))).collect()
    };
    // Who failed keeps its place, without a figure.
    results.iter().map(|(setting, runs)| (*setting, row(setting, runs))).collect()
}

fn machine(rounds: usize) -> String {
    let said = |file: &str, key: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default();
        line.split_once(':').map_or(line, |(_, value)| value).trim().to_owned()
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = said("/proc/sys/kernel/osrelease", "");
    let mut text = format!(
        "\n{}, {cores} cores, Linux {kernel}, {rounds} rounds. Versions: ",
        said("/proc/cpuinfo", "model name")
    );
    let versions: Vec<String> = peers::CONTENDERS
        .iter()
        .filter(|contender| contender.default && contender.name != RAW)
        .map(|contender| format!("{} {}", contender.name, contender.version))
        .collect();
    let _ = writeln!(text, "{}.\n\n![messages per second](bench/plots/rates.svg)\n", versions.join(", "));
    text
}

/// What the table of targets asks for: times what, on one thread and on two.
fn target(setting: &Setting) -> Option<(&'static str, f64, f64)> {
    let Setting { workload, window, payload, .. } = *setting;
    Some(match (workload, window, payload) {
        (Publish(0), ..) if setting.tls => ("bare rustls", 0.85, 0.85),
        (Publish(0), _, 64) => ("peer", 3.5, 3.5),
        (Publish(1), 100, 64) => ("peer", 3.0, 3.0),
        (Publish(1), _, 64) => ("peer", 6.0, 6.0),
        (Publish(2), _, 64) => ("peer", 5.0, 5.0),
        (Receive(0), _, 64) => ("peer", 2.0, 2.5),
        (Receive(1), _, 64) => ("peer", 2.8, 2.8),
        (Receive(2), _, 64) => ("peer", 2.5, 2.5),
        (Publish(0), _, 16_384) => ("raw", 0.8, 0.95),
        (Publish(0), _, 1_048_576) => ("peer", 1.0, 1.0),
        _ => return None,
    })
}

fn is_rate(workload: Workload) -> bool {
    matches!(workload, Publish(_) | Receive(_) | Workload::Mixed(_))
}

/// No peer speaks TLS here.
fn times(ratio: f64) -> String {
    if ratio.is_nan() { "-".into() } else { format!("{ratio:.2} x") }
}

fn rates(tables: &BTreeMap<Setting, Row>) -> String {
    let mut text = String::from(
        "| messages per second | raw | Packetboat, current | Packetboat, multi | best peer | to the best peer, current | \
         multi | to raw, current | multi | target |\n|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for (setting, row) in tables.iter().filter(|(setting, _)| is_rate(setting.workload)) {
        let raw = row.get(&(RAW, Runtime::Blocking)).map_or(f64::NAN, |summary| summary.value);
        let ours = [Runtime::Current, Runtime::Multi].map(|runtime| row.get(&(OURS, runtime)));
        let best = best_peer(row, f64::total_cmp);
        let best_value = best.map_or(f64::NAN, |(_, summary)| summary.value);
        let to = |what: f64, index: usize| ours[index].map_or(f64::NAN, |summary| summary.value / what);
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {:.2} | {:.2} | {} |",
            title(setting),
            short(raw),
            spread(ours[0]),
            spread(ours[1]),
            best.map_or("-".into(), |((name, runtime), summary)| format!(
                "{} {name}, {runtime}",
                short(summary.value)
            )),
            times(to(best_value, 0)),
            times(to(best_value, 1)),
            to(raw, 0),
            to(raw, 1),
            verdict(setting, [[to(best_value, 0), to(best_value, 1)], [to(raw, 0), to(raw, 1)]]),
        );
    }
    text
}

/// `[to the best peer, to raw]`, each on one thread and on two.
fn verdict(setting: &Setting, reached: [[f64; 2]; 2]) -> String {
    let Some((what, current, multi)) = target(setting) else { return "none".into() };
    let reached = reached[usize::from(what != "peer")];
    let word = |reached: f64, wanted: f64| if reached >= wanted { "met" } else { "missed" };
    let (first, second) = (word(reached[0], current), word(reached[1], multi));
    format!("{current} and {multi} x {what}: {first}, {second}")
}

fn best_peer(row: &Row, order: fn(&f64, &f64) -> std::cmp::Ordering) -> Option<(&Contender, &Summary)> {
    let peers = row.iter().filter(|((name, _), _)| ![RAW, OURS].contains(name));
    peers.max_by(|one, other| order(&one.1.value, &other.1.value))
}

fn spread(summary: Option<&Summary>) -> String {
    let Some(Summary { value, lowest, highest, .. }) = summary else { return "failed".into() };
    format!("{} ({}-{})", short(*value), short(*lowest), short(*highest))
}

fn title(setting: &Setting) -> String {
    let (name, qos) = match setting.workload {
        Publish(qos) => ("publish", qos),
        Receive(qos) | Workload::Mixed(qos) => ("receive", qos),
        other => return other.to_string(),
    };
    let mut text = format!("{name} QoS {qos}");
    if setting.window > 0 {
        let _ = write!(text, ", window {}", setting.window);
    }
    if setting.size > 0 {
        let _ = write!(text, ", {} topics", setting.size);
    }
    match setting.payload {
        64 => {}
        size => {
            let (number, unit) = if size < 1 << 20 { (size >> 10, "KiB") } else { (size >> 20, "MiB") };
            let _ = write!(text, ", {number} {unit}");
        }
    }
    if setting.tls {
        text.push_str(", TLS (raw: rustls)");
    }
    text
}

fn peer_names() -> impl Iterator<Item = &'static str> {
    let peers = peers::CONTENDERS.iter().filter(|peer| peer.default && ![RAW, OURS].contains(&peer.name));
    peers.map(|peer| peer.name)
}

/// `current / multi` of everybody.
fn everybody(tables: &BTreeMap<Setting, Row>) -> String {
    let names: Vec<&str> = peer_names().collect();
    let mut text = format!("\n| every peer, current / multi | {} |\n|---|", names.join(" | "));
    text.push_str(&"---|".repeat(names.len()));
    for (setting, row) in tables.iter().filter(|(setting, _)| is_rate(setting.workload) && !setting.tls) {
        let _ = write!(text, "\n| {} |", title(setting));
        for name in &names {
            let runtimes = peers::named(name).map_or(&[][..], |peer| peer.runtimes);
            let figures: Vec<String> = runtimes
                .iter()
                .map(|runtime| {
                    row.get(&(name, *runtime)).map_or("fails".into(), |summary| short(summary.value))
                })
                .collect();
            let _ = write!(text, " {} |", figures.join(" / "));
        }
    }
    text.push('\n');
    text
}

fn round_trips(tables: &BTreeMap<Setting, Row>) -> String {
    let mut text = String::from(
        "\n| round trip, one in flight, p50 / p99 | QoS 0, echoed | QoS 1, acknowledged |\n|---|---|---|\n",
    );
    let rows = [0, 1].map(|qos| tables.get(&Setting::of(RoundTrip(qos))));
    let [Some(first), Some(second)] = rows else { return String::new() };
    for who in first.keys() {
        let cells = [first, second].map(|row| {
            let Some(summary) = row.get(who) else { return "fails".into() };
            let [median, high, _] = summary.latency.map(|nanos| nanos / 1e3);
            let mut cell = format!("{median:.1} / {high:.0} us");
            let raw = row.get(&(RAW, Runtime::Blocking)).map_or(f64::NAN, |raw| raw.latency[0] / 1e3);
            if who.0 == OURS {
                let others = row.iter().filter(|((name, _), _)| ![RAW, OURS].contains(name));
                let best = others.map(|(_, peer)| peer.latency[1] / 1e3).fold(f64::INFINITY, f64::min);
                let met = |is: bool| if is { "met" } else { "missed" };
                let (p50, p99) = (met(median <= 1.3 * raw), met(high <= best));
                let _ = write!(cell, " ({:.2} x raw: {p50}; best peer's p99 {best:.0}: {p99})", median / raw);
            }
            cell
        });
        let _ = writeln!(text, "| {} | {} | {} |", name(who), cells[0], cells[1]);
    }
    text
}

fn name((peer, runtime): &Contender) -> String {
    if *runtime == Runtime::Blocking { (*peer).into() } else { format!("{peer}, {runtime}") }
}

fn memory(tables: &BTreeMap<Setting, Row>) -> String {
    let rows = [0, 1].map(|subscriptions| tables.get(&Setting::of(Idle(subscriptions))));
    let [Some(bare), Some(subscribed)] = rows else { return String::new() };
    let over_tls = tables.get(&Setting { tls: true, ..Setting::of(Idle(0)) });
    let mut text = String::from(
        "\n| resident memory per idle connection, thousands in one process | bare (target 3 KB) | with one subscription (4 KB) | \
         bare, over TLS (raw: rustls) |\n|---|---|---|---|\n",
    );
    for who in bare.keys() {
        let cell = |row: &Row, missing: &str| {
            row.get(who).map_or(missing.into(), |summary| format!("{:.1} KB", summary.value / 1e3))
        };
        let secured = over_tls.map_or("-".into(), |row| cell(row, "-"));
        let (bare, subscribed) = (cell(bare, "fails"), cell(subscribed, "fails"));
        let _ = writeln!(text, "| {} | {bare} | {subscribed} | {secured} |", name(who));
    }
    text
}

/// A figure that only this workload has.
fn more(summary: &Summary, name: &str) -> f64 {
    summary.more.iter().find(|(known, _)| known == name).map_or(f64::NAN, |(_, value)| *value)
}

fn floods(tables: &BTreeMap<Setting, Row>) -> String {
    let Some(row) = tables.get(&Setting::of(Floods)) else { return String::new() };
    let mut text = String::from(
        "\n| both directions flooded, QoS 0 | out alone | out with both | in alone | in with both | PINGREQs in a flood out / in | \
         an idle handle's publish at the sink, p50 / p99 |\n|---|---|---|---|---|---|---|\n",
    );
    for (who, summary) in row {
        let of = |name: &str| more(summary, name);
        let _ = writeln!(
            text,
            "| {} | {} | {} ({:.0} %) | {} | {} ({:.0} %) | {} / {} | {:.1} / {:.1} ms |",
            name(who),
            short(of("out_alone")),
            short(of("out_both")),
            100.0 * of("out_both") / of("out_alone"),
            short(of("in_alone")),
            short(of("in_both")),
            100.0 * of("in_both") / of("in_alone"),
            of("pings_out"),
            of("pings_in"),
            of("probe_p50_us") / 1e3,
            of("probe_p99_us") / 1e3,
        );
    }
    text
}

fn tasks(tables: &BTreeMap<Setting, Row>) -> String {
    let settings: Vec<&Setting> =
        tables.keys().filter(|setting| matches!(setting.workload, Tasks(_))).collect();
    let mut text =
        String::from("\n| tasks that publish through one client | current | multi |\n|---|---|---|\n");
    for setting in &settings {
        let Tasks(qos) = setting.workload else { continue };
        let cell = |runtime: Runtime| {
            let of =
                |setting: &Setting| tables.get(setting)?.get(&(OURS, runtime)).map(|summary| summary.value);
            let (value, one) = (of(setting), of(&Setting { size: 1, ..**setting }));
            let (Some(value), Some(one)) = (value, one) else { return "failed".into() };
            format!("{} ({:.2} of one task's)", short(value), value / one)
        };
        let (current, multi) = (cell(Runtime::Current), cell(Runtime::Multi));
        let _ = writeln!(text, "| QoS {qos}, {} | {current} | {multi} |", setting.size);
    }
    if settings.is_empty() { String::new() } else { text }
}

fn fleet(tables: &BTreeMap<Setting, Row>) -> String {
    let Some(row) = tables.get(&Setting::of(Fleet)) else { return String::new() };
    let mut text = String::from(
        "\n| many clients in one process | connects per second | memory each | threads | processor while idle | \
         publishers, and messages per second of all |\n|---|---|---|---|---|---|\n",
    );
    for (who, summary) in row {
        let of = |name: &str| more(summary, name);
        let _ = writeln!(
            text,
            "| {} | {} | {:.1} KB | {} | {:.2} % of one | {}, {} |",
            name(who),
            short(of("connects_per_second")),
            of("resident") / 1e3,
            of("threads"),
            100.0 * of("idle_cpu"),
            of("publishers"),
            short(summary.value),
        );
    }
    text
}

fn growth(curves: &[Curve]) -> String {
    let mut text = String::new();
    for curve in curves {
        let _ = write!(text, "\n![{}](bench/plots/{}.svg)\n\n| {} |", curve.title, curve.name, curve.title);
        for (size, _) in &curve.points {
            let _ = write!(text, " {size} |");
        }
        let _ = write!(text, "\n|---|{}\n| instructions |", "---|".repeat(curve.points.len()));
        for (_, instructions) in &curve.points {
            let _ = write!(text, " {instructions:.0} |");
        }
        text.push('\n');
    }
    text
}

/// Of what is plotted: us, the best peer, raw.
fn bars(tables: &BTreeMap<Setting, Row>) -> Vec<plot::Group> {
    let small = tables.iter().filter(|(setting, _)| is_rate(setting.workload) && setting.payload == 64);
    small
        .filter(|(setting, _)| setting.size == 0 && !setting.tls)
        .map(|(setting, row)| {
            let of = |runtime| row.get(&(OURS, runtime)).map_or(0.0, |summary| summary.value);
            plot::Group {
                title: title(setting),
                ours: of(Runtime::Current).max(of(Runtime::Multi)),
                best: best_peer(row, f64::total_cmp)
                    .map_or((String::new(), 0.0), |((name, _), summary)| ((*name).into(), summary.value)),
                raw: row.get(&(RAW, Runtime::Blocking)).map_or(0.0, |summary| summary.value),
            }
        })
        .collect()
}
