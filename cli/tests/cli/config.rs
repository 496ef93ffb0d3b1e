use crate::support::{packetboat, run};

/// A file of this test's own.
struct File(std::path::PathBuf);

impl File {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("packetboat-cli-{}-{name}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        Self(path)
    }

    fn config(&self, command: &[&str]) -> std::process::Command {
        let (first, rest) = command.split_first().unwrap();
        let path = self.0.to_str().unwrap();
        packetboat(["config", first, path].into_iter().chain(rest.iter().copied()))
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn check_says_line_and_column_and_the_nearest_right_key() {
    let wrong = File::new("wrong.toml", "server = 'mqtt://h'\n  keep_alvie = 3\nwindow = 'x'\n");
    let ended = run(wrong.config(&["check"])).expect(1);
    let place = format!("{}:2:3: `keep_alvie` is no key: did you mean `keep_alive`?", wrong.0.display());
    ended.says(&place).says(":3:1: `window` must be a whole number from 1 to 65535, and is text");
    let fine =
        File::new("fine.json", "{\"mqtt\": {\"enable\": true, \"server\": \"h\", \"cloud_events\": true}}");
    let ended = run(fine.config(&["check"])).expect(0);
    assert!(ended.text().ends_with(": fine, with the keys of Mongoose OS\n"));
    ended.says("`mqtt.cloud_events` is not used");
    let missing = File::new("missing.yaml", "client_id: a\n");
    run(missing.config(&["check"])).expect(1).says("`server` is missing");
}

#[test]
fn show_says_where_values_come_from_and_no_secrets() {
    let file = File::new("show.yaml", "server: mqtt://u:hush@h\nkeep_alive: 7\npassword: hush\n");
    let mut command = file.config(&["show"]);
    command.env("PACKETBOAT_OPTION_KEEP_ALIVE", "8");
    let text = run(command).expect(0).text();
    assert!(text.contains("keep_alive = 8.0  # environment, PACKETBOAT_OPTION_KEEP_ALIVE\n"), "{text}");
    assert!(text.contains("show.yaml:3:1\n") && text.contains("window = 1024  # default\n"), "{text}");
    assert!(!text.contains("hush"), "{text}");
}

#[test]
fn convert_writes_what_convert_reads() {
    let amqtt = File::new("amqtt.yml", "keep_alive: 20\nping_delay: 2\ntopics: {'a': {qos: 1}}\n");
    let toml = run(amqtt.config(&["convert", "--to", "toml"])).expect(0).text();
    assert!(toml.contains("probe_ahead = 2\n") && toml.contains("[topics.a]\nqos = 1\n"), "{toml}");
    let own = File::new("own.toml", &toml);
    let yaml = run(own.config(&["convert", "--to", "yaml"])).expect(0).text();
    let back = run(File::new("back.yaml", &yaml).config(&["convert", "--to", "toml"])).expect(0).text();
    assert_eq!(back, toml);
    let schema = run(packetboat(["config", "schema"])).expect(0).text();
    assert!(schema.contains("2020-12"), "{schema}");
}
