//! A byte stream over frames.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use futures_core::Stream;
use futures_sink::Sink;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};
use zeroize::Zeroizing;

use crate::transport::Io;

/// At most so much in one frame out: the buffer it is masked in stays as small.
const FRAME: usize = 16 * 1024;

/// The largest MQTT packet; a server that fills a message with several may cut them smaller.
const MESSAGE: usize = 256 * 1024 * 1024;

/// One MQTT stream. Bounds of frames mean nothing [MQTT-6.0.0-2].
pub(in crate::transport) struct Frames {
    stream: WebSocketStream<Box<dyn Io>>,
    /// Of the message that was read last.
    unread: Bytes,
    /// Nothing has come yet: what goes out is CONNECT, in which there may be a password.
    greets: bool,
    closed: bool,
}

pub(super) fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(FRAME)
        .write_buffer_size(0)
        .max_frame_size(Some(MESSAGE))
        .max_message_size(Some(MESSAGE))
}

impl Frames {
    pub(super) fn new(stream: WebSocketStream<Box<dyn Io>>) -> Self {
        Self { stream, unread: Bytes::new(), greets: true, closed: false }
    }
}

impl AsyncRead for Frames {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.unread.is_empty() {
            let message = ready!(Pin::new(&mut this.stream).poll_next(cx));
            this.greets = false;
            match message {
                Some(Ok(Message::Binary(bytes))) => this.unread = bytes,
                // tungstenite answers pings.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Ok(Message::Text(_))) => {
                    let what = "the server sent text in a WebSocket frame [MQTT-6.0.0-1]";
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, what)));
                }
                Some(Ok(Message::Close(frame))) => return Poll::Ready(closed(frame)),
                Some(Err(error)) => return Poll::Ready(Err(failed(error))),
                None => return Poll::Ready(Ok(())),
            }
        }
        let count = this.unread.len().min(buffer.remaining());
        buffer.put_slice(&this.unread[..count]);
        this.unread.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Frames {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.stream).poll_ready(cx)).map_err(failed)?;
        let bytes = &bytes[..bytes.len().min(FRAME)];
        let payload = if this.greets {
            Bytes::from_owner(Zeroizing::new(bytes.to_vec()))
        } else {
            Bytes::copy_from_slice(bytes)
        };
        Pin::new(&mut this.stream).start_send(Message::Binary(payload)).map_err(failed)?;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx).map_err(failed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.closed {
            ready!(Pin::new(&mut this.stream).poll_close(cx)).map_err(failed)?;
            this.closed = true;
        }
        Pin::new(this.stream.get_mut()).poll_shutdown(cx)
    }
}

/// An end like any other, unless the server complains.
fn closed(frame: Option<CloseFrame>) -> io::Result<()> {
    match frame {
        Some(CloseFrame { code, reason }) if !matches!(code, CloseCode::Normal | CloseCode::Away) => {
            let what = format!("the server closed the WebSocket: {code} {:?}", reason.as_str());
            Err(io::Error::new(io::ErrorKind::ConnectionAborted, what))
        }
        _ => Ok(()),
    }
}

fn failed(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        Error::ConnectionClosed | Error::AlreadyClosed => io::ErrorKind::BrokenPipe.into(),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => io::ErrorKind::ConnectionReset.into(),
        other => io::Error::new(io::ErrorKind::InvalidData, other.to_string()),
    }
}
