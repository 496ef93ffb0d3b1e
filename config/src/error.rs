//! What is wrong with a file.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::Position;

/// One thing that is wrong, or worth knowing.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Problem {
    /// Where it says so: a file, or a variable of the environment. Empty for text.
    pub source: String,
    /// Where in it.
    pub at: Option<Position>,
    /// Which key; empty if it is the file itself.
    pub key: String,
    /// What.
    pub message: String,
}

impl Problem {
    /// At a place of a text; in sentences like "`key` must be a table".
    #[must_use]
    pub fn new(at: Option<Position>, key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { source: String::new(), at, key: key.into(), message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)?;
        if let Some(at) = self.at {
            write!(f, "{}{at}", if self.source.is_empty() { "" } else { ":" })?;
        }
        if !self.source.is_empty() || self.at.is_some() {
            f.write_str(": ")?;
        }
        if !self.key.is_empty() {
            write!(f, "`{}` ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

/// Why a configuration cannot be used.
///
/// ```
/// use packetboat_config::{Config, ConfigError, Format};
///
/// let Err(ConfigError::Wrong(problems)) = Config::parse("keep_alvie = 30", Format::Toml) else { panic!() };
/// assert_eq!(problems[0].to_string(), "1:1: `keep_alvie` is no key: did you mean `keep_alive`?");
/// ```
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Nothing says how the file is written: its name ends in none of the usual ways.
    UnknownFormat(PathBuf),
    /// It is wrong; all that is.
    Wrong(Vec<Problem>),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { path, error } => write!(f, "{}: {error}", path.display()),
            Self::UnknownFormat(path) => write!(
                f,
                "{}: the name does not say how it is written: let it end in .toml, .json, .yaml or .yml",
                path.display()
            ),
            Self::Wrong(problems) => {
                for (place, problem) in problems.iter().enumerate() {
                    write!(f, "{}{problem}", if place > 0 { "\n" } else { "" })?;
                }
                Ok(())
            }
        }
    }
}

packetboat::readable_debug!(ConfigError);

impl std::error::Error for ConfigError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read { error, .. } => Some(error),
            _ => None,
        }
    }
}
