//! A newcomer's first hour: from an empty folder, by what README and getting-started.md say, to the first message.

use std::fs;
use std::path::Path;

use crate::context::Context;
use crate::examples::{Broker, NO_BROKER, fails_in_words};
use crate::process;
use crate::step::{Outcome, Step};

/// The page, how its program begins, and what it prints.
const PROGRAMS: [(&str, &str, &str); 3] = [
    ("README.md", "use packetboat::", "greetings/world: 5 bytes"),
    ("docs/getting-started.md", "use packetboat::", "hello/world: Hello!"),
    ("docs/getting-started.md", "use std::time::Duration;\nuse packetboat_blocking::", "hello/world: Hello!"),
];

pub(crate) fn step() -> Step {
    Step::new("a newcomer's first program", run)
}

fn run(context: &mut Context) -> Outcome {
    // Elsewhere: inside the workspace it would be taken for a member.
    let folder = std::env::temp_dir().join(format!("packetboat-newcomer-{}", std::process::id()));
    let result = try_out(context, &folder);
    let _ = fs::remove_dir_all(&folder);
    result.into()
}

fn try_out(context: &Context, folder: &Path) -> Result<(), String> {
    let name = folder.to_string_lossy();
    process::cargo(context, &["new", "--quiet", "--vcs", "none", "--name", "boat", &name])?;
    let manifest = folder.join("Cargo.toml");
    let manifest_name = manifest.to_string_lossy();
    let mut text = read(&manifest)?;
    let page = read(&context.root.join("docs/getting-started.md"))?;
    for crate_name in ["packetboat =", "packetboat-blocking ="] {
        let begin = format!("toml\n[dependencies]\n{crate_name}");
        let lines = block(&page, &begin)
            .ok_or_else(|| format!("getting-started.md has no [dependencies] with {crate_name}"))?;
        text.push_str(
            &format!("{crate_name}{lines}").replace("../packetboat", &context.root.to_string_lossy()),
        );
    }
    write(&manifest, &text)?;
    // Without a port that example shows something else, and ends.
    if !page.contains("--example broker -- 1883\n") {
        return Err("getting-started.md starts no broker on port 1883".into());
    }
    let broker = Broker::build(context)?;
    let target = context.target_folder();
    let run =
        ["run", "--quiet", "--manifest-path", &manifest_name, "--target-dir", &target.to_string_lossy()];
    for (page, begin, wanted) in PROGRAMS {
        let text = read(&context.root.join(page))?;
        let program =
            block(&text, &format!("rust,no_run\n{begin}")).ok_or_else(|| format!("{page} has no program"))?;
        let program = format!("{begin}{program}");
        write(&folder.join("src/main.rs"), &program.replace("mqtt://127.0.0.1:1883", NO_BROKER))?;
        fails_in_words(context, "cargo", &run)?;
        write(&folder.join("src/main.rs"), &program.replace("mqtt://127.0.0.1:1883", &broker.url))?;
        let printed = process::output(context, "cargo", &run)?;
        if printed.trim() != wanted {
            return Err(format!("the program of {page} did not print `{wanted}`, but:\n{printed}"));
        }
    }
    Ok(())
}

/// What stands in the first fenced block that begins so.
fn block<'a>(page: &'a str, begin: &str) -> Option<&'a str> {
    let (_, rest) = page.split_once(&format!("```{begin}"))?;
    rest.split_once("```").map(|(text, _)| text)
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}
