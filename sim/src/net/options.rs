//! How to start.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use packetboat_core::wire::Version;

use super::door::Door;
use super::{Broker, server};
use crate::broker::Config;

/// Settings of a broker on a socket.
#[derive(Clone, Debug)]
pub struct Options {
    config: Config,
    address: SocketAddr,
    seed: u64,
    door: Door,
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

impl Options {
    /// A free port of 127.0.0.1, both versions, no credentials.
    #[must_use]
    pub fn new() -> Self {
        Self {
            config: Config::default(),
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            seed: 0,
            door: Door::default(),
        }
    }

    /// All that a broker allows and does. Replaces what was set before.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Listen on this port. Default: a free one.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.address.set_port(port);
        self
    }

    /// Let only users in that were named so, with their passwords.
    #[must_use]
    pub fn credentials(mut self, user: &str, password: impl Into<Vec<u8>>) -> Self {
        self.config.credentials.insert(user.to_owned(), password.into());
        self
    }

    /// Speak only these versions.
    #[must_use]
    pub fn versions(mut self, versions: &[Version]) -> Self {
        self.config.versions = versions.to_vec();
        self
    }

    /// Unacknowledged QoS 1 and 2 messages it takes from a 5.0 client. Default: 1024.
    #[must_use]
    pub fn receive_maximum(mut self, messages: u16) -> Self {
        self.config.receive_maximum = messages;
        self
    }

    /// Largest packet it takes. Default: 16 MiB.
    #[must_use]
    pub fn maximum_packet_size(mut self, bytes: u32) -> Self {
        self.config.maximum_packet_size = bytes;
        self
    }

    /// Answer PUBLISH, PUBREL, SUBSCRIBE, UNSUBSCRIBE and CONNECT so late. Default: at once.
    #[must_use]
    pub fn answer_delay(mut self, delay: Duration) -> Self {
        let milliseconds = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        self.config.answer_delay = milliseconds..=milliseconds;
        self
    }

    /// Keep every message it takes, for [`Broker::accepted`]. Default: no.
    #[must_use]
    pub fn keep_log(mut self) -> Self {
        self.config.keep_log = true;
        self
    }

    /// Listen with TLS: certificate (with those of its issuers) and private key, PEM.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, certificate: &str, key: &str) -> Self {
        self.door.tls = Some(super::tls::ServerTls::new(certificate, key));
        self
    }

    /// With TLS, take only clients whose certificates this authority (PEM) has signed.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn client_authority(mut self, authority: &str) -> Self {
        self.door.tls = self.door.tls.map(|tls| tls.client_authority(authority));
        self
    }

    /// What is left to chance follows from the seed. Default: 0.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Take MQTT in WebSocket frames only, at any path. Default: over TCP.
    #[cfg(feature = "websocket")]
    #[must_use]
    pub fn websocket(mut self) -> Self {
        self.door.websocket = true;
        self
    }

    /// Start. Needs a tokio runtime with I/O and time.
    pub async fn start(self) -> io::Result<Broker> {
        let door = self.door.ready()?;
        server::start(server::Shared::new(self.config, self.seed, door), self.address).await
    }
}
