//! `packetboat pub`.

pub(crate) mod lines;
pub(crate) mod payload;
mod progress;
pub(crate) mod sender;

use packetboat::TopicName;
use packetboat_core::wire::Place;
use tokio::time::{Instant, sleep_until};

use crate::arguments::Publish;
use crate::connect::{Watch, connect};
use crate::failure::{Exit, Failure};
use crate::report::Report;
use crate::signals::Stop;
use payload::Payload;
use sender::{Envelope, Sender};

pub(crate) async fn run(arguments: Publish) -> Result<Exit, Failure> {
    let connection = &arguments.connection;
    let report = Report { debug: connection.debug, quiet: connection.quiet };
    let until = arguments.timeout.map(|limit| Instant::now() + limit);
    connection.properties.only(&[Place::Connect, Place::Publish, Place::Will])?;
    let envelopes = envelopes(&arguments)?;
    let payload = Payload::of(&arguments)?;
    let mut stop = Stop::listen(report)?;

    let client = tokio::select! {
        client = connect(connection, &mut stop, report) => client?,
        () = reached(until) => return Err(Failure::new(Exit::NotDelivered, "not sent: the time of -W is up")),
    };
    let watch = Watch::new(&client, report, drop);
    let mut sender = Sender::new(&client, report);
    let interruption = tokio::select! {
        // First of all: the end of the input may come with the signal.
        biased;
        () = stop.asked() => Ok(Some("stopped")),
        () = reached(until) => Ok(Some("the time of -W is up")),
        result = sender.send(payload, &envelopes) => result.map(|()| None),
    };
    sender.finish();
    let summary = sender.summary();
    // What is undelivered has been counted already.
    let _ = client.disconnect().await;
    let lost = watch.finish().await.qos0;
    let interruption = interruption?;
    if let Some(failure) = summary.failure {
        return Err(failure);
    }
    if let Some(why) = interruption {
        let (delivered, open) = (summary.delivered, summary.open);
        let text =
            format!("{why}: {delivered} messages delivered, {open} on the way that may have arrived or not");
        return Err(Failure::new(Exit::NotDelivered, text));
    }
    if lost > 0 {
        let text =
            format!("{lost} messages of QoS 0 were lost with the connection; -q 1 would have saved them");
        return Err(Failure::new(Exit::NotDelivered, text));
    }
    report.debug(format_args!("{} messages delivered", summary.delivered));
    Ok(Exit::Success)
}

fn envelopes(arguments: &Publish) -> Result<Vec<Envelope>, Failure> {
    let topics = arguments.connection.topics(&arguments.topic);
    if topics.is_empty() {
        return Err(Failure::usage("no topic: add -t <topic>, or a path to the URL of -L"));
    }
    for topic in &topics {
        let wrong = |error| Failure::usage(format_args!("the topic {topic:?} is wrong: {error}"));
        TopicName::new(topic).map_err(wrong)?;
    }
    let (qos, retain) = (arguments.qos, arguments.retain);
    let properties = arguments.connection.properties.block(Place::Publish, &[]);
    Ok(topics
        .into_iter()
        .map(|topic| Envelope { topic, qos, retain, properties: properties.clone() })
        .collect())
}

async fn reached(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until).await,
        None => std::future::pending().await,
    }
}
