//! `packetboat config`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use packetboat_config::{Dialect, Format};

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Say what is wrong with a file, with line and column
    Check(File),
    /// Show the values that apply, where each comes from, and no secrets
    ///
    /// Variables of the environment (`PACKETBOAT_OPTION_KEEP_ALIVE`) count, as they do for programs that read the file.
    Show(File),
    /// Write a file in another format, with packetboat's keys, to standard output; secrets are in it
    Convert {
        #[command(flatten)]
        file: File,
        /// The format to write
        #[arg(long, value_enum)]
        to: To,
    },
    /// Write the JSON Schema of packetboat's files to standard output
    Schema,
}

/// The file, and whose keys it has.
#[derive(Args, Debug)]
pub(crate) struct File {
    /// The file; its ending says how it is written: .toml, .json, .yaml, .yml
    pub(crate) path: PathBuf,
    /// Whose keys it has, if looking at them does not tell
    #[arg(long = "as", value_enum)]
    dialect: Option<Keys>,
}

impl File {
    pub(crate) fn dialect(&self) -> Option<Dialect> {
        Some(match self.dialect? {
            Keys::Packetboat => Dialect::Packetboat,
            Keys::Mongoose => Dialect::Mongoose,
            Keys::Amqtt => Dialect::Amqtt,
        })
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Keys {
    Packetboat,
    /// Mongoose OS
    Mongoose,
    Amqtt,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum To {
    Toml,
    Json,
    Yaml,
}

impl From<To> for Format {
    fn from(to: To) -> Self {
        match to {
            To::Toml => Self::Toml,
            To::Json => Self::Json,
            To::Yaml => Self::Yaml,
        }
    }
}
