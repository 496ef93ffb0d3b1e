//! A connected socket, and how much of what it takes may wait unsent.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// Unsent bytes the system may hold. While a link is fast, it learns to take megabytes for it. When the link becomes
/// slow they keep a probe waiting longer than an answer may take, and a living connection is given up.
const UNSENT: u32 = 128 * 1024;

/// The same where the link has shown that so much is gone in [`SOON`]: large payloads need fewer calls and wake-ups.
const UNSENT_IF_FAST: u32 = 1024 * 1024;

const SOON: Duration = Duration::from_millis(50);

/// A socket of which the system holds no more than the link sends soon.
#[derive(Debug)]
pub(in crate::transport) struct Stream {
    socket: TcpStream,
    fast: bool,
    /// Taken since `since`.
    taken: usize,
    since: Instant,
}

impl Stream {
    pub(super) fn new(socket: TcpStream) -> Self {
        let stream = Self { socket, fast: false, taken: 0, since: Instant::now() };
        stream.bound();
        stream
    }

    /// Where the bound is refused, all stays as it is.
    #[cfg(any(target_os = "android", target_os = "linux"))]
    fn bound(&self) {
        let bytes = if self.fast { UNSENT_IF_FAST } else { UNSENT };
        let _ = SockRef::from(&self.socket).set_tcp_notsent_lowat(bytes);
    }

    #[cfg(not(any(target_os = "android", target_os = "linux")))]
    fn bound(&self) {}

    /// A fast link looks at the clock for each write, others once in a megabyte.
    fn took(&mut self, count: usize) {
        self.taken += count;
        let enough = self.taken >= UNSENT_IF_FAST as usize;
        if !enough && !self.fast {
            return;
        }
        let now = Instant::now();
        let soon = now - self.since < SOON;
        if enough || !soon {
            (self.taken, self.since) = (0, now);
            if self.fast != soon {
                self.fast = soon;
                self.bound();
            }
        }
    }

    fn written(&mut self, wrote: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(count)) = wrote {
            self.took(count);
        }
        wrote
    }
}

#[cfg(test)]
impl std::ops::Deref for Stream {
    type Target = TcpStream;

    fn deref(&self) -> &TcpStream {
        &self.socket
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.written(wrote)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.socket).poll_write_vectored(cx, parts);
        self.written(wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
