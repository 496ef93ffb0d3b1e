//! Sockets in the file system.

use tokio::net::UnixStream;

use super::{Attempt, DialError, Io};
use crate::ConnectStage;

pub(super) async fn connect(attempt: &Attempt) -> Result<Box<dyn Io>, DialError> {
    attempt.enter(ConnectStage::Tcp);
    Ok(Box::new(UnixStream::connect(attempt.server().target()).await?))
}
