//! `packetboat config`: what is in a file.

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;

use packetboat_config::{Config, ConfigError, Dialect, json_schema};

use crate::arguments::{Config as Command, ConfigFile};
use crate::failure::{Exit, Failure};
use crate::report;

pub(crate) fn run(command: Command) -> Result<Exit, Failure> {
    let text = match command {
        Command::Check(file) => {
            let config = load_file(&file)?;
            // A disabled section is no mistake: whoever wrote it may mean it.
            if config.is_enabled() {
                config.options().map_err(|error| failure(&error))?;
            }
            format!("{}: fine, with the keys of {}\n", file.path.display(), config.dialect())
        }
        Command::Show(file) => with_environment(load_file(&file)?)?.show(),
        Command::Convert { file, to } => load_file(&file)?.write(to.into()),
        Command::Schema => json_schema(),
    };
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| Failure::output(&error))?;
    Ok(Exit::Success)
}

fn load_file(file: &ConfigFile) -> Result<Config, Failure> {
    load(&file.path, file.dialect())
}

/// Tells what the file says in vain.
pub(crate) fn load(path: &Path, dialect: Option<Dialect>) -> Result<Config, Failure> {
    let config = Config::load_as(path, dialect).map_err(|error| failure(&error))?;
    for warning in config.warnings() {
        report::warning(warning);
    }
    Ok(config)
}

/// With the variables of this process.
pub(crate) fn with_environment(config: Config) -> Result<Config, Failure> {
    let text =
        |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    config.with_environment(std::env::vars_os().filter_map(text)).map_err(|error| failure(&error))
}

fn failure(error: &ConfigError) -> Failure {
    Failure::usage(error)
}
