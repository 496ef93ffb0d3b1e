//! The options of `top`.

use clap::Args;
use packetboat::QoS;

use super::{Connection, help, values};

#[derive(Debug, Args)]
#[command(disable_help_flag = true, override_usage = "packetboat top [OPTIONS]", after_help = help::TOP)]
pub(crate) struct Top {
    /// Topic filter; may be given several times [default: #]
    #[arg(short, long, allow_hyphen_values = true, help_heading = "Subscription")]
    pub(crate) topic: Vec<String>,

    /// Highest QoS wanted: 0, 1 or 2
    #[arg(short, long, default_value = "0", value_parser = values::qos, help_heading = "Subscription")]
    pub(crate) qos: QoS,

    /// Levels of topics that are shown; messages of others are counted
    #[arg(long, value_name = "COUNT", default_value_t = 20_000, value_parser = limit, help_heading = "Subscription")]
    pub(crate) topics: usize,

    #[command(flatten)]
    pub(crate) connection: Connection,
}

fn limit(text: &str) -> Result<usize, String> {
    let limit = text.parse().ok().filter(|limit| (1..=1_000_000).contains(limit));
    limit.ok_or_else(|| "write a number from 1 to 1000000".into())
}
