//! The command line.

mod config;
mod connection;
mod help;
#[cfg(feature = "openssl")]
mod openssl;
mod output;
mod publish;
mod request;
mod road;
mod subscribe;
mod tls;
mod values;

use clap::{Parser, Subcommand};
use clap_complete::Shell;

pub(crate) use config::{Config, File as ConfigFile};
pub(crate) use connection::Connection;
pub(crate) use output::OutputArguments;
pub(crate) use publish::Publish;
pub(crate) use request::Request;
pub(crate) use subscribe::Subscribe;
pub(crate) use values::Expiry;

use crate::failure::Exit;

/// MQTT 3.1.1 and 5.0 at the command line.
///
/// `demo` shows what it does, with a broker of its own. `pub`, `sub` and `rr` work with any broker; their options have the
/// letters and meanings they have with mosquitto.
#[derive(Debug, Parser)]
#[command(name = "packetboat", version, after_long_help = help::COMMAND, after_help = help::COMMAND_SHORT)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// See it work: an embedded broker, messages at every QoS, a connection that is cut, and the count
    ///
    /// Starts a strict broker inside the process, publishes and receives at QoS 0, 1 and 2, cuts the connection in the
    /// middle of it, shows how the session is resumed, and counts what was lost or doubled. Ends by itself in a few
    /// seconds, with exit code 0 if the promises of MQTT were kept.
    Demo,
    /// Publish messages
    Pub(Box<Publish>),
    /// Subscribe to topics and print what arrives
    Sub(Box<Subscribe>),
    /// Send a request and print the answer
    Rr(Box<Request>),
    /// Look at configuration files: check, show, convert
    #[command(subcommand)]
    Config(Config),
    /// Write a completion script for a shell to standard output
    #[command(after_help = help::COMPLETIONS)]
    Completions {
        /// The shell
        shell: Shell,
    },
}

impl Arguments {
    /// No errors but those of the command line are wanted.
    pub(crate) fn is_quiet(&self) -> bool {
        match &self.command {
            Command::Pub(publish) => publish.connection.quiet,
            Command::Sub(subscribe) => subscribe.connection.quiet,
            Command::Rr(request) => request.connection.quiet,
            Command::Demo | Command::Config(_) | Command::Completions { .. } => false,
        }
    }
}

/// The arguments of this process. Help, version and mistakes are printed here; `Err` is how to end then.
pub(crate) fn parse() -> Result<Arguments, Exit> {
    Arguments::try_parse().map_err(|error| {
        // Nothing is left to be done if even this cannot be printed.
        let _ = error.print();
        if error.use_stderr() { Exit::Usage } else { Exit::Success }
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Arguments::command().debug_assert();
    }
}
