//! How messages are printed.

use clap::Args;

use crate::format::Template;

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
}
