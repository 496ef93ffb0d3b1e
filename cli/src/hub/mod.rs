//! `packetboat hub`: many brokers, as a file says.

mod log;
mod reload;
mod run;

use std::io::Write;
use std::path::Path;

use packetboat_hub::HubConfig;

use crate::arguments::{Hub, HubCommand};
use crate::failure::{Exit, Failure};
use crate::report;

pub(crate) async fn run(arguments: Hub) -> Result<Exit, Failure> {
    match arguments.command {
        Some(HubCommand::Check { path }) => {
            let config = load(&path)?;
            print(&format!("{}: fine: {}\n", path.display(), config.summary()))
        }
        Some(HubCommand::Graph { path }) => print(&load(&path)?.graph()),
        None => match arguments.path {
            Some(path) => run::until_stopped(&path, !arguments.no_watch).await,
            None => Err(Failure::usage("say which file describes the hub: packetboat hub FILE")),
        },
    }
}

fn load(path: &Path) -> Result<HubConfig, Failure> {
    let config = HubConfig::load(path).map_err(Failure::usage)?;
    for warning in config.warnings() {
        report::warning(warning);
    }
    Ok(config)
}

fn print(text: &str) -> Result<Exit, Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| Failure::output(&error))?;
    Ok(Exit::Success)
}
