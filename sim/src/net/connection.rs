//! One connection: bytes from the socket to the broker and back.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadBuf};

use super::door::Stream;
use super::server::Open;

/// What is read at once.
const READ: usize = 64 * 1024;

/// How long a client may take to close after it was told goodbye.
const LINGER: Duration = Duration::from_secs(1);

/// Bytes on their way to the socket.
#[derive(Default)]
struct Pending {
    bytes: Vec<u8>,
    written: usize,
    /// The connection ends behind them.
    last: bool,
    /// Layers above the socket may hold bytes back.
    unflushed: bool,
}

impl Pending {
    fn rest(&self) -> &[u8] {
        &self.bytes[self.written..]
    }

    fn is_done(&self) -> bool {
        self.rest().is_empty() && !self.unflushed
    }

    fn poll(&self, stream: Pin<&mut dyn Stream>, cx: &mut Context<'_>) -> Poll<Came> {
        if !self.rest().is_empty() {
            return stream.poll_write(cx, self.rest()).map(Came::Written);
        }
        if self.unflushed { stream.poll_flush(cx).map(Came::Flushed) } else { Poll::Pending }
    }

    /// Fetch what there is once everything is written.
    fn refill(&mut self, open: &Open) {
        if self.rest().is_empty() {
            self.bytes.clear();
            self.written = 0;
            self.last = open.shared.with(|core, _| {
                core.poll_transmit(open.id, &mut self.bytes);
                core.should_close(open.id)
            });
        }
    }
}

/// What the stream came to.
enum Came {
    Read(io::Result<usize>),
    Written(io::Result<usize>),
    Flushed(io::Result<()>),
}

/// Serve one client until it leaves or has to.
pub(super) async fn serve(open: Open, mut stream: Box<dyn Stream>) {
    let mut buffer = vec![0; READ];
    let mut pending = Pending::default();
    loop {
        pending.refill(&open);
        if pending.last && pending.is_done() {
            break;
        }
        let may_read = open.shared.is_reading() && !pending.last;
        let may_write = open.shared.is_writing();
        tokio::select! {
            came = poll_fn(|cx| poll(&mut *stream, &mut buffer, &pending, may_read, may_write, cx)) => match came {
                Came::Read(Ok(count @ 1..)) => {
                    open.shared.with(|core, now| core.handle_bytes(open.id, &buffer[..count], now));
                }
                Came::Written(Ok(count)) => {
                    pending.written += count;
                    pending.unflushed = true;
                }
                Came::Flushed(Ok(())) => pending.unflushed = false,
                Came::Read(_) | Came::Written(Err(_)) | Came::Flushed(Err(_)) => return,
            },
            () = open.wake.notified() => {
                // What is not written yet is lost, unless it is just what was to pass before the break.
                if !pending.last && open.shared.look(|core| core.is_broken(open.id)) {
                    return;
                }
            }
        }
    }
    if !open.shared.look(|core| core.is_broken(open.id)) {
        linger(stream, &mut buffer).await;
    }
}

/// Reading and writing take turns when both are possible.
fn poll(
    stream: &mut dyn Stream,
    buffer: &mut [u8],
    pending: &Pending,
    may_read: bool,
    may_write: bool,
    cx: &mut Context<'_>,
) -> Poll<Came> {
    let mut stream = Pin::new(stream);
    for write in [!pending.unflushed, pending.unflushed] {
        let came = if write && may_write {
            pending.poll(stream.as_mut(), cx)
        } else if !write && may_read {
            let mut into = ReadBuf::new(buffer);
            let read = stream.as_mut().poll_read(cx, &mut into);
            read.map(|read| Came::Read(read.map(|()| into.filled().len())))
        } else {
            Poll::Pending
        };
        if came.is_ready() {
            return came;
        }
    }
    Poll::Pending
}

/// Close so that the last packet arrives: bytes of the client that nobody reads would make the system reset the
/// connection and throw away what the client has not read yet.
async fn linger(mut stream: Box<dyn Stream>, buffer: &mut [u8]) {
    if stream.shutdown().await.is_ok() {
        let drain = async { while matches!(stream.read(buffer).await, Ok(1..)) {} };
        let _ = tokio::time::timeout(LINGER, drain).await;
    }
}
