//! One line about a packet, fit for a log.

use core::fmt;

use super::{
    Ack, Connack, Connect, Filters, Packet, PacketType, Properties, Publish, Reason, Suback, TopicFilters,
};

/// A packet in one line; made by [`Packet::summary`].
///
/// User names, passwords, payloads, correlation and authentication data and user properties are left out, unless
/// [`with_secrets`](Self::with_secrets) asks for them.
#[derive(Clone, Copy, Debug)]
pub struct Summary<'a> {
    packet: &'a Packet<'a>,
    secrets: bool,
}

impl<'a> Packet<'a> {
    /// The packet in one line, without what is nobody's business.
    ///
    /// ```
    /// use packetboat_core::wire::{Packet, Properties, Publish, QoS};
    ///
    /// let publish = Publish {
    ///     dup: false,
    ///     qos: QoS::AtLeastOnce,
    ///     retain: false,
    ///     topic: "a/b",
    ///     id: Some(7),
    ///     properties: Properties::EMPTY,
    ///     payload: b"secret",
    /// };
    /// let line = Packet::Publish(publish).summary().to_string();
    /// assert_eq!(line, "PUBLISH id 7, QoS 1, topic \"a/b\", payload of 6 bytes");
    /// ```
    #[must_use]
    pub fn summary(&'a self) -> Summary<'a> {
        Summary { packet: self, secrets: false }
    }
}

impl Summary<'_> {
    /// Show everything.
    #[must_use]
    pub fn with_secrets(mut self) -> Self {
        self.secrets = true;
        self
    }

    fn connect(&self, f: &mut fmt::Formatter<'_>, connect: &Connect<'_>) -> fmt::Result {
        write!(f, " {:?}, client id {:?}", connect.version, connect.client_id)?;
        write!(f, ", keep alive {} s", connect.keep_alive)?;
        f.write_str(if connect.clean_start { ", clean start" } else { "" })?;
        if let Some(will) = &connect.will {
            write!(f, ", will QoS {}, topic {:?}", will.qos as u8, will.topic)?;
            f.write_str(if will.retain { ", retain" } else { "" })?;
            self.payload(f, will.payload)?;
            self.properties(f, will.properties)?;
        }
        if let Some(username) = connect.username {
            self.secret(f, "user name", username.as_bytes())?;
        }
        if let Some(password) = connect.password {
            self.secret(f, "password", password)?;
        }
        self.properties(f, connect.properties)
    }

    fn connack(&self, f: &mut fmt::Formatter<'_>, connack: &Connack<'_>) -> fmt::Result {
        write!(f, " {}", connack.reason)?;
        f.write_str(if connack.session_present { ", session present" } else { "" })?;
        self.properties(f, connack.properties)
    }

    fn publish(&self, f: &mut fmt::Formatter<'_>, publish: &Publish<'_>) -> fmt::Result {
        if let Some(id) = publish.id {
            write!(f, " id {id},")?;
        }
        write!(f, " QoS {}", publish.qos as u8)?;
        f.write_str(if publish.dup { ", DUP" } else { "" })?;
        f.write_str(if publish.retain { ", retain" } else { "" })?;
        write!(f, ", topic {:?}", publish.topic)?;
        self.properties(f, publish.properties)?;
        self.payload(f, publish.payload)
    }

    fn suback(&self, f: &mut fmt::Formatter<'_>, suback: &Suback<'_>) -> fmt::Result {
        write!(f, " id {}", suback.id)?;
        for reason in suback.reasons() {
            write!(f, ", {}", reason.name_in(suback.kind == super::SubAckKind::Suback))?;
        }
        self.properties(f, suback.properties)
    }

    fn ack(&self, f: &mut fmt::Formatter<'_>, ack: &Ack<'_>) -> fmt::Result {
        write!(f, " id {}", ack.id)?;
        if ack.reason != Reason::SUCCESS {
            write!(f, ", {}", ack.reason)?;
        }
        self.properties(f, ack.properties)
    }

    /// Those that explain, by name; of the others how much there is.
    fn properties(&self, f: &mut fmt::Formatter<'_>, properties: Properties<'_>) -> fmt::Result {
        if properties.is_empty() {
            return Ok(());
        }
        if self.secrets {
            return write!(f, ", {properties:?}");
        }
        if let Some(text) = properties.reason_string() {
            write!(f, ", reason {text:?}")?;
        }
        if let Some(server) = properties.server_reference() {
            write!(f, ", server reference {server:?}")?;
        }
        write!(f, ", properties of {} bytes", properties.as_bytes().len())
    }

    fn payload(&self, f: &mut fmt::Formatter<'_>, payload: &[u8]) -> fmt::Result {
        if self.secrets {
            return write!(f, ", payload \"{}\"", payload.escape_ascii());
        }
        write!(f, ", payload of {} bytes", payload.len())
    }

    fn secret(&self, f: &mut fmt::Formatter<'_>, what: &str, secret: &[u8]) -> fmt::Result {
        if self.secrets {
            return write!(f, ", {what} \"{}\"", secret.escape_ascii());
        }
        write!(f, ", {what} ***")
    }
}

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.packet.packet_type().fmt(f)?;
        match self.packet {
            Packet::Connect(connect) => self.connect(f, connect),
            Packet::Connack(connack) => self.connack(f, connack),
            Packet::Publish(publish) => self.publish(f, publish),
            Packet::Ack(ack) => self.ack(f, ack),
            Packet::Subscribe(subscribe) => {
                write!(f, " id {}{}", subscribe.id, Requested(subscribe.filters))?;
                self.properties(f, subscribe.properties)
            }
            Packet::Suback(suback) => self.suback(f, suback),
            Packet::Unsubscribe(unsubscribe) => {
                write!(f, " id {}{}", unsubscribe.id, Given(unsubscribe.filters))?;
                self.properties(f, unsubscribe.properties)
            }
            Packet::PingReq | Packet::PingResp => Ok(()),
            Packet::Disconnect(disconnect) => {
                write!(f, " {}", disconnect.reason)?;
                self.properties(f, disconnect.properties)
            }
            Packet::Auth(auth) => {
                write!(f, " {}", auth.reason)?;
                self.properties(f, auth.properties)
            }
        }
    }
}

/// The name in the specification.
impl fmt::Display for PacketType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "CONNECT",
            Self::Connack => "CONNACK",
            Self::Publish => "PUBLISH",
            Self::Puback => "PUBACK",
            Self::Pubrec => "PUBREC",
            Self::Pubrel => "PUBREL",
            Self::Pubcomp => "PUBCOMP",
            Self::Subscribe => "SUBSCRIBE",
            Self::Suback => "SUBACK",
            Self::Unsubscribe => "UNSUBSCRIBE",
            Self::Unsuback => "UNSUBACK",
            Self::PingReq => "PINGREQ",
            Self::PingResp => "PINGRESP",
            Self::Disconnect => "DISCONNECT",
            Self::Auth => "AUTH",
        })
    }
}

struct Requested<'a>(Filters<'a>);

impl fmt::Display for Requested<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(filter, options)| write!(f, ", {filter:?} QoS {}", options.qos as u8))
    }
}

struct Given<'a>(TopicFilters<'a>);

impl fmt::Display for Given<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|filter| write!(f, ", {filter:?}"))
    }
}

impl Reason {
    /// 0 to 2 grant a QoS in SUBACK.
    fn name_in(self, suback: bool) -> &'static str {
        match self.0 {
            0 if suback => "Granted QoS 0",
            _ => self.name().unwrap_or("unknown reason code"),
        }
    }
}
