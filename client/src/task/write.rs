//! Bytes to the socket: one buffer, with large payloads spliced in where they belong.

mod chunk;

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use chunk::Chunk;
use packetboat_core::session::{Handle, Output};
use zeroize::Zeroize;

use crate::Io;
use crate::shared::{Content, Held};

/// Written between two reports to the session, so that publishers refill while the rest is written.
const CHUNK: usize = 64 * 1024;

/// The same for payloads in place, while nothing arrives that would have to wait: fewer and larger calls halve what they
/// cost. A system that takes less of a slow link's (see `transport::tcp`) shortens them.
const LARGE_CHUNK: usize = 1024 * 1024;

/// Parts offered to the socket at once.
const PARTS: usize = 64;

/// What is being written.
#[derive(Debug, Default)]
pub(super) struct Writer {
    pub(super) output: Output<Held>,
    /// Bytes the socket took, payloads included.
    pub(super) taken: usize,
    /// Of `output.bytes`.
    at: usize,
    /// The next payload, and how much of it the socket took.
    splice: usize,
    splice_at: usize,
    /// Of that payload, if it is streamed.
    chunk: Option<Box<Chunk>>,
    /// Layers above the socket may hold bytes back.
    unflushed: bool,
    /// CONNECT has not been written, in which there may be a password.
    greets: bool,
}

impl Writer {
    /// That of a new connection.
    pub(super) fn greeting() -> Self {
        Self { greets: true, ..Self::default() }
    }

    /// Leave nothing of a password in memory.
    pub(super) fn wipe(&mut self) {
        if std::mem::take(&mut self.greets) {
            self.output.bytes.zeroize();
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.output.is_empty()
    }

    /// Nothing is left, in the layers above the socket neither.
    pub(super) fn is_flushed(&self) -> bool {
        self.output.is_empty() && !self.unflushed
    }

    /// Bytes of answers to the broker that the socket has not taken, at most.
    pub(super) fn replies(&self) -> usize {
        self.output.replies.min(self.output.bytes.len() - self.at)
    }

    /// Offer at most a chunk to the socket, a larger one of payloads in place if nothing `arrives`; behind the last one,
    /// flush. Ready with 0: nothing to write.
    pub(super) fn poll(
        &mut self,
        io: &mut dyn Io,
        arrives: bool,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if self.output.is_empty() {
            return if self.unflushed { self.flush(io, cx) } else { Poll::Ready(Ok(0)) };
        }
        let wrote = if self.output.splices.is_empty() {
            let end = self.output.bytes.len().min(self.at + CHUNK);
            let bytes = self.output.bytes.get(self.at..end).unwrap_or_default();
            Pin::new(&mut *io).poll_write(cx, bytes)
        } else {
            ready!(self.fetch(cx))?;
            let mut parts = [IoSlice::new(&[]); PARTS];
            let count = self.parts(&mut parts, if arrives { CHUNK } else { LARGE_CHUNK });
            Pin::new(&mut *io).poll_write_vectored(cx, &parts[..count])
        };
        match wrote {
            Poll::Ready(Ok(0)) => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            Poll::Ready(Ok(count)) => {
                self.advance(count);
                if self.output.is_empty() {
                    // Not done is no matter: the next turn asks again before anybody sleeps.
                    if let Poll::Ready(Err(error)) = self.flush(io, cx) {
                        return Poll::Ready(Err(error));
                    }
                }
                Poll::Ready(Ok(count))
            }
            other => other,
        }
    }

    fn flush(&mut self, io: &mut dyn Io, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.unflushed = true;
        ready!(Pin::new(io).poll_flush(cx))?;
        self.unflushed = false;
        Poll::Ready(Ok(0))
    }

    /// Have a part in memory of what is to be written next.
    fn fetch(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.output.splices.get(self.splice) {
            Some((offset, Held(Content::Streamed(payload)))) if *offset == self.at => {
                self.chunk.get_or_insert_default().poll(payload, self.splice_at, cx)
            }
            _ => Poll::Ready(Ok(())),
        }
    }

    /// The next parts in order, some `chunk` bytes of them.
    fn parts<'a>(&'a self, parts: &mut [IoSlice<'a>; PARTS], chunk: usize) -> usize {
        let (mut count, mut size) = (0, 0);
        let (mut at, mut splice_at) = (self.at, self.splice_at);
        let mut splices = self.output.splices.get(self.splice..).unwrap_or_default().iter();
        let mut next = splices.next();
        while count < PARTS && size < chunk {
            let until = next.map_or(self.output.bytes.len(), |(offset, _)| *offset);
            let part = if at < until {
                let part = &self.output.bytes[at..until];
                at = until;
                part
            } else if let Some((_, Held(Content::Bytes(payload)))) = next {
                let part = &payload[splice_at..];
                splice_at = 0;
                next = splices.next();
                part
            } else {
                break;
            };
            let part = &part[..part.len().min(LARGE_CHUNK)];
            parts[count] = IoSlice::new(part);
            size += part.len();
            count += 1;
        }
        // A streamed payload is written alone, once what precedes it is.
        if count == 0
            && let Some(chunk) = &self.chunk
        {
            parts[0] = IoSlice::new(chunk.ready());
            count = 1;
        }
        count
    }

    fn advance(&mut self, mut count: usize) {
        self.taken += count;
        while count > 0 {
            let next = self.output.splices.get(self.splice);
            let until = next.map_or(self.output.bytes.len(), |(offset, _)| *offset);
            if self.at < until {
                let step = count.min(until - self.at);
                self.at += step;
                count -= step;
            } else if let Some((_, payload)) = next {
                let length = payload.resident().len() + payload.absent();
                let step = count.min(length - self.splice_at);
                self.splice_at += step;
                count -= step;
                if let Some(chunk) = &mut self.chunk {
                    chunk.advance(step);
                }
                if self.splice_at == length {
                    (self.splice, self.splice_at, self.chunk) = (self.splice + 1, 0, None);
                }
            } else {
                break;
            }
        }
        if self.at == self.output.bytes.len() && self.splice == self.output.splices.len() {
            self.wipe();
            self.output.clear();
            (self.taken, self.at, self.splice, self.splice_at) = (0, 0, 0, 0);
        }
    }

    /// Nothing is kept while there is nothing to write.
    pub(super) fn rest(&mut self) {
        if self.output.is_empty() && self.output.bytes.capacity() > 0 {
            self.output = Output::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;
    use tokio::io::AsyncWrite;

    /// Takes an uneven number of bytes at a time.
    struct Slow(Vec<u8>);

    impl AsyncWrite for Slow {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            let count = bytes.len().min(7);
            self.get_mut().0.extend_from_slice(&bytes[..count]);
            Poll::Ready(Ok(count))
        }

        fn poll_write_vectored(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            parts: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            let all: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
            let count = all.len().min(5);
            self.get_mut().0.extend_from_slice(&all[..count]);
            Poll::Ready(Ok(count))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    impl tokio::io::AsyncRead for Slow {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &mut tokio::io::ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    #[test]
    fn payloads_are_spliced_in_where_they_belong_however_little_is_taken_at_a_time() {
        let payload = |text: &'static str| Held(Content::Bytes(bytes::Bytes::from_static(text.as_bytes())));
        let outputs = [
            vec![],
            vec![(5, payload("<a long payload>"))],
            vec![(5, payload("<one>")), (5, payload("<two>")), (11, payload("<at the end>"))],
            (0..40).map(|at| (at / 4, payload("#"))).collect(),
        ];
        for splices in outputs {
            let bytes = b"hello world".to_vec();
            let mut expected = bytes.clone();
            for (offset, payload) in splices.iter().rev() {
                expected.splice(offset..offset, payload.resident().iter().copied());
            }
            let output = Output { bytes, splices, replies: 0 };
            let mut writer = Writer { output, ..Writer::default() };
            let (mut slow, mut total) = (Slow(Vec::new()), 0);
            let mut cx = Context::from_waker(Waker::noop());
            while !writer.is_empty() {
                let Poll::Ready(Ok(count)) = writer.poll(&mut slow, false, &mut cx) else {
                    panic!("always ready")
                };
                total += count;
            }
            assert_eq!(slow.0, expected);
            assert_eq!(total, expected.len());
        }
    }

    /// Takes bytes at once, hands them on when asked the second time.
    struct Holding(usize);

    impl AsyncWrite for Holding {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            let asked = &mut self.get_mut().0;
            *asked += 1;
            if *asked < 3 { Poll::Pending } else { Poll::Ready(Ok(())) }
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    impl tokio::io::AsyncRead for Holding {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &mut tokio::io::ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    #[test]
    fn what_a_layer_holds_back_is_flushed_before_anybody_rests() {
        let output = Output { bytes: b"hello".to_vec(), splices: Vec::new(), replies: 0 };
        let mut writer = Writer { output, ..Writer::default() };
        let (mut holding, mut cx) = (Holding(0), Context::from_waker(Waker::noop()));
        assert!(matches!(writer.poll(&mut holding, false, &mut cx), Poll::Ready(Ok(5))));
        assert!(writer.is_empty() && !writer.is_flushed());
        assert!(writer.poll(&mut holding, false, &mut cx).is_pending());
        assert!(matches!(writer.poll(&mut holding, false, &mut cx), Poll::Ready(Ok(0))));
        assert!(writer.is_flushed());
        assert!(matches!(writer.poll(&mut holding, false, &mut cx), Poll::Ready(Ok(0))));
        assert_eq!(holding.0, 3, "nothing to flush, nothing flushed");
    }
}
