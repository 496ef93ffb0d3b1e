//! Exact counts per message: instructions, allocations, writes and reads.
//!
//! A worker runs twice under callgrind, with two numbers of messages; the difference of the counts by the difference
//! of the numbers is what one message costs, start and end of the process left out.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::arguments::Arguments;
use crate::job::{Error, Job, Runtime};
use crate::peers::{CORE, OURS};
use crate::run::output_of;
use crate::sink::Sink;

/// Emulation is some fifty times slower.
const LIMIT: Duration = Duration::from_mins(5);

/// Messages in the two runs. The first is past the growth of every table.
pub const FEW: u64 = 20_000;
pub const MANY: u64 = 60_000;

const ALLOCATIONS: &[&str] = &["malloc", "calloc", "realloc", "posix_memalign", "aligned_alloc", "memalign"];
const WRITES: &[&str] =
    &["write", "writev", "send", "sendto", "sendmsg", "packetboat_bench::memory::pipe_write"];
const READS: &[&str] =
    &["read", "readv", "recv", "recvfrom", "recvmsg", "packetboat_bench::memory::pipe_read"];

/// What one message costs.
pub struct Counts {
    pub instructions: f64,
    pub allocations: f64,
    pub writes: f64,
    pub reads: f64,
    /// Instructions by function, most first.
    pub functions: Vec<(String, f64)>,
}

pub fn run(arguments: &Arguments) -> Result<(), Error> {
    let sink = Sink::start()?;
    let mut serial = 0;
    println!(
        "{:34} {:>12} {:>12} {:>10} {:>10}",
        "per message", "instructions", "allocations", "writes", "reads"
    );
    for setting in &arguments.settings {
        for &peer in &arguments.peers {
            serial += 2;
            let job = Job {
                peer: peer.into(),
                workload: setting.workload,
                runtime: Runtime::Current,
                count: 0,
                payload: setting.payload,
                window: setting.window.max(1),
                size: setting.size,
                port: if [OURS, CORE].contains(&peer) { 0 } else { sink.port },
                serial,
                tls: false,
            };
            let what = format!("{} {peer}", setting.workload);
            match count(&job, FEW, MANY) {
                Ok(counts) => print(&what, &counts, arguments.functions),
                Err(error) => println!("{what:34} failed: {error}"),
            }
        }
    }
    Ok(())
}

fn print(what: &str, counts: &Counts, functions: usize) {
    let Counts { instructions, allocations, writes, reads, .. } = counts;
    println!("{what:34} {instructions:>12.1} {allocations:>12.3} {writes:>10.4} {reads:>10.4}");
    for (name, cost) in counts.functions.iter().take(functions) {
        println!("    {cost:>8.1}  {name}");
    }
}

/// Counts what one message of this job costs, by runs of `few` and `many`.
pub fn count(job: &Job, few: u64, many: u64) -> Result<Counts, Error> {
    let first = profile(&Job { count: few, ..job.clone() })?;
    let second = profile(&Job { count: many, serial: job.serial + 1, ..job.clone() })?;
    let slope = |value: &dyn Fn(&Profile) -> u64| {
        (value(&second) as f64 - value(&first) as f64) / (many - few) as f64
    };
    let calls = |names: &'static [&str]| {
        slope(&move |profile| names.iter().filter_map(|name| profile.calls.get(*name)).sum())
    };
    let mut functions: Vec<(String, f64)> = second
        .costs
        .keys()
        .map(|name| (name.clone(), slope(&|profile| profile.costs.get(name).copied().unwrap_or(0))))
        .filter(|(_, cost)| *cost >= 0.5)
        .collect();
    functions.sort_by(|one, other| other.1.total_cmp(&one.1));
    Ok(Counts {
        instructions: slope(&|profile| profile.total),
        allocations: calls(ALLOCATIONS),
        writes: calls(WRITES),
        reads: calls(READS),
        functions,
    })
}

/// What callgrind wrote.
#[derive(Default)]
struct Profile {
    total: u64,
    /// Instructions in each function itself.
    costs: HashMap<String, u64>,
    calls: HashMap<String, u64>,
}

/// Of the client's side, if the server is in the same process: a second run collects the server's side alone. Calls
/// are listed even while nothing is collected; the server makes next to none.
fn profile(job: &Job) -> Result<Profile, Error> {
    let mut profile = callgrind(job, &[])?;
    if job.port == 0 {
        let server = callgrind(job, &["--toggle-collect=*peer_side_*"])?;
        profile.total -= server.total;
        subtract(&mut profile.costs, &server.costs);
    }
    Ok(profile)
}

fn subtract(from: &mut HashMap<String, u64>, counts: &HashMap<String, u64>) {
    for (name, count) in counts {
        let left = from.entry(name.clone()).or_default();
        *left = left.saturating_sub(*count);
    }
}

fn callgrind(job: &Job, options: &[&str]) -> Result<Profile, Error> {
    let file = scratch(job);
    let mut valgrind = Command::new("valgrind");
    valgrind
        .args(["-q", "--tool=callgrind", "--compress-pos=no"])
        .arg(format!("--callgrind-out-file={}", file.display()))
        .args(options)
        // One instruction that copies thousands of bytes would count as thousands, on processors that have it.
        .env("GLIBC_TUNABLES", "glibc.cpu.x86_rep_movsb_threshold=1073741824")
        .arg(std::env::current_exe()?)
        .args(job.arguments());
    output_of(&mut valgrind, LIMIT).map_err(|error| format!("valgrind: {error}"))?;
    let text = fs::read_to_string(&file)?;
    fs::remove_file(&file)?;
    Ok(parse(&text))
}

fn scratch(job: &Job) -> PathBuf {
    std::env::temp_dir().join(format!("packetboat-bench-{}-{}", std::process::id(), job.serial))
}

/// The format is in Valgrind's manual, "Callgrind Format Specification". Names are given once and then numbered.
fn parse(text: &str) -> Profile {
    let mut profile = Profile::default();
    let mut names: HashMap<&str, &str> = HashMap::new();
    let (mut function, mut called) = ("", "");
    let mut made = None;
    for line in text.lines() {
        if let Some(said) = line.strip_prefix("fn=") {
            function = resolve(&mut names, said);
        } else if let Some(said) = line.strip_prefix("cfn=") {
            called = resolve(&mut names, said);
        } else if let Some(said) = line.strip_prefix("calls=") {
            let times: u64 = said.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(0);
            made = Some(times);
        } else if line.starts_with(|letter: char| letter.is_ascii_digit()) {
            let cost: u64 = line.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
            if let Some(times) = made.take() {
                *profile.calls.entry(called.into()).or_default() += times;
            } else {
                profile.total += cost;
                *profile.costs.entry(function.into()).or_default() += cost;
            }
        }
    }
    profile
}

/// `(7) name` defines, `(7)` repeats. A recursion's level, `'2`, is dropped.
fn resolve<'a>(names: &mut HashMap<&'a str, &'a str>, said: &'a str) -> &'a str {
    let (number, name) = said.split_once(' ').unwrap_or((said, ""));
    let name = name.split('\'').next().unwrap_or(name);
    if name.is_empty() {
        return names.get(number).copied().unwrap_or(said);
    }
    names.insert(number, name);
    name
}
