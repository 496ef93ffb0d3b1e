//! `packetboat man`.

use std::path::Path;

use clap::CommandFactory;

use crate::arguments::Arguments;
use crate::failure::{Exit, Failure};

/// A page for each command into the folder, which is made if it is not there.
pub(crate) fn write(folder: &Path) -> Result<Exit, Failure> {
    let wrong = |error| Failure::usage(format_args!("{} cannot be written: {error}", folder.display()));
    std::fs::create_dir_all(folder).map_err(wrong)?;
    let command = Arguments::command().disable_help_subcommand(true);
    clap_mangen::generate_to(command, folder).map_err(wrong)?;
    Ok(Exit::Success)
}
