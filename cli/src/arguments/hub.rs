//! `packetboat hub`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Run the hub that a file describes: many brokers, and pipes between them
///
/// The file is TOML, JSON or YAML. SIGHUP, or a change of the file, makes the hub what the file says then: only what differs is
/// touched, and a file with a mistake changes nothing. SIGTERM ends it once what is on the way is delivered.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true, arg_required_else_help = true)]
pub(crate) struct Hub {
    #[command(subcommand)]
    pub(crate) command: Option<HubCommand>,
    /// The file; its ending says how it is written: .toml, .json, .yaml, .yml
    pub(crate) path: Option<PathBuf>,
    /// Change only on SIGHUP, not when the file does
    #[arg(long)]
    pub(crate) no_watch: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum HubCommand {
    /// Say what is wrong with a file, with line and column
    Check {
        /// The file
        path: PathBuf,
    },
    /// Draw the pipes of a file (SVG) to standard output
    Graph {
        /// The file
        path: PathBuf,
    },
}
