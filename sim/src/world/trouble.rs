//! What goes wrong in a world.

use std::time::Duration;

use packetboat_core::session::Phase;
use packetboat_core::wire::Reason;

use super::{Promise, World, plan};
use crate::broker::{Direction, Echo, Refusal};
use crate::link::Loss;
use crate::pair::CLIENT;

impl World {
    pub(super) fn disturb_link(&mut self) {
        if self.plan.calm || self.dice.percent(60) {
            return self.cut();
        }
        if self.dice.percent(30) {
            return self.deafen();
        }
        let direction = self.dice.pick(&[Direction::ToBroker, Direction::ToClient]);
        let (stalled, bytes, cut) = (self.dice.percent(50), self.dice.index(60), self.dice.percent(50));
        let conditions = plan::conditions(false, &mut self.dice);
        let Some(link) = self.pair.link() else { return };
        if cut {
            link.cut_after(direction, bytes);
        } else {
            link.stall(direction, stalled);
            link.set_conditions(conditions);
            self.deaf = None;
        }
        self.tell(|| format!("{direction:?}: cut after {bytes} ({cut}) or stalled ({stalled})"));
    }

    pub(super) fn cut(&mut self) {
        let loss = Loss { to_broker: self.dice.percent(50), to_client: self.dice.percent(50) };
        if self.dice.percent(50) {
            // In the middle of what the client has to say.
            let (direction, bytes) =
                (self.dice.pick(&[Direction::ToBroker, Direction::ToClient]), self.dice.index(40));
            if let Some(link) = self.pair.link() {
                link.cut_after(direction, bytes);
                self.tell(|| format!("cut after {bytes} bytes {direction:?}"));
            }
        } else if let Some(link) = self.pair.link() {
            link.cut(loss);
            self.tell(|| format!("cut, {loss:?}"));
        }
    }

    pub(super) fn disturb_broker(&mut self) {
        let now = self.pair.now;
        match self.dice.index(10) {
            0..=2 => {
                let reason = self.dice.pick(&[Reason::SERVER_SHUTTING_DOWN, Reason::ADMINISTRATIVE_ACTION]);
                self.tell(|| format!("the broker says {reason}"));
                self.pair.broker.disconnect(CLIENT, reason, now);
            }
            3..=5 => {
                let refusal = self.dice.pick(&[
                    Refusal::Code(Reason::SERVER_BUSY),
                    Refusal::Close,
                    Refusal::OldShape(3),
                ]);
                self.tell(|| format!("the next connect will meet {refusal:?}"));
                self.pair.broker.faults().refuse(1, refusal);
            }
            6..=7 => {
                self.tell(|| "the broker forgets the session".to_owned());
                self.pair.broker.forget(CLIENT, now);
                self.session_lost();
            }
            _ => {
                self.tell(|| "the broker cuts".to_owned());
                self.pair.broker.cut_off(CLIENT, now);
            }
        }
    }

    pub(super) fn crash(&mut self) {
        let Some(store) = &self.pair.client.store else { return };
        self.doubtful |= self.losses > 0 && store.has_unforgotten();
        self.tell(|| "the process dies".to_owned());
        self.crashes += 1;
        let loss = Loss { to_broker: self.dice.percent(50), to_client: true };
        self.pair.crash_with(loss);
        let committed = self.pair.client.store.as_ref().map_or(&[][..], |store| store.committed());
        self.messages.crashed(committed);
        self.arrivals.crashed(committed);
        self.filters.crashed();
    }

    /// The client authenticates again, and now and then fails to.
    pub(super) fn authenticate_again(&mut self) {
        let data = if self.dice.percent(20) { Echo::REFUSED } else { b"again" };
        let begun = self.pair.client.session.authenticate(Reason::RE_AUTHENTICATE, Some(data), self.pair.now);
        self.tell(|| format!("authenticate again, begun: {begun}"));
    }

    pub(super) fn leave(&mut self) {
        self.tell(|| "leave".to_owned());
        self.pair.client.session.leave(Reason::NORMAL_DISCONNECTION);
    }

    /// From now on nothing gets through, and nobody is told.
    fn deafen(&mut self) {
        let now = self.pair.now;
        let connection = self.connections as u64;
        let Some(link) = self.pair.link() else { return };
        link.stall(Direction::ToBroker, true);
        link.stall(Direction::ToClient, true);
        self.tell(|| "nothing gets through".to_owned());
        if self.pair.client.session.phase() == Phase::Online {
            self.deaf = Some((connection, now));
        }
    }

    /// A dead link is noticed within one and a half keep-alive intervals.
    pub(super) fn check_silence(&mut self) -> Promise {
        let session = &self.pair.client.session;
        let asked = session.limits().server_keep_alive.unwrap_or(self.plan.options.keep_alive);
        let Some((connection, since)) = self.deaf.filter(|_| asked > 0) else { return Ok(()) };
        let alive = session.phase() == Phase::Online && connection == self.connections as u64;
        let silence = self.pair.now.since(since);
        if alive && silence > Duration::from_secs(asked.into()) * 3 / 2 {
            return Err(format!("nothing got through for {silence:?} and the client has not noticed"));
        }
        Ok(())
    }
}
