//! One attempt, until there is a byte stream: the clock, whom to be, what the application has to say, then the road.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use packetboat_core::session::ConnectOptions;
use zeroize::Zeroize;

use super::failure::Fallback;
use super::{After, Online, Stage, Task};
use crate::events::{Disconnection, State};
use crate::settings::Settings;
use crate::shared::WakesFor;
use crate::{
    Attempt, AuthenticationError, ConnectError, ConnectStage, Credentials, Event, Exchange, Io, Options,
    authentication,
};

/// The clock is looked at so often while it is not set.
const CLOCK_INTERVAL: Duration = Duration::from_secs(1);

/// What an attempt comes to: a stream, and what CONNECT is to say on it.
pub(super) type Opening = std::pin::Pin<Box<dyn Future<Output = Result<Opened, ConnectError>> + Send>>;

pub(super) struct Opened {
    pub(super) io: Box<dyn Io>,
    pub(super) connect: Greeting,
    /// Its first step is in what CONNECT says.
    exchange: Option<Box<dyn Exchange>>,
}

/// What CONNECT is to say. Its copy of the password is wiped, whatever becomes of the attempt.
pub(super) struct Greeting(ConnectOptions);

impl std::ops::Deref for Greeting {
    type Target = ConnectOptions;

    fn deref(&self) -> &ConnectOptions {
        &self.0
    }
}

impl std::ops::DerefMut for Greeting {
    fn deref_mut(&mut self) -> &mut ConnectOptions {
        &mut self.0
    }
}

impl Drop for Greeting {
    fn drop(&mut self) {
        self.0.password.zeroize();
    }
}

async fn open(
    settings: Arc<Settings>,
    own: Option<Box<Credentials>>,
    mut attempt: Attempt,
    mut connect: Greeting,
) -> Result<Opened, ConnectError> {
    let options = &settings.options;
    let server = attempt.server().clone();
    match (own, &options.provider) {
        (Some(own), _) => own.apply(&mut connect),
        (None, None) => {
            if let Some(credentials) = &options.credentials {
                credentials.apply(&mut connect);
            }
        }
        (None, Some(provider)) => {
            attempt.enter(ConnectStage::Credentials);
            let given = provider.ask(server.clone()).await;
            let given =
                given.map_err(|source| ConnectError::Credentials { server: server.clone(), source })?;
            given.check()?;
            given.apply(&mut connect);
            attempt = attempt.with_identity(given.identity);
        }
    }
    if let Some(prepare) = options.choices.hooks.as_ref().and_then(|hooks| hooks.before_connect.as_ref()) {
        attempt.enter(ConnectStage::Preparing);
        let version = connect.version;
        let prepared = prepare(&mut connect).await;
        prepared
            .map_err(|source| ConnectError::Credentials { server: server.clone(), source: source.into() })?;
        // Which version is not the application's to say here.
        connect.version = version;
    }
    attempt.enter(ConnectStage::Transport);
    let io = settings.transport().dial(&attempt).await;
    let io = io.map_err(|error| ConnectError::Unreachable { server: server.clone(), error })?;
    let exchange = begin_authentication(options, &mut connect);
    let exchange = exchange.map_err(|error| ConnectError::NotAuthenticated { server, error })?;
    Ok(Opened { io: options.choices.taps.attach(io), connect, exchange })
}

/// Put the first step of an exchange into CONNECT.
fn begin_authentication(
    options: &Options,
    connect: &mut ConnectOptions,
) -> Result<Option<Box<dyn Exchange>>, AuthenticationError> {
    let Some(authenticator) = &options.choices.exchange.authenticator else { return Ok(None) };
    let (exchange, first) = authentication::begin(&**authenticator)?;
    let set = connect.properties.authentication_method(authenticator.method());
    let set =
        set.and_then(|set| first.as_ref().map_or(Ok(()), |data| set.authentication_data(data).map(drop)));
    set.map_err(AuthenticationError::new)?;
    Ok(Some(exchange))
}

impl Task {
    /// Begin an attempt.
    pub(super) fn begin(&mut self) {
        if !self.clock_is_set && !self.look_at_clock() {
            return;
        }
        self.deadline = self.shared.now() + self.settings.options.choices.connect_timeout;
        let server = self.server();
        let mut connect = self.settings.connect();
        let mut inner = self.shared.lock();
        let from = std::mem::replace(&mut inner.server, server.clone());
        let why = std::mem::take(&mut self.switch);
        if !from.is_same(&server) {
            // What one broker does not know another may.
            self.fallback = Fallback::new(self.settings.options.choices.version);
            inner.tell(&Event::ServerSwitched { from, to: server.clone(), why });
        }
        inner.tell(&Event::Connecting(server.clone()));
        inner.stands(State::Connecting);
        connect.client_id = inner.client_id.to_string();
        drop(inner);
        connect.version = self.fallback.version();
        let endpoint = self.settings.servers.get(self.backoff.server());
        let own = endpoint.and_then(|endpoint| endpoint.credentials.clone());
        let attempt = Attempt::on(self.settings.options.road.clone(), server);
        let opening = open(self.settings.clone(), own, attempt.clone(), Greeting(connect));
        self.stage = Stage::Dialing(Box::pin(opening), attempt);
    }

    /// False: it is not set yet, and is looked at again later.
    fn look_at_clock(&mut self) -> bool {
        let earliest = self.settings.options.choices.require_clock;
        self.clock_is_set = earliest.is_none_or(|earliest| SystemTime::now() >= earliest);
        if self.clock_is_set {
            return true;
        }
        let now = self.shared.now();
        if self.first.is_some() && now >= self.deadline {
            self.go_on(self.timed_out(ConnectStage::Clock));
        } else {
            self.stage = Stage::Waiting(now + CLOCK_INTERVAL);
        }
        false
    }

    pub(super) fn poll_dialing(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Stage::Dialing(opening, attempt) = &mut self.stage else { return Poll::Ready(()) };
        match opening.as_mut().poll(cx) {
            Poll::Ready(Ok(Opened { io, connect, exchange })) => {
                let mut inner = self.shared.lock();
                inner.authenticate_with(exchange);
                if *inner.client_id != *connect.client_id {
                    inner.client_id = connect.client_id.as_str().into();
                }
                if inner.is_elsewhere() {
                    inner.session.forget_broker();
                }
                inner.session.handle_open(&connect);
                inner.task.wakes_for = WakesFor::Nothing;
                drop(inner);
                self.stage = Stage::Online(Online::new(io, &connect));
                return Poll::Ready(());
            }
            Poll::Ready(Err(error)) => {
                self.go_on(After::Failed(Disconnection::Failed(error), 0));
                return Poll::Ready(());
            }
            Poll::Pending => {}
        }
        if self.shared.now() >= self.deadline {
            let stage = attempt.stage();
            self.go_on(self.timed_out(stage));
            return Poll::Ready(());
        }
        if let Some(wishes) = self.take_wishes() {
            self.obey_offline(&wishes);
            return Poll::Ready(());
        }
        self.poll_offline(Some(self.deadline), cx)
    }

    pub(super) fn timed_out(&self, stage: ConnectStage) -> After {
        let limit = self.settings.options.choices.connect_timeout;
        After::Failed(
            Disconnection::Failed(ConnectError::TimedOut { server: self.server(), stage, limit }),
            0,
        )
    }
}
