//! Real proxies: tinyproxy and dante on ports of their own, killed when dropped.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::port::free_port;

/// A running proxy.
pub(crate) struct RunningProxy {
    child: Child,
    pub(crate) port: u16,
    directory: PathBuf,
}

impl Drop for RunningProxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// HTTP CONNECT. The configuration is behind `Port` and `Listen`.
pub(crate) fn tinyproxy(configuration: &str) -> Option<RunningProxy> {
    let fixed = |port: u16| format!("Port {port}\nListen 127.0.0.1\nTimeout 60\n{configuration}\n");
    start("tinyproxy", &["-d", "-c"], fixed)
}

/// SOCKS5 for everybody.
pub(crate) fn dante() -> Option<RunningProxy> {
    start("danted", &["-f"], |port| dante_configuration(port, "none"))
}

/// SOCKS5 for the user `packetboat` with the password `secret`. Dante knows the system's users alone, so it gets a view
/// of the system in which there is one. Only root may give it that.
pub(crate) fn dante_with_password() -> Option<RunningProxy> {
    const PASSWD: &str = "root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\n\
        packetboat:x:65533:65533::/nonexistent:/usr/sbin/nologin\n";
    const SHADOW: &str = "packetboat:$6$abcdefgh$ltjgWl6579NluT/Vi1nwEvcil.G5Nbc4NiXZaNGStk8PSwGfQv72N2CKPPrVACtLt\
        ip/cZ/1GM/O6IND4WQhG.:19000:0:99999:7:::\n";
    const SCRIPT: &str = "d=$(dirname \"$1\") && mount --bind \"$d/passwd\" /etc/passwd && \
        mount --bind \"$d/shadow\" /etc/shadow && PATH=\"$PATH:/usr/sbin\" exec danted -f \"$1\"";
    let may = Command::new("unshare").args(["-m", "true"]).stderr(Stdio::null()).status();
    if !may.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: only root can give dante a user");
        return None;
    }
    installed("danted")?;
    let place = place("danted");
    std::fs::write(place.1.join("passwd"), PASSWD).unwrap();
    std::fs::write(place.1.join("shadow"), SHADOW).unwrap();
    let configuration = dante_configuration(place.0, "username");
    Some(run(Path::new("unshare"), &["-m", "sh", "-c", SCRIPT, "sh"], place, &configuration))
}

fn dante_configuration(port: u16, method: &str) -> String {
    format!(
        "logoutput: stderr\ninternal: 127.0.0.1 port = {port}\nexternal: lo\nclientmethod: none\n\
         socksmethod: {method}\nuser.privileged: root\nuser.unprivileged: nobody\n\
         client pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0 }}\n\
         socks block {{ from: 0.0.0.0/0 to: 127.0.0.77/32 }}\n\
         socks pass {{ from: 0.0.0.0/0 to: 0.0.0.0/0 protocol: tcp }}\n"
    )
}

fn start(name: &str, arguments: &[&str], configuration: impl Fn(u16) -> String) -> Option<RunningProxy> {
    let program = installed(name)?;
    let place = place(name);
    let configuration = configuration(place.0);
    Some(run(&program, arguments, place, &configuration))
}

fn installed(name: &str) -> Option<PathBuf> {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let known = std::env::split_paths(&paths).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    let found = known.map(|path| path.join(name)).find(|path| path.exists());
    if found.is_none() {
        let required = std::env::var_os("PACKETBOAT_REQUIRE_PROXIES").is_some_and(|value| value == "1");
        assert!(!required, "{name} is required and not installed: apt-get install tinyproxy dante-server");
        eprintln!("SKIPPED: {name} is not installed");
    }
    found
}

/// A port and a folder.
fn place(name: &str) -> (u16, PathBuf) {
    let port = free_port();
    let directory = std::env::temp_dir().join(format!("packetboat-{name}-{}-{port}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    (port, directory)
}

fn run(
    program: &Path,
    arguments: &[&str],
    (port, directory): (u16, PathBuf),
    configuration: &str,
) -> RunningProxy {
    let file = directory.join("proxy.conf");
    std::fs::write(&file, configuration).unwrap();
    // One logs to standard output, the other to standard error.
    let (log, end) = std::io::pipe().unwrap();
    let mut command = Command::new(program);
    command.args(arguments).arg(&file).stdout(end.try_clone().unwrap()).stderr(end);
    let child = command.spawn().unwrap();
    // With it go the ends of the pipe that are ours.
    drop(command);
    let proxy = RunningProxy { child, port, directory };
    let mut log = BufReader::new(log);
    let mut said = String::new();
    while !said.contains("Accepting connections") && !said.contains(" running") {
        assert!(log.read_line(&mut said).unwrap() > 0, "{} does not start: {said}", program.display());
    }
    // Read on, lest it stops when the pipe is full.
    std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
    proxy
}
