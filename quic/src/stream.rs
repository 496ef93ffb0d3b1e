//! One stream in both directions, and the connection it belongs to.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use quinn::{Connection, RecvStream, SendStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The last handle of the connection closes it.
pub(crate) struct Stream {
    connection: Connection,
    send: SendStream,
    receive: RecvStream,
    /// The end was said: until the server has all.
    ending: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Stream {
    pub(crate) fn new(connection: Connection, send: SendStream, receive: RecvStream) -> Self {
        Self { connection, send, receive, ending: None }
    }

    /// The stream's own error says that the connection is lost, the connection's says why: a certificate that was refused,
    /// for example, since the server judges it after the handshake has ended here.
    fn why(&self, error: io::Error) -> io::Error {
        match self.connection.close_reason() {
            Some(reason) => io::Error::new(error.kind(), reason),
            None => error,
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let result = ready!(AsyncRead::poll_read(Pin::new(&mut self.receive), cx, buffer));
        Poll::Ready(result.map_err(|error| self.why(error)))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = ready!(AsyncWrite::poll_write(Pin::new(&mut self.send), cx, bytes));
        Poll::Ready(result.map_err(|error| self.why(error)))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        AsyncWrite::poll_flush(Pin::new(&mut self.send), cx)
    }

    /// Closing at once would throw away what is on its way: the end waits until the server has it.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.ending.is_none() {
            // It was finished or stopped already: then there is nothing to wait for.
            let _ = self.send.finish();
            let stopped = self.send.stopped();
            self.ending = Some(Box::pin(async move {
                let _ = stopped.await;
            }));
        }
        if let Some(ending) = &mut self.ending {
            ready!(ending.as_mut().poll(cx));
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.connection.close(0u32.into(), b"");
    }
}
