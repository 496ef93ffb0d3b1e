//! `packetboat completions`.

use std::io::{self, Write};

use clap::CommandFactory;
use clap_complete::Shell;

use crate::arguments::Arguments;
use crate::failure::{Exit, Failure};

pub(crate) fn write(shell: Shell) -> Result<Exit, Failure> {
    // Into memory first: the generator panics where standard output is closed early.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "packetboat", &mut script);
    match io::stdout().lock().write_all(&script) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::output(&error)),
        _ => Ok(Exit::Success),
    }
}
