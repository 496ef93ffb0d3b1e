//! Installing what the tests need: Debian's packages, rustup's components and targets, tools from crates.io.

use crate::context::Context;
use crate::process;
use crate::step::{Outcome, Step};

pub(crate) const BARE_TARGETS: [&str; 2] = ["thumbv7em-none-eabihf", "wasm32-unknown-unknown"];

pub(crate) fn steps() -> Vec<Step> {
    vec![
        Step::new("OpenSSL's headers", openssl),
        Step::new("rustfmt and clippy", components),
        broker(),
        Step::new("proxies", proxies),
        Step::new("tmux", tmux),
    ]
}

pub(crate) fn broker() -> Step {
    Step::new("mosquitto", mosquitto)
}

fn components(context: &mut Context) -> Outcome {
    let is_there = |context: &Context, tool| process::succeeds(context, "cargo", &[tool, "--version"]);
    if is_there(context, "fmt") && is_there(context, "clippy") {
        return Outcome::Done(String::new());
    }
    process::run_patiently(context, "rustup", &["component", "add", "rustfmt", "clippy"]).into()
}

/// What `packetboat-openssl` is built with. Elsewhere than on Debian its build finds them, or says what is missing.
fn openssl(context: &mut Context) -> Outcome {
    let there = ["/usr/include/openssl/ssl.h", "/usr/local/include/openssl/ssl.h"];
    if there.iter().any(|path| std::path::Path::new(path).exists()) {
        return Outcome::Done(String::new());
    }
    debian_packages(context, &["libssl-dev", "pkg-config"]).into()
}

/// The proxies the tests go through.
fn proxies(context: &mut Context) -> Outcome {
    let programs = ["tinyproxy", "danted"];
    let is_there =
        |context: &Context| programs.iter().all(|program| process::find(context, program).is_some());
    if !is_there(context) {
        let result = debian_packages(context, &["tinyproxy", "dante-server"]);
        if !is_there(context) {
            let why = result.err().unwrap_or_else(|| "installed, and yet not found".into());
            return Outcome::Skipped(format!("no proxies, so no tests through real ones: {why}"));
        }
    }
    context.set("PACKETBOAT_REQUIRE_PROXIES", "1");
    Outcome::Done(String::new())
}

/// The terminal that tests look at.
fn tmux(context: &mut Context) -> Outcome {
    let is_there = |context: &Context| process::find(context, "tmux").is_some();
    if !is_there(context) {
        let result = debian_packages(context, &["tmux"]);
        if !is_there(context) {
            let why = result.err().unwrap_or_else(|| "installed, and yet not found".into());
            return Outcome::Skipped(format!("no tmux, so no tests of what is drawn on a terminal: {why}"));
        }
    }
    context.set("PACKETBOAT_REQUIRE_TMUX", "1");
    Outcome::Done(String::new())
}

/// The broker the tests talk to. With it, a test that cannot start it fails; without it, such tests say so and pass.
fn mosquitto(context: &mut Context) -> Outcome {
    let programs = ["mosquitto", "mosquitto_pub", "mosquitto_sub"];
    let is_there =
        |context: &Context| programs.iter().all(|program| process::find(context, program).is_some());
    if !is_there(context) {
        let result = debian_packages(context, &["mosquitto", "mosquitto-clients"]);
        if !is_there(context) {
            let why = result.err().unwrap_or_else(|| "installed, and yet not found".into());
            return Outcome::Skipped(format!("no mosquitto, so no tests against a real broker: {why}"));
        }
    }
    context.set("PACKETBOAT_REQUIRE_BROKER", "1");
    Outcome::Done(String::new())
}

/// Links that can be broken: `ip netns` and `nft`, as root, on a kernel that has them.
pub(crate) fn namespaces(context: &Context) -> Result<(), String> {
    const RULES: &str = "add table inet a; add chain inet a input { type filter hook input priority 0; }; \
        add rule inet a input iifname near numgen random mod 100 < 15 drop";
    let programs = ["ip", "tc", "nft"];
    let is_there =
        |context: &Context| programs.iter().all(|program| process::find(context, program).is_some());
    if !is_there(context) {
        let result = debian_packages(context, &["iproute2", "nftables"]);
        if !is_there(context) {
            return Err(result.err().unwrap_or_else(|| "installed, and yet not found".into()));
        }
    }
    let name = format!("packetboat-{}", std::process::id());
    process::output(context, "ip", &["netns", "add", &name])?;
    let all_that_is_used = [
        &["-n", &name, "link", "add", "near", "type", "veth", "peer", "name", "far"][..],
        &["netns", "exec", &name, "nft", RULES],
    ];
    let result =
        all_that_is_used.iter().try_for_each(|words| process::output(context, "ip", words).map(drop));
    process::output(context, "ip", &["netns", "delete", &name])?;
    result
}

/// Counts instructions, for the guard of budgets and `cargo xtask bench counts`.
pub(crate) fn valgrind(context: &Context) -> Result<(), String> {
    let is_there = |context: &Context| process::succeeds(context, "valgrind", &["--version"]);
    if is_there(context) {
        return Ok(());
    }
    // The library's symbols are apart, and valgrind does not start without those of the loader.
    let result = debian_packages(context, &["valgrind", "libc6-dbg"]);
    if is_there(context) {
        return Ok(());
    }
    Err(result.err().unwrap_or_else(|| "installed, and yet not found".into()))
}

/// The compiler for the C in our TLS, for programs with musl.
pub(crate) fn musl(context: &Context) -> Result<(), String> {
    let is_there = |context: &Context| process::find(context, "musl-gcc").is_some();
    if is_there(context) {
        return Ok(());
    }
    let result = debian_packages(context, &["musl-tools"]);
    if is_there(context) {
        return Ok(());
    }
    Err(result.err().unwrap_or_else(|| "installed, and yet not found".into()))
}

/// Installs Debian packages, as root or through sudo.
pub(crate) fn debian_packages(context: &Context, packages: &[&str]) -> Result<(), String> {
    if process::find(context, "apt-get").is_none() {
        return Err(format!("no apt-get here: install {} by hand", packages.join(" ")));
    }
    let is_root = process::output(context, "id", &["-u"]).is_ok_and(|id| id.trim() == "0");
    let mut words = Vec::new();
    if !is_root {
        // Nobody is there to type a password with CI=true, and standard input is closed.
        process::output(context, "sudo", &["-n", "true"])?;
        words.extend(["sudo", "-n"]);
    }
    // A machine that has just started may be installing updates.
    words.extend(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-o", "DPkg::Lock::Timeout=120"]);
    let update = [&words[..], &["update", "-qq"]].concat();
    let install = [&words[..], &["install", "-qq", "-y", "--no-install-recommends"], packages].concat();
    process::patiently(process::PAUSES, || {
        // A stale or partly unreachable list of packages may still be good enough to install from.
        if let Err(why) = process::run(context, update[0], &update[1..]) {
            println!("{why}");
        }
        process::run(context, install[0], &install[1..])
    })
}

/// Makes a compilation target available, if that can be done.
pub(crate) fn target(context: &Context, target: &str) -> Result<(), String> {
    let is_installed = |context: &Context| {
        let folder = process::output(context, "rustc", &["--print", "target-libdir", "--target", target]);
        folder.is_ok_and(|folder| std::path::Path::new(folder.trim()).is_dir())
    };
    if is_installed(context) {
        return Ok(());
    }
    process::run_patiently(context, "rustup", &["target", "add", target])?;
    if is_installed(context) {
        Ok(())
    } else {
        Err(format!("rustup added {target}, and yet it is not there"))
    }
}

/// Builds a cargo tool for these tasks, once per target folder, unless the machine has one.
pub(crate) fn tool(context: &mut Context, name: &str, version: &str) -> Result<(), String> {
    let folder = context.tools_folder();
    let path = context.value("PATH").unwrap_or_default();
    context.set("PATH", format!("{path}:{}", folder.join("bin").display()));
    if process::find(context, name).is_some() {
        return Ok(());
    }
    let folder = folder.to_string_lossy();
    // Unoptimized: it runs for a second, and optimizing it takes two minutes.
    let install =
        ["install", name, "--version", version, "--locked", "--quiet", "--debug", "--root", &folder];
    process::patiently(process::PAUSES, || {
        let mut command = process::command(context, "cargo", &install);
        command.env("CARGO_PROFILE_DEV_DEBUG", "0");
        process::run_command(command, &format!("cargo {}", install.join(" ")))
    })
}
