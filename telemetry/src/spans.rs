//! Spans for messages. The identifiers are fields of the span, so that whatever writes spans down can join what the two
//! sides of a broker saw.

use packetboat::Message;
use tracing::{Span, info_span};

use crate::TraceContext;

/// A span for sending a message, and the context to send along: a step of the trace of `parent`, or of a new one.
///
/// ```
/// use packetboat::{Client, PropertiesBuf};
/// use packetboat_telemetry::spans;
///
/// async fn send(client: &Client) -> Result<(), Box<dyn std::error::Error>> {
///     let (span, context) = spans::sending("a/b", None);
///     let mut properties = PropertiesBuf::new();
///     context.put(&mut properties)?;
///     let publish = client.publish("a/b", "payload").properties(properties).drop_properties(true);
///     let receipt = span.in_scope(|| publish.try_publish())?;
///     receipt.await?;
///     Ok(())
/// }
/// ```
#[must_use]
pub fn sending(topic: &str, parent: Option<&TraceContext>) -> (Span, TraceContext) {
    let context = step(parent);
    let span = info_span!(
        "mqtt.send",
        messaging.system = "mqtt",
        messaging.destination.name = topic,
        trace_id = context.trace_id(),
        span_id = context.span_id(),
        parent_span_id = parent.map(TraceContext::span_id),
    );
    (span, context)
}

/// A span for working on a message that came, and its context, for messages that are sent in turn. The trace is that of the
/// message, or a new one if it has none.
#[must_use]
pub fn receiving(message: &Message) -> (Span, TraceContext) {
    let parent = TraceContext::of(message);
    let context = step(parent.as_ref());
    let span = info_span!(
        "mqtt.receive",
        messaging.system = "mqtt",
        messaging.destination.name = message.topic(),
        messaging.message.body.size = message.payload().len(),
        trace_id = context.trace_id(),
        span_id = context.span_id(),
        parent_span_id = parent.as_ref().map(TraceContext::span_id),
    );
    (span, context)
}

fn step(parent: Option<&TraceContext>) -> TraceContext {
    parent.map_or_else(|| TraceContext::new(true), TraceContext::child)
}
