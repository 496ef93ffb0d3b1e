//! Looking at packets as they pass, when asked.
//!
//! A tap is a layer around the byte stream of a connection that cuts packets of its own out of what passes. So nothing
//! else knows of it, and without one there is nothing.

use std::fmt;
use std::io::{self, IoSlice, Write};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use packetboat_core::wire::{Decoded, Packet, PacketType, Version, decode};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{Io, Options};

/// Larger packets are told by type and size alone.
const KEPT: usize = 64 * 1024;

/// Which way a packet goes.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Direction {
    /// To the broker.
    Sent,
    /// From the broker.
    Received,
}

/// A packet that passed, for handlers added by [`Options::on_packet`](crate::Options::on_packet). One that was sent was
/// taken by the transport to its last byte.
///
/// Its `Display` form is one line that tells no secrets: user names, passwords, payloads and authentication data are
/// left out. [`packet`](Self::packet) has them.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct PassingPacket<'a> {
    /// Which way it went.
    pub direction: Direction,
    /// Its type.
    pub kind: PacketType,
    /// Its size in bytes.
    pub size: usize,
    /// Its contents; `None` if it is larger than 64 KiB or malformed.
    pub packet: Option<&'a Packet<'a>>,
}

impl fmt::Display for PassingPacket<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.direction {
            Direction::Sent => "sent ",
            Direction::Received => "received ",
        })?;
        match self.packet {
            Some(packet) => packet.summary().fmt(f),
            None => write!(f, "{} of {} bytes", self.kind, self.size),
        }
    }
}

/// As `Display`: the contents are not for logs.
impl fmt::Debug for PassingPacket<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Options {
    /// Calls a handler for every packet that is sent or received, from CONNECT on. May be given several times. Default:
    /// none, which costs nothing. The handler runs in the client's task: it must not wait.
    ///
    /// ```
    /// use packetboat::{Direction, Options, PacketType};
    ///
    /// let options = Options::new("mqtt://localhost").on_packet(|passing| {
    ///     if passing.direction == Direction::Received && passing.kind == PacketType::Connack {
    ///         println!("{passing}");
    ///     }
    /// });
    /// ```
    #[must_use]
    pub fn on_packet(mut self, handler: impl Fn(&PassingPacket<'_>) + Send + Sync + 'static) -> Self {
        self.choose().taps.add(handler);
        self
    }

    /// Writes a line for every packet that is sent or received. User names, passwords, payloads and authentication data
    /// are left out. Default: none. The writer must not block.
    #[must_use]
    pub fn packet_log(self, writer: impl Write + Send + 'static) -> Self {
        self.on_packet(log(writer))
    }
}

type Handler = Arc<dyn Fn(&PassingPacket<'_>) + Send + Sync>;

/// Those who look.
#[derive(Clone, Default)]
pub(crate) struct Taps(Vec<Handler>);

impl Taps {
    fn add(&mut self, handler: impl Fn(&PassingPacket<'_>) + Send + Sync + 'static) {
        self.0.push(Arc::new(handler));
    }

    /// Let them look at this connection.
    pub(crate) fn attach(&self, io: Box<dyn Io>) -> Box<dyn Io> {
        if self.0.is_empty() {
            return io;
        }
        let taps = self.clone();
        let cutters = [Direction::Sent, Direction::Received].map(Cutter::new);
        Box::new(Tapped { io, taps, version: Version::V5, cutters })
    }

    fn tell(&self, passing: &PassingPacket<'_>) {
        for handler in &self.0 {
            handler(passing);
        }
    }
}

/// A handler that writes a line for each packet. A writer that fails is given up.
fn log(writer: impl Write + Send + 'static) -> impl Fn(&PassingPacket<'_>) + Send + Sync {
    let writer = Mutex::new(Some(writer));
    move |packet| {
        let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
        if writer.as_mut().is_some_and(|writer| writeln!(writer, "{packet}").is_err()) {
            *writer = None;
        }
    }
}

/// A connection that is looked at.
struct Tapped {
    io: Box<dyn Io>,
    taps: Taps,
    /// As the CONNECT said.
    version: Version,
    /// Sent, received.
    cutters: [Cutter; 2],
}

/// Cuts packets out of one direction.
struct Cutter {
    direction: Direction,
    /// The front of a packet.
    partial: Vec<u8>,
    /// Bytes of a large packet that are still to pass.
    skip: usize,
    /// What passes is not MQTT.
    lost: bool,
}

impl Cutter {
    fn new(direction: Direction) -> Self {
        Self { direction, partial: Vec::new(), skip: 0, lost: false }
    }

    fn feed(&mut self, bytes: &[u8], version: &mut Version, taps: &Taps) {
        if self.partial.is_empty() {
            let used = self.cut(bytes, version, taps);
            self.partial.extend_from_slice(&bytes[used..]);
        } else {
            let mut joined = std::mem::take(&mut self.partial);
            joined.extend_from_slice(bytes);
            let used = self.cut(&joined, version, taps);
            joined.drain(..used);
            self.partial = joined;
        }
    }

    /// Tell of all whole packets; how many bytes that took.
    fn cut(&mut self, bytes: &[u8], version: &mut Version, taps: &Taps) -> usize {
        let mut at = 0;
        loop {
            let step = self.skip.min(bytes.len() - at);
            (self.skip, at) = (self.skip - step, at + step);
            let rest = &bytes[at..];
            if self.lost {
                return bytes.len();
            }
            let (kind, size) = match header(rest) {
                Header::Is { kind, size } => (kind, size),
                Header::Incomplete => return at,
                Header::Wrong => {
                    self.lost = true;
                    return bytes.len();
                }
            };
            let mut passing = PassingPacket { direction: self.direction, kind, size, packet: None };
            if size > KEPT {
                taps.tell(&passing);
                self.skip = size;
                continue;
            }
            if rest.len() < size {
                return at;
            }
            let decoded = decode(*version, &rest[..size], size);
            if let Ok(Decoded::Packet { packet, .. }) = &decoded {
                if let Packet::Connect(connect) = packet {
                    *version = connect.version;
                }
                passing.packet = Some(packet);
            }
            taps.tell(&passing);
            at += size;
        }
    }
}

enum Header {
    Is { kind: PacketType, size: usize },
    Incomplete,
    Wrong,
}

/// Type and size of the packet that begins here.
fn header(bytes: &[u8]) -> Header {
    let Some((first, rest)) = bytes.split_first() else { return Header::Incomplete };
    let Some(kind) = PacketType::of_first_byte(*first) else { return Header::Wrong };
    let mut remaining = 0;
    for (at, byte) in rest.iter().take(4).enumerate() {
        remaining |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Header::Is { kind, size: 2 + at + remaining };
        }
    }
    if rest.len() < 4 { Header::Incomplete } else { Header::Wrong }
}

impl Tapped {
    fn sent(&mut self, bytes: &[u8]) {
        self.cutters[0].feed(bytes, &mut self.version, &self.taps);
    }
}

impl AsyncRead for Tapped {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let tapped = self.get_mut();
        let before = into.filled().len();
        let read = Pin::new(&mut *tapped.io).poll_read(cx, into);
        let came = into.filled().get(before..).unwrap_or_default();
        tapped.cutters[1].feed(came, &mut tapped.version, &tapped.taps);
        read
    }
}

impl AsyncWrite for Tapped {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let tapped = self.get_mut();
        let wrote = Pin::new(&mut *tapped.io).poll_write(cx, bytes);
        if let Poll::Ready(Ok(count)) = wrote {
            tapped.sent(bytes.get(..count).unwrap_or_default());
        }
        wrote
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let tapped = self.get_mut();
        let wrote = Pin::new(&mut *tapped.io).poll_write_vectored(cx, parts);
        if let Poll::Ready(Ok(mut count)) = wrote {
            for part in parts {
                let taken = count.min(part.len());
                tapped.sent(&part[..taken]);
                count -= taken;
            }
        }
        wrote
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.get_mut().io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]]) -> Vec<String> {
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let (mut taps, into) = (Taps::default(), lines.clone());
        taps.add(move |passing| {
            into.lock().unwrap_or_else(PoisonError::into_inner).push(passing.to_string());
        });
        let (mut cutter, mut version) = (Cutter::new(Direction::Sent), Version::V5);
        for piece in pieces {
            cutter.feed(piece, &mut version, &taps);
        }
        assert!(cutter.partial.len() <= KEPT, "{}", cutter.partial.len());
        lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    #[test]
    fn packets_are_cut_alike_however_they_come() {
        // CONNECT of 3.1.1, PUBLISH of QoS 0, a large PUBLISH, PINGREQ, a malformed SUBSCRIBE, PINGREQ.
        let mut bytes = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01c".to_vec();
        bytes.extend(b"\x30\x06\x00\x03a/bc\x30\x80\x80\x08\x00\x01a");
        bytes.extend(vec![b'x'; 0x2_0000 - 3]);
        bytes.extend(b"\xc0\x00\x82\x02\x00\x00\xc0\x00");
        let whole = lines(&[&bytes]);
        assert_eq!(
            whole,
            [
                "sent CONNECT V311, client id \"c\", keep alive 60 s, clean start",
                "sent PUBLISH QoS 0, topic \"a/b\", payload of 1 bytes",
                "sent PUBLISH of 131076 bytes",
                "sent PINGREQ",
                "sent SUBSCRIBE of 4 bytes",
                "sent PINGREQ"
            ]
        );
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(lines(&single), whole);
        let odd: Vec<&[u8]> = bytes.chunks(1009).collect();
        assert_eq!(lines(&odd), whole);
    }

    #[test]
    fn what_is_not_mqtt_is_not_gathered() {
        let web = b"\x01HTTP/1.1 400 Bad Request".repeat(1000);
        assert!(lines(&[&web, &web]).is_empty());
        assert!(lines(&[b"\x30\xff\xff\xff\xff\xff", &web]).is_empty());
    }

    #[test]
    fn a_writer_that_fails_is_given_up() {
        struct Broken(Arc<Mutex<usize>>);
        impl Write for Broken {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                *self.0.lock().unwrap_or_else(PoisonError::into_inner) += 1;
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let count: Arc<Mutex<usize>> = Arc::default();
        let log = log(Broken(count.clone()));
        let passing =
            PassingPacket { direction: Direction::Sent, kind: PacketType::PingReq, size: 2, packet: None };
        log(&passing);
        log(&passing);
        assert_eq!(*count.lock().unwrap_or_else(PoisonError::into_inner), 1);
    }
}
