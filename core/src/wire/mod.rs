//! Bytes to packets and back, for MQTT 3.1, 3.1.1 and 5.0, both directions.
//!
//! There is one packet model, shaped like 5.0; a packet of 3.1.1 is the same with an empty property block.
//! The [`Version`] is an argument of [`decode`] and [`encode`], and a field only of [`Connect`], which
//! carries it. Packets borrow what they were decoded from: decoding allocates nothing and copies nothing.
//!
//! [`decode`] is strict: what it accepts keeps every rule of the specification that can be judged from one
//! packet alone. Rules that need the connection's state are the session's.
//!
//! The encoder trusts its caller in three things, which are bounded where values are made: text and binary
//! fields are at most [`MAXIMUM_FIELD`] bytes, the packet is at most [`MAXIMUM_PACKET`] bytes, and text holds
//! no U+0000.

mod ack;
mod connack;
mod connect;
mod decode;
mod encode;
mod ending;
mod error;
mod packet;
mod properties;
mod publish;
mod qos;
mod reader;
mod reason;
mod suback;
mod subscribe;
mod summary;
mod version;
mod writer;

pub use ack::{Ack, AckKind};
pub use connack::{Connack, connack_of_3_1_1};
pub use connect::{Connect, Will};
pub(crate) use decode::plain_ack;
pub use decode::{Decoded, decode};
pub(crate) use encode::encode_publish;
pub use encode::{encode, encode_into, encode_publish_head, encoded_len, encoded_publish_len};
pub use ending::{Auth, Disconnect};
pub use error::{DecodeError, Full, PropertyError};
pub use packet::{Packet, PacketType};
pub use properties::{Place, Properties, PropertiesBuf, Property};
pub use publish::Publish;
pub use qos::QoS;
pub use reason::Reason;
pub use suback::{SubAckKind, Suback};
pub use subscribe::{
    Filters, FiltersBuf, RetainHandling, Subscribe, SubscribeOptions, TopicFilters, TopicFiltersBuf,
    Unsubscribe,
};
pub use summary::Summary;
pub use version::Version;

/// The longest text or binary field: its length is a two byte integer.
pub const MAXIMUM_FIELD: usize = 65_535;

/// The largest packet there can be: a fixed header of five bytes and the largest remaining length.
pub const MAXIMUM_PACKET: usize = 5 + 268_435_455;
