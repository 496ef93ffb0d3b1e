use crate::support::{Folder, packetboat_line, run};

/// The letters people know from `mosquitto_pub` and `mosquitto_sub`, and what else was promised.
const SHARED: &str = "-h -p -u -P -i -k -c -x -V -d -D -A -L --config --quiet --will-topic --will-payload --will-qos --will-retain";
const PUBLISH: &str = "-t -m -f -l -s -n -q -r --repeat --repeat-delay -W";
const SUBSCRIBE: &str = "-t -q -v -C -W -F -N -T -R -E -U --retained-only --remove-retained --retain-as-published \
     --where --pointer --pretty --output-file --rotate --keep --rate";

#[track_caller]
fn has_options(help: &str, options: &str) {
    for option in options.split(' ') {
        let listed = help
            .lines()
            .any(|line| line.split_whitespace().take(2).any(|word| word.trim_end_matches(',') == option));
        assert!(listed, "{option} is not in: {help}");
    }
}

#[test]
fn help_lists_every_option_and_has_examples() {
    for (command, options, example) in [
        ("pub", PUBLISH, "packetboat pub -t room/1/temperature -m 21.5 -q 1"),
        ("sub", SUBSCRIBE, "packetboat sub -t room/1/state -C 1 -W 5"),
    ] {
        for help in [format!("{command} --help"), format!("help {command}")] {
            let text = run(packetboat_line(&help)).expect(0).text();
            has_options(&text, SHARED);
            has_options(&text, options);
            assert!(text.contains("Examples:") && text.contains(example), "{text}");
            assert!(text.contains("Exit codes:") && text.contains("27"), "{text}");
        }
    }
}

/// Options that all commands with a connection share are the same ones.
#[test]
fn every_command_has_help_with_an_example() {
    for command in ["record", "replay", "bench", "doctor", "top"] {
        let text = run(packetboat_line(&format!("{command} --help"))).expect(0).text();
        has_options(&text, SHARED);
        assert!(text.contains("Exit codes:"), "{text}");
        assert!(command == "top" || text.contains(&format!("packetboat {command} ")), "{text}");
    }
}

/// As `man` reads them: one for each command, with the text of its help.
#[test]
fn manual_pages_are_written() {
    let folder = Folder::new();
    let mut command = packetboat_line("man");
    command.arg(folder.file("man1"));
    run(command).expect(0);
    for (page, text) in [
        ("packetboat.1", "packetboat\\-doctor"),
        ("packetboat-sub.1", "\\-\\-output\\-file"),
        ("packetboat-record.1", "packetboat_recording"),
        ("packetboat-config-check.1", "line and column"),
    ] {
        let written = std::fs::read_to_string(folder.file("man1").join(page)).unwrap();
        assert!(written.contains(text), "{text} is not in: {written}");
    }
    run(packetboat_line("man /proc/nowhere/man1")).expect(1).says("cannot be written");
}

#[test]
fn the_command_alone_says_what_it_can_do() {
    let text = run(packetboat_line("--help")).expect(0).text();
    for part in [
        "demo",
        "pub",
        "sub",
        "record",
        "replay",
        "bench",
        "doctor",
        "top",
        "man",
        "completions",
        "Examples:",
        "Exit codes:",
    ] {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
    assert!(run(packetboat_line("")).expect(1).stderr.contains("Usage: packetboat"));
    assert_eq!(
        run(packetboat_line("--version")).expect(0).text(),
        format!("packetboat {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn completions_are_written_for_each_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let text = run(packetboat_line(&format!("completions {shell}"))).expect(0).text();
        assert!(text.contains("retain-as-published"), "{shell}: {text}");
    }
    run(packetboat_line("completions csh")).expect(1).says("bash");
}
