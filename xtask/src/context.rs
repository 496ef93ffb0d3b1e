//! Where the project is and what the steps found out about the machine.

use std::env;
use std::path::{Path, PathBuf};

pub(crate) struct Context {
    /// The workspace's root folder.
    pub(crate) root: PathBuf,
    /// `CI=true`: nothing is asked, skips are failures.
    pub(crate) ci: bool,
    /// Set for every child process, by the steps that learn it.
    pub(crate) environment: Vec<(String, String)>,
}

impl Context {
    pub(crate) fn from_environment() -> Self {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = manifest.parent().unwrap_or(manifest).to_owned();
        let ci = env::var("CI").is_ok_and(|value| value == "true" || value == "1");
        // Debian puts mosquitto where only root looks.
        let path = format!("{}:/usr/local/sbin:/usr/sbin", env::var("PATH").unwrap_or_default());
        Self { root, ci, environment: vec![("PATH".into(), path)] }
    }

    pub(crate) fn set(&mut self, name: &str, value: impl Into<String>) {
        self.environment.push((name.to_owned(), value.into()));
    }

    /// The value children get, or this process has.
    pub(crate) fn value(&self, name: &str) -> Option<String> {
        let given = self.environment.iter().rev().find(|(key, _)| key == name);
        given.map(|(_, value)| value.clone()).or_else(|| env::var(name).ok())
    }

    pub(crate) fn target_folder(&self) -> PathBuf {
        env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| self.root.join("target"), |folder| self.root.join(folder))
    }

    /// Programs built for these tasks alone; a user's own installation is left as it is.
    pub(crate) fn tools_folder(&self) -> PathBuf {
        self.target_folder().join("tools")
    }
}
