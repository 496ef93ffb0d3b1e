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
    /// The server that host and port name.
    pub(crate) fn server(&self, host: &str, port: Option<u16>) -> Server {
        match &self.unix {
            Some(path) => Server::unix(path.as_str()),
            None => Server::with_scheme(if self.ws { Scheme::Ws } else { Scheme::Mqtt }, host, port),
        }
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
