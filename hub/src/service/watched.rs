//! A connection, with what happened to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use packetboat::{Client, Direction, Disconnection, Event, EventHandler, Options, PacketType, State};

/// Counters of a connection.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) connected: AtomicU64,
    pub(super) disconnected: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) lost: AtomicU64,
    /// Messages, those that were sent or came again included.
    pub(super) sent: AtomicU64,
    pub(super) received: AtomicU64,
}

impl Tally {
    /// With these options its messages are counted.
    pub(super) fn counting(self: &Arc<Self>, options: Options) -> Options {
        let tally = self.clone();
        options.on_packet(move |passing| {
            if passing.kind == PacketType::Publish {
                let counter = match passing.direction {
                    Direction::Sent => &tally.sent,
                    Direction::Received => &tally.received,
                };
                counter.fetch_add(1, Relaxed);
            }
        })
    }
}

/// Counts and logs what happens for as long as it lives.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) client: Client,
    pub(super) tally: Arc<Tally>,
    _handler: EventHandler,
}

impl Watched {
    pub(super) fn new(id: &str, client: Client, tally: Arc<Tally>) -> Self {
        let (id, counts) = (id.to_owned(), tally.clone());
        let handler = client.on_event(move |event| note(&id, &counts, event));
        Self { client, tally, _handler: handler }
    }

    /// Why the broker is not there, if it is not.
    pub(super) fn away(&self) -> Option<String> {
        match self.client.state() {
            State::Connected(_) => None,
            State::Waiting { cause, .. } => Some(cause.to_string()),
            State::Connecting => Some("connecting".to_owned()),
            // Nobody needs it now.
            State::Offline if self.client.options().connects_on_demand() => None,
            _ => Some("offline".to_owned()),
        }
    }
}

fn note(connection: &str, tally: &Tally, event: &Event) {
    match event {
        Event::Connected(connected) => {
            tally.connected.fetch_add(1, Relaxed);
            let (server, resumed) = (&connected.server, connected.session_present);
            tracing::info!(connection, %server, version = connected.version.level(), resumed, "connected");
        }
        Event::Disconnected { cause, lost_qos0, retry_in, .. } => {
            let counter =
                if matches!(cause, Disconnection::Failed(_)) { &tally.failed } else { &tally.disconnected };
            counter.fetch_add(1, Relaxed);
            tally.lost.fetch_add(*lost_qos0 as u64, Relaxed);
            if let Some(retry_in) = retry_in {
                tracing::warn!(connection, %cause, ?retry_in, "not connected");
            } else {
                tracing::info!(connection, %cause, "disconnected");
            }
        }
        Event::Dropped { messages, .. } | Event::QueueDropped(messages) | Event::Unclaimed(messages) => {
            tally.lost.fetch_add(*messages, Relaxed);
            tracing::warn!(connection, messages, "messages were dropped");
        }
        Event::IdentifierContended { client_id, .. } => {
            tracing::error!(connection, %client_id, "another client uses this identifier");
        }
        Event::SubscriptionLost { filter, reason } => {
            tracing::error!(connection, filter = filter.as_str(), %reason, "subscription lost");
        }
        _ => {}
    }
}
