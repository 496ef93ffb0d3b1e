//! What the pages show that is not Rust: configurations are read, manifests name crates there are, and every page is
//! compiled and can be found.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]

use std::fs;
use std::path::{Path, PathBuf};

use packetboat_config::{Config, Format};
use packetboat_docs::PAGES;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The pages here, and those that stand in front of crates.
fn texts() -> Vec<(String, String)> {
    let pages = PAGES.iter().map(|page| format!("docs/{page}"));
    let front = ["README.md", "blocking/README.md", "config/README.md"].map(str::to_owned);
    pages.chain(front).map(|path| (path.clone(), fs::read_to_string(root().join(&path)).unwrap())).collect()
}

/// The blocks of code in these languages, with their places.
fn blocks(languages: &[&str]) -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    for (path, text) in texts() {
        let mut lines = text.lines().enumerate();
        while let Some((number, line)) = lines.next() {
            let Some(language) = line.trim_start().strip_prefix("```") else { continue };
            let body: Vec<&str> = lines
                .by_ref()
                .map(|(_, line)| line)
                .take_while(|line| !line.trim_start().starts_with("```"))
                .collect();
            if languages.contains(&language) {
                found.push((format!("{path}:{}", number + 1), language.to_owned(), body.join("\n") + "\n"));
            }
        }
    }
    found
}

#[test]
fn every_page_is_compiled_and_the_index_leads_to_it() {
    let mut files: Vec<String> = fs::read_dir(root().join("docs"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| Path::new(name).extension().is_some_and(|extension| extension == "md"))
        .collect();
    files.sort();
    assert_eq!(files, PAGES, "docs/src/lib.rs lists the pages of the folder, in their order");
    let source = include_str!("../src/lib.rs");
    let index = fs::read_to_string(root().join("docs/README.md")).unwrap();
    for page in PAGES {
        assert!(source.contains(&format!("include_str!(\"../{page}\")")), "{page} is not compiled");
        assert!(
            *page == "README.md" || index.contains(&format!("({page})")),
            "README.md has no link to {page}"
        );
    }
}

#[test]
fn every_configuration_shown_is_read_and_gives_options() {
    let formats =
        [("toml", Format::Toml), ("json", Format::Json), ("jsonc", Format::Json), ("yaml", Format::Yaml)];
    let mut count = 0;
    for (place, language, text) in blocks(&formats.map(|(language, _)| language)) {
        // The hub's files are read by tests of the hub.
        if text.contains("[dependencies]") || place.starts_with("docs/hub.md") {
            continue;
        }
        let format = formats.iter().find(|(name, _)| *name == language).unwrap().1;
        let config = Config::parse(&text, format).unwrap_or_else(|error| panic!("{place}: {error}"));
        // Pre-shared keys are another build's.
        if let Err(error) = config.options() {
            assert!(error.to_string().contains("feature `openssl`"), "{place}: {error}");
        }
        count += 1;
    }
    assert!(count >= 1, "{count} configurations");
}

#[test]
fn manifests_name_crates_and_features_there_are() {
    let mut count = 0;
    for (place, _, text) in blocks(&["toml"]) {
        let Some((_, dependencies)) = text.split_once("[dependencies]") else { continue };
        for line in dependencies.lines().filter(|line| line.starts_with("packetboat")) {
            let (name, value) = line.split_once('=').unwrap();
            let folder = match name.trim().strip_prefix("packetboat") {
                Some("") => "client",
                Some(rest) => rest.trim_start_matches('-'),
                None => unreachable!(),
            };
            let manifest = fs::read_to_string(root().join(folder).join("Cargo.toml"));
            let manifest = manifest.unwrap_or_else(|error| panic!("{place}: {name}: {error}"));
            let features = value.split_once("features = [").map_or("", |(_, list)| list);
            for feature in features.split('"').skip(1).step_by(2) {
                assert!(manifest.contains(&format!("\n{feature} = [")), "{place}: {name} has no {feature}");
            }
            count += 1;
        }
    }
    assert!(count >= 1, "{count} dependencies");
}

/// A table says it whole, by its last part, or as all of its section.
#[test]
fn every_key_that_is_read_of_another_system_stands_in_its_guide() {
    for (system, page) in [("amqtt", "from-amqtt.md"), ("mongoose", "from-mongoose-os.md")] {
        let source = root().join("config/src/dialect").join(system).with_extension("rs");
        let source = fs::read_to_string(source).unwrap();
        let page = fs::read_to_string(root().join("docs").join(page)).unwrap();
        let rows = page.lines().filter(|line| line.starts_with("| "));
        let first: Vec<&str> = rows.filter_map(|line| line.split(" | ").next()).collect();
        let told: Vec<&str> = first.iter().flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
        let keys = source.split("    key(\"").skip(1).map(|rest| rest.split('"').next().unwrap());
        let mut count = 0;
        for key in keys {
            let (section, last) = key.rsplit_once('.').unwrap_or(("", key));
            let stands = told.iter().any(|said| *said == key || *said == last)
                || section == "will" && told.contains(&section)
                || page.contains(&format!(".{last}`"));
            assert!(stands, "{system}: `{key}` is not in its guide");
            count += 1;
        }
        assert!(count > 20, "{count} keys of {system}");
    }
}

/// In the first column of its tables: words with spaces between them are said by the program.
#[test]
fn the_errors_of_the_troubleshooting_page_are_said_by_this_code() {
    let mut code = String::new();
    for folder in ["core/src", "client/src", "blocking/src", "config/src"] {
        read_sources(&root().join(folder), &mut code);
    }
    // Where a text is broken over lines.
    let code = code.split_whitespace().collect::<Vec<_>>().join(" ").replace("\\ ", "").to_lowercase();
    let page = fs::read_to_string(root().join("docs/troubleshooting.md")).unwrap();
    let mut count = 0;
    for line in page.lines().filter(|line| line.starts_with("| ")) {
        let first = line.split(" | ").next().unwrap();
        for said in first.split('`').skip(1).step_by(2).filter(|said| said.contains(' ')) {
            for part in said.split([':', ',']).flat_map(|part| part.split("..")).map(str::trim) {
                // A number and the like is put in its place by the code.
                assert!(code.contains(&part.to_lowercase()), "nobody says `{part}`: {line}");
                count += 1;
            }
        }
    }
    assert!(count > 20, "{count} texts");
}

fn read_sources(folder: &Path, into: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_sources(&path, into);
        } else {
            into.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}
