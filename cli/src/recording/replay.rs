//! `packetboat replay`.

use std::fs::File;
use std::io::{self, Read};
use std::time::Duration;

use packetboat::PropertiesBuf;
use packetboat_core::wire::Place;
use tokio::time::{Instant, sleep_until};

use super::{FORM, Head, Line};
use crate::arguments::Replay;
use crate::connect::{Watch, connect};
use crate::failure::{Exit, Failure};
use crate::publish::lines::Lines;
use crate::publish::sender::Sender;
use crate::report::Report;
use crate::signals::Stop;

pub(crate) async fn run(arguments: Replay) -> Result<Exit, Failure> {
    let connection = &arguments.connection;
    let report = Report { debug: connection.debug, quiet: connection.quiet };
    connection.properties.only(&[Place::Connect, Place::Will])?;
    let mut player = Player::open(&arguments, report)?;
    player.head().await?;
    let mut stop = Stop::listen(report)?;
    let client = connect(connection, &mut stop, report).await?;
    let watch = Watch::new(&client, report, drop);
    let mut sender = Sender::new(&client, report);
    let end = tokio::select! {
        biased;
        () = stop.asked() => Err(Failure::new(Exit::NotDelivered, "stopped before the end")),
        end = player.play(&mut sender) => end,
    };
    let summary = sender.summary();
    // What is undelivered has been counted already.
    let _ = client.disconnect().await;
    let lost = watch.finish().await.qos0;
    let end = end.map_err(|failure| {
        let (delivered, open) = (summary.delivered, summary.open);
        let message = format!("{}: {delivered} messages delivered, {open} on the way", failure.message);
        Failure { message, ..failure }
    });
    end?;
    if let Some(failure) = summary.failure {
        return Err(failure);
    }
    if lost > 0 {
        let text = format!("{lost} messages of QoS 0 were lost with the connection");
        return Err(Failure::new(Exit::NotDelivered, text));
    }
    let (delivered, late) = (summary.delivered, player.latest.as_secs_f64() * 1e3);
    let took = player.start.map_or(0.0, |start| start.elapsed().as_secs_f64());
    report
        .note(format_args!("{delivered} messages in {took:.1} s, at most {late:.1} ms later than recorded"));
    Ok(Exit::Success)
}

struct Player<'a> {
    arguments: &'a Replay,
    report: Report,
    lines: Lines,
    /// Read and not yet played.
    batch: std::vec::IntoIter<bytes::Bytes>,
    number: u64,
    /// When the recording began, in this replay's time.
    start: Option<Instant>,
    latest: Duration,
}

impl<'a> Player<'a> {
    fn open(arguments: &'a Replay, report: Report) -> Result<Self, Failure> {
        let path = &arguments.file;
        let source: Box<dyn Read + Send> = if path.as_os_str() == "-" {
            Box::new(io::stdin())
        } else {
            let wrong = |error| Failure::usage(format_args!("{} cannot be read: {error}", path.display()));
            Box::new(File::open(path).map_err(wrong)?)
        };
        Ok(Self {
            arguments,
            report,
            lines: Lines::read(source),
            batch: Vec::new().into_iter(),
            number: 0,
            start: None,
            latest: Duration::ZERO,
        })
    }

    /// The next line.
    async fn next(&mut self) -> Result<Option<bytes::Bytes>, Failure> {
        while self.batch.len() == 0 {
            let Some(batch) = self.lines.next().await else { return Ok(None) };
            let wrong = |error| self.wrong(&format!("cannot be read: {error}"));
            self.batch = batch.map_err(wrong)?.into_iter();
        }
        self.number += 1;
        Ok(self.batch.next())
    }

    fn wrong(&self, why: &str) -> Failure {
        Failure::usage(format_args!("{}:{}: {why}", self.arguments.file.display(), self.number))
    }

    async fn head(&mut self) -> Result<(), Failure> {
        let line = self.next().await?.unwrap_or_default();
        match serde_json::from_slice::<Head<'_>>(&line) {
            Ok(head) if head.packetboat_recording == FORM => Ok(()),
            Ok(head) => {
                let form = head.packetboat_recording;
                Err(self.wrong(&format!("a recording of form {form}, and this version knows form {FORM}")))
            }
            Err(_) => Err(self.wrong("this is no recording: `packetboat record` makes them")),
        }
    }

    /// Whatever was published before a mistake in the recording is delivered all the same.
    async fn play(&mut self, sender: &mut Sender<'_>) -> Result<(), Failure> {
        let end = self.publish(sender).await;
        sender.finish_all().await?;
        end
    }

    async fn publish(&mut self, sender: &mut Sender<'_>) -> Result<(), Failure> {
        // The time before the first message is no part of it.
        let mut first = None;
        while let Some(bytes) = self.next().await? {
            let read = serde_json::from_slice::<Line<'_>>(&bytes).map_err(|error| error.to_string());
            let (at, mut envelope, payload) = match read.and_then(Line::read) {
                Ok(read) => read,
                Err(why) => {
                    let failure = self.wrong(&why);
                    if !self.is_cut_off(&bytes).await? {
                        return Err(failure);
                    }
                    self.report.warn(format_args!("the last line is not whole and left out: {why}"));
                    break;
                }
            };
            let first = *first.get_or_insert(at);
            self.wait(at.saturating_sub(first)).await;
            if self.arguments.no_retain {
                envelope.retain = false;
            }
            if self.arguments.no_properties {
                envelope.properties = PropertiesBuf::new();
            }
            sender.publish(&payload, std::slice::from_ref(&envelope)).await;
        }
        Ok(())
    }

    /// A recording whose process was killed ends in the middle of a line. Nothing else explains a last line that does
    /// not end as an object does.
    async fn is_cut_off(&mut self, line: &[u8]) -> Result<bool, Failure> {
        Ok(!line.ends_with(b"}") && self.next().await?.is_none())
    }

    async fn wait(&mut self, at: Duration) {
        let start = *self.start.get_or_insert_with(Instant::now);
        let Some(speed) = self.arguments.speed else { return };
        let due = start + Duration::try_from_secs_f64(at.as_secs_f64() / speed).unwrap_or(Duration::MAX / 2);
        sleep_until(due).await;
        self.latest = self.latest.max(due.elapsed());
    }
}
