//! Running commands and brokers, and waiting for what they say: nothing here sleeps.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use packetboat_sim::net::{Broker, Options};
use tokio::runtime::Runtime;

use crate::port::free_port;

/// Longer than anything here takes.
pub(crate) const LONG: Duration = Duration::from_mins(1);

pub(crate) fn packetboat<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_packetboat"));
    command.args(arguments).env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE");
    command
}

/// A command line as one text, split at blanks.
pub(crate) fn packetboat_line(line: &str) -> Command {
    packetboat(line.split_whitespace())
}

/// A process that runs.
pub(crate) struct Running {
    child: Child,
    stdout: Option<JoinHandle<Vec<u8>>>,
    stderr: Receiver<String>,
    said: String,
    name: String,
}

/// A process that ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Ended {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// It ended with this code; on the way the rest is easy to look at.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout: {}\nstderr: {}", self.text(), self.stderr);
        self
    }

    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "{text:?} is not in: {}", self.stderr);
        self
    }
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut running = Self::start_unread(&mut command);
        let mut stdout = running.child.stdout.take().unwrap();
        running.stdout = Some(std::thread::spawn(move || {
            let mut bytes = Vec::new();
            stdout.read_to_end(&mut bytes).unwrap();
            bytes
        }));
        running
    }

    /// Its standard output is a pipe nobody reads from.
    pub(crate) fn start_unread(command: &mut Command) -> Self {
        let name = format!("{command:?}");
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let errors = BufReader::new(child.stderr.take().unwrap());
        let (sender, stderr) = channel();
        std::thread::spawn(move || {
            for line in errors.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, stdout: None, stderr, said: String::new(), name }
    }

    /// With standard input, closed behind it.
    pub(crate) fn start_with(command: Command, input: &[u8]) -> Self {
        let mut running = Self::start(command);
        running.write(input);
        running.close_input();
        running
    }

    pub(crate) fn write(&mut self, input: &[u8]) {
        let stdin = self.child.stdin.as_mut().unwrap();
        stdin.write_all(input).unwrap();
        stdin.flush().unwrap();
    }

    /// Close the pipe nobody reads from.
    pub(crate) fn hang_up(mut self) -> Self {
        drop(self.child.stdout.take());
        self
    }

    pub(crate) fn close_input(&mut self) {
        drop(self.child.stdin.take());
    }

    /// Wait until a line of standard error has this text in it.
    #[track_caller]
    pub(crate) fn until(mut self, text: &str) -> Self {
        loop {
            match self.stderr.recv_timeout(LONG) {
                Ok(line) => {
                    self.said.push_str(&line);
                    self.said.push('\n');
                    if line.contains(text) {
                        return self;
                    }
                }
                Err(why) => panic!("{}: {why:?} before {text:?} was said: {}", self.name, self.said),
            }
        }
    }

    /// Its different lines of standard output, until there are enough of them. For processes whose output is unread.
    #[track_caller]
    pub(crate) fn lines_until(&mut self, enough: impl Fn(&BTreeSet<String>) -> bool) -> BTreeSet<String> {
        let (sender, lines) = channel();
        let output = BufReader::new(self.child.stdout.take().unwrap());
        std::thread::spawn(move || {
            output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let mut seen = BTreeSet::new();
        while !enough(&seen) {
            match lines.recv_timeout(LONG) {
                Ok(line) => drop(seen.insert(line)),
                Err(why) => panic!("{}: {why:?} after {} different lines", self.name, seen.len()),
            }
        }
        seen
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Wait for the end. Standard input stays as it is.
    #[track_caller]
    pub(crate) fn end(mut self) -> Ended {
        loop {
            match self.stderr.recv_timeout(LONG) {
                Ok(line) => {
                    self.said.push_str(&line);
                    self.said.push('\n');
                }
                // Its standard error is closed: it is ending.
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    let _ = self.child.kill();
                    panic!("{} does not end; it said: {}", self.name, self.said);
                }
            }
        }
        let status: ExitStatus = self.child.wait().unwrap();
        let stdout = self.stdout.take().map(|thread| thread.join().unwrap()).unwrap_or_default();
        Ended { code: status.code(), stdout, stderr: std::mem::take(&mut self.said) }
    }
}

/// A test that fails leaves nothing behind.
impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[track_caller]
pub(crate) fn run(command: Command) -> Ended {
    run_with(command, b"")
}

#[track_caller]
pub(crate) fn run_with(command: Command, input: &[u8]) -> Ended {
    Running::start_with(command, input).end()
}

/// The strict broker, in this process.
pub(crate) struct Embedded {
    pub(crate) runtime: Runtime,
    pub(crate) broker: Broker,
}

impl Embedded {
    pub(crate) fn start() -> Self {
        Self::with(Options::new().keep_log())
    }

    pub(crate) fn with(options: Options) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let broker = runtime.block_on(options.start()).unwrap();
        Self { runtime, broker }
    }

    /// `packetboat pub` or `sub` with this broker's port.
    pub(crate) fn command(&self, name: &str, line: &str) -> Command {
        let mut command = packetboat([name, "-h", "127.0.0.1", "-p"]);
        command.arg(self.broker.port().to_string()).args(line.split_whitespace());
        command
    }

    /// `packetboat sub -d`, ready.
    pub(crate) fn subscriber(&self, line: &str) -> Running {
        Running::start(self.command("sub", &format!("-d {line}"))).until("ready")
    }

    /// Publish, at the broker's side of the socket.
    pub(crate) fn publish(&self, message: packetboat_sim::broker::Message) {
        self.broker.publish(message);
    }

    #[track_caller]
    pub(crate) fn assert_no_violations(&self) {
        assert_eq!(self.broker.violations(), []);
    }
}

/// A mosquitto of our own, on a free port.
pub(crate) struct Mosquitto {
    child: Child,
    pub(crate) port: u16,
    log: Receiver<String>,
    _folder: Folder,
}

impl Mosquitto {
    /// `None` where there is none; a failure where there has to be one.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with("")
    }

    /// With further lines of configuration.
    pub(crate) fn start_with(configuration: &str) -> Option<Self> {
        let Some(program) = mosquitto_program() else {
            let required = std::env::var_os("PACKETBOAT_REQUIRE_BROKER").is_some_and(|value| value == "1");
            assert!(!required, "mosquitto is not installed, and PACKETBOAT_REQUIRE_BROKER=1 demands it");
            eprintln!("skipped: mosquitto is not installed");
            return None;
        };
        // Another process may take the port between the two binds.
        for _ in 0..20 {
            if let Some(broker) = Self::try_start(&program, configuration) {
                return Some(broker);
            }
        }
        panic!("mosquitto does not start");
    }

    fn try_start(program: &Path, configuration: &str) -> Option<Self> {
        let folder = Folder::new();
        let port = free_port();
        let file = folder.file("mosquitto.conf");
        let settings = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n\
             log_dest stderr\nlog_type all\n{configuration}\n"
        );
        std::fs::write(&file, settings).unwrap();
        let mut child = Command::new(program)
            .arg("-c")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut errors = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        if !errors.any(|line| line.contains("running")) {
            child.wait().unwrap();
            return None;
        }
        // Its log has to go somewhere, or it stands still when the pipe is full.
        let (sender, log) = channel();
        std::thread::spawn(move || errors.try_for_each(|line| sender.send(line)));
        Some(Self { child, port, log, _folder: folder })
    }

    /// Wait until a line of its log has this text in it.
    #[track_caller]
    pub(crate) fn until(&self, text: &str) {
        loop {
            let line =
                self.log.recv_timeout(LONG).unwrap_or_else(|why| panic!("{why:?}, waiting for {text:?}"));
            if line.contains(text) {
                return;
            }
        }
    }

    pub(crate) fn command(&self, name: &str, line: &str) -> Command {
        let mut command = packetboat([name, "-h", "127.0.0.1", "-p"]);
        command.arg(self.port.to_string()).args(line.split_whitespace());
        command
    }

    /// `mosquitto_pub` or `mosquitto_sub`.
    pub(crate) fn theirs(&self, name: &str, line: &str) -> Command {
        let mut command = Command::new(name);
        command.args(["-h", "127.0.0.1", "-p"]).arg(self.port.to_string()).args(line.split_whitespace());
        command
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn mosquitto_program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    let has = |name: &str| std::env::split_paths(&path).any(|folder| folder.join(name).is_file());
    let program = folders.map(|folder| folder.join("mosquitto")).find(|program| program.is_file())?;
    (has("mosquitto_pub") && has("mosquitto_sub")).then_some(program)
}

/// A folder that goes when it is dropped.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Lines with a number and with every byte in them, but the end of line and those in `without`.
pub(crate) fn lines(count: usize, without: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    for number in 0..count {
        text.extend_from_slice(format!("{number} ").as_bytes());
        let extra = (0..number % 50).map(|at| u8::try_from((number * 7 + at * 31) % 256).unwrap());
        text.extend(extra.filter(|byte| *byte != b'\n' && !without.contains(byte)));
        text.push(b'\n');
    }
    text
}
