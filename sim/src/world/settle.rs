//! The end of a world: the link heals, everybody does what is left to do, and nothing may be left then.

use std::time::Duration;

use packetboat_core::session::Phase;
use packetboat_core::wire::{PacketType, QoS, Reason};

use super::{Promise, World};
use crate::link::Conditions;
use crate::pair::CLIENT;

/// Rounds after which nothing will ever happen.
const ROUNDS: usize = 300;

impl World {
    pub(super) fn settle(&mut self) -> Promise {
        self.tell(|| "---- settle".to_owned());
        self.heal();
        // What was given up comes again on the next connection only.
        self.reconnect();
        let mut rounds = 0;
        while !self.is_settled()? {
            if self.betrayed {
                return Ok(());
            }
            rounds += 1;
            if rounds > ROUNDS {
                return Err(format!("nothing moves any more: {}", self.state()));
            }
            self.go_on()?;
        }
        self.pair.broker.check_idle(CLIENT, self.pair.now);
        self.notice()?;
        if self.betrayed {
            return Ok(());
        }
        let open = self.messages.open();
        if !open.is_empty() {
            return Err(format!("never reported: {open:?}"));
        }
        self.check_messages()?;
        self.check_arrivals()?;
        self.check_filters()?;
        self.check_nothing_is_left()?;
        self.say_goodbye()
    }

    fn heal(&mut self) {
        self.pair.client.commit_eagerly = true;
        self.pair.broker.faults().clear();
        self.pair.broker.config_mut().refused_per_mille = 0;
    }

    fn reconnect(&mut self) {
        self.pair.cut();
        self.pair.bury_old_connections();
        self.connections += 1;
        self.pair.conditions = Conditions::default();
        self.pair.connect();
    }

    fn go_on(&mut self) -> Promise {
        self.release_all()?;
        self.pair.drive();
        if self.arrivals.take_divided() || !self.pair.is_connected() {
            self.reconnect();
        }
        if let Some(next) = self.pair.deadline() {
            let wait = next.since(self.pair.now).min(Duration::from_secs(1));
            self.pair.pass(wait.max(Duration::from_millis(1)));
        }
        Ok(())
    }

    fn is_settled(&mut self) -> Result<bool, String> {
        self.notice()?;
        let session = &self.pair.client.session;
        Ok(session.phase() == Phase::Online
            && session.is_idle()
            && session.unacknowledged() == 0
            && self.pair.broker.pending(CLIENT) == 0
            && self.pair.broker.unfinished(CLIENT) == 0
            && self.filters.is_idle())
    }

    fn state(&self) -> String {
        let session = &self.pair.client.session;
        format!(
            "{:?}, {:?}, unacknowledged {}, idle {}, the broker has {} for it and {} of it, {:?}",
            session.phase(),
            session.queue(),
            session.unacknowledged(),
            session.is_idle(),
            self.pair.broker.pending(CLIENT),
            self.pair.broker.unfinished(CLIENT),
            self.filters,
        )
    }

    /// Another connection has nothing to say, and the store is empty.
    fn check_nothing_is_left(&mut self) -> Promise {
        let publishes = |world: &Self| {
            let stats = world.pair.broker.stats();
            stats.received(PacketType::Publish) + stats.received(PacketType::Pubrel) + stats.resent
        };
        let before = publishes(self);
        self.reconnect();
        self.pair.pass(Duration::from_secs(3));
        self.notice()?;
        if publishes(self) != before {
            return Err("a finished message was sent again".to_owned());
        }
        if self.pair.client.witness.unfinished() > 0 {
            return Err(format!("exchanges never came to their end: {:?}", self.pair.client.witness));
        }
        match &self.pair.client.store {
            Some(store) if !store.is_empty() && !self.doubtful => {
                Err(format!("the store still holds {store:?}"))
            }
            _ => Ok(()),
        }
    }

    /// Disconnect for good: the broker hears it, and ends what was not to outlive it.
    fn say_goodbye(&mut self) -> Promise {
        self.pair.client.session.disconnect(Reason::NORMAL_DISCONNECTION);
        self.pair.drive();
        self.notice()?;
        let kept = self.pair.broker.has_session(CLIENT);
        let persistent = !self.is_clean() && !self.ends_at_disconnect();
        if self.pair.broker.farewell(CLIENT) != Some(Reason::NORMAL_DISCONNECTION) || kept != persistent {
            return Err(format!("after disconnect the session is kept: {kept}"));
        }
        if self.pair.try_publish("b", "late", QoS::AtMostOnce, u64::MAX).is_ok() {
            return Err("a message was accepted after disconnect".to_owned());
        }
        self.check_losses()
    }

    fn ends_at_disconnect(&self) -> bool {
        matches!(self.plan.options.session, packetboat_core::session::SessionMode::UntilDisconnect)
    }
}
