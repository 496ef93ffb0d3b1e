//! The command line.

mod bench;
mod config;
mod connection;
mod doctor;
mod help;
mod hub;
#[cfg(feature = "openssl")]
mod openssl;
mod output;
mod publish;
mod recording;
mod request;
mod road;
mod subscribe;
mod tls;
#[cfg(feature = "top")]
mod top;
mod values;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Parser, Subcommand};
use clap_complete::Shell;

pub(crate) use bench::{Bench, STAMP};
pub(crate) use config::{Config, File as ConfigFile};
pub(crate) use connection::Connection;
pub(crate) use doctor::Doctor;
pub(crate) use hub::{Hub, HubCommand};
pub(crate) use output::OutputArguments;
pub(crate) use publish::Publish;
pub(crate) use recording::{Record, Replay};
pub(crate) use request::Request;
pub(crate) use subscribe::Subscribe;
#[cfg(feature = "top")]
pub(crate) use top::Top;
pub(crate) use values::{Expiry, Protocol};

use crate::failure::Exit;
use crate::report;

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
    /// Record messages with their times in a file
    Record(Box<Record>),
    /// Publish what was recorded, with its timing
    Replay(Box<Replay>),
    /// Put a broker under load, and measure times and losses
    Bench(Box<Bench>),
    /// Find out what a broker supports, by trying
    Doctor(Box<Doctor>),
    /// Watch the topics of a broker: a tree with rates and last values
    #[cfg(feature = "top")]
    Top(Box<Top>),
    /// Look at configuration files: check, show, convert
    #[command(subcommand)]
    Config(Config),
    Hub(Hub),
    /// Write a completion script for a shell to standard output
    #[command(after_help = help::COMPLETIONS)]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write manual pages, one for each command, into a folder
    #[command(after_help = help::MAN)]
    Man {
        /// The folder; made if it is not there
        folder: std::path::PathBuf,
    },
}

impl Arguments {
    /// No errors but those of the command line are wanted.
    pub(crate) fn is_quiet(&self) -> bool {
        match &self.command {
            Command::Pub(publish) => publish.connection.quiet,
            Command::Sub(subscribe) => subscribe.connection.quiet,
            Command::Rr(request) => request.connection.quiet,
            Command::Bench(bench) => bench.connection.quiet,
            Command::Doctor(doctor) => doctor.connection.quiet,
            #[cfg(feature = "top")]
            Command::Top(top) => top.connection.quiet,
            Command::Record(record) => record.connection.quiet,
            Command::Replay(replay) => replay.connection.quiet,
            Command::Demo
            | Command::Config(_)
            | Command::Hub(_)
            | Command::Completions { .. }
            | Command::Man { .. } => false,
        }
    }
}

/// The arguments of this process. Help, version and mistakes are printed here; `Err` is how to end then.
pub(crate) fn parse() -> Result<Arguments, Exit> {
    Arguments::try_parse().map_err(|error| {
        if let Some((what, feature)) = left_out(&error) {
            report::error(&format_args!(
                "this build does not know {what}: it was made without the feature `{feature}` (cargo install --path cli \
                 --features {feature})"
            ));
            return Exit::Usage;
        }
        // Nothing is left to be done if even this cannot be printed.
        let _ = error.print();
        if error.use_stderr() { Exit::Usage } else { Exit::Success }
    })
}

/// What only builds with a feature know, and the feature.
const LEFT_OUT: &[(&str, &str)] = &[
    #[cfg(not(feature = "openssl"))]
    ("--ciphers", "openssl"),
    #[cfg(not(feature = "openssl"))]
    ("--psk", "openssl"),
    #[cfg(not(feature = "openssl"))]
    ("--psk-identity", "openssl"),
    #[cfg(not(feature = "top"))]
    ("top", "top"),
];

/// Is that the mistake: something another build understands?
fn left_out(error: &clap::Error) -> Option<(&'static str, &'static str)> {
    let of = match error.kind() {
        ErrorKind::UnknownArgument => ContextKind::InvalidArg,
        ErrorKind::InvalidSubcommand => ContextKind::InvalidSubcommand,
        _ => return None,
    };
    let Some(ContextValue::String(word)) = error.get(of) else { return None };
    LEFT_OUT.iter().copied().find(|(what, _)| what == word)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails so")]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Arguments::command().debug_assert();
    }

    /// Those of the help of every command.
    #[test]
    fn every_example_of_the_help_is_understood() {
        let command = Arguments::command();
        let helps = command.get_subcommands().filter_map(|command| command.get_after_help());
        let mut count = 0;
        for help in helps {
            for line in help.to_string().lines().map(str::trim_start) {
                let line = line.find("| packetboat").map_or(line, |at| &line[at + 2..]);
                if line.starts_with("packetboat ") {
                    let result = Arguments::try_parse_from(words(line));
                    assert!(result.is_ok(), "{line}\n{}", result.unwrap_err());
                    count += 1;
                }
            }
        }
        assert!(count > 30, "{count} examples");
    }

    /// Those in blocks of shell, of the pages in `docs` and of the README.
    #[test]
    fn every_command_line_of_the_documentation_is_understood() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut pages: Vec<_> =
            std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path()).collect();
        pages.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
        pages.push(root.join("README.md"));
        let mut count = 0;
        for page in pages {
            let text = std::fs::read_to_string(&page).unwrap();
            let shell = text.split("```sh\n").skip(1).filter_map(|block| block.split("```").next());
            let joined: Vec<String> = shell.map(|block| block.replace("\\\n", " ")).collect();
            for line in joined.iter().flat_map(|block| block.lines()) {
                if line.starts_with("packetboat ") {
                    let result = Arguments::try_parse_from(words(line));
                    assert!(result.is_ok(), "{}: {line}\n{}", page.display(), result.unwrap_err());
                    count += 1;
                }
            }
        }
        assert!(count > 3, "{count} command lines");
    }

    /// As a shell would, up to a pipe, a redirection or a comment.
    fn words(line: &str) -> Vec<String> {
        let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
        for character in line.chars().chain([' ']) {
            match (quote, character) {
                (Some(end), _) if character == end => quote = None,
                (None, '\'' | '"') => quote = Some(character),
                (None, '|' | '>' | '<' | '#') if word.is_empty() => break,
                (None, ' ') => words.extend(Some(std::mem::take(&mut word)).filter(|word| !word.is_empty())),
                _ => word.push(character),
            }
        }
        words
    }
}
