//! Runs jobs: interleaved, repeated, each in a process of its own.

use std::collections::BTreeMap;
use std::io::Read;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::arguments::Arguments;
use crate::growth;
use crate::job::{Error, Job, Runtime, Workload};
use crate::markdown;
use crate::measure::Measured;
use crate::peers::{self, OURS, RAW};
use crate::report;
use crate::setting::Setting;
use crate::sink::Sink;
use crate::tls;

/// Who does it.
pub type Contender = (&'static str, Runtime);

/// Every measurement of a run.
pub type Results = BTreeMap<Setting, BTreeMap<Contender, Vec<Result<Measured, String>>>>;

/// No job takes longer: a peer that loses messages would wait for ever.
const LIMIT: Duration = Duration::from_secs(20);

pub fn run(arguments: &Arguments) -> Result<(), Error> {
    let sink = Sink::start()?;
    let ports = [sink.port, sink.crowd_port];
    let mut runner = Runner {
        ports,
        certificate: sink.certificate.clone(),
        serial: 0,
        counts: BTreeMap::new(),
        millis: arguments.millis,
        crowds: arguments.crowds,
    };

    let mut results = Results::new();
    for round in 0..arguments.rounds {
        for setting in &arguments.settings {
            let contenders = contenders(arguments, setting);
            // Each round starts with another contender, so that none always runs in the wake of the same one.
            let shift = round % contenders.len().max(1);
            for contender in contenders[shift..].iter().chain(&contenders[..shift]) {
                let runs = results.entry(*setting).or_default().entry(*contender).or_default();
                // Who failed once fails again, after the longest wait there is.
                if runs.iter().any(Result::is_err) {
                    continue;
                }
                let measured = runner.measure(*setting, *contender).map_err(|error| error.to_string());
                report::progress(round, arguments.rounds, setting, contender, &measured);
                runs.push(measured);
            }
        }
    }
    drop(sink);
    report::print(&results);
    if let Some(file) = &arguments.json {
        std::fs::write(file, report::json(&results)?)?;
    }
    if arguments.markdown {
        let curves = growth::curves().unwrap_or_else(|error| {
            eprintln!("no growth curves, for want of counts: {error}");
            Vec::new()
        });
        markdown::write(&results, &curves, arguments.rounds)?;
    }
    let ours = results.values().flatten().filter(|((peer, _), _)| [RAW, OURS].contains(peer));
    if ours.flat_map(|(_, runs)| runs).any(Result::is_err) {
        return Err("some measurements of Packetboat or of bare sockets failed, see above".into());
    }
    Ok(())
}

fn contenders(arguments: &Arguments, setting: &Setting) -> Vec<Contender> {
    let mut contenders = Vec::new();
    let others = !setting.workload.is_ours_alone();
    let asked = |peer: &&&str| match **peer {
        OURS => true,
        RAW => others,
        _ => others && !setting.tls,
    };
    for &peer in arguments.peers.iter().filter(asked) {
        let runtimes = peers::named(peer).map_or(&[][..], |peer| peer.runtimes);
        let asked =
            |runtime: &&Runtime| **runtime == Runtime::Blocking || arguments.runtimes.contains(runtime);
        contenders.extend(runtimes.iter().filter(asked).map(|&runtime| (peer, runtime)));
    }
    contenders
}

struct Runner {
    /// Of the sink, and of the sink for crowds.
    ports: [u16; 2],
    certificate: String,
    serial: u32,
    /// How many messages fill the time of a measurement.
    counts: BTreeMap<(Setting, Contender), u64>,
    millis: u64,
    crowds: [u32; 2],
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
        match setting.workload {
            Workload::Idle(_) => return Ok(self.crowds[0].into()),
            // Milliseconds for each flood.
            Workload::Floods => return Ok(self.millis * 8),
            Workload::Fleet => return Ok(self.millis * 10_000),
            _ => {}
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
        let is_crowd = matches!(setting.workload, Workload::Idle(_) | Workload::Fleet);
        let job = Job {
            peer: peer.into(),
            workload: setting.workload,
            runtime,
            count,
            payload: setting.payload,
            window: setting.window.max(1),
            size: if setting.workload == Workload::Fleet { self.crowds[1] } else { setting.size },
            port: self.ports[usize::from(is_crowd)],
            serial: self.serial,
            tls: setting.tls,
        };
        let program = std::env::current_exe()?;
        let mut worker = Command::new(program);
        worker.args(job.arguments()).env(tls::CERTIFICATE, &self.certificate);
        output_of(&mut worker, if is_crowd { 3 * LIMIT } else { LIMIT })?.parse()
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
