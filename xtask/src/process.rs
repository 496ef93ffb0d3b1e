//! Running other programs.

use std::env;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::context::Context;

/// A command in the workspace's root, with the environment the steps agreed on.
pub(crate) fn command(context: &Context, program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(&context.root).stdin(Stdio::null());
    // What `cargo run` told this program about xtask would make build scripts of others run again.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command.envs(context.environment.iter().map(|(name, value)| (name, value)));
    command
}

/// Prints and runs; output goes where ours goes.
pub(crate) fn run(context: &Context, program: &str, arguments: &[&str]) -> Result<(), String> {
    run_command(command(context, program, arguments), &line(program, arguments))
}

/// For what needs a network: a failure may be a hiccup, so there are three tries.
pub(crate) fn run_patiently(context: &Context, program: &str, arguments: &[&str]) -> Result<(), String> {
    patiently(PAUSES, || run(context, program, arguments))
}

pub(crate) const PAUSES: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(20)];

/// Once more after each of the pauses, until it succeeds.
pub(crate) fn patiently(
    pauses: impl IntoIterator<Item = Duration>,
    mut work: impl FnMut() -> Result<(), String>,
) -> Result<(), String> {
    let mut result = work();
    for pause in pauses {
        let Err(why) = &result else { break };
        println!("{why}; once more in {pause:?}");
        std::thread::sleep(pause);
        result = work();
    }
    result
}

pub(crate) fn cargo(context: &Context, arguments: &[&str]) -> Result<(), String> {
    run(context, "cargo", arguments)
}

pub(crate) fn run_command(mut command: Command, line: &str) -> Result<(), String> {
    println!("$ {line}");
    let status = command.status().map_err(|error| format!("{line}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("`{line}`: {status}")) }
}

/// Runs, prints each line of standard output as it comes, and shows it to `see` too.
pub(crate) fn run_watched(
    context: &Context,
    program: &str,
    arguments: &[&str],
    mut see: impl FnMut(&str),
) -> Result<(), String> {
    let line = line(program, arguments);
    println!("$ {line}");
    let mut command = command(context, program, arguments);
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(|error| format!("{line}: {error}"))?;
    if let Some(output) = child.stdout.take() {
        for text in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            let text = String::from_utf8_lossy(&text);
            println!("{text}");
            see(&text);
        }
    }
    let status = child.wait().map_err(|error| format!("{line}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("`{line}`: {status}")) }
}

/// Standard output of a command that has to succeed.
pub(crate) fn output(context: &Context, program: &str, arguments: &[&str]) -> Result<String, String> {
    let line = line(program, arguments);
    let output = command(context, program, arguments).output().map_err(|error| format!("{line}: {error}"))?;
    if !output.status.success() {
        return Err(format!(
            "`{line}`: {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        ));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

pub(crate) fn succeeds(context: &Context, program: &str, arguments: &[&str]) -> bool {
    output(context, program, arguments).is_ok()
}

/// Where children will find the program.
pub(crate) fn find(context: &Context, program: &str) -> Option<PathBuf> {
    let path = context.value("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

fn line(program: &str, arguments: &[&str]) -> String {
    let words = std::iter::once(program).chain(arguments.iter().copied());
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_is_tried_again_until_it_succeeds_or_the_pauses_are_over() {
        for (failures, tries, succeeds) in [(0, 1, true), (2, 3, true), (9, 3, false)] {
            let mut count = 0;
            let result = patiently([Duration::ZERO; 2], || {
                count += 1;
                if count > failures { Ok(()) } else { Err("no network".into()) }
            });
            assert_eq!((count, result.is_ok()), (tries, succeeds));
        }
    }
}
