//! What a client passes between TCP and MQTT.

use std::fmt;
use std::io;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// Bytes from a client and back.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Nothing, TLS, WebSocket frames, or both.
#[derive(Clone, Default)]
pub(super) struct Door {
    #[cfg(feature = "tls")]
    pub(super) tls: Option<super::tls::ServerTls>,
    #[cfg(feature = "websocket")]
    pub(super) websocket: bool,
}

impl Door {
    /// Find out what is wrong with it before the first client does.
    #[cfg_attr(
        not(feature = "tls"),
        allow(clippy::unnecessary_wraps, unused_mut, reason = "nothing can be wrong")
    )]
    pub(super) fn ready(mut self) -> io::Result<Self> {
        #[cfg(feature = "tls")]
        {
            self.tls = self.tls.map(super::tls::ServerTls::ready).transpose()?;
        }
        Ok(self)
    }

    pub(super) fn scheme(&self) -> &'static str {
        match (self.is_secure(), self.is_websocket()) {
            (false, false) => "mqtt",
            (true, false) => "mqtts",
            (false, true) => "ws",
            (true, true) => "wss",
        }
    }

    #[cfg_attr(not(feature = "tls"), allow(clippy::unused_self, reason = "it never is"))]
    fn is_secure(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.tls.is_some();
        #[cfg(not(feature = "tls"))]
        false
    }

    #[cfg_attr(not(feature = "websocket"), allow(clippy::unused_self, reason = "it never is"))]
    pub(super) fn is_websocket(&self) -> bool {
        #[cfg(feature = "websocket")]
        return self.websocket;
        #[cfg(not(feature = "websocket"))]
        false
    }

    #[cfg_attr(not(feature = "tls"), allow(clippy::unused_async, reason = "nothing to wait for"))]
    pub(super) async fn pass(self, stream: TcpStream) -> io::Result<Box<dyn Stream>> {
        // Answers are small and a client waits for them.
        let _ = stream.set_nodelay(true);
        #[cfg(feature = "tls")]
        if let Some(tls) = self.tls {
            return tls.accept(stream).await;
        }
        Ok(Box::new(stream))
    }
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.scheme())
    }
}
