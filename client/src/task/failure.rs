//! Why an attempt failed, and whether an older version is to be tried [engine rule 16].

use std::sync::Arc;

use packetboat_core::session::Cause;
use packetboat_core::wire::{Reason, Version};

use super::After;
use super::read::Reader;
use crate::events::Disconnection;
use crate::guess::guess;
use crate::options::VersionChoice;
use crate::{ConnectError, DialError, Server};

/// The choice of a version, until one was accepted.
#[derive(Debug)]
pub(super) struct Fallback {
    choice: VersionChoice,
    version: Version,
    /// A connection was accepted with it: it stays for the life of the session.
    pinned: bool,
    /// The connection under way was accepted.
    settled: bool,
    /// Connections closed without a byte.
    silent: u8,
}

impl Fallback {
    pub(super) fn new(choice: VersionChoice) -> Self {
        let version = match choice {
            VersionChoice::Auto | VersionChoice::V5 => Version::V5,
            VersionChoice::V311 => Version::V311,
            VersionChoice::V31 => Version::V31,
        };
        Self { choice, version, pinned: false, settled: false, silent: 0 }
    }

    pub(super) fn version(&self) -> Version {
        self.version
    }

    pub(super) fn is_settled(&self) -> bool {
        self.settled
    }

    pub(super) fn accepted(&mut self) {
        (self.pinned, self.settled) = (true, true);
    }

    pub(super) fn next_attempt(&mut self) {
        self.settled = false;
    }

    fn may_fall_back(&self) -> bool {
        self.choice == VersionChoice::Auto && self.version == Version::V5 && !self.pinned
    }

    /// The broker does not know the version. True: try an older one.
    fn refused(&mut self) -> bool {
        let may = self.may_fall_back();
        if may {
            self.version = Version::V311;
        }
        may
    }

    /// The connection was closed without a byte. True: try again.
    fn closed(&mut self) -> bool {
        if !self.may_fall_back() {
            return false;
        }
        self.silent += 1;
        if self.silent == 2 {
            self.version = Version::V311;
        }
        true
    }
}

/// A connection ended before the broker accepted it.
pub(super) fn of_attempt(server: Server, cause: Cause, reader: &Reader, fallback: &mut Fallback) -> After {
    let error = match cause {
        Cause::Requested => return After::Over,
        Cause::Refused { reason, old_shape, properties } => {
            let unknown = old_shape || reason == Reason::UNSUPPORTED_PROTOCOL_VERSION;
            if unknown && fallback.refused() {
                return After::Again;
            }
            ConnectError::Refused { server, reason, properties }
        }
        Cause::Breach(breach) => {
            ConnectError::NotMqtt { server, guess: guess(reader.first).unwrap_or("something else"), breach }
        }
        _ if let Some(error) = reader.tls_error() => {
            ConnectError::Unreachable { server, error: DialError::Tls(error) }
        }
        _ if reader.heard == 0 && fallback.closed() => return After::Again,
        _ if let Some(words) = reader.complaint() => {
            let words: Box<dyn std::error::Error + Send + Sync> =
                format!("the connection broke before the broker answered: {words}").into();
            ConnectError::Unreachable { server, error: DialError::Transport(Arc::from(words)) }
        }
        _ => match guess(reader.first) {
            Some(guess) => {
                let what = "it closed the connection after a few bytes";
                let breach = packetboat_core::session::Breach { reason: Reason::PROTOCOL_ERROR, what };
                ConnectError::NotMqtt { server, guess, breach }
            }
            None => ConnectError::Lost { server },
        },
    };
    After::Failed(Disconnection::Failed(error), 0)
}
