//! The options of `sub`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use packetboat::QoS;

use super::{Connection, OutputArguments, help, values};
use crate::format::Condition;

#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    override_usage = "packetboat sub [OPTIONS] (-t <FILTER>... | -L <URL>)",
    after_help = help::SUBSCRIBE
)]
pub(crate) struct Subscribe {
    /// Topic filter; may be given several times
    #[arg(short, long, required_unless_present_any = ["url", "unsubscribe"], allow_hyphen_values = true,
        help_heading = "Subscription")]
    pub(crate) topic: Vec<String>,

    /// Highest QoS wanted: 0, 1 or 2
    #[arg(short, long, default_value = "0", value_parser = values::qos, help_heading = "Subscription")]
    pub(crate) qos: QoS,

    /// Drop messages whose topic matches this filter; may be given several times
    #[arg(
        short = 'T',
        long,
        value_name = "FILTER",
        allow_hyphen_values = true,
        help_heading = "Subscription"
    )]
    pub(crate) filter_out: Vec<String>,

    /// Remove this subscription of the session (after subscribing to -t); may be given several times
    #[arg(
        short = 'U',
        long,
        value_name = "FILTER",
        allow_hyphen_values = true,
        help_heading = "Subscription"
    )]
    pub(crate) unsubscribe: Vec<String>,

    /// Drop messages unless their JSON payload has this: POINTER, or POINTER=VALUE; with several all must hold
    ///
    /// A value is JSON, or else text: /state=open, /temperature=21.5, /name="5". Pointers are those of RFC 6901.
    #[arg(long = "where", value_name = "CONDITION", help_heading = "Subscription")]
    pub(crate) conditions: Vec<Condition>,

    /// Print no retained messages
    #[arg(short = 'R', long, help_heading = "Subscription")]
    pub(crate) no_retained: bool,

    /// Print retained messages only, and end with the first other one
    #[arg(long, conflicts_with = "no_retained", help_heading = "Subscription")]
    pub(crate) retained_only: bool,

    /// Remove every retained message that arrives from the broker, but those -T drops
    #[arg(long, help_heading = "Subscription")]
    pub(crate) remove_retained: bool,

    /// Messages keep the retain flag they were published with (5.0)
    #[arg(long, help_heading = "Subscription")]
    pub(crate) retain_as_published: bool,

    /// End after so many messages
    #[arg(short = 'C', long, value_parser = clap::value_parser!(u64).range(1..), help_heading = "End")]
    pub(crate) count: Option<u64>,

    /// End so many seconds after the connection was made, with exit code 27
    #[arg(short = 'W', long, value_name = "SECONDS", value_parser = values::timeout, allow_negative_numbers = true, help_heading = "End")]
    pub(crate) timeout: Option<Duration>,

    /// End as soon as the broker has acknowledged the subscriptions
    #[arg(short = 'E', long = "exit-after-subscribe", help_heading = "End")]
    pub(crate) exit_when_acknowledged: bool,

    /// Write messages to the end of this file instead of to standard output
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) output_file: Option<PathBuf>,

    /// Begin the file anew before it is larger than so many bytes (also 10k, 10M, 1G); full ones are FILE.1, FILE.2, ...
    #[arg(long, value_name = "BYTES", value_parser = values::bytes, requires = "output_file", help_heading = "Output")]
    pub(crate) rotate: Option<u64>,

    /// Full files that are kept, the youngest is FILE.1
    #[arg(long, value_name = "COUNT", default_value_t = 9, requires = "rotate", value_parser = clap::value_parser!(u32).range(..=10_000),
        help_heading = "Output")]
    pub(crate) keep: u32,

    /// Tell on standard error how much arrives [default: where that is a terminal and messages go elsewhere]
    #[arg(long, help_heading = "Output")]
    pub(crate) rate: bool,

    #[command(flatten)]
    pub(crate) output: OutputArguments,

    #[command(flatten)]
    pub(crate) connection: Connection,
}
