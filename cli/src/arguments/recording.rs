//! The options of `record` and `replay`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use packetboat::QoS;

use super::{Connection, help, values};

#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    override_usage = "packetboat record [OPTIONS] (-t <FILTER>... | -L <URL>) <FILE>",
    after_help = help::RECORD
)]
pub(crate) struct Record {
    /// File to write; - is standard output
    pub(crate) file: PathBuf,

    /// Replace the file if it is there
    #[arg(long, help_heading = "Recording")]
    pub(crate) force: bool,

    /// Topic filter; may be given several times
    #[arg(
        short,
        long,
        required_unless_present = "url",
        allow_hyphen_values = true,
        help_heading = "Recording"
    )]
    pub(crate) topic: Vec<String>,

    /// Highest QoS wanted; messages are recorded with the one they come with
    #[arg(short, long, default_value = "2", value_parser = values::qos, help_heading = "Recording")]
    pub(crate) qos: QoS,

    /// Record no retained messages
    #[arg(short = 'R', long, help_heading = "Recording")]
    pub(crate) no_retained: bool,

    /// End after so many messages
    #[arg(short = 'C', long, value_parser = clap::value_parser!(u64).range(1..), help_heading = "Recording")]
    pub(crate) count: Option<u64>,

    /// End after so many seconds [default: when it is interrupted]
    #[arg(short = 'W', long, value_name = "SECONDS", value_parser = values::timeout, allow_negative_numbers = true,
        help_heading = "Recording")]
    pub(crate) timeout: Option<Duration>,

    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    override_usage = "packetboat replay [OPTIONS] <FILE>",
    after_help = help::REPLAY
)]
pub(crate) struct Replay {
    /// File that `packetboat record` wrote; - is standard input
    pub(crate) file: PathBuf,

    /// So many times as fast as it was recorded: 2, 0.5; or max, without any wait
    #[arg(long, value_name = "FACTOR", default_value = "1", value_parser = speed, help_heading = "Replay")]
    pub(crate) speed: Speed,

    /// Publish retained messages as ordinary ones
    #[arg(long, help_heading = "Replay")]
    pub(crate) no_retain: bool,

    /// Leave out properties, which brokers of 3.1.1 do not know
    #[arg(long, help_heading = "Replay")]
    pub(crate) no_properties: bool,

    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// `None`: as fast as can be.
type Speed = Option<f64>;

fn speed(text: &str) -> Result<Speed, String> {
    if text == "max" {
        return Ok(None);
    }
    let factor = text.parse().ok().filter(|factor: &f64| factor.is_finite() && *factor > 0.0);
    factor.map(Some).ok_or_else(|| "write a factor above 0, such as 2 or 0.5, or max".into())
}
