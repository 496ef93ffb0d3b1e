//! Signals and pipes.
#![cfg(unix)]

use packetboat::{QoS, Reason};
use packetboat_core::wire::PacketType;
use packetboat_sim::broker::Message;

use crate::support::{Embedded, Running};

#[test]
fn sub_ends_properly_when_asked_to() {
    for signal in ["-INT", "-TERM"] {
        let embedded = Embedded::start();
        let subscriber = embedded.subscriber("-i s -t a");
        subscriber.signal(signal);
        subscriber.end().expect(0);
        assert_eq!(embedded.broker.with(|core, _| core.farewell("s")), Some(Reason::NORMAL_DISCONNECTION));
    }
    let embedded = Embedded::start();
    let subscriber = embedded.subscriber("-t a -C 2");
    subscriber.signal("-INT");
    subscriber.end().expect(4).says("0 of 2 messages");
}

#[test]
fn pub_says_what_is_open_when_it_is_stopped() {
    let embedded = Embedded::start();
    let mut publisher = Running::start(embedded.command("pub", "-i p -t a -q 1 -l"));
    publisher.write(b"one\ntwo\n");
    embedded.runtime.block_on(embedded.broker.until(|core| core.accepted("p").len() == 2));
    publisher.signal("-TERM");
    publisher.end().expect(4).says("stopped: ");
    assert_eq!(embedded.broker.with(|core, _| core.farewell("p")), Some(Reason::NORMAL_DISCONNECTION));
}

#[test]
fn a_broken_pipe_is_a_quiet_end() {
    let embedded = Embedded::start();
    let mut command = embedded.command("sub", "-d -i s -c -t a -q 1");
    let subscriber = Running::start_unread(&mut command).until("ready").hang_up();
    embedded.publish(Message::new("a", "x", QoS::AtLeastOnce));
    let ended = subscriber.end().expect(0);
    assert!(!ended.stderr.contains("error"), "{}", ended.stderr);
    // What could not be written was not acknowledged.
    assert_eq!(embedded.broker.with(|core, _| core.pending("s")), 1);
}

#[test]
fn a_reader_that_does_not_read_holds_up_nothing_else() {
    let embedded = Embedded::start();
    let mut command = embedded.command("sub", "-d -i s -t a -k 1 -q 1");
    let subscriber = Running::start_unread(&mut command).until("ready");
    embedded.publish(Message::new("a", vec![b'x'; 1_000_000], QoS::AtLeastOnce));
    // The client keeps the connection alive while its output is blocked.
    let pings = |count| {
        move |core: &packetboat_sim::broker::Broker| core.stats().received(PacketType::PingReq) >= count
    };
    embedded.runtime.block_on(embedded.broker.until(pings(2)));
    assert_eq!(embedded.broker.stats().connections, 1);
    // A first signal asks, a second does not wait.
    subscriber.signal("-TERM");
    let subscriber = subscriber.until("stopping");
    subscriber.signal("-TERM");
    subscriber.end().expect(128 + 15);
}
