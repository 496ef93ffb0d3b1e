//! Runs jobs: interleaved, repeated, each in a process of its own.

use std::collections::BTreeMap;
use std::io::Read;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::arguments::Arguments;
use crate::job::{Error, Job, Runtime, Workload};
use crate::measure::Measured;
use crate::peers::RAW;
use crate::report;
use crate::sink::Sink;

/// What is compared: everything but who does it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Setting {
    pub workload: Workload,
    /// Zero where nothing is acknowledged.
    pub window: u16,
    pub payload: usize,
}

/// Who does it.
pub type Contender = (&'static str, Runtime);

/// Every measurement of a run.
pub type Results = BTreeMap<Setting, BTreeMap<Contender, Vec<Result<Measured, String>>>>;

/// No job takes longer: a peer that loses messages would wait for ever.
const LIMIT: Duration = Duration::from_mins(1);

pub fn run(arguments: &Arguments) -> Result<(), Error> {
    let sink = Sink::start()?;
    let mut runner = Runner { port: sink.port, serial: 0, counts: BTreeMap::new(), millis: arguments.millis };
    let settings = settings(arguments);
    let contenders = contenders(arguments);
    let mut results = Results::new();
    for round in 0..arguments.rounds {
        for setting in &settings {
            // Each round starts with another contender, so that none always runs in the wake of the same one.
            let shift = round % contenders.len().max(1);
            for contender in contenders[shift..].iter().chain(&contenders[..shift]) {
                let measured = runner.measure(*setting, *contender).map_err(|error| error.to_string());
                report::progress(round, arguments.rounds, setting, contender, &measured);
                results.entry(*setting).or_default().entry(*contender).or_default().push(measured);
            }
        }
    }
    drop(sink);
    report::print(&results);
    if let Some(file) = &arguments.json {
        std::fs::write(file, report::json(&results)?)?;
    }
    if results.values().flat_map(BTreeMap::values).flatten().any(Result::is_err) {
        return Err("some measurements failed, see above".into());
    }
    Ok(())
}

pub fn settings(arguments: &Arguments) -> Vec<Setting> {
    let mut settings = Vec::new();
    for &workload in &arguments.workloads {
        let windowed = matches!(workload, Workload::Publish(1 | 2) | Workload::Receive(1 | 2));
        let windows: &[u16] = if windowed { &arguments.windows } else { &[0] };
        for &window in windows {
            let payloads = arguments.payloads.iter();
            settings.extend(payloads.map(|&payload| Setting { workload, window, payload }));
        }
    }
    settings
}

fn contenders(arguments: &Arguments) -> Vec<Contender> {
    let mut contenders = Vec::new();
    for &peer in &arguments.peers {
        let runtimes: &[Runtime] = if peer == RAW { &[Runtime::Blocking] } else { &arguments.runtimes };
        contenders.extend(runtimes.iter().map(|&runtime| (peer, runtime)));
    }
    contenders
}

struct Runner {
    port: u16,
    serial: u32,
    /// How many messages fill the time of a measurement.
    counts: BTreeMap<(Setting, Contender), u64>,
    millis: u64,
}

impl Runner {
    fn measure(&mut self, setting: Setting, contender: Contender) -> Result<Measured, Error> {
        let count = match self.counts.get(&(setting, contender)) {
            Some(count) => *count,
            None => self.calibrate(setting, contender)?,
        };
        self.once(setting, contender, count)
    }

    /// Raises the count until it takes a tenth of the time wanted, then extrapolates.
    fn calibrate(&mut self, setting: Setting, contender: Contender) -> Result<u64, Error> {
        if setting.workload == Workload::Idle {
            self.counts.insert((setting, contender), 2000);
            return Ok(2000);
        }
        let wanted = self.millis * 1_000_000;
        let mut count = 2000;
        loop {
            let measured = self.once(setting, contender, count)?;
            let enough = (measured.rate() * wanted as f64 / 1e9).max(100.0) as u64;
            if measured.nanos * 10 >= wanted {
                self.counts.insert((setting, contender), enough);
                return Ok(enough);
            }
            count = enough.min(count * 20);
        }
    }

    fn once(&mut self, setting: Setting, (peer, runtime): Contender, count: u64) -> Result<Measured, Error> {
        self.serial += 1;
        let job = Job {
            peer: peer.into(),
            workload: setting.workload,
            runtime,
            count,
            payload: setting.payload,
            window: setting.window.max(1),
            port: self.port,
            serial: self.serial,
        };
        let program = std::env::current_exe()?;
        let mut worker = Command::new(program);
        worker.args(job.arguments());
        output_of(&mut worker, LIMIT)?.parse()
    }
}

/// What a program printed, if it ends well and in time.
pub fn output_of(command: &mut Command, limit: Duration) -> Result<String, Error> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let end = Instant::now() + limit;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() > end {
            child.kill()?;
            child.wait()?;
            return Err(format!("not done after {} s", limit.as_secs()).into());
        }
        thread::sleep(Duration::from_millis(2));
    };
    let (mut output, mut errors) = (String::new(), String::new());
    child.stdout.take().ok_or("no output")?.read_to_string(&mut output)?;
    child.stderr.take().ok_or("no output")?.read_to_string(&mut errors)?;
    if !status.success() {
        return Err(errors.trim().to_owned().into());
    }
    Ok(output)
}
