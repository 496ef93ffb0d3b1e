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

    /// Pre-shared key for TLS, in hexadecimal digits; other users of this machine may see it
    #[cfg(feature = "openssl")]
    #[arg(long, value_name = "KEY", requires = "psk_identity", value_parser = hexadecimal, help_heading = "Connection")]
    psk: Option<Key>,

    /// Name under which the broker knows the pre-shared key
    #[cfg(feature = "openssl")]
    #[arg(long, value_name = "IDENTITY", requires = "psk", help_heading = "Connection")]
    psk_identity: Option<String>,

    /// Ciphers for the pre-shared key, as a cipher string of OpenSSL (TLS 1.2)
    #[cfg(feature = "openssl")]
    #[arg(long, value_name = "CIPHERS", requires = "psk", help_heading = "Connection")]
    ciphers: Option<String>,
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
            None => Server::with_scheme(self.scheme(), host, port),
        }
    }

    fn scheme(&self) -> Scheme {
        #[cfg(feature = "openssl")]
        if self.psk.is_some() {
            return if self.ws { Scheme::Wss } else { Scheme::Mqtts };
        }
        if self.ws { Scheme::Ws } else { Scheme::Mqtt }
    }

    pub(crate) fn apply(&self, mut options: Options) -> Options {
        if let Some(address) = &self.bind_address {
            options = options.tcp(Tcp::new().bind_address(address.as_str()));
        }
        options = match &self.proxy {
            None => options,
            Some(ProxyArgument::Environment) => options.proxy_from_environment(),
            Some(ProxyArgument::Proxy(proxy)) => options.proxy(proxy.clone()),
        };
        #[cfg(feature = "openssl")]
        if let (Some(Key(key)), Some(identity)) = (&self.psk, &self.psk_identity) {
            let mut tls = packetboat_openssl::OpenSsl::new().psk(identity, key.clone());
            if let Some(ciphers) = &self.ciphers {
                tls = tls.ciphers(ciphers);
            }
            options = options.transport(tls);
        }
        options
    }
}

/// Not to be printed.
#[cfg(feature = "openssl")]
#[derive(Clone)]
struct Key(Vec<u8>);

#[cfg(feature = "openssl")]
impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

#[cfg(feature = "openssl")]
fn hexadecimal(text: &str) -> Result<Key, String> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    match digits {
        Some(digits) if !digits.is_empty() && digits.len() % 2 == 0 => {
            Ok(Key(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()))
        }
        _ => Err("write the key in pairs of hexadecimal digits, without 0x".into()),
    }
}
