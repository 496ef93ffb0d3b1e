//! What the packets of a client prove about the brokers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use packetboat::{Direction, Packet, PassingPacket, QoS};
use packetboat_core::wire::AckKind;

use crate::ledger::{Key, Ledger};

/// Publisher and number of a message, as its payload begins.
pub(crate) fn key_of(payload: &[u8]) -> Key {
    let mut words =
        payload.split(|&byte| byte == b' ').map(|word| std::str::from_utf8(word).ok()?.parse().ok());
    let mut next = || words.next().flatten().unwrap_or(usize::MAX);
    (next(), next())
}

/// What stands under which identifier.
#[derive(Default)]
struct Desk {
    broker: usize,
    keys: HashMap<u16, Key>,
}

/// Notes which broker says that it has a message. Its user name tells which broker a connection is for.
pub(crate) fn promises(ledger: Arc<Ledger>) -> impl Fn(&PassingPacket<'_>) + Send + Sync {
    let desk = Mutex::new(Desk::default());
    move |passing| {
        let mut desk = desk.lock().unwrap_or_else(PoisonError::into_inner);
        match (passing.direction, passing.packet) {
            (Direction::Sent, Some(Packet::Connect(connect))) => {
                let broker = connect.username.and_then(|name| name.parse().ok());
                desk.broker = broker.unwrap_or(usize::MAX);
            }
            (Direction::Sent, Some(Packet::Publish(publish))) => {
                if let Some(id) = publish.id {
                    desk.keys.insert(id, key_of(publish.payload));
                }
            }
            (Direction::Received, Some(Packet::Ack(ack))) if !ack.reason.is_error() => {
                let Some(&key) = desk.keys.get(&ack.id) else { return };
                if ack.kind != AckKind::Pubrec {
                    desk.keys.remove(&ack.id);
                }
                ledger.promised(key, desk.broker, ack.kind == AckKind::Pubcomp);
            }
            _ => {}
        }
    }
}

/// Notes messages that a broker sends under the identifier of another one, which it has not released.
pub(crate) fn mistakes(ledger: Arc<Ledger>, class: usize) -> impl Fn(&PassingPacket<'_>) + Send + Sync {
    let desk = Mutex::new(Desk::default());
    move |passing| {
        let mut desk = desk.lock().unwrap_or_else(PoisonError::into_inner);
        match (passing.direction, passing.packet) {
            (Direction::Received, Some(Packet::Connack(connack))) if !connack.session_present => {
                desk.keys.clear();
            }
            (Direction::Received, Some(Packet::Publish(publish))) => {
                let (Some(id), key) = (publish.id, key_of(publish.payload)) else { return };
                if publish.qos != QoS::ExactlyOnce {
                    desk.keys.remove(&id);
                } else if *desk.keys.entry(id).or_insert(key) != key {
                    ledger.mistaken(key, class);
                }
            }
            (Direction::Received, Some(Packet::Ack(ack))) if ack.kind == AckKind::Pubrel => {
                desk.keys.remove(&ack.id);
            }
            _ => {}
        }
    }
}
