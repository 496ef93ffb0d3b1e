//! Bytes from the socket to effects: decoding and routing, without the lock.

mod decoding;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{BufMut, Bytes};
use decoding::decode;
use packetboat_core::route::Router;
use packetboat_core::session::{AckRun, Breach, Receiver};
use packetboat_core::wire::{AckKind, Packet, Publish, QoS, Reason};
use tokio::io::{AsyncReadExt, ReadBuf};

use crate::message::{Block, Parts, Span};
use crate::shared::RouteChange;
use crate::{Io, TlsError};

/// Read at once.
const READ: usize = 64 * 1024;

/// An incomplete packet above this size is received in a buffer of its own, which becomes the message.
const LARGE: usize = 32 * 1024;

/// One for each thread: an idle connection keeps nothing.
#[derive(Default)]
pub(super) struct Scratch {
    buffer: Vec<u8>,
    pub(super) batch: Batch,
}

thread_local! {
    static SCRATCH: RefCell<Option<Box<Scratch>>> = const { RefCell::new(None) };
}

impl Scratch {
    #[allow(clippy::unnecessary_box_returns, reason = "it lives in the thread, boxed")]
    pub(super) fn borrow() -> Box<Self> {
        SCRATCH.with(RefCell::take).unwrap_or_default()
    }

    pub(super) fn give_back(self: Box<Self>) {
        SCRATCH.with(|scratch| scratch.replace(Some(self)));
    }
}

/// What a read brought, to be applied under the lock in this order.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) effects: Vec<Effect>,
    pub(super) keys: Vec<u32>,
    pub(super) blocks: Vec<Arc<Block>>,
    /// The streams that take the message at hand.
    pub(super) takers: Vec<u32>,
    /// Those of the block being gathered.
    topics: String,
}

impl Batch {
    fn topic(&mut self, text: &str) -> Span {
        let start = narrow(self.topics.len());
        self.topics.push_str(text);
        Span { start, end: narrow(self.topics.len()) }
    }
}

#[derive(Debug)]
pub(super) enum Effect {
    Message {
        id: Option<u16>,
        keys: Span,
        block: u32,
        parts: Parts,
    },
    /// QoS 0, for nobody.
    Unrouted,
    /// Acknowledgements that say nothing more.
    Acks(AckRun),
    /// An acknowledgement with a reason.
    Ack(AckKind, u16, Reason),
    /// Any other packet; they stand in a list of their own.
    Rare,
    Oversize(Box<Oversize>),
    Breach(Breach),
}

/// A message that was skipped.
#[derive(Debug)]
pub(super) struct Oversize {
    pub(super) qos: QoS,
    pub(super) id: Option<u16>,
    pub(super) topic: String,
    pub(super) size: usize,
}

/// Streams by filter. The task's own: the lock guards only the list of changes. A client that receives nothing has none.
#[derive(Debug, Default)]
pub(super) struct Routes(Option<Box<Table>>);

#[derive(Debug, Default)]
struct Table {
    router: Router<u32>,
    everything: Vec<u32>,
}

impl Routes {
    pub(super) fn apply(&mut self, change: &RouteChange) {
        let table = self.0.get_or_insert_default();
        match change {
            RouteChange::Insert(filter, key) => {
                table.router.insert(filter, *key);
            }
            RouteChange::InsertAll(key) => table.everything.push(*key),
            RouteChange::Remove(Some(filter), key) => {
                table.router.remove(filter, *key);
            }
            RouteChange::Remove(None, key) => table.everything.retain(|other| other != key),
        }
    }

    #[inline]
    fn route(&mut self, publish: &Publish<'_>, topic: &str, keys: &mut Vec<u32>) -> Span {
        let Some(table) = &mut self.0 else { return Span::default() };
        let start = keys.len();
        if publish.properties.is_empty() {
            keys.extend_from_slice(table.router.route(topic, []));
        } else {
            keys.extend_from_slice(table.router.route(topic, publish.properties.subscription_identifiers()));
        }
        keys.extend_from_slice(&table.everything);
        Span { start: narrow(start), end: narrow(keys.len()) }
    }
}

/// The incoming half of a connection.
#[derive(Debug)]
pub(super) struct Reader {
    receiver: Receiver,
    /// The front of a packet that is not all there.
    front: Option<Box<Front>>,
    /// Bytes read in all.
    pub(super) heard: u64,
    /// Why reading failed, if it did.
    error: Option<io::Error>,
    /// The first bytes, to guess what answers there if it is not MQTT.
    pub(super) first: [u8; 8],
}

/// The front of a packet.
#[derive(Debug, Default)]
struct Front {
    bytes: Vec<u8>,
    /// What is missing of a large packet, which is received here; zero of others.
    missing: usize,
}

impl Reader {
    pub(super) fn new(receiver: Receiver) -> Self {
        Self { receiver, front: None, heard: 0, error: None, first: [0; 8] }
    }

    /// The end was told by TLS: the server refuses what we showed of ourselves, for example.
    pub(super) fn tls_error(&self) -> Option<TlsError> {
        self.error.as_ref().and_then(TlsError::in_io)
    }

    /// What a layer below MQTT says of the end, if it says more than that there is one.
    pub(super) fn complaint(&self) -> Option<Arc<io::Error>> {
        let is_end = |error: &&io::Error| {
            matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset)
        };
        let error = self.error.as_ref().filter(|error| !is_end(error))?;
        let words = error.get_ref()?.to_string();
        Some(Arc::new(io::Error::new(error.kind(), words)))
    }

    /// Writing failed: perhaps the other side has said why.
    pub(super) fn last_word(&mut self, io: &mut dyn Io, cx: &mut Context<'_>) {
        let mut bytes = [0; 1024];
        if let Poll::Ready(Err(error)) = Pin::new(io).poll_read(cx, &mut ReadBuf::new(&mut bytes)) {
            self.error = Some(error);
        }
    }

    /// Read once, and decode. `Ready(0)` is the end of the stream, good or bad. What came is handed to `apply` with the packets that
    /// are not plain.
    pub(super) fn poll(
        &mut self,
        io: &mut dyn Io,
        cx: &mut Context<'_>,
        scratch: &mut Scratch,
        routes: &mut Routes,
        apply: impl FnOnce(&mut Batch, &[Packet<'_>], &mut Routes),
    ) -> Poll<io::Result<usize>> {
        if self.front.as_ref().is_some_and(|front| front.missing > 0) {
            return self.poll_large(io, cx, &mut scratch.batch, routes, apply);
        }
        let Scratch { buffer, batch } = scratch;
        buffer.resize(READ, 0);
        let front = self.front.as_ref().map_or(&[][..], |front| &front.bytes);
        let kept = front.len();
        buffer[..kept].copy_from_slice(front);
        let mut into = ReadBuf::new(&mut buffer[kept..]);
        match Pin::new(io).poll_read(cx, &mut into) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Err(error)) => {
                self.error = Some(error);
                return Poll::Ready(Ok(0));
            }
            Poll::Ready(Ok(())) => {}
        }
        let count = into.filled().len();
        if count == 0 {
            return Poll::Ready(Ok(0));
        }
        let input = &buffer[..kept + count];
        self.note(count, input);
        let mut rare = Vec::new();
        let used = decode(&mut self.receiver, routes, input, None, batch, &mut rare);
        self.keep(&input[used.at..], used.missing);
        apply(batch, &rare, routes);
        Poll::Ready(Ok(count))
    }

    fn poll_large(
        &mut self,
        io: &mut dyn Io,
        cx: &mut Context<'_>,
        batch: &mut Batch,
        routes: &mut Routes,
        apply: impl FnOnce(&mut Batch, &[Packet<'_>], &mut Routes),
    ) -> Poll<io::Result<usize>> {
        let Some(large) = &mut self.front else { return Poll::Pending };
        // Memory grows by what was received, not by what was announced, and to what was announced at most.
        if large.bytes.len() == large.bytes.capacity() {
            large.bytes.reserve_exact(large.missing.min(large.bytes.len().max(READ)));
        }
        let room = large.missing.min(large.bytes.capacity() - large.bytes.len());
        let mut into = (&mut large.bytes).limit(room);
        let read = pin!(io.read_buf(&mut into));
        let count = match read.poll(cx) {
            Poll::Ready(Ok(count)) => count,
            other => return other,
        };
        large.missing -= count;
        self.heard += count as u64;
        if count > 0
            && large.missing == 0
            && let Some(large) = self.front.take()
        {
            let whole = Bytes::from(large.bytes);
            let mut rare = Vec::new();
            decode(&mut self.receiver, routes, &whole, Some(&whole), batch, &mut rare);
            apply(batch, &rare, routes);
        } else if count > 0 {
            apply(batch, &[], routes);
        }
        Poll::Ready(Ok(count))
    }

    fn note(&mut self, count: usize, input: &[u8]) {
        self.heard += count as u64;
        if self.heard <= self.first.len() as u64 || self.heard == count as u64 {
            let len = input.len().min(self.first.len());
            self.first[..len].copy_from_slice(&input[..len]);
        }
    }

    /// The front of a packet stays for the next read.
    fn keep(&mut self, rest: &[u8], missing: Option<usize>) {
        if rest.is_empty() {
            self.front = None;
            return;
        }
        let front = self.front.get_or_insert_default();
        front.missing = missing.filter(|missing| rest.len() + missing > LARGE).unwrap_or(0);
        front.bytes.clear();
        front.bytes.extend_from_slice(rest);
    }
}

#[inline]
fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
