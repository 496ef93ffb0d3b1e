//! A configuration: what applies, and who says so.

use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write;
use std::path::Path;

use crate::check::{Checked, nearest, wrong};
use crate::dialect::Dialect;
use crate::format::{Format, inline};
use crate::node::{Node, Position, Value};
use crate::schema::{KEYS, Key, Kind, find};
use crate::{ConfigError, Problem};

/// Variables of the environment begin so.
const PREFIX: &str = "PACKETBOAT_OPTION_";

/// Who says a value.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Origin {
    /// A file.
    File {
        /// Its name; empty for text.
        name: String,
        /// Where in it.
        at: Option<Position>,
        /// The key there, if it is another system's.
        key: Option<String>,
    },
    /// The system whose file it is: its own default.
    Dialect(Dialect),
    /// A variable of the environment.
    Environment(String),
    /// The program that reads the file.
    Program,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { name, at, key } => {
                f.write_str(if name.is_empty() { "text" } else { name })?;
                if let Some(at) = at {
                    write!(f, ":{at}")?;
                }
                key.as_ref().map_or(Ok(()), |key| write!(f, " ({key})"))
            }
            Self::Dialect(dialect) => write!(f, "default of {dialect}"),
            Self::Environment(name) => write!(f, "environment, {name}"),
            Self::Program => f.write_str("the program"),
        }
    }
}

#[derive(Clone, Debug)]
struct Setting {
    value: Value,
    origin: Origin,
}

/// A configuration that was read and found to be right.
///
/// ```
/// use packetboat_config::{Config, Format};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let text = "
/// server: mqtt://boat:secret@broker.local
/// keep_alive: 30
/// ";
/// let config = Config::parse(text, Format::Yaml)?;
/// let options = config.options()?;
/// assert!(config.show().contains("keep_alive = 30  # text:3:1"));
/// assert!(!config.show().contains("secret"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Config {
    values: BTreeMap<&'static str, Setting>,
    warnings: Vec<Problem>,
    dialect: Dialect,
}

impl Config {
    /// Reads a file: its format by its name's ending, whose keys it has by looking at them.
    ///
    /// ```no_run
    /// # fn example() -> Result<(), packetboat_config::ConfigError> {
    /// let options = packetboat_config::Config::load("boat.toml")?.options()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn load(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        Self::load_as(path, None)
    }

    /// Reads a file with this system's keys.
    pub fn load_as(path: impl AsRef<Path>, dialect: Option<Dialect>) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        let format = Format::of(path).ok_or_else(|| ConfigError::UnknownFormat(path.to_owned()))?;
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError::Read { path: path.to_owned(), error })?;
        Self::read(&text, format, dialect, &path.display().to_string())
    }

    /// Reads text.
    ///
    /// ```
    /// use packetboat_config::{Config, Format};
    ///
    /// let config = Config::parse("server: mqtt://broker.example", Format::Yaml)?;
    /// assert!(config.warnings().is_empty());
    /// # Ok::<(), packetboat_config::ConfigError>(())
    /// ```
    pub fn parse(text: &str, format: Format) -> Result<Self, ConfigError> {
        Self::read(text, format, None, "")
    }

    /// Reads text with this system's keys.
    pub fn parse_as(text: &str, format: Format, dialect: Dialect) -> Result<Self, ConfigError> {
        Self::read(text, format, Some(dialect), "")
    }

    fn read(text: &str, format: Format, dialect: Option<Dialect>, name: &str) -> Result<Self, ConfigError> {
        let node = format.parse(text).map_err(|mut problem| {
            name.clone_into(&mut problem.source);
            ConfigError::Wrong(vec![problem])
        })?;
        let dialect = dialect.unwrap_or_else(|| Dialect::of(&node));
        Self::of_node(&node, dialect, name)
    }

    /// What a part of a larger file says: a table of this system's keys. `name` is the file's, for errors.
    pub fn of_node(node: &Node, dialect: Dialect, name: &str) -> Result<Self, ConfigError> {
        let named = |mut problem: Problem| {
            name.clone_into(&mut problem.source);
            problem
        };
        let mut config = Self { values: BTreeMap::new(), warnings: Vec::new(), dialect };
        let mut checked = Checked::default();
        if dialect == Dialect::Packetboat {
            checked.table(node, KEYS, "");
            for (key, node) in std::mem::take(&mut checked.values) {
                let origin = Origin::File { name: name.to_owned(), at: node.at, key: None };
                config.values.insert(key.path, Setting { value: node.value, origin });
            }
        } else {
            for said in dialect.translate(node, &mut checked) {
                let origin = match said.key {
                    Some(key) => Origin::File { name: name.to_owned(), at: said.at, key: Some(key) },
                    None => Origin::Dialect(dialect),
                };
                config.values.insert(said.path, Setting { value: said.value, origin });
            }
        }
        if !checked.problems.is_empty() {
            checked.problems.sort_by_key(|problem| problem.at);
            return Err(ConfigError::Wrong(checked.problems.into_iter().map(named).collect()));
        }
        checked.warnings.sort_by_key(|warning| warning.at);
        config.warnings = checked.warnings.into_iter().map(named).collect();
        Ok(config)
    }

    /// Lets variables of the environment win: `PACKETBOAT_OPTION_KEEP_ALIVE`, `PACKETBOAT_OPTION_TLS__AUTHORITY`. Lists are
    /// separated by commas. What begins so and is no key is an error.
    ///
    /// ```
    /// use packetboat_config::{Config, Format};
    ///
    /// # fn main() -> Result<(), packetboat_config::ConfigError> {
    /// let variables = [("PACKETBOAT_OPTION_KEEP_ALIVE".to_owned(), "20".to_owned())];
    /// let config = Config::parse("keep_alive = 30", Format::Toml)?.with_environment(variables)?;
    /// assert!(config.show().contains("keep_alive = 20.0  # environment"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_environment(
        mut self,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut problems = Vec::new();
        for (name, text) in variables {
            let Some(path) = name.strip_prefix(PREFIX) else { continue };
            let path = path.to_ascii_lowercase().replace("__", ".");
            let mut problem = |message: String| {
                problems.push(Problem { source: name.clone(), at: None, key: path.clone(), message });
            };
            let Some(key) = find(&path) else {
                let near = nearest(&path, KEYS).unwrap_or_default();
                let near = near.to_ascii_uppercase().replace('.', "__");
                problem(format!("is no key: did you mean {PREFIX}{near}?"));
                continue;
            };
            match from_text(key.kind, &text) {
                Ok(value) => {
                    self.values.insert(key.path, Setting { value, origin: Origin::Environment(name) });
                }
                Err(wanted) => problem(format!("must be {wanted}")),
            }
        }
        if problems.is_empty() { Ok(self) } else { Err(ConfigError::Wrong(problems)) }
    }

    /// Lets this address win over the one that was read. A user name in it wins over user name and password that were read.
    #[must_use]
    pub fn with_server(mut self, url: impl Into<String>) -> Self {
        let url = url.into();
        let authority = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest).split('/').next();
        if authority.is_some_and(|authority| authority.contains('@')) {
            for key in ["username", "password", "password_file"] {
                self.values.remove(key);
            }
        }
        self.values.insert("server", Setting { value: Value::Text(url), origin: Origin::Program });
        self
    }

    /// What was read and has no meaning here, or less than there.
    #[must_use]
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// Whose keys the file has.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Who says the value of this key; `None` if it is the default, or no key.
    #[must_use]
    pub fn origin(&self, key: &str) -> Option<&Origin> {
        self.values.get(key).map(|setting| &setting.origin)
    }

    /// Is there to be a connection? Mongoose's `enable`.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.value("enable") != Some(&Value::Bool(false))
    }

    pub(crate) fn value(&self, key: &str) -> Option<&Value> {
        self.values.get(key).map(|setting| &setting.value)
    }

    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        match self.value(key) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// All values that apply, one a line, with who says each. Secrets are not shown.
    #[must_use]
    pub fn show(&self) -> String {
        let mut out = String::new();
        for key in KEYS {
            match self.values.get(key.path) {
                Some(setting) => {
                    let value = shown(key, &setting.value);
                    let _ = writeln!(out, "{} = {value}  # {}", key.path, setting.origin);
                }
                None if key.default.is_empty() => {}
                None => {
                    let _ = writeln!(out, "{} = {}  # default", key.path, key.default);
                }
            }
        }
        out
    }

    /// The same with our keys, as a file of this format. Secrets are in it.
    ///
    /// ```
    /// use packetboat_config::{Config, Format};
    ///
    /// # fn main() -> Result<(), packetboat_config::ConfigError> {
    /// let config = Config::parse("{ \"keep_alive\": 30 }", Format::Json)?;
    /// assert_eq!(config.write(Format::Toml), "keep_alive = 30\n");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn write(&self, format: Format) -> String {
        let mut root: Node = Value::Table(Vec::new()).into();
        for key in KEYS {
            if let Some(setting) = self.values.get(key.path) {
                root.put(key.path, setting.value.clone().into());
            }
        }
        format.write(&root)
    }
}

/// Without secrets.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.show())
    }
}

fn shown(key: &Key, value: &Value) -> String {
    match (key.kind, value) {
        (Kind::Secret, _) => "***".to_owned(),
        (Kind::Url, Value::Text(url)) => inline(&Value::Text(without_password(url)).into()),
        (Kind::UrlList, Value::List(list)) => {
            let hidden = list.iter().map(|node| match &node.value {
                Value::Text(url) => Value::Text(without_password(url)).into(),
                _ => node.clone(),
            });
            inline(&Value::List(hidden.collect()).into())
        }
        // A header, or a user property, may be a token.
        (Kind::TextMap, Value::Table(entries)) => {
            let hidden = entries.iter().map(|(name, _)| (name.clone(), Value::Text("***".to_owned()).into()));
            inline(&Value::Table(hidden.collect()).into())
        }
        _ => inline(&value.clone().into()),
    }
}

fn without_password(url: &str) -> String {
    let hidden = url.split_once("://").and_then(|(scheme, rest)| {
        let (login, host) = rest.rsplit_once('@')?;
        let (user, _) = login.split_once(':')?;
        Some(format!("{scheme}://{user}:***@{host}"))
    });
    hidden.unwrap_or_else(|| url.to_owned())
}

/// What a variable says. An error is what it should say.
fn from_text(kind: Kind, text: &str) -> Result<Value, String> {
    let value = match kind {
        Kind::Bool => text.parse().map(Value::Bool).ok(),
        Kind::Integer(..) => text.parse().map(Value::Integer).ok(),
        Kind::Seconds => text.parse().map(Value::Float).ok(),
        Kind::TextList | Kind::UrlList | Kind::Digests => {
            Some(Value::List(text.split(',').map(|item| Value::Text(item.to_owned()).into()).collect()))
        }
        Kind::TextMap | Kind::Topics => return Err("said in a file: it is a table".to_owned()),
        _ => Some(Value::Text(text.to_owned())),
    };
    let node: Node = value.unwrap_or(Value::Null).into();
    wrong(kind, &node).map_or(Ok(node.value), Err)
}
