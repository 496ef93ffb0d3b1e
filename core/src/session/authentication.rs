//! Enhanced authentication (4.12): which AUTH packets may come, and sending ours. What is in them is a method's business.

use alloc::boxed::Box;

use super::event::{Breach, Event, kept};
use super::handle::Handle;
use super::link::Link;
use super::{Phase, Session};
use crate::time::Instant;
use crate::wire::{Auth, Packet, Place, Properties, PropertiesBuf, Property, Reason};

impl<P> Link<P> {
    /// The method that CONNECT named.
    fn method_name(&self) -> Option<&str> {
        self.method.as_ref().map(|method| &*method.name)
    }

    /// Our last AUTH of a re-authentication that is under way.
    pub(super) fn exchange(&self) -> Option<Instant> {
        self.method.as_ref()?.exchange
    }

    fn set_exchange(&mut self, at: Option<Instant>) {
        if let Some(method) = &mut self.method {
            method.exchange = at;
        }
    }
}

impl<P: Handle> Session<P> {
    /// Send AUTH: the next step of an exchange (Continue authentication), or the first one of another (Re-authenticate).
    /// The method is that of CONNECT [MQTT-4.12.0-5]. False, and nothing sent: it is not our turn, the reason is not one
    /// of the two, CONNECT named no method, or the data is longer than 65,535 bytes or than the broker's packets may be.
    pub fn authenticate(&mut self, reason: Reason, data: Option<&[u8]>, now: Instant) -> bool {
        self.authenticate_with(reason, data, Properties::EMPTY, now)
    }

    /// [`authenticate`](Self::authenticate) with reason string and user properties. They are left out where they would
    /// make AUTH too large [MQTT-3.15.2-2, MQTT-3.15.2-3].
    pub fn authenticate_with(
        &mut self,
        reason: Reason,
        data: Option<&[u8]>,
        words: Properties<'_>,
        now: Instant,
    ) -> bool {
        let again = reason == Reason::RE_AUTHENTICATE;
        // Others are the server's [MQTT-4.12.0-3].
        let ours = again || reason == Reason::CONTINUE_AUTHENTICATION;
        let turn = match self.link.phase {
            _ if !ours => false,
            Phase::Connecting => !again,
            Phase::Online => again != self.link.exchange().is_some(),
            Phase::Offline | Phase::Closing => false,
        };
        let Some(method) = self.link.method_name().filter(|_| turn) else { return false };
        let mut properties = PropertiesBuf::from(words);
        properties.keep_only(Place::Auth).remove(Property::AuthenticationData);
        let set = properties.authentication_method(method).is_ok()
            && data.is_none_or(|data| properties.authentication_data(data).is_ok());
        if !set {
            return false;
        }
        // Before CONNACK nothing is known of the broker's maximum packet size.
        let online = self.link.phase == Phase::Online;
        let fits = |packet: &Packet<'_>| !online || self.link.takes(packet);
        if !fits(&Packet::Auth(Auth { reason, properties: properties.as_properties() })) {
            properties.remove(Property::ReasonString).remove(Property::UserProperty);
        }
        let packet = Packet::Auth(Auth { reason, properties: properties.as_properties() });
        if !fits(&packet) {
            return false;
        }
        if online {
            self.link.set_exchange(Some(now));
        }
        self.link.reply(&packet);
        true
    }

    /// AUTH came, and CONNECT named a method.
    pub(super) fn on_auth(&mut self, auth: &Auth<'_>) -> Result<(), Breach> {
        self.check_method(auth.properties)?;
        match (self.link.phase, auth.reason) {
            (Phase::Connecting, Reason::CONTINUE_AUTHENTICATION) => {}
            (Phase::Connecting, _) => return Err(Breach::protocol("AUTH that ends what CONNACK is to end")),
            _ if self.link.exchange().is_none() => {
                return Err(Breach::protocol("AUTH that nobody asked for"));
            }
            (_, Reason::CONTINUE_AUTHENTICATION) => {}
            (_, Reason::SUCCESS) => self.link.set_exchange(None),
            _ => return Err(Breach::protocol("AUTH with a reason that is the client's")),
        }
        let properties = Box::new(kept(auth.properties));
        self.events.push_back(Event::Authentication { reason: auth.reason, properties });
        Ok(())
    }

    /// AUTH and CONNACK name the method of CONNECT [MQTT-4.12.0-5], or none if that named none [MQTT-4.12.0-6].
    pub(super) fn check_method(&self, properties: Properties<'_>) -> Result<(), Breach> {
        if properties.authentication_method() == self.link.method_name() {
            Ok(())
        } else {
            Err(Breach::protocol("another authentication method than CONNECT named"))
        }
    }
}
