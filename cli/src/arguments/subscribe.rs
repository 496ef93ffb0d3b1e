//! The options of `sub`.

use std::time::Duration;

use clap::Args;
use packetboat::QoS;

use super::{Connection, OutputArguments, help, values};

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

    #[command(flatten)]
    pub(crate) output: OutputArguments,

    #[command(flatten)]
    pub(crate) connection: Connection,
}
