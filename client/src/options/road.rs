//! How the server is reached.

use std::sync::Arc;

use super::Options;
use crate::transport::ProxyChoice;
use crate::{Attempt, DialError, Io, Proxy, Server, Tcp, Tls, Transport, UrlError, WebSocket};

impl Options {
    /// How TCP connections are made. Default: [`Tcp::new`].
    #[must_use]
    pub fn tcp(mut self, tcp: Tcp) -> Self {
        Arc::make_mut(&mut self.road).tcp = tcp;
        self
    }

    /// The proxy to connect through, which resolves the server's name. Default: none.
    #[must_use]
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        Arc::make_mut(&mut self.road).proxy = ProxyChoice::Proxy(proxy);
        self
    }

    /// The proxy is the one that the environment names for the server, if it does: see
    /// [`Proxy::from_environment`]. Default: the environment has no say.
    #[must_use]
    pub fn proxy_from_environment(mut self) -> Self {
        Arc::make_mut(&mut self.road).proxy = ProxyChoice::Environment;
        self
    }

    /// How TLS connections are made; makes `mqtts://` and `wss://` of `mqtt://` and `ws://` addresses, port included.
    /// Default: [`Tls::new`], for `mqtts://` and `wss://` addresses.
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        let road = Arc::make_mut(&mut self.road);
        (road.tls, road.secured) = (tls, true);
        self
    }

    /// How a WebSocket is opened, where the address asks for one. Default: [`WebSocket::new`].
    #[must_use]
    pub fn websocket(mut self, websocket: WebSocket) -> Self {
        Arc::make_mut(&mut self.road).websocket = websocket;
        self
    }

    /// An attempt to reach the first server by this road, which has not begun. For [`dial`](Self::dial), and for
    /// programs that want to look at a layer alone.
    pub fn attempt(&self) -> Result<Attempt, UrlError> {
        Ok(Attempt::on(self.road.clone(), self.lead(self.server.clone()?)?))
    }

    /// Where an address leads with these options: a transport of somebody else's knows itself what it can reach.
    pub(crate) fn lead(&self, server: Server) -> Result<Server, UrlError> {
        if self.transport.is_some() { Ok(self.road.secure(server)) } else { self.road.signpost(server) }
    }

    /// Opens the byte stream a client would speak on, and says nothing: for programs that test a broker packet by packet.
    /// There is no time limit.
    pub async fn dial(&self, attempt: &Attempt) -> Result<Box<dyn Io>, DialError> {
        match &self.transport {
            Some(transport) => transport.dial(attempt).await,
            None => self.road.dial(attempt).await,
        }
    }

    /// A way to the server of your own, instead of the one that the address names.
    #[must_use]
    pub fn transport(mut self, transport: impl Transport) -> Self {
        self.transport = Some(Arc::new(transport));
        self
    }
}
