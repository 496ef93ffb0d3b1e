//! A real broker: mosquitto on a port of its own, killed when dropped.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::port::free_port;

/// A running mosquitto.
pub(crate) struct Mosquitto {
    child: Option<Child>,
    port: u16,
    directory: PathBuf,
}

/// Starts one, or says why the test is skipped. With `PACKETBOAT_REQUIRE_BROKER=1` a missing broker is a failure.
pub(crate) fn mosquitto() -> Option<Mosquitto> {
    mosquitto_with("")
}

/// Starts one with further lines of configuration.
pub(crate) fn mosquitto_with(configuration: &str) -> Option<Mosquitto> {
    mosquitto_with_files(configuration, &[])
}

/// Starts one with further lines of configuration, and files in its directory, `{directory}`.
pub(crate) fn mosquitto_with_files(configuration: &str, files: &[(&str, &str)]) -> Option<Mosquitto> {
    let Some(program) = program() else {
        let required = std::env::var_os("PACKETBOAT_REQUIRE_BROKER").is_some_and(|value| value == "1");
        assert!(!required, "mosquitto is required and not installed: apt-get install mosquitto");
        eprintln!("SKIPPED: mosquitto is not installed");
        return None;
    };
    let port = free_port();
    let directory = std::env::temp_dir().join(format!("packetboat-mosquitto-{}-{port}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let anonymous = if configuration.contains("allow_anonymous") { "" } else { "allow_anonymous true\n" };
    for (name, contents) in files {
        std::fs::write(directory.join(name), contents).unwrap();
    }
    let mut file = std::fs::File::create(directory.join("mosquitto.conf")).unwrap();
    let fixed =
        "persistence true\nautosave_interval 1\nautosave_on_changes true\nmax_queued_messages 1000000\n";
    // Relative paths in it, the password file's for example, are in the broker's directory.
    let configuration = configuration.replace("{directory}", &directory.display().to_string());
    write!(file, "listener {port} 127.0.0.1\npersistence_location {}/\n", directory.display()).unwrap();
    write!(file, "{fixed}{anonymous}{configuration}").unwrap();
    let mut broker = Mosquitto { child: None, port, directory };
    broker.spawn(&program);
    Some(broker)
}

fn program() -> Option<PathBuf> {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let known = std::env::split_paths(&paths).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    known.map(|path| path.join("mosquitto")).find(|path| path.exists())
}

impl Mosquitto {
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Where its files are.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(crate) fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }

    /// Kills it, as a power cut would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Kills it once all it said was read. Who writes to a process that is gone loses what he has not read, and a broker that is
    /// killed has forgotten what it did not save.
    pub(crate) fn kill_when_heard(&mut self) {
        self.signal("STOP");
        let end = Instant::now() + Duration::from_mins(1);
        while !self.is_heard() {
            assert!(Instant::now() < end, "nobody reads what mosquitto says");
            std::thread::yield_now();
        }
        self.kill();
    }

    /// As Linux tells it: the process stands still, and nothing lies in the queues of its connections.
    fn is_heard(&self) -> bool {
        let id = self.child.as_ref().unwrap().id();
        let stands =
            std::fs::read_to_string(format!("/proc/{id}/stat")).map_or(true, |stat| stat.contains(") T "));
        let sockets = std::fs::read_to_string("/proc/net/tcp").unwrap_or_default();
        let port = format!(":{:04X}", self.port);
        let lies_in_queue = |line: &str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let (sent, received) = words[4].split_once(':').unwrap();
            (words[1].ends_with(&port) && sent != "00000000")
                || (words[2].ends_with(&port) && received != "00000000")
        };
        stands && !sockets.lines().skip(1).any(lies_in_queue)
    }

    /// Ends it as an administrator would: it saves what it has.
    pub(crate) fn end(&mut self) {
        self.signal("TERM");
        self.child.take().unwrap().wait().unwrap();
    }

    /// Starts it again on the same port.
    pub(crate) fn restart(&mut self) {
        self.kill();
        let program = program().unwrap();
        self.spawn(&program);
    }

    /// Lets it save its sessions, which it does by itself now and then, and waits for it. Started as root it must stay root
    /// (`user root`) to be able to.
    pub(crate) fn save(&self) {
        let file = self.directory.join("mosquitto.db");
        // It is written anew under another name, and renamed.
        let identity =
            || std::fs::metadata(&file).ok().map(|data| (data.ino(), data.mtime(), data.mtime_nsec()));
        let before = identity();
        self.signal("USR1");
        let end = Instant::now() + Duration::from_mins(1);
        while identity().is_none_or(|now| Some(now) == before) {
            assert!(Instant::now() < end, "mosquitto does not save its sessions");
            std::thread::yield_now();
        }
    }

    /// Stops (SIGSTOP) or continues (SIGCONT) the process.
    pub(crate) fn signal(&self, signal: &str) {
        let id = self.child.as_ref().unwrap().id();
        let status = Command::new("kill").args([format!("-{signal}"), id.to_string()]).status().unwrap();
        assert!(status.success());
    }

    fn spawn(&mut self, program: &PathBuf) {
        let mut child = Command::new(program)
            .arg("-c")
            .arg(self.directory.join("mosquitto.conf"))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        self.child = Some(child);
        let mut said = String::new();
        while !said.contains("running") {
            assert!(log.read_line(&mut said).unwrap() > 0, "mosquitto does not start: {said}");
        }
        // Read on, lest it stops when the pipe is full.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}
