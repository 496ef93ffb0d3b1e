//! One connection, from CONNECT to its end: the hand-written driver [engine rules 19, 20].

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use packetboat_core::session::{ConnectOptions, Receiver};
use packetboat_core::time::Instant;
use packetboat_core::wire::Packet;
use tokio::io::ReadBuf;

use super::read::{Batch, Reader, Routes, Scratch};
use super::turn::{Input, Turn, Wrote, turn};
use super::write::Writer;
use crate::shared::Shared;
use crate::{Io, authentication};

/// Read, and written, in one poll, before other tasks of the thread get their turn.
const TURN: usize = 256 * 1024;

/// A goodbye may take so long.
const LINGER: Duration = Duration::from_secs(1);

/// A connection.
pub(super) struct Online {
    io: Box<dyn Io>,
    pub(super) reader: Reader,
    pub(super) writer: Writer,
    closing: Closing,
    may_read: bool,
    /// The last read brought something.
    arrives: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Closing {
    No,
    /// The last bytes go out, until then at most.
    Writing(Instant),
    /// Our side is closed; the other side's last bytes are dropped, lest a reset overtake our goodbye.
    Reading(Instant),
}

/// What a poll came to.
#[derive(Debug)]
pub(super) enum Step {
    /// Poll again when woken, or at this time.
    Sleep(Option<Instant>),
    /// The connection is over.
    Over,
}

impl Online {
    pub(super) fn new(io: Box<dyn Io>, connect: &ConnectOptions) -> Self {
        Self {
            io,
            reader: Reader::new(Receiver::new(connect)),
            writer: Writer::greeting(),
            closing: Closing::No,
            may_read: true,
            arrives: false,
        }
    }

    pub(super) fn poll(&mut self, shared: &Shared, routes: &mut Routes, cx: &mut Context<'_>) -> Step {
        let now = shared.now();
        if let Closing::Reading(until) = self.closing {
            return self.poll_goodbye(now, until, cx);
        }
        let mut scratch = Scratch::borrow();
        let step = self.poll_with(&mut scratch, shared, routes, now, cx);
        scratch.give_back();
        step
    }

    fn poll_with(
        &mut self,
        scratch: &mut Scratch,
        shared: &Shared,
        routes: &mut Routes,
        now: Instant,
        cx: &mut Context<'_>,
    ) -> Step {
        let (mut read, mut written) = (0, 0);
        loop {
            let wrote = self.write(cx);
            let Ok(wrote) = wrote else {
                self.reader.last_word(&mut *self.io, cx);
                return Step::Over;
            };
            written += wrote.bytes;
            let exhausted = read >= TURN || written >= TURN;
            let tries = self.may_read && read < TURN && self.closing == Closing::No;
            let input = if tries { Input::Nothing } else { Input::NotTried };
            let came = if tries { self.read(wrote, scratch, shared, routes, now, cx) } else { Poll::Pending };
            self.arrives = came.is_ready();
            let turn = match came {
                Poll::Ready(Some((count, turn))) => {
                    read += count;
                    turn
                }
                Poll::Ready(None) => {
                    shared.lock().session.handle_written(wrote.bytes, now);
                    return Step::Over;
                }
                Poll::Pending => {
                    turn(shared, routes, &mut self.writer, &mut Batch::default(), &[], wrote, input, now, cx)
                }
            };
            // Reading goes on: the socket has to be asked once more before anybody sleeps, or nothing would wake us.
            let resumed = turn.may_read && !std::mem::replace(&mut self.may_read, turn.may_read);
            if turn.closing {
                if let Some(step) = self.close(&turn, wrote, now, cx) {
                    return step;
                }
            } else if turn.asleep && !turn.yields && !resumed {
                self.writer.rest();
                return Step::Sleep(turn.alarm);
            }
            if exhausted || turn.yields && !resumed {
                cx.waker().wake_by_ref();
                return Step::Sleep(turn.alarm);
            }
        }
    }

    fn write(&mut self, cx: &mut Context<'_>) -> io::Result<Wrote> {
        match self.writer.poll(&mut *self.io, self.arrives, cx) {
            Poll::Ready(Ok(bytes)) => Ok(Wrote { bytes, blocked: false }),
            Poll::Ready(Err(error)) => Err(error),
            Poll::Pending => Ok(Wrote { bytes: 0, blocked: true }),
        }
    }

    /// Read and take a turn with what came, under one lock. `Ready(None)`: the other side is gone.
    #[allow(clippy::too_many_arguments, reason = "parts of one turn, kept apart for the borrow checker")]
    fn read(
        &mut self,
        wrote: Wrote,
        scratch: &mut Scratch,
        shared: &Shared,
        routes: &mut Routes,
        now: Instant,
        cx: &mut Context<'_>,
    ) -> Poll<Option<(usize, Turn)>> {
        let Self { io, reader, writer, .. } = self;
        let mut taken = None;
        let waker = cx.waker().clone();
        let apply = |batch: &mut Batch, rare: &[Packet<'_>], routes: &mut Routes| {
            if !rare.is_empty() {
                authentication::look(shared, rare);
            }
            let mut cx = Context::from_waker(&waker);
            taken = Some(turn(shared, routes, writer, batch, rare, wrote, Input::Came, now, &mut cx));
        };
        match reader.poll(&mut **io, cx, scratch, routes, apply) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(0) | Err(_)) => Poll::Ready(None),
            Poll::Ready(Ok(count)) => Poll::Ready(taken.map(|turn| (count, turn))),
        }
    }

    /// The session wants it closed: write what there is, if somebody is there to take it.
    fn close(&mut self, turn: &Turn, wrote: Wrote, now: Instant, cx: &mut Context<'_>) -> Option<Step> {
        let until = match self.closing {
            Closing::Writing(until) => until,
            _ => now + LINGER,
        };
        self.closing = Closing::Writing(until);
        if self.writer.is_flushed() {
            if !turn.requested {
                return Some(Step::Over);
            }
            self.closing = Closing::Reading(now + LINGER);
            return Some(self.poll_goodbye(now, now + LINGER, cx));
        }
        if wrote.blocked {
            return Some(if turn.requested && now < until { Step::Sleep(Some(until)) } else { Step::Over });
        }
        None
    }

    fn poll_goodbye(&mut self, now: Instant, until: Instant, cx: &mut Context<'_>) -> Step {
        if now >= until {
            return Step::Over;
        }
        match Pin::new(&mut *self.io).poll_shutdown(cx) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(_)) => return Step::Over,
            Poll::Pending => return Step::Sleep(Some(until)),
        }
        let mut bytes = [0; 1024];
        for _ in 0..TURN / bytes.len() {
            let mut into = ReadBuf::new(&mut bytes);
            match Pin::new(&mut *self.io).poll_read(cx, &mut into) {
                Poll::Pending => return Step::Sleep(Some(until)),
                Poll::Ready(Ok(())) if !into.filled().is_empty() => {}
                Poll::Ready(_) => return Step::Over,
            }
        }
        cx.waker().wake_by_ref();
        Step::Sleep(Some(until))
    }
}

impl Drop for Online {
    fn drop(&mut self) {
        self.writer.wipe();
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_idle_connection_is_small() {
        assert!(size_of::<super::Online>() <= 216, "{}", size_of::<super::Online>());
        // With what the runtime adds just within 512 bytes; its tasks come in steps of 128.
        assert!(size_of::<crate::task::Task>() <= 400, "{}", size_of::<crate::task::Task>());
        assert!(size_of::<crate::shared::Shared>() <= 1336, "{}", size_of::<crate::shared::Shared>());
        assert!(size_of::<crate::settings::Settings>() <= 136, "{}", size_of::<crate::settings::Settings>());
    }
}
