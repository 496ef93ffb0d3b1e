//! The examples, run as a reader would: against a broker, itself one of them. Those that need more than a broker are run by
//! tests of their crates.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use crate::context::Context;
use crate::process;
use crate::step::Outcome;

/// Name, arguments (`URL` stands for the broker's, `FILE` for a configuration that names it), and a line that has to appear. `cargo test --workspace` has built them.
const EXAMPLES: &[(&str, &[&str], &str)] = &[
    ("fleet", &["100", "1000"], "all of it arrived"),
    ("from_file", &["FILE"], "connected"),
    ("listeners", &[], "kitchen: home/stove/temperature = 80"),
    ("messages", &["URL"], "house/kitchen/reading: 21.5"),
    ("one_trace", &["URL"], "trace/here is of the same trace"),
    ("publish", &["URL", "a/topic"], "0 lines delivered"),
    ("session", &[], ""),
    ("squares", &["URL", "12"], "144"),
    ("tickets", &[], "authenticated again"),
    ("typed_topics", &["URL"], ""),
    ("wait", &["URL"], "hello/world: Hello!"),
];

/// Run by tests of their crates, by another step, or by nobody; and what that is.
const ELSEWHERE: &[(&str, &str)] = &[
    ("amqtt_publisher", "docs/tests/programs.rs"),
    ("amqtt_subscriber", "docs/tests/programs.rs"),
    ("broker", "the broker of this step"),
    ("broker_check", "`cargo xtask interop`"),
    ("large_files", "client/tests/large.rs"),
    ("mongoose_device", "docs/tests/programs.rs"),
    ("psk", "openssl/tests/mosquitto.rs"),
    ("quic", "quic/tests"),
    ("rates", "a measurement"),
    ("route_growth", "a measurement"),
    ("subscribe", "a program without an end: this step, apart"),
    ("zerynth_callback", "docs/tests/programs.rs"),
];

/// Those that end with an error in words where no broker is: with async and without.
const FAILURES: &[(&str, &[&str])] = &[("publish", &[NO_BROKER, "a/topic"]), ("wait", &[NO_BROKER])];

/// Nobody listens on port 1.
pub(crate) const NO_BROKER: &str = "mqtt://127.0.0.1:1";

pub(crate) fn run(context: &mut Context) -> Outcome {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| context.root.join("target"), PathBuf::from);
    let folder = target.join("debug/examples");
    let broker = match Broker::start(context, &folder) {
        Ok(broker) => broker,
        Err(why) => return Outcome::Failed(format!("the broker of the examples: {why}")),
    };
    let file = folder.join("boat.toml").to_string_lossy().into_owned();
    if let Err(why) = std::fs::write(&file, format!("server = \"{}\"\n", broker.url)) {
        return Outcome::Failed(format!("{file}: {why}"));
    }
    for (name, arguments, wanted) in EXAMPLES {
        let arguments: Vec<&str> = arguments
            .iter()
            .map(|&argument| match argument {
                "URL" => &broker.url,
                "FILE" => &file,
                other => other,
            })
            .collect();
        let printed = match process::output(context, &folder.join(name).to_string_lossy(), &arguments) {
            Ok(printed) => printed,
            Err(why) => return Outcome::Failed(why),
        };
        if !wanted.is_empty() && !printed.lines().any(|line| line == *wanted) {
            return Outcome::Failed(format!("the example {name} did not print `{wanted}`, but:\n{printed}"));
        }
    }
    if let Err(why) = subscribing(context, &folder, &broker.url).and_then(|()| all_are_named(context)) {
        return Outcome::Failed(why);
    }
    for (name, arguments) in FAILURES {
        if let Err(why) = fails_in_words(context, &folder.join(name).to_string_lossy(), arguments) {
            return Outcome::Failed(why);
        }
    }
    Outcome::Done(format!("{} ran, {} failed as they should", EXAMPLES.len(), FAILURES.len()))
}

/// It prints what is published once it has said that it is subscribed.
fn subscribing(context: &Context, folder: &Path, url: &str) -> Result<(), String> {
    let program = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let mut command = process::command(context, &program("subscribe"), &[url, "lines/#"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut subscriber = Running(child.map_err(|error| format!("subscribe: {error}"))?);
    let said = subscriber.0.stderr.take().map(first_line).unwrap_or_default();
    if said != "subscribed to lines/#" {
        return Err(format!("the example subscribe said `{said}`"));
    }
    let mut publisher = process::command(context, &program("publish"), &[url, "lines/one"])
        .stdin(Stdio::piped())
        .spawn()
        .map_err(|error| format!("publish: {error}"))?;
    let written = publisher.stdin.take().map_or(Ok(()), |mut input| input.write_all(b"hello\n"));
    written.and_then(|()| publisher.wait()).map_err(|error| format!("publish: {error}"))?;
    let printed = subscriber.0.stdout.take().map(first_line).unwrap_or_default();
    if printed == "lines/one hello" {
        Ok(())
    } else {
        Err(format!("the example subscribe printed `{printed}`"))
    }
}

fn first_line(from: impl Read) -> String {
    let mut line = String::new();
    let _ = BufReader::new(from).read_line(&mut line);
    line.trim_end().to_owned()
}

/// No example is forgotten.
fn all_are_named(context: &Context) -> Result<(), String> {
    let list =
        |folder: &Path| std::fs::read_dir(folder).map(|entries| entries.flatten().map(|entry| entry.path()));
    let crates = list(&context.root).map_err(|error| format!("{}: {error}", context.root.display()))?;
    for path in crates.filter_map(|folder| list(&folder.join("examples")).ok()).flatten() {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let is_known = EXAMPLES.iter().any(|(known, ..)| *known == name)
            || ELSEWHERE.iter().any(|(known, _)| *known == name);
        if path.extension().is_some_and(|extension| extension == "rs") && !is_known {
            return Err(format!(
                "the example {} is run by nobody: name it in xtask/src/examples.rs",
                path.display()
            ));
        }
    }
    Ok(())
}

/// A process that is stopped when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A program that finds no broker says so to whoever is no programmer: not with the names and braces of derived `Debug`.
pub(crate) fn fails_in_words(context: &Context, program: &str, arguments: &[&str]) -> Result<(), String> {
    let said = match process::output(context, program, arguments) {
        Ok(printed) => {
            return Err(format!("{program} did not fail without a broker, but printed:\n{printed}"));
        }
        Err(said) => said,
    };
    let in_words =
        said.contains("Error: 127.0.0.1:1: it does not take connections (") && !said.contains(" { ");
    if in_words {
        Ok(())
    } else {
        Err(format!("{program} did not say in words that there is no broker, but:\n{said}"))
    }
}

/// The strict broker, stopped when dropped.
pub(crate) struct Broker {
    _process: Running,
    pub(crate) url: String,
}

impl Broker {
    /// Where nobody has built it yet.
    pub(crate) fn build(context: &Context) -> Result<Self, String> {
        let build =
            ["build", "--quiet", "--package", "packetboat-sim", "--all-features", "--example", "broker"];
        process::cargo(context, &build)?;
        Self::start(context, &context.target_folder().join("debug/examples"))
    }

    fn start(context: &Context, folder: &Path) -> Result<Self, String> {
        let program = folder.join("broker");
        let mut process = process::command(context, &program.to_string_lossy(), &["0"])
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{}: {error}", program.display()))?;
        let mut line = String::new();
        if let Some(output) = process.stdout.take() {
            let _ = BufReader::new(output).read_line(&mut line);
        }
        let url =
            line.split([' ', ';']).find(|word| word.starts_with("mqtt://")).unwrap_or_default().to_owned();
        let broker = Self { _process: Running(process), url };
        if broker.url.is_empty() { Err(format!("it said `{}`", line.trim())) } else { Ok(broker) }
    }
}
