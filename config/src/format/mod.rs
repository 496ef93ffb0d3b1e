//! The formats of files.

mod json;
mod toml;
mod write;
mod yaml;

use std::path::Path;

use crate::Problem;
use crate::node::Node;

/// How a file is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// TOML.
    Toml,
    /// JSON; comments and commas at the end are allowed.
    Json,
    /// YAML 1.2.
    Yaml,
}

impl Format {
    /// By the ending of a file's name: `.toml`, `.json`, `.jsonc`, `.yaml`, `.yml`.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "toml" => Some(Self::Toml),
            "json" | "jsonc" => Some(Self::Json),
            "yaml" | "yml" => Some(Self::Yaml),
            _ => None,
        }
    }

    /// The tree that a text says.
    pub fn parse(self, text: &str) -> Result<Node, Problem> {
        match self {
            Self::Toml => toml::parse(text),
            Self::Json => json::parse(text),
            Self::Yaml => yaml::parse(text),
        }
    }

    /// A tree as text.
    #[must_use]
    pub fn write(self, node: &Node) -> String {
        match self {
            Self::Toml => write::toml(node),
            Self::Json => write::json(node) + "\n",
            Self::Yaml => write::yaml(node),
        }
    }
}

pub(crate) use write::{inline, quoted};
