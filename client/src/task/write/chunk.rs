//! The part of a streamed payload that is in memory.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::task::{JoinHandle, spawn_blocking};

use crate::StreamedPayload;

/// Read at once: enough that a trip to another thread is cheap beside it.
const CHUNK: usize = 256 * 1024;

/// One chunk, or its reading.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    bytes: Vec<u8>,
    /// So much of it the socket took.
    at: usize,
    reading: Option<JoinHandle<(Vec<u8>, io::Result<()>)>>,
}

impl Chunk {
    /// What can be written now.
    pub(super) fn ready(&self) -> &[u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    pub(super) fn advance(&mut self, count: usize) {
        self.at += count;
    }

    /// Have something to write of what follows `offset`. A payload that fails is lost.
    pub(super) fn poll(
        &mut self,
        payload: &StreamedPayload,
        offset: usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.ready().is_empty() {
            return Poll::Ready(Ok(()));
        }
        let reading = self.reading.get_or_insert_with(|| {
            let (mut bytes, payload) = (std::mem::take(&mut self.bytes), payload.clone());
            bytes.resize((payload.len() - offset).min(CHUNK), 0);
            spawn_blocking(move || {
                let read = payload.read_exact_at(&mut bytes, offset);
                (bytes, read)
            })
        });
        let read = ready!(Pin::new(reading).poll(cx));
        self.reading = None;
        // A source that panics gives no bytes either.
        let (bytes, read) = read.unwrap_or_else(|error| (Vec::new(), Err(io::Error::other(error))));
        if let Err(error) = read {
            let kind = error.kind();
            payload.lose(error);
            return Poll::Ready(Err(kind.into()));
        }
        (self.bytes, self.at) = (bytes, 0);
        Poll::Ready(Ok(()))
    }
}
