//! The options of `pub`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args};
use packetboat::QoS;

use super::{Connection, help, values};

#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    override_usage = "packetboat pub [OPTIONS] (-t <TOPIC>... | -L <URL>) (-m <MESSAGE> | -f <FILE> | -s | -l | -n)",
    after_help = help::PUBLISH,
    group(ArgGroup::new("payload").required(true).args(["message", "file", "stdin_file", "stdin_line", "null_message"]))
)]
pub(crate) struct Publish {
    /// Topic; with several, each message goes to all of them
    #[arg(
        short,
        long,
        required_unless_present = "url",
        allow_hyphen_values = true,
        help_heading = "Message"
    )]
    pub(crate) topic: Vec<String>,

    /// Send this text
    #[arg(short, long, allow_hyphen_values = true, help_heading = "Message")]
    pub(crate) message: Option<OsString>,

    /// Send the contents of this file, byte by byte
    #[arg(short, long, help_heading = "Message")]
    pub(crate) file: Option<PathBuf>,

    /// Send all of standard input as one message
    #[arg(short, long, help_heading = "Message")]
    pub(crate) stdin_file: bool,

    /// Send each line of standard input as a message, without its end of line
    #[arg(short = 'l', long, help_heading = "Message")]
    pub(crate) stdin_line: bool,

    /// Send an empty message
    #[arg(short, long, help_heading = "Message")]
    pub(crate) null_message: bool,

    /// 0 (at most once), 1 (at least once) or 2 (exactly once) [default: 0, or what the file of --config says]
    #[arg(short, long, value_parser = values::qos, help_heading = "Message")]
    pub(crate) qos: Option<QoS>,

    /// The broker keeps the message for later subscribers; an empty one removes what it kept
    #[arg(short, long, help_heading = "Message")]
    pub(crate) retain: bool,

    /// Send the message so often; not with -l
    #[arg(long, value_name = "COUNT", default_value_t = 1, conflicts_with = "stdin_line",
        value_parser = clap::value_parser!(u64).range(1..), help_heading = "Message")]
    pub(crate) repeat: u64,

    /// Wait so many seconds after a message was delivered before the next is sent
    #[arg(long, value_name = "SECONDS", value_parser = values::seconds, allow_negative_numbers = true, requires = "repeat", help_heading = "Message")]
    pub(crate) repeat_delay: Option<Duration>,

    /// Give up after so many seconds: exit code 4 if not everything was delivered [default: never]
    #[arg(short = 'W', long, value_name = "SECONDS", value_parser = values::timeout, allow_negative_numbers = true, help_heading = "Message")]
    pub(crate) timeout: Option<Duration>,

    #[command(flatten)]
    pub(crate) connection: Connection,
}
