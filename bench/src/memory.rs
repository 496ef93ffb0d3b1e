//! The sink without a socket: what a client writes goes straight in, what it reads comes straight out. Every run is
//! the same to the instruction, which makes counts comparable. The counter leaves out the functions `peer_side_*`, which
//! must not call each other.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::frames::{self, Block, Connect, Subscribe};
use crate::job::{Error, Plan};

/// The other end of one connection.
pub struct Memory {
    plan: Option<Plan>,
    level: u8,
    /// A packet that is not all there.
    partial: Vec<u8>,
    output: VecDeque<u8>,
    flood: Option<Flood>,
    pub received: u64,
}

struct Flood {
    block: Block,
    qos: u8,
    window: u64,
    sent: u64,
    done: u64,
}

impl Memory {
    pub fn new() -> Self {
        Self { plan: None, level: 4, partial: Vec::new(), output: VecDeque::new(), flood: None, received: 0 }
    }

    /// The client writes.
    pub fn take(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if self.partial.is_empty() {
            let used = self.packets(bytes)?;
            self.partial.extend_from_slice(&bytes[used..]);
        } else {
            let mut partial = std::mem::take(&mut self.partial);
            partial.extend_from_slice(bytes);
            let used = self.packets(&partial)?;
            partial.drain(..used);
            self.partial = partial;
        }
        Ok(())
    }

    /// The client reads: how many bytes there were for it.
    pub fn give(&mut self, space: &mut [u8]) -> usize {
        let mut given = self.output.len().min(space.len());
        for (place, byte) in space.iter_mut().zip(self.output.drain(..given)) {
            *place = byte;
        }
        let (Some(flood), Some(plan)) = (&mut self.flood, &self.plan) else { return given };
        loop {
            let free = flood.window - (flood.sent - flood.done);
            let limit = free.min(plan.count - flood.sent) as usize;
            // Whole messages, as many as fit.
            let fits = (space.len() - given) / flood.block.next(0, 1).1.len();
            let (count, bytes) = flood.block.next(flood.sent as usize, limit.min(fits));
            if count == 0 {
                return given;
            }
            space[given..given + bytes.len()].copy_from_slice(bytes);
            given += bytes.len();
            flood.sent += count as u64;
            if flood.qos == 0 {
                flood.done = flood.sent;
            }
        }
    }

    /// Is there anything to read?
    pub fn is_ready(&self) -> bool {
        let floods = |flood: &Flood| {
            let all = self.plan.as_ref().map_or(0, |plan| plan.count);
            flood.sent < all && flood.sent - flood.done < flood.window
        };
        !self.output.is_empty() || self.flood.as_ref().is_some_and(floods)
    }

    fn packets(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        let mut at = 0;
        while let Some((first, head, size)) = frames::split(&bytes[at..]) {
            let Some(body) = bytes.get(at + head..at + size) else { break };
            self.packet(first, body)?;
            at += size;
        }
        Ok(at)
    }

    fn packet(&mut self, first: u8, body: &[u8]) -> Result<(), Error> {
        let id = || [body[0], body[1]];
        match (first >> 4, first >> 1 & 3) {
            (frames::PUBLISH, 0) => self.received += 1,
            (frames::PUBLISH, qos) => {
                self.received += 1;
                let kind = if qos == 1 { frames::PUBACK } else { frames::PUBREC };
                self.output.extend(frames::acknowledgement(kind, frames::publish_id(body)));
            }
            (frames::PUBREL, _) => self.output.extend(frames::acknowledgement(frames::PUBCOMP, id())),
            (frames::PUBREC, _) => self.output.extend(frames::acknowledgement(frames::PUBREL, id())),
            (frames::PUBACK | frames::PUBCOMP, _) => {
                if let Some(flood) = &mut self.flood {
                    flood.done += 1;
                }
            }
            (frames::CONNECT, _) => {
                let connect = Connect::parse(body).ok_or("not a CONNECT")?;
                self.level = connect.level;
                self.plan = Some(connect.client_id.parse()?);
                self.output.extend(frames::connack(self.level));
            }
            (frames::SUBSCRIBE, _) => self.subscribe(body)?,
            (frames::UNSUBSCRIBE, _) => self.output.extend(frames::unsuback(body, self.level)),
            (frames::PINGREQ, _) => self.output.extend([0xd0, 0]),
            _ => {}
        }
        Ok(())
    }

    fn subscribe(&mut self, body: &[u8]) -> Result<(), Error> {
        let subscribe = Subscribe::parse(body, self.level).ok_or("not a SUBSCRIBE")?;
        self.output.extend(subscribe.answer);
        let plan = self.plan.as_ref().ok_or("no CONNECT")?;
        if let Some(qos) = plan.sends() {
            let block = Block::of_topics(plan.topics, qos, plan.payload, self.level, subscribe.identifier);
            let window = plan.window.min(block.most()) as u64;
            self.flood = Some(Flood { block, qos, window, sent: 0, done: 0 });
        }
        Ok(())
    }
}

/// The client's end of the connection, as a byte stream.
pub struct Pipe {
    server: Memory,
    reader: Option<Waker>,
    scratch: Vec<u8>,
}

impl Pipe {
    pub fn new() -> Self {
        Self { server: Memory::new(), reader: None, scratch: vec![0; 64 * 1024] }
    }

    #[inline(never)]
    fn peer_side_read(&mut self, cx: &Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<()> {
        if !self.server.is_ready() {
            self.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let size = self.scratch.len().min(buffer.remaining());
        let read = self.server.give(&mut self.scratch[..size]);
        buffer.put_slice(&self.scratch[..read]);
        Poll::Ready(())
    }

    /// Returns whom to wake: waking is the client's, as it would be with a socket.
    #[inline(never)]
    fn peer_side_write(&mut self, bytes: &[u8]) -> io::Result<Option<Waker>> {
        self.server.take(bytes).map_err(io::Error::other)?;
        Ok(if self.server.is_ready() { self.reader.take() } else { None })
    }
}

impl AsyncRead for Pipe {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        pipe_read();
        self.get_mut().peer_side_read(cx, buffer).map(Ok)
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        pipe_write();
        if let Some(reader) = self.get_mut().peer_side_write(bytes)? {
            reader.wake();
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Stands for the system call, to be counted. (Were its body that of the other, the two would be made one.)
#[inline(never)]
fn pipe_read() {
    std::hint::black_box("read");
}

/// Stands for the system call, to be counted.
#[inline(never)]
fn pipe_write() {
    std::hint::black_box("write");
}
