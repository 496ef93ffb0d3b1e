//! What is said on standard error beside errors.

use std::fmt::{self, Display};
use std::io::Write;
use std::sync::OnceLock;

use anstyle::{AnsiColor, Style};
use indicatif::ProgressBar;
use packetboat::{Connected, Event, State};

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const DEBUG: Style = Style::new().dimmed();

/// Prints an error, unless standard error is closed.
pub(crate) fn error(message: &dyn Display) {
    line(ERROR, "error: ", message);
}

pub(crate) fn warning(message: &dyn Display) {
    line(WARNING, "warning: ", message);
}

/// How much is said.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Report {
    pub(crate) debug: bool,
    pub(crate) quiet: bool,
}

impl Report {
    /// Something went wrong and the command goes on.
    pub(crate) fn warn(self, message: impl Display) {
        if !self.quiet {
            warning(&message);
        }
    }

    /// How it went.
    pub(crate) fn note(self, message: impl Display) {
        if !self.quiet {
            line(Style::new(), "", &message);
        }
    }

    /// An error that is not the last word.
    pub(crate) fn error(self, message: impl Display) {
        if !self.quiet {
            error(&message);
        }
    }

    /// For `-d`.
    pub(crate) fn debug(self, message: impl Display) {
        if self.debug {
            line(DEBUG, "", &message);
        }
    }

    pub(crate) fn state(self, state: &State) {
        if let State::Connected(connected) = state {
            self.debug(Online(connected));
        }
    }

    pub(crate) fn event(self, event: &Event) {
        match event {
            Event::Connecting(server) => self.debug(format_args!("connecting to {server}")),
            Event::Connected(connected) => self.debug(Online(connected)),
            Event::Disconnected { cause, lost_qos0, retry_in, .. } => {
                if *lost_qos0 > 0 {
                    self.warn(format_args!("{lost_qos0} messages of QoS 0 were lost with the connection"));
                }
                if let Some(wait) = retry_in {
                    self.warn(format_args!("{cause}; trying again in {:.1} s", wait.as_secs_f64()));
                }
            }
            Event::SubscriptionsRestored => self.debug("subscriptions restored"),
            Event::Oversize { topic, size } => {
                self.warn(format_args!("a message of {size} bytes on {topic} was too large and skipped"));
            }
            Event::Dropped { messages, .. } => self.warn(format_args!("{messages} messages were dropped")),
            Event::Missed(events) => self.debug(format_args!("{events} events are missing here")),
            _ => {}
        }
    }
}

struct Online<'a>(&'a Connected);

impl Display for Online<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Connected { server, version, session_present, client_id, .. } = self.0;
        let version = version_name(version.level());
        let session = if *session_present { "resumed" } else { "new" };
        write!(f, "connected to {server}: MQTT {version}, client identifier {client_id}, session {session}")
    }
}

/// How people call the version with this level.
pub(crate) fn version_name(level: u8) -> &'static str {
    match level {
        3 => "3.1",
        4 => "3.1.1",
        _ => "5.0",
    }
}

/// What draws on standard error at the same time, if anything does.
static BAR: OnceLock<ProgressBar> = OnceLock::new();

/// From now on lines are written above this bar.
pub(crate) fn stay_above(bar: &ProgressBar) {
    // There is one bar in the life of the process.
    let _ = BAR.set(bar.clone());
}

/// What is written meanwhile stands above the bar.
pub(crate) fn above<T>(write: impl FnOnce() -> T) -> T {
    match BAR.get() {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}

fn line(style: Style, mark: &str, message: &dyn Display) {
    above(|| {
        // Where standard error is closed there is nobody to tell.
        let _ = writeln!(anstream::stderr().lock(), "{style}{mark}{style:#}{message}");
    });
}
