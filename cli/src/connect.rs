//! Making the connection, and telling what becomes of it.

use packetboat::{Client, Event, SessionMode, TopicFilter};
use tokio::task::JoinHandle;

use crate::arguments::Connection;
use crate::failure::{Exit, Failure};
use crate::options::{Keeping, Settings};
use crate::report::Report;
use crate::signals::Stop;

/// Connect, or be stopped.
pub(crate) async fn connect(
    arguments: &Connection,
    stop: &mut Stop,
    report: Report,
) -> Result<Client, Failure> {
    tokio::select! {
        client = attempt(arguments, report) => client,
        () = stop.asked() => Err(Failure::new(Exit::Connection, "stopped before there was a connection")),
    }
}

async fn attempt(arguments: &Connection, report: Report) -> Result<Client, Failure> {
    let Settings { options, keeping } = Settings::of(arguments)?;
    if let Keeping::Fresh(_) = keeping {
        // A session that begins anew and is kept takes two connections on 3.1.1, and for the client on 5.0 as well:
        // the first ends the old session.
        let client = Client::connect(options.clone().session(SessionMode::Clean)).await?;
        // Nothing was accepted that could be left behind.
        let _ = client.disconnect().await;
        report.debug("an older session, if there was one, is gone");
    }
    let client = Client::connect(options).await?;
    report.state(&client.state());
    Ok(client)
}

/// What is known of the connection when it has ended.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Losses {
    /// Messages of QoS 0 that were handed to a connection that was lost before they were.
    pub(crate) qos0: usize,
    /// How often a connection was lost and tried to be made anew.
    pub(crate) cuts: usize,
}

/// Tells of the connection for as long as there is one.
#[derive(Debug)]
pub(crate) struct Watch(JoinHandle<Losses>);

impl Watch {
    /// `refused` hears of subscriptions the broker takes back at a reconnect.
    pub(crate) fn new(
        client: &Client,
        report: Report,
        mut refused: impl FnMut(TopicFilter) + Send + 'static,
    ) -> Self {
        let mut events = client.events();
        Self(tokio::spawn(async move {
            let mut losses = Losses::default();
            while let Some(event) = events.next().await {
                report.event(&event);
                match event {
                    Event::Disconnected { lost_qos0, retry_in, .. } => {
                        losses.qos0 += lost_qos0;
                        losses.cuts += usize::from(retry_in.is_some());
                    }
                    Event::SubscriptionLost { filter, .. } => refused(filter),
                    _ => {}
                }
            }
            losses
        }))
    }

    /// The connection has ended: what was lost.
    pub(crate) async fn finish(self) -> Losses {
        self.0.await.unwrap_or_default()
    }
}
