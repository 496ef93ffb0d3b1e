//! What messages look like on standard output.

mod files;

use std::io::{self, Write};

use packetboat::Message;

pub(crate) use files::Files;

use crate::arguments::OutputArguments;
use crate::failure::Failure;
use crate::format::{View, selected};
use crate::report::{self, Report};

/// Writes messages as the options ask for.
pub(crate) struct Output<'a> {
    arguments: &'a OutputArguments,
    report: Report,
    /// Otherwise to standard output.
    files: Option<Files>,
    buffer: Vec<u8>,
    /// Where in it messages end.
    ends: Vec<usize>,
}

/// What became of the bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Written {
    All,
    /// The reader of the pipe is gone, which is how `| head` ends.
    NobodyReads,
}

impl<'a> Output<'a> {
    pub(crate) fn new(arguments: &'a OutputArguments, report: Report, files: Option<Files>) -> Self {
        Self { arguments, report, files, buffer: Vec::new(), ends: Vec::new() }
    }

    /// Into the buffer. False: there is nothing in it that is asked for.
    pub(crate) fn print(&mut self, message: &Message) -> bool {
        let view = View::of(message);
        let (topic, length) = (view.topic, view.payload.len());
        self.report.debug(format_args!("received {length} bytes on {topic} at QoS {}", view.qos as u8));
        let (pointer, pretty) = (self.arguments.pointer.as_ref(), self.arguments.pretty);
        let Some(payload) = selected(view.payload, pointer, pretty) else { return false };
        self.put(&View { payload: &payload, ..view });
        self.ends.push(self.buffer.len());
        true
    }

    fn put(&mut self, view: &View<'_>) {
        let (topic, length) = (view.topic, view.payload.len());
        let newline = !self.arguments.no_newline;
        if let Some(template) = &self.arguments.format {
            let start = self.buffer.len();
            if template.render(view, &mut self.buffer).is_err() {
                self.buffer.truncate(start);
                self.report.error(format_args!("the payload on {topic} is not JSON: use %j or %p in -F"));
                return;
            }
        } else if self.arguments.verbose {
            // As mosquitto_sub has it: an empty payload has a word of its own, and no place where no line ends.
            if length == 0 && !newline {
                return;
            }
            self.buffer.extend_from_slice(topic.as_bytes());
            self.buffer.push(b' ');
            self.buffer.extend_from_slice(if length == 0 { b"(null)" } else { view.payload });
        } else if length == 0 {
            return;
        } else {
            self.buffer.extend_from_slice(view.payload);
        }
        if newline {
            self.buffer.push(b'\n');
        }
    }

    /// Out of the buffer, and out of the process.
    pub(crate) fn flush(&mut self) -> Result<Written, Failure> {
        if self.buffer.is_empty() {
            return Ok(Written::All);
        }
        if let Some(files) = &mut self.files {
            let buffer = &self.buffer;
            let mut begin = 0;
            let messages = self.ends.iter().map(|end| &buffer[std::mem::replace(&mut begin, *end)..*end]);
            let result = files.write(messages);
            self.buffer.clear();
            self.ends.clear();
            let wrong =
                |error| Failure::usage(format_args!("{} cannot be written: {error}", files.path().display()));
            return result.map(|()| Written::All).map_err(wrong);
        }
        let result = report::above(|| {
            let mut stdout = io::stdout().lock();
            stdout.write_all(&self.buffer).and_then(|()| stdout.flush())
        });
        self.buffer.clear();
        self.ends.clear();
        match result {
            Ok(()) => Ok(Written::All),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Written::NobodyReads),
            Err(error) => Err(Failure::output(&error)),
        }
    }
}
