//! `packetboat config`: what is in a file.

use std::io::Write;

use packetboat_config::{Config, ConfigError, json_schema};

use crate::arguments::{Config as Command, ConfigFile};
use crate::failure::{Exit, Failure};
use crate::report;

pub(crate) fn run(command: Command) -> Result<Exit, Failure> {
    let text = match command {
        Command::Check(file) => {
            let config = load(&file)?;
            // A disabled section is no mistake: whoever wrote it may mean it.
            if config.is_enabled() {
                config.options().map_err(|error| failure(&error))?;
            }
            format!("{}: fine, with the keys of {}\n", file.path.display(), config.dialect())
        }
        Command::Show(file) => load(&file)?
            .with_environment(
                std::env::vars_os()
                    .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
            )
            .map_err(|error| failure(&error))?
            .show(),
        Command::Convert { file, to } => load(&file)?.write(to.into()),
        Command::Schema => json_schema(),
    };
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| Failure::output(&error))?;
    Ok(Exit::Success)
}

fn load(file: &ConfigFile) -> Result<Config, Failure> {
    let config = Config::load_as(&file.path, file.dialect()).map_err(|error| failure(&error))?;
    for warning in config.warnings() {
        report::warning(warning);
    }
    Ok(config)
}

fn failure(error: &ConfigError) -> Failure {
    Failure::usage(error)
}
