//! Trace context and counters for the MQTT client [`packetboat`].
//!
//! * [`TraceContext`]: what W3C Trace Context calls `traceparent` and `tracestate`, in the user properties of messages.
//! * [`spans`] (feature `tracing`): spans for sending and receiving that belong to such traces.
//! * [`counters`] (feature `metrics`): what a client does, through the facade `metrics`.
//!
//! A client that uses none of it pays nothing: all of it stands on what the client tells everybody.
//!
//! 3.1.1 has no user properties. There a message that is sent with [`Publish::drop_properties`](packetboat::Publish::drop_properties)
//! goes out without its context, one without that fails, and a message that arrives has none. Counters are the same.

mod context;
#[cfg(feature = "metrics")]
pub mod counters;
#[cfg(feature = "tracing")]
pub mod spans;

pub use context::TraceContext;
