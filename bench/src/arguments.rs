//! What the command line asks for.

use crate::job::{Error, Runtime};
use crate::peers::{self, CONTENDERS, CORE, OURS};
use crate::setting::{self, Setting};

pub const HELP: &str = "\
cargo xtask bench [options]
cargo xtask bench counts [options]

Publishing and receiving beside peers and the raw socket limit: each measurement in a process of its own, against a
sink in another, interleaved and repeated. Medians, spread, and ratios to raw and to each peer.

  --quick             one short round: does everything still work? The figures mean little
  --peers A,B         clients to measure (all: every one that was compiled in)
  --workloads A,B     publish0 publish1 publish2 receive0 receive1 receive2 mixed0 mixed1 roundtrip0 roundtrip1 idle0 idle1
                      and of Packetboat alone: tasks0 tasks1 floods fleet (all of these); publish0 and idle0
                      also over TLS, beside bare rustls
  --windows A,B       unacknowledged messages at QoS 1 and 2 (as in the table of targets)
  --payloads A,B      bytes (as in the table of targets)
  --runtimes A,B      current, multi (both)
  --rounds N          repetitions (3)
  --millis N          length of each measurement (250)
  --json FILE         write every figure there
  --markdown          count how costs grow as well, write all tables into BENCHMARKS.md and the plots into bench/plots

With `counts`: instructions, allocations, writes and reads for each message, counted exactly by valgrind's callgrind,
in one thread. Packetboat talks to a server in its own process, so that its counts are the same every time.

  --functions N       also the N functions that cost most (0)
";

/// A run.
pub struct Arguments {
    pub peers: Vec<&'static str>,
    pub settings: Vec<Setting>,
    pub runtimes: Vec<Runtime>,
    pub rounds: usize,
    pub millis: u64,
    /// Clients in one process: those that idle, and those of a fleet.
    pub crowds: [u32; 2],
    pub json: Option<String>,
    /// Tables into BENCHMARKS.md, plots into bench/plots.
    pub markdown: bool,
    /// How many functions are listed with counts.
    pub functions: usize,
}

pub enum Command {
    Help(String),
    Measure(Arguments),
    Count(Arguments),
    /// Against the budgets in this file.
    Guard(String),
}

impl Default for Arguments {
    fn default() -> Self {
        Self {
            peers: CONTENDERS.iter().filter(|peer| peer.default).map(|peer| peer.name).collect(),
            settings: Vec::new(),
            runtimes: vec![Runtime::Current, Runtime::Multi],
            rounds: 3,
            millis: 250,
            crowds: [5000, 10_000],
            json: None,
            markdown: false,
            functions: 0,
        }
    }
}

impl Arguments {
    pub fn parse(arguments: &[String]) -> Result<Command, Error> {
        let mut parsed = Self::default();
        if let [first, file] = arguments
            && first == "guard"
        {
            return Ok(Command::Guard(file.clone()));
        }
        let mut words = arguments.iter().map(String::as_str).peekable();
        let counts = words.next_if_eq(&"counts").is_some();
        let mut workloads = None;
        let (mut windows, mut payloads): (Option<Vec<u16>>, Option<Vec<usize>>) = (None, None);
        if counts {
            parsed.peers = vec![OURS, CORE];
        }
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} needs a value"));
            match word {
                "--help" | "-h" => return Ok(Command::Help(help())),
                "--quick" => (parsed.rounds, parsed.millis, parsed.crowds) = (1, 20, [100, 300]),
                "--peers" => parsed.peers = peers_named(value()?)?,
                "--workloads" => workloads = Some(list(value()?)?),
                "--windows" => windows = Some(list(value()?)?),
                "--payloads" => payloads = Some(list(value()?)?),
                "--runtimes" => parsed.runtimes = list(value()?)?,
                "--rounds" => parsed.rounds = value()?.parse()?,
                "--millis" => parsed.millis = value()?.parse()?,
                "--functions" => parsed.functions = value()?.parse()?,
                "--markdown" => parsed.markdown = true,
                "--json" => parsed.json = Some(value()?.into()),
                other => return Err(format!("unknown: {other}\n\n{}", help()).into()),
            }
        }
        let standard = if counts { setting::counted() } else { setting::timed() };
        parsed.settings = setting::choose(standard, workloads, windows.as_deref(), payloads.as_deref());
        Ok(if counts { Command::Count(parsed) } else { Command::Measure(parsed) })
    }
}

fn list<T: std::str::FromStr>(text: &str) -> Result<Vec<T>, Error>
where
    Error: From<T::Err>,
{
    text.split(',').map(|word| Ok(word.parse()?)).collect()
}

fn peers_named(text: &str) -> Result<Vec<&'static str>, Error> {
    if text == "all" {
        return Ok(CONTENDERS.iter().map(|peer| peer.name).collect());
    }
    let named =
        |name| peers::named(name).map(|peer| peer.name).ok_or(format!("no such peer: {name}\n{}", help()));
    Ok(text.split(',').map(named).collect::<Result<_, _>>()?)
}

fn help() -> String {
    let names: Vec<&str> = CONTENDERS.iter().map(|peer| peer.name).collect();
    format!("{HELP}\nPeers: {}.", names.join(", "))
}
