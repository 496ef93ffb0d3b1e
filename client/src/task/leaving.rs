//! Leaving a connection on purpose and going on: to stay down, for a fresh connection, for other options.

use std::sync::Arc;

use packetboat_core::backoff::Renewal;
use packetboat_core::session::{Cause, Phase};

use super::retry::backoff_of;
use super::{Stage, Task};
use crate::Event;
use crate::events::{Disconnection, Leave, State, Switch};
use crate::settings::Settings;
use crate::shared::{Leaving, Wishes};
use crate::task::failure::Fallback;

impl Task {
    pub(super) fn take_wishes(&mut self) -> Option<Box<Wishes>> {
        self.shared.lock().wishes.take()
    }

    /// Do what handles want while there is no connection.
    pub(super) fn obey_offline(&mut self, wishes: &Wishes) {
        let attempting = !matches!(self.stage, Stage::Waiting(_) | Stage::Down { .. });
        let down = matches!(self.stage, Stage::Down { on_demand: false });
        let changed = wishes.settings.is_some();
        if let Some(settings) = &wishes.settings {
            self.apply(settings.clone());
        }
        if wishes.offline {
            return self.stay_down();
        }
        // On demand, other options alone are no demand.
        let idle = matches!(self.stage, Stage::Down { .. })
            && self.settings.options.choices.on_demand
            && !self.shared.lock().has_demand();
        let changed_for_somebody = changed && !idle;
        let hurry =
            wishes.connect_now || (wishes.network_up || changed_for_somebody || wishes.reconnect) && !down;
        if hurry && (changed || !attempting) {
            self.begin();
        }
    }

    /// Do what handles want of a connection. True: the connection is to be polled again.
    pub(super) fn obey_online(&mut self, wishes: Box<Wishes>) -> bool {
        if self.shared.lock().session.phase() == Phase::Connecting {
            self.abandon();
            self.stage = Stage::Waiting(self.shared.now());
            self.obey_offline(&wishes);
            return true;
        }
        let Wishes { settings, offline, reconnect, .. } = *wishes;
        let mut why = None;
        if let Some(settings) = settings {
            if self.settings.needs_reconnect(&settings, self.backoff.server()) {
                self.next_settings = Some(settings);
                why = Some(Leave::Reconfigured);
            } else {
                self.apply(settings);
                self.backoff.connected(self.since);
            }
        }
        if reconnect {
            why = why.or(Some(Leave::Reconnect));
        }
        if offline {
            why = Some(Leave::Offline);
        }
        let Some(why) = why else { return false };
        self.leave(why);
        true
    }

    /// The connection's time may be over. True: it is to be polled again.
    pub(super) fn renew_if_due(&mut self) -> bool {
        let now = self.shared.now();
        let why = match self.backoff.renewal(now) {
            None => return false,
            Some(Renewal::ToFirstServer) => Leave::ToFirstServer,
            Some(_) => Leave::Renewal,
        };
        self.leave(why);
        true
    }

    /// Nothing new is sent; what is on the way may come to its end; then goodbye.
    fn leave(&mut self, why: Leave) {
        let drain_until = self.shared.now() + self.settings.options.choices.drain_timeout;
        let mut inner = self.shared.lock();
        if inner.session.phase() != Phase::Online {
            return;
        }
        inner.session.hold();
        let new = Leaving { why, drain_until, said: false };
        inner.seldom().leaving.get_or_insert(new).why = why;
        inner.tell(&Event::Leaving(why));
    }

    /// The connection was left, or was lost while it was being left.
    pub(super) fn left(&mut self, why: Leave, cause: Cause, lost_qos0: usize) {
        if let Some(settings) = self.next_settings.take() {
            self.apply(settings);
            self.switch = Switch::Reconfigured;
        }
        match why {
            Leave::ToFirstServer => {
                self.backoff.renewed(Renewal::ToFirstServer);
                self.switch = Switch::Returned;
            }
            _ => self.backoff.renewed(Renewal::Scheduled),
        }
        self.detour.ended(true);
        self.fallback.next_attempt();
        // Whatever was the reason at first: what is wanted now counts.
        let stays = self.shared.lock().stays_down;
        let next = (!stays).then(|| self.server());
        let retry_in = next.is_some().then_some(std::time::Duration::ZERO);
        let cause = Disconnection::Ended(cause);
        self.shared.lock().tell(&Event::Disconnected { cause, lost_qos0, retry_in, next });
        if stays { self.stay_down() } else { self.begin() }
    }

    fn stay_down(&mut self) {
        self.stage = Stage::Down { on_demand: false };
        self.backoff.restart();
        self.shared.lock().stands(State::Offline);
    }

    /// Other options from now on. A connection that stands is not touched.
    fn apply(&mut self, settings: Arc<Settings>) {
        let here = self.settings.servers.get(self.backoff.server());
        let place = here.and_then(|here| settings.servers.iter().position(|other| other.is_same(here)));
        self.backoff = backoff_of(&settings).beginning_at(place.unwrap_or(0));
        let mut inner = self.shared.lock();
        if self.settings.client_id != settings.client_id {
            inner.session.forget_broker();
        }
        if place.is_none() {
            self.detour.give_up();
        }
        if place.is_none() || self.settings.options.choices.version != settings.options.choices.version {
            self.fallback = Fallback::new(settings.options.choices.version);
        }
        inner.configure(settings.clone());
        drop(inner);
        self.settings = settings;
    }
}
