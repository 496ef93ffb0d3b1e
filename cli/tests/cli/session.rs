//! What is kept, and for whom: sessions, versions, wills, keep-alive.

use packetboat::{QoS, Reason, Version};
use packetboat_core::wire::PacketType;
use packetboat_sim::broker::{Config, Message, Refusal};
use packetboat_sim::net::Options;

use crate::support::{Embedded, packetboat_line, run};

fn has_session(embedded: &Embedded, client: &str) -> bool {
    embedded.broker.with(|core, _| core.has_session(client))
}

fn subscriptions(embedded: &Embedded, client: &str) -> Vec<String> {
    embedded.broker.with(|core, _| core.subscriptions(client).into_iter().map(str::to_owned).collect())
}

#[test]
fn a_session_is_prepared_and_fetched_later() {
    for version in ["5", "311"] {
        let embedded = Embedded::start();
        let line = format!("-V {version} -i s -c -q 1 -t a -t b");
        run(embedded.command("sub", &format!("{line} -E"))).expect(0);
        run(embedded.command("pub", &format!("-V {version} -t a -m kept -q 1"))).expect(0);
        assert_eq!(run(embedded.command("sub", &format!("{line} -C 1"))).expect(0).text(), "kept\n");
        assert!(has_session(&embedded, "s"));

        run(embedded.command("sub", &format!("-V {version} -i s -c -U a -E"))).expect(0);
        assert_eq!(subscriptions(&embedded, "s"), ["b"]);
        embedded.assert_no_violations();
    }
}

#[test]
fn nothing_is_kept_without_being_asked_for() {
    let embedded = Embedded::start();
    run(embedded.command("sub", "-i s -t a -E")).expect(0);
    run(embedded.command("pub", "-i p -t a -m x -q 1")).expect(0);
    run(embedded.command("sub", "-i t -t a -E -c -x 0")).expect(0);
    assert!(["s", "p", "t"].iter().all(|client| !has_session(&embedded, client)));
}

#[test]
fn expiry_without_c_begins_anew_and_is_kept() {
    let embedded = Embedded::start();
    run(embedded.command("sub", "-i s -c -q 1 -t old -E")).expect(0);
    run(embedded.command("sub", "-i s -x 1000 -q 1 -t new -E")).expect(0);
    assert_eq!(subscriptions(&embedded, "s"), ["new"]);
    run(embedded.command("sub", "-i s -c -q 1 -t other -E -D connect session-expiry-interval 1000"))
        .expect(0);
    assert_eq!(subscriptions(&embedded, "s").len(), 2);
    embedded.assert_no_violations();
}

#[test]
fn sessions_that_are_kept_need_a_name() {
    run(packetboat_line("sub -t a -c")).expect(1).says("add -i <id>");
    run(packetboat_line("sub -t a -x -1")).expect(1).says("add -i <id>");
    run(packetboat_line("pub -t a -m x -c")).expect(1).says("add -i <id>");
}

#[test]
fn versions_are_chosen_or_found() {
    let embedded = Embedded::start();
    for (version, name) in [("auto", "5.0"), ("mqttv5", "5.0"), ("mqttv311", "3.1.1"), ("31", "3.1")] {
        let ended = run(embedded.command("sub", &format!("-d -t a -E -V {version}"))).expect(0);
        assert!(ended.stderr.contains(&format!("MQTT {name},")), "{}", ended.stderr);
    }
    let config =
        Config { versions: vec![Version::V311], wrong_version: Refusal::OldShape(1), ..Config::default() };
    let embedded = Embedded::with(Options::new().config(config));
    run(embedded.command("sub", "-d -t a -E")).expect(0).says("MQTT 3.1.1,");
    run(embedded.command("sub", "-t a -E -V 5")).expect(3).says("version");
    // Properties need 5.0, and are not left out in silence.
    run(embedded.command("pub", "-t a -m x -D publish content-type a")).expect(3).says("version");
    run(embedded.command("pub", "-V 311 -t a -m x -D publish content-type a"))
        .expect(1)
        .says("-D is for MQTT 5.0");
}

#[test]
fn the_will_is_published_when_the_client_is_lost_and_only_then() {
    let embedded = Embedded::start();
    let line = "-i w -t a --will-topic w --will-payload gone --will-qos 1 --will-retain \
                -D will content-type text/plain -D will will-delay-interval 0";
    let subscriber = embedded.subscriber(line);
    subscriber.signal("-TERM");
    subscriber.end().expect(0);
    assert!(embedded.broker.with(|core, _| core.retained("w").is_none()));
    let subscriber = embedded.subscriber(line);
    subscriber.kill();
    embedded.runtime.block_on(embedded.broker.until(|core| core.retained("w").is_some()));
    embedded.broker.with(|core, _| {
        let will: &Message = core.retained("w").unwrap();
        assert_eq!((&will.payload[..], will.qos), (&b"gone"[..], QoS::AtLeastOnce));
        assert_eq!(will.properties.as_properties().content_type(), Some("text/plain"));
    });
    run(packetboat_line("sub -t a --will-payload x")).expect(1).says("--will-topic");
    run(packetboat_line("sub -t a -D will content-type x")).expect(1).says("--will-topic");
    run(packetboat_line("sub -t a --will-topic #")).expect(1).says("will");
}

#[test]
fn a_silent_broker_is_noticed_by_keep_alive() {
    let embedded = Embedded::start();
    let subscriber = embedded.subscriber("-t a -k 1");
    embedded.broker.faults().swallow(PacketType::PingResp);
    let subscriber = subscriber.until("trying again");
    subscriber.signal("-INT");
    subscriber.end().expect(0).says("silent");
}

#[test]
fn a_subscription_outlives_a_restart_of_the_broker() {
    let mut embedded = Embedded::start();
    let subscriber = embedded.subscriber("-t a -q 1 -C 1");
    let runtime = &embedded.runtime;
    let stopped = runtime.block_on(embedded.broker.stop());
    embedded.broker = runtime.block_on(stopped.restart(false)).unwrap();
    runtime.block_on(embedded.broker.until(|core| core.stats().received(PacketType::Subscribe) >= 2));
    embedded.publish(Message::new("a", "again", QoS::AtLeastOnce));
    assert_eq!(subscriber.end().expect(0).says("trying again").text(), "again\n");
}

#[test]
fn a_goodbye_is_said() {
    let embedded = Embedded::start();
    run(embedded.command("pub", "-i p -t a -m x")).expect(0);
    let farewell = embedded.broker.with(|core, _| core.farewell("p"));
    assert_eq!(farewell, Some(Reason::NORMAL_DISCONNECTION));
}
