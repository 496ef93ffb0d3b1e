//! A session by hand: no socket, no clock, only bytes in and bytes out.
//!
//! `cargo run -p packetboat-core --example session`

use packetboat_core::session::{
    Config, ConnectOptions, Event, Outgoing, Output, Payload, Received, Receiver, Session, Tag,
};
use packetboat_core::time::Instant;
use packetboat_core::topic::{TopicError, TopicName};
use packetboat_core::wire::{Properties, QoS};

fn main() -> Result<(), TopicError> {
    let connect = ConnectOptions { client_id: "by-hand".into(), ..ConnectOptions::default() };
    let mut session: Session<Vec<u8>> = Session::new(Config::default());
    let mut receiver = Receiver::new(&connect);
    let mut output = Output::default();
    let now = Instant(0);

    // Accepted while offline: it waits for a connection.
    let message = Outgoing {
        topic: TopicName::new("greetings/world")?,
        payload: Payload::Borrowed(b"hello"),
        qos: QoS::AtLeastOnce,
        retain: false,
        properties: Properties::EMPTY,
        drop_properties: false,
        tag: Tag(1),
    };
    println!("publish      {:?}", session.publish(&message, now));

    session.handle_open(&connect);
    show(&mut session, &mut output, now);

    // What a broker would say: CONNACK, then PUBACK for packet identifier 1.
    for said in [&[0x20, 3, 0, 0, 0][..], &[0x40, 2, 0, 1]] {
        println!("broker       {said:02x?}");
        session.handle_read(now);
        match receiver.next(said) {
            Ok(Received::Packet { packet, .. }) => session.handle_packet(&packet, now),
            Ok(other) => println!("not expected {other:?}"),
            Err(breach) => session.handle_breach(breach),
        }
        show(&mut session, &mut output, now);
    }
    Ok(())
}

/// What the session has to say, to the broker and to us.
fn show(session: &mut Session<Vec<u8>>, output: &mut Output<Vec<u8>>, now: Instant) {
    while session.poll_transmit(output, now) {
        println!("session      {:02x?}", output.bytes);
        let written = output.len();
        output.clear();
        session.handle_written(written, now);
    }
    while let Some(event) = session.poll_event() {
        match event {
            Event::Published { tag, outcome } => {
                println!("event        message {} ended: {outcome:?}", tag.0);
            }
            other => println!("event        {other:?}"),
        }
    }
}
