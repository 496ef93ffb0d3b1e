//! The project's own tasks: `cargo xtask check | test | spec | soak | bench | fuzz | mutants`.
//!
//! A command is a list of steps ([`step::Step`]); every step runs, and a summary says what became of each.

mod check;
mod command;
mod context;
mod examples;
mod extra;
mod interop;
mod mutants;
mod newcomer;
mod prepare;
mod process;
mod size;
mod skips;
mod spec;
mod step;
mod test;
mod workspace;

use std::process::ExitCode;

use context::Context;

const USAGE: &str = "\
Usage: cargo xtask <command>

  check                   formatting, clippy, rustdoc, arrows between crates, version fence, house rules,
                          links in pages, statements of the specifications
  test [--full]           install what is missing, check, all tests, bare-metal and wasm builds, the demo,
                          licences, what a message costs in instructions; --full adds more random worlds, known vulnerabilities, minimum Rust,
                          the command in other builds, a newcomer's first program, fuzzing, a short benchmark
  spec                    the statements of both specifications and their tests: print how many have one, write
                          CONFORMANCE.md
  soak [minutes] [seed]   ten clients and two real brokers under random faults, for half an hour unless told
  soak links              clients and a real broker over links that are cut, deaf on one side, slow and lossy (as root)
  interop [broker]        what the client and other brokers do together, see INTEROP.md
  command                 the command as it can be had: installed, static (musl), without features, with OpenSSL alone
  newcomer                from an empty folder to the first message, as README and docs/getting-started.md say
  size [folder]           what the client adds to a program: crates, bytes and time to build for each set of features,
                          beside the older sources in that folder
  bench [arguments]       run the benchmark, arguments are handed on (try --help)
  fuzz <target> [seconds] run one fuzz target, 60 seconds unless told (needs a nightly toolchain)
  mutants --shard <k/n>   break the session and the wire in small ways, the k-th of n parts of all ways, and note in
                          core/mutants.txt which of them the tests let live

With CI=true a skipped step is a failure, unless ci/allowed-skips.txt allows it.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut context = Context::from_environment();
    let steps = match words.as_slice() {
        ["check"] => check::steps(),
        ["test"] => test::steps(),
        ["test", "--full"] => test::full_steps(),
        ["spec"] => spec::steps(),
        ["bench", rest @ ..] => extra::bench_steps(rest),
        ["command"] => command::steps(),
        ["size"] => size::steps(None),
        ["size", older] => size::steps(Some(older)),
        ["newcomer"] => vec![newcomer::step()],
        ["interop"] => interop::steps(None),
        ["interop", name] if interop::knows(name) => interop::steps(Some(name)),
        ["soak", rest @ ..] => test::soak_steps(rest),
        ["mutants", "--shard", shard] => mutants::steps(shard),
        ["fuzz", target] => extra::fuzz_steps(target, "60"),
        ["fuzz", target, seconds] => extra::fuzz_steps(target, seconds),
        ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    if step::run_all(steps, &mut context) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
