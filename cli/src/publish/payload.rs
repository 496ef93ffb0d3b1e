//! Where payloads come from.

use std::ffi::OsString;
use std::io::{self, Read};
use std::path::Path;
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
        if arguments.stdin_line {
            return Ok(Self::Lines(Lines::read(io::stdin())));
        }
        let bytes = whole(arguments.message.as_ref(), arguments.file.as_deref(), arguments.stdin_file)?;
        Ok(Self::Same { bytes, times: arguments.repeat, delay: arguments.repeat_delay })
    }

    /// How many messages this will be, where that is known.
    pub(super) fn count(&self) -> Option<u64> {
        match self {
            Self::Same { times, .. } => Some(*times),
            Self::Lines(_) => None,
        }
    }
}

/// The payload of -m, of -f or of -s; without any of them an empty one.
pub(crate) fn whole(message: Option<&OsString>, file: Option<&Path>, stdin: bool) -> Result<Bytes, Failure> {
    let bytes = if let Some(message) = message {
        options::bytes(message.clone())
    } else if let Some(path) = file {
        let wrong =
            |error| Failure::usage(format_args!("the file {} cannot be read: {error}", path.display()));
        std::fs::read(path).map_err(wrong)?
    } else if stdin {
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes).map_err(|error| no_input(&error))?;
        bytes
    } else {
        Vec::new()
    };
    Ok(bytes.into())
}

pub(crate) fn no_input(error: &io::Error) -> Failure {
    Failure::usage(format_args!("standard input cannot be read: {error}"))
}
