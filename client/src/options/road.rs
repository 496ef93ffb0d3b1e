//! How the server is reached.

use std::sync::Arc;

use super::Options;
use crate::transport::ProxyChoice;
use crate::{Proxy, Tcp, Tls, Transport, WebSocket};

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

    /// A way to the server of your own, instead of the one that the address names.
    #[must_use]
    pub fn transport(mut self, transport: impl Transport) -> Self {
        self.transport = Some(Arc::new(transport));
        self
    }
}
