//! CONNECT, CONNACK, DISCONNECT: where a connection begins and ends, and what the session's state means to it.

use alloc::boxed::Box;

use super::event::{Breach, Cause, Event, kept};
use super::handle::Handle;
use super::limits::Limits;
use super::link::Method;
use super::options::{ConnectOptions, SessionMode};
use super::{Phase, Session, alias};
use crate::time::Instant;
use crate::wire::{
    Connack, Connect, Disconnect, Packet, PacketType, Place, PropertiesBuf, Property, Reason, Will,
};

/// The broker keeps a session that ends at disconnect for so long after a cut.
const UNTIL_DISCONNECT_EXPIRY: u32 = 3600;

/// What CONNECT says of the session.
struct Keeping {
    clean_start: bool,
    /// Session expiry interval; on older versions: anything but zero keeps it.
    expiry: u32,
    ends_at_disconnect: bool,
}

impl<P: Handle> Session<P> {
    /// The transport is open: introduce ourselves. Options that do not fit their version are the caller's fault and
    /// answered by the broker.
    pub fn handle_open(&mut self, connect: &ConnectOptions) {
        debug_assert_eq!(self.link.phase, Phase::Offline, "the last connection was never closed");
        let keeping = self.keeping(connect);
        self.link.phase = Phase::Connecting;
        self.link.version = connect.version;
        self.link.clean_start = keeping.clean_start;
        self.link.keeps_session = keeping.expiry > 0;
        self.link.ends_at_disconnect = keeping.ends_at_disconnect;
        // Zero is never announced, and older versions announce nothing.
        let announced = connect.version.has_properties() && connect.receive_maximum > 0;
        let enforced = announced && self.config.strict_receive_maximum;
        self.link.receive_maximum = if enforced { connect.receive_maximum } else { u16::MAX };
        self.link.window = connect.receive_maximum.max(1);
        self.link.requested_keep_alive = connect.keep_alive;
        self.link.probe_ahead = connect.probe_ahead;
        let properties = connect_properties(connect, keeping.expiry);
        let method = properties.as_properties().authentication_method();
        let method = method.filter(|_| connect.version.has_properties());
        self.link.method = method.map(|name| Box::new(Method { name: name.into(), exchange: None }));
        let will = connect.will.as_ref().map(|will| Will {
            qos: will.qos,
            retain: will.retain,
            topic: &will.topic,
            payload: &will.payload,
            properties: will.properties.as_properties(),
        });
        self.link.reply(&Packet::Connect(Connect {
            version: connect.version,
            clean_start: keeping.clean_start,
            keep_alive: connect.keep_alive,
            client_id: &connect.client_id,
            will,
            username: connect.username.as_deref(),
            password: connect.password.as_deref(),
            properties: properties.as_properties(),
        }));
    }

    /// The next connection goes to a broker that knows nothing of this session, whatever it has kept for this client of
    /// earlier days: it is asked to forget that [MQTT-3.2.2-4]. Holds until a connection is accepted.
    ///
    /// A session of 3.1.1 that is to be kept begins with the connection after that one.
    pub fn forget_broker(&mut self) {
        self.elsewhere = true;
    }

    /// Say goodbye for good: nothing is accepted any more. The output ends with DISCONNECT, and the connection wants
    /// to be closed. Messages not finished stay, for a store or for nobody.
    pub fn disconnect(&mut self, reason: Reason) {
        self.ended = true;
        self.leave(reason);
    }

    /// What [`disconnect`](Self::disconnect) is to say besides its reason (5.0): reason string, user properties, and the
    /// session expiry interval, how long the broker is to keep the session instead of what CONNECT said. A session that
    /// CONNECT did not ask to be kept cannot be kept.
    pub fn prepare_farewell(&mut self, mut properties: PropertiesBuf) {
        properties.keep_only(Place::Disconnect).remove(Property::ServerReference);
        self.farewell = Some(Box::new(properties));
    }

    /// End this connection and keep the session: its messages go on with the next one.
    pub fn leave(&mut self, reason: Reason) {
        // Before 5.0 the will is published when the connection ends without DISCONNECT.
        let silent = reason == Reason::DISCONNECT_WITH_WILL_MESSAGE && !self.link.limits.properties;
        if self.link.phase == Phase::Online && !silent {
            let properties = self.farewell();
            // Older versions have no reasons, and only those of DISCONNECT may be told [MQTT-3.14.2-1].
            let reason = match reason.is_valid_in(PacketType::Disconnect) {
                _ if !self.link.limits.properties => Reason::SUCCESS,
                true => reason,
                false => Reason::UNSPECIFIED_ERROR,
            };
            self.say_goodbye(reason, properties);
        }
        self.close(Cause::Requested);
    }

    fn farewell(&self) -> PropertiesBuf {
        let mut properties = PropertiesBuf::default();
        if !self.ended || !self.link.limits.properties {
            return properties;
        }
        if let Some(farewell) = &self.farewell {
            properties.clone_from(farewell);
        }
        // Zero in CONNECT stays zero (5.0, 3.14.2.2.2).
        let chosen = properties.as_properties().session_expiry_interval().filter(|_| self.link.keeps_session);
        properties.remove(Property::SessionExpiryInterval);
        let at_the_end = self.link.ends_at_disconnect.then_some(0);
        if let Some(seconds) = chosen.or(at_the_end) {
            properties.session_expiry_interval(seconds);
        }
        properties
    }

    /// Without the words, if they would make it too large [MQTT-3.14.2-3, MQTT-3.14.2-4].
    fn say_goodbye(&mut self, reason: Reason, mut properties: PropertiesBuf) {
        let packet = Packet::Disconnect(Disconnect { reason, properties: properties.as_properties() });
        if !self.link.takes(&packet) {
            properties.remove(Property::ReasonString).remove(Property::UserProperty);
        }
        let properties = properties.as_properties();
        self.link.reply(&Packet::Disconnect(Disconnect { reason, properties }));
    }

    pub(super) fn on_connack(&mut self, connack: &Connack<'_>, now: Instant) -> Result<(), Breach> {
        let version = self.link.version;
        if connack.reason.is_error() {
            self.close(Cause::Refused {
                reason: connack.reason,
                properties: kept(connack.properties),
                old_shape: false,
            });
            return Ok(());
        }
        self.check_method(connack.properties)?;
        if connack.session_present && self.link.clean_start {
            return Err(Breach::protocol("session present after a clean start"));
        }
        self.link.phase = Phase::Online;
        self.established = self.link.keeps_session;
        self.elsewhere = false;
        self.link.limits = Limits::from_connack(connack, version.has_properties());
        let limits = self.link.limits;
        let seconds = limits.server_keep_alive.unwrap_or(self.link.requested_keep_alive);
        self.link.keep_alive.start(now, seconds, self.link.probe_ahead);
        self.link.aliases =
            alias::Outgoing::new(self.config.outgoing_aliases.min(limits.topic_alias_maximum));
        self.events.push_back(Event::Connected {
            session_present: connack.session_present,
            version,
            properties: kept(connack.properties),
        });
        if connack.session_present {
            self.resume_outbound(now);
        } else {
            self.restart_outbound();
            self.forget_inbound();
        }
        self.restore_subscriptions(connack.session_present);
        self.be_careful();
        self.pump(now);
        Ok(())
    }

    /// False: the configuration rules out a version with properties.
    #[must_use]
    pub fn can_have_properties(&self) -> bool {
        !self.is_fixed_without_properties()
    }

    pub(super) fn is_fixed_without_properties(&self) -> bool {
        self.config.fixed_version.is_some_and(|version| !version.has_properties())
    }

    fn keeping(&self, connect: &ConnectOptions) -> Keeping {
        let has_expiry = connect.version.has_properties();
        match connect.session {
            // Before 5.0 a clean start is a clean session.
            SessionMode::Persistent { .. } if self.elsewhere && !has_expiry => {
                Keeping { clean_start: true, expiry: 0, ends_at_disconnect: false }
            }
            SessionMode::Persistent { expiry } => Keeping {
                clean_start: self.elsewhere,
                expiry: u32::try_from(expiry.as_secs()).unwrap_or(u32::MAX),
                ends_at_disconnect: false,
            },
            SessionMode::UntilDisconnect if has_expiry => Keeping {
                clean_start: self.elsewhere || !self.established,
                expiry: UNTIL_DISCONNECT_EXPIRY,
                ends_at_disconnect: true,
            },
            SessionMode::UntilDisconnect | SessionMode::Clean => {
                Keeping { clean_start: true, expiry: 0, ends_at_disconnect: false }
            }
        }
    }
}

/// Only 5.0 has them; the encoder writes none for older versions. Defaults are left out.
fn connect_properties(connect: &ConnectOptions, expiry: u32) -> PropertiesBuf {
    let mut properties = connect.properties.clone();
    if expiry > 0 {
        properties.session_expiry_interval(expiry);
    }
    if connect.receive_maximum < u16::MAX {
        // Zero is not allowed on the wire and left out: the broker takes its default.
        let _ = properties.receive_maximum(connect.receive_maximum);
    }
    let _ = properties.maximum_packet_size(connect.maximum_packet_size);
    if connect.topic_alias_maximum > 0 {
        properties.topic_alias_maximum(connect.topic_alias_maximum);
    }
    properties
}
