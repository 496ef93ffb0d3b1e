//! Enhanced authentication (4.12): the broker's side, for methods of the caller's.

use std::fmt;

use packetboat_core::time::Instant;
use packetboat_core::wire::{Auth, Connect, Decoded, Packet, PropertiesBuf, Reason, Version, decode, encode};

use super::connection::{Connection, Phase};
use super::{Broker, ConnectionId, Refusal, rules};

/// A method of authentication the broker supports.
pub trait Method: fmt::Debug + Send + Sync {
    /// Its name, as CONNECT has it.
    fn name(&self) -> &str;
    /// Somebody begins an exchange.
    fn begin(&self) -> Box<dyn Exchange>;
}

/// One exchange with a client.
pub trait Exchange: fmt::Debug + Send {
    /// The client said this; in the first step, what CONNECT or a re-authentication carried.
    fn step(&mut self, data: Option<&[u8]>) -> Step;
}

/// What the broker says next.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Step {
    /// More is needed.
    Continue(Vec<u8>),
    /// The client is who it says; with the last word of the exchange.
    Accept(Option<Vec<u8>>),
    /// It is not.
    Refuse,
}

/// The exchange of a connection.
#[derive(Debug)]
pub(super) struct Running {
    exchange: Box<dyn Exchange>,
    /// CONNECT, encoded, until CONNACK.
    connect: Option<Vec<u8>>,
}

impl Broker {
    /// CONNECT names a method. True: the connection is not admitted yet.
    pub(super) fn begin_authentication(
        &mut self,
        id: ConnectionId,
        connect: &Connect<'_>,
        now: Instant,
    ) -> bool {
        let Some(name) = connect.properties.authentication_method() else { return false };
        let method = self.desk.config.methods.iter().find(|method| method.name() == name);
        let Some(exchange) = method.map(|method| method.begin()) else {
            // [MQTT-4.12.0-1]
            self.refuse(id, Refusal::Code(Reason::BAD_AUTHENTICATION_METHOD), now);
            return true;
        };
        let Some(connection) = self.connections.get_mut(&id) else { return true };
        let mut bytes = Vec::new();
        encode(connect.version, &Packet::Connect(*connect), &mut bytes);
        connection.phase = Phase::Authenticating;
        connection.method = Some(name.to_owned());
        connection.authentication = Some(Running { exchange, connect: Some(bytes) });
        self.step(id, connect.properties.authentication_data(), now);
        true
    }

    /// AUTH came on a connection that named a method.
    pub(super) fn handle_auth(&mut self, id: ConnectionId, auth: &Auth<'_>, now: Instant) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        if auth.properties.authentication_method() != connection.method.as_deref() {
            let detail = format!("{:?}", auth.properties.authentication_method());
            return connection.breach(&rules::AUTH_METHOD, detail, &mut self.desk);
        }
        let again = auth.reason == Reason::RE_AUTHENTICATE && connection.phase == Phase::Online;
        let running = connection.authentication.is_some();
        let fits = if again { !running } else { running && auth.reason == Reason::CONTINUE_AUTHENTICATION };
        if !fits {
            let detail = format!("{} while {:?}", auth.reason, connection.phase);
            return connection.breach(&rules::AUTH_TURN, detail, &mut self.desk);
        }
        if again {
            let name = connection.method.as_deref();
            let method = self.desk.config.methods.iter().find(|method| Some(method.name()) == name);
            let Some(method) = method else { return };
            connection.authentication = Some(Running { exchange: method.begin(), connect: None });
        }
        self.step(id, auth.properties.authentication_data(), now);
    }

    fn step(&mut self, id: ConnectionId, data: Option<&[u8]>, now: Instant) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let Some(mut running) = connection.authentication.take() else { return };
        match running.exchange.step(data) {
            Step::Continue(data) => {
                connection.authentication = Some(running);
                let properties = connection.authentication_properties(Some(&data));
                let reason = Reason::CONTINUE_AUTHENTICATION;
                connection.send(
                    &Packet::Auth(Auth { reason, properties: properties.as_properties() }),
                    &mut self.desk,
                );
            }
            Step::Accept(last) => {
                if let Some(connect) = running.connect {
                    return self.admit_authenticated(id, &connect, last, now);
                }
                let properties = connection.authentication_properties(last.as_deref());
                let auth = Auth { reason: Reason::SUCCESS, properties: properties.as_properties() };
                connection.send(&Packet::Auth(auth), &mut self.desk);
            }
            Step::Refuse if running.connect.is_some() => {
                self.refuse(id, Refusal::Code(Reason::NOT_AUTHORIZED), now);
            }
            Step::Refuse => {
                connection.dismiss(Reason::NOT_AUTHORIZED, "not authenticated again", &mut self.desk);
                self.leave(id, now);
            }
        }
    }

    fn admit_authenticated(&mut self, id: ConnectionId, bytes: &[u8], last: Option<Vec<u8>>, now: Instant) {
        let decoded = decode(Version::V5, bytes, usize::MAX);
        let Ok(Decoded::Packet { packet: Packet::Connect(connect), .. }) = decoded else { return };
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.last_word = last;
        }
        self.admit(id, &connect, now);
    }
}

impl Connection {
    fn authentication_properties(&self, data: Option<&[u8]>) -> PropertiesBuf {
        let mut properties = PropertiesBuf::new();
        self.put_authentication(&mut properties, data);
        properties
    }

    /// What CONNACK and AUTH say of the exchange [MQTT-4.12.0-5].
    pub(super) fn put_authentication(&self, properties: &mut PropertiesBuf, data: Option<&[u8]>) {
        if let Some(method) = &self.method {
            let _ = properties.authentication_method(method);
            if let Some(data) = data {
                let _ = properties.authentication_data(data);
            }
        }
    }
}
