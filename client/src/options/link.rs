//! Options about keeping a connection up: servers, waits, refusals, hooks.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use packetboat_core::session::ConnectOptions;

use super::{Jitter, Options};
use crate::hooks::{Failure, OnFailure, Preparing, Refusals};
use crate::{Client, Connected, Server, ServerOptions};

impl Options {
    /// The server that is tried first; `None` if its URL is wrong, which [`Client::start`](crate::Client::start) reports.
    #[must_use]
    pub fn first_server(&self) -> Option<&Server> {
        self.server.as_ref().ok()
    }

    /// A further server, with what is its own. It has its turn when the one before has failed after its longest wait, and
    /// keeps it for as long as it works; the last one is followed by the first. Default: none.
    #[must_use]
    pub fn or_server(mut self, server: impl Into<ServerOptions>) -> Self {
        self.choose().more_servers.push(server.into());
        self
    }

    /// Shortest and longest wait between attempts; each wait doubles the one before. Default: 1 s and 120 s.
    #[must_use]
    pub fn backoff(mut self, minimum: Duration, maximum: Duration) -> Self {
        self.choose().backoff = (minimum, maximum.max(minimum));
        self
    }

    /// Probes a silent link so long before [`keep_alive`](Self::keep_alive) is over, though after one second at the
    /// earliest: for a broker that is strict about it, or a link that is slow. CONNECT says the whole keep-alive. Whole
    /// seconds. Default: zero.
    #[must_use]
    pub fn probe_ahead(mut self, time: Duration) -> Self {
        self.choose().probe_ahead = time;
        self
    }

    /// How waits are made random. Default: [`Jitter::Full`].
    #[must_use]
    pub fn jitter(mut self, jitter: Jitter) -> Self {
        self.choose().jitter = jitter;
        self
    }

    /// A connection that stood so long starts the backoff anew. Default: 30 s.
    #[must_use]
    pub fn stable_after(mut self, time: Duration) -> Self {
        self.choose().stable_after = time;
        self
    }

    /// Retries after a first attempt, across servers, before the client gives up. Default: no limit.
    #[must_use]
    pub fn retry_limit(mut self, retries: u32) -> Self {
        self.choose().retry_limit = Some(retries);
        self
    }

    /// While another server than the first is in use, the first one is tried again after so long, and left again at once
    /// if it is not back. Default: never, a server is kept for as long as it works.
    #[must_use]
    pub fn return_after(mut self, time: Duration) -> Self {
        self.choose().return_after = Some(time);
        self
    }

    /// A connection is replaced by a fresh one after so long, as by [`Client::reconnect`](crate::Client::reconnect); with
    /// jitter up to a tenth earlier. For servers that end connections when credentials expire. Default: never.
    #[must_use]
    pub fn renew_after(mut self, time: Duration) -> Self {
        self.choose().renew_after = Some(time);
        self
    }

    /// What is done when a broker refuses us as we are. [`Client::connect`](crate::Client::connect) ends with the error
    /// in any case, and [`on_failure`](Self::on_failure) is asked first. Default: [`Refusals::RetrySlowly`].
    #[must_use]
    pub fn on_refusal(mut self, refusals: Refusals) -> Self {
        self.choose().refusals = refusals;
        self
    }

    /// How often in a row a broker may send us to another one ("Use another server", "Server moved") until the list of
    /// servers counts again. User and password go there too; zero follows nobody. Default: 3. Only 5.0 knows how.
    #[must_use]
    pub fn redirect_limit(mut self, servers: u8) -> Self {
        self.choose().redirect_limit = servers;
        self
    }

    /// A lost connection is not restored, and the first of a client that was [started](crate::Client::start) not made, until
    /// something waits for one: a message, a subscription, a flush, [`connect_now`](crate::Client::connect_now). Nothing is
    /// received meanwhile. Default: false, it is at once.
    #[must_use]
    pub fn connect_on_demand(mut self, on_demand: bool) -> Self {
        self.choose().on_demand = on_demand;
        self
    }

    /// Is it so?
    #[must_use]
    pub fn connects_on_demand(&self) -> bool {
        self.choices.on_demand
    }

    /// No attempt is made before the system's clock shows this time: for devices whose clock is not set yet when they
    /// start, with credentials or certificates that depend on it. Default: not looked at.
    #[must_use]
    pub fn require_clock(mut self, earliest: SystemTime) -> Self {
        self.choose().require_clock = Some(earliest);
        self
    }

    /// Called on every attempt before the server is asked, for credentials that expire: what it changes is what CONNECT
    /// says. The version is not its to choose. Its time counts towards [`connect_timeout`](Self::connect_timeout), and
    /// its failure is that of the attempt. Default: none.
    ///
    /// ```
    /// # use packetboat::Options;
    /// # async fn token() -> Result<Vec<u8>, std::io::Error> { Ok(Vec::new()) }
    /// let options = Options::new("mqtt://localhost").before_connect(|connect| {
    ///     Box::pin(async move {
    ///         connect.password = Some(token().await?);
    ///         Ok(())
    ///     })
    /// });
    /// ```
    #[must_use]
    pub fn before_connect(
        mut self,
        prepare: impl for<'a> Fn(&'a mut ConnectOptions) -> Preparing<'a> + Send + Sync + 'static,
    ) -> Self {
        self.choose().hooks.get_or_insert_default().before_connect = Some(Arc::new(prepare));
        self
    }

    /// Runs after every accepted connection, in a task of its own. Publishing and receiving do not wait for it.
    /// Default: none.
    #[must_use]
    pub fn after_connect<F>(mut self, greet: impl Fn(Client, Connected) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let greet = move |client, connected| -> Pin<Box<dyn Future<Output = ()> + Send>> {
            Box::pin(greet(client, connected))
        };
        self.choose().hooks.get_or_insert_default().after_connect = Some(Arc::new(greet));
        self
    }

    /// Asked after every failed attempt and lost connection whether to go on; the first attempt of
    /// [`Client::connect`](crate::Client::connect) included, which then tries until it is told to stop. Default: none,
    /// [`on_refusal`](Self::on_refusal) and [`retry_limit`](Self::retry_limit) decide. It must be brief.
    #[must_use]
    pub fn on_failure(mut self, decide: impl Fn(&Failure<'_>) -> OnFailure + Send + Sync + 'static) -> Self {
        self.choose().hooks.get_or_insert_default().on_failure = Some(Arc::new(decide));
        self
    }
}
