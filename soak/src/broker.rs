//! A mosquitto process that can be killed, stopped and started again.

use std::ffi::OsString;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::SystemTime;

/// A mosquitto on a port of its own, with its sessions on disk.
pub(crate) struct Mosquitto {
    command: Vec<OsString>,
    child: Option<Child>,
    pub(crate) port: u16,
    directory: PathBuf,
}

/// Where it is installed.
pub(crate) fn program() -> Option<PathBuf> {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let known = std::env::split_paths(&paths).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    known.map(|path| path.join("mosquitto")).find(|path| path.exists())
}

impl Mosquitto {
    pub(crate) fn start(program: PathBuf) -> io::Result<Self> {
        Self::launch(vec![program.into()], "127.0.0.1")
    }

    /// In a network namespace, at all its addresses.
    pub(crate) fn start_in(program: PathBuf, namespace: &str) -> io::Result<Self> {
        let mut command: Vec<OsString> = ["ip", "netns", "exec", namespace].map(OsString::from).into();
        command.push(program.into());
        Self::launch(command, "0.0.0.0")
    }

    fn launch(command: Vec<OsString>, address: &str) -> io::Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let directory = std::env::temp_dir().join(format!("packetboat-soak-{}-{port}", std::process::id()));
        fs::create_dir_all(&directory)?;
        let here = directory.display();
        // Saved every second, which it takes for every two: a process that is killed has forgotten little. On every change is
        // more than it can bear, and comes after the acknowledgement, too. With its 20 messages in flight it restores the
        // others as if it had not sent them, so that QoS 2 comes twice, and drops what it confirms beyond them.
        let configuration = format!(
            "listener {port} {address}\nuser root\nallow_anonymous true\npersistence true\npersistence_location {here}/\n\
             autosave_interval 1\nlog_type all\nmax_queued_messages 0\nmax_inflight_messages 1000\n"
        );
        fs::write(directory.join("mosquitto.conf"), configuration)?;
        let mut broker = Self { command, child: None, port, directory };
        broker.spawn()?;
        Ok(broker)
    }

    /// Sends a signal. SIGTERM lets it save its sessions; SIGKILL does not.
    pub(crate) fn signal(&self, signal: &str) -> io::Result<()> {
        let Some(child) = &self.child else { return Ok(()) };
        let status = Command::new("kill").args([format!("-{signal}"), child.id().to_string()]).status()?;
        if status.success() { Ok(()) } else { Err(io::Error::other(format!("kill -{signal} failed"))) }
    }

    /// When it last saved its sessions. Meanwhile it does nothing else: what it said before is in the file.
    pub(crate) fn saved(&self) -> SystemTime {
        let file = fs::metadata(self.directory.join("mosquitto.db")).and_then(|file| file.modified());
        file.unwrap_or(SystemTime::UNIX_EPOCH)
    }

    /// Waits until it is gone.
    pub(crate) fn reap(&mut self) -> io::Result<()> {
        if let Some(mut child) = self.child.take() {
            child.wait()?;
        }
        Ok(())
    }

    /// Starts it, on the same port with what it saved.
    pub(crate) fn spawn(&mut self) -> io::Result<()> {
        let mut child = Command::new(&self.command[0])
            .args(&self.command[1..])
            .arg("-c")
            .arg(self.directory.join("mosquitto.conf"))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut log = BufReader::new(child.stderr.take().ok_or(io::ErrorKind::BrokenPipe)?);
        self.child = Some(child);
        let mut said = String::new();
        while !said.contains("running") {
            if log.read_line(&mut said)? == 0 {
                return Err(io::Error::other(format!("mosquitto does not start: {said}")));
            }
        }
        // Read on, lest it stops when the pipe is full.
        let mut kept = crate::clients::log_file(&format!("broker-{}", self.port));
        std::thread::spawn(move || match &mut kept {
            Some(file) => io::copy(&mut log, file),
            None => io::copy(&mut log, &mut io::sink()),
        });
        Ok(())
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}
