//! What the files say.

use std::collections::BTreeMap;
use std::path::Path;

use packetboat_config::{ConfigError, Format, Problem, Value};

use super::files::Snapshot;
use crate::HubConfig;
use crate::config::{ConnectionSettings, parsed};

/// How Pelix's configuration admin ends the names of its files.
const PELIX: &str = ".config.js";

/// Pelix's name for what configures a connection.
const FACTORY: &str = "mqtt.connector";

impl Snapshot {
    pub(super) fn read(&self) -> Result<BTreeMap<String, ConnectionSettings>, ConfigError> {
        let (mut connections, mut problems) = (BTreeMap::new(), Vec::new());
        for (file, text) in &self.texts {
            let read = if self.is_folder {
                one(file, text)
            } else {
                let format = Format::of(file).ok_or_else(|| ConfigError::UnknownFormat(file.clone()))?;
                HubConfig::read_here(text, format, file).map(|config| config.connections)
            };
            match read {
                Ok(read) => {
                    for (id, settings) in read {
                        if connections.contains_key(&id) {
                            let mut problem =
                                Problem::new(None, "", format!("another file is named `{id}`, too"));
                            problem.source = file.display().to_string();
                            problems.push(problem);
                        }
                        connections.insert(id, settings);
                    }
                }
                Err(ConfigError::Wrong(found)) => problems.extend(found),
                Err(other) => return Err(other),
            }
        }
        if problems.is_empty() { Ok(connections) } else { Err(ConfigError::Wrong(problems)) }
    }
}

/// The name of the connection that a file of a folder has; `None` if it is none of ours. Names that begin with a dot are
/// editors' and Kubernetes'.
pub(super) fn name_of(file: &Path) -> Option<(&str, Format)> {
    let name = file.file_name()?.to_str().filter(|name| !name.starts_with('.'))?;
    if let Some(name) = name.strip_suffix(PELIX) {
        return Some((name, Format::Json));
    }
    Some((file.file_stem()?.to_str()?, Format::of(file)?))
}

/// The connection of a folder's file. One of Pelix's that configures something else says nothing.
fn one(file: &Path, text: &str) -> Result<BTreeMap<String, ConnectionSettings>, ConfigError> {
    let Some((name, format)) = name_of(file) else { return Ok(BTreeMap::new()) };
    let source = file.display().to_string();
    let mut node = parsed(text, format, &source)?;
    if let Value::Table(entries) = &mut node.value {
        let factory =
            entries.iter().find(|(key, _)| key == "service.factoryPid").map(|(_, node)| &node.value);
        if factory.is_some_and(|value| !matches!(value, Value::Text(text) if text == FACTORY)) {
            return Ok(BTreeMap::new());
        }
        entries.retain(|(key, _)| !key.starts_with("service."));
    }
    ConnectionSettings::read(name, &node, &source)
        .map(|settings| BTreeMap::from([(name.to_owned(), settings)]))
}
