//! `-A`: TCP from a local address of the user's choice.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use packetboat::{Attempt, ConnectStage, DialError, Dialing, Io, Transport};
use tokio::net::{TcpSocket, TcpStream, lookup_host};

/// Connects from one local address.
#[derive(Clone, Debug)]
pub(crate) struct BoundTcp {
    local: Arc<str>,
}

impl BoundTcp {
    pub(crate) fn new(local: &str) -> Self {
        Self { local: Arc::from(local) }
    }

    async fn connect(&self, attempt: &Attempt) -> Result<TcpStream, DialError> {
        let server = attempt.server();
        attempt.enter(ConnectStage::Name);
        let locals: Vec<IpAddr> = match lookup_host((&*self.local, 0)).await {
            Ok(addresses) => addresses.map(|address| address.ip()).collect(),
            Err(error) => return Err(self.unusable(&error).into()),
        };
        let remotes = lookup_host((server.host(), server.port())).await;
        let remotes = remotes.map_err(|error| DialError::Resolve(Arc::new(error)))?;
        attempt.enter(ConnectStage::Tcp);
        let mut last = None;
        for remote in remotes {
            for local in locals.iter().filter(|local| local.is_ipv4() == remote.is_ipv4()) {
                match self.connect_from(*local, remote).await {
                    Ok(stream) => return Ok(stream),
                    Err(error) => last = Some(error),
                }
            }
        }
        let family =
            || io::Error::other("the broker has no address of the same family as the one given with -A");
        Err(last.unwrap_or_else(family).into())
    }

    async fn connect_from(&self, local: IpAddr, remote: SocketAddr) -> io::Result<TcpStream> {
        let socket = if remote.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.bind(SocketAddr::new(local, 0)).map_err(|error| self.unusable(&error))?;
        let stream = socket.connect(remote).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    fn unusable(&self, error: &io::Error) -> io::Error {
        io::Error::new(error.kind(), format!("-A {}: {error}", self.local))
    }
}

impl Transport for BoundTcp {
    fn dial(&self, attempt: &Attempt) -> Dialing {
        let (this, attempt) = (self.clone(), attempt.clone());
        Box::pin(async move { Ok(Box::new(this.connect(&attempt).await?) as Box<dyn Io>) })
    }
}
