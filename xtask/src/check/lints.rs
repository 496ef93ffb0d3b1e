//! clippy for each package alone and with each set of features, so that one package's needs never hide the
//! other's errors; rustdoc for all together.

use crate::context::Context;
use crate::process;
use crate::step::Outcome;
use crate::workspace::{self, Package};

const DEFAULT: &[&str] = &[];
const NONE: &[&str] = &["--no-default-features"];
const ALL: &[&str] = &["--all-features"];

pub(super) fn clippy(context: &mut Context) -> Outcome {
    let packages = match workspace::packages(context) {
        Ok(packages) => packages,
        Err(why) => return Outcome::Failed(why),
    };
    let (mut runs, mut failed) = (0, Vec::new());
    for package in &packages {
        for features in feature_sets(package) {
            // Libraries and programs first: what they depend on must not hide what the package lacks.
            for targets in [&[][..], &["--all-targets"]] {
                let package_arguments = ["clippy", "--quiet", "--no-deps", "--package", &package.name];
                let arguments =
                    [&package_arguments[..], targets, features, &["--", "-D", "warnings"]].concat();
                runs += 1;
                failed.extend(process::cargo(context, &arguments).err());
            }
        }
    }
    match failed.first() {
        None => Outcome::Done(format!("{runs} runs")),
        Some(first) => Outcome::Failed(format!("{} of {runs} runs, the first: {first}", failed.len())),
    }
}

pub(super) fn rustdoc(context: &mut Context) -> Outcome {
    let line = ["doc", "--quiet", "--workspace", "--no-deps", "--all-features"];
    let mut command = process::command(context, "cargo", &line);
    command.env("RUSTDOCFLAGS", "-D warnings");
    process::run_command(command, &format!("RUSTDOCFLAGS=\"-D warnings\" cargo {}", line.join(" "))).into()
}

/// The sets of features that differ: default, none, all.
fn feature_sets(package: &Package) -> Vec<&'static [&'static str]> {
    let named = package.features.iter().filter(|(name, _)| name != "default").count();
    let default = default_features(package);
    if named == 0 {
        vec![DEFAULT]
    } else if default.is_empty() {
        vec![DEFAULT, ALL]
    } else if default.len() == named {
        vec![DEFAULT, NONE]
    } else {
        vec![DEFAULT, NONE, ALL]
    }
}

/// The package's own features that `default` switches on, directly or through others.
fn default_features(package: &Package) -> Vec<&str> {
    let mut reached = Vec::new();
    let mut open = vec!["default"];
    while let Some(name) = open.pop() {
        let Some((name, implied)) = package.features.iter().find(|(feature, _)| feature == name) else {
            continue;
        };
        if !reached.contains(&name.as_str()) {
            reached.push(name.as_str());
            open.extend(implied.iter().map(String::as_str));
        }
    }
    reached.retain(|name| *name != "default");
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sets(features: &[(&str, &[&str])]) -> Vec<&'static [&'static str]> {
        let features = features
            .iter()
            .map(|(name, enables)| {
                ((*name).to_owned(), enables.iter().map(|name| (*name).to_owned()).collect())
            })
            .collect();
        let package = Package { name: "a".into(), dependencies: Vec::new(), features, rust_version: None };
        feature_sets(&package)
    }

    #[test]
    fn only_sets_that_differ_are_run() {
        assert_eq!(vec![DEFAULT], sets(&[]));
        assert_eq!(vec![DEFAULT], sets(&[("default", &[])]));
        assert_eq!(vec![DEFAULT, ALL], sets(&[("net", &["dep:tokio"])]));
        assert_eq!(vec![DEFAULT, NONE], sets(&[("default", &["net"]), ("net", &["dep:tokio"])]));
        assert_eq!(vec![DEFAULT, NONE], sets(&[("default", &["a"]), ("a", &["b", "tokio/net"]), ("b", &[])]));
        assert_eq!(vec![DEFAULT, NONE, ALL], sets(&[("default", &["a"]), ("a", &[]), ("b", &[])]));
    }
}
