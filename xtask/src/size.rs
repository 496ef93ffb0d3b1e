//! What the client adds to a program: crates, bytes and the time to build, for each set of features.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::context::Context;
use crate::process;
use crate::step::{Outcome, Step};

const PROGRAM: &str = r#"use packetboat::Client;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::connect("mqtt://127.0.0.1:1883").await?;
    let mut greetings = client.subscribe("greetings/#").await?;
    client.publish("greetings/world", "Hello").await?;
    if let Some(message) = greetings.next().await {
        println!("{}: {} bytes", message.topic(), message.payload().len());
    }
    client.disconnect().await?;
    Ok(())
}
"#;

/// Of these sources, and without features of older ones beside them.
pub(crate) fn steps(older: Option<&str>) -> Vec<Step> {
    let older = older.map(PathBuf::from);
    vec![Step::new("what the client adds to a program", move |context| {
        let folder = std::env::temp_dir().join(format!("packetboat-size-{}", std::process::id()));
        let result = measure(context, &folder, older.as_deref());
        let _ = fs::remove_dir_all(&folder);
        match result {
            Ok(table) => {
                println!("\n{table}");
                Outcome::Done(String::new())
            }
            Err(why) => Outcome::Failed(why),
        }
    })]
}

fn measure(context: &Context, folder: &Path, older: Option<&Path>) -> Result<String, String> {
    let older =
        older.map(|older| fs::canonicalize(older).map_err(|error| format!("{}: {error}", older.display())));
    let mut rows = Vec::new();
    if let Some(older) = older.transpose()? {
        rows.push((older, "", "none, the older sources"));
    }
    for (features, name) in [
        ("", "none"),
        ("\"websocket\"", "`websocket`"),
        ("\"tls\"", "`tls`"),
        ("\"tls\", \"websocket\"", "both, the default"),
    ] {
        rows.push((context.root.clone(), features, name));
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut table = vec![
        format!(
            "| Features of `packetboat` | Crates besides the program | Bytes | Seconds to build on {cores} cores |"
        ),
        "| --- | --- | --- | --- |".to_owned(),
    ];
    for (sources, features, name) in rows {
        let (crates, bytes, seconds) = build(context, folder, &sources, features)?;
        table.push(format!("| {name} | {crates} | {} | {seconds:.1} |", grouped(bytes)));
    }
    Ok(table.join("\n"))
}

/// From nothing, as a user would.
fn build(
    context: &Context,
    folder: &Path,
    sources: &Path,
    features: &str,
) -> Result<(usize, u64, f64), String> {
    let client = sources.join("client");
    let manifest = format!(
        "[package]\nname = \"boat\"\nedition = \"2024\"\n\n[dependencies]\n\
         packetboat = {{ path = '{}', default-features = false, features = [{features}] }}\n\
         tokio = {{ version = \"1\", default-features = false, features = [\"macros\", \"rt\"] }}\n\n\
         [profile.release]\nstrip = true\n\n[workspace]\n",
        client.display()
    );
    let _ = fs::remove_dir_all(folder);
    let path = folder.join("Cargo.toml");
    let written = fs::create_dir_all(folder.join("src"))
        .and_then(|()| fs::write(folder.join("src/main.rs"), PROGRAM))
        .and_then(|()| fs::write(&path, manifest));
    written.map_err(|error| format!("{}: {error}", folder.display()))?;
    let path = path.to_string_lossy();
    // This downloads, too.
    let tree = ["tree", "--manifest-path", &path, "-e", "normal,build", "--prefix", "none", "--no-dedupe"];
    let tree = process::output(context, "cargo", &tree)?;
    // Beside name and version a line may have a path or a mark.
    let crates: BTreeSet<Vec<&str>> = tree.lines().map(|line| line.split(' ').take(2).collect()).collect();
    let (target, begin) = (folder.join("target"), Instant::now());
    let target_name = target.to_string_lossy();
    let release = ["build", "--release", "--quiet", "--manifest-path", &path, "--target-dir", &target_name];
    process::cargo(context, &release)?;
    let seconds = begin.elapsed().as_secs_f64();
    let program = target.join("release").join(format!("boat{}", std::env::consts::EXE_SUFFIX));
    let size = fs::metadata(&program).map_err(|error| format!("{}: {error}", program.display()))?.len();
    Ok((crates.len() - 1, size, seconds))
}

/// With commas between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
