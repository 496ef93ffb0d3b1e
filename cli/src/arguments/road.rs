//! By which way the broker is reached.

use std::str::FromStr;

use clap::Args;
use packetboat::{Options, Proxy, Scheme, Server, Tcp};

#[allow(clippy::doc_markdown, reason = "it is the help, read as text")]
#[derive(Debug, Args)]
pub(crate) struct Road {
    /// Local address (or host name of it) to connect from
    #[arg(short = 'A', long, value_name = "ADDRESS", help_heading = "Connection")]
    bind_address: Option<String>,

    /// Socket of the broker in the file system
    #[arg(long, value_name = "PATH", conflicts_with_all = ["url", "host", "port", "ws", "proxy"],
        help_heading = "Connection")]
    unix: Option<String>,

    /// Speak MQTT in WebSocket frames, at the path /mqtt; another path goes into -L ws://host/path [default port: 80]
    #[arg(long, conflicts_with = "url", help_heading = "Connection")]
    ws: bool,

    /// Connect through http://[user:password@]host[:port] or socks5h://..., or as the environment says: environment
    ///
    /// The proxy resolves the broker's name. The environment says it in `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`.
    #[arg(long, value_name = "PROXY", help_heading = "Connection")]
    proxy: Option<ProxyArgument>,
}

#[derive(Clone, Debug)]
enum ProxyArgument {
    Environment,
    Proxy(Proxy),
}

impl FromStr for ProxyArgument {
    type Err = packetboat::ProxyUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "environment" { Ok(Self::Environment) } else { text.parse().map(Self::Proxy) }
    }
}

impl Road {
    /// The server that is named here; what is not, is as in `file`. `None`: nothing is named here.
    pub(crate) fn server(
        &self,
        host: Option<&str>,
        port: Option<u16>,
        file: Option<&Server>,
    ) -> Option<Server> {
        if let Some(path) = &self.unix {
            return Some(Server::unix(path.as_str()));
        }
        if host.is_none() && port.is_none() && !self.ws {
            return None;
        }
        let file = file.filter(|server| server.scheme() != Scheme::Unix);
        let scheme = file.map_or(Scheme::Mqtt, Server::scheme);
        let scheme = if self.ws && !scheme.is_websocket() { Scheme::Ws } else { scheme };
        // Another scheme has another port, unless it is named.
        let same = file.filter(|server| server.scheme() == scheme);
        let host = host.or(file.map(Server::host)).unwrap_or("localhost");
        let server = Server::with_scheme(scheme, host, port.or(same.map(Server::port)));
        Some(match same.filter(|_| scheme.is_websocket()) {
            Some(file) => server.path(file.target()),
            None => server,
        })
    }

    pub(crate) fn apply(&self, mut options: Options) -> Options {
        if let Some(address) = &self.bind_address {
            options = options.tcp(Tcp::new().bind_address(address.as_str()));
        }
        match &self.proxy {
            None => options,
            Some(ProxyArgument::Environment) => options.proxy_from_environment(),
            Some(ProxyArgument::Proxy(proxy)) => options.proxy(proxy.clone()),
        }
    }
}
