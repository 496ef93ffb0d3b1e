//! The arrows between crates: who may depend on whom. Never up, never sideways.

use crate::workspace::{Kind, Package};

struct Row {
    package: &'static str,
    normal: &'static [&'static str],
    /// In tests also these.
    development: &'static [&'static str],
}

/// Every member of the workspace has a row; a crate without one is a mistake.
const ALLOWED: &[Row] = &[
    Row { package: "packetboat-core", normal: &[], development: &[] },
    Row { package: "packetboat-sim", normal: &["packetboat-core"], development: &[] },
    Row { package: "packetboat", normal: &["packetboat-core"], development: &["packetboat-sim"] },
    Row { package: "packetboat-blocking", normal: &["packetboat"], development: &["packetboat-sim"] },
    Row {
        package: "packetboat-config",
        normal: &["packetboat", "packetboat-openssl"],
        development: &["packetboat-core", "packetboat-sim"],
    },
    Row { package: "packetboat-openssl", normal: &["packetboat"], development: &[] },
    Row { package: "packetboat-quic", normal: &["packetboat"], development: &[] },
    Row { package: "packetboat-telemetry", normal: &["packetboat"], development: &["packetboat-sim"] },
    Row {
        package: "packetboat-hub",
        normal: &["packetboat", "packetboat-config"],
        development: &["packetboat-sim"],
    },
    Row {
        package: "packetboat-cli",
        normal: &[
            "packetboat",
            "packetboat-config",
            "packetboat-hub",
            "packetboat-openssl",
            "packetboat-quic",
            "packetboat-sim",
            "packetboat-core",
        ],
        development: &[],
    },
    Row {
        package: "packetboat-docs",
        normal: &[],
        development: &[
            "packetboat",
            "packetboat-blocking",
            "packetboat-config",
            "packetboat-hub",
            "packetboat-sim",
        ],
    },
    Row { package: "packetboat-soak", normal: &["packetboat", "packetboat-core"], development: &[] },
    Row { package: "xtask", normal: &[], development: &[] },
];

/// The crates that depend on nothing at all, but in their tests.
const BARE: &[&str] = &["packetboat-core"];

pub(super) fn violations(packages: &[Package]) -> Vec<String> {
    let mut violations = Vec::new();
    for package in packages {
        let name = &package.name;
        let Some(row) = ALLOWED.iter().find(|row| row.package == name) else {
            violations
                .push(format!("`{name}` has no row in the table of arrows (xtask/src/check/arrows.rs)"));
            continue;
        };
        for dependency in &package.dependencies {
            let to = dependency.name.as_str();
            let is_ours = packages.iter().any(|package| package.name == to);
            let is_test = dependency.kind == Kind::Development;
            let is_allowed = row.normal.contains(&to) || (is_test && row.development.contains(&to));
            if is_ours && !is_allowed {
                violations.push(format!("`{name}` must not depend on `{to}` ({:?})", dependency.kind));
            } else if BARE.contains(&name.as_str()) && !is_test {
                violations
                    .push(format!("`{name}` depends on nothing, and now on `{to}` ({:?})", dependency.kind));
            }
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Dependency;

    fn package(name: &str, dependencies: &[(&str, Kind)]) -> Package {
        let dependencies =
            dependencies.iter().map(|&(name, kind)| Dependency { name: name.into(), kind }).collect();
        Package { name: name.into(), dependencies, features: Vec::new(), rust_version: None }
    }

    /// The whole workspace, with `dependency` added to one package.
    fn findings_with(name: &str, dependency: (&str, Kind)) -> Vec<String> {
        let mut packages: Vec<Package> = ALLOWED.iter().map(|row| package(row.package, &[])).collect();
        packages.retain(|package| package.name != name);
        packages.push(package(name, &[dependency]));
        violations(&packages)
    }

    #[test]
    fn downwards_is_allowed() {
        assert!(findings_with("packetboat", ("packetboat-core", Kind::Normal)).is_empty());
        assert!(findings_with("packetboat", ("packetboat-sim", Kind::Development)).is_empty());
        assert!(findings_with("packetboat-cli", ("packetboat-sim", Kind::Normal)).is_empty());
        assert!(findings_with("packetboat-core", ("proptest", Kind::Development)).is_empty());
        assert!(findings_with("packetboat-sim", ("tokio", Kind::Normal)).is_empty());
    }

    #[test]
    fn up_and_sideways_are_not() {
        assert_eq!(1, findings_with("packetboat-core", ("packetboat", Kind::Development)).len());
        assert_eq!(1, findings_with("packetboat-sim", ("packetboat", Kind::Development)).len());
        assert_eq!(1, findings_with("packetboat", ("packetboat-sim", Kind::Normal)).len());
        assert_eq!(1, findings_with("packetboat", ("packetboat-sim", Kind::Build)).len());
        assert_eq!(1, findings_with("packetboat", ("packetboat-cli", Kind::Normal)).len());
    }

    #[test]
    fn core_depends_on_nothing() {
        assert_eq!(1, findings_with("packetboat-core", ("bytes", Kind::Normal)).len());
        assert_eq!(1, findings_with("packetboat-core", ("cc", Kind::Build)).len());
    }

    #[test]
    fn an_unknown_crate_needs_a_row() {
        assert_eq!(1, violations(&[package("packetboat-new", &[])]).len());
    }
}
