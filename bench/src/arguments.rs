//! What the command line asks for.

use crate::job::{Error, Runtime, Workload};
use crate::peers::{self, CORE, OURS, PEERS};

pub const HELP: &str = "\
cargo xtask bench [options]
cargo xtask bench counts [options]

Publishing and receiving beside peers and the raw socket limit: each measurement in a process of its own, against a
sink in another, interleaved and repeated. Medians, spread, and ratios to raw and to each peer.

  --quick             one short round: does everything still work? The figures mean little
  --peers A,B         clients to measure (all: every one that was compiled in)
  --workloads A,B     publish0 publish1 publish2 receive0 receive1 receive2 roundtrip0 roundtrip1 idle
  --windows A,B       unacknowledged messages at QoS 1 and 2 (1000)
  --payloads A,B      bytes (64)
  --runtimes A,B      current, multi (both)
  --rounds N          repetitions (5)
  --millis N          length of each measurement (400)
  --json FILE         write every figure there

With `counts`: instructions, allocations, writes and reads for each message, counted exactly by valgrind's callgrind,
in one thread. Packetboat talks to a server in its own process, so that its counts are the same every time.

  --functions N       also the N functions that cost most (0)
";

/// A run.
pub struct Arguments {
    pub peers: Vec<&'static str>,
    pub workloads: Vec<Workload>,
    pub windows: Vec<u16>,
    pub payloads: Vec<usize>,
    pub runtimes: Vec<Runtime>,
    pub rounds: usize,
    pub millis: u64,
    pub json: Option<String>,
    /// How many functions are listed with counts.
    pub functions: usize,
}

pub enum Command {
    Help(String),
    Measure(Arguments),
    Count(Arguments),
}

impl Default for Arguments {
    fn default() -> Self {
        use Workload::{Publish, Receive};
        Self {
            peers: PEERS.iter().filter(|peer| peer.default).map(|peer| peer.name).collect(),
            workloads: [0, 1, 2].map(Publish).into_iter().chain([0, 1, 2].map(Receive)).collect(),
            windows: vec![1000],
            payloads: vec![64],
            runtimes: vec![Runtime::Current, Runtime::Multi],
            rounds: 5,
            millis: 400,
            json: None,
            functions: 0,
        }
    }
}

impl Arguments {
    pub fn parse(arguments: &[String]) -> Result<Command, Error> {
        let mut parsed = Self::default();
        let mut words = arguments.iter().map(String::as_str).peekable();
        let counts = words.next_if_eq(&"counts").is_some();
        if counts {
            parsed.peers = vec![OURS, CORE];
        }
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} needs a value"));
            match word {
                "--help" | "-h" => return Ok(Command::Help(help())),
                "--quick" => (parsed.rounds, parsed.millis) = (1, 20),
                "--peers" => parsed.peers = peers_named(value()?)?,
                "--workloads" => parsed.workloads = list(value()?)?,
                "--windows" => parsed.windows = list(value()?)?,
                "--payloads" => parsed.payloads = list(value()?)?,
                "--runtimes" => parsed.runtimes = list(value()?)?,
                "--rounds" => parsed.rounds = value()?.parse()?,
                "--millis" => parsed.millis = value()?.parse()?,
                "--functions" => parsed.functions = value()?.parse()?,
                "--json" => parsed.json = Some(value()?.into()),
                other => return Err(format!("unknown: {other}\n\n{}", help()).into()),
            }
        }
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
        return Ok(PEERS.iter().map(|peer| peer.name).collect());
    }
    let named =
        |name| peers::named(name).map(|peer| peer.name).ok_or(format!("no such peer: {name}\n{}", help()));
    Ok(text.split(',').map(named).collect::<Result<_, _>>()?)
}

fn help() -> String {
    let names: Vec<&str> = PEERS.iter().map(|peer| peer.name).collect();
    format!("{HELP}\nPeers: {}.", names.join(", "))
}
