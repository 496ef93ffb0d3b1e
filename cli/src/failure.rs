//! How the command ends: exit codes for scripts, and what is said with them.

use std::fmt::Display;
use std::io;
use std::process::ExitCode;

use packetboat::{ConnectError, PublishError, SubscribeError};

/// Exit codes; `--help` lists them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Exit {
    /// Everything asked for was done.
    Success,
    /// The command line, or a file or stream it names, is at fault.
    Usage,
    /// No connection, or it was lost for good.
    Connection,
    /// The broker refused: the connection, a subscription or a message.
    Refused,
    /// Not everything was delivered.
    NotDelivered,
    /// `doctor`: the broker does something else than it says.
    Differs,
    /// `sub -W` and `rr -W`: the time is up. The code is `mosquitto_sub`'s.
    TimedOut,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Success => 0,
            Exit::Usage => 1,
            Exit::Connection => 2,
            Exit::Refused => 3,
            Exit::NotDelivered => 4,
            Exit::Differs => 5,
            Exit::TimedOut => 27,
        })
    }
}

/// Why the command ends early.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Display) -> Self {
        Self { exit, message: message.to_string() }
    }

    pub(crate) fn usage(message: impl Display) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// Standard output failed.
    pub(crate) fn output(error: &io::Error) -> Self {
        Self::usage(format_args!("standard output cannot be written: {error}"))
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        let exit = match error {
            ConnectError::Options(_) => Exit::Usage,
            ConnectError::Refused { .. } => Exit::Refused,
            _ => Exit::Connection,
        };
        Self::new(exit, error)
    }
}

impl From<SubscribeError> for Failure {
    fn from(error: SubscribeError) -> Self {
        let exit = match error {
            SubscribeError::Filter(_) | SubscribeError::Rejected(_) => Exit::Usage,
            SubscribeError::Refused { .. } => Exit::Refused,
            _ => Exit::Connection,
        };
        Self::new(exit, error)
    }
}

impl From<PublishError> for Failure {
    fn from(error: PublishError) -> Self {
        let exit = match error {
            PublishError::Topic(_) => Exit::Usage,
            // What the broker announced that it does not take is its refusal too.
            PublishError::Refused { .. }
            | PublishError::Rejected { .. }
            | PublishError::Withdrawn(packetboat::Withdrawal::NotAllowed(_)) => Exit::Refused,
            _ => Exit::NotDelivered,
        };
        Self::new(exit, error)
    }
}
