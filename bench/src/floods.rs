//! The sink's side of a flood in both directions: it floods whoever subscribes, counts what comes, and looks at the time
//! that probes carry.

use std::io::{self, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::SystemTime;

use crate::frames::{self, Block, Connect, PROBE, Subscribe};
use crate::job::Plan;
use crate::link::{Counted, Link};

/// So many messages by one write.
const AT_ONCE: usize = 500;

/// What a client learns of its probes and of its keep-alive.
#[derive(Clone, Copy, Debug, Default)]
pub struct Probes {
    pub count: u64,
    /// Of those, in nanoseconds.
    pub median: u64,
    pub high: u64,
    pub pings: u64,
}

/// As the board has it.
impl From<Probes> for Counted {
    fn from(probes: Probes) -> Self {
        let Probes { count, median, high, pings } = probes;
        Self { messages: count, nanos: median, reads: high, bytes: pings }
    }
}

impl From<Counted> for Probes {
    fn from(counted: Counted) -> Self {
        let Counted { messages, nanos, reads, bytes } = counted;
        Self { count: messages, median: nanos, high: reads, pings: bytes }
    }
}

/// The time that a probe carries.
pub fn now() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_nanos() as u64)
}

/// Serves one connection until it ends.
pub fn serve(mut link: Link, connect: &Connect, plan: &Plan) -> io::Result<Counted> {
    let (mut latencies, mut pings) = (Vec::new(), 0);
    let flood = Flood::default();
    let socket = link.stream.try_clone()?;
    loop {
        let mut replies = Vec::new();
        while let Some(frame) = link.next() {
            match frame.kind() {
                frames::PUBLISH => latencies.extend(latency(frame.body, connect.level)),
                frames::SUBSCRIBE => {
                    let subscribe = Subscribe::parse(frame.body, connect.level);
                    let Some(subscribe) = subscribe else { return Err(io::ErrorKind::InvalidData.into()) };
                    replies.extend_from_slice(&subscribe.answer);
                    let block = Block::new(0, plan.payload, connect.level, subscribe.identifier);
                    flood.begin(block, &mut replies, socket.try_clone()?);
                }
                frames::PINGREQ => {
                    pings += 1;
                    replies.extend_from_slice(&[0xd0, 0]);
                }
                frames::UNSUBSCRIBE => {
                    replies.extend_from_slice(&frames::unsuback(frame.body, connect.level));
                }
                frames::DISCONNECT => {
                    flood.ended.store(true, Ordering::SeqCst);
                    return Ok(summary(latencies, pings).into());
                }
                _ => {}
            }
        }
        flood.answer(&replies, &mut link.stream)?;
        if !link.fill()? {
            flood.ended.store(true, Ordering::SeqCst);
            return Ok(summary(latencies, pings).into());
        }
    }
}

fn latency(body: &[u8], level: u8) -> Option<u64> {
    let properties = usize::from(level == frames::LEVEL_5);
    let (topic, rest) = body.get(2..)?.split_at_checked(PROBE.len())?;
    let stamp = rest.get(properties..properties + 8)?.try_into().ok()?;
    (topic == PROBE.as_bytes()).then(|| now().saturating_sub(u64::from_be_bytes(stamp)))
}

fn summary(mut latencies: Vec<u64>, pings: u64) -> Probes {
    latencies.sort_unstable();
    let at =
        |part: usize| latencies.get((latencies.len() * part / 100).min(latencies.len().saturating_sub(1)));
    let [median, high] = [50, 99].map(|part| at(part).copied().unwrap_or(0));
    Probes { count: latencies.len() as u64, median, high, pings }
}

/// The thread that sends, and what others want sent in between.
#[derive(Default)]
struct Flood {
    ended: Arc<AtomicBool>,
    replies: Arc<Mutex<Vec<u8>>>,
    begun: AtomicBool,
}

impl Flood {
    fn begin(&self, block: Block, first: &mut Vec<u8>, mut stream: TcpStream) {
        if self.begun.swap(true, Ordering::SeqCst) {
            return;
        }
        let (ended, replies, mut next) = (self.ended.clone(), self.replies.clone(), std::mem::take(first));
        thread::spawn(move || {
            let mut sent = 0;
            while !ended.load(Ordering::SeqCst) {
                let (taken, bytes) = block.next(sent, AT_ONCE);
                if stream.write_all(&next).and_then(|()| stream.write_all(bytes)).is_err() {
                    return;
                }
                sent += taken;
                next = std::mem::take(&mut replies.lock().unwrap_or_else(PoisonError::into_inner));
            }
        });
    }

    fn answer(&self, replies: &[u8], stream: &mut TcpStream) -> io::Result<()> {
        if self.begun.load(Ordering::SeqCst) {
            self.replies.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(replies);
            return Ok(());
        }
        stream.write_all(replies)
    }
}
