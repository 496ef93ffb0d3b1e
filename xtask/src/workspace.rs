//! The workspace as `cargo metadata` describes it.

use serde_json::Value;

use crate::context::Context;
use crate::process;

pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) dependencies: Vec<Dependency>,
    /// Feature name and what it switches on.
    pub(crate) features: Vec<(String, Vec<String>)>,
    pub(crate) rust_version: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Normal,
    Build,
    Development,
}

/// The members of the workspace, by name.
pub(crate) fn packages(context: &Context) -> Result<Vec<Package>, String> {
    let text = process::output(context, "cargo", &["metadata", "--no-deps", "--format-version", "1"])?;
    let value = serde_json::from_str(&text).map_err(|error| format!("cargo metadata: {error}"))?;
    Ok(parse(&value))
}

fn parse(metadata: &Value) -> Vec<Package> {
    let mut packages: Vec<Package> = items(&metadata["packages"]).map(package).collect();
    packages.sort_by(|left, right| left.name.cmp(&right.name));
    packages
}

fn package(value: &Value) -> Package {
    let features = value["features"].as_object().into_iter().flatten();
    Package {
        name: text(&value["name"]),
        dependencies: items(&value["dependencies"]).map(dependency).collect(),
        features: features
            .map(|(name, enables)| (name.clone(), items(enables).map(text).collect()))
            .collect(),
        rust_version: value["rust_version"].as_str().map(str::to_owned),
    }
}

fn dependency(value: &Value) -> Dependency {
    let kind = match value["kind"].as_str() {
        Some("dev") => Kind::Development,
        Some("build") => Kind::Build,
        _ => Kind::Normal,
    };
    Dependency { name: text(&value["name"]), kind }
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_read() {
        let packages = parse(&serde_json::json!({"packages": [{
            "name": "b", "rust_version": "1.95",
            "dependencies": [{"name": "a", "kind": null}, {"name": "c", "kind": "dev"}],
            "features": {"net": ["dep:tokio"]},
        }]}));
        let [package] = packages.as_slice() else { panic!("one package") };
        assert_eq!("b", package.name);
        assert_eq!(Some("1.95"), package.rust_version.as_deref());
        assert_eq!(Dependency { name: "a".into(), kind: Kind::Normal }, package.dependencies[0]);
        assert_eq!(Dependency { name: "c".into(), kind: Kind::Development }, package.dependencies[1]);
        assert_eq!(vec![("net".to_owned(), vec!["dep:tokio".to_owned()])], package.features);
    }
}
