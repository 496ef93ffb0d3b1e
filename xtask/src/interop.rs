//! `cargo xtask interop`: what the client and other brokers do together.
//!
//! `client/examples/broker_check.rs` does it and says what came of each; `ci/interop.txt` lists what is known not to work, as
//! INTEROP.md explains. Anything else that fails is a failure, and so is a line of that list that holds no longer.

mod brokers;

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use crate::context::Context;
use crate::process;
use crate::step::{Outcome, Step};
use brokers::{AUTHORITY, BROKERS, Broker};

const KNOWN: &str = "ci/interop.txt";

/// For a broker to start. Erlang takes its time, on a machine that does other things minutes.
const PATIENCE: Duration = Duration::from_mins(10);

/// Is there such a broker?
pub(crate) fn knows(name: &str) -> bool {
    BROKERS.iter().any(|broker| broker.name == name)
}

/// All of them, or the one that is named.
pub(crate) fn steps(name: Option<&str>) -> Vec<Step> {
    let wanted = BROKERS.iter().filter(|broker| name.is_none_or(|name| name == broker.name));
    wanted
        .map(|broker| Step::new(format!("interop with {}", broker.name), |context| run(context, broker)))
        .collect()
}

fn run(context: &mut Context, broker: &Broker) -> Outcome {
    let folder = context.target_folder().join("interop").join(broker.name);
    if let Err(error) = std::fs::create_dir_all(&folder) {
        return Outcome::Failed(format!("{}: {error}", folder.display()));
    }
    if let Err(why) = (broker.install)(context, &folder) {
        return Outcome::Skipped(format!("cannot be had: {why}"));
    }
    let list = match std::fs::read_to_string(context.root.join(KNOWN)) {
        Ok(list) => list,
        Err(error) => return Outcome::Failed(format!("{KNOWN}: {error}")),
    };
    let started = free_port().and_then(|port| Ok((Running::start(context, broker, &folder, port)?, port)));
    let (running, port) = match started {
        Ok(started) => started,
        Err(why) => return Outcome::Failed(why),
    };
    let address = format!("127.0.0.1:{port}");
    let example = ["run", "--quiet", "--package", "packetboat", "--example", "broker_check", "--", &address];
    let mut lines = Vec::new();
    let result = process::run_watched(context, "cargo", &example, |line| lines.push(line.to_owned()));
    if broker.quic {
        let published = publish_over_quic(context, &address, &folder);
        lines.push(format!("any QUIC: {}", published.err().unwrap_or_else(|| "yes".into())));
    }
    drop(running);
    match result {
        Ok(()) => judge(&lines, &known(&list, broker.name)),
        Err(why) => Outcome::Failed(why),
    }
}

fn publish_over_quic(context: &Context, address: &str, folder: &Path) -> Result<(), String> {
    let (url, authority) = (format!("mqtts://{address}"), folder.join(AUTHORITY));
    let example = ["run", "--quiet", "--package", "packetboat-quic", "--example", "quic", "--", &url];
    process::cargo(context, &[&example[..], &[&authority.to_string_lossy()]].concat())
}

/// What this broker is known not to do: `name: version ability`.
fn known<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).collect()
}

fn judge(lines: &[String], known: &[&str]) -> Outcome {
    let said: Vec<(&str, &str)> = lines.iter().filter_map(|line| line.split_once(": ")).collect();
    let mut wrong = Vec::new();
    for (what, result) in &said {
        match (*result == "yes", known.contains(what)) {
            (false, false) => wrong.push(format!("{what}: {result}")),
            (true, true) => wrong.push(format!("{what} works, and {KNOWN} says it does not")),
            _ => {}
        }
    }
    wrong.extend(
        known
            .iter()
            .filter(|what| said.iter().all(|(other, _)| other != *what))
            .map(|what| format!("{KNOWN} speaks of {what}, which was not tried")),
    );
    let works = said.iter().filter(|(_, result)| *result == "yes").count();
    if said.is_empty() {
        Outcome::Failed("nothing was tried".into())
    } else if wrong.is_empty() {
        Outcome::Done(format!("{works} of {} work, the others are known", said.len()))
    } else {
        Outcome::Failed(wrong.join("; "))
    }
}

fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    listener.map(|address| address.port()).map_err(|error| error.to_string())
}

/// A broker, and whatever it has started, ended when dropped.
struct Running(Child);

impl Running {
    fn start(context: &Context, broker: &Broker, folder: &Path, port: u16) -> Result<Self, String> {
        let mut command = (broker.command)(context, folder, port)?;
        let log = std::fs::File::create(folder.join("log.txt")).map_err(|error| error.to_string())?;
        command.stdout(log.try_clone().map_err(|error| error.to_string())?).stderr(log);
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let child = command.spawn().map_err(|error| format!("{command:?}: {error}"))?;
        let mut running = Self(child);
        let begin = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if let Ok(Some(status)) = running.0.try_wait() {
                return Err(format!("it ended at once, {status}: see {}", folder.join("log.txt").display()));
            }
            if begin.elapsed() > PATIENCE {
                return Err(format!("it does not listen: see {}", folder.join("log.txt").display()));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(running)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The whole group: some are scripts that start the broker.
        let group = format!("-{}", self.0.id());
        let _ = std::process::Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fails(lines: &[&str], known: &[&str]) -> bool {
        let lines: Vec<String> = lines.iter().map(|&line| line.to_owned()).collect();
        matches!(judge(&lines, known), Outcome::Failed(_))
    }

    #[test]
    fn only_what_is_known_may_fail_and_what_is_known_must() {
        assert!(!fails(&["5.0 will: yes"], &[]));
        assert!(fails(&["5.0 will: nothing comes"], &[]));
        assert!(!fails(&["5.0 will: nothing comes"], &["5.0 will"]));
        assert!(fails(&["5.0 will: yes"], &["5.0 will"]));
        assert!(fails(&["5.0 will: yes"], &["5.0 shared"]));
        assert!(fails(&[], &[]));
    }

    #[test]
    fn each_broker_has_its_own_list() {
        let text = "# aedes: 5.0 connect\naedes: 3.1.1 QoS 2\namqtt: 5.0 connect\n";
        assert_eq!(known(text, "aedes"), ["3.1.1 QoS 2"]);
        assert_eq!(known(text, "rumqttd"), [""; 0]);
    }
}
