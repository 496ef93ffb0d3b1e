//! Where payloads come from.

use std::io::{self, Read};
use std::time::Duration;

use bytes::Bytes;

use super::lines::Lines;
use crate::arguments::Publish;
use crate::failure::Failure;
use crate::options;

/// What is to be sent.
#[derive(Debug)]
pub(super) enum Payload {
    /// The same, so many times, with so much time between.
    Same { bytes: Bytes, times: u64, delay: Option<Duration> },
    /// Each line of standard input.
    Lines(Lines),
}

impl Payload {
    /// Files and whole inputs are read here, before there is a connection.
    pub(super) fn of(arguments: &Publish) -> Result<Self, Failure> {
        let bytes = if let Some(message) = &arguments.message {
            options::bytes(message.clone())
        } else if let Some(path) = &arguments.file {
            let wrong =
                |error| Failure::usage(format_args!("the file {} cannot be read: {error}", path.display()));
            std::fs::read(path).map_err(wrong)?
        } else if arguments.stdin_file {
            let mut bytes = Vec::new();
            io::stdin().lock().read_to_end(&mut bytes).map_err(|error| no_input(&error))?;
            bytes
        } else if arguments.stdin_line {
            return Ok(Self::Lines(Lines::read(io::stdin())));
        } else {
            Vec::new()
        };
        Ok(Self::Same { bytes: bytes.into(), times: arguments.repeat, delay: arguments.repeat_delay })
    }

    /// How many messages this will be, where that is known.
    pub(super) fn count(&self) -> Option<u64> {
        match self {
            Self::Same { times, .. } => Some(*times),
            Self::Lines(_) => None,
        }
    }
}

pub(super) fn no_input(error: &io::Error) -> Failure {
    Failure::usage(format_args!("standard input cannot be read: {error}"))
}
