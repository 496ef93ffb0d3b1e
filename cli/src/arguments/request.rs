//! The options of `rr`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args};
use packetboat::QoS;

use super::{Connection, OutputArguments, help, values};

#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    override_usage = "packetboat rr [OPTIONS] (-t <TOPIC> | -L <URL>) (-m <MESSAGE> | -f <FILE> | -s | -n)",
    after_help = help::REQUEST,
    group(ArgGroup::new("payload").required(true).args(["message", "file", "stdin_file", "null_message"]))
)]
pub(crate) struct Request {
    /// Topic of the request
    #[arg(
        short,
        long,
        required_unless_present = "url",
        conflicts_with = "url",
        allow_hyphen_values = true,
        help_heading = "Request"
    )]
    pub(crate) topic: Option<String>,

    /// Topic of the answer [default: one of its own]
    ///
    /// With it the first message on this topic is the answer, with 5.0 the first that carries the correlation data.
    #[arg(short = 'e', long, value_name = "TOPIC", allow_hyphen_values = true, help_heading = "Request")]
    pub(crate) response_topic: Option<String>,

    /// Send this text
    #[arg(short, long, allow_hyphen_values = true, help_heading = "Request")]
    pub(crate) message: Option<OsString>,

    /// Send the contents of this file, byte by byte
    #[arg(short, long, help_heading = "Request")]
    pub(crate) file: Option<PathBuf>,

    /// Send all of standard input
    #[arg(short, long, help_heading = "Request")]
    pub(crate) stdin_file: bool,

    /// Send an empty request
    #[arg(short, long, help_heading = "Request")]
    pub(crate) null_message: bool,

    /// Of the request, and with -e of the subscription: 0, 1 or 2
    #[arg(short, long, default_value = "0", value_parser = values::qos, help_heading = "Request")]
    pub(crate) qos: QoS,

    /// Wait so many seconds for the answer; then the exit code is 27
    #[arg(short = 'W', long, value_name = "SECONDS", default_value = "30", value_parser = values::timeout, allow_negative_numbers = true, help_heading = "Request")]
    pub(crate) timeout: Duration,

    #[command(flatten)]
    pub(crate) output: OutputArguments,

    #[command(flatten)]
    pub(crate) connection: Connection,
}
