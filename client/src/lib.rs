//! An MQTT client for 3.1.1 and 5.0 that does not lose a message it has accepted.
//!
//! ```no_run
//! use packetboat::{Client, QoS};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let client = Client::connect("mqtt://localhost:1883").await?;
//!     let mut messages = client.subscribe("hello/#").await?;
//!     client.publish("hello/world", "Hello!").qos(QoS::AtLeastOnce).await?;
//!     if let Some(message) = messages.next().await {
//!         println!("{}: {}", message.topic(), String::from_utf8_lossy(message.payload()));
//!     }
//!     client.disconnect().await?;
//!     Ok(())
//! }
//! ```
//!
//! * [`Client`] is the handle: clone it, use it from anywhere. The client's own task reads, writes and reconnects.
//! * [`Publish`] is a message on its way out: builder and future in one.
//! * [`Subscriber`] is a stream of messages. Taking the next acknowledges the previous one.
//! * [`Request`] is a question and the wait for its answer; [`Responder`] gives answers.
//! * `typed` (feature `serde`): topics with named levels, payloads with types.
//! * [`Options`] holds every choice with its default.
//! * [`State`] and [`Event`] tell what happens to the connection.
//!
//! Everything that can be awaited can be dropped at any time: a message that was accepted is sent, one that was not is
//! not, and no received message is lost. A loop that publishes or receives much belongs in a spawned task: in the body
//! of `#[tokio::main]` each wake-up costs several times as much.
//!
//! # How long a call waits
//!
//! For as long as the client goes on trying, unless it has a limit: a message given to the client is not given up because
//! a broker is away. All of them end at once when the client is closed or gives up.
//!
//! | Call | Ends at the latest after |
//! | --- | --- |
//! | [`Client::connect`] | [`Options::connect_timeout`] for each attempt, 10 s; there is one, unless [`Options::on_failure`] says otherwise |
//! | `publish`, `enqueue` | its [`timeout`](Publish::timeout), then it says what became of the message; `try_publish` never waits |
//! | `subscribe`, `unsubscribe` | its [`timeout`](Subscription::timeout) |
//! | [`Client::request`] | its [`timeout`](Request::timeout), 30 s |
//! | [`Client::flush`], [`Client::subscribe_many`], [`Receipt`], the next message or event | when you drop it: `tokio::time::timeout` loses nothing |
//! | [`Client::disconnect`], [`Client::go_offline`] | [`Options::drain_timeout`], 5 s, and the moment a goodbye takes |
//! | [`Client::reauthenticate`] | [`Options::acknowledgement_timeout`], 60 s |
//! | [`Client::reconfigure`], [`Client::reconnect`], [`Client::connect_now`] | at once: events tell the rest |

/// The example of README.md compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

mod authentication;
mod body;
mod callback;
mod client;
mod copies;
mod credentials;
mod defaults;
mod error;
mod events;
mod guess;
mod hooks;
#[cfg(feature = "serde")]
mod json;
mod message;
mod options;
mod ping;
mod publish;
mod queue;
mod receipt;
mod request;
mod server;
mod servers;
mod settings;
mod shared;
mod streamed;
mod subscribe;
mod subscriber;
mod tap;
mod task;
mod timed;
mod transport;
#[cfg(feature = "serde")]
pub mod typed;
mod unsubscribe;

pub use packetboat_core::session::{
    Breach, Cause, ConnectOptions, Limits, PublishError as RejectReason, Queue, SessionMode,
    SubscribeError as SubscribeRejectReason, Will,
};
pub use packetboat_core::topic::{TopicError, TopicFilter, TopicName};
pub use packetboat_core::wire::{
    Packet, PacketType, Properties, PropertiesBuf, Property, PropertyError, QoS, Reason, RetainHandling,
    Version,
};

pub use authentication::{AuthenticationError, Authenticator, Exchange, ReauthenticateError};
#[cfg(feature = "scram")]
pub use authentication::{Scram, ScramHash};
pub use body::Body;
pub use callback::Callback;
pub use client::Client;
pub use credentials::Credentials;
pub use defaults::TopicDefaults;
#[doc(hidden)]
pub use error::report;
pub use error::{
    Closed, ConnectError, ConnectStage, PublishError, Stale, SubscribeError, Uncertainty, Undelivered,
    Withdrawal,
};
pub use events::{Connected, Disconnection, Event, EventHandler, Events, Leave, Side, State, Switch};
pub use hooks::{Failure, OnFailure, PrepareError, Preparing, Refusals};
pub use message::Message;
pub use options::{Jitter, Options, QueuePolicy, VersionChoice};
pub use ping::PingError;
pub use publish::{Enqueue, Publish};
pub use queue::QueuedMessage;
pub use receipt::{Published, Receipt, Stage};
pub use request::{
    Incoming, Reply, Request, RequestCounts, RequestError, Responded, Responder, ResponderBuilder,
};
pub use server::{Scheme, Server, UrlError};
pub use servers::ServerOptions;
pub use settings::OptionsError;
pub use streamed::{ReadAt, StreamedPayload};
pub use subscribe::{SubscribeMany, Subscription, ToMessages};
pub use subscriber::{End, NothingCame, StreamPolicy, Subscriber};
pub use tap::{Direction, PassingPacket};
pub use timed::Timed;
#[cfg(feature = "tls")]
pub use transport::PrivateKey;
pub use transport::{
    Attempt, CertificateProblem, DialError, Dialing, Io, Pem, Proxy, ProxyError, ProxyUrlError, Tcp,
    TcpKeepAlive, Tls, TlsError, TlsVersion, Transport, WebSocket, WebSocketError,
};
pub use unsubscribe::{Answer, Unsubscribe};
