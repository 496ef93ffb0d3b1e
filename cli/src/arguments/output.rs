//! How messages are printed.

use clap::Args;

use crate::format::{Pointer, Template};

#[derive(Debug, Args)]
pub(crate) struct OutputArguments {
    /// Print the topic before the payload
    #[arg(short, long, help_heading = "Output")]
    pub(crate) verbose: bool,

    /// Print in this format: see below
    #[arg(short = 'F', long, value_parser = Template::parse, allow_hyphen_values = true, help_heading = "Output")]
    pub(crate) format: Option<Template>,

    /// No end of line after a message
    #[arg(short = 'N', long, help_heading = "Output")]
    pub(crate) no_newline: bool,

    /// Print only what this JSON pointer leads to, such as /rooms/0/name; messages without it are left out
    ///
    /// A string is printed without its quotes, all else as JSON. %p and %x of -F are of it.
    #[arg(long, value_name = "POINTER", help_heading = "Output")]
    pub(crate) pointer: Option<Pointer>,

    /// Print payloads that are JSON with a line for each value; others as they are
    #[arg(long, help_heading = "Output")]
    pub(crate) pretty: bool,
}
