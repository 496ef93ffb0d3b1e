//! One attempt, until there is a byte stream: whom to be, then the road.

use std::sync::Arc;

use packetboat_core::session::ConnectOptions;

use crate::shared::Shared;
use crate::{Attempt, ConnectError, ConnectStage, Io};

/// What an attempt comes to: a stream, and what CONNECT is to say on it.
pub(super) type Opening = std::pin::Pin<Box<dyn Future<Output = Result<Opened, ConnectError>> + Send>>;

pub(super) struct Opened {
    pub(super) io: Box<dyn Io>,
    pub(super) connect: ConnectOptions,
}

pub(super) async fn open(
    shared: Arc<Shared>,
    attempt: Attempt,
    mut connect: ConnectOptions,
) -> Result<Opened, ConnectError> {
    let settings = &shared.settings;
    let server = || attempt.server().clone();
    match &settings.options.provider {
        None => settings.options.credentials.apply(&mut connect),
        Some(provider) => {
            attempt.enter(ConnectStage::Credentials);
            let given = provider.ask(server()).await;
            let given = given.map_err(|source| ConnectError::Credentials { server: server(), source })?;
            given.check()?;
            given.apply(&mut connect);
        }
    }
    attempt.enter(ConnectStage::Transport);
    let io = settings.transport.dial(&attempt).await;
    let io = io.map_err(|error| ConnectError::Unreachable { server: server(), error })?;
    Ok(Opened { io: settings.options.taps.attach(io), connect })
}
