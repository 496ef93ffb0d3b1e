//! Certificates and lists out of files and memory.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use base64ct::{Base64, Encoding};
use tokio_rustls::rustls::pki_types::CertificateRevocationListDer;
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
        // One byte more than it has, and never grown: that would leave a copy of a key.
        let room = usize::try_from(size.len()).unwrap_or_default() + 1;
        let (mut bytes, mut filled) = (Zeroizing::new(vec![0; room]), 0);
        let mut file = File::open(path).map_err(|error| problem(error.to_string()))?;
        loop {
            match file.read(&mut bytes[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(problem(error.to_string())),
            }
        }
        if filled == room {
            return Err(problem("it grew while it was read".into()));
        }
        bytes.truncate(filled);
        Ok(Self { what, bytes })
    }

    pub(super) fn problem(&self, problem: impl Into<String>) -> TlsError {
        TlsError::Material { what: self.what.clone(), problem: problem.into() }
    }

    pub(super) fn is_pem(&self) -> bool {
        contains(&self.bytes, "-----BEGIN ")
    }

    pub(super) fn certificates<T: From<Vec<u8>>>(&self) -> Result<Vec<T>, TlsError> {
        self.objects("certificate", b"CERTIFICATE")
    }

    pub(super) fn revocation_lists(&self) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
        self.objects("revocation list", b"X509 CRL")
    }

    fn objects<T: From<Vec<u8>>>(&self, kind: &str, wanted: &[u8]) -> Result<Vec<T>, TlsError> {
        if !self.is_pem() && self.bytes.first() == Some(&0x30) {
            return Ok(vec![T::from(self.bytes.to_vec())]);
        }
        let sections = self.sections(|label| (label == wanted).then_some(()));
        let found: Vec<T> = sections
            .map(|section| section.map(|((), mut der)| T::from(std::mem::take(&mut *der))))
            .collect::<Result<_, _>>()?;
        if found.is_empty() { Err(self.problem(format!("there is no {kind} in it"))) } else { Ok(found) }
    }

    /// The sections of PEM whose label is known, decoded where they stand. Others are left alone: what decodes a key beside
    /// a certificate leaves it in memory.
    pub(super) fn sections<Label>(
        &self,
        known: impl Fn(&[u8]) -> Option<Label>,
    ) -> impl Iterator<Item = Result<(Label, Zeroizing<Vec<u8>>), TlsError>> {
        let mut rest = self.bytes.as_slice();
        std::iter::from_fn(move || {
            loop {
                let (_, found) = split(rest, "-----BEGIN ")?;
                let (label, body) = split(found, "-----")?;
                rest = body;
                if let Some(label) = known(label) {
                    return Some(self.decoded(body).map(|der| (label, der)));
                }
            }
        })
    }

    fn decoded(&self, body: &[u8]) -> Result<Zeroizing<Vec<u8>>, TlsError> {
        let damaged = |why: &dyn std::fmt::Display| self.problem(format!("it is damaged: {why}"));
        let (text, _) = split(body, "-----END ").ok_or_else(|| damaged(&"a section has no end"))?;
        // Never grown: that would leave what it was.
        let mut der = Zeroizing::new(Vec::with_capacity(text.len()));
        der.extend(text.iter().filter(|byte| !byte.is_ascii_whitespace()));
        let length = Base64::decode_in_place(&mut der).map(<[u8]>::len).map_err(|error| damaged(&error))?;
        der.truncate(length);
        Ok(der)
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

pub(super) fn contains(bytes: &[u8], text: &str) -> bool {
    split(bytes, text).is_some()
}

/// What is before and behind the first of these texts.
fn split<'a>(bytes: &'a [u8], text: &str) -> Option<(&'a [u8], &'a [u8])> {
    let place = bytes.windows(text.len()).position(|window| window == text.as_bytes())?;
    Some((&bytes[..place], &bytes[place + text.len()..]))
}
