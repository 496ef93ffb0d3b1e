use crate::support::{packetboat_line, run};

/// The letters people know from `mosquitto_pub` and `mosquitto_sub`, and what else was promised.
const SHARED: &str =
    "-h -p -u -P -i -k -c -x -V -d -D -A -L --quiet --will-topic --will-payload --will-qos --will-retain";
const PUBLISH: &str = "-t -m -f -l -s -n -q -r --repeat --repeat-delay -W";
const SUBSCRIBE: &str =
    "-t -q -v -C -W -F -N -T -R -E -U --retained-only --remove-retained --retain-as-published";

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

#[test]
fn the_command_alone_says_what_it_can_do() {
    let text = run(packetboat_line("--help")).expect(0).text();
    for part in ["demo", "pub", "sub", "completions", "Examples:", "Exit codes:"] {
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
