//! Brokers that send their clients elsewhere: Server Reference in CONNACK and DISCONNECT [5.0, 4.13].

use packetboat_core::session::Cause;
use packetboat_core::wire::{PropertiesBuf, Reason};

use crate::events::Disconnection;
use crate::{ConnectError, Server};

/// Where the brokers have sent us, if they have.
#[derive(Debug, Default)]
pub(super) struct Detour(Option<Box<Way>>);

#[derive(Debug, Default)]
struct Way {
    /// The server to go to instead of the listed one.
    server: Option<Server>,
    /// It has moved there for good: not for this connection alone.
    permanent: bool,
    /// Servers that sent us on, since the last connection that was stable.
    left: Vec<Server>,
}

/// What a broker said about where to go.
pub(super) struct Directions<'a> {
    permanent: bool,
    reference: Option<&'a str>,
}

impl<'a> Directions<'a> {
    /// `None`: the connection ended for another reason.
    pub(super) fn of(cause: &'a Disconnection) -> Option<Self> {
        let (reason, properties): (Reason, &PropertiesBuf) = match cause {
            Disconnection::Failed(ConnectError::Refused { reason, properties, .. })
            | Disconnection::Ended(Cause::ByBroker { reason, properties }) => (*reason, properties),
            _ => return None,
        };
        let permanent = reason == Reason::SERVER_MOVED;
        (permanent || reason == Reason::USE_ANOTHER_SERVER)
            .then(|| Self { permanent, reference: properties.as_properties().server_reference() })
    }
}

impl Detour {
    /// The server to go to instead of the listed one.
    pub(super) fn server(&self) -> Option<&Server> {
        self.0.as_ref()?.server.as_ref()
    }

    /// Follow, from the server at hand. The error: why not, with the reference if there was one.
    pub(super) fn follow(
        &mut self,
        from: &Server,
        directions: &Directions<'_>,
        limit: usize,
    ) -> Result<(), (String, &'static str)> {
        self.give_up();
        let Some(text) = directions.reference else { return Ok(()) };
        let way = self.0.get_or_insert_default();
        let refused = |why| Err((text.to_owned(), why));
        if way.left.len() >= limit {
            return refused("brokers have sent us on too often");
        }
        // A list, in order of preference [5.0, 4.11].
        let mut known = text.split(' ').filter_map(|reference| from.referenced(reference)).peekable();
        if known.peek().is_none() {
            return refused("it is no host with or without a port");
        }
        way.left.push(from.clone());
        let left = |server: &Server| way.left.iter().any(|left| left.is_same(server));
        let Some(server) = known.find(|server| !left(server)) else {
            return refused("it leads back to a broker that sent us on");
        };
        (way.server, way.permanent) = (Some(server), directions.permanent);
        Ok(())
    }

    /// An attempt there failed, or another server's turn has come: the list counts again.
    pub(super) fn give_up(&mut self) {
        if let Some(way) = &mut self.0 {
            way.server = None;
        }
    }

    /// A connection there ended.
    pub(super) fn ended(&mut self, stable: bool) {
        let Some(way) = &mut self.0 else { return };
        if !way.permanent {
            way.server = None;
        }
        if stable {
            way.left = Vec::new();
        }
    }
}
