//! What handles want of the task itself.

use std::sync::Arc;

use packetboat_core::session::{Cause, SessionMode};
use packetboat_core::time::Instant;
use packetboat_core::wire::Reason;

use super::Inner;
use crate::ConnectError;
use crate::events::{Disconnection, Leave};
use crate::settings::Settings;

/// What handles want of the task.
#[derive(Default)]
pub(crate) struct Wishes {
    /// Connect, whatever the backoff says, and also when told to stay down.
    pub(crate) connect_now: bool,
    /// Connect, unless told to stay down.
    pub(crate) network_up: bool,
    /// Leave, and stay down.
    pub(crate) offline: bool,
    /// A fresh connection.
    pub(crate) reconnect: bool,
    /// Other options.
    pub(crate) settings: Option<Arc<Settings>>,
}

/// The client is to end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ending {
    pub(crate) reason: Reason,
    /// What is accepted may be finished until then.
    pub(crate) drain_until: Instant,
    /// The session was told.
    pub(crate) said: bool,
}

/// A connection is being left, and the client goes on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leaving {
    pub(crate) why: Leave,
    /// What is on the way may be finished until then.
    pub(crate) drain_until: Instant,
    /// The session was told.
    pub(crate) said: bool,
}

impl Inner {
    /// Something is wanted of the task itself.
    pub(crate) fn wish(&mut self, wish: impl FnOnce(&mut Wishes)) {
        wish(self.wishes.get_or_insert_default());
        self.wake_task();
    }

    /// Does anything wait for a connection?
    pub(crate) fn has_demand(&self) -> bool {
        !self.session.is_idle() || !self.room.is_empty() || self.flushes.len() > 0
    }

    /// Other options from now on, but for what CONNECT says.
    pub(crate) fn configure(&mut self, settings: Arc<Settings>) {
        let options = &settings.options;
        self.session.configure(options.config());
        self.defaults = options.unusual_defaults();
        self.inbound_window = options.choices.inbound_messages;
        self.shared_sessions = options.choices.shared_sessions;
        self.streams.set_quota(options.choices.inbound_bytes);
        self.persistent = matches!(options.choices.session, SessionMode::Persistent { .. });
        if self.client_id != settings.client_id {
            self.client_id = settings.client_id.clone();
        }
        self.settings = settings;
        self.grant_room();
    }

    /// Why there is no connection, if there is none and one was tried.
    pub(crate) fn why_offline(&self) -> Option<Box<Disconnection>> {
        if self.welcome.is_some() { None } else { self.last_failure.clone() }
    }

    /// An attempt failed, or a connection ended.
    pub(crate) fn failed(&mut self, cause: &Disconnection) {
        if let Disconnection::Failed(ConnectError::Refused { reason, .. })
        | Disconnection::Ended(Cause::Refused { reason, .. }) = cause
        {
            self.answer = Some(*reason);
        }
        self.last_failure = Some(Box::new(cause.clone()));
    }
}
