//! What is drawn on a terminal, as tmux sees it.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use packetboat::QoS;
use packetboat_sim::broker::Message;

use crate::support::{Embedded, Folder, LONG};

/// A terminal of 100 by 20 characters, with a shell in it.
struct Terminal {
    name: String,
    folder: Folder,
}

impl Terminal {
    /// `None` where there is no tmux; a failure where there has to be one.
    fn open() -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        if Command::new("tmux").arg("-V").output().is_err() {
            let required = std::env::var_os("PACKETBOAT_REQUIRE_TMUX").is_some_and(|value| value == "1");
            assert!(!required, "tmux is not installed, and PACKETBOAT_REQUIRE_TMUX=1 demands it");
            eprintln!("skipped: tmux is not installed");
            return None;
        }
        let name = format!("packetboat-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let terminal = Self { name, folder: Folder::new() };
        terminal.tmux(&[
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-s",
            &terminal.name,
            "-x",
            "100",
            "-y",
            "20",
            "sh",
        ]);
        Some(terminal)
    }

    /// A server of its own, so that nobody's settings count.
    fn tmux(&self, arguments: &[&str]) -> String {
        let socket = self.folder.file("tmux");
        let mut command = Command::new("tmux");
        command.arg("-S").arg(socket).args(arguments).env("TERM", "xterm-256color").env_remove("TMUX");
        let output = command.output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn keys(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys", "-t", &self.name], keys].concat());
    }

    /// Type a command, without its name and with the broker's port.
    fn run(&self, broker: &Embedded, line: &str) {
        let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
        let (program, port) = (env!("CARGO_BIN_EXE_packetboat"), broker.broker.port());
        // Two words that never stand together in what was typed say that it has ended.
        let typed =
            format!("clear; {program} {command} -h 127.0.0.1 -p {port} {rest}; echo it 'has' ended: $?");
        self.keys(&[&typed, "Enter"]);
    }

    fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-t", &self.name])
    }

    /// Wait until this is on the screen.
    #[track_caller]
    fn until(&self, text: &str) -> String {
        self.until_so(text, |screen| screen.contains(text))
    }

    #[track_caller]
    fn until_so(&self, what: &str, is_so: impl Fn(&str) -> bool) -> String {
        let begin = Instant::now();
        loop {
            // Asking takes some milliseconds: there is no other way to know than to ask again.
            let screen = self.screen();
            if is_so(&screen) {
                return screen;
            }
            assert!(begin.elapsed() < LONG, "{what:?} does not come:\n{screen}");
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

fn message(topic: &str, payload: impl Into<Vec<u8>>) -> Message {
    Message::new(topic, payload, QoS::AtMostOnce)
}

#[test]
fn top_shows_the_tree_with_rates_and_last_values() {
    let Some(terminal) = Terminal::open() else { return };
    let broker = Embedded::start();
    terminal.run(&broker, "top");
    terminal.until("0 messages,");
    for (topic, payload) in [
        ("boats/1/speed", &b"5.1"[..]),
        ("boats/1/speed", b"5.2"),
        ("boats/1/name", b"\x1b[2Jevil\x07\n"),
        ("boats/2/raw", b"\xff\x00"),
    ] {
        broker.publish(message(topic, payload));
    }
    let screen = terminal.until("4 messages,");
    for part in
        ["- boats", "- 1 ", "speed", "5.2", "\\u{1b}[2Jevil\\u{7}\\n", "<ff 00>", "3 topics", "MQTT 5.0"]
    {
        assert!(screen.contains(part), "{part} is not on:\n{screen}");
    }
    // A rate is there after a second, and goes when nothing comes.
    terminal.until_so("a rate", |screen| !screen.contains("4 messages, 0.00/s"));
    terminal.until("4 messages, 0.00/s");
    terminal.keys(&["Home"]);
    terminal.until("boats\nq quit");
    terminal.keys(&["Left"]);
    let screen = terminal.until("+ boats");
    assert!(!screen.contains("speed"), "{screen}");
    terminal.keys(&["Right", "Down", "Down"]);
    terminal.until("boats/1/name: 10 bytes, QoS 0");
    terminal.keys(&["s"]);
    terminal.until("by rate");
    terminal.keys(&["p"]);
    terminal.until("PAUSED");
    terminal.keys(&["q"]);
    let screen = terminal.until("it has ended: 0");
    assert!(!screen.contains("PAUSED"), "the screen from before is not back:\n{screen}");
}

#[test]
fn top_bears_a_flood_of_topics_and_a_signal() {
    let Some(terminal) = Terminal::open() else { return };
    let broker = Embedded::start();
    terminal.run(&broker, "top --topics 100");
    terminal.until("0 messages,");
    for number in 0..500 {
        broker.publish(message(&format!("flood/{number}"), "x"));
    }
    terminal.until("401 messages of topics there is no room for");
    terminal.keys(&["End"]);
    terminal.until("flood/98: 1 bytes");
    terminal.keys(&["C-c"]);
    terminal.until("it has ended: 0");
}

#[test]
fn top_says_that_it_needs_a_terminal() {
    let broker = Embedded::start();
    crate::support::run(broker.command("top", "")).expect(1).says("needs a terminal");
}

#[test]
fn bench_shows_its_progress_and_takes_it_away() {
    let Some(terminal) = Terminal::open() else { return };
    let broker = Embedded::start();
    terminal.run(&broker, "bench -q 1 --rate 50 --time 3");
    let screen = terminal.until_so("bars", |screen| {
        let has =
            |name: &str| screen.lines().any(|line| line.starts_with(name) && line.contains("messages, "));
        has("confirmed") && has("received")
    });
    assert!(screen.contains('\u{2588}') || screen.contains('\u{2591}'), "{screen}");
    let screen = terminal.until("it has ended: 0");
    assert!(!screen.contains('\u{2591}') && screen.contains("lost       0 messages"), "{screen}");
}

/// A line that stays below the messages, or alone where they go to a file.
#[test]
fn sub_shows_a_live_rate() {
    let Some(terminal) = Terminal::open() else { return };
    let broker = Embedded::start();
    let file = terminal.folder.file("out");
    terminal.run(&broker, &format!("sub -t a --output-file {}", file.display()));
    terminal.until("0 messages, 0/s");
    for _ in 0..5 {
        broker.publish(message("a", "1234"));
    }
    let screen = terminal.until("5 messages, ");
    assert!(!screen.contains("1234"), "{screen}");
    terminal.keys(&["C-c"]);
    let screen = terminal.until("it has ended: 0");
    assert!(!screen.contains("5 messages"), "{screen}");
    assert_eq!(std::fs::read_to_string(file).unwrap(), "1234\n".repeat(5));
    terminal.run(&broker, "sub -t a --rate");
    terminal.until("0 messages, 0/s");
    broker.publish(message("a", "here"));
    let screen = terminal.until("1 messages, ");
    let at = |text: &str| screen.lines().position(|line| line.contains(text)).unwrap();
    assert!(at("here") < at("1 messages, "), "{screen}");
    terminal.keys(&["C-c"]);
    terminal.until("it has ended: 0");
}
