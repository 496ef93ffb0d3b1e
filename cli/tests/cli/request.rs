//! `rr`, against the embedded broker and mosquitto.

use packetboat::{Client, Incoming};

use crate::support::{Embedded, Mosquitto, Running, run, run_with};

/// A broker with somebody who answers on `ask/+`.
fn answering() -> (Embedded, packetboat::Responder) {
    let embedded = Embedded::start();
    let responder = embedded.runtime.block_on(async {
        let client = Client::connect(embedded.broker.url()).await.unwrap();
        let handler = async |request: Incoming| match request.payload() {
            b"fail" => Err("cannot"),
            payload => Ok([request.topic().as_bytes(), b"=", payload].concat()),
        };
        client.respond_to("ask/+", handler).await.unwrap()
    });
    (embedded, responder)
}

#[test]
fn a_request_prints_its_answer() {
    let (embedded, responder) = answering();
    for version in ["5", "311"] {
        for (line, input, printed) in [
            ("-t ask/a -m one", "", "ask/a=one\n"),
            ("-t ask/a -n -N -q 2", "", "ask/a="),
            ("-t ask/a -s -q 1", "two", "ask/a=two\n"),
            ("-t ask/a -m x -F %p;%q", "", "ask/a=x;0\n"),
        ] {
            let line = format!("{line} -V {version}");
            let ended = run_with(embedded.command("rr", &line), input.as_bytes()).expect(0);
            assert_eq!(ended.text(), printed, "{line}");
        }
    }
    run(embedded.command("rr", "-t ask/a -m fail")).expect(3).says("cannot");
    run(embedded.command("rr", "-t nobody -m x -q 1 -V 5")).expect(3).says("nobody");
    run(embedded.command("rr", "-t nobody -m x -W 0.2")).expect(27).says("-W");
    let ended = run(embedded.command("rr", "-t ask/a -m x -e my/answers -v -V 5")).expect(0);
    assert_eq!(ended.text(), "my/answers ask/a=x\n");
    run(embedded.command("rr", "-t nobody -m x -e my/answers -W 0.2")).expect(27);
    run(embedded.command("rr", "-m x")).expect(1);
    let own = "-t ask/a -m x -D publish correlation-data mine";
    run(embedded.command("rr", &format!("{own} -e my/answers -V 5"))).expect(0);
    for line in
        [own, "-t ask/a -m x -D publish response-topic t", "-t ask/a -m x -e t -D publish response-topic t"]
    {
        run(embedded.command("rr", line)).expect(1).says("-e");
    }
    embedded.assert_no_violations();
    drop(responder);
}

#[test]
fn mosquittos_own_command_and_ours_answer_each_other() {
    let Some(broker) = Mosquitto::start() else { return };
    // Ours asks; mosquitto's tools answer on the topic of -e.
    let asking = Running::start(broker.command("rr", "-d -t ask -m x -e answer -V 311"));
    let asking = asking.until("connected");
    broker.until("answer (QoS 0)");
    run(broker.theirs("mosquitto_pub", "-t answer -m 42")).expect(0);
    assert_eq!(asking.end().expect(0).text(), "42\n");
    // Theirs asks; ours answers.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let responder = runtime.block_on(async {
        let client = Client::connect(format!("mqtt://127.0.0.1:{}", broker.port)).await.unwrap();
        let handler = async |request: Incoming| Ok::<_, String>(request.payload().to_ascii_uppercase());
        client.respond_to("ask", handler).await.unwrap()
    });
    let ended = run(broker.theirs("mosquitto_rr", "-t ask -e theirs -m boat -W 10")).expect(0);
    assert_eq!(ended.text(), "BOAT\n");
    drop(responder);
}
