use crate::support::{packetboat_line, run};

#[test]
fn the_demonstration_proves_it() {
    let ended = run(packetboat_line("demo")).expect(0);
    let text = ended.text();
    for part in ["connected", "subscribed", "cut", "lost", "reconnected", "session resumed", "QoS 0", "QoS 1"]
    {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
    let row = text.lines().find(|line| line.contains("QoS 2 exactly once")).unwrap();
    let numbers: Vec<&str> = row.split_whitespace().skip(4).take(4).collect();
    assert_eq!(numbers, ["2000", "2000", "0", "0"], "{text}");
    assert_eq!(text.matches("reconnected").count(), 2, "{text}");
    assert!(!text.contains('\x1b'), "colour without a terminal: {text}");
    assert_eq!(ended.stderr, "");
}

#[test]
fn colour_can_be_demanded_and_forbidden() {
    let mut command = packetboat_line("sub -h");
    command.env("CLICOLOR_FORCE", "1");
    assert!(run(command).expect(1).stderr.contains('\x1b'));
    let mut command = packetboat_line("sub -h");
    command.env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1");
    assert!(!run(command).expect(1).stderr.contains('\x1b'));
}
