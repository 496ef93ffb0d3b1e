//! Packetboat beside its peers and the raw socket limit, in one run.

mod arguments;
mod counts;
mod crowd;
mod floods;
mod frames;
mod growth;
mod guard;
mod job;
mod link;
mod markdown;
mod measure;
mod memory;
mod peers;
mod plot;
mod raw;
mod report;
mod run;
mod setting;
mod sink;
mod tls;

use std::process::ExitCode;

use arguments::{Arguments, Command};
use job::{Error, Job};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match start(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn start(arguments: &[String]) -> Result<(), Error> {
    // Crowds need a descriptor for each connection.
    rlimit::increase_nofile_limit(u64::MAX)?;
    match arguments.split_first() {
        // The two that this program starts of itself.
        Some((first, _)) if first == "sink" => sink::serve(),
        Some((first, rest)) if first == "worker" => {
            println!("{}", peers::run(Job::from_arguments(rest)?)?);
            Ok(())
        }
        _ => match Arguments::parse(arguments)? {
            Command::Help(text) => {
                println!("{text}");
                Ok(())
            }
            Command::Measure(arguments) => run::run(&arguments),
            Command::Count(arguments) => counts::run(&arguments),
            Command::Guard(file) => guard::run(&file),
        },
    }
}
