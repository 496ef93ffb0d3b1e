//! Payloads that are kept where they are, in memory or not.

use core::cell::Cell;
use std::rc::Rc;

use super::*;

/// Some bytes in memory, and some that are not.
#[derive(Clone, Debug)]
struct Elsewhere(Rc<Parts>);

#[derive(Debug)]
struct Parts {
    resident: Vec<u8>,
    absent: usize,
    lost: Cell<bool>,
}

impl Elsewhere {
    fn new(resident: usize, absent: usize) -> Self {
        Self(Rc::new(Parts { resident: vec![b'r'; resident], absent, lost: Cell::new(false) }))
    }
}

impl Handle for Elsewhere {
    fn resident(&self) -> &[u8] {
        &self.0.resident
    }

    fn absent(&self) -> usize {
        self.0.absent
    }

    fn is_lost(&self) -> bool {
        self.0.lost.get()
    }
}

fn session(durable: bool) -> Session<Elsewhere> {
    Session::new(Config { durable, ..Config::default() })
}

fn publish(
    session: &mut Session<Elsewhere>,
    qos: QoS,
    payload: &Elsewhere,
) -> Result<Accepted, PublishError> {
    let (topic, payload, tag) = (TopicName::new("topic").unwrap(), Payload::Shared(payload), Tag(1));
    let (retain, drop_properties, properties) = (false, false, Properties::EMPTY);
    session.publish(&Outgoing { topic, payload, qos, retain, properties, drop_properties, tag }, Instant(0))
}

fn open(session: &mut Session<Elsewhere>, session_present: bool) {
    session.handle_open(&ConnectOptions { client_id: "c".into(), ..ConnectOptions::default() });
    let (reason, properties) = (Reason::SUCCESS, Properties::EMPTY);
    session.handle_packet(&Packet::Connack(Connack { session_present, reason, properties }), Instant(0));
}

/// What is to be written, CONNECT left out.
fn written(session: &mut Session<Elsewhere>) -> Output<Elsewhere> {
    let mut output = Output::default();
    session.poll_transmit(&mut output, Instant(0));
    session.handle_written(output.len(), Instant(0));
    output
}

/// The identifiers of the next messages.
fn next_ids(session: &mut Session<Elsewhere>) -> Vec<u16> {
    let next = |_| {
        assert!(publish(session, QoS::AtLeastOnce, &Elsewhere::new(1, 0)).is_ok());
        let output = written(session);
        let Ok(Decoded::Packet { packet: Packet::Publish(Publish { id: Some(id), .. }), .. }) =
            decode(Version::V5, &output.bytes, 1 << 20)
        else {
            panic!("{output:?}")
        };
        session.handle_packet(&Packet::Ack(Ack::new(AckKind::Puback, id)), Instant(0));
        id
    };
    (0..8).map(next).collect()
}

#[test]
fn a_store_is_not_given_payloads_that_are_read_while_they_are_sent() {
    let payload = Elsewhere::new(4, 1000);
    for durable in [true, false] {
        let mut session = session(durable);
        for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let refused = publish(&mut session, qos, &payload).err();
            assert_eq!(refused, durable.then_some(PublishError::NotResident), "{qos:?}");
        }
        assert!(publish(&mut session, QoS::AtMostOnce, &payload).is_ok(), "nothing of QoS 0 is stored");
        assert!(publish(&mut session, QoS::AtLeastOnce, &Elsewhere::new(4, 0)).is_ok(), "it is all there");
        assert_eq!(session.queue().messages, if durable { 2 } else { 4 });
    }
    let told = PublishError::NotResident.to_string();
    assert_eq!(told, "a durable session keeps bytes in memory only: read the payload first");
}

/// A record of its own is cheaper than a handle up to 1 KiB.
#[test]
fn what_is_large_or_not_there_is_kept_by_its_handle_and_what_is_small_is_copied() {
    for (resident, absent, kept) in [(1024, 0, false), (1025, 0, true), (0, 1, true), (10, 1, true)] {
        let payload = Elsewhere::new(resident, absent);
        let mut session = session(false);
        assert!(publish(&mut session, QoS::AtLeastOnce, &payload).is_ok());
        assert_eq!(Rc::strong_count(&payload.0) > 1, kept, "{resident} {absent}");
    }
}

#[test]
fn absent_bytes_are_announced_and_their_handle_stands_where_they_belong() {
    let mut session = session(false);
    open(&mut session, false);
    written(&mut session);
    let payload = Elsewhere::new(2, 300);
    assert!(publish(&mut session, QoS::AtLeastOnce, &payload).is_ok());
    let output = written(&mut session);
    let head = [0x32, 0xb8, 2, 0, 5, b't', b'o', b'p', b'i', b'c', 0, 1, 0];
    assert_eq!(output.bytes[..head.len()], head, "2 + 5 + 2 + 1 + 302 bytes follow");
    let [(at, handle)] = &output.splices[..] else { panic!("{output:?}") };
    assert!(Rc::ptr_eq(&handle.0, &payload.0) && *at == output.bytes.len());
    assert_eq!(output.len(), 3 + 312);
}

/// Lost before it is sent again: the broker may have the identifier of one of QoS 2, if it was ever sent.
#[test]
fn the_identifier_of_a_lost_message_is_used_again_unless_the_broker_may_know_it() {
    for (qos, transmitted, retired) in
        [(QoS::ExactlyOnce, true, true), (QoS::ExactlyOnce, false, false), (QoS::AtLeastOnce, true, false)]
    {
        let mut session = session(false);
        open(&mut session, false);
        written(&mut session);
        let payload = Elsewhere::new(0, 300);
        assert!(publish(&mut session, qos, &payload).is_ok());
        let mut output = Output::default();
        session.poll_transmit(&mut output, Instant(0));
        let taken = if transmitted { output.len() } else { 0 };
        session.handle_written(taken, Instant(0));
        session.handle_close(&output, taken);
        payload.0.lost.set(true);
        open(&mut session, true);
        assert!(written(&mut session).splices.is_empty());
        let outcome = core::iter::from_fn(|| session.poll_event()).find_map(|event| match event {
            Event::Published { outcome, .. } => Some(outcome),
            _ => None,
        });
        let expected = Outcome::PayloadLost { may_have_arrived: transmitted };
        assert_eq!(outcome, Some(expected), "{qos:?} {transmitted}");
        // With few in use every eighth is passed over while one of them is in use.
        let ids = next_ids(&mut session);
        assert_eq!(!ids.iter().any(|id| id % 8 == 1), retired, "{qos:?} {transmitted} {ids:?}");
    }
}
