//! `packetboat record`.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use jiff::Zoned;
use packetboat::{Client, Subscriber};
use packetboat_core::wire::Place;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::{FORM, Head, Line};
use crate::arguments::Record;
use crate::connect::{Watch, connect};
use crate::failure::{Exit, Failure};
use crate::report::Report;
use crate::signals::Stop;
use crate::subscribe::{BATCH, Wish, parsed};

pub(crate) async fn run(arguments: Record) -> Result<Exit, Failure> {
    let connection = &arguments.connection;
    let report = Report { debug: connection.debug, quiet: connection.quiet };
    connection.properties.only(&[Place::Connect, Place::Will])?;
    let filters = parsed("-t", &connection.topics(&arguments.topic))?;
    let mut stop = Stop::listen(report)?;
    // Before connecting: a file that cannot be written is told while nothing is missed.
    let mut tape = Tape::create(&arguments)?;
    let client = connect(connection, &mut stop, report).await?;
    let (refused, mut refusals) = mpsc::unbounded_channel();
    let watch = Watch::new(&client, report, move |filter| drop(refused.send(filter)));
    let messages = client.messages();
    let wish = Wish {
        qos: arguments.qos,
        // A retained message is to be one again when it is replayed.
        retain_as_published: client.version().has_properties(),
        no_retained: arguments.no_retained,
    };
    let until = arguments.timeout.map(|limit| Instant::now() + limit);
    let end = tokio::select! {
        end = async {
            wish.subscribe(&client, &filters, report).await?;
            report.debug("ready");
            tape.roll(messages, arguments.no_retained, arguments.count).await
        } => end,
        () = stop.asked() => Ok(()),
        () = reached(until) => Ok(()),
        Some(filter) = refusals.recv() => {
            Err(Failure::new(Exit::Refused, format_args!("the broker took the subscription to {filter} back")))
        }
    };
    leave(&client, watch).await;
    end?;
    tape.end(report)?;
    Ok(Exit::Success)
}

async fn leave(client: &Client, watch: Watch) {
    let _ = client.disconnect().await;
    watch.finish().await;
}

async fn reached(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until).await,
        None => std::future::pending().await,
    }
}

/// What is recorded on.
struct Tape {
    out: Box<dyn Write + Send>,
    name: String,
    start: Instant,
    messages: u64,
}

impl Tape {
    fn create(arguments: &Record) -> Result<Self, Failure> {
        let path = &arguments.file;
        let out: Box<dyn Write + Send> = if path.as_os_str() == "-" {
            Box::new(BufWriter::new(io::stdout()))
        } else {
            Box::new(BufWriter::new(create(path, arguments.force)?))
        };
        let mut tape = Self { out, name: path.display().to_string(), start: Instant::now(), messages: 0 };
        let started = Zoned::now().strftime("%Y-%m-%dT%H:%M:%S.%6f%:z").to_string();
        tape.line(&Head { packetboat_recording: FORM, started: started.into() })?;
        tape.flush()?;
        Ok(tape)
    }

    /// Until so many were recorded. A batch is acknowledged when it is in the file.
    async fn roll(
        &mut self,
        mut messages: Subscriber,
        no_retained: bool,
        count: Option<u64>,
    ) -> Result<(), Failure> {
        loop {
            let left = count.map_or(u64::MAX, |count| count - self.messages);
            let batch = messages.next_batch(usize::try_from(left).unwrap_or(BATCH).min(BATCH)).await;
            if batch.is_empty() {
                return Err(Failure::new(Exit::Connection, "the connection is lost for good"));
            }
            let at = self.start.elapsed();
            for message in batch.iter().filter(|message| !(no_retained && message.retain())) {
                self.line(&Line::of(message, at))?;
                self.messages += 1;
            }
            self.flush()?;
            if count.is_some_and(|count| self.messages >= count) {
                return Ok(());
            }
            // A flood must not keep the clock and the signals from being looked at.
            tokio::task::consume_budget().await;
        }
    }

    fn line(&mut self, line: &impl serde::Serialize) -> Result<(), Failure> {
        let result = serde_json::to_writer(&mut self.out, line).map_err(io::Error::from);
        result.and_then(|()| self.out.write_all(b"\n")).map_err(|error| self.wrong(&error))
    }

    fn flush(&mut self) -> Result<(), Failure> {
        self.out.flush().map_err(|error| self.wrong(&error))
    }

    fn wrong(&self, error: &io::Error) -> Failure {
        Failure::usage(format_args!("{} cannot be written: {error}", self.name))
    }

    fn end(mut self, report: Report) -> Result<(), Failure> {
        self.flush()?;
        let seconds = self.start.elapsed().as_secs_f64();
        report.note(format_args!("{} messages in {seconds:.1} s recorded in {}", self.messages, self.name));
        Ok(())
    }
}

fn create(path: &Path, replace: bool) -> Result<File, Failure> {
    let mut options = OpenOptions::new();
    options.write(true).create(true);
    let options = if replace { options.truncate(true) } else { options.create_new(true) };
    options.open(path).map_err(|error| {
        let name = path.display();
        match error.kind() {
            io::ErrorKind::AlreadyExists => {
                Failure::usage(format_args!("{name} is there already: add --force to replace it"))
            }
            _ => Failure::usage(format_args!("{name} cannot be written: {error}")),
        }
    })
}
