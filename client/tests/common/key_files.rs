//! A client's key in files, alone and beside its certificate, for tests that look for what is left of it in memory.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::certificates::{Authority, PublicKey, params};
use crate::memory::decoded;

/// In the read-only part of the program, which is not searched.
pub(crate) const KEY: &str = include_str!("keys/ec.pem");
pub(crate) static KEY_DER: [u8; 138] = decoded(KEY);

/// Gone with it.
pub(crate) struct KeyFiles {
    folder: PathBuf,
    pub(crate) authority: PathBuf,
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    /// Key and certificate in one.
    pub(crate) both: PathBuf,
}

impl KeyFiles {
    /// The key with a certificate of this authority.
    pub(crate) fn new(name: &str, authority: &Authority) -> Self {
        let folder = std::env::temp_dir().join(format!("packetboat-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let public = PublicKey(&KEY_DER[KEY_DER.len() - 65..]);
        let certificate = authority.sign_public(&params(&["boat"]), &public);
        Self {
            authority: write(&folder, "ca.pem", &[&authority.pem]),
            certificate: write(&folder, "certificate", &[&certificate]),
            key: write(&folder, "key", &[KEY]),
            both: write(&folder, "both", &[KEY, &certificate]),
            folder,
        }
    }

    /// Where certificate and key are to be found: in files of their own, and in one.
    pub(crate) fn ways(&self) -> [(&Path, &Path); 2] {
        [(&self.certificate, &self.key), (&self.both, &self.both)]
    }
}

impl Drop for KeyFiles {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Part by part: joined, they would lie in our own memory.
fn write(folder: &Path, name: &str, parts: &[&str]) -> PathBuf {
    let path = folder.join(name);
    let mut file = File::create(&path).unwrap();
    for part in parts {
        file.write_all(part.as_bytes()).unwrap();
    }
    path
}
