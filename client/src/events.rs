//! What happens to the connection: a state to look at, and a stream of events.

mod listeners;

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use packetboat_core::session::{Cause, Limits};
use packetboat_core::topic::TopicFilter;
use packetboat_core::wire::{PropertiesBuf, QoS, Reason, Version};

use crate::shared::{Handle, Key};
use crate::{ConnectError, Server};
pub use listeners::EventHandler;
pub(crate) use listeners::{Handler, Listeners};

/// Where the client stands. Watch it with [`Client::watch`](crate::Client::watch).
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum State {
    /// Trying to reach a server.
    #[default]
    Connecting,
    /// Online.
    Connected(Connected),
    /// Not connected; the next attempt comes later.
    Waiting {
        /// Why the last connection or attempt ended.
        cause: Disconnection,
        /// How long until the next attempt, counted from when this was said.
        retry_in: Duration,
    },
    /// Not connected, and no attempt comes by itself: after [`Client::go_offline`](crate::Client::go_offline), or until
    /// something waits for a connection ([`Options::connect_on_demand`](crate::Options::connect_on_demand)).
    Offline,
    /// Disconnected for good.
    Closed,
}

impl State {
    /// Is there a connection?
    #[must_use]
    pub fn is_connected(&self) -> bool {
        matches!(self, Self::Connected(_))
    }
}

/// What the broker said when it accepted the connection.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Connected {
    /// Which server.
    pub server: Server,
    /// The version spoken.
    pub version: Version,
    /// The broker had kept the session.
    pub session_present: bool,
    /// What the broker allows.
    pub limits: Limits,
    /// The client identifier in use, the broker's choice included.
    pub client_id: Arc<str>,
    /// What CONNACK said besides (5.0): reason string, response information, user properties (unless all is larger than
    /// 64 KiB), server reference. Empty on 3.1.1.
    pub properties: PropertiesBuf,
}

/// Why there is no connection.
#[derive(Clone, Debug)]
pub enum Disconnection {
    /// A connection ended.
    Ended(Cause),
    /// A connection ended with words of a layer below MQTT: TLS refused, or the WebSocket was closed with a complaint.
    Broken(Arc<std::io::Error>),
    /// An attempt failed.
    Failed(ConnectError),
}

impl fmt::Display for Disconnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => error.fmt(f),
            Self::Broken(error) => write!(f, "the connection broke: {error}"),
            Self::Ended(Cause::Requested) => f.write_str("disconnected as requested"),
            Self::Ended(Cause::Lost) => f.write_str("the connection was lost"),
            Self::Ended(Cause::Refused { reason, .. }) => {
                write!(f, "the broker refused the connection: {reason}")
            }
            Self::Ended(Cause::ByBroker { reason, .. }) => {
                write!(f, "the broker closed the connection: {reason}")
            }
            Self::Ended(Cause::Breach(breach)) => write!(f, "the broker broke the protocol: {}", breach.what),
            Self::Ended(Cause::Silent) => f.write_str("the broker fell silent"),
            Self::Ended(Cause::StoreFailed) => f.write_str("the store failed"),
            Self::Ended(Cause::NotAcknowledged) => {
                f.write_str("the broker owed an acknowledgement for too long")
            }
        }
    }
}

impl Disconnection {
    /// Whose doing it was.
    #[must_use]
    pub fn by(&self) -> Side {
        match self {
            Self::Ended(Cause::Requested | Cause::StoreFailed)
            | Self::Failed(
                ConnectError::Options(_) | ConnectError::Credentials { .. } | ConnectError::Closed,
            ) => Side::Us,
            Self::Ended(Cause::Refused { .. } | Cause::ByBroker { .. } | Cause::Breach(_))
            | Self::Failed(ConnectError::Refused { .. } | ConnectError::NotMqtt { .. }) => Side::Broker,
            // A broker that was stopped looks like a cable that was pulled.
            _ => Side::Network,
        }
    }
}

/// Who ended a connection or an attempt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Side {
    /// The application, or the client for its sake.
    Us,
    /// The broker, with a reason, or by breaking the protocol.
    Broker,
    /// Neither said anything: the network, or the end of the broker's process.
    Network,
}

/// Why a connection is left while the client goes on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Leave {
    /// [`Client::go_offline`](crate::Client::go_offline).
    Offline,
    /// [`Client::reconnect`](crate::Client::reconnect).
    Reconnect,
    /// [`Client::reconfigure`](crate::Client::reconfigure).
    Reconfigured,
    /// It has lasted for [`Options::renew_after`](crate::Options::renew_after).
    Renewal,
    /// The first server may be back: [`Options::return_after`](crate::Options::return_after).
    ToFirstServer,
}

/// Why another server has its turn.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Switch {
    /// The one before failed, or a detour ended.
    #[default]
    Failover,
    /// The one before sent us there.
    Redirected,
    /// It is the first of the list, tried again.
    Returned,
    /// Other options.
    Reconfigured,
}

/// Something that happened. Received through [`Client::events`](crate::Client::events).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// An attempt begins.
    Connecting(Server),
    /// The broker accepted the connection.
    Connected(Connected),
    /// The connection ended, or an attempt failed.
    Disconnected {
        /// Why.
        cause: Disconnection,
        /// QoS 0 messages that had been reported as sent and did not reach the socket.
        lost_qos0: usize,
        /// When the next attempt comes, counted from now; `None`: not by itself.
        retry_in: Option<Duration>,
        /// Where it goes.
        next: Option<Server>,
    },
    /// The next attempt goes to another server than the last.
    ServerSwitched {
        /// The last.
        from: Server,
        /// The next.
        to: Server,
        /// Why.
        why: Switch,
    },
    /// A connection is being left on purpose; [`Disconnected`](Self::Disconnected) follows.
    Leaving(Leave),
    /// A broker sent us elsewhere, and we did not follow.
    RedirectIgnored {
        /// Where.
        reference: String,
        /// Why not.
        why: &'static str,
    },
    /// It seems that another client uses our client identifier: each takes the connection from the other.
    IdentifierContended {
        /// The identifier.
        client_id: Arc<str>,
        /// The broker said so (5.0). Otherwise it is a guess from connections that closed soon without a word.
        certain: bool,
    },
    /// A subscription could not be restored after a reconnect; its streams end.
    SubscriptionLost {
        /// Which.
        filter: TopicFilter,
        /// What the broker said.
        reason: Reason,
    },
    /// All subscriptions stand again after a reconnect.
    SubscriptionsRestored,
    /// A stream that nobody takes from is full, and reading had to go on: its QoS 0 messages are dropped until
    /// somebody takes from it. `None` stands for [`Client::messages`](crate::Client::messages).
    Stalled(Option<TopicFilter>),
    /// A stream dropped so many messages since the last such event.
    Dropped {
        /// Which; `None` stands for [`Client::messages`](crate::Client::messages).
        filter: Option<TopicFilter>,
        /// How many.
        messages: u64,
    },
    /// So many messages were dropped unsent: the queue was full and its [policy](crate::QueuePolicy) said so, or they were
    /// of QoS 0, and [not kept](crate::Options::queue_qos0_offline). Their receipts fail, too.
    QueueDropped(u64),
    /// So many messages belonged to no stream. They were acknowledged.
    Unclaimed(u64),
    /// A message has not been acknowledged for 30 s and others wait behind it, since acknowledgements go in the order of
    /// arrival: its stream is not taken from, or whoever took it works on it or keeps it.
    Held {
        /// Its packet identifier.
        packet_id: u16,
        /// Its delivery guarantee.
        qos: QoS,
        /// How many wait.
        waiting: usize,
    },
    /// Messages that were dropped without [`ack`](crate::Message::ack) or [`reject`](crate::Message::reject) take half of
    /// what the broker may send unacknowledged ([`Options::inbound`](crate::Options::inbound)), or more; with all of it
    /// taken, nothing of QoS 1 and 2 comes any more. It delivers them again after a
    /// [`reconnect`](crate::Client::reconnect). Told once for each connection.
    Abandoned {
        /// How many.
        messages: usize,
        /// Of how many.
        window: u16,
    },
    /// A message larger than what is accepted was skipped and acknowledged (3.1.1).
    Oversize {
        /// Its topic.
        topic: String,
        /// Its size in bytes.
        size: usize,
    },
    /// A message was given up, so that others can be sent: connections ended whenever it was sent.
    Poison {
        /// Where it was to go.
        topic: Box<str>,
        /// Its delivery guarantee.
        qos: QoS,
        /// Bytes of its topic, properties and payload.
        size: usize,
        /// Connections that ended.
        connections: u8,
    },
    /// The retry limit is reached: the client is closed.
    GaveUp,
    /// This stream of events was not read in time and so many events are missing here.
    Missed(u64),
}

/// The stream of [`Event`]s of a client, from the moment it was asked for. It ends when the client is closed.
///
/// It holds at most 256 events that were not taken; then the oldest give way and are counted.
///
/// ```no_run
/// use packetboat::Event;
///
/// # async fn example(client: packetboat::Client) -> Result<(), Box<dyn std::error::Error>> {
/// let mut events = client.events();
/// while let Some(event) = events.next().await {
///     match event {
///         Event::Connected(_) => println!("connected"),
///         Event::Disconnected { .. } => println!("cut; reconnecting"),
///         other => println!("{other:?}"),
///     }
/// }
/// # Ok(())
/// # }
/// ```
pub struct Events {
    pub(crate) handle: Arc<Handle>,
    pub(crate) key: Key,
}

impl Events {
    /// The next event; `None` when the client is closed.
    pub async fn next(&mut self) -> Option<Event> {
        poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&self, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let mut guard = self.handle.shared.lock();
        let inner = &mut *guard;
        inner.listeners.poll(self.key, inner.closed, cx, &mut inner.deferred.retired)
    }
}

impl Stream for Events {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.poll(cx)
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        let gone = self.handle.shared.lock().listeners.slab.remove(self.key);
        drop(gone);
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}
