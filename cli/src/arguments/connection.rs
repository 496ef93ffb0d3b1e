//! What `pub` and `sub` share: where to connect, as whom, and for how long.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgAction, Args};

#[cfg(feature = "openssl")]
use super::openssl::OpenSslArguments;
use super::road::Road;
use super::tls::TlsArguments;
use super::values::{self, Expiry, Protocol};
use crate::options::Location;
use crate::properties::PropertyArguments;
use packetboat::QoS;

#[allow(clippy::doc_markdown, reason = "it is the help, read as text")]
#[derive(Debug, Args)]
pub(crate) struct Connection {
    /// Read this file first (.toml, .json, .yaml; see `packetboat config`); options given here win over what it says
    ///
    /// Variables of the environment (PACKETBOAT_OPTION_KEEP_ALIVE) win over the file. TLS options given here replace all that the file says of TLS.
    #[arg(long, value_name = "FILE", help_heading = "Connection")]
    pub(crate) config: Option<PathBuf>,

    /// Host name or address of the broker [default: localhost]
    #[arg(short = 'h', long, value_parser = values::host, conflicts_with = "url", help_heading = "Connection")]
    pub(crate) host: Option<String>,

    /// Port of the broker [default: 1883, with TLS 8883]
    #[arg(short, long, value_parser = values::port, conflicts_with = "url", help_heading = "Connection")]
    pub(crate) port: Option<u16>,

    /// All in one: mqtt://[user[:password]@]host[:port][/topic], mqtts://..., ws://host[:port][/path], wss://... or unix:///path
    ///
    /// Of mqtt:// and mqtts:// what follows the slash is the topic, taken as it stands. User and password are percent-decoded.
    #[arg(short = 'L', long, value_parser = Location::parse, help_heading = "Connection")]
    pub(crate) url: Option<Location>,

    /// User name
    #[arg(short, long, allow_hyphen_values = true, help_heading = "Connection")]
    pub(crate) username: Option<String>,

    /// Password; other users of this machine may see it
    #[arg(
        short = 'P',
        long = "pw",
        value_name = "PASSWORD",
        allow_hyphen_values = true,
        help_heading = "Connection"
    )]
    pub(crate) password: Option<OsString>,

    /// Version of MQTT: 5, 311 or 31 (or mqttv5, ...); auto is 5, and 311 with a broker that does not know 5 [default: auto]
    #[arg(short = 'V', long, value_name = "VERSION", value_parser = values::protocol, help_heading = "Connection")]
    pub(crate) protocol_version: Option<Protocol>,

    #[command(flatten)]
    pub(crate) road: Road,

    #[command(flatten)]
    pub(crate) tls: TlsArguments,

    #[cfg(feature = "openssl")]
    #[command(flatten)]
    pub(crate) openssl: OpenSslArguments,

    /// Seconds of silence after which the connection is probed; 0 for never [default: 60]
    #[arg(short, long, value_name = "SECONDS", help_heading = "Connection")]
    pub(crate) keepalive: Option<u16>,

    /// Client identifier [default: pb- and 16 random characters]
    #[arg(short, long, allow_hyphen_values = true, help_heading = "Session")]
    pub(crate) id: Option<String>,

    /// Take up the session of an earlier run, and leave it at the broker for a later one; needs -i
    #[arg(short = 'c', long, help_heading = "Session")]
    pub(crate) disable_clean_session: bool,

    /// Seconds the broker keeps the session after the end, -1 for ever; needs -i [default: -1 with -c, else 0]
    ///
    /// Without -c the session begins anew. Brokers of 3.1.1 decide themselves how long they keep it.
    #[arg(short = 'x', long, value_name = "SECONDS", value_parser = values::expiry, allow_hyphen_values = true,
        help_heading = "Session")]
    pub(crate) session_expiry_interval: Option<Expiry>,

    #[command(flatten)]
    pub(crate) properties: PropertyArguments,

    #[command(flatten)]
    pub(crate) will: WillArguments,

    /// Tell on standard error what happens
    #[arg(short, long, help_heading = "Output")]
    pub(crate) debug: bool,

    /// No warnings, no progress, and no errors but those of the command line
    #[arg(long, conflicts_with = "debug", help_heading = "Output")]
    pub(crate) quiet: bool,

    /// Print help (-h is the host)
    #[arg(long, action = ArgAction::HelpShort, help_heading = "Output")]
    help: Option<bool>,
}

/// The message the broker publishes when this client is lost. At a regular end it does not.
#[derive(Debug, Args)]
pub(crate) struct WillArguments {
    /// Topic of the message the broker publishes if the connection is lost
    #[arg(
        id = "will_topic",
        long = "will-topic",
        value_name = "TOPIC",
        allow_hyphen_values = true,
        help_heading = "Will"
    )]
    pub(crate) topic: Option<String>,

    /// Its payload [default: empty]
    #[arg(
        id = "will_payload",
        long = "will-payload",
        value_name = "PAYLOAD",
        requires = "will_topic",
        allow_hyphen_values = true,
        help_heading = "Will"
    )]
    pub(crate) payload: Option<OsString>,

    /// Its QoS [default: 0]
    #[arg(
        id = "will_qos",
        long = "will-qos",
        value_name = "QOS",
        requires = "will_topic",
        value_parser = values::qos,
        help_heading = "Will"
    )]
    pub(crate) qos: Option<QoS>,

    /// It is to be retained
    #[arg(id = "will_retain", long = "will-retain", requires = "will_topic", help_heading = "Will")]
    pub(crate) retain: bool,
}

impl Connection {
    /// The topics of -t, and that of -L.
    pub(crate) fn topics(&self, given: &[String]) -> Vec<String> {
        let of_url = self.url.iter().filter_map(|location| location.topic.clone());
        of_url.chain(given.iter().cloned()).collect()
    }
}
