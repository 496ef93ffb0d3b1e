//! A blocking socket with both halves of the message exchange: what the sink does on one side, the raw client does on
//! the other. Nothing here parses more than it must.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use crate::frames::{self, Block};

const SMALLEST_BUFFER: usize = 8 * 1024;
const LARGEST_BUFFER: usize = 512 * 1024;

/// So much of a PUBLISH must be there before it is looked at: its topic and identifier.
const PUBLISH_HEAD: usize = 48;

/// The head of a packet; its body, which for a PUBLISH may be cut short.
pub struct Frame<'a> {
    pub first: u8,
    pub body: &'a [u8],
}

impl Frame<'_> {
    #[inline]
    pub fn kind(&self) -> u8 {
        self.first >> 4
    }
}

/// A connection and what was read from it. Its buffer grows while reads fill it: idle connections stay small.
pub struct Link<S = TcpStream> {
    pub stream: S,
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    skip: usize,
    pub reads: u64,
    pub read_bytes: u64,
}

/// What was counted of an exchange.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counted {
    pub messages: u64,
    /// From the first message to the last, acknowledgements included.
    pub nanos: u64,
    pub reads: u64,
    pub bytes: u64,
}

impl Link {
    pub fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self::over(stream))
    }
}

impl<S: Read + Write> Link<S> {
    pub fn over(stream: S) -> Self {
        Self { stream, bytes: Vec::new(), start: 0, end: 0, skip: 0, reads: 0, read_bytes: 0 }
    }

    /// The next packet of what was read; `None`: read more.
    #[inline]
    pub fn next(&mut self) -> Option<Frame<'_>> {
        if self.skip > 0 {
            let used = self.skip.min(self.end - self.start);
            self.start += used;
            self.skip -= used;
            if self.skip > 0 {
                return None;
            }
        }
        let bytes = &self.bytes[self.start..self.end];
        let (first, head, size) = frames::split(bytes)?;
        let needed = if first >> 4 == frames::PUBLISH { size.min(PUBLISH_HEAD) } else { size };
        if bytes.len() < needed {
            return None;
        }
        let there = size.min(bytes.len());
        let from = self.start + head;
        self.start += there;
        self.skip = size - there;
        Some(Frame { first, body: &self.bytes[from..self.start] })
    }

    /// Reads once. False: the peer is gone.
    pub fn fill(&mut self) -> io::Result<bool> {
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.bytes.len() - self.end < SMALLEST_BUFFER / 2 {
            let size = (self.bytes.len() * 4).clamp(SMALLEST_BUFFER, LARGEST_BUFFER);
            self.bytes.resize(size, 0);
        }
        let read = self.stream.read(&mut self.bytes[self.end..])?;
        self.end += read;
        if self.end == self.bytes.len() && self.end < LARGEST_BUFFER {
            self.bytes.resize(LARGEST_BUFFER, 0);
        }
        self.reads += 1;
        self.read_bytes += read as u64;
        Ok(read > 0)
    }

    /// The body of a message has not been read to its end.
    pub fn is_inside(&self) -> bool {
        self.skip > 0
    }

    /// The bytes of the next packet, read if need be; `None`: the peer is gone.
    pub fn wait(&mut self) -> io::Result<Option<(u8, Vec<u8>)>> {
        loop {
            if let Some(frame) = self.next() {
                return Ok(Some((frame.first, frame.body.to_vec())));
            }
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    /// Sends messages, at most `window` unacknowledged, until all are sent and acknowledged.
    pub fn send(&mut self, block: &Block, qos: u8, count: u64, window: usize) -> io::Result<()> {
        if qos == 0 {
            return self.send_unacknowledged(block, count);
        }
        let window = window.min(block.most()) as u64;
        let (mut sent, mut done, mut replies) = (0, 0, Vec::new());
        while done < count {
            // Filling the window only when a quarter of it is free saves a system call for each acknowledgement.
            let free = window - (sent - done);
            if free * 4 >= window {
                let end = count.min(sent + free);
                while sent < end {
                    let (taken, bytes) = block.next(sent as usize, (end - sent) as usize);
                    self.stream.write_all(bytes)?;
                    sent += taken as u64;
                }
            }
            if !self.fill()? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            while let Some(frame) = self.next() {
                match frame.kind() {
                    frames::PUBACK if qos == 1 => done += 1,
                    frames::PUBCOMP if qos == 2 => done += 1,
                    frames::PUBACK | frames::PUBCOMP => {
                        return Err(io::Error::other("answered as of another QoS"));
                    }
                    frames::PUBREC => {
                        let id = [frame.body[0], frame.body[1]];
                        replies.extend_from_slice(&frames::acknowledgement(frames::PUBREL, id));
                    }
                    frames::PINGREQ => replies.extend_from_slice(&[0xd0, 0]),
                    _ => {}
                }
            }
            self.stream.write_all(&replies)?;
            replies.clear();
        }
        Ok(())
    }

    fn send_unacknowledged(&mut self, block: &Block, count: u64) -> io::Result<()> {
        let mut sent = 0;
        while sent < count {
            let (taken, bytes) = block.next(sent as usize, (count - sent) as usize);
            self.stream.write_all(bytes)?;
            sent += taken as u64;
        }
        Ok(())
    }

    /// Takes messages and acknowledges them, one write for each read, until `count` are finished. Packets that are
    /// not messages go to `other`, which may add an answer and end the exchange by returning false.
    pub fn receive(
        &mut self,
        count: u64,
        mut other: impl FnMut(&Frame<'_>, &mut Vec<u8>) -> bool,
    ) -> io::Result<Option<Counted>> {
        let (mut messages, mut done, mut replies) = (0_u64, 0_u64, Vec::new());
        let mut started = None;
        let (reads, bytes) = (self.reads, self.read_bytes);
        loop {
            while let Some(frame) = self.next() {
                match (frame.kind(), frame.first >> 1 & 3) {
                    (frames::PUBLISH, 0) => (messages, done) = (messages + 1, done + 1),
                    (frames::PUBLISH, 1) => {
                        (messages, done) = (messages + 1, done + 1);
                        let id = frames::publish_id(frame.body);
                        replies.extend_from_slice(&frames::acknowledgement(frames::PUBACK, id));
                    }
                    (frames::PUBLISH, _) => {
                        messages += 1;
                        let id = frames::publish_id(frame.body);
                        replies.extend_from_slice(&frames::acknowledgement(frames::PUBREC, id));
                    }
                    (frames::PUBREL, _) => {
                        done += 1;
                        let id = [frame.body[0], frame.body[1]];
                        replies.extend_from_slice(&frames::acknowledgement(frames::PUBCOMP, id));
                    }
                    _ => {
                        if !other(&frame, &mut replies) {
                            self.stream.write_all(&replies)?;
                            return Ok(None);
                        }
                    }
                }
            }
            self.stream.write_all(&replies)?;
            replies.clear();
            if started.is_none() && messages > 0 {
                started = Some(Instant::now());
            }
            if let Some(started) = started.filter(|_| done >= count && !self.is_inside()) {
                let nanos = started.elapsed().as_nanos() as u64;
                let (reads, bytes) = (self.reads - reads, self.read_bytes - bytes);
                return Ok(Some(Counted { messages, nanos, reads, bytes }));
            }
            if !self.fill()? {
                return Ok(None);
            }
        }
    }
}
