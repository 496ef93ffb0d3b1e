//! Lines of standard input, read by a thread of their own: a terminal or a pipe may keep it waiting for ever.

use std::io::{self, Read};

use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc;

/// Read at once.
const CHUNK: usize = 64 * 1024;

/// Chunks read ahead.
const AHEAD: usize = 4;

/// No message is larger than 256 MiB.
const LONGEST: usize = 256 * 1024 * 1024;

/// Lines, in the batches they were read in.
#[derive(Debug)]
pub(crate) struct Lines {
    batches: mpsc::Receiver<io::Result<Vec<Bytes>>>,
}

impl Lines {
    pub(crate) fn read(mut source: impl Read + Send + 'static) -> Self {
        let (sender, batches) = mpsc::channel(AHEAD);
        std::thread::spawn(move || {
            let mut splitter = Splitter::default();
            while let Some(batch) = splitter.next(&mut source).transpose() {
                let last = batch.is_err();
                if sender.blocking_send(batch).is_err() || last {
                    return;
                }
            }
        });
        Self { batches }
    }

    /// The next lines, without their ends; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<io::Result<Vec<Bytes>>> {
        self.batches.recv().await
    }
}

struct Splitter {
    /// The beginning of a line.
    begun: BytesMut,
    room: Vec<u8>,
    ended: bool,
}

impl Default for Splitter {
    fn default() -> Self {
        Self { begun: BytesMut::new(), room: vec![0; CHUNK], ended: false }
    }
}

impl Splitter {
    /// At least one line, or the end.
    fn next(&mut self, source: &mut impl Read) -> io::Result<Option<Vec<Bytes>>> {
        while !self.ended {
            let length = match source.read(&mut self.room) {
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let read = &self.room[..length];
            if length == 0 {
                self.ended = true;
                // A last line without an end is a line.
                return Ok((!self.begun.is_empty()).then(|| vec![self.begun.split().freeze()]));
            }
            if let Some(last) = read.iter().rposition(|byte| *byte == b'\n') {
                self.begun.extend_from_slice(&read[..last]);
                let block = self.begun.split().freeze();
                self.begun.extend_from_slice(&read[last + 1..]);
                return Ok(Some(split(&block)));
            }
            self.begun.extend_from_slice(read);
            if self.begun.len() > LONGEST {
                return Err(io::Error::other("a line is longer than a message can be (256 MiB)"));
            }
        }
        Ok(None)
    }
}

/// The lines of a block, without copying them.
fn split(block: &Bytes) -> Vec<Bytes> {
    let mut start = 0;
    let lines = block.split(|byte| *byte == b'\n').map(|line| {
        let end = start + line.len();
        let line = block.slice(start..end);
        start = end + 1;
        line
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives what it has in pieces of one size.
    struct Pieces<'a>(&'a [u8], usize);

    impl Read for Pieces<'_> {
        fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
            let length = self.1.min(self.0.len());
            let (piece, rest) = self.0.split_at(length);
            room[..length].copy_from_slice(piece);
            self.0 = rest;
            Ok(length)
        }
    }

    fn lines(text: &[u8], piece: usize) -> Vec<Vec<u8>> {
        let (mut splitter, mut source) = (Splitter::default(), Pieces(text, piece));
        let mut lines = Vec::new();
        while let Some(batch) = splitter.next(&mut source).unwrap() {
            lines.extend(batch.iter().map(|line| line.to_vec()));
        }
        lines
    }

    #[test]
    fn lines_are_the_same_however_they_are_read() {
        for piece in 1..20 {
            assert_eq!(
                lines(b"one\n\ntwo\r\n\xff\0\nlast", piece),
                [&b"one"[..], b"", b"two\r", b"\xff\0", b"last"]
            );
            assert_eq!(lines(b"a\n\n", piece), [&b"a"[..], b""]);
            assert_eq!(lines(b"\n", piece), [b""]);
            assert!(lines(b"", piece).is_empty());
        }
    }
}
