//! The options of `bench`.

use std::time::Duration;

use clap::Args;
use packetboat::QoS;

use super::{Connection, help, values};

#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    override_usage = "packetboat bench [OPTIONS]",
    after_help = help::BENCH
)]
pub(crate) struct Bench {
    /// Topics begin so; each publisher has one below [default: packetboat/bench/ and a random number]
    #[arg(short, long, allow_hyphen_values = true, help_heading = "Load")]
    pub(crate) topic: Option<String>,

    /// Connections that publish
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000),
        help_heading = "Load")]
    pub(crate) publishers: u32,

    /// Connections that subscribe to all of it; with 0 only acknowledgements are measured
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u32).range(..=10_000),
        help_heading = "Load")]
    pub(crate) subscribers: u32,

    /// Messages a second, of all publishers together [default: as many as get through]
    #[arg(long, value_name = "MESSAGES", value_parser = rate, help_heading = "Load")]
    pub(crate) rate: Option<f64>,

    /// Bytes of a payload, at least 24; with several, in turn
    #[arg(short, long, value_name = "BYTES", value_delimiter = ',', default_value = "64", value_parser = size,
        help_heading = "Load")]
    pub(crate) size: Vec<usize>,

    /// 0 (at most once), 1 (at least once) or 2 (exactly once), of publishers and subscribers
    #[arg(short, long, default_value = "0", value_parser = values::qos, help_heading = "Load")]
    pub(crate) qos: QoS,

    /// Without --rate: messages of each publisher that may wait for their acknowledgement
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=60_000),
        help_heading = "Load")]
    pub(crate) in_flight: u32,

    /// Publish for so many seconds
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = values::timeout, help_heading = "End")]
    pub(crate) time: Duration,

    /// End after so many messages, if the time is not up before
    #[arg(short = 'C', long, value_parser = clap::value_parser!(u32).range(1..), help_heading = "End")]
    pub(crate) count: Option<u32>,

    /// Then wait for so many seconds without an arrival for what is missing
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = values::timeout, help_heading = "End")]
    pub(crate) patience: Duration,

    /// Write the results as JSON
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) connection: Connection,
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate: &f64| (0.001..=1e7).contains(rate));
    rate.ok_or_else(|| "write messages a second, such as 1000 or 0.5".into())
}

/// What every payload begins with: see `crate::bench::stamp`.
pub(crate) const STAMP: usize = 24;

fn size(text: &str) -> Result<usize, String> {
    let size = text.parse().ok().filter(|size| (STAMP..=200_000_000).contains(size));
    size.ok_or_else(|| {
        format!("write bytes, at least {STAMP}: that is what finds a message again and tells its time")
    })
}
