//! One connection: bytes from the socket to the broker and back.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

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
}

impl Pending {
    fn rest(&self) -> &[u8] {
        &self.bytes[self.written..]
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

/// Serve one client until it leaves or has to.
pub(super) async fn serve(open: Open, stream: impl AsyncRead + AsyncWrite + Unpin) {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut buffer = vec![0; READ];
    let mut pending = Pending::default();
    loop {
        pending.refill(&open);
        if pending.last && pending.rest().is_empty() {
            break;
        }
        let may_read = open.shared.is_reading() && !pending.last;
        let may_write = open.shared.is_writing() && !pending.rest().is_empty();
        tokio::select! {
            read = reader.read(&mut buffer), if may_read => match read {
                Ok(count @ 1..) => open.shared.with(|core, now| core.handle_bytes(open.id, &buffer[..count], now)),
                Ok(0) | Err(_) => return,
            },
            written = writer.write(pending.rest()), if may_write => match written {
                Ok(count) => pending.written += count,
                Err(_) => return,
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
        linger(reader.unsplit(writer), &mut buffer).await;
    }
}

/// Close so that the last packet arrives: bytes of the client that nobody reads would make the system reset the
/// connection and throw away what the client has not read yet.
async fn linger(mut stream: impl AsyncRead + AsyncWrite + Unpin, buffer: &mut [u8]) {
    if stream.shutdown().await.is_ok() {
        let drain = async { while matches!(stream.read(buffer).await, Ok(1..)) {} };
        let _ = tokio::time::timeout(LINGER, drain).await;
    }
}
