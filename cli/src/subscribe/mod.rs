//! `packetboat sub`.

mod rate;
mod remover;

use std::time::Duration;

use packetboat::{Client, Message, QoS, RetainHandling, Subscriber, TopicFilter, TopicName};
use packetboat_core::wire::Place;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::arguments::Subscribe;
use crate::connect::{Watch, connect};
use crate::failure::{Exit, Failure};
use crate::format::all_hold;
use crate::output::{Files, Output, Written};
use crate::report::Report;
use crate::signals::Stop;
use rate::Rate;
use remover::Remover;

/// Messages written with one flush, and then acknowledged.
pub(crate) const BATCH: usize = 256;

pub(crate) async fn run(arguments: Subscribe) -> Result<Exit, Failure> {
    let connection = &arguments.connection;
    let report = Report { debug: connection.debug, quiet: connection.quiet };
    connection.properties.only(&[Place::Connect, Place::Will])?;
    let filters = Filters::of(&arguments)?;
    // Before connecting: a file that cannot be written is told while nothing is missed.
    let files = arguments.output_file.as_deref().map(|path| {
        let wrong = |error| Failure::usage(format_args!("{} cannot be written: {error}", path.display()));
        Files::open(path, arguments.rotate, arguments.keep).map_err(wrong)
    });
    let output = Output::new(&arguments.output, report, files.transpose()?);
    let mut stop = Stop::listen(report)?;
    let client = connect(connection, &mut stop, report).await?;
    let until = arguments.timeout.map(|limit| Instant::now() + limit);

    let (refused, mut refusals) = mpsc::unbounded_channel();
    let watch = Watch::new(&client, report, move |filter| drop(refused.send(filter)));
    // Before the subscriptions, or the first messages would find nobody.
    let messages = client.messages();
    let rate = Rate::new(arguments.rate, arguments.output_file.is_some(), report);
    let mut reader =
        Reader { arguments: &arguments, filters: &filters, report, rate, taken: 0, remover: None };
    if arguments.remove_retained {
        reader.remover = Some(Remover::new(&client));
    }
    let end = tokio::select! {
        end = reader.run(&client, messages, output) => end,
        () = stop.asked() => reader.stopped(),
        () = reached(until) => Ok(Exit::TimedOut),
        Some(filter) = refusals.recv() => {
            Err(Failure::new(Exit::Refused, format_args!("the broker took the subscription to {filter} back")))
        }
    };
    if let Some(rate) = &reader.rate {
        rate.finish();
    }
    let (taken, remover) = (reader.taken, reader.remover.take());
    let removals = match remover {
        Some(remover) => remover.finish().await,
        None => Ok(()),
    };
    // What it has accepted were removals, and they are finished.
    let _ = client.disconnect().await;
    watch.finish().await;
    match end? {
        Exit::TimedOut => {
            report.warn(format_args!("the time is up after {taken} messages"));
            Ok(Exit::TimedOut)
        }
        exit => removals.map(|()| exit),
    }
}

/// Topic filters, found to be right.
struct Filters {
    subscribe: Vec<TopicFilter>,
    unsubscribe: Vec<TopicFilter>,
    out: Vec<TopicFilter>,
}

impl Filters {
    fn of(arguments: &Subscribe) -> Result<Self, Failure> {
        let filters = Self {
            subscribe: parsed("-t", &arguments.connection.topics(&arguments.topic))?,
            unsubscribe: parsed("-U", &arguments.unsubscribe)?,
            out: parsed("-T", &arguments.filter_out)?,
        };
        if filters.subscribe.is_empty() && filters.unsubscribe.is_empty() {
            return Err(Failure::usage("no topic: add -t <filter>, or a path to the URL of -L"));
        }
        Ok(filters)
    }
}

/// What is asked for with each filter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish {
    pub(crate) qos: QoS,
    pub(crate) retain_as_published: bool,
    pub(crate) no_retained: bool,
}

impl Wish {
    /// Messages come to `client.messages()`.
    pub(crate) async fn subscribe(
        self,
        client: &Client,
        filters: &[TopicFilter],
        report: Report,
    ) -> Result<(), Failure> {
        for filter in filters {
            let mut subscription = client.subscription(filter.as_str()).qos(self.qos);
            if self.retain_as_published {
                subscription = subscription.retain_as_published(true);
            }
            // Only 5.0 can be told to keep retained messages to itself; from others they are left out here.
            if self.no_retained && client.version().has_properties() {
                subscription = subscription.retain_handling(RetainHandling::DoNotSend);
            }
            let answer = subscription.to_messages().await.map_err(|error| of_filter(filter, error))?;
            report.debug(format_args!("subscribed to {filter} at QoS {}", answer.granted() as u8));
        }
        Ok(())
    }
}

fn of_filter(filter: &TopicFilter, error: impl Into<Failure>) -> Failure {
    let failure = error.into();
    let message = format!("{filter}: {}", failure.message);
    Failure { message, ..failure }
}

pub(crate) fn parsed(option: &str, texts: &[String]) -> Result<Vec<TopicFilter>, Failure> {
    let parse = |text: &String| {
        let wrong =
            |error| Failure::usage(format_args!("the topic filter {text:?} of {option} is wrong: {error}"));
        TopicFilter::new(text.as_str()).map_err(wrong)
    };
    texts.iter().map(parse).collect()
}

/// Subscribes and reads on until there is a reason to end.
struct Reader<'a> {
    arguments: &'a Subscribe,
    filters: &'a Filters,
    report: Report,
    rate: Option<Rate>,
    /// Messages that count.
    taken: u64,
    remover: Option<Remover>,
}

impl Reader<'_> {
    async fn run(
        &mut self,
        client: &Client,
        mut messages: Subscriber,
        mut output: Output<'_>,
    ) -> Result<Exit, Failure> {
        self.subscribe(client).await?;
        if self.arguments.exit_when_acknowledged {
            return Ok(Exit::Success);
        }
        loop {
            let batch = messages.next_batch(self.batch()).await;
            if batch.is_empty() {
                return Err(Failure::new(Exit::Connection, "the connection is lost for good"));
            }
            if let Some(rate) = &self.rate {
                rate.add(&batch);
            }
            let last = self.take(&batch, &mut output);
            match output.flush() {
                Ok(Written::All) => {}
                Ok(Written::NobodyReads) => return self.leave(client, messages, Ok(Exit::Success)).await,
                Err(failure) => return self.leave(client, messages, Err(failure)).await,
            }
            if last {
                return Ok(Exit::Success);
            }
            // A flood must not keep the clock and the signals from being looked at.
            tokio::task::consume_budget().await;
        }
    }

    /// The stop was asked for.
    fn stopped(&self) -> Result<Exit, Failure> {
        match self.arguments.count {
            None => Ok(Exit::Success),
            Some(count) => {
                let text = format!("stopped after {} of {count} messages", self.taken);
                Err(Failure::new(Exit::NotDelivered, text))
            }
        }
    }

    async fn subscribe(&self, client: &Client) -> Result<(), Failure> {
        let arguments = self.arguments;
        let wish = Wish {
            qos: arguments.qos,
            retain_as_published: arguments.retain_as_published,
            no_retained: arguments.no_retained && !arguments.remove_retained,
        };
        wish.subscribe(client, &self.filters.subscribe, self.report).await?;
        for filter in &self.filters.unsubscribe {
            client.unsubscribe(filter.as_str()).await.map_err(|error| of_filter(filter, error))?;
            self.report.debug(format_args!("unsubscribed from {filter}"));
        }
        self.report.debug("ready");
        Ok(())
    }

    /// No more than may be taken: asking for the next acknowledges a batch as a whole.
    fn batch(&self) -> usize {
        if self.arguments.retained_only {
            return 1;
        }
        let left = self.arguments.count.map_or(u64::MAX, |count| count - self.taken);
        usize::try_from(left).unwrap_or(usize::MAX).min(BATCH)
    }

    /// True: that was the last one.
    fn take(&mut self, batch: &[Message], output: &mut Output<'_>) -> bool {
        for message in batch {
            let (topic, retain) = (message.topic(), message.retain());
            if self.arguments.retained_only && !retain {
                return true;
            }
            if self.is_filtered_out(topic) || !all_hold(&self.arguments.conditions, message.payload()) {
                continue;
            }
            // An empty payload is what a removal looks like where the flag is kept as published.
            if let Some(remover) = self.remover.as_ref().filter(|_| retain && !message.payload().is_empty()) {
                remover.remove(topic);
            }
            if self.arguments.no_retained && retain {
                continue;
            }
            self.taken += u64::from(output.print(message));
        }
        self.arguments.count.is_some_and(|count| self.taken >= count)
    }

    fn is_filtered_out(&self, topic: &str) -> bool {
        let Ok(topic) = TopicName::new(topic) else { return false };
        self.filters.out.iter().any(|filter| filter.matches(topic))
    }

    /// Disconnect before the stream is dropped, which would acknowledge what was not written.
    async fn leave(
        &self,
        client: &Client,
        messages: Subscriber,
        end: Result<Exit, Failure>,
    ) -> Result<Exit, Failure> {
        let _ = client.disconnect().await;
        drop(messages);
        end
    }
}

async fn reached(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until).await,
        None => std::future::pending().await,
    }
}

/// Longest wait for removals at the end.
const REMOVALS: Duration = Duration::from_secs(5);
