//! The HTTP request that becomes a WebSocket [RFC 6455, section 4].

use tokio::io::AsyncWriteExt;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;
use zeroize::Zeroizing;

use super::frames::{self, Frames};
use super::{Headers, WebSocket, WebSocketError, wrong_header};
use crate::transport::http::{self, Head, HeadError};
use crate::transport::{Attempt, Io};
use crate::{ConnectStage, Server};

impl WebSocket {
    pub(in crate::transport) async fn open(
        &self,
        attempt: &Attempt,
        mut io: Box<dyn Io>,
    ) -> Result<Frames, WebSocketError> {
        let server = attempt.server();
        let mut headers = self.headers.clone();
        if let Some(ask) = &self.ask {
            attempt.enter(ConnectStage::Credentials);
            headers.extend(ask(server.clone()).await.map_err(WebSocketError::Provider)?);
        }
        if let Some(name) = wrong_header(&headers) {
            return Err(WebSocketError::Header(name));
        }
        attempt.enter(ConnectStage::WebSocket);
        let key = key();
        io.write_all(request(server, &headers, &key).as_bytes()).await?;
        io.flush().await?;
        let head = Head::read(&mut io).await?;
        if head.status != 101 {
            let body = head.body_start(&mut io).await;
            return Err(WebSocketError::Refused { status: head.status, reason: head.reason, body });
        }
        check(&head, &key).map_err(WebSocketError::Answer)?;
        let stream = WebSocketStream::from_raw_socket(io, Role::Client, Some(frames::config())).await;
        Ok(Frames::new(stream))
    }
}

fn request(server: &Server, headers: &Headers, key: &str) -> Zeroizing<String> {
    let (target, host) = (server.target(), host(server));
    // Never grown: that would leave what it was.
    let ours = "GET  HTTP/1.1\r\n".len() + target.len() + host.len() + key.len() + 200;
    let theirs: usize = headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
    let mut request = Zeroizing::new(String::with_capacity(ours + theirs));
    for part in ["GET ", target, " HTTP/1.1\r\n"] {
        request.push_str(part);
    }
    let mut add = |name: &str, value: &str| {
        for part in [name, ": ", value, "\r\n"] {
            request.push_str(part);
        }
    };
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        add("Host", &host);
    }
    add("Upgrade", "websocket");
    add("Connection", "Upgrade");
    add("Sec-WebSocket-Key", key);
    add("Sec-WebSocket-Version", "13");
    // [MQTT-6.0.0-3]
    add("Sec-WebSocket-Protocol", "mqtt");
    for (name, value) in headers {
        add(name, value);
    }
    request.push_str("\r\n");
    request
}

/// Without the port where it is the usual one: signed requests count on it.
fn host(server: &Server) -> String {
    let authority = http::authority(server.host_without_zone(), server.port()).to_string();
    let usual = format!(":{}", server.scheme().default_port());
    authority.strip_suffix(&usual).unwrap_or(&authority).to_owned()
}

fn check(head: &Head, key: &str) -> Result<(), &'static str> {
    let says = |name, value: &str| head.values(name).any(|other| other.eq_ignore_ascii_case(value));
    if !says("upgrade", "websocket") || !says("connection", "upgrade") {
        return Err("it switches to another protocol");
    }
    if !head.values("sec-websocket-accept").eq([accept(key).as_str()]) {
        return Err("its Sec-WebSocket-Accept does not match the key");
    }
    if head.values("sec-websocket-extensions").any(|extension| !extension.is_empty()) {
        return Err("it chose an extension that was not offered");
    }
    // [MQTT-6.0.0-4]; a server that names none is borne with, as RFC 6455 allows.
    if head.values("sec-websocket-protocol").any(|protocol| protocol != "mqtt") {
        return Err("it chose another subprotocol than mqtt");
    }
    Ok(())
}

/// Sixteen bytes that differ from attempt to attempt: they guard against caches, not against enemies.
fn key() -> String {
    let (one, other) = (crate::settings::seed(), crate::settings::seed());
    http::base64(&[one.to_be_bytes(), other.to_be_bytes()].concat())
}

fn accept(key: &str) -> String {
    let mut hash = sha1_smol::Sha1::from(key);
    hash.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    http::base64(&hash.digest().bytes())
}

impl From<std::io::Error> for WebSocketError {
    fn from(error: std::io::Error) -> Self {
        Self::Lost(error.into())
    }
}

impl From<HeadError> for WebSocketError {
    fn from(error: HeadError) -> Self {
        match error {
            HeadError::Lost(error) => Self::Lost(error),
            HeadError::NotHttp(said) => Self::NotHttp { said },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scheme;

    #[test]
    fn the_accept_value_is_that_of_the_rfc() {
        assert_eq!(accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_ne!(key(), key());
        assert_eq!(key().len(), 24);
    }

    #[test]
    fn the_host_has_a_port_only_where_it_is_unusual() {
        let host = |scheme, name: &str, port| host(&Server::with_scheme(scheme, name, port));
        assert_eq!(host(Scheme::Ws, "h", None), "h");
        assert_eq!(host(Scheme::Wss, "h", Some(443)), "h");
        assert_eq!(host(Scheme::Ws, "h", Some(443)), "h:443");
        assert_eq!(host(Scheme::Ws, "::1", None), "[::1]");
        assert_eq!(host(Scheme::Ws, "fe80::1%eth0", None), "[fe80::1]");
        assert_eq!(host(Scheme::Wss, "::1", Some(8080)), "[::1]:8080");
    }
}
