//! What a worker measures of itself, and how it tells.

use std::fmt;
use std::fs;
use std::str::FromStr;
use std::time::Instant;

use crate::job::{Error, Job, Workload};
use crate::link::Counted;
use crate::sink;

/// The outcome of one job.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    pub messages: u64,
    pub nanos: u64,
    /// Time on a processor, all threads together, kernel included.
    pub cpu_nanos: u64,
    /// Bytes the sink got by each of its reads, while it was publishing that was measured.
    pub read_size: u64,
    /// Resident memory gained, in bytes.
    pub resident: u64,
    /// Of single messages, in nanoseconds: median, 99 and 99.9 of 100.
    pub latency: [u64; 3],
    /// What only this workload has.
    pub more: Vec<(String, f64)>,
}

impl Measured {
    pub fn with(mut self, name: &str, value: f64) -> Self {
        self.more.push((name.into(), value));
        self
    }

    pub fn rate(&self) -> f64 {
        self.messages as f64 * 1e9 / self.nanos.max(1) as f64
    }
}

/// As a line of numbers between processes.
impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { messages, nanos, cpu_nanos, read_size, resident, latency, more } = self;
        let [middle, high, highest] = latency;
        write!(f, "{messages} {nanos} {cpu_nanos} {read_size} {resident} {middle} {high} {highest}")?;
        more.iter().try_for_each(|(name, value)| write!(f, " {name}={value}"))
    }
}

impl FromStr for Measured {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let numbers: Vec<u64> = text.split_whitespace().map_while(|word| word.parse().ok()).collect();
        let [messages, nanos, cpu_nanos, read_size, resident, middle, high, highest] = numbers[..] else {
            return Err(format!("a worker said {text:?}").into());
        };
        let more = text.split_whitespace().filter_map(|word| {
            let (name, value) = word.split_once('=')?;
            Some((name.into(), value.parse().ok()?))
        });
        let latency = [middle, high, highest];
        Ok(Self { messages, nanos, cpu_nanos, read_size, resident, latency, more: more.collect() })
    }
}

/// Runs from just before the first message.
pub struct Meter {
    start: Instant,
    cpu: u64,
    resident: u64,
    laps: Vec<u64>,
}

impl Meter {
    pub fn start() -> Self {
        let (cpu, resident) = (processor_nanos(), resident_bytes());
        Self { start: Instant::now(), cpu, resident, laps: Vec::new() }
    }

    /// One message came back.
    pub fn lap(&mut self, before: Instant) {
        self.laps.push(before.elapsed().as_nanos() as u64);
    }

    pub fn finish(mut self, messages: u64) -> Measured {
        let nanos = self.start.elapsed().as_nanos() as u64;
        self.laps.sort_unstable();
        let at = |part: usize| self.laps.get((self.laps.len() * part / 1000).saturating_sub(1));
        Measured {
            messages,
            nanos,
            cpu_nanos: processor_nanos().saturating_sub(self.cpu),
            resident: resident_bytes().saturating_sub(self.resident),
            latency: [500, 990, 999].map(|part| at(part).copied().unwrap_or(0)),
            ..Measured::default()
        }
    }

    /// For publishing: the sink has to have all messages. At QoS 0 its clock counts, since nothing comes back; at
    /// QoS 1 and 2 ours, which saw the last acknowledgement before this call. Blocks.
    pub fn published(self, job: &Job) -> Result<Measured, Error> {
        let nanos = self.start.elapsed().as_nanos() as u64;
        let counted = sink::counted(job.port, &job.client_id())?;
        self.published_so(job, nanos, counted)
    }

    /// The same without blocking the thread, whose runtime may still have bytes to write.
    pub async fn published_later(self, job: &Job) -> Result<Measured, Error> {
        let nanos = self.start.elapsed().as_nanos() as u64;
        if job.port == 0 {
            return Ok(self.finish(job.count));
        }
        let (tell, told) = tokio::sync::oneshot::channel();
        let (port, client_id) = (job.port, job.client_id());
        std::thread::spawn(move || tell.send(sink::counted(port, &client_id)));
        let counted = told.await??;
        self.published_so(job, nanos, counted)
    }

    fn published_so(self, job: &Job, nanos: u64, counted: Counted) -> Result<Measured, Error> {
        if counted.messages < job.count {
            return Err(format!("{} messages were sent, the sink has {}", job.count, counted.messages).into());
        }
        let at_sink = matches!(job.workload, Workload::Publish(0) | Workload::Tasks(0));
        Ok(Measured {
            // Should the sink come to read late, its first message is not the beginning.
            nanos: if at_sink { counted.nanos.max(nanos) } else { nanos },
            read_size: counted.bytes / counted.reads.max(1),
            ..self.finish(job.count)
        })
    }
}

/// Time on a processor of all threads that still live.
pub fn processor_nanos() -> u64 {
    let Ok(tasks) = fs::read_dir("/proc/self/task") else { return 0 };
    let nanos = tasks.flatten().filter_map(|task| {
        let schedule = fs::read_to_string(task.path().join("schedstat")).ok()?;
        schedule.split_whitespace().next()?.parse::<u64>().ok()
    });
    nanos.sum()
}

pub fn resident_bytes() -> u64 {
    let pages = fs::read_to_string("/proc/self/statm").ok();
    let pages = pages.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    pages.unwrap_or(0) * 4096
}
