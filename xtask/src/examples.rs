//! The examples, run as a reader would: against a broker, itself one of them. Those that need more than a broker are run by
//! tests of their crates.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use crate::context::Context;
use crate::process;
use crate::step::Outcome;

/// Name, arguments (`URL` stands for the broker's, `FILE` for a configuration that names it), and a line that has to appear. `cargo test --workspace` has built them.
const EXAMPLES: &[(&str, &[&str], &str)] = &[
    ("from_file", &["FILE"], "connected"),
    ("one_trace", &["URL"], "trace/here is of the same trace"),
    ("publish", &["URL", "a/topic"], "0 lines delivered"),
    ("session", &[], ""),
    ("squares", &["URL", "12"], "144"),
    ("tickets", &[], "authenticated again"),
    ("typed_topics", &["URL"], ""),
    ("wait", &["URL"], "hello/world: Hello!"),
];

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
    Outcome::Done(format!("{} ran", EXAMPLES.len()))
}

/// The strict broker, stopped when dropped.
struct Broker {
    process: Child,
    url: String,
}

impl Broker {
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
        let broker = Self { process, url };
        if broker.url.is_empty() { Err(format!("it said `{}`", line.trim())) } else { Ok(broker) }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
