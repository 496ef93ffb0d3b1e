//! Certificates, keys and lists out of files and memory.

use std::fs;
use std::path::{Path, PathBuf};

use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use zeroize::Zeroizing;

use super::{Pem, Source, TlsError};

/// No certificate file is larger; a device that never ends is none.
const LARGEST: u64 = 16 * 1024 * 1024;

/// Bytes, and what to call them in an error.
pub(super) struct Text {
    what: String,
    pub(super) bytes: Zeroizing<Vec<u8>>,
}

impl Text {
    pub(super) fn read(what: &str, pem: &Pem) -> Result<Self, TlsError> {
        match &pem.0 {
            Source::File(path) => Self::read_file(what, path),
            Source::Memory(bytes) => Ok(Self { what: what.to_owned(), bytes: (**bytes).clone() }),
        }
    }

    fn read_file(what: &str, path: &Path) -> Result<Self, TlsError> {
        let what = format!("{what} {}", path.display());
        let problem = |problem: String| TlsError::Material { what: what.clone(), problem };
        let size = fs::metadata(path).map_err(|error| problem(error.to_string()))?;
        if !size.is_file() || size.len() > LARGEST {
            return Err(problem("it is no file, or too large for one with certificates".into()));
        }
        let bytes = fs::read(path).map_err(|error| problem(error.to_string()))?;
        Ok(Self { what, bytes: Zeroizing::new(bytes) })
    }

    fn problem(&self, problem: impl Into<String>) -> TlsError {
        TlsError::Material { what: self.what.clone(), problem: problem.into() }
    }

    fn is_pem(&self) -> bool {
        contains(&self.bytes, "-----BEGIN ")
    }

    pub(super) fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        self.objects("certificate", CertificateDer::from)
    }

    pub(super) fn revocation_lists(&self) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
        self.objects("revocation list", CertificateRevocationListDer::from)
    }

    fn objects<T: PemObject>(&self, kind: &str, der: impl Fn(Vec<u8>) -> T) -> Result<Vec<T>, TlsError> {
        if !self.is_pem() && self.bytes.first() == Some(&0x30) {
            return Ok(vec![der(self.bytes.to_vec())]);
        }
        let found: Result<Vec<T>, _> = T::pem_slice_iter(&self.bytes).collect();
        let found = found.map_err(|error| self.problem(format!("it is damaged: {error}")))?;
        if found.is_empty() {
            return Err(self.problem(format!("there is no {kind} in it")));
        }
        Ok(found)
    }

    pub(super) fn private_key(&self, password: Option<&str>) -> Result<PrivateKeyDer<'static>, TlsError> {
        if contains(&self.bytes, "Proc-Type: 4,ENCRYPTED") {
            return Err(self.problem(
                "it is encrypted in OpenSSL's old way, which is not safe: convert it with `openssl pkcs8 -topk8`",
            ));
        }
        if contains(&self.bytes, "-----BEGIN ENCRYPTED PRIVATE KEY-----") {
            return self.decrypt(password);
        }
        if self.is_pem() {
            return PrivateKeyDer::from_pem_slice(&self.bytes)
                .map_err(|error| self.problem(format!("there is no usable private key in it: {error}")));
        }
        PrivateKeyDer::try_from(self.bytes.to_vec()).or_else(|_| match password {
            Some(_) => self.decrypt(password),
            None => Err(self.problem("it is no private key, neither PEM nor DER")),
        })
    }

    fn decrypt(&self, password: Option<&str>) -> Result<PrivateKeyDer<'static>, TlsError> {
        let Some(password) = password else {
            return Err(self.problem("it is encrypted: give its password (key_password)"));
        };
        let damaged = |error: &dyn std::fmt::Display| self.problem(format!("it is damaged: {error}"));
        let document = if self.is_pem() {
            let text = String::from_utf8_lossy(&self.bytes);
            let start = text.find("-----BEGIN ENCRYPTED").unwrap_or_default();
            let (_, document) =
                pkcs8::SecretDocument::from_pem(&text[start..]).map_err(|error| damaged(&error))?;
            Zeroizing::new(document.as_bytes().to_vec())
        } else {
            self.bytes.clone()
        };
        let encrypted = pkcs8::EncryptedPrivateKeyInfo::try_from(document.as_slice());
        let encrypted = encrypted.map_err(|error| damaged(&error))?;
        let key = encrypted.decrypt(password).map_err(|error| {
            self.problem(format!("it cannot be decrypted, is the password right? ({error})"))
        })?;
        Ok(PrivateKeyDer::Pkcs8(key.as_bytes().to_vec().into()))
    }
}

/// All certificates in the files of a folder; what else is in it is passed over.
pub(super) fn read_folder(path: &Path) -> Result<Vec<Text>, TlsError> {
    let what = "the folder of authorities";
    let problem =
        |problem: String| TlsError::Material { what: format!("{what} {}", path.display()), problem };
    let entries = fs::read_dir(path).map_err(|error| problem(error.to_string()))?;
    let mut paths: Vec<PathBuf> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
    // An order of its own, so that the same files are the same authorities.
    paths.sort();
    let mut found = Vec::new();
    for path in paths.iter().filter(|path| path.is_file()) {
        let text = Text::read_file("the authority", path)?;
        if contains(&text.bytes, "-----BEGIN CERTIFICATE-----") {
            found.push(text);
        }
    }
    if found.is_empty() {
        return Err(problem("no file in it has a certificate".into()));
    }
    Ok(found)
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}
