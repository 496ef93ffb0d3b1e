//! The options of `doctor`.

use std::time::Duration;

use clap::Args;

use super::{Connection, help, values};
use crate::options::Location;

#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    override_usage = "packetboat doctor [OPTIONS] [URL]",
    after_help = help::DOCTOR
)]
pub(crate) struct Doctor {
    /// The broker, as with -L; a topic in it is the beginning of all topics that are used
    #[arg(value_name = "URL", value_parser = Location::parse, conflicts_with_all = ["url", "host", "port", "unix", "ws"])]
    pub(crate) address: Option<Location>,

    /// Topics begin so [default: packetboat/doctor/ and a random number]
    #[arg(short, long, allow_hyphen_values = true, help_heading = "Examination")]
    pub(crate) topic: Option<String>,

    /// The largest packet that is tried, where the broker names no limit below it
    #[arg(long, value_name = "BYTES", default_value_t = 1024 * 1024,
        value_parser = clap::value_parser!(u32).range(1024..=200_000_000), help_heading = "Examination")]
    pub(crate) largest: u32,

    /// What has not come after so many seconds does not come
    #[arg(long, value_name = "SECONDS", default_value = "3", value_parser = values::timeout, help_heading = "Examination")]
    pub(crate) patience: Duration,

    /// Write the findings as JSON
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) connection: Connection,
}
