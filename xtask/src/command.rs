//! The command as it can be had: each build is made as a user would, and then publishes and receives.

use std::path::Path;

use crate::context::Context;
use crate::examples::Broker;
use crate::prepare;
use crate::process;
use crate::step::{Outcome, Step};

pub(crate) fn steps() -> Vec<Step> {
    vec![
        Step::new("installed command", |context| installed(context).into()),
        Step::new("static command", statically),
        Step::new("command without features", |context| without_features(context).into()),
        Step::new("command with OpenSSL alone", |context| with_openssl(context).into()),
    ]
}

/// `cargo install`, with the lock file.
fn installed(context: &Context) -> Result<(), String> {
    let folder = context.target_folder().join("installed");
    let root = folder.to_string_lossy();
    let install = ["install", "--quiet", "--path", "cli", "--locked", "--force", "--root", &root];
    process::cargo(context, &install)?;
    try_out(context, &folder.join("bin").join("packetboat"))
}

/// Without any library of the system: built with musl.
fn statically(context: &mut Context) -> Outcome {
    if !cfg!(target_os = "linux") {
        return Outcome::Skipped("musl is for Linux".into());
    }
    let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    if let Err(why) = prepare::target(context, &target).and_then(|()| prepare::musl(context)) {
        return Outcome::Skipped(format!("NO STATIC BUILD: {why}"));
    }
    let build = ["build", "--quiet", "--package", "packetboat-cli", "--target", &target];
    if let Err(why) = process::cargo(context, &build) {
        return Outcome::Failed(why);
    }
    let program = context.target_folder().join(&target).join("debug").join("packetboat");
    // It fails with what is not dynamic, or says so.
    let libraries = process::output(context, "ldd", &[&program.to_string_lossy()]);
    if libraries.is_ok_and(|libraries| !libraries.contains("statically linked")) {
        return Outcome::Failed(format!("{} needs libraries", program.display()));
    }
    try_out(context, &program).into()
}

fn without_features(context: &Context) -> Result<(), String> {
    build_and_test(context, &["--no-default-features"], "mistakes::")
}

/// Its own tests are against mosquitto with pre-shared keys.
fn with_openssl(context: &Context) -> Result<(), String> {
    build_and_test(context, &["--no-default-features", "--features", "openssl"], "openssl::")
}

/// With these features, and with these of its tests: what it leaves out is told.
fn build_and_test(context: &Context, features: &[&str], tests: &str) -> Result<(), String> {
    let test = ["test", "--quiet", "--package", "packetboat-cli", "--test", "cli"];
    let names = ["--", tests, "what_this_build_leaves_out"];
    process::cargo(context, &[&test[..], features, &names].concat())?;
    try_out(context, &context.target_folder().join("debug").join("packetboat"))
}

/// The demonstration, and a message that is kept by a broker in another process and fetched from there.
fn try_out(context: &Context, program: &Path) -> Result<(), String> {
    let program = program.to_string_lossy();
    process::run(context, &program, &["--version"])?;
    process::run(context, &program, &["demo"])?;
    let broker = Broker::build(context)?;
    let location = format!("{}/kept", broker.url);
    process::run(context, &program, &["pub", "-L", &location, "-m", "here it is", "-q", "1", "-r"])?;
    let printed = process::output(context, &program, &["sub", "-L", &location, "-C", "1", "-W", "60"])?;
    if printed == "here it is\n" { Ok(()) } else { Err(format!("{program} sub printed {printed:?}")) }
}
