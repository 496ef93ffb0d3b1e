//! The packetboat command: `pub`, `sub` and `rr` against any broker, and a demonstration with one of its own.

mod arguments;
mod bar;
mod bench;
mod completions;
mod config;
mod connect;
mod demo;
mod doctor;
mod failure;
mod format;
mod hub;
mod man;
mod options;
mod output;
mod plain;
mod properties;
mod publish;
mod recording;
mod report;
mod request;
mod signals;
mod subscribe;
#[cfg(feature = "top")]
mod top;

use std::process::ExitCode;

use arguments::{Arguments, Command};
use failure::Exit;

fn main() -> ExitCode {
    let arguments = match arguments::parse() {
        Ok(arguments) => arguments,
        Err(exit) => return exit.into(),
    };
    run(arguments).into()
}

fn run(arguments: Arguments) -> Exit {
    let quiet = arguments.is_quiet();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            report::error(&format_args!("no runtime: {error}"));
            return Exit::Usage;
        }
    };
    // The future runs on this thread and the client's task on a worker: a standard output that blocks holds up
    // nothing but the messages for it.
    let result = runtime.block_on(async {
        match arguments.command {
            Command::Demo => demo::run().await,
            Command::Pub(arguments) => publish::run(*arguments).await,
            Command::Sub(arguments) => subscribe::run(*arguments).await,
            Command::Rr(arguments) => request::run(*arguments).await,
            Command::Bench(arguments) => bench::run(*arguments).await,
            Command::Doctor(arguments) => doctor::run(*arguments).await,
            #[cfg(feature = "top")]
            Command::Top(arguments) => top::run(*arguments).await,
            Command::Record(arguments) => recording::record(*arguments).await,
            Command::Replay(arguments) => recording::replay(*arguments).await,
            Command::Config(command) => config::run(command),
            Command::Hub(arguments) => hub::run(arguments).await,
            Command::Completions { shell } => completions::write(shell),
            Command::Man { folder } => man::write(&folder),
        }
    });
    // A thread that waits for standard input must not hold up the end.
    runtime.shutdown_background();
    match result {
        Ok(exit) => exit,
        Err(failure) => {
            if !(quiet && failure.exit != Exit::Usage) {
                report::error(&failure.message);
            }
            failure.exit
        }
    }
}
