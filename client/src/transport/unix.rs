//! Sockets in the file system.

use std::io;
use std::sync::Arc;

use tokio::net::UnixStream;

use super::{Attempt, DialError, Io};
use crate::ConnectStage;

pub(super) async fn connect(attempt: &Attempt) -> Result<Box<dyn Io>, DialError> {
    attempt.enter(ConnectStage::Tcp);
    let path = attempt.server().target();
    if path.is_empty() {
        return Err(DialError::Socket(Arc::new(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the path is empty",
        ))));
    }
    match UnixStream::connect(path).await {
        Ok(socket) => Ok(Box::new(socket)),
        Err(error) => Err(DialError::Socket(Arc::new(error))),
    }
}
