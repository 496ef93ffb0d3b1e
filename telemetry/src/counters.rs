//! What a client does, through the facade `metrics`.
//!
//! | Name | Kind | Labels |
//! | --- | --- | --- |
//! | `packetboat_packets_total` | counter | `direction` (`sent`, `received`), `type` |
//! | `packetboat_bytes_total` | counter | `direction` |
//! | `packetboat_connections_total` | counter | |
//! | `packetboat_disconnections_total` | counter | `by` (`us`, `broker`, `network`) |
//! | `packetboat_failed_attempts_total` | counter | `by` |
//! | `packetboat_lost_total` | counter | `what` (`qos0`, `dropped`, `queue`, `unclaimed`, `oversize`, `poison`) |
//!
//! Of what is lost, `dropped` arrived and had no room in its stream, `queue` had none on its way out.

use metrics::counter;
use packetboat::{Client, Direction, Disconnection, Event, EventHandler, Options, Side};

/// Count the packets of clients with these options, and their bytes. Every packet is looked at once more for that.
#[must_use]
pub fn packets(options: Options) -> Options {
    options.on_packet(|passing| {
        let direction = match passing.direction {
            Direction::Sent => "sent",
            Direction::Received => "received",
        };
        counter!("packetboat_packets_total", "direction" => direction, "type" => passing.kind.to_string())
            .increment(1);
        counter!("packetboat_bytes_total", "direction" => direction).increment(passing.size as u64);
    })
}

/// Count the connections of this client, and what is lost, until the handler is dropped. Nothing is looked at for that that
/// does not happen anyway.
pub fn events(client: &Client) -> EventHandler {
    client.on_event(|event| match event {
        Event::Connected(_) => counter!("packetboat_connections_total").increment(1),
        Event::Disconnected { cause, lost_qos0, .. } => {
            let by = match cause.by() {
                Side::Us => "us",
                Side::Broker => "broker",
                Side::Network => "network",
            };
            match cause {
                Disconnection::Failed(_) => {
                    counter!("packetboat_failed_attempts_total", "by" => by).increment(1);
                }
                _ => counter!("packetboat_disconnections_total", "by" => by).increment(1),
            }
            lost("qos0", *lost_qos0 as u64);
        }
        Event::Dropped { messages, .. } => lost("dropped", *messages),
        Event::QueueDropped(messages) => lost("queue", *messages),
        Event::Unclaimed(messages) => lost("unclaimed", *messages),
        Event::Oversize { .. } => lost("oversize", 1),
        Event::Poison { .. } => lost("poison", 1),
        _ => {}
    })
}

fn lost(what: &'static str, messages: u64) {
    if messages > 0 {
        counter!("packetboat_lost_total", "what" => what).increment(messages);
    }
}
