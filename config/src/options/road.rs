//! The road below MQTT: TCP, proxy, WebSocket.

use packetboat::{Options, ProxyUrlError, Tcp, TcpKeepAlive, WebSocket};

use super::wrong;
use crate::node::{Node, Value};
use crate::{Config, ConfigError};

impl Config {
    pub(super) fn road(&self, mut options: Options) -> Result<Options, ConfigError> {
        options = options.tcp(self.tcp()?);
        match self.text("proxy") {
            None => {}
            Some("environment") => options = options.proxy_from_environment(),
            Some(proxy) => {
                let proxy =
                    proxy.parse().map_err(|error: ProxyUrlError| wrong("proxy", &error.to_string()))?;
                options = options.proxy(proxy);
            }
        }
        if let Some(Value::Table(headers)) = self.value("websocket.headers") {
            let add = |websocket: WebSocket, (name, node): &(String, Node)| match &node.value {
                Value::Text(value) => websocket.header(name, value),
                _ => websocket,
            };
            options = options.websocket(headers.iter().fold(WebSocket::new(), add));
        }
        Ok(options)
    }

    fn tcp(&self) -> Result<Tcp, ConfigError> {
        let mut tcp = Tcp::new();
        if let Some(on) = self.switch("tcp.no_delay") {
            tcp = tcp.no_delay(on);
        }
        if let Some(address) = self.text("tcp.bind_address") {
            tcp = tcp.bind_address(address);
        }
        if let Some(name) = self.text("tcp.interface") {
            tcp = tcp.interface(name);
        }
        if let Some(limit) = self.seconds("tcp.connect_timeout") {
            tcp = tcp.connect_timeout(limit);
        }
        let (interval, count) =
            (self.seconds("tcp.keep_alive_interval"), self.number("tcp.keep_alive_count"));
        let Some(idle) = self.seconds("tcp.keep_alive") else {
            let lonely =
                interval.map(|_| "tcp.keep_alive_interval").or(count.map(|_| "tcp.keep_alive_count"));
            return lonely.map_or(Ok(tcp), |key| Err(wrong(key, "needs `tcp.keep_alive` beside it")));
        };
        let mut probes = TcpKeepAlive::after(idle);
        if let Some(interval) = interval {
            probes = probes.interval(interval);
        }
        if let Some(count) = count {
            probes = probes.count(count);
        }
        Ok(tcp.keep_alive(probes))
    }
}
