//! TCP: from a name to a connected socket.

use std::io;
use std::sync::Arc;

use tokio::net::TcpStream;

use super::{Attempt, DialError};
use crate::ConnectStage;

/// How TCP connections are made. All addresses of the host are tried in the resolver's order.
#[derive(Clone, Debug, Default)]
pub struct Tcp {}

impl Tcp {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    pub(super) async fn connect(&self, attempt: &Attempt) -> Result<TcpStream, DialError> {
        let server = attempt.server();
        attempt.enter(ConnectStage::Name);
        let resolved = tokio::net::lookup_host((server.host(), server.port())).await;
        let addresses = resolved.map_err(|error| DialError::Resolve(Arc::new(error)))?;
        attempt.enter(ConnectStage::Tcp);
        let mut last = None;
        for address in addresses {
            match TcpStream::connect(address).await {
                Ok(stream) => {
                    // Without it a small packet waits up to 40 ms for the acknowledgement of the one before.
                    stream.set_nodelay(true)?;
                    return Ok(stream);
                }
                Err(error) => last = Some(DialError::from(error)),
            }
        }
        let none = || DialError::Resolve(Arc::new(io::Error::from(io::ErrorKind::NotFound)));
        Err(last.unwrap_or_else(none))
    }
}
