//! `packetboat rr`.

use bytes::Bytes;
use packetboat::{Client, Message, RequestError, SubscribeError};
use packetboat_core::wire::{Place, Property};
use tokio::time::timeout;

use crate::arguments::Request;
use crate::connect::{Watch, connect};
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::publish::payload;
use crate::report::Report;
use crate::signals::Stop;

pub(crate) async fn run(arguments: Request) -> Result<Exit, Failure> {
    let connection = &arguments.connection;
    let report = Report { debug: connection.debug, quiet: connection.quiet };
    connection.properties.only(&[Place::Connect, Place::Publish, Place::Will])?;
    if connection.properties.has(Place::Publish, Property::ResponseTopic) {
        return Err(Failure::usage("-D publish response-topic: the topic of the answer is given by -e"));
    }
    if arguments.response_topic.is_none()
        && connection.properties.has(Place::Publish, Property::CorrelationData)
    {
        return Err(Failure::usage(
            "-D publish correlation-data is possible with -e alone: else each request has its own",
        ));
    }
    let given: Vec<String> = arguments.topic.iter().cloned().collect();
    let topics = connection.topics(&given);
    let Some(topic) = topics.first() else {
        return Err(Failure::usage("no topic: add -t <topic>, or a path to the URL of -L"));
    };
    let payload =
        payload::whole(arguments.message.as_ref(), arguments.file.as_deref(), arguments.stdin_file)?;
    let mut stop = Stop::listen(report)?;
    let client = connect(connection, &mut stop, report).await?;
    let watch = Watch::new(&client, report, drop);
    let answer = tokio::select! {
        answer = ask(&arguments, &client, topic, payload) => answer,
        () = stop.asked() => Err(Failure::new(Exit::NotDelivered, "stopped before there was an answer")),
    };
    let _ = client.disconnect().await;
    watch.finish().await;
    let mut output = Output::new(&arguments.output, report, None);
    output.print(&answer?);
    output.flush()?;
    Ok(Exit::Success)
}

async fn ask(arguments: &Request, client: &Client, topic: &str, payload: Bytes) -> Result<Message, Failure> {
    let properties = arguments.connection.properties.block(Place::Publish, &[]);
    let Some(response_topic) = &arguments.response_topic else {
        let request = client.request(topic, payload).qos(arguments.qos).timeout(arguments.timeout);
        return Ok(request.properties(properties).await?);
    };
    let exchange = exchange(arguments, client, topic, response_topic, payload);
    timeout(arguments.timeout, exchange).await.unwrap_or_else(|_| Err(time_is_up()))
}

/// As `mosquitto_rr` does it: on a topic of the user's choice.
async fn exchange(
    arguments: &Request,
    client: &Client,
    topic: &str,
    response_topic: &str,
    payload: Bytes,
) -> Result<Message, Failure> {
    let mut answers = client.subscription(response_topic).qos(arguments.qos).await?;
    let mut properties = arguments.connection.properties.block(Place::Publish, &[]);
    let mut publish = client.publish(topic, payload).qos(arguments.qos);
    if client.limits().properties {
        let wrong = |error| Failure::usage(format_args!("the topic of -e is wrong: {error}"));
        properties.response_topic(response_topic).map_err(wrong)?;
        if properties.as_properties().correlation_data().is_none() {
            let random = format!("{}-{response_topic}", client.client_id());
            properties.correlation_data(random.as_bytes()).map_err(wrong)?;
        }
        publish = publish.properties(properties.clone());
    }
    publish.await?;
    let sent = properties.as_properties().correlation_data();
    while let Some(message) = answers.next().await {
        let came = message.properties().correlation_data();
        if came.is_none() || came == sent {
            return Ok(message);
        }
    }
    Err(SubscribeError::Closed.into())
}

fn time_is_up() -> Failure {
    Failure::new(Exit::TimedOut, "no answer: the time of -W is up")
}

impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::NotSent(error) => error.into(),
            RequestError::NotSubscribed(error) => {
                let Self { exit, message } = error.into();
                Self { exit, message: format!("the response topic: {message}; choose one with -e") }
            }
            RequestError::TimedOut { .. } => time_is_up(),
            RequestError::Failed { .. } | RequestError::Busy | RequestError::NobodyListens => {
                Self::new(Exit::Refused, error)
            }
            RequestError::ResponseTopic => Self::usage(error),
            _ => Self::new(Exit::Connection, error),
        }
    }
}
